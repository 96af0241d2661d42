//! Texts that servers write, and first tokens that they list.

use super::answer::Job;
use super::client::{Miss, longest_text};
use super::probe::Turns;
use super::wire::{Ask, Input, Reply, Sampling};
use crate::engine::thinking::{Parted, part, unfinished};
use crate::engine::tokens::{DEFAULT_MAX_GEN_TOKS, cut_at_stops, fit_prompt, log_sum_exp};
use crate::request::{Answer, Decoding, Finish, Message, Prompt, Request, Usage};
use std::sync::atomic::Ordering;

/// Texts of end-of-sequence tokens, which some servers leave at the end of answers.
const END_TEXTS: &[&str] = &[
    "</s>",
    "<eos>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<|end_of_turn|>",
    "<｜end▁of▁sentence｜>",
];

/// Marks of a space before a word in tokenizers' own spelling.
const SPACES: [char; 2] = ['Ġ', '▁'];

/// Seeds fit into what all servers take.
const SEED_MASK: u64 = 0x7fff_ffff;

/// A prompt as it is sent.
pub enum Shown<'a> {
    Text(String),
    Ids(Vec<u32>),
    Turns(&'a [Message]),
}

impl Shown<'_> {
    fn input(&self) -> Input<'_> {
        match self {
            Shown::Text(text) => Input::Text(text),
            Shown::Ids(ids) => Input::Ids(ids),
            Shown::Turns(turns) => Input::Chat(turns),
        }
    }
}

/// A text with the thought before it.
type Written = (Answer, Option<String>);

