//! Expected values: numpy and statsmodels (`tests/fixtures/fidelity/make.py`).

use super::super::testing::{positions, unchanged};
use super::*;
use serde_json::Value;

fn golden(part: &str) -> Value {
    let text = include_str!("../../tests/fixtures/fidelity/golden.json");
    serde_json::from_str::<Value>(text).unwrap()[part].clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{got} instead of {expected}");
}

#[track_caller]
fn near_mean(got: &Mean, expected: &Value) {
    near(got.value, expected["value"].as_f64().unwrap());
    near(got.stderr.unwrap(), expected["stderr"].as_f64().unwrap());
    let (ends, expected) = (got.interval.unwrap(), numbers(&expected["interval"]));
    near(ends.low(), expected[0]);
    near(ends.high(), expected[1]);
}

fn by_recipe(golden: &Value) -> Vec<Vec<Position>> {
    let one = |recipe: &Value| {
        let recipe = numbers(recipe);
        positions(recipe[0] as u64, recipe[1] as usize, recipe[2] as usize, recipe[3])
    };
    golden["recipe"].as_array().unwrap().iter().map(one).collect()
}

fn of(lists: &[Vec<Position>]) -> Summary {
    let lists: Vec<&[Position]> = lists.iter().map(Vec::as_slice).collect();
    Summary::of(&lists, 512).unwrap()
}

#[test]
fn figures_as_numpy_and_statsmodels() {
    for name in ["one", "several", "large"] {
        let golden = golden(name);
        let got = of(&by_recipe(&golden));
        assert_eq!((got.positions, got.sequences), (golden["n"].as_u64().unwrap() as usize, got.kl.sequences));
        assert_eq!(got.sequences as u64, golden["sequences"].as_u64().unwrap());
        near_mean(&got.kl, &golden["kl"]);
        let expected = numbers(&golden["percentiles"]);
        near(got.median, expected[0]);
        for ((tail, expected), least) in
            [got.p90, got.p99, got.p99_9].into_iter().zip(&expected[1..]).zip([100, 1000, 10_000])
        {
            match tail {
                Tail::Percentile(value) => near(value, *expected),
                Tail::MaxOf { value, n } => assert!(n < least && n == got.positions && value == got.max),
            }
            assert_eq!(matches!(tail, Tail::Percentile(_)), got.positions >= least);
        }
        near(got.max, golden["max"].as_f64().unwrap());
        let (worst, expected) = (got.worst.unwrap(), numbers(&golden["worst"]));
        assert_eq!(worst.positions as f64, expected[0]);
        near(worst.share, expected[1]);
        for (bin, expected) in got.by_confidence.iter().zip(golden["by_confidence"].as_array().unwrap()) {
            assert_eq!(bin.positions as u64, expected["n"].as_u64().unwrap());
            near_mean(bin.kl.as_ref().unwrap(), &expected["kl"]);
        }
        near_mean(&got.same_top, &golden["same_top"]);
        near_mean(&got.top5_recall, &golden["top5_recall"]);
        near_mean(&got.shift.mean, &golden["shift"]);
        let rms = numbers(&golden["rms"]);
        near(got.shift.rms, rms[0]);
        near(got.shift.rms_stderr.unwrap(), rms[1]);
        let perplexities = numbers(&golden["perplexities"]);
        near(got.perplexity.reference, perplexities[0]);
        near(got.perplexity.candidate, perplexities[1]);
        near_mean(got.perplexity.log_ratio.as_ref().unwrap(), &golden["log_ratio"]);
        let ratio = numbers(&golden["ratio"]);
        near(got.perplexity.ratio.unwrap(), ratio[0]);
        near(got.perplexity.ratio_stderr.unwrap(), ratio[1]);
        let (ends, expected) = (got.perplexity.ratio_interval.unwrap(), numbers(&golden["ratio_interval"]));
        near(ends.low(), expected[0]);
        near(ends.high(), expected[1]);
        near(got.perplexity.correlation.unwrap(), golden["correlation"].as_f64().unwrap());
    }
}

#[test]
fn few_sequences_are_warned_of() {
    let [few, many] = [25, 5].map(|length| of(&[positions(1, 400, length, 0.05)]));
    assert!(few.kl.of_few_sequences() && !many.kl.of_few_sequences());
}

