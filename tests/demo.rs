//! The embedded demo as a newcomer meets it: `fairmark demo` from any folder, twice, and without what it can do without.

mod figures;

use fairmark::kernel::{ISA_VARIABLE, Isa};
use figures::is_same;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fairmark");
/// The six tasks, in the order of the table.
const TASKS: [&str; 6] = ["demo_facts", "demo_chores", "demo_sums", "demo_code", "demo_myths", "demo_grumbles"];
/// Runs the demo from a folder that has nothing to do with the repository.
fn fairmark(args: &[&str], out: &Path) -> Output {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.current_dir(elsewhere.path()).env("HF_HUB_OFFLINE", "1").env_remove("HF_TOKEN");
    command.args(args).arg("--out").arg(out).output().unwrap()
}

/// A finished demo.
struct Demo {
    table: String,
    talk: String,
    code: Option<i32>,
    /// Result files of each column, in the order of the table.
    columns: Vec<(PathBuf, Value)>,
    _out: tempfile::TempDir,
}

impl Demo {
    fn run(args: &[&str]) -> Demo {
        let out = tempfile::tempdir().unwrap();
        let output = fairmark(args, out.path());
        let talk = String::from_utf8(output.stderr).unwrap();
        let folders = talk.lines().filter_map(|line| line.split_once(": run folder ")).map(|(_, folder)| folder);
        let columns = folders.map(|folder| (PathBuf::from(folder), results(Path::new(folder)))).collect();
        let table = String::from_utf8(output.stdout).unwrap();
        Demo { table, code: output.status.code(), columns, _out: out, talk }
    }

    /// `fairmark demo`, run once for all tests that only look at it.
    fn whole() -> &'static Demo {
        static DEMO: OnceLock<Demo> = OnceLock::new();
        DEMO.get_or_init(|| Demo::run(&["demo"]))
    }

    /// Whether programs could be run here. Elsewhere all but their row is checked.
    fn ran_code(&self) -> bool {
        let ran = !self.table.contains("demo_code was not run");
        assert!(ran || std::env::var_os("FAIRMARK_REQUIRE_SANDBOX").is_none(), "{}", self.table);
        ran
    }

    /// Rows of the table that have figures or say that they have none, without `demo_code` where it is not run.
    fn rows_without_code(&self) -> Vec<&str> {
        self.table.lines().filter(|line| line.contains(" ± ") && !line.contains("demo_code")).collect()
    }
}

fn results(folder: &Path) -> Value {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("results_");
    serde_json::from_slice(&std::fs::read(files.into_iter().find(named).unwrap()).unwrap()).unwrap()
}

/// Every sample of a run, by file, as it stands on disk.
fn samples(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().split("_20").next().unwrap().to_string();
    let mut samples: Vec<_> = (files.filter(|path| name(path).starts_with("samples_")))
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect();
    samples.sort();
    samples
}

#[test]
fn six_tasks_at_five_precisions_in_one_table() {
    let demo = Demo::whole();
    assert_eq!(demo.code, Some(if demo.ran_code() { 0 } else { 3 }), "{}", demo.talk);
    let header = demo.table.lines().find(|line| line.contains("Metric")).unwrap();
    for column in ["demo bf16", "demo int8", "demo nf4", "demo fp4", "demo q4_0"] {
        assert!(header.contains(column), "{header}");
    }
    let rows: Vec<&str> = demo.table.lines().filter_map(|line| TASKS.into_iter().find(|t| line.contains(t))).collect();
    assert!(rows.starts_with(&TASKS), "{}", demo.table);
    for row in demo.rows_without_code() {
        assert_eq!(row.matches(" ± ").count(), 5, "{row}");
        assert!(row.contains('↑') != row.contains('↓'), "{row}");
    }
    // Afterwards: where everything lies, and commands that can be copied.
    assert_eq!(demo.columns.len(), 5, "{}", demo.talk);
    let (_, next) = demo.talk.split_once("try next:").unwrap();
    let commands: Vec<&str> = next.lines().filter_map(|line| line.trim().strip_prefix(PROGRAM)).collect();
    assert_eq!(commands.len(), 3, "{next}");
    // Those that need no network do what they say.
    let show = commands.iter().find(|command| command.contains(" show ")).unwrap();
    let words = show.split('#').next().unwrap().split_whitespace();
    let output = Command::new(PROGRAM).args(words).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Question:"));
}

