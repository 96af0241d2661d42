//! Requests, and odd conversations.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;

fn body(turns: &[(Role, &str)], sampling: &Sampling) -> Value {
    let turns: Vec<Message> =
        turns.iter().map(|(role, said)| Message { role: *role, content: (*said).into() }).collect();
    Anthropic.call(MODEL, &Ask::Generate(Input::Chat(&turns), sampling)).unwrap().body.unwrap()
}

#[test]
fn settings_are_those_that_the_format_takes() {
    let got = body(&[(Role::User, "q")], &sampled());
    let expected = json!({"model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": "q"}],
        "stop_sequences": ["a", "b", "c", "d", "e"], "temperature": 0.5, "top_p": 0.9, "top_k": 7});
    assert_eq!(got, expected);
    assert_eq!(Anthropic.leaves_out(&sampled()), ["min_p", "seed"]);
    let nucleus = Sampling { temperature: 1.0, top_p: Some(0.9), ..greedy() };
    let got = body(&[(Role::User, "q")], &nucleus);
    assert_eq!((got.get("temperature"), &got["top_p"]), (None, &json!(0.9)));
    let thinks = Sampling { reasoning: true, ..sampled() };
    assert_eq!(body(&[(Role::User, "q")], &thinks).as_object().unwrap().len(), 3);
}

#[test]
fn system_turns_stand_apart_and_empty_ones_are_dropped() {
    let got = body(
        &[(Role::System, "a"), (Role::User, "q"), (Role::System, "b"), (Role::User, ""), (Role::Assistant, " \n")],
        &greedy(),
    );
    assert_eq!((&got["system"], &got["messages"]), (&json!("a\n\nb"), &json!([{"role": "user", "content": "q"}])));
    let got = body(&[(Role::System, "a")], &greedy());
    assert_eq!((got.get("system"), &got["messages"]), (None, &json!([{"role": "user", "content": "a"}])));
}

#[test]
fn it_only_writes() {
    let turns = [Message { role: Role::User, content: "q".into() }];
    assert_eq!(Anthropic.call(MODEL, &Ask::Score(Input::Chat(&turns))), None);
    assert_eq!(Anthropic.call(MODEL, &Ask::FirstToken { input: Input::Chat(&turns), top: 5 }), None);
    assert_eq!(Anthropic.call(MODEL, &Ask::Generate(Input::Text("q"), &greedy())), None);
}

#[test]
fn what_is_amiss_is_named() {
    let turns = [Message { role: Role::User, content: "q".into() }];
    let reply = |body: Value| Anthropic.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body);
    for (body, said) in [
        (json!({"stop_reason": "end_turn"}), "`content` is missing"),
        (json!({"content": []}), "`stop_reason` is missing"),
        (json!({"content": [{"type": "text"}], "stop_reason": "end_turn"}), "`content[0].text` is no text"),
        (json!({"content": [3], "stop_reason": "end_turn"}), "`content[0].type` is missing"),
    ] {
        assert_eq!(reply(body), Err(malformed(said)));
    }
    let refused = reply(json!({"content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"}));
    assert_eq!(refused, Err(WireError::Refused("No.".into())));
}

#[test]
fn blocks_tools_and_thoughts_alone_are_no_texts() {
    let turns = [Message { role: Role::User, content: "q".into() }];
    let reply = |body: Value| Anthropic.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body);
    let guarded = json!({"content": [], "stop_reason": "guardrail_intervened"});
    assert_eq!(reply(guarded), Err(WireError::Refused("stop_reason is `guardrail_intervened`".into())));
    let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}});
    assert!(matches!(reply(error), Err(WireError::Refused(_))));
    let called = json!({"content": [{"type": "tool_use", "name": "f"}], "stop_reason": "tool_use"});
    assert!(matches!(reply(called), Err(WireError::NoAnswer(_))));
    for block in [json!({"type": "thinking", "thinking": "hm"}), json!({"type": "redacted_thinking", "data": "x"})] {
        let body = json!({"content": [block], "stop_reason": "end_turn"});
        assert!(matches!(reply(body), Ok(Reply::Text { text, reasoning: Some(_), .. }) if text.is_empty()));
    }
}
