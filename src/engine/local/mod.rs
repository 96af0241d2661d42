//! The engine that runs a checkpoint in this process.
//!
//! Comes in: requests and a model's folder or hub id. Goes out: log-likelihoods and texts. Answers are the same bits whatever the
//! threads, the memory, the order of the requests, or which of them are asked together.
//!
//! Requests become token ids (`prepare`, by the rules of `engine/tokens`) and one tree of all of them (`plan`, `tree`). Packed forward passes walk it
//! (`schedule`; what is kept meanwhile: `frontier`), and what they yield becomes log-likelihoods (`score`) and texts (`decode`,
//! `sampling`).

mod decode;
mod frontier;
mod lm;
mod memory;
mod plan;
mod prepare;
mod sampling;
mod schedule;
mod score;
mod tree;
mod walk;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
#[cfg(test)]
mod walk_tests;

pub use super::tokens::SystemFallback;
pub use crate::model::{Activations, DTypeChoice, DeviceChoice};
pub use memory::show_bytes;
pub use walk::{Spot, Text, Visit, witness};

use super::tokens::{Chat, fit_pair, special_tokens, template_file, template_source};
use super::{Cancel, Delivery, Engine, EngineOptions, Identity, Inspection, Sink, Update, Workload};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::kernel::Isa;
use crate::model::{LoadOptions, Model, ModelConfig, ModelSource, Part, Tokenizer, find, fingerprint};
use crate::request::{Prompt, Request, RequestKind, Unscored};
use crate::run::{ISA_OPTION, PRECISION_OPTION};
use crate::template::moment::Moment;
use decode::Texts;
use lm::LanguageModel;
use plan::{Ledger, Plan};
use prepare::Prepared;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sampling::Picker;
use schedule::{Schedule, Settings, Step};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tree::Tree;

/// A checkpoint that answers requests.
pub struct LocalEngine {
    identity: Identity,
    model: Model,
    tokenizer: Tokenizer,
    chat: Option<Chat>,
    add_bos: Option<bool>,
    max_length: usize,
    /// Tokens that end a text.
    eos: Vec<u32>,
    /// The text of the tokenizer's EOS token, which is a stop string as well.
    eos_text: Option<String>,
    /// Whether the model thinks, as the user says, and tokens for that.
    reasoning: (Option<bool>, usize),
    /// Where all of the engine's work is done.
    pool: ThreadPool,
    /// Bytes for keys and values, where the user says how many.
    kv_memory: Option<usize>,
    load_seconds: f64,
    notices: Mutex<BTreeSet<String>>,
}

/// Window of models that name none.
const DEFAULT_MAX_LENGTH: usize = 2048;

/// Tokens in a pass. More would not make the matrix products faster, and the temporaries larger.
const PASS_TOKENS: usize = 512;

/// Texts written at the same time: enough to read the weights once for many tokens.
const TEXTS: usize = 64;

/// Tokens of a text that there is room for at first.
const TEXT_TOKENS: usize = 64;

impl LocalEngine {
    /// Looks whether the model can be loaded, without reading weights: its files are there and whole, the architecture is known,
    /// the tokenizer fits.
    pub fn check(model: &str, options: &EngineOptions) -> Result<()> {
        let source = find(model, &hub(options)?, Part::Metadata)?;
        let config = ModelConfig::load(&source.dir)?;
        config.arch()?;
        Tokenizer::load(&source.dir, &config)?;
        if source.commit.is_none() {
            Model::check(&source.dir, &load_options(options)?)?;
        }
        let template = template_source(&source.dir)?;
        if options.chat {
            let source_text = require_template(&template, &source)?;
            Chat::new(source_text, Map::new(), options).map_err(|e| e.file(template_file(&source.dir)))?;
        }
        Ok(())
    }

