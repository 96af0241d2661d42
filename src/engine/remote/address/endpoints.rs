//! The providers and servers that have a name of their own: which formats they speak, where they are, how they want their key.

use crate::engine::remote::wire::{
    Wire, anthropic::Anthropic, gemini::Gemini, llama_server::LlamaServer, openai_chat as chat,
    openai_completions as completions, openai_responses::Responses, sglang::SgLang, tgi::Tgi,
};
use std::fmt;

/// How a key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// In a header of this name.
    Header(&'static str),
}

/// A provider or a kind of server.
pub struct Endpoint {
    /// What stands before the colon of `--model`.
    pub name: &'static str,
    /// Formats it speaks, those first that can score prompts.
    pub wires: &'static [&'static dyn Wire],
    /// Its address. `None`: it has to be written.
    pub base_url: Option<&'static str>,
    /// Path put behind addresses that have none.
    pub path: &'static str,
    /// Variables that may hold its key, the first one that is set counts. None: [`super::OWN_KEY`].
    pub key_vars: &'static [&'static str],
    /// It answers nobody without a key.
    pub needs_key: bool,
    /// Variable that holds another address.
    pub base_var: Option<&'static str>,
    pub auth: Auth,
    /// Headers that every request needs.
    pub headers: &'static [(&'static str, &'static str)],
    /// One line for `fairmark ls endpoints`.
    pub about: &'static str,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.name).finish()
    }
}

/// A server on this computer or in this network: no key, `v1/`.
const SERVER: Endpoint = Endpoint {
    name: "",
    wires: &[&completions::COMPATIBLE, &chat::COMPATIBLE],
    base_url: None,
    path: "v1/",
    key_vars: &[],
    needs_key: false,
    base_var: None,
    auth: Auth::Bearer,
    headers: &[],
    about: "",
};

/// A provider with OpenAI's chat format.
const PROVIDER: Endpoint = Endpoint { wires: &[&chat::COMPATIBLE], needs_key: true, ..SERVER };

/// The row of addresses written without a name. Which of its formats a server speaks is for the probe to find out.
pub static OPENAI_COMPATIBLE: Endpoint =
    Endpoint { name: "openai-compatible", about: "any server with OpenAI's routes: write its address", ..SERVER };

