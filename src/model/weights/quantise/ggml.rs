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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::checkpoint;
    use crate::model::weights::number::Number;
    use crate::model::weights::stored::Dense;

    // tests/fixtures/make_block_goldens.py: gguf 0.19.
    #[test]
    fn blocks_are_those_of_llama_cpp() {
        let dir = tempfile::tempdir().unwrap();
        let file = crate::model::testing::fixture("gguf/quantised.safetensors");
        std::fs::copy(file, dir.path().join("model.safetensors")).unwrap();
        let checkpoint = checkpoint::open(dir.path()).unwrap();
        let input = Dense::stored(checkpoint.bytes("input").unwrap(), Number::F32, 12, 256).unwrap();
        let matrix = StoredMatrix::Dense(input);
        for (candle, kind) in [
            (GgmlDType::Q8_0, GgmlType::Q8_0),
            (GgmlDType::Q4_0, GgmlType::Q4_0),
            (GgmlDType::Q4_1, GgmlType::Q4_1),
            (GgmlDType::Q5_0, GgmlType::Q5_0),
            (GgmlDType::Q5_1, GgmlType::Q5_1),
        ] {
            let made = blocks(&matrix, candle, kind, "made").unwrap();
            let bytes = checkpoint.bytes(&format!("{}.bytes", kind.name())).unwrap();
            let expected = gguf::decode(kind, 12, 256, &bytes).unwrap();
            let (mut ours, mut theirs) = (vec![0.0; 256], vec![0.0; 256]);
            let mut different = 0;
            for row in 0..12 {
                made.rows(row..row + 1, &mut ours);
                expected.row(row, &mut theirs);
                different += ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
            }
            println!("{}: {different} of {} differ", kind.name(), 12 * 256);
            assert_eq!(different, 0, "{}", kind.name());
        }
    }
}
