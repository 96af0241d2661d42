//! A checkpoint on this machine: chat template, tokens, scoring, generation.
//!
//! One sequence per forward pass and no padding: an answer never depends on what else is asked, on order or on threads.

mod chat;
mod encode;
mod generate;
mod score;

use super::{Cancel, Engine, EngineOptions, Identity, Inspection, Sink};
use crate::error::{Error, Result};
use crate::model::config::{ModelConfig, TokenIds};
use crate::model::decoder::Decoder;
use crate::model::source::{self, ModelFolder};
use crate::model::tokenizer::Tokenizer;
use crate::model::{arch, weights};
use crate::python::json::sha256;
use crate::request::{Prompt, Request, RequestKind, Response, Unscored};
use candle_core::{DType, Device};
use chat::Chat;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::path::Path;
use std::sync::mpsc;

/// The number format to compute in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DTypeChoice {
    /// The checkpoint's own.
    #[default]
    Auto,
    F32,
    Bf16,
    F16,
}

/// What to do with a system turn that the chat template refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SystemFallback {
    /// Put its text at the front of the first user turn.
    #[default]
    Fold,
    /// Leave it out, as the reference does.
    Drop,
}

/// A loaded checkpoint.
pub struct LocalEngine {
    identity: Identity,
    decoder: Decoder,
    tokenizer: Tokenizer,
    chat: Chat,
    /// Ids that end a generation.
    eos_ids: Vec<u32>,
    max_length: usize,
    threads: rayon::ThreadPool,
    notices: Vec<String>,
}

/// Everything about a checkpoint but its weights.
struct Opened {
    folder: ModelFolder,
    config: ModelConfig,
    arch: &'static arch::ArchRow,
    tokenizer: Tokenizer,
    chat: Chat,
    dtype: DType,
    max_length: usize,
}

impl LocalEngine {
    /// Looks at everything but the weights' contents: files, configuration, architecture, tokenizer, chat template.
    pub fn check(model: &str, options: &EngineOptions) -> Result<()> {
        let opened = open(model, options)?;
        weights::files(&opened.folder.path).map(drop)
    }

    /// Loads a checkpoint.
    pub fn load(model: &str, options: &EngineOptions) -> Result<LocalEngine> {
        let Opened { folder, config, arch, tokenizer, chat, dtype, max_length } = open(model, options)?;
        let weights = weights::Weights::open(&folder.path, dtype, &Device::Cpu)?;
        let spec = (arch.spec)(&config)?;
        tokenizer.check_vocabulary(spec.vocab_size)?;
        // One more than the window: the token after a full window is scored from the window's last position.
        let decoder = Decoder::load(spec, &weights, max_length + 1)?;
        let (eos_ids, notice) = eos_ids(&folder.path, &config, &tokenizer)?;
        let identity = Identity {
            engine: "local".into(),
            name: model.to_string(),
            label: folder.label.clone(),
            architecture: Some(arch.name.to_string()),
            num_parameters: Some(decoder.num_parameters()),
            dtype: Some(dtype_name(dtype).to_string()),
            revision: folder.revision.clone(),
            sha: Some(fingerprint(&folder, &weights)?),
            max_length: Some(max_length),
            bos_token: tokenizer.bos().map(|t| t.text.clone()),
            eos_token: tokenizer.eos().map(|t| t.text.clone()),
            pad_token: tokenizer.pad().map(|t| t.text.clone()),
            eot_token_id: tokenizer.eos().map(|t| t.id),
            chat_template: tokenizer.chat_template().map(str::to_string),
            options: identity_options(options),
        };
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .build()
            .map_err(|e| Error::input("cannot start threads").cause(e).hint("try fewer with `--threads`"))?;
        let notices = notice.into_iter().collect();
        Ok(LocalEngine { identity, decoder, tokenizer, chat, eos_ids, max_length, threads, notices })
    }

    /// The group's answers: requests whose answers come from one forward pass.
    fn answer_group(&self, requests: &[Request], group: &score::Group) -> Vec<(usize, Outcome)> {
        match group {
            score::Group::Pairs { input, members } => self.score_pairs(input, members),
            score::Group::Single(index) => {
                let outcome = requests.get(*index).map(|request| self.answer_single(request));
                outcome.map(|o| (*index, o)).into_iter().collect()
            }
        }
    }

    fn answer_single(&self, request: &Request) -> Outcome {
        let outcome = match &request.kind {
            RequestKind::Generate { context, decoding } => self.generate(request, context, decoding),
            RequestKind::LoglikelihoodRolling { text } => self.score_rolling(text),
            RequestKind::Loglikelihood { .. } => Err(Unscored::new("this pair was not planned")),
        };
        outcome
    }
}

type Outcome = std::result::Result<Response, Unscored>;

impl Engine for LocalEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        self.chat.render(prompt)
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        self.inspect_request(request)
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        let (groups, refused) = self.plan(requests)?;
        for (index, unscored) in refused {
            sink(index, Err(unscored))?;
        }
        // Set when the sink fails, so that the workers stop as well.
        let abort = Cancel::default();
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            let abort_workers = abort.clone();
            scope.spawn(move || {
                self.threads.install(|| {
                    groups.into_par_iter().for_each_with(sender, |sender, group| {
                        if cancel.is_cancelled() || abort_workers.is_cancelled() {
                            return;
                        }
                        for answer in self.answer_group(requests, &group) {
                            // The receiver is gone only when the sink failed.
                            let _ = sender.send(answer);
                        }
                    });
                });
            });
            for (index, outcome) in receiver {
                if let Err(error) = sink(index, outcome) {
                    abort.cancel();
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = self.notices.clone();
        notices.extend(self.chat.notice());
        notices
    }
}

