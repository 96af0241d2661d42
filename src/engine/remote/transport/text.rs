//! What servers say, made fit for messages: short, on one line, without secrets.

use super::Base;
use crate::engine::remote::excerpt::excerpt;
use reqwest::Url;
use serde_json::{Map, Value};

/// Secrets shorter than this are words: taking them out would only garble messages.
const SHORTEST_SECRET: usize = 6;
/// Answers lose nothing that could be a word of theirs: secrets shorter than this, without a digit, and keys that are none.
const SHORTEST_IN_ANSWERS: usize = 8;
const PLACEHOLDERS: &[&str] = &[
    "lm-studio",
    "not-needed",
    "not-used",
    "not-required",
    "no-key-required",
    "sk-no-key-required",
    "placeholder",
    "anything",
    "your-api-key",
    "your_api_key",
    "password",
    "localhost",
    "local-key",
    "undefined",
];
/// What stands in a secret's place.
const HIDDEN: &str = "(secret)";
/// Parts of names of headers and parameters whose values are no secrets.
const PUBLIC_NAMES: &[&str] = &["version", "content-type", "accept", "user-agent", "referer", "title", "beta"];

/// An address without its user, password, parameters and fragment.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for addresses that can have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    excerpt(url.as_str())
}

/// Whether values under this name may be shown.
fn is_public(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PUBLIC_NAMES.iter().any(|part| name.contains(part))
}

/// A text as it stands among the parameters of an address.
fn in_address(text: &str) -> String {
    let Ok(mut url) = Url::parse("http://x/") else { return text.to_string() };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_string()
}

/// A text without secrets; `None`: there is none in it. What stands in their place stays, whatever they are.
fn without(secrets: &[String], text: &str) -> Option<String> {
    let mut found = false;
    let pieces = text.split(HIDDEN).map(|piece| without_in(secrets, piece, &mut found)).collect::<Vec<_>>();
    found.then(|| pieces.join(HIDDEN))
}

fn without_in(secrets: &[String], text: &str, any: &mut bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    loop {
        // The first one; of several at the same place the longest, which stands first.
        let found = secrets.iter().filter(|secret| secret.len() <= rest.len());
        let found = found.filter_map(|secret| rest.split_once(secret.as_str())).min_by_key(|(before, _)| before.len());
        let Some((before, after)) = found else { break };
        *any = true;
        out.push_str(before);
        out.push_str(HIDDEN);
        rest = after;
    }
    out + rest
}

/// Whether a secret cannot be a word of an answer.
fn is_sure(secret: &str) -> bool {
    let has_digit = secret.bytes().any(|byte| byte.is_ascii_digit());
    let is_long = secret.len() >= SHORTEST_IN_ANSWERS;
    (is_long || has_digit) && !PLACEHOLDERS.iter().any(|word| word.eq_ignore_ascii_case(secret))
}

/// `%2F` as some write it: `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = 0;
    for c in text.chars() {
        left = if c == '%' { 3 } else { usize::saturating_sub(left, 1) };
        out.push(if left > 0 || c == '%' { c.to_ascii_lowercase() } else { c });
    }
    out
}

/// What must never be shown of a server: what is sent with its requests, as a whole and without the scheme in front (`Bearer `).
#[derive(Clone)]
pub(super) struct Secrets {
    /// The longest first.
    all: Vec<String>,
    /// Those of them that are surely no words.
    sure: Vec<String>,
}

impl Secrets {
    /// `login`: the header that is made of user and password in the address.
    pub fn of(base: &Base, login: Option<&str>) -> Secrets {
        let headers = base.headers.iter().filter(|(name, _)| !is_public(name)).map(|(_, value)| value.expose());
        let query = base.query.iter().filter(|(name, _)| !is_public(name)).map(|(_, value)| value.as_str());
        let user = [Some(base.url.username()), base.url.password(), login].into_iter().flatten();
        let mut all = Vec::new();
        for value in headers.chain(query).chain(user).map(str::trim) {
            for secret in [Some(value), value.split_once(' ').map(|(_, rest)| rest.trim())].into_iter().flatten() {
                let address = in_address(secret);
                all.extend([secret.to_string(), lower_escapes(&address), address, secret.replace('/', "\\/")]);
            }
        }
        all.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // The longest first: what contains another is taken out whole.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        let sure = all.iter().filter(|secret| is_sure(secret)).cloned().collect();
        Secrets { all, sure }
    }

