//! Items against what the reference harness asks for the same small tasks (`testdata/make.py`), and errors.

use super::PromptOptions;
use crate::data::TaskDocs;
use crate::doc::{Doc, Fields};
use crate::item::{Item, Target};
use crate::request::{Prompt, RequestKind, Role};
use crate::task::{
    Choices, DatasetRef, FewshotSpec, MetricSpec, Origin, OutputType, PromptSpec, ReadTarget, ResultSpec, Sampler,
    Source, Splits, Task,
};
use serde_json::{Map, Value, json};
use std::io::Read;

/// The items alone.
pub(super) fn build_items(task: &Task, docs: &TaskDocs, options: &PromptOptions) -> crate::error::Result<Vec<Item>> {
    super::build(task, docs, options).map(|built| built.items)
}

fn rows(value: &Value) -> Vec<Fields> {
    value.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
}

pub(super) fn task_docs(docs: &Value, pool: Option<&Value>, same_split: bool) -> TaskDocs {
    let docs: Vec<Doc> = rows(docs).into_iter().enumerate().map(|(id, fields)| Doc { id, fields }).collect();
    TaskDocs {
        original: 0,
        remarks: Vec::new(),
        columns: docs.first().map_or(Vec::new(), |doc| doc.fields.keys().cloned().collect()),
        docs,
        pool: pool.map(rows),
        pool_is_evaluated_split: same_split,
        files: Vec::new(),
    }
}

fn source(value: &Value) -> Source {
    match value {
        Value::String(text) => Source::Text(text.clone()),
        Value::Number(number) => Source::Int(number.as_i64().unwrap()),
        Value::Array(list) => Source::List(list.clone()),
        other => panic!("{other}"),
    }
}

fn choices(value: &Value) -> Choices {
    match value {
        Value::String(text) => Choices::Text(text.clone()),
        list => Choices::List(serde_json::from_value(list.clone()).unwrap()),
    }
}

/// The keys of a task file, `over` before `under`, with the format's defaults.
fn prompt_spec(over: &Value, under: &Value) -> PromptSpec {
    let key = |name: &str| Some(&over[name]).filter(|v| !v.is_null()).or(Some(&under[name]).filter(|v| !v.is_null()));
    let text = |name: &str, default: &str| key(name).map_or(default, |v| v.as_str().unwrap()).to_string();
    PromptSpec {
        doc_to_text: source(key("doc_to_text").unwrap_or(&json!(""))),
        doc_to_target: source(key("doc_to_target").unwrap_or(&json!(""))),
        doc_to_choice: key("doc_to_choice").map(choices),
        read_target: match key("read_target").and_then(Value::as_str) {
            Some("text") => ReadTarget::Text,
            Some("literal") => ReadTarget::Literal,
            _ => ReadTarget::Auto,
        },
        gen_prefix: key("gen_prefix").map(|v| v.as_str().unwrap().to_string()),
        target_delimiter: text("target_delimiter", " "),
        fewshot_delimiter: text("fewshot_delimiter", "\n\n"),
    }
}

pub(super) fn task(config: &Value) -> Task {
    let shots = &config["fewshot_config"];
    let metrics = config["metric_list"].as_array().into_iter().flatten();
    Task {
        name: "small".into(),
        alias: None,
        tags: Vec::new(),
        origin: Origin { file: "small.yaml".into(), line: 1 },
        dataset: DatasetRef::default(),
        splits: Splits::default(),
        steps: Vec::new(),
        output_type: match config["output_type"].as_str().unwrap() {
            "multiple_choice" => OutputType::MultipleChoice,
            "generate_until" => OutputType::GenerateUntil,
            "loglikelihood" => OutputType::Loglikelihood,
            _ => OutputType::LoglikelihoodRolling,
        },
        prompt: prompt_spec(config, &Value::Null),
        description: config["description"].as_str().unwrap_or_default().into(),
        fewshot: FewshotSpec {
            num: config["num_fewshot"].as_u64().map(|n| n as usize),
            sampler: if shots["sampler"] == "first_n" { Sampler::FirstN } else { Sampler::Default },
            split: None,
            samples: None,
            steps: None,
            exclude_evaluated: shots["exclude_evaluated"] == true,
            prompt: prompt_spec(shots, config),
        },
        metrics: metrics
            .map(|metric| MetricSpec {
                name: metric["metric"].as_str().unwrap().into(),
                aggregation: "mean".into(),
                higher_is_better: None,
                kwargs: Map::new(),
            })
            .collect(),
        process_results: config["process_results"].as_object().map(|args| ResultSpec {
            function: "f".into(),
            args: args.iter().map(|(name, template)| (name.clone(), template.as_str().unwrap().into())).collect(),
        }),
        generation_kwargs: config["generation_kwargs"].as_object().cloned().unwrap_or_default(),
        repeats: 1,
        filters: Vec::new(),
        judge: None,
        unsafe_code: false,
        version: None,
        cluster: config["metadata"]["cluster"].as_str().map(str::to_owned),
        metadata: Map::new(),
        config: Map::new(),
        remarks: Vec::new(),
    }
}

