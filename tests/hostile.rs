//! Names, keys and files that others wrote, through the real binary: nothing of them repaints the terminal or makes lines of its own, no
//! message is as long as they like, and a run folder from elsewhere touches nothing outside itself.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Codes and marks, and a line that would say something in fairmark's name.
const CODES: &str = "X\u{1b}[31mX\u{1b}]0;t\u{7}\u{9b}1m\u{202e}X\u{2066}\u{200b}\nwarning: all is well";

/// A scratch folder with task files and data.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        bench.write("d.jsonl", "{\"q\": \"q0\", \"a\": \"4\"}\n{\"q\": \"q1\", \"a\": \"4\"}\n");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A task file; `more`: further lines.
    fn task(&self, file: &str, name: &str, more: &str) {
        let data = "dataset_path: json\ndataset_kwargs: {data_files: {test: d.jsonl}}\ntest_split: test\noutput_type: generate_until\n";
        let prompt = "doc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n";
        self.write(file, &format!("task: {}\n{data}{prompt}{more}", quoted(name)));
    }

    fn fairmark(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
        command.current_dir(self.0.path()).env("HF_HUB_OFFLINE", "1").env("XDG_CACHE_HOME", self.path("cache"));
        command.args(arguments).output().unwrap()
    }

    fn run(&self, task: &str, more: &[&str]) -> Output {
        self.fairmark(&[&["run", "--model", "mock", "--tasks", task, "--cache", "off", "--out", "out"], more].concat())
    }

    /// The only run folder.
    fn run_folder(&self) -> PathBuf {
        let folders: Vec<_> = std::fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }
}

/// A text in YAML and JSON alike.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// What both streams say; nothing of it is a code or a line of somebody else's.
#[track_caller]
fn harmless(output: &Output) -> String {
    let text = String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap();
    let odd = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}')
    };
    assert!(!text.contains(odd), "{}", text.escape_debug());
    assert!(!text.lines().any(|line| line.starts_with("warning: all is well")), "{text}");
    text
}

#[test]
fn names_from_outside_are_shown_with_escapes() {
    let bench = Bench::new();
    bench.task("name.yaml", CODES, "");
    bench.task("alias.yaml", "aliased", &format!("task_alias: {0}\ntag: {0}\n", quoted(CODES)));
    bench.task("key.yaml", "t", &format!("{}: 1\n", quoted(CODES)));
    bench.task("metric.yaml", "t", &format!("metric_list: [{{metric: {}}}]\n", quoted(CODES)));
    bench.task(
        "filter.yaml",
        "t",
        &format!("filter_list: [{{name: {}, filter: [{{function: take_first}}]}}]\n", quoted(CODES)),
    );
    bench.task("column.yaml", "t", "process_docs: [{drop: [nothing]}]\n");
    for task in ["name.yaml", "alias.yaml", "filter.yaml"] {
        let output = bench.run(task, &["--verbose"]);
        assert!(output.status.success(), "{}", harmless(&output));
        assert!(harmless(&output).contains("X\\u{1b}[31mX"), "{}", harmless(&output));
        let output = bench.run(task, &["--markdown", "--quiet"]);
        assert!(harmless(&output).contains("X\\\\u{1b}\\[31mX"), "{}", harmless(&output));
    }
    for task in ["key.yaml", "metric.yaml"] {
        let output = bench.run(task, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(harmless(&output).contains("\\u{1b}[31m"), "{}", harmless(&output));
    }
    // A prompt's own line breaks are wanted; it has none here.
    let prompt = CODES.split('\n').next().unwrap();
    bench.write("d.jsonl", &format!("{{\"q\": {}, \"a\": \"4\", {}: 1}}\n", quoted(prompt), quoted(CODES)));
    let output = bench.run("column.yaml", &[]);
    assert_eq!(output.status.code(), Some(2), "{}", harmless(&output));
    for arguments in [
        &["show", "name.yaml"][..],
        &["show", "alias.yaml"],
        &["show", CODES],
        &["ls", "tags", "--include-path", "."],
        &["ls", "tasks", "--include-path", "."],
        &["run", "--model", CODES, "--tasks", "name.yaml"],
        &["run", "--model", "mock", "--tasks", "name.yaml", "--limit", CODES],
        &["run", "--model", "mock", "--tasks", CODES],
        &["run", "--model", "mock", "--tasks", "name.yaml", "--precision", CODES],
        &[CODES],
        &["cache", "show", "ab", "--cache-file", CODES],
        &["demo", "--precision", CODES],
    ] {
        harmless(&bench.fairmark(arguments));
    }
    let shown = harmless(&bench.fairmark(&["show", "name.yaml"]));
    assert!(shown.contains("--- prompt of request 0 ---\nX\\u{1b}[31mX"), "{shown}");
}

#[test]
fn files_keep_names_and_texts_as_they_are() {
    let bench = Bench::new();
    bench.task("name.yaml", CODES, "");
    bench.write("d.jsonl", &format!("{{\"q\": {}, \"a\": \"4\"}}\n", quoted(CODES)));
    assert!(bench.run("name.yaml", &[]).status.success());
    let read = |start: &str| -> serde_json::Value {
        let files = std::fs::read_dir(bench.run_folder()).unwrap().map(|entry| entry.unwrap().path());
        let file =
            files.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start)).unwrap();
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    assert_eq!(read("samples_")["doc"]["q"], CODES);
    assert!(read("results_")["results"].get(CODES).is_some());
}

