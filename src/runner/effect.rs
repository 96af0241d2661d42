//! Flags that change nothing in the tasks they are given for: said, for a flag that decides numbers is believed.

use super::PreparedTask;
use crate::prompt::PromptOptions;
use crate::remark::Remark;
use crate::request::RequestKind;
use crate::score::{PASS_AT_K, Sampling, metric};
use crate::task::{ChoiceProtocol, OutputType, Sampler, Task};

/// What the user asked for, as far as it may be without effect.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub sampling: Sampling,
    /// A protocol for multiple-choice tasks.
    pub protocol: Option<ChoiceProtocol>,
    /// Choices may yet be put under letters that a model writes.
    pub may_write_letters: bool,
    /// Flags about judges, by name.
    pub judging: Vec<&'static str>,
}

/// Remarks on what was asked for and has no effect on any of these tasks; on shots, for each task.
pub fn remarks_on_flags(tasks: &[PreparedTask], options: &PromptOptions, wishes: &Wishes) -> Vec<Remark> {
    if tasks.is_empty() {
        return Vec::new();
    }
    let mut remarks: Vec<Remark> = tasks.iter().filter_map(|t| shots_kept(&t.task, options)).collect();
    let of_command = |text: String| Remark { subject: None, ..Remark::note("", text) };
    remarks.extend(idle(tasks, options, wishes).into_iter().map(of_command));
    remarks.extend(tasks.iter().filter_map(|t| same_answers(t, wishes)));
    remarks.extend(gen_kwargs_escape(options));
    remarks
}

/// A task that keeps its own number of shots.
fn shots_kept(task: &Task, options: &PromptOptions) -> Option<Remark> {
    let wanted = options.num_fewshot.filter(|n| *n > 0)?;
    let why = match (task.output_type, task.fewshot.num) {
        (OutputType::LoglikelihoodRolling, _) => "scores whole texts, which have no place for shots",
        (_, Some(0)) => "says num_fewshot: 0 and keeps it",
        _ => return None,
    };
    Some(Remark::note(task.name.as_str(), format!("{why}; --num-fewshot {wanted} is not used")))
}

/// Flags that none of the tasks can use.
fn idle(tasks: &[PreparedTask], options: &PromptOptions, wishes: &Wishes) -> Vec<String> {
    let any = |test: &dyn Fn(&PreparedTask) -> bool| tasks.iter().any(test);
    let generates = any(&|t| kinds(t).any(|kind| matches!(kind, RequestKind::Generate { .. })));
    let samples =
        any(&|t| kinds(t).any(|kind| matches!(kind, RequestKind::Generate { decoding, .. } if decoding.do_sample)));
    let is = |output_type: OutputType| any(&|t| t.task.output_type == output_type);
    let may_generate = generates || wishes.may_write_letters && is(OutputType::MultipleChoice);
    let has_context = any(&|t| t.task.output_type != OutputType::LoglikelihoodRolling);
    let defaults = PromptOptions::default();
    let draws = any(&|t| t.num_fewshot > 0 && t.task.fewshot.sampler == Sampler::Default);
    let mut idle = Vec::new();
    let mut say = |given: bool, used: bool, flag: String, why: &str| {
        if given && !used {
            idle.push(format!("{flag} has no effect: {why}"));
        }
    };
    say(!options.gen_kwargs.is_empty(), may_generate, "--gen-kwargs".into(), "no task generates text");
    let sampling = [("temperature", 0.0), ("top_p", 1.0), ("top_k", 0.0), ("min_p", 0.0)];
    for (name, neutral) in sampling {
        let given = options.gen_kwargs.get(name).and_then(|value| value.as_f64()).is_some_and(|n| n != neutral);
        let why = "no answer is sampled: it takes `do_sample=true` where the task says `do_sample: false`";
        say(given && generates, samples, format!("--gen-kwargs {name}"), why);
    }
    let why = "prompts are whole texts, with nothing before them";
    say(options.system_instruction.is_some(), has_context, "--system-instruction".into(), why);
    say(options.chat, has_context, "--apply-chat-template".into(), why);
    let multiturn = options.fewshot_as_multiturn;
    let shown = multiturn.unwrap_or_default();
    let shots = any(&|t| t.num_fewshot > 0);
    say(multiturn.is_some(), shots, format!("--fewshot-as-multiturn {shown}"), "no prompt has shots");
    let seed = options.fewshot_seed;
    say(seed != defaults.fewshot_seed, draws, format!("--fewshot-seed {seed}"), "no shots are drawn");
    say(options.exclude_evaluated, shots, "--exclude-evaluated".into(), "no prompt has shots");
    say(options.seed != 0, samples, format!("--seed {}", options.seed), "no answer is sampled");
    if let Some(n) = wishes.sampling.num_samples {
        say(true, is(OutputType::GenerateUntil), format!("--n-samples {n}"), "no task generates text");
    }
    let passes = any(&|t| t.task.metrics.iter().any(|m| metric(&m.name).is_some_and(|row| row.name == PASS_AT_K)));
    say(!wishes.sampling.pass_k.is_empty(), passes, "--pass-k".into(), "no task has the metric pass@k");
    if let Some(protocol) = wishes.protocol {
        let flag = format!("--mc-protocol {}", protocol.as_str());
        say(true, is(OutputType::MultipleChoice), flag, "no task has choices");
    }
    for flag in &wishes.judging {
        say(true, any(&|t| t.task.judge.is_some()), (*flag).to_owned(), "no task has a judge");
    }
    idle
}

fn kinds(t: &PreparedTask) -> impl Iterator<Item = &RequestKind> {
    t.items.iter().flat_map(|item| &item.requests).map(|request| &request.kind)
}

/// Several answers to each document that are all the same, because nothing is sampled.
fn same_answers(t: &PreparedTask, wishes: &Wishes) -> Option<Remark> {
    let repeats = t.task.repeats;
    let sampled = kinds(t).any(|kind| matches!(kind, RequestKind::Generate { decoding, .. } if decoding.do_sample));
    if repeats < 2 || sampled {
        return None;
    }
    let asked = match wishes.sampling.num_samples {
        Some(n) if t.task.output_type == OutputType::GenerateUntil => format!("--n-samples {n}"),
        _ => format!("repeats: {repeats}"),
    };
    let text = format!(
        "{asked} without sampling: all answers to a document are the same; sample with `--gen-kwargs do_sample=true,temperature=0.7`"
    );
    Some(Remark::note(t.task.name.as_str(), text))
}

/// `\n` in a shell's quotes is two characters.
fn gen_kwargs_escape(options: &PromptOptions) -> Option<Remark> {
    let until = options.gen_kwargs.get("until")?;
    let texts: Vec<&str> = match until.as_array() {
        Some(list) => list.iter().filter_map(|stop| stop.as_str()).collect(),
        None => until.as_str().into_iter().collect(),
    };
    let escaped = texts.iter().any(|text| text.contains("\\n") || text.contains("\\t"));
    escaped.then(|| Remark {
        subject: None,
        ..Remark::warning(
            "",
            "--gen-kwargs: `until` holds a backslash and a letter, which is no line break; write --gen-kwargs 'until=[\"\\n\"]'",
        )
    })
}
