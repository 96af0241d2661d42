//! Requests to token ids: rendered, tokenized and cut, on all threads.

use super::LocalEngine;
use super::decode::{Generation, Thinking};
use crate::engine::Cancel;
use crate::engine::thinking::begun_by;
use crate::engine::tokens::{Context, DEFAULT_MAX_GEN_TOKS, Encoder, Pair, fit_prompt};
use crate::error::{Error, Result};
use crate::request::{Decoding, Prompt, Request, RequestKind, Unscored};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use std::collections::{HashMap, HashSet};

/// A request as token ids.
pub enum Prepared {
    Pair(Pair),
    Rolling {
        tokens: Vec<u32>,
        prefix: u32,
    },
    /// For each label the ways to write it.
    Choice(Vec<Vec<Pair>>),
    Prompt {
        ids: Vec<u32>,
        generation: Generation,
    },
}

impl LocalEngine {
    pub(super) fn encoder(&self) -> Result<Encoder<'_>> {
        Encoder::new(&self.tokenizer, self.add_bos)
    }

    /// The prompt as text, or why it cannot be rendered.
    pub(super) fn rendered(&self, prompt: &Prompt) -> std::result::Result<String, Unscored> {
        let messages = match prompt {
            Prompt::Text(text) => return Ok(text.clone()),
            Prompt::Chat(messages) => messages,
        };
        let chat = self.chat.as_ref().ok_or_else(|| Unscored::new("the model was opened without its chat template"))?;
        let rendered = chat.render(messages).map_err(Unscored::new)?;
        if let Some(notice) = rendered.notice {
            self.notice(notice.to_string());
        }
        Ok(rendered.text)
    }

    /// Contexts of all requests by prompt, each rendered and tokenized once.
    fn contexts<'a>(
        &self,
        requests: &'a [Request],
        encoder: &Encoder<'_>,
    ) -> HashMap<&'a Prompt, std::result::Result<Context, Unscored>> {
        let prompts: HashSet<&Prompt> = requests
            .iter()
            .filter_map(|request| match &request.kind {
                RequestKind::Loglikelihood { context, .. } | RequestKind::Choose { context, .. } => Some(context),
                _ => None,
            })
            .collect();
        let prompts: Vec<&Prompt> = prompts.into_iter().collect();
        let context = |prompt: &&'a Prompt| match self.rendered(prompt) {
            Ok(text) => (*prompt, encoder.context(text).map_err(|err| Unscored::new(err.message()))),
            Err(reason) => (*prompt, Err(reason)),
        };
        prompts.par_iter().map(context).collect()
    }

    /// The request as token ids; not scored where a token has no row in the model's embedding, or where the tokenizer fails at the text
    /// (patterns of some give up at very long ones): one text is no reason to lose the others.
    fn prepare<'c>(
        &self,
        index: usize,
        request: &Request,
        encoder: &Encoder<'_>,
        context: impl FnOnce(&Prompt) -> Result<&'c std::result::Result<Context, Unscored>>,
    ) -> std::result::Result<Prepared, Unscored> {
        let prepared = self.tokenized(index, request, encoder, context);
        let prepared = prepared.unwrap_or_else(|err| Err(Unscored::new(err.message())));
        let pair = |pair: &Pair| {
            self.tokenizer.without_row(&pair.context).or_else(|| self.tokenizer.without_row(&pair.continuation))
        };
        let reason = match &prepared {
            Err(_) => None,
            Ok(Prepared::Pair(one)) => pair(one),
            Ok(Prepared::Rolling { tokens, prefix }) => {
                self.tokenizer.without_row(&[*prefix]).or_else(|| self.tokenizer.without_row(tokens))
            }
            Ok(Prepared::Choice(labels)) => labels.iter().flatten().find_map(pair),
            Ok(Prepared::Prompt { ids, .. }) => self.tokenizer.without_row(ids),
        };
        match reason {
            Some(reason) => Err(Unscored::new(reason)),
            None => prepared,
        }
    }

    fn tokenized<'c>(
        &self,
        index: usize,
        request: &Request,
        encoder: &Encoder<'_>,
        context: impl FnOnce(&Prompt) -> Result<&'c std::result::Result<Context, Unscored>>,
    ) -> Result<std::result::Result<Prepared, Unscored>> {
        match &request.kind {
            RequestKind::Loglikelihood { context: prompt, continuation } => match context(prompt)? {
                Ok(context) => Ok(encoder.pair(context, continuation)?.map(Prepared::Pair)),
                Err(reason) => Ok(Err(reason.clone())),
            },
            RequestKind::Choose { context: prompt, labels } => match context(prompt)? {
                Ok(context) => Ok(encoder.choice(context, labels)?.map(Prepared::Choice)),
                Err(reason) => Ok(Err(reason.clone())),
            },
            RequestKind::LoglikelihoodRolling { text } => {
                let Some(prefix) = self.tokenizer.prefix() else {
                    return Ok(Err(Unscored::new("the tokenizer has neither a BOS nor an EOS token to begin with")));
                };
                Ok(Ok(Prepared::Rolling { tokens: encoder.text(text)?, prefix: prefix.id }))
            }
            RequestKind::Generate { context, decoding } => {
                let text = match self.rendered(context) {
                    Ok(text) => text,
                    Err(reason) => return Ok(Err(reason)),
                };
                let prompt = self.generation(index, (&text, encoder.prompt(&text)?), decoding);
                Ok(prompt.map(|(ids, generation)| Prepared::Prompt { ids, generation }))
            }
        }
    }

    /// The prompt that fits into the window, and how it is to be continued.
    pub(super) fn generation(
        &self,
        request: usize,
        (text, mut ids): (&str, Vec<u32>),
        decoding: &Decoding,
    ) -> std::result::Result<(Vec<u32>, Generation), Unscored> {
        if ids.is_empty() {
            let prefix = self.tokenizer.prefix().ok_or_else(|| Unscored::new("the prompt has no token"))?;
            ids.push(prefix.id);
        }
        let mut max_new_tokens = decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS);
        let (expected, for_thoughts) = self.reasoning;
        let mut thinking = Thinking { expected, begun: begun_by(text), tokens: 0 };
        if expected != Some(false) && max_new_tokens > 0 {
            thinking.tokens = for_thoughts;
            max_new_tokens = max_new_tokens.saturating_add(for_thoughts);
        }
        let (ids, truncated_tokens) = fit_prompt(ids, max_new_tokens, self.max_length)?;
        let mut stops = decoding.until.clone();
        stops.extend(self.eos_text.iter().filter(|eos| !decoding.until.contains(eos)).cloned());
        let prompt_tokens = ids.len();
        Ok((ids, Generation { request, prompt_tokens, truncated_tokens, max_new_tokens, stops, thinking }))
    }

    /// All requests as token ids; empty when cancelled meanwhile.
    pub(super) fn prepare_all(
        &self,
        requests: &[Request],
        cancel: &Cancel,
    ) -> Result<Vec<std::result::Result<Prepared, Unscored>>> {
        let encoder = self.encoder()?;
        self.pool.install(|| {
            let contexts = self.contexts(requests, &encoder);
            let context =
                |prompt: &Prompt| contexts.get(prompt).ok_or_else(|| Error::input("a prompt was not prepared"));
            let numbered: Vec<(usize, &Request)> = requests.iter().enumerate().collect();
            let prepare = |(index, request): &(usize, &Request)| {
                if cancel.is_cancelled() {
                    return None;
                }
                Some(self.prepare(*index, request, &encoder, context))
            };
            let prepared: Vec<Option<_>> = numbered.par_iter().map(prepare).collect();
            Ok(prepared.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default())
        })
    }
}
