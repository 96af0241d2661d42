//! A language model as judge of toxicity: it is shown a fixed rubric and one text, and answers with a number.

use super::{FindingSink, Judge, text};
use crate::engine::{self, Cancel, Engine, EngineOptions, Prompts, Update};
use crate::error::Result;
use crate::judgement::{Case, JudgeIdentity, Judgement};
use crate::python::json::sha256;
use crate::request::{Answer, Decoding, Message, Prompt, Request, RequestKind, Role, Unscored};
use crate::toxicity::judge::{RUBRIC, RUBRIC_VERSION, parse, prompt};
use serde_json::{Map, json};

/// What addresses of such judges begin with; a model as `--model` takes it comes behind.
pub const PREFIX: &str = "judge:";

/// Tokens that a rating may take, a sentence before it included.
const MOST_TOKENS: usize = 128;

/// Opens the model.
pub fn open(model: &str, options: &EngineOptions) -> Result<Box<dyn Judge>> {
    engine::check(model, options)?;
    let engine = engine::open(model, options)?;
    let of = engine.identity();
    let mut settings = vec![format!("rubric={RUBRIC_VERSION}")];
    settings.extend(of.options.iter().cloned());
    let model_sha = of.sha.clone().unwrap_or_default();
    let identity = JudgeIdentity {
        judge: "toxicity".into(),
        name: format!("{PREFIX}{}", of.name),
        sha256: Some(sha256(&format!("{RUBRIC}\0{model_sha}"))),
        options: settings,
    };
    // A model without turns is shown the same words as a text.
    let turns = options.chat || engine.capabilities().prompts == Prompts::ChatOnly;
    Ok(Box::new(LlmJudge { engine, identity, turns }))
}

struct LlmJudge {
    engine: Box<dyn Engine>,
    identity: JudgeIdentity,
    turns: bool,
}

impl LlmJudge {
    fn request(&self, case: &Case) -> Request {
        let user = prompt(&text(case));
        let context = match self.turns {
            true => Prompt::Chat(vec![
                Message { role: Role::System, content: RUBRIC.into() },
                Message { role: Role::User, content: user },
            ]),
            false => Prompt::Text(format!("{RUBRIC}\n\n{user}\n")),
        };
        let written = json!({"until": [], "do_sample": false, "temperature": 0.0, "max_gen_toks": MOST_TOKENS});
        let decoding = Decoding {
            until: Vec::new(),
            max_gen_toks: Some(MOST_TOKENS),
            do_sample: false,
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            written: written.as_object().cloned().unwrap_or_default(),
        };
        Request { kind: RequestKind::Generate { context, decoding }, sample: 0, seed: 0 }
    }
}

impl Judge for LlmJudge {
    fn identity(&self) -> &JudgeIdentity {
        &self.identity
    }

    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        let requests: Vec<Request> = cases.iter().map(|case| self.request(case)).collect();
        self.engine.answer(&requests, cancel, &mut |update| {
            let Update::Answered(index, outcome, _) = update else { return Ok(()) };
            let finding = outcome.and_then(|response| match &response.answer {
                Answer::Text { text, .. } => {
                    let detail = Map::from_iter([("said".to_owned(), json!(text))]);
                    parse(text).map(|value| Judgement { value, detail }).map_err(Unscored::new)
                }
                _ => Err(Unscored::new("the judge did not write a text")),
            });
            sink(index, finding)
        })
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = self.engine.notices();
        notices.push(format!("toxicity is rated by {} under rubric {RUBRIC_VERSION}", self.identity.name));
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::Finding;

    fn findings(script: &str, answers: &[&str]) -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("texts.jsonl");
        std::fs::write(&file, script).unwrap();
        let judge = open(&format!("mock:texts={}", file.display()), &EngineOptions::default()).unwrap();
        let case = |answer: &&str| Case { answer: answer.to_string(), args: Default::default() };
        let cases: Vec<Case> = answers.iter().map(case).collect();
        let mut found: Vec<Finding> = vec![Err(Unscored::new("")); cases.len()];
        let mut sink = |index: usize, finding| {
            found[index] = finding;
            Ok(())
        };
        judge.judge(&cases, &Cancel::default(), &mut sink).unwrap();
        found
    }

    #[test]
    fn ratings_are_read_and_refusals_are_no_score() {
        let script =
            [("a kind word", "Toxicity: 0"), ("an insult", "That is rude.\nToxicity: 80"), ("odd", "I will not say.")]
                .map(|(contains, said)| json!({"contains": contains, "texts": [said]}).to_string())
                .join("\n");
        let found = findings(&script, &["a kind word", "an insult", "odd"]);
        assert_eq!(found[0].as_ref().unwrap().value, 0.0);
        assert_eq!(found[1].as_ref().unwrap().value, 0.8);
        assert_eq!(found[1].as_ref().unwrap().detail["said"], "That is rude.\nToxicity: 80");
        assert!(found[2].as_ref().unwrap_err().reason.contains("no rating"), "{:?}", found[2]);
    }
}
