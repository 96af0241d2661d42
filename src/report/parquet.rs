//! All samples of a run as one Parquet table, with every per-choice figure, so that any score can be computed again.
//!
//! The file has the types that every reader knows (`string`, `list`): views and large lists, which polars writes, can be opened by few.

use crate::error::{Error, Result};
use crate::item::Target;
use crate::python::{json, repr};
use crate::request::{Answer, Response};
use crate::runner::FinishedTask;
use crate::sample::Sample;
use crate::sample::{AnsweredItem, Score};
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, Utf8Array};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::offset::Offsets;
use polars_arrow::record_batch::RecordBatchT;
use polars_parquet::write::{
    CompressionOptions, FileWriter, StatisticsOptions, Version, WriteOptions, get_dtype_encoding, row_group_iter,
};
use serde_json::Value;
use std::sync::Arc;

/// Rows, and bytes of texts, after which a new row group begins; offsets of texts are 32 bits wide.
const GROUP_ROWS: usize = 100_000;
const GROUP_BYTES: usize = 256 << 20;

/// The table's bytes. One row per task, filter and document:
/// `task, doc_id, filter, doc_hash, doc` (JSON), `target, gold` (indices), `choices, logprobs, is_greedy, num_tokens`
/// (lists over requests; `logprobs` over labels where those were asked for), `texts, filtered` (lists), `metrics, values` (lists), `unscored`.
/// Infinite figures are infinite here.
pub fn samples_parquet(tasks: &[FinishedTask]) -> Result<Vec<u8>> {
    let fail = |err: &dyn std::fmt::Display| Error::input(format!("cannot write the samples as Parquet: {err}"));
    let schema = Arc::new(schema());
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, (*schema).clone(), OPTIONS).map_err(|err| fail(&err))?;
    let mut rows = Rows::default();
    let mut flush = |rows: &mut Rows| {
        let (height, arrays) = std::mem::take(rows).arrays();
        if height == 0 {
            return Ok(());
        }
        let batch = RecordBatchT::try_new(height, schema.clone(), arrays).map_err(|err| fail(&err))?;
        let encodings = schema.iter_values().map(|field| get_dtype_encoding(&field.dtype)).collect();
        let fields = writer.parquet_schema().fields().to_vec();
        writer.write(height as u64, row_group_iter(batch, encodings, fields, OPTIONS)).map_err(|err| fail(&err))
    };
    for finished in tasks {
        for sample in &finished.samples {
            let Some(answered) = finished.answered(sample.doc_id) else { continue };
            rows.add(&finished.task.name, answered, sample);
            if rows.task.len() >= GROUP_ROWS || rows.bytes >= GROUP_BYTES {
                flush(&mut rows)?;
            }
        }
    }
    flush(&mut rows)?;
    writer.end(None).map_err(|err| fail(&err))?;
    drop(writer);
    Ok(bytes)
}

const OPTIONS: WriteOptions = WriteOptions {
    statistics: StatisticsOptions {
        min_value: true,
        max_value: true,
        distinct_count: false,
        null_count: true,
        binary_statistics_truncate_length: Some(64),
    },
    version: Version::V1,
    compression: CompressionOptions::Zstd(None),
    data_page_size: None,
};

fn schema() -> ArrowSchema {
    use ArrowDataType as T;
    let list = |inner: T| ListArray::<i32>::default_datatype(inner);
    let fields = [
        ("task", T::Utf8),
        ("doc_id", T::UInt64),
        ("filter", T::Utf8),
        ("doc_hash", T::Utf8),
        ("doc", T::Utf8),
        ("target", T::Utf8),
        ("gold", list(T::Int64)),
        ("choices", list(T::Utf8)),
        ("logprobs", list(T::Float64)),
        ("is_greedy", list(T::Boolean)),
        ("num_tokens", list(T::UInt64)),
        ("texts", list(T::Utf8)),
        ("filtered", list(T::Utf8)),
        ("metrics", list(T::Utf8)),
        ("values", list(T::Float64)),
        ("unscored", T::Utf8),
    ];
    fields.into_iter().map(|(name, dtype)| (name.into(), Field::new(name.into(), dtype, true))).collect()
}

