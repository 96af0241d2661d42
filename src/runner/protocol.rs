//! Which protocol multiple-choice tasks go under with an engine, and which tasks cannot be asked of it at all.

use crate::engine::Capabilities;
use crate::error::{Error, Result};
use crate::score::under_letters;
use crate::task::{ChoiceProtocol, Node, OutputType, Task};
use std::sync::Arc;

/// Tasks that a message names before it only counts.
const NAMED: usize = 4;

/// What was decided for one engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// For [`PromptOptions::choices`](crate::prompt::PromptOptions).
    pub protocol: ChoiceProtocol,
    /// Why it is not the likelihood, where nobody asked for letters.
    pub fallback: Option<String>,
    /// Tasks whose documents this engine will all leave unscored, and why.
    pub impossible: Vec<(String, String)>,
    /// Multiple-choice tasks that have no form under letters and are scored by likelihoods under their own names, and why.
    pub kept: Vec<(String, String)>,
    /// Tasks that lose metrics under letters, with those.
    pub dropped: Vec<(String, Vec<String>)>,
}

/// Decides for an engine with these capabilities. `wanted`: what the user asked for; `None` takes the first that the engine can do of
/// likelihoods, log-probabilities of letters, generated letters.
///
/// Errors: the engine cannot do what was asked for, or none of the tasks can be asked of it.
pub fn plan_protocol(capabilities: &Capabilities, wanted: Option<ChoiceProtocol>, nodes: &[Node]) -> Result<Plan> {
    let mut tasks: Vec<&Arc<Task>> = Vec::new();
    for task in nodes.iter().flat_map(Node::tasks) {
        if !tasks.iter().any(|known| known.name == task.name) {
            tasks.push(task);
        }
    }
    if !tasks.iter().any(|task| task.output_type == OutputType::MultipleChoice) {
        let plan = Plan { protocol: wanted.unwrap_or_default(), ..Plan::default() };
        return plan.with_tasks(capabilities, &tasks);
    }
    let (protocol, fallback) = match wanted {
        Some(protocol) => {
            need(capabilities, protocol).as_ref().map_err(|reason| refuse(protocol, reason))?;
            (protocol, None)
        }
        None => first_possible(capabilities),
    };
    Plan { protocol, fallback, ..Plan::default() }.with_tasks(capabilities, &tasks)
}

/// What an engine must be capable of.
fn need(capabilities: &Capabilities, protocol: ChoiceProtocol) -> &std::result::Result<(), String> {
    match protocol {
        ChoiceProtocol::Likelihood => &capabilities.scoring,
        ChoiceProtocol::LetterLogprobs => &capabilities.choosing,
        ChoiceProtocol::LetterText => &capabilities.generation,
    }
}

fn refuse(protocol: ChoiceProtocol, reason: &str) -> Error {
    let what = match protocol {
        ChoiceProtocol::Likelihood => "score choices by their likelihood",
        ChoiceProtocol::LetterLogprobs => "give the log-probabilities of letters",
        ChoiceProtocol::LetterText => "write a letter",
    };
    Error::input(format!("this model cannot {what}: {reason}"))
        .hint("`--mc-protocol auto` takes what the model can do, and says so in table and results")
}

fn first_possible(capabilities: &Capabilities) -> (ChoiceProtocol, Option<String>) {
    let Err(reason) = &capabilities.scoring else { return (ChoiceProtocol::Likelihood, None) };
    match &capabilities.choosing {
        Ok(()) => (ChoiceProtocol::LetterLogprobs, Some(reason.clone())),
        Err(second) if second == reason => (ChoiceProtocol::LetterText, Some(reason.clone())),
        Err(second) => (ChoiceProtocol::LetterText, Some(format!("{reason}; {second}"))),
    }
}

impl Plan {
    /// Sorts the tasks by what becomes of them.
    fn with_tasks(mut self, capabilities: &Capabilities, tasks: &[&Arc<Task>]) -> Result<Plan> {
        for task in tasks {
            self.add(capabilities, task);
        }
        match self.impossible.first() {
            Some((name, reason)) if self.impossible.len() == tasks.len() => {
                let what = match tasks.len() {
                    1 => format!("task `{name}` cannot be asked of this model: {reason}"),
                    n => format!("none of the {n} tasks can be asked of this model; {name}: {reason}"),
                };
                Err(Error::input(what).hint(
                    "such tasks need an endpoint that returns the log-probabilities of prompts, or a local model",
                ))
            }
            _ => Ok(self),
        }
    }

