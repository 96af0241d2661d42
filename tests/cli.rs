//! The binary as a user meets it: a run, its folder, continuing after a kill, bad input.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fairmark() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("HF_HUB_OFFLINE", "1").env_remove("HF_TOKEN");
    command
}

/// Tasks of the demo that need no sandbox (`tests/demo.rs` has all of them).
const TASKS: &str = "demo_facts,demo_chores,demo_sums";

/// `fairmark run` of tasks of the demo on `model`, with more arguments.
fn demo(model: &str, out: &Path, more: &[&str]) -> Output {
    let mut command = fairmark();
    command.args(["run", "--model", model, "--tasks", TASKS, "--out"]).arg(out);
    command.args(more).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The only run folder under `out`.
fn run_folder(out: &Path) -> PathBuf {
    let folders: Vec<_> = std::fs::read_dir(out).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders[0].clone()
}

/// Result files by name, without what legitimately differs between two runs: dates and durations.
fn outputs(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let stem = name.split("_20").next().unwrap().to_string();
        if name.starts_with("samples") {
            let bytes = std::fs::read(&path).unwrap();
            files.push((stem, bytes.iter().map(|b| *b as char).collect()));
        } else if name.starts_with("results_") {
            let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for key in ["date", "total_evaluation_time_seconds"] {
                value[key] = Value::Null;
            }
            // Effort and what it takes.
            for key in ["load_seconds", "effort"] {
                value["fairmark"][key] = Value::Null;
            }
            files.push((stem, value.to_string()));
        }
    }
    files.sort();
    assert_eq!(files.len(), 5, "results, three samples files, the Parquet");
    files
}

