use super::*;

// Bodies in the shape that llama-cpp-python's server gave for a small Llama (version 0.3.36), shortened.
fn echo() -> Value {
    json!({"model": "stories", "choices": [{"text": "Once upon a time,", "index": 0, "finish_reason": "length", "logprobs": {
        "text_offset": [0, 5, 10, 12, 17],
        "token_logprobs": [null, -0.01752299815416336, -0.012109101749956608, -0.0007217901293188334, -0.03175363317131996],
        "tokens": ["Once", " upon", " a", " time", ","],
        "top_logprobs": [null, {" upon": -0.01752299815416336}, {" a": -0.012109101749956608}, {" an": -0.0002, " time": -0.0007217901293188334},
            {",": -0.03175363317131996}]}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}})
}

const SCORE: Ask<'static> = Ask::Score(Input::Text("Once upon a time"));

#[test]
fn prompts_are_scored_by_echo() {
    let body = PLAIN.call("m", &SCORE).unwrap().body.unwrap();
    let expected = json!({"model": "m", "prompt": "Once upon a time", "max_tokens": 1, "temperature": 0, "echo": true, "logprobs": 1});
    assert_eq!(body, expected);
    let Ok(Reply::Scores { tokens, generated, model, .. }) = PLAIN.reply(&SCORE, &echo()) else { panic!() };
    assert_eq!((tokens.len(), generated, model.as_deref()), (5, 1, Some("stories")));
    let offsets: Vec<Option<usize>> = tokens.iter().map(|token| token.offset).collect();
    assert_eq!(offsets, [0, 4, 9, 11, 16].map(Some), "from the texts, whatever the server counts");
    assert_eq!(tokens[0].logprob, None);
    assert_eq!((tokens[1].is_greedy, tokens[3].is_greedy), (Some(true), Some(false)));
}

#[test]
fn prompts_are_scored_by_prompt_logprobs() {
    let ask = Ask::Score(Input::Ids(&[1, 7]));
    let body = VLLM.call("m", &ask).unwrap().body.unwrap();
    assert_eq!((body["prompt"].clone(), body["prompt_logprobs"].clone()), (json!([1, 7]), json!(1)));
    let body = json!({"choices": [{"index": 0, "text": "x", "prompt_logprobs": [null,
        {"7": {"logprob": -2.0, "rank": 3, "decoded_token": "ab"}, "9": {"logprob": -0.1, "rank": 1, "decoded_token": "c"}}]}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1}});
    let Ok(Reply::Scores { tokens, generated, .. }) = VLLM.reply(&ask, &body) else { panic!() };
    assert_eq!((tokens.len(), generated), (2, 0));
    assert_eq!((tokens[1].id, tokens[1].logprob, tokens[1].is_greedy), (Some(7), Some(-2.0), Some(false)));
}

#[test]
fn an_answer_to_another_prompt_is_none() {
    let mut body = echo();
    let tokens = &mut body["choices"][0]["logprobs"]["tokens"];
    *tokens = json!(["Twice", " upon", " a", " time", ","]);
    assert_eq!(PLAIN.reply(&SCORE, &body), Err(WireError::Malformed("the server answered another prompt".into())));
    *(&mut body["choices"][0]["logprobs"]["tokens"]) = json!(["<s>", "Once upon", " a", " time", ","]);
    assert!(PLAIN.reply(&SCORE, &body).is_ok(), "a server may show its BOS token");
}

#[test]
fn first_tokens_and_texts() {
    let ask = Ask::FirstToken { input: Input::Text("Q"), top: 40 };
    assert_eq!(PLAIN.call("m", &ask).unwrap().body.unwrap()["logprobs"], 5);
    let body = json!({"choices": [{"index": 0, "text": " B", "logprobs": {"tokens": [" B"], "token_logprobs": [-0.2],
        "top_logprobs": [{" A": -2.0, " B": -0.2}]}}]});
    let Ok(Reply::FirstToken { top, .. }) = PLAIN.reply(&ask, &body) else { panic!() };
    assert_eq!(top[0], (" B".to_string(), -0.2));
    // llama.cpp's server lists them as chat routes do.
    let body = json!({"choices": [{"index": 0, "text": ",", "logprobs": {"content": [{"id": 432, "token": ",", "logprob": -0.03,
        "top_logprobs": [{"token": ",", "logprob": -0.03}]}]}}]});
    assert!(matches!(PLAIN.reply(&ask, &body), Ok(Reply::FirstToken { .. })));
    let sampling = super::super::testing::sampling();
    let ask = Ask::Generate(Input::Text("Q"), &sampling);
    let body = json!({"choices": [{"index": 0, "text": "x", "finish_reason": "length"}]});
    let Ok(Reply::Text { text, cut_off, .. }) = PLAIN.reply(&ask, &body) else { panic!() };
    assert_eq!((text.as_str(), cut_off), ("x", true));
    let body = json!({"choices": [{"index": 0, "text": "", "finish_reason": "content_filter"}]});
    assert!(matches!(PLAIN.reply(&ask, &body), Err(WireError::Refused(_))));
}

#[test]
fn models_and_filters() {
    let body = json!({"data": [{"id": "a", "max_model_len": 2048}, {"id": "b"}, {"no": 1}]});
    let Ok(Reply::Models(models)) = PLAIN.reply(&Ask::Models, &body) else { panic!() };
    assert_eq!((models.len(), models[0].max_length, models[1].max_length), (2, Some(2048), None));
    assert!(PLAIN.is_content_filter(400, &json!({"error": {"code": "content_filter"}})));
    assert!(!PLAIN.is_content_filter(500, &json!({"error": {"code": "content_filter"}})));
}
