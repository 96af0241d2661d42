//! Checkpoints: what transformers and llama.cpp make of the same files. Figures: log-probabilities of the choices of document 0, by
//! transformers 5.24.

use super::world::{Case, near};

/// The choices of document 0 of the multiple-choice task.
const TINY_LLAMA: [f64; 3] = [-63.3297, -38.8004, -51.0156];
const TINY_QWEN2: [f64; 3] = [-66.0767, -44.8621, -43.0969];
const TINY_GEMMA3: [f64; 3] = [-76.1222, -47.8339, -51.4407];
const STORIES: [f64; 3] = [-0.5468, -6.5213, -32.8553];

/// Scores a checkpoint of `made`; its figures for document 0 if it ran.
fn score(case: &Case, model: &str, flags: &str) -> (super::world::Seen, Vec<f64>) {
    let task = "--tasks ../_engine/tasks/mc.yaml";
    let seen = case.fairmark(&format!("run --model made/{model} {task} {flags} --out out-{model} --offline"));
    let figures = if seen.code == Some(0) { case.logprobs(&format!("out-{model}"), 0) } else { Vec::new() };
    (seen, figures)
}

/// A checkpoint gives these figures.
#[track_caller]
fn scores(case: &Case, model: &str, wanted: [f64; 3]) -> super::world::Seen {
    let (seen, found) = score(case, model, "--dtype float32");
    assert!(near(&found, &wanted, 0.002), "{model}: {found:?}, not {wanted:?}: {seen}");
    seen
}

pub fn added_tokens_elsewhere(case: &Case) {
    case.make();
    for (model, ids) in [
        ("decoder", "24 tokens: [2, 4, 388, 267, 204, 2472"),
        ("json", "24 tokens: [2, 4, 388, 267, 204, 2472"),
        ("rstrip", "23 tokens: [2, 4, 388, 267"),
    ] {
        let flags = "--apply-chat-template --offline";
        let seen = case.fairmark(&format!("show ../_engine/tasks/gen.yaml --model made/{model} {flags}"));
        seen.exits(0).prints(ids);
    }
}

pub fn class_name_decides(case: &Case) {
    case.make();
    scores(case, "fsdp", TINY_QWEN2).remarks(&["FSDPQwen2ForCausalLM"]);
    scores(case, "old", TINY_LLAMA);
    scores(case, "base", TINY_LLAMA);
}

pub fn gguf_end_tokens(case: &Case) {
    case.make();
    for model in ["end", "end-named"] {
        let task = "--tasks ../_engine/tasks/gen.yaml";
        case.fairmark(&format!("run --model made/{model}.gguf {task} --out out-{model} --offline")).exits(0);
        assert_eq!(case.text(&format!("out-{model}"), 0).trim(), "named Lily", "{model}");
    }
}

pub fn gptq_tables_doubtful(case: &Case) {
    case.make();
    let (seen, right) = score(case, "right", "");
    assert!(near(&right, &[-67.42, -44.74, -44.77], 0.01), "{right:?}: {seen}");
    // Read as the configuration says, or refused: never figures of a destroyed model without a word.
    let (seen, found) = score(case, "g_idx-of-zeros", "");
    assert!(near(&found, &right, 0.05) || seen.code == Some(2) && seen.err.contains("g_idx"), "{found:?}: {seen}");
    let (seen, found) = score(case, "v2-called-v1", "");
    if !near(&found, &right, 0.05) {
        seen.says_any(&["zero point", "qzeros", "zeros"]);
    }
}

pub fn k_quant_does_nothing(case: &Case) {
    let flags = "--tasks ../_engine/tasks/mc.yaml --precision f32,q4_k,q8_0 --out out --offline";
    let seen = case.fairmark(&format!("run --model ../../../shared/models/tiny-llama {flags}"));
    if seen.code == Some(2) {
        seen.says("q4_k").says_any(&["256", "no matrix", "nothing"]);
        return;
    }
    // The level of that name is what llama.cpp writes: q5_0 where rows are no whole blocks of 256.
    seen.exits(0).says("q5_0");
    let figures = case.sh("for f in out/*/samples_*.jsonl; do head -1 $f | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"resps\"])'; done");
    let mut lines: Vec<&str> = figures.out.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 3, "a column has the figures of another: {figures}");
}

pub fn none_is_iterable(case: &Case) {
    case.make();
    let flags = "--apply-chat-template --offline --out out";
    case.fairmark(&format!("run --model made/tools-guard --tasks ../_engine/tasks/gen.yaml {flags}")).exits(0);
    let shown =
        case.fairmark("show ../_engine/tasks/gen.yaml --model made/tools-guard --apply-chat-template --offline");
    shown.exits(0).prints("<start_of_turn>user\n").never_says("There are tools");
}

pub fn not_a_model_yet(case: &Case) {
    case.make();
    for (model, words) in [("lfs-weights", "git lfs pull"), ("lfs-tokenizer", "git lfs pull"), ("adapter", "adapter")] {
        score(case, model, "").0.exits(2).says(words);
    }
}

pub fn tied_head_differs(case: &Case) {
    case.make();
    scores(case, "both-differ", [-1.7360, -17.0129, -48.2785]).says_any(&["lm_head", "tie"]);
}

pub fn token_without_a_row(case: &Case) {
    case.make();
    scores(case, "gemma-3-1b", TINY_GEMMA3).remarks(&["<image_soft_token>"]);
    scores(case, "pad-added", TINY_LLAMA).remarks(&["[PAD]"]);
}

pub fn tokenizer_model_only(case: &Case) {
    case.make();
    scores(case, "sentencepiece", STORIES);
    scores(case, "merges", TINY_QWEN2);
}
