//! Added tokens: what the files beside `tokenizer.json` say about tokens that stand for themselves.
//!
//! Comes in: `tokenizer_config.json` (`added_tokens_decoder`, names of special tokens), `special_tokens_map.json`, `added_tokens.json`. Goes
//! out: the tokens to add to a tokenizer, in order. Never: ids of its own making; the library gives a token that the vocabulary lacks
//! the next free one.
//!
//! The rules are those of transformers 5 (`PreTrainedTokenizerBase._from_pretrained`, `TokenizersBackend.__init__`): what
//! `added_tokens_decoder` says of a token goes before what tokenizer.json says of it; `added_tokens.json` and
//! `special_tokens_map.json` count only where there is no `added_tokens_decoder`.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use tokenizers::AddedToken;

/// Characters of a token that messages show.
const LONGEST: usize = 60;

/// Tokens that have a name in every tokenizer; a model's own ones are called `<something>_token` as well.
const NAMED: &[&str] = &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The keys of `tokenizer_config.json` that are read. (`special_tokens_map.json` has some of them.)
#[derive(Deserialize, Default)]
pub struct Written {
    #[serde(default)]
    pub add_bos_token: Option<bool>,
    #[serde(default)]
    pub add_prefix_space: Option<bool>,
    #[serde(default)]
    pub legacy: Option<bool>,
    #[serde(default)]
    pub model_max_length: Option<f64>,
    #[serde(default)]
    pub tokenizer_class: Option<String>,
    #[serde(default)]
    added_tokens_decoder: Option<Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// All files beside a `tokenizer.json` that say something about added tokens.
pub struct Beside {
    pub config: Written,
    /// `special_tokens_map.json`
    pub map: Written,
    /// `added_tokens.json`: ids by text.
    pub added: BTreeMap<String, u32>,
}

impl Written {
    /// A special token, written as a string or as an object with `content`.
    fn token(&self, key: &str) -> Option<AddedToken> {
        token(self.rest.get(key)?, true)
    }

    /// Further special tokens: a list, or a table of names.
    fn extra(&self) -> Vec<AddedToken> {
        let keys = ["extra_special_tokens", "additional_special_tokens"];
        let listed = keys.into_iter().filter_map(|key| self.rest.get(key)).flat_map(|value| match value {
            Value::Array(tokens) => tokens.iter().collect::<Vec<_>>(),
            Value::Object(tokens) => tokens.values().collect(),
            _ => Vec::new(),
        });
        listed.filter_map(|value| token(value, true)).collect()
    }

    /// Names of special tokens: the usual ones, then the model's own.
    fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.rest.keys().map(String::as_str);
        NAMED.iter().copied().chain(own.filter(|key| key.ends_with("_token") && !NAMED.contains(key)))
    }
}

impl Beside {
    /// The text of a special token.
    pub fn text(&self, key: &str) -> Option<String> {
        self.named(key).map(|token| token.content)
    }

    fn named(&self, key: &str) -> Option<AddedToken> {
        // The map is from before `added_tokens_decoder`; where that is not there, the map goes before the configuration.
        let (first, second) = match self.config.added_tokens_decoder {
            Some(_) => (&self.config, &self.map),
            None => (&self.map, &self.config),
        };
        first.token(key).or_else(|| second.token(key))
    }

    /// What `added_tokens_decoder`, or else `added_tokens.json`, lists: tokens by their ids.
    fn listed(&self, special: &HashSet<String>) -> Result<BTreeMap<u32, AddedToken>> {
        let Some(decoder) = &self.config.added_tokens_decoder else {
            let token = |text: &String| AddedToken::from(text.clone(), special.contains(text));
            return Ok(self.added.iter().map(|(text, id)| (*id, token(text))).collect());
        };
        let wrong = |id: &str| {
            let id: String = id.chars().take(LONGEST).collect();
            Error::input(format!("the entry `{id}` is not an added token by its id")).key("added_tokens_decoder")
        };
        let entry = |(id, value): (&String, &Value)| match (id.parse(), token(value, false)) {
            (Ok(id), Some(token)) => Ok((id, token)),
            _ => Err(wrong(id)),
        };
        decoder.iter().map(entry).collect()
    }

    /// Adds all tokens to a tokenizer. Gives what the user should know: tokens that have another id than the files say.
    pub fn add_to(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<Option<String>> {
        let names = self.config.names().chain(self.map.names()).collect::<Vec<_>>();
        let mut named: Vec<AddedToken> = Vec::new();
        for token in names.into_iter().filter_map(|name| self.named(name)) {
            if !named.iter().any(|known| known.content == token.content) {
                named.push(token);
            }
        }
        let mut extra = self.config.extra();
        if self.config.added_tokens_decoder.is_none() {
            extra.extend(self.map.extra());
        }
        let special: HashSet<String> = named.iter().chain(&extra).map(|token| token.content.clone()).collect();
        let listed = self.listed(&special)?;
        let known = tokenizer.get_added_tokens_decoder();
        let mut seen: HashSet<String> = known.values().map(|token| token.content.clone()).collect();
        let mut tokens: Vec<AddedToken> = match self.config.added_tokens_decoder {
            Some(_) => listed.values().cloned().collect(),
            // What tokenizer.json says of a token goes before the bare list of texts.
            None => listed.values().filter(|token| !seen.contains(&token.content)).cloned().collect(),
        };
        seen.extend(tokens.iter().map(|token| token.content.clone()));
        tokens.extend(named.iter().chain(&extra).filter(|token| seen.insert(token.content.clone())).cloned());
        // A named token is special, whatever else is said about it.
        let is_named = |token: &AddedToken| named.iter().any(|name| name.content == token.content);
        let kept = known.values().filter(|token| !token.special && is_named(token));
        let listed_texts: HashSet<&String> = listed.values().map(|token| &token.content).collect();
        tokens.extend(kept.filter(|token| !listed_texts.contains(&token.content)).cloned());
        for token in tokens.iter_mut().filter(|token| is_named(token)) {
            token.special = true;
        }
        if tokens.is_empty() {
            return Ok(None);
        }
        let added = super::guard::run(|| tokenizer.add_tokens(tokens))?;
        added.map_err(|e| Error::input("names tokens that cannot be added").cause(e))?;
        let moved = |(id, token): &(&u32, &AddedToken)| tokenizer.token_to_id(&token.content) != Some(**id);
        let moved: Vec<_> = listed.iter().filter(moved).collect();
        Ok(moved.first().map(|(id, token)| {
            let text: String = token.content.chars().take(LONGEST).collect();
            let has = tokenizer.token_to_id(&token.content).map_or("none".to_string(), |id| id.to_string());
            format!(
                "{} of the added tokens have another id in the vocabulary than the files beside it say ({text:?}: {has}, not {id}); the \
                 vocabulary decides, as in transformers",
                moved.len()
            )
        }))
    }
}

/// A token, written as a text or as an object with its attributes. `special`: what it is where nothing is said.
fn token(value: &Value, special: bool) -> Option<AddedToken> {
    if let Some(text) = value.as_str() {
        return Some(AddedToken::from(text, special));
    }
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let special = special || flag("special").unwrap_or(false);
    let token = AddedToken::from(value.get("content")?.as_str()?, special);
    let normalized = flag("normalized").unwrap_or(token.normalized);
    let [single_word, lstrip, rstrip] = ["single_word", "lstrip", "rstrip"].map(|key| flag(key).unwrap_or(false));
    Some(token.normalized(normalized).single_word(single_word).lstrip(lstrip).rstrip(rstrip))
}
