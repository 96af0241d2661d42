//! What servers say, made fit for messages: short, on one line, without secrets.

use super::Base;
use crate::visible;
use reqwest::Url;

/// Characters of a body that a message shows.
const SHOWN: usize = 200;
/// Secrets shorter than this are words: taking them out would only garble messages.
const SHORTEST_SECRET: usize = 6;
/// Parts of names of headers and parameters whose values are no secrets.
const PUBLIC_NAMES: &[&str] = &["version", "content-type", "accept", "user-agent", "referer", "title", "beta"];

/// The first 200 characters on one line.
pub(super) fn excerpt(text: &str) -> String {
    visible::excerpt(text.trim(), SHOWN)
}

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

/// What must never be shown of a server: what is sent with its requests, as a whole and without the scheme in front (`Bearer `).
#[derive(Clone)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// `login`: the header that is made of user and password in the address.
    pub fn of(base: &Base, login: Option<&str>) -> Secrets {
        let headers = base.headers.iter().filter(|(name, _)| !is_public(name)).map(|(_, value)| value.expose());
        let query = base.query.iter().filter(|(name, _)| !is_public(name)).map(|(_, value)| value.as_str());
        let user = [Some(base.url.username()), base.url.password(), login].into_iter().flatten();
        let mut all = Vec::new();
        for value in headers.chain(query).chain(user).map(str::trim) {
            for secret in [Some(value), value.split_once(' ').map(|(_, rest)| rest.trim())].into_iter().flatten() {
                all.extend([secret.to_string(), in_address(secret), secret.replace('/', "\\/")]);
            }
        }
        all.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // The longest first: what contains another is taken out whole.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Secrets(all)
    }

    /// The text with all secrets taken out. Servers do repeat keys in their refusals.
    pub fn hide(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        loop {
            // The first one; of several at the same place the longest, which stands first.
            let found = self
                .0
                .iter()
                .filter_map(|secret| rest.split_once(secret.as_str()))
                .min_by_key(|(before, _)| before.len());
            let Some((before, after)) = found else { break };
            out.push_str(before);
            out.push_str("(secret)");
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// [`excerpt`] of the text without secrets.
    pub fn excerpt(&self, text: &str) -> String {
        excerpt(&self.hide(text))
    }

    pub fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|secret| secret == text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt("  a\nb\tc\u{1b}[31m\u{202e}x\u{0} "), "a\\nb\\tc\\u{1b}[31m\\u{202e}x\\u{0}");
        let cut = excerpt(&"é".repeat(500));
        assert_eq!(cut.chars().count(), 203);
        assert!(cut.ends_with("é..."));
        assert_eq!(excerpt(&"x".repeat(200)), "x".repeat(200));
    }

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
}
