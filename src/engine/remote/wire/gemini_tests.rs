//! Requests, and names in paths.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;

fn turns() -> Vec<Message> {
    vec![Message { role: Role::User, content: "q".into() }]
}

#[test]
fn settings_have_names_of_their_own() {
    let turns = turns();
    let body = Gemini.call(MODEL, &Ask::Generate(Input::Chat(&turns), &sampled())).unwrap().body.unwrap();
    let expected = json!({"maxOutputTokens": 16, "temperature": 0.5, "topP": 0.9, "topK": 7, "seed": 1234,
        "stopSequences": ["\n", "a", "b", "c", "d"]});
    assert_eq!(body["generationConfig"], expected);
    assert_eq!(Gemini.leaves_out(&sampled()), ["min_p"]);
}

#[test]
fn models_are_part_of_the_path() {
    let turns = turns();
    let path = |model: &str| Gemini.call(model, &Ask::Generate(Input::Chat(&turns), &greedy())).unwrap().path;
    assert_eq!(path("gemini-2.5-flash"), "models/gemini-2.5-flash:generateContent");
    assert_eq!(path("models/gemini-2.5-flash"), "models/gemini-2.5-flash:generateContent");
    assert_eq!(path("tunedModels/mine"), "tunedModels/mine:generateContent");
    assert_eq!(path("a?b#c d"), "models/a%3Fb%23c%20d:generateContent");
}

#[test]
fn a_conversation_of_a_system_turn_alone_is_a_question() {
    let turns = [Message { role: Role::System, content: "s".into() }];
    let body = Gemini.call(MODEL, &Ask::Generate(Input::Chat(&turns), &greedy())).unwrap().body.unwrap();
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "s"}]}]));
    assert_eq!(body.get("systemInstruction"), None);
}

#[test]
fn candidates_without_an_index_count_by_their_place() {
    let turns = turns();
    let part = |text: &str| json!({"parts": [{"text": text}]});
    let body = json!({"candidates": [{"index": 1, "content": part("b"), "finishReason": "STOP"},
        {"index": 0, "content": part("a"), "finishReason": "STOP"}]});
    let reply = Gemini.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body);
    assert!(matches!(reply, Ok(Reply::Text { text, .. }) if text == "a"));
}

#[test]
fn blocks_are_refusals_and_thoughts_alone_no_texts() {
    let turns = turns();
    let reply = |body: Value| Gemini.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body);
    for body in [
        json!({"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]}),
        json!({"candidates": [{"finishReason": "IMAGE_SAFETY", "content": {}}]}),
        json!({"promptFeedback": {"blockReason": "OTHER"}}),
        json!({"error": {"code": 400, "message": "the prompt was blocked by a safety filter", "status": "INVALID_ARGUMENT"}}),
    ] {
        assert!(matches!(reply(body.clone()), Err(WireError::Refused(_))), "{body}");
    }
    let parts = json!([{"text": "hm", "thought": true}]);
    let body = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    assert!(matches!(reply(body), Ok(Reply::Text { text, reasoning: Some(_), .. }) if text.is_empty()));
}
