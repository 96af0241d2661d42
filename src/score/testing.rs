//! Tasks, items and answers for the tests of this wing.

use crate::doc::{Doc, Fields};
use crate::item::{Item, Target};
use crate::request::{Answer, Finish, Response, Usage};
use crate::sample::{Sample, Score};
use crate::task::{
    DatasetRef, FewshotSpec, FilterPipeline, FilterStep, Group, GroupMetric, MetricSpec, Origin, OutputType,
    PromptSpec, ReadTarget, Sampler, Source, Splits, Task,
};
use serde_json::{Map, Value, json};

fn origin() -> Origin {
    Origin { file: "test.yaml".into(), line: 1 }
}

/// A task without metrics, with the default filters.
pub fn task(output_type: OutputType) -> Task {
    let prompt = PromptSpec {
        doc_to_text: Source::Text(String::new()),
        doc_to_target: Source::Text(String::new()),
        doc_to_choice: None,
        read_target: ReadTarget::Auto,
        gen_prefix: None,
        target_delimiter: " ".into(),
        fewshot_delimiter: "\n\n".into(),
    };
    Task {
        name: "test".into(),
        alias: None,
        tags: Vec::new(),
        origin: origin(),
        dataset: DatasetRef::default(),
        splits: Splits::default(),
        steps: Vec::new(),
        output_type,
        prompt: prompt.clone(),
        description: String::new(),
        fewshot: FewshotSpec {
            num: None,
            sampler: Sampler::Default,
            split: None,
            samples: None,
            steps: None,
            exclude_evaluated: false,
            prompt,
        },
        metrics: Vec::new(),
        process_results: None,
        generation_kwargs: Map::new(),
        repeats: 1,
        filters: vec![pipeline("none", &[json!({"function": "take_first"})])],
        judge: None,
        unsafe_code: false,
        version: None,
        cluster: None,
        metadata: Map::new(),
        config: Map::new(),
        remarks: Vec::new(),
    }
}

/// A pipeline of steps as they stand in a task file.
pub fn pipeline(name: &str, steps: &[Value]) -> FilterPipeline {
    let steps = steps.iter().map(|step| {
        let mut kwargs = step.as_object().cloned().unwrap_or_default();
        let function = kwargs.shift_remove("function").and_then(|f| f.as_str().map(str::to_owned)).unwrap_or_default();
        FilterStep { function, kwargs }
    });
    FilterPipeline { name: name.into(), steps: steps.collect() }
}

pub fn metric_spec(name: &str, aggregation: &str) -> MetricSpec {
    let (name, aggregation) = (name.to_owned(), aggregation.to_owned());
    MetricSpec { name, aggregation, higher_is_better: Some(true), kwargs: Map::new() }
}

pub fn group(aggregates: Vec<GroupMetric>) -> Group {
    Group {
        name: "test".into(),
        alias: None,
        origin: origin(),
        children: Vec::new(),
        aggregates,
        version: None,
        metadata: Map::new(),
    }
}

/// A document without fields, choices or requests.
pub fn item() -> Item {
    Item {
        doc: Doc { id: 0, fields: Fields::new() },
        requests: Vec::new(),
        choices: Vec::new(),
        labels: Vec::new(),
        target: Target::Text(String::new()),
        cluster: None,
        target_written: Value::Null,
        result_args: Map::new(),
        judge_args: Default::default(),
        num_fewshot: 0,
    }
}

pub fn greedy(logprob: f64, is_greedy: bool) -> Response {
    Response::new(Answer::Loglikelihood { logprob, is_greedy, num_tokens: 1 }, Usage::default())
}

pub fn text(text: &str) -> Response {
    Response::new(Answer::Text { text: text.into(), finish: Finish::Stop }, Usage::default())
}

pub fn sample(doc_id: usize, filter: &str, metric: &str, score: &Score) -> Sample {
    let scores = vec![(metric.to_owned(), score.clone())];
    Sample { doc_id, filter: filter.into(), filtered: Vec::new(), findings: Vec::new(), scores }
}
