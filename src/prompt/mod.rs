//! A task and its documents become items: prompts, requests and right answers.
//!
//! Comes in: a [`Task`] and its [`TaskDocs`]. Goes out: [`Item`]s in dataset order, byte for byte the reference's prompts.
//! Under letters (see [`options`]) the prompts are ours. Never: tokens, chat templates (a conversation leaves as turns), models, metrics.

mod choose;
mod decoding;
mod fewshot;
mod gold;
pub mod options;
mod read;
mod turn;

use crate::data::TaskDocs;
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::python::literal;
use crate::python::repr::to_str;
use crate::python::text::ends_with_space;
use crate::request::{Decoding, Prompt, Request, RequestKind, Role};
use crate::task::{ChoiceProtocol, OutputType, Task};
use choose::Put;
use fewshot::Shots;
use read::{Reader, Row};
use serde_json::{Map, Value};
use turn::{ChatForm, Turn, maybe_delimit, qa_turns};

/// What the command line decides about prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptOptions {
    /// Shots; overrides the task's own number unless that is 0.
    pub num_fewshot: Option<usize>,
    /// Prompts are conversations for the model's chat template.
    pub chat: bool,
    /// Under `chat`: every shot is a turn of its own (the default), instead of all in one user message.
    pub fewshot_as_multiturn: Option<bool>,
    pub system_instruction: Option<String>,
    /// Seed of the `default` sampler.
    pub fewshot_seed: u64,
    /// Put over the task's `generation_kwargs`.
    pub gen_kwargs: Map<String, Value>,
    /// Seed of sampled decoding.
    pub seed: u64,
    /// Only the first documents.
    pub limit: Option<usize>,
    /// How the choices of multiple-choice tasks are put.
    pub choices: ChoiceProtocol,
}

impl Default for PromptOptions {
    fn default() -> Self {
        PromptOptions {
            num_fewshot: None,
            chat: false,
            fewshot_as_multiturn: None,
            system_instruction: None,
            fewshot_seed: 1234,
            gen_kwargs: Map::new(),
            seed: 1234,
            limit: None,
            choices: ChoiceProtocol::default(),
        }
    }
}

/// The items of a task, in dataset order.
pub fn build_items(task: &Task, docs: &TaskDocs, options: &PromptOptions) -> Result<Vec<Item>> {
    let located = |err: Error| err.at(&task.origin.file, task.origin.line).context(format!("task {}", task.name));
    Builder::new(task, docs, options).and_then(Builder::items).map_err(located)
}

/// Shots in each prompt: the command line's number unless the task says 0; 0 when nobody says, and
/// for rolling texts, which have no context for shots to stand in.
pub fn effective_fewshot(task: &Task, options: &PromptOptions) -> usize {
    match (task.output_type, task.fewshot.num) {
        (OutputType::LoglikelihoodRolling, _) | (_, Some(0)) => 0,
        (_, own) => options.num_fewshot.or(own).unwrap_or(0),
    }
}

/// What document 0 decides for the whole task.
struct Form {
    /// `doc_to_text` gives the index of the right choice, and the choices are the contexts.
    multiple_inputs: bool,
    /// `doc_to_target` gives a list.
    multiple_targets: bool,
    put: Put,
}

struct Builder<'a> {
    task: &'a Task,
    options: &'a PromptOptions,
    docs: &'a [Doc],
    reader: Reader<'a>,
    form: Form,
    shots: Shots<'a>,
    /// Turns of shots already made, by their place in the pool.
    shot_turns: Vec<Option<Vec<Turn>>>,
    decoding: Option<Decoding>,
}

impl<'a> Builder<'a> {
    fn new(task: &'a Task, docs: &'a TaskDocs, options: &'a PromptOptions) -> Result<Self> {
        let first = docs.docs.first().ok_or_else(|| {
            Error::input("the evaluated split has no documents")
                .hint("check test_split, validation_split and process_docs")
        })?;
        let reader = Reader::new(task, &docs.columns);
        let mut form = form(task, &reader, first)?;
        form.put = choose::put(task, options.choices, &reader, docs, form.multiple_inputs)?;
        let shots = effective_fewshot(task, options);
        let decoding = match (task.output_type, form.put, options.choices) {
            (OutputType::GenerateUntil, ..) => Some(decoding::resolve(&task.generation_kwargs, &options.gen_kwargs)?),
            (_, Put::OwnLabels | Put::Listed, ChoiceProtocol::LetterText) => {
                Some(choose::letter_decoding(task, &options.gen_kwargs, options.chat)?)
            }
            _ => None,
        };
        let limit = options.limit.unwrap_or(docs.docs.len());
        Ok(Builder {
            task,
            options,
            docs: docs.docs.get(..limit).unwrap_or(&docs.docs),
            reader,
            form,
            shots: Shots::new(task, docs, shots, options.fewshot_seed),
            shot_turns: vec![None; docs.pool.as_ref().map_or(0, Vec::len)],
            decoding,
        })
    }

    fn items(mut self) -> Result<Vec<Item>> {
        self.docs.iter().map(|doc| self.item(doc)).collect()
    }

