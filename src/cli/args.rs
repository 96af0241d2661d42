//! Flags that several verbs share, and what they mean.

use super::bytes::parse_bytes;
use super::downloads;
use super::endpoints::EndpointArgs;
use super::precision::Level;
use crate::data::{DataOptions, DataSource};
use crate::engine::EngineOptions;
use crate::engine::local::{Activations, DTypeChoice, DeviceChoice, SystemFallback};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::prompt::PromptOptions;
use crate::task::ChoiceProtocol;
use clap::{Args, ValueEnum};
use serde_json::{Map, Number, Value};
use std::path::PathBuf;

/// Where tasks and data come from and how prompts are made.
#[derive(Args, Clone)]
pub struct TaskArgs {
    /// Shots in each prompt (default: what the task says; a task that says 0 keeps 0).
    #[arg(long, short = 'f', value_name = "N")]
    pub num_fewshot: Option<usize>,

    /// Folder of local data with a `sources.yaml` (default: the hub and its cache).
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Further folders of task files; their tasks override built-in ones of the same name.
    #[arg(long, value_name = "DIR")]
    pub include_path: Vec<PathBuf>,

    /// Put prompts through the model's chat template.
    #[arg(long)]
    pub apply_chat_template: bool,

    /// Shots as conversation turns (`true`, the default under a chat template) or in one user message (`false`).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", requires = "apply_chat_template")]
    pub fewshot_as_multiturn: Option<bool>,

    /// Text put before every prompt (the system turn under a chat template).
    #[arg(long, value_name = "TEXT")]
    pub system_instruction: Option<String>,

    /// Generation settings over the task's: `max_gen_toks=64,temperature=0.7,do_sample=true`, or a JSON object.
    #[arg(long, value_name = "K=V,...")]
    pub gen_kwargs: Option<String>,

    /// Seed of sampled decoding.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,

    /// Seed of the few-shot draw.
    #[arg(long, default_value_t = 1234, value_name = "N")]
    pub fewshot_seed: u64,

    /// Never show a document among its own shots, also where lm-evaluation-harness does.
    #[arg(long)]
    pub exclude_evaluated: bool,

    /// Let task files and data folders name files outside of the folder they lie in.
    #[arg(long)]
    pub allow_outside: bool,

    /// Never use the network: only local files and the hub's cache (also `HF_HUB_OFFLINE=1`).
    #[arg(long)]
    pub offline: bool,

    /// How the choices of multiple-choice tasks are put: by the log-likelihood of each (`likelihood`, what tasks say), or under
    /// letters, by the likeliest first token (`letter-logprobs`) or by the letter that the model writes (`letter-text`). Letters are
    /// another protocol and are reported as such. `auto`: likelihood where the model can be scored.
    #[arg(long, value_enum, default_value_t = ProtocolArg::Auto, value_name = "PROTOCOL")]
    pub mc_protocol: ProtocolArg,

    /// File that pins hub revisions and checksums; made on first use, honoured afterwards.
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}

impl TaskArgs {
    /// What the prompt wing needs (without a limit).
    pub fn prompt_options(&self) -> Result<PromptOptions> {
        Ok(PromptOptions {
            num_fewshot: self.num_fewshot,
            chat: self.apply_chat_template,
            fewshot_as_multiturn: self.fewshot_as_multiturn,
            system_instruction: self.system_instruction.clone(),
            fewshot_seed: self.fewshot_seed,
            exclude_evaluated: self.exclude_evaluated,
            gen_kwargs: parse_kwargs(self.gen_kwargs.as_deref().unwrap_or_default())?,
            seed: self.seed,
            limit: None,
            choices: Option::from(self.mc_protocol).unwrap_or_default(),
        })
    }

    /// Opens the data source; downloads are shown unless `quiet`.
    pub fn data_source(&self, quiet: bool) -> Result<DataSource> {
        let options = DataOptions {
            data_dir: self.data_dir.clone(),
            offline: self.offline,
            lock: self.lock.clone(),
            allow_outside: self.allow_outside,
        };
        let hub = Hub::from_env(self.offline)?;
        DataSource::with_hub(options, if quiet { hub } else { hub.with_progress(downloads::report) })
    }
}

