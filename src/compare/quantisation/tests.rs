//! Tables of made runs: what is refused, how formats stand to the line of rounding, who is dominated, sentences.

use super::pareto::paired;
use super::*;
use crate::compare::{Options, compare};
use crate::estimate::Estimate;
use crate::fidelity::testing::{header, positions, unchanged};
use crate::fidelity::{Kind, totals};
use crate::record::{Model, Node, Program, Samples, Task, Writer};
use crate::run::Status;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// A run of one task of choices whose documents are right by `is_right`.
fn run(dir: &Path, name: &str, is_right: impl Fn(usize) -> bool) -> Run {
    const DOCS: usize = 200;
    let lines = (0..DOCS).map(|doc| {
        let right = is_right(doc);
        let choices = [["-1.0", "False"], if right { ["-0.5", "False"] } else { ["-2.0", "False"] }];
        let score = f64::from(u8::from(right));
        json!({"doc_id": doc, "filter": "none", "filtered_resps": choices, "acc": score}).to_string() + "\n"
    });
    let file = dir.join(format!("samples_{name}.jsonl"));
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let estimate = Estimate {
        metric: "acc".into(),
        filter: "none".into(),
        value: Some((0..DOCS).filter(|doc| is_right(*doc)).count() as f64 / DOCS as f64),
        stderr: None,
        stderr_method: None,
        n: DOCS,
        unscored: 0,
        refused: 0,
        bounds: None,
        higher_is_better: Some(true),
    };
    let task = Task { name: "t".into(), estimates: vec![estimate], samples: Samples::Lines(file), ..Task::default() };
    let (storage, precision, bytes) = match name {
        "f32" => ("float32", None, 4000),
        "bf16" => ("bfloat16", None, 2000),
        other => (other, Some(other.to_owned()), if other == "q4_0" { 563 } else { 600 }),
    };
    Run {
        path: dir.join(name),
        writer: Writer { program: Program::Fairmark, version: None },
        model: Model {
            label: "m".into(),
            storage: Some(storage.into()),
            precision,
            bytes: Some(bytes),
            num_parameters: Some(1000),
            ..Model::default()
        },
        status: Status::Complete,
        repeatable: Some(true),
        started: None,
        tree: vec![Node::Task("t".into())],
        tasks: vec![task],
        groups: Vec::new(),
        not_run: Vec::new(),
        spec_sha256: Some(if name == "f32" { "5pec".into() } else { name.into() }),
        usage: Some(
            json!({"memory_bytes": 2 * bytes, "session": {"tokens_per_second": if name == "q4_0" { 90.0 } else { 80.0 }}}),
        ),
    }
}

type Measured = Vec<(Header, Vec<Position>)>;

/// Runs in their order with their positions.
struct Bench {
    _dir: tempfile::TempDir,
    runs: Vec<(String, Run)>,
    measured: HashMap<String, Measured>,
}

/// The reference with itself, bf16 near to it, two formats of 4 bits of which the smaller one is nearer.
fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let right: [(&str, &dyn Fn(usize) -> bool); 4] = [
        ("f32", &|doc| doc % 3 > 0),
        ("bf16", &|doc| doc % 3 > 0),
        ("q4_0", &|doc| doc % 3 > 0 && doc % 50 != 1),
        ("nf4", &|doc| doc % 3 > 0 && doc % 20 != 1),
    ];
    let runs = right.map(|(name, is_right)| (name.to_owned(), run(dir.path(), name, is_right)));
    let one = |seed, scale: f64| -> Measured {
        [("t", 1200), ("corpus:a.txt", 900)]
            .map(|(source, n)| {
                let list = positions(seed, n, 20, scale.max(1e-3));
                let list = if scale == 0.0 { unchanged(&list) } else { list };
                (header(source, &list), list)
            })
            .into()
    };
    let measured = [("f32", one(1, 0.0)), ("bf16", one(1, 0.001)), ("q4_0", one(2, 0.05)), ("nf4", one(3, 0.2))];
    let measured = measured.map(|(name, measured)| (name.to_owned(), measured)).into();
    Bench { _dir: dir, runs: runs.into(), measured }
}