impl Job<'_> {
    pub async fn generate(
        &mut self,
        request: &Request,
        context: &Prompt,
        decoding: &Decoding,
    ) -> Result<Written, Miss> {
        let max_gen_toks = decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS);
        if max_gen_toks == 0 {
            return Ok((Answer::Text { text: String::new(), finish: Finish::Length }, None));
        }
        let settings = &self.engine.settings;
        let thinks = settings.reasoning.unwrap_or(self.engine.facts.thinks);
        let shown = self.shown(context, max_gen_toks + if thinks { settings.reasoning_tokens } else { 0 }).await?;
        match self.write(request, &shown, decoding, max_gen_toks, thinks).await? {
            Some(written) => Ok(written),
            None if thinks => Err(Miss::unscored(unfinished(0, false))),
            // A stop string has ended the thought: without stop strings, then.
            None => match self.write(request, &shown, decoding, max_gen_toks, true).await? {
                Some(written) => Ok(written),
                None => Err(Miss::unscored(unfinished(0, false))),
            },
        }
    }

    /// `None`: the thought has no end, or no answer behind it, and a stop string may be why.
    async fn write(
        &mut self,
        request: &Request,
        shown: &Shown<'_>,
        decoding: &Decoding,
        max_gen_toks: usize,
        thinks: bool,
    ) -> Result<Option<Written>, Miss> {
        let sampling =
            sampling(request, decoding, max_gen_toks, thinks.then_some(self.engine.settings.reasoning_tokens));
        for left_out in self.engine.client.wire.leaves_out(&sampling) {
            let wire = self.engine.client.wire.name();
            self.engine.notice(format!("{wire} has no place for `{left_out}`: texts are written without it"));
        }
        let Reply::Text { text, mut reasoning, cut_off, usage, .. } =
            self.ask(&Ask::Generate(shown.input(), &sampling)).await?
        else {
            return Err(Miss::unscored("the server wrote no text"));
        };
        let longest = longest_text(sampling.max_tokens);
        if text.len() > longest {
            let (bytes, tokens) = (text.len(), sampling.max_tokens);
            return Err(Miss::unscored(format!(
                "the server wrote {bytes} bytes where {tokens} tokens were asked for: that is no answer to this"
            )));
        }
        if let Some(thought) = reasoning.as_mut().filter(|thought| thought.len() > longest) {
            let end = (0..=longest).rev().find(|end| thought.is_char_boundary(*end)).unwrap_or(0);
            thought.truncate(end);
            thought.push_str("...");
            self.engine.notice("thoughts that are far longer than what was asked for are cut where they are kept");
        }
        self.count(shown, &usage);
        let in_field = reasoning.as_deref().is_some_and(|thought| !thought.trim().is_empty());
        // Thoughts that are counted but not shown end before the text begins.
        let hidden = usage.reasoning_tokens > 0;
        let expected = self.engine.settings.reasoning.or(self.engine.facts.thinks_inline.then_some(true));
        let expected = expected.filter(|thinks| !(*thinks && hidden));
        let (text, thought) = match part(&text, reasoning, expected, cut_off) {
            Parted::Answer { text, .. } if text.is_empty() && cut_off && hidden => {
                return Err(thought_cut_off(&usage, sampling.max_tokens));
            }
            Parted::Answer { text, thought } if text.trim().is_empty() && (thought.is_some() || hidden) => {
                return match (cut_off, thinks || sampling.stops.is_empty() || self.engine.settings.reasoning.is_some())
                {
                    (true, _) => Err(thought_cut_off(&usage, sampling.max_tokens)),
                    (false, false) => Ok(None),
                    (false, true) => Err(no_answer(in_field, &usage)),
                };
            }
            Parted::Answer { text, thought } => (text, thought),
            Parted::Unfinished if cut_off => return Err(thought_cut_off(&usage, sampling.max_tokens)),
            Parted::Unfinished => return Ok(None),
        };
        Ok(Some((self.ended(&text, &decoding.until, cut_off), thought)))
    }

    /// What the server says that it was sent, where that is known here.
    fn count(&self, shown: &Shown<'_>, usage: &Usage) {
        if let Shown::Ids(ids) = shown
            && usage.prompt_tokens > 0
        {
            self.engine.ids_counted.fetch_add(1, Ordering::Relaxed);
            self.engine.ids_lost.fetch_add(usize::from(usage.prompt_tokens < ids.len()), Ordering::Relaxed);
        }
    }

    /// The answer up to the first stop string.
    fn ended(&self, text: &str, until: &[String], cut_off: bool) -> Answer {
        let text = without_end(text);
        let kept = cut_at_stops(text, until);
        let eos = self.engine.tokens.as_ref().and_then(|tokens| tokens.eos_text.as_deref());
        let kept =
            eos.filter(|eos| !eos.is_empty()).and_then(|eos| kept.split_once(eos)).map_or(kept, |(before, _)| before);
        let finish = if cut_off && kept.len() == text.len() { Finish::Length } else { Finish::Stop };
        Answer::Text { text: kept.to_string(), finish }
    }

    pub async fn choose(&mut self, context: &Prompt, labels: &[String]) -> Result<Answer, Miss> {
        let top = match (&self.engine.facts.top, &self.engine.facts.scoring) {
            (Ok(top), _) => *top,
            (Err(_), Ok(_)) => return self.choose_by_scores(context, labels).await,
            (Err(reason), Err(_)) => return Err(Miss::unscored(reason.clone())),
        };
        let shown = self.shown(context, 1).await?;
        match self.ask(&Ask::FirstToken { input: shown.input(), top }).await? {
            Reply::FirstToken { top, .. } => Ok(Answer::Choice { logprobs: by_label(&top, labels)? }),
            _ => Err(Miss::unscored("the server listed no first tokens")),
        }
    }

    /// Whether greedy decoding writes the continuation, for servers that do not say which tokens are the likeliest: it is let.
    pub async fn would_write(&mut self, context: &str, continuation: &str, num_tokens: usize) -> Result<bool, Miss> {
        let ids = match &self.engine.tokens {
            Some(tokens) if self.engine.facts.ids => {
                Some(fit_prompt(tokens.encoder()?.text(context)?, num_tokens + 1, self.engine.window())?.0)
            }
            _ => None,
        };
        let sampling = Sampling::greedy(num_tokens + 1);
        let input = ids.as_deref().map_or(Input::Text(context), Input::Ids);
        match self.ask(&Ask::Generate(input, &sampling)).await? {
            Reply::Text { text, .. } => Ok(text.starts_with(continuation)),
            _ => Err(Miss::unscored("the server does not say which tokens are the likeliest")),
        }
    }

    /// A prompt as this endpoint takes it. `room`: tokens that are to follow.
    async fn shown<'a>(&mut self, prompt: &'a Prompt, room: usize) -> Result<Shown<'a>, Miss> {
        if let (Prompt::Chat(turns), Some(Turns::Native)) = (prompt, self.engine.facts.turns) {
            return Ok(Shown::Turns(turns));
        }
        if !self.engine.facts.texts {
            return Err(Miss::unscored("the endpoint takes conversations only"));
        }
        let text = self.rendered(prompt).await?;
        let Some(tokens) = &self.engine.tokens else { return Ok(Shown::Text(text)) };
        if !self.engine.facts.ids {
            let adds_bos = self.engine.facts.scoring.as_ref().is_ok_and(|scoring| scoring.leading > 0);
            return Ok(Shown::Text(if adds_bos { tokens.without_bos(&text).to_string() } else { text }));
        }
        let mut ids = tokens.encoder()?.prompt(&text)?;
        if ids.is_empty() {
            let prefix = tokens.tokenizer.prefix().ok_or_else(|| Miss::unscored("the prompt has no token"))?;
            ids.push(prefix.id);
        }
        let (ids, cut) = fit_prompt(ids, room, self.engine.room())?;
        self.tally.usage.truncated_tokens += cut;
        Ok(Shown::Ids(ids))
    }
}

