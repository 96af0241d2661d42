//! Requests of the dialects, and odd messages.

use super::super::fixtures::{MODEL, greedy, sampled};
use super::*;

fn turns(with_opening: bool) -> Vec<Message> {
    let turn = |role, content: &str| Message { role, content: content.into() };
    let mut turns = vec![turn(Role::System, "s"), turn(Role::User, "q")];
    turns.extend(with_opening.then(|| turn(Role::Assistant, "The answer is")));
    turns
}

fn body(wire: &dyn Wire, with_opening: bool, sampling: &Sampling) -> Value {
    let turns = turns(with_opening);
    let call = wire.call(MODEL, &Ask::Generate(Input::Chat(&turns), sampling)).unwrap();
    assert_eq!(call.path, "chat/completions");
    call.body.unwrap()
}

#[test]
fn models_that_think_get_neither_stops_nor_what_the_provider_refuses() {
    let thinks = Sampling { reasoning: true, ..sampled() };
    let openai = body(&OPENAI, false, &thinks);
    let messages = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]);
    assert_eq!(openai, json!({"model": MODEL, "messages": messages, "max_completion_tokens": 16, "seed": 1234}));
    assert_eq!(OPENAI.leaves_out(&thinks), ["temperature", "top_p", "top_k", "min_p"]);
    let vllm = body(&VLLM, false, &thinks);
    assert_eq!((&vllm["temperature"], &vllm["top_k"], vllm.get("stop")), (&json!(0.5), &json!(7), None));
    assert_eq!(body(&AZURE, false, &thinks)["max_completion_tokens"], json!(16));
}

#[test]
fn each_dialect_has_its_names() {
    assert_eq!(body(&AZURE, false, &greedy())["max_tokens"], json!(16));
    assert_eq!(body(&OPENAI, false, &greedy())["max_completion_tokens"], json!(16));
    assert_eq!(body(&MISTRAL, false, &sampled())["random_seed"], json!(1234));
    assert_eq!(body(&OPENAI, false, &sampled())["stop"].as_array().unwrap().len(), 4);
    assert_eq!(body(&LLAMA_CPP_PYTHON, false, &greedy())["repeat_penalty"], json!(1.0));
    assert_eq!(AZURE.call(MODEL, &Ask::Models), None);
    let turns = turns(false);
    let first = |wire: &dyn Wire| wire.call(MODEL, &Ask::FirstToken { input: Input::Chat(&turns), top: 99 });
    assert_eq!(first(&MISTRAL), None);
    assert_eq!(first(&XAI).unwrap().body.unwrap()["top_logprobs"], json!(8));
    assert_eq!(OPENAI.call(MODEL, &Ask::Generate(Input::Text("p"), &greedy())), None);
    assert_eq!(OPENAI.call(MODEL, &Ask::Score(Input::Chat(&turns))), None);
}

#[test]
fn the_start_of_an_answer_is_continued_where_a_server_knows_how() {
    let vllm = body(&VLLM, true, &greedy());
    assert_eq!((&vllm["continue_final_message"], &vllm["add_generation_prompt"]), (&json!(true), &json!(false)));
    assert_eq!(body(&VLLM, false, &greedy()).get("continue_final_message"), None);
    assert_eq!(body(&SGLANG, true, &greedy()).get("add_generation_prompt"), None);
    assert_eq!(body(&DEEPSEEK, true, &greedy())["messages"][2]["prefix"], json!(true));
    assert_eq!(body(&OPENAI, true, &greedy()).as_object().unwrap().len(), 4);
}

#[test]
fn a_repeated_start_is_taken_off_where_nobody_promised_to_continue() {
    let turns = turns(true);
    let text = |wire: &dyn Wire, said: &str| {
        let body = json!({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]});
        match wire.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body) {
            Ok(Reply::Text { text, .. }) => text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(text(&LLAMA_SERVER, "The answer is B"), " B");
    assert_eq!(text(&COMPATIBLE, "B"), "B");
    assert_eq!(text(&VLLM, "The answer is B"), "The answer is B");
}

#[test]
fn odd_messages_are_told_apart() {
    let turns = turns(false);
    let reply = |message: Value, reason: Value| {
        let body = json!({"choices": [{"message": message, "finish_reason": reason}]});
        COMPATIBLE.reply(&Ask::Generate(Input::Chat(&turns), &greedy()), &body)
    };
    let text = |message: Value| match reply(message, json!("stop")) {
        Ok(Reply::Text { text, reasoning, .. }) => (text, reasoning),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(json!({"content": null})), (String::new(), None));
    assert_eq!(text(json!({"reasoning_content": "r"})), (String::new(), Some("r".into())));
    assert_eq!(text(json!({"content": "a", "reasoning": "r", "refusal": ""})), ("a".into(), Some("r".into())));
    for (message, said) in [
        (json!({}), "`choices[0].message.content` is missing"),
        (json!({"content": 3}), "`choices[0].message.content` is no text"),
        (json!(null), "`choices[0].message` is missing"),
    ] {
        assert_eq!(reply(message, json!("stop")), Err(malformed(said)));
    }
    for (reason, cut) in [("length", true), ("stop", false), ("eos", false), ("model_length", true)] {
        let got = reply(json!({"content": "a"}), json!(reason));
        assert!(matches!(got, Ok(Reply::Text { cut_off, .. }) if cut_off == cut), "{reason}");
    }
    assert!(matches!(reply(json!({"content": "a"}), json!("content_filter")), Err(WireError::Refused(_))));
    assert!(matches!(reply(json!({"content": "a"}), json!("abort")), Err(WireError::Failed(_))));
}

#[test]
fn the_first_token_of_a_thought_is_not_the_answers() {
    let turns = turns(false);
    let body = json!({"choices": [{"message": {"content": null, "reasoning_content": "Hm"}, "logprobs": {"content": [
        {"token": "Hm", "logprob": -0.5, "top_logprobs": []}]}}]});
    let ask = Ask::FirstToken { input: Input::Chat(&turns), top: 5 };
    assert_eq!(
        VLLM.reply(&ask, &body),
        Err(WireError::NoAnswer("the first token is a thought's, not the answer's".into()))
    );
}
