//! The tasks that come with the binary.

use super::{Catalog, Kind};
use crate::task::{Choices, DocStep, Node, Sampler, Source};

fn catalog() -> Catalog {
    Catalog::load(&[]).expect("the built-in catalog")
}

fn select(spec: &str) -> Vec<Node> {
    catalog().select(&[spec.to_owned()]).unwrap_or_else(|err| panic!("{spec}: {err}"))
}

fn group(name: &str) -> std::sync::Arc<crate::task::Group> {
    match select(name).remove(0) {
        Node::Group(group) => group,
        Node::Task(_) => panic!("{name} is a group"),
    }
}

fn task(name: &str) -> std::sync::Arc<crate::task::Task> {
    match select(name).remove(0) {
        Node::Task(task) => task,
        Node::Group(_) => panic!("{name} is a task"),
    }
}

#[test]
fn all_resolve_without_a_warning() {
    let catalog = catalog();
    assert_eq!(catalog.warnings(), Vec::<String>::new());
    for entry in catalog.entries() {
        let nodes = select(&entry.name);
        assert!(nodes.iter().all(|node| !node.tasks().is_empty()), "{}", entry.name);
        assert!(entry.kind != Kind::Task || entry.dataset.is_some(), "{}", entry.name);
    }
}

#[test]
fn mmlu_has_57_subjects_in_4_categories() {
    let mmlu = group("mmlu");
    let names: Vec<&str> = mmlu.children.iter().map(Node::name).collect();
    assert_eq!(names, ["mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities"]);
    // As in the paper (Hendrycks et al., arXiv:2009.03300) and the reference's tags.
    let sizes: Vec<usize> = mmlu.children.iter().map(|child| child.tasks().len()).collect();
    assert_eq!(sizes, [19, 13, 12, 13]);
    assert!(mmlu.aggregates[0].weight_by_size);
    let micro = Node::Group(mmlu);
    let macro_average = group("mmlu_macro");
    assert!(!macro_average.aggregates[0].weight_by_size);
    let names = |node: &Node| node.tasks().iter().map(|task| task.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&micro), names(&Node::Group(macro_average)));
    assert_eq!(names(&micro).len(), 57);
}

#[test]
fn both_averages_of_mmlu_share_their_tasks() {
    let nodes = catalog().select(&["mmlu".into(), "mmlu_macro".into(), "mmlu_anatomy".into()]).unwrap();
    assert_eq!(nodes.iter().map(Node::name).collect::<Vec<_>>(), ["mmlu", "mmlu_macro"]);
    let first = nodes[0].tasks()[0];
    assert!(nodes[1].tasks().iter().any(|task| std::sync::Arc::ptr_eq(first, task)));
}

#[test]
fn an_mmlu_subject() {
    let task = task("mmlu_high_school_us_history");
    assert_eq!(
        (task.dataset.path.as_str(), task.dataset.name.as_deref()),
        ("cais/mmlu", Some("high_school_us_history"))
    );
    let description = "The following are multiple choice questions (with answers) about high school us history.\n\n";
    assert_eq!(task.description, description);
    let text =
        "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:";
    assert_eq!(task.prompt.doc_to_text, Source::Text(text.into()));
    assert_eq!(task.prompt.doc_to_choice, Some(Choices::List(["A", "B", "C", "D"].map(String::from).to_vec())));
    assert_eq!((task.fewshot.sampler, task.fewshot.split.as_deref()), (Sampler::FirstN, Some("dev")));
    assert_eq!(task.version, Some(1.0.into()));
    assert_eq!(task.alias.as_deref(), Some("high_school_us_history"));
}

#[test]
fn versions_are_the_references() {
    let versions = [
        ("hellaswag", 1.0),
        ("gsm8k", 3.0),
        ("gsm8k_cot", 3.0),
        ("truthfulqa_mc1", 2.0),
        ("truthfulqa_mc2", 3.0),
        ("truthfulqa_gen", 3.0),
        ("arc_easy", 1.0),
        ("arc_challenge", 1.0),
        ("boolq", 2.0),
        ("winogrande", 1.0),
    ];
    for (name, version) in versions {
        assert_eq!(task(name).version, Some(version.into()), "{name}");
    }
    assert_eq!(group("mmlu").version, Some(2.into()));
}

#[test]
fn generation_settings_are_printed_as_the_reference_prints_them() {
    let written = |name| serde_json::to_string(&task(name).generation_kwargs).unwrap();
    assert_eq!(written("gsm8k"), r#"{"until":["Question:","</s>","<|im_end|>"],"do_sample":false,"temperature":0.0}"#);
    assert_eq!(written("gsm8k_cot"), r#"{"do_sample":false,"until":["Q:","</s>","<|im_end|>"]}"#);
    let gen_default = r#"{"temperature":0.0,"do_sample":false,"max_gen_toks":256,"until":["\n\n"]}"#;
    assert_eq!(written("truthfulqa_gen"), gen_default);
}

#[test]
fn shots_and_scores() {
    let gsm8k = task("gsm8k");
    assert_eq!((gsm8k.fewshot.num, gsm8k.fewshot.split.as_deref(), gsm8k.filters.len()), (Some(5), Some("train"), 2));
    let cot = task("gsm8k_cot");
    assert_eq!((cot.fewshot.num, cot.fewshot.samples.as_ref().map(Vec::len)), (Some(8), Some(8)));
    assert_eq!(cot.fewshot.split, None);
    let mc2 = task("truthfulqa_mc2");
    assert_eq!(mc2.process_results.as_ref().map(|spec| spec.function.as_str()), Some("label_mass"));
    assert_eq!((mc2.prompt.doc_to_target.clone(), mc2.metrics[0].name.as_str()), (Source::Int(0), "acc"));
    assert_eq!(task("truthfulqa_gen").metrics.len(), 12);
    assert!(matches!(task("hellaswag").steps.as_slice(), [DocStep::Derive(fields)] if fields.len() == 3));
    assert_eq!(select("truthfulqa").len(), 3);
}
