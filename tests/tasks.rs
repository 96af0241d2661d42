//! Task files that are valid and cannot have been meant, and hostile ones, through the real binary.

use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// `fairmark` in a folder.
fn fairmark(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.current_dir(folder).env("HF_HUB_OFFLINE", "1").args(args).output().unwrap()
}

/// `fairmark run --model MODEL --tasks TASKS` with more; stdout and stderr of a run that succeeds.
fn run(folder: &Path, model: &str, tasks: &str, more: &[&str]) -> (String, String) {
    let args = ["run", "--model", model, "--tasks", tasks, "--cache", "off", "--out", "out", "--fresh"];
    let output = fairmark(folder, &[&args, more].concat());
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{tasks} {more:?}: {err}");
    (out, err)
}

/// What a command that is refused says.
fn refused(folder: &Path, args: &[&str]) -> String {
    let output = fairmark(folder, args);
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{args:?}: {err}");
    err
}

fn show(folder: &Path, task: &str, more: &[&str]) -> String {
    let output = fairmark(folder, &[&["show", task], more].concat());
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{task} {more:?}: {err}");
    out
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A task over `rows.jsonl`, with more keys; `kind` and what goes with it.
fn task(name: &str, keys: &str) -> String {
    format!(
        "task: {name}\ndataset_path: json\ntest_split: test\ndataset_kwargs: {{data_files: {{test: rows.jsonl}}}}\n{keys}"
    )
}

const WORDS: &str = "doc_to_text: \"{{q}} ->\"\ndoc_to_target: \"{{a}}\"\noutput_type: generate_until\n";
const ROWS: &str = "{\"q\": \"cold\", \"a\": \"kalt\"}\n{\"q\": \"warm\", \"a\": \"warm\"}\n{\"q\": \"red\", \"a\": \"rot\"}\n{\"q\": \"blue\", \"a\": \"blau\"}\n{\"q\": \"green\", \"a\": \"gruen\"}\n";

/// A task's own document among its shots: by the fallback to the only split, by a slice, by the validation split, by another file with
/// the same rows, and by rows that differ in a column that no prompt shows.
#[test]
fn a_document_among_its_own_shots_is_counted_and_kept_out() {
    let numbered: String =
        ROWS.lines().enumerate().map(|(i, row)| row.replacen('{', &format!("{{\"id\": {i}, "), 1) + "\n").collect();
    let other: String = numbered.replace("\"id\": ", "\"id\": 7");
    let sliced = "fewshot_split: test[:4]\nnum_fewshot: 3\n";
    let files = |test: &str, more: &str| {
        format!("task: t\ndataset_path: json\ndataset_kwargs: {{data_files: {test}}}\nnum_fewshot: 3\n{more}{WORDS}")
    };
    let tasks = [
        ("only.yaml", task("only", &format!("num_fewshot: 3\n{WORDS}"))),
        ("slice.yaml", task("slice", &format!("{sliced}{WORDS}"))),
        ("val.yaml", files("{validation: rows.jsonl}", "validation_split: validation\nfewshot_split: validation\n")),
        ("copy.yaml", files("{test: rows.jsonl, train: copy.jsonl}", "test_split: test\ntraining_split: train\n")),
        ("other.yaml", files("{test: ids.jsonl, train: other.jsonl}", "test_split: test\ntraining_split: train\n")),
    ];
    let mut all: Vec<(&str, &str)> = tasks.iter().map(|(name, text)| (*name, text.as_str())).collect();
    all.extend([("rows.jsonl", ROWS), ("copy.jsonl", ROWS), ("ids.jsonl", &numbered), ("other.jsonl", &other)]);
    let folder = folder(&all);
    let folder = folder.path();
    for (name, _) in &tasks {
        // The prompts of documents whose question stands in them twice.
        let doubled = |more: &[&str]| {
            let twice = |doc: usize| {
                let prompt = show(folder, name, &[&["--doc", &doc.to_string()], more].concat());
                let prompt = prompt.split("--- prompt").nth(1).unwrap().to_owned();
                let question = ["cold ->", "warm ->", "red ->", "blue ->", "green ->"][doc];
                prompt.matches(question).count() > 1
            };
            (0..5).filter(|doc| twice(*doc)).count()
        };
        let count = doubled(&[]);
        assert!(count > 0, "{name}");
        let (_, err) = run(folder, "mock", name, &[]);
        assert!(err.contains("shots show the document that is asked about"), "{name}: {err}");
        assert!(err.contains(&format!("({count} of 5 prompts)")), "{name}: {count}, {err}");
        assert_eq!(doubled(&["--exclude-evaluated"]), 0, "{name}");
        let (_, err) = run(folder, "mock", name, &["--exclude-evaluated"]);
        assert!(!err.contains("shots show"), "{name}: {err}");
        let shown = show(folder, name, &[]);
        assert!(shown.contains("warning    ") && shown.contains("shots show the document"), "{shown}");
    }
    // The split is the same by name: the reference keeps the document out, and so nothing is said.
    let same = task("same", &format!("fewshot_split: test\nnum_fewshot: 3\n{WORDS}"));
    std::fs::write(folder.join("same.yaml"), same).unwrap();
    let (_, err) = run(folder, "mock", "same.yaml", &[]);
    assert!(!err.contains("shots show"), "{err}");
}

#[test]
fn a_pool_that_is_too_small_says_what_is_in_it() {
    let rows = format!("{}{}", ROWS.lines().next().unwrap(), "\n").repeat(3) + ROWS.lines().last().unwrap() + "\n";
    let t = task("t", &format!("fewshot_split: test\nnum_fewshot: 2\n{WORDS}"));
    let folder = folder(&[("t.yaml", &t), ("rows.jsonl", &rows)]);
    let err = refused(folder.path(), &["run", "--model", "mock", "--tasks", "t.yaml"]);
    let want = "2 shots are wanted for document 0, and the pool has 1 besides copies of this document (4 rows, 3 of them equal to it)";
    assert!(err.contains("t.yaml:1") && err.contains(want), "{err}");
}

/// Texts that look like lists, or like indices.
#[test]
fn texts_stay_texts_unless_the_task_says_otherwise() {
    let rows =
        "{\"q\": \"1\", \"a\": \"[3, 2]\", \"l\": [\"x\", \"y\"]}\n{\"q\": \"2\", \"a\": \"[5]\", \"l\": [\"z\"]}\n";
    let asks = |name: &str, target: &str, more: &str| {
        task(name, &format!("doc_to_text: \"Q {{{{q}}}}:\"\ndoc_to_target: \"{target}\"\n{more}"))
    };
    let answers = |first: &str, second: &str| {
        format!(
            "{{\"contains\": \"Q 1:\", \"texts\": [\"{first}\"]}}\n{{\"contains\": \"Q 2:\", \"texts\": [\"{second}\"]}}\n"
        )
    };
    let folder = folder(&[
        ("text.yaml", &asks("text", "{{a}}", "")),
        ("said.yaml", &asks("said", "{{a}}", "read_target: text\n")),
        ("literal.yaml", &asks("literal", "{{a}}", "read_target: literal\n")),
        ("list.yaml", &asks("list", "{{l}}", "")),
        ("own.yaml", &asks("own", "['{{l[0]}}', '{{q}}']", "")),
        ("rows.jsonl", rows),
        ("whole.jsonl", &answers("[3, 2]", "[5]")),
        ("member.jsonl", &answers("3", "5")),
        ("words.jsonl", &answers("y", "z")),
        ("digits.jsonl", &answers("1", "2")),
    ]);
    let folder = folder.path();
    let score = |task: &str, answers: &str| {
        let (out, err) = run(folder, &format!("mock:texts={answers}.jsonl"), &format!("{task}.yaml"), &[]);
        let right = out.contains("1.0000");
        assert!(right || out.contains("0.0000"), "{out}");
        (right, err.contains("text in square brackets"), err)
    };
    for (task, answers, right, warned) in [
        ("text", "whole", true, true),
        ("text", "member", false, true),
        ("said", "whole", true, false),
        ("literal", "whole", false, false),
        ("literal", "member", true, false),
        ("list", "words", true, false),
        ("own", "digits", true, false),
    ] {
        let found = score(task, answers);
        assert_eq!((found.0, found.1), (right, warned), "{task} {answers}: {}", found.2);
        assert!(!warned || found.2.contains("(2 of 2 documents)"), "{}", found.2);
    }
}

#[test]
fn digits_name_the_choice_that_reads_so() {
    let choices = |name: &str, target: &str, more: &str| {
        let keys = "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: \"{{c}}\"\nmetric_list: [{metric: acc}]\n";
        task(name, &format!("{keys}doc_to_target: \"{target}\"\n{more}"))
    };
    let rows = "{\"q\": \"1 + 1\", \"c\": [\"0\", \"2\", \"4\"], \"a\": \"2\", \"n\": 2, \"i\": \"1\"}\n\
                {\"q\": \"0 + 0\", \"c\": [\"0\", \"2\", \"4\"], \"a\": \"0\", \"n\": 0, \"i\": \"0\"}\n";
    let folder = folder(&[
        ("text.yaml", &choices("text", "{{a}}", "")),
        ("literal.yaml", &choices("literal", "{{a}}", "read_target: literal\n")),
        ("number.yaml", &choices("number", "n", "")),
        ("as_text.yaml", &choices("as_text", "n", "read_target: text\n")),
        ("index.yaml", &choices("index", "{{i}}", "")),
        ("rows.jsonl", rows),
    ]);
    let folder = folder.path();
    for (name, right, warning) in [
        ("text", "choice 1, '2'", Some("(1 of 2 documents)")),
        ("literal", "choice 2, '4'", None),
        ("number", "choice 2, '4'", Some("`read_target: text` takes the choice that reads so (1 of 2 documents)")),
        ("as_text", "choice 1, '2'", None),
        // "1" is no choice of the first document: these are indices.
        ("index", "choice 1, '2'", None),
    ] {
        let shown = show(folder, &format!("{name}.yaml"), &[]);
        assert!(shown.contains(&format!("right      {right}\n")), "{name}: {shown}");
        assert_eq!(shown.contains("warning"), warning.is_some(), "{name}: {shown}");
        let (_, err) = run(folder, "mock", &format!("{name}.yaml"), &[]);
        assert!(warning.is_none_or(|text| err.contains(text)), "{name}: {err}");
        assert_eq!(err.contains("warning"), warning.is_some(), "{name}: {err}");
    }
}

#[test]
fn a_shot_shows_the_first_of_several_right_choices() {
    let keys = "output_type: multiple_choice\nfewshot_split: test\nnum_fewshot: 1\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: \"{{c}}\"\nmetric_list: [{metric: acc}]\n";
    let rows = "{\"q\": \"One?\", \"c\": [\"a\", \"b\", \"c\"], \"g\": [2, 0]}\n{\"q\": \"Two?\", \"c\": [\"d\", \"e\", \"f\"], \"g\": [1, 2]}\n";
    for target in ["g", "{{g}}"] {
        let t = task("t", &format!("{keys}doc_to_target: \"{target}\"\n"));
        let folder = folder(&[("t.yaml", &t), ("rows.jsonl", rows)]);
        assert!(show(folder.path(), "t.yaml", &[]).contains("Two? e\n\nOne?\n---"), "{target}");
        assert!(show(folder.path(), "t.yaml", &["--doc", "1"]).contains("One? c\n\nTwo?\n---"), "{target}");
        assert!(show(folder.path(), "t.yaml", &[]).contains("right      choice 2, 'c'; choice 0, 'a'\n"), "{target}");
    }
}

#[test]
fn groups_name_what_their_tasks_have() {
    let choices = |name: &str, metrics: &str| {
        let keys =
            "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: [kalt, warm]\ndoc_to_target: 0\n";
        task(name, &format!("{keys}metric_list: [{metrics}]\n"))
    };
    let filtered = format!("{WORDS}filter_list:\n- {{name: strict, filter: [{{function: take_first}}]}}\n");
    let more = "{\"q\": \"x\", \"a\": \"y\"}\n".repeat(3);
    let b = choices("b", "{metric: acc}, {metric: acc_norm}").replace("rows.jsonl", "more.jsonl");
    let group = |name: &str, tasks: &str, aggregates: &str| {
        format!("group: {name}\ntask: [{tasks}]\naggregate_metric_list:\n{aggregates}")
    };
    let folder = folder(&[
        ("a.yaml", &choices("a", "{metric: acc}")),
        ("b.yaml", &b),
        ("c.yaml", &task("c", &filtered)),
        ("metric.yaml", &group("by_metric", "a, b", "- metric: acc\n- metric: exact_match\n")),
        ("filter.yaml", &group("by_filter", "c", "- metric: exact_match\n  filter_list: [strict, flexible]\n")),
        ("some.yaml", &group("some", "a, b", "- metric: acc_norm\n- metric: acc\n")),
        ("outer.yaml", "group: outer\ntask: [by_metric]\n"),
        ("rows.jsonl", ROWS),
        ("more.jsonl", &more),
    ]);
    let folder = folder.path();
    let refused = |group: &str| refused(folder, &["run", "--model", "mock", "--tasks", group, "--include-path", "."]);
    for name in ["by_metric", "outer"] {
        let err = refused(name);
        assert!(
            err.contains("metric.yaml:5: group `by_metric` aggregates `exact_match`, which none of its tasks has"),
            "{err}"
        );
        assert!(err.contains("hint: their metrics: acc, acc_norm"), "{err}");
    }
    let err = refused("by_filter");
    assert!(
        err.contains("filter.yaml:4: group `by_filter` aggregates `exact_match` under the filter `flexible`"),
        "{err}"
    );
    assert!(err.contains("hint: their filters: strict"), "{err}");
    let (out, err) = run(folder, "mock", "some", &["--include-path", "."]);
    assert!(err.contains("note: some: no figure of the group for `acc_norm`, which some of its tasks lack"), "{err}");
    let row = out.lines().find(|line| line.trim_start().starts_with("some")).unwrap();
    assert!(row.contains(" 8 ") && row.contains("acc ") && !out.contains("some  5"), "{out}");
}

#[test]
fn flags_without_effect_are_named() {
    let zero = task("zero", &format!("num_fewshot: 0\n{WORDS}"));
    let nought = task("nought", &format!("num_fewshot: 0\n{WORDS}"));
    let rolling = task("rolling", "output_type: loglikelihood_rolling\ndoc_to_text: \"\"\ndoc_to_target: \"{{q}}\"\n");
    let plain = task("plain", WORDS);
    let folder = folder(&[
        ("zero.yaml", &zero),
        ("nought.yaml", &nought),
        ("rolling.yaml", &rolling),
        ("plain.yaml", &plain),
        ("rows.jsonl", ROWS),
    ]);
    let folder = folder.path();
    for (tasks, flags, says) in [
        (
            "zero.yaml",
            &["--num-fewshot", "5"][..],
            "note: zero: says num_fewshot: 0 and keeps it; --num-fewshot 5 is not used",
        ),
        ("zero.yaml, nought.yaml", &["--num-fewshot", "5"], "note: zero, nought: says num_fewshot: 0 and keeps it"),
        ("rolling.yaml", &["--num-fewshot", "2"], "rolling: scores whole texts"),
        ("rolling.yaml", &["--gen-kwargs", "top_p=1"], "note: --gen-kwargs has no effect: no task generates text"),
        ("rolling.yaml", &["--system-instruction", "Be good."], "note: --system-instruction has no effect"),
        (
            "plain.yaml",
            &["--apply-chat-template", "--fewshot-as-multiturn", "false"],
            "note: --fewshot-as-multiturn false has no effect: no prompt has shots",
        ),
        ("plain.yaml", &["--n-samples", "2"], "note: plain: --n-samples 2 without sampling"),
        ("rolling.yaml", &["--n-samples", "2"], "note: --n-samples 2 has no effect: no task generates text"),
        (
            "plain.yaml",
            &["--gen-kwargs", "temperature=1"],
            "note: --gen-kwargs temperature has no effect: no answer is sampled",
        ),
        ("plain.yaml", &["--pass-k", "1"], "note: --pass-k has no effect"),
        (
            "plain.yaml",
            &["--mc-protocol", "letter-text"],
            "note: --mc-protocol letter-text has no effect: no task has choices",
        ),
        ("plain.yaml", &["--seed", "7"], "note: --seed 7 has no effect: no answer is sampled"),
        ("plain.yaml", &["--fewshot-seed", "7"], "note: --fewshot-seed 7 has no effect: no shots are drawn"),
        (
            "plain.yaml",
            &["--toxicity-scorer", "perspective"],
            "note: --toxicity-scorer has no effect: no task has a judge",
        ),
    ] {
        let (_, err) = run(folder, "mock", tasks, flags);
        assert!(err.contains(says), "{flags:?}: {err}");
        assert_eq!(err.matches("note: ").count(), 1, "{flags:?}: {err}");
    }
    let (_, err) = run(
        folder,
        "mock",
        "plain.yaml",
        &["--num-fewshot", "2", "--exclude-evaluated", "--gen-kwargs", "do_sample=true,temperature=1", "--seed", "7"],
    );
    assert!(!err.contains("note: "), "{err}");
    assert!(show(folder, "zero.yaml", &["--num-fewshot", "5"]).contains("note       zero: says num_fewshot: 0"));
}

#[test]
fn files_that_cannot_have_been_meant_are_warned_of() {
    let rows = "{\"premise\": \"It rains.\", \"label\": 1}\n{\"premise\": \"It snows.\", \"label\": 0}\n";
    let keys = |text: &str, more: &str| task("t", &format!("doc_to_text: {text}\ndoc_to_target: label\n{more}"));
    let choices = "output_type: multiple_choice\ndoc_to_choice: [\"no\", \"yes\"]\n";
    for (text, warnings) in [
        (
            keys("\"Premise: {premise}\"", choices),
            &[
                "`{premise}` in single braces prints no column: did you mean `{{premise}}`? (2 of 2 documents)",
                "all documents ask the very same",
            ][..],
        ),
        (
            keys("premises", ""),
            &["`premises` is no column and stands as it is: did you mean the column `premise`?", "the very same"],
        ),
        (keys("\"Say something.\"", ""), &["the very same"]),
        (keys("'{{premise}}\\nSo:'", ""), &["t.yaml:5: `doc_to_text` holds a backslash and `n`"]),
        (
            keys("\"{{premise}}\"", "generation_kwargs:\n  until: ['\\n']\n"),
            &["t.yaml:8: `generation_kwargs.until` holds a backslash"],
        ),
        (keys("\"{{premise}}\"", "target_delimiter: '\\t'\n"), &["`t`, which is no tab"]),
        (keys("\"{{premise.split('\\\\n')[0]}}\\n{label} {other}\"", ""), &["`{label}` in single braces"]),
        (keys("\"{{premise}} \\\\boxed{}\"", ""), &[]),
    ] {
        let folder = folder(&[("t.yaml", &text), ("rows.jsonl", rows)]);
        let (_, err) = run(folder.path(), "mock", "t.yaml", &[]);
        let shown = show(folder.path(), "t.yaml", &[]);
        assert!(warnings.iter().all(|warning| err.contains(warning) && shown.contains(warning)), "{text}: {err}");
        assert_eq!(err.matches("warning: ").count(), warnings.len(), "{text}: {err}");
    }
}

#[test]
fn stops_on_the_command_line() {
    let t = task("t", WORDS);
    let folder = folder(&[("t.yaml", &t), ("rows.jsonl", ROWS)]);
    let shown = |kwargs: &str| show(folder.path(), "t.yaml", &["--gen-kwargs", kwargs]);
    assert!(
        shown("until=[\"\\n\", \",\"],max_gen_toks=3").contains("'until': ['\\n', ',']"),
        "{}",
        shown("until=[\"\\n\"]")
    );
    assert!(shown("until=\\n").contains("warning    --gen-kwargs: `until` holds a backslash"));
    let err = refused(folder.path(), &["show", "t.yaml", "--gen-kwargs", "until=[a]"]);
    assert!(err.contains("`until` begins with `[` and is no JSON list"), "{err}");
}

#[test]
fn names_on_the_command_line_and_old_labels() {
    let (a, b) = (task("a_task", WORDS), task("b_task", WORDS));
    let old = task("old_task", &format!("group: my_label\n{WORDS}"));
    let several = task("new_task", &format!("group: [one, two]\n{WORDS}"));
    let folder =
        folder(&[("a.yaml", &a), ("b.yaml", &b), ("old.yaml", &old), ("several.yaml", &several), ("rows.jsonl", ROWS)]);
    let folder = folder.path();
    let (out, _) = run(folder, "mock", "a_task, b_task ,", &["--include-path", "."]);
    assert!(out.contains("a_task") && out.contains("b_task"), "{out}");
    for (name, tag) in [
        ("old_task", "`tag: my_label`"),
        ("my_label", "`tag: my_label`"),
        ("old.yaml", "`tag: my_label`"),
        ("two", "`tag: [one, two]`"),
    ] {
        let err = refused(folder, &["run", "--model", "mock", "--tasks", name, "--include-path", "."]);
        assert!(
            err.contains("`group` makes a group of the file") && err.contains(tag) && err.contains(".yaml:5"),
            "{name}: {err}"
        );
    }
    let err = refused(folder, &["run", "--model", "mock", "--tasks", " , "]);
    assert!(err.contains("no task is named"), "{err}");
}

#[test]
fn show_refuses_as_run_does() {
    let t = task(
        "t",
        "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: [\"a\", \"b\"]\ndoc_to_target: n\n",
    );
    let rows = "{\"q\": \"x\", \"n\": 0}\n{\"q\": \"y\", \"n\": 7}\n";
    let gone = task("gone", WORDS).replace("test: rows", "tset: rows");
    let folder = folder(&[("t.yaml", &t), ("gone.yaml", &gone), ("rows.jsonl", rows)]);
    let folder = folder.path();
    for (file, says, doc) in
        [("t.yaml", "t.yaml:1, document 1, doc_to_target", "1"), ("gone.yaml", "gone.yaml:1: task gone", "0")]
    {
        let of_run = refused(folder, &["run", "--model", "mock", "--tasks", file]);
        let of_show = refused(folder, &["show", file, "--doc", doc]);
        assert!(of_run.contains(says), "{of_run}");
        assert_eq!(of_run, of_show);
    }
    assert!(show(folder, "t.yaml", &[]).contains("warning    a run stops at a later document: t.yaml:1, document 1"));
}

/// Files outside of the task's folder: by their words, by links, and in a data folder.
#[test]
#[cfg(unix)]
fn files_outside_are_read_when_it_is_said() {
    use std::os::unix::fs::symlink;
    let at = |name: &str, dataset: &str| format!("task: {name}\ntest_split: test\n{dataset}\n{WORDS}");
    let json = |files: &str| format!("dataset_path: json\ndataset_kwargs: {files}");
    let folder = folder(&[
        ("out/rows.jsonl", ROWS),
        ("out/test.jsonl", ROWS),
        ("tasks/in/rows.jsonl", ROWS),
        ("tasks/in/test.jsonl", ROWS),
    ]);
    let absolute = folder.path().join("out/rows.jsonl");
    let tasks = folder.path().join("tasks");
    symlink("../out/rows.jsonl", tasks.join("link.jsonl")).unwrap();
    symlink("../out", tasks.join("linked")).unwrap();
    symlink("in/rows.jsonl", tasks.join("inner.jsonl")).unwrap();
    let outside = [
        json("{data_files: {test: ../out/rows.jsonl}}"),
        json("{data_files: {test: \"../out/*.jsonl\"}}"),
        json("{data_files: {test: in/../../out/rows.jsonl}}"),
        json(&format!("{{data_files: {{test: {}}}}}", absolute.display())),
        json("{data_files: {test: link.jsonl}}"),
        json("{data_files: {test: \"l*.jsonl\"}}"),
        json("{data_files: {test: linked/rows.jsonl}}"),
        json("{data_dir: ../out}"),
        json("{data_dir: linked}"),
        "dataset_path: ../out".to_owned(),
        "dataset_path: ./linked".to_owned(),
        format!("dataset_path: {}", folder.path().join("out").display()),
    ];
    let inside = [
        json("{data_files: {test: in/rows.jsonl}}"),
        json("{data_files: {test: in/../in/rows.jsonl}}"),
        json("{data_files: {test: inner.jsonl}}"),
        json(&format!("{{data_files: {{test: {}}}}}", tasks.join("in/rows.jsonl").display())),
        "dataset_path: ./in".to_owned(),
    ];
    let file = tasks.join("t.yaml");
    for dataset in &outside {
        std::fs::write(&file, at("t", dataset)).unwrap();
        let err = refused(folder.path(), &["show", "tasks/t.yaml"]);
        assert!(
            err.contains("tasks/t.yaml:1") && err.contains("leads out of the folder of the task file"),
            "{dataset}: {err}"
        );
        assert!(err.contains("--allow-outside"), "{err}");
        show(folder.path(), "tasks/t.yaml", &["--allow-outside"]);
    }
    for dataset in &inside {
        std::fs::write(&file, at("t", dataset)).unwrap();
        show(folder.path(), "tasks/t.yaml", &[]);
        // From within the folder, too.
        show(&tasks, "t.yaml", &[]);
    }
    std::fs::write(&file, at("t", "dataset_path: org/set")).unwrap();
    std::fs::write(tasks.join("sources.yaml"), "org/set:\n  \"*\":\n    test: link.jsonl\n").unwrap();
    let args = ["show", "tasks/t.yaml", "--data-dir", "tasks", "--offline"];
    let err = refused(folder.path(), &args);
    assert!(err.contains("`link.jsonl` leads out of the data folder"), "{err}");
    assert!(fairmark(folder.path(), &[&args[..], &["--allow-outside"]].concat()).status.success());
}

/// A snapshot of the hub's cache is made of links into the folder of its repository.
#[test]
#[cfg(unix)]
fn a_snapshot_may_be_a_data_folder() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("repo/blobs/abc", ROWS), ("repo/refs/main", "c0"), ("secret.jsonl", ROWS)]);
    let snapshot = folder.path().join("repo/snapshots/c0");
    std::fs::create_dir_all(&snapshot).unwrap();
    symlink("../../blobs/abc", snapshot.join("rows.jsonl")).unwrap();
    symlink("../../../secret.jsonl", snapshot.join("off.jsonl")).unwrap();
    std::fs::write(snapshot.join("t.yaml"), task("t", WORDS)).unwrap();
    show(&snapshot, "t.yaml", &[]);
    std::fs::write(snapshot.join("t.yaml"), task("t", WORDS).replace("rows.jsonl", "off.jsonl")).unwrap();
    assert!(refused(&snapshot, &["show", "t.yaml"]).contains("leads out"));
}

