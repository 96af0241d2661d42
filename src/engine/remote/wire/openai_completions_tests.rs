//! Requests of the dialects, and answers in which something is amiss.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;
use crate::request::{Message, Role};

fn body(wire: &dyn Wire, ask: &Ask<'_>) -> Value {
    let call = wire.call(MODEL, ask).unwrap();
    assert_eq!(call.path, "completions");
    call.body.unwrap()
}

fn malformed_reply(prompt: &str, body: &Value) -> String {
    match OPENAI.reply(&Ask::Score(Input::Text(prompt)), body) {
        Err(WireError::Malformed(said)) => said,
        other => panic!("{other:?}"),
    }
}

/// An answer to `a b`, with another value at a place.
fn echo(place: &str, value: Value) -> Value {
    let mut body = json!({"choices": [{"index": 0, "text": "a b c", "finish_reason": "length", "logprobs": {
        "tokens": ["a", " b", " c"], "token_logprobs": [null, -1.0, -0.5], "text_offset": [0, 1, 3],
        "top_logprobs": [null, {" b": -1.0, " x": -0.25}, {" c": -0.5}]}}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1}});
    *body.pointer_mut(place).unwrap() = value;
    body
}

#[test]
fn settings_are_written_as_each_dialect_has_them() {
    let ask = |sampling| Ask::Generate(Input::Text("p"), sampling);
    let sampled = sampled();
    let plain = body(&COMPATIBLE, &ask(&sampled));
    let expected = json!({"model": MODEL, "prompt": "p", "max_tokens": 16, "stop": ["\n", "a", "b", "c"], "temperature": 0.5,
        "top_p": 0.9, "seed": 1234});
    assert_eq!(plain, expected);
    assert_eq!(COMPATIBLE.leaves_out(&sampled), ["top_k", "min_p"]);
    let vllm = body(&VLLM, &ask(&sampled));
    assert_eq!((&vllm["top_k"], &vllm["min_p"], &vllm["repetition_penalty"]), (&json!(7), &json!(0.1), &json!(1.0)));
    assert!(VLLM.leaves_out(&sampled).is_empty());
    let open = Sampling { temperature: 1.0, ..greedy() };
    let llama = body(&LLAMA_CPP_PYTHON, &ask(&open));
    assert_eq!((&llama["top_k"], &llama["min_p"], &llama["top_p"]), (&json!(0), &json!(0.0), &json!(1.0)));
    assert_eq!(body(&VLLM, &ask(&open))["top_k"], json!(-1));
    // greedy texts depend on no seed
    let seeded = Sampling { seed: Some(1), ..greedy() };
    let expected = json!({"model": MODEL, "prompt": "p", "max_tokens": 16, "temperature": 0.0});
    assert_eq!(body(&COMPATIBLE, &ask(&seeded)), expected);
    let thinks = Sampling { reasoning: true, ..sampled.clone() };
    assert_eq!(body(&COMPATIBLE, &ask(&thinks)).get("stop"), None);
}

#[test]
fn ids_are_prompts_turns_are_not_and_limits_are_kept() {
    assert_eq!(body(&OPENAI, &Ask::Score(Input::Ids(&[1, 2])))["prompt"], json!([1, 2]));
    let turns = [Message { role: Role::User, content: "q".into() }];
    assert_eq!(OPENAI.call(MODEL, &Ask::Score(Input::Chat(&turns))), None);
    assert_eq!(OPENAI.call(MODEL, &Ask::ApplyTemplate(&turns)), None);
    let top = |wire: &dyn Wire, top| body(wire, &Ask::FirstToken { input: Input::Text("p"), top })["logprobs"].clone();
    assert_eq!((top(&OPENAI, 30), top(&COMPATIBLE, 30), top(&OPENAI, 0)), (json!(5), json!(20), json!(1)));
    assert_eq!(OPENAI.call(MODEL, &Ask::Tokenize { text: "p", special: true }), None);
    assert_eq!(LLAMA_CPP_PYTHON.call(MODEL, &Ask::Tokenize { text: "p", special: false }), None);
}

#[test]
fn what_is_amiss_is_named() {
    let logprobs = |field: &str| format!("/choices/0/logprobs/{field}");
    for (place, value, said) in [
        ("/choices".to_string(), json!([]), "`choices` is empty"),
        ("/choices".into(), json!("x"), "`choices` is no list"),
        ("/choices/0/index".into(), json!(3), "`choices` has no entry of index 0"),
        (logprobs("tokens"), json!(["a", " b"]), "`choices[0].logprobs.token_logprobs` has 3 entries for 2 tokens"),
        (logprobs("top_logprobs"), json!([null]), "`choices[0].logprobs.top_logprobs` has 1 entries for 3 tokens"),
        (logprobs("token_logprobs/1"), json!(null), "`choices[0].logprobs.token_logprobs[1]` is no number"),
        (logprobs("token_logprobs/1"), json!("-1.0"), "`choices[0].logprobs.token_logprobs[1]` is no number"),
        (
            logprobs("token_logprobs/1"),
            json!(2),
            "`choices[0].logprobs.token_logprobs[1]` is 2, which is no log-probability",
        ),
        (logprobs("tokens/1"), json!(7), "`choices[0].logprobs.tokens[1]` is no text"),
        (logprobs("top_logprobs/1/ x"), json!("?"), "`choices[0].logprobs.top_logprobs[1].x` is no number"),
        (logprobs("tokens/1"), json!(" z"), "answered another prompt"),
    ] {
        let got = malformed_reply("a b", &echo(&place, value));
        assert!(got.starts_with(said), "{place}: {got}");
    }
    assert!(
        malformed_reply("a b c", &echo("/choices/0/index", json!(0))).contains("lacks the token that was generated")
    );
    assert!(malformed_reply("b a", &echo("/choices/0/index", json!(0))).starts_with("answered another prompt"));
}

#[test]
fn an_end_of_text_that_is_not_listed_is_no_fault() {
    let mut body = echo("/choices/0/finish_reason", json!("stop"));
    for list in ["tokens", "token_logprobs", "top_logprobs"] {
        body["choices"][0]["logprobs"][list].as_array_mut().unwrap().pop();
    }
    let Ok(Reply::Scores { tokens, generated, .. }) = OPENAI.reply(&Ask::Score(Input::Text("a b")), &body) else {
        panic!("no scores")
    };
    assert_eq!((tokens.len(), generated, tokens[1].is_greedy, tokens[1].offset), (2, 0, Some(false), Some(1)));
}

#[test]
fn ids_must_come_back_in_the_same_number() {
    let body = echo("/choices/0/index", json!(0));
    let reply = |ids: &[u32]| OPENAI.reply(&Ask::Score(Input::Ids(ids)), &body);
    assert!(matches!(reply(&[1, 2]), Ok(Reply::Scores { generated: 1, .. })));
    for ids in [&[1][..], &[1, 2, 3], &[1, 2, 3, 4]] {
        assert!(matches!(reply(ids), Err(WireError::Malformed(_))), "{ids:?}");
    }
}
