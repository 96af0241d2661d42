//! The reference's `results_<date>.json`, with what fairmark knows besides under the key `fairmark`.

use crate::estimate::{Estimate, figure_json};
use crate::judgement::JudgeIdentity;
use crate::python::json;
use crate::remark::Remark;
use crate::run::{Header, TaskResult};
use crate::runner::judging::one_process;
use crate::runner::{Finished, FinishedTask};
use crate::sample::{Sample, Score};
use crate::task::{Group, Node, Task};
use serde::Serialize;
use serde_json::{Map, Value, json as value};

/// What the results file is made of.
pub struct ResultsInput<'a> {
    pub header: &'a Header,
    pub finished: &'a Finished,
    /// Task name and its hash from the samples file.
    pub task_hashes: &'a [(String, String)],
    /// Who judged, for tasks with judges.
    pub judges: Vec<JudgeReport>,
    /// Wall-clock seconds of the session that finished the run.
    pub seconds: f64,
    /// Those of them that loading the model took.
    pub load_seconds: f64,
}

/// A judge and how it worked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeReport {
    #[serde(flatten)]
    pub identity: JudgeIdentity,
    /// Its sandbox, say.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub environment: Value,
}

/// The file's text.
pub fn results_json(input: &ResultsInput<'_>) -> String {
    let ResultsInput { header, finished, task_hashes, judges, seconds, load_seconds } = input;
    let spec = &header.spec;
    let model = &spec.model;
    let groups = all_groups(&finished.nodes);
    let mut root = Map::new();
    let mut results = Map::new();
    for task in &finished.tasks {
        results.insert(task.task.name.clone(), task_entry(&task.task, &task.result));
    }
    let mut group_results = Map::new();
    for group in &groups {
        let entry = group_entry(group, finished);
        results.insert(group.name.clone(), entry.clone());
        if !group.aggregates.is_empty() {
            group_results.insert(group.name.clone(), entry);
        }
    }
    root.insert("results".into(), Value::Object(results));
    if !group_results.is_empty() {
        root.insert("groups".into(), Value::Object(group_results));
    }
    let subtasks = groups.iter().map(|g| (g.name.clone(), g.children.iter().map(|c| value!(c.name())).collect()));
    root.insert("group_subtasks".into(), Value::Object(subtasks.collect()));
    let of_tasks = |part: &dyn Fn(&Task, &TaskResult) -> Value| -> Map<String, Value> {
        sorted(finished.tasks.iter().map(|t| (t.task.name.clone(), part(&t.task, &t.result))).collect())
    };
    root.insert("configs".into(), of_tasks(&|task, _| Value::Object(task.config.clone())).into());
    let mut versions = of_tasks(&|task, _| task.version.clone().unwrap_or(value!("Yaml")));
    versions.extend(groups.iter().map(|g| (g.name.clone(), g.version.clone().unwrap_or(Value::Null))));
    root.insert("versions".into(), sorted(versions).into());
    let shots = of_tasks(&|_, result| value!(result.num_fewshot));
    root.insert("n-shot".into(), with_groups(shots, &groups).into());
    let directions = of_tasks(&|_, result| Value::Object(directions(&result.estimates)));
    root.insert("higher_is_better".into(), with_group_directions(directions, &groups).into());
    root.insert(
        "n-samples".into(),
        of_tasks(&|_, result| value!({"original": result.original, "effective": result.effective})).into(),
    );
    root.insert("config".into(), run_config(header));
    root.insert("git_hash".into(), Value::Null);
    root.insert("date".into(), value!(header.environment.started_unix));
    let environment = &header.environment;
    root.insert(
        "pretty_env_info".into(),
        value!(format!("fairmark {} on {} {}", environment.fairmark_version, environment.os, environment.arch)),
    );
    root.insert("transformers_version".into(), value!("N/A"));
    root.insert("lm_eval_version".into(), value!(format!("fairmark {}", environment.fairmark_version)));
    root.insert("upper_git_hash".into(), Value::Null);
    for (key, token) in [("pad", &model.pad_token), ("eos", &model.eos_token), ("bos", &model.bos_token)] {
        root.insert(format!("tokenizer_{key}_token"), value!([token, Value::Null]));
    }
    root.insert("eot_token_id".into(), value!(model.eot_token_id));
    root.insert("max_length".into(), value!(model.max_length));
    let hashes = task_hashes.iter().map(|(name, hash)| (name.clone(), value!(hash)));
    root.insert("task_hashes".into(), Value::Object(hashes.collect()));
    root.insert("model_source".into(), value!(model.engine));
    root.insert("model_name".into(), value!(model.name));
    root.insert("model_name_sanitized".into(), value!(sanitized(&model.name)));
    root.insert("system_instruction".into(), value!(spec.system_instruction));
    root.insert("system_instruction_sha".into(), value!(spec.system_instruction.as_deref().map(json::sha256)));
    let multiturn = spec.fewshot_as_multiturn.unwrap_or(spec.apply_chat_template);
    root.insert("fewshot_as_multiturn".into(), value!(multiturn));
    let template = model.chat_template.as_deref().filter(|_| spec.apply_chat_template);
    root.insert("chat_template".into(), value!(template));
    root.insert("chat_template_sha".into(), value!(template.map(json::sha256)));
    root.insert("total_evaluation_time_seconds".into(), value!(format!("{seconds:?}")));
    let mut own = Map::new();
    own.insert("format_version".into(), value!(header.format_version));
    own.insert("spec_sha256".into(), value!(header.spec_sha256));
    own.insert("spec".into(), value!(spec));
    own.insert("effort".into(), value!(header.effort));
    own.insert("load_seconds".into(), value!(load_seconds));
    own.insert("unscored".into(), unscored(finished));
    own.insert("selected".into(), finished.nodes.iter().map(|node| value!(node.name())).collect());
    own.insert("groups".into(), own_groups(&groups).into());
    own.insert("estimates".into(), own_estimates(finished).into());
    let cut = finished.tasks.iter().filter(|t| t.result.truncated > 0);
    let cut: Map<String, Value> = cut.map(|t| (t.task.name.clone(), value!(t.result.truncated))).collect();
    if !cut.is_empty() {
        own.insert("truncated".into(), cut.into());
    }
    let remarks = remarks(finished);
    if !remarks.is_empty() {
        own.insert("remarks".into(), remarks.into());
    }
    if !judges.is_empty() {
        own.insert("judges".into(), value!(judges));
    }
    if !finished.not_run.is_empty() {
        let reasons = finished.not_run.iter().map(|task| (task.task.clone(), value!(task.reason)));
        own.insert("not_run".into(), Value::Object(reasons.collect()));
    }
    let weak = one_process_verdicts(finished);
    if !weak.is_empty() {
        own.insert("one_process".into(), weak.into());
    }
    let bounds = bounds(finished);
    if !bounds.is_empty() {
        own.insert("bounds".into(), bounds.into());
    }
    root.insert("fairmark".into(), own.into());
    let mut text = json::dumps_indented(&Value::Object(root));
    text.push('\n');
    text
}

