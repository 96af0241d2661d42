//! What an endpoint can do, found out before anything else is asked of it.
//!
//! `examine` asks one server in one format, `scoring` judges whether what it says about prompts can be believed, `models` finds the
//! model. Here formats are tried in their order, and servers of a fleet held against each other.

mod control;
mod examine;
mod models;
mod scoring;

use super::address::{self, Address, OPENAI_COMPATIBLE};
use super::client::Client;
use super::tokens::Tokens;
use super::transport::{Base, Transport};
use super::unwanted::Unwanted;
use super::wire::{ServedModel, Wire};
use crate::engine::{Capabilities, EngineOptions, Prompts};
use crate::error::{Error, Result};
pub use control::control;
use examine::{Examined, Trouble, examine};
use models::{Listing, Model};

/// How far scores of one prompt by two servers of a fleet may be apart, relative: other devices round otherwise.
const FLEET_TOLERANCE: f64 = 2e-2;

/// How conversations become what the model sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// By the template that comes with `--tokenizer`.
    Tokenizer,
    /// By the server's template route.
    Server,
    /// They are sent as they are.
    Native,
}

/// That a server scores prompts, and how they are to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    /// Tokens that it shows before those of every text (BOS).
    pub leading: usize,
    /// Its tokenize route gives so many more tokens than it scores; `None`: it has no such route, or one of another tokenizer.
    pub tokenize: Option<usize>,
    /// What a certain prompt scored.
    pub sum: f64,
}

/// What an endpoint can do.
#[derive(Debug, Clone)]
pub struct Facts {
    pub max_length: Option<usize>,
    /// It takes texts.
    pub texts: bool,
    /// It takes token ids.
    pub ids: bool,
    pub turns: Option<Turns>,
    pub scoring: std::result::Result<Scoring, String>,
    /// First tokens to ask for.
    pub top: std::result::Result<usize, String>,
    pub generation: std::result::Result<(), String>,
    /// The model thinks before it answers.
    pub thinks: bool,
    /// Its thoughts are part of its texts.
    pub thinks_inline: bool,
}

/// An endpoint, ready to be asked.
pub struct Found {
    pub client: Client,
    pub facts: Facts,
    /// One line for people.
    pub description: String,
    pub notices: Vec<String>,
}

impl Facts {
    pub fn capabilities(&self) -> Capabilities {
        let scoring = self.scoring.as_ref().map(|_| ()).map_err(Clone::clone);
        let choosing = match (&self.top, &scoring) {
            (Ok(_), _) | (_, Ok(())) => Ok(()),
            (Err(reason), Err(_)) => Err(reason.clone()),
        };
        let prompts = match (self.texts, self.turns) {
            (false, _) => Prompts::ChatOnly,
            (true, None) => Prompts::TextOnly,
            (true, Some(_)) => Prompts::Any,
        };
        Capabilities { scoring, choosing, generation: self.generation.clone(), prompts }
    }

    /// How tokens of contexts and continuations are told apart, for the identity.
    pub fn split(&self, has_tokenizer: bool) -> &'static str {
        match (has_tokenizer, self.ids, &self.scoring) {
            (true, true, _) => "ids",
            (true, false, _) => "texts, counted by the tokenizer",
            (false, _, Ok(Scoring { tokenize: Some(_), .. })) => "text offsets, else the server's tokenizer",
            (false, _, Ok(_)) => "text offsets, else contexts alone",
            (false, _, Err(_)) => "the server's",
        }
    }

    fn describe(&self, wire: &str, bases: &[Base], has_tokenizer: bool) -> String {
        let place = match bases {
            [first, rest @ ..] if !rest.is_empty() => format!("{} and {} more", shown(first), rest.len()),
            [first, ..] => shown(first),
            [] => String::new(),
        };
        let mut can = Vec::new();
        match &self.scoring {
            Ok(_) => can.push(format!("scores prompts (by {})", self.split(has_tokenizer))),
            Err(reason) => can.push(format!("does not score prompts ({reason})")),
        }
        match &self.top {
            Ok(top) => can.push(format!("top {top} first tokens")),
            Err(reason) => can.push(format!("no first tokens ({reason})")),
        }
        match &self.generation {
            Ok(()) => can.push("generates".to_string()),
            Err(reason) => can.push(format!("does not generate ({reason})")),
        }
        can.push(match self.capabilities().prompts {
            Prompts::Any => "takes texts and turns".to_string(),
            Prompts::ChatOnly => "takes turns only".to_string(),
            Prompts::TextOnly => "takes texts only".to_string(),
        });
        let window = self.max_length.map(|most| format!("; window {most}")).unwrap_or_default();
        format!("{wire} at {place}: {}{window}", can.join(", "))
    }

    /// How well it suits what is wanted; 0: not at all.
    fn rank(&self, chat: bool) -> u8 {
        let suits = if chat { self.turns.is_some() } else { self.texts };
        match (suits, &self.scoring, &self.generation) {
            (true, Ok(_), _) => 3,
            (true, Err(_), Ok(())) => 2,
            (false, _, Ok(())) => 1,
            _ => 0,
        }
    }
}

