//! Language models as tensors.
//!
//! Comes in: a folder with a checkpoint, token ids. Goes out: hidden states and logits, token ids of texts. Never: tasks,
//! requests, chat templates.

mod arch;
mod config;
mod device;
mod fingerprint;
mod layer;
mod source;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tokenizer;
mod weights;

pub use arch::Decoder;
pub(crate) use config::read_json;
pub use config::{ModelConfig, Rope, RopeScaling};
pub use device::{Backend, DTypeChoice};
pub use fingerprint::fingerprint;
pub use layer::KvCache;
pub use source::{ModelSource, Part, find};
pub use tokenizer::{SpecialToken, Tokenizer};
pub use weights::{Weights, gguf};

use crate::error::{Error, Result};
use candle_core::Tensor;
use std::path::Path;

/// A family of models that can be run.
pub struct Arch {
    /// The name in `architectures` of `config.json`.
    pub class: &'static str,
    /// The name in `model_type`.
    pub model_type: &'static str,
    /// What it is, for the lists that errors and help show.
    pub doc: &'static str,
    /// What `config.json` means where it says nothing.
    pub defaults: config::Defaults,
    /// Makes the model of a configuration and its weights.
    pub build: fn(&ModelConfig, &mut Weights) -> Result<Box<dyn Decoder>>,
}

/// All families, by name. A new one is a file in `arch/` and a row here.
pub const ARCHES: &[Arch] = &[
    Arch {
        class: "GemmaForCausalLM",
        model_type: "gemma",
        doc: "Gemma 1 and CodeGemma",
        defaults: arch::gemma::DEFAULTS,
        build: arch::gemma::build,
    },
    Arch {
        class: "LlamaForCausalLM",
        model_type: "llama",
        doc: "Llama 1 to 3.x and models of the same shape (SmolLM, TinyLlama, Vicuna)",
        defaults: arch::llama::DEFAULTS,
        build: arch::llama::build,
    },
];

/// A model ready to run.
pub struct Model {
    pub config: ModelConfig,
    /// Parameters of the tensors that the model uses, tied ones once.
    pub num_parameters: u64,
    /// Number format of the weights' values.
    pub dtype: String,
    /// Number format of the arithmetic, where it is not that of the weights.
    pub arithmetic: Option<&'static str>,
    /// Names of tensors in the checkpoint that the model has no place for.
    pub unused_tensors: Vec<String>,
    decoder: Box<dyn Decoder>,
}

impl Model {
    /// Loads the checkpoint in a folder.
    pub fn load(dir: &Path, dtype: DTypeChoice) -> Result<Model> {
        let config = ModelConfig::load(dir)?;
        let arch = config.arch()?;
        let mut weights = Weights::open(dir, |found| Backend::new(dtype, config.dtype.as_deref().or(found)))?;
        let decoder = (arch.build)(&config, &mut weights)?;
        Ok(Model {
            num_parameters: weights.num_parameters(),
            dtype: weights.backend().dtype_name().to_string(),
            arithmetic: weights.backend().arithmetic(),
            unused_tensors: weights.unused(),
            config,
            decoder,
        })
    }

    /// Looks whether the checkpoint in a folder can be loaded, reading only its headers: configuration, architecture, and that
    /// the weights are whole.
    pub fn check(dir: &Path) -> Result<()> {
        let config = ModelConfig::load(dir)?;
        config.arch()?;
        Weights::open(dir, |found| Backend::new(DTypeChoice::Auto, config.dtype.as_deref().or(found))).map(drop)
    }

    /// Final hidden states of all `ids`, which follow the tokens in `cache`. `[ids, hidden]`
    pub fn forward(&self, ids: &[u32], cache: Option<&mut KvCache>) -> Result<Tensor> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.config.vocab_size) {
            return Err(Error::input(format!(
                "token id {id} is not in the model's vocabulary of {}",
                self.config.vocab_size
            )));
        }
        self.decoder.forward(ids, cache).map_err(|e| Error::input("the forward pass failed").cause(e))
    }

    /// Logits of some rows of hidden states, row after row, in f32. `[rows, vocabulary]`
    pub fn logits(&self, hidden: &Tensor, first: usize, rows: usize) -> Result<Vec<f32>> {
        let head = || self.decoder.head(&hidden.narrow(0, first, rows)?)?.flatten_all()?.to_vec1::<f32>();
        head().map_err(|e| Error::input("the language-model head failed").cause(e))
    }

    /// An empty cache with room for so many tokens.
    pub fn new_cache(&self, tokens: usize) -> KvCache {
        KvCache::new(self.config.num_hidden_layers, tokens)
    }
}
