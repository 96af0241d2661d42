//! Tasks with another number of answers to a document, or under other `k` of `pass@k`, than their files say.

use super::{PASS_AT_K, check_task, metric, pass_at};
use crate::error::Result;
use crate::task::{Group, MetricSpec, Node, OutputType, Task, map_nodes};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the user wants in place of what task files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sampling {
    /// Answers to each document of generation tasks; `None`: the task's `repeats`.
    pub num_samples: Option<u32>,
    /// The `k` of `pass@k`, for tasks that have such metrics; empty: the task's.
    pub pass_k: Vec<u64>,
}

/// The nodes with `sampling` in force. The changes stand in the tasks' `config`, so that hashes and results files have them.
///
/// Errors: a `k` above a task's number of answers.
pub fn nodes_sampled(nodes: &[Node], sampling: &Sampling) -> Result<Vec<Node>> {
    if *sampling == Sampling::default() {
        return Ok(nodes.to_vec());
    }
    let regroup = |group: &Group, children: Vec<Node>| Group { children, ..group.clone() };
    map_nodes(nodes, &|task| sampled(task, sampling), &regroup)
}

fn sampled(task: &Arc<Task>, sampling: &Sampling) -> Result<Arc<Task>> {
    if task.output_type != OutputType::GenerateUntil {
        return Ok(task.clone());
    }
    let mut changed = Task::clone(task);
    if let Some(n) = sampling.num_samples {
        changed.repeats = n;
        changed.config.insert("repeats".into(), json!(n));
    }
    let is_pass = |spec: &MetricSpec| metric(&spec.name).is_some_and(|row| row.name == PASS_AT_K);
    if let (Some(first), false) = (changed.metrics.iter().position(is_pass), sampling.pass_k.is_empty()) {
        let like = changed.metrics[first].clone();
        let wanted: Vec<MetricSpec> = sampling.pass_k.iter().map(|k| pass_at(*k, &like)).collect();
        changed.metrics.retain(|spec| !is_pass(spec));
        changed.metrics.splice(first..first, wanted);
        let names: Vec<Value> = changed.metrics.iter().map(|spec| json!({"metric": spec.name})).collect();
        changed.config.insert("metric_list".into(), Value::Array(names));
    }
    check_task(&changed).map_err(|err| err.context(format!("task {}", task.name)))?;
    Ok(Arc::new(changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::testing::{metric_spec, task};
    use crate::task::JudgeSpec;

    fn code(names: &[&str]) -> Node {
        let judge = JudgeSpec { function: "code".into(), args: Vec::new() };
        let metrics = names.iter().map(|name| metric_spec(name, "mean")).collect();
        Node::Task(Arc::new(Task { metrics, judge: Some(judge), ..task(OutputType::GenerateUntil) }))
    }

    fn names(node: &Node) -> Vec<String> {
        node.tasks()[0].metrics.iter().map(|spec| spec.name.clone()).collect()
    }

    #[test]
    fn k_and_n_from_the_command_line() {
        let sampling = Sampling { num_samples: Some(20), pass_k: vec![1, 10] };
        let found = nodes_sampled(&[code(&["bypass", "pass@1", "exact_match"])], &sampling).unwrap();
        assert_eq!(names(&found[0]), ["bypass", "pass@1", "pass@10", "exact_match"]);
        let task = found[0].tasks()[0];
        assert_eq!((task.repeats, &task.config["repeats"]), (20, &json!(20)));
        assert_eq!(task.metrics[2].kwargs["k"], 10);
        let plain = nodes_sampled(&[code(&["exact_match"])], &Sampling { num_samples: None, ..sampling }).unwrap();
        assert_eq!(names(&plain[0]), ["exact_match"]);
    }

    #[test]
    fn too_few_samples_are_refused() {
        let sampling = Sampling { num_samples: Some(5), pass_k: vec![1, 10] };
        let err = nodes_sampled(&[code(&["pass@1"])], &sampling).unwrap_err().to_string();
        assert!(err.contains("pass@10 needs at least 10 answers to a document, not 5"), "{err}");
        assert!(err.contains("--n-samples 10"), "{err}");
    }

    #[test]
    fn tasks_that_are_not_generated_stay() {
        let node = Node::Task(Arc::new(task(OutputType::MultipleChoice)));
        let found = nodes_sampled(&[node], &Sampling { num_samples: Some(5), pass_k: Vec::new() }).unwrap();
        assert_eq!(found[0].tasks()[0].repeats, 1);
    }
}
