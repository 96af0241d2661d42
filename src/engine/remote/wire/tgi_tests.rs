//! Requests, and what is not said.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;
use crate::request::{Message, Role};

#[test]
fn settings_have_names_of_their_own() {
    let parameters = |sampling: &Sampling| {
        let call = Tgi.call(MODEL, &Ask::Generate(Input::Text("p"), sampling)).unwrap();
        call.body.unwrap()["parameters"].clone()
    };
    let expected = json!({"max_new_tokens": 16, "do_sample": true, "details": true, "return_full_text": false,
        "temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 1234, "stop": ["\n", "a", "b", "c"]});
    assert_eq!(parameters(&sampled()), expected);
    assert_eq!(Tgi.leaves_out(&sampled()), ["min_p"]);
    let open = Sampling { top_p: Some(1.0), top_k: Some(0), ..sampled() };
    assert_eq!((parameters(&open).get("top_p"), parameters(&open).get("top_k")), (None, None));
    assert_eq!(parameters(&greedy())["do_sample"], json!(false));
}

#[test]
fn only_texts_are_prompts() {
    assert_eq!(Tgi.call(MODEL, &Ask::Score(Input::Ids(&[1]))), None);
    let turns = [Message { role: Role::User, content: "q".into() }];
    assert_eq!(Tgi.call(MODEL, &Ask::Generate(Input::Chat(&turns), &greedy())), None);
}

#[test]
fn an_answer_to_another_prompt_is_refused() {
    let body = json!({"generated_text": "", "details": {"finish_reason": "length", "prefill": [
        {"id": 1, "text": "<s>", "logprob": null}, {"id": 2, "text": "Twice", "logprob": -1.0}]}});
    let reply = Tgi.reply(&Ask::Score(Input::Text("Once")), &body);
    assert!(matches!(reply, Err(WireError::Malformed(said)) if said.starts_with("answered another prompt")));
}
