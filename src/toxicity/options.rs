//! Settings behind the address of a scorer: `hf:org/name#label=toxic#max_length=256`.

use crate::error::{Error, Result, nearest};
use std::collections::BTreeMap;

/// An address without its kind, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What stands before the first `#`.
    pub target: String,
    settings: BTreeMap<String, String>,
}

impl Options {
    /// Takes the part of an address behind the kind apart. `known`: names of settings of this kind of scorer.
    pub fn parse(rest: &str, known: &[&str]) -> Result<Options> {
        let mut parts = rest.split('#');
        let target = parts.next().unwrap_or_default().to_string();
        let mut settings = BTreeMap::new();
        for part in parts {
            let Some((name, value)) = part.split_once('=').filter(|(_, value)| !value.is_empty()) else {
                return Err(Error::input(format!("`#{part}` is no setting")).hint("settings are written `#name=value`"));
            };
            if !known.contains(&name) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "this scorer has no settings".to_string(),
                    None => format!("its settings are: {}", known.join(", ")),
                };
                return Err(Error::input(format!("the scorer has no setting `{name}`")).hint(hint));
            }
            if settings.insert(name.to_string(), value.to_string()).is_some() {
                return Err(Error::input(format!("the setting `{name}` is given twice")));
            }
        }
        Ok(Options { target, settings })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A whole number of at least 1.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number >= 1);
        number.map(Some).ok_or_else(|| Error::input(format!("`{text}` is not a whole number above 0")).key(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_checked() {
        let known = &["label", "max_length"];
        let options = Options::parse("org/name@main#label=a=b#max_length=12", known).unwrap();
        assert_eq!(options.target, "org/name@main");
        assert_eq!(options.get("label"), Some("a=b"));
        assert_eq!(options.count("max_length").unwrap(), Some(12));
        for (text, said) in [
            ("x#label", "is no setting"),
            ("x#label=", "is no setting"),
            ("x#lable=1", "did you mean `label`"),
            ("x#label=1#label=2", "twice"),
        ] {
            let err = Options::parse(text, known).unwrap_err().to_string();
            assert!(err.contains(said), "{text}: {err}");
        }
        for bad in ["0", "-1", "many"] {
            let options = Options::parse(&format!("x#max_length={bad}"), known).unwrap();
            assert!(options.count("max_length").is_err(), "{bad}");
        }
    }
}
