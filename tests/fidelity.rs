//! What quantising costs: distributions recorded by the real binary, against numpy's figures of the same weights.
//!
//! Expected values: `tests/fixtures/make_fidelity_goldens.py`, which says how they were made.

use fairmark::fidelity::{Header, Kind, Position, headers, positions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CORPUS: &str = "tests/fixtures/fidelity/corpus.txt";
const BASE: &str = "tests/fixtures/fidelity/base.logits";
const PRECISIONS: [&str; 5] = ["f32", "int8", "nf4", "q8_0", "q4_0"];

fn fairmark(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("HF_HUB_OFFLINE", "1").env_remove("HF_TOKEN");
    command.args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `fairmark run` of the demo's model in f32 arithmetic.
fn run(out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    let fixed = ["run", "--model", "demo", "--dtype", "float32", "--tasks", "demo_facts", "--limit", "3", "--out", out];
    fairmark(&[&fixed[..], more].concat())
}

fn done(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

/// The run folder of a precision.
fn folder(out: &Path, precision: &str) -> PathBuf {
    let is = |folder: &PathBuf| {
        let Ok(text) = std::fs::read_to_string(folder.join("run.json")) else { return false };
        match precision {
            "f32" => !text.contains("precision="),
            _ => text.contains(&format!("precision={precision}\"")),
        }
    };
    let mut found = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).filter(is);
    found.next().unwrap_or_else(|| panic!("no folder of {precision}"))
}

fn recorded(out: &Path, precision: &str, source: &str) -> (Header, Vec<Position>) {
    let folder = folder(out, precision);
    let header = headers(&folder).unwrap().into_iter().find(|header| header.source == source).unwrap();
    let positions = positions(&folder, &header).unwrap();
    (header, positions)
}

fn goldens() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/fidelity/goldens.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().or(x.as_bool().map(|b| f64::from(u8::from(b)))).unwrap())
        .collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found} and {expected}");
}

/// Positions against the golden ones: `kl` is the golden name of the divergence, `single` how far one may be off (the model's f32 arithmetic
/// against float64).
fn compare(what: &str, found: &[Position], golden: &Value, kl: &str, single: f64) {
    let of = |name: &str| numbers(&golden[name]);
    let (expected, reference, candidate) = (of(kl), of("reference_logprob"), of("candidate_logprob"));
    assert_eq!(found.len(), expected.len(), "{what}");
    near(&format!("{what}: mean KL"), mean(found.iter().map(|p| p.kl)), mean(expected.iter().copied()), 1e-6);
    let dp = |p: &Position| p.candidate_logprob.exp() - p.reference_logprob.exp();
    let expected_dp = candidate.iter().zip(&reference).map(|(c, r)| c.exp() - r.exp());
    near(&format!("{what}: mean Δp"), mean(found.iter().map(dp)), mean(expected_dp), 1e-6);
    let flips = |same: f64| f64::from(u8::from(same == 0.0));
    let ours: f64 = found.iter().map(|p| f64::from(u8::from(!p.same_top))).sum();
    assert_eq!(ours, of("same_top").into_iter().map(flips).sum::<f64>(), "{what}: flips");
    for (at, position) in found.iter().enumerate() {
        let what = format!("{what}, position {at}");
        near(&what, position.kl, expected[at], single);
        near(&what, position.reference_logprob, reference[at], 2e-4);
        near(&what, position.candidate_logprob, candidate[at], 2e-4);
    }
}

