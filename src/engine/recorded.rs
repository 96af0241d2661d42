//! An engine that repeats answers which another one gave: for scoring them again without a model.

use super::{Cancel, Delivery, Engine, Identity, Inspection, Outcome, Sink, Update};
use crate::error::{Error, Result};
use crate::request::{Message, Prompt, Request, Unscored};
use std::collections::HashMap;

/// Recorded answers by request key.
pub struct RecordedEngine {
    identity: Identity,
    answers: HashMap<String, Outcome>,
}

impl RecordedEngine {
    /// `identity`: that of who answered, with a word on where the answers come from.
    pub fn new(identity: Identity, answers: HashMap<String, Outcome>) -> RecordedEngine {
        RecordedEngine { identity, answers }
    }
}

impl Engine for RecordedEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Prompts as they were recorded; turns one after the other.
    fn render(&self, prompt: &Prompt) -> Result<String> {
        let turn = |message: &Message| message.content.clone();
        Ok(match prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Chat(messages) => messages.iter().map(turn).collect::<Vec<_>>().join("\n"),
        })
    }

    fn inspect(&self, _request: &Request) -> Result<Inspection> {
        Err(Error::input("recorded answers have no tokens"))
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        for (index, request) in requests.iter().enumerate() {
            if cancel.is_cancelled() {
                break;
            }
            let recorded = self.answers.get(&request.key()).cloned();
            let outcome = recorded.unwrap_or_else(|| Err(Unscored::new("no answer to this was recorded")));
            sink(Update::Answered(index, outcome, Delivery::default()))?;
        }
        Ok(())
    }
}
