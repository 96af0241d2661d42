//! Which model is meant, by what servers list.

use super::super::address::Address;
use super::super::client::Client;
use super::super::transport::ProbeFailure;
use super::super::wire::{Ask, Reply, ServedModel};
use crate::error::{Error, Result, nearest};

/// Names that an error lists.
const LISTED: usize = 10;

/// The models of a server.
pub enum Listing {
    Models(Vec<ServedModel>),
    /// It does not say.
    Unknown,
    /// It does not want to say: the key may not be for lists.
    Failed(Error),
    /// It cannot be asked at the moment.
    Down(Error),
}

impl Listing {
    pub fn models(&self) -> &[ServedModel] {
        match self {
            Listing::Models(models) => models,
            Listing::Unknown | Listing::Failed(_) | Listing::Down(_) => &[],
        }
    }
}

/// A model to ask for.
pub struct Model {
    pub name: String,
    pub max_length: Option<usize>,
    /// The server lists it, or lists nothing.
    pub is_listed: bool,
}

/// The models of one server.
pub async fn list(client: &Client, base: usize) -> Listing {
    match client.ask_base(base, &Ask::Models).await {
        Some(Ok(Reply::Models(models))) => Listing::Models(models),
        Some(Err(ProbeFailure::Failed(err))) => Listing::Failed(err),
        Some(Err(ProbeFailure::Unavailable(err))) => Listing::Down(err),
        _ => Listing::Unknown,
    }
}

/// The model that is named, or the only one.
pub fn choose(address: &Address, listing: &Listing) -> Result<Model> {
    let models = listing.models();
    let Some(name) = &address.model else {
        return match (models, listing) {
            ([only], _) => Ok(Model { name: only.id.clone(), max_length: only.max_length, is_listed: true }),
            ([], Listing::Failed(err) | Listing::Down(err)) => Err(Error::new(err.kind(), err.message())
                .hint(err.hint_text().unwrap_or("is the server running, and is this its address?"))),
            ([], _) => Err(Error::input("no model is named, and the server does not say which it has")
                .hint(format!("name it: `{}#MODEL`", address.name))),
            (several, _) => Err(Error::input(format!("no model is named, and the server has {}", several.len()))
                .hint(format!("name one: `{}#MODEL`; it has {}", address.name.trim_end_matches('#'), names(several)))),
        };
    };
    let found = models.iter().find(|model| is_same(&model.id, name));
    Ok(Model {
        name: name.clone(),
        max_length: found.and_then(|model| model.max_length),
        is_listed: found.is_some() || models.is_empty(),
    })
}

/// Whether an entry of a list means a name: some lists have a prefix (`models/`) or a tag (`:latest`) that names may lack.
fn is_same(listed: &str, name: &str) -> bool {
    let bare = listed.strip_suffix(":latest").unwrap_or(listed);
    let bare = bare.strip_prefix("models/").unwrap_or(bare);
    listed == name || bare == name || name.strip_prefix("models/") == Some(bare)
}

/// Takes a model that is not listed only if the answers name it. Servers with one model often repeat whatever name they were asked for:
/// that is said.
pub fn accept_unlisted(client: &Client, listing: &Listing, told: Option<&str>) -> Result<Option<String>> {
    if told != Some(client.model.as_str()) {
        return Err(unknown(&client.model, listing));
    }
    Ok(match listing.models() {
        [only] => Some(format!("the server lists only the model `{}`, and answers to `{}`", only.id, client.model)),
        _ => None,
    })
}

/// An error about a model that the server does not list, with what it has.
pub fn hinted(err: Error, model: &str, listing: &Listing) -> Error {
    if listing.models().is_empty() { err } else { unknown(model, listing) }
}

fn unknown(model: &str, listing: &Listing) -> Error {
    let models = listing.models();
    let near = nearest(model, models.iter().map(|model| model.id.as_str()));
    let known = format!("it has {}", names(models));
    let hint = near.map_or(known.clone(), |near| format!("did you mean `{near}`? {known}"));
    Error::input(format!("the server has no model `{model}`")).hint(hint)
}

fn names(models: &[ServedModel]) -> String {
    let names: Vec<String> = models.iter().take(LISTED).map(|model| format!("`{}`", model.id)).collect();
    let more = models.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_tags_do_not_matter() {
        assert!(is_same("models/gemini-x", "gemini-x") && is_same("gemini-x", "models/gemini-x"));
        assert!(is_same("llama3:latest", "llama3") && is_same("llama3:latest", "llama3:latest"));
        assert!(!is_same("llama3:8b", "llama3") && !is_same("org/llama", "llama"));
    }

    #[test]
    fn a_wrong_name_is_answered_with_those_that_exist() {
        let models = (0..12).map(|i| ServedModel { id: format!("llama-{i}"), ..ServedModel::default() }).collect();
        let err = unknown("lama-3", &Listing::Models(models)).to_string();
        assert!(err.contains("did you mean `llama-3`?") && err.contains("`llama-9` and 2 more"), "{err}");
    }
}