#[test]
fn divergences_equal_numpys_on_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    let window = goldens()["window"].to_string();
    let precisions = PRECISIONS.join(",");
    let arguments = ["--precision", &precisions, "--distributions", "--corpus", CORPUS, "--window", &window];
    done(run(dir.path(), &arguments));
    let golden = goldens();
    for precision in PRECISIONS {
        let (header, found) = recorded(dir.path(), precision, "corpus:corpus.txt");
        let expected = &golden["positions"][precision];
        compare(precision, &found, expected, "kl", 2e-5);
        let top = numbers(&expected["reference_top"]);
        found.iter().zip(top).for_each(|(position, top)| near("reference_top", position.reference_top, top, 1e-4));
        let (top5, shared) = (numbers(&expected["top5"]), found.iter().map(|p| f64::from(p.top5)).collect::<Vec<_>>());
        let off = top5.iter().zip(&shared).filter(|(a, b)| a != b).count();
        assert!(off <= 1, "{precision}: near ties of rounding apart, the same five: {off} differ");
        let sequence: Vec<f64> = found.iter().map(|p| f64::from(p.sequence)).collect();
        assert_eq!(sequence, numbers(&expected["sequence"]));
        assert_eq!((header.kind, header.window, header.vocabulary), (Kind::Full, Some(48), 1024));
        assert_eq!(header.positions as usize, found.len());
        // 7 matrices in each of 5 layers; embedding and head stay as they are.
        assert_eq!(header.replaced, (precision != "f32").then_some((35, 35)), "{precision}");
        let (tasks, of_task) = recorded(dir.path(), precision, "demo_facts");
        assert_eq!((tasks.sequences, tasks.window, &tasks.reference_spec), (3, None, &header.reference_spec));
        assert!(!of_task.is_empty() && tasks.tokens_sha256 != header.tokens_sha256);
        if precision == "f32" {
            for position in found.iter().chain(&of_task) {
                assert_eq!((position.kl, position.same_top, position.top5), (0.0, true, 5));
                assert_eq!(position.reference_logprob, position.candidate_logprob);
            }
        }
    }
    // The same command again: the runs are finished, and the same bytes are recorded.
    let table = |precision: &str| {
        let names = std::fs::read_dir(folder(dir.path(), precision)).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = names.filter(|path| path.to_string_lossy().contains("distributions_")).collect();
        files.sort();
        assert_eq!(files.len(), 4);
        files.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let before = table("nf4");
    done(run(dir.path(), &[&arguments[..], &["--threads", "1"]].concat()));
    assert!(before == table("nf4"), "the same bytes on one thread");
}

#[test]
fn a_lower_bound_is_numpys_and_a_sample_is_near() {
    let golden = goldens();
    let window = golden["window"].to_string();
    let arguments = |kind| {
        ["--precision", "f32,nf4", "--distributions", kind, "--corpus", CORPUS, "--window", &window].map(String::from)
    };
    for (kind, parsed) in [("kl_lower", Kind::Lower), ("kl_sampled", Kind::Sampled)] {
        let dir = tempfile::tempdir().unwrap();
        let given = arguments(kind);
        done(run(dir.path(), &given.iter().map(String::as_str).collect::<Vec<_>>()));
        let (header, found) = recorded(dir.path(), "nf4", "corpus:corpus.txt");
        let (own, floor) = recorded(dir.path(), "f32", "corpus:corpus.txt");
        assert_eq!((header.kind, own.kind), (parsed, parsed));
        match parsed {
            Kind::Lower => {
                compare(kind, &found, &golden["positions"]["nf4"], "kl_lower", 2e-5);
                assert!(floor.iter().all(|position| position.kl == 0.0));
                assert_eq!(header.floor, None);
            }
            _ => {
                // Stored rows are off by half a step at most: 0.0003 nats.
                let expected = numbers(&golden["positions"]["nf4"]["kl"]);
                assert_eq!(found.len(), expected.len());
                near(kind, mean(found.iter().map(|p| p.kl)), mean(expected.iter().copied()), 1e-4);
                let measured = mean(floor.iter().map(|p| p.kl));
                assert!(measured > 0.0 && measured < 1e-7, "{measured}");
                assert_eq!((own.floor, header.floor), (Some(measured), Some(measured)));
                let rows = std::fs::read_dir(folder(dir.path(), "f32")).unwrap();
                let stored =
                    rows.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "rows")).count();
                assert_eq!(stored, 2, "the reference keeps the rows of a task and a corpus");
            }
        }
    }
}