fn open(model: &str, options: &EngineOptions) -> Result<Opened> {
    let folder = source::resolve(model, options.offline)?;
    let config = ModelConfig::read(&folder.path)?;
    let arch = arch::find(&config)?;
    if config.quantization_config.is_some() {
        return Err(Error::input("quantised checkpoints cannot be read yet")
            .file(&config.file)
            .key("quantization_config")
            .hint("use the f32, bf16 or f16 checkpoint"));
    }
    let tokenizer = Tokenizer::read(&folder.path, options.add_bos)?;
    let chat = Chat::new(&tokenizer, options.system_fallback, options.chat)
        .map_err(|e| e.file(folder.path.join("chat_template.jinja")))?;
    let max_length = max_length(&config, &tokenizer, options)?;
    let dtype = dtype(&config, options.dtype)?;
    Ok(Opened { folder, config, arch, tokenizer, chat, dtype, max_length })
}

/// The window: the option, `config.json`, the tokenizer's `model_max_length`, or 2048, as in the reference.
fn max_length(config: &ModelConfig, tokenizer: &Tokenizer, options: &EngineOptions) -> Result<usize> {
    if let (Some(asked), Some(window)) = (options.max_length, config.window())
        && asked > window
    {
        return Err(Error::input(format!("--max-length {asked} is more than the model's window of {window}"))
            .file(&config.file)
            .hint("leave the flag out, or name a smaller number"));
    }
    let length = options.max_length.or(config.window()).or(tokenizer.model_max_length()).unwrap_or(2048);
    if length == 0 {
        return Err(Error::input("a context window of 0 tokens holds no prompt").hint("name a larger `--max-length`"));
    }
    Ok(length)
}

fn dtype(config: &ModelConfig, choice: DTypeChoice) -> Result<DType> {
    Ok(match choice {
        DTypeChoice::F32 => DType::F32,
        DTypeChoice::Bf16 => DType::BF16,
        DTypeChoice::F16 => DType::F16,
        DTypeChoice::Auto => match config.dtype.as_deref() {
            None | Some("float32" | "float64" | "auto") => DType::F32,
            Some("bfloat16") => DType::BF16,
            Some("float16") => DType::F16,
            Some(other) => {
                return Err(Error::input(format!("number format `{other}` is not supported"))
                    .file(&config.file)
                    .key("dtype")
                    .hint("choose one with `--dtype`"));
            }
        },
    })
}

fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    }
}

/// Generation ends at any of: `eos_token_id` of `generation_config.json`, else of `config.json`; the tokenizer's.
fn eos_ids(folder: &Path, config: &ModelConfig, tokenizer: &Tokenizer) -> Result<(Vec<u32>, Option<String>)> {
    #[derive(serde::Deserialize)]
    struct GenerationConfig {
        eos_token_id: Option<TokenIds>,
    }
    let file = folder.join("generation_config.json");
    let generation: Option<GenerationConfig> = match std::fs::read(&file) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|e| {
            Error::input("this is not a generation configuration").file(&file).cause(e).hint("download it again")
        })?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::io("cannot read the generation configuration", &file, e)),
    };
    let configured = generation.and_then(|g| g.eos_token_id).or(config.eos_token_id.clone());
    let mut ids = configured.map(|ids| ids.to_vec()).unwrap_or_default();
    ids.extend(tokenizer.eos().map(|t| t.id));
    ids.sort_unstable();
    ids.dedup();
    let notice = ids.is_empty().then(|| "the model names no end-of-sequence token: only stop strings end its answers".into());
    Ok((ids, notice))
}

/// The options that change numbers and differ from the default.
fn identity_options(options: &EngineOptions) -> Vec<String> {
    let mut list = Vec::new();
    if options.chat && options.system_fallback == SystemFallback::Drop {
        list.push("system_fallback=drop".to_string());
    }
    list.extend(options.max_length.map(|n| format!("max_length={n}")));
    list.extend(options.add_bos.map(|b| format!("add_bos_token={b}")));
    list
}

/// What tells one checkpoint from another: the hub's commit, or a hash over names, sizes and contents of the small files and
/// over the weights' sizes and up to 1 MiB from both of their ends (hashing tens of gigabytes at every start is not worth it).
fn fingerprint(folder: &ModelFolder, weights: &weights::Weights) -> Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    const EDGE: u64 = 1 << 20;
    if let Some(commit) = &folder.commit {
        return Ok(commit.clone());
    }
    let mut parts = String::new();
    let small = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
    for name in small {
        if let Ok(text) = std::fs::read_to_string(folder.path.join(name)) {
            parts.push_str(&format!("{name} {}\n", sha256(&text)));
        }
    }
    for path in weights.files() {
        let fail = |e| Error::io("cannot read the weights", path, e);
        let mut file = std::fs::File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        let mut edges = Vec::new();
        file.by_ref().take(EDGE).read_to_end(&mut edges).map_err(fail)?;
        file.seek(SeekFrom::Start(size.saturating_sub(EDGE))).map_err(fail)?;
        file.take(EDGE).read_to_end(&mut edges).map_err(fail)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let hex: String = edges.iter().map(|b| char::from(*b)).collect();
        parts.push_str(&format!("{name} {size} {}\n", sha256(&hex)));
    }
    Ok(sha256(&parts))
}
