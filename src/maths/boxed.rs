//! The answer inside the last `\boxed{...}` of a worked solution, as hendrycks_math and minerva_math of
//! lm-evaluation-harness find it.

/// Why an answer has no usable box; the reference raises at the same places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxError {
    /// There is no closed `\boxed{...}` or `\fbox{...}` (the reference: `TypeError`).
    Missing,
    /// What was found does not begin with `\boxed{` or does not end with `}` (the reference: `AssertionError`).
    Malformed,
}

impl std::fmt::Display for BoxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BoxError::Missing => "no closed \\boxed{...} in the solution",
            BoxError::Malformed => "the last box of the solution is not of the form \\boxed{...}",
        })
    }
}

impl std::error::Error for BoxError {}

/// `last_boxed_only_string`: the last box with its command. Where `\boxed ` (with a space) occurs anywhere, it is
/// the text after its last occurrence up to the next `$` instead, even if a braced box follows.
pub fn last_boxed(text: &str) -> Option<String> {
    if let Some((_, after)) = text.rsplit_once("\\boxed ") {
        let answer = after.split('$').next().unwrap_or_default();
        return Some(format!("\\boxed {answer}"));
    }
    last_braced(text).map(str::to_owned)
}

/// The last `\boxed` (else the last `\fbox`) up to the brace that closes the first one opened after it.
pub(super) fn last_braced(text: &str) -> Option<&str> {
    let from = text.rfind("\\boxed").or_else(|| text.rfind("\\fbox"))?;
    let found = text.get(from..)?;
    let mut open = 0_i64;
    for (at, byte) in found.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return found.get(..=at);
                }
            }
            _ => {}
        }
    }
    None
}

/// `remove_boxed`: the content of a box that [`last_boxed`] returned.
pub fn remove_boxed(boxed: &str) -> Result<&str, BoxError> {
    if boxed.contains("\\boxed ") {
        return boxed.strip_prefix("\\boxed ").ok_or(BoxError::Malformed);
    }
    remove_braced(boxed).ok_or(BoxError::Malformed)
}

/// The content of a text that begins with `\boxed{` and ends with `}`.
pub(super) fn remove_braced(boxed: &str) -> Option<&str> {
    boxed.strip_prefix("\\boxed{")?.strip_suffix('}')
}

/// `remove_boxed(last_boxed_only_string(solution))`: the gold answer of a MATH solution.
pub fn boxed_answer(solution: &str) -> Result<String, BoxError> {
    let boxed = last_boxed(solution).ok_or(BoxError::Missing)?;
    remove_boxed(&boxed).map(str::to_owned)
}
