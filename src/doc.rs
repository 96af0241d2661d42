//! A document: one row of a dataset.

use serde_json::{Map, Value};

/// Column name to value, in column order. Integers and floats stay apart, as in Python.
pub type Fields = Map<String, Value>;

/// One row of the split that is evaluated, after the task's `process_docs` steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    /// Position in the processed split, from 0: the reference's `doc_id`.
    pub id: usize,
    pub fields: Fields,
}

impl Doc {
    /// SHA-256 (hex) of the row as the reference hashes it: `json.dumps(doc, indent=2, ensure_ascii=False)`.
    pub fn hash(&self) -> String {
        crate::python::json::sha256(&crate::python::json::dumps_indented(&Value::Object(self.fields.clone())))
    }
}
