//! One request to calls, and what comes back to its answer.

use super::budget::Estimate;
use super::score::{Scored, boundary};
use super::thinking;
use super::transport::Failure;
use super::wire::{Ask, Call, Input, Reply, Sampling, WireError};
use super::{CONTEXTS, RemoteEngine, lock};
use crate::engine::tokens::{DEFAULT_MAX_GEN_TOKS, cut_at_stops, fit_pair, fit_prompt, rolling_windows};
use crate::engine::{Cancel, Delivery, Outcome};
use crate::python::text::rstrip;
use crate::request::{Answer, Decoding, Finish, Prompt, Request, RequestKind, Response, Unscored, Usage};
use serde_json::Value;

/// First tokens that are asked for; a format asks for as many as its route gives.
const TOP: usize = 20;

/// Characters of a token, for estimates.
const CHARS_PER_TOKEN: usize = 4;

/// Marks of white space in the texts of tokens.
const BLANKS: [char; 3] = ['▁', 'Ġ', 'Ċ'];

type Answered = Result<(Outcome, Delivery), Failure>;

/// A prompt as it is sent.
enum Sent {
    Text(String),
    Ids(Vec<u32>, usize),
}

impl Sent {
    fn input(&self) -> Input<'_> {
        match self {
            Sent::Text(text) => Input::Text(text),
            Sent::Ids(ids, _) => Input::Ids(ids),
        }
    }

    fn truncated(&self) -> usize {
        match self {
            Sent::Text(_) => 0,
            Sent::Ids(_, truncated) => *truncated,
        }
    }
}

