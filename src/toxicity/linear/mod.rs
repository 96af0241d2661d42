//! A linear classifier on hashed words and letters: the scorer that is always there.
//!
//! It sees which words and pieces of words a text has, not what the text says: no context, no negation, no sarcasm, no hate in polite words,
//! and no language but English. `docs/toxicity.md` has its figures on texts that it was not fitted to.
//!
//! `features` says what is counted, `file` how the weights are kept. `train.py` made `default.fmlin`, which is built in.

mod features;
mod file;

pub use features::Features;
pub use file::{Header, LinearModel};

use super::options::Options;
use super::registry::OpenOptions;
use super::scorer::{ScoreSink, Scorer, ScorerIdentity, checked, sigmoid};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The built-in model.
const DEFAULT: &[u8] = include_bytes!("default.fmlin");

/// Texts between two looks at whether the user wants to stop.
const STRIDE: usize = 256;

/// The kind in addresses.
pub const KIND: &str = "linear";

/// A linear model as a scorer.
pub struct LinearScorer {
    model: LinearModel,
    identity: ScorerIdentity,
}

/// Opens `linear` (built in) or `linear:<file>`.
pub fn open(rest: &str, _: &OpenOptions<'_>) -> Result<Box<dyn Scorer>> {
    let options = Options::parse(rest, &[])?;
    let scorer = if options.target.is_empty() {
        LinearScorer::new(DEFAULT, "built-in")
    } else {
        let path = Path::new(&options.target);
        let bytes = crate::file::read(path, crate::file::SMALL).map_err(|e| Error::io("cannot read", path, e))?;
        let name = path.file_stem().map_or_else(|| options.target.clone(), |stem| stem.to_string_lossy().into_owned());
        LinearScorer::new(&bytes, &name).map_err(|e| e.file(path))
    };
    Ok(Box::new(scorer?))
}

impl LinearScorer {
    /// Reads a model file; `name` is for tables.
    pub fn new(bytes: &[u8], name: &str) -> Result<LinearScorer> {
        let model = LinearModel::read(bytes)?;
        let identity = ScorerIdentity {
            kind: KIND.to_string(),
            name: name.to_string(),
            sha256: super::registry::sha256(&[bytes]),
            label: model.header().label.clone(),
            options: BTreeMap::new(),
        };
        Ok(LinearScorer { model, identity })
    }
}

impl Scorer for LinearScorer {
    fn identity(&self) -> &ScorerIdentity {
        &self.identity
    }

    fn score(&self, texts: &[&str], cancelled: &dyn Fn() -> bool, sink: &mut ScoreSink<'_>) -> Result<()> {
        for (index, text) in texts.iter().enumerate() {
            if index % STRIDE == 0 && cancelled() {
                return Ok(());
            }
            sink(index, checked(sigmoid(self.model.logit(text))));
        }
        Ok(())
    }
}

/// Whether a row of RealToxicityPrompts was held out when the built-in model was fitted, by the text of its prompt: one in ten. Agreement
/// with stored scores is worth something on these rows only.
pub fn is_held_out(prompt: &str) -> bool {
    features::fnv1a(prompt.as_bytes()) % 10 == 7
}

#[cfg(test)]
mod tests;