/// A server's address without user, password and parameters.
pub fn shown(base: &Base) -> String {
    let mut url = base.url.clone();
    // These fail for addresses that can have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_string()
}

/// What all probes of an endpoint need.
struct Prober<'a> {
    address: &'a Address,
    options: &'a EngineOptions,
    tokens: Option<&'a Tokens>,
}

/// Finds out what an endpoint can do, and the best way to ask it.
pub async fn probe(address: &Address, options: &EngineOptions, tokens: Option<&Tokens>) -> Result<Found> {
    let prober = Prober { address, options, tokens };
    let (listings, wires) = prober.listings().await?;
    let mut refusals: Vec<String> = Vec::new();
    let mut best: Option<(u8, Client, Examined)> = None;
    for wire in wires {
        let client = prober.client(*wire, &address.bases)?;
        match prober.first(client, &listings).await {
            Ok((client, examined)) => {
                let rank = examined.facts.rank(options.chat);
                if rank == 0 {
                    refusals.push(format!("{}: {}", wire.name(), useless(&examined.facts)));
                } else if best.as_ref().is_none_or(|(least, ..)| rank > *least) {
                    best = Some((rank, client, examined));
                }
                if rank == 3 {
                    break;
                }
            }
            Err(Trouble::Failed(err)) if wires.len() == 1 => return Err(err),
            Err(Trouble::Failed(err)) => refusals.push(format!("{}: {}", wire.name(), err.message())),
            // What it could do were it not busy is not known: to go on in another format would be to guess.
            Err(Trouble::Fatal(err) | Trouble::Down(err)) => return Err(err),
        }
    }
    match best {
        Some((1, ..)) if options.chat => Err(Error::input(format!("`{}` takes texts only, and nobody knows the chat template", address.name))
            .hint("name the model's tokenizer (--tokenizer) for its template, name a chat route, or leave out --apply-chat-template")),
        Some((_, client, examined)) => prober.fleet(client, examined, &listings).await,
        None => Err(Error::input(format!("`{}` cannot be asked: {}", address.name, refusals.join("; ")))
            .hint("look at the address (does its path end in `v1`?), the model's name and the server's log")),
    }
}

/// Why facts are of no use.
fn useless(facts: &Facts) -> String {
    match (&facts.generation, &facts.scoring) {
        (Err(generation), _) => format!("it does not generate ({generation})"),
        (_, Err(scoring)) => format!("it does not score prompts ({scoring})"),
        _ => "it does not take these prompts".to_string(),
    }
}