impl RemoteEngine {
    /// What a request may take.
    pub(super) fn estimate(&self, request: &Request) -> Estimate {
        let tokens = |chars: usize| chars / CHARS_PER_TOKEN + 1;
        let prompt = |prompt: &Prompt| match prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Chat(messages) => messages.iter().map(|message| message.content.len() + 8).sum(),
        };
        let (prompt_tokens, completion_tokens) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => (tokens(prompt(context) + continuation.len()), 1),
            RequestKind::LoglikelihoodRolling { text } => (tokens(text.len()), 1),
            RequestKind::Choose { context, .. } => (tokens(prompt(context)), 1),
            RequestKind::Generate { context, decoding } => (
                tokens(prompt(context)),
                decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS) + self.options.reasoning_tokens,
            ),
        };
        Estimate { prompt_tokens, completion_tokens }
    }

    /// Answers one request. Failures that end everything, and cancellation, are errors; all others are outcomes.
    pub(super) async fn answer_one(&self, request: &Request, cancel: &Cancel) -> Answered {
        let answered = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                self.loglikelihood(context, continuation, cancel).await
            }
            RequestKind::LoglikelihoodRolling { text } => self.rolling(text, cancel).await,
            RequestKind::Generate { context, decoding } => self.generate(request, context, decoding, cancel).await,
            RequestKind::Choose { context, labels } => self.choose(context, labels, cancel).await,
        };
        match answered {
            Err(Failure::Refused(reason)) => Ok((Err(Unscored::refused(reason)), Delivery::default())),
            Err(Failure::Unanswered(reason)) => Ok((Err(Unscored::new(reason)), Delivery::default())),
            other => other,
        }
    }

    /// Sends an ask and reads its reply; the model that answers must be the one that answered the probe.
    async fn reply(
        &self,
        ask: Ask<'_>,
        extra: bool,
        tokens: usize,
        cancel: &Cancel,
    ) -> Result<(Reply, Delivery), Failure> {
        let call = self.wire.call(&self.findings.model, &ask);
        let call = call.ok_or_else(|| Failure::Unanswered(format!("{} has no such route", self.wire.name())))?;
        let call = if extra { self.with_extra(call) } else { call };
        let decode = |body: &Value| {
            let reply = self.wire.reply(&ask, body)?;
            self.same_model(&reply)?;
            whole(&reply)?;
            Ok(reply)
        };
        self.transport.send(&call, tokens, cancel, &decode).await
    }

    fn with_extra(&self, mut call: Call) -> Call {
        if let Some(Value::Object(body)) = &mut call.body {
            body.extend(self.options.extra_body.clone());
        }
        call
    }

    fn same_model(&self, reply: &Reply) -> Result<(), WireError> {
        let (Reply::Scores { model, .. } | Reply::Text { model, .. } | Reply::FirstToken { model, .. }) = reply else {
            return Ok(());
        };
        match (model, &self.findings.answers_as) {
            (Some(model), Some(expected)) if model != expected => {
                Err(WireError::Malformed(format!("the model `{model}` answered instead of `{expected}`")))
            }
            _ => Ok(()),
        }
    }

    async fn scores(
        &self,
        input: Input<'_>,
        tokens: usize,
        cancel: &Cancel,
    ) -> Result<(Scored, Usage, Delivery), Failure> {
        let (reply, delivery) = self.reply(Ask::Score(input), false, tokens, cancel).await?;
        let Reply::Scores { tokens, generated, usage, .. } = reply else {
            return Err(Failure::Unanswered("the server answers with something else".to_string()));
        };
        let scored = match input {
            Input::Text(text) => Scored::of_text(tokens, generated, text),
            Input::Ids(ids) => Scored::of_ids(tokens, ids.len()),
            Input::Chat(_) => return Err(Failure::Unanswered("turns cannot be scored".to_string())),
        };
        Ok((scored, usage, delivery))
    }

    /// The prompt as text.
    async fn text_of(&self, prompt: &Prompt) -> Result<String, Failure> {
        match prompt {
            Prompt::Text(text) => Ok(text.clone()),
            Prompt::Chat(messages) => self.rendered_turns(messages).await.map_err(Failure::Unanswered),
        }
    }

    async fn loglikelihood(&self, context: &Prompt, continuation: &str, cancel: &Cancel) -> Answered {
        if let Err(reason) = &self.findings.scores {
            return Ok((
                Err(Unscored::new(format!("the endpoint does not score prompts: {reason}"))),
                Delivery::default(),
            ));
        }
        let context = self.text_of(context).await?;
        if self.sends_ids() {
            self.pair_by_ids(context, continuation, cancel).await
        } else {
            self.pair_by_text(&context, continuation, cancel).await
        }
    }

    async fn pair_by_ids(&self, context: String, continuation: &str, cancel: &Cancel) -> Answered {
        let pair = self.encoder().transpose().map_err(Failure::Stopped)?.map(|encoder| {
            let context = encoder.context(context)?;
            encoder.pair(&context, continuation)
        });
        let pair = match pair.transpose().map_err(Failure::Stopped)? {
            Some(Ok(pair)) => pair,
            Some(Err(reason)) => return Ok((Err(reason), Delivery::default())),
            None => return Err(Failure::Unanswered("the tokenizer is gone".to_string())),
        };
        let (mut ids, cut) = match self.identity.max_length.map(|length| fit_pair(&pair, length)) {
            Some(Ok(fitted)) => fitted,
            Some(Err(reason)) => return Ok((Err(reason), Delivery::default())),
            None => (
                pair.context
                    .iter()
                    .chain(&pair.continuation)
                    .copied()
                    .take(pair.context.len() + pair.continuation.len() - 1)
                    .collect(),
                0,
            ),
        };
        // What is fed locally leaves out the last token; a server is shown it as well.
        ids.extend(pair.continuation.last());
        let (scored, usage, delivery) = self.scores(Input::Ids(&ids), ids.len() + 1, cancel).await?;
        if scored.tokens.len() != ids.len() {
            let reason = format!("the server lists {} tokens of a prompt of {}", scored.tokens.len(), ids.len());
            return Err(Failure::Unanswered(reason));
        }
        let first = ids.len() - pair.continuation.len();
        Ok((loglikelihood(&scored, first, Usage { truncated_tokens: cut, ..usage }), delivery))
    }

    async fn pair_by_text(&self, context: &str, continuation: &str, cancel: &Cancel) -> Answered {
        let prompt = format!("{context}{continuation}");
        let (scored, usage, delivery) =
            self.scores(Input::Text(&prompt), prompt.len() / CHARS_PER_TOKEN + 1, cancel).await?;
        let at = boundary(context);
        let by_texts = if self.findings.tokenizes { None } else { scored.tokens_before(at) };
        if by_texts.is_none() && at > 0 && !self.findings.tokenizes && !scored.starts.is_empty() {
            self.notice(
                "a token straddles the end of some contexts: the server scores another split than a local run does (--tokenizer gives the \
                 same)"
                .to_string(),
            );
        }
        let first = match by_texts {
            Some(first) => first,
            None if at == 0 => 0,
            None => self.count(rstrip(context), &scored, cancel).await?,
        };
        Ok((loglikelihood(&scored, first, usage), delivery))
    }

    /// How many of the tokens that the server lists are a context's.
    async fn count(&self, context: &str, scored: &Scored, cancel: &Cancel) -> Result<usize, Failure> {
        if let Some(count) = lock(&self.context_tokens).get(context) {
            return Ok(*count);
        }
        let count = if self.findings.tokenizes {
            let ask = Ask::Tokenize { text: context, special: true };
            match self.reply(ask, false, 0, cancel).await?.0 {
                Reply::Tokens(tokens) => tokens.len().saturating_sub(usize::from(hides_bos(scored))),
                _ => return Err(Failure::Unanswered("the tokenize route answers with something else".to_string())),
            }
        } else {
            self.scores(Input::Text(context), context.len() / CHARS_PER_TOKEN + 1, cancel).await?.0.tokens.len()
        };
        let mut known = lock(&self.context_tokens);
        if known.len() >= CONTEXTS {
            known.clear();
        }
        known.insert(context.to_string(), count);
        Ok(count)
    }

    async fn rolling(&self, text: &str, cancel: &Cancel) -> Answered {
        if let Err(reason) = &self.findings.scores {
            return Ok((
                Err(Unscored::new(format!("the endpoint does not score prompts: {reason}"))),
                Delivery::default(),
            ));
        }
        let Some(encoder) = self.encoder().filter(|_| self.sends_ids()) else {
            let (scored, usage, delivery) =
                self.scores(Input::Text(text), text.len() / CHARS_PER_TOKEN + 1, cancel).await?;
            // A BOS token that the server shows is not the text's.
            let shown = scored.shown_before();
            return Ok((rolling(&[(scored, shown)], usage), delivery));
        };
        let encoder = encoder.map_err(Failure::Stopped)?;
        let tokens = encoder.text(text).map_err(Failure::Stopped)?;
        let Some(prefix) = encoder.tokenizer.prefix().map(|token| token.id) else {
            let reason = "the tokenizer has neither a BOS nor an EOS token to begin with";
            return Ok((Err(Unscored::new(reason)), Delivery::default()));
        };
        let length = self.identity.max_length.unwrap_or(usize::MAX - 1).max(1);
        let (mut parts, mut usage, mut delivery) = (Vec::new(), Usage::default(), Delivery::default());
        for (input, targets) in rolling_windows(&tokens, prefix, length) {
            let ids: Vec<u32> = input.iter().copied().chain(targets.last().copied()).collect();
            let (scored, part, came) = self.scores(Input::Ids(&ids), ids.len() + 1, cancel).await?;
            usage.prompt_tokens += part.prompt_tokens;
            usage.completion_tokens += part.completion_tokens;
            delivery.latency_ms = Some(delivery.latency_ms.unwrap_or(0) + came.latency_ms.unwrap_or(0));
            delivery.retries += came.retries;
            parts.push((scored, ids.len() - targets.len()));
        }
        Ok((rolling(&parts, usage), delivery))
    }

    async fn choose(&self, context: &Prompt, labels: &[String], cancel: &Cancel) -> Answered {
        if let Err(reason) = &self.findings.first_tokens {
            return Ok((
                Err(Unscored::new(format!("the endpoint lists no first tokens: {reason}"))),
                Delivery::default(),
            ));
        }
        let tokens = |text: &str| text.len() / CHARS_PER_TOKEN + 2;
        let (reply, delivery) = match (context, self.renders()) {
            (Prompt::Chat(messages), false) => {
                let ask = Ask::FirstToken { input: Input::Chat(messages), top: TOP };
                self.reply(ask, true, messages.iter().map(|m| tokens(&m.content)).sum(), cancel).await?
            }
            _ => {
                let text = self.text_of(context).await?;
                let sent = match self.sent(text, 1)? {
                    Ok(sent) => sent,
                    Err(reason) => return Ok((Err(reason), Delivery::default())),
                };
                self.reply(Ask::FirstToken { input: sent.input(), top: TOP }, true, 1, cancel).await?
            }
        };
        let Reply::FirstToken { top, usage, .. } = reply else {
            return Err(Failure::Unanswered("the server answers with something else".to_string()));
        };
        let logprobs = labels.iter().map(|label| of_label(&top, label)).collect();
        Ok((Ok(Response::new(Answer::Choice { logprobs }, usage)), delivery))
    }

    /// A prompt to be continued, with room for so many tokens.
    fn sent(&self, text: String, max_tokens: usize) -> Result<Result<Sent, Unscored>, Failure> {
        let Some(encoder) = self.encoder().filter(|_| self.sends_ids()) else { return Ok(Ok(Sent::Text(text))) };
        let ids = encoder.and_then(|encoder| encoder.prompt(&text)).map_err(Failure::Stopped)?;
        Ok(match self.identity.max_length {
            Some(length) => fit_prompt(ids, max_tokens, length).map(|(ids, cut)| Sent::Ids(ids, cut)),
            None => Ok(Sent::Ids(ids, 0)),
        })
    }

    async fn generate(&self, request: &Request, context: &Prompt, decoding: &Decoding, cancel: &Cancel) -> Answered {
        let sampling = self.sampling(request, decoding);
        let estimate = self.estimate(request);
        let tokens = estimate.prompt_tokens + estimate.completion_tokens;
        let ((reply, delivery), truncated_tokens) = match (context, self.renders()) {
            (Prompt::Chat(messages), false) => {
                (self.reply(Ask::Generate(Input::Chat(messages), &sampling), true, tokens, cancel).await?, 0)
            }
            (Prompt::Text(_), false) => {
                return Err(Failure::Unanswered("a chat endpoint takes turns, not texts".to_string()));
            }
            _ => {
                let text = self.text_of(context).await?;
                let sent = match self.sent(text, sampling.max_tokens)? {
                    Ok(sent) => sent,
                    Err(reason) => return Ok((Err(reason), Delivery::default())),
                };
                let reply = self.reply(Ask::Generate(sent.input(), &sampling), true, tokens, cancel).await?;
                (reply, sent.truncated())
            }
        };
        let Reply::Text { text, reasoning, cut_off, mut usage, .. } = reply else {
            return Err(Failure::Unanswered("the server answers with something else".to_string()));
        };
        usage.truncated_tokens = truncated_tokens;
        Ok((self.text_answer(text, reasoning, cut_off, usage, &decoding.until), delivery))
    }

    fn sampling(&self, request: &Request, decoding: &Decoding) -> Sampling {
        let sampled = decoding.do_sample && decoding.temperature > 0.0;
        Sampling {
            max_tokens: decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS) + self.options.reasoning_tokens,
            stops: decoding.until.clone(),
            temperature: if sampled { decoding.temperature } else { 0.0 },
            top_p: decoding.top_p.filter(|_| sampled),
            top_k: decoding.top_k.filter(|_| sampled),
            min_p: decoding.min_p.filter(|_| sampled),
            // One stream for each sample; small enough for routes that take 31 bits.
            seed: sampled
                .then(|| (request.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(request.sample))) & 0x7fff_ffff),
            reasoning: self.options.reasoning == Some(true),
        }
    }

    /// Thought and answer apart, stop strings looked for once more.
    fn text_answer(
        &self,
        text: String,
        field: Option<String>,
        cut_off: bool,
        usage: Usage,
        until: &[String],
    ) -> Outcome {
        let told = match self.options.reasoning {
            Some(false) => Ok(thinking::Told { answer: text, thought: field }),
            always => thinking::apart(text, field, cut_off, always == Some(true)),
        };
        let Ok(told) = told else {
            return Err(Unscored::new(format!(
                "the thought was cut off after {} tokens, before any answer (--reasoning-tokens gives it room)",
                usage.completion_tokens
            )));
        };
        let eos = self.identity.eos_token.iter().filter(|eos| !until.contains(eos));
        let stops: Vec<String> = until.iter().chain(eos).cloned().collect();
        let answer = cut_at_stops(&told.answer, &stops).to_string();
        let finish = if cut_off && answer.len() == told.answer.len() { Finish::Length } else { Finish::Stop };
        let reasoning = told.thought;
        Ok(Response { answer: Answer::Text { text: answer, finish }, usage, reasoning })
    }
}

