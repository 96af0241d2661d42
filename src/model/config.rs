//! `config.json`, in the spellings of transformers 4 and 5.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What `config.json` says, with what older and newer spellings share.
#[derive(Debug, Clone, Deserialize)]
pub struct ModelConfig {
    /// The file, for error messages.
    #[serde(skip)]
    pub file: PathBuf,
    #[serde(default)]
    pub architectures: Vec<String>,
    pub model_type: Option<String>,
    pub hidden_size: Option<usize>,
    pub intermediate_size: Option<usize>,
    pub num_hidden_layers: Option<usize>,
    pub num_attention_heads: Option<usize>,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    pub vocab_size: Option<usize>,
    pub rms_norm_eps: Option<f64>,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub mlp_bias: bool,
    pub tie_word_embeddings: Option<bool>,
    pub hidden_act: Option<String>,
    /// Gemma's newer name for `hidden_act`; it wins.
    pub hidden_activation: Option<String>,
    #[serde(alias = "torch_dtype")]
    pub dtype: Option<String>,
    pub rope_theta: Option<f64>,
    pub rope_scaling: Option<Map<String, Value>>,
    pub rope_parameters: Option<Map<String, Value>>,
    pub max_position_embeddings: Option<usize>,
    pub n_positions: Option<usize>,
    pub n_ctx: Option<usize>,
    pub bos_token_id: Option<TokenIds>,
    pub eos_token_id: Option<TokenIds>,
    pub quantization_config: Option<Value>,
}

/// One id or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    One(u32),
    Many(Vec<u32>),
}

impl TokenIds {
    pub fn to_vec(&self) -> Vec<u32> {
        match self {
            TokenIds::One(id) => vec![*id],
            TokenIds::Many(ids) => ids.clone(),
        }
    }
}

impl ModelConfig {
    /// Reads `config.json` in a checkpoint's folder.
    pub fn read(folder: &Path) -> Result<ModelConfig> {
        let file = folder.join("config.json");
        let bytes = std::fs::read(&file).map_err(|e| {
            Error::io("cannot read the model's configuration", &file, e)
                .hint("a model is a folder with config.json, tokenizer.json and safetensors files, or a hub id such as org/name")
        })?;
        let mut config: ModelConfig = serde_json::from_slice(&bytes).map_err(|e| {
            Error::input("this is not a model configuration").file(&file).cause(e).hint("download the file again")
        })?;
        config.file = file;
        Ok(config)
    }

    /// The context window that the model was made for, if the file says.
    pub fn window(&self) -> Option<usize> {
        self.n_positions.or(self.max_position_embeddings).or(self.n_ctx)
    }

    /// A size that must be there and must not be 0.
    pub fn required(&self, key: &str, value: Option<usize>) -> Result<usize> {
        match value {
            Some(value) if value > 0 && value < 1 << 32 => Ok(value),
            Some(value) => Err(Error::input(format!("{value} is not a sensible size")).file(&self.file).key(key)),
            None => Err(Error::input("this key is missing").file(&self.file).key(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_old_and_new_spellings() {
        let old: ModelConfig = serde_json::from_str(
            r#"{"architectures": ["LlamaForCausalLM"], "torch_dtype": "float16", "rope_theta": 5e5, "eos_token_id": 2}"#,
        )
        .unwrap();
        assert_eq!(old.dtype.as_deref(), Some("float16"));
        assert_eq!(old.eos_token_id.unwrap().to_vec(), [2]);
        let new: ModelConfig = serde_json::from_str(
            r#"{"dtype": "bfloat16", "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "eos_token_id": [1, 2]}"#,
        )
        .unwrap();
        assert_eq!(new.dtype.as_deref(), Some("bfloat16"));
        assert_eq!(new.eos_token_id.unwrap().to_vec(), [1, 2]);
    }
}