#[test]
fn counts_are_bounded() {
    let rows = ROWS.lines().next().unwrap().to_owned() + "\n";
    let many = task("many", &format!("{WORDS}repeats: 1000000000\n"));
    let sampled = task("sampled", WORDS);
    let mut files = vec![
        ("many.yaml".to_owned(), many),
        ("sampled.yaml".to_owned(), sampled),
        ("rows.jsonl".to_owned(), rows.repeat(500)),
        ("groups/g40.yaml".to_owned(), task("g40", WORDS)),
        ("groups/h40.yaml".to_owned(), task("h40", WORDS)),
        ("groups/rows.jsonl".to_owned(), rows),
    ];
    for level in 0..40 {
        for name in ["g", "h"] {
            let (next, defaults) = (level + 1, if level == 0 { "num_fewshot: 0\n" } else { "" });
            let text = format!(
                "group: {name}{level}\ntask: [g{next}, h{next}]\naggregate_metric_list: [{{metric: exact_match}}]\n{defaults}"
            );
            files.push((format!("groups/{name}{level}.yaml"), text));
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = folder(&files);
    let folder = folder.path();
    let err = refused(folder, &["run", "--model", "mock", "--tasks", "many.yaml"]);
    assert!(err.contains("many.yaml:8: task `many`: `repeats: 1000000000` asks for more than 10000"), "{err}");
    let err = refused(folder, &["run", "--model", "mock", "--tasks", "sampled.yaml", "--n-samples", "20000"]);
    assert!(err.contains("repeats: task sampled: 20000 answers to each document are more than 10000"), "{err}");
    let err = refused(folder, &["run", "--model", "mock", "--tasks", "sampled.yaml", "--n-samples", "10000"]);
    assert!(err.contains("more than 4000000 requests"), "{err}");
    let started = std::time::Instant::now();
    let (out, _) = run(folder, "mock", "g0", &["--include-path", "groups"]);
    // Once in each of the two groups that name it.
    assert_eq!(out.lines().filter(|line| line.trim_start().starts_with("g40 ")).count(), 2, "{out}");
    run(folder, "mock", "g1,h1", &["--include-path", "groups", "--n-samples", "2", "--mc-protocol", "letter-text"]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