/// A prompt as the script's stand-in for a chat template writes it.
fn written(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(messages) => {
            let opens = messages.last().unwrap().role != Role::Assistant;
            crate::python::json::dumps(&json!([messages, opens]))
        }
    }
}

fn asked(item: &Item) -> Vec<Vec<Value>> {
    item.requests
        .iter()
        .map(|request| match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => vec![json!(written(context)), json!(continuation)],
            RequestKind::Generate { context, decoding } => vec![json!(written(context)), json!(decoding.written)],
            RequestKind::LoglikelihoodRolling { text } => vec![json!(text)],
            RequestKind::Choose { context, labels } => vec![json!(written(context)), json!(labels)],
        })
        .collect()
}

#[test]
fn asks_what_the_reference_asks() {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&include_bytes!("testdata/tasks.json.gz")[..]).read_to_string(&mut text).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let spell_out = |arg: &Value| arg.as_u64().map_or_else(|| arg.clone(), |i| golden["texts"][i as usize].clone());
    let mut runs = 0;
    for (name, case) in golden["tasks"].as_object().unwrap() {
        let task = task(&case["config"]);
        let docs = task_docs(&case["docs"], Some(&case["pool"]), case["same_split"].as_bool().unwrap());
        for run in case["runs"].as_array().unwrap() {
            let options = PromptOptions {
                num_fewshot: run["shots"].as_u64().map(|n| n as usize),
                chat: run["chat"].as_bool().unwrap(),
                fewshot_as_multiturn: run["multiturn"].as_bool(),
                system_instruction: run["system"].as_str().map(str::to_owned),
                ..PromptOptions::default()
            };
            let items = build_items(&task, &docs, &options).unwrap();
            let expected = run["asked"].as_array().unwrap();
            assert_eq!(items.len(), expected.len());
            runs += 1;
            for (item, expected) in items.iter().zip(expected) {
                let expected: Vec<Vec<Value>> = expected
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|args| args.as_array().unwrap().iter().map(spell_out).collect())
                    .collect();
                assert_eq!(asked(item), expected, "{name} {options:?}");
                assert_eq!(item.target_written, case["targets"][item.doc.id], "{name}");
                let several = matches!(item.target, Target::Indices(_) | Target::Texts(_));
                assert_eq!(several, case["multiple_targets"].as_bool().unwrap(), "{name}");
            }
        }
    }
    assert!(runs > 500, "{runs}");
}

fn build(config: Value, docs: Value, pool: Option<Value>, shots: usize) -> crate::error::Result<Vec<Item>> {
    let options = PromptOptions { num_fewshot: Some(shots), ..PromptOptions::default() };
    build_items(&task(&config), &task_docs(&docs, pool.as_ref(), false), &options)
}

fn refusal(config: Value, docs: Value) -> String {
    build(config, docs, None, 0).unwrap_err().to_string()
}

fn choice_task(target: &str) -> Value {
    json!({"output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": ["A", "B"], "doc_to_target": target})
}

