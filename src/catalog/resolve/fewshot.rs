//! `num_fewshot` and `fewshot_config`: where the shots come from and how they read.

use super::super::read::{self, Keys};
use super::{prompt, steps};
use crate::doc::Fields;
use crate::error::Result;
use crate::task::{FewshotSpec, PromptSpec, Sampler};
use crate::yaml::{Value, Yaml};

/// The keys of `fewshot_config`.
const KEYS: &[&str] = &[
    "sampler",
    "split",
    "process_docs",
    "samples",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "read_target",
    "exclude_evaluated",
    "gen_prefix",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_indices",
];

/// The samplers, by name.
const SAMPLERS: &[(&str, Sampler)] = &[("default", Sampler::Default), ("first_n", Sampler::FirstN)];

pub fn fewshot(task: &Keys<'_>, own: &PromptSpec) -> Result<FewshotSpec> {
    let config = task.get("fewshot_config");
    let keys = match config {
        Some(yaml) => Keys::of(yaml, "fewshot_config", "`fewshot_config`")?,
        None => Keys::new(&[], "`fewshot_config`"),
    };
    keys.only(KEYS)?;
    if let Some(yaml) = keys.get("fewshot_indices") {
        let err = yaml.error("`fewshot_indices` is not supported: the reference reads it and never uses it");
        return Err(err.hint("give the shots in `samples`, or use `sampler: first_n`"));
    }
    let split = match keys.text("split")? {
        Some(split) => Some(split),
        None => task.text("fewshot_split")?,
    };
    Ok(FewshotSpec {
        num: task.count("num_fewshot")?,
        sampler: keys.get("sampler").map_or(Ok(Sampler::Default), sampler)?,
        split: split.map(str::to_owned),
        samples: keys.get("samples").map(samples).transpose()?,
        steps: keys.get("process_docs").map(steps::steps).transpose()?,
        exclude_evaluated: keys.flag("exclude_evaluated")?.unwrap_or(false),
        prompt: prompt::shots(&keys, own)?,
    })
}

fn sampler(yaml: &Yaml) -> Result<Sampler> {
    let name = read::text(yaml, "sampler")?;
    SAMPLERS.iter().find(|(known, _)| *known == name).map(|(_, sampler)| *sampler).ok_or_else(|| {
        let known: Vec<&str> = SAMPLERS.iter().map(|(name, _)| *name).collect();
        read::unknown(yaml, &format!("unknown sampler `{name}`"), name, &known)
    })
}

fn samples(yaml: &Yaml) -> Result<Vec<Fields>> {
    let items = read::list(yaml, "samples")?;
    if items.is_empty() {
        return Err(yaml.error("`samples` is empty"));
    }
    items
        .iter()
        .map(|item| match (&item.value, item.to_json("samples")?) {
            (Value::Map(_), serde_json::Value::Object(fields)) => Ok(fields),
            _ => Err(read::wrong(item, "samples", "a list of mappings, one for each shot")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};
    use super::*;
    use crate::task::Source;

    const BASE: &str =
        "task: t\ndataset_path: a/b\ntest_split: test\nfewshot_split: dev\ndoc_to_text: x\ndoc_to_target: y\n";

    #[test]
    fn defaults_are_the_tasks_own() {
        let fewshot = task(BASE).fewshot;
        assert_eq!((fewshot.num, fewshot.sampler, fewshot.split.as_deref()), (None, Sampler::Default, Some("dev")));
        assert_eq!(fewshot.prompt.doc_to_text, Source::Text("x".into()));
        assert!(!fewshot.exclude_evaluated);
        assert!(task(&format!("{BASE}fewshot_config: {{exclude_evaluated: true}}\n")).fewshot.exclude_evaluated);
        let text = "num_fewshot: 2\nfewshot_config:\n  sampler: first_n\n  split: train\n  samples: [{q: 1, a: b}]\n  doc_to_text: z\n  target_delimiter: ''\n  process_docs: [{drop: [c]}]\n";
        let fewshot = task(&format!("{BASE}{text}")).fewshot;
        assert_eq!((fewshot.num, fewshot.sampler, fewshot.split.as_deref()), (Some(2), Sampler::FirstN, Some("train")));
        assert_eq!(fewshot.samples.unwrap()[0]["q"], 1);
        assert_eq!(fewshot.prompt.doc_to_text, Source::Text("z".into()));
        assert_eq!(fewshot.prompt.doc_to_target, Source::Text("y".into()));
        assert_eq!((fewshot.prompt.target_delimiter.as_str(), fewshot.steps.map(|s| s.len())), ("", Some(1)));
    }

    #[test]
    fn errors() {
        let err = refused(&format!("{BASE}fewshot_config: {{sampler: frist_n}}\n"));
        assert!(err.contains("t.yaml:7: unknown sampler `frist_n`") && err.contains("`first_n`?"), "{err}");
        assert!(refused(&format!("{BASE}fewshot_config: {{samples: [a]}}\n")).contains("one for each shot"));
        assert!(refused(&format!("{BASE}fewshot_config: {{samples: !function u.f}}\n")).contains("u.f"));
        assert!(refused(&format!("{BASE}fewshot_config: {{splits: a}}\n")).contains("did you mean `split`?"));
        assert!(refused(&format!("{BASE}num_fewshot: -1\n")).contains("from 0"));
        assert!(refused(&format!("{BASE}fewshot_config: {{fewshot_indices: [1]}}\n")).contains("never uses it"));
    }
}
