//! Turns of a prompt, and how they become text or a conversation.

use crate::python::text::{ends_with_space, starts_with_space};
use crate::request::{Message, Prompt, Role};

/// A turn, with what follows it in plain text.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub role: Role,
    pub content: String,
    pub delimiter: String,
}

impl Turn {
    pub fn new(role: Role, content: impl Into<String>, delimiter: &str) -> Self {
        Turn { role, content: content.into(), delimiter: delimiter.to_string() }
    }
}

/// Joins two texts; the delimiter stands between them unless one is empty or there is white space already.
pub fn maybe_delimit(before: &str, after: &str, delimiter: &str) -> String {
    match before.is_empty() || after.is_empty() || !requires_delimiter(before, after) {
        true => format!("{before}{after}"),
        false => format!("{before}{delimiter}{after}"),
    }
}

/// Whether there is no white space where the texts meet; an empty text needs no delimiter after it.
fn requires_delimiter(before: &str, after: &str) -> bool {
    !before.is_empty() && !ends_with_space(before) && !starts_with_space(after)
}

/// A question and, for a shot, its answer. The prefix starts the answer; an empty one is none.
pub fn qa_turns(
    question: &str,
    answer: Option<&str>,
    prefix: Option<&str>,
    target_delimiter: &str,
    fewshot_delimiter: &str,
) -> Vec<Turn> {
    let prefix = prefix.filter(|prefix| !prefix.is_empty());
    let delimited = match prefix {
        None => answer.is_some(),
        Some(prefix) => requires_delimiter(question, prefix),
    };
    let mut turns = vec![Turn::new(Role::User, question, if delimited { target_delimiter } else { "" })];
    match (answer, prefix) {
        (Some(answer), prefix) => {
            let text = maybe_delimit(prefix.unwrap_or_default(), answer, " ");
            turns.push(Turn::new(Role::Assistant, text, fewshot_delimiter));
        }
        (None, Some(prefix)) => turns.push(Turn::new(Role::Assistant, prefix, "")),
        (None, None) => {}
    }
    turns
}

/// The outer form of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatForm {
    Text,
    /// A conversation with a turn for every question and every answer.
    Turns,
    /// A conversation with the shots and the question glued into one user message.
    OneUserTurn,
}

impl ChatForm {
    /// The prompt that the turns make.
    pub fn prompt(self, turns: Vec<Turn>) -> Prompt {
        match self {
            ChatForm::Text => Prompt::Text(glued(&turns)),
            ChatForm::Turns => Prompt::Chat(turns.into_iter().map(message).collect()),
            ChatForm::OneUserTurn => Prompt::Chat(one_user_turn(turns)),
        }
    }
}

fn message(turn: Turn) -> Message {
    Message { role: turn.role, content: turn.content }
}

fn glued(turns: &[Turn]) -> String {
    turns.iter().flat_map(|turn| [turn.content.as_str(), turn.delimiter.as_str()]).collect()
}

/// System, one user message, and the start of the answer if there is one.
fn one_user_turn(mut turns: Vec<Turn>) -> Vec<Message> {
    let mut messages = Vec::new();
    if turns.first().is_some_and(|turn| turn.role == Role::System) {
        messages.push(message(turns.remove(0)));
    }
    let prefix = turns.pop_if(|last| last.role == Role::Assistant);
    if let Some(last) = turns.last_mut() {
        last.delimiter.clear();
    }
    messages.push(Message { role: Role::User, content: glued(&turns) });
    messages.extend(prefix.map(message));
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        assert_eq!(maybe_delimit("a", "b", "-"), "a-b");
        assert_eq!(maybe_delimit("a\n", "b", "-"), "a\nb");
        assert_eq!(maybe_delimit("a", " b", "-"), "a b");
        assert_eq!(maybe_delimit("", "b", "-"), "b");
        assert_eq!(maybe_delimit("a", "", "-"), "a");
    }
}
