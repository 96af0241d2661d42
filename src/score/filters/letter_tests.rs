//! Labels in texts. Expected values: what a reader takes the texts to mean.

use super::Answers;
use super::letter::{choice_letter, likeliest_label, named_label};
use super::testing::apply_to;
use crate::item::Item;
use crate::label;
use crate::score::testing::item;
use serde_json::{Value, json};

fn named(text: &str) -> Option<char> {
    let labels = label::letters(5).unwrap();
    named_label(text, &labels).and_then(|i| labels[i].chars().next())
}

#[test]
fn one_label_is_found() {
    for text in [
        "B",
        " B",
        "B.",
        " B. ",
        "(B)",
        "[B]",
        "**B**",
        "\"B\"",
        "'B'",
        "`B`",
        "B)",
        "_B_",
        "b",
        " b.",
        "(b)",
        "**b**",
        "B\n",
        "The answer is B",
        "The answer is B.",
        "Answer: B",
        "answer is: **B**",
        "Answer: (B)",
        "ANSWER: B",
        "Answer\n\nB",
        "\\boxed{B}",
        "$\\boxed{\\text{B}}$",
        "The answer is \\boxed{B}.",
        "\\boxed{B. 42}",
        "<answer>B</answer>",
        "The correct answer is option B",
        "The best answer to this question is B: the river",
        "Answer: B\n\nA is wrong.",
        "B. A cat sat on the mat",
        "B: because A is wrong",
        "B) the river",
        "Option B",
        "A cat is an animal, so B.",
        "I think B",
        "A is wrong. The answer is B",
        "Perhaps the answer is A. No, the answer is B.",
        "It's B",
        "B, since A-level is no answer",
        "答案是B。",
        "Das ist B",
        "Antwort: B",
        "B\nC is not",
        "B and not a dog",
        "Don't ask; B",
        "The answer is b.",
        "the answer is b",
        "Answer: b",
        "Answer: b is it",
        "answer: (b)",
        "The correct option is **b**.",
        "option b, since a cat is no river",
        "b) the river",
        "b. the river",
        "\\boxed{b}",
    ] {
        assert_eq!(named(text), Some('B'), "{text:?}");
    }
    assert_eq!(named("A is the right one"), Some('A'));
    assert_eq!(named("A"), Some('A'));
    assert_eq!(named("The answer is A because it is"), Some('A'));
    assert_eq!(named("not A but B"), Some('A'), "documented");
}

#[test]
fn none_or_several_are_none() {
    for text in [
        "",
        " ",
        "...",
        "the river",
        "A dog ran",
        "F",
        "A or B",
        "A and C",
        "A, B",
        "A/B",
        "Both A and B",
        "Neither A nor B",
        "The answer is A or B",
        "\\boxed{A, B}",
        "A. one\nB. two\nC. three",
        "B-tree",
        "BC",
        "don't",
        "I",
        "42",
        "A's",
        "The answer is the river",
        "the answer is a mess",
        "The answer is a or b",
        "i.e. the river",
        "a dog ran",
        "a) one\nb) two\nc) three",
        "plan b",
    ] {
        assert_eq!(named(text), None, "{text:?}");
    }
}

#[test]
fn digits_and_small_letters() {
    let of = |text: &str, labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|l| l.to_string()).collect();
        named_label(text, &labels)
    };
    let digits = ["1", "2", "3", "4"];
    for (text, expected) in [
        ("3", Some(2)),
        (" 3.", Some(2)),
        ("Answer: 3", Some(2)),
        ("3.5", None),
        ("13", None),
        ("1,200", None),
        ("-3", Some(2)),
        ("it is -3 degrees", None),
        ("(2) the cat", Some(1)),
    ] {
        assert_eq!(of(text, &digits), expected, "{text:?}");
    }
    assert_eq!(of("b", &["a", "b"]), Some(1));
    assert_eq!(of("B", &["a", "b"]), Some(1));
    assert_eq!(of("a", &["a", "A"]), Some(0));
    assert_eq!(of("the answer is b", &["a", "b"]), Some(1));
}

fn lettered(labels: &[&str]) -> Item {
    Item { labels: labels.iter().map(|l| l.to_string()).collect(), ..item() }
}

#[test]
fn filters_give_labels() {
    let one = |build, answer: Value, item: &Item| apply_to(build, json!({}), Answers::Repeats(vec![answer]), item);
    let abc = lettered(&["A", "B", "C"]);
    assert_eq!(one(choice_letter, json!(" B."), &abc), Ok(json!(["B"])));
    assert_eq!(one(choice_letter, json!("well"), &abc), Ok(json!([null])));
    assert!(one(choice_letter, json!(3), &abc).is_err());
    let by_count = Item { choices: vec!["x".into(), "y".into()], ..item() };
    assert_eq!(one(choice_letter, json!("B"), &by_count), Ok(json!(["B"])));
    assert!(one(choice_letter, json!("B"), &item()).is_err());

    assert_eq!(one(likeliest_label, json!([-2.0, -0.5, -3.0]), &abc), Ok(json!(["B"])));
    assert_eq!(one(likeliest_label, json!([null, null, -9.5]), &abc), Ok(json!(["C"])));
    assert_eq!(one(likeliest_label, json!([-1.0, -1.0, null]), &abc), Ok(json!(["A"])));
    let none = one(likeliest_label, json!([null, null, null]), &abc).unwrap_err();
    assert_eq!(none.reason, "none of the labels is among the likeliest first tokens");
    assert!(one(likeliest_label, json!([-1.0]), &abc).is_err());
}