/// How a model is loaded.
#[derive(Args, Clone)]
pub struct ModelArgs {
    /// Number format of weights and arithmetic.
    #[arg(long, value_enum, default_value_t = DTypeArg::Auto)]
    pub dtype: DTypeArg,

    /// Bring full-precision weights of the models under test to these formats on loading (`bf16`, `int8`, `nf4`, `q8_0`, `q4_k`, ...; `fairmark ls
    /// precisions`). Several give a column each.
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',', value_parser = Level::parser(), ignore_case = true,
          hide_possible_values = true)]
    pub precision: Vec<Level>,

    /// Where the model runs: `auto` (a GPU where this build and machine have one), `cpu`, `cuda:N`, `metal`.
    #[arg(long, default_value = "auto", value_name = "DEVICE", value_parser = str::parse::<DeviceChoice>)]
    pub device: DeviceChoice,

    /// What happens to activations before they meet quantised weights: `exact`, nothing; `int8`, rounded to 8 bits in blocks of 32 as
    /// llama.cpp does (faster); `llm-int8`, as bitsandbytes multiplies LLM.int8 weights.
    #[arg(long, value_enum, default_value_t = ActivationsArg::Exact)]
    pub activations: ActivationsArg,

    /// When a chat template refuses the system role: put its text into the first user turn, or drop it as the reference does.
    #[arg(long, value_enum, default_value_t = SystemFallbackArg::Fold)]
    pub system_fallback: SystemFallbackArg,

    /// Context window in tokens (default: the model's).
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,

    /// Force the beginning-of-sequence token on or off (default: what the tokenizer's files say).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub add_bos_token: Option<bool>,

    /// Threads (default: all cores). Decides only the time.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Memory for keys and values, like `512MB` or `2GiB` (default: what full passes need, a quarter of
    /// what is free or 4 GiB at most). Decides only the time.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub kv_memory: Option<usize>,

    #[command(flatten)]
    pub endpoints: EndpointArgs,
}

impl ModelArgs {
    /// Options for every engine of this command, without a precision; downloads are shown unless `quiet`.
    pub fn engine_options(&self, tasks: &TaskArgs, quiet: bool) -> Result<EngineOptions> {
        if self.threads == Some(0) {
            return Err(
                Error::input("--threads 0 leaves nobody to do the work").hint("leave the flag out to use all cores")
            );
        }
        Ok(EngineOptions {
            dtype: self.dtype.into(),
            precision: None,
            device: self.device,
            activations: self.activations.into(),
            system_fallback: self.system_fallback.into(),
            max_length: self.max_length,
            add_bos: self.add_bos_token,
            offline: tasks.offline,
            on_download: if quiet { None } else { Some(downloads::report) },
            chat: tasks.apply_chat_template,
            threads: self.threads(),
            kv_memory: self.kv_memory,
            remote: self.endpoints.remote_options()?,
        })
    }

    /// The number of threads asked for, or of cores.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// `--mc-protocol`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolArg {
    Auto,
    Likelihood,
    LetterLogprobs,
    LetterText,
}

impl From<ProtocolArg> for Option<ChoiceProtocol> {
    fn from(arg: ProtocolArg) -> Self {
        match arg {
            ProtocolArg::Auto => None,
            ProtocolArg::Likelihood => Some(ChoiceProtocol::Likelihood),
            ProtocolArg::LetterLogprobs => Some(ChoiceProtocol::LetterLogprobs),
            ProtocolArg::LetterText => Some(ChoiceProtocol::LetterText),
        }
    }
}

/// `--dtype`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum DTypeArg {
    /// The checkpoint's own.
    Auto,
    #[value(alias = "f32")]
    Float32,
    #[value(alias = "bf16")]
    Bfloat16,
    #[value(alias = "f16")]
    Float16,
}

