//! A task and its documents become items: prompts, requests and right answers.
//!
//! Comes in: a [`Task`] and its [`TaskDocs`]. Goes out: [`Item`]s in dataset order, byte for byte the reference's prompts, and what is odd
//! about them ([`Built`]).
//! Under letters (see [`options`]) the prompts are ours. Never: tokens, chat templates (a conversation leaves as turns), models, metrics.

mod choose;
mod cluster;
mod decoding;
mod fewshot;
mod gold;
mod oddities;
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
use crate::remark::Remark;
use crate::request::{Decoding, Prompt, Request, RequestKind, Role};
use crate::task::{ChoiceProtocol, OutputType, PromptSpec, ReadTarget, Source, Task};
use choose::Put;
use fewshot::Shots;
use oddities::Oddities;
use read::{Reader, Row};
use serde_json::{Map, Value};
use std::cell::RefCell;
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
    /// The document asked about is never among its shots, whatever the task says.
    pub exclude_evaluated: bool,
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
            exclude_evaluated: false,
            gen_kwargs: Map::new(),
            seed: 1234,
            limit: None,
            choices: ChoiceProtocol::default(),
        }
    }
}

/// A task's items, in dataset order.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    pub items: Vec<Item>,
    /// What is odd about the prompts and right answers.
    pub remarks: Vec<Remark>,
}

/// Requests of one task, repeats included; more are refused before memory is spent on them.
const MOST_REQUESTS: usize = 4_000_000;

/// Makes the items of a task.
///
/// Errors name the task's file, the document and the key.
pub fn build(task: &Task, docs: &TaskDocs, options: &PromptOptions) -> Result<Built> {
    let located = |err: Error| err.at(&task.origin.file, task.origin.line).context(format!("task {}", task.name));
    Builder::new(task, docs, options).and_then(Builder::build).map_err(located)
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

/// A document with what its templates give.
struct Asked<'a> {
    doc: &'a Doc,
    row: &'a Row<'a>,
    question: Value,
    target: &'a Value,
    choices: &'a [String],
}

struct Builder<'a> {
    task: &'a Task,
    options: &'a PromptOptions,
    docs: &'a [Doc],
    reader: Reader<'a>,
    form: Form,
    shots: Shots<'a>,
    /// Turns of shots already made, by their place in the pool.
    shot_turns: RefCell<Vec<Option<Vec<Turn>>>>,
    decoding: Option<Decoding>,
    oddities: RefCell<Oddities>,
}

