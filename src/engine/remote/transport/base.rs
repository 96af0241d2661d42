//! Servers of a model: addresses, and what is sent along with every request.

use super::text::{Secrets, shown};
use crate::error::{Error, Result};
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// A key or token. It is sent and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// A server of the model.
#[derive(Clone, PartialEq)]
pub struct Base {
    /// With a slash at the end: routes are joined to it.
    pub url: Url,
    /// Headers of every request, authorisation included: name and value.
    pub headers: Vec<(String, Secret)>,
    /// Parameters put behind every address (`api-version=...`).
    pub query: Vec<(String, String)>,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query: Vec<_> = self.query.iter().map(|(name, _)| name).collect();
        f.debug_struct("Base")
            .field("url", &shown(&self.url))
            .field("headers", &self.headers)
            .field("query", &query)
            .finish()
    }
}

/// A server as requests need it.
pub(super) struct Target {
    /// Without user and password; they stand in `headers`.
    url: Url,
    /// Of every request to the server itself.
    pub headers: HeaderMap,
    /// Of requests to wherever else it redirects.
    pub plain_headers: HeaderMap,
    query: Vec<(String, String)>,
    pub secrets: Secrets,
    /// Something that looks like a key is sent.
    pub has_key: bool,
}

impl Target {
    /// `login`: the header that stands for user and password in the address.
    pub fn new(base: &Base, login: impl FnOnce(&Url) -> Result<Option<HeaderValue>>) -> Result<Target> {
        let mut url = base.url.clone();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::input(format!("`{}` is not an address of a server", shown(&url)))
                .hint("addresses begin with http:// or https://"));
        }
        let mut plain_headers = HeaderMap::new();
        plain_headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        plain_headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut headers = plain_headers.clone();
        let login = login(&url)?;
        let secrets = Secrets::of(base, login.as_ref().and_then(|value| value.to_str().ok()));
        if let Some(value) = login {
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        for (name, value) in &base.headers {
            let key = HeaderName::try_from(name.as_str()).map_err(|_| {
                Error::input(format!("`{}` is not the name of a header", crate::engine::remote::excerpt::excerpt(name)))
            })?;
            // The error's own text is left out: it could repeat the value.
            let mut value = HeaderValue::try_from(value.expose()).map_err(|_| {
                Error::input(format!("the value of the header `{key}` has characters that a header cannot carry"))
                    .hint("look at the environment variable that holds the key: it may have a line break at its end")
            })?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let has_key = |name: &str| ["auth", "key", "token"].iter().any(|part| name.contains(part));
        let has_key =
            headers.keys().any(|name| has_key(name.as_str())) || base.query.iter().any(|(name, _)| has_key(name));
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Target { url, headers, plain_headers, query: base.query.clone(), secrets, has_key })
    }

    /// The address of a route: behind the base URL, or at the host when it begins with a slash.
    ///
    /// The path is put together by hand: a model's name in it (`a:b`, `//c`) must not be read as another scheme or host.
    pub fn address(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path.strip_prefix('/') {
            Some(_) => url.set_path(path),
            None => url.set_path(&format!("{}{path}", self.url.path())),
        }
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    /// An address of another origin, without our parameters that it may repeat.
    pub fn without_secrets(&self, url: &mut Url) {
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(_, value)| !self.secrets.contains(value))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if kept.len() < url.query_pairs().count() {
            url.set_query(None);
            if !kept.is_empty() {
                url.query_pairs_mut().extend_pairs(kept);
            }
        }
    }

    /// Whether an address is this server's.
    pub fn owns(&self, url: &Url) -> bool {
        url.origin() == self.url.origin()
    }

    /// The base URL, for messages.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Base {
        Base {
            url: Url::parse(url).unwrap(),
            headers: vec![("Authorization".into(), Secret::new("Bearer canary"))],
            query: vec![("key".into(), "canary-query".into())],
        }
    }

    fn target(url: &str) -> Target {
        Target::new(&base(url), |_| Ok(None)).unwrap()
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?} {:?}", base("https://me:canary@host/v1/?k=canary"), Secret::new("canary"));
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("https://host/v1/"));
        let text = format!("{:?}", target("https://host/v1/").headers);
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn routes_are_joined_by_hand() {
        let target = target("http://host:1/v1");
        let at = |path: &str| target.address(path).to_string();
        assert_eq!(at("completions"), "http://host:1/v1/completions?key=canary-query");
        assert_eq!(at("/tokenize"), "http://host:1/tokenize?key=canary-query");
        assert_eq!(at("models/a:b?alt=json"), "http://host:1/v1/models/a:b?alt=json&key=canary-query");
        assert_eq!(at("ftp:x"), "http://host:1/v1/ftp:x?key=canary-query");
        assert!(at("//evil/x").starts_with("http://host:1/"));
    }

    #[test]
    fn bad_headers_and_addresses_are_refused_without_their_values() {
        let mut bad = base("http://host/");
        bad.headers[0].1 = Secret::new("canary\n");
        let err = Target::new(&bad, |_| Ok(None)).err().unwrap().to_string();
        assert!(err.contains("authorization") && !err.contains("canary"), "{err}");
        assert!(Target::new(&base("ftp://host/"), |_| Ok(None)).is_err());
        assert!(Target::new(&base("data:text/plain,x"), |_| Ok(None)).is_err());
    }

    #[test]
    fn foreign_addresses_lose_our_parameters() {
        let target = target("http://host/");
        let mut url = Url::parse("http://u:p@evil/x?a=1&key=canary-query").unwrap();
        target.without_secrets(&mut url);
        assert_eq!(url.as_str(), "http://evil/x?a=1");
    }
}