impl Bench {
    fn of(&self, names: &[&str]) -> Result<Quantisation> {
        let find = |name: &&str| self.runs.iter().find(|(label, _)| label == name).unwrap();
        let runs: Vec<(&str, &Run)> = names.iter().map(find).map(|(label, run)| (label.as_str(), run)).collect();
        let (base, others) = runs.split_first().unwrap();
        let comparisons = others.iter().map(|run| compare(*base, *run, &Options::default()));
        let comparisons: Vec<Comparison> = comparisons.collect::<Result<_>>().unwrap();
        let of = |run: &Run| {
            let label = &self.runs.iter().find(|(_, known)| known.path == run.path).unwrap().0;
            self.measured.get(label).cloned().unwrap_or_default()
        };
        let headers = |run: &Run| Ok(of(run).into_iter().map(|(header, _)| header).collect());
        let positions =
            |run: &Run, header: &Header| Ok(of(run).into_iter().find(|(known, _)| known == header).unwrap().1);
        Ok(quantisation(&runs, &comparisons, Reader { headers: &headers, positions: &positions })?.unwrap())
    }

    fn all(&self) -> Result<Quantisation> {
        self.of(&["f32", "bf16", "q4_0", "nf4"])
    }

    /// The headers and positions of a run.
    fn edit(&mut self, name: &str) -> &mut Measured {
        self.measured.get_mut(name).unwrap()
    }

    #[track_caller]
    fn refused(&self, said: &[&str]) {
        let err = self.all().err().unwrap();
        assert_eq!(err.kind().exit_code(), 2);
        assert!(said.iter().all(|part| err.to_string().contains(part)), "{err}");
    }
}

#[test]
fn formats_stand_to_the_line_of_rounding() {
    let found = bench().all().unwrap();
    assert_eq!((found.reference.as_str(), found.rounding.as_deref()), ("f32", Some("bf16")));
    let standing = |format: &str, source: &str| {
        let row = found.divergences.iter().find(|row| row.format == format && row.source == source).unwrap();
        (row.standing, row.summary.kl.value)
    };
    assert_eq!(standing("f32", "t"), (Standing::Itself, 0.0));
    let (line, kl) = standing("bf16", "t");
    assert!(line == Standing::Line && kl > 0.0);
    let (Standing::Times(times), of_q4) = standing("q4_0", "t") else { panic!("{:?}", standing("q4_0", "t")) };
    assert!((times - of_q4 / kl).abs() < 1e-12 && times > 20.0, "{times}");
    assert!(matches!(standing("nf4", "corpus:a.txt").0, Standing::Times(_)));
}

#[test]
fn twice_the_line_is_within_rounding() {
    let mut bench = bench();
    let of_line = bench.measured["bf16"].clone();
    *bench.edit("q4_0") = of_line.clone();
    for (_, list) in bench.edit("q4_0") {
        list.iter_mut().for_each(|p| p.kl *= 2.0);
    }
    let row = |found: &Quantisation| found.divergences.iter().find(|row| row.format == "q4_0").unwrap().standing;
    assert_eq!(row(&bench.all().unwrap()), Standing::WithinRounding);
    bench.edit("q4_0")[0].1[0].kl += 1.0;
    assert!(matches!(row(&bench.all().unwrap()), Standing::Times(_)));
    // Without the line nothing is said of rounding.
    let without = bench.of(&["f32", "q4_0"]).unwrap();
    assert_eq!((without.rounding.as_deref(), row(&without)), (None, Standing::Unknown));
    assert!(!without.sentences[0].contains("line"), "{:?}", without.sentences);
}

