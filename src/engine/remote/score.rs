//! Log-likelihoods through servers that score prompts.
//!
//! A pair is split as the local engine splits it: context and continuation are tokenized together, and what goes beyond the number of
//! the context's own tokens is the continuation; white space at the context's end counts to the continuation. That number comes from
//! - the tokenizer (`--tokenizer`), which also makes the ids that are sent;
//! - else the place of the continuation in the text, when a token begins there: tokenizers that merge pairs then split what stands before
//!   just as they split it alone;
//! - else the server's tokenize route, or the context scored alone, once for all its continuations.

use super::answer::Job;
use super::client::Miss;
use super::probe::Scoring;
use super::spans::{Sum, border, sum};
use super::wire::{Ask, Input, Reply, TokenScore};
use crate::engine::tokens::{Encoder, Pair, fit_pair, log_sum_exp, rolling_windows};
use crate::python::text::rstrip;
use crate::request::{Answer, Prompt};

impl Job<'_> {
    pub async fn loglikelihood(&mut self, context: &Prompt, continuation: &str) -> Result<Answer, Miss> {
        let context = self.rendered(context).await?;
        let sum = self.pair(&context, continuation).await?;
        let Sum { logprob, num_tokens, .. } = sum;
        let is_greedy = match sum.is_greedy {
            Some(is_greedy) => is_greedy,
            None => self.would_write(&context, continuation, num_tokens).await?,
        };
        Ok(Answer::Loglikelihood { logprob, is_greedy, num_tokens })
    }

    /// Labels as continuations, for servers that score prompts but do not list first tokens: as the local engine scores them.
    pub async fn choose_by_scores(&mut self, context: &Prompt, labels: &[String]) -> Result<Answer, Miss> {
        let context = self.rendered(context).await?;
        let mut logprobs = Vec::with_capacity(labels.len());
        for label in labels {
            let bare = self.pair(&context, label).await?;
            let spaced = self.pair(&context, &format!(" {label}")).await?;
            logprobs.push(log_sum_exp([bare.logprob, spaced.logprob].into_iter()));
        }
        Ok(Answer::Choice { logprobs })
    }

    async fn pair(&mut self, context: &str, continuation: &str) -> Result<Sum, Miss> {
        let scoring = self.scoring()?;
        if let Some(tokens) = &self.engine.tokens {
            let encoder = tokens.encoder()?;
            let ids = tokens.context(&encoder, context).await?;
            let pair = encoder.pair(&ids, continuation)??;
            if self.engine.facts.ids {
                return self.pair_of_ids(&pair).await;
            }
            return self.pair_of_text(&encoder, &pair, context, continuation).await;
        }
        let text = format!("{context}{continuation}");
        if self.may_be_too_long(&text) && self.engine.facts.ids && scoring.tokenize.is_some() {
            let whole = self.server_ids(&text).await?;
            let ids = if context.is_empty() { scoring.leading } else { self.server_ids(rstrip(context)).await?.len() };
            let (context, continuation) = whole.split_at(ids.min(whole.len()));
            let pair = Pair { context: context.to_vec(), continuation: continuation.to_vec() };
            return self.pair_of_ids(&pair).await;
        }
        let scores = self.scores(Input::Text(&text)).await?;
        let boundary = rstrip(context).chars().count();
        let first = match border(&scores, boundary, scoring.leading) {
            Some(first) => first,
            None => self.context_len(rstrip(context), scoring).await?,
        };
        if first >= scores.len() {
            return Err(no_token(continuation));
        }
        Ok(sum(&scores, first)?)
    }

    async fn pair_of_ids(&mut self, pair: &Pair) -> Result<Sum, Miss> {
        let (mut ids, cut) = fit_pair(pair, self.engine.window())?;
        ids.extend(pair.continuation.last());
        self.tally.usage.truncated_tokens += cut;
        if pair.continuation.is_empty() {
            return Err(Miss::unscored("the continuation has no token of its own"));
        }
        let scores = self.scores(Input::Ids(&ids)).await?;
        if scores.len() != ids.len() {
            return Err(Miss::unscored(format!(
                "the server scored {} tokens of {} that were sent",
                scores.len(),
                ids.len()
            )));
        }
        Ok(sum(&scores, ids.len() - pair.continuation.len())?)
    }

    /// With a tokenizer here and a server that takes texts only: what it splits them into must be what is expected.
    async fn pair_of_text(
        &mut self,
        encoder: &Encoder<'_>,
        pair: &Pair,
        context: &str,
        continuation: &str,
    ) -> Result<Sum, Miss> {
        let (_, cut) = fit_pair(pair, self.engine.window())?;
        if cut > 0 {
            return Err(Miss::unscored(format!(
                "the prompt is {cut} tokens too long for the window of {} tokens, and the server does not take token ids, so that it could be \
                 cut",
                self.engine.window()
            )));
        }
        let text = format!("{context}{continuation}");
        let text = if self.adds_bos() { encoder_text(self, &text) } else { text };
        let scores = self.scores(Input::Text(&text)).await?;
        let (expected, own) = (pair.context.len() + pair.continuation.len(), pair.continuation.len());
        let hidden = encoder.bos_count(&pair.context);
        if scores.len() > expected || scores.len() + hidden < expected {
            return Err(Miss::unscored(format!(
                "the server splits the prompt into {} tokens, the tokenizer (--tokenizer) into {expected}",
                scores.len()
            )));
        }
        let Some(first) = scores.len().checked_sub(own) else { return Err(no_token(continuation)) };
        let told = scores.iter().skip(first).map(|token| token.id);
        if told.zip(&pair.continuation).any(|(told, id)| told.is_some_and(|told| told != *id)) {
            return Err(Miss::unscored("the server's tokens are not those of the tokenizer (--tokenizer)"));
        }
        Ok(sum(&scores, first)?)
    }

    pub async fn rolling(&mut self, text: &str) -> Result<Answer, Miss> {
        let scoring = self.scoring()?;
        let (tokens, prefix) = match &self.engine.tokens {
            Some(tokens) if self.engine.facts.ids => {
                let prefix = tokens.tokenizer.prefix().map(|token| token.id);
                (tokens.encoder()?.text(text)?, prefix)
            }
            None if self.may_be_too_long(text) && self.engine.facts.ids && scoring.tokenize.is_some() => {
                let prefix = self.server_ids("").await?.first().copied();
                (self.server_ids(text).await?, prefix)
            }
            _ => return self.rolling_whole(text, scoring).await,
        };
        let prefix =
            prefix.ok_or_else(|| Miss::unscored("the tokenizer has neither a BOS nor an EOS token to begin with"))?;
        let (mut logprob, num_tokens) = (0.0, tokens.len());
        for (mut ids, targets) in rolling_windows(&tokens, prefix, self.engine.window()) {
            ids.extend(targets.last());
            let scores = self.scores(Input::Ids(&ids)).await?;
            let first = scores.len().checked_sub(targets.len()).filter(|_| scores.len() == ids.len());
            let first = first.ok_or_else(|| Miss::unscored("the server scored other tokens than were sent"))?;
            logprob += sum(&scores, first)?.logprob;
        }
        Ok(Answer::Rolling { logprob, num_tokens })
    }

    /// A text in one piece, behind what the server puts before it.
    async fn rolling_whole(&mut self, text: &str, scoring: Scoring) -> Result<Answer, Miss> {
        if text.is_empty() {
            return Ok(Answer::Rolling { logprob: 0.0, num_tokens: 0 });
        }
        let scores = self.scores(Input::Text(text)).await?;
        let sum = sum(&scores, scoring.leading)?;
        Ok(Answer::Rolling { logprob: sum.logprob, num_tokens: sum.num_tokens })
    }

    /// The tokens of a prompt, without those that follow it.
    async fn scores(&mut self, input: Input<'_>) -> Result<Vec<TokenScore>, Miss> {
        match self.ask(&Ask::Score(input)).await? {
            Reply::Scores { mut tokens, generated, .. } => {
                tokens.truncate(tokens.len().saturating_sub(generated));
                Ok(tokens)
            }
            _ => Err(Miss::unscored("the server did not score the prompt")),
        }
    }

    /// How many tokens a context has when it stands alone.
    async fn context_len(&mut self, context: &str, scoring: Scoring) -> Result<usize, Miss> {
        let engine = self.engine;
        let mut job = Job { tally: Default::default(), ..*self };
        let made = engine.lengths.get(context, async {
            match scoring.tokenize {
                Some(hidden) => Ok::<_, Miss>(job.server_ids(context).await?.len().saturating_sub(hidden)),
                None => Ok(job.scores(Input::Text(context)).await?.len()),
            }
        });
        let made = made.await;
        self.tally.add(job.tally.usage, job.tally.delivery);
        made
    }

    /// Ids of a text as the server's tokenizer gives them, with what it puts before every text.
    pub async fn server_ids(&mut self, text: &str) -> Result<Vec<u32>, Miss> {
        match self.ask(&Ask::Tokenize { text, special: true }).await? {
            Reply::Tokens(ids) => Ok(ids),
            _ => Err(Miss::unscored("the server did not tokenize a text")),
        }
    }

    fn scoring(&self) -> Result<Scoring, Miss> {
        self.engine.facts.scoring.clone().map_err(Miss::unscored)
    }

    fn adds_bos(&self) -> bool {
        self.engine.facts.scoring.as_ref().is_ok_and(|scoring| scoring.leading > 0)
    }

    /// Whether a text could have more tokens than the window: a token has at least a byte.
    fn may_be_too_long(&self, text: &str) -> bool {
        self.engine.facts.max_length.is_some_and(|most| text.len() + 2 > most)
    }
}

fn encoder_text(job: &Job<'_>, text: &str) -> String {
    job.engine.tokens.as_ref().map_or(text, |tokens| tokens.without_bos(text)).to_string()
}

fn no_token(continuation: &str) -> Miss {
    Miss::unscored(format!("the continuation {continuation:?} has no token of its own"))
}
