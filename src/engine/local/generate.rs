//! Text that follows a prompt, token by token.

use super::sampling::Picker;
use crate::engine::Cancel;
use crate::error::Result;
use crate::model::{Model, Tokenizer};
use crate::request::{Answer, Finish, Response, Unscored, Usage};

/// Tokens of most answers when nobody says otherwise, as in the reference.
pub const DEFAULT_MAX_GEN_TOKS: usize = 256;

/// Tokens looked at beyond those that a stop string can have, for pieces of characters at the edge.
const TAIL_MARGIN: usize = 8;

/// A prompt to continue.
pub struct Generation {
    pub request: usize,
    pub ids: Vec<u32>,
    pub truncated_tokens: usize,
    pub max_new_tokens: usize,
    /// Stop strings in the order of the task, the end-of-sequence token's text last.
    pub stops: Vec<String>,
}

/// Cuts a prompt to what leaves room for the answer.
pub fn fit(
    mut ids: Vec<u32>,
    max_new_tokens: usize,
    max_length: usize,
) -> std::result::Result<(Vec<u32>, usize), Unscored> {
    let room = max_length.saturating_sub(max_new_tokens);
    if room == 0 {
        return Err(Unscored::new(format!(
            "max_gen_toks {max_new_tokens} leaves no room for a prompt in the window of {max_length} tokens"
        )));
    }
    let cut = ids.len().saturating_sub(room);
    ids.drain(..cut);
    Ok((ids, cut))
}

/// Continues a prompt; `None` when cancelled. Ends at an end-of-sequence token (which is not part of the text), a stop string or
/// the limit.
pub fn generate(
    model: &Model,
    tokenizer: &Tokenizer,
    job: &Generation,
    picker: &mut Picker,
    eos: &[u32],
    cancel: &Cancel,
) -> Result<Option<std::result::Result<Response, Unscored>>> {
    let mut cache = model.new_cache(job.ids.len() + job.max_new_tokens);
    let tail = job.stops.iter().map(String::len).max().unwrap_or(0) + TAIL_MARGIN;
    let mut generated: Vec<u32> = Vec::new();
    let mut completion_tokens = 0;
    let mut finish = Finish::Length;
    while completion_tokens < job.max_new_tokens {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let input = generated.last().map_or(job.ids.as_slice(), std::slice::from_ref);
        let hidden = model.forward(input, Some(&mut cache))?;
        let logits = model.logits(&hidden, input.len() - 1, 1)?;
        if logits.iter().any(|logit| logit.is_nan()) {
            let reason = "the model gave NaN logits: its weights or its arithmetic (--dtype) are at fault";
            return Ok(Some(Err(Unscored::new(reason))));
        }
        let next = picker.pick(&logits)?;
        completion_tokens += 1;
        if eos.contains(&next) {
            finish = Finish::Stop;
            break;
        }
        generated.push(next);
        // Special tokens count here, so that a stop string may name one (`</s>`, `<|im_end|>`).
        let recent = generated.get(generated.len().saturating_sub(tail)..).unwrap_or_default();
        if contains_stop(&tokenizer.decode(recent, false)?, &job.stops) {
            finish = Finish::Stop;
            break;
        }
    }
    let text = tokenizer.decode(&generated, true)?;
    let kept = cut_at_stops(&text, &job.stops);
    if kept.len() < text.len() {
        finish = Finish::Stop;
    }
    let usage = Usage { prompt_tokens: job.ids.len(), completion_tokens, truncated_tokens: job.truncated_tokens };
    Ok(Some(Ok(Response { answer: Answer::Text { text: kept.to_string(), finish }, usage })))
}

fn contains_stop(text: &str, stops: &[String]) -> bool {
    stops.iter().any(|stop| !stop.is_empty() && text.contains(stop.as_str()))
}

/// The text before the first occurrence of each stop string in turn.
fn cut_at_stops<'a>(text: &'a str, stops: &[String]) -> &'a str {
    let cut = |text: &'a str, stop: &String| text.split_once(stop.as_str()).map_or(text, |(before, _)| before);
    stops.iter().filter(|stop| !stop.is_empty()).fold(text, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::shared_model;
    use crate::model::{DTypeChoice, Model};
    use serde_json::Value;

    #[test]
    fn prompts_are_cut_from_the_left() {
        assert_eq!(fit(vec![1, 2, 3], 2, 4).unwrap(), (vec![2, 3], 1));
        assert_eq!(fit(vec![1], 2, 4).unwrap(), (vec![1], 0));
        assert!(fit(vec![1], 4, 4).unwrap_err().reason.contains("no room"));
    }

    #[test]
    fn stops_cut_in_turn() {
        let stops = ["b".to_string(), String::new(), "a".to_string()];
        assert_eq!(cut_at_stops("xaxbx", &stops), "x");
        assert_eq!(cut_at_stops("xyz", &stops), "xyz");
    }

    fn run(
        model: &Model,
        tokenizer: &Tokenizer,
        ids: Vec<u32>,
        new: usize,
        stops: &[&str],
        eos: &[u32],
    ) -> (String, Finish, usize) {
        let stops = stops.iter().map(|s| s.to_string()).collect();
        let job = Generation { request: 0, ids, truncated_tokens: 0, max_new_tokens: new, stops };
        let response =
            generate(model, tokenizer, &job, &mut Picker::Greedy, eos, &Cancel::default()).unwrap().unwrap().unwrap();
        let Answer::Text { text, finish } = response.answer else { panic!("a text") };
        (text, finish, response.usage.completion_tokens)
    }

    // reference.json: greedy ids of transformers in f32.
    #[test]
    fn greedy_text_equals_the_reference() {
        for name in ["stories260K", "llama2xs-279K"] {
            let Some(dir) = shared_model(name) else { return };
            let model = Model::load(&dir, DTypeChoice::Auto).unwrap();
            let tokenizer = Tokenizer::load(&dir, &model.config).unwrap();
            let reference: Value = serde_json::from_slice(&std::fs::read(dir.join("reference.json")).unwrap()).unwrap();
            for greedy in reference["greedy"].as_array().unwrap() {
                let ids = |key: &str| serde_json::from_value::<Vec<u32>>(greedy[key].clone()).unwrap();
                let new = ids("new_ids");
                let expected = tokenizer.decode(&new, true).unwrap();
                let (text, ..) =
                    run(&model, &tokenizer, ids("prompt_ids"), new.len(), &[], &model.config.eos_token_ids);
                assert_eq!(text, expected, "{name}");
            }
        }
    }

    #[test]
    fn ends_at_stop_strings_across_tokens_and_at_any_end_token() {
        let Some(dir) = shared_model("stories260K") else { return };
        let model = Model::load(&dir, DTypeChoice::Auto).unwrap();
        let tokenizer = Tokenizer::load(&dir, &model.config).unwrap();
        let prompt = vec![1, 403, 407, 261, 378];
        // Goes on ", there was a little girl named Lily. She loved ..." (the model's reference.json).
        let (text, finish, tokens) = run(&model, &tokenizer, prompt.clone(), 60, &["girl named"], &[]);
        assert_eq!((text.as_str(), finish), (", there was a little ", Finish::Stop));
        assert!(tokens < 30, "{tokens}");
        let (_, finish, tokens) = run(&model, &tokenizer, prompt.clone(), 60, &[], &[9999, 261]);
        assert_eq!((finish, tokens), (Finish::Stop, 4));
        let (text, finish, tokens) = run(&model, &tokenizer, prompt, 3, &["girl"], &[]);
        assert_eq!((text.as_str(), finish, tokens), (", there was", Finish::Length, 3));
    }
}