    fn item(&mut self, doc: &Doc) -> Result<Item> {
        let row = Row::new(&doc.fields, format!("document {}", doc.id));
        let prompt = &self.task.prompt;
        let target = self.reader.target(&row, &prompt.doc_to_target)?;
        let choices = match &prompt.doc_to_choice {
            Some(choices) => self.reader.choices(&row, choices)?,
            None => Vec::new(),
        };
        // With several inputs, the text is the index of the right one.
        let right_input = match self.form.multiple_inputs {
            true => Some(self.reader.text(&row, &prompt.doc_to_text)?),
            false => None,
        };
        let gold = gold::resolve(&gold::Question {
            task: self.task,
            row: &row,
            written: right_input.as_ref().unwrap_or(&target),
            choices: &choices,
            multiple_targets: self.form.multiple_targets && right_input.is_none(),
        })?;
        let labels = self.labels(&row, &choices)?;
        let kinds = match labels.is_empty() {
            true => self.request_kinds(doc, &row, &target, &choices)?,
            false => vec![self.label_kind(doc, &row, &target, &choices, &labels)?],
        };
        Ok(Item {
            doc: doc.clone(),
            requests: kinds.into_iter().map(|kind| Request { kind, sample: 0, seed: self.options.seed }).collect(),
            choices,
            labels,
            target: gold,
            result_args: self.result_args(&row)?,
            judge_args: self.judge_args(&row)?.into(),
            target_written: target,
            num_fewshot: self.shots.count(),
        })
    }

    fn request_kinds(
        &mut self,
        doc: &Doc,
        row: &Row<'_>,
        target: &Value,
        choices: &[String],
    ) -> Result<Vec<RequestKind>> {
        if self.task.output_type == OutputType::LoglikelihoodRolling {
            return Ok(vec![RequestKind::LoglikelihoodRolling { text: row.string(target, "doc_to_target")? }]);
        }
        let mut contexts = self.contexts(doc, row, choices)?;
        if self.task.output_type == OutputType::MultipleChoice {
            return self.choice_kinds(row, contexts, target, choices);
        }
        let (Some(context), true) = (contexts.pop(), contexts.is_empty()) else {
            return Err(
                row.error("doc_to_text", "gives a number, which makes the choices contexts of a multiple_choice task")
            );
        };
        Ok(vec![match &self.decoding {
            Some(decoding) => RequestKind::Generate { context, decoding: decoding.clone() },
            None => RequestKind::Loglikelihood { context, continuation: row.string(target, "doc_to_target")? },
        }])
    }

    fn choice_kinds(
        &self,
        row: &Row<'_>,
        contexts: Vec<Prompt>,
        target: &Value,
        choices: &[String],
    ) -> Result<Vec<RequestKind>> {
        let prompt = &self.task.prompt;
        // The chat template ends where the answer begins, so a delimiter is only due after a prefix without a blank.
        // The reference looks at the prefix as the task file writes it.
        let delimiter = match (self.options.chat, prompt.gen_prefix.as_deref()) {
            (false, _) => prompt.target_delimiter.as_str(),
            (true, Some(prefix)) if !prefix.is_empty() && !ends_with_space(prefix) => prompt.target_delimiter.as_str(),
            (true, _) => "",
        };
        let ask = |context: Prompt, answer: &str| {
            let continuation = format!("{delimiter}{answer}");
            match continuation.is_empty() {
                true => Err(row.error("doc_to_choice", "gives an empty text to score")),
                false => Ok(RequestKind::Loglikelihood { context, continuation }),
            }
        };
        let mut kinds = Vec::with_capacity(choices.len());
        if self.form.multiple_inputs {
            let answer = to_str(target);
            for context in contexts {
                kinds.push(ask(context, &answer)?);
            }
        } else if let Some(context) = contexts.first() {
            for choice in choices {
                kinds.push(ask(context.clone(), choice)?);
            }
        }
        if self.task.metrics.iter().any(|metric| metric.name == "acc_mutual_info") {
            for choice in choices {
                kinds.push(ask(Prompt::Text(String::new()), choice)?);
            }
        }
        Ok(kinds)
    }

    /// The prompt, or one for each choice when the choices are the inputs.
    fn contexts(&mut self, doc: &Doc, row: &Row<'_>, choices: &[String]) -> Result<Vec<Prompt>> {
        let prompt = &self.task.prompt;
        let before = self.before(doc, row)?;
        let prefix = self.reader.prefix(row, prompt.gen_prefix.as_deref())?;
        let finish = |question: &str, delimiter: &str| {
            let mut turns = before.clone();
            turns.extend(qa_turns(question, None, prefix.as_deref(), delimiter, ""));
            self.chat_form().prompt(turns)
        };
        if self.form.multiple_inputs {
            return Ok(choices.iter().map(|choice| finish(choice, "")).collect());
        }
        let question = row.string(&self.reader.text(row, &prompt.doc_to_text)?, "doc_to_text")?;
        Ok(vec![finish(&question, &prompt.target_delimiter)])
    }

