//! Transformers that classify texts: `*ForSequenceClassification` of BERT, RoBERTa, XLM-RoBERTa, DistilBERT, DeBERTa-v2/v3 and ModernBERT,
//! from a folder of Hugging Face or from the hub.
//!
//! The layers are our own, on candle: candle-transformers' encoders have no heads (BERT, DistilBERT), another GELU than the models were
//! trained with (DistilBERT), heads with softmax built in (ModernBERT), or narrow embeddings of the wrong width (DeBERTa). Arithmetic is f32.

mod batch;
mod bert;
mod config;
mod deberta;
mod labels;
mod layers;
mod model;
mod modernbert;
#[cfg(test)]
mod tests;
mod tokenize;

use super::options::Options;
use super::registry::{OpenOptions, sha256};
use super::scorer::{ScoreSink, Scorer, ScorerIdentity, checked, sigmoid};
use crate::error::{Error, Result};
use crate::model::{Backend, DTypeChoice, DeviceChoice, Part, Weights, find, fingerprint};
use batch::{Batch, plan};
use config::{Config, Output};
use model::Classifier;
use std::collections::BTreeMap;
use std::path::Path;
use tokenize::TextTokenizer;

/// The kind in addresses.
pub const KIND: &str = "hf";

/// Settings behind the address.
const SETTINGS: &[&str] = &["label", "activation", "max_length"];

/// Texts that are tokenized before the longest of them are scored; what bounds memory for millions of texts.
const STRETCH: usize = 16_384;

/// A transformer as a scorer.
pub struct HfScorer {
    identity: ScorerIdentity,
    tokenizer: TextTokenizer,
    classifier: Box<dyn Classifier>,
    output: Output,
    /// Index of the toxicity among the labels.
    label: usize,
    pad: u32,
}

/// Opens `hf:<folder or hub id>`.
pub fn open(rest: &str, options: &OpenOptions<'_>) -> Result<Box<dyn Scorer>> {
    let settings = Options::parse(rest, SETTINGS)?;
    if settings.target.is_empty() {
        return Err(Error::input("names no classifier").hint("write `hf:FOLDER` or `hf:ORG/NAME`"));
    }
    let source = find(&settings.target, options.hub, Part::All)?;
    let scorer = HfScorer::load(&source.dir, &source.label, &settings)?;
    Ok(Box::new(scorer))
}

impl HfScorer {
    fn load(dir: &Path, name: &str, settings: &Options) -> Result<HfScorer> {
        let config = Config::load(dir)?;
        let label = labels::choose(&config.labels, settings.get("label")).map_err(|e| e.file(&config.file))?;
        let output = match settings.get("activation") {
            None => config.output()?,
            Some("softmax") => Output::Softmax,
            Some("sigmoid") => Output::Sigmoid,
            Some(other) => {
                return Err(Error::input(format!("`{other}` is not `softmax` or `sigmoid`")).key("activation"));
            }
        };
        let tokenizer = TextTokenizer::load(dir, &config, settings.count("max_length")?)?;
        let mut weights =
            Weights::open(dir, None, |found| Backend::new(DTypeChoice::F32, DeviceChoice::Cpu, found.dtype))?;
        let classifier = (config.arch.load)(&mut weights, &config).map_err(|e| e.file(&config.file))?;
        weights.check_values()?;
        let decides = [fingerprint(dir)?, tokenizer.fingerprint()?];
        let options = BTreeMap::from([
            ("activation".to_string(), format!("{output:?}").to_lowercase()),
            ("max_length".to_string(), tokenizer.max_length.to_string()),
        ]);
        let identity = ScorerIdentity {
            kind: KIND.to_string(),
            name: name.to_string(),
            sha256: sha256(&decides.each_ref().map(|part| part.as_bytes())),
            label: config.labels.get(label).cloned().unwrap_or_default(),
            options,
        };
        Ok(HfScorer { identity, tokenizer, classifier, output, label, pad: config.pad_token_id })
    }

    /// Probabilities of the toxicity, one for each row of a batch.
    fn probabilities(&self, rows: Vec<Vec<u32>>) -> Result<Vec<f64>, String> {
        let failed = |err: candle_core::Error| format!("the classifier failed: {err}");
        let batch = Batch::new(rows, self.pad).map_err(failed)?;
        let logits = self.classifier.logits(&batch).and_then(|logits| logits.to_vec2::<f32>()).map_err(failed)?;
        Ok(logits.iter().map(|logits| probability(logits, self.label, self.output)).collect())
    }
}

/// The probability of a label; NaN where a logit is.
fn probability(logits: &[f32], label: usize, output: Output) -> f64 {
    let Some(own) = logits.get(label).map(|logit| f64::from(*logit)) else { return f64::NAN };
    match output {
        Output::Sigmoid => sigmoid(own),
        Output::Softmax => 1.0 / logits.iter().map(|logit| (f64::from(*logit) - own).exp()).sum::<f64>(),
    }
}

impl Scorer for HfScorer {
    fn identity(&self) -> &ScorerIdentity {
        &self.identity
    }

    fn score(&self, texts: &[&str], cancelled: &dyn Fn() -> bool, sink: &mut ScoreSink<'_>) -> Result<()> {
        for (stretch, texts) in texts.chunks(STRETCH).enumerate() {
            let first = stretch * STRETCH;
            let mut encoded = Vec::with_capacity(texts.len());
            for (index, text) in texts.iter().enumerate() {
                match self.tokenizer.encode(text) {
                    Ok(ids) => encoded.push((first + index, ids)),
                    Err(reason) => sink(first + index, Err(reason)),
                }
            }
            let lengths: Vec<usize> = encoded.iter().map(|(_, ids)| ids.len()).collect();
            for members in plan(&lengths) {
                if cancelled() {
                    return Ok(());
                }
                let (mut indices, mut rows) = (Vec::with_capacity(members.len()), Vec::with_capacity(members.len()));
                for member in members {
                    if let Some((index, ids)) = encoded.get_mut(member) {
                        indices.push(*index);
                        rows.push(std::mem::take(ids));
                    }
                }
                match self.probabilities(rows) {
                    Ok(scores) => indices.iter().zip(scores).for_each(|(index, score)| sink(*index, checked(score))),
                    Err(reason) => indices.iter().for_each(|index| sink(*index, Err(reason.clone()))),
                }
            }
        }
        Ok(())
    }
}