/// `{name, alias, sample_len, "metric,filter": value, "metric_stderr,filter": number or "N/A"}`
fn task_entry(task: &Task, result: &TaskResult) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), value!(task.name));
    entry.insert("alias".into(), value!(task.alias.as_ref().unwrap_or(&task.name)));
    entry.insert("sample_len".into(), value!(result.effective));
    add_estimates(&mut entry, &result.estimates);
    Value::Object(entry)
}

fn group_entry(group: &Group, finished: &Finished) -> Value {
    let mut entry = Map::new();
    entry.insert("alias".into(), value!(group.alias.as_ref().unwrap_or(&group.name)));
    entry.insert("name".into(), value!(group.name));
    let estimates = finished.groups.iter().find(|g| g.name == group.name).map_or(&[][..], |g| &g.estimates);
    if !estimates.is_empty() {
        let node_tasks: Vec<&str> = group.children.iter().flat_map(Node::tasks).map(|t| t.name.as_str()).collect();
        let count = |t: &&FinishedTask| node_tasks.contains(&t.task.name.as_str());
        let size: usize = finished.tasks.iter().filter(count).map(|t| t.result.effective).sum();
        entry.insert("sample_len".into(), value!(size));
        add_estimates(&mut entry, estimates);
        let counts = estimates.iter().map(|e| (format!("{},{}", e.metric, e.filter), value!(e.n)));
        entry.insert("sample_count".into(), Value::Object(counts.collect()));
    }
    Value::Object(entry)
}