#[test]
fn a_second_demo_gives_the_same_bytes() {
    let (first, second) = (Demo::whole(), Demo::run(&["demo", "--quiet", "--precision", "nf4,bf16"]));
    assert!(second.talk.is_empty() || !second.ran_code(), "quiet means quiet: {}", second.talk);
    let by_name = |demo: &Demo| -> Vec<Vec<(String, Vec<u8>)>> {
        let mut folders: Vec<PathBuf> =
            std::fs::read_dir(demo._out.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|folder| {
            let header: Value = serde_json::from_slice(&std::fs::read(folder.join("run.json")).unwrap()).unwrap();
            let storage = header["spec"]["model"]["storage"].as_str().unwrap();
            ["nf4", "bfloat16"].contains(&storage)
        });
        folders.sort();
        folders.iter().map(|folder| samples(folder)).collect()
    };
    let (expected, found) = (by_name(first), by_name(&second));
    assert_eq!(expected.len(), 2);
    assert!(expected.iter().flatten().count() >= 10, "six files of samples each");
    assert!(expected == found, "the samples of a second run differ");
}

#[test]
fn the_plain_form_is_an_ordinary_run() {
    let (demo, plain) = (Demo::whole(), Demo::run(&["run", "--model", "demo", "--tasks", "demo"]));
    assert_eq!(plain.columns[0].1["results"], demo.columns[0].1["results"]);
    assert_eq!(samples(&plain.columns[0].0), samples(&demo.columns[0].0));
    // And the model and the data are the files in the repository.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo");
    let (model, data) = (root.join("model"), root.to_str().unwrap());
    let files = Demo::run(&["run", "--model", model.to_str().unwrap(), "--tasks", "demo", "--data-dir", data]);
    assert_eq!(samples(&files.columns[0].0), samples(&demo.columns[0].0));
}

/// A figure of a column.
fn value(results: &Value, task: &str, metric: &str) -> f64 {
    results["results"][task][metric].as_f64().unwrap_or_else(|| panic!("{task} {metric}"))
}

#[test]
fn scores_are_far_from_chance_and_from_perfect_and_four_bits_lose() {
    let demo = Demo::whole();
    let (full, int8, fp4) = (&demo.columns[0].1, &demo.columns[1].1, &demo.columns[3].1);
    // Task, metric, what guessing gives.
    let mut figures = vec![
        ("demo_facts", "acc,none", 0.25),
        ("demo_chores", "acc,none", 0.25),
        ("demo_sums", "exact_match,strict", 0.0),
        ("demo_myths", "acc,none", 0.4),
    ];
    if demo.ran_code() {
        figures.push(("demo_code", "pass@1,none", 0.0));
    }
    for (task, metric, guessing) in &figures {
        let value = value(full, task, metric);
        assert!(value > guessing + 0.15 && value < 0.999, "{task} {metric} = {value}");
    }
    let sum = |results: &Value| figures.iter().map(|(task, metric, _)| value(results, task, metric)).sum::<f64>();
    assert!((sum(int8) - sum(full)).abs() < 0.05, "8 bits hardly differ: {} {}", sum(int8), sum(full));
    assert!(sum(fp4) < sum(int8) - 0.08, "4 bits lose: {} {}", sum(fp4), sum(int8));
    let toxicity = value(full, "demo_grumbles", "toxicity,none");
    assert!((1.0..80.0).contains(&toxicity), "some grumble: {toxicity}");
}

#[test]
fn without_python_only_the_code_row_is_missing() {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .current_dir(out.path())
        .env("PATH", out.path())
        .args(["demo", "--out", "reports"])
        .output()
        .unwrap();
    let (table, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(3), "incomplete: {talk}");
    let code = table.lines().find(|line| line.contains("demo_code")).unwrap();
    assert!(code.contains("not run") && !code.contains(" ± "), "{table}");
    assert!(table.contains("demo_code was not run: ") && table.contains("python3"), "{table}");
    // A star may fall elsewhere only where columns tie; the figures are the same.
    let rows: Vec<&str> = table.lines().filter(|line| line.contains(" ± ")).collect();
    assert_eq!(rows, Demo::whole().rows_without_code());
}