#[test]
fn no_message_is_as_long_as_others_like() {
    let bench = Bench::new();
    let long = "x".repeat(5_000_000);
    bench.task("key.yaml", "t", &format!("{long}: 1\n"));
    bench.task("metric.yaml", "t", &format!("metric_list: [{{metric: {long}}}]\n"));
    bench.task("template.yaml", "t", &format!("description: \"{{{{ {long} }}}}\"\n"));
    bench.task("columns.yaml", "t", "process_docs: [{rename: {nothing: x}}]\n");
    for task in ["key.yaml", "metric.yaml", "template.yaml"] {
        let output = bench.run(task, &[]);
        assert_eq!(output.status.code(), Some(2), "{task}");
        assert!(output.stderr.len() < 8000, "{task}: {} bytes", output.stderr.len());
    }
    let row: serde_json::Map<_, _> = (0..3000).map(|i| (format!("column_{i}"), i.into())).collect();
    bench.write("d.jsonl", &format!("{}\n", serde_json::Value::Object(row)));
    let output = bench.run("columns.yaml", &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.len() < 2000, "{said}");
    // A name that long is a name all the same.
    let bench = Bench::new();
    bench.task("long.yaml", &"n".repeat(100_000), "");
    let output = bench.run("long.yaml", &[]);
    assert!(output.status.success() && output.stdout.len() + output.stderr.len() < 20_000);
}

#[test]
fn task_names_decide_no_paths() {
    for name in ["a/b", "../../x", "a:b*?\"<>|", &"é".repeat(300), "/etc/passwd", "con", ".", "a\0b", "a\nb", " "] {
        let bench = Bench::new();
        bench.task("t.yaml", name, "");
        let output = bench.run("t.yaml", &[]);
        assert!(output.status.success(), "{name:?}: {}", harmless(&output));
        let names: Vec<String> = std::fs::read_dir(bench.run_folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("samples_"))
            .collect();
        assert_eq!(names.len(), 1, "{name:?}: {names:?}");
        assert!(
            names[0].len() < 255 && names[0].chars().all(|c| c.is_alphanumeric() || "._-".contains(c)),
            "{names:?}"
        );
    }
    // Names that are alike as file names have a file each.
    let bench = Bench::new();
    bench.task("a.yaml", "x/y", "");
    bench.task("b.yaml", "x:y", "");
    assert!(bench.run("a.yaml,b.yaml", &[]).status.success());
    let samples = std::fs::read_dir(bench.run_folder()).unwrap();
    assert_eq!(
        samples.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("samples_")).count(),
        2
    );
}