#[test]
fn where_the_reference_is_bf16_float32_is_the_line() {
    let bench = bench();
    let runs: HashMap<&str, &Run> = bench.runs.iter().map(|(label, run)| (label.as_str(), run)).collect();
    let of = |names: &[&'static str]| {
        let runs: Vec<(&str, &Run)> = names.iter().map(|name| (*name, runs[name])).collect();
        measured::rounding(&runs, names[0]).map(str::to_owned)
    };
    assert_eq!(of(&["bf16", "nf4", "f32"]).as_deref(), Some("f32"));
    assert_eq!(of(&["f32", "nf4", "bf16"]).as_deref(), Some("bf16"));
    assert_eq!((of(&["nf4", "f32", "bf16"]), of(&["f32"]), of(&["f32", "nf4"])), (None, None, None));
}

#[test]
fn a_run_against_itself_costs_nothing() {
    let mut bench = bench();
    let of_reference = bench.measured["f32"].clone();
    *bench.edit("bf16") = of_reference;
    let found = bench.of(&["f32", "bf16"]).unwrap();
    let row = &found.divergences[found.divergences.len() - 1];
    let summary = &row.summary;
    assert_eq!((summary.kl.value, summary.max, summary.same_top.value), (0.0, 0.0, 1.0));
    assert_eq!((summary.perplexity.ratio, summary.perplexity.ratio_stderr), (Some(1.0), Some(0.0)));
    let score = &found.scores[0].row.paired.as_ref().unwrap();
    assert_eq!((score.difference.value, score.to_right, score.to_wrong), (0.0, Some(0), Some(0)));
    assert!(found.sentences[0].ends_with("KL 0: every distribution is the reference's"), "{:?}", found.sentences);
}

#[test]
fn changing_roles_mirrors_scores() {
    let mut bench = bench();
    bench.measured.remove("f32");
    let there = bench.of(&["f32", "q4_0"]).unwrap().scores[0].row.paired.clone().unwrap();
    for (header, _) in bench.edit("q4_0").iter_mut() {
        header.reference_spec = "q4_0".into();
    }
    let measured = bench.measured.remove("q4_0").unwrap();
    bench.measured.insert("f32".into(), measured);
    let back = bench.of(&["q4_0", "f32"]).unwrap().scores[0].row.paired.clone().unwrap();
    assert_eq!(there.difference.value, -back.difference.value);
    assert_eq!((there.to_wrong, there.to_right), (back.to_right, back.to_wrong));
}

#[test]
fn sentences_say_what_it_cost() {
    let found = bench().all().unwrap();
    let [bf16, q4_0, nf4] = found.sentences.as_slice() else { panic!("{:?}", found.sentences) };
    assert!(bf16.starts_with("bf16: every score is the same; KL "), "{bf16}");
    assert!(bf16.contains(", which is the line of rounding; the worst 1 % of positions carry "), "{bf16}");
    assert!(
        q4_0.starts_with("q4_0: ") && q4_0.contains(" answers flipped (") && q4_0.contains("× the bf16 line"),
        "{q4_0}"
    );
    assert!(nf4.starts_with("nf4: worse on t (acc -"), "{nf4}");
}

/// The base need not be the reference, and the reference need not be there.
#[test]
fn runs_may_stand_in_another_order() {
    let bench = bench();
    let turned = bench.of(&["q4_0", "f32", "bf16"]).unwrap();
    assert_eq!((turned.base.as_str(), turned.reference.as_str()), ("q4_0", "f32"));
    assert_eq!(turned.rounding.as_deref(), Some("bf16"));
    let [f32, bf16] = turned.sentences.as_slice() else { panic!("{:?}", turned.sentences) };
    assert!(!f32.contains("KL") && bf16.contains("KL"), "{f32} {bf16}");
    assert!(matches!(turned.divergences[0].standing, Standing::Times(_)));
    let without = bench.of(&["q4_0", "nf4"]).unwrap();
    assert_eq!((without.base.as_str(), without.reference.as_str()), ("q4_0", "f32 (another run)"));
    assert_eq!(without.rounding, None);
    assert!(without.notes.iter().any(|note| note.contains("against f32, whose run is not here")));
}

