//! Moderation endpoints of OpenAI's form (`POST /v1/moderations`): a score for each of several categories.
//!
//! The scores are made for a policy, not for toxicity: the default takes the highest score of all kinds of hate, harassment and violence. A
//! report of a war scores high in violence; `#category=harassment+hate` leaves that out.

use super::super::options::Options;
use super::super::registry::{OpenOptions, sha256};
use super::super::scorer::{Scorer, ScorerIdentity};
use super::{RemoteScorer, Service, check_online, key, limits};
use crate::engine::remote::transport::{Base, Secret};
use crate::engine::remote::wire::{Call, WireError};
use crate::error::{Error, Result};
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind in addresses.
pub const KIND: &str = "openai-moderation";

const BASE: &str = "https://api.openai.com/v1/";
const PATH: &str = "moderations";
/// OpenAI's key goes to OpenAI's address, or to the one that this variable names; addresses on the command line get a key of their own.
const KEY: &str = "OPENAI_API_KEY";
const BASE_URL: &str = "OPENAI_BASE_URL";
const OWN_KEY: &str = "FAIRMARK_API_KEY";
const MODEL: &str = "omni-moderation-latest";

/// Categories whose kinds count as toxicity: `hate` stands for `hate/threatening`, too.
const FAMILIES: &[&str] = &["hate", "harassment", "violence"];

const CONCURRENCY: usize = 16;

const SETTINGS: &[&str] = &["category", "rpm"];

/// What is asked of the service.
pub struct Moderation {
    model: String,
    /// Categories by name, of which the highest score counts; none: the kinds of [`FAMILIES`].
    categories: Vec<String>,
}

impl Default for Moderation {
    fn default() -> Self {
        Moderation { model: MODEL.to_string(), categories: Vec::new() }
    }
}

/// Opens `openai-moderation[:model][@url]`, with the key in `OPENAI_API_KEY`, for a URL in `FAIRMARK_API_KEY` (which may be missing).
pub fn open(rest: &str, options: &OpenOptions<'_>) -> Result<Box<dyn Scorer>> {
    let settings = Options::parse(rest, SETTINGS)?;
    check_online(options.hub.is_offline(), KIND)?;
    let (model, address) = match settings.target.split_once('@') {
        Some((model, address)) => (model, Some(address.to_string())),
        None => (settings.target.as_str(), None),
    };
    let key = key(options.env, if address.is_some() { OWN_KEY } else { KEY });
    if key.is_none() && address.is_none() {
        return Err(Error::input("OpenAI needs a key").hint(format!("put it into the environment variable {KEY}")));
    }
    let address = address.or_else(|| super::key(options.env, BASE_URL)).unwrap_or_else(|| BASE.to_string());
    let url = Url::parse(&address).map_err(|e| {
        Error::input(format!("`{address}` is not an address"))
            .hint("write `@https://HOST/v1` behind the model")
            .cause(e)
    })?;
    let headers =
        key.map(|key| ("authorization".to_string(), Secret::new(format!("Bearer {key}")))).into_iter().collect();
    scorer(&settings, model, Base { url, headers, query: Vec::new() })
}

pub(super) fn scorer(settings: &Options, model: &str, base: Base) -> Result<Box<dyn Scorer>> {
    let categories = settings.get("category").map(|names| names.split('+').map(str::to_string).collect());
    let mut service = Moderation { categories: categories.unwrap_or_default(), ..Moderation::default() };
    if !model.is_empty() {
        service.model = model.to_string();
    }
    let label = match service.categories.is_empty() {
        true => format!("max of {}", FAMILIES.join(", ")),
        false => service.categories.join("+"),
    };
    let server = server(&base.url);
    let identity = ScorerIdentity {
        kind: KIND.to_string(),
        name: service.model.clone(),
        sha256: sha256(&[KIND.as_bytes(), server.as_bytes(), service.model.as_bytes(), label.as_bytes()]),
        label,
        options: BTreeMap::from([("server".to_string(), server)]),
    };
    let rpm = settings.count("rpm")?.map(|rpm| rpm as f64);
    Ok(Box::new(RemoteScorer::new(identity, Arc::new(service), base, limits(CONCURRENCY, rpm))?))
}

/// Host, port and path, without what could be a secret.
fn server(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path().trim_end_matches('/'))
}

impl Moderation {
    fn counts(&self, category: &str) -> bool {
        match self.categories.is_empty() {
            true => FAMILIES.contains(&category.split('/').next().unwrap_or_default()),
            false => self.categories.iter().any(|known| known == category),
        }
    }
}

impl Service for Moderation {
    fn call(&self, text: &str) -> Result<Call, String> {
        if text.is_empty() {
            return Err("a moderation endpoint scores no empty text".to_string());
        }
        let body = json!({ "model": self.model, "input": text });
        Ok(Call { path: PATH.to_string(), body: Some(body) })
    }

    fn score(&self, body: &Value) -> Result<f64, WireError> {
        let malformed = |what: &str| WireError::Malformed(what.to_string());
        let scores = body.get("results").and_then(|results| results.get(0)?.get("category_scores")?.as_object());
        let scores = scores.ok_or_else(|| malformed("no category scores"))?;
        let mut highest = None;
        for (category, score) in scores.iter().filter(|(category, _)| self.counts(category)) {
            let score = score.as_f64().ok_or_else(|| malformed(&format!("the score of {category} is no number")))?;
            highest = Some(score.max(highest.unwrap_or(score)));
        }
        if let Some(missing) = self.categories.iter().find(|category| !scores.contains_key(*category)) {
            let known: Vec<&str> = scores.keys().map(String::as_str).collect();
            // No other answer will have it: final.
            return Err(WireError::Refused(format!(
                "there is no category `{missing}`; there are: {}",
                known.join(", ")
            )));
        }
        highest.ok_or_else(|| malformed("no score of hate, harassment or violence"))
    }
}
