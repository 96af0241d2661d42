//! Google's `generateContent`: generation, thoughts apart, the likeliest first tokens where a model gives them.

use super::body::{at, count, error_message, list, logprob, malformed, some_text, text};
use super::openai_completions::sorted;
use super::{Ask, Call, Input, Reply, Sampling, ServedModel, Wire, WireError};
use crate::request::{Message, Role, Usage};
use serde_json::{Map, Value, json};

/// Most first tokens and stop strings that the route takes.
const MAX_TOP: usize = 20;
const MAX_STOPS: usize = 5;

/// Reasons for ending that are refusals.
const REFUSALS: &[&str] =
    &["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE"];

/// The format.
pub struct Gemini;

impl Wire for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (messages, config) = match *ask {
            Ask::Generate(Input::Chat(messages), sampling) => (messages, generation(sampling)),
            Ask::FirstToken { input: Input::Chat(messages), top } => {
                let config = json!({"maxOutputTokens": 1, "temperature": 0, "responseLogprobs": true, "logprobs": top.min(MAX_TOP)});
                (messages, config)
            }
            Ask::Models => return Some(Call { path: "models?pageSize=1000".into(), body: None }),
            _ => return None,
        };
        let mut body = Map::new();
        let is_system = |message: &&Message| message.role == Role::System;
        let system: Vec<Value> = messages.iter().filter(is_system).map(|m| json!({"text": m.content})).collect();
        if !system.is_empty() {
            body.insert("systemInstruction".into(), json!({"parts": system}));
        }
        let turn = |message: &Message| {
            let role = if message.role == Role::Assistant { "model" } else { "user" };
            json!({"role": role, "parts": [{"text": message.content}]})
        };
        body.insert("contents".into(), messages.iter().filter(|message| !is_system(message)).map(turn).collect());
        body.insert("generationConfig".into(), config);
        let model = model.strip_prefix("models/").unwrap_or(model);
        Some(Call { path: format!("models/{model}:generateContent"), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        if let Ask::Models = ask {
            return models(body);
        }
        if let Some(reason) = some_text(body, &["promptFeedback", "blockReason"]) {
            return Err(WireError::Refused(format!("the prompt was blocked: {reason}")));
        }
        let candidate = list(body, &["candidates"])?.first().ok_or_else(|| malformed("no candidates"))?;
        let reason = text(candidate, &["finishReason"]).unwrap_or_default();
        if REFUSALS.contains(&reason) {
            return Err(WireError::Refused(format!("the answer was blocked: {reason}")));
        }
        let (usage, model) = (usage(body), some_text(body, &["modelVersion"]));
        if let Ask::FirstToken { .. } = ask {
            let places = list(candidate, &["logprobsResult", "topCandidates"])?;
            let first = places.first().ok_or_else(|| malformed("no first token in `logprobsResult`"))?;
            let mut top = Vec::new();
            for entry in list(first, &["candidates"])? {
                if let (Some(token), Some(value)) = (text(entry, &["token"]), logprob(at(entry, &["logProbability"]))?)
                {
                    top.push((token.to_string(), value));
                }
            }
            return Ok(Reply::FirstToken { top: sorted(top)?, usage, model });
        }
        let cut_off = reason == "MAX_TOKENS";
        let parts = at(candidate, &["content", "parts"]).as_array().map(Vec::as_slice).unwrap_or_default();
        if parts.is_empty() && !matches!(reason, "STOP" | "MAX_TOKENS") {
            return Err(malformed(format!("a candidate without parts ({reason})")));
        }
        let is_thought = |part: &&Value| at(part, &["thought"]).as_bool() == Some(true);
        let (thoughts, answers): (Vec<&Value>, Vec<&Value>) = parts.iter().partition(is_thought);
        let join = |parts: &[&Value]| parts.iter().filter_map(|part| text(part, &["text"])).collect::<String>();
        let thought = !thoughts.is_empty() || usage.reasoning_tokens > 0;
        Ok(Reply::Text { text: join(&answers), reasoning: thought.then(|| join(&thoughts)), cut_off, usage, model })
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }
}

fn generation(sampling: &Sampling) -> Value {
    let mut config = Map::new();
    config.insert("maxOutputTokens".into(), json!(sampling.max_tokens));
    config.insert("temperature".into(), json!(sampling.temperature));
    if !sampling.reasoning {
        let stops: Vec<&String> = sampling.stops.iter().filter(|stop| !stop.is_empty()).take(MAX_STOPS).collect();
        if !stops.is_empty() {
            config.insert("stopSequences".into(), json!(stops));
        }
    }
    let options = [
        ("topP", sampling.top_p.map(|v| json!(v))),
        ("topK", sampling.top_k.map(|v| json!(v))),
        // The route takes 32 bits.
        ("seed", sampling.seed.map(|v| json!(v & 0x7fff_ffff))),
    ];
    config.extend(options.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))));
    Value::Object(config)
}

fn models(body: &Value) -> Result<Reply, WireError> {
    let served = list(body, &["models"])?.iter().filter_map(|entry| {
        let id = some_text(entry, &["name"])?;
        let length = count(entry, &["inputTokenLimit"]);
        let id = id.strip_prefix("models/").unwrap_or(&id).to_string();
        Some(ServedModel { id, max_length: Some(length).filter(|length| *length > 0) })
    });
    Ok(Reply::Models(served.collect()))
}

/// Thoughts are counted beside the candidates' tokens there; here they are part of the completion.
fn usage(body: &Value) -> Usage {
    let of = |key: &str| count(body, &["usageMetadata", key]);
    let thoughts = of("thoughtsTokenCount");
    Usage {
        prompt_tokens: of("promptTokenCount"),
        completion_tokens: of("candidatesTokenCount") + thoughts,
        truncated_tokens: 0,
        cached_tokens: of("cachedContentTokenCount"),
        reasoning_tokens: thoughts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_answers() {
        let messages = [(Role::System, "s"), (Role::User, "q"), (Role::Assistant, "a")]
            .map(|(role, content)| Message { role, content: content.into() });
        let sampling = super::super::testing::sampling();
        let ask = Ask::Generate(Input::Chat(&messages), &sampling);
        let call = Gemini.call("models/g", &ask).unwrap();
        assert_eq!(call.path, "models/g:generateContent");
        let body = call.body.unwrap();
        assert_eq!(body["contents"][1]["role"], "model");
        assert_eq!(body["systemInstruction"]["parts"][0]["text"], "s");
        assert_eq!(body["generationConfig"]["stopSequences"], json!(["END", "\n"]));
        let answer = json!({
            "candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "hm", "thought": true}, {"text": "B"}]}}],
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1, "thoughtsTokenCount": 6}, "modelVersion": "g-1",
        });
        let Ok(Reply::Text { text, reasoning, usage, .. }) = Gemini.reply(&ask, &answer) else { panic!() };
        assert_eq!((text.as_str(), reasoning.as_deref()), ("B", Some("hm")));
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (7, 6));
        for refused in
            [json!({"promptFeedback": {"blockReason": "SAFETY"}}), json!({"candidates": [{"finishReason": "SAFETY"}]})]
        {
            assert!(matches!(Gemini.reply(&ask, &refused), Err(WireError::Refused(_))), "{refused}");
        }
        for bad in [json!({}), json!({"candidates": []}), json!({"candidates": [{}]})] {
            assert!(matches!(Gemini.reply(&ask, &bad), Err(WireError::Malformed(_))), "{bad}");
        }
    }
}