    /// Loads the model.
    pub fn load(name: &str, options: &EngineOptions) -> Result<LocalEngine> {
        let started = Instant::now();
        let pool = pool(options.threads)?;
        let source = find(name, &hub(options)?, Part::All)?;
        let template = template_source(&source.dir)?;
        let config = ModelConfig::load(&source.dir)?;
        let tokenizer = Tokenizer::load(&source.dir, &config)?;
        let text = |token: &Option<crate::model::SpecialToken>| token.as_ref().map(|t| t.text.clone());
        let (bos, eos) = (text(&tokenizer.bos), text(&tokenizer.eos));
        let chat = if options.chat {
            let special = special_tokens(&source.dir, &tokenizer)?;
            let chat = Chat::new(require_template(&template, &source)?, special, options);
            Some(chat.map_err(|e| e.file(template_file(&source.dir)))?)
        } else {
            None
        };
        let load = load_options(options)?;
        let model = pool.install(|| Model::load(&source.dir, &load))?;
        let max_length = options.max_length.or(model.config.max_length).or(tokenizer.max_length);
        let max_length = max_length.unwrap_or(DEFAULT_MAX_LENGTH);
        if max_length == 0 {
            return Err(Error::input("a context window of 0 tokens holds nothing"));
        }
        let mut eos_ids = model.config.eos_token_ids.clone();
        eos_ids.extend(tokenizer.eos.as_ref().map(|eos| eos.id));
        let mut notices = notices_on_load(&model, &tokenizer, options);
        if let Some(template) = template.as_deref().filter(|_| options.chat) {
            notices.extend(torn_markers(&tokenizer, template)?);
            if !model.config.has_generation_config {
                notices.extend(add_turn_ends(&tokenizer, template, &mut eos_ids));
            }
        }
        let eos_text = tokenizer.eos.as_ref().map(|eos| tokenizer.decode(&[eos.id], false)).transpose()?;
        let identity = Identity {
            engine: "local".to_string(),
            name: name.to_string(),
            label: source.label.clone(),
            architecture: Some(model.config.architecture.clone()),
            num_parameters: Some(model.num_parameters),
            dtype: Some(model.dtype.clone()),
            storage: Some(storage(&model)),
            model_bytes: Some(model.stored_bytes),
            revision: source.revision.clone(),
            sha: Some(match &source.commit {
                Some(commit) => commit.clone(),
                None => fingerprint(&source.dir)?,
            }),
            max_length: Some(max_length),
            bos_token: bos,
            eos_token: eos,
            pad_token: text(&tokenizer.pad),
            eot_token_id: tokenizer.eos.as_ref().map(|eos| eos.id),
            chat_template: template,
            options: identity_options(options, &model),
        };
        let mut notices = notices_on_load(&model, &tokenizer, options);
        notices.extend(chat.iter().flat_map(|chat| chat.notices().iter().cloned()));
        Ok(LocalEngine {
            notices: Mutex::new(notices),
            identity,
            model,
            tokenizer,
            chat,
            add_bos: options.add_bos,
            max_length,
            eos: eos_ids,
            eos_text,
            reasoning: (options.remote.reasoning, options.remote.reasoning_tokens),
            pool,
            kv_memory: options.kv_memory,
            load_seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// The requests as one plan; what can be answered without the model is.
    fn plan<'a>(
        &self,
        requests: &[Request],
        prepared: Vec<std::result::Result<Prepared, Unscored>>,
        length_class: &'a dyn Fn(usize) -> usize,
        sink: &mut Sink<'_>,
    ) -> Result<Plan<'a>> {
        let mut plan = Plan::new(self.max_length, length_class);
        for (index, (prepared, request)) in prepared.into_iter().zip(requests).enumerate() {
            let added = match prepared {
                Ok(Prepared::Pair(pair)) => plan.add_pair(index, &pair).map(|()| None),
                Ok(Prepared::Choice(labels)) => plan.add_choice(index, &labels).map(|()| None),
                Ok(Prepared::Rolling { tokens, prefix }) => Ok(plan.add_rolling(index, &tokens, prefix)),
                Ok(Prepared::Prompt { ids, generation }) => Ok(plan.add_prompt(ids, generation, Picker::new(request))),
                Err(reason) => Err(reason),
            };
            match added {
                Ok(None) => {}
                Ok(Some(response)) => sink(Update::Answered(index, Ok(response), Delivery::default()))?,
                Err(reason) => sink(Update::Answered(index, Err(reason), Delivery::default()))?,
            }
        }
        Ok(plan)
    }

    /// Bytes for keys and values: what the user says, else enough for full passes and for the texts that are written side by side, as far
    /// as memory allows. Says so when one sequence alone takes more.
    fn kv_budget(&self, tree: &Tree, texts: &[decode::Continuation]) -> usize {
        let longest = tree.nodes().iter().map(|node| node.depth_end() as usize).max().unwrap_or(0);
        let bytes = self.model.kv_bytes(longest);
        let budget = self.kv_memory.unwrap_or_else(|| {
            let written = texts.iter().map(|text| text.generation.max_new_tokens).max().unwrap_or(0);
            let side_by_side = self.model.kv_bytes(longest + written).saturating_mul(texts.len().min(TEXTS));
            let passes = (bytes + self.model.kv_bytes(PASS_TOKENS)).saturating_mul(4);
            memory::default_kv_memory().min(passes.saturating_add(side_by_side))
        });
        if bytes > budget {
            let (has, takes) = (show_bytes(budget), show_bytes(bytes));
            self.notice(format!(
                "keys and values of the longest sequence ({longest} tokens) take {takes}, more than --kv-memory {has}: it takes them all \
                 the same, and more time"
            ));
        }
        budget
    }

    fn notice(&self, notice: String) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).insert(notice);
    }

    /// Walks the tree and hands on what comes of it.
    fn work(
        &self,
        (tree, kv_memory): (&Tree, usize),
        continuations: Vec<decode::Continuation>,
        mut ledger: Ledger,
        cancel: &Cancel,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let requests: Vec<usize> = continuations.iter().map(|c| c.generation.request).collect();
        let decode = |ids: &[u32], skip_special: bool| self.tokenizer.decode(ids, skip_special);
        let texts = Texts { decode: &decode, eos: &self.eos };
        let settings = Settings { pass_tokens: PASS_TOKENS, texts: TEXTS, text_tokens: TEXT_TOKENS, kv_memory };
        let schedule = Schedule::new(&self.model, tree, continuations, texts, settings);
        schedule.run(&self.pool, cancel, &mut |step| match step {
            Step::Scored(ask, score) => match ledger.scored(ask, score) {
                Some((request, outcome)) => sink(Update::Answered(request, outcome, Delivery::default())),
                None => Ok(()),
            },
            Step::Written(ask, outcome) => match requests.get(ask as usize) {
                Some(request) => sink(Update::Answered(*request, outcome, Delivery::default())),
                None => Ok(()),
            },
            Step::Computed { computed, of } => sink(Update::Computed { computed, of }),
        })
    }
}