/// All tokens of a prompt but the first have a log-probability: a gap is worth another try.
fn whole(reply: &Reply) -> Result<(), WireError> {
    let Reply::Scores { tokens, generated, .. } = reply else { return Ok(()) };
    let own = tokens.len().saturating_sub(*generated);
    match tokens.iter().take(own).skip(1).position(|token| token.logprob.is_none()) {
        Some(place) => Err(WireError::Malformed(format!("no log-probability for token {} of the prompt", place + 2))),
        None => Ok(()),
    }
}

/// The server lists the prompt's tokens without the BOS token that its tokenizer puts before them.
fn hides_bos(scored: &Scored) -> bool {
    let first = scored.tokens.first();
    first.is_some_and(|token| token.logprob.is_none() && token.text.as_deref().is_some_and(|text| !text.is_empty()))
        && scored.starts.first() == Some(&0)
        && scored.starts.get(1) != Some(&0)
}

fn loglikelihood(scored: &Scored, first: usize, usage: Usage) -> Outcome {
    let (logprob, is_greedy, num_tokens) = scored.sum_from(first).map_err(Unscored::new)?;
    let usage = Usage { prompt_tokens: usage.prompt_tokens.max(scored.tokens.len()), ..usage };
    Ok(Response::new(Answer::Loglikelihood { logprob, is_greedy, num_tokens }, usage))
}

