//! What a server can really do, found out by a few tiny requests before anything is asked of it.

use super::address::Address;
use super::score::{Scored, is_scoring};
use super::transport::{Limits, ProbeFailure, Transport};
use super::wire::{Ask, Input, Reply, Sampling, ServedModel, Wire};
use crate::error::{Error, Result, nearest};
use crate::request::{Message, Role};

/// Texts of the probes: one context with two endings.
const CONTEXT: &str = "The quick brown fox jumps over the lazy";
const ENDINGS: [&str; 2] = [" dog again", " cat alone"];
/// First tokens that are asked for; servers give fewer.
const TOP: usize = 20;
/// How far log-likelihoods of two servers may be apart, in parts of the value.
const FLEET_TOLERANCE: f64 = 1e-2;
/// Tokens of a probing answer: some routes refuse fewer.
const ANSWER: usize = 16;

/// What was found out about a format at the servers of an address.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The model as the servers call it.
    pub model: String,
    /// The name that stands in their answers.
    pub answers_as: Option<String>,
    pub max_length: Option<usize>,
    /// It takes texts (else turns).
    pub takes_text: bool,
    pub generates: std::result::Result<(), String>,
    pub scores: std::result::Result<(), String>,
    /// How many first tokens it lists.
    pub first_tokens: std::result::Result<usize, String>,
    /// It says whether a token is the likeliest at its place.
    pub knows_greedy: bool,
    pub tokenizes: bool,
    pub applies_template: bool,
    /// It takes token ids for prompts.
    pub takes_ids: bool,
    /// The probed prompt's log-likelihood: servers of a fleet must agree on it.
    sum: Option<f64>,
}

/// Probes one format at all servers of an address. `Ok(Err(..))`: they do not speak it, and why. `ids`: a prompt in token ids, if the
/// tokenizer is there.
pub async fn probe(
    address: &Address,
    wire: &'static dyn Wire,
    limits: &Limits,
    ids: Option<&[u32]>,
    reasoning: bool,
) -> Result<std::result::Result<(Transport, Findings), String>> {
    let transport = Transport::new(address.bases.clone(), limits.clone(), wire)?;
    let mut found: Option<Findings> = None;
    for base in 0..transport.num_bases() {
        let prober = Prober { transport: &transport, base, wire, reasoning };
        match (prober.probe(address.model.as_deref(), ids).await?, &found) {
            (Err(reason), _) => return Ok(Err(reason)),
            (Ok(one), None) => found = Some(one),
            (Ok(one), Some(first)) => first.agrees_with(&one).map_err(|what| {
                Error::input(format!("server {} of the fleet differs from the first: {what}", base + 1))
                    .hint("all servers of a fleet must run the same model with the same settings")
            })?,
        }
    }
    match found {
        Some(found) => Ok(Ok((transport, found))),
        None => Ok(Err("no server is named".to_string())),
    }
}

impl Findings {
    /// Two servers of one model.
    fn agrees_with(&self, other: &Findings) -> std::result::Result<(), String> {
        if self.model != other.model {
            return Err(format!("it has the model `{}`, not `{}`", other.model, self.model));
        }
        if self.scores.is_ok() != other.scores.is_ok() {
            return Err("only one of them scores prompts".to_string());
        }
        match (self.sum, other.sum) {
            (Some(one), Some(two)) if !((one - two).abs() < FLEET_TOLERANCE * one.abs().max(1.0)) => {
                Err(format!("it scores the same prompt {two:.4}, the first {one:.4}"))
            }
            _ => Ok(()),
        }
    }

    /// One line for people.
    pub fn describe(&self, wire: &str, tokens: &str) -> String {
        let mut can = Vec::new();
        match &self.scores {
            Ok(()) => can.push(format!("scores prompts (tokens by {tokens})")),
            Err(said) => can.push(format!("does not score prompts ({said})")),
        }
        match &self.first_tokens {
            Ok(top) => can.push(format!("lists the {top} likeliest first tokens")),
            Err(_) => can.push("lists no first tokens".to_string()),
        }
        can.push(if self.generates.is_ok() { "generates".into() } else { "does not generate".into() });
        can.push(if self.takes_text { "takes texts".into() } else { "takes turns".into() });
        if let Some(length) = self.max_length {
            can.push(format!("window {length}"));
        }
        format!("{wire}: {}", can.join("; "))
    }
}

struct Prober<'a> {
    transport: &'a Transport,
    base: usize,
    wire: &'static dyn Wire,
    reasoning: bool,
}