/// A reference that a later command held against another model: only its own positions are left out.
#[test]
fn stale_positions_of_the_base_are_left_out() {
    let mut bench = bench();
    for (header, list) in bench.edit("f32") {
        header.reference_spec = "other".into();
        list.iter_mut().for_each(|p| p.kl = 1.0);
    }
    let found = bench.all().unwrap();
    assert!(found.divergences.iter().all(|row| row.format != "f32"));
    assert!(
        found.notes.iter().any(|note| note.starts_with("f32: its own positions (t, corpus:a.txt)")),
        "{:?}",
        found.notes
    );
}

/// One of two choices right in half of all cases is chance; in two of three it is not.
#[test]
fn a_base_at_chance_is_said() {
    let mut bench = bench();
    assert!(bench.all().unwrap().at_chance.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let guessing = run(dir.path(), "f32", |doc| doc % 2 == 0);
    bench.runs[0].1 = Run { path: bench.runs[0].1.path.clone(), ..guessing };
    let found = bench.all().unwrap();
    let [AtChance { task, metric, score, chance, .. }] = found.at_chance.as_slice() else { panic!() };
    assert_eq!((task.as_str(), metric.as_str(), *score, *chance), ("t", "acc", 0.5, 0.5));
    assert!(found.sentences.iter().all(|sentence| sentence.contains("at chance on t (0.5000, chance 0.5000)")));
}

#[test]
fn the_smaller_and_nearer_format_dominates() {
    let found = bench().all().unwrap();
    let [Dominated { format, by, nearer, p, sequences, faster, .. }] = found.dominated.as_slice() else {
        panic!("{:?}", found.dominated)
    };
    assert_eq!((format.as_str(), by.as_str(), *sequences, *faster), ("nf4", "q4_0", 60, Some(true)));
    assert!(*nearer > 0.0 && *p < 0.05);
    // What is not finite cannot be paired, and the same positions everywhere are no difference.
    let mut bench = bench();
    bench.edit("nf4")[0].1[3].kl = f64::NAN;
    assert!(bench.all().unwrap().dominated.is_empty());
    let mut bench = super::tests::bench();
    let same = bench.measured["q4_0"].clone();
    *bench.edit("nf4") = same;
    assert!(bench.all().unwrap().dominated.is_empty());
}

/// By position with clusters (`OLS(...).fit(cov_type='cluster', use_t=True)`) it is the same as by sums of sequences.
#[test]
fn nearness_is_paired_as_statsmodels_does() {
    let text = include_str!("../../../tests/fixtures/fidelity/golden.json");
    let golden = serde_json::from_str::<serde_json::Value>(text).unwrap()["paired"].clone();
    let [first, second] =
        [(7, 0.05), (8, 0.06)].map(|(seed, scale)| totals(&[&positions(seed, 1000, 20, scale)]).unwrap());
    let (gained, test) = paired(&second, &first).unwrap();
    assert!((gained - golden["difference"].as_f64().unwrap()).abs() < 1e-9);
    assert!((test.p - golden["p"].as_f64().unwrap()).abs() < 1e-9, "{}", test.p);
}

#[test]
fn what_cannot_stand_side_by_side_is_refused() {
    let edited = |edit: &dyn Fn(&mut Header)| {
        let mut bench = bench();
        edit(&mut bench.edit("nf4")[0].0);
        bench
    };
    edited(&|header| header.kind = Kind::Lower).refused(&["nf4 has kl_lower of t", "f32 has kl"]);
    edited(&|header| header.vocabulary = 7).refused(&["nf4 has a vocabulary of 7", "f32 one of 512"]);
    edited(&|header| header.tokens_sha256 = "x".into()).refused(&["nf4 and f32", "other tokens", "t"]);
    edited(&|header| header.window = Some(512)).refused(&["nf4 and f32", "other tokens"]);
    edited(&|header| header.positions = 7).refused(&["nf4 has 7 positions of t and f32 has 1200"]);
    let mut cut = bench();
    cut.edit("nf4")[0].1.pop();
    cut.refused(&["nf4 has 1199 positions of t", "its header says 1200"]);
    edited(&|header| header.replaced = Some((0, 36))).refused(&["nf4 replaced none of 36 matrices"]);
    let other = |header: &mut Header| {
        header.reference_spec = "other".into();
        header.reference = "q8_0".into();
    };
    edited(&other).refused(&["nf4 was held against q8_0 and f32 against f32"]);
    let mut broken = bench();
    broken.edit("q4_0")[1].1.iter_mut().for_each(|p| p.kl = f64::NAN);
    broken.refused(&["q4_0 has no position of corpus:a.txt with finite logits"]);
    let mut noisy = bench();
    noisy.edit("f32")[0].1[0].kl = 1e-300;
    noisy.refused(&["f32 differs from itself at positions of t"]);
}

/// A checkpoint of bfloat16 that was loaded as such lost nothing: that is no error.
#[test]
fn only_a_format_that_was_asked_for_must_replace_weights() {
    let mut bench = bench();
    bench.edit("bf16").iter_mut().for_each(|(header, _)| header.replaced = Some((0, 36)));
    bench.edit("nf4").iter_mut().for_each(|(header, _)| header.replaced = Some((30, 36)));
    let notes = bench.all().unwrap().notes;
    assert_eq!(notes.iter().filter(|note| *note == "nf4: 30 of 36 matrices were quantised").count(), 1, "{notes:?}");
}

/// The exact kind comes first, tasks of one kind are taken together, texts never.
#[test]
fn kinds_are_not_mixed() {
    let mut bench = bench();
    for name in ["f32", "bf16", "q4_0", "nf4"] {
        let more = ["u", "v"].map(|source| {
            let list = unchanged(&positions(9, 300, 20, 0.01));
            let kind = if source == "v" { Kind::Sampled } else { Kind::Full };
            (Header { kind, floor: (kind == Kind::Sampled).then_some(1e-6), ..header(source, &list) }, list)
        });
        bench.edit(name).extend(more);
    }
    let found = bench.all().unwrap();
    let rows = found.divergences.iter().filter(|row| row.format == "q4_0");
    let rows: Vec<(&str, usize, Kind, bool)> =
        rows.map(|row| (row.source.as_str(), row.summary.positions, row.kind, row.within_floor)).collect();
    let expected = [
        ("all tasks", 1500, Kind::Full, false),
        ("t", 1200, Kind::Full, false),
        ("u", 300, Kind::Full, false),
        ("v", 300, Kind::Sampled, true),
        ("corpus:a.txt", 900, Kind::Full, false),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn sizes_are_those_of_the_runs() {
    let found = bench().all().unwrap();
    let size = &found.sizes[2];
    assert_eq!((size.format.as_str(), size.stored_bytes, size.tokens_per_second), ("q4_0", Some(563), Some(90.0)));
    assert_eq!(size.memory_bytes, Some(1126));
    assert!((size.bits_per_weight.unwrap() - 4.504).abs() < 1e-12);
    let text = serde_json::to_string(&found).unwrap();
    assert!(text.contains("\"standing\":\"itself\"") && text.contains("\"kind\":\"kl\""), "{text}");
}

#[test]
fn runs_without_distributions_have_no_tables() {
    let bench = bench();
    let runs: Vec<(&str, &Run)> = bench.runs.iter().map(|(label, run)| (label.as_str(), run)).collect();
    let nothing = Reader { headers: &|_| Ok(Vec::new()), positions: &|_, _| Ok(Vec::new()) };
    assert_eq!(quantisation(&runs, &[], nothing).unwrap(), None);
    assert_eq!(quantisation(&[], &[], nothing).unwrap(), None);
    let mut bench = bench;
    bench.measured.remove("q4_0");
    let found = bench.all().unwrap();
    assert!(found.notes.iter().any(|note| note.starts_with("without distributions") && note.ends_with("q4_0")));
    assert!(found.sentences[1].ends_with("its distributions were not recorded"));
}
