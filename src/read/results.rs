//! The reference's results file, versions 0.4.3 to 0.4.13, and ours, which is one with a section of its own (`fairmark`).

use super::ours;
use crate::error::{Error, Result};
use crate::estimate::{Estimate, figure_of};
use crate::file::{self, unique_name};
use crate::python::json::standard;
use crate::record::{Group, Model, Node, Program, Run, Samples, Task, Writer};
use crate::remark::{Remark, Weight};
use crate::run::{self, FORMAT_VERSION, NotRun, Status};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a results file at most; the largest known one (13,000 tasks) has 60 MB.
const LARGEST: u64 = 512 << 20;

/// Deepest nesting of groups that is followed; a group that contains itself has no end.
const DEEPEST: usize = 256;

/// The section that we write for ourselves.
#[derive(Debug, Deserialize)]
struct Own {
    spec: run::Spec,
    /// What was selected, in order.
    selected: Vec<String>,
    groups: HashMap<String, OwnGroup>,
    /// Figures by the name of their task or group, with everything that the reference's form has no place for.
    estimates: HashMap<String, Vec<Estimate>>,
    #[serde(default)]
    truncated: HashMap<String, usize>,
    #[serde(default)]
    remarks: HashMap<String, Vec<OwnRemark>>,
    #[serde(default)]
    one_process: HashMap<String, OwnVerdicts>,
    #[serde(default)]
    not_run: Map<String, Value>,
    #[serde(default)]
    unscored: HashMap<String, Vec<OwnReason>>,
}

#[derive(Debug, Deserialize)]
struct OwnGroup {
    aggregates: bool,
    #[serde(default)]
    rows: Value,
}

#[derive(Debug, Deserialize)]
struct OwnRemark {
    remark: String,
    weight: Weight,
    count: Option<usize>,
    of: Option<usize>,
    what: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OwnVerdicts {
    verdicts: usize,
    of: usize,
}

#[derive(Debug, Deserialize)]
struct OwnReason {
    reason: String,
    documents: usize,
}

/// Reads a results file; its samples files lie beside it.
///
/// # Errors
/// It cannot be read, is damaged, none of its kind, or of another version of ours.
pub(super) fn open(file: &Path) -> Result<Run> {
    let text = file::read_to_string(file, LARGEST).map_err(|err| Error::io("cannot read", file, err))?;
    let damaged = |err: serde_json::Error| {
        let hint = if err.is_eof() { "the file may be truncated: take another copy" } else { "name a results file" };
        Error::input("this results file is damaged or is none").at(file, err.line()).cause(err).hint(hint)
    };
    let root: Map<String, Value> = serde_json::from_str(&standard(&text)).map_err(damaged)?;
    if root.contains_key("eval") && root.contains_key("status") && !root.contains_key("configs") {
        return Err(Error::input("this is a log of Inspect as JSON, and only its .eval form is read")
            .file(file)
            .hint("`inspect log convert --to eval --output-dir DIR FILE` writes it so"));
    }
    let results = root.get("results").and_then(Value::as_object).ok_or_else(|| {
        Error::input("this is no results file: it has no `results`")
            .file(file)
            .hint("name a run folder, or a results_<date>.json of lm-evaluation-harness")
    })?;
    let own = root.get("fairmark").map(|own| read_own(own).map_err(|err| err.file(file))).transpose()?;
    Reader { file, root: &root, results, own: own.as_ref() }.run()
}

fn read_own(own: &Value) -> Result<Own> {
    let version = own.get("format_version").and_then(Value::as_u64);
    if version != Some(u64::from(FORMAT_VERSION)) {
        let theirs = version.map_or("an older format".to_owned(), |version| format!("format {version}"));
        return Err(Error::input(format!(
            "fairmark wrote this in {theirs}, and this one reads format {FORMAT_VERSION}"
        ))
        .hint("read it with the fairmark that wrote it, or run it again"));
    }
    serde_json::from_value(own.clone())
        .map_err(|err| Error::input("this results file is damaged").key("fairmark").cause(err))
}

struct Reader<'a> {
    file: &'a Path,
    root: &'a Map<String, Value>,
    results: &'a Map<String, Value>,
    own: Option<&'a Own>,
}

