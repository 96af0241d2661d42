//! Task files, data and what is written: numbers that would be wrong in silence, work that would be lost, words that mislead.

use super::world::Case;

pub fn date_in_template(case: &Case) {
    if case.sh("cc -shared -fPIC -o shift.so shift_clock.c -ldl").code != Some(0) {
        eprintln!("skipped: there is no C compiler to shift the clock with");
        return;
    }
    let models = "../../../shared/models/stories260K";
    case.sh(&format!(
        "for f in config.json generation_config.json tokenizer.json model.safetensors; do cp {models}/$f model/; done"
    ))
    .exits(0);
    let run = "run --model model --apply-chat-template --tasks many.yaml --limit 40 --threads 1 --offline";
    case.fairmark(run).exits(0).remarks(&["date"]);
    let dates = || case.sh("grep -ho 'Today: [^\\\\]*' reports/model-*/samples_*.jsonl | sort | uniq").out.clone();
    let first = dates();
    assert_eq!(first.lines().count(), 1, "{first}");
    // A finished run that is given out again, and one that goes on, a day later.
    let later = format!("SHIFT_DAYS=1 LD_PRELOAD=$PWD/shift.so $FAIRMARK {run}");
    case.sh(&later).exits(0);
    assert_eq!(dates(), first);
    case.sh(r#"cd reports/model-*/ && sed -i 's/"complete"/"incomplete"/' run.json && head -20 journal.jsonl > half && mv half journal.jsonl"#);
    case.sh(&later).exits(0);
    assert_eq!(dates(), first);
}

pub fn f1_three_classes(case: &Case) {
    case.fairmark("run --model mock --tasks mood.yaml").exits(2).says("f1").says("average");
    case.sh("sed 's/metric: f1/metric: f1\\n    average: macro/; s/^task: mood/task: macro/' mood.yaml > macro.yaml");
    case.fairmark("run --model mock --tasks macro.yaml").exits(0).prints("f1");
}

pub fn group_without_figure(case: &Case) {
    let all = case.fairmark("run --model mock --tasks gm_all --include-path .");
    all.exits(2).says("g.yaml").says("exact_match");
    let filter = case.fairmark("run --model mock --tasks gm_filter --include-path .");
    filter.exits(2).says("g2.yaml").says("flexible").says("strict");
    let mixed = case.fairmark("run --model mock --tasks mix_all --include-path mixed");
    let said: String = mixed.err.lines().chain(mixed.out.lines().filter(|line| line.starts_with("! "))).collect();
    assert!(said.contains("acc_norm") && said.contains("mix_"), "a figure of one task is the group's: {mixed}");
    if mixed.code == Some(0) {
        let row = mixed.out.lines().find(|line| line.contains("mix_all")).unwrap_or_default();
        assert_eq!(row.split_whitespace().nth(1), Some("4"), "{mixed}");
    }
}

pub fn jsonl_nan(case: &Case) {
    case.fairmark("show nan.yaml").exits(0).prints("nan row");
    case.fairmark("show wrap.yaml").exits(0);
}

pub fn list_as_text_target(case: &Case) {
    let run = |answers: &str| {
        case.fairmark(&format!("run --model mock:texts={answers}.jsonl --tasks rev.yaml --out out-{answers}"))
    };
    let (right, wrong) = (run("right"), run("wrong"));
    if !(right.has_score("1.0000") && wrong.has_score("0.0000")) {
        // The reference's figure, and the user knows of how many documents.
        right.remarks(&["3"]);
        wrong.remarks(&["3"]);
    }
}

pub fn offline_after_online(case: &Case) {
    let Some(python) = case.python_with("pyarrow") else { return };
    case.sh(&format!("'{python}' make_site.py site")).exits(0);
    let server = case.server("server.py site PORT");
    let online = format!("HF_ENDPOINT=http://127.0.0.1:{} $FAIRMARK", server.port);
    let tasks = ["arc_easy --limit 2", "hub_single.yaml", "hub_nocard.yaml"];
    let tables: Vec<String> = tasks
        .map(|task| case.sh(&format!("{online} run --model mock --tasks {task} --lock pins")).exits(0).out.clone())
        .to_vec();
    drop(server);
    for (task, table) in tasks.iter().zip(&tables) {
        for flags in ["--offline", "--offline --lock pins", "--lock pins"] {
            let seen = case.sh(&format!("{online} run --model mock --tasks {task} {flags}"));
            assert_eq!(seen.exits(0).out, *table, "{seen}");
        }
    }
}

pub fn own_answer_in_shots(case: &Case) {
    let rivers = [("Vistula", "Baltic"), ("Ebro", "Mediterranean"), ("Danube", "Black"), ("Elbe", "North")];
    for task in ["rivers", "rivers_val"] {
        let holds = |doc: usize| {
            let (river, sea) = rivers[doc];
            let shown = case.fairmark(&format!("show {task}.yaml --doc {doc}"));
            shown.exits(0).out.contains(&format!("River: {river}\nSea: {sea}"))
        };
        let own = (0..4).filter(|doc| holds(*doc)).count();
        if own > 0 {
            let run = case.fairmark(&format!("run --model mock --tasks {task}.yaml"));
            run.remarks(&[&format!("{own} of 4")]);
        }
    }
}

pub fn parquet_unused_column(case: &Case) {
    for task in ["dict", "fsl", "dec", "f16", "bin", "time", "drop"] {
        case.fairmark(&format!("show pq_{task}.yaml")).exits(0).prints("--- prompt");
    }
}

pub fn pool_size_message(case: &Case) {
    case.fairmark("run --model mock --tasks dup.yaml").exits(0);
    let seen = case.fairmark("run --model mock --tasks dup.yaml --num-fewshot 3");
    seen.exits(2).says("3 shots").says("pool has 2").says_any(&["copies", "equal"]);
}

pub fn samples_parquet_pandas(case: &Case) {
    let Some(python) = case.python_with("pandas, pyarrow") else { return };
    case.fairmark("run --model mock --tasks demo_facts --limit 3 --out out -q").exits(0);
    case.sh(&format!("'{python}' read.py out/mock-*/samples.parquet")).exits(0).prints("(3,");
}

pub fn shots_ignored(case: &Case) {
    let run = case.fairmark("run --model mock --tasks zero.yaml --num-fewshot 5 --limit 3");
    run.exits(0).remarks(&["misc_zero", "num-fewshot"]);
    let shown = case.fairmark("show agieval_aqua_rat --num-fewshot 3 --data-dir ../../../shared/datasets");
    shown.exits(0).prints("agieval_aqua_rat: says num_fewshot: 0 and keeps it; --num-fewshot 3 is not used");
}

pub fn silent_literals(case: &Case) {
    case.fairmark("run --model mock --tasks nli.yaml").exits(0).remarks(&["{premise}"]);
    case.fairmark("run --model mock:texts=answers.jsonl --tasks sq.yaml").exits(0).remarks(&["quotes"]);
    let listed = case.fairmark(r#"show demo_sums --gen-kwargs 'until=["\n"]'"#);
    if listed.code != Some(2) {
        listed.exits(0).prints(r"'until': ['\n']");
    }
}

pub fn task_name_is_a_path(case: &Case) {
    for task in ["slash", "long"] {
        let seen = case.fairmark(&format!("run --model mock --tasks {task}.yaml --out out-{task}"));
        seen.exits(0).prints("acc");
        let written = case.sh(&format!("ls out-{task}/mock-*/samples_*.jsonl out-{task}/mock-*/results_*.json"));
        assert_eq!(written.exits(0).out.lines().count(), 2, "{written}");
    }
}
