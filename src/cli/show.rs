//! `fairmark show`: the exact prompt of one document.

use super::args::{ModelArgs, TaskArgs};
use super::precision::only;
use super::talk;
use crate::catalog::Catalog;
use crate::data::DataSource;
use crate::engine::{self, Engine, Inspection, Prompts};
use crate::error::{Error, Result};
use crate::item::{Item, Target};
use crate::prompt::PromptOptions;
use crate::python::repr;
use crate::remark::{Remark, Weight, gather};
use crate::request::{Prompt, Request, RequestKind};
use crate::runner::{Limit, Prepared, Wishes, plan_protocol, prepare, remarks_on_flags};
use crate::task::{Node, Task};
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
    let protocol = args.task.mc_protocol.into();
    if let Some(engine) = &engine {
        let capabilities = engine.capabilities();
        options.choices = plan_protocol(&capabilities, protocol, &nodes)?.protocol;
        options.chat |= capabilities.prompts == Prompts::ChatOnly;
    }
    let source = args.task.data_source(false)?;
    let (prepared, stops) = prepared(nodes, &source, &options, args.doc)?;
    let task = prepared.tasks.first().ok_or_else(|| Error::input(format!("`{}` names no task", args.name)))?;
    let item = task.items.get(args.doc).ok_or_else(|| {
        Error::input(format!("{} has no document {}", task.task.name, args.doc)).hint(format!(
            "its evaluated split has {}: 0 to {}",
            task.original,
            task.original.saturating_sub(1)
        ))
    })?;
    let wishes = Wishes { protocol, ..Wishes::default() };
    let on_flags = remarks_on_flags(&prepared.tasks, &options, &wishes);
    let remarks = [on_flags, prepared.remarks(), stops].concat();
    super::print(&describe(&task.task, item, &remarks, engine.as_deref())?)?;
    for notice in engine.iter().flat_map(|e| e.notices()) {
        talk::note(notice);
    }
    if let Some(date) = engine.as_ref().and_then(|engine| engine.date()) {
        talk::note(format_args!("the chat template prints the date: here {}", date.shown()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The task as `run` prepares it, with all documents. Where a later document stops that, those up to the one that is asked for, and a
/// remark on what would stop a run.
fn prepared(
    nodes: Vec<Node>,
    source: &DataSource,
    options: &PromptOptions,
    doc: usize,
) -> Result<(Prepared, Vec<Remark>)> {
    let stopped = match prepare(nodes.clone(), source, options, None, &mut |_| {}) {
        Ok(prepared) => return Ok((prepared, Vec::new())),
        Err(stopped) => stopped,
    };
    let limit = Limit::Count(doc.saturating_add(1));
    let prepared = prepare(nodes, source, options, Some(limit), &mut |_| {})?;
    let text = format!("a run stops at a later document: {}", stopped.one_line());
    Ok((prepared, vec![Remark { subject: None, ..Remark::warning("", text) }]))
}

fn describe(task: &Task, item: &Item, remarks: &[Remark], engine: Option<&dyn Engine>) -> Result<String> {
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
    if let Some(right) = right(item) {
        let _ = writeln!(out, "right      {right}");
    }
    if let Some(cluster) = &item.cluster {
        let _ = writeln!(out, "cluster    {}", visible::line(cluster));
    }
    for remark in gather(remarks) {
        let kind = if remark.weight == Weight::Note { "note" } else { "warning" };
        let _ = writeln!(out, "{kind:<10} {}", remark.line());
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

/// Which choices are right, with their texts, or which answers, where there are several; `None` where the target says it.
fn right(item: &Item) -> Option<String> {
    let choice = |index: &i64| {
        let text = usize::try_from(*index).ok().and_then(|place| item.choices.get(place))?;
        Some(format!("choice {index}, {}", repr::repr(&json!(text))))
    };
    match &item.target {
        Target::Index(index) => choice(index),
        Target::Indices(indices) => Some(indices.iter().filter_map(choice).collect::<Vec<_>>().join("; ")),
        Target::Texts(texts) => {
            Some(format!("any of {}", texts.iter().map(|text| repr::repr(&json!(text))).collect::<Vec<_>>().join(", ")))
        }
        Target::Text(_) => None,
    }
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