fn add_estimates(entry: &mut Map<String, Value>, estimates: &[Estimate]) {
    for e in estimates {
        entry.insert(format!("{},{}", e.metric, e.filter), e.value.map_or(Value::Null, figure_json));
        let stderr = e.stderr.map_or(value!("N/A"), |s| value!(s));
        entry.insert(format!("{}_stderr,{}", e.metric, e.filter), stderr);
    }
}

/// The groups at and under the nodes, parents first, each once.
fn all_groups(nodes: &[Node]) -> Vec<&Group> {
    let mut found: Vec<&Group> = Vec::new();
    let mut queue: std::collections::VecDeque<&Node> = nodes.iter().collect();
    while let Some(node) = queue.pop_front() {
        if let Node::Group(group) = node
            && !found.iter().any(|g| g.name == group.name)
        {
            found.push(group);
            queue.extend(&group.children);
        }
    }
    found
}

fn directions(estimates: &[Estimate]) -> Map<String, Value> {
    estimates.iter().map(|e| (e.metric.clone(), value!(e.higher_is_better))).collect()
}

/// Gives a group the value of its direct children when they agree.
fn with_groups(mut of_tasks: Map<String, Value>, groups: &[&Group]) -> Map<String, Value> {
    for group in groups.iter().rev() {
        let mut values: Vec<Value> = group.children.iter().filter_map(|c| of_tasks.get(c.name()).cloned()).collect();
        values.dedup();
        if let [one] = values.as_slice() {
            of_tasks.insert(group.name.clone(), one.clone());
        }
    }
    sorted(of_tasks)
}

/// Gives a group the directions of its children's metrics; null where they disagree.
fn with_group_directions(mut of_tasks: Map<String, Value>, groups: &[&Group]) -> Map<String, Value> {
    for group in groups.iter().rev() {
        let mut merged: Map<String, Value> = Map::new();
        for metrics in group.children.iter().filter_map(|c| of_tasks.get(c.name())).filter_map(Value::as_object) {
            for (metric, direction) in metrics {
                let entry = merged.entry(metric.clone()).or_insert_with(|| direction.clone());
                if entry != direction {
                    *entry = Value::Null;
                }
            }
        }
        if !merged.is_empty() {
            of_tasks.insert(group.name.clone(), Value::Object(merged));
        }
    }
    sorted(of_tasks)
}

fn run_config(header: &Header) -> Value {
    let spec = &header.spec;
    let model = &spec.model;
    let mut args = vec![format!("pretrained={}", model.name)];
    args.extend(model.dtype.iter().map(|d| format!("dtype={d}")));
    args.extend(model.options.iter().cloned());
    let gen_kwargs = (!spec.gen_kwargs.is_empty()).then(|| Value::Object(spec.gen_kwargs.clone()));
    value!({
        "model": model.engine,
        "model_args": args.join(","),
        "model_num_parameters": model.num_parameters,
        "model_dtype": model.dtype,
        "model_revision": model.revision,
        "model_sha": model.sha,
        "batch_size": 1,
        "batch_sizes": [],
        "device": "cpu",
        "use_cache": Value::Null,
        "limit": spec.limit,
        "bootstrap_iters": spec.bootstrap_iters,
        "gen_kwargs": gen_kwargs,
        "random_seed": spec.seed,
        "numpy_seed": Value::Null,
        "torch_seed": Value::Null,
        "fewshot_seed": spec.fewshot_seed,
    })
}

fn unscored(finished: &Finished) -> Value {
    let tasks = finished.tasks.iter().filter(|t| !t.result.unscored.is_empty());
    let of = |t: &FinishedTask| t.result.unscored.iter().map(|(reason, n)| because(t, reason, *n)).collect::<Value>();
    Value::Object(tasks.map(|t| (t.task.name.clone(), of(t))).collect())
}

/// `{group: {"aggregates": whether it has figures of its own, "rows": the rows that it is shown as}}`
fn own_groups(groups: &[&Group]) -> Map<String, Value> {
    let of = |group: &&Group| {
        let mut entry = Map::from_iter([("aggregates".to_owned(), value!(!group.aggregates.is_empty()))]);
        if let Some(rows) = group.metadata.get("rows") {
            entry.insert("rows".into(), rows.clone());
        }
        (group.name.clone(), Value::Object(entry))
    };
    groups.iter().map(of).collect()
}

