//! One server in one format: a few tiny requests.

use super::super::client::{self, Client};
use super::super::transport::ProbeFailure;
use super::super::wire::{Ask, Input, Reply, Sampling};
use super::scoring::{Proof, Scored, judge, leading};
use super::{Facts, Prober, Scoring, Turns};
use crate::engine::thinking::shows;
use crate::error::Error;
use crate::request::{Message, Role};

/// A context with two endings.
pub const CONTEXT: &str = "The quick brown fox jumps over the lazy";
const ENDINGS: [&str; 2] = [" dog again", " cat alone"];

/// Tokens that are to be written: some routes refuse fewer.
const WRITTEN: usize = 16;

/// First tokens to ask for, the most first.
const TOPS: &[usize] = &[20, 10, 8, 5, 2];

/// How far scores of one prompt as text and as token ids may be apart, relative.
const SAME: f64 = 1e-3;

/// How formats complain about tokens that are not the prompt's, and what that means when prompts are to be scored.
const OTHER_PROMPT: &str = "answered another prompt";
const GENERATED_ONLY: &str = "the server returns log-probabilities of generated tokens only, it seems";

/// What a server does that gives no answers at all.
const ALL_THOUGHT: &str = "the whole answer to a test question stood in the thought's field: is the server's reasoning parser right for this model, \
                           or is thinking off?";

/// Characters of a server's complaint that are repeated.
const COMPLAINT: usize = 200;

/// What was found out about one server.
pub struct Examined {
    pub base: usize,
    pub facts: Facts,
    /// The model that its answers name.
    pub told: Option<String>,
    pub notices: Vec<String>,
}

/// Why nothing was found out.
pub enum Trouble {
    /// The server cannot be asked in this way.
    Failed(Error),
    /// At the moment.
    Down(Error),
    /// Nor in any other way.
    Fatal(Error),
}

struct Examiner<'a> {
    prober: &'a Prober<'a>,
    client: &'a Client,
    base: usize,
    notices: Vec<String>,
    told: Option<String>,
}

/// What the server wrote.
struct Written {
    thinks: bool,
    thinks_inline: bool,
}

/// Asks a server whatever it may be able to do.
pub async fn examine(
    prober: &Prober<'_>,
    client: &Client,
    base: usize,
    listed: Option<usize>,
) -> Result<Examined, Trouble> {
    let mut examiner = Examiner { prober, client, base, notices: Vec::new(), told: None };
    let turns = question();
    let has_texts = client.call(&Ask::Generate(Input::Text(CONTEXT), &sampling(false))).is_some();
    let has_turns = client.call(&Ask::Generate(Input::Chat(&turns), &sampling(false))).is_some();
    let chat = prober.options.chat;
    let (mut texts, mut native) = (has_texts, has_turns);
    let mut written = Err("the format has no route for it".to_string());
    if has_texts {
        written = examiner.write(Input::Text(CONTEXT)).await?;
        texts = written.is_ok() || !has_turns;
    }
    if has_turns && (chat || !texts) {
        let in_turns = examiner.write(Input::Chat(&turns)).await?;
        native = in_turns.is_ok();
        if !texts {
            written = in_turns;
        }
    }
    let (mut scoring, ids) = if has_texts { examiner.scores().await? } else { (Err(no_scoring(client)), false) };
    texts |= scoring.is_ok() && has_texts;
    let by_server = has_texts && examiner.ask(&Ask::ApplyTemplate(&turns)).await?.is_ok();
    let by_tokenizer = texts && prober.tokens.is_some_and(|tokens| tokens.has_chat());
    let turns_by = match (by_tokenizer, by_server && texts, native) {
        (true, ..) => Some(Turns::Tokenizer),
        (_, true, false) => Some(Turns::Server),
        (_, true, true) if scoring.is_ok() => Some(Turns::Server),
        (_, _, true) => Some(Turns::Native),
        _ => None,
    };
    if chat && scoring.is_ok() && turns_by == Some(Turns::Native) {
        scoring = Err("conversations go to a chat route, which does not score them".to_string());
    }
    let thinks = written.as_ref().is_ok_and(|written| written.thinks);
    let thinks_inline = written.as_ref().is_ok_and(|written| written.thinks_inline);
    let first =
        if texts && !(chat && turns_by == Some(Turns::Native)) { Input::Text(CONTEXT) } else { Input::Chat(&turns) };
    let top = examiner.top(first, thinks).await?;
    let Examiner { notices, told, .. } = examiner;
    let generation = written.map(|_| ());
    let facts =
        Facts { max_length: listed, texts, ids, turns: turns_by, scoring, top, generation, thinks, thinks_inline };
    Ok(Examined { base, facts, told, notices })
}

