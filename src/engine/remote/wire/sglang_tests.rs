//! Requests, and entries in which something is amiss.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;
use crate::request::{Message, Role};

#[test]
fn settings_have_names_of_their_own() {
    let body = SgLang.call(MODEL, &Ask::Generate(Input::Text("p"), &sampled())).unwrap().body.unwrap();
    let expected = json!({"max_new_tokens": 16, "stop": ["\n", "a", "b", "c", "d", "e"], "temperature": 0.5,
        "repetition_penalty": 1.0, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "sampling_seed": 1234});
    assert_eq!(body, json!({"text": "p", "sampling_params": expected}));
    let turns = [Message { role: Role::User, content: "q".into() }];
    assert_eq!(SgLang.call(MODEL, &Ask::Generate(Input::Chat(&turns), &greedy())), None);
}

#[test]
fn what_is_amiss_is_named() {
    let reply = |entries: Value| {
        let body = json!({"text": "", "meta_info": {"input_token_logprobs": entries}});
        SgLang.reply(&Ask::Score(Input::Ids(&[1, 2])), &body)
    };
    for (entries, said) in [
        (json!([[null, 1], [null, 2]]), "`meta_info.input_token_logprobs[1][0]` is missing"),
        (json!([[null, 1], [0.5, 2]]), "`meta_info.input_token_logprobs[1][0]` is 0.5, which is no log-probability"),
        (json!([[null, 1], [-0.5]]), "`meta_info.input_token_logprobs[1]` is no triple"),
        (json!([[null, 1], [-0.5, -2]]), "`meta_info.input_token_logprobs[1][1]` is no token id"),
        (json!([[null, 1]]), "answered another prompt: `meta_info.input_token_logprobs` has 1 entries for 2 tokens"),
    ] {
        assert_eq!(reply(entries), Err(malformed(said)));
    }
    let Ok(Reply::Scores { tokens, .. }) = reply(json!([[null, 1], [-0.5, 2]])) else { panic!("no scores") };
    assert_eq!((tokens[1].logprob, tokens[1].is_greedy), (Some(-0.5), None));
}
