//! A task: a benchmark, fully resolved. What the YAML says is parsed in `catalog/`; this is what it means.

use crate::doc::Fields;
use crate::error::Result;
use crate::remark::Remark;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Where something was written, for error messages: a file (or `built-in:<path>`) and a line from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub file: PathBuf,
    pub line: usize,
}

/// Answers to each document that a task may ask for: beyond what sampling studies use, and far from what memory holds.
pub const MOST_REPEATS: u32 = 10_000;

/// A benchmark.
#[derive(Debug, Clone)]
pub struct Task {
    pub name: String,
    pub alias: Option<String>,
    pub tags: Vec<String>,
    pub origin: Origin,
    pub dataset: DatasetRef,
    pub splits: Splits,
    /// `process_docs`, applied to every split.
    pub steps: Vec<DocStep>,
    pub output_type: OutputType,
    pub prompt: PromptSpec,
    /// Evaluated over the document that is asked about; becomes the system text.
    pub description: String,
    pub fewshot: FewshotSpec,
    pub metrics: Vec<MetricSpec>,
    /// A named function that turns responses into metrics, in place of the metrics' own per-document functions.
    pub process_results: Option<ResultSpec>,
    /// Who judges the answers, where comparing texts is not enough.
    pub judge: Option<JudgeSpec>,
    /// `generation_kwargs` as written, with the reference's defaults filled in (`until` always present).
    pub generation_kwargs: Map<String, Value>,
    /// Answers per request.
    pub repeats: u32,
    /// At least one pipeline; the default is `none: take_first`.
    pub filters: Vec<FilterPipeline>,
    /// Answers are programs that will be run.
    pub unsafe_code: bool,
    /// `metadata.version`.
    pub version: Option<Value>,
    /// `metadata.cluster`: a template over the document that gives documents which are alike the same name.
    pub cluster: Option<String>,
    pub metadata: Map<String, Value>,
    /// The merged keys as written, for the `configs` part of the results file.
    pub config: Map<String, Value>,
    /// What in the file is valid and cannot have been meant.
    pub remarks: Vec<Remark>,
}

/// Which data set to read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DatasetRef {
    /// A hub id (`openai/gsm8k`) or a loader (`json`, `csv`, `parquet`).
    pub path: String,
    /// The configuration (`dataset_name`); `None` is the default one.
    pub name: Option<String>,
    pub revision: Option<String>,
    /// `data_dir`: a folder inside the hub repository or, for a loader, on disk.
    pub data_dir: Option<String>,
    /// `data_files`: split to files. A bare string or list belongs to `train`. Relative paths are relative to `base`.
    pub data_files: Vec<(String, Vec<String>)>,
    /// Folder of the YAML file that names `data_files`.
    pub base: PathBuf,
    /// `csv`: column delimiter (`delimiter`/`sep`); default `,` (a `.tsv` file: tab).
    pub delimiter: Option<char>,
    /// `csv`: names for the columns, when the file has no header.
    pub column_names: Option<Vec<String>>,
    /// `csv`: the words that stand for nothing.
    pub nulls: NullWords,
    /// `json`: the key of the object at the top that holds the rows.
    pub field: Option<String>,
}

/// Cells of a CSV file that stand for nothing: pandas' `keep_default_na` and `na_values`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NullWords {
    /// Only the words given here, and not those that pandas knows (`NA`, `None`, `null`, an empty cell, ...).
    pub only_given: bool,
    pub everywhere: Vec<String>,
    /// By column.
    pub by_column: Vec<(String, Vec<String>)>,
}

/// Names of the splits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Splits {
    pub training: Option<String>,
    pub validation: Option<String>,
    pub test: Option<String>,
    pub fewshot: Option<String>,
}

impl Splits {
    /// The split that is evaluated: test, else validation. The catalog refuses tasks without either.
    pub fn evaluated(&self) -> Option<&str> {
        self.test.as_deref().or(self.validation.as_deref())
    }
}

/// One step of the declarative `process_docs`; see `docs/tasks.md`.
#[derive(Debug, Clone, PartialEq)]
pub enum DocStep {
    /// `derive: {field: source, ...}`: sets fields, in order; later ones see earlier ones.
    Derive(Vec<(String, Derivation)>),
    /// `keep: "<template>"`: keeps rows whose template renders to `True` (anything but True/False is an error).
    Keep(String),
    /// `rename: {old: new}`, keeping the column's place.
    Rename(Vec<(String, String)>),
    /// `drop: [columns]`.
    Drop(Vec<String>),
    /// `explode: {column: c, into: f}`: one row per element of the list in `column`; the element is put in `into` (default: `column`).
    Explode { column: String, into: String },
    /// `shuffle: {column: c, seed: n}`: shuffles the list in `column` with CPython's generator, one stream for the whole split.
    Shuffle { column: String, seed: u64 },
}

