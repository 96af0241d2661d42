//! Prompts under letters, word for word, for tasks like MMLU, HellaSwag and WinoGrande. Expected values: the rules in `options.rs`,
//! written out by hand.

use super::PromptOptions;
use super::tests::{build_items, task, task_docs};
use crate::item::{Item, Target};
use crate::request::{Decoding, Prompt, RequestKind, Role};
use crate::task::ChoiceProtocol::{self, LetterLogprobs, LetterText};
use serde_json::{Value, json};

fn mmlu() -> (Value, Value, Value) {
    let config = json!({
        "output_type": "multiple_choice",
        "description": "Questions about rivers.",
        "doc_to_text": "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nAnswer:",
        "doc_to_choice": ["A", "B"],
        "doc_to_target": "answer",
    });
    let docs = json!([{"question": "Which flows? ", "choices": ["a river", "a stone"], "answer": 0}]);
    let pool = json!([{"question": "Which stays?", "choices": ["a river", "a stone"], "answer": 1}]);
    (config, docs, pool)
}

fn hellaswag() -> (Value, Value, Value) {
    let config = json!({
        "output_type": "multiple_choice",
        "doc_to_text": "{{query}}",
        "doc_to_choice": "endings",
        "doc_to_target": "{{label}}",
    });
    let docs = json!([{"query": "Roofing: A man sits on a roof. He", "endings": ["is a cat.", "starts to work. ", "sings."], "label": "1"}]);
    let pool = json!([{"query": "Baking: She", "endings": ["flies.", "bakes."], "label": "1"}]);
    (config, docs, pool)
}

fn winogrande() -> (Value, Value, Value) {
    let config = json!({
        "output_type": "multiple_choice",
        "doc_to_text": "{{answer | int - 1}}",
        "doc_to_choice": "{{[s.split('_')[0] + o1, s.split('_')[0] + o2]}}",
        "doc_to_target": "{{s.split('_')[1].strip()}}",
    });
    let docs = json!([{"s": "Ann thanked Eve, for _ had helped.", "o1": "Ann", "o2": "Eve", "answer": "2"}]);
    let pool = json!([{"s": "The _ was too big.", "o1": "bag", "o2": "box", "answer": "1"}]);
    (config, docs, pool)
}

fn options(protocol: ChoiceProtocol, shots: usize, chat: bool) -> PromptOptions {
    PromptOptions { num_fewshot: Some(shots), chat, choices: protocol, ..PromptOptions::default() }
}

fn item((config, docs, pool): (Value, Value, Value), options: &PromptOptions) -> Item {
    let mut items = build_items(&task(&config), &task_docs(&docs, Some(&pool), false), options).unwrap();
    assert_eq!(items[0].requests.len(), 1);
    items.remove(0)
}

fn context(item: &Item) -> &Prompt {
    match &item.requests[0].kind {
        RequestKind::Choose { context, .. } | RequestKind::Generate { context, .. } => context,
        other => panic!("{other:?}"),
    }
}

fn text(item: &Item) -> &str {
    let Prompt::Text(text) = context(item) else { panic!("a text is wanted") };
    text
}

fn turns(item: &Item) -> Vec<(Role, &str)> {
    let Prompt::Chat(messages) = context(item) else { panic!("turns are wanted") };
    messages.iter().map(|m| (m.role, m.content.as_str())).collect()
}

fn labels(item: &Item) -> Vec<&str> {
    let RequestKind::Choose { labels, .. } = &item.requests[0].kind else { panic!("a label is wanted") };
    assert_eq!(*labels, item.labels);
    labels.iter().map(String::as_str).collect()
}

fn decoding(item: &Item) -> &Decoding {
    let RequestKind::Generate { decoding, .. } = &item.requests[0].kind else { panic!("a text is wanted") };
    decoding
}

const SYSTEM: Role = Role::System;
const USER: Role = Role::User;
const ASSISTANT: Role = Role::Assistant;

