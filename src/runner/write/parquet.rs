//! All samples of a run as one Parquet table, with every per-choice figure, so that any score can be computed again.
//!
//! The file has types that every reader knows (`large_string`, `large_list`): views, which polars writes by itself, can be opened by few.

use crate::error::{Error, Result};
use crate::item::Target;
use crate::python::{json, repr};
use crate::request::{Answer, Response};
use crate::runner::FinishedTask;
use crate::sample::Sample;
use crate::sample::{AnsweredItem, Score};
use polars::prelude::{
    ArrowSchema, Column, CompatLevel, DataFrame, DataType, IntoColumn, NamedFrom, PolarsResult, Schema, SchemaExt,
    Series,
};
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
/// (lists over requests; `logprobs` over labels where those were asked for), `texts, filtered` (lists), `metrics, values` (lists), `unscored,
/// cluster`.
/// Infinite figures are infinite here.
pub fn samples_parquet(tasks: &[FinishedTask]) -> Result<Vec<u8>> {
    let fail = |err: &dyn std::fmt::Display| Error::input(format!("cannot write the samples as Parquet: {err}"));
    let schema = Arc::new(arrow_schema());
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, (*schema).clone(), OPTIONS).map_err(|err| fail(&err))?;
    let mut rows = Rows::default();
    let mut flush = |rows: &mut Rows| {
        let frame = std::mem::take(rows).frame().map_err(|err| fail(&err))?;
        for batch in frame.iter_chunks(OLD_TYPES, false).filter(|batch| !batch.is_empty()) {
            let encodings = schema.iter_values().map(|field| get_dtype_encoding(&field.dtype)).collect();
            let fields = writer.parquet_schema().fields().to_vec();
            let height = batch.len() as u64;
            writer.write(height, row_group_iter(batch, encodings, fields, OPTIONS)).map_err(|err| fail(&err))?;
        }
        Ok::<(), Error>(())
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

/// Texts and lists as Arrow had them before views.
const OLD_TYPES: CompatLevel = CompatLevel::oldest();

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

/// Names and types of the columns.
fn schema() -> Schema {
    use DataType as T;
    let list = |inner: T| T::List(Box::new(inner));
    let fields = [
        ("task", T::String),
        ("doc_id", T::UInt64),
        ("filter", T::String),
        ("doc_hash", T::String),
        ("doc", T::String),
        ("target", T::String),
        ("gold", list(T::Int64)),
        ("choices", list(T::String)),
        ("logprobs", list(T::Float64)),
        ("is_greedy", list(T::Boolean)),
        ("num_tokens", list(T::UInt64)),
        ("texts", list(T::String)),
        ("filtered", list(T::String)),
        ("metrics", list(T::String)),
        ("values", list(T::Float64)),
        ("unscored", T::String),
        ("cluster", T::String),
    ];
    fields.into_iter().map(|(name, dtype)| (name.into(), dtype)).collect()
}

fn arrow_schema() -> ArrowSchema {
    schema().to_arrow(OLD_TYPES)
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
    cluster: Vec<Option<String>>,
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
        self.cluster.push(item.cluster.clone());
        self.count_bytes();
    }

    fn count_bytes(&mut self) {
        let of = |texts: &Vec<Option<String>>| texts.iter().flatten().map(String::len).sum::<usize>();
        let lists = [&self.choices, &self.texts, &self.filtered].into_iter().filter_map(|lists| lists.last());
        self.bytes += lists.map(of).sum::<usize>() + self.doc.last().map_or(0, String::len);
    }

    /// The columns in the order of the schema, with its types.
    fn frame(self) -> PolarsResult<DataFrame> {
        let height = self.task.len();
        let columns: Vec<Column> = vec![
            Series::new("task".into(), self.task).into_column(),
            Series::new("doc_id".into(), self.doc_id).into_column(),
            Series::new("filter".into(), self.filter).into_column(),
            Series::new("doc_hash".into(), self.doc_hash).into_column(),
            Series::new("doc".into(), self.doc).into_column(),
            Series::new("target".into(), self.target).into_column(),
            lists("gold", self.gold),
            lists("choices", self.choices),
            lists("logprobs", self.logprobs),
            lists("is_greedy", self.is_greedy),
            lists("num_tokens", self.num_tokens),
            lists("texts", self.texts),
            lists("filtered", self.filtered),
            lists("metrics", self.metrics),
            lists("values", self.values),
            Series::new("unscored".into(), self.unscored).into_column(),
            Series::new("cluster".into(), self.cluster).into_column(),
        ];
        // A column without any value has no type of its own.
        let schema = schema();
        let typed = columns.iter().zip(schema.iter_values()).map(|(column, dtype)| column.cast(dtype));
        DataFrame::new(height, typed.collect::<PolarsResult<_>>()?)
    }
}

/// A list for each row.
fn lists<T>(name: &str, rows: Vec<Vec<T>>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    column_of(name, rows.into_iter().map(|row| Series::new("item".into(), row)).collect())
}

fn column_of(name: &str, rows: Vec<Series>) -> Column {
    Series::new(name.into(), rows).into_column()
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
    use polars_arrow::datatypes::ArrowDataType;
    use polars_parquet::read::{infer_schema, read_metadata};

    /// pyarrow makes no pandas columns of views, and DuckDB knows none.
    fn is_common(dtype: &ArrowDataType) -> bool {
        match dtype {
            ArrowDataType::LargeList(inner) => is_common(&inner.dtype),
            other => !matches!(other, ArrowDataType::Utf8View | ArrowDataType::BinaryView),
        }
    }

    #[test]
    fn types_that_every_reader_knows() {
        let bytes = samples_parquet(&[]).unwrap();
        let metadata = read_metadata(&mut std::io::Cursor::new(&bytes)).unwrap();
        let stated = metadata.key_value_metadata.clone().unwrap();
        assert!(stated.iter().any(|entry| entry.key == "ARROW:schema"), "the file states its Arrow schema");
        assert_eq!(infer_schema(&metadata).unwrap().len(), schema().len());
        // What is stated: polars' own reader gives views whatever stands there.
        let stated = arrow_schema();
        assert!(stated.iter_values().all(|field| is_common(&field.dtype)), "{stated:?}");
    }

    #[test]
    fn columns_without_values_keep_their_types() {
        let frame = Rows::default().frame().unwrap();
        assert_eq!((frame.height(), &**frame.schema()), (0, &schema()));
    }
}
