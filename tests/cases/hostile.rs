//! Files and names from outside: nothing panics, hangs, eats memory, repaints a terminal or touches what it should not.

use super::world::Case;

pub fn hostile_endless_hub(case: &Case) {
    for mode in ["listing", "file"] {
        let server = case.server(&format!("hub.py PORT {mode} 60"));
        let settings = format!("ulimit -v 6000000; HF_ENDPOINT=http://127.0.0.1:{} HF_HOME=home-{mode}", server.port);
        let seen = case.sh(&format!("{settings} $FAIRMARK run --model mock --tasks t.yaml --cache off --out out"));
        seen.exits(2).within(30.0);
        let kept = case.sh(&format!("mkdir -p home-{mode}; du -sm home-{mode} | cut -f1"));
        assert!(kept.out.trim().parse::<u64>().unwrap() < 10, "{kept}");
    }
}

pub fn hostile_escape_codes(case: &Case) {
    case.make();
    let run = |task: &str| format!("run --model mock --tasks made/{task}.yaml --cache off --out out");
    let loaded = |model: &str, more: &str| {
        format!("run --model made/{model} --tasks made/plain.yaml --offline --cache off --out out {more}")
    };
    let mut lines: Vec<String> =
        ["key", "name", "inc/alias", "metric", "aggregation", "column", "lines", "bidi"].map(run).to_vec();
    lines.extend(["architectures", "hidden_act", "rope_parameters", "quantization_config"].map(|m| loaded(m, "")));
    lines.push(loaded("template", "--apply-chat-template"));
    lines.push("show aliased --include-path made/inc --doc 0".into());
    lines.extend(["tags", "tasks"].map(|what| format!("ls {what} --include-path made/inc")));
    for line in &lines {
        let seen = case.fairmark(line);
        for raw in ["\u{1b}", "\u{7}", "\u{202e}"] {
            seen.never_says(raw);
        }
        let alone = |text: &str| text.lines().any(|line| line.starts_with("warning: all is well"));
        assert!(!alone(&seen.out) && !alone(&seen.err), "a name wrote a line of its own: {seen}");
    }
}

pub fn hostile_loops_without_budget(case: &Case) {
    case.sh("sh make.sh").exits(0);
    for task in ["repeats.yaml", "made/groups.yaml"] {
        let flags = "--include-path made/groups --cache off --out out";
        let seen = case.sh_within(60, &format!("ulimit -v 6000000; $FAIRMARK run --model mock --tasks {task} {flags}"));
        // Groups that are reached by many ways may be expanded once.
        seen.exits_any(if task == "repeats.yaml" { &[2] } else { &[0, 2] }).within(20.0);
    }
    for model in ["lists", "indent"] {
        let flags = "--tasks plain.yaml --apply-chat-template --offline --cache off --out out";
        let seen = case.sh_within(60, &format!("ulimit -v 6000000; $FAIRMARK run --model made/{model} {flags}"));
        seen.exits(2).within(20.0).says("template");
    }
}

pub fn hostile_odd_files(case: &Case) {
    let seen = case.sh_within(400, "./try.sh");
    assert_eq!(seen.out.lines().count(), 18, "{seen}");
    let wrong: Vec<&str> = seen.out.lines().filter(|line| !line.contains(": exit 2 ")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub fn hostile_parquet_panics(case: &Case) {
    for file in [52, 118] {
        let seen = case.fairmark(&format!("run --model mock --tasks {file}.yaml --cache off --out out"));
        seen.exits(2).says("hint:").never_says("fault of fairmark").never_says("panicked").never_says(".cargo");
    }
}

pub fn hostile_run_folder_links(case: &Case) {
    let seen = case.sh("./try.sh");
    assert_eq!(seen.out.lines().count(), 9, "{seen}");
    assert!(!seen.out.contains("CHANGED"), "{seen}");
    for name in [".lock", "journal.jsonl"] {
        seen.prints(&format!("{name}: untouched (exit 2)\n"));
    }
}

pub fn hostile_task_reads_any_file(case: &Case) {
    let seen = case.fairmark("show t --include-path tasks --doc 1");
    seen.exits(2).never_says("CANARY").says("hint:");
}

pub fn hostile_template_stack(case: &Case) {
    case.make();
    let files = case.sh("ls made/*.yaml").out.clone();
    for file in files.lines().filter(|file| !file.ends_with("plain.yaml")) {
        let seen = case.fairmark(&format!("run --model mock --tasks {file} --cache off --out out"));
        // `comparisons` is a control that may be right.
        seen.exits_any(if file.contains("comparisons") { &[0, 2] } else { &[2] }).never_says("overflowed");
        assert!(seen.err.len() < 4000, "{file}: {} bytes on stderr", seen.err.len());
    }
    let flags = "--tasks made/plain.yaml --apply-chat-template --offline --cache off --out out";
    case.fairmark(&format!("run --model made/model {flags}")).exits(2).never_says("overflowed");
}