    fn add(&mut self, capabilities: &Capabilities, task: &Task) {
        let name = || task.name.clone();
        let needed = match task.output_type {
            OutputType::GenerateUntil => &capabilities.generation,
            OutputType::Loglikelihood | OutputType::LoglikelihoodRolling => &capabilities.scoring,
            OutputType::MultipleChoice => match (under_letters(task, self.protocol), &capabilities.scoring) {
                (Ok(lettered), _) => {
                    if !lettered.dropped.is_empty() {
                        self.dropped.push((name(), lettered.dropped));
                    }
                    need(capabilities, self.protocol)
                }
                (Err(reason), Ok(())) => return self.kept.push((name(), reason)),
                (Err(reason), Err(why)) => return self.impossible.push((name(), format!("{reason}, and {why}"))),
            },
        };
        if let Err(reason) = needed {
            self.impossible.push((name(), reason.clone()));
        }
    }

    /// What the user should know, each in a sentence without a full stop.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        let protocol = self.protocol.as_str();
        if let Some(reason) = &self.fallback {
            messages.push(format!(
                "multiple-choice tasks are asked by {protocol}, another protocol than likelihood: {reason}"
            ));
        }
        for (tasks, metrics) in by_reason(self.dropped.iter().map(|(task, metrics)| (task, metrics.join(", ")))) {
            messages.push(format!("{protocol} does not give {metrics} ({tasks})"));
        }
        for (tasks, reason) in by_reason(self.kept.iter().map(|(task, reason)| (task, reason.clone()))) {
            messages.push(format!("{tasks}: scored by likelihoods, not by {protocol}: {reason}"));
        }
        for (tasks, reason) in by_reason(self.impossible.iter().map(|(task, reason)| (task, reason.clone()))) {
            messages.push(format!("{tasks}: all documents stay unscored: {reason}"));
        }
        messages
    }
}

