//! fp8: `weight` F8_E4M3 `[outs, ins]` with factors: `weight_scale` for the whole matrix, each row or each block (compressed-tensors,
//! fbgemm), or DeepSeek's `weight_scale_inv` for blocks. In spite of its name that is multiplied, too: `W = code * scale`.

use super::{Asked, Under, missing, wrong_shape};
use crate::error::Result;
use crate::model::weights::number::Number;
use crate::model::weights::stored::{BlockScales, Dense, StoredMatrix};

/// DeepSeek's blocks, where `quantization_config` does not say otherwise.
const BLOCK: (usize, usize) = (128, 128);

/// Scales of activations and of keys and values, which are not rounded here.
const FOR_ACTIVATIONS: &[&str] = &["input_scale", "input_scale_ub", "activation_scale"];

pub fn recognise(under: &Under<'_>) -> bool {
    under.dtype("weight") == "F8_E4M3"
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let (outs, ins) = (asked.outs, asked.ins);
    let bytes = asked.shaped("weight", &["F8_E4M3"], &[outs, ins])?;
    let named = ["weight_scale_inv", "weight_scale"].into_iter().find(|name| asked.info(name).is_some());
    let name = named.ok_or_else(|| missing(&format!("{}.weight_scale", asked.under.prefix), asked.place))?;
    let shape = asked.info(name).map_or(&[][..], |info| &info.shape);
    let (block_outs, block_ins) = match *shape {
        [] | [1] | [1, 1] => (outs, ins),
        [rows] | [rows, 1] if rows == outs => (1, ins),
        [_, _] => asked.quantization.and_then(|q| q.weight_block_size).unwrap_or(BLOCK),
        _ => return Err(asked.refuse(name, wrong_shape(&[outs, 1], shape))),
    };
    let blocks = [outs.div_ceil(block_outs), ins.div_ceil(block_ins)];
    let scales = BlockScales { values: asked.reals(name, &blocks)?, block_outs, block_ins };
    FOR_ACTIVATIONS.iter().filter(|name| asked.info(name).is_some()).for_each(|name| asked.ignore(name));
    let dense = Dense::stored(bytes, Number::F8E4M3, outs, ins)
        .ok_or_else(|| asked.refuse("weight", "the tensor has not the bytes that its shape needs"))?;
    Ok(StoredMatrix::Dense(dense.scaled(scales, "fp8").rounded(asked.rounding)))
}
