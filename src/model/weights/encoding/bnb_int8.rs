//! LLM.int8 of bitsandbytes (Dettmers et al. 2022, arXiv:2208.07339): `weight` I8 `[outs, ins]`, `SCB` F32 `[outs]`, the largest
//! absolute value of each row, and `weight_format` (0: by rows). `W = code * SCB / 127`.
//!
//! bitsandbytes evaluates that as `code * SCB * (1 / 127)` with two roundings; `SCB / 127` is rounded once here and once with the
//! code, so that values may differ in the last bit of f32.

use super::{Asked, Under};
use crate::error::Result;
use crate::kernel::{Codes, Grouped, Rounding};
use crate::model::weights::stored::{Compressed, StoredMatrix};
use std::sync::Arc;

/// What transformers takes where `quantization_config` does not say it.
const THRESHOLD: f32 = 6.0;

pub fn recognise(under: &Under<'_>) -> bool {
    under.dtype("weight") == "I8"
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let bytes = asked.shaped("weight", &["I8"], &[asked.outs, asked.ins])?;
    if asked.info("weight_format").is_some() {
        let (_, format) = asked.tensor("weight_format", &["U8"])?;
        if format.first().is_some_and(|format| *format != 0) {
            return Err(asked
                .refuse("weight_format", "weights in the order of a GPU's tiles are not supported")
                .hint("save the model again with a newer bitsandbytes, which stores them by rows"));
        }
    }
    let scales = asked.reals("SCB", &[asked.outs])?.iter().map(|largest| largest / 127.0).collect();
    let threshold = asked.quantization.and_then(|q| q.llm_int8_threshold).unwrap_or(THRESHOLD);
    matrix(bytes.iter().map(|code| *code as i8).collect(), scales, asked.outs, asked.ins, threshold)
        .map_err(|e| asked.refuse("weight", e))
}

/// The matrix of codes and what a code is worth in each row.
pub fn matrix(
    codes: Vec<i8>,
    scales: Vec<f32>,
    outs: usize,
    ins: usize,
    threshold: f32,
) -> Result<StoredMatrix, String> {
    let codes = Grouped::new(outs, ins, ins, Codes::Eight(codes), scales, None, Rounding::None)?;
    Ok(StoredMatrix::Grouped(Arc::new(Compressed { codes, encoding: "int8", llm_int8_threshold: Some(threshold) })))
}