fn no_scoring(client: &Client) -> String {
    format!("the format {} has no scores of prompts", client.wire.name())
}

pub fn question() -> [Message; 1] {
    [Message { role: Role::User, content: "Say the letter A.".to_string() }]
}

pub fn sampling(reasoning: bool) -> Sampling {
    Sampling { reasoning, ..Sampling::greedy(WRITTEN) }
}

impl Examiner<'_> {
    /// Asks, or says why not. That a server is busy is no such reason.
    async fn ask(&mut self, ask: &Ask<'_>) -> Result<Result<Reply, String>, Trouble> {
        let reply = match self.client.ask_base(self.base, ask).await {
            Some(Ok(reply)) => reply,
            Some(Err(ProbeFailure::Missing(said, _) | ProbeFailure::Malformed(said))) => return Ok(Err(brief(&said))),
            Some(Err(ProbeFailure::Failed(err))) => return Ok(Err(brief(err.message()))),
            Some(Err(ProbeFailure::Unavailable(err))) => return Err(Trouble::Down(err)),
            None if matches!(ask, Ask::Score(_)) => return Ok(Err(no_scoring(self.client))),
            None => return Ok(Err(format!("the format {} has no route for it", self.client.wire.name()))),
        };
        Ok(self.heed(&reply).map(|()| reply))
    }

    /// All answers must name the same model.
    fn heed(&mut self, reply: &Reply) -> Result<(), String> {
        let Some(told) = client::model(reply) else { return Ok(()) };
        match &self.told {
            Some(before) if before != told => Err(format!("its answers name now the model `{before}`, now `{told}`")),
            Some(_) => Ok(()),
            None => {
                self.told = Some(told.to_string());
                Ok(())
            }
        }
    }

    /// Lets the server write. That it cannot be asked at all ends the examination.
    async fn write(&mut self, input: Input<'_>) -> Result<Result<Written, String>, Trouble> {
        let asked = self.prober.options.remote.reasoning;
        let mut complaint = String::new();
        // Models that only think may refuse the settings of others.
        for reasoning in [asked.unwrap_or(false), true] {
            match self.client.ask_base(self.base, &Ask::Generate(input, &sampling(reasoning))).await {
                Some(Ok(reply)) => {
                    if let Err(said) = self.heed(&reply) {
                        return Ok(Err(said));
                    }
                    let Reply::Text { text, reasoning: field, cut_off, usage, .. } = reply else {
                        return Ok(Err("it answers with something else".to_string()));
                    };
                    if text.trim().is_empty() && !cut_off && shows("", field.as_deref()) {
                        self.notices.push(ALL_THOUGHT.to_string());
                    }
                    let inline = shows(&text, None);
                    let thinks = inline || shows("", field.as_deref()) || usage.reasoning_tokens > 0;
                    let thinks = asked.unwrap_or(thinks || reasoning);
                    return Ok(Ok(Written { thinks, thinks_inline: thinks && inline }));
                }
                Some(Err(ProbeFailure::Failed(err))) => return Err(Trouble::Failed(err)),
                Some(Err(ProbeFailure::Unavailable(err))) => return Err(Trouble::Down(err)),
                Some(Err(ProbeFailure::Malformed(said))) => return Ok(Err(brief(&said))),
                Some(Err(ProbeFailure::Missing(said, _))) => complaint = brief(&said),
                None => return Ok(Err("the format has no route for it".to_string())),
            }
            if asked.is_some() || !is_refusal(&complaint) {
                break;
            }
        }
        Ok(Err(complaint))
    }

    /// Whether prompts are scored, and whether as token ids.
    async fn scores(&mut self) -> Result<(Result<Scoring, String>, bool), Trouble> {
        let whole = ENDINGS.map(|ending| format!("{CONTEXT}{ending}"));
        let texts = [whole[0].as_str(), whole[1].as_str()];
        let as_text = self.prove(texts.map(Input::Text)).await?;
        let Some(tokens) = self.prober.tokens else {
            let (proof, scored) = match as_text {
                Ok(proven) => proven,
                Err(reason) => return Ok((Err(reason), false)),
            };
            let scoring = self.scoring(proof, &scored, texts[0]).await?;
            let ids = self.takes_server_ids(&scoring, texts[0]).await?;
            return Ok((Ok(scoring), ids));
        };
        let encoded = tokens.encoder().and_then(|encoder| Ok([encoder.text(texts[0])?, encoder.text(texts[1])?]));
        let [first, second] = encoded.map_err(Trouble::Fatal)?;
        let as_ids = self.prove([Input::Ids(&first), Input::Ids(&second)]).await?;
        if let Ok((_, scored)) = &as_text {
            self.same_tokenizer(&first, scored)?;
        }
        match (as_ids, as_text) {
            (Ok((by_ids, _)), as_text) => {
                if let Ok((by_text, scored)) = &as_text
                    && scored.tokens.len() == first.len()
                    && (by_ids.sum - by_text.sum).abs() > SAME * by_text.sum.abs()
                {
                    let what =
                        format!("a prompt scores {:.4} as text and {:.4} as its token ids", by_text.sum, by_ids.sum);
                    return Err(other_tokenizer(&what));
                }
                let leading = as_text.as_ref().map_or(0, |(_, scored)| leading(&scored.tokens));
                Ok((Ok(Scoring { leading, tokenize: None, sum: by_ids.sum }), true))
            }
            (Err(_), Ok((proof, scored))) => Ok((Ok(self.scoring(proof, &scored, texts[0]).await?), false)),
            (Err(_), Err(reason)) => Ok((Err(reason), self.writes_ids(&first).await?)),
        }
    }

    async fn scoring(&mut self, proof: Proof, scored: &Scored, text: &str) -> Result<Scoring, Trouble> {
        self.notices.extend(proof.notice);
        let tokenize = match self.ask(&Ask::Tokenize { text, special: true }).await? {
            Ok(Reply::Tokens(ids)) => ids.len().checked_sub(scored.tokens.len()).filter(|hidden| *hidden <= 1),
            _ => None,
        };
        Ok(Scoring { leading: leading(&scored.tokens), tokenize, sum: proof.sum })
    }

    /// Scores of three prompts, judged; with the first.
    async fn prove(&mut self, [first, other]: [Input<'_>; 2]) -> Result<Result<(Proof, Scored), String>, Trouble> {
        let one = match self.scored(first).await? {
            Ok(one) => one,
            Err(reason) => return Ok(Err(reason)),
        };
        let (two, three) = (self.scored(first).await?, self.scored(other).await?);
        Ok(two
            .and_then(|two| Ok((two, three?)))
            .and_then(|(two, three)| judge(&one, &two, &three))
            .map(|proof| (proof, one)))
    }

    async fn scored(&mut self, input: Input<'_>) -> Result<Result<Scored, String>, Trouble> {
        Ok(match self.ask(&Ask::Score(input)).await? {
            Ok(Reply::Scores { mut tokens, generated, usage, .. }) => {
                let mut behind = tokens.split_off(tokens.len().saturating_sub(generated));
                let following = if behind.is_empty() { None } else { Some(behind.swap_remove(0)) };
                Ok(Scored { tokens, following, prompt_tokens: usage.prompt_tokens })
            }
            Ok(_) => Err("it answers with something else".to_string()),
            Err(said) if said.contains(OTHER_PROMPT) => Err(format!("{GENERATED_ONLY}: {said}")),
            Err(said) if said.starts_with("HTTP 200") => {
                Err(format!("it returns no log-probabilities of prompts: {said}"))
            }
            Err(said) => Err(said),
        })
    }

    /// Whether ids of the server's tokenize route are taken for prompts, and mean what they should.
    async fn takes_server_ids(&mut self, scoring: &Scoring, text: &str) -> Result<bool, Trouble> {
        if scoring.tokenize.is_none() {
            return Ok(false);
        }
        let Ok(Reply::Tokens(ids)) = self.ask(&Ask::Tokenize { text, special: true }).await? else { return Ok(false) };
        let Ok(scored) = self.scored(Input::Ids(&ids)).await? else { return Ok(false) };
        let sum: f64 = scored.tokens.iter().filter_map(|token| token.logprob).sum();
        Ok(scored.tokens.len() == ids.len() && (sum - scoring.sum).abs() <= SAME * scoring.sum.abs())
    }

    /// Whether ids are taken for prompts that are to be continued.
    async fn writes_ids(&mut self, ids: &[u32]) -> Result<bool, Trouble> {
        Ok(match self.ask(&Ask::Generate(Input::Ids(ids), &sampling(false))).await? {
            Ok(Reply::Text { usage, .. }) => usage.prompt_tokens == 0 || usage.prompt_tokens == ids.len(),
            _ => false,
        })
    }

    /// The tokenizer that the user names must be the model's.
    fn same_tokenizer(&self, ids: &[u32], scored: &Scored) -> Result<(), Trouble> {
        let (ours, theirs) = (ids.len(), scored.tokens.len());
        if ours.abs_diff(theirs) > 1 {
            return Err(other_tokenizer(&format!("it splits a text into {ours} tokens, the server into {theirs}")));
        }
        let told = scored.tokens.iter().rev().map(|token| token.id);
        match told.zip(ids.iter().rev()).find(|(told, id)| told.is_some_and(|told| told != **id)) {
            Some((Some(told), id)) => Err(other_tokenizer(&format!("its token {id} is the server's {told}"))),
            _ => Ok(()),
        }
    }

    /// How many first tokens are listed.
    async fn top(&mut self, input: Input<'_>, thinks: bool) -> Result<Result<usize, String>, Trouble> {
        if thinks {
            return Ok(Err("the model thinks before it answers: its first token is a thought's".to_string()));
        }
        let mut complaint = String::new();
        for top in TOPS {
            match self.ask(&Ask::FirstToken { input, top: *top }).await? {
                Ok(Reply::FirstToken { top: listed, .. }) => return Ok(judge_top(&listed).map(|()| *top)),
                Ok(_) => return Ok(Err("it answers with something else".to_string())),
                Err(said) => complaint = said,
            }
            // Only a number that is too high is worth another try.
            if !is_refusal(&complaint) {
                break;
            }
        }
        Ok(Err(complaint))
    }
}