#[test]
fn right_answers() {
    let golds = |config: Value, docs: Value| -> Vec<Target> {
        build(config, docs, None, 0).unwrap().into_iter().map(|item| item.target).collect()
    };
    let docs = json!([{"q": "", "a": 1}, {"q": "", "a": "B"}, {"q": "", "a": true}]);
    assert_eq!(golds(choice_task("a"), docs), [1, 1, 1].map(Target::Index));
    let docs = json!([{"q": "", "a": [0, 1]}, {"q": "", "a": [1]}]);
    assert_eq!(golds(choice_task("a"), docs), [Target::Indices(vec![0, 1]), Target::Indices(vec![1])]);
    for (bad, says) in
        [(json!(2), "index 2"), (json!(-1), "index -1"), (json!("C"), "not among the choices"), (json!([1, 5]), "list")]
    {
        let text = refusal(choice_task("a"), json!([{"q": "", "a": 1}, {"q": "", "a": bad}]));
        assert!(text.contains(says) && text.contains("hint:"), "{text}");
    }
    let generate =
        |target: &str| json!({"output_type": "generate_until", "doc_to_text": "{{q}}", "doc_to_target": target});
    let docs = json!([{"q": "", "a": [1, "x"]}, {"q": "", "a": "y"}]);
    assert_eq!(
        golds(generate("a"), docs),
        [Target::Texts(vec!["1".into(), "x".into()]), Target::Texts(vec!["y".into()])]
    );
    let docs = json!([{"q": "", "a": 1e-5}, {"q": "", "a": [1]}, {"q": "", "a": null}]);
    let expected = ["1e-05", "[1]", "None"].map(|text| Target::Text(text.into()));
    assert_eq!(golds(generate("a"), docs), expected);
}

#[test]
fn choices_are_texts() {
    let config =
        json!({"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_choice": "c", "doc_to_target": "{{0}}"});
    let items = build(config, json!([{"q": "x", "c": [1, 2.0, null, true, "a"]}]), None, 0).unwrap();
    assert_eq!(items[0].choices, ["1", "2.0", "None", "True", "a"]);
}

#[test]
fn arguments_of_process_results() {
    let mut config = choice_task("{{none}}");
    config["doc_to_target"] = json!("0");
    config["process_results"] = json!({"labels": "{{ labels }}", "name": "'{{ q }}'"});
    let items = build(config.clone(), json!([{"q": "x", "labels": [1, 0]}]), None, 0).unwrap();
    assert_eq!(Value::Object(items[0].result_args.clone()), json!({"labels": [1, 0], "name": "x"}));
    let err = build(config, json!([{"q": "x", "labels": "word"}]), None, 0).unwrap_err().to_string();
    assert!(
        err.contains("document 0, process_results.labels") && err.contains("not a Python literal: the name `word`"),
        "{err}"
    );
}

#[test]
fn clusters_are_what_their_template_gives() {
    let of = |cluster: &str, docs: Value| {
        let mut config = choice_task("0");
        config["metadata"] = json!({"cluster": cluster});
        super::build(&task(&config), &task_docs(&docs, None, false), &PromptOptions::default())
    };
    let clusters = |cluster: &str, docs: Value| -> Vec<Option<String>> {
        of(cluster, docs).unwrap().items.into_iter().map(|item| item.cluster).collect()
    };
    let long = "A passage. ".repeat(20);
    let docs =
        json!([{"q": "x", "n": 3, "p": long}, {"q": "y", "n": 3, "p": long}, {"q": "z", "n": 4, "p": " short "}]);
    let named = |names: [&str; 3]| names.map(|name| Some(name.to_owned())).to_vec();
    assert_eq!(clusters("{{p[0]}} {{n}}", docs.clone()), named(["A 3", "A 3", "4"]));
    // A lone word that is a column is the column.
    assert_eq!(clusters("n", docs.clone()), named(["3", "3", "4"]));
    // The first half of the SHA-256 of "A passage. " twenty times, without the blank at its end, by Python's hashlib.
    assert_eq!(
        clusters("{{p}}", docs.clone()),
        named(["d8fdc571d695120e1f80ad1a3dedb40d", "d8fdc571d695120e1f80ad1a3dedb40d", "short"])
    );
    let none = build(choice_task("0"), docs.clone(), None, 0).unwrap();
    assert!(none.iter().all(|item| item.cluster.is_none()));
    let text = of("{{ ' ' }}", docs.clone()).unwrap_err().to_string();
    assert!(text.contains("document 0, metadata.cluster: task small: metadata.cluster gives an empty text"), "{text}");
    let text = of("{{nn}}", docs.clone()).unwrap_err().to_string();
    assert!(text.contains("document 0, metadata.cluster") && text.contains("`nn` is undefined"), "{text}");
    let remarks = |cluster: &str| of(cluster, docs.clone()).unwrap().remarks.len();
    assert_eq!((remarks("always the same"), remarks("{{n}}")), (1, 0));
}