#[test]
fn base_files_of_llama_cpp_are_read_and_written() {
    let golden = goldens();
    for precision in ["f32", "nf4"] {
        let arguments = [
            "logits",
            "compare",
            BASE,
            "--model",
            "demo",
            "--dtype",
            "float32",
            "--precision",
            precision,
            "--corpus",
            CORPUS,
            "--json",
        ];
        let output = fairmark(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = &golden["base"][precision];
        let of = |name: &str| mean(numbers(&expected[name]).into_iter());
        let number = |name: &str| found[name].as_f64().unwrap();
        assert_eq!(found["kind"], "kl_llama_cpp");
        assert_eq!(number("positions") as usize, numbers(&expected["kl"]).len());
        near("mean KL", number("kl_mean"), of("kl"), 1e-6);
        near("same top", number("same_top"), of("same_top"), 0.0);
        near("perplexity", number("perplexity").ln(), -of("candidate_logprob"), 1e-5);
        near("base perplexity", number("perplexity_base").ln(), -of("reference_logprob"), 1e-6);
        let smallest = numbers(&expected["kl"]).into_iter().fold(f64::INFINITY, f64::min);
        near("least KL", number("kl_min"), smallest, 1e-5);
    }
    // Ours is the same file but for codes that the last bits of the logits decide.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ours.logits");
    let window = golden["base_window"].to_string();
    let output = fairmark(&[
        "logits",
        "write",
        "--model",
        "demo",
        "--dtype",
        "float32",
        "--corpus",
        CORPUS,
        "--window",
        &window,
        "-o",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let (ours, theirs) = (std::fs::read(&path).unwrap(), std::fs::read(BASE).unwrap());
    let chunks = u32::from_le_bytes(theirs[16..20].try_into().unwrap()) as usize;
    let head = 20 + 4 * 16 * chunks;
    assert_eq!(ours.len(), theirs.len());
    assert!(ours[..head] == theirs[..head], "sizes and tokens");
    let row = 8 + 2 * 1024;
    for (ours, theirs) in ours[head..].chunks(row).zip(theirs[head..].chunks(row)) {
        let number = |bytes: &[u8], at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        near("scale", f64::from(number(ours, 0)), f64::from(number(theirs, 0)), 1e-8);
        near("least", f64::from(number(ours, 4)), f64::from(number(theirs, 4)), 1e-4);
        for (a, b) in ours[8..].chunks(2).zip(theirs[8..].chunks(2)) {
            let [a, b] = [a, b].map(|code| i32::from(u16::from_le_bytes([code[0], code[1]])));
            assert!((a - b).abs() <= 2, "{a} {b}");
        }
    }
    // Against itself.
    let output = fairmark(&["logits", "compare", path.to_str().unwrap(), "--model", "demo", "--dtype", "float32"]);
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("100.000 ± 0.000 %"),
        "{output:?}"
    );
}

#[test]
fn base_files_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("base.logits");
    let whole = std::fs::read(BASE).unwrap();
    let refused = |bytes: &[u8], more: &[&str], says: &str| {
        std::fs::write(&path, bytes).unwrap();
        let fixed = ["logits", "compare", path.to_str().unwrap(), "--model", "demo"];
        let output = fairmark(&[&fixed[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{says}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{says}: {}", stderr(&output));
    };
    refused(b"GGUF", &[], "no base file");
    refused(&whole[..whole.len() - 1], &[], "not whole");
    refused(&whole[..19], &[], "no base file");
    let with = |at: usize, number: i32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    refused(&with(8, i32::MAX), &[], "not possible");
    refused(&with(16, -1), &[], "not possible");
    refused(&with(12, 1000), &[], "not whole");
    refused(&with(20, 5000), &[], "outside of the vocabulary");
    refused(&with(24, 7), &["--corpus", CORPUS], "differ from those of the base file");
    let other = dir.path().join("other.txt");
    std::fs::write(&other, "Another text altogether, and long enough to have a window of its own at least.").unwrap();
    refused(&whole, &["--corpus", other.to_str().unwrap()], "differ from those of the base file");
    let output = fairmark(&["logits", "compare", BASE, "--model", "mock"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot be had of mock"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let refused = |arguments: &[&str], says: &str| {
        let output = fairmark(&[&["run", "--out", out.to_str().unwrap()][..], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    };
    refused(
        &["--model", "demo", "--model", "mock", "--tasks", "demo_facts", "--distributions"],
        "cannot be had of mock",
    );
    refused(&["--model", "openai:gpt-x", "--tasks", "demo_facts", "--distributions"], "cannot be had of openai:gpt-x");
    refused(&["--model", "demo", "--tasks", "demo_sums", "--distributions"], "no position");
    let corpus = |path: &str, says: &str| {
        refused(&["--model", "demo", "--tasks", "demo_facts", "--distributions", "--corpus", path], says);
    };
    corpus("nowhere.txt", "cannot read this corpus");
    let empty = dir.path().join("empty.txt");
    std::fs::write(&empty, " \n").unwrap();
    corpus(empty.to_str().unwrap(), "no text");
    let bytes = dir.path().join("bytes.txt");
    std::fs::write(&bytes, [0xff, 0xfe]).unwrap();
    corpus(bytes.to_str().unwrap(), "UTF-8");
    let twice = ["--corpus", CORPUS, "--corpus", CORPUS];
    refused(&[&["--model", "demo", "--tasks", "demo_facts", "--distributions"][..], &twice].concat(), "the same name");
    assert!(!out.exists() || std::fs::read_dir(&out).unwrap().count() == 0, "nothing was begun");
    let wide = ["--corpus", CORPUS, "--window", "513"];
    refused(
        &[&["--model", "demo", "--tasks", "demo_facts", "--distributions"][..], &wide].concat(),
        "the model sees 512",
    );
    refused(
        &[&["--model", "demo", "--tasks", "demo_facts", "--distributions"][..], &wide[..2], &["--window", "1"]]
            .concat(),
        "less than 2",
    );
    // A text without the flag, and a kind that there is none of.
    refused(&["--model", "demo", "--tasks", "demo_facts", "--corpus", CORPUS], "--distributions");
    refused(&["--model", "demo", "--tasks", "demo_facts", "--distributions", "kl_top"], "kl_lower");
}

/// A copy of the demo's model, to be changed.
fn copy(dir: &Path) -> PathBuf {
    let model = dir.join("model");
    std::fs::create_dir(&model).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/model");
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::write(model.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
    model
}

#[test]
fn positions_that_are_not_finite_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let model = copy(dir.path());
    // A last norm so large that logits overflow.
    let path = model.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let place = numbers(&header["model.norm.weight"]["data_offsets"]);
    for weight in bytes[8 + length..][place[0] as usize..place[1] as usize].chunks_mut(2) {
        weight.copy_from_slice(&0x7f61u16.to_le_bytes()); // 3e38 in bfloat16
    }
    std::fs::write(&path, bytes).unwrap();
    let out = dir.path().join("out");
    let output = beside_the_demo(model.to_str().unwrap(), &out);
    assert_eq!(output.status.code(), Some(2), "nothing can be said of such a format: {}", stderr(&output));
    let said = stderr(&output);
    let line = said.lines().find(|line| line.contains("not finite")).unwrap_or_else(|| panic!("{said}"));
    let mut folders = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
    let folder = folders.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("model-")).unwrap();
    let header = headers(&folder).unwrap().remove(0);
    let found = positions(&folder, &header).unwrap();
    assert!(line.contains(&format!("({0} of {0} positions)", found.len())), "{line}");
    assert!(!found.is_empty() && found.iter().all(|p| p.kl.is_nan() && p.candidate_logprob.is_nan()));
    assert!(found.iter().all(|p| p.reference_logprob.is_finite()));
}

/// One document asked of the demo's model and of another one, with distributions.
fn beside_the_demo(model: &str, out: &Path) -> Output {
    let asked =
        ["run", "--model", "demo", "--model", model, "--tasks", "demo_facts", "--limit", "1", "--distributions"];
    fairmark(&[&asked[..], &["--out", out.to_str().unwrap()]].concat())
}

#[test]
fn other_tokens_than_the_references_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = copy(dir.path());
    let out = dir.path().join("out");
    let refused = |model: &str, says: &str| {
        let output = beside_the_demo(model, &out);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    };
    refused("tests/fixtures/gguf/qwen2-bpe.gguf", "qwen2-bpe: a vocabulary of 400 tokens, and the reference has 1024");
    let path = model.join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let merges = tokenizer["model"]["merges"].as_array_mut().unwrap();
    merges.truncate(merges.len() / 2);
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let model = model.to_str().unwrap();
    refused(model, "its tokenizer makes other tokens of demo_facts");
    let output = fairmark(&[
        "run",
        "--model",
        "demo",
        "--model",
        model,
        "--tasks",
        "demo_facts",
        "--limit",
        "1",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "without distributions the two can be run: {}", stderr(&output));
}
