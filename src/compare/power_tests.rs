//! Sights against published figures (jobs.md A.1.12: scipy's quantiles and statsmodels' `TTestPower`).

use super::*;
use serde_json::json;
use std::io::Write;

fn wish(difference: Option<f64>) -> Wish {
    Wish { difference, demand: Demand::USUAL, level: Level::P95 }
}

fn task(name: &str, documents: usize) -> Planned {
    Planned { name: name.into(), documents, scale: Scale::RightOrWrong, clusters: None }
}

fn close(got: Option<f64>, expected: f64, within: f64) {
    let got = got.unwrap();
    assert!((got - expected).abs() <= within, "{got} instead of {expected}");
}

/// Two points need 9,811 documents a side unpaired at one half, and 385 pairs at 2 % flips.
#[test]
fn what_two_points_need() {
    let found = of_data(&[], &[task("a", 1319)], wish(Some(0.02)));
    let [outlook] = found.as_slice() else { panic!("{found:?}") };
    let unpaired = outlook.unpaired.clone().unwrap();
    close(unpaired.needed, 9811.0, 0.5);
    assert_eq!((unpaired.enough, unpaired.seen, outlook.paired.len()), (Some(false), false, 4));
    close(outlook.paired[0].needed, 385.0, 0.5);
    let enough: Vec<_> = outlook.paired.iter().map(|sight| sight.enough).collect();
    // At 5 % (0.05 - 0.0004)·(2.8016/0.02)² = 973 pairs, at 10 % 1,954, at 20 % 3,917.
    assert_eq!(enough, [Some(true), Some(true), Some(false), Some(false)]);
    close(outlook.paired[1].needed, 973.2, 0.1);
    // 2.8016·√0.05/√(1319 + 2.8016²)
    close(outlook.paired[1].least, 0.017198, 1e-5);
    // statsmodels: proportion_confint(659, 1319, method="wilson") is 0.4727 to 0.5266.
    close(outlook.half_width, 0.02695, 5e-5);
}

#[test]
fn a_difference_that_flips_cannot_make_has_no_number() {
    let found = of_data(&[], &[task("a", 1319)], wish(Some(0.03)));
    assert_eq!((found[0].paired[0].needed, found[0].paired[0].enough), (None, None));
    assert!(found[0].paired[1].needed.is_some());
    // Of twenty documents 2 % are not even one.
    assert_eq!(of_data(&[], &[task("a", 20)], wish(None))[0].paired[0].least, None);
}

#[test]
fn groups_count_by_their_weights() {
    let tasks = [task("a", 100), task("b", 300)];
    let group = |weighting| PlannedGroup { name: "g".into(), tasks: vec!["a".into(), "b".into()], weighting };
    let of = |weighting| of_data(&[group(weighting)], &tasks, wish(None)).remove(0);
    assert_eq!((of(Some(Weighting::Micro)).counts_as, of(Some(Weighting::Macro)).documents), (400, 400));
    // 4 / (1/100 + 1/300)
    assert_eq!(of(Some(Weighting::Macro)).counts_as, 300);
    let gathered = of(None);
    assert!(gathered.paired.is_empty() && gathered.note.is_some() && gathered.documents == 400);
    let other = Planned { scale: Scale::Unknown, ..task("c", 50) };
    let found = of_data(&[], &[other], wish(Some(0.02)));
    assert!(found[0].paired.is_empty() && found[0].unpaired.is_none() && found[0].note.is_some());
}

/// A run of one task with these scores, in the reference's files.
fn run(folder: &std::path::Path, name: &str, scores: &[f64], clusters: Option<usize>) -> Run {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut file = std::fs::File::create(folder.join("samples_a_x.jsonl")).unwrap();
    for (at, score) in scores.iter().enumerate() {
        let mut line = json!({"doc_id": at, "filter": "none", "acc": score});
        if let Some(count) = clusters {
            line["cluster"] = json!(format!("passage {}", at % count));
        }
        writeln!(file, "{line}").unwrap();
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let whole = json!({"results": {"a": {"acc,none": mean, "acc_stderr,none": 0.1}}, "configs": {}, "versions": {}, "n-shot": {},
        "n-samples": {"a": {"original": scores.len(), "effective": scores.len()}}, "lm_eval_version": "0.4.13"});
    let path = folder.join("results_x.json");
    std::fs::write(&path, whole.to_string()).unwrap();
    crate::read::open(&path).unwrap()
}

#[test]
fn a_baseline_tells_the_score_and_a_candidate_the_flips() {
    let folder = tempfile::tempdir().unwrap();
    let base: Vec<f64> = (0..1000).map(|at| f64::from(at < 700)).collect();
    let other: Vec<f64> = (0..1000).map(|at| f64::from((30..750).contains(&at))).collect();
    let (base, other) = (run(folder.path(), "base", &base, None), run(folder.path(), "other", &other, None));
    let all = |n: usize| n;
    let found = of_runs(&base, None, None, &all, wish(Some(0.02))).unwrap();
    let [alone] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((alone.scale, alone.base, alone.paired.len()), (Scale::RightOrWrong, Some(0.7), 4));
    // 2·0.7·0.3·(2.8016/0.02)²
    close(alone.unpaired.as_ref().unwrap().needed, 8241.3, 0.5);
    let found = of_runs(&base, Some(&other), None, &all, wish(Some(0.02))).unwrap();
    let [sight] = found[0].paired.as_slice() else { panic!("{found:?}") };
    assert_eq!((sight.flip_rate, sight.seen, sight.enough), (Some(0.08), true, Some(false)));
    // (0.08 - 0.0004)·(2.8016/0.02)²
    close(sight.needed, 1561.9, 0.5);
    // A part of the documents sees less: 2.8016·√0.08/√(250 + 2.8016²).
    let found = of_runs(&base, Some(&other), None, &|n| n / 4, wish(None)).unwrap();
    assert_eq!(found[0].documents, 250);
    close(found[0].paired[0].least, 0.04934, 1e-4);
    let err = of_runs(&base, None, Some(&["b".to_owned()]), &all, wish(None)).unwrap_err().to_string();
    assert!(err.contains("the baseline has no task or group `b`"), "{err}");
}

#[test]
fn spreads_and_clusters_come_from_the_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let scores: Vec<f64> = (0..400).map(|at| (at % 11) as f64 / 10.0).collect();
    let found = of_runs(&run(folder.path(), "x", &scores, None), None, None, &|n| n, wish(None)).unwrap();
    assert!(found[0].scale == Scale::Other && found[0].paired.is_empty() && found[0].note.is_some());
    assert!(found[0].unpaired.is_some());
    // Four copies of each of 100 answers tell no more than 100 answers.
    let copies: Vec<f64> = (0..400).map(|at| f64::from(at % 100 < 60)).collect();
    let of = |clusters| {
        of_runs(&run(folder.path(), "y", &copies, clusters), None, None, &|n| n, wish(None)).unwrap()[0].clone()
    };
    let (alone, clustered) = (of(None), of(Some(100)));
    assert_eq!(clustered.clusters, Some(100));
    let least = |outlook: &Outlook| outlook.unpaired.as_ref().unwrap().least.unwrap();
    assert!((least(&clustered) / least(&alone) - 2.0).abs() < 0.02, "{} {}", least(&clustered), least(&alone));
}
