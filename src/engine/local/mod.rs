//! The engine that runs a checkpoint in this process.
//!
//! Comes in: requests and a model's folder or hub id. Goes out: log-likelihoods and texts. Answers are the same bits whatever the
//! threads, the order of the requests, or which of them are asked together.

mod chat;
mod encode;
mod generate;
mod plan;
mod prepare;
mod sampling;
mod score;
mod workers;

#[cfg(test)]
mod tests;

pub use crate::model::DTypeChoice;
pub use chat::SystemFallback;

use super::{Cancel, Engine, EngineOptions, Identity, Inspection, Sink};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::model::{Model, ModelConfig, ModelSource, Part, Tokenizer, find, fingerprint};
use crate::request::{Decoding, Prompt, Request, RequestKind, Response, Unscored};
use chat::{Chat, template_source};
use generate::Generation;
use plan::{ScorePlan, Sequence, Span, SpanScore};
use prepare::Prepared;
use sampling::Picker;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

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
    threads: usize,
    notices: Mutex<BTreeSet<String>>,
}

/// Window of models that name none.
const DEFAULT_MAX_LENGTH: usize = 2048;

type Outcome = std::result::Result<Response, Unscored>;

/// What a worker does at a time.
enum Job<'a> {
    Score(Sequence),
    Generate(Generation, &'a Request, &'a Decoding),
}

/// What comes of it.
enum Done {
    Scores(Vec<(Span, std::result::Result<SpanScore, Unscored>)>),
    Text(usize, Outcome),
    Cancelled,
}

impl LocalEngine {
    /// Looks whether the model can be loaded, without reading weights: its files are there and whole, the architecture is known,
    /// the tokenizer fits.
    pub fn check(model: &str, options: &EngineOptions) -> Result<()> {
        let source = find(model, &hub(options)?, Part::Metadata)?;
        let config = ModelConfig::load(&source.dir)?;
        config.arch()?;
        Tokenizer::load(&source.dir, &config)?;
        if source.commit.is_none() {
            Model::check(&source.dir)?;
        }
        let template = template_source(&source.dir)?;
        if options.chat { require_template(&template, &source).map(drop) } else { Ok(()) }
    }

    /// Loads the model.
    pub fn load(name: &str, options: &EngineOptions) -> Result<LocalEngine> {
        let source = find(name, &hub(options)?, Part::All)?;
        let template = template_source(&source.dir)?;
        let config = ModelConfig::load(&source.dir)?;
        let tokenizer = Tokenizer::load(&source.dir, &config)?;
        let text = |token: &Option<crate::model::SpecialToken>| token.as_ref().map(|t| t.text.clone());
        let (bos, eos) = (text(&tokenizer.bos), text(&tokenizer.eos));
        let chat = if options.chat {
            let source = require_template(&template, &source)?;
            let (bos, eos) = (bos.as_deref().unwrap_or_default(), eos.as_deref().unwrap_or_default());
            Some(Chat::new(source, bos, eos, options.system_fallback)?)
        } else {
            None
        };
        let model = Model::load(&source.dir, options.dtype)?;
        let max_length = options.max_length.or(model.config.max_length).or(tokenizer.max_length);
        let max_length = max_length.unwrap_or(DEFAULT_MAX_LENGTH);
        if max_length == 0 {
            return Err(Error::input("a context window of 0 tokens holds nothing"));
        }
        let mut eos_ids = model.config.eos_token_ids.clone();
        eos_ids.extend(tokenizer.eos.as_ref().map(|eos| eos.id));
        let eos_text = tokenizer.eos.as_ref().map(|eos| tokenizer.decode(&[eos.id], false)).transpose()?;
        let identity = Identity {
            engine: "local".to_string(),
            name: name.to_string(),
            label: source.label.clone(),
            architecture: Some(model.config.architecture.clone()),
            num_parameters: Some(model.num_parameters),
            dtype: Some(model.dtype.clone()),
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
        Ok(LocalEngine {
            notices: Mutex::new(notices_on_load(&model, &tokenizer, options)),
            identity,
            model,
            tokenizer,
            chat,
            add_bos: options.add_bos,
            max_length,
            eos: eos_ids,
            eos_text,
            threads: match options.threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                threads => threads,
            },
        })
    }

