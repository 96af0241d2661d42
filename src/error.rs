//! The one error type: what went wrong, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of failure this is; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user can mend it: a wrong flag, file, task, checkpoint (exit code 2).
    Input,
    /// The run stopped before the end and can be continued (exit code 3).
    Incomplete,
}

impl ErrorKind {
    /// The process exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Input => 2,
            ErrorKind::Incomplete => 3,
        }
    }
}

/// Where the trouble is: a file, perhaps a line (from 1), perhaps a key or row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub file: Option<PathBuf>,
    pub line: Option<usize>,
    pub key: Option<String>,
}

/// An error with its place, a hint and its cause.
///
/// Messages are lower-case fragments without a full stop. Build one with [`Error::input`] and add to it:
/// `Error::input("unknown key").at(path, line).hint("did you mean `metric_list`?")`.
/// The parts are boxed so that a `Result` stays small.
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    message: String,
    place: Place,
    hint: Option<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// `Result` with fairmark's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Parts { kind, message: message.into(), place: Place::default(), hint: None, cause: None }))
    }

    /// An error that the user can mend (exit code 2).
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// A failed operation on `path`: `Error::io("cannot read", path, err)`.
    pub fn io(what: &str, path: &Path, err: std::io::Error) -> Self {
        Self::input(what).file(path).cause(err)
    }

    /// Names the file, unless an inner caller already did.
    pub fn file(mut self, file: impl AsRef<Path>) -> Self {
        self.0.place.file.get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// Names the line (from 1), unless an inner caller already did.
    pub fn line(mut self, line: usize) -> Self {
        self.0.place.line.get_or_insert(line);
        self
    }

    /// Names the key, field or row, unless an inner caller already did.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.place.key.get_or_insert_with(|| key.into());
        self
    }

    /// Names file and line.
    pub fn at(self, file: impl AsRef<Path>, line: usize) -> Self {
        self.file(file).line(line)
    }

    /// Says what to do, unless an inner caller already did.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Attaches the underlying error.
    pub fn cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Puts what was being done before the message: `cannot load task x: message`.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// All of it in one line, for places where an error is a remark: `message (hint)`.
    pub fn one_line(&self) -> String {
        let text = self.to_string();
        let mut lines = text.lines().map(str::trim);
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |line, more| format!("{line}; {more}"))
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn place(&self) -> &Place {
        &self.0.place
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(file) = &self.file {
            match self.line {
                Some(line) => parts.push(format!("{}:{line}", file.display())),
                None => parts.push(file.display().to_string()),
            }
        } else if let Some(line) = self.line {
            parts.push(format!("line {line}"));
        }
        if let Some(key) = &self.key {
            parts.push(key.clone());
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.place.to_string();
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.0.message)?;
        let mut cause = self.0.cause.as_deref().map(|c| c as &(dyn std::error::Error + 'static));
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// Names that a hint lists at most.
const LISTED: usize = 6;

/// Longer words are not looked up: they are no misspelt names.
const LONGEST_WORD: usize = 200;

/// What a hint says about a word that is not among `known`: the nearest of them, or all of a few, or the likeliest of many. `what` they
/// are called: `columns`.
pub fn suggestion(what: &str, word: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(word, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if known.len() <= LISTED {
        return format!("{what}: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") });
    }
    let word: String = word.chars().take(LONGEST_WORD).collect();
    let mut ranked: Vec<(f64, &str)> = known.iter().map(|name| (strsim::jaro_winkler(&word, name), *name)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let named: Vec<&str> = ranked.iter().take(LISTED).map(|(_, name)| *name).collect();
    format!("{what}: {} and {} more", named.join(", "), known.len() - LISTED)
}

/// The candidate nearest to `word`, for "did you mean" hints; `None` when nothing is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    candidates
        .into_iter()
        .map(|c| (strsim::jaro_winkler(word, c), c))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_cause_and_hint() {
        let err = Error::input("unknown key `metric_lst`").at("tasks/x.yaml", 3).hint("did you mean `metric_list`?");
        assert_eq!(err.to_string(), "tasks/x.yaml:3: unknown key `metric_lst`\n  hint: did you mean `metric_list`?");
        let err = Error::io("cannot read", Path::new("a.json"), std::io::Error::other("disk on fire"));
        assert_eq!(err.to_string(), "a.json: cannot read: disk on fire");
    }

    #[test]
    fn inner_place_wins() {
        let err = Error::input("bad").file("inner.yaml").file("outer.yaml");
        assert_eq!(err.place().file.as_deref(), Some(Path::new("inner.yaml")));
    }

    #[test]
    fn nearest_finds_typos_only() {
        assert_eq!(nearest("acc_nrm", ["acc", "acc_norm", "f1"]), Some("acc_norm"));
        assert_eq!(nearest("zebra", ["acc", "acc_norm"]), None);
        assert_eq!(nearest(&"acc_norm".repeat(100_000), ["acc", "acc_norm"]), None);
    }

    #[test]
    fn suggestions_are_a_handful() {
        assert_eq!(suggestion("metrics", "acc_nrm", &["acc", "acc_norm"]), "did you mean `acc_norm`?");
        assert_eq!(suggestion("metrics", "zebra", &["acc", "f1"]), "metrics: acc, f1");
        let many: Vec<String> = (0..40).map(|i| format!("name{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let hint = suggestion("names", "quite else", &many);
        assert!(hint.ends_with(" and 34 more") && hint.len() < 80, "{hint}");
        assert_eq!(suggestion("names", "x", &[]), "names: none");
    }
}