#[test]
fn choices_that_are_labels_are_asked_as_they_stand() {
    let found = item(mmlu(), &options(LetterLogprobs, 1, false));
    let prompt = "Questions about rivers.Which stays?\nA. a river\nB. a stone\nAnswer: B\n\nWhich flows?\nA. a river\nB. a stone\nAnswer:";
    assert_eq!((text(&found), labels(&found)), (prompt, vec!["A", "B"]));
    assert_eq!((&found.choices, &found.target), (&vec!["A".to_string(), "B".to_string()], &Target::Index(0)));
    // The very prompt of the likelihoods.
    let (config, docs, pool) = mmlu();
    let scored = build_items(
        &task(&config),
        &task_docs(&docs, Some(&pool), false),
        &options(ChoiceProtocol::Likelihood, 1, false),
    );
    let scored = scored.unwrap().remove(0);
    let RequestKind::Loglikelihood { context, .. } = &scored.requests[0].kind else { panic!() };
    assert_eq!((context, scored.labels.len()), (&Prompt::Text(prompt.into()), 0));
    assert_eq!(text(&item(mmlu(), &options(LetterText, 1, false))), prompt);

    let found = item(mmlu(), &options(LetterText, 1, true));
    let expected = [
        (SYSTEM, "Questions about rivers."),
        (USER, "Which stays?\nA. a river\nB. a stone\nAnswer:"),
        (ASSISTANT, "B"),
        (USER, "Which flows?\nA. a river\nB. a stone\nAnswer with the letter only.\nAnswer:"),
    ];
    assert_eq!(turns(&found), expected);
    let one = PromptOptions { fewshot_as_multiturn: Some(false), ..options(LetterText, 1, true) };
    let found = item(mmlu(), &one);
    let expected = [
        (SYSTEM, "Questions about rivers."),
        (
            USER,
            "Which stays?\nA. a river\nB. a stone\nAnswer: B\n\nWhich flows?\nA. a river\nB. a stone\nAnswer with the letter only.\nAnswer:",
        ),
    ];
    assert_eq!(turns(&found), expected);
}

#[test]
fn labels_that_no_question_lists_are_choices_like_others() {
    let (mut config, docs, pool) = mmlu();
    config["doc_to_text"] = json!("{{question.strip()}}");
    let found = item((config, docs, pool), &options(LetterLogprobs, 0, false));
    assert_eq!(text(&found), "Questions about rivers.Which flows?\nA. A\nB. B\nAnswer:");
}

#[test]
fn numbers_that_are_no_labels_in_one_document_are_none_in_all() {
    let config = json!({
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}\n1. x\n2. y\nAnswer:",
        "doc_to_choice": "{{c}}",
        "doc_to_target": "{{0}}",
    });
    let build = |second: Value| {
        let docs = json!([{"q": "?", "c": ["1", "2"]}, {"q": "??", "c": second}]);
        let limited = PromptOptions { limit: Some(1), ..options(LetterLogprobs, 0, true) };
        item((config.clone(), docs, json!([])), &limited)
    };
    let own = build(json!(["2", "1"]));
    assert_eq!(labels(&own), ["1", "2"]);
    assert_eq!(turns(&own), [(USER, "?\n1. x\n2. y\nAnswer with the number only.\nAnswer:")]);
    assert_eq!(labels(&build(json!(["10", "2"]))), ["A", "B"]);
}

#[test]
fn options_are_listed_below_the_question() {
    let found = item(hellaswag(), &options(LetterLogprobs, 1, false));
    let prompt = "Baking: She\nA. flies.\nB. bakes.\nAnswer: B\n\n\
        Roofing: A man sits on a roof. He\nA. is a cat.\nB. starts to work.\nC. sings.\nAnswer:";
    assert_eq!((text(&found), labels(&found)), (prompt, vec!["A", "B", "C"]));
    assert_eq!((found.choices[1].as_str(), &found.target), ("starts to work. ", &Target::Index(1)));
    assert_eq!(text(&item(hellaswag(), &options(LetterText, 1, false))), prompt);

    let system = PromptOptions { system_instruction: Some("Be brief.".into()), ..options(LetterText, 1, true) };
    let found = item(hellaswag(), &system);
    let expected = [
        (SYSTEM, "Be brief."),
        (USER, "Baking: She\nA. flies.\nB. bakes.\nAnswer:"),
        (ASSISTANT, "B"),
        (
            USER,
            "Roofing: A man sits on a roof. He\nA. is a cat.\nB. starts to work.\nC. sings.\nAnswer with the letter only.\nAnswer:",
        ),
    ];
    assert_eq!(turns(&found), expected);
}

#[test]
fn contexts_are_listed_with_their_continuation() {
    let found = item(winogrande(), &options(LetterLogprobs, 1, false));
    let prompt = "Which of these is the most plausible?\nA. The bag was too big.\nB. The box was too big.\nAnswer: A\n\n\
        Which of these is the most plausible?\nA. Ann thanked Eve, for Ann had helped.\nB. Ann thanked Eve, for Eve had helped.\nAnswer:";
    assert_eq!((text(&found), labels(&found), &found.target), (prompt, vec!["A", "B"], &Target::Index(1)));
    let found = item(winogrande(), &options(LetterText, 0, true));
    let question = "Which of these is the most plausible?\nA. Ann thanked Eve, for Ann had helped.\n\
        B. Ann thanked Eve, for Eve had helped.\nAnswer with the letter only.\nAnswer:";
    assert_eq!(turns(&found), [(USER, question)]);
}

