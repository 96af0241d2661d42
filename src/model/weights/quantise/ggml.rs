//! llama.cpp's blocks, made by candle's port of its quantisation.

use super::chunks;
use crate::error::{Error, Result};
use crate::model::weights::gguf::{self, GgmlType};
use crate::model::weights::stored::StoredMatrix;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

/// The matrix in blocks; the width of its rows is a multiple of their size.
pub fn blocks(matrix: &StoredMatrix, candle: GgmlDType, kind: GgmlType, name: &'static str) -> Result<StoredMatrix> {
    let quantise = |values: Vec<f32>| {
        let count = values.len();
        let tensor = Tensor::from_vec(values, count, &Device::Cpu)?;
        QTensor::quantize(&tensor, candle)?.data().map(|bytes| bytes.into_owned())
    };
    let failed = |e| Error::input(format!("cannot be quantised to {name}")).cause(e);
    let bytes = chunks(matrix, 1, quantise).into_iter().collect::<candle_core::Result<Vec<_>>>().map_err(failed)?;
    let codes = gguf::decode(kind, matrix.outs(), matrix.ins(), &bytes.concat())?;
    Ok(StoredMatrix::compressed(codes, name))
}
