//! The built-in model against scores that `train.py` computed, and files that are no models.

use super::*;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Golden {
    text: String,
    score: f64,
}

fn scores(scorer: &dyn Scorer, texts: &[&str]) -> Vec<f64> {
    let mut scores = vec![f64::NAN; texts.len()];
    scorer.score(texts, &|| false, &mut |index, score| scores[index] = score.unwrap()).unwrap();
    scores
}

/// `testdata/golden.json`: scores by the features and arithmetic of `train.py`, written when it made the model.
#[test]
fn scores_are_those_of_the_reference() {
    let golden: Vec<Golden> = serde_json::from_str(include_str!("testdata/golden.json")).unwrap();
    assert!(golden.len() >= 9);
    let scorer = LinearScorer::new(DEFAULT, "built-in").unwrap();
    let texts: Vec<&str> = golden.iter().map(|golden| golden.text.as_str()).collect();
    for (golden, score) in golden.iter().zip(scores(&scorer, &texts)) {
        assert!((golden.score - score).abs() < 1e-9, "{:?}: {score} is not {}", golden.text, golden.score);
    }
}

#[test]
fn the_built_in_model_is_small_and_known() {
    let scorer = LinearScorer::new(DEFAULT, "built-in").unwrap();
    assert!(DEFAULT.len() < 256 << 10);
    assert_eq!((scorer.identity().kind.as_str(), scorer.identity().label.as_str()), ("linear", "toxicity"));
    assert_eq!(scorer.identity().sha256.len(), 64);
    let written = scorer.model.write().unwrap();
    assert_eq!(LinearModel::read(&written).unwrap(), scorer.model);
}

#[test]
fn models_come_from_files_too() {
    let hub = crate::hub::Hub::from_env(true).unwrap();
    let options = OpenOptions { hub: &hub, env: &|_| None };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.fmlin");
    std::fs::write(&path, DEFAULT).unwrap();
    let scorer = open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(scorer.identity().name, "mine");
    let built_in = open("", &options).unwrap();
    assert_eq!(scorer.identity().sha256, built_in.identity().sha256);
    std::fs::write(&path, &DEFAULT[..DEFAULT.len() - 1]).unwrap();
    let err = open(path.to_str().unwrap(), &options).err().unwrap().to_string();
    assert!(err.contains("mine.fmlin") && err.contains("weights, but its header says"), "{err}");
    let missing: PathBuf = dir.path().join("none");
    assert!(open(missing.to_str().unwrap(), &options).is_err());
}

#[test]
fn hostile_files_are_refused() {
    let header = |json: &str, weights: usize| {
        let mut bytes = b"FMLINEAR".to_vec();
        bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        bytes.extend_from_slice(json.as_bytes());
        bytes.resize(bytes.len() + weights, 0);
        bytes
    };
    let json = |buckets: &str, scale: &str, words: &str| {
        let features = format!("{{\"words\":{words},\"chars\":[3,5]}}");
        format!(
            "{{\"version\":1,\"label\":\"x\",\"features\":{features},\"buckets\":{buckets},\"scale\":{scale},\"bias\":0}}"
        )
    };
    let good = header(&json("4", "1.0", "[1,2]"), 4);
    assert!(LinearModel::read(&good).is_ok());
    let bad = [
        Vec::new(),
        b"FMLINEAR".to_vec(),
        b"FMLINEAR\xff\xff\xff\xff".to_vec(),
        b"not a model at all".to_vec(),
        header("{}", 4),
        header(&json("4", "1.0", "[1,2]"), 3),
        header(&json("3", "1.0", "[1,2]"), 3),
        header(&json("0", "1.0", "[1,2]"), 0),
        header(&json("18446744073709551615", "1.0", "[1,2]"), 4),
        header(&json("9223372036854775808", "1.0", "[1,2]"), 4),
        header(&json("4", "1e999", "[1,2]"), 4),
        header(&json("4", "1.0", "[2,1]"), 4),
        header(&json("4", "1.0", "[1,9999999]"), 4),
        header(&json("4", "1.0", "[1,2]").replace("\"version\":1", "\"version\":2"), 4),
        header(&json("4", "1.0", "[1,2]").replace("\"label\"", "\"lable\""), 4),
    ];
    for bytes in bad {
        assert!(LinearModel::read(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
    }
}

/// What the model is for, and what it cannot do: the order of these texts, not their scores.
#[test]
fn insults_score_above_weather() {
    let scorer = LinearScorer::new(DEFAULT, "built-in").unwrap();
    let found = scores(&scorer, &["The train leaves at noon from platform two.", "You are a pathetic idiot, shut up."]);
    assert!(found[0] < 0.2 && found[1] > 0.8, "{found:?}");
}

#[test]
fn a_user_who_stops_gets_no_more() {
    let scorer = LinearScorer::new(DEFAULT, "built-in").unwrap();
    let mut told = 0;
    scorer.score(&["a"; 3], &|| true, &mut |_, _| told += 1).unwrap();
    assert_eq!(told, 0);
}
