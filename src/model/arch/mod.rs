//! One file per family of models: what its configuration means, what its tensors are called, how they are put together.

mod gemma;
mod gemma2;
mod gemma3;
mod gpt2;
mod gpt_neox;
mod granite;
mod llama;
mod mistral;
mod mixtral;
mod mixture;
mod named;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod smollm3;
mod standard;

use super::config::Defaults;
use super::{Decoder, ModelConfig, Weights};
use crate::error::Result;
pub use named::{Named, named};

/// A family of models that can be run.
pub struct Arch {
    /// The name in `architectures` of `config.json`.
    pub class: &'static str,
    /// The name in `model_type`.
    pub model_type: &'static str,
    /// What it is, for the lists that errors and help show.
    pub doc: &'static str,
    /// What `config.json` means where it says nothing.
    pub defaults: Defaults,
    /// Whether the language model's settings stand under `text_config`.
    pub text_config: bool,
    /// Makes the model of a configuration and its weights.
    pub build: fn(&ModelConfig, &mut Weights) -> Result<Decoder>,
}

/// All families, by name. A new one is a file beside this one and a row here.
pub const ARCHES: &[Arch] = &[
    Arch {
        class: "GPT2LMHeadModel",
        model_type: "gpt2",
        doc: "GPT-2 and DistilGPT-2",
        defaults: gpt2::DEFAULTS,
        text_config: false,
        build: gpt2::build,
    },
    Arch {
        class: "GPTNeoXForCausalLM",
        model_type: "gpt_neox",
        doc: "GPT-NeoX, Pythia, RedPajama",
        defaults: gpt_neox::DEFAULTS,
        text_config: false,
        build: gpt_neox::build,
    },
    Arch {
        class: "Gemma2ForCausalLM",
        model_type: "gemma2",
        doc: "Gemma 2",
        defaults: gemma2::DEFAULTS,
        text_config: false,
        build: gemma2::build,
    },
    Arch {
        class: "Gemma3ForCausalLM",
        model_type: "gemma3_text",
        doc: "Gemma 3, text only",
        defaults: gemma3::DEFAULTS,
        text_config: false,
        build: gemma3::build,
    },
    Arch {
        class: "Gemma3ForConditionalGeneration",
        model_type: "gemma3",
        doc: "Gemma 3 with pictures, of which the language model is run",
        defaults: gemma3::DEFAULTS,
        text_config: true,
        build: gemma3::build,
    },
    Arch {
        class: "GemmaForCausalLM",
        model_type: "gemma",
        doc: "Gemma 1 and CodeGemma",
        defaults: gemma::DEFAULTS,
        text_config: false,
        build: gemma::build,
    },
    Arch {
        class: "GraniteForCausalLM",
        model_type: "granite",
        doc: "Granite 3 and 4, dense",
        defaults: granite::DEFAULTS,
        text_config: false,
        build: granite::build,
    },
    Arch {
        class: "LlamaForCausalLM",
        model_type: "llama",
        doc: "Llama 1 to 3.x and models of the same shape (SmolLM, TinyLlama, Vicuna)",
        defaults: llama::DEFAULTS,
        text_config: false,
        build: llama::build,
    },
    Arch {
        class: "MistralForCausalLM",
        model_type: "mistral",
        doc: "Mistral 7B and models of the same shape",
        defaults: mistral::DEFAULTS,
        text_config: false,
        build: mistral::build,
    },
    Arch {
        class: "MixtralForCausalLM",
        model_type: "mixtral",
        doc: "Mixtral",
        defaults: mixtral::DEFAULTS,
        text_config: false,
        build: mixtral::build,
    },
    Arch {
        class: "Olmo2ForCausalLM",
        model_type: "olmo2",
        doc: "OLMo 2",
        defaults: olmo2::DEFAULTS,
        text_config: false,
        build: olmo2::build,
    },
    Arch {
        class: "Phi3ForCausalLM",
        model_type: "phi3",
        doc: "Phi-3, Phi-3.5 mini, Phi-4 and Phi-4 mini",
        defaults: phi3::DEFAULTS,
        text_config: false,
        build: phi3::build,
    },
    Arch {
        class: "Qwen2ForCausalLM",
        model_type: "qwen2",
        doc: "Qwen 1.5, 2 and 2.5, dense",
        defaults: qwen2::DEFAULTS,
        text_config: false,
        build: qwen2::build,
    },
    Arch {
        class: "Qwen3ForCausalLM",
        model_type: "qwen3",
        doc: "Qwen 3, dense",
        defaults: qwen3::DEFAULTS,
        text_config: false,
        build: qwen3::build,
    },
    Arch {
        class: "Qwen3MoeForCausalLM",
        model_type: "qwen3_moe",
        doc: "Qwen 3, mixtures of experts",
        defaults: qwen3_moe::DEFAULTS,
        text_config: false,
        build: qwen3_moe::build,
    },
    Arch {
        class: "SmolLM3ForCausalLM",
        model_type: "smollm3",
        doc: "SmolLM3",
        defaults: smollm3::DEFAULTS,
        text_config: false,
        build: smollm3::build,
    },
];