/// All of them, in the order of `fairmark ls endpoints`.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "openai",
        wires: &[&chat::OPENAI],
        base_url: Some("https://api.openai.com/v1/"),
        key_vars: &["OPENAI_API_KEY"],
        base_var: Some("OPENAI_BASE_URL"),
        about: "OpenAI, chat completions",
        ..PROVIDER
    },
    Endpoint {
        name: "openai-chat",
        wires: &[&chat::OPENAI],
        base_url: Some("https://api.openai.com/v1/"),
        key_vars: &["OPENAI_API_KEY"],
        base_var: Some("OPENAI_BASE_URL"),
        about: "the same as openai",
        ..PROVIDER
    },
    Endpoint {
        name: "openai-completions",
        wires: &[&completions::OPENAI],
        base_url: Some("https://api.openai.com/v1/"),
        key_vars: &["OPENAI_API_KEY"],
        base_var: Some("OPENAI_BASE_URL"),
        about: "OpenAI, completions of texts",
        ..PROVIDER
    },
    Endpoint {
        name: "openai-responses",
        wires: &[&Responses],
        base_url: Some("https://api.openai.com/v1/"),
        key_vars: &["OPENAI_API_KEY"],
        base_var: Some("OPENAI_BASE_URL"),
        about: "OpenAI, responses",
        ..PROVIDER
    },
    Endpoint {
        name: "azure",
        wires: &[&chat::AZURE],
        path: "",
        key_vars: &["AZURE_OPENAI_API_KEY"],
        base_var: Some("AZURE_OPENAI_ENDPOINT"),
        auth: Auth::Header("api-key"),
        about: "OpenAI's models on Azure: the model is the deployment's name",
        ..PROVIDER
    },
    Endpoint {
        name: "anthropic",
        wires: &[&Anthropic],
        base_url: Some("https://api.anthropic.com/v1/"),
        key_vars: &["ANTHROPIC_API_KEY"],
        base_var: Some("ANTHROPIC_BASE_URL"),
        auth: Auth::Header("x-api-key"),
        headers: &[("anthropic-version", "2023-06-01")],
        about: "Anthropic, messages",
        ..PROVIDER
    },
    Endpoint {
        name: "gemini",
        wires: &[&Gemini],
        base_url: Some("https://generativelanguage.googleapis.com/v1beta/"),
        path: "v1beta/",
        key_vars: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_var: Some("GOOGLE_GEMINI_BASE_URL"),
        auth: Auth::Header("x-goog-api-key"),
        about: "Google's Gemini, generateContent",
        ..PROVIDER
    },
    Endpoint {
        name: "openrouter",
        wires: &[&chat::OPENROUTER],
        base_url: Some("https://openrouter.ai/api/v1/"),
        path: "api/v1/",
        key_vars: &["OPENROUTER_API_KEY"],
        base_var: Some("OPENROUTER_BASE_URL"),
        about: "OpenRouter",
        ..PROVIDER
    },
    Endpoint {
        name: "mistral",
        wires: &[&chat::MISTRAL],
        base_url: Some("https://api.mistral.ai/v1/"),
        key_vars: &["MISTRAL_API_KEY"],
        base_var: Some("MISTRAL_BASE_URL"),
        about: "Mistral",
        ..PROVIDER
    },
    Endpoint {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1/"),
        path: "openai/v1/",
        key_vars: &["GROQ_API_KEY"],
        base_var: Some("GROQ_BASE_URL"),
        about: "Groq",
        ..PROVIDER
    },
    Endpoint {
        name: "together",
        wires: &[&completions::COMPATIBLE, &chat::COMPATIBLE],
        base_url: Some("https://api.together.xyz/v1/"),
        key_vars: &["TOGETHER_API_KEY"],
        base_var: Some("TOGETHER_BASE_URL"),
        about: "Together",
        ..PROVIDER
    },
    Endpoint {
        name: "deepseek",
        wires: &[&chat::DEEPSEEK],
        base_url: Some("https://api.deepseek.com/v1/"),
        key_vars: &["DEEPSEEK_API_KEY"],
        base_var: Some("DEEPSEEK_BASE_URL"),
        about: "DeepSeek",
        ..PROVIDER
    },
    Endpoint {
        name: "fireworks",
        wires: &[&completions::OPENAI, &chat::FIREWORKS],
        base_url: Some("https://api.fireworks.ai/inference/v1/"),
        path: "inference/v1/",
        key_vars: &["FIREWORKS_API_KEY"],
        base_var: Some("FIREWORKS_BASE_URL"),
        about: "Fireworks",
        ..PROVIDER
    },
    Endpoint {
        name: "xai",
        wires: &[&chat::XAI],
        base_url: Some("https://api.x.ai/v1/"),
        key_vars: &["XAI_API_KEY"],
        base_var: Some("XAI_BASE_URL"),
        about: "xAI's Grok",
        ..PROVIDER
    },
    Endpoint {
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1/"),
        key_vars: &["CEREBRAS_API_KEY"],
        base_var: Some("CEREBRAS_BASE_URL"),
        about: "Cerebras",
        ..PROVIDER
    },
    Endpoint {
        name: "deepinfra",
        base_url: Some("https://api.deepinfra.com/v1/openai/"),
        path: "v1/openai/",
        key_vars: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        base_var: Some("DEEPINFRA_BASE_URL"),
        about: "DeepInfra",
        ..PROVIDER
    },
    Endpoint {
        name: "nvidia",
        base_url: Some("https://integrate.api.nvidia.com/v1/"),
        key_vars: &["NVIDIA_API_KEY"],
        base_var: Some("NVIDIA_BASE_URL"),
        about: "NVIDIA's hosted models",
        ..PROVIDER
    },
    Endpoint {
        name: "huggingface",
        base_url: Some("https://router.huggingface.co/v1/"),
        key_vars: &["HF_TOKEN"],
        base_var: None,
        about: "Hugging Face's inference providers",
        ..PROVIDER
    },
    Endpoint {
        name: "vllm",
        wires: &[&completions::VLLM, &chat::VLLM],
        base_url: Some("http://127.0.0.1:8000/v1/"),
        key_vars: &["VLLM_API_KEY"],
        base_var: Some("VLLM_BASE_URL"),
        about: "vLLM",
        ..SERVER
    },
    Endpoint {
        name: "sglang",
        wires: &[&SgLang, &chat::SGLANG],
        base_url: Some("http://127.0.0.1:30000/v1/"),
        base_var: Some("SGLANG_BASE_URL"),
        about: "SGLang, by its own route for texts",
        ..SERVER
    },
    Endpoint {
        name: "llama-server",
        wires: &[&LlamaServer, &chat::LLAMA_SERVER],
        base_url: Some("http://127.0.0.1:8080/v1/"),
        base_var: Some("LLAMA_SERVER_BASE_URL"),
        about: "llama.cpp's llama-server, by its own route for texts (no log-probabilities of prompts)",
        ..SERVER
    },
    Endpoint {
        name: "llama-cpp-python",
        wires: &[&completions::LLAMA_CPP_PYTHON, &chat::LLAMA_CPP_PYTHON],
        base_url: Some("http://127.0.0.1:8000/v1/"),
        base_var: Some("LLAMA_CPP_PYTHON_BASE_URL"),
        about: "python -m llama_cpp.server (log-probabilities only with --logits_all true)",
        ..SERVER
    },
    Endpoint {
        name: "tgi",
        wires: &[&Tgi, &chat::COMPATIBLE],
        base_url: Some("http://127.0.0.1:3000/v1/"),
        base_var: Some("TGI_BASE_URL"),
        about: "Hugging Face text-generation-inference, by its own route for texts",
        ..SERVER
    },
    Endpoint {
        name: "transformers",
        base_url: Some("http://127.0.0.1:8000/v1/"),
        base_var: Some("TRANSFORMERS_BASE_URL"),
        about: "transformers serve (no log-probabilities)",
        ..SERVER
    },
    Endpoint {
        name: "ollama",
        wires: &[&chat::OLLAMA],
        base_url: Some("http://127.0.0.1:11434/v1/"),
        base_var: Some("OLLAMA_HOST"),
        about: "Ollama",
        ..SERVER
    },
    Endpoint {
        name: "lmstudio",
        base_url: Some("http://127.0.0.1:1234/v1/"),
        base_var: Some("LMSTUDIO_BASE_URL"),
        about: "LM Studio",
        ..SERVER
    },
];

/// Who servers say that they are in `owned_by` of their listings.
const OWNERS: &[(&str, &str)] = &[
    ("vllm", "vllm"),
    ("sglang", "sglang"),
    ("llamacpp", "llama-server"),
    ("me", "llama-cpp-python"),
    ("library", "ollama"),
];

/// The row of a name.
pub fn by_name(name: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().chain([&OPENAI_COMPATIBLE]).find(|row| row.name.eq_ignore_ascii_case(name))
}

/// The row of a server that answers at an address written without a name: by `owned_by` of its listing.
pub fn by_owner(owned_by: &str) -> Option<&'static Endpoint> {
    OWNERS.iter().find(|(owner, _)| *owner == owned_by).and_then(|(_, name)| by_name(name))
}