/// How a derived field gets its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Derivation {
    /// `field: "<template>"`: the rendered text.
    Text(String),
    /// `field: {literal: "<template>"}`: the rendered text read as a Python literal.
    Literal(String),
    /// `field: {column: name}`: a copy of a column.
    Column(String),
    /// `field: {boxed: column}`: what the last `\boxed{}` of a worked solution holds.
    Boxed(String),
    /// `field: {minerva_answer: column}`: the same in the form in which Minerva's protocol compares answers.
    MinervaAnswer(String),
}

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    MultipleChoice,
    Loglikelihood,
    LoglikelihoodRolling,
    GenerateUntil,
}

impl OutputType {
    /// The name in task files.
    pub fn as_str(self) -> &'static str {
        match self {
            OutputType::MultipleChoice => "multiple_choice",
            OutputType::Loglikelihood => "loglikelihood",
            OutputType::LoglikelihoodRolling => "loglikelihood_rolling",
            OutputType::GenerateUntil => "generate_until",
        }
    }
}

/// How the choices of a multiple-choice task are put to a model. Figures under different protocols are different figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ChoiceProtocol {
    /// The log-likelihood of every choice: what the task says.
    #[default]
    Likelihood,
    /// The choices are listed under letters; the likeliest letter among the first tokens of the answer counts.
    LetterLogprobs,
    /// The choices are listed under letters; the model writes one.
    LetterText,
}

impl ChoiceProtocol {
    /// The name in flags, and the filter under which figures are reported (likelihoods are under the task's own filters).
    pub fn as_str(self) -> &'static str {
        match self {
            ChoiceProtocol::Likelihood => "likelihood",
            ChoiceProtocol::LetterLogprobs => "letter-logprobs",
            ChoiceProtocol::LetterText => "letter-text",
        }
    }
}

/// Where a text or answer comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A column of that name if the data has one, else a template.
    Text(String),
    Int(i64),
    /// A literal list of answers.
    List(Vec<Value>),
}

/// Where the choices come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Choices {
    /// A column of that name if the data has one, else a template whose output is a Python literal.
    Text(String),
    List(Vec<String>),
}

/// What becomes of a right answer that a template prints as digits or in square brackets (`read_target`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadTarget {
    /// A list where the template printed a list, an index where it printed a number or the digits are no choice; else a text.
    #[default]
    Auto,
    /// Always a text; numbers as well.
    Text,
    /// Read as a Python value wherever it can be, as the reference does.
    Literal,
}

impl ReadTarget {
    /// All of them.
    pub const ALL: [ReadTarget; 3] = [ReadTarget::Auto, ReadTarget::Text, ReadTarget::Literal];

    /// The name in task files.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadTarget::Auto => "auto",
            ReadTarget::Text => "text",
            ReadTarget::Literal => "literal",
        }
    }
}

/// How a document becomes text: for the evaluated document, and again (with own values) for the shots.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSpec {
    pub doc_to_text: Source,
    pub doc_to_target: Source,
    pub doc_to_choice: Option<Choices>,
    pub read_target: ReadTarget,
    /// Column or template: the start of the answer.
    pub gen_prefix: Option<String>,
    pub target_delimiter: String,
    pub fewshot_delimiter: String,
}

/// How shots are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampler {
    /// CPython's `random.Random(seed).sample`, one stream per task, in dataset order.
    Default,
    /// The first ones of the pool.
    FirstN,
}

/// The shots of a task.
#[derive(Debug, Clone)]
pub struct FewshotSpec {
    /// `num_fewshot` of the task; `None` if unset (the command line's number overrides unless this is `Some(0)`).
    pub num: Option<usize>,
    pub sampler: Sampler,
    /// `fewshot_config.split`, else `fewshot_split`; it beats `samples`.
    pub split: Option<String>,
    /// Fixed shots in the task file.
    pub samples: Option<Vec<Fields>>,
    /// `fewshot_config.process_docs`; `None` means the task's own.
    pub steps: Option<Vec<DocStep>>,
    /// The document that is asked about is never among its shots, also where the reference lets it be.
    pub exclude_evaluated: bool,
    /// The shots' templates and delimiters, with the task's as defaults.
    pub prompt: PromptSpec,
}

/// One entry of `metric_list`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSpec {
    /// A row of the metric table, or a metric that the task's `process_results` gives.
    pub name: String,
    /// A row of the aggregation table.
    pub aggregation: String,
    pub higher_is_better: Option<bool>,
    /// Every other key (`ignore_case`, `regexes_to_ignore`, ...).
    pub kwargs: Map<String, Value>,
}

