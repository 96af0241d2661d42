//! Conversations through the model's chat template.

use super::SystemFallback;
use crate::error::{Error, Result};
use crate::model::tokenizer::Tokenizer;
use crate::request::{Message, Prompt, Role};
use crate::template::chat::{ChatError, ChatTemplate};
use std::sync::atomic::{AtomicBool, Ordering};

/// The chat template with the model's special tokens.
pub(super) struct Chat {
    template: Option<ChatTemplate>,
    bos: String,
    eos: String,
    fallback: SystemFallback,
    /// Set once a system turn was refused.
    refused_system: AtomicBool,
}

impl Chat {
    /// Compiles the template. With `needed`, a model without one is refused.
    pub(super) fn new(tokenizer: &Tokenizer, fallback: SystemFallback, needed: bool) -> Result<Chat> {
        let template = match tokenizer.chat_template() {
            // A broken template only matters to those who use it.
            Some(source) if needed => Some(ChatTemplate::new(source)?),
            None if needed => {
                return Err(Error::input("the model has no chat template")
                    .hint("leave `--apply-chat-template` out: base models take plain text"));
            }
            _ => None,
        };
        let text = |special: Option<&crate::model::tokenizer::Special>| special.map(|s| s.text.clone()).unwrap_or_default();
        Ok(Chat {
            template,
            bos: text(tokenizer.bos()),
            eos: text(tokenizer.eos()),
            fallback,
            refused_system: AtomicBool::new(false),
        })
    }

    /// The prompt as the model sees it.
    pub(super) fn render(&self, prompt: &Prompt) -> Result<String> {
        let messages = match prompt {
            Prompt::Text(text) => return Ok(text.clone()),
            Prompt::Chat(messages) => messages,
        };
        let template = self.template.as_ref().ok_or_else(|| Error::input("the prompt is a conversation, and no chat template is loaded"))?;
        // A final assistant turn is the start of the answer and is continued.
        let opens_turn = messages.last().is_none_or(|m| m.role != Role::Assistant);
        let render = |messages: &[Message]| template.render(messages, opens_turn, &self.bos, &self.eos);
        match (render(messages), messages.split_first()) {
            (Ok(text), _) => Ok(text),
            (Err(ChatError::Raised(_)), Some((system, rest))) if system.role == Role::System => {
                self.refused_system.store(true, Ordering::Relaxed);
                let rest = match self.fallback {
                    SystemFallback::Fold => fold(&system.content, rest),
                    SystemFallback::Drop => rest.to_vec(),
                };
                render(&rest).map_err(Error::from)
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// What was done with a refused system turn.
    pub(super) fn notice(&self) -> Option<String> {
        self.refused_system.load(Ordering::Relaxed).then(|| {
            match self.fallback {
                SystemFallback::Fold => "the chat template refuses the system role: its text was put at the front of the first user turn (`--system-fallback drop` leaves it out, as the reference does)",
                SystemFallback::Drop => "the chat template refuses the system role: its text was left out (`--system-fallback drop`)",
            }
            .to_string()
        })
    }
}

/// The system text at the front of the first user turn, a blank line between unless there is white space already.
fn fold(system: &str, rest: &[Message]) -> Vec<Message> {
    let mut messages = rest.to_vec();
    let glue = if system.is_empty() || system.ends_with(char::is_whitespace) { "" } else { "\n\n" };
    match messages.iter_mut().find(|m| m.role == Role::User) {
        Some(first) => first.content = format!("{system}{glue}{}", first.content),
        None => messages.insert(0, Message { role: Role::User, content: system.to_string() }),
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_text_moves_into_the_first_user_turn() {
        let user = |text: &str| Message { role: Role::User, content: text.into() };
        assert_eq!(fold("Be brief.", &[user("Hi"), user("Ho")]), [user("Be brief.\n\nHi"), user("Ho")]);
        assert_eq!(fold("Be brief.\n", &[user("Hi")]), [user("Be brief.\nHi")]);
        assert_eq!(fold("Be brief.", &[]), [user("Be brief.")]);
    }
}
