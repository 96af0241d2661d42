//! Chat templates as a user meets them: dates that are frozen, settings, thoughts, hostile ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Two time zones that never have the same day, as POSIX writes them: the test's way of waiting for tomorrow.
const TODAY: &str = "AAA12";
const TOMORROW: &str = "BBB-14";

const DATED: &str = "{{ bos_token }}{% if strftime_now is defined %}Today: {{ strftime_now('%d %b %Y') }}\n{% endif %}\
                     {% for m in messages %}{{ m.content }}{% endfor %}";

/// The demo's model with a chat template.
fn model(dir: &Path, template: &str) -> PathBuf {
    let model = dir.join("model");
    std::fs::create_dir_all(&model).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/model");
    for file in
        ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    {
        std::fs::copy(demo.join(file), model.join(file)).unwrap();
    }
    std::fs::write(model.join("chat_template.jinja"), template).unwrap();
    model
}

fn run(dir: &Path, zone: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.env("HF_HUB_OFFLINE", "1").env("TZ", zone).env_remove("FAIRMARK_ISA");
    command.args(["run", "--tasks", "demo_facts", "--limit", "4", "--apply-chat-template", "--threads", "1"]);
    command.arg("--model").arg(dir.join("model")).arg("--out").arg(dir.join("out")).args(more).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(dir.join("out")).map(|entries| entries.map(|e| e.unwrap().path()).collect());
    found.unwrap_or_default()
}

/// The samples of the only run.
fn samples(dir: &Path) -> String {
    let [folder] = folders(dir).try_into().unwrap();
    let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let samples = files.filter(|p| p.extension().is_some_and(|e| e == "jsonl") && !p.ends_with("journal.jsonl"));
    samples.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn a_run_keeps_the_date_of_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    model(dir.path(), DATED);
    let first = run(dir.path(), TODAY, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let note = |output: &Output| {
        let lines: Vec<String> =
            stderr(output).lines().filter(|l| l.contains("prints the date")).map(str::to_string).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    let (said, sent) = (note(&first), samples(dir.path()));
    assert!(sent.contains("Today: "));
    // A finished run is repeated tomorrow: its own folder, its own date, its own bytes.
    let repeated = run(dir.path(), TOMORROW, &[]);
    assert!(stderr(&repeated).contains("this run is finished"), "{}", stderr(&repeated));
    assert_eq!((note(&repeated), samples(dir.path())), (said.clone(), sent.clone()));
    // And one that was interrupted is continued with it.
    let journal = folders(dir.path())[0].join("journal.jsonl");
    let lines = std::fs::read_to_string(&journal).unwrap();
    let half: String = lines.lines().take(lines.lines().count() / 2).map(|line| format!("{line}\n")).collect();
    std::fs::write(&journal, half).unwrap();
    let continued = run(dir.path(), TOMORROW, &[]);
    assert_eq!(continued.status.code(), Some(0), "{}", stderr(&continued));
    assert_eq!((note(&continued), samples(dir.path())), (said.clone(), sent.clone()));
    // Anew, it is another day.
    let fresh = run(dir.path(), TOMORROW, &["--fresh"]);
    assert!(note(&fresh) != said && samples(dir.path()) != sent, "{}", note(&fresh));
}

#[test]
fn a_date_that_is_set_names_the_run() {
    let dir = tempfile::tempdir().unwrap();
    model(dir.path(), DATED);
    for (zone, date) in [(TODAY, "2024-02-29"), (TOMORROW, "2024-02-29"), (TODAY, "2024-03-01")] {
        let output = run(dir.path(), zone, &["--date", date]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains(if date == "2024-02-29" { "29 Feb 2024" } else { "01 Mar 2024" }));
    }
    assert_eq!(folders(dir.path()).len(), 2);
    let wrong = run(dir.path(), TODAY, &["--date", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    model(dir.path(), "{% for m in messages %}{{ m.content }}{% endfor %}");
    let without = run(dir.path(), TODAY, &["--date", "2024-02-29"]);
    assert!(stderr(&without).contains("--date changes nothing"), "{}", stderr(&without));
}

#[test]
fn settings_reach_the_template_and_name_the_run() {
    let dir = tempfile::tempdir().unwrap();
    model(
        dir.path(),
        "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking is false %}<no>{% endif %}",
    );
    assert_eq!(run(dir.path(), TODAY, &[]).status.code(), Some(0));
    assert!(!samples(dir.path()).contains("<no>"));
    let off = run(dir.path(), TODAY, &["--chat-template-args", r#"{"enable_thinking": false, "typo": 1}"#]);
    assert_eq!(off.status.code(), Some(0), "{}", stderr(&off));
    assert!(stderr(&off).contains("`typo`"), "{}", stderr(&off));
    let folders = folders(dir.path());
    assert_eq!(folders.len(), 2);
    let headers: Vec<String> = folders.iter().map(|f| std::fs::read_to_string(f.join("run.json")).unwrap()).collect();
    assert!(headers.iter().any(|header| header.contains("enable_thinking")));
}

#[test]
fn another_instruction_set_is_another_run() {
    let dir = tempfile::tempdir().unwrap();
    model(dir.path(), "{% for m in messages %}{{ m.content }}{% endfor %}");
    let portable = |isa: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
        command.args(["run", "--tasks", "demo_facts", "--limit", "2", "--model"]).arg(dir.path().join("model"));
        command
            .env("HF_HUB_OFFLINE", "1")
            .env("FAIRMARK_ISA", isa)
            .arg("--out")
            .arg(dir.path().join("out"))
            .output()
            .unwrap()
    };
    let first = portable("portable");
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let header = std::fs::read_to_string(folders(dir.path())[0].join("run.json")).unwrap();
    assert!(header.contains("isa=portable"));
    let best = portable("");
    assert_eq!(best.status.code(), Some(0), "{}", stderr(&best));
    let named = stderr(&best).contains("FAIRMARK_ISA=portable before the command");
    assert_eq!(named, folders(dir.path()).len() == 2, "only a processor without more has one run: {}", stderr(&best));
    assert!(stderr(&portable("portable")).contains("this run is finished"));
}

#[test]
fn hostile_templates_are_named_errors() {
    let dir = tempfile::tempdir().unwrap();
    for (template, says) in [
        (format!("\n{{{{ 1{} }}}}", "+1".repeat(100_000)), "chat_template.jinja:2"),
        ("{{ messages | tojson(indent=1000000000) }}".to_string(), "chat template"),
        (
            "{% set ns=namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = ns.l + ns.l %}{% endfor %}".to_string(),
            "line 1",
        ),
        ("{{ raise_exception('no ' * 100000) }}".to_string(), "no no"),
    ] {
        model(dir.path(), &template);
        let output = run(dir.path(), TODAY, &[]);
        assert_ne!(output.status.code(), Some(0));
        assert!(output.status.code().is_some_and(|code| code == 2 || code == 3), "{:?}", output.status);
        assert!(stderr(&output).contains(says) && stderr(&output).len() < 5000, "{}", stderr(&output));
    }
    let pipe = dir.path().join("model/chat_template.jinja");
    std::fs::remove_file(&pipe).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let output = run(dir.path(), TODAY, &[]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("not a file"), "{}", stderr(&output));
}
