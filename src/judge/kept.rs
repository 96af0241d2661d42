//! A judge whose findings are kept in the response cache, for later runs.

use super::{FindingSink, Judge};
use crate::engine::Cancel;
use crate::engine::cache::{CacheOptions, Entry, Hash, Model, Shelf, unhex};
use crate::engine::remote::CacheMode;
use crate::error::Result;
use crate::judgement::{Case, JudgeIdentity, Judgement};
use crate::python::json::sha256;
use serde_json::Value;

/// Cases that are looked up at once.
const CHUNK: usize = 512;

/// A judge behind the cache.
pub struct KeptJudge {
    inner: Box<dyn Judge>,
    shelf: Shelf,
}

impl KeptJudge {
    /// Puts the cache before a judge; with [`CacheMode::Off`] it is the judge itself.
    ///
    /// Errors: those of [`Shelf::open`].
    pub fn wrap(inner: Box<dyn Judge>, options: &CacheOptions) -> Result<Box<dyn Judge>> {
        if options.mode == CacheMode::Off {
            return Ok(inner);
        }
        let JudgeIdentity { judge, name, .. } = inner.identity().clone();
        let identity = hash(&sha256(&serde_json::to_string(inner.identity()).unwrap_or_default()));
        let model = Model { identity, engine: "judge".into(), label: format!("{judge}: {name}"), name: judge };
        Ok(Box::new(KeptJudge { shelf: Shelf::open(model, options)?, inner }))
    }
}

/// Bytes of a key, which is 64 hexadecimal digits.
fn hash(key: &str) -> Hash {
    unhex(key).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}

impl Judge for KeptJudge {
    fn identity(&self) -> &JudgeIdentity {
        self.inner.identity()
    }

    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        let keys: Vec<Hash> = cases.iter().map(|case| hash(&case.key(self.identity()))).collect();
        let mut places = Vec::new();
        let found = keys.chunks(CHUNK).flat_map(|keys| self.shelf.find(keys));
        for (place, text) in found.enumerate() {
            match text.and_then(|text| serde_json::from_str::<Judgement>(&text).ok()) {
                Some(judgement) => sink(place, Ok(judgement))?,
                None => places.push(place),
            }
        }
        let missed: Vec<Case> = places.iter().filter_map(|place| cases.get(*place)).cloned().collect();
        let judged = self.inner.judge(&missed, cancel, &mut |index, finding| {
            let Some(place) = places.get(index).copied() else { return Ok(()) };
            if let (Ok(judgement), Some(key)) = (&finding, keys.get(place))
                && let Ok(answer) = serde_json::to_string(judgement)
            {
                self.shelf.put(Entry {
                    key: *key,
                    at: 0,
                    prompt_tokens: 0,
                    completion_tokens: 0,
                    refused: false,
                    answer,
                });
            }
            sink(place, finding)
        });
        self.shelf.flush();
        judged
    }

    fn environment(&self) -> Value {
        self.inner.environment()
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = self.inner.notices();
        notices.extend(self.shelf.notices());
        notices
    }
}