impl Prober<'_> {
    /// Asks; `Ok(Err(..))`: the server has no such route, or not what the format promises.
    async fn ask(&self, model: &str, ask: Ask<'_>) -> Result<std::result::Result<Reply, String>> {
        let Some(call) = self.wire.call(model, &ask) else {
            return Ok(Err("the format has no such route".to_string()));
        };
        let wire = self.wire;
        match self.transport.send_to(self.base, &call, &|body| wire.reply(&ask, body)).await {
            Ok(reply) => Ok(Ok(reply)),
            Err(ProbeFailure::Missing(said) | ProbeFailure::Malformed(said)) => Ok(Err(brief(&said))),
            Err(ProbeFailure::Failed(err)) => Err(err),
        }
    }

    async fn probe(&self, named: Option<&str>, ids: Option<&[u32]>) -> Result<std::result::Result<Findings, String>> {
        let served = match self.ask("", Ask::Models).await {
            Ok(Ok(Reply::Models(models))) => models,
            // A list of models is a courtesy; the key may not be for it.
            Ok(_) => Vec::new(),
            Err(err) if named.is_none() => return Err(err),
            Err(_) => Vec::new(),
        };
        let model = match named {
            Some(model) => model.to_string(),
            None => only(&served)?,
        };
        let listed = served.iter().find(|one| one.id == model).or(served.first().filter(|_| served.len() == 1));
        let max_length = listed.and_then(|one| one.max_length);
        let turn = [Message { role: Role::User, content: "Say the letter A.".into() }];
        let sampling = Sampling {
            max_tokens: ANSWER,
            stops: Vec::new(),
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            seed: None,
            reasoning: self.reasoning,
        };
        let takes_text = self.wire.call(&model, &Ask::Generate(Input::Text(""), &sampling)).is_some();
        let input = if takes_text { Input::Text(CONTEXT) } else { Input::Chat(&turn) };
        let (generates, answers_as) = match self.ask(&model, Ask::Generate(input, &sampling)).await? {
            Ok(Reply::Text { model, .. }) => (Ok(()), model),
            Ok(_) => (Err("it answers with something else".to_string()), None),
            Err(said) => (Err(said), None),
        };
        if let Err(said) = &generates
            && !takes_text
        {
            return Ok(Err(unknown_model(&model, &served, said)));
        }
        let (scores, knows_greedy, sum) = self.scoring(&model).await?;
        if generates.is_err() && scores.is_err() {
            return Ok(Err(unknown_model(&model, &served, generates.as_ref().err().map_or("", |said| said))));
        }
        let first_tokens = match self.ask(&model, Ask::FirstToken { input, top: TOP }).await? {
            Ok(Reply::FirstToken { top, .. }) if top.len() > 1 => Ok(top.len()),
            Ok(Reply::FirstToken { .. }) => Err("it lists the likeliest first token only".to_string()),
            Ok(_) => Err("it answers with something else".to_string()),
            Err(said) => Err(said),
        };
        let tokenizes = matches!(
            self.ask(&model, Ask::Tokenize { text: CONTEXT, special: true }).await?,
            Ok(Reply::Tokens(tokens)) if !tokens.is_empty()
        );
        let applies_template =
            takes_text && matches!(self.ask(&model, Ask::ApplyTemplate(&turn)).await?, Ok(Reply::Template(_)));
        let takes_ids = match ids {
            Some(ids) => self.takes_ids(&model, ids, &sampling, scores.is_ok()).await?,
            None => false,
        };
        Ok(Ok(Findings {
            model,
            answers_as,
            max_length,
            takes_text,
            generates,
            scores,
            first_tokens,
            knows_greedy,
            tokenizes,
            applies_template,
            takes_ids,
            sum,
        }))
    }

    /// Whether prompts are scored, whether it is told which tokens are the likeliest, and the first prompt's log-likelihood.
    async fn scoring(&self, model: &str) -> Result<(std::result::Result<(), String>, bool, Option<f64>)> {
        let prompts = ENDINGS.map(|ending| format!("{CONTEXT}{ending}"));
        let mut answers = Vec::new();
        for prompt in [&prompts[0], &prompts[0], &prompts[1]] {
            match self.ask(model, Ask::Score(Input::Text(prompt))).await? {
                Ok(Reply::Scores { tokens, generated, usage, .. }) => {
                    answers.push((Scored::of_text(tokens, generated, prompt), (usage.prompt_tokens, generated)));
                }
                Ok(_) => return Ok((Err("it answers with something else".into()), false, None)),
                Err(said) => return Ok((Err(said), false, None)),
            }
        }
        let [(first, counted), (again, _), (other, _)] = answers.as_slice() else {
            return Ok((Err("it does not answer".into()), false, None));
        };
        let judged = is_scoring(first, again, other, *counted);
        let sum = first.sum_from(1).ok().map(|(sum, _, _)| sum);
        Ok((judged, first.knows_greedy(), sum))
    }

    async fn takes_ids(&self, model: &str, ids: &[u32], sampling: &Sampling, scores: bool) -> Result<bool> {
        let input = Input::Ids(ids);
        let ask = if scores { Ask::Score(input) } else { Ask::Generate(input, sampling) };
        Ok(match self.ask(model, ask).await? {
            Ok(Reply::Scores { tokens, generated, .. }) => tokens.len().saturating_sub(generated) == ids.len(),
            Ok(Reply::Text { .. }) => true,
            _ => false,
        })
    }
}

/// What a server said, without its address and without the body that it sent.
fn brief(said: &str) -> String {
    let said = said.split(": {").next().unwrap_or(said);
    let said = match said.split_once(" from http") {
        Some((status, rest)) => {
            format!("{status}{}", rest.find([' ', ':']).and_then(|end| rest.get(end..)).unwrap_or_default())
        }
        None => said.to_string(),
    };
    said.chars().take(200).collect()
}

/// The only model of a server.
fn only(served: &[ServedModel]) -> Result<String> {
    match served {
        [one] => Ok(one.id.clone()),
        [] => {
            Err(Error::input("no model is named, and the server does not say which it has").hint("write `URL#MODEL`"))
        }
        many => {
            let names: Vec<&str> = many.iter().take(10).map(|one| one.id.as_str()).collect();
            Err(Error::input(format!("no model is named, and the server has {}", many.len()))
                .hint(format!("write `URL#MODEL`; it has {}", names.join(", "))))
        }
    }
}

/// What the server said, with the models that it has when ours is not among them.
fn unknown_model(model: &str, served: &[ServedModel], said: &str) -> String {
    if served.is_empty() || served.iter().any(|one| one.id == model) {
        return said.to_string();
    }
    let names: Vec<&str> = served.iter().take(10).map(|one| one.id.as_str()).collect();
    match nearest(model, served.iter().map(|one| one.id.as_str())) {
        Some(near) => format!("{said} (the server lists no model `{model}`; did you mean `{near}`?)"),
        None => format!("{said} (the server lists no model `{model}`; it has {})", names.join(", ")),
    }
}