impl From<DTypeArg> for DTypeChoice {
    fn from(arg: DTypeArg) -> Self {
        match arg {
            DTypeArg::Auto => DTypeChoice::Auto,
            DTypeArg::Float32 => DTypeChoice::F32,
            DTypeArg::Bfloat16 => DTypeChoice::Bf16,
            DTypeArg::Float16 => DTypeChoice::F16,
        }
    }
}

/// `--activations`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum ActivationsArg {
    Exact,
    Int8,
    LlmInt8,
}

impl From<ActivationsArg> for Activations {
    fn from(arg: ActivationsArg) -> Self {
        match arg {
            ActivationsArg::Exact => Activations::Exact,
            ActivationsArg::Int8 => Activations::Int8,
            ActivationsArg::LlmInt8 => Activations::LlmInt8,
        }
    }
}

/// `--system-fallback`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum SystemFallbackArg {
    Fold,
    Drop,
}

impl From<SystemFallbackArg> for SystemFallback {
    fn from(arg: SystemFallbackArg) -> Self {
        match arg {
            SystemFallbackArg::Fold => SystemFallback::Fold,
            SystemFallbackArg::Drop => SystemFallback::Drop,
        }
    }
}

/// Reads `key=value,key=value` (numbers, `true`, `false` and `null`/`None` as such, what begins with `[` as a JSON list, the rest as text)
/// or a JSON object.
fn parse_kwargs(text: &str) -> Result<Map<String, Value>> {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|e| Error::input("--gen-kwargs is not valid JSON").cause(e));
    }
    let mut map = Map::new();
    for pair in pairs(text).into_iter().filter(|p| !p.trim().is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Error::input(format!("--gen-kwargs: `{pair}` is not of the form key=value"))
                .hint("write `max_gen_toks=64,temperature=0.7`, or a JSON object when a value holds a comma")
        })?;
        map.insert(key.trim().to_string(), parse_value(key.trim(), value.trim())?);
    }
    Ok(map)
}

/// The parts between commas; those within `[...]` and within the quotes there part nothing.
fn pairs(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_value(key: &str, text: &str) -> Result<Value> {
    match text {
        "true" | "True" => return Ok(Value::Bool(true)),
        "false" | "False" => return Ok(Value::Bool(false)),
        "null" | "None" => return Ok(Value::Null),
        _ => {}
    }
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|err| {
            Error::input(format!("--gen-kwargs: `{key}` begins with `[` and is no JSON list"))
                .cause(err)
                .hint("write `until=[\"\\n\", \"Question:\"]` in single quotes; a text that begins with `[` needs a JSON object")
        });
    }
    if let Ok(int) = text.parse::<i64>() {
        return Ok(int.into());
    }
    Ok(match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kwargs_keep_the_kind_of_numbers() {
        let map = parse_kwargs("max_gen_toks=64, temperature=0.5,do_sample=true,until=END").unwrap();
        assert_eq!(
            Value::Object(map),
            json!({"max_gen_toks": 64, "temperature": 0.5, "do_sample": true, "until": "END"})
        );
        let map = parse_kwargs(r#"{"until": ["a", ","]}"#).unwrap();
        assert_eq!(Value::Object(map), json!({"until": ["a", ","]}));
        let map = parse_kwargs(r#"until=["\n", "a,]b"],max_gen_toks=3,stop_at=x[1]"#).unwrap();
        assert_eq!(Value::Object(map), json!({"until": ["\n", "a,]b"], "max_gen_toks": 3, "stop_at": "x[1]"}));
        for bad in ["until=[a]", "until=['a']", r#"until=["a""#, r#"until=["a"]b"#] {
            let err = parse_kwargs(bad).unwrap_err().to_string();
            assert!(err.contains("`until` begins with `[` and is no JSON list"), "{bad}: {err}");
        }
        assert!(parse_kwargs("max_gen_toks").unwrap_err().to_string().contains("key=value"));
    }
}
