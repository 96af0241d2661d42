//! What a user should know of models and answers, said once however many columns and tasks it holds for.

use super::talk;
use crate::error::ErrorKind;
use crate::record::Run;
use crate::remark::pattern;
use crate::visible;
use std::process::ExitCode;

/// Tasks that are named; the others are counted.
const NAMED: usize = 3;

/// Notes on columns: one that holds for several is said at once for the first and at the end for all others together.
#[derive(Default)]
pub struct Heard {
    /// A text with the columns that it was not said of yet.
    notes: Vec<(String, Vec<String>)>,
}

impl Heard {
    /// Says a note on a column, or keeps the column's name where the same was said of another one.
    pub fn note(&mut self, column: &str, text: &str) {
        match self.notes.iter_mut().find(|(said, _)| said == text) {
            Some((_, columns)) if columns.iter().any(|known| known == column) => {}
            Some((_, columns)) => columns.push(column.to_string()),
            None => {
                talk::note(format_args!("{column}: {text}"));
                self.notes.push((text.to_string(), Vec::new()));
            }
        }
    }
}

impl Drop for Heard {
    /// However the command ends, what was kept is said.
    fn drop(&mut self) {
        for (text, columns) in self.notes.iter().filter(|(_, columns)| !columns.is_empty()) {
            talk::note(format_args!("{}, too: {text}", visible::list(columns)));
        }
    }
}

/// Documents of some tasks of some columns that have no score for one reason.
#[derive(Debug, PartialEq, Eq)]
struct Unscored {
    columns: Vec<String>,
    tasks: Vec<String>,
    documents: usize,
    reason: String,
    /// Other reasons differ in numbers and quotations only.
    and_the_like: bool,
}

/// Says on stderr what the table cannot: prompts that were cut, documents without a score. The exit code says whether all was scored.
pub fn report_problems(runs: &[(String, Run)]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let mut found: Vec<Unscored> = Vec::new();
    for (label, run) in runs {
        report_cut(label, run);
        let reasons = run.tasks.iter();
        let reasons =
            reasons.flat_map(|task| task.unscored.iter().map(|(reason, n)| (task.name.as_str(), reason.as_str(), *n)));
        let of_column = by_reason(label, reasons);
        if !run.not_run.is_empty() || !of_column.is_empty() {
            code = ExitCode::from(ErrorKind::Incomplete.exit_code());
        }
        for unscored in of_column {
            let same = |known: &&mut Unscored| {
                (&known.tasks, known.documents, &known.reason)
                    == (&unscored.tasks, unscored.documents, &unscored.reason)
            };
            match found.iter_mut().find(same) {
                Some(known) => known.columns.extend(unscored.columns),
                None => found.push(unscored),
            }
        }
    }
    found.iter().for_each(|unscored| talk::warning(unscored.line()));
    code
}

/// Prompts that were longer than the window.
fn report_cut(label: &str, run: &Run) {
    let cut: usize = run.tasks.iter().map(|t| t.truncated).sum();
    if cut > 0 {
        let tasks = run.tasks.iter().filter(|t| t.truncated > 0);
        let tasks = visible::list(tasks.map(|t| format!("{} {}", t.name, t.truncated)));
        talk::note(format_args!("{label}: {cut} prompts were longer than the window and cut from the left ({tasks})"));
    }
}

/// Puts tasks of one column together whose documents have no score for the same reason.
fn by_reason<'a>(column: &str, reasons: impl Iterator<Item = (&'a str, &'a str, usize)>) -> Vec<Unscored> {
    let mut found: Vec<(String, Unscored)> = Vec::new();
    for (task, reason, documents) in reasons {
        let pattern = pattern(reason);
        match found.iter_mut().find(|(known, _)| *known == pattern) {
            Some((_, known)) => {
                known.documents += documents;
                known.and_the_like |= known.reason != reason;
                if known.tasks.last().is_none_or(|last| last != task) {
                    known.tasks.push(task.to_string());
                }
            }
            None => {
                let (columns, tasks) = (vec![column.to_string()], vec![task.to_string()]);
                let unscored = Unscored { columns, tasks, documents, reason: reason.into(), and_the_like: false };
                found.push((pattern, unscored));
            }
        }
    }
    found.into_iter().map(|(_, unscored)| unscored).collect()
}

impl Unscored {
    /// `m: mmlu_law, mmlu_ethics, mmlu_virology and 24 more: 310 documents not scored: the server gave no answer`
    fn line(&self) -> String {
        let Unscored { columns, tasks, documents, reason, and_the_like } = self;
        let named = tasks.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match tasks.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let each = if columns.len() > 1 { " each" } else { "" };
        let like = if *and_the_like { " (and others like it)" } else { "" };
        format!("{}: {named}{more}: {documents} documents not scored{each}: {reason}{like}", visible::list(columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_one_line() {
        let tasks: Vec<String> = (0..27).map(|i| format!("mmlu_{i}")).collect();
        let reason = |tokens: usize| format!("the continuation has {tokens} tokens and the window only 64");
        let reasons: Vec<(usize, String, usize)> =
            (0..27).flat_map(|i| [(i, reason(65 + i), 2), (i, reason(300), 1)]).collect();
        let found = by_reason("m", reasons.iter().map(|(i, reason, n)| (tasks[*i].as_str(), reason.as_str(), *n)));
        let lines: Vec<String> = found.iter().map(Unscored::line).collect();
        assert_eq!(
            lines,
            [
                "m: mmlu_0, mmlu_1, mmlu_2 and 24 more: 81 documents not scored: the continuation has 65 tokens and the window only 64 (and others like it)"
            ]
        );
        let two = by_reason("m", [("a", "no answer", 3), ("a", "refused", 1), ("b", "no answer", 1)].into_iter());
        assert_eq!(two[0].line(), "m: a, b: 4 documents not scored: no answer");
        assert_eq!(two[1].line(), "m: a: 1 documents not scored: refused");
        let several = Unscored {
            columns: vec!["m bf16".into(), "m nf4".into()],
            ..by_reason("", [("a", "x", 2)].into_iter()).remove(0)
        };
        assert_eq!(several.line(), "m bf16, m nf4: a: 2 documents not scored each: x");
    }
}
