//! What `--model` says of a server: whose, where, which model, with which key.
//!
//! - `ROW:MODEL`, `ROW:` (the only model that it serves): a provider or a server of [`ENDPOINTS`];
//! - `ROW:URL[,URL...][#MODEL]`: the same at other addresses, several of them as a fleet;
//! - `URL[,URL...][#MODEL]`: any server with OpenAI's routes.
//!
//! Keys come from the environment only. A provider's key goes to the provider's own address, or to the one that its own variable
//! (`OPENAI_BASE_URL`) names. Whoever gets another to type an address must not get the key with it, so addresses typed on the command
//! line have a key of their own, [`OWN_KEY`].

use super::transport::{Base, Secret};
use super::wire::Wire;
use crate::error::{Error, Result, nearest};
use reqwest::Url;
use std::fmt;

mod endpoints;

pub use endpoints::{Auth, ENDPOINTS, Endpoint, OPENAI_COMPATIBLE, by_name, by_owner};

/// The variable of the key for addresses typed on the command line, and for servers without a variable of their own.
pub const OWN_KEY: &str = "FAIRMARK_API_KEY";

/// Variables of Azure's version of the interface, and the version without them.
const AZURE_VERSION_VARS: &[&str] = &["AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"];
const AZURE_VERSION: &str = "2024-10-21";

/// Routes that people copy along with an address.
const ROUTES: &[&str] = &["/chat/completions", "/completions", "/responses", "/messages", "/generate", "/completion"];

/// Words in names of parameters that carry keys.
const KEY_WORDS: &[&str] = &["key", "token", "secret", "sig", "auth", "password", "credential", "code"];

/// Beginnings of keys that end up where a model belongs.
const KEY_BEGINNINGS: &[&str] = &["sk-", "gsk_", "xai-", "AIza", "hf_", "nvapi-", "fw_", "csk-"];

/// Reads an environment variable.
pub type Var<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A model at its servers.
#[derive(Clone)]
pub struct Address {
    pub row: &'static Endpoint,
    /// The servers, at least one.
    pub bases: Vec<Base>,
    /// `None`: the only one that the servers list.
    pub model: Option<String>,
    /// Formats to try, in this order.
    pub wires: &'static [&'static dyn Wire],
    /// As it was typed. Holds no key: what looks like one is refused.
    pub name: String,
    /// Name for tables: the last part of the model's, or the host.
    pub label: String,
    /// Things that the user should know.
    pub notices: Vec<String>,
    /// Where a key comes from, for errors 401 and 403.
    pub key_hint: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wires: Vec<&str> = self.wires.iter().map(|wire| wire.name()).collect();
        f.debug_struct("Address").field("name", &self.name).field("bases", &self.bases).field("wires", &wires).finish()
    }
}

/// Whether a model's name means a server: an address, or a row's name before a colon (also a mistyped one, so that the error can say so).
/// Paths and hub ids have no such beginning.
pub fn is_remote(model: &str) -> bool {
    if is_url(model) {
        return true;
    }
    let Some((row, rest)) = model.split_once(':') else { return false };
    let is_word = row.len() > 1 && row.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_word && row != "mock" && (by_name(row).is_some() || is_url(rest) || nearest_row(row).is_some())
}

/// Reads the name of a model that [`is_remote`]. Nothing is sent.
pub fn parse(typed: &str, var: &Var<'_>) -> Result<Address> {
    let typed = typed.trim();
    let (row, rest) = if is_url(typed) { (&OPENAI_COMPATIBLE, typed) } else { row(typed)? };
    let (places, model) = match rest.split_once('#') {
        Some((places, model)) => (places, model.trim()),
        None if is_url(rest) => (rest, ""),
        None => ("", rest.trim()),
    };
    refuse_keys(row, model)?;
    let model = Some(model).filter(|model| !model.is_empty()).map(str::to_string);
    let mut urls = Vec::new();
    for place in places.split(',').map(str::trim).filter(|place| !place.is_empty()) {
        urls.push(read_url(place, row)?);
    }
    let is_typed = !urls.is_empty();
    let own = own_url(row, var)?;
    if !is_typed {
        urls.extend(own.clone());
    }
    let mut address = Address {
        row,
        bases: Vec::new(),
        label: label(model.as_deref(), urls.first()),
        model,
        wires: row.wires,
        name: typed.to_string(),
        notices: Vec::new(),
        key_hint: String::new(),
    };
    for url in urls {
        let is_own = !is_typed || is_own_origin(&url, row, own.as_ref());
        address.add(url, is_own, var)?;
    }
    if address.bases.is_empty() {
        return Err(no_address(row));
    }
    Ok(address)
}