#[derive(Default)]
struct Rows {
    task: Vec<String>,
    doc_id: Vec<u64>,
    filter: Vec<String>,
    doc_hash: Vec<String>,
    doc: Vec<String>,
    target: Vec<String>,
    gold: Vec<Vec<Option<i64>>>,
    choices: Vec<Vec<Option<String>>>,
    logprobs: Vec<Vec<Option<f64>>>,
    is_greedy: Vec<Vec<Option<bool>>>,
    num_tokens: Vec<Vec<Option<u64>>>,
    texts: Vec<Vec<Option<String>>>,
    filtered: Vec<Vec<Option<String>>>,
    metrics: Vec<Vec<Option<String>>>,
    values: Vec<Vec<Option<f64>>>,
    unscored: Vec<Option<String>>,
    /// Of texts.
    bytes: usize,
}

impl Rows {
    fn add(&mut self, task: &str, answered: &AnsweredItem, sample: &Sample) {
        let item = &answered.item;
        self.task.push(task.to_string());
        self.doc_id.push(sample.doc_id as u64);
        self.filter.push(sample.filter.clone());
        self.doc_hash.push(item.doc.hash());
        self.doc.push(json::dumps(&Value::Object(item.doc.fields.clone())));
        self.target.push(repr::to_str(&item.target_written));
        self.gold.push(match &item.target {
            Target::Index(index) => vec![Some(*index)],
            Target::Indices(indices) => indices.iter().copied().map(Some).collect(),
            Target::Text(_) | Target::Texts(_) => Vec::new(),
        });
        self.choices.push(item.choices.iter().cloned().map(Some).collect());
        let first = |part: fn(&Answer) -> Option<f64>| {
            answered.responses.iter().map(move |r| r.first().and_then(|r| answer(r).and_then(part))).collect::<Vec<_>>()
        };
        let only = answered.responses.first().filter(|_| answered.responses.len() == 1);
        self.logprobs.push(match only.and_then(|repeats| repeats.first()).and_then(answer) {
            // One request for one of the labels: a figure each.
            Some(Answer::Choice { logprobs }) => logprobs.clone(),
            _ => first(|a| match a {
                Answer::Loglikelihood { logprob, .. } | Answer::Rolling { logprob, .. } => Some(*logprob),
                Answer::Text { .. } | Answer::Choice { .. } => None,
            }),
        });
        let greedy = answered.responses.iter().map(|r| match r.first().and_then(answer) {
            Some(Answer::Loglikelihood { is_greedy, .. }) => Some(*is_greedy),
            _ => None,
        });
        self.is_greedy.push(greedy.collect());
        let tokens = answered.responses.iter().map(|r| match r.first().and_then(answer) {
            Some(Answer::Loglikelihood { num_tokens, .. } | Answer::Rolling { num_tokens, .. }) => {
                Some(*num_tokens as u64)
            }
            _ => None,
        });
        self.num_tokens.push(tokens.collect());
        let texts = answered.responses.iter().flatten().map(|r| match answer(r) {
            Some(Answer::Text { text, .. }) => Some(text.clone()),
            _ => None,
        });
        self.texts.push(texts.collect());
        self.filtered.push(sample.filtered.iter().map(|value| Some(text_of(value))).collect());
        self.metrics.push(sample.scores.iter().map(|(name, _)| Some(name.clone())).collect());
        self.values.push(sample.scores.iter().map(|(_, score)| number_of(score)).collect());
        self.unscored.push(sample.scores.iter().find_map(|(_, score)| match score {
            Score::Unscored(unscored) => Some(unscored.reason.clone()),
            _ => None,
        }));
        self.count_bytes();
    }

