//! Architectures: one file per family, one row each.

mod gemma;
mod llama;

use super::config::ModelConfig;
use super::decoder::DecoderSpec;
use crate::error::{Error, Result, nearest};

/// An architecture that can be loaded.
pub struct ArchRow {
    /// The name in `architectures` of `config.json`.
    pub name: &'static str,
    /// `model_type` of `config.json`.
    pub model_type: &'static str,
    pub doc: &'static str,
    /// Reads what the forward pass needs from the configuration.
    pub spec: fn(&ModelConfig) -> Result<DecoderSpec>,
}

/// All architectures.
pub const ARCHES: &[ArchRow] = &[
    ArchRow {
        name: "LlamaForCausalLM",
        model_type: "llama",
        doc: "Llama 1 to 3.x and what shares its layout",
        spec: llama::spec,
    },
    ArchRow { name: "GemmaForCausalLM", model_type: "gemma", doc: "Gemma (first generation)", spec: gemma::spec },
];

/// The row that a configuration asks for: by `architectures`, else by `model_type`.
pub fn find(config: &ModelConfig) -> Result<&'static ArchRow> {
    let name = config.architectures.first().map(String::as_str);
    let row = match name {
        Some(name) => ARCHES.iter().find(|a| a.name == name),
        None => ARCHES.iter().find(|a| Some(a.model_type) == config.model_type.as_deref()),
    };
    row.ok_or_else(|| {
        let asked = name.or(config.model_type.as_deref()).unwrap_or("none named");
        let known: Vec<&str> = ARCHES.iter().map(|a| a.name).collect();
        let near = nearest(asked, known.iter().copied()).map(|n| format!("; the nearest is {n}")).unwrap_or_default();
        Error::input(format!("architecture {asked} is not supported"))
            .file(&config.file)
            .key("architectures")
            .hint(format!("supported: {}{near}", known.join(", ")))
    })
}
