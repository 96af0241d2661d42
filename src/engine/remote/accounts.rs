//! What servers say about their own work, held against what was asked: a check that costs nothing.
//!
//! A server that cuts prompts counts few tokens for long ones, or the same number for all of them; one that does not keep to a limit, or has
//! a lower one of its own, shows it in the tokens of its answers.

use crate::engine::tokens::DEFAULT_MAX_GEN_TOKS;
use crate::remark::Remark;
use crate::request::{Answer, Finish, Prompt, Request, RequestKind, Response};

/// Bytes of text that no tokenizer puts into one token on the average, however monotonous a prompt is.
const BYTES_A_TOKEN: usize = 12;

/// Bytes by which prompts must differ before equal counts of their tokens say anything, and how many such prompts there must be.
const SPREAD: usize = 128;
const FEWEST: usize = 3;

/// Tokens by which counts of two servers' makers may differ without a word.
const SLACK: usize = 8;

/// Fewest tokens that some routes write whatever is asked.
const FEWEST_WRITTEN: usize = 16;

/// One prompt by its length and by the server's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub bytes: usize,
    pub tokens: usize,
}

impl Sent {
    /// Of a request that sent one prompt, where the server counts.
    pub fn of(request: &Request, prompt_tokens: usize) -> Option<Sent> {
        let context = match &request.kind {
            RequestKind::Generate { context, .. } | RequestKind::Choose { context, .. } => context,
            _ => return None,
        };
        let bytes = match context {
            Prompt::Text(text) => text.len(),
            Prompt::Chat(turns) => turns.iter().map(|turn| turn.content.len()).sum(),
        };
        (prompt_tokens > 0).then_some(Sent { bytes, tokens: prompt_tokens })
    }
}

/// What is wrong with the prompts' counts, if anything: a fragment, and how many prompts it touches.
pub fn cut(sent: &[Sent]) -> Option<(String, usize)> {
    stuck(sent).or_else(|| too_few(sent))
}

/// Long prompts that all have the highest count, although they differ in length.
fn stuck(sent: &[Sent]) -> Option<(String, usize)> {
    let most = sent.iter().map(|sent| sent.tokens).max()?;
    let mut bytes: Vec<usize> = sent.iter().filter(|sent| sent.tokens == most).map(|sent| sent.bytes).collect();
    let touched = bytes.len();
    bytes.sort_unstable();
    let (shortest, longest) = (*bytes.first()?, *bytes.last()?);
    bytes.dedup();
    if bytes.len() < FEWEST || longest - shortest < SPREAD {
        return None;
    }
    let times = longest as f64 / shortest.max(1) as f64;
    let what = format!(
        "the server counts {most} tokens for prompts that differ in length up to {times:.1} times: it cuts them"
    );
    Some((what, touched))
}

/// Prompts with fewer tokens than texts of their length can have, the shortest prompt's share (the chat template's) left out of account.
fn too_few(sent: &[Sent]) -> Option<(String, usize)> {
    let base = sent.iter().min()?;
    let is_cut = |sent: &&Sent| {
        let alone = sent.tokens.saturating_mul(BYTES_A_TOKEN) + SPREAD < sent.bytes;
        let more = sent.bytes - base.bytes;
        let beside =
            more >= 4 * SPREAD && sent.tokens.saturating_sub(base.tokens).saturating_mul(BYTES_A_TOKEN) + SPREAD < more;
        alone || beside
    };
    let touched = sent.iter().filter(is_cut).count();
    let most = sent.iter().filter(is_cut).map(|sent| sent.tokens).max()?;
    let what = format!(
        "the server counts fewer tokens (at most {most}) than prompts of their length have: it cuts them, or leaves out what it had in a cache"
    );
    Some((what, touched))
}

/// How answers end and what they took, by the server's account.
#[derive(Debug, Default)]
struct Written {
    answers: usize,
    /// Answers with more tokens than were asked for, and the worst: how many for how many.
    over: usize,
    worst: (usize, usize),
    /// Answers that were cut off before the limit, and the one with the most tokens.
    short: usize,
    longest: (usize, usize),
}

impl Written {
    /// `thoughts`: tokens that were asked for on top, for thoughts.
    fn add(&mut self, request: &Request, response: &Response, thoughts: usize) {
        let (RequestKind::Generate { decoding, .. }, Answer::Text { finish, .. }) = (&request.kind, &response.answer)
        else {
            return;
        };
        let (written, thought) = (response.usage.completion_tokens, response.usage.reasoning_tokens);
        if written == 0 {
            return;
        }
        self.answers += 1;
        let asked = decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS).saturating_add(thoughts).max(FEWEST_WRITTEN);
        // A thought may have been asked for twice.
        let thinks = thought > 0 || response.reasoning.is_some();
        if written > asked.saturating_mul(if thinks { 2 } else { 1 }).saturating_add(SLACK) {
            self.over += 1;
            self.worst = self.worst.max((written, asked));
        } else if *finish == Finish::Length && !thinks && written.saturating_add(SLACK) < asked {
            self.short += 1;
            self.longest = self.longest.max((written, asked));
        }
    }

    fn remarks(&self, model: &str) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if self.over > 0 {
            let (written, asked) = self.worst;
            let text = format!(
                "the server does not keep to the limit: it wrote up to {written} tokens where {asked} were asked for"
            );
            remarks.push(Remark::note(model, text).count(self.over, self.answers, "answers"));
        }
        if self.short > 0 {
            let (written, asked) = self.longest;
            let text = format!(
                "the server cut answers off by itself, after {written} tokens at most where {asked} were asked for: is its window full, or has it \
                 a limit of its own?"
            );
            remarks.push(Remark::warning(model, text).count(self.short, self.answers, "answers"));
        }
        remarks
    }
}

