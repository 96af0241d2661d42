//! Language models as tensors.
//!
//! Comes in: a folder with a checkpoint, token ids of the branches of a prefix tree. Goes out: log-probabilities and logits, token ids
//! of texts. Never: tasks, requests, chat templates.

mod arch;
mod backend;
mod config;
mod decoder;
mod fingerprint;
mod folder;
mod layer;
mod leftover;
pub mod profile;
mod rotary;
mod rows;
mod source;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tokenizer;
mod weights;

pub use crate::kernel::RowScore;
pub use arch::{ARCHES, Arch};
pub use backend::{Activations, Backend, DTypeChoice, DeviceChoice};
pub use config::ModelConfig;
pub(crate) use config::read_json;
pub use decoder::Decoder;
pub use fingerprint::fingerprint;
pub use layer::{Branch, Kv};
pub use source::{ModelSource, Part, find};
pub(crate) use tokenizer::guard;
pub use tokenizer::{SpecialToken, Tokenizer};
pub use weights::{Found, Precision, StoredMatrix, Weights, gguf};

use crate::error::{Error, Result};
use layer::AttentionShape;
use rows::Rows;
use std::path::Path;
use std::time::{Duration, Instant};

/// How a checkpoint is loaded: everything here can change numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadOptions {
    pub dtype: DTypeChoice,
    pub device: DeviceChoice,
    /// Quantise full-precision weights while loading.
    pub precision: Option<Precision>,
    /// What happens to rows before they meet quantised weights.
    pub activations: Activations,
}

/// A model ready to run.
pub struct Model {
    pub config: ModelConfig,
    /// Parameters of the tensors that the model uses, tied ones once.
    pub num_parameters: u64,
    /// Number format of the weights' values.
    pub dtype: String,
    /// Number format of the arithmetic, where it is not that of the weights.
    pub arithmetic: Option<&'static str>,
    /// How the weights are stored, where it is not plain numbers: `nf4`, `q4_k`, ... with the number of matrices of each.
    pub storage: Vec<(String, usize)>,
    /// Bytes of the model's tensors in the checkpoint, or what they would take in the precision made on the fly.
    pub stored_bytes: u64,
    /// Bytes of the matrices as they are kept in memory.
    pub memory_bytes: usize,
    /// Time that loading took.
    pub load_time: Duration,
    /// Things about the checkpoint that the user should know.
    pub notices: Vec<String>,
    /// Names of tensors in the checkpoint that the model has no place for.
    pub unused_tensors: Vec<String>,
    backend: Backend,
    decoder: Decoder,
    shapes: Vec<AttentionShape>,
}

/// Hidden states of a packed pass, one row a token.
pub struct Hidden(Rows);

impl Model {
    /// Loads the checkpoint in a folder (or a GGUF file).
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Model> {
        let started = Instant::now();
        let config = ModelConfig::load(path)?;
        let arch = config.arch()?;
        let mut weights = open_weights(path, &config, options)?;
        let decoder = (arch.build)(&config, &mut weights)?;
        weights.check_values()?;
        weights.check_precision()?;
        let leftover = leftover::look(&weights, &config)?;
        let mut notices = config.notices.clone();
        notices.extend(folder::notice(path));
        notices.extend(weights.notices());
        notices.extend(leftover.notices);
        Ok(Model {
            num_parameters: weights.num_parameters(),
            dtype: weights.backend().dtype_name().to_string(),
            arithmetic: weights.backend().arithmetic(),
            storage: weights.storage(),
            stored_bytes: weights.stored_bytes(),
            memory_bytes: decoder.memory_bytes(),
            load_time: started.elapsed(),
            notices,
            unused_tensors: leftover.unused,
            backend: weights.backend().clone(),
            shapes: decoder.shapes(),
            config,
            decoder,
        })
    }

    /// Looks whether the checkpoint in a folder can be loaded, reading only its headers: configuration, architecture, and that
    /// the weights are whole.
    pub fn check(path: &Path, options: &LoadOptions) -> Result<()> {
        let config = ModelConfig::load(path)?;
        config.arch()?;
        open_weights(path, &config, options).map(drop)
    }

    /// Where the model runs: `cpu`, `cuda:0`, ...
    pub fn device(&self) -> String {
        self.backend.device_name()
    }

    /// Empty keys and values of one node of a prefix tree, with room for `capacity` tokens before they have to grow.
    pub fn new_kv(&self, capacity: usize) -> Kv {
        Kv::new(&self.backend, &self.shapes, capacity)
    }

    /// Bytes that keys and values of such a capacity take.
    pub fn kv_bytes(&self, capacity: usize) -> usize {
        Kv::bytes_of(&self.backend, &self.shapes, capacity)
    }

    /// The sequence length above which rotary angles depend on it: longer sequences share prefixes only with ones of their length.
    pub fn depends_on_length(&self) -> Option<usize> {
        self.decoder.depends_on_length()
    }

    /// Runs the branches' tokens in one packed pass on the current thread pool; their keys and values are appended to the branches' own.
    /// Row r of the result belongs to the r-th token over all branches. A token that is not in the vocabulary, or a position beyond
    /// learned ones, is an error.
    pub fn forward(&self, branches: &mut [Branch<'_>]) -> Result<Hidden> {
        let longest = self.decoder.embedding.max_positions();
        for branch in branches.iter() {
            if let Some(id) = branch.tokens.iter().find(|id| **id as usize >= self.config.vocab_size) {
                return Err(Error::input(format!(
                    "token id {id} is not in the model's vocabulary of {}",
                    self.config.vocab_size
                )));
            }
            let end = branch.start() + branch.tokens.len();
            if let Some(longest) = longest.filter(|longest| end > *longest) {
                return Err(Error::input(format!(
                    "the model has {longest} learned positions, the sequence {end} tokens"
                ))
                .hint("choose a window that fits with --max-length"));
            }
        }
        let hidden = self.decoder.forward(&self.backend, branches);
        hidden.map(Hidden).map_err(|e| Error::input("the forward pass failed").cause(e))
    }

    /// Log-probabilities of `targets[i]` after the token of row `rows[i]`.
    pub fn log_probs(&self, hidden: &Hidden, rows: &[usize], targets: &[&[u32]]) -> Result<Vec<RowScore>> {
        let scores = self.decoder.head.log_probs(&hidden.0, rows, targets);
        scores.map_err(|e| Error::input("the language-model head failed").cause(e))
    }

    /// Logits after the tokens of some rows, in f32. `[rows, vocabulary]`
    pub fn logits(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>> {
        let logits = self.decoder.head.logits(&hidden.0, rows);
        logits.map_err(|e| Error::input("the language-model head failed").cause(e))
    }
}

/// Opens the weights in the number format that the options and the checkpoint ask for: what `config.json` says, else what the
/// tensors are; f32 for quantised ones.
fn open_weights(path: &Path, config: &ModelConfig, options: &LoadOptions) -> Result<Weights> {
    Weights::open(path, options.precision, |found| {
        let own = match found.quantised {
            Some(_) => Some("float32"),
            None => config.dtype.as_deref().or(found.dtype),
        };
        let backend = Backend::new(options.dtype, options.device, own)?;
        backend.with_activations(options.activations)
    })
}