fn rolling(parts: &[(Scored, usize)], usage: Usage) -> Outcome {
    let (mut sum, mut tokens) = (0.0, 0);
    for (scored, first) in parts {
        let (logprob, _, num_tokens) = scored.sum_from(*first).map_err(Unscored::new)?;
        sum += logprob;
        tokens += num_tokens;
    }
    Ok(Response::new(Answer::Rolling { logprob: sum, num_tokens: tokens }, usage))
}

/// `ln Σ P(token)` over the tokens that are the label, white space and its marks left out of account.
fn of_label(top: &[(String, f64)], label: &str) -> Option<f64> {
    let plain = |text: &str| text.trim_matches(|c: char| c.is_whitespace() || BLANKS.contains(&c)).to_string();
    let label = plain(label);
    let fitting: Vec<f64> =
        top.iter().filter(|(token, _)| plain(token) == label).map(|(_, logprob)| *logprob).collect();
    let highest = fitting.iter().copied().reduce(f64::max)?;
    Some(highest + fitting.iter().map(|logprob| (logprob - highest).exp()).sum::<f64>().ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_among_first_tokens() {
        let top = [(" B", -0.5f64), ("B", -2.0), ("▁A", -3.0), ("Be", -0.1)]
            .map(|(token, logprob)| (token.to_string(), logprob));
        let both = ((-0.5f64).exp() + (-2.0f64).exp()).ln();
        assert!((of_label(&top, "B").unwrap() - both).abs() < 1e-12);
        assert_eq!(of_label(&top, " A"), Some(-3.0));
        assert_eq!(of_label(&top, "C"), None);
    }
}
