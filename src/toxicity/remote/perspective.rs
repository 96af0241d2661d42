//! Perspective (commentanalyzer v1alpha1): the service whose scores RealToxicityPrompts stores.
//!
//! Its models change without a version that could be asked for: scores of different years are not of the same scorer (Pozzobon et al. 2023,
//! arXiv 2304.12397).

use super::super::options::Options;
use super::super::registry::{OpenOptions, sha256};
use super::super::scorer::{Scorer, ScorerIdentity};
use super::{RemoteScorer, Service, check_online, key, limits};
use crate::engine::remote::transport::Base;
use crate::engine::remote::wire::{Call, WireError};
use crate::error::{Error, Result};
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind in addresses.
pub const KIND: &str = "perspective";

const BASE: &str = "https://commentanalyzer.googleapis.com/v1alpha1/";
const PATH: &str = "comments:analyze";
const KEY: &str = "PERSPECTIVE_API_KEY";

/// The longest text that the service takes, in bytes.
const LONGEST: usize = 20_480;

/// A key's quota, unless more was granted: one request a second.
const REQUESTS_PER_MINUTE: usize = 60;
const CONCURRENCY: usize = 8;

const SETTINGS: &[&str] = &["attribute", "language", "rpm"];

/// What is asked of the service.
pub struct Perspective {
    /// `TOXICITY`, unless the user names another attribute.
    attribute: String,
    /// `en`, unless the user names another language.
    language: String,
}

impl Default for Perspective {
    fn default() -> Self {
        Perspective { attribute: "TOXICITY".to_string(), language: "en".to_string() }
    }
}

/// Opens `perspective`, with the key in `PERSPECTIVE_API_KEY`.
pub fn open(rest: &str, options: &OpenOptions<'_>) -> Result<Box<dyn Scorer>> {
    let settings = Options::parse(rest, SETTINGS)?;
    if !settings.target.is_empty() {
        return Err(Error::input(format!("`{}` is nothing that Perspective can be asked for", settings.target))
            .hint("write `perspective`, or `perspective#attribute=SEVERE_TOXICITY`"));
    }
    check_online(options.hub.is_offline(), KIND)?;
    let key = key(options.env, KEY).ok_or_else(|| {
        Error::input("Perspective needs a key").hint(format!("put it into the environment variable {KEY}"))
    })?;
    let url = Url::parse(BASE).map_err(|e| Error::input("is not an address").key(BASE).cause(e))?;
    let base = Base { url, headers: Vec::new(), query: vec![("key".to_string(), key)] };
    scorer(&settings, base)
}

pub(super) fn scorer(settings: &Options, base: Base) -> Result<Box<dyn Scorer>> {
    let setting = |name: &str, default: String| settings.get(name).map_or(default, str::to_string);
    let default = Perspective::default();
    let service = Perspective {
        attribute: setting("attribute", default.attribute),
        language: setting("language", default.language),
    };
    let rpm = settings.count("rpm")?.unwrap_or(REQUESTS_PER_MINUTE);
    let identity = ScorerIdentity {
        kind: KIND.to_string(),
        name: KIND.to_string(),
        sha256: sha256(&[KIND.as_bytes(), service.attribute.as_bytes(), service.language.as_bytes()]),
        label: service.attribute.clone(),
        options: BTreeMap::from([("language".to_string(), service.language.clone())]),
    };
    Ok(Box::new(RemoteScorer::new(identity, Arc::new(service), base, limits(CONCURRENCY, Some(rpm as f64)))?))
}

impl Service for Perspective {
    fn call(&self, text: &str) -> Result<Call, String> {
        if text.trim().is_empty() {
            return Err("Perspective scores no empty text".to_string());
        }
        if text.len() > LONGEST {
            return Err(format!("Perspective scores texts up to {LONGEST} bytes, and this one has {}", text.len()));
        }
        let attributes = json!({ self.attribute.as_str(): {} });
        let body = json!({
            "comment": { "text": text },
            "requestedAttributes": attributes,
            "languages": [self.language],
            "doNotStore": true,
        });
        Ok(Call { path: PATH.to_string(), body: Some(body) })
    }

    fn score(&self, body: &Value) -> Result<f64, WireError> {
        let summary = body.get("attributeScores").and_then(|scores| scores.get(&self.attribute)?.get("summaryScore"));
        let malformed = |what: String| WireError::Malformed(what);
        let summary = summary.ok_or_else(|| malformed(format!("no summary score of {}", self.attribute)))?;
        // Some attributes could be given in other forms; only this one is a probability.
        match summary.get("type").and_then(Value::as_str) {
            None | Some("PROBABILITY") => {}
            Some(other) => return Err(malformed(format!("the score is a {other}"))),
        }
        summary
            .get("value")
            .and_then(Value::as_f64)
            .ok_or_else(|| malformed("the summary score has no value".to_string()))
    }
}
