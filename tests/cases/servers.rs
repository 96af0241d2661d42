//! Servers: what they say about their own work, and what they may make us store.

use super::world::Case;

/// Retries that do not wait long.
const QUICK: &str = "--max-retries 2 --retry-wait 0.05";

pub fn blocked_by_provider(case: &Case) {
    for mode in ["azure-filter", "gemini-reason", "gemini-prefix", "gemini-blocked", "gemini-empty", "gemini-noparts"] {
        let seen = case.ask(mode, "qa", "http://127.0.0.1:PORT/v1#toy", QUICK);
        seen.exits(3).prints("1.0000 !").prints("between 0.7000 and 1.0000").prints("3 of 10");
        if mode != "gemini-empty" && mode != "gemini-noparts" {
            seen.prints("refused");
        }
    }
}

pub fn hostile_key_repeated(case: &Case) {
    let server = case.server("server.py PORT 60");
    for model in ["", "#toy"] {
        let address = format!("http://127.0.0.1:{}/v1{model}", server.port);
        let flags = "--tasks t.yaml --cache-file answers.sqlite --out out";
        let seen = case.sh(&format!("FAIRMARK_API_KEY=canary-123 $FAIRMARK run --model '{address}' {flags}"));
        seen.never_says("canary-123").exits_any(&[0, 2, 3]);
    }
    let found = case.sh("grep -rla canary-123 out answers.sqlite; find . -name '*canary-123*'");
    assert_eq!(found.out, "", "{found}");
}

pub fn hostile_long_answers(case: &Case) {
    let server = case.server("server.py PORT 110");
    let address = format!("http://127.0.0.1:{}/v1#toy", server.port);
    let flags = format!("--tasks t.yaml --cache-file answers.sqlite --out out {QUICK}");
    let seen = case.sh(&format!("ulimit -v 6000000; $FAIRMARK run --model '{address}' {flags}"));
    seen.exits_any(&[0, 2, 3]);
    let stored = case.sh("du -cm out answers.sqlite 2>/dev/null | tail -1 | cut -f1");
    assert!(stored.out.trim().parse::<u64>().unwrap() < 50, "{stored}");
    assert!(seen.code != Some(0) || !seen.err.is_empty(), "nothing is said of it: {seen}");
}

pub fn max_completion_tokens(case: &Case) {
    case.ask("gpt5", "qa", "http://127.0.0.1:PORT/v1#toy", "").exits(0).scores("1.0000");
}

pub fn prompt_cut_by_server(case: &Case) {
    case.ask("ollama-cut", "long", "ollama:http://127.0.0.1:PORT/v1#toy", "").remarks(&["64", "cut"]);
    // The same server without the cut gives no alarm.
    case.ask("ok", "long", "ollama:http://127.0.0.1:PORT/v1#toy", "").exits(0).never_says("cuts");
}

pub fn quota_used_up(case: &Case) {
    let model = "openai:http://127.0.0.1:PORT/v1#toy";
    let quota = case.ask("quota", "qa", model, "");
    quota.within(60.0).exits_any(&[2, 3]).says("exceeded your current quota").never_says("try again later");
    let later = case.ask("quota-later", "qa", model, "");
    later.within(60.0).exits(3).says_any(&["credit", "quota"]).says("same command");
    let daily = case.ask("daily", "qa", model, "");
    daily.within(60.0).exits(3).says_any(&["2 h 5", "2.9 h", "3.0 h", "3 h", "179 min"]).says("same command");
}

pub fn thought_without_answer(case: &Case) {
    for (mode, model) in
        [("vllm-null", "vllm:http://127.0.0.1:PORT/v1#toy"), ("vllm-null-new", "http://127.0.0.1:PORT/v1#toy")]
    {
        let seen = case.ask(mode, "qa", model, QUICK);
        seen.exits_any(&[2, 3]).says_any(&["thought", "reasoning"]).never_says("0.0000");
    }
}
