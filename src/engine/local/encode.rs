//! Requests to token ids, by the reference's rules.

use super::LocalEngine;
use crate::engine::Inspection;
use crate::error::{Error, Result};
use crate::request::{Prompt, Request, RequestKind};

/// Context and continuation as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub context: Vec<u32>,
    pub continuation: Vec<u32>,
}

impl LocalEngine {
    /// The id that stands before a text without context: BOS, else EOS.
    pub(super) fn prefix_id(&self) -> Result<u32> {
        let special = self.tokenizer.bos().or(self.tokenizer.eos());
        special.map(|s| s.id).ok_or_else(|| {
            Error::input("the tokenizer has neither a beginning- nor an end-of-sequence token to start an empty context with")
        })
    }

    /// Encodes context and continuation together and the context alone; the continuation is what is left. White space at
    /// the context's end belongs to the continuation, so that words keep their leading space.
    pub(super) fn encode_pair(&self, context: &str, continuation: &str) -> Result<Pair> {
        if context.is_empty() {
            let prefix = self.prefix_id()?;
            let mut ids = self.tokenizer.encode_raw(continuation, false)?;
            if ids.first() != Some(&prefix) {
                return Ok(Pair { context: vec![prefix], continuation: ids });
            }
            let continuation = ids.split_off(1);
            return Ok(Pair { context: ids, continuation });
        }
        let kept = context.trim_end_matches(crate::python::text::is_space);
        let whole = self.tokenizer.encode(&format!("{context}{continuation}"))?;
        let context = self.tokenizer.encode(kept)?;
        // A merge across the border may make the whole shorter than its parts: the reference's split, kept.
        let continuation = whole.get(context.len()..).unwrap_or_default().to_vec();
        Ok(Pair { context, continuation })
    }

    /// Ids of a prompt to continue, not yet cut.
    pub(super) fn encode_prompt(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        self.tokenizer.encode(&self.chat.render(prompt)?)
    }

    pub(super) fn inspect_request(&self, request: &Request) -> Result<Inspection> {
        let (rendered, context, continuation, room) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                let rendered = self.chat.render(context)?;
                let pair = self.encode_pair(&rendered, continuation)?;
                (rendered, pair.context, pair.continuation, self.max_length + 1)
            }
            // Rolling texts are cut into windows, not truncated.
            RequestKind::LoglikelihoodRolling { text } => {
                (text.clone(), vec![self.prefix_id()?], self.tokenizer.encode(text)?, usize::MAX)
            }
            RequestKind::Generate { context, decoding } => {
                let rendered = self.chat.render(context)?;
                let ids = self.tokenizer.encode(&rendered)?;
                (rendered, ids, Vec::new(), self.prompt_room(decoding).max(1))
            }
        };
        let truncated_tokens = (context.len() + continuation.len()).saturating_sub(room);
        let bos = self.tokenizer.bos().map(|b| b.id);
        let bos_count = context.iter().take_while(|id| Some(**id) == bos).count();
        Ok(Inspection { rendered, context_ids: context, continuation_ids: continuation, bos_count, truncated_tokens })
    }
}
