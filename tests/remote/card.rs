//! All 28 rows of the card, on a local model and through an endpoint. Needs `../shared`; where that is absent, the test says that it is
//! skipped.

use crate::server::{Server, Setup};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The rows, in the card's order, as the tables name them.
const ROWS: [&str; 28] = [
    "MMLU",
    "HellaSwag",
    "PIQA",
    "SocialIQA",
    "BooIQ",
    "WinoGrande",
    "CommonsenseQA",
    "OpenBookQA",
    "ARC-e",
    "ARC-c",
    "TriviaQA",
    "Natural Questions",
    "HumanEval",
    "MBPP",
    "GSM8K",
    "MATH",
    "AGIEval",
    "BIG-Bench",
    "RealToxicity",
    "BOLD",
    "CrowS-Pairs",
    "BBQ Ambig",
    "BBQ Disambig",
    "Winogender",
    "TruthfulQA",
    "Winobias 1_2",
    "Winobias 2_2",
    "Toxigen",
];

fn shared() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if shared.join("datasets").is_dir() {
        return Some(shared);
    }
    // Past the test harness's capture: a skip must be seen.
    let _ = writeln!(std::io::stderr(), "the_card_runs: skipped: ../shared is not there");
    None
}

fn run(model: &str, shared: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.env("HF_HUB_OFFLINE", "1").args(["run", "--tasks", "card/gemma", "--limit", "20", "--cache", "off"]);
    command.args(["--gen-kwargs", "max_gen_toks=8", "--model", model, "--data-dir"]).arg(shared.join("datasets"));
    command.arg("--out").arg(out).output().unwrap()
}

/// Both tables, every row with its figure, its standard error and, where there is one, its direction.
fn check(output: &Output) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    let place = |text: &str| stdout.find(text).unwrap_or_else(|| panic!("no {text}:\n{stdout}"));
    assert!(place("Capability\n") < place("Safety\n"));
    let mut after = 0;
    for row in ROWS {
        let line = stdout.lines().enumerate().find(|(_, line)| line.trim_start().starts_with(&format!("{row}  ")));
        let (number, line) = line.unwrap_or_else(|| panic!("no row {row}:\n{stdout}"));
        assert!(number > after, "{row} stands out of the card's order:\n{stdout}");
        after = number;
        assert!(line.contains(" ± "), "{line}");
        let directed = ["↑", "↓", "best at 50 %"].iter().any(|direction| line.contains(direction));
        assert!(directed, "{line}");
    }
}

#[test]
fn the_card_runs_on_a_local_model() {
    let Some(shared) = shared() else { return };
    let out = tempfile::tempdir().unwrap();
    check(&run(&shared.join("models/tiny-gemma").display().to_string(), &shared, out.path()));
}

#[test]
fn the_card_runs_through_an_endpoint() {
    let Some(shared) = shared() else { return };
    let out = tempfile::tempdir().unwrap();
    // What has no context is scored from the token that every text begins with.
    let server = Server::start(Setup { bos: true, ..Setup::default() });
    check(&run(&server.model(), &shared, out.path()));
}
