//! What an answer is kept under: who answered, and what was asked.

use crate::engine::{Identity, Outcome};
use crate::request::{Answer, Request, RequestKind, Response, Unscored};
use crate::template::moment::Moment;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

/// SHA-256 of a model's identity, or of a request.
pub type Hash = [u8; 32];

/// Answers are read from servers by fairmark's own rules: another minor version may read them otherwise, and asks anew.
const RULES: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// Hash of all parts of an identity that decide answers; its label and sizes do not, and a checkpoint with a hash may lie anywhere.
pub fn identity_hash(identity: &Identity) -> Hash {
    let named = identity.sha.is_none();
    let parts = json!({
        "rules": RULES,
        "engine": identity.engine,
        "name": named.then_some(&identity.name),
        "revision": identity.revision.as_ref().filter(|_| named),
        "sha": identity.sha,
        "dtype": identity.dtype,
        "storage": identity.storage,
        "max_length": identity.max_length,
        "tokens": [&identity.bos_token, &identity.eos_token, &identity.pad_token],
        "eot_token_id": identity.eot_token_id,
        "chat_template": identity.chat_template,
        "options": identity.options,
    });
    Sha256::digest(parts.to_string().as_bytes()).into()
}

/// [`Request::key`] as bytes.
pub fn request_hash(request: &Request) -> Hash {
    let key = request.key();
    // The key is 64 hexadecimal digits; whatever else it may become is hashed to as many bytes.
    unhex(&key).and_then(|bytes| bytes.try_into().ok()).unwrap_or_else(|| Sha256::digest(key.as_bytes()).into())
}

/// The same for a prompt that prints a date, which is no part of the conversation.
pub fn dated_hash(request: &Request, date: Option<Moment>) -> Hash {
    match date {
        Some(date) => Sha256::digest(format!("{} on {date}", request.key()).as_bytes()).into(),
        None => request_hash(request),
    }
}

/// Hexadecimal digits to bytes; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Bytes to hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is kept of an outcome. Only refusals are kept besides answers: all else may go better the next time.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept<R> {
    Response(R),
    Refused(String),
}

/// The text that stands for an outcome; `None`: it is not kept.
pub fn encode(outcome: &Outcome) -> Option<String> {
    let kept = match outcome {
        // JSON has no infinities: such a number would come back as something else.
        Ok(response) if !is_finite(&response.answer) => return None,
        Ok(response) => Kept::Response(response),
        Err(unscored) if unscored.refused => Kept::Refused(unscored.reason.clone()),
        Err(_) => return None,
    };
    serde_json::to_string(&kept).ok()
}

/// The outcome of a request that a text stands for; `None` when it is damaged or answers something else.
pub fn decode(text: &str, request: &Request) -> Option<Outcome> {
    match serde_json::from_str::<Kept<Response>>(text).ok()? {
        Kept::Response(response) => fits(&response.answer, &request.kind).then_some(Ok(response)),
        Kept::Refused(reason) => Some(Err(Unscored::refused(reason))),
    }
}

fn is_finite(answer: &Answer) -> bool {
    match answer {
        Answer::Loglikelihood { logprob, .. } | Answer::Rolling { logprob, .. } => logprob.is_finite(),
        Answer::Text { .. } => true,
        Answer::Choice { logprobs } => logprobs.iter().flatten().all(|logprob| logprob.is_finite()),
    }
}

fn fits(answer: &Answer, kind: &RequestKind) -> bool {
    match (answer, kind) {
        (Answer::Loglikelihood { .. }, RequestKind::Loglikelihood { .. })
        | (Answer::Rolling { .. }, RequestKind::LoglikelihoodRolling { .. })
        | (Answer::Text { .. }, RequestKind::Generate { .. }) => true,
        (Answer::Choice { logprobs }, RequestKind::Choose { labels, .. }) => logprobs.len() == labels.len(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::engine::mock::MockEngine;
    use crate::request::{Finish, Prompt};

    fn choose(labels: &[&str]) -> Request {
        let labels = labels.iter().map(|label| label.to_string()).collect();
        Request { kind: RequestKind::Choose { context: Prompt::Text("q".into()), labels }, sample: 0, seed: 0 }
    }

    fn choice(logprobs: &[Option<f64>]) -> Outcome {
        Ok(Response::new(Answer::Choice { logprobs: logprobs.to_vec() }, Default::default()))
    }

    #[test]
    fn what_decides_an_identity() {
        let identity = MockEngine::new("mock:seed=3").unwrap().identity().clone();
        let hash = |change: &dyn Fn(&mut Identity)| {
            let mut changed = identity.clone();
            change(&mut changed);
            identity_hash(&changed)
        };
        let same = identity_hash(&identity);
        assert_eq!(hash(&|i| i.label = "other".into()), same);
        assert_eq!(hash(&|i| i.model_bytes = Some(7)), same);
        assert_ne!(hash(&|i| i.options.push("extra_body={}".into())), same);
        assert_ne!(hash(&|i| i.chat_template = Some("x".into())), same);
        assert_ne!(hash(&|i| i.name = "other".into()), same);
        let with_sha = |name: &'static str| hash(&move |i| (i.sha, i.name) = (Some("abc".into()), name.into()));
        assert_eq!(with_sha("/here/model"), with_sha("/there/model"), "a hash says more than a place");
        assert_ne!(with_sha("x"), same);
    }

    #[test]
    fn request_keys_are_bytes() {
        let request = choose(&["A"]);
        assert_eq!(hex(&request_hash(&request)), request.key());
        for bad in ["abc", "zz", "é0"] {
            assert_eq!(unhex(bad), None);
        }
    }

    #[test]
    fn outcomes_come_back_or_not_at_all() {
        let request = choose(&["A", "B"]);
        let outcome = choice(&[Some(-0.1 - 1e-17), None]);
        assert_eq!(decode(&encode(&outcome).unwrap(), &request), Some(outcome));
        let refused: Outcome = Err(Unscored::refused("no"));
        assert_eq!(decode(&encode(&refused).unwrap(), &request), Some(refused));
        assert_eq!(encode(&Err(Unscored::new("timeout"))), None);
        assert_eq!(encode(&choice(&[Some(f64::NEG_INFINITY)])), None);
        assert_eq!(decode(&encode(&choice(&[None])).unwrap(), &request), None, "two labels, one figure");
        assert_eq!(decode("{", &request), None);
        let text = Answer::Text { text: "x".into(), finish: Finish::Stop };
        let text = encode(&Ok(Response::new(text, Default::default()))).unwrap();
        assert_eq!(decode(&text, &request), None);
    }
}