impl Reader<'_> {
    fn run(&self) -> Result<Run> {
        let (groups, tasks): (Vec<&String>, Vec<&String>) = self.results.keys().partition(|name| self.is_group(name));
        let not_run = self.own.map(|own| &own.not_run).into_iter().flatten();
        let mut run = Run {
            path: self.file.to_path_buf(),
            writer: self.writer(),
            model: self.own.map_or_else(|| self.model(), |own| ours::model(&own.spec)),
            status: Status::Complete,
            repeatable: self.own.map(|own| ours::repeats(&own.spec.model.engine)),
            started: self.root.get("date").and_then(Value::as_f64),
            tree: self.tree(&tasks)?,
            tasks: tasks.into_iter().map(|name| self.task(name)).collect(),
            groups: groups.into_iter().map(|name| self.group(name)).collect(),
            not_run: not_run.map(|(task, why)| NotRun { task: task.clone(), reason: text(why) }).collect(),
            spec_sha256: None,
            usage: None,
        };
        if !run.is_whole() {
            run.status = Status::Incomplete;
        }
        Ok(run)
    }

    fn writer(&self) -> Writer {
        let version = self.root.get("lm_eval_version").and_then(Value::as_str);
        let program = if self.own.is_some() { Program::Fairmark } else { Program::LmEvaluationHarness };
        let version = version.map(|version| version.strip_prefix("fairmark ").unwrap_or(version).to_owned());
        Writer { program, version }
    }

    fn model(&self) -> Model {
        let text = |path: &[&str]| self.at(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Where there is no name the model is in the arguments: a text, or since 0.4.11 an object.
        let in_arguments = || {
            let part = |key| text(&["config", "model_args", key]);
            let Some(arguments) = text(&["config", "model_args"]) else {
                return part("pretrained").or_else(|| part("model"));
            };
            let named = |key: &str| arguments.split(',').find_map(|argument| argument.trim().strip_prefix(key));
            named("pretrained=").or_else(|| named("model="))
        };
        let name = text(&["model_name"]).or_else(in_arguments).or_else(|| text(&["config", "model"]));
        Model {
            label: name.map(label).unwrap_or_else(|| "model".to_owned()),
            name: name.map(str::to_owned),
            storage: text(&["config", "model_dtype"]).map(|dtype| dtype.trim_start_matches("torch.").to_owned()),
            precision: None,
            bytes: None,
            num_parameters: self.at(&["config", "model_num_parameters"]).and_then(Value::as_u64),
        }
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.root.get(*first)?, |value, key| value.get(key))
    }

    /// A name that has children; older versions list tasks there as well, without any.
    fn is_group(&self, name: &str) -> bool {
        match self.own {
            Some(own) => own.groups.contains_key(name),
            None => !self.children(name).is_empty() || self.at(&["groups", name]).is_some(),
        }
    }

    fn children(&self, name: &str) -> Vec<&str> {
        let children = self.at(&["group_subtasks", name]).and_then(Value::as_array);
        children.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// What was selected: what we say, else all that is nobody's child.
    fn tree(&self, tasks: &[&String]) -> Result<Vec<Node>> {
        let named: Vec<&str> = match self.own {
            Some(own) => own.selected.iter().map(String::as_str).collect(),
            None => {
                let groups = self.root.get("group_subtasks").and_then(Value::as_object);
                let groups = groups.into_iter().flat_map(|groups| groups.keys());
                let below: HashSet<&str> = groups.flat_map(|name| self.children(name)).collect();
                self.results.keys().map(String::as_str).filter(|name| !below.contains(name)).collect()
            }
        };
        let known: HashSet<&str> = tasks.iter().map(|name| name.as_str()).collect();
        let mut made = HashMap::new();
        let nodes = named.into_iter().map(|name| self.node(name, &known, DEEPEST, &mut made));
        nodes.map(|node| node.map(Arc::unwrap_or_clone)).collect()
    }

    /// The node of a name; each is made once.
    fn node<'n>(
        &'n self,
        name: &'n str,
        tasks: &HashSet<&str>,
        depth: usize,
        made: &mut HashMap<&'n str, Arc<Node>>,
    ) -> Result<Arc<Node>> {
        if let Some(node) = made.get(name) {
            return Ok(node.clone());
        }
        let node = if tasks.contains(name) || !self.is_group(name) {
            Node::Task(name.to_owned())
        } else {
            let endless = || {
                let message = format!("the groups of this file do not end, or are too deep ({name})");
                Error::input(message).file(self.file).key("group_subtasks")
            };
            let below = depth.checked_sub(1).ok_or_else(endless)?;
            let children = self.children(name).into_iter().map(|child| self.node(child, tasks, below, made));
            Node::Group { name: name.to_owned(), children: children.collect::<Result<_>>()? }
        };
        Ok(made.entry(name).or_insert(Arc::new(node)).clone())
    }

    fn task(&self, name: &str) -> Task {
        let count = |kind: &str| self.at(&["n-samples", name, kind]).and_then(Value::as_u64).map(|n| n as usize);
        let own = self.own;
        let unscored = own.and_then(|own| own.unscored.get(name)).into_iter().flatten();
        let effective = count("effective")
            .or_else(|| self.at(&["results", name, "sample_len"]).and_then(Value::as_u64).map(|n| n as usize));
        Task {
            name: name.to_owned(),
            alias: self.alias(name),
            version: self.at(&["versions", name]).cloned(),
            num_fewshot: self.at(&["n-shot", name]).and_then(Value::as_u64).map(|n| n as usize),
            original: count("original"),
            effective,
            estimates: self.estimates(name, effective),
            unscored: unscored.map(|entry| (entry.reason.clone(), entry.documents)).collect(),
            truncated: own.and_then(|own| own.truncated.get(name).copied()).unwrap_or(0),
            remarks: own.and_then(|own| own.remarks.get(name)).into_iter().flatten().map(|r| r.on(name)).collect(),
            one_process: own.and_then(|own| own.one_process.get(name)).map(|found| (found.verdicts, found.of)),
            config: self.at(&["configs", name]).and_then(Value::as_object).cloned().unwrap_or_default(),
            samples: self.samples(name).map_or(Samples::Missing, Samples::Lines),
        }
    }

    fn group(&self, name: &str) -> Group {
        let own = self.own.and_then(|own| own.groups.get(name));
        let estimates = self.estimates(name, None);
        Group {
            name: name.to_owned(),
            alias: self.alias(name),
            aggregates: own.map_or(!estimates.is_empty(), |own| own.aggregates),
            estimates,
            rows: own.map_or(Value::Null, |own| own.rows.clone()),
        }
    }

    /// The name for tables, without the marks that older versions put before it to show its depth.
    fn alias(&self, name: &str) -> String {
        let alias = self.at(&["results", name, "alias"]).and_then(Value::as_str).unwrap_or(name);
        let plain = if self.own.is_some() { alias } else { alias.trim_start_matches([' ', '-']) };
        if plain.is_empty() { name.to_owned() } else { plain.to_owned() }
    }

    /// Our own figures as we keep them; else what `"metric,filter"` and `"metric_stderr,filter"` say.
    fn estimates(&self, name: &str, effective: Option<usize>) -> Vec<Estimate> {
        if let Some(own) = self.own {
            return own.estimates.get(name).cloned().unwrap_or_default();
        }
        let Some(entry) = self.results.get(name).and_then(Value::as_object) else { return Vec::new() };
        let figure = |(key, value): (&String, &Value)| {
            let (metric, filter) = key.split_once(',')?;
            let figure = metric.strip_suffix("_stderr").map(|figure| format!("{figure},{filter}"));
            if figure.is_some_and(|figure| entry.contains_key(&figure)) {
                return None;
            }
            let counted = self.at(&["results", name, "sample_count", key]).and_then(Value::as_u64).map(|n| n as usize);
            Some(Estimate {
                metric: metric.to_owned(),
                filter: filter.to_owned(),
                value: figure_of(value),
                stderr: entry.get(&format!("{metric}_stderr,{filter}")).and_then(Value::as_f64),
                stderr_method: None,
                n: counted.or(effective).or_else(|| self.documents_under(name)).unwrap_or(0),
                unscored: 0,
                refused: 0,
                bounds: None,
                higher_is_better: self.at(&["higher_is_better", name, metric]).and_then(Value::as_bool),
            })
        };
        entry.iter().filter_map(figure).collect()
    }

    /// Documents of the tasks under a group, where each of them is counted.
    fn documents_under(&self, name: &str) -> Option<usize> {
        let node = self.node(name, &HashSet::new(), DEEPEST, &mut HashMap::new()).ok()?;
        let count = |task: &str| self.at(&["n-samples", task, "effective"]).and_then(Value::as_u64).map(|n| n as usize);
        node.tasks().into_iter().map(count).sum()
    }

    /// `samples_<task>_<date>.jsonl` beside `results_<date>.json`, where it is there.
    fn samples(&self, task: &str) -> Option<PathBuf> {
        let name = self.file.file_name()?.to_str()?;
        let date = name.strip_suffix(".json")?.strip_prefix("results")?;
        // Task names are from the file. Ours are made safe; another harness's that lead elsewhere have no samples.
        let own = self.own.map(|_| unique_name(task));
        let part = own.or_else(|| (!task.contains(['/', '\\', '\0'])).then(|| task.to_owned()))?;
        let file = self.file.with_file_name(format!("samples_{part}{date}.jsonl"));
        file.is_file().then_some(file)
    }
}

impl OwnRemark {
    /// The remark on a task.
    fn on(&self, task: &str) -> Remark {
        let counted = self.count.zip(self.of).zip(self.what.clone());
        Remark {
            weight: self.weight,
            subject: Some(task.to_owned()),
            text: self.remark.clone(),
            count: counted.map(|((count, of), what)| (count, of, what.into())),
        }
    }
}

/// A model's name for tables: the last part of a path or id.
pub(super) fn label(name: &str) -> String {
    let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name);
    if last.is_empty() { "model".to_owned() } else { last.to_owned() }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