    fn work(&self, job: &Job<'_>, cancel: &Cancel) -> Result<Done> {
        match job {
            Job::Score(sequence) => {
                let scores = score::score(&self.model, sequence)?;
                Ok(Done::Scores(sequence.spans.iter().cloned().zip(scores).collect()))
            }
            Job::Generate(generation, request, decoding) => {
                let mut picker = Picker::new(request, decoding);
                let text =
                    generate::generate(&self.model, &self.tokenizer, generation, &mut picker, &self.eos, cancel)?;
                Ok(text.map_or(Done::Cancelled, |outcome| Done::Text(generation.request, outcome)))
            }
        }
    }
}

impl Engine for LocalEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        self.rendered(prompt).map_err(|reason| Error::input(reason.reason))
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        let encoder = self.encoder()?;
        let (rendered, context_ids, continuation_ids, truncated_tokens) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                let text = self.render(context)?;
                let pair = encoder.pair(&encoder.context(text.clone())?, continuation)?;
                let pair = pair.map_err(|reason| Error::input(reason.reason))?;
                let cut = plan::fit(&pair, self.max_length).map_or(0, |(_, cut)| cut);
                (text, pair.context, pair.continuation, cut)
            }
            RequestKind::LoglikelihoodRolling { text } => {
                let prefix = self.tokenizer.prefix().map(|token| token.id);
                (text.clone(), prefix.into_iter().collect(), encoder.text(text)?, 0)
            }
            RequestKind::Generate { context, decoding } => {
                let text = self.render(context)?;
                let ids = encoder.prompt(&text)?;
                let fitted = self.generation(0, ids.clone(), decoding);
                (text, ids, Vec::new(), fitted.map_or(0, |generation| generation.truncated_tokens))
            }
        };
        let bos_count = encoder.bos_count(&context_ids);
        Ok(Inspection { rendered, context_ids, continuation_ids, bos_count, truncated_tokens })
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        let mut plan = ScorePlan::new(self.max_length);
        let mut generations = Vec::new();
        for (index, (prepared, request)) in self.prepare_all(requests, cancel)?.into_iter().zip(requests).enumerate() {
            let added = prepared.and_then(|prepared| match prepared {
                Prepared::Pair(pair) => plan.add_pair(index, pair).map(|()| None),
                Prepared::Rolling { tokens, prefix } => Ok(plan.add_rolling(index, &tokens, prefix)),
                Prepared::Generation(generation) => {
                    generations.push((generation, request));
                    Ok(None)
                }
            });
            match added {
                Ok(None) => {}
                Ok(Some(response)) => sink(index, Ok(response))?,
                Err(reason) => sink(index, Err(reason))?,
            }
        }
        generations.sort_by_key(|(generation, _)| std::cmp::Reverse(generation.ids.len()));
        let mut jobs: Vec<Job<'_>> = plan.take_sequences().into_iter().map(Job::Score).collect();
        jobs.extend(generations.into_iter().filter_map(|(generation, request)| match &request.kind {
            RequestKind::Generate { decoding, .. } => Some(Job::Generate(generation, request, decoding)),
            _ => None,
        }));
        workers::run(&jobs, self.threads, cancel, |job| self.work(job, cancel), &mut |done| match done {
            Done::Cancelled => Ok(()),
            Done::Text(index, outcome) => sink(index, outcome),
            Done::Scores(scores) => scores.into_iter().try_for_each(|(span, score)| match plan.scored(&span, score) {
                Some(outcome) => sink(span.request, outcome),
                None => Ok(()),
            }),
        })
    }

    fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
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

/// Options that change numbers, as `key=value`.
fn identity_options(options: &EngineOptions, model: &Model) -> Vec<String> {
    let mut written = Vec::new();
    if let Some(arithmetic) = model.arithmetic {
        written.push(format!("arithmetic={arithmetic}"));
    }
    if let Some(add_bos) = options.add_bos {
        written.push(format!("add_bos_token={add_bos}"));
    }
    if options.chat {
        written.push(format!("system_fallback={}", options.system_fallback.as_str()));
    }
    written
}

fn notices_on_load(model: &Model, tokenizer: &Tokenizer, options: &EngineOptions) -> BTreeSet<String> {
    let mut notices = BTreeSet::new();
    if let Some(arithmetic) = model.arithmetic {
        notices.insert(format!("weights are {}, arithmetic on this device is {arithmetic}", model.dtype));
    }
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
