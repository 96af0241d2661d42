//! The demo's data sets: the committed files are what the generator writes, held-out rows stand nowhere in the training text,
//! and every row has the shape of the benchmark that its data set imitates.

#[path = "../examples/demo_world/mod.rs"]
mod demo_world;

use demo_world::{Part, SEED};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

const FOLDER: &str = "datasets/demo";

#[test]
fn the_committed_files_are_what_the_generator_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    for (name, content) in demo_world::files(&demo_world::parts(SEED)) {
        let committed = std::fs::read(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(committed == content.into_bytes(), "{name} differs: run the example make_demo");
    }
}

/// What a model reads of a row before it answers.
fn asked(row: &Value) -> &str {
    let text = ["question", "ctx"].iter().find_map(|key| row[key].as_str());
    text.or(row["prompt"].as_str()).or(row["prompt"]["text"].as_str()).unwrap()
}

#[test]
fn held_out_rows_stand_nowhere_in_the_training_text() {
    let parts = demo_world::parts(SEED);
    let text = demo_world::documents(&parts, SEED).join("\n\n");
    for part in &parts {
        let shown: HashSet<&str> = part.train.iter().map(asked).collect();
        for row in &part.test {
            assert!(!text.contains(asked(row)), "{}: {row} is in the training text", part.name);
            assert!(!shown.contains(asked(row)), "{}: {row} is among the shots", part.name);
        }
        // Rows for shots are known to the model: the search above can find what is there.
        assert!(part.train.iter().all(|row| text.contains(asked(row))), "{}", part.name);
    }
}

#[test]
fn every_data_set_has_its_size_and_its_shape() {
    for Part { name, train, test, .. } in demo_world::parts(SEED) {
        assert!((150..=400).contains(&(train.len() + test.len())) && test.len() >= 100, "{name}");
        let questions: HashSet<&str> = test.iter().map(asked).collect();
        assert_eq!(questions.len(), test.len(), "{name}: every question is asked once");
        for row in train.iter().chain(&test) {
            shaped(name, row);
        }
    }
}

/// The columns of the data set whose shape `name` has.
fn shaped(name: &str, row: &Value) {
    let distinct = |choices: &Value| {
        let choices = choices.as_array().unwrap();
        assert_eq!(choices.iter().collect::<HashSet<_>>().len(), choices.len(), "{row}");
        choices.len()
    };
    match name {
        "facts" => {
            assert_eq!(distinct(&row["choices"]), 4);
            assert!(row["answer"].as_u64().unwrap() < 4 && row["subject"].is_string());
        }
        "chores" => {
            assert_eq!(distinct(&row["endings"]), 4);
            assert!(row["label"].as_str().unwrap().parse::<usize>().unwrap() < 4);
        }
        "sums" => {
            let (work, result) = row["answer"].as_str().unwrap().split_once("\n#### ").unwrap();
            let last = work.trim_end_matches('.').rsplit(' ').next().unwrap();
            assert_eq!(last, result, "{row}");
            result.parse::<u32>().unwrap();
        }
        "code" => {
            let entry = row["entry_point"].as_str().unwrap();
            assert!(row["prompt"].as_str().unwrap().starts_with(&format!("def {entry}(")));
            assert!(row["canonical_solution"].as_str().unwrap().starts_with("    return "));
            assert!(row["test"].as_str().unwrap().starts_with("def check(candidate):\n    assert "));
        }
        "myths" => {
            assert_eq!((distinct(&row["mc1_targets"]["choices"]), distinct(&row["mc2_targets"]["choices"])), (4, 5));
            assert_eq!(row["mc2_targets"]["labels"], serde_json::json!([1, 1, 0, 0, 0]));
        }
        _ => assert!(row["continuation"]["text"].as_str().unwrap().starts_with(' ')),
    }
}