/// Exactly: 0, 0, 100 %, ratio 1 ± 0.
#[test]
fn against_itself_nothing_changes() {
    let got = of(&[unchanged(&positions(9, 1200, 30, 0.1))]);
    assert_eq!((got.kl.value, got.kl.stderr, got.median, got.max), (0.0, Some(0.0), 0.0, 0.0));
    assert_eq!((got.p90, got.p99), (Tail::Percentile(0.0), Tail::Percentile(0.0)));
    assert_eq!((got.same_top.value, got.top5_recall.value), (1.0, 1.0));
    assert_eq!((got.shift.mean.value, got.shift.rms, got.shift.rms_stderr), (0.0, 0.0, Some(0.0)));
    let Perplexity { ratio, ratio_stderr, correlation, reference, candidate, .. } = got.perplexity;
    assert_eq!((ratio, ratio_stderr, correlation), (Some(1.0), Some(0.0), Some(1.0)));
    assert_eq!(reference, candidate);
    // There is no share of nothing.
    assert_eq!(got.worst, None);
}

/// The ratio and Δp turn round.
#[test]
fn changing_roles_mirrors() {
    let there = positions(5, 900, 30, 0.1);
    let back: Vec<Position> = there
        .iter()
        .map(|p| Position { reference_logprob: p.candidate_logprob, candidate_logprob: p.reference_logprob, ..*p })
        .collect();
    let (there, back) = (of(&[there]), of(&[back]));
    near(back.perplexity.ratio.unwrap(), 1.0 / there.perplexity.ratio.unwrap());
    near(back.perplexity.log_ratio.unwrap().stderr.unwrap(), there.perplexity.log_ratio.unwrap().stderr.unwrap());
    near(back.shift.mean.value, -there.shift.mean.value);
    near(back.shift.rms, there.shift.rms);
    let (ends, mirrored) = (back.shift.mean.interval.unwrap(), there.shift.mean.interval.unwrap().mirrored());
    near(ends.low(), mirrored.low());
    near(ends.high(), mirrored.high());
}

#[test]
fn positions_without_figures_are_counted_and_left_out() {
    let mut list = positions(6, 300, 10, 0.1);
    let whole = of(&[list[10..].to_vec()]);
    list[0].kl = f64::NAN;
    list[1].candidate_logprob = f64::NAN;
    list[2].reference_top = f64::NAN;
    list[3].reference_logprob = f64::INFINITY;
    list[4..10].iter_mut().for_each(|p| p.kl = f64::NAN);
    let got = of(&[list.clone()]);
    assert_eq!((got.not_finite, got.positions), (10, 290));
    assert_eq!(Summary { not_finite: 0, ..got }, whole);
    assert_eq!(totals(&[&list]), None);
    list.iter_mut().for_each(|p| p.kl = f64::NAN);
    assert_eq!(Summary::of(&[&list], 512), None);
    assert_eq!(Summary::of(&[], 512), None);
}

#[test]
fn an_infinite_divergence_makes_the_mean_infinite() {
    let mut list = positions(6, 1200, 10, 0.1);
    list[7].kl = f64::INFINITY;
    list[7].candidate_logprob = f64::NEG_INFINITY;
    let got = of(&[list]);
    assert_eq!((got.infinite, got.not_finite, got.kl.value, got.kl.stderr), (1, 0, f64::INFINITY, None));
    assert!(got.median.is_finite() && got.p99.value().is_finite() && got.max.is_infinite());
    assert_eq!((got.worst, got.perplexity.ratio), (None, Some(f64::INFINITY)));
    assert_eq!((got.perplexity.candidate, got.perplexity.correlation), (f64::INFINITY, None));
    assert!(got.shift.rms.is_finite());
    let text = serde_json::to_value(&got).unwrap();
    assert_eq!((&text["kl"]["value"], &text["p99_9"]["max_of"]["value"]), (&"Infinity".into(), &"Infinity".into()));
}

/// Sequences of two sources are never one; those of one source are.
#[test]
fn sequences_are_told_apart_by_source() {
    let list = positions(3, 40, 10, 0.1);
    assert_eq!(of(&[list.clone(), list.clone()]).sequences, 8);
    let both = totals(&[&list, &list]).unwrap();
    assert_eq!((both.len(), both[0], both[3].positions), (8, both[4], 10));
    near(both.iter().map(|total| total.kl).sum::<f64>(), 2.0 * list.iter().map(|p| p.kl).sum::<f64>());
}

#[test]
fn a_small_vocabulary_has_no_five() {
    let list: Vec<Position> = positions(3, 40, 10, 0.1).into_iter().map(|p| Position { top5: 3, ..p }).collect();
    near(Summary::of(&[&list], 3).unwrap().top5_recall.value, 1.0);
    near(Summary::of(&[&list], 512).unwrap().top5_recall.value, 0.6);
}
