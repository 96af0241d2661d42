//! Checkpoints that are damaged where only their encoding can tell.

use super::{Found, StoredMatrix, Weights};
use crate::error::Result;
use crate::model::{Backend, DTypeChoice, DeviceChoice};
use serde_json::{Value, json};
use std::path::Path;

/// A safetensors file in the making.
#[derive(Default, Clone)]
struct Writer {
    tensors: Vec<(String, &'static str, Vec<usize>, Vec<u8>)>,
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn words(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Writer {
    /// Adds a tensor, or puts another in its place.
    fn with(mut self, name: &str, dtype: &'static str, shape: &[usize], bytes: Vec<u8>) -> Writer {
        self.tensors.retain(|(known, ..)| known != name);
        self.tensors.push((name.to_string(), dtype, shape.to_vec(), bytes));
        self
    }

    fn without(mut self, name: &str) -> Writer {
        self.tensors.retain(|(known, ..)| known != name);
        self
    }

    fn write(&self, path: &Path) {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, dtype, shape, bytes) in &self.tensors {
            let offsets = [data.len(), data.len() + bytes.len()];
            header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
            data.extend_from_slice(bytes);
        }
        let header = Value::Object(header).to_string();
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        std::fs::write(path, file).unwrap();
    }

    fn weights(&self) -> (tempfile::TempDir, Result<Weights>) {
        let dir = tempfile::tempdir().unwrap();
        self.write(&dir.path().join("model.safetensors"));
        let weights = Weights::open(dir.path(), None, |found: &Found| {
            Backend::new(DTypeChoice::F32, DeviceChoice::Cpu, found.dtype)
        });
        (dir, weights)
    }

    /// What is said of the matrix `x` `[4, 32]`.
    fn refusal(&self) -> String {
        let (_dir, weights) = self.weights();
        weights.unwrap().linear("x", 4, 32).err().expect("should be refused").to_string()
    }

    fn says(self, tensor: &str, part: &str) {
        let err = self.refusal();
        assert!(err.contains(part) && err.contains(&format!("model.safetensors, {tensor}: ")), "{part}: {err}");
    }
}

fn rows(weights: &mut Weights, outs: usize, ins: usize) -> Vec<f32> {
    let matrix = weights.linear("x", outs, ins).unwrap();
    let mut values = vec![0.0; outs * ins];
    matrix.rows(0..outs, &mut values);
    values
}

const STATE: &str = "x.weight.quant_state.bitsandbytes__nf4";

fn nf4(state: &Value) -> Writer {
    let levels: Vec<f32> = (0..16).map(|code| code as f32).collect();
    Writer::default()
        .with("x.weight", "U8", &[64, 1], (0..64).collect())
        .with("x.weight.absmax", "F32", &[2], floats(&[1.0, 2.0]))
        .with("x.weight.quant_map", "F32", &[16], floats(&levels))
        .with(STATE, "U8", &[state.to_string().len()], state.to_string().into_bytes())
}

fn state() -> Value {
    json!({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [4, 32]})
}

fn nested(offset: Value) -> Writer {
    let mut state = state();
    state["nested_blocksize"] = json!(256);
    state["nested_offset"] = offset;
    nf4(&state)
        .with("x.weight.absmax", "U8", &[2], vec![0, 255])
        .with("x.weight.nested_absmax", "F32", &[1], floats(&[0.5]))
        .with("x.weight.nested_quant_map", "F32", &[256], floats(&[1.0; 256]))
}

#[test]
fn nf4_is_read_by_its_definition() {
    let (_dir, weights) = nf4(&state()).weights();
    // Byte 33 has codes 2 and 1; numbers 66 and 67 are in the second block.
    let values = rows(&mut weights.unwrap(), 4, 32);
    assert_eq!((values[2], values[3], values[66], values[67]), (0.0, 1.0, 4.0, 2.0));
    let (_dir, weights) = nested(json!(1.5)).weights();
    assert_eq!(rows(&mut weights.unwrap(), 4, 32)[67], 2.0);
    // Blocks that run over the ends of rows: groups of 16, or none at all.
    for (outs, ins, grouped) in [(8, 16, true), (2, 48, true), (3, 40, false), (5, 25, false)] {
        let mut state = state();
        state["shape"] = json!([outs, ins]);
        let count: usize = outs * ins;
        let bytes: Vec<u8> = (0..count.div_ceil(2)).map(|i| i as u8).collect();
        let writer = nf4(&state).with("x.weight", "U8", &[bytes.len(), 1], bytes.clone());
        let (_dir, weights) = writer.weights();
        let mut weights = weights.unwrap();
        let matrix = weights.linear("x", outs, ins).unwrap();
        assert_eq!(matches!(matrix, StoredMatrix::Grouped(_)), grouped, "{outs} x {ins}");
        let expected = (0..count).map(|at| {
            let code = if at % 2 == 0 { bytes[at / 2] >> 4 } else { bytes[at / 2] & 15 };
            f32::from(code) * [1.0, 2.0][at / 64]
        });
        assert_eq!(rows(&mut weights, outs, ins), expected.collect::<Vec<f32>>(), "{outs} x {ins}");
    }
}

#[test]
fn damaged_4_bit_states_are_refused() {
    let state_of = |key: &str, value: Value| {
        let mut state = state();
        state[key] = value;
        nf4(&state)
    };
    nf4(&state()).with("x.weight.absmax", "F32", &[1], floats(&[1.0])).says("x.weight.absmax", "[1]");
    nf4(&state()).with("x.weight.absmax", "F32", &[2], floats(&[1.0, f32::NAN])).says("x.weight.absmax", "NaN");
    nf4(&state()).with("x.weight.quant_map", "F32", &[15], floats(&[0.0; 15])).says("x.weight.quant_map", "[15]");
    nf4(&state()).with("x.weight", "U8", &[63, 1], vec![0; 63]).says("x.weight", "take 64 bytes, not 63");
    nf4(&state()).with(STATE, "U8", &[3], b"{\"x".to_vec()).says(STATE, "is not JSON");
    nf4(&state()).with(STATE, "U8", &[0], Vec::new()).says(STATE, "is not JSON");
    state_of("blocksize", json!(0)).says(STATE, "blocks have no numbers");
    state_of("blocksize", json!(-64)).says(STATE, "is not JSON");
    state_of("blocksize", json!(1u64 << 60)).says("x.weight.absmax", "[2]");
    state_of("dtype", json!("int3")).says(STATE, "`int3` is unknown");
    state_of("shape", json!([4, 33])).says(STATE, "[4, 33]");
    state_of("shape", json!([u64::MAX, u64::MAX])).says(STATE, "asks for the shape [4, 32]");
    assert!(nf4(&state()).without(STATE).refusal().contains("the state of the quantisation is missing"));
    assert!(nf4(&state()).without("x.weight.quant_map").refusal().contains("x.weight.quant_map is missing"));
    nested(json!(null)).says(STATE, "nested_offset");
    nested(json!(1e300)).says(STATE, "nested_offset");
    nested(json!(0.5))
        .with("x.weight.nested_absmax", "F32", &[2], floats(&[1.0; 2]))
        .says("x.weight.nested_absmax", "[2]");
    nested(json!(0.5))
        .with("x.weight.nested_quant_map", "F32", &[9], floats(&[1.0; 9]))
        .says("x.weight.nested_quant_map", "[256]");
    nested(json!(0.5)).with("x.weight.absmax", "U8", &[1], vec![0]).says("x.weight.absmax", "[1]");
}

#[test]
fn damaged_int8_rows_are_refused() {
    let int8 = Writer::default()
        .with("x.weight", "I8", &[4, 32], (0..128).map(|i| (i as u8).wrapping_sub(64)).collect())
        .with("x.SCB", "F32", &[4], floats(&[127.0, 254.0, 0.0, 1.0]))
        .with("x.weight_format", "U8", &[], vec![0]);
    let (_dir, weights) = int8.weights();
    let values = rows(&mut weights.unwrap(), 4, 32);
    assert_eq!((values[0], values[33], values[64]), (-64.0, -62.0, 0.0));
    int8.clone().with("x.SCB", "F32", &[3], floats(&[1.0; 3])).says("x.SCB", "[3]");
    int8.clone().with("x.SCB", "F32", &[4], floats(&[f32::INFINITY; 4])).says("x.SCB", "NaN or infinity");
    int8.clone().with("x.weight_format", "U8", &[], vec![2]).says("x.weight_format", "order of a GPU's tiles");
    int8.clone().with("x.weight", "I8", &[32, 4], vec![0; 128]).says("x.weight", "[32, 4]");
    int8.clone().with("x.weight", "I8", &[4, 32], vec![0; 127]);
    assert!(int8.without("x.SCB").refusal().contains("x.SCB is missing"));
}

#[test]
fn damaged_gptq_is_refused() {
    let gptq = Writer::default()
        .with("x.qweight", "I32", &[4, 4], words(&[0x7654_3210; 16]))
        .with("x.qzeros", "I32", &[2, 0], Vec::new())
        .with("x.scales", "F16", &[2, 4], vec![0; 16]);
    // Four outputs do not fill a word of zeros.
    gptq.says("x.qweight", "cannot be in words");
    let gptq = Writer::default()
        .with("x.qweight", "I32", &[4, 8], words(&[0x7654_3210; 32]))
        .with("x.qzeros", "I32", &[2, 1], words(&[0x7777_7777; 2]))
        .with("x.scales", "F32", &[2, 8], floats(&[1.0; 16]))
        .with("x.g_idx", "I32", &[32], words(&[0; 32]));
    let refusal = |writer: Writer, part: &str| {
        let (_dir, weights) = writer.weights();
        let err = weights.unwrap().linear("x", 8, 32).err().expect(part).to_string();
        assert!(err.contains(part), "{part}: {err}");
    };
    let (_dir, weights) = gptq.weights();
    assert_eq!(rows(&mut weights.unwrap(), 8, 32)[..9], [-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, -8.0]);
    refusal(gptq.clone().with("x.g_idx", "I32", &[32], words(&[2; 32])), "names group 2, there are 2");
    refusal(gptq.clone().with("x.g_idx", "I32", &[32], words(&[-1; 32])), "names group -1");
    refusal(gptq.clone().with("x.g_idx", "I32", &[31], words(&[0; 31])), "[31]");
    refusal(gptq.clone().with("x.scales", "F32", &[0, 8], Vec::new()), "[0, 8]");
    refusal(gptq.clone().with("x.scales", "F32", &[2, 8], floats(&[f32::NAN; 16])), "x.scales: holds NaN");
    refusal(gptq.clone().with("x.qzeros", "I32", &[2, 2], words(&[0; 4])), "[2, 2]");
    refusal(gptq.clone().without("x.qzeros"), "x.qzeros is missing");
    refusal(gptq.without("x.scales"), "x.scales is missing");
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let mut numbers = [0.5; 128];
    numbers[77] = f32::NAN;
    let plain = Writer::default().with("x.weight", "F32", &[4, 32], floats(&numbers)).with(
        "norm.weight",
        "F32",
        &[2],
        floats(&[1.0, f32::NEG_INFINITY]),
    );
    let (_dir, weights) = plain.weights();
    let mut weights = weights.unwrap();
    let err = weights.vector("norm.weight", 2).unwrap_err().to_string();
    assert!(err.contains("model.safetensors, norm.weight: holds NaN or infinity"), "{err}");
    let matrix = weights.linear("x", 4, 32).unwrap();
    matrix.rows(0..2, &mut [0.0; 64]);
    weights.check_values().unwrap();
    matrix.select_rows(&[2]).rows(0..1, &mut [0.0; 32]);
    let err = weights.check_values().unwrap_err().to_string();
    assert!(err.contains("model.safetensors, x.weight: holds NaN or infinity"), "{err}");
    // Values that the model's number format cannot hold.
    let wide = Writer::default().with("x.weight", "F32", &[4, 32], floats(&[70_000.0; 128]));
    let dir = tempfile::tempdir().unwrap();
    wide.write(&dir.path().join("model.safetensors"));
    let mut weights =
        Weights::open(dir.path(), None, |_| Backend::new(DTypeChoice::F16, DeviceChoice::Cpu, None)).unwrap();
    rows(&mut weights, 4, 32);
    assert!(weights.check_values().is_err());
    // The code of NaN.
    let fp8 = Writer::default().with("x.weight", "F8_E4M3", &[4, 32], vec![0x7f; 128]).with(
        "x.weight_scale",
        "F32",
        &[],
        floats(&[1.0]),
    );
    let (_dir, weights) = fp8.weights();
    let mut weights = weights.unwrap();
    rows(&mut weights, 4, 32);
    assert!(weights.check_values().is_err());
    fp8.clone().with("x.weight_scale", "F32", &[3], floats(&[1.0; 3])).says("x.weight_scale", "[3]");
    assert!(fp8.without("x.weight_scale").refusal().contains("x.weight_scale is missing"));
}