impl Prober<'_> {
    fn client(&self, wire: &'static dyn Wire, bases: &[Base]) -> Result<Client> {
        Ok(Client {
            transport: Transport::new(bases.to_vec(), self.options.remote.limits.clone(), wire)?,
            wire,
            model: self.address.model.clone().unwrap_or_default(),
            told: None,
            extra_body: self.options.remote.extra_body.clone(),
            unwanted: Unwanted::default(),
        })
    }

    /// The models of each server, and the formats to try: those of the address, or of the server that the models say it is.
    async fn listings(&self) -> Result<(Vec<Listing>, &'static [&'static dyn Wire])> {
        let wires = self.address.wires;
        let Some(first) = wires.first() else { return Err(Error::input("the endpoint has no format")) };
        let client = self.client(*first, &self.address.bases)?;
        let mut listings = Vec::new();
        for base in 0..self.address.bases.len() {
            listings.push(models::list(&client, base).await);
        }
        if listings.iter().all(|listing| matches!(listing, Listing::Down(_)))
            && let Some(Listing::Down(err)) = listings.pop()
        {
            return Err(err);
        }
        let owner = |model: &ServedModel| model.owned_by.as_deref().and_then(address::by_owner);
        let owners = listings.iter().filter_map(|listing| listing.models().first().and_then(owner));
        let known = owners.map(|row| row.wires).next().filter(|_| self.address.row.name == OPENAI_COMPATIBLE.name);
        Ok((listings, known.unwrap_or(wires)))
    }

    /// Examines the first server that can be examined.
    async fn first(
        &self,
        mut client: Client,
        listings: &[Listing],
    ) -> std::result::Result<(Client, Examined), Trouble> {
        let (mut failed, mut down) = (None, None);
        let is_up = |(_, listing): &(usize, &Listing)| !matches!(listing, Listing::Down(_));
        for (base, listing) in listings.iter().enumerate().filter(is_up) {
            let Model { name, max_length, is_listed } = match models::choose(self.address, listing) {
                Ok(model) => model,
                Err(err) if matches!(listing, Listing::Failed(_)) => {
                    failed.get_or_insert(err);
                    continue;
                }
                Err(err) => return Err(Trouble::Fatal(err)),
            };
            client.model = name;
            match examine(self, &client, base, max_length).await {
                Ok(mut examined) => {
                    if !is_listed {
                        let accepted = models::accept_unlisted(&client, listing, examined.told.as_deref());
                        examined.notices.extend(accepted.map_err(Trouble::Fatal)?);
                    }
                    return Ok((client, examined));
                }
                Err(Trouble::Down(err)) => {
                    down.get_or_insert(err);
                }
                Err(Trouble::Failed(err)) => {
                    let err = if is_listed { err } else { models::hinted(err, &client.model, listing) };
                    failed.get_or_insert(err);
                }
                Err(fatal) => return Err(fatal),
            }
        }
        match (failed, down) {
            (None, Some(err)) => Err(Trouble::Down(err)),
            (failed, _) => Err(Trouble::Failed(failed.unwrap_or_else(|| Error::input("no server is named")))),
        }
    }

    /// Examines the other servers of a fleet. Those that are down are left out; the others must be alike.
    async fn fleet(&self, client: Client, examined: Examined, listings: &[Listing]) -> Result<Found> {
        let Examined { mut facts, base: first, told, mut notices } = examined;
        let mut bases = Vec::new();
        for (base, (server, listing)) in self.address.bases.iter().zip(listings).enumerate() {
            if base == first {
                bases.push(server.clone());
                continue;
            }
            let other = match models::choose(self.address, listing) {
                _ if let Listing::Down(err) = listing => Err(Trouble::Down(Error::input(err.message()))),
                Ok(model) if model.name == client.model => examine(self, &client, base, model.max_length).await,
                Ok(model) => {
                    return Err(unlike(server, &format!("it has the model `{}`, not `{}`", model.name, client.model)));
                }
                Err(err) => Err(Trouble::Failed(err)),
            };
            match other {
                Ok(other) => {
                    alike(&facts, &told, &other).map_err(|what| unlike(server, &what))?;
                    facts.max_length = facts.max_length.into_iter().chain(other.facts.max_length).min();
                    bases.push(server.clone());
                }
                Err(Trouble::Failed(err) | Trouble::Down(err)) => {
                    notices.push(format!("the server {} is left out: {}", shown(server), err.message()));
                }
                Err(Trouble::Fatal(err)) => return Err(err),
            }
        }
        let transport = if bases.len() == self.address.bases.len() {
            client.transport
        } else {
            Transport::new(bases.clone(), self.options.remote.limits.clone(), client.wire)?
        };
        notices.extend(self.address.notices.iter().cloned());
        let description = facts.describe(client.wire.name(), &bases, self.tokens.is_some());
        Ok(Found { client: Client { transport, told, ..client }, facts, description, notices })
    }
}

fn unlike(server: &Base, what: &str) -> Error {
    Error::input(format!("the server {} is not like the first of the fleet: {what}", shown(server)))
        .hint("the servers of a fleet must run the same model with the same settings")
}

/// Whether two servers of a fleet are alike, or how they are not.
fn alike(facts: &Facts, told: &Option<String>, other: &Examined) -> std::result::Result<(), String> {
    let theirs = &other.facts;
    if told != &other.told {
        let name = |told: &Option<String>| told.clone().unwrap_or_else(|| "no name".to_string());
        return Err(format!("its answers are of the model `{}`, not `{}`", name(&other.told), name(told)));
    }
    match (&facts.scoring, &theirs.scoring) {
        (Ok(ours), Ok(theirs)) => {
            if (ours.sum - theirs.sum).abs() > FLEET_TOLERANCE * ours.sum.abs() {
                return Err(format!("it scores a prompt {:.4}, the first {:.4}", theirs.sum, ours.sum));
            }
            if (ours.leading, ours.tokenize) != (theirs.leading, theirs.tokenize) {
                return Err("it puts other tokens before texts".to_string());
            }
        }
        (Ok(_), Err(reason)) => return Err(format!("it does not score prompts ({reason})")),
        (Err(_), Ok(_)) => return Err("it scores prompts, and the first does not".to_string()),
        (Err(_), Err(_)) => {}
    }
    let same =
        (facts.texts, facts.ids, facts.turns, facts.thinks) == (theirs.texts, theirs.ids, theirs.turns, theirs.thinks);
    if !same || facts.generation.is_ok() != theirs.generation.is_ok() {
        return Err("it takes other prompts or gives other answers".to_string());
    }
    match (&facts.top, &theirs.top) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Ok(()),
        (Err(_), Err(_)) => Ok(()),
        _ => Err("it lists another number of first tokens".to_string()),
    }
}