/// Looks through the answers of a run. `remedy`: what to do about prompts that are cut; `thoughts`: tokens asked for on top.
pub fn audit(answers: &[(&Request, &Response)], model: &str, remedy: &str, thoughts: usize) -> Vec<Remark> {
    let sent: Vec<Sent> = answers.iter().filter_map(|(request, r)| Sent::of(request, r.usage.prompt_tokens)).collect();
    let mut written = Written::default();
    answers.iter().for_each(|(request, response)| written.add(request, response, thoughts));
    let mut remarks = Vec::new();
    if let Some((what, touched)) = cut(&sent) {
        remarks.push(Remark::warning(model, format!("{what} ({remedy})")).count(touched, sent.len(), "prompts"));
    }
    remarks.extend(written.remarks(model));
    remarks
}

/// What to do about prompts that a server cuts. `server`: the row of its address and its format.
pub fn remedy(server: &str) -> &'static str {
    const REMEDIES: &[(&str, &str)] = &[
        ("ollama", "Ollama: set OLLAMA_CONTEXT_LENGTH, or num_ctx in a Modelfile"),
        ("lmstudio", "LM Studio: load the model with a longer context"),
        ("llama-server", "llama-server: start it with a larger -c, or fewer slots (-np)"),
        ("llama-cpp-python", "llama_cpp.server: start it with a larger --n_ctx"),
        ("vllm", "vLLM: a larger --max-model-len, and no truncate_prompt_tokens"),
        ("sglang", "SGLang: a larger --context-length"),
        ("tgi", "TGI: a larger --max-input-tokens, and no truncate"),
        ("openrouter", "OpenRouter: a model with a longer window, or `\"transforms\": []` in --extra-body"),
    ];
    let row = REMEDIES.iter().find(|(name, _)| server.contains(name));
    row.map_or("give the server a longer context window", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::remote::testing::generate;
    use crate::request::Usage;

    fn sent(pairs: &[(usize, usize)]) -> Vec<Sent> {
        pairs.iter().map(|(bytes, tokens)| Sent { bytes: *bytes, tokens: *tokens }).collect()
    }

    #[test]
    fn counts_that_are_stuck_or_too_small_are_seen() {
        let (what, touched) =
            cut(&sent(&[(140, 43), (250, 64), (400, 64), (900, 64), (2500, 64), (1200, 64)])).unwrap();
        assert!(what.contains("64 tokens") && what.contains("10.0 times"), "{what}");
        assert_eq!(touched, 5);
        // All prompts of about a length, all cut.
        assert_eq!(cut(&sent(&[(20_000, 4096), (20_100, 4096), (20_400, 4096)])).unwrap().1, 3);
        // One long prompt among short ones.
        assert_eq!(cut(&sent(&[(100, 30), (120, 36), (9000, 2048), (60_000, 2050)])).unwrap().1, 1);
        assert_eq!(cut(&sent(&[(9000, 64)])).unwrap().1, 1);
    }

    #[test]
    fn honest_counts_are_not() {
        let english: Vec<(usize, usize)> = (1..200).map(|i| (i * 40, i * 10 + 8)).collect();
        let monotonous: Vec<(usize, usize)> = (1..50).map(|i| (i * 100, i * 13 + 8)).collect();
        let alike: Vec<(usize, usize)> = (0..50).map(|i| (50 + i % 7, 20)).collect();
        let long: Vec<(usize, usize)> = (0..50).map(|i| (4000 + 40 * i, 1000 + 9 * i)).collect();
        for counts in [&english[..], &monotonous, &alike, &long, &[], &[(5, 40)]] {
            assert_eq!(cut(&sent(counts)), None, "{counts:?}");
        }
    }

    #[test]
    fn limits_that_are_not_kept_are_counted() {
        let request = generate(Prompt::Text("q".into()), &[], 100);
        let response = |written: usize, finish| {
            let usage = Usage { completion_tokens: written, ..Usage::default() };
            Response::new(Answer::Text { text: "x".into(), finish }, usage)
        };
        let responses = [
            response(300, Finish::Length),
            response(100, Finish::Length),
            response(20, Finish::Length),
            response(20, Finish::Stop),
        ];
        let answers: Vec<(&Request, &Response)> = responses.iter().map(|response| (&request, response)).collect();
        let remarks = audit(&answers, "m", "", 0);
        let counts: Vec<_> = remarks.iter().map(|remark| remark.count.clone()).collect();
        assert_eq!(counts, [Some((1, 4, "answers".into())), Some((1, 4, "answers".into()))], "{remarks:?}");
        assert!(remarks[0].text.contains("300") && remarks[1].text.contains("20 tokens"), "{remarks:?}");
    }

    #[test]
    fn every_kind_of_server_has_its_remedy() {
        assert!(remedy("ollama ollama-chat").contains("OLLAMA_CONTEXT_LENGTH"));
        assert!(remedy("openai-compatible compatible-chat").contains("longer context window"));
    }
}