impl Engine for LocalEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        self.rendered(prompt).map_err(|reason| Error::input(reason.reason))
    }

    fn date(&self) -> Option<Moment> {
        self.chat.as_ref().and_then(Chat::date)
    }

    fn set_date(&self, date: Moment) {
        self.chat.iter().for_each(|chat| chat.set_date(date));
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        let encoder = self.encoder()?;
        let (rendered, context_ids, continuation_ids, truncated_tokens) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                let text = self.render(context)?;
                let pair = encoder.pair(&encoder.context(text.clone())?, continuation)?;
                let pair = pair.map_err(|reason| Error::input(reason.reason))?;
                let cut = fit_pair(&pair, self.max_length).map_or(0, |(_, cut)| cut);
                (text, pair.context, pair.continuation, cut)
            }
            RequestKind::LoglikelihoodRolling { text } => {
                let prefix = self.tokenizer.prefix().map(|token| token.id);
                (text.clone(), prefix.into_iter().collect(), encoder.text(text)?, 0)
            }
            RequestKind::Choose { context, .. } => {
                let text = self.render(context)?;
                let ids = encoder.text(&text)?;
                let cut = (ids.len() + 1).saturating_sub(self.max_length + 1);
                (text, ids, Vec::new(), cut)
            }
            RequestKind::Generate { context, decoding } => {
                let text = self.render(context)?;
                let ids = encoder.prompt(&text)?;
                let fitted = self.generation(0, (&text, ids.clone()), decoding);
                (text, ids, Vec::new(), fitted.map_or(0, |(_, generation)| generation.truncated_tokens))
            }
        };
        let bos_count = encoder.bos_count(&context_ids);
        Ok(Inspection { rendered, context_ids, continuation_ids, bos_count, truncated_tokens })
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        let prepared = self.prepare_all(requests, cancel)?;
        let length_class = |len: usize| self.model.length_class(len);
        let Plan { sequences, continuations, ledger, .. } = self.plan(requests, prepared, &length_class, sink)?;
        let requested_tokens = sequences.num_tokens();
        let tree = self.pool.install(|| sequences.build());
        if tree.num_tokens() == 0 {
            return Ok(());
        }
        let kv_memory = self.kv_budget(&tree, &continuations);
        sink(Update::Planned(Workload {
            requested_tokens,
            unique_tokens: tree.num_tokens(),
            scored_positions: tree.num_rows(),
            written_tokens: continuations.iter().map(|c| c.generation.max_new_tokens).sum(),
        }))?;
        self.work((&tree, kv_memory), continuations, ledger, cancel, sink)
    }

    fn memory_bytes(&self) -> Option<u64> {
        Some(self.model.memory_bytes as u64)
    }

    fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    fn local(&self) -> Option<&LocalEngine> {
        Some(self)
    }

    fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What decides how the checkpoint is loaded.
fn load_options(options: &EngineOptions) -> Result<LoadOptions> {
    Ok(LoadOptions {
        dtype: options.dtype,
        device: options.device,
        precision: options.precision,
        activations: options.activations,
    })
}

/// So many threads, 0: one for each core.
fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::input("cannot start threads").cause(e))
}

fn hub(options: &EngineOptions) -> Result<Hub> {
    let hub = Hub::from_env(options.offline)?;
    Ok(match options.on_download {
        Some(report) => hub.with_progress(report),
        None => hub,
    })
}

