//! Requests, and answers at the limit.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;
use crate::request::{Message, Role};

fn turns() -> Vec<Message> {
    vec![Message { role: Role::User, content: "q".into() }]
}

#[test]
fn no_stops_no_streams_nothing_stored() {
    let turns = turns();
    let call = |sampling: &Sampling| Responses.call(MODEL, &Ask::Generate(Input::Chat(&turns), sampling)).unwrap();
    let expected = json!({"model": MODEL, "input": [{"role": "user", "content": "q"}], "max_output_tokens": 16,
        "stream": false, "store": false, "temperature": 0.5, "top_p": 0.9});
    assert_eq!(call(&sampled()), Call { path: "responses".into(), body: Some(expected) });
    assert_eq!(Responses.leaves_out(&sampled()), ["top_k", "min_p", "seed"]);
    let thinks = Sampling { reasoning: true, max_tokens: 100, ..sampled() };
    let body = call(&thinks).body.unwrap();
    assert_eq!((&body["max_output_tokens"], body.get("temperature"), body.get("top_p")), (&json!(100), None, None));
    assert_eq!(Responses.call(MODEL, &Ask::Generate(Input::Text("p"), &greedy())), None);
}

#[test]
fn an_answer_of_the_length_that_was_asked_for_is_cut_off() {
    let turns = turns();
    let sampling = Sampling { max_tokens: 20, ..greedy() };
    let cut = |status: &str, tokens: usize| {
        let body = json!({"status": status, "usage": {"output_tokens": tokens},
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]});
        match Responses.reply(&Ask::Generate(Input::Chat(&turns), &sampling), &body) {
            Ok(Reply::Text { cut_off, .. }) => cut_off,
            other => panic!("{other:?}"),
        }
    };
    assert!(cut("incomplete", 3) && cut("completed", 20) && !cut("completed", 19));
}

#[test]
fn a_thought_alone_is_no_text_and_a_block_is_a_refusal() {
    let turns = turns();
    let reply = |body: Value| Responses.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body);
    for (summary, thought) in [(json!([]), "(not shown)"), (json!([{"type": "summary_text", "text": "hm"}]), "hm")] {
        let body = json!({"status": "completed", "output": [{"type": "reasoning", "summary": summary}]});
        assert!(
            matches!(reply(body), Ok(Reply::Text { text, reasoning: Some(said), .. }) if text.is_empty() && said == thought)
        );
    }
    let called = json!({"status": "completed", "output": [{"type": "function_call", "name": "f"}]});
    assert!(matches!(reply(called), Err(WireError::NoAnswer(_))));
    let blocked = json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []});
    assert!(matches!(reply(blocked), Err(WireError::Refused(_))));
}