/// Names of the tasks that share a reason, with it.
fn by_reason<'a>(entries: impl Iterator<Item = (&'a String, String)>) -> Vec<(String, String)> {
    let mut found: Vec<(Vec<&str>, String)> = Vec::new();
    for (task, reason) in entries {
        match found.iter_mut().find(|(_, known)| *known == reason) {
            Some((tasks, _)) => tasks.push(task),
            None => found.push((vec![task], reason)),
        }
    }
    let shown = |tasks: Vec<&str>| {
        let named = tasks.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = tasks.len().saturating_sub(NAMED);
        if more > 0 { format!("{named} and {more} more") } else { named }
    };
    found.into_iter().map(|(tasks, reason)| (shown(tasks), reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::testing::{metric_spec, task};
    use crate::task::ResultSpec;

    fn node(name: &str, output_type: OutputType, metrics: &[&str], function: Option<&str>) -> Node {
        let process_results = function.map(|f| ResultSpec { function: f.into(), args: Vec::new() });
        let metrics = metrics.iter().map(|metric| metric_spec(metric, "mean")).collect();
        Node::Task(Arc::new(Task { name: name.into(), metrics, process_results, ..task(output_type) }))
    }

    fn choices(name: &str) -> Node {
        node(name, OutputType::MultipleChoice, &["acc", "acc_norm"], None)
    }

    fn capable(scoring: bool, choosing: bool, generation: bool) -> Capabilities {
        let of = |can: bool, reason: &str| if can { Ok(()) } else { Err(reason.to_owned()) };
        Capabilities {
            scoring: of(scoring, "no prompt log-probabilities"),
            choosing: of(choosing, "no top_logprobs"),
            generation: of(generation, "no text"),
            ..Capabilities::default()
        }
    }

    #[test]
    fn takes_the_first_that_is_possible() {
        let nodes = [choices("mc")];
        let auto = |scoring, choosing| plan_protocol(&capable(scoring, choosing, true), None, &nodes).unwrap();
        assert_eq!(auto(true, true), Plan::default());
        let letters = auto(false, true);
        assert_eq!(letters.protocol, ChoiceProtocol::LetterLogprobs);
        assert_eq!(letters.fallback.as_deref(), Some("no prompt log-probabilities"));
        assert_eq!(letters.dropped, [("mc".to_owned(), vec!["acc_norm".to_owned()])]);
        assert_eq!(
            letters.messages(),
            [
                "multiple-choice tasks are asked by letter-logprobs, another protocol than likelihood: no prompt log-probabilities",
                "letter-logprobs does not give acc_norm (mc)",
            ]
        );
        let text = auto(false, false);
        assert_eq!(text.protocol, ChoiceProtocol::LetterText);
        assert_eq!(text.fallback.as_deref(), Some("no prompt log-probabilities; no top_logprobs"));
    }

    #[test]
    fn what_is_wanted_must_be_possible() {
        let nodes = [choices("mc")];
        let plan = |wanted, capabilities: &Capabilities| plan_protocol(capabilities, Some(wanted), &nodes);
        let local = capable(true, true, true);
        for protocol in [ChoiceProtocol::Likelihood, ChoiceProtocol::LetterLogprobs, ChoiceProtocol::LetterText] {
            let found = plan(protocol, &local).unwrap();
            assert_eq!((found.protocol, found.fallback), (protocol, None));
        }
        let chat = capable(false, false, true);
        let err = plan(ChoiceProtocol::Likelihood, &chat).unwrap_err();
        assert_eq!(err.kind().exit_code(), 2);
        let text = err.to_string();
        assert!(
            text.contains("likelihood: no prompt log-probabilities") && text.contains("--mc-protocol auto"),
            "{text}"
        );
        assert!(plan(ChoiceProtocol::LetterLogprobs, &chat).unwrap_err().to_string().contains("no top_logprobs"));
        assert!(plan(ChoiceProtocol::LetterText, &chat).is_ok());
    }

    #[test]
    fn tasks_that_cannot_be_asked() {
        let mass = || node("mc2", OutputType::MultipleChoice, &["acc"], Some("label_mass"));
        let rolling = || node("wiki", OutputType::LoglikelihoodRolling, &["word_perplexity"], None);
        let chat = capable(false, true, true);
        let found = plan_protocol(&chat, None, &[choices("mc"), mass(), rolling(), rolling()]).unwrap();
        let reason = "`label_mass` needs the likelihoods of all choices, and no prompt log-probabilities";
        let expected = [("mc2", reason), ("wiki", "no prompt log-probabilities")];
        assert_eq!(found.impossible, expected.map(|(name, reason)| (name.to_owned(), reason.to_owned())));
        let err = plan_protocol(&chat, None, &[mass(), rolling()]).unwrap_err();
        assert_eq!(err.kind().exit_code(), 2);
        assert!(err.to_string().contains("none of the 2 tasks can be asked of this model; mc2: `label_mass`"), "{err}");
        let err = plan_protocol(&chat, None, &[rolling()]).unwrap_err().to_string();
        assert!(err.starts_with("task `wiki` cannot be asked of this model: no prompt"), "{err}");
        // A model that can score keeps what has no letters.
        let found =
            plan_protocol(&capable(true, true, true), Some(ChoiceProtocol::LetterText), &[choices("mc"), mass()]);
        let found = found.unwrap();
        assert!(found.impossible.is_empty());
        assert_eq!(found.kept.len(), 1);
        assert!(
            found.messages()[1].starts_with("mc2: scored by likelihoods, not by letter-text: "),
            "{:?}",
            found.messages()
        );
    }

    #[test]
    fn tasks_with_one_reason_share_a_message() {
        let nodes: Vec<Node> = (0..9).map(|i| choices(&format!("t{i}"))).collect();
        let found = plan_protocol(&capable(true, true, true), Some(ChoiceProtocol::LetterText), &nodes).unwrap();
        assert_eq!(found.messages(), ["letter-text does not give acc_norm (t0, t1, t2, t3 and 5 more)"]);
    }

    #[test]
    fn without_multiple_choice_the_protocol_does_not_matter() {
        let texts = [node("gsm", OutputType::GenerateUntil, &["exact_match"], None)];
        let found = plan_protocol(&capable(false, false, true), Some(ChoiceProtocol::Likelihood), &texts).unwrap();
        assert!(found.impossible.is_empty() && found.fallback.is_none());
        assert!(plan_protocol(&capable(true, true, false), None, &texts).is_err());
    }
}