#[test]
fn prefixes_and_delimiters_go_on_working() {
    let with = |key: &str, value: &str| {
        let (mut config, docs, pool) = hellaswag();
        config[key] = json!(value);
        (config, docs, pool)
    };
    let prefixed = || with("gen_prefix", "I say");
    assert_eq!(
        text(&item(prefixed(), &options(LetterText, 1, false))),
        "Baking: She\nA. flies.\nB. bakes.\nI say B\n\nRoofing: A man sits on a roof. He\nA. is a cat.\nB. starts to work.\nC. sings.\nI say"
    );
    let expected = [
        (USER, "Baking: She\nA. flies.\nB. bakes."),
        (ASSISTANT, "I say B"),
        (
            USER,
            "Roofing: A man sits on a roof. He\nA. is a cat.\nB. starts to work.\nC. sings.\nAnswer with the letter only.",
        ),
        (ASSISTANT, "I say"),
    ];
    assert_eq!(turns(&item(prefixed(), &options(LetterText, 1, true))), expected);
    let shot = |delimiter: &str| {
        let prompt = text(&item(with("target_delimiter", delimiter), &options(LetterText, 1, false))).to_owned();
        prompt.split_once("\n\n").unwrap().0.to_owned()
    };
    assert_eq!(shot(""), "Baking: She\nA. flies.\nB. bakes.\nAnswer: B");
    assert_eq!(shot("\n"), "Baking: She\nA. flies.\nB. bakes.\nAnswer:\nB");
}

#[test]
fn letters_are_written_greedily_and_short() {
    let plain = item(hellaswag(), &options(LetterText, 0, false));
    let found = decoding(&plain);
    assert_eq!(
        (found.until.as_slice(), found.max_gen_toks, found.do_sample),
        (&["\n".to_string()][..], Some(16), false)
    );
    let chat = item(hellaswag(), &options(LetterText, 0, true));
    assert_eq!((decoding(&chat).until.len(), decoding(&chat).max_gen_toks), (0, Some(16)));
    let (mut config, docs, pool) = hellaswag();
    config["target_delimiter"] = json!("\n");
    config["generation_kwargs"] = json!({"max_gen_toks": 999, "until": ["x"]});
    let broken = item((config, docs, pool), &options(LetterText, 0, false));
    assert_eq!((decoding(&broken).until.len(), decoding(&broken).max_gen_toks), (0, Some(16)));
    let given = json!({"max_new_tokens": 200, "temperature": 0.5, "until": ["END"]}).as_object().cloned().unwrap();
    let given = item(hellaswag(), &PromptOptions { gen_kwargs: given, ..options(LetterText, 0, false) });
    let found = decoding(&given);
    assert_eq!((found.until[0].as_str(), found.max_gen_toks, found.do_sample), ("END", Some(200), true));
}

#[test]
fn shots_name_their_choice_in_every_way() {
    let answer = |target: Value| {
        let (config, docs, _) = hellaswag();
        let mut config = config;
        config["doc_to_target"] = json!("label");
        let mut docs = docs;
        docs[0]["label"] = json!(1);
        let pool = json!([{"query": "She", "endings": ["flies.", "bakes."], "label": target}]);
        let built = build_items(&task(&config), &task_docs(&docs, Some(&pool), false), &options(LetterText, 1, false));
        built.map(|items| {
            text(&items[0]).split_once("\n\n").map(|(shot, _)| shot.rsplit('\n').next().unwrap().to_owned())
        })
    };
    for (target, expected) in [
        (json!(0), "Answer: A"),
        (json!(-1), "Answer: B"),
        (json!("bakes."), "Answer: B"),
        (json!([1, 0]), "Answer: B"),
        (json!(["flies."]), "Answer: A"),
    ] {
        assert_eq!(answer(target.clone()).unwrap().as_deref(), Some(expected), "{target}");
    }
    for target in [json!(2), json!("swims."), json!([]), json!([[0]]), json!(0.5)] {
        let err = answer(target.clone()).unwrap_err().to_string();
        assert!(err.contains("few-shot document 0, doc_to_target"), "{target}: {err}");
    }
}

#[test]
fn the_alphabet_has_an_end() {
    let config = json!({"output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": "c", "doc_to_target": "{{0}}"});
    let build = |count: usize| {
        let choices: Vec<String> = (0..count).map(|i| format!("choice {i}")).collect();
        let docs = task_docs(&json!([{"q": "?", "c": choices}]), None, false);
        build_items(&task(&config), &docs, &options(LetterLogprobs, 0, false))
    };
    assert_eq!(build(26).unwrap()[0].labels[25], "Z");
    let err = build(27).unwrap_err().to_string();
    assert!(
        err.contains("doc_to_choice gives 27 choices, and the alphabet has 26 letters") && err.contains("hint:"),
        "{err}"
    );
}

#[test]
fn other_tasks_are_asked_as_ever() {
    let config = json!({"output_type": "generate_until", "doc_to_text": "{{q}}", "doc_to_target": "a"});
    let docs = task_docs(&json!([{"q": "?", "a": "x"}]), None, false);
    let built = |protocol| build_items(&task(&config), &docs, &options(protocol, 0, false)).unwrap();
    assert_eq!(built(LetterText), built(ChoiceProtocol::Likelihood));
}
