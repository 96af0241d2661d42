//! Plain: `weight` in f32, f64, bf16 or f16, `[outs, ins]` (Conv1D: `[ins, outs]`).

use super::{Asked, Under, wrong_shape};
use crate::error::Result;
use crate::kernel::Rounding;
use crate::model::weights::number::Number;
use crate::model::weights::stored::{Dense, StoredMatrix};

/// Number formats that are computed with.
pub const DTYPES: &[&str] = &["F32", "BF16", "F16", "F64"];

/// The last encoding in the table: whatever has a `weight`, so that its errors are about that.
pub fn recognise(under: &Under<'_>) -> bool {
    under.info("weight").is_some()
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let (info, bytes) = asked.tensor("weight", DTYPES).map_err(|e| match asked.under.dtype("weight") {
        "I8" | "U8" | "I32" => e.context("it looks like an unknown kind of quantisation"),
        _ => e,
    })?;
    let turned = asked.conv1d && !asked.under.checkpoint.conv1d_is_linear();
    let shape = if turned { [asked.ins, asked.outs] } else { [asked.outs, asked.ins] };
    if info.shape != shape {
        return Err(asked.refuse("weight", wrong_shape(&shape, &info.shape)));
    }
    let number = Number::named(&info.dtype).unwrap_or(Number::F32);
    let dense = Dense::stored(bytes, number, asked.outs, asked.ins)
        .ok_or_else(|| asked.refuse("weight", "the tensor has not the bytes that its shape needs"))?;
    let dense = if turned { dense.transposed() } else { dense };
    Ok(StoredMatrix::Dense(dense.rounded(rounding(number, asked.rounding))))
}

/// What numbers of a format have to be rounded to: nothing where they are of that format already.
pub fn rounding(number: Number, wanted: Rounding) -> Rounding {
    match (number, wanted) {
        (Number::Bf16, Rounding::Bf16) | (Number::F16, Rounding::F16) => Rounding::None,
        (_, wanted) => wanted,
    }
}