impl Address {
    /// Adds a server, with its key and headers.
    fn add(&mut self, mut url: Url, is_own: bool, var: &Var<'_>) -> Result<()> {
        let mut query: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        url.set_query(None);
        if self.row.name == "azure" {
            azure(&mut url, &mut query, self.model.as_deref(), var)?;
        }
        if self.bases.iter().any(|base| base.url == url) {
            return Err(Error::input(format!("`{}` names {url} twice", self.name)));
        }
        let vars: &[&str] = if is_own && !self.row.key_vars.is_empty() { self.row.key_vars } else { &[OWN_KEY] };
        let key = read_key(vars, var)?;
        self.key_hint = match vars {
            [OWN_KEY] => {
                format!("typed addresses and servers of your own get the key in {OWN_KEY}, never a provider's")
            }
            vars => format!("the key is read from {}", vars.join(" or ")),
        };
        if key.is_none() && is_own && self.row.needs_key {
            return Err(
                Error::input(format!("no key for `{}`", self.row.name)).hint(format!("set {}", vars.join(" or ")))
            );
        }
        let mut headers: Vec<(String, Secret)> =
            self.row.headers.iter().map(|(name, value)| ((*name).to_string(), Secret::new(*value))).collect();
        if let Some((from, key)) = key {
            if url.scheme() == "http" && !is_loopback(&url) {
                self.notices.push(format!("the key in {from} goes to {} unencrypted (http://)", host(&url)));
            }
            headers.push(match self.row.auth {
                Auth::Bearer => ("authorization".to_string(), Secret::new(format!("Bearer {key}"))),
                Auth::Header(name) => (name.to_string(), Secret::new(key)),
            });
        }
        self.bases.push(Base { url, headers, query });
        Ok(())
    }
}

fn is_url(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins("http://") || begins("https://")
}

fn nearest_row(word: &str) -> Option<&'static str> {
    nearest(word, ENDPOINTS.iter().map(|row| row.name))
}

/// The row before the colon, and what stands behind it.
fn row(typed: &str) -> Result<(&'static Endpoint, &str)> {
    let (name, rest) = typed.split_once(':').unwrap_or((typed, ""));
    let row = by_name(name).ok_or_else(|| {
        let known = || format!("there are {}", ENDPOINTS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "));
        let hint = nearest_row(name).map_or_else(known, |near| format!("did you mean `{near}`?"));
        Error::input(format!("no endpoint is called `{name}`")).hint(hint)
    })?;
    Ok((row, rest.trim()))
}

/// Keys on the command line stand in the shell's history and in everybody's list of processes.
fn refuse_keys(row: &Endpoint, model: &str) -> Result<()> {
    let is_key = model.len() >= 20 && KEY_BEGINNINGS.iter().any(|start| model.starts_with(start));
    if !is_key || model.contains('/') {
        return Ok(());
    }
    let var = row.key_vars.first().copied().unwrap_or(OWN_KEY);
    Err(Error::input(format!("what stands behind `{}:` looks like a key, not a model", row.name))
        .hint(format!("keys come from the environment only: set {var}, and take this one out of your shell's history")))
}

fn no_address(row: &Endpoint) -> Error {
    let err = Error::input(format!("`{}` needs an address", row.name));
    match row.base_var {
        Some(var) => err.hint(format!("set {var}, or write it like `{}:https://HOST#MODEL`", row.name)),
        None => err.hint(format!("write it like `{}:http://127.0.0.1:8000/v1#MODEL`", row.name)),
    }
}

/// An address with a path that ends in a slash, without a route. What it says about keys is refused, and not repeated.
fn read_url(text: &str, row: &Endpoint) -> Result<Url> {
    let hint = "write it like `http://127.0.0.1:8000/v1`";
    let bare = text.split(['?', '@']).next().unwrap_or_default();
    let mut url = match Url::parse(text) {
        Ok(url) if is_url(text) => url,
        Ok(_) => return Err(Error::input(format!("`{bare}` is no http:// or https:// address")).hint(hint)),
        Err(err) if text.contains('@') => {
            return Err(Error::input(format!("an address is not readable: {err}")).hint(hint));
        }
        Err(err) => return Err(Error::input(format!("`{bare}` is no address: {err}")).hint(hint)),
    };
    let keys = "keys come from the environment only";
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::input(format!("the address of {} has a user or password in it", host(&url)))
            .hint(format!("{keys}: set {OWN_KEY}")));
    }
    let is_key = |name: &str| KEY_WORDS.iter().any(|word| name.to_ascii_lowercase().contains(word));
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| is_key(name)) {
        return Err(Error::input(format!("the address of {} has a key in it (`{name}`)", host(&url)))
            .hint(format!("{keys}: set {OWN_KEY}")));
    }
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = ROUTES.iter().find_map(|route| path.strip_suffix(route)).unwrap_or(path).trim_end_matches('/');
    let path = if path.is_empty() { format!("/{}", row.path) } else { format!("{path}/") };
    url.set_path(&path);
    Ok(url)
}