    /// The turns before the question: system text and shots.
    fn before(&mut self, doc: &Doc, row: &Row<'_>) -> Result<Vec<Turn>> {
        let mut before = self.system(row)?;
        for index in self.shots.draw(doc)? {
            before.extend(self.shot(index)?);
        }
        Ok(before)
    }

    fn chat_form(&self) -> ChatForm {
        match (self.options.chat, self.options.fewshot_as_multiturn) {
            (false, _) => ChatForm::Text,
            (true, Some(false)) => ChatForm::OneUserTurn,
            (true, _) => ChatForm::Turns,
        }
    }

    /// System instruction and description.
    fn system(&self, row: &Row<'_>) -> Result<Vec<Turn>> {
        let description = self.reader.field_or_template(row, &self.task.description, "description")?;
        let instruction = self.options.system_instruction.as_deref().unwrap_or_default();
        let text = maybe_delimit(instruction, &description, &self.task.prompt.fewshot_delimiter);
        Ok(if text.is_empty() { Vec::new() } else { vec![Turn::new(Role::System, text, "")] })
    }

    /// The turns of the shot at a place of the pool.
    fn shot(&mut self, index: usize) -> Result<Vec<Turn>> {
        if let Some(Some(turns)) = self.shot_turns.get(index) {
            return Ok(turns.clone());
        }
        let row = Row::new(self.shots.fields(index)?, format!("few-shot document {index}"));
        let prompt = &self.task.fewshot.prompt;
        let written = self.reader.text(&row, &prompt.doc_to_text)?;
        let target = self.reader.target(&row, &prompt.doc_to_target)?;
        let mut choices = match &prompt.doc_to_choice {
            Some(choices) => self.reader.choices(&row, choices)?,
            None => Vec::new(),
        };
        if self.form.put == Put::Listed {
            let prefix = self.reader.shot_prefix(&row, prompt.gen_prefix.as_deref())?;
            let turns = self.listed_shot(&row, written, &target, &choices, prefix.as_deref())?;
            return Ok(self.keep_shot(index, turns));
        }
        let question = match self.form.multiple_inputs {
            true => {
                let text = gold::chosen(&row, &choices, &written, "doc_to_text")?;
                // The answer is the target itself then, not a choice.
                choices.clear();
                text
            }
            false => row.string(&written, "doc_to_text")?,
        };
        let answer = gold::answer(&row, &choices, &target)?;
        let prefix = self.reader.shot_prefix(&row, prompt.gen_prefix.as_deref())?;
        let turns = qa_turns(
            &question,
            answer.as_deref(),
            prefix.as_deref(),
            &prompt.target_delimiter,
            &prompt.fewshot_delimiter,
        );
        Ok(self.keep_shot(index, turns))
    }

    fn keep_shot(&mut self, index: usize, turns: Vec<Turn>) -> Vec<Turn> {
        if let Some(slot) = self.shot_turns.get_mut(index) {
            *slot = Some(turns.clone());
        }
        turns
    }

    /// The arguments of the task's `process_results` function.
    fn result_args(&self, row: &Row<'_>) -> Result<Map<String, Value>> {
        let args = self.task.process_results.iter().flat_map(|spec| &spec.args);
        args.map(|(name, template)| {
            let key = format!("process_results.{name}");
            let text = self.reader.render(row, template, &key)?;
            let value = literal::parse(&text).map_err(|err| row.locate(err, &key))?;
            Ok((name.clone(), value))
        })
        .collect()
    }

    /// The arguments of the task's `judge`, as text.
    fn judge_args(&self, row: &Row<'_>) -> Result<Map<String, Value>> {
        let args = self.task.judge.iter().flat_map(|spec| &spec.args);
        args.map(|(name, template)| {
            let text = self.reader.render(row, template, &format!("judge.{name}"))?;
            Ok((name.clone(), Value::String(text)))
        })
        .collect()
    }
}

/// Looks at document 0.
fn form(task: &Task, reader: &Reader<'_>, first: &Doc) -> Result<Form> {
    let row = Row::new(&first.fields, format!("document {}", first.id));
    let prompt = &task.prompt;
    let target = reader.target(&row, &prompt.doc_to_target)?;
    let multiple_targets = matches!(&target, Value::Array(targets) if !targets.is_empty());
    let Some(choices) = &prompt.doc_to_choice else {
        if task.output_type == OutputType::MultipleChoice {
            return Err(row.error("doc_to_choice", "is missing, and the task is multiple_choice"));
        }
        return Ok(Form { multiple_inputs: false, multiple_targets, put: Put::Continuations });
    };
    let choices = reader.choices(&row, choices)?;
    let text = reader.text(&row, &prompt.doc_to_text)?;
    let multiple_inputs = gold::index(&text).is_some();
    // The reference stops here as well; a later document that names no choice counts as answered wrongly.
    let (index, key) = match multiple_inputs {
        true => (&text, "doc_to_text"),
        false => (&target, "doc_to_target"),
    };
    if gold::index(index).is_some() {
        gold::chosen(&row, &choices, index, key)?;
    }
    Ok(Form { multiple_inputs, multiple_targets, put: Put::Continuations })
}

#[cfg(test)]
mod letter_tests;
#[cfg(test)]
mod tests;
