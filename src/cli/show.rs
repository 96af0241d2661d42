//! `fairmark show`: the exact prompt of one document.

use super::args::{ModelArgs, TaskArgs};
use super::precision::only;
use super::talk;
use crate::catalog::Catalog;
use crate::engine::{self, Engine, Inspection, Prompts};
use crate::error::{Error, Result};
use crate::item::Item;
use crate::prompt::{PromptOptions, build_items, effective_fewshot};
use crate::python::repr;
use crate::request::{Prompt, Request, RequestKind};
use crate::runner::plan_protocol;
use crate::score::{nodes_under, protocol_of};
use crate::task::Task;
use crate::visible;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Flags of `fairmark show`.
#[derive(Args)]
pub struct ShowArgs {
    /// A task.
    #[arg(value_name = "TASK")]
    name: String,

    /// Document of the evaluated split, from 0.
    #[arg(long, default_value_t = 0, value_name = "N")]
    doc: usize,

    /// A model, to show its chat template, token ids and what is cut.
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,

    #[command(flatten)]
    task: TaskArgs,

    #[command(flatten)]
    engine: ModelArgs,
}

/// Prints the prompt on stdout.
pub fn show(args: &ShowArgs) -> Result<ExitCode> {
    let nodes = Catalog::load(&args.task.include_path)?.select(std::slice::from_ref(&args.name))?;
    let count = nodes.iter().map(|node| node.tasks().len()).sum::<usize>();
    if count != 1 {
        return Err(Error::input(format!("`{}` names {count} tasks", args.name))
            .hint("show takes one task; `fairmark ls tasks` lists them"));
    }
    let engine = match &args.model {
        Some(model) => {
            let options = only(&args.engine.precision, args.engine.engine_options(&args.task, false)?)?;
            Some(engine::open(model, &options)?)
        }
        None => None,
    };
    let mut options = args.task.prompt_options()?;
    if let Some(engine) = &engine {
        let capabilities = engine.capabilities();
        options.choices = plan_protocol(&capabilities, args.task.mc_protocol.into(), &nodes)?.protocol;
        options.chat |= capabilities.prompts == Prompts::ChatOnly;
    }
    let nodes = nodes_under(&nodes, options.choices);
    let Some(task) = nodes.iter().flat_map(|node| node.tasks()).next() else {
        return Err(Error::input(format!("`{}` names no task", args.name)));
    };
    let options = PromptOptions { limit: Some(args.doc + 1), choices: protocol_of(task), ..options };
    let docs = args.task.data_source(false)?.task_docs(task, effective_fewshot(task, &options) > 0)?;
    let size = docs.docs.len();
    let items = build_items(task, &docs, &options)?;
    let item = items.get(args.doc).ok_or_else(|| {
        Error::input(format!("{} has no document {}", task.name, args.doc))
            .hint(format!("its evaluated split has {size}: 0 to {}", size.saturating_sub(1)))
    })?;
    super::print(&describe(task, item, engine.as_deref())?)?;
    for notice in engine.iter().flat_map(|e| e.notices()) {
        talk::note(notice);
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(task: &Task, item: &Item, engine: Option<&dyn Engine>) -> Result<String> {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "task       {} ({})", visible::message(&task.name), task.output_type.as_str());
    let _ = writeln!(out, "document   {} (sha256 {})", item.doc.id, item.doc.hash());
    let _ = writeln!(out, "shots      {}", item.num_fewshot);
    let _ = writeln!(out, "target     {}", repr::repr(&item.target_written));
    if !item.choices.is_empty() {
        let choices: Value = item.choices.iter().map(|c| json!(c)).collect();
        let _ = writeln!(out, "choices    {}", repr::repr(&choices));
    }
    let mut shown: Option<String> = None;
    for (index, request) in item.requests.iter().enumerate() {
        let inspection = engine.map(|e| e.inspect(request)).transpose()?;
        let prompt = prompt_text(request, engine)?;
        if shown.as_ref() != Some(&prompt) {
            let _ = writeln!(out, "\n--- prompt of request {index} ---\n{prompt}\n--- end of prompt ---");
            shown = Some(prompt);
        }
        let _ = writeln!(out, "\nrequest {index}  {}", asked(request));
        if let Some(inspection) = &inspection {
            tokens(&mut out, inspection);
        }
    }
    Ok(out)
}

/// What is asked after the prompt.
fn asked(request: &Request) -> String {
    match &request.kind {
        RequestKind::Loglikelihood { continuation, .. } => format!("continuation {}", repr::repr(&json!(continuation))),
        RequestKind::LoglikelihoodRolling { .. } => "log-likelihood of the whole text".to_string(),
        RequestKind::Generate { decoding, .. } => format!("generate {}", repr::repr(&json!(decoding.written))),
        RequestKind::Choose { labels, .. } => format!("one of {}", repr::repr(&json!(labels))),
    }
}

/// The prompt with the chat template applied if there is a model, else its turns one below the other.
fn prompt_text(request: &Request, engine: Option<&dyn Engine>) -> Result<String> {
    let (RequestKind::Loglikelihood { context: prompt, .. }
    | RequestKind::Generate { context: prompt, .. }
    | RequestKind::Choose { context: prompt, .. }) = &request.kind
    else {
        let RequestKind::LoglikelihoodRolling { text } = &request.kind else { return Ok(String::new()) };
        return Ok(text.clone());
    };
    match (engine, prompt) {
        (Some(engine), prompt) => engine.render(prompt),
        (None, Prompt::Text(text)) => Ok(text.clone()),
        (None, Prompt::Chat(messages)) => {
            let turns = messages.iter().map(|m| format!("[{}]\n{}", m.role.as_str(), m.content));
            Ok(turns.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn tokens(out: &mut String, inspection: &Inspection) {
    let Inspection { context_ids, continuation_ids, bos_count, truncated_tokens, .. } = inspection;
    let first: Vec<String> = context_ids.iter().take(8).map(u32::to_string).collect();
    let more = if context_ids.len() > 8 { ", ..." } else { "" };
    let _ = writeln!(out, "  context       {} tokens: [{}{more}]", context_ids.len(), first.join(", "));
    if !continuation_ids.is_empty() {
        let _ = writeln!(out, "  continuation  {} tokens: {continuation_ids:?}", continuation_ids.len());
    }
    let _ = writeln!(out, "  BOS           {bos_count} at the front");
    let _ = writeln!(out, "  cut           {truncated_tokens} tokens from the left");
}
