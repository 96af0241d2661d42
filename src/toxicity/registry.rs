//! Which scorers there are, and how the command line names them.

use super::scorer::Scorer;
use super::{classifier, linear, remote};
use crate::error::{Error, Result, nearest};
use crate::hub::Hub;
use sha2::{Digest, Sha256};

/// What scorers need to be opened.
#[derive(Clone, Copy)]
pub struct OpenOptions<'a> {
    /// Where models of the hub come from. Offline, services are refused, too.
    pub hub: &'a Hub,
    /// Variables of the environment: keys of services.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// A kind of scorer.
pub struct Row {
    /// What addresses begin with, before `:`, `@` or `#`.
    pub kind: &'static str,
    /// The whole form of the address.
    pub form: &'static str,
    /// One sentence for the user.
    pub doc: &'static str,
    /// Opens the rest of an address, without the colon behind the kind.
    pub open: fn(&str, &OpenOptions<'_>) -> Result<Box<dyn Scorer>>,
}

/// All kinds. A new one is a file here and a row.
pub const TOXICITY_SCORERS: &[Row] = &[
    Row {
        kind: linear::KIND,
        form: "linear[:FILE]",
        doc: "a small linear model on words and letters (built in, or a file): English insults and slurs, nothing that needs context",
        open: linear::open,
    },
    Row {
        kind: classifier::KIND,
        form: "hf:FOLDER|ORG/NAME[@REVISION][#label=NAME][#max_length=N][#activation=softmax|sigmoid]",
        doc: "a transformer classifier: BERT, RoBERTa, XLM-RoBERTa, DistilBERT, DeBERTa-v2/v3 or ModernBERT",
        open: classifier::open,
    },
    Row {
        kind: "perspective",
        form: "perspective[#attribute=NAME][#language=en][#rpm=60]",
        doc: "Google's Perspective, with a key in PERSPECTIVE_API_KEY: texts are sent to it",
        open: remote::open_perspective,
    },
    Row {
        kind: "openai-moderation",
        form: "openai-moderation[:MODEL][@URL][#category=A+B][#rpm=N]",
        doc: "OpenAI's moderation, with a key in OPENAI_API_KEY, or a server of its form (FAIRMARK_API_KEY): texts are sent to it",
        open: remote::open_moderation,
    },
];

/// The scorer where the user names none.
pub const DEFAULT_SCORER: &str = linear::KIND;

/// Opens the scorer of an address (`--toxicity-scorer`).
pub fn open(address: &str, options: &OpenOptions<'_>) -> Result<Box<dyn Scorer>> {
    let end = address.find([':', '@', '#']).unwrap_or(address.len());
    let (kind, rest) = address.split_at(end);
    let Some(row) = TOXICITY_SCORERS.iter().find(|row| row.kind == kind) else {
        let kinds = || TOXICITY_SCORERS.iter().map(|row| row.kind);
        let hint = match nearest(kind, kinds()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "there are: {}; a classifier of the hub is `hf:ORG/NAME`",
                kinds().collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(Error::input(format!("there is no toxicity scorer `{kind}`")).hint(hint));
    };
    (row.open)(rest.strip_prefix(':').unwrap_or(rest), options)
        .map_err(|e| e.context(format!("toxicity scorer `{address}`")))
}

/// SHA-256 (hex) of several parts, each with its length, so that no two lists of parts have the same.
pub(super) fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_kinds() {
        let hub = Hub::from_env(true).unwrap();
        let options = OpenOptions { hub: &hub, env: &|_| None };
        assert_eq!(open("linear", &options).unwrap().identity().kind, "linear");
        for (address, said) in [
            ("liner", "did you mean `linear`"),
            ("unitary/toxic-bert", "hf:ORG/NAME"),
            ("", "there are: linear"),
            ("hf:", "names no classifier"),
            ("hf", "names no classifier"),
            ("linear#label=x", "has no setting `label`"),
            ("hf:/no/such/folder", "there is no such folder"),
        ] {
            let err = open(address, &options).err().unwrap().to_string();
            assert!(err.contains(said), "{address}: {err}");
        }
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(sha256(&[b"ab", b"c"]), sha256(&[b"a", b"bc"]));
        assert_ne!(sha256(&[b"a"]), sha256(&[b"a", b""]));
    }
}