/// `{task or group: [estimate]}`: the figures with all that the reference's form has no place for.
fn own_estimates(finished: &Finished) -> Map<String, Value> {
    let of_tasks = finished.tasks.iter().map(|t| (&t.task.name, &t.result.estimates));
    let of_groups = finished.groups.iter().map(|g| (&g.name, &g.estimates));
    of_tasks.chain(of_groups).map(|(name, estimates)| (name.clone(), value!(estimates))).collect()
}

/// `{task: [{remark, weight, count, of, what}]}`: what the answers show, besides scores.
fn remarks(finished: &Finished) -> Map<String, Value> {
    let of = |t: &FinishedTask| {
        let entry = |remark: &Remark| match &remark.count {
            Some((count, of, what)) => {
                value!({"remark": remark.text, "weight": remark.weight, "count": count, "of": of, "what": what})
            }
            None => value!({"remark": remark.text, "weight": remark.weight}),
        };
        t.result.remarks.iter().map(entry).collect::<Value>()
    };
    let tasks = finished.tasks.iter().filter(|t| !t.result.remarks.is_empty());
    tasks.map(|t| (t.task.name.clone(), of(t))).collect()
}

/// `{reason, documents}`, with `refused` where the model or its provider refused some of them.
fn because(t: &FinishedTask, reason: &str, documents: usize) -> Value {
    let first = t.task.filters.first().map(|pipeline| pipeline.name.as_str());
    let is_refused = |sample: &&Sample| {
        sample.scores.iter().find_map(|(_, score)| match score {
            Score::Unscored(unscored) => Some(unscored.refused && unscored.reason == reason),
            _ => None,
        }) == Some(true)
    };
    let refused = t.samples.iter().filter(|s| Some(s.filter.as_str()) == first).filter(is_refused).count();
    let mut entry = value!({"reason": reason, "documents": documents});
    if let (Some(entry), true) = (entry.as_object_mut(), refused > 0) {
        entry.insert("refused".into(), value!(refused));
    }
    entry
}

/// `{task: {"verdicts": n, "of": n}}` for the tasks with verdicts that a solution can fake.
fn one_process_verdicts(finished: &Finished) -> Map<String, Value> {
    let of = |t: &FinishedTask| {
        let (weak, all) = one_process(t);
        (weak > 0).then(|| (t.task.name.clone(), value!({"verdicts": weak, "of": all})))
    };
    finished.tasks.iter().filter_map(of).collect()
}

/// `{task or group: {"metric,filter": [least, greatest]}}` for the figures that lack documents.
fn bounds(finished: &Finished) -> Map<String, Value> {
    let of_tasks = finished.tasks.iter().map(|t| (&t.task.name, &t.result.estimates));
    let of_groups = finished.groups.iter().map(|g| (&g.name, &g.estimates));
    let of = |estimates: &[Estimate]| -> Map<String, Value> {
        let bounded = estimates.iter().filter_map(|e| Some((format!("{},{}", e.metric, e.filter), e.bounds?)));
        bounded.map(|(key, (low, high))| (key, value!([low, high]))).collect()
    };
    let entries = of_tasks.chain(of_groups).map(|(name, estimates)| (name.clone(), of(estimates)));
    entries.filter(|(_, bounds)| !bounds.is_empty()).map(|(name, bounds)| (name, bounds.into())).collect()
}

fn sorted(map: Map<String, Value>) -> Map<String, Value> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.into_iter().collect()
}

/// The reference's folder name of a model: every run of `"<>:/|\?*[]` becomes `__`.
fn sanitized(name: &str) -> String {
    let mut out = String::new();
    let mut in_run = false;
    for c in name.chars() {
        let bad = "\"<>:/|\\?*[]".contains(c);
        if !bad {
            out.push(c);
        } else if !in_run {
            out.push_str("__");
        }
        in_run = bad;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: `lm_eval.utils.sanitize_model_name` of 0.4.13.
    #[test]
    fn sanitizes_names_like_the_reference() {
        assert_eq!(sanitized("org/model"), "org__model");
        assert_eq!(sanitized("../m:[x]"), "..__m__x__");
    }
}
