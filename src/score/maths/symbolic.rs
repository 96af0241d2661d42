//! The symbolic tier: a Python program for a sandbox with sympy 1.13.1 and antlr4-python3-runtime 4.11, the text of its
//! input and the meaning of its output. Nothing is run here.

use serde::Deserialize;

/// The program. Run it as `python PROGRAM_FILE INPUT_FILE`; its standard output goes to [`outcomes`]. It gives each pair
/// 5 seconds as the reference does, and up to 3 more where only killing helps. It forks, and needs no network. Set
/// `PYTHONHASHSEED=0`: on a few pairs (0/0 and 0) sympy's word hangs on the order of its hash tables.
pub const PROGRAM: &str = include_str!("equivalence.py");

/// sympy's word on a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether `simplify(a - b) == 0`. False where it could not be judged: the reference counts that as wrong.
    pub equal: bool,
    /// Why it could not be judged: a text that `parse_latex` refuses, a failed subtraction, the time limit.
    pub reason: Option<String>,
}

/// The text of the program's input file: one JSON array `[a, b]` a line.
pub fn input<A: AsRef<str>, B: AsRef<str>>(pairs: &[(A, B)]) -> String {
    let mut text = String::new();
    for (a, b) in pairs {
        text.push_str(&serde_json::json!([a.as_ref(), b.as_ref()]).to_string());
        text.push('\n');
    }
    text
}

#[derive(Deserialize)]
struct Line {
    pair: Option<usize>,
    equal: Option<bool>,
    reason: Option<String>,
    unavailable: Option<String>,
}

/// Reads the program's output for `n` pairs. `Err` is a pair without a verdict (no sympy there, the program was cut
/// off or did not run): such a pair is undecided, not wrong.
pub fn outcomes(output: &str, n: usize) -> Vec<Result<Verdict, String>> {
    let mut verdicts: Vec<Result<Verdict, String>> = vec![Err("the program gave no verdict on this pair".into()); n];
    for line in output.lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
        if let Some(why) = line.unavailable {
            return vec![Err(format!("sympy cannot judge here: {why}")); n];
        }
        let (Some(pair), Some(equal)) = (line.pair, line.equal) else { continue };
        if let Some(slot) = verdicts.get_mut(pair) {
            *slot = Ok(Verdict { equal, reason: line.reason });
        }
    }
    verdicts
}
