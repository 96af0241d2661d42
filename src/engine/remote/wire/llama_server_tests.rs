//! Requests, and answers of older servers.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;
use crate::request::{Message, Role};

#[test]
fn all_settings_and_stops_are_sent() {
    let sampled = sampled();
    let body = LlamaServer.call(MODEL, &Ask::Generate(Input::Ids(&[1, 2]), &sampled)).unwrap().body.unwrap();
    let expected = json!({"prompt": [1, 2], "n_predict": 16, "temperature": 0.5, "repeat_penalty": 1.0, "top_k": 7,
        "top_p": 0.9, "min_p": 0.1, "seed": 1234, "stop": ["\n", "a", "b", "c", "d", "e"]});
    assert_eq!(body, expected);
    assert!(LlamaServer.leaves_out(&sampled).is_empty());
}

#[test]
fn prompts_are_not_scored_and_turns_go_through_the_template() {
    assert_eq!(LlamaServer.call(MODEL, &Ask::Score(Input::Text("p"))), None);
    let turns = [Message { role: Role::User, content: "q".into() }];
    assert_eq!(LlamaServer.call(MODEL, &Ask::Generate(Input::Chat(&turns), &greedy())), None);
    assert!(LlamaServer.reply(&Ask::Score(Input::Text("p")), &json!({"content": "x"})).is_err());
}

#[test]
fn older_servers_have_a_flag_for_the_limit() {
    let reply = |body: Value| LlamaServer.reply(&Ask::Generate(Input::Text("p"), &greedy()), &body);
    let body = json!({"content": "a", "stopped_limit": true, "stopped_eos": false});
    assert!(matches!(reply(body), Ok(Reply::Text { cut_off: true, .. })));
    assert_eq!(reply(json!({"content": "a"})), Err(malformed("`stop_type` is missing")));
}
