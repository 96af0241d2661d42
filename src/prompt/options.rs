//! Questions with their options listed under letters, for protocols that ask for a letter. These prompts are ours: the reference has
//! none to follow.
//!
//! **Tasks whose choices are labels already** (every choice of every document is one letter or digit, and the question of document 0
//! lists them: `A. ...`, `(A) ...`) are asked as they stand: MMLU, letter variants of ARC. Labels are the choices without white space.
//!
//! **Other tasks** get their options below the question, one a line, in the order of the choices, without white space at the ends:
//!
//! ```text
//! Question: Which of these flows?
//! A. a river
//! B. a stone
//! Answer:
//! ```
//!
//! - White space at the end of the question goes. A last line that asks for the answer (`Answer:`, `A:`: at most 24 characters, with a colon
//!   at its end, and not the only line) moves below the options as it is, blanks included; a question without one gets `Answer:`.
//! - The letter of a shot follows after `target_delimiter`, or a blank where `Answer:` is ours and the delimiter is empty.
//! - With a `gen_prefix` the answer begins by itself: no `Answer:` of ours is added, and the prefix stands on a line of its own.
//! - Tasks whose choices are contexts (WinoGrande) list contexts with their continuation, `target_delimiter` between, under the line
//!   [`NEUTRAL_QUESTION`].
//! - Conversations say [`instruction`] in the last user turn: on a line before the one that asks for the answer, or on the last one. Plain
//!   text does not: shots show what is wanted, and models that only continue text take an instruction for a part of it.
//! - A generated letter has 16 tokens and is decoded greedily; in plain text it ends with its line (unless `target_delimiter` has a line
//!   break). `--gen-kwargs` goes over all three; the task's `generation_kwargs` are not looked at.

/// The question of tasks whose choices are contexts.
pub const NEUTRAL_QUESTION: &str = "Which of these is the most plausible?";

/// The line that asks for the answer where the question has none.
const CUE: &str = "Answer:";

/// Longer lines are text that happens to end with a colon.
const LONGEST_CUE: usize = 24;

/// A question with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub question: String,
    /// What stands between question and answer.
    pub delimiter: String,
}

/// Lists options under labels. `has_prefix`: the answer begins with a text of the task's.
pub fn list(question: &str, options: &[String], labels: &[String], delimiter: &str, has_prefix: bool) -> Listed {
    let (body, own_cue) = split_cue(question);
    let body = body.trim_end();
    let mut lines: Vec<String> = (!body.is_empty()).then(|| body.to_owned()).into_iter().collect();
    lines.extend(labels.iter().zip(options).map(|(label, option)| format!("{label}. {}", option.trim())));
    // An empty last line is a line break: what follows has a line of its own.
    lines.push(own_cue.unwrap_or(if has_prefix { "" } else { CUE }).to_owned());
    let is_ours = own_cue.is_none() && !has_prefix;
    let delimiter = if is_ours && delimiter.is_empty() { " " } else { delimiter };
    Listed { question: lines.join("\n"), delimiter: delimiter.to_owned() }
}

/// What to say in a conversation.
pub fn instruction(labels: &[String]) -> String {
    let all = |test: fn(char) -> bool| labels.iter().flat_map(|label| label.chars()).all(test);
    let name = match (all(char::is_alphabetic), all(char::is_numeric)) {
        (true, _) => "letter",
        (_, true) => "number",
        _ => "label",
    };
    format!("Answer with the {name} only.")
}

/// A question with a line before the one that asks for the answer, or after all.
pub fn with_instruction(question: &str, line: &str) -> String {
    match split_cue(question) {
        (body, Some(cue)) => format!("{}\n{line}\n{cue}", body.trim_end()),
        (body, None) => format!("{}\n{line}", body.trim_end()),
    }
}

/// The question, and its last line if that asks for the answer.
fn split_cue(question: &str) -> (&str, Option<&str>) {
    let end = question.trim_end().len();
    let start = question.get(..end).unwrap_or_default().rfind('\n').map(|at| at + 1);
    let Some((body, cue)) = start.and_then(|start| question.split_at_checked(start)) else { return (question, None) };
    let line = cue.trim_end();
    let asks = line.ends_with([':', '：']) && line.chars().count() <= LONGEST_CUE && !body.trim().is_empty();
    if asks { (body, Some(cue)) } else { (question, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(question: &str, delimiter: &str, has_prefix: bool) -> (String, String) {
        let texts = |list: [&str; 2]| list.map(str::to_owned);
        let found = list(question, &texts([" a river", "a stone\n"]), &texts(["A", "B"]), delimiter, has_prefix);
        (found.question, found.delimiter)
    }

    #[test]
    fn options_stand_between_question_and_cue() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        for (question, expected) in [
            ("Which?", "Which?\nA. a river\nB. a stone\nAnswer:"),
            ("Question: Which?\nAnswer:", "Question: Which?\nA. a river\nB. a stone\nAnswer:"),
            ("Q: Which?\nA: ", "Q: Which?\nA. a river\nB. a stone\nA: "),
            ("Answer:", "Answer:\nA. a river\nB. a stone\nAnswer:"),
            (
                "Look:\nThis text ends with a colon by chance:",
                "Look:\nThis text ends with a colon by chance:\nA. a river\nB. a stone\nAnswer:",
            ),
            ("问题\n答案：", "问题\nA. a river\nB. a stone\n答案："),
            ("", "A. a river\nB. a stone\nAnswer:"),
            ("Which? \n", "Which?\nA. a river\nB. a stone\nAnswer:"),
        ] {
            assert_eq!(listed(question, " ", false), pair(expected, " "), "{question:?}");
        }
        assert_eq!(listed("Which?", "", false), pair("Which?\nA. a river\nB. a stone\nAnswer:", " "));
        assert_eq!(listed("Which?\nA: ", "", false), pair("Which?\nA. a river\nB. a stone\nA: ", ""));
        assert_eq!(listed("Which?", " ", true), pair("Which?\nA. a river\nB. a stone\n", " "));
        assert_eq!(listed("Which?\nAnswer:", " ", true), pair("Which?\nA. a river\nB. a stone\nAnswer:", " "));
    }

    #[test]
    fn instructions_stand_before_the_cue() {
        assert_eq!(with_instruction("Which?\nA. x\nAnswer:", "Say."), "Which?\nA. x\nSay.\nAnswer:");
        assert_eq!(with_instruction("Which?\nA. x\n", "Say."), "Which?\nA. x\nSay.");
        let of = |labels: &[&str]| instruction(&labels.iter().map(|l| l.to_string()).collect::<Vec<_>>());
        assert_eq!(of(&["A", "B"]), "Answer with the letter only.");
        assert_eq!(of(&["1", "2"]), "Answer with the number only.");
        assert_eq!(of(&["A", "1"]), "Answer with the label only.");
    }
}