/// A finished run, marked as interrupted.
fn interrupted() -> (Bench, PathBuf) {
    let bench = Bench::new();
    bench.task("t.yaml", "t", "");
    assert!(bench.run("t.yaml", &[]).status.success());
    let folder = bench.run_folder();
    let header = std::fs::read_to_string(folder.join("run.json")).unwrap();
    std::fs::write(folder.join("run.json"), header.replace("\"complete\"", "\"incomplete\"")).unwrap();
    std::fs::write(bench.path("victim"), VICTIM).unwrap();
    (bench, folder)
}

const VICTIM: &str = "important text\nlast line without an end";

#[test]
fn links_in_a_run_folder_touch_nothing_outside() {
    type Plant = fn(&Path, &Path);
    let soft: Plant = |victim, place| std::os::unix::fs::symlink(victim, place).unwrap();
    let hard: Plant = |victim, place| std::fs::hard_link(victim, place).unwrap();
    let dangling: Plant = |victim, place| std::os::unix::fs::symlink(victim.with_file_name("made"), place).unwrap();
    let pipe: Plant = |_, place| assert!(Command::new("mkfifo").arg(place).status().unwrap().success());
    let folder_in_place: Plant = |_, place| std::fs::create_dir(place).unwrap();
    let refused = [".lock", "journal.jsonl", "run.json"];
    for name in refused.iter().chain(&["usage.json", "samples.parquet", ".run.json.partial"]) {
        for (what, plant) in
            [("soft", soft), ("hard", hard), ("dangling", dangling), ("pipe", pipe), ("folder", folder_in_place)]
        {
            let (bench, folder) = interrupted();
            let _ = std::fs::remove_file(folder.join(name));
            plant(&bench.path("victim"), &folder.join(name));
            let output = bench.run("t.yaml", &[]);
            let said = harmless(&output);
            assert_eq!(std::fs::read_to_string(bench.path("victim")).unwrap(), VICTIM, "{name} {what}");
            assert!(!bench.path("made").exists(), "{name} {what}");
            // A header that is a second name of something else is no header.
            if refused.contains(name) {
                assert_eq!(output.status.code(), Some(2), "{name} {what}: {said}");
                assert!(said.contains(name), "{name} {what}: {said}");
            }
            if what == "folder" && !name.ends_with("partial") {
                assert_eq!(output.status.code(), Some(2), "{name} {what}: {said}");
                assert!(!said.contains("make room"), "{said}");
            }
        }
    }
}

#[test]
fn the_run_folder_itself_is_no_link() {
    let (bench, folder) = interrupted();
    let elsewhere = bench.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("results_mine.json"), VICTIM).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
    let output = bench.run("t.yaml", &["--fresh"]);
    assert_eq!(output.status.code(), Some(2), "{}", harmless(&output));
    assert!(harmless(&output).contains("link"), "{}", harmless(&output));
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
    // The folder for run folders may be one: it is the user's own choice.
    std::os::unix::fs::symlink(&elsewhere, bench.path("linked")).unwrap();
    let line = ["run", "--model", "mock", "--tasks", "t.yaml", "--cache", "off", "--out", "linked"];
    assert!(bench.fairmark(&line).status.success());
}

#[test]
fn planted_probes_are_not_followed() {
    let bench = Bench::new();
    bench.task("t.yaml", "t", "");
    bench.write("victim", VICTIM);
    std::fs::create_dir(bench.path("out")).unwrap();
    let pid = std::process::id();
    for n in pid..pid + 300 {
        let name = format!("out/.fairmark-probe-{n}");
        std::os::unix::fs::symlink(bench.path("victim"), bench.path(&name)).unwrap();
    }
    assert!(bench.run("t.yaml", &[]).status.success());
    assert_eq!(std::fs::read_to_string(bench.path("victim")).unwrap(), VICTIM);
}

