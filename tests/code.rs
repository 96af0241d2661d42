//! Code tasks through the real binary: verdicts, `pass@k`, the journal, machines without Python, a killed harness.
//!
//! What the sandbox holds and which verdicts can be faked is in `tests/sandbox.rs` and `tests/verdicts.rs`.
#![cfg(target_os = "linux")]

mod sandbox_here;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Three functions to write, in the shape of HumanEval.
fn documents() -> Vec<Value> {
    let doc = |name: &str, solution: &str, test: &str| {
        json!({
            "prompt": format!("def {name}(x):\n    \"\"\"{name} of x\"\"\"\n"), "entry_point": name,
            "solution": solution, "test": format!("def check(candidate):\n{test}"),
        })
    };
    vec![
        doc("double", "    return 2 * x\n", "    assert candidate(2) == 4\n    assert candidate('a') == 'aa'\n"),
        doc("first", "    return x[0]\n", "    assert candidate([7, 8]) == 7\n"),
        doc("spin", "    return x\n", "    assert candidate(1) == 1\n"),
    ]
}

const YAML: &str = r#"
task: shaped
dataset_path: json
dataset_kwargs:
  data_files:
    test: data.jsonl
test_split: test
output_type: generate_until
unsafe_code: true
doc_to_text: "{{prompt}}"
doc_to_target: "{{test}}"
judge:
  function: code
  prefix: "{{prompt}}"
  prelude: "{{prompt}}"
  tests: "{{test}}\ncheck({{entry_point}})"
  reference: "{{prompt}}{{solution}}"
  entry_points: "{{entry_point}}"
  cpu_seconds: 1
generation_kwargs:
  until: ["\ndef"]
repeats: 2
filter_list:
  - name: create_test
    filter: []
metric_list:
  - metric: pass@k
    k: [1, 2]
"#;

