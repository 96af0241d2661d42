//! Generation: greedy or sampled, ended by stop strings, end-of-sequence tokens, or length.

use super::score::argmax;
use super::{LocalEngine, Outcome};
use crate::model::decoder::KvCache;
use crate::request::{Answer, Decoding, Finish, Prompt, Request, Response, Unscored, Usage};
use candle_core::Tensor;
use candle_transformers::generation::{LogitsProcessor, Sampling};

/// Tokens to generate when the task does not say: the reference's default.
const DEFAULT_MAX_GEN_TOKS: usize = 256;

impl LocalEngine {
    /// Tokens of prompt that fit beside the answer.
    pub(super) fn prompt_room(&self, decoding: &Decoding) -> usize {
        self.max_length.saturating_sub(decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS))
    }

    pub(super) fn generate(&self, request: &Request, context: &Prompt, decoding: &Decoding) -> Outcome {
        let max = decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS);
        let room = self.prompt_room(decoding);
        if room == 0 {
            return Err(Unscored::new(format!(
                "max_gen_toks {max} leaves no room for a prompt in the window of {}",
                self.max_length
            )));
        }
        let mut ids = self.encode_prompt(context).map_err(|e| Unscored::new(e.to_string()))?;
        if ids.is_empty() {
            ids.push(self.prefix_id().map_err(|e| Unscored::new(e.to_string()))?);
        }
        let truncated_tokens = ids.len().saturating_sub(room);
        ids.drain(..truncated_tokens);
        let (tokens, finish) = self
            .decode_loop(&ids, decoding, max, sampler(request, decoding))
            .map_err(|e| Unscored::new(format!("the forward pass failed: {e}")))??;
        let text = self.tokenizer.decode(&tokens).map_err(|e| Unscored::new(e.to_string()))?;
        let usage = Usage { prompt_tokens: ids.len(), completion_tokens: tokens.len(), truncated_tokens };
        Ok(Response { answer: Answer::Text { text: self.cut(text, decoding), finish }, usage })
    }

    /// One token at a time; the cache holds what came before.
    fn decode_loop(
        &self,
        prompt: &[u32],
        decoding: &Decoding,
        max: usize,
        mut sampler: Option<LogitsProcessor>,
    ) -> candle_core::Result<std::result::Result<(Vec<u32>, Finish), Unscored>> {
        let stops = self.stops(decoding);
        // A stop string that a new token completes lies within the last tokens: each holds at least one byte of it.
        let look_back = stops.iter().map(|s| s.len()).max().unwrap_or(0) + 8;
        let mut cache = KvCache::default();
        let mut hidden = self.decoder.forward(prompt, &mut cache)?;
        let mut tokens: Vec<u32> = Vec::new();
        while tokens.len() < max {
            let last = hidden.narrow(0, hidden.dim(0)? - 1, 1)?;
            let logits = self.decoder.logits(&last)?.squeeze(0)?;
            let Some(id) = next_token(&logits, sampler.as_mut(), decoding.min_p)? else {
                return Ok(Err(Unscored::new("the model gave logits that are not numbers")));
            };
            if self.eos_ids.contains(&id) {
                return Ok(Ok((tokens, Finish::Stop)));
            }
            tokens.push(id);
            let tail = tokens.get(tokens.len().saturating_sub(look_back)..).unwrap_or_default();
            let tail = self.tokenizer.decode(tail).unwrap_or_default();
            if stops.iter().any(|stop| tail.contains(stop)) {
                return Ok(Ok((tokens, Finish::Stop)));
            }
            if tokens.len() < max {
                hidden = self.decoder.forward(&[id], &mut cache)?;
            }
        }
        Ok(Ok((tokens, Finish::Length)))
    }

    /// The task's stop strings, and the end-of-sequence text as the reference adds it.
    fn stops<'a>(&'a self, decoding: &'a Decoding) -> Vec<&'a str> {
        let eos = self.tokenizer.eos().map(|t| t.text.as_str());
        decoding.until.iter().map(String::as_str).chain(eos).filter(|s| !s.is_empty()).collect()
    }

    /// The text before each stop's first occurrence, stop by stop in order.
    fn cut(&self, mut text: String, decoding: &Decoding) -> String {
        for stop in self.stops(decoding) {
            if let Some(at) = text.find(stop) {
                text.truncate(at);
            }
        }
        text
    }
}

/// The next id, or `None` when the logits are not numbers.
fn next_token(
    logits: &Tensor,
    sampler: Option<&mut LogitsProcessor>,
    min_p: Option<f64>,
) -> candle_core::Result<Option<u32>> {
    let values = logits.to_vec1::<f32>()?;
    if values.iter().any(|v| v.is_nan()) {
        return Ok(None);
    }
    match sampler {
        None => Ok(Some(argmax(&values) as u32)),
        Some(sampler) => sampler.sample_f(logits, |probabilities| keep_likely(probabilities, min_p)).map(Some),
    }
}

/// min-p: drops tokens less likely than `min_p` times the likeliest (arXiv 2407.01082), before top-k and top-p.
fn keep_likely(probabilities: &mut [f32], min_p: Option<f64>) {
    let Some(min_p) = min_p else { return };
    let threshold = min_p as f32 * probabilities.iter().copied().fold(0.0, f32::max);
    for p in probabilities.iter_mut().filter(|p| **p < threshold) {
        *p = 0.0;
    }
}

/// The sampler of a request, seeded by seed, question and sample index: its draws depend on nothing else that runs.
/// `None` means greedy, which a temperature of 0 also does.
fn sampler(request: &Request, decoding: &Decoding) -> Option<LogitsProcessor> {
    if !decoding.do_sample || decoding.temperature <= 0.0 {
        return None;
    }
    let temperature = decoding.temperature;
    let sampling = match (decoding.top_k, decoding.top_p) {
        (Some(k), Some(p)) => Sampling::TopKThenTopP { k, p, temperature },
        (Some(k), None) => Sampling::TopK { k, temperature },
        (None, Some(p)) => Sampling::TopP { p, temperature },
        (None, None) => Sampling::All { temperature },
    };
    // The key is a hash over all of these; its first 16 digits are 64 bits.
    let seed = request.key().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(request.seed);
    Some(LogitsProcessor::from_sampling(seed, sampling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_p_is_relative_to_the_likeliest() {
        let mut p = [0.5, 0.3, 0.15, 0.05];
        keep_likely(&mut p, Some(0.3));
        assert_eq!(p, [0.5, 0.3, 0.15, 0.0]);
        keep_likely(&mut p, None);
        assert_eq!(p, [0.5, 0.3, 0.15, 0.0]);
    }
}