    /// The text with all secrets taken out. Servers do repeat keys in their refusals.
    pub fn hide(&self, text: &str) -> String {
        without(&self.all, text).unwrap_or_else(|| text.to_string())
    }

    /// Takes secrets out of all names and texts of an answer. Says whether there were any.
    pub fn clean(&self, value: &mut Value) -> bool {
        if self.sure.is_empty() {
            return false;
        }
        match value {
            Value::String(text) => self.clean_text(text),
            // All of them, not only up to the first that is found.
            Value::Array(list) => list.iter_mut().map(|value| self.clean(value)).filter(|found| *found).count() > 0,
            Value::Object(map) => {
                let is_named = map.keys().any(|key| without(&self.sure, key).is_some());
                if is_named {
                    let renamed = std::mem::take(map).into_iter();
                    *map = renamed
                        .map(|(key, value)| (without(&self.sure, &key).unwrap_or(key), value))
                        .collect::<Map<_, _>>();
                }
                map.values_mut().map(|value| self.clean(value)).filter(|found| *found).count() > 0 || is_named
            }
            _ => false,
        }
    }

    /// The same for one text.
    pub fn clean_text(&self, text: &mut String) -> bool {
        let Some(cleaned) = without(&self.sure, text) else { return false };
        *text = cleaned;
        true
    }

    /// [`excerpt`] of the text without secrets.
    pub fn excerpt(&self, text: &str) -> String {
        excerpt(&self.hide(text))
    }

    pub fn contains(&self, text: &str) -> bool {
        self.all.iter().any(|secret| secret == text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_may_be_secret() {
        let url = Url::parse("https://me:canary@host:8/v1/x?key=canary#canary").unwrap();
        assert_eq!(shown(&url), "https://host:8/v1/x");
    }

    #[test]
    fn secrets_are_taken_out_of_what_servers_say() {
        let secrets = Secrets::of(
            &Base {
                url: Url::parse("https://me:canary-password@host/").unwrap(),
                headers: vec![
                    ("authorization".into(), Secret::new("Bearer canary-key")),
                    ("x-version".into(), Secret::new("2023-06-01")),
                    ("x-short".into(), Secret::new("a")),
                ],
                query: vec![("key".into(), "canary/query".into()), ("api-version".into(), "2024-10-21".into())],
            },
            Some("Basic canary64"),
        );
        let said =
            secrets.excerpt("no: Bearer canary-key, canary-key, canary/query, canary%2Fquery, canary\\/query, canary-password, canary64, 2024-10-21, 2023-06-01");
        assert_eq!(
            said,
            "no: (secret), (secret), (secret), (secret), (secret), (secret), (secret), 2024-10-21, 2023-06-01"
        );
        // A secret across the cut does not show its beginning.
        let long = format!("{}canary-key", "x".repeat(195));
        assert!(!secrets.excerpt(&long).contains("cana"));
    }

    #[test]
    fn answers_lose_keys_and_no_words() {
        let of = |key: &str| {
            let headers = vec![("authorization".into(), Secret::new(format!("Bearer {key}")))];
            Secrets::of(&Base { url: Url::parse("http://host/").unwrap(), headers, query: Vec::new() }, None)
        };
        let mut body = serde_json::json!({"data": [{"id": "Bearer canary-123", "canary-123": "x"}], "text": "it is canary-123!", "n": 1});
        assert!(of("canary-123").clean(&mut body));
        assert_eq!(
            body,
            serde_json::json!({"data": [{"id": "(secret)", "(secret)": "x"}], "text": "it is (secret)!", "n": 1})
        );
        assert!(!of("canary-123").clean(&mut body));
        for word in ["ollama", "lm-studio", "EMPTY", "not-needed"] {
            let mut text = format!("try {word} or token");
            assert!(!of(word).clean_text(&mut text) && text.contains(word), "{word}");
        }
        assert_eq!(lower_escapes("a%2FB%3Dc"), "a%2fB%3dc");
    }
}
