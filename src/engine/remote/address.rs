//! What `--model` names: which servers, which format, which model, which key.
//!
//! A provider's key goes to the provider's own address, or to the one that its own variable names. An address that stands on the
//! command line never gets it: who copies a command from somewhere must not send a key somewhere. Such addresses get
//! `FAIRMARK_API_KEY`.

use super::transport::{Base, Secret};
use super::wire::{
    Wire, anthropic, gemini, llama_server, openai_chat, openai_completions, openai_responses, sglang, tgi,
};
use crate::error::{Error, Result, nearest};
use reqwest::Url;

/// How a key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer ...`
    Bearer,
    /// A header of that name.
    Named(&'static str),
}

/// A provider or kind of server.
pub struct Endpoint {
    /// The name before the colon.
    pub name: &'static str,
    pub doc: &'static str,
    /// Formats that it speaks, in the order in which they are tried.
    pub wires: &'static [&'static dyn Wire],
    /// Where it is; `None`: an address must be named.
    pub url: Option<&'static str>,
    /// The variable that names another address.
    pub url_var: Option<&'static str>,
    /// The variable of the key.
    pub key_var: Option<&'static str>,
    pub key_header: KeyHeader,
    /// Headers and parameters of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// The part of the address that routes lie under, where an address on the command line leaves it out.
    pub path: &'static str,
}

/// All formats.
pub const WIRES: &[&dyn Wire] = &[
    &openai_completions::PLAIN,
    &openai_completions::VLLM,
    &openai_chat::OPENAI,
    &openai_chat::COMPATIBLE,
    &openai_chat::VLLM,
    &openai_responses::OpenAiResponses,
    &anthropic::Anthropic,
    &gemini::Gemini,
    &llama_server::LlamaServer,
    &tgi::Tgi,
    &sglang::SgLang,
];

/// The row of addresses without a name.
const COMPATIBLE: &str = "openai-compatible";
/// The key for addresses on the command line.
const OWN_KEY: &str = "FAIRMARK_API_KEY";
const AZURE_VERSION: &str = "AZURE_OPENAI_API_VERSION";
const AZURE_DEFAULT_VERSION: &str = "2024-10-21";

const BLANK: Endpoint = Endpoint {
    name: "",
    doc: "",
    wires: &[&openai_chat::COMPATIBLE],
    url: None,
    url_var: None,
    key_var: None,
    key_header: KeyHeader::Bearer,
    headers: &[],
    path: "",
};

/// A provider with OpenAI's chat route.
const fn provider(name: &'static str, doc: &'static str, url: &'static str, key_var: &'static str) -> Endpoint {
    Endpoint { name, doc, url: Some(url), key_var: Some(key_var), ..BLANK }
}