fn require_template<'a>(template: &'a Option<String>, source: &ModelSource) -> Result<&'a str> {
    template.as_deref().ok_or_else(|| {
        Error::input("the model has no chat template").file(&source.dir).hint(
            "leave out --apply-chat-template (base models have none), or put a chat_template.jinja into the model's folder",
        )
    })
}

/// How the weights are stored: the formats that are not plain numbers, commonest first, else the number format.
fn storage(model: &Model) -> String {
    let mut formats = model.storage.clone();
    formats.sort_by_key(|(_, matrices)| std::cmp::Reverse(*matrices));
    let names: Vec<&str> = formats.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { model.dtype.clone() } else { names.join(", ") }
}

/// Options that change numbers, as `key=value`.
fn identity_options(options: &EngineOptions, model: &Model) -> Vec<String> {
    let mut written = Vec::new();
    if let Some(arithmetic) = model.arithmetic {
        written.push(format!("arithmetic={arithmetic}"));
    }
    if let Some(add_bos) = options.add_bos {
        written.push(format!("add_bos_token={add_bos}"));
    }
    written.extend(options.precision.as_ref().map(|precision| format!("{PRECISION_OPTION}{precision}")));
    // Another instruction set or device, other roundings.
    let device = model.device();
    let isa = if device == "cpu" { Some(Isa::best()) } else { Isa::asked_for().ok().flatten() };
    written.extend(isa.map(|isa| format!("{ISA_OPTION}{}", isa.name())));
    written.extend(Some(device).filter(|device| device != "cpu").map(|device| format!("device={device}")));
    if options.activations != Activations::Exact {
        written.push(format!("activations={}", options.activations.as_str()));
    }
    if options.chat {
        written.push(format!("system_fallback={}", options.system_fallback.as_str()));
    }
    if options.chat && !options.chat_template_args.is_empty() {
        written.push(format!("chat_template_args={}", Value::Object(options.chat_template_args.clone())));
    }
    written.extend(options.remote.reasoning.map(|reasoning| format!("reasoning={reasoning}")));
    if options.remote.reasoning_tokens > 0 {
        written.push(format!("reasoning_tokens={}", options.remote.reasoning_tokens));
    }
    written
}

/// What to say of markers that the chat template writes and that the tokenizer takes to pieces.
fn torn_markers(tokenizer: &Tokenizer, template: &str) -> Result<Option<String>> {
    let torn = tokenizer.torn_markers(template)?;
    Ok((!torn.is_empty()).then(|| {
        let shown: Vec<&str> = torn.iter().take(3).map(String::as_str).collect();
        format!(
            "the chat template writes {}, which the vocabulary has as one token, but the tokenizer takes to pieces: an added token is \
             missing from its files, and prompts are not what the model was trained on",
            shown.join(", ")
        )
    }))
}

/// Without generation_config.json nobody may have said where a turn ends: special tokens that are known to end one and that the template
/// writes do.
fn add_turn_ends(tokenizer: &Tokenizer, template: &str, eos: &mut Vec<u32>) -> Option<String> {
    let ends = tokenizer.turn_ends(template).into_iter().filter(|end| !eos.contains(&end.id)).collect::<Vec<_>>();
    eos.extend(ends.iter().map(|end| end.id));
    let texts: Vec<&str> = ends.iter().map(|end| end.text.as_str()).collect();
    (!texts.is_empty()).then(|| {
        format!(
            "there is no generation_config.json that says where answers end; {}, which the chat template writes, ends them as well",
            texts.join(", ")
        )
    })
}

fn notices_on_load(model: &Model, tokenizer: &Tokenizer, options: &EngineOptions) -> BTreeSet<String> {
    let mut notices: BTreeSet<String> = model.notices.iter().cloned().collect();
    if let Some(arithmetic) = model.arithmetic {
        notices.insert(format!("weights are {}, arithmetic on this device is {arithmetic}", model.dtype));
    }
    notices.extend(tokenizer.notices.iter().cloned());
    if let Some(first) = model.unused_tensors.first() {
        let n = model.unused_tensors.len();
        notices.insert(format!(
            "{n} tensors of the checkpoint have no place in the model and are not used ({first}, ...)"
        ));
    }
    if tokenizer.bos_contradiction && options.add_bos.is_none() {
        notices.insert(
            "tokenizer_config.json says otherwise about add_bos_token than tokenizer.json does; tokenizer.json decides"
                .to_string(),
        );
    }
    if let Some(penalty) = model.config.repetition_penalty {
        notices.insert(format!(
            "generation_config.json asks for a repetition penalty of {penalty}, which is not applied: answers are the model's own"
        ));
    }
    notices
}