/// `process_results: {function: name, <argument>: <template>, ...}`; arguments render to Python literals.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultSpec {
    pub function: String,
    pub args: Vec<(String, String)>,
}

/// `judge: {function: name, <argument>: <template>, ...}`; arguments render to texts.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeSpec {
    /// A row of the table of judges.
    pub function: String,
    pub args: Vec<(String, String)>,
}

/// A named chain of filters; every pipeline gives its own column `metric,name`.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterPipeline {
    pub name: String,
    pub steps: Vec<FilterStep>,
}

/// One filter with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterStep {
    /// A row of the filter table.
    pub function: String,
    pub kwargs: Map<String, Value>,
}

/// A named set of tasks and groups with aggregates of its own.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: String,
    pub alias: Option<String>,
    pub origin: Origin,
    pub children: Vec<Node>,
    /// `aggregate_metric_list`; empty: the group only gathers.
    pub aggregates: Vec<GroupMetric>,
    pub version: Option<Value>,
    pub metadata: Map<String, Value>,
}

/// One entry of `aggregate_metric_list`.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMetric {
    pub metric: String,
    /// Weight tasks by their number of documents (micro average); otherwise all tasks count alike (macro).
    pub weight_by_size: bool,
    /// The filters to aggregate; `None`: all that are found.
    pub filters: Option<Vec<String>>,
}

/// A task or a group of them, as selected on the command line.
#[derive(Debug, Clone)]
pub enum Node {
    Task(Arc<Task>),
    Group(Arc<Group>),
}

impl Node {
    pub fn name(&self) -> &str {
        match self {
            Node::Task(task) => &task.name,
            Node::Group(group) => &group.name,
        }
    }

    /// The tasks at or under this node, in order: see [`tasks_under`].
    pub fn tasks(&self) -> Vec<&Arc<Task>> {
        tasks_under(std::slice::from_ref(self))
    }
}

/// The tasks at or under some nodes, in order. A group that is reached by several ways is entered once; a task that stands in two
/// groups comes twice.
pub fn tasks_under(nodes: &[Node]) -> Vec<&Arc<Task>> {
    let mut tasks = Vec::new();
    walk(nodes, &mut |node| {
        if let Node::Task(task) = node {
            tasks.push(task);
        }
    });
    tasks
}

/// The groups at or under some nodes, each once, inner ones first.
pub fn groups_under(nodes: &[Node]) -> Vec<&Arc<Group>> {
    let mut groups = Vec::new();
    walk(nodes, &mut |node| {
        if let Node::Group(group) = node {
            groups.push(group);
        }
    });
    groups
}

/// Visits nodes after what is under them. Groups of groups have more ways than can be walked, and few groups: each is entered once.
fn walk<'a>(nodes: &'a [Node], visit: &mut dyn FnMut(&'a Node)) {
    fn enter<'a>(nodes: &'a [Node], entered: &mut HashSet<*const Group>, visit: &mut dyn FnMut(&'a Node)) {
        for node in nodes {
            if let Node::Group(group) = node {
                if !entered.insert(Arc::as_ptr(group)) {
                    continue;
                }
                enter(&group.children, entered, visit);
            }
            visit(node);
        }
    }
    enter(nodes, &mut HashSet::new(), visit);
}

/// Nodes with every task replaced by what `change` makes of it, and every group by what `regroup` makes of it and its changed children.
/// What was shared is shared again.
pub fn map_nodes(
    nodes: &[Node],
    change: &dyn Fn(&Arc<Task>) -> Result<Arc<Task>>,
    regroup: &dyn Fn(&Group, Vec<Node>) -> Group,
) -> Result<Vec<Node>> {
    let mut mapping = Mapping { change, regroup, done: HashMap::new() };
    nodes.iter().map(|node| mapping.node(node)).collect()
}

/// A mapping under way, with the groups that are done.
struct Mapping<'a> {
    change: &'a dyn Fn(&Arc<Task>) -> Result<Arc<Task>>,
    regroup: &'a dyn Fn(&Group, Vec<Node>) -> Group,
    done: HashMap<*const Group, Arc<Group>>,
}

impl Mapping<'_> {
    fn node(&mut self, node: &Node) -> Result<Node> {
        let group = match node {
            Node::Task(task) => return (self.change)(task).map(Node::Task),
            Node::Group(group) => group,
        };
        if let Some(done) = self.done.get(&Arc::as_ptr(group)) {
            return Ok(Node::Group(done.clone()));
        }
        let children = group.children.iter().map(|child| self.node(child)).collect::<Result<_>>()?;
        let mapped = Arc::new((self.regroup)(group, children));
        self.done.insert(Arc::as_ptr(group), mapped.clone());
        Ok(Node::Group(mapped))
    }
}