/// All kinds of endpoints. To add one, write its format (if it has one of its own) and a row.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: COMPATIBLE,
        doc: "any server with OpenAI's routes; an address alone means this",
        wires: &[&openai_completions::PLAIN, &openai_chat::COMPATIBLE],
        ..BLANK
    },
    Endpoint {
        name: "openai",
        doc: "OpenAI, by /chat/completions",
        wires: &[&openai_chat::OPENAI],
        url: Some("https://api.openai.com/v1"),
        url_var: Some("OPENAI_BASE_URL"),
        key_var: Some("OPENAI_API_KEY"),
        ..BLANK
    },
    Endpoint {
        name: "openai-chat",
        doc: "OpenAI's /chat/completions, at any address",
        wires: &[&openai_chat::COMPATIBLE],
        url: Some("https://api.openai.com/v1"),
        url_var: Some("OPENAI_BASE_URL"),
        key_var: Some("OPENAI_API_KEY"),
        ..BLANK
    },
    Endpoint {
        name: "openai-completions",
        doc: "OpenAI's /completions, at any address",
        wires: &[&openai_completions::PLAIN],
        url: Some("https://api.openai.com/v1"),
        url_var: Some("OPENAI_BASE_URL"),
        key_var: Some("OPENAI_API_KEY"),
        ..BLANK
    },
    Endpoint {
        name: "openai-responses",
        doc: "OpenAI's /responses",
        wires: &[&openai_responses::OpenAiResponses],
        url: Some("https://api.openai.com/v1"),
        url_var: Some("OPENAI_BASE_URL"),
        key_var: Some("OPENAI_API_KEY"),
        ..BLANK
    },
    Endpoint {
        name: "azure",
        doc: "Azure OpenAI: the model is the deployment's name",
        wires: &[&openai_chat::OPENAI],
        url_var: Some("AZURE_OPENAI_ENDPOINT"),
        key_var: Some("AZURE_OPENAI_API_KEY"),
        key_header: KeyHeader::Named("api-key"),
        ..BLANK
    },
    Endpoint {
        name: "anthropic",
        doc: "Anthropic, by /messages",
        wires: &[&anthropic::Anthropic],
        url: Some("https://api.anthropic.com/v1"),
        url_var: Some("ANTHROPIC_BASE_URL"),
        key_var: Some("ANTHROPIC_API_KEY"),
        key_header: KeyHeader::Named("x-api-key"),
        headers: &[("anthropic-version", "2023-06-01")],
        ..BLANK
    },
    Endpoint {
        name: "gemini",
        doc: "Google, by generateContent",
        wires: &[&gemini::Gemini],
        url: Some("https://generativelanguage.googleapis.com/v1beta"),
        key_var: Some("GEMINI_API_KEY"),
        key_header: KeyHeader::Named("x-goog-api-key"),
        ..BLANK
    },
    provider("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    provider("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    provider("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    provider("together", "Together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    provider("fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    provider("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    provider("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY"),
    Endpoint {
        name: "ollama",
        doc: "Ollama on this machine, by its OpenAI routes",
        url: Some("http://127.0.0.1:11434/v1"),
        path: "v1",
        ..BLANK
    },
    Endpoint {
        name: "lmstudio",
        doc: "LM Studio on this machine",
        wires: &[&openai_completions::PLAIN, &openai_chat::COMPATIBLE],
        url: Some("http://127.0.0.1:1234/v1"),
        path: "v1",
        ..BLANK
    },
    Endpoint {
        name: "vllm",
        doc: "vLLM: prompts scored by prompt_logprobs, chat beside it",
        wires: &[&openai_completions::VLLM, &openai_chat::VLLM],
        url: Some("http://127.0.0.1:8000/v1"),
        path: "v1",
        ..BLANK
    },
    Endpoint {
        name: "sglang",
        doc: "SGLang, by /generate",
        wires: &[&sglang::SgLang],
        url: Some("http://127.0.0.1:30000"),
        ..BLANK
    },
    Endpoint {
        name: "llama-server",
        doc: "llama.cpp's server, by its own routes",
        wires: &[&llama_server::LlamaServer],
        url: Some("http://127.0.0.1:8080"),
        ..BLANK
    },
    Endpoint {
        name: "tgi",
        doc: "Hugging Face text-generation-inference, by /generate",
        wires: &[&tgi::Tgi],
        url: Some("http://127.0.0.1:3000"),
        ..BLANK
    },
];

/// A model on servers.
#[derive(Clone)]
pub struct Address {
    pub row: &'static Endpoint,
    pub bases: Vec<Base>,
    /// `None`: the only one that the servers have.
    pub model: Option<String>,
    /// As typed.
    pub name: String,
    /// What the user should know: a key that goes over an open connection.
    pub notices: Vec<String>,
}

/// The row and what follows its name, if a model's name means servers.
fn split(model: &str) -> Option<(&'static Endpoint, &str)> {
    if model.starts_with("http://") || model.starts_with("https://") {
        return ENDPOINTS.iter().find(|row| row.name == COMPATIBLE).map(|row| (row, model));
    }
    let (name, rest) = model.split_once(':')?;
    ENDPOINTS.iter().find(|row| row.name == name).map(|row| (row, rest))
}

/// Whether a model's name means servers.
pub fn is_remote(model: &str) -> bool {
    split(model).is_some() || unknown_row(model).is_some()
}

/// `opnai:gpt-4o` is no file either: a word, a colon, something.
fn unknown_row(model: &str) -> Option<&str> {
    let (name, rest) = model.split_once(':')?;
    let is_word = name.len() > 1 && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    (is_word && name != "mock" && !rest.starts_with('\\') && !std::path::Path::new(model).exists()).then_some(name)
}

impl Address {
    /// Reads a model's name; `var` looks variables up.
    pub fn parse(model: &str, var: &dyn Fn(&str) -> Option<String>) -> Result<Address> {
        let Some((row, rest)) = split(model) else {
            let name = unknown_row(model).unwrap_or(model);
            let known = "`fairmark ls endpoints` prints the kinds of endpoints".to_string();
            let near = nearest(name, ENDPOINTS.iter().map(|row| row.name));
            return Err(Error::input(format!("there is no kind of endpoint `{name}`"))
                .hint(near.map_or(known, |near| format!("did you mean `{near}:`?"))));
        };
        let set = |name: &str| var(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        let typed = rest.starts_with("http://") || rest.starts_with("https://");
        let (urls, model_name) = match (typed, rest.split_once('#')) {
            (true, Some((urls, model))) => (Some(urls), model),
            (true, None) => (Some(rest), ""),
            (false, _) => (None, rest),
        };
        let (urls, key) = match urls {
            Some(urls) => (urls.split(',').map(str::to_string).collect(), key(OWN_KEY, &set)?),
            None => (vec![own_url(row, &set)?], row.key_var.map(|name| required_key(row, name, &set)).transpose()?),
        };
        let mut bases = Vec::new();
        let mut notices = Vec::new();
        for url in &urls {
            let url = base_url(url, row, typed, model_name)?;
            if key.is_some() && url.scheme() == "http" && !is_loopback(&url) {
                notices.push(format!("the key goes to {} over a connection that is not encrypted", host(&url)));
            }
            bases.push(Base { url, headers: headers(row, key.as_ref()), query: query(row, &set) });
        }
        let model_name = Some(model_name.to_string()).filter(|model| !model.is_empty());
        Ok(Address { row, bases, model: model_name, name: model.to_string(), notices })
    }

    /// The model's last part, or the first server's name: for tables.
    pub fn label(&self, model: &str) -> String {
        let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
        if last.is_empty() { self.row.name.to_string() } else { last.to_string() }
    }
}

fn own_url(row: &Endpoint, set: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let named = row.url_var.and_then(set);
    named.or_else(|| row.url.map(str::to_string)).ok_or_else(|| {
        let hint = match row.url_var {
            Some(name) => format!("set {name}, or write `{}:https://...#MODEL`", row.name),
            None => format!("write `{}:http://HOST:PORT/v1#MODEL`", row.name),
        };
        Error::input(format!("`{}` needs an address", row.name)).hint(hint)
    })
}

/// A key from the environment; one that no header can carry is refused without being shown.
fn key(name: &str, set: &dyn Fn(&str) -> Option<String>) -> Result<Option<Secret>> {
    let Some(value) = set(name) else { return Ok(None) };
    if value.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(Error::input(format!("the key in {name} holds characters that no key has"))
            .hint("copy it again, without line breaks or quotes"));
    }
    Ok(Some(Secret::new(value)))
}

fn required_key(row: &Endpoint, name: &str, set: &dyn Fn(&str) -> Option<String>) -> Result<Secret> {
    key(name, set)?.ok_or_else(|| {
        Error::input(format!("`{}` needs a key", row.name))
            .hint(format!("set {name}; keys are read from the environment only"))
    })
}

fn base_url(text: &str, row: &Endpoint, typed: bool, model: &str) -> Result<Url> {
    let hint = "write it like http://127.0.0.1:8000/v1#MODEL";
    let mut url = Url::parse(text.trim())
        .map_err(|err| Error::input("the address of the server makes no sense").cause(err).hint(hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Error::input("the address of the server is neither http:// nor https://").hint(hint));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(Error::input(format!("the address of {} holds a name, password or parameters", host(&url)))
            .hint(format!("keys are read from the environment only: set {OWN_KEY}")));
    }
    if row.name == "azure" {
        let path = url.path().trim_end_matches('/').to_string();
        if !path.contains("/openai") {
            url.set_path(&format!("{path}/openai/deployments/{model}"));
        }
    } else if typed && url.path() == "/" && !row.path.is_empty() {
        url.set_path(row.path);
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn headers(row: &Endpoint, key: Option<&Secret>) -> Vec<(String, Secret)> {
    let fixed = row.headers.iter().map(|(name, value)| (name.to_string(), Secret::new(*value)));
    let key = key.map(|key| match row.key_header {
        KeyHeader::Bearer => ("authorization".to_string(), Secret::new(format!("Bearer {}", key.expose()))),
        KeyHeader::Named(name) => (name.to_string(), key.clone()),
    });
    fixed.chain(key).collect()
}

fn query(row: &Endpoint, set: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    if row.name != "azure" {
        return Vec::new();
    }
    let version = set(AZURE_VERSION).unwrap_or_else(|| AZURE_DEFAULT_VERSION.to_string());
    vec![("api-version".to_string(), version)]
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_string()
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "[::1]")) || url.host_str().is_some_and(|host| host.starts_with("127."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-CANARY";

    fn parse(model: &str, vars: &[(&str, &str)]) -> Result<Address> {
        Address::parse(model, &|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
    }

    fn shown(address: &Address) -> Vec<(&str, Vec<(&str, &str)>)> {
        let headers = |base: &Base| -> Vec<(String, String)> {
            base.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_string())).collect()
        };
        let _ = headers;
        address
            .bases
            .iter()
            .map(|b| (b.url.as_str(), b.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect()))
            .collect()
    }

    #[test]
    fn providers_and_addresses() {
        let openai = parse("openai:gpt-4o-mini", &[("OPENAI_API_KEY", " sk-CANARY\n")]).unwrap();
        let bearer = "Bearer sk-CANARY";
        assert_eq!(shown(&openai), [("https://api.openai.com/v1/", vec![("authorization", bearer)])]);
        assert_eq!(openai.model.as_deref(), Some("gpt-4o-mini"));
        let bare = parse("http://127.0.0.1:8000/v1#org/my-model", &[]).unwrap();
        assert_eq!((shown(&bare), bare.row.name), (vec![("http://127.0.0.1:8000/v1/", vec![])], "openai-compatible"));
        assert_eq!((bare.model.as_deref(), bare.label("org/my-model").as_str()), (Some("org/my-model"), "my-model"));
        let fleet = parse("vllm:http://a:1,http://b:2/v1/#m", &[]).unwrap();
        let urls: Vec<&str> = fleet.bases.iter().map(|base| base.url.as_str()).collect();
        assert_eq!(urls, ["http://a:1/v1/", "http://b:2/v1/"]);
        assert_eq!(parse("llama-server:http://127.0.0.1:8080", &[]).unwrap().model, None);
        let anthropic = parse("anthropic:claude", &[("ANTHROPIC_API_KEY", KEY)]).unwrap();
        assert_eq!(anthropic.bases[0].headers.len(), 2);
        let vars = [("AZURE_OPENAI_ENDPOINT", "https://x.example"), ("AZURE_OPENAI_API_KEY", KEY)];
        let azure = parse("azure:my-gpt", &vars).unwrap();
        assert_eq!(azure.bases[0].url.as_str(), "https://x.example/openai/deployments/my-gpt/");
        assert_eq!(azure.bases[0].query[0].0, "api-version");
    }

    #[test]
    fn a_providers_key_never_goes_to_a_typed_address() {
        let vars = [("OPENAI_API_KEY", KEY)];
        let typed = parse("openai-chat:http://elsewhere.example/v1#m", &vars).unwrap();
        assert!(typed.bases[0].headers.is_empty());
        let own = parse("openai-chat:http://elsewhere.example/v1#m", &[("FAIRMARK_API_KEY", KEY)]).unwrap();
        assert_eq!(own.bases[0].headers[0].1.expose(), "Bearer sk-CANARY");
        assert!(own.notices[0].contains("not encrypted"));
        let named =
            parse("openai:m", &[("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", "https://proxy.example/v1")]).unwrap();
        assert_eq!(named.bases[0].url.as_str(), "https://proxy.example/v1/");
        assert!(!format!("{:?}", own.bases).contains("CANARY"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refusal = |model: &str, vars: &[(&str, &str)]| parse(model, vars).err().unwrap().to_string();
        assert!(refusal("openai:gpt", &[]).contains("set OPENAI_API_KEY"));
        assert!(refusal("opnai:gpt", &[]).contains("did you mean `openai:`"));
        assert!(refusal("azure:x", &[]).contains("AZURE_OPENAI_ENDPOINT"));
        let with_key = refusal("http://user:sk-CANARY@host/v1#m", &[]);
        assert!(with_key.contains("environment only") && !with_key.contains("CANARY"), "{with_key}");
        assert!(refusal("http://host/v1?key=sk-CANARY#m", &[]).contains("environment only"));
        let bad = refusal("openai:gpt", &[("OPENAI_API_KEY", "sk-CANARY\nsk-2")]);
        assert!(bad.contains("no key has") && !bad.contains("CANARY"), "{bad}");
        assert!(refusal("openai-compatible:m", &[]).contains("needs an address"));
    }

    #[test]
    fn files_and_hub_ids_are_not_servers() {
        for local in ["mock", "mock:seed=1", "org/name", "./model", "C:\\models\\x", "model.gguf", "org/name@main"] {
            assert!(!is_remote(local), "{local}");
        }
        for remote in ["openai:gpt-4o", "http://x/v1", "llama-server:http://x", "opnai:x"] {
            assert!(is_remote(remote), "{remote}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ENDPOINTS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ENDPOINTS.len());
    }
}