#[test]
fn number_of_shots() {
    let shots = |own: Value, given: Option<usize>| {
        let mut config = choice_task("0");
        config["num_fewshot"] = own;
        let docs = task_docs(&json!([{"q": "x"}]), Some(&json!([{"q": "a"}, {"q": "b"}, {"q": "c"}])), false);
        let options = PromptOptions { num_fewshot: given, ..PromptOptions::default() };
        build_items(&task(&config), &docs, &options).unwrap()[0].num_fewshot
    };
    assert_eq!(shots(json!(0), Some(2)), 0);
    assert_eq!(shots(json!(1), Some(2)), 2);
    assert_eq!(shots(json!(1), None), 1);
    assert_eq!(shots(Value::Null, None), 0);
}

#[test]
fn the_limit_keeps_the_first_documents() {
    let docs = task_docs(&json!([{"q": "x"}, {"q": "y"}, {"q": "z"}]), None, false);
    let limited = |limit| {
        build_items(&task(&choice_task("0")), &docs, &PromptOptions { limit, ..PromptOptions::default() })
            .unwrap()
            .len()
    };
    assert_eq!([limited(Some(2)), limited(Some(9)), limited(None)], [2, 3, 3]);
}

#[test]
fn errors_name_task_document_and_key() {
    let one = json!([{"q": "x", "n": 3, "list": [], "none": null}]);
    for (config, docs, expected) in [
        (choice_task("0"), json!([]), "small.yaml:1: task small: the evaluated split has no documents"),
        (
            choice_task("5"),
            one.clone(),
            "small.yaml:1, document 0, doc_to_target: task small: doc_to_target gives the index 5, and there are 2 choices",
        ),
        (
            choice_task("{{ x }}"),
            one.clone(),
            "small.yaml:1, document 0, doc_to_target: task small: `x` is undefined\n  hint: columns: q, n, list, none",
        ),
        (choice_task("list"), one.clone(), "doc_to_target gives a list, unlike in document 0"),
        (choice_task("none"), one.clone(), "doc_to_target gives `None`, neither an index nor a text"),
        (choice_task("012"), one.clone(), "leading zeros"),
        (
            json!({"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_target": "0"}),
            one.clone(),
            "doc_to_choice is missing",
        ),
        (
            json!({"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_choice": "q", "doc_to_target": "0"}),
            one.clone(),
            "doc_to_choice gives `'x'`, not a list",
        ),
        (
            json!({"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_choice": "list", "doc_to_target": "0"}),
            one.clone(),
            "doc_to_choice gives an empty list",
        ),
        (
            json!({"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_choice": "{{ q }}", "doc_to_target": "0"}),
            one.clone(),
            "not a Python literal: the name `x`",
        ),
        (
            json!({"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_choice": [""], "target_delimiter": "", "doc_to_target": "0"}),
            one.clone(),
            "an empty text to score",
        ),
        (
            json!({"output_type": "generate_until", "doc_to_text": "n", "doc_to_target": "q"}),
            one.clone(),
            "doc_to_text gives `3`, not a text",
        ),
        (
            json!({"output_type": "loglikelihood", "doc_to_text": "q", "doc_to_target": "n"}),
            one.clone(),
            "doc_to_target gives `3`, not a text",
        ),
        (
            json!({"output_type": "loglikelihood_rolling", "doc_to_target": "none"}),
            one.clone(),
            "doc_to_target gives `None`, not a text",
        ),
    ] {
        let message = refusal(config, docs);
        assert!(message.contains(expected), "{message}\nshould have\n{expected}");
    }
    let later = refusal(choice_task("a"), json!([{"q": "x", "a": 0}, {"q": "x", "a": 1.5}]));
    assert!(later.contains("document 1, doc_to_target"), "{later}");
}

#[test]
fn errors_of_shots() {
    let docs = json!([{"q": "x", "a": 0}]);
    let refused =
        |pool: Option<Value>, shots: usize| build(choice_task("a"), docs.clone(), pool, shots).unwrap_err().to_string();
    assert!(refused(None, 1).contains("no documents to take them from"));
    assert!(
        refused(Some(json!([{"q": "y", "a": 1}])), 3).contains("3 shots are wanted for document 0, and the pool has 1")
    );
    assert!(refused(Some(json!([])), 3).contains("the pool has 0"));
    assert!(refused(Some(json!([{"q": "y", "a": 7}])), 1).contains("few-shot document 0, doc_to_target"));
    assert!(
        refused(Some(json!([{"q": "y"}])), 1).contains("wants the column `a`, which is not there\n  hint: columns: q")
    );
    let generate = json!({"output_type": "generate_until", "doc_to_text": "q", "doc_to_target": "a"});
    let err = build(generate, docs, Some(json!([{"q": "y", "a": 7}])), 1).unwrap_err().to_string();
    assert!(err.contains("doc_to_target gives `7`, not a text"), "{err}");
}

