//! Tasks under letters: which of a task's figures remain when its choices are put under labels and only one of them is answered.
//!
//! A multiple-choice task becomes another task: its filters are one pipeline named like the protocol, so that every figure, row and
//! sample carries it, and of its metrics those remain that depend only on which choice was taken ([`MetricRow::by_choice`]). Groups
//! aggregate that pipeline in place of the ones it replaced. How the choices are put is the prompt wing's.
//!
//! [`MetricRow::by_choice`]: super::MetricRow::by_choice

use super::{metric, result_function};
use crate::task::{
    ChoiceProtocol, FilterPipeline, FilterStep, Group, GroupMetric, Node, OutputType, Task, map_nodes, tasks_under,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The key of a task's `config` that records its protocol, so that hashes of tasks differ.
const CONFIG_KEY: &str = "mc_protocol";

/// Counts changes of prompts and of the rules that read answers.
const VERSION: u32 = 2;

/// A task under letters.
#[derive(Debug, Clone)]
pub struct Lettered {
    pub task: Task,
    /// Metrics that need the likelihoods of the choices, and so are not to be had.
    pub dropped: Vec<String>,
}

/// A multiple-choice task under a protocol, or why it cannot be put under letters. Other tasks, and all tasks under
/// likelihood, stay what they are.
pub fn under_letters(task: &Task, protocol: ChoiceProtocol) -> Result<Lettered, String> {
    let mut task = task.clone();
    let Some(reader) = reader(protocol).filter(|_| task.output_type == OutputType::MultipleChoice) else {
        return Ok(Lettered { task, dropped: Vec::new() });
    };
    let function = task.process_results.as_ref().map(|spec| spec.function.clone());
    if let Some(function) = function.as_deref().filter(|name| !result_function(name).is_some_and(|row| row.by_choice)) {
        return Err(format!("`{function}` needs the likelihoods of all choices"));
    }
    let by_choice = |name: &str| function.is_some() || metric(name).is_some_and(|row| row.by_choice());
    let (kept, dropped): (Vec<_>, Vec<_>) = task.metrics.into_iter().partition(|spec| by_choice(&spec.name));
    let dropped: Vec<String> = dropped.into_iter().map(|spec| spec.name).collect();
    if kept.is_empty() && !dropped.is_empty() {
        return Err(format!("{} needs the likelihoods of all choices", dropped.join(", ")));
    }
    task.metrics = kept;
    let step = |function: &str| FilterStep { function: function.to_owned(), kwargs: Map::new() };
    let steps = vec![step(reader), step("take_first")];
    task.filters = vec![FilterPipeline { name: protocol.as_str().to_owned(), steps }];
    let record = json!({"name": protocol.as_str(), "version": VERSION, "dropped_metrics": dropped});
    task.config.insert(CONFIG_KEY.to_owned(), record);
    Ok(Lettered { task, dropped })
}

/// The protocol that a task is under.
pub fn protocol_of(task: &Task) -> ChoiceProtocol {
    protocol_in(&task.config)
}

/// The same by the configuration that a results file keeps.
pub fn protocol_in(config: &Map<String, Value>) -> ChoiceProtocol {
    let name = config.get(CONFIG_KEY).and_then(|record| record.get("name"));
    let is = |protocol: &ChoiceProtocol| name.is_some_and(|name| name == protocol.as_str());
    [ChoiceProtocol::LetterLogprobs, ChoiceProtocol::LetterText].into_iter().find(is).unwrap_or_default()
}

/// The filter that reads a label from an answer; none under likelihood.
fn reader(protocol: ChoiceProtocol) -> Option<&'static str> {
    match protocol {
        ChoiceProtocol::Likelihood => None,
        ChoiceProtocol::LetterLogprobs => Some("likeliest_label"),
        ChoiceProtocol::LetterText => Some("choice_letter"),
    }
}

/// What was selected, with every task under the protocol that can be, and groups to match. Tasks that cannot be put under
/// letters stay what they are: their figures keep their own names.
pub fn nodes_under(nodes: &[Node], protocol: ChoiceProtocol) -> Vec<Node> {
    match protocol {
        ChoiceProtocol::Likelihood => nodes.to_vec(),
        _ => {
            let change = |task: &Arc<Task>| {
                Ok(under_letters(task, protocol).map_or_else(|_| Arc::clone(task), |lettered| Arc::new(lettered.task)))
            };
            // Nothing in it fails.
            map_nodes(nodes, &change, &group_under).unwrap_or_else(|_| nodes.to_vec())
        }
    }
}

/// A group whose tasks are now others.
fn group_under(group: &Group, children: Vec<Node>) -> Group {
    let (before, after) = (tasks_under(&group.children), tasks_under(&children));
    let pairs: Vec<(&Task, &Task)> = before.into_iter().zip(after).map(|(b, a)| (&**b, &**a)).collect();
    let aggregates = group.aggregates.iter().filter_map(|a| aggregate_under(a, &pairs)).collect();
    Group { children, aggregates, ..group.clone() }
}

