//! The cache before a judge, and the table of judges.

use super::testing::Lengths;
use super::*;
use crate::engine::remote::CacheMode;
use crate::judgement::Judgement;
use std::rc::Rc;

fn case(answer: &str) -> Case {
    Case { answer: answer.into(), args: Default::default() }
}

fn found(judge: &dyn Judge, cases: &[Case]) -> Vec<Option<f64>> {
    let mut values = vec![None; cases.len()];
    let mut sink = |index: usize, finding: Finding| {
        values[index] = finding.ok().map(|judgement: Judgement| judgement.value);
        Ok(())
    };
    judge.judge(cases, &Cancel::default(), &mut sink).unwrap();
    values
}

#[test]
fn findings_are_kept_for_the_same_judge_and_case() {
    let dir = tempfile::tempdir().unwrap();
    let options = |mode| CacheOptions { mode, file: Some(dir.path().join("c.sqlite")), retry_refused: false };
    let kept = |name: &str, mode| {
        let judge = Lengths::new(name);
        let asked = Rc::clone(&judge.asked);
        (KeptJudge::wrap(Box::new(judge), &options(mode)).unwrap(), asked)
    };
    let cases = ["a", "bb", "failure"].map(case);
    let (first, asked) = kept("x", CacheMode::On);
    assert_eq!(found(first.as_ref(), &cases), [Some(1.0), Some(2.0), None]);
    assert_eq!(asked.get(), 3);
    drop(first);
    let (second, asked) = kept("x", CacheMode::On);
    assert_eq!(found(second.as_ref(), &cases), [Some(1.0), Some(2.0), None]);
    assert_eq!(asked.get(), 1, "only what failed is asked again");
    let (other, asked) = kept("y", CacheMode::On);
    assert_eq!(found(other.as_ref(), &cases[..2]), [Some(1.0), Some(2.0)]);
    assert_eq!(asked.get(), 2, "another judge finds for itself");
    let args = serde_json::json!({"cpu_seconds": "1"}).as_object().unwrap().clone().into();
    let (third, asked) = kept("x", CacheMode::On);
    found(third.as_ref(), &[Case { args, ..case("a") }]);
    assert_eq!(asked.get(), 1, "other limits are another case");
    let (off, asked) = kept("x", CacheMode::Off);
    found(off.as_ref(), &cases);
    assert_eq!(asked.get(), 3);
}

#[test]
fn what_a_judge_cannot_have_found_is_told() {
    let could = |name: &str, value: f64, verdict: Option<&str>| {
        let detail = verdict.map(|verdict| ("verdict".to_owned(), verdict.into())).into_iter().collect();
        judge(name).unwrap().could_find(&Judgement { value, detail })
    };
    assert!(could("code", 1.0, Some("passed")) && could("code", 0.0, Some("timed out")));
    assert!(!could("code", 0.0, Some("passed")) && !could("code", 1.0, Some("failed")) && !could("code", 1.0, None));
    assert!(could("toxicity", 0.25, None) && could("math", 1.0, None));
    assert!(!could("code", 0.5, Some("passed")) && !could("math", 0.5, None), "yes or no, and nothing between");
    assert!(!could("toxicity", 1.5, None) && !could("toxicity", f64::NAN, None) && !could("math", -1.0, None));
}

#[test]
fn rows_have_what_they_require() {
    for row in JUDGES {
        assert!(row.required.iter().all(|name| row.args.contains(name)), "{}", row.name);
        assert!(row.range.0 < row.range.1, "{}", row.name);
    }
}