    fn count_bytes(&mut self) {
        let of = |texts: &Vec<Option<String>>| texts.iter().flatten().map(String::len).sum::<usize>();
        let lists = [&self.choices, &self.texts, &self.filtered].into_iter().filter_map(|lists| lists.last());
        self.bytes += lists.map(of).sum::<usize>() + self.doc.last().map_or(0, String::len);
    }

    /// The number of rows, and the columns in the order of the schema.
    fn arrays(self) -> (usize, Vec<Box<dyn Array>>) {
        let columns = vec![
            texts(self.task.into_iter().map(Some).collect()),
            PrimitiveArray::from_vec(self.doc_id.clone()).boxed(),
            texts(self.filter.into_iter().map(Some).collect()),
            texts(self.doc_hash.into_iter().map(Some).collect()),
            texts(self.doc.into_iter().map(Some).collect()),
            texts(self.target.into_iter().map(Some).collect()),
            list(self.gold, numbers),
            list(self.choices, texts),
            list(self.logprobs, numbers),
            list(self.is_greedy, |flags| BooleanArray::from(flags).boxed()),
            list(self.num_tokens, numbers),
            list(self.texts, texts),
            list(self.filtered, texts),
            list(self.metrics, texts),
            list(self.values, numbers),
            texts(self.unscored),
        ];
        (self.doc_id.len(), columns)
    }
}

fn texts(values: Vec<Option<String>>) -> Box<dyn Array> {
    Utf8Array::<i32>::from(values).boxed()
}

fn numbers<T: polars_arrow::types::NativeType>(values: Vec<Option<T>>) -> Box<dyn Array> {
    PrimitiveArray::<T>::from(values).boxed()
}

/// A list for each row.
fn list<T>(rows: Vec<Vec<T>>, array: impl Fn(Vec<T>) -> Box<dyn Array>) -> Box<dyn Array> {
    // Lengths of lists in memory cannot overflow a 32-bit sum before the texts in them end the row group.
    let offsets = Offsets::<i32>::try_from_lengths(rows.iter().map(Vec::len)).unwrap_or_default();
    let values = array(rows.into_iter().flatten().collect());
    let dtype = ListArray::<i32>::default_datatype(values.dtype().clone());
    ListArray::<i32>::new(dtype, offsets.into(), values, None).boxed()
}

fn answer(response: &std::result::Result<Response, crate::request::Unscored>) -> Option<&Answer> {
    response.as_ref().ok().map(|r| &r.answer)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr::to_str(other),
    }
}

/// The number of a score; `None` for pairs of labels and for documents without a score.
fn number_of(score: &Score) -> Option<f64> {
    match score {
        Score::Value(value) | Score::Weighted { value, .. } | Score::Halved { value, .. } => Some(*value),
        Score::Labels { .. } | Score::Counts(_) | Score::Inapplicable | Score::Unscored(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet::read::{infer_schema, read_metadata};

    /// pyarrow turns neither views nor lists of them into pandas columns, and DuckDB knows no views.
    fn is_common(dtype: &ArrowDataType) -> bool {
        match dtype {
            ArrowDataType::List(inner) => is_common(&inner.dtype),
            other => !matches!(
                other,
                ArrowDataType::Utf8View
                    | ArrowDataType::BinaryView
                    | ArrowDataType::LargeUtf8
                    | ArrowDataType::LargeList(_)
            ),
        }
    }

    #[test]
    fn types_that_every_reader_knows() {
        assert!(schema().iter_values().all(|field| is_common(&field.dtype)));
        let bytes = samples_parquet(&[]).unwrap();
        let metadata = read_metadata(&mut std::io::Cursor::new(&bytes)).unwrap();
        // The schema that the file itself states, in Arrow's own words: what other tools go by.
        let stated = metadata.key_value_metadata.clone().unwrap();
        let stated = stated.iter().find(|entry| entry.key == "ARROW:schema").and_then(|entry| entry.value.as_ref());
        let words = stated.map(|text| text.len()).unwrap_or_default();
        assert!(words > 0, "the file states its Arrow schema");
        assert_eq!(infer_schema(&metadata).unwrap().len(), schema().len());
    }
}
