//! How to reach the hub, from the variables that all its tools share.

use crate::error::{Error, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Variables that switch the network off, when they are `1`, `on`, `yes` or `true`.
const OFFLINE: &[&str] = &["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"];

/// Settings of a [`Hub`](super::Hub).
#[derive(Clone)]
pub struct HubConfig {
    /// Without a slash at the end.
    pub endpoint: String,
    pub token: Option<String>,
    /// The folder with `models--…` and `datasets--…`.
    pub cache: PathBuf,
    pub offline: bool,
    /// How often a request is tried again after 429, 5xx or a broken connection.
    pub retries: u32,
    /// The wait before the first retry; it doubles each time.
    pub backoff: Duration,
}

impl HubConfig {
    /// Reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE` and the offline switches through `var`.
    pub fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| var(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        let folder = |name: &str| set(name).map(|value| expand_home(&value, &set));
        let home = match (folder("HF_HOME"), folder("XDG_CACHE_HOME"), set("HOME").or_else(|| set("USERPROFILE"))) {
            (Some(home), ..) => home,
            (None, Some(cache), _) => cache.join("huggingface"),
            (None, None, Some(user)) => Path::new(&user).join(".cache/huggingface"),
            (None, None, None) => {
                return Err(Error::input("there is no home folder for the hub's cache").hint("set HF_HOME"));
            }
        };
        let cache =
            folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let token_file = folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")).or_else(|| token_in(&token_file));
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_string());
        let is_on = |name: &&str| {
            set(name).is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "on" | "yes" | "true"))
        };
        Ok(HubConfig {
            endpoint: endpoint.trim_end_matches('/').to_string(),
            token,
            cache,
            offline: OFFLINE.iter().any(is_on),
            retries: 4,
            backoff: Duration::from_millis(500),
        })
    }
}

/// The token is never shown.
impl fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConfig")
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "(set)"))
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

fn expand_home(path: &str, set: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), set("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

fn token_in(file: &Path) -> Option<String> {
    const LONGEST: u64 = 1 << 16;
    let text = crate::file::read_to_string(file, LONGEST).ok()?;
    Some(text.trim().to_string()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<HubConfig> {
        HubConfig::from_vars(&|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn defaults_and_variables() {
        let plain = config(&[("HOME", "/home/x")]).unwrap();
        assert_eq!(plain.cache, Path::new("/home/x/.cache/huggingface/hub"));
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert!(!plain.offline && plain.token.is_none());
        let set = config(&[
            ("HOME", "/home/x"),
            ("HF_HOME", "~/hf"),
            ("HF_ENDPOINT", "https://mirror.example/"),
            ("HF_HUB_OFFLINE", "True"),
            ("HF_TOKEN", " hf_secret\n"),
        ])
        .unwrap();
        assert_eq!(set.cache, Path::new("/home/x/hf/hub"));
        assert_eq!(set.endpoint, "https://mirror.example");
        assert!(set.offline);
        assert_eq!(set.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{set:?}").contains("hf_secret"));
        assert_eq!(config(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]).unwrap().cache, Path::new("/c"));
        assert!(config(&[]).is_err());
    }

    #[test]
    fn token_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let config = config(&[("HF_HOME", dir.path().to_str().unwrap())]).unwrap();
        assert_eq!(config.token.as_deref(), Some("hf_file"));
    }
}
