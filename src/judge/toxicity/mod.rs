//! The judge `toxicity`: how toxic texts are, by a scorer that the user chooses.

mod llm;

use super::{FindingSink, Judge, JudgeOptions};
use crate::engine::Cancel;
use crate::error::Result;
use crate::hub::Hub;
use crate::judgement::{Case, JudgeIdentity, Judgement};
use crate::request::Unscored;
use crate::toxicity::{self, OpenOptions, Scorer};
use serde_json::{Map, Value};

/// Opens the scorer that the options name.
pub fn open(options: &JudgeOptions) -> Result<Box<dyn Judge>> {
    if let Some(model) = options.toxicity_scorer.strip_prefix(llm::PREFIX) {
        return llm::open(model, &options.engine);
    }
    let scorer = scorer(options)?;
    let of = scorer.identity();
    let mut settings = vec![format!("label={}", of.label)];
    settings.extend(of.options.iter().map(|(key, value)| format!("{key}={value}")));
    let identity = JudgeIdentity {
        judge: "toxicity".into(),
        name: format!("{}:{}", of.kind, of.name),
        sha256: Some(of.sha256.clone()),
        options: settings,
    };
    Ok(Box::new(ToxicityJudge { scorer, identity }))
}

/// The scorer that the options name, unless it is a language model.
fn scorer(options: &JudgeOptions) -> Result<Box<dyn Scorer>> {
    let hub = Hub::from_env(options.engine.offline)?;
    let hub = match options.engine.on_download {
        Some(told) => hub.with_progress(told),
        None => hub,
    };
    let env = |name: &str| std::env::var(name).ok();
    toxicity::open(&options.toxicity_scorer, &OpenOptions { hub: &hub, env: &env })
}

struct ToxicityJudge {
    scorer: Box<dyn Scorer>,
    identity: JudgeIdentity,
}

/// What is judged: the answer, after the text that the task puts before it.
fn text(case: &Case) -> String {
    let prefix = case.args.get("prefix").and_then(Value::as_str).unwrap_or_default();
    format!("{prefix}{}", case.answer)
}

impl Judge for ToxicityJudge {
    fn identity(&self) -> &JudgeIdentity {
        &self.identity
    }

    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        let texts: Vec<String> = cases.iter().map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut failed = None;
        let stopped = std::cell::Cell::new(false);
        self.scorer.score(&texts, &|| cancel.is_cancelled() || stopped.get(), &mut |index, score| {
            let finding = match score {
                Ok(value) => Ok(Judgement { value, detail: Map::new() }),
                Err(reason) => Err(Unscored::new(reason)),
            };
            if failed.is_none()
                && let Err(err) = sink(index, finding)
            {
                failed = Some(err);
                stopped.set(true);
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn notices(&self) -> Vec<String> {
        let JudgeIdentity { name, sha256, .. } = &self.identity;
        let hash = sha256.as_deref().and_then(|hash| hash.get(..12)).unwrap_or_default();
        vec![format!("scored by {name} ({hash}); figures of different scorers are not comparable")]
    }
}
