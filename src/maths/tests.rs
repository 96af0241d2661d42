//! Every outcome in `tests/fixtures/maths/golden.json.gz`, which lm-evaluation-harness' own functions gave (`make.py`
//! beside it), and hostile texts.

use super::hendrycks::{Copy, strip_string};
use super::symbolic::{Run, Verdict, judge_all};
use super::*;
use serde_json::Value;
use std::io::Read;

pub(super) fn golden(name: &str) -> Vec<Vec<Value>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/maths/golden.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let rows = all[name].as_array().unwrap();
    assert!(rows.len() > 100, "{name} has only {} rows", rows.len());
    rows.iter().map(|row| row.as_array().unwrap().clone()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Compares each golden row's last value with ours, made of its first values; reports all that differ.
fn check(name: &str, ours: impl Fn(&[Value]) -> Value) {
    let wrong: Vec<String> = golden(name)
        .iter()
        .filter_map(|row| {
            let (theirs, given) = row.split_last().unwrap();
            let ours = ours(given);
            (&ours != theirs).then(|| format!("{given:?}\n  reference {theirs}\n  ours      {ours}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{name}: {} differ\n{}", wrong.len(), wrong.join("\n"));
}

fn raised(name: &str) -> Value {
    Value::from(vec!["raised", name])
}

fn box_error(error: BoxError) -> Value {
    raised(match error {
        BoxError::Missing => "TypeError",
        BoxError::Malformed => "AssertionError",
    })
}

#[test]
fn boxes_are_the_references() {
    check("last_boxed", |given| last_boxed(text(&given[0])).into());
    check("remove_boxed", |given| remove_boxed(text(&given[0])).map_or_else(box_error, Value::from));
    check("boxed_answer", |given| boxed_answer(text(&given[0])).map_or_else(box_error, Value::from));
}

/// The reference's exceptions in the clean-up are of three kinds; ours has one, since all have one effect.
fn stripped(s: &str, copy: Copy) -> Value {
    strip_string(s, copy).map_or(Value::from("raised"), |s| Value::from(vec![s]))
}

#[test]
fn the_clean_up_is_the_references() {
    for (name, copy) in [("strip_hendrycks", Copy::Hendrycks), ("strip_agieval", Copy::Agieval)] {
        for row in golden(name) {
            let theirs = if row[1].is_array() { Value::from("raised") } else { Value::from(vec![text(&row[1])]) };
            assert_eq!(stripped(text(&row[0]), copy), theirs, "{name} of {:?}", row[0]);
        }
    }
}

#[test]
fn hendrycks_verdicts_are_the_references() {
    check("equal_hendrycks", |given| hendrycks_equal(text(&given[0]), text(&given[1])).into());
    check("score_hendrycks", |given| {
        let answer = hendrycks_answer(text(&given[0]));
        boxed_answer(text(&given[1])).map_or_else(box_error, |gold| i32::from(hendrycks_equal(answer, &gold)).into())
    });
}

#[test]
fn agieval_answers_and_verdicts_are_the_references() {
    check("parse_agieval", |given| parse_math_answer(text(&given[0])).into());
    check("equal_agieval", |given| agieval_equal(text(&given[0]), text(&given[1])).into());
}

#[test]
fn minerva_answers_are_the_references() {
    check("answer_minerva", |given| minerva_answer(text(&given[0])).into());
    check("normalize_minerva", |given| normalize_final_answer(text(&given[0])).into());
}

#[test]
fn the_exact_tier_never_contradicts_sympy() {
    let (mut decided, mut judged, mut wrong) = (0, 0, Vec::new());
    for row in golden("symbolic") {
        let (a, b, equal, sympy_judged) = (text(&row[0]), text(&row[1]), row[2] == true, row[3] == true);
        let ours = exact::scalar(a, b);
        judged += usize::from(sympy_judged);
        decided += usize::from(ours.is_some());
        // The reference's equal texts are equal before sympy is asked.
        if a != b && ours.is_some_and(|ours| ours != equal || !sympy_judged) {
            wrong.push(format!("{a:?} {b:?}: sympy {equal} (judged: {sympy_judged}), ours {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} contradictions\n{}", wrong.len(), wrong.join("\n"));
    assert!(decided * 10 >= judged * 8, "only {decided} of {judged} decided");
}

#[test]
fn collections_are_judged_entry_by_entry() {
    for (a, b, verdict) in [
        ("(\\frac{1}{2},3)", "(0.5, 3)", Some(true)),
        ("[2,5)", "[2,5]", Some(false)),
        ("\\left(-\\infty, \\frac{6}{4}\\right]", "(-\\infty,1.5]", Some(true)),
        ("(-\\infty,2)", "(\\infty,2)", Some(false)),
        ("\\{1,2,3\\}", "\\{3,1,2\\}", Some(true)),
        ("\\{1,2,3\\}", "\\{3,1,4\\}", Some(false)),
        ("2,3", "2,5", Some(false)),
        ("2,3", "3,2", None),
        ("1,2", "1,2,3", Some(false)),
        ("(1,234)", "(1234,1)", None),
        ("(0,100)", "(0,10^2)", Some(true)),
        ("(-\\infty,1)\\cup(2,\\infty)", "(2,\\infty)\\cup(-\\infty,1)", Some(true)),
        ("[1,2]\\cup[2,3]", "[1,3]\\cup[3,3]", None),
        ("\\begin{pmatrix}1\\\\\\frac{4}{2}\\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", Some(true)),
        ("\\begin{pmatrix}1&2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", Some(false)),
        ("\\begin{pmatrix}1/2\\-2\\3\\\\\\end{pmatrix}", "\\begin{pmatrix}0.5\\\\-2\\\\3\\end{pmatrix}", Some(true)),
        ("204_5", "204_{5}", Some(true)),
        ("204_5", "203_5", Some(false)),
        ("204_5", "204_7", None),
        ("204_5", "204", None),
        ("50\\%", "\\frac{1}{2}", Some(true)),
        ("50\\%", "50", None),
        ("50\\%", "0.4", Some(false)),
        ("\\$5.50", "5.5", Some(true)),
        ("x=5", "5", Some(true)),
        ("x=5", "y=5", None),
        ("45^\\circ", "45", None),
        ("(1,2)", "3", Some(false)),
        ("\\text{even}", "\\text{odd}", None),
        ("3\\frac{1}{2}", "\\frac{7}{2}", None),
    ] {
        assert_eq!(exact(a, b), verdict, "{a} {b}");
        assert_eq!(exact(b, a), verdict, "{b} {a}");
    }
}

#[test]
fn tiers_are_told() {
    assert_eq!(decide("[2,5)", "[2,5)", exact::scalar), Some((true, Tier::Text)));
    assert_eq!(decide("0.5", "\\frac{1}{2}", exact::scalar), Some((true, Tier::Exact)));
    assert_eq!(decide("(1,2)", "3", exact), Some((false, Tier::Exact)));
    assert_eq!(decide("(1,2)", "(1,2.0)", exact::scalar), None, "not to be read by sympy");
    assert_eq!(decide("\\log_28", "3", exact), None);
    assert_eq!(decide("", "", exact), None, "no answer is no right answer");
}

/// Runs a scripted program on four pairs; what was told, and how many runs it took.
fn judged(runs: &[(&str, bool)]) -> (Vec<Result<bool, String>>, usize) {
    let pairs: Vec<(String, String)> = (0..4).map(|n| (n.to_string(), "x".to_owned())).collect();
    let started = std::cell::Cell::new(0);
    let run = |_: &[(String, String)]| {
        let (output, whole) = runs[started.get()];
        started.set(started.get() + 1);
        Run { output: output.to_owned(), broken_off: (!whole).then(|| "killed".to_owned()) }
    };
    let mut told = Vec::new();
    judge_all(&pairs, &run, &mut |index, verdict| {
        assert_eq!(index, told.len(), "in order, each once");
        told.push(verdict.map(|verdict: Verdict| verdict.equal));
        true
    });
    (told, started.get())
}

#[test]
fn the_program_is_started_again_behind_the_pair_that_ended_it() {
    let line = |pair: usize| format!("{{\"pair\": {pair}, \"equal\": true, \"reason\": null}}\n");
    let two = line(0) + &line(1);
    let (told, runs) = judged(&[(&two, false), (&line(0), true)]);
    assert_eq!((told.len(), runs), (4, 2));
    assert!(told[2].as_ref().unwrap_err().contains("killed"));
    assert!([0, 1, 3].iter().all(|n| told[*n] == Ok(true)));
    // It ended by itself after a pair that spoilt sympy: the next one is not to blame.
    let (told, runs) = judged(&[(&two, true), (&two, true)]);
    assert_eq!((told, runs), (vec![Ok(true); 4], 2));
    // Silence must not go on for ever.
    let (told, runs) = judged(&[("", true), ("noise\n{\"pair\": 7, \"equal\": true}\n", true), (&two, true)]);
    assert_eq!((told.iter().filter(|verdict| verdict.is_err()).count(), runs), (2, 3));
    let (told, runs) = judged(&[("{\"unavailable\": \"no sympy\"}\n", true)]);
    assert_eq!(runs, 1);
    assert!(told.iter().all(|verdict| verdict.as_ref().is_err_and(|why| why.contains("no sympy"))));
}