impl<'a> Builder<'a> {
    fn new(task: &'a Task, docs: &'a TaskDocs, options: &'a PromptOptions) -> Result<Self> {
        let first = docs.docs.first().ok_or_else(|| {
            Error::input("the evaluated split has no documents")
                .hint("check test_split, validation_split and process_docs")
        })?;
        let mut reader = Reader::new(task, &docs.columns);
        reader.digits = gold::digits(task, &reader, &docs.docs);
        let mut form = form(task, &reader, first, &docs.docs)?;
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
            shots: Shots::new(task, docs, shots, options.fewshot_seed, options.exclude_evaluated),
            shot_turns: RefCell::new(vec![None; docs.pool.as_ref().map_or(0, Vec::len)]),
            decoding,
            oddities: RefCell::default(),
        })
    }

    fn build(self) -> Result<Built> {
        let mut items = Vec::with_capacity(self.docs.len());
        let mut requests = 0usize;
        for doc in self.docs {
            let item = self.item(doc)?;
            requests = requests.saturating_add(item.requests.len().saturating_mul(self.task.repeats as usize));
            if requests > MOST_REQUESTS {
                let message = format!("more than {MOST_REQUESTS} requests, with {} repeats", self.task.repeats);
                return Err(Error::input(message)
                    .key("repeats")
                    .hint("ask for fewer answers to each document (`repeats`, `--n-samples`), or for fewer documents (`--limit`)"));
            }
            items.push(item);
        }
        let mut remarks = self.oddities.take().remarks(self.task, &self.reader, items.len());
        // The first documents of a set may well be of one cluster.
        remarks.extend(cluster::remark(self.task, &items).filter(|_| self.options.limit.is_none()));
        Ok(Built { items, remarks })
    }

    fn item(&self, doc: &Doc) -> Result<Item> {
        let row = Row::new(&doc.fields, format!("document {}", doc.id));
        let prompt = &self.task.prompt;
        let choices = self.choices(&row, prompt)?;
        let answer = self.reader.target(&row, prompt, read_target(self.task), &choices)?;
        self.oddities.borrow_mut().answer(&answer);
        let target = answer.value;
        // With several inputs, the text is the index of the right one.
        let right_input = match self.form.multiple_inputs {
            true => Some(self.reader.text(&row, &prompt.doc_to_text)?),
            false => None,
        };
        let question = self.question_of(&row)?;
        self.oddities.borrow_mut().asked(&question, &choices, self.continuation(&target));
        let gold = gold::resolve(&gold::Question {
            task: self.task,
            row: &row,
            written: right_input.as_ref().unwrap_or(&target),
            choices: &choices,
            multiple_targets: self.form.multiple_targets && right_input.is_none(),
        })?;
        let labels = self.labels(&row, &choices)?;
        let kinds = match labels.is_empty() {
            true => self.request_kinds(&Asked { doc, row: &row, question, target: &target, choices: &choices })?,
            false => vec![self.label_kind(doc, &row, &target, &choices, &labels)?],
        };
        Ok(Item {
            doc: doc.clone(),
            requests: kinds.into_iter().map(|kind| Request { kind, sample: 0, seed: self.options.seed }).collect(),
            choices,
            labels,
            target: gold,
            cluster: cluster::of(self.task, &self.reader, &row)?,
            result_args: self.result_args(&row)?,
            judge_args: self.judge_args(&row)?.into(),
            target_written: target,
            num_fewshot: self.shots.count(),
        })
    }

    /// What has to be scored besides the choices, where that differs from document to document.
    fn continuation<'v>(&self, target: &'v Value) -> Option<&'v Value> {
        let scored = self.task.output_type != OutputType::GenerateUntil && self.task.prompt.doc_to_choice.is_none();
        (scored || self.form.multiple_inputs).then_some(target)
    }

    fn choices(&self, row: &Row<'_>, prompt: &PromptSpec) -> Result<Vec<String>> {
        prompt.doc_to_choice.as_ref().map_or_else(|| Ok(Vec::new()), |source| self.reader.choices(row, source))
    }

    /// The question of a document; empty where its choices are the questions.
    fn question_of(&self, row: &Row<'_>) -> Result<Value> {
        match self.form.multiple_inputs || self.task.output_type == OutputType::LoglikelihoodRolling {
            true => Ok(Value::String(String::new())),
            false => self.reader.question(row, &self.task.prompt.doc_to_text),
        }
    }

    /// `doc_to_text`: an index where the choices are the questions, else the question.
    fn written(&self, row: &Row<'_>, source: &Source) -> Result<Value> {
        match self.form.multiple_inputs {
            true => self.reader.text(row, source),
            false => self.reader.question(row, source),
        }
    }

    fn request_kinds(&self, asked: &Asked<'_>) -> Result<Vec<RequestKind>> {
        let Asked { row, target, choices, .. } = *asked;
        if self.task.output_type == OutputType::LoglikelihoodRolling {
            return Ok(vec![RequestKind::LoglikelihoodRolling { text: row.string(target, "doc_to_target")? }]);
        }
        let mut contexts = self.contexts(asked)?;
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
    fn contexts(&self, asked: &Asked<'_>) -> Result<Vec<Prompt>> {
        let Asked { doc, row, question, choices, .. } = asked;
        let prompt = &self.task.prompt;
        let before = self.before(doc, row, question.as_str())?;
        let prefix = self.reader.prefix(row, prompt.gen_prefix.as_deref())?;
        let finish = |question: &str, delimiter: &str| {
            let mut turns = before.clone();
            turns.extend(qa_turns(question, None, prefix.as_deref(), delimiter, ""));
            self.chat_form().prompt(turns)
        };
        if self.form.multiple_inputs {
            return Ok(choices.iter().map(|choice| finish(choice, "")).collect());
        }
        let question = row.string(question, "doc_to_text")?;
        Ok(vec![finish(&question, &prompt.target_delimiter)])
    }

    /// The turns before the question: system text and shots. `question`: the document's, as a shot would show it.
    fn before(&self, doc: &Doc, row: &Row<'_>, question: Option<&str>) -> Result<Vec<Turn>> {
        let mut before = self.system(row)?;
        let shows = |index: usize| self.shows(index, doc, question.unwrap_or_default());
        let drawn = self.shots.draw(doc, &shows)?;
        for index in &drawn {
            before.extend(self.shot(*index)?);
        }
        if drawn.iter().any(|index| self.shots.equals(*index, doc) || shows(*index)) {
            self.oddities.borrow_mut().own_shots += 1;
        }
        Ok(before)
    }

    /// Whether the shot at a place of the pool shows the document's own question with its own answer, though it be another row.
    fn shows(&self, index: usize, doc: &Doc, question: &str) -> bool {
        if question.is_empty() || self.make_shot(index).is_err() {
            return false;
        }
        let made = self.shot_turns.borrow();
        let turns = made.get(index).and_then(Option::as_ref);
        let asks_the_same = turns.and_then(|turns| turns.first()).is_some_and(|turn| turn.content == question);
        asks_the_same && self.as_shot(&Row::new(&doc.fields, String::new())).ok().as_ref() == turns
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
    fn shot(&self, index: usize) -> Result<Vec<Turn>> {
        self.make_shot(index)?;
        Ok(self.shot_turns.borrow().get(index).cloned().flatten().unwrap_or_default())
    }

    /// Makes a shot unless it is made.
    fn make_shot(&self, index: usize) -> Result<()> {
        if self.shot_turns.borrow().get(index).is_some_and(Option::is_some) {
            return Ok(());
        }
        let turns = self.as_shot(&Row::new(self.shots.fields(index)?, format!("few-shot document {index}")))?;
        if let Some(slot) = self.shot_turns.borrow_mut().get_mut(index) {
            *slot = Some(turns);
        }
        Ok(())
    }

    /// The turns that a row makes as a shot.
    fn as_shot(&self, row: &Row<'_>) -> Result<Vec<Turn>> {
        let prompt = &self.task.fewshot.prompt;
        let written = self.written(row, &prompt.doc_to_text)?;
        let mut choices = self.choices(row, prompt)?;
        let target = self.reader.target(row, prompt, prompt.read_target, &choices)?.value;
        let prefix = self.reader.shot_prefix(row, prompt.gen_prefix.as_deref())?;
        if self.form.put == Put::Listed {
            return self.listed_shot(row, written, &target, &choices, prefix.as_deref());
        }
        let question = match self.form.multiple_inputs {
            true => {
                let text = gold::chosen(row, &choices, &written, "doc_to_text")?;
                // The answer is the target itself then, not a choice.
                choices.clear();
                text
            }
            false => row.string(&written, "doc_to_text")?,
        };
        let answer = gold::answer(row, &choices, &target)?;
        let (delimiter, end) = (&prompt.target_delimiter, &prompt.fewshot_delimiter);
        Ok(qa_turns(&question, answer.as_deref(), prefix.as_deref(), delimiter, end))
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

/// How the target of an evaluated document is read. Where a function or judge scores the answers, nothing depends on it but the samples
/// file, which has it as the reference writes it.
fn read_target(task: &Task) -> ReadTarget {
    match (task.process_results.is_some() || task.judge.is_some(), task.prompt.read_target) {
        (true, ReadTarget::Auto) => ReadTarget::Literal,
        (_, how) => how,
    }
}

/// Looks at document 0.
fn form(task: &Task, reader: &Reader<'_>, first: &Doc, docs: &[Doc]) -> Result<Form> {
    let row = Row::new(&first.fields, format!("document {}", first.id));
    let prompt = &task.prompt;
    let choices = match &prompt.doc_to_choice {
        Some(choices) => reader.choices(&row, choices)?,
        None if task.output_type == OutputType::MultipleChoice => {
            return Err(row.error("doc_to_choice", "is missing, and the task is multiple_choice"));
        }
        None => Vec::new(),
    };
    let target = reader.target(&row, prompt, read_target(task), &choices)?.value;
    let multiple_targets = matches!(&target, Value::Array(targets) if !targets.is_empty());
    if prompt.doc_to_choice.is_none() {
        return Ok(Form { multiple_inputs: false, multiple_targets, put: Put::Continuations });
    }
    let text = input_index(task, reader, &row, docs)?;
    // The reference stops here as well; a later document that names no choice counts as answered wrongly.
    let (index, key) = match &text {
        Some(text) => (text, "doc_to_text"),
        None => (&target, "doc_to_target"),
    };
    if gold::index(index).is_some() {
        gold::chosen(&row, &choices, index, key)?;
    }
    Ok(Form { multiple_inputs: text.is_some(), multiple_targets, put: Put::Continuations })
}

/// The index that `doc_to_text` gives for document 0, where the choices are the questions. A question that happens to be all digits is
/// none: then later documents have other texts.
fn input_index(task: &Task, reader: &Reader<'_>, first: &Row<'_>, docs: &[Doc]) -> Result<Option<Value>> {
    let source = &task.prompt.doc_to_text;
    let index = |row: &Row<'_>| reader.text(row, source).ok().filter(|text| gold::index(text).is_some());
    if reader.is_number(first, source)? {
        return reader.text(first, source).map(|text| Some(text).filter(|text| gold::index(text).is_some()));
    }
    let all = |docs: &[Doc]| docs.iter().all(|doc| index(&Row::new(&doc.fields, String::new())).is_some());
    Ok(index(first).filter(|_| all(docs)))
}

#[cfg(test)]
mod letter_tests;
#[cfg(test)]
mod tests;