#[test]
fn a_folder_for_temporary_files_that_is_missing_is_named() {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .env("TMPDIR", out.path().join("nowhere"))
        .args(["demo", "--limit", "2", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.contains("nowhere") && talk.contains("TMPDIR"), "{talk}");
}

/// `exact_match (strict)` as results files write it.
fn key(metric: &str) -> String {
    let (name, filter) = metric.trim_end_matches(')').split_once(" (").unwrap_or((metric, "none"));
    format!("{name},{filter}")
}

#[test]
fn the_model_card_says_what_the_demo_prints() {
    let card = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/model/README.md"));
    let (demo, card) = (Demo::whole(), card.unwrap());
    let told = |task: &str| task != "demo_code" || demo.ran_code();
    // The table: | task | shots | metric | a figure for each precision |
    let mut rows = 0;
    for line in card.lines().filter(|line| line.starts_with("| `demo_")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let task = cells[0].trim_matches('`');
        assert_eq!(cells.len(), 3 + demo.columns.len(), "{line}");
        for ((_, results), cell) in demo.columns.iter().zip(&cells[3..]).filter(|_| told(task)) {
            let printed = format!("{:.4}", value(results, task, &key(cells[2])));
            assert!(is_same(cell, &printed, Isa::best()), "{line}: {printed}");
        }
        rows += 1;
    }
    assert_eq!(rows, 8, "every row of the table");
    // The `model-index` above it: figures in full precision.
    let mut entries = 0;
    let (mut task, mut metric) = ("", "");
    for line in card.lines() {
        let Some((name, said)) = line.trim_start_matches([' ', '-']).split_once(": ") else { continue };
        match name {
            "name" if said.starts_with("demo_") => task = said,
            "type" => metric = said,
            "value" => {
                let full = &demo.columns[0].1;
                if told(task) {
                    let printed = format!("{:.4}", value(full, task, &key(metric)));
                    assert!(is_same(said, &printed, Isa::best()), "{task} {metric}: {said}, not {printed}");
                }
                entries += 1;
            }
            _ => {}
        }
    }
    assert_eq!(entries, 8);
}

#[test]
fn other_instruction_sets_give_nearly_the_same() {
    let expected = Demo::whole().rows_without_code();
    for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::best()) {
        let (out, name) = (tempfile::tempdir().unwrap(), isa.name());
        let mut command = Command::new(PROGRAM);
        command.env(ISA_VARIABLE, name).args(["demo", "--quiet", "--out"]).arg(out.path());
        let output = command.output().unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        let rows = table.lines().filter(|line| line.contains(" ± ") && !line.contains("demo_code"));
        let rows: Vec<&str> = rows.collect();
        assert_eq!(rows.len(), expected.len(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        for (row, expected) in rows.iter().zip(&expected) {
            assert!(is_same(expected, row, isa), "{name}:\n{row}\nnot\n{expected}");
        }
    }
    let output = Command::new(PROGRAM).env(ISA_VARIABLE, "mmx").args(["ls", "tasks"]).output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(talk.contains("mmx") && talk.contains("portable"), "{talk}");
}

#[test]
fn the_picture_shows_what_the_demo_prints() {
    let picture = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/demo.svg")).unwrap();
    let demo = Demo::whole();
    if Isa::best() != figures::MADE_WITH || !demo.ran_code() {
        return;
    }
    let words: Vec<&str> = demo.table.split_whitespace().filter(|word| !word.starts_with('─')).collect();
    assert!(words.len() > 100, "{}", demo.table);
    let missing: Vec<&&str> = words.iter().filter(|word| !picture.contains(**word)).collect();
    assert!(missing.is_empty(), "make it again (CONTRIBUTING.md): it lacks {missing:?}");
}