/// Whether a complaint is about the body of a request, not about its route.
fn is_refusal(complaint: &str) -> bool {
    complaint.starts_with("HTTP 4") && !complaint.starts_with("HTTP 404")
}

fn other_tokenizer(what: &str) -> Trouble {
    Trouble::Fatal(
        Error::input(format!("--tokenizer is not the tokenizer of the server's model: {what}"))
            .hint("name the folder or hub id of the very model that the server runs"),
    )
}

fn judge_top(listed: &[(String, f64)]) -> Result<(), String> {
    if listed.len() < 2 {
        return Err("it lists the likeliest first token only".to_string());
    }
    if let Some((_, logprob)) = listed.iter().find(|(_, logprob)| logprob.is_nan() || *logprob > 1e-3) {
        return Err(format!("it gives a first token the log-probability {logprob}"));
    }
    let total: f64 = listed.iter().map(|(_, logprob)| logprob.exp()).sum();
    if total > 1.01 {
        return Err(format!("probabilities of its first tokens sum to {total:.2}"));
    }
    Ok(())
}

/// A complaint on one line.
fn brief(said: &str) -> String {
    let line: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(COMPLAINT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_tokens_are_judged() {
        let listed = |logprobs: &[f64]| logprobs.iter().map(|l| ("x".to_string(), *l)).collect::<Vec<_>>();
        assert_eq!(judge_top(&listed(&[-0.5, -1.5])), Ok(()));
        for (bad, says) in
            [(&[-0.5][..], "only"), (&[0.5, -1.0], "0.5"), (&[0.0, 0.0], "2.00"), (&[f64::NAN, -1.0], "NaN")]
        {
            assert!(judge_top(&listed(bad)).unwrap_err().contains(says));
        }
    }

    #[test]
    fn complaints_are_short() {
        assert_eq!(brief("a\n  b"), "a b");
        assert!(brief(&"é".repeat(500)).chars().count() == COMPLAINT + 3);
    }
}