/// An aggregate over tasks that are now others (`before`, `after`); `None` when no task has its metric any more.
fn aggregate_under(aggregate: &GroupMetric, tasks: &[(&Task, &Task)]) -> Option<GroupMetric> {
    let has = |task: &Task| task.metrics.iter().any(|spec| spec.name == aggregate.metric);
    if tasks.iter().any(|(before, _)| has(before)) && !tasks.iter().any(|(_, after)| has(after)) {
        return None;
    }
    let filters = aggregate.filters.as_ref().map(|names| {
        let mut filters: Vec<String> = Vec::new();
        for name in names {
            let named = |task: &Task| task.filters.iter().any(|pipeline| pipeline.name == *name);
            let mut found: Vec<&str> = Vec::new();
            for (_, after) in tasks.iter().filter(|(before, _)| named(before)) {
                let replaced = after.filters.first().filter(|_| !named(after));
                found.push(replaced.map_or(name, |pipeline| pipeline.name.as_str()));
            }
            let found = if found.is_empty() { vec![name.as_str()] } else { found };
            found.into_iter().for_each(|name| {
                if !filters.iter().any(|known| known == name) {
                    filters.push(name.to_owned());
                }
            });
        }
        filters
    });
    Some(GroupMetric { filters, ..aggregate.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::check_task;
    use crate::score::testing::{group, metric_spec, pipeline, task};
    use crate::task::ResultSpec;

    fn choices(metrics: &[&str]) -> Task {
        let metrics =
            metrics.iter().map(|name| metric_spec(name, super::super::metric(name).unwrap().default_aggregation));
        Task { metrics: metrics.collect(), ..task(OutputType::MultipleChoice) }
    }

    fn names(task: &Task) -> Vec<&str> {
        task.metrics.iter().map(|spec| spec.name.as_str()).collect()
    }

    #[test]
    fn metrics_of_the_taken_choice_remain() {
        let task = choices(&[
            "acc",
            "acc_norm",
            "f1",
            "mcc",
            "brier_score",
            "likelihood",
            "acc_mutual_info",
            "acc_bytes",
            "exact_match",
        ]);
        for (protocol, filter) in
            [(ChoiceProtocol::LetterLogprobs, "likeliest_label"), (ChoiceProtocol::LetterText, "choice_letter")]
        {
            let found = under_letters(&task, protocol).unwrap();
            check_task(&found.task).unwrap();
            assert_eq!(names(&found.task), ["acc", "f1", "mcc"]);
            assert_eq!(
                found.dropped,
                ["acc_norm", "brier_score", "likelihood", "acc_mutual_info", "acc_bytes", "exact_match"]
            );
            let [pipeline] = found.task.filters.as_slice() else { panic!("{:?}", found.task.filters) };
            let steps: Vec<&str> = pipeline.steps.iter().map(|step| step.function.as_str()).collect();
            assert_eq!((pipeline.name.as_str(), steps), (protocol.as_str(), vec![filter, "take_first"]));
            assert_eq!(protocol_of(&found.task), protocol);
        }
    }

    #[test]
    fn what_needs_likelihoods_cannot_be_had() {
        let reason = |task: &Task| under_letters(task, ChoiceProtocol::LetterText).unwrap_err();
        assert_eq!(reason(&choices(&["acc_norm"])), "acc_norm needs the likelihoods of all choices");
        let process_results = Some(ResultSpec { function: "label_mass".into(), args: Vec::new() });
        let mass = Task { process_results, ..choices(&["acc"]) };
        assert_eq!(reason(&mass), "`label_mass` needs the likelihoods of all choices");
    }

    #[test]
    fn result_functions_of_the_taken_choice_remain() {
        let args = vec![("pro".to_owned(), "True".to_owned())];
        let process_results = Some(ResultSpec { function: "winobias".into(), args });
        let metrics = vec![metric_spec("acc", "mean"), metric_spec("pro_anti_gap", "difference")];
        let bias = Task { process_results, metrics, ..task(OutputType::MultipleChoice) };
        let found = under_letters(&bias, ChoiceProtocol::LetterText).unwrap();
        check_task(&found.task).unwrap();
        assert_eq!((names(&found.task), found.dropped.len()), (vec!["acc", "pro_anti_gap"], 0));
    }

    #[test]
    fn other_tasks_stay() {
        let same = |task: &Task, protocol| {
            let found = under_letters(task, protocol).unwrap();
            assert!(found.dropped.is_empty());
            assert_eq!((&found.task.filters, &found.task.config), (&task.filters, &task.config));
        };
        same(&choices(&["acc", "acc_norm"]), ChoiceProtocol::Likelihood);
        same(&task(OutputType::GenerateUntil), ChoiceProtocol::LetterText);
        same(&task(OutputType::Loglikelihood), ChoiceProtocol::LetterLogprobs);
    }

    #[test]
    fn groups_follow_their_tasks() {
        let regex = vec![pipeline("strict", &[])];
        let generates = Task {
            filters: regex,
            metrics: vec![metric_spec("exact_match", "mean")],
            ..task(OutputType::GenerateUntil)
        };
        let aggregate = |metric: &str, filters: Option<&[&str]>| GroupMetric {
            metric: metric.into(),
            weight_by_size: true,
            filters: filters.map(|names| names.iter().map(|name| name.to_string()).collect()),
        };
        let mut group = group(vec![
            aggregate("acc", Some(&["none"])),
            aggregate("acc_norm", None),
            aggregate("acc", None),
            aggregate("exact_match", Some(&["strict", "none"])),
        ]);
        group.children = vec![Node::Task(Arc::new(choices(&["acc", "acc_norm"]))), Node::Task(Arc::new(generates))];
        let nodes = [Node::Group(Arc::new(group))];
        let found = nodes_under(&nodes, ChoiceProtocol::LetterText);
        let Node::Group(found) = &found[0] else { panic!("{found:?}") };
        assert_eq!(
            found.aggregates,
            [
                aggregate("acc", Some(&["letter-text"])),
                aggregate("acc", None),
                aggregate("exact_match", Some(&["strict", "letter-text"])),
            ]
        );
        assert_eq!(found.children[0].tasks()[0].filters[0].name, "letter-text");
        assert_eq!(found.children[1].tasks()[0].filters[0].name, "strict");
        let Node::Group(same) = &nodes_under(&nodes, ChoiceProtocol::Likelihood)[0] else { panic!() };
        assert_eq!(same.aggregates.len(), 4);
    }
}
