//! `reports/coverage.md` says what the code does: a part of it is counted out again, and the defaults keep their promise.
//!
//! The whole page is made by `cargo run --release --example coverage > reports/coverage.md`.

#[path = "../examples/coverage/exact.rs"]
#[allow(dead_code, reason = "the page has more sections than are counted here")]
mod exact;
#[path = "../examples/coverage/table.rs"]
#[allow(dead_code, reason = "only the page is printed")]
mod table;

use exact::{FLIPS, PAIRS, PROPORTIONS, middle_shares, paired, proportion};
use table::Row;

const PAGE: &str = include_str!("../reports/coverage.md");

/// The row as the page has it.
fn written(row: &Row) -> String {
    format!("| {} | {} | {:.3} | {:.3} | {:.3} |", row.method, row.size, row.least(), row.mean(), row.most())
}

fn rows() -> Vec<Row> {
    let shares = middle_shares();
    let answers = [50, 164, 500].into_iter().flat_map(|n| PROPORTIONS.iter().map(move |method| (*method, n)));
    let mut rows: Vec<Row> = answers.map(|(method, n)| proportion(method, n, &shares)).collect();
    let pairs = [50, 100].into_iter().flat_map(|n| PAIRS.iter().map(move |method| (*method, n)));
    rows.extend(pairs.map(|(method, n)| paired(method, n, FLIPS)));
    rows
}

#[test]
fn the_page_says_what_the_code_does() {
    for row in rows() {
        let line = written(&row);
        assert!(PAGE.contains(&line), "reports/coverage.md lacks `{line}`: make it again");
    }
}

#[test]
fn defaults_keep_their_promise() {
    for row in rows().iter().filter(|row| row.method.ends_with("(default)")) {
        let (least, mean) = (row.least(), row.mean());
        assert_eq!(row.holds(), Some(true), "{} at {}: least {least}, mean {mean}", row.method, row.size);
    }
    // And so do those that are simulated, but for outcomes that hardly ever occur, where the page says why nothing does.
    let sections: Vec<(&str, &str)> = PAGE.split("\n## ").skip(1).filter_map(|text| text.split_once('\n')).collect();
    let rare =
        ["Right and wrong answers, nearly all alike", "Paired right and wrong answers, hardly any of which flip"];
    assert!(rare.iter().all(|title| sections.iter().any(|(found, _)| found == title)), "the page has these sections");
    let mut held = 0;
    for (title, text) in sections.into_iter().filter(|(title, _)| !rare.contains(title)) {
        let defaults = text.lines().filter(|line| line.starts_with('|') && line.contains("(default)"));
        for line in defaults.filter(|line| line.split('|').count() > 8) {
            assert!(line.contains("| yes |") || line.contains("| – |"), "{title}: {line}");
            held += usize::from(line.contains("| yes |"));
        }
    }
    assert!(held > 20, "{held} defaults are on the page");
}

/// Why others are no defaults: too short for some shares, or longer than asked for.
#[test]
fn others_do_not() {
    let rows = rows();
    let of = |name: &str| rows.iter().filter(|row| row.method == name).collect::<Vec<_>>();
    assert!(of("normal (not offered)").iter().any(|row| row.size == 50 && row.least() < 0.82));
    assert!(of("Jeffreys").iter().any(|row| row.size == 50 && row.least() < 0.92));
    assert!(of("Clopper-Pearson").iter().all(|row| row.least() >= 0.95));
    assert!(of("Bonett-Price").iter().all(|row| row.mean() > 0.955));
}

/// Least, mean and greatest coverage at p = 0.05, 0.06, … 0.95 as counted with scipy 1.17.1 and statsmodels 0.15.0.
#[test]
fn coverage_as_scipy_counts_it() {
    let counted = [
        ("Wilson (default)", 50, [0.932, 0.952, 0.978]),
        ("Wilson (default)", 164, [0.937, 0.949, 0.959]),
        ("Wilson (default)", 500, [0.943, 0.950, 0.957]),
        ("Jeffreys", 50, [0.885, 0.946, 0.968]),
        ("Clopper-Pearson", 50, [0.953, 0.967, 0.991]),
    ];
    let rows = rows();
    for (name, n, expected) in counted {
        let row = rows.iter().find(|row| row.method == name && row.size == n).expect("the row is there");
        for (got, expected) in [row.least(), row.mean(), row.most()].into_iter().zip(expected) {
            assert!((got - expected).abs() < 0.0006, "{name} at {n}: {got} instead of {expected}");
        }
    }
}