/// What `exclude_evaluated` draws is what the reference draws where both splits are named alike (`asks_what_the_reference_asks` holds that
/// against the reference).
#[test]
fn the_evaluated_document_is_kept_out_by_the_references_draw() {
    let rows = json!([{"q": "a"}, {"q": "b"}, {"q": "c"}, {"q": "d"}, {"q": "e"}, {"q": "f"}]);
    let config = json!({"output_type": "generate_until", "doc_to_text": "{{q}}", "doc_to_target": "x"});
    let prompts = |same_split: bool, exclude_evaluated: bool| {
        let options = PromptOptions { num_fewshot: Some(2), exclude_evaluated, ..PromptOptions::default() };
        let built = super::build(&task(&config), &task_docs(&rows, Some(&rows), same_split), &options).unwrap();
        let prompts: Vec<String> = built.items.iter().flat_map(asked).map(|args| args[0].to_string()).collect();
        (prompts, built.remarks.len())
    };
    let (reference, remarks) = prompts(true, false);
    assert_eq!(remarks, 0);
    assert_eq!(prompts(true, true), (reference.clone(), 0));
    assert_eq!(prompts(false, true), (reference.clone(), 0));
    let (leaky, remarks) = prompts(false, false);
    assert!(leaky != reference && remarks == 1);
}

#[test]
fn what_digits_and_brackets_mean() {
    let golds = |config: Value, docs: Value| -> Vec<Target> {
        build(config, docs, None, 0).unwrap().into_iter().map(|item| item.target).collect()
    };
    let choices = |target: &str, read: &str| json!({"output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": "c", "doc_to_target": target, "read_target": read});
    let docs =
        json!([{"q": "", "c": ["0", "2", "4"], "a": "2", "n": 2}, {"q": "", "c": ["2", "4", "0"], "a": "4", "n": 0}]);
    // The second is out of range as an index: only a text makes sense.
    assert_eq!(golds(choices("{{a}}", "auto"), docs.clone()), [1, 1].map(Target::Index));
    assert_eq!(golds(choices("{{n}}", "auto"), docs.clone()), [2, 0].map(Target::Index));
    assert_eq!(golds(choices("{{n}}", "text"), docs.clone()), [1, 2].map(Target::Index));
    assert_eq!(golds(choices("n", "text"), docs.clone()), [1, 2].map(Target::Index));
    assert!(build(choices("{{a}}", "literal"), docs, None, 0).unwrap_err().to_string().contains("index 4"));
    // A document whose digits are no choice shows that all are indices.
    let docs = json!([{"q": "", "c": ["1", "0"], "a": "1"}, {"q": "", "c": ["x", "y"], "a": "1"}]);
    assert_eq!(golds(choices("{{a}}", "auto"), docs), [1, 1].map(Target::Index));
    // A question that is all digits is no index.
    let docs = json!([{"q": "1", "c": ["x", "y"], "a": 0}, {"q": "what?", "c": ["x", "y"], "a": 1}]);
    assert_eq!(golds(choices("a", "auto"), docs), [0, 1].map(Target::Index));
    let words = |target: &str, read: &str| json!({"output_type": "generate_until", "doc_to_text": "q", "doc_to_target": target, "read_target": read});
    let docs = json!([{"q": "", "a": "[1, 2]", "l": ["x", "y"]}]);
    for (target, read, expected) in [
        ("{{a}}", "auto", Target::Text("[1, 2]".into())),
        ("{{a}}", "literal", Target::Texts(vec!["1".into(), "2".into()])),
        ("{{l}}", "auto", Target::Texts(vec!["x".into(), "y".into()])),
        ("{{l | list}}", "auto", Target::Texts(vec!["x".into(), "y".into()])),
        ("{{l | tojson}}", "auto", Target::Texts(vec!["x".into(), "y".into()])),
        ("['{{l[0]}}']", "auto", Target::Texts(vec!["x".into()])),
        ("{{ '[' ~ l[1]|length ~ ']' }}", "auto", Target::Texts(vec!["1".into()])),
        ("{{l}}", "text", Target::Text("['x', 'y']".into())),
    ] {
        assert_eq!(golds(words(target, read), docs.clone()), [expected], "{target} {read}");
    }
}
