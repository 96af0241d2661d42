//! How far an unfinished run has come, by its journal.

use super::lines;
use crate::error::Result;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What of a line is wanted.
#[derive(Deserialize)]
struct Scored {
    line: String,
    task: String,
    doc_id: u64,
}

/// Documents of each task that have their scores; none without a journal. Lines that are torn or of another kind are passed over.
pub(super) fn scored(path: &Path) -> Result<HashMap<String, usize>> {
    let mut found: HashMap<String, HashSet<u64>> = HashMap::new();
    if path.exists() {
        lines::each(path, &mut |_, bytes| {
            if let Ok(Scored { line, task, doc_id }) = serde_json::from_slice(bytes)
                && line == "score"
            {
                found.entry(task).or_default().insert(doc_id);
            }
            Ok(())
        })?;
    }
    Ok(found.into_iter().map(|(task, documents)| (task, documents.len())).collect())
}