/// The address of a row's own: its variable's, else the one in its row.
fn own_url(row: &Endpoint, var: &Var<'_>) -> Result<Option<Url>> {
    let named = row.base_var.and_then(|name| Some((name, set(name, var)?)));
    match (named, row.base_url) {
        (Some((name, value)), _) => {
            let value = if value.contains("://") { value } else { format!("http://{value}") };
            read_url(&value, row).map(Some).map_err(|err| err.context(name))
        }
        (None, Some(url)) => read_url(url, row).map(Some),
        (None, None) => Ok(None),
    }
}

fn set(name: &str, var: &Var<'_>) -> Option<String> {
    var(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty())
}

fn is_own_origin(url: &Url, row: &Endpoint, own: Option<&Url>) -> bool {
    let default = row.base_url.and_then(|url| Url::parse(url).ok());
    row.needs_key && own.into_iter().chain(&default).any(|own| own.origin() == url.origin())
}

/// The first key that is set, and its variable. White space around it (a line break of a file) does not belong to it.
fn read_key(vars: &[&'static str], var: &Var<'_>) -> Result<Option<(&'static str, String)>> {
    let Some((name, key)) = vars.iter().find_map(|name| Some((*name, set(name, var)?))) else { return Ok(None) };
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::input(format!(
            "{name} holds more than a key: a space, a line break or a letter that no key has"
        ))
        .hint("set it to the key alone"));
    }
    Ok(Some((name, key)))
}

/// Azure's routes stand below a deployment, and say their version; its newer ones (`/openai/v1/`) do neither.
fn azure(url: &mut Url, query: &mut Vec<(String, String)>, model: Option<&str>, var: &Var<'_>) -> Result<()> {
    if url.path().contains("/openai/v1/") {
        return Ok(());
    }
    if !url.path().contains("/openai/") {
        let model = model.ok_or_else(|| {
            Error::input("`azure` needs the name of a deployment").hint("write it like `azure:DEPLOYMENT`")
        })?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["openai", "deployments", model, ""]);
        }
    }
    if !query.iter().any(|(name, _)| name == "api-version") {
        let version = AZURE_VERSION_VARS.iter().find_map(|name| set(name, var));
        query.push(("api-version".to_string(), version.unwrap_or_else(|| AZURE_VERSION.to_string())));
    }
    Ok(())
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

/// Whether one name of a model stands for another: it has a date, a prefix or an ending more.
pub(super) fn is_alias(told: &str, model: &str) -> bool {
    let last = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
    let (told, model) = (last(told), last(model));
    told.contains(&model) || model.contains(&told)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn label(model: Option<&str>, url: Option<&Url>) -> String {
    let last = model.and_then(|model| model.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next());
    last.filter(|last| !last.is_empty()).map_or_else(|| url.map_or_else(String::new, host), str::to_string)
}

#[cfg(test)]
#[path = "address/tests.rs"]
mod tests;