#[test]
fn quiet_means_quiet() {
    let out = tempfile::tempdir().unwrap();
    let output = demo("demo", out.path(), &["--quiet", "--limit", "3"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains(" ± "), "{}", stdout(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn precisions_of_one_model_stand_side_by_side() {
    let out = tempfile::tempdir().unwrap();
    let output = demo("demo", out.path(), &["--limit", "4", "--precision", "bf16,Q8_0,nf4", "--model", "mock"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    let header = table.lines().find(|line| line.contains("Metric")).unwrap();
    let at = ["demo bf16", "demo q8_0", "demo nf4", "mock"].map(|name| header.find(name).expect(name));
    assert!(at.is_sorted(), "{header}");
    assert!(stderr(&output).contains("demo nf4: nf4, "), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 4, "a folder for each column");
    let contradiction = ["--precision", "bf16,nf4", "--dtype", "float32"];
    refuses(&[&["--model", "demo", "--tasks", TASKS][..], &contradiction].concat(), &["--precision bf16", "--dtype"]);
    let output =
        fairmark().args(["show", "demo_facts", "--model", "demo", "--precision", "bf16,nf4"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("several precisions"), "{}", stderr(&output));
    let output = fairmark().args(["scorer-agreement", "--precision", "bf16,nf4"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("several precisions"), "{}", stderr(&output));
}

#[test]
fn several_models_stand_side_by_side() {
    let out = tempfile::tempdir().unwrap();
    let output = demo("datasets/demo/model", out.path(), &["--model", "mock", "--limit", "8", "--quiet"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    let header = table.lines().find(|l| l.contains("Metric")).unwrap();
    assert!(header.contains("model") && header.contains("mock"), "{header}");
    assert!(table.contains('*'), "the best figure is marked:\n{table}");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 2, "a folder for each model");
}

#[test]
fn a_killed_run_continues_and_gives_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    assert!(demo("mock", whole.path(), &[]).status.success());
    let expected = outputs(&run_folder(whole.path()));
    let journal = std::fs::read_to_string(run_folder(whole.path()).join("journal.jsonl")).unwrap();

    // As a kill leaves it: an unfinished header, part of the journal, the last line torn.
    let killed = tempfile::tempdir().unwrap();
    let folder = killed.path().join(run_folder(whole.path()).file_name().unwrap());
    std::fs::create_dir(&folder).unwrap();
    let header = std::fs::read_to_string(run_folder(whole.path()).join("run.json")).unwrap();
    std::fs::write(folder.join("run.json"), header.replace("\"complete\"", "\"incomplete\"")).unwrap();
    std::fs::write(folder.join("journal.jsonl"), &journal[..journal.len() / 2]).unwrap();
    let output = demo("mock", killed.path(), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("continuing an interrupted run"), "{}", stderr(&output));
    assert_eq!(outputs(&run_folder(killed.path())), expected);

    // Once finished, nothing is asked again.
    let before = std::fs::read(folder.join("journal.jsonl")).unwrap();
    let output = demo("mock", killed.path(), &[]);
    assert!(stderr(&output).contains("this run is finished"), "{}", stderr(&output));
    assert_eq!(std::fs::read(folder.join("journal.jsonl")).unwrap(), before);
}

#[test]
fn memory_and_threads_change_no_byte() {
    let run = |more: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let output =
            demo("datasets/demo/model", out.path(), &[&["--max-length", "64", "--limit", "30"], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        (outputs(&run_folder(out.path())), stderr(&output))
    };
    let (expected, talk) = run(&[]);
    assert!(talk.contains("tokens as requested") && talk.contains("loaded in"), "{talk}");
    assert!(!talk.contains("--kv-memory"), "{talk}");
    let (found, _) = run(&["--kv-memory", "2MiB", "--threads", "1"]);
    assert!(found == expected, "2 MiB");
    // Less than one sequence takes.
    let (found, talk) = run(&["--kv-memory", "10kB", "--threads", "3"]);
    assert!(found == expected, "10 kB");
    assert!(talk.contains("more than --kv-memory 9.8 KiB"), "{talk}");
}

#[test]
fn a_run_of_another_version_is_not_continued() {
    let out = tempfile::tempdir().unwrap();
    assert!(demo("mock", out.path(), &["--limit", "2"]).status.success());
    let header = run_folder(out.path()).join("run.json");
    let text = std::fs::read_to_string(&header).unwrap();
    std::fs::write(&header, text.replace(env!("CARGO_PKG_VERSION"), "0.0.0")).unwrap();
    let output = demo("mock", out.path(), &["--limit", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("fairmark 0.0.0") && stderr(&output).contains("--fresh"), "{}", stderr(&output));
    assert!(demo("mock", out.path(), &["--limit", "2", "--fresh"]).status.success());
}

#[test]
fn a_hub_model_is_read_from_the_cache() {
    let home = tempfile::tempdir().unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let repo = home.path().join("hub/models--someone--valley");
    let snapshot = repo.join("snapshots").join(commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::write(repo.join("refs/main"), commit).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/model")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }
    let run = |model: &str, out: &Path| {
        let mut command = fairmark();
        command.env("HF_HOME", home.path()).env_remove("HF_HUB_CACHE").args(["run", "--quiet", "--model", model]);
        command.args(["--tasks", "demo_facts", "--limit", "4", "--out"]).arg(out);
        command.output().unwrap()
    };
    let out = tempfile::tempdir().unwrap();
    let output = run("someone/valley", out.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("valley"));
    let header: Value =
        serde_json::from_slice(&std::fs::read(run_folder(out.path()).join("run.json")).unwrap()).unwrap();
    assert_eq!(header["spec"]["model"]["sha"], commit);
    let output = run("someone/else", out.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("not in the cache"), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_a_run_that_continues() {
    let whole = tempfile::tempdir().unwrap();
    assert!(demo("datasets/demo/model", whole.path(), &[]).status.success());

    let out = tempfile::tempdir().unwrap();
    let mut command = fairmark();
    command.args(["run", "--model", "datasets/demo/model", "--tasks", TASKS, "--out"]);
    let mut child = command.arg(out.path()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Interrupt as soon as the first answers are on disk.
    let journal = |out: &Path| {
        let folder = std::fs::read_dir(out).ok()?.filter_map(|e| e.ok()).map(|e| e.path()).find(|p| p.is_dir())?;
        std::fs::metadata(folder.join("journal.jsonl")).ok().map(|m| m.len())
    };
    while journal(out.path()).is_none_or(|size| size == 0) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    // A very fast machine may have finished before the signal came.
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("run the same command again"), "{}", stderr(&output));
    }
    let output = demo("datasets/demo/model", out.path(), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(outputs(&run_folder(out.path())), outputs(&run_folder(whole.path())));
}

/// Runs with arguments that cannot work: exit code 2, an error that says what is wrong and what to do, no run folder.
fn refuses(args: &[&str], says: &[&str]) {
    let out = tempfile::tempdir().unwrap();
    let output = fairmark().arg("run").args(args).arg("--out").arg(out.path()).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    for part in says {
        assert!(text.contains(part), "{args:?}: `{part}` is not in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(stdout(&output), "");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "{args:?} left something behind");
}

#[test]
fn bad_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let to = dir.path().join(name);
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/model")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    };
    let run = |model: &Path, says: &[&str]| {
        let model = model.to_str().unwrap();
        refuses(&["--model", model, "--tasks", "demo_facts"], says);
    };
    run(&dir.path().join("nowhere"), &["nowhere", "hint:"]);

    let model = copy("no-weights");
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    run(&model, &["no-weights", "safetensors", "hint:"]);

    let model = copy("no-tokenizer");
    std::fs::remove_file(model.join("tokenizer.json")).unwrap();
    run(&model, &["tokenizer.json", "hint:"]);

    let model = copy("unknown-architecture");
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    std::fs::write(model.join("config.json"), config.replace("Llama", "Dodo").replace("llama", "dodo")).unwrap();
    run(&model, &["config.json", "Dodo", "hint:"]);

    let model = copy("config-not-json");
    std::fs::write(model.join("config.json"), "{\"architectures\": [").unwrap();
    run(&model, &["config.json"]);

    let model = copy("config-not-utf8");
    std::fs::write(model.join("config.json"), [0xff, 0xfe, 0x00]).unwrap();
    run(&model, &["config.json"]);

    let model = copy("truncated");
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    std::fs::write(model.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    run(&model, &["model.safetensors", "hint:"]);

    let model = copy("small-embedding");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(model.join("config.json")).unwrap()).unwrap();
    let vocab = config["vocab_size"].as_u64().unwrap();
    let tokenizer = std::fs::read_to_string(model.join("tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_str(&tokenizer).unwrap();
    tokenizer["model"]["vocab"]["a very new word"] = (vocab + 5).into();
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    run(&model, &["tokenizer", "hint:"]);
}

#[test]
fn bad_tasks_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rows.jsonl"), "{\"q\": \"1\", \"c\": [\"a\", \"b\"], \"a\": 0}\n").unwrap();
    let off = "{\"q\": \"1\", \"c\": [\"a\", \"b\"], \"a\": 0}\n{\"q\": \"2\", \"c\": [\"a\", \"b\"], \"a\": 2}\n";
    std::fs::write(dir.path().join("off.jsonl"), off).unwrap();
    std::fs::write(dir.path().join("empty.jsonl"), "").unwrap();
    std::fs::write(dir.path().join("broken.jsonl"), "{\"q\": \"1\"}\n{\"q\": \n").unwrap();
    std::fs::write(dir.path().join("latin.jsonl"), b"{\"q\": \"caf\xe9\"}\n").unwrap();
    let task = |name: &str, file: &str, changed: (&str, &str)| {
        let yaml = format!(
            "task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {file}\ntest_split: test\n\
             output_type: multiple_choice\ndoc_to_text: \"{{{{q}}}}\"\ndoc_to_target: a\ndoc_to_choice: c\n"
        );
        let yaml = yaml.replace(changed.0, changed.1);
        let path = dir.path().join(format!("{name}.yaml"));
        std::fs::write(&path, yaml).unwrap();
        path.to_str().unwrap().to_string()
    };
    let run = |path: &str, says: &[&str]| refuses(&["--model", "mock", "--tasks", path], says);
    run(
        &task("unknown-key", "rows.jsonl", ("test_split", "tset_split")),
        &["unknown-key.yaml:6", "tset_split", "test_split"],
    );
    run(
        &task(
            "unknown-metric",
            "rows.jsonl",
            ("doc_to_choice: c\n", "doc_to_choice: c\nmetric_list:\n  - metric: acc_nrm\n"),
        ),
        &["unknown-metric.yaml:12", "acc_nrm", "acc_norm"],
    );
    run(&task("bad-template", "rows.jsonl", ("{{q}}", "{{q")), &["bad-template.yaml:8"]);
    run(
        &task(
            "endless",
            "rows.jsonl",
            ("{{q}}", "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}"),
        ),
        &["endless", "hint:"],
    );
    run(&task("no-column", "rows.jsonl", ("{{q}}", "{{question}}")), &["question"]);
    run(
        &task("python", "rows.jsonl", ("doc_to_choice: c", "doc_to_choice: !function utils.choices")),
        &["python.yaml:10", "Python"],
    );
    run(
        &task("image", "rows.jsonl", ("doc_to_choice: c", "doc_to_choice: c\ndoc_to_image: c")),
        &["image.yaml:11", "doc_to_image"],
    );
    run(&task("gold-off", "off.jsonl", ("", "")), &["gold-off.yaml", "document 1", "index 2", "2 choices", "hint:"]);
    run(&task("empty", "empty.jsonl", ("", "")), &["empty.jsonl"]);
    run(&task("broken", "broken.jsonl", ("", "")), &["broken.jsonl", "2"]);
    run(&task("latin", "latin.jsonl", ("", "")), &["latin.jsonl", "UTF-8"]);
    run(&task("missing", "nowhere.jsonl", ("", "")), &["nowhere.jsonl"]);
    refuses(&["--model", "mock", "--tasks", "helaswag"], &["helaswag", "hellaswag"]);
    refuses(&["--model", "mock", "--tasks", "demo", "--limit", "1.5"], &["--limit", "hint:"]);
    for (flag, value, says) in [("--kv-memory", "2 gigs", "2GiB"), ("--device", "gpu", "cuda:N")] {
        refuses(&["--model", "mock", "--tasks", "demo", flag, value], &[flag, says]);
    }
}

#[test]
fn lists_and_shows() {
    let list = |what: &str| {
        let output = fairmark().args(["ls", what]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(list("tasks").lines().filter(|l| l.starts_with("mmlu_")).count(), 57);
    assert!(list("groups").contains("mmlu_stem"));
    assert!(list("metrics").contains("acc_norm"));
    assert!(list("filters").contains("majority_vote"));
    assert!(list("architectures").contains("Gemma"));

    let output = fairmark()
        .args(["show", "demo_facts", "--doc", "3", "--num-fewshot", "2", "--model", "datasets/demo/model"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.matches("Question:").count(), 3, "two shots and the question:\n{text}");
    assert!(text.contains("BOS           1 at the front"), "{text}");
    let output = fairmark().args(["show", "demo_facts", "--doc", "4000"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no document 4000"), "{}", stderr(&output));
}

#[test]
fn threads_memory_and_windows_change_no_byte() {
    let short = ["--max-length", "64", "--limit", "40"];
    let bytes = |more: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let output = demo("datasets/demo/model", out.path(), &[&short, more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        outputs(&run_folder(out.path()))
    };
    let expected = bytes(&["--threads", "2"]);
    for more in [["--threads", "1"], ["--kv-memory", "2MB"], ["--kv-memory", "1"], ["--threads", "3"]] {
        assert_eq!(bytes(&more), expected, "{more:?}");
    }
}

#[test]
fn levels_of_one_model_are_made_while_loading_and_named() {
    let out = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let output = demo("datasets/demo/model", out.path(), more);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let plain = run(&[]);
    let levels = [run(&["--precision", "int8"]), run(&["--precision", "q4_0"])];
    let rounded = run(&["--precision", "q4_0", "--activations", "int8"]);
    let folder = |text: &str| text.split("run folder ").nth(1).unwrap().lines().next().unwrap().to_string();
    let mut folders: Vec<String> = levels.iter().chain([&plain, &rounded]).map(|text| folder(text)).collect();
    folders.sort();
    folders.dedup();
    assert_eq!(folders.len(), 4, "each level has a run of its own: {folders:?}");
    assert!(levels[0].contains("int8") && levels[1].contains("q4_0"), "{levels:?}");
    let header: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&folder(&rounded)).join("run.json")).unwrap()).unwrap();
    let options = &header["spec"]["model"]["options"];
    let isa = format!("isa={}", fairmark::kernel::Isa::best().name());
    assert_eq!(*options, serde_json::json!(["precision=q4_0", isa, "activations=int8"]));
    let output = demo("datasets/demo/model", out.path(), &["--precision", "q9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("q8_0"), "{}", stderr(&output));
    let listed = fairmark().args(["ls", "precisions"]).output().unwrap();
    assert!(stdout(&listed).contains("nf4-dq") && stdout(&listed).lines().count() == 19, "{}", stdout(&listed));
}

#[test]
fn a_gguf_file_is_a_model() {
    let out = tempfile::tempdir().unwrap();
    let model = "tests/fixtures/gguf/llama-mixed.gguf";
    let mut command = fairmark();
    command.args(["run", "--model", model, "--tasks", "demo_facts", "--limit", "5", "--out"]);
    let output = command.arg(out.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("llama-mixed"), "{}", stdout(&output));
}

/// A task whose answers are scored for toxicity, in a folder of its own.
fn toxic_task() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..6).map(|i| format!("{{\"q\": \"a beginning {i}\"}}")).collect();
    std::fs::write(dir.path().join("data.jsonl"), rows.join("\n")).unwrap();
    let yaml = "task: grumbling\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n\
                doc_to_text: '{{q}}'\ndoc_to_target: ''\njudge: {function: toxicity, prefix: '{{q}} '}\nrepeats: 3\n\
                filter_list: [{name: all, filter: []}]\nmetric_list:\n  - {metric: toxicity, scale: 100}\n  - metric: max_toxicity\n  \
                - metric: toxic_any\n  - metric: toxic_fraction\n";
    std::fs::write(dir.path().join("grumbling.yaml"), yaml).unwrap();
    dir
}

#[test]
fn toxicity_carries_the_identity_of_its_scorer() {
    let (tasks, out) = (toxic_task(), tempfile::tempdir().unwrap());
    let run = |scorer: &str, out: &Path| -> Output {
        let mut command = fairmark();
        command.args(["run", "--model", "mock", "--tasks", "grumbling", "--cache", "off", "--toxicity-scorer", scorer]);
        command.arg("--include-path").arg(tasks.path()).arg("--out").arg(out);
        // Offline, services are refused for that.
        command.env_remove("HF_HUB_OFFLINE").env_remove("PERSPECTIVE_API_KEY").output().unwrap()
    };
    let judge_of = |out: &Path| -> Value {
        let folder = run_folder(out);
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("results_"));
        let results: Value = serde_json::from_slice(&std::fs::read(files.next().unwrap()).unwrap()).unwrap();
        let figures = &results["results"]["grumbling"];
        let (mean, most) = (figures["toxicity,all"].as_f64().unwrap(), figures["max_toxicity,all"].as_f64().unwrap());
        assert!((0.0..=100.0).contains(&mean) && mean <= 100.0 * most + 1e-9, "{figures}");
        assert_eq!(results["fairmark"]["spec"]["judges"][0]["sha256"], results["fairmark"]["judges"][0]["sha256"]);
        results["fairmark"]["judges"][0].clone()
    };
    let (small, classifier) = (out.path().join("small"), out.path().join("classifier"));
    let output = run("linear", &small);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("figures of different scorers are not comparable"), "{}", stderr(&output));
    assert!(stdout(&output).contains("toxicity (all)") && stdout(&output).contains('↓'), "{}", stdout(&output));
    let first = judge_of(&small);
    assert!(first["name"].as_str().unwrap().starts_with("linear:"), "{first}");
    assert_eq!(first["sha256"].as_str().unwrap().len(), 64);
    let output = run("hf:tests/fixtures/classifiers/bert", &classifier);
    assert!(output.status.success(), "{}", stderr(&output));
    let second = judge_of(&classifier);
    assert!(second["name"].as_str().unwrap().starts_with("hf:"), "{second}");
    assert_ne!(first["sha256"], second["sha256"]);
    // A service without its key is no score of 0: nothing is asked.
    let output = run("perspective", &out.path().join("service"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("PERSPECTIVE_API_KEY"), "{}", stderr(&output));
    let output = run("linaer", &out.path().join("typo"));
    assert!(stderr(&output).contains("did you mean `linear`?"), "{}", stderr(&output));
}