#[test]
fn a_journal_that_was_rewritten_is_asked_again() {
    let bench = Bench::new();
    bench.task("t.yaml", "t", "");
    let task = "output_type: multiple_choice\ndoc_to_choice: [\"3\", \"4\"]\ndoc_to_target: a\n";
    let file = std::fs::read_to_string(bench.path("t.yaml")).unwrap();
    let file = file.replace("output_type: generate_until\n", "").replace("doc_to_target: '{{a}}'\n", "");
    std::fs::write(bench.path("t.yaml"), format!("{file}{task}")).unwrap();
    let output = bench.run("t.yaml", &[]);
    assert!(output.status.success(), "{}", harmless(&output));
    let table = output.stdout;
    let journal = bench.run_folder().join("journal.jsonl");
    let right = std::fs::read_to_string(&journal).unwrap();
    let replaced = |old: &str, new: &str| {
        let mut left = 1;
        let lines = right.lines().map(|line| match line.find(old) {
            Some(at) if left > 0 => {
                left -= 1;
                let end = at + line[at..].find('}').unwrap() + 1;
                format!("{}{new}{}\n", &line[..at], &line[end..])
            }
            _ => format!("{line}\n"),
        });
        lines.collect::<String>()
    };
    let answer = "\"loglikelihood\":{\"logprob\"";
    for new in [
        "\"text\":{\"text\":\"4\",\"finish\":\"stop\"}",
        "\"rolling\":{\"logprob\":-1.0,\"num_tokens\":1}",
        "\"choice\":{\"logprobs\":[null]}",
        "\"loglikelihood\":{\"logprob\":3.5,\"is_greedy\":true,\"num_tokens\":1}",
        "\"loglikelihood\":{\"logprob\":NaN,\"is_greedy\":true,\"num_tokens\":1}",
        "\"loglikelihood\":{\"logprob\":-1.0,\"is_greedy\":true,\"num_tokens\":-1}",
        "\"loglikelihood\":{\"logprob\":-1.0,\"logprob\":-2.0,\"is_greedy\":true,\"num_tokens\":1}",
    ] {
        let changed = replaced(answer, new);
        assert_ne!(changed, right);
        std::fs::write(&journal, changed).unwrap();
        let output = bench.run("t.yaml", &["--quiet"]);
        assert!(output.status.success(), "{new}: {}", harmless(&output));
        assert_eq!(output.stdout, table, "{new}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("1 damaged journal lines are ignored and asked again"), "{new}: {said}");
    }
}

#[test]
fn a_header_that_was_rewritten_is_refused() {
    let (bench, folder) = interrupted();
    let header = std::fs::read_to_string(folder.join("run.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&header).unwrap();
    let started = value["environment"]["started"].as_str().unwrap().to_string();
    for (old, new) in [
        (started.as_str(), "../../../victim"),
        (started.as_str(), CODES),
        ("\"seed\": 0", "\"seed\": 1"),
        ("\"format_version\": 3", "\"format_version\": 99"),
        ("\"fairmark_version\": \"", "\"fairmark_version\": \"\\u001b[31m"),
    ] {
        let changed =
            header.replace(old, &quoted(new).trim_matches('"').replace("\\\"", "\"").replace("\\\\u001b", "\\u001b"));
        assert_ne!(changed, header, "{old}");
        std::fs::write(folder.join("run.json"), changed).unwrap();
        let output = bench.run("t.yaml", &[]);
        assert_eq!(output.status.code(), Some(2), "{new}: {}", harmless(&output));
        assert!(harmless(&output).contains("run.json"), "{}", harmless(&output));
        assert_eq!(std::fs::read_to_string(bench.path("victim")).unwrap(), VICTIM);
    }
}

#[test]
fn manual_pages_follow_no_links() {
    let bench = Bench::new();
    bench.write("victim", VICTIM);
    std::fs::create_dir(bench.path("man")).unwrap();
    std::os::unix::fs::symlink(bench.path("victim"), bench.path("man/fairmark.1")).unwrap();
    assert!(bench.fairmark(&["man", "--dir", "man"]).status.success());
    assert_eq!(std::fs::read_to_string(bench.path("victim")).unwrap(), VICTIM);
}