fn thought_cut_off(usage: &Usage, max_tokens: usize) -> Miss {
    let written = if usage.completion_tokens > 0 { usage.completion_tokens } else { max_tokens };
    Miss::unscored(unfinished(written, true))
}

/// An answer that is empty behind a thought that is whole.
fn no_answer(in_field: bool, usage: &Usage) -> Miss {
    Miss::unscored(match (in_field, usage.reasoning_tokens) {
        (true, _) => {
            "there is a thought and no answer: the server put everything into the thought's field (is its reasoning parser right for this \
             model, or is thinking off?)"
                .to_string()
        }
        (false, 0) => "there is a thought and no answer behind it".to_string(),
        (false, tokens) => format!("the server counts {tokens} tokens of thought and gives no answer"),
    })
}

/// `thought`: tokens for thoughts, of a model that thinks.
fn sampling(request: &Request, decoding: &Decoding, max_gen_toks: usize, thought: Option<usize>) -> Sampling {
    let samples = decoding.do_sample && decoding.temperature > 0.0;
    // The key hashes all that decides the answer, the seed included.
    let hashed = || request.key().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(request.seed);
    Sampling {
        max_tokens: max_gen_toks + thought.unwrap_or(0),
        stops: decoding.until.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
        temperature: if samples { decoding.temperature } else { 0.0 },
        top_p: decoding.top_p.filter(|_| samples),
        top_k: decoding.top_k.filter(|k| samples && *k > 0),
        min_p: decoding.min_p.filter(|_| samples),
        seed: samples.then(|| hashed() & SEED_MASK),
        reasoning: thought.is_some(),
    }
}

/// A text without the end-of-sequence token's text behind it.
fn without_end(text: &str) -> &str {
    END_TEXTS.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text)
}

/// For each label the probability of the tokens that are it, white space left out of account.
fn by_label(top: &[(String, f64)], labels: &[String]) -> Result<Vec<Option<f64>>, Miss> {
    if let Some((token, logprob)) = top.iter().find(|(_, logprob)| logprob.is_nan() || *logprob > 1e-3) {
        return Err(Miss::unscored(format!(
            "the server gave {logprob} as the log-probability of the first token {token:?}"
        )));
    }
    let bare = |token: &str| token.trim_start_matches(SPACES).trim().to_string();
    let tokens: Vec<(String, f64)> = top.iter().map(|(token, logprob)| (bare(token), logprob.min(0.0))).collect();
    let label = |label: &String| {
        let same = tokens.iter().filter(|(token, _)| token == label.trim()).map(|(_, logprob)| *logprob);
        log_sum_exp(same)
    };
    Ok(labels.iter().map(label).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RequestKind;

    fn decoding(do_sample: bool) -> Decoding {
        Decoding {
            until: vec!["\n".into(), String::new()],
            max_gen_toks: Some(8),
            do_sample,
            temperature: 0.7,
            top_p: Some(0.9),
            top_k: Some(0),
            min_p: None,
            written: Default::default(),
        }
    }

    #[test]
    fn greedy_decoding_has_no_settings_and_samples_have_seeds_of_their_own() {
        let request = |do_sample, sample| {
            let kind = RequestKind::Generate { context: Prompt::Text("a".into()), decoding: decoding(do_sample) };
            Request { kind, sample, seed: 1 }
        };
        let greedy = sampling(&request(false, 0), &decoding(false), 8, None);
        assert_eq!((greedy.temperature, greedy.top_p, greedy.seed, greedy.max_tokens), (0.0, None, None, 8));
        assert_eq!(greedy.stops, ["\n"]);
        let seed = |sample| sampling(&request(true, sample), &decoding(true), 8, Some(100)).seed.unwrap();
        assert!(seed(0) != seed(1) && seed(0) <= SEED_MASK);
        let thinks = sampling(&request(true, 0), &decoding(true), 8, Some(100));
        assert_eq!((thinks.max_tokens, thinks.reasoning, thinks.top_k), (108, true, None));
    }

    #[test]
    fn tokens_of_a_label_are_added_up() {
        let top =
            [(" A", 0.5), ("A", 0.125), ("ĠB", 0.25), ("The", 0.1)].map(|(t, p): (&str, f64)| (t.to_string(), p.ln()));
        let found = by_label(&top, &["A", "B", "C"].map(str::to_string)).unwrap();
        assert!((found[0].unwrap() - 0.625f64.ln()).abs() < 1e-12);
        assert_eq!((found[1], found[2]), (Some(0.25f64.ln()), None));
        assert!(by_label(&[("A".into(), 2.0)], &["A".into()]).is_err());
    }

    #[test]
    fn ends_are_cut() {
        assert_eq!((without_end("yes</s>"), without_end("a</s>b"), without_end("<|im_end|>")), ("yes", "a</s>b", ""));
    }
}