/// Task, data and scripted answers in a folder of their own.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(answers: &[(&str, &[&str])]) -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        let data: Vec<String> = documents().iter().map(Value::to_string).collect();
        std::fs::create_dir(bench.path("tasks")).unwrap();
        std::fs::write(bench.path("tasks/data.jsonl"), data.join("\n")).unwrap();
        std::fs::write(bench.path("tasks/shaped.yaml"), YAML).unwrap();
        let answers: Vec<String> = answers
            .iter()
            .map(|(name, texts)| json!({"contains": format!("def {name}("), "texts": texts}).to_string())
            .collect();
        std::fs::write(bench.path("texts.jsonl"), answers.join("\n")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env("HF_HUB_OFFLINE", "1").args(["run", "--model"]);
        command.arg(format!("mock:texts={}", self.path("texts.jsonl").display()));
        command.arg("--include-path").arg(self.path("tasks")).arg("--out").arg(self.path("out"));
        command.arg("--cache-file").arg(self.path("cache.sqlite")).args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }

    fn folder(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }

    fn results(&self) -> Value {
        let entries = std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        let file = entries.into_iter().find(|path| name(path).starts_with("results_")).unwrap();
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    fn samples(&self) -> Vec<Value> {
        let entries = std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        let file = entries.into_iter().find(|path| name(path).starts_with("samples_shaped")).unwrap();
        std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn judgement_lines(&self) -> usize {
        let journal = std::fs::read_to_string(self.folder().join("journal.jsonl")).unwrap();
        journal.lines().filter(|line| line.starts_with(r#"{"line":"judgement""#)).count()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ok(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Right and wrong, a lie, an early exit, a loop.
const ANSWERS: &[(&str, &[&str])] = &[
    ("double", &["    return x + x\n", "    return 4\n"]),
    (
        "first",
        &["    import os\n    os._exit(0)\n", "    class Liar:\n        __eq__ = lambda *_: True\n    return Liar()\n"],
    ),
    ("spin", &["    while True: pass\n", "    return x\ndef more(): pass\n"]),
];

#[test]
fn verdicts_make_pass_at_k() {
    sandbox_here::or_skip();
    let bench = Bench::new(ANSWERS);
    let output = bench.run(&["--tasks", "shaped"]);
    ok(&output);
    let table = text(&output.stdout);
    assert!(table.contains("pass@1 (create_test)") && table.contains("pass@2 (create_test)"), "{table}");
    let results = bench.results();
    let shaped = &results["results"]["shaped"];
    // (1/2 + 0/2 + 1/2) / 3; two of three documents have an answer that passes.
    assert!((shaped["pass@1,create_test"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12, "{shaped}");
    assert!((shaped["pass@2,create_test"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12, "{shaped}");
    let judge = &results["fairmark"]["judges"][0];
    assert_eq!(judge["judge"], "code");
    assert_eq!(judge["environment"]["runner"], "own");
    let layers = judge["environment"]["layers"].as_array().unwrap();
    assert!(["landlock", "seccomp", "rlimits"].iter().all(|layer| layers.contains(&json!(layer))), "{layers:?}");
    let verdicts: Vec<Vec<String>> = bench
        .samples()
        .iter()
        .map(|s| {
            s["judgements"].as_array().unwrap().iter().map(|j| j["verdict"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(verdicts[0], ["passed", "failed"]);
    assert_eq!(verdicts[1], ["failed", "failed"]);
    assert_eq!(verdicts[2], ["timed out", "passed"]);
    assert!(bench.samples().iter().all(|s| s["judgements"][0]["mode"] == "two-processes"));

    // The same command judges nothing again; a fresh run takes the findings from the cache, programs or not.
    assert_eq!(bench.judgement_lines(), 6);
    let again = bench.run(&["--tasks", "shaped"]);
    ok(&again);
    assert_eq!(bench.judgement_lines(), 6);
    assert_eq!(again.stdout, output.stdout);
    let fresh = bench.run(&["--tasks", "shaped", "--fresh", "--cache", "read"]);
    ok(&fresh);
    assert_eq!(fresh.stdout, output.stdout);
    assert_eq!(bench.results()["fairmark"]["judges"][0], *judge, "nothing in it that differs from run to run");
}

#[test]
fn k_and_samples_come_from_the_command_line() {
    sandbox_here::or_skip();
    let bench = Bench::new(ANSWERS);
    let output = bench.run(&["--tasks", "shaped", "--n-samples", "4", "--pass-k", "1,4", "--limit", "1"]);
    ok(&output);
    let results = bench.results();
    assert_eq!(results["results"]["shaped"]["pass@1,create_test"], 0.5);
    assert_eq!(results["results"]["shaped"]["pass@4,create_test"], 1.0);
    assert_eq!(results["configs"]["shaped"]["repeats"], 4);
    let refused = bench.run(&["--tasks", "shaped", "--pass-k", "10"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("pass@10 needs at least 10 answers to a document, not 2"), "{said}");
    assert!(said.contains("--n-samples 10"), "{said}");
}

#[test]
fn without_python_code_is_not_run_and_the_rest_is() {
    sandbox_here::or_skip();
    let bench = Bench::new(ANSWERS);
    let no_python = ["--python", "/no/such/python3", "--limit", "5"];
    let output = bench.run(&[&["--tasks", "shaped,demo"][..], &no_python].concat());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let row = table.lines().find(|line| line.trim_start().starts_with("shaped")).unwrap();
    assert!(row.contains("not run"), "{table}");
    assert!(table.contains("shaped was not run: ") && table.contains("/no/such/python3"), "{table}");
    assert!(table.lines().filter(|line| line.contains(" ± ")).count() >= 2, "the other tasks have figures:\n{table}");
    let results = bench.results();
    assert!(results["results"]["shaped"].is_null(), "no score, not even 0");
    assert!(results["fairmark"]["not_run"]["shaped"].as_str().unwrap().contains("/no/such/python3"));
    // Where only code was asked for there is nothing to do, which is said before a model is loaded.
    let alone = bench.run(&[&["--tasks", "shaped"][..], &no_python].concat());
    assert_eq!(alone.status.code(), Some(2));
    assert!(text(&alone.stderr).contains("no task can be run"), "{}", text(&alone.stderr));

    // With Python the same command goes on.
    let output = bench.run(&["--tasks", "shaped,demo", "--limit", "5"]);
    ok(&output);
    assert!(!text(&output.stdout).contains("not run"), "{}", text(&output.stdout));
}

#[test]
fn unsafe_code_is_consent_and_said_so() {
    sandbox_here::or_skip();
    let bench = Bench::new(&[("double", &["    return 2 * x\n", "    return 2 * x\n"])]);
    let output = bench.run(&["--tasks", "shaped", "--limit", "1", "--unsafe-code"]);
    ok(&output);
    assert!(text(&output.stderr).contains("UNSAFE"), "{}", text(&output.stderr));
    let results = bench.results();
    assert_eq!(results["fairmark"]["judges"][0]["environment"]["runner"], "unsafe");
    assert_eq!(results["results"]["shaped"]["pass@1,create_test"], 1.0);
}

/// Process ids of a process and all below it.
fn family(of: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| name(&entry.ok()?.path()).parse().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![of];
    let mut next = 0;
    while let Some(pid) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// Whether a process still does anything.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}

/// A task with this much time for programs.
fn with_seconds(bench: &Bench, cpu: u32) {
    let yaml = YAML.replace("cpu_seconds: 1", &format!("cpu_seconds: {cpu}"));
    std::fs::write(bench.path("tasks/shaped.yaml"), yaml).unwrap();
}

/// Starts a run and waits until a solution runs in it: its process is a child of a warmed interpreter, two below the
/// harness, and eats time. Gives the harness and all processes of the run.
fn start_and_wait_for_a_program(bench: &Bench) -> (std::process::Child, Vec<u32>) {
    let mut command = bench.command(&["--tasks", "shaped"]);
    let harness = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let busy = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        let ticks: u64 = fields.get(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(0);
        *pid != harness.id() && ticks > 50
    };
    while !family(harness.id()).iter().any(busy) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no program began to run");
        std::thread::sleep(Duration::from_millis(50));
    }
    let family = family(harness.id());
    assert!(family.len() >= 3, "{family:?}");
    (harness, family)
}

fn assert_gone(family: &[u32]) {
    let begun = Instant::now();
    while family.iter().any(|pid| lives(*pid)) {
        let left: Vec<_> = family.iter().filter(|pid| lives(**pid)).collect();
        assert!(begun.elapsed() < Duration::from_secs(20), "{left:?} live on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const LOOPING: &str = "    while True: pass\n";

#[test]
fn a_killed_harness_leaves_no_process() {
    sandbox_here::or_skip();
    let bench = Bench::new(&[("double", &[LOOPING]), ("first", &[LOOPING]), ("spin", &[LOOPING])]);
    with_seconds(&bench, 600);
    let (mut harness, family) = start_and_wait_for_a_program(&bench);
    harness.kill().unwrap();
    harness.wait().unwrap();
    assert_gone(&family);
}

/// Sends a signal and waits for the end: the exit code.
fn stop(harness: &mut std::process::Child, signal: i32) -> Option<i32> {
    // SAFETY: a plain call, to a child that is not reaped.
    unsafe { libc::kill(harness.id() as i32, signal) };
    harness.wait().unwrap().code()
}

#[test]
fn a_stopped_run_does_not_wait_for_its_programs() {
    sandbox_here::or_skip();
    let bench = Bench::new(&[("double", &[LOOPING]), ("first", &[LOOPING]), ("spin", &[LOOPING])]);
    with_seconds(&bench, 600);
    let (mut harness, family) = start_and_wait_for_a_program(&bench);
    let begun = Instant::now();
    assert_eq!(stop(&mut harness, libc::SIGINT), Some(3), "stopped, to be continued");
    assert!(begun.elapsed() < Duration::from_secs(60), "it waits for programs that may run for ten minutes");
    assert_gone(&family);
    assert_eq!(bench.judgement_lines(), 0, "nothing is known of programs that were cut short");
}

#[test]
fn a_stopped_run_goes_on_with_the_same_command() {
    sandbox_here::or_skip();
    // Right, but slow enough to be stopped in the middle.
    let slow = "    import time\n    while time.process_time() < 3: pass\n    return 2 * x\n";
    let bench = Bench::new(&[("double", &[slow]), ("first", &["    return x[0]\n"]), ("spin", &["    return x\n"])]);
    with_seconds(&bench, 60);
    let (mut harness, family) = start_and_wait_for_a_program(&bench);
    assert_eq!(stop(&mut harness, libc::SIGTERM), Some(3));
    assert_gone(&family);
    ok(&bench.run(&["--tasks", "shaped"]));
    assert_eq!(bench.results()["results"]["shaped"]["pass@1,create_test"], 1.0);
    assert_eq!(bench.judgement_lines(), 3, "two equal answers to a document are one case");
}

/// All reference solutions, as if a model had written them, through the built-in tasks. Needs `../shared`.
#[test]
fn references_pass_through_the_built_in_tasks() {
    sandbox_here::or_skip();
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/datasets");
    let rows = |file: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(shared.join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    if !shared.join("humaneval/test.jsonl").is_file() {
        sandbox_here::say("references_pass_through_the_built_in_tasks: skipped: ../shared is not there");
        return;
    }
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let humaneval =
        rows("humaneval/test.jsonl").into_iter().map(|row| (text(&row, "prompt"), text(&row, "canonical_solution")));
    let mbpp = rows("mbpp/test.jsonl").into_iter().map(|row| {
        let tests: Vec<&str> = row["test_list"].as_array().unwrap().iter().map(|test| test.as_str().unwrap()).collect();
        (format!("{}\n[BEGIN]\n", tests.join("\n")), format!("{}\n[DONE]\nand more", text(&row, "code")))
    });
    let answers: Vec<(String, String)> = humaneval.chain(mbpp).collect();
    let lines: Vec<String> =
        answers.iter().map(|(prompt, code)| json!({"contains": prompt, "texts": [code]}).to_string()).collect();
    let bench = Bench::new(&[]);
    std::fs::write(bench.path("texts.jsonl"), lines.join("\n")).unwrap();
    let output = bench.command(&["--tasks", "humaneval,mbpp", "--data-dir"]).arg(&shared).output().unwrap();
    ok(&output);
    let results = bench.results();
    let of = |task: &str| (results["results"][task]["sample_len"].as_u64(), value(&results["results"][task]));
    assert_eq!(of("humaneval"), (Some(164), 1.0), "{}", text_of_failures(&bench, "humaneval"));
    assert_eq!(of("mbpp"), (Some(500), 1.0), "{}", text_of_failures(&bench, "mbpp"));
}

/// The value of `pass@1` under whatever filter.
fn value(result: &Value) -> f64 {
    let found = result.as_object().unwrap().iter().find(|(key, _)| key.starts_with("pass@1,"));
    found.and_then(|(_, value)| value.as_f64()).unwrap_or(f64::NAN)
}

/// What was found about the answers of a task that did not pass.
fn text_of_failures(bench: &Bench, task: &str) -> String {
    let entries = std::fs::read_dir(bench.folder()).unwrap().map(|entry| entry.unwrap().path());
    let file = entries.into_iter().find(|path| name(path).starts_with(&format!("samples_{task}_"))).unwrap();
    let samples = std::fs::read_to_string(file).unwrap();
    let failed = samples.lines().filter(|line| !line.contains(r#""verdict": "passed""#));
    failed.map(|line| serde_json::from_str::<Value>(line).unwrap()["judgements"].to_string() + "\n").collect()
}

/// Documents with tests of their own: (key, tests, reference, entry points, answer).
type Plain<'a> = (&'a str, String, &'a str, &'a str, &'a str);

const PLAIN: &str = "
task: plain
unsafe_code: true
dataset_path: json
dataset_kwargs: {data_files: {test: plain.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: '<<{{key}}>>'
doc_to_target: '{{tests}}'
generation_kwargs: {until: [], do_sample: false}
filter_list: [{name: none, filter: []}]
judge: {function: code, tests: '{{tests}}', reference: '{{reference}}', entry_points: '{{entry_points}}', cpu_seconds: 3}
metric_list: [{metric: pass@1}]
";

fn plain(docs: &[Plain<'_>]) -> Bench {
    let bench = Bench::new(&[]);
    let doc = |(key, tests, reference, names, _): &Plain<'_>| {
        json!({"key": key, "tests": tests, "reference": reference, "entry_points": names}).to_string()
    };
    let answer =
        |(key, .., answer): &Plain<'_>| json!({"contains": format!("<<{key}>>"), "texts": [answer]}).to_string();
    std::fs::write(bench.path("tasks/plain.yaml"), PLAIN).unwrap();
    std::fs::write(bench.path("tasks/plain.jsonl"), docs.iter().map(doc).collect::<Vec<_>>().join("\n")).unwrap();
    std::fs::write(bench.path("texts.jsonl"), docs.iter().map(answer).collect::<Vec<_>>().join("\n")).unwrap();
    bench
}

/// What was found about each answer, in the order of the documents.
fn judgements(bench: &Bench) -> Vec<Value> {
    let entries = std::fs::read_dir(bench.folder()).unwrap().map(|entry| entry.unwrap().path());
    let file = entries.into_iter().find(|path| name(path).starts_with("samples_plain")).unwrap();
    let samples = std::fs::read_to_string(file).unwrap();
    samples.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["judgements"][0].clone()).collect()
}

#[test]
fn verdicts_that_can_be_faked_are_counted_and_named() {
    sandbox_here::or_skip();
    let double = "def f(x): return 2 * x\n";
    let bench = plain(&[
        (
            "a",
            "class T:\n    x = 3\nassert f(T()) == 3\n".into(),
            "def f(t): return t.x\n",
            "f",
            "def f(t): return t.x\n",
        ),
        ("b", "assert f(2) == 4\n".into(), double, "f", double),
    ]);
    let output = bench.run(&["--tasks", "plain"]);
    ok(&output);
    let table = text(&output.stdout);
    assert!(table.contains("1.0000 ± 0.0000 †"), "{table}");
    let line = "! plain (†): 1 of 2 verdicts in one process, which a solution can fake: docs/security.md";
    assert!(table.lines().any(|found| found == line), "{table}");
    assert_eq!(bench.results()["fairmark"]["one_process"], json!({"plain": {"verdicts": 1, "of": 2}}));
    let modes: Vec<Value> = judgements(&bench).iter().map(|found| found["mode"].clone()).collect();
    assert_eq!(modes, ["one-process", "two-processes"]);
}

#[test]
fn another_kind_of_thing_than_the_references_is_wrong() {
    sandbox_here::or_skip();
    let union = "assert square(3).union({9}) == {9}\n".to_owned();
    let reference = "def square(x): return {x * x}\n";
    let class = "class square:\n    def __init__(self, x): pass\n    def union(self, other): return other\n";
    let hidden = "def square(x):\n    class A:\n        def union(self, other): return other\n    return A()\n";
    let bench = plain(&[
        ("class", union.clone(), reference, "square", class),
        ("hidden", union.clone(), reference, "square", hidden),
        ("lambda", union, reference, "square", "square = lambda x: {x * x}\n"),
    ]);
    ok(&bench.run(&["--tasks", "plain"]));
    let found = judgements(&bench);
    let verdicts: Vec<&str> = found.iter().map(|found| found["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["failed", "failed", "passed"], "{found:?}");
    assert_eq!(found[0]["reason"], "TypeError: `square` is a class, the tests want a function");
}

/// Tests that draw numbers: nobody foretells them, and who is right about some of them has the same verdict every time.
#[test]
fn what_tests_draw_is_not_foretold_and_the_same_again() {
    sandbox_here::or_skip();
    let test = |n: usize| format!("import random\nx = random.randrange(10 ** 9)\nassert f(x + {n}) == x\n");
    let keys: Vec<String> = (10..26).map(|n| n.to_string()).collect();
    let sometimes = "def f(y): return y - N if y % 2 else 0\n";
    let foretelling = "import random\ng = random.Random(0)\ndef f(y): return g.randrange(10 ** 9)\n";
    for (answer, none) in [(sometimes, false), (foretelling, true)] {
        let texts: Vec<(String, String)> =
            keys.iter().map(|n| ("def f(y): return y - N\n".replace('N', n), answer.replace('N', n))).collect();
        let docs: Vec<Plain<'_>> = keys
            .iter()
            .zip(&texts)
            .map(|(key, (reference, answer))| {
                (key.as_str(), test(key.parse().unwrap()), reference.as_str(), "f", answer.as_str())
            })
            .collect();
        let bench = plain(&docs);
        let run = || {
            ok(&bench.run(&["--tasks", "plain", "--cache", "off", "--fresh"]));
            let verdict = |found: &Value| found["verdict"] == "passed";
            judgements(&bench).iter().map(verdict).collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run(), "the same again");
        let passed = first.iter().filter(|passed| **passed).count();
        // Half of them on the average: 1 in 65,536 runs would have all or none.
        assert!(if none { passed == 0 } else { passed > 0 && passed < 16 }, "{passed} of 16 pass");
    }
}
