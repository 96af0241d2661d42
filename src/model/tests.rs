//! Logits against transformers.

use super::testing::{fixture, shared_model};
use super::{DTypeChoice, Model};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// Largest difference between the model's logits and the expected ones.
fn difference(model: &Model, ids: &Tensor, expected: &Tensor) -> f32 {
    let ids: Vec<u32> = ids.flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap();
    let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
    let hidden = model.forward(&ids, None).unwrap();
    let found = model.logits(&hidden, 0, ids.len()).unwrap();
    assert_eq!(found.len(), expected.len());
    found.iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max)
}

// logits_fixed.npz: transformers in f32.
#[test]
fn logits_of_shared_checkpoints_equal_the_reference() {
    for name in ["tiny-llama", "tiny-gemma"] {
        let Some(dir) = shared_model(name) else { return };
        let arrays = Tensor::read_npz_by_name(dir.join("logits_fixed.npz"), &["input_ids", "logits"]).unwrap();
        let model = Model::load(&dir, DTypeChoice::Auto).unwrap();
        let difference = difference(&model, &arrays[0], &arrays[1]);
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

fn expected(dir: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(dir.join("logits.safetensors"), &Device::Cpu).unwrap()
}

// tests/fixtures/make_checkpoints.py: transformers in f32 and in bf16; parameters as its num_parameters() counts them.
#[test]
fn logits_of_fixtures_equal_the_reference() {
    for (name, parameters) in [("llama", 6192), ("gemma", 4944)] {
        let dir = fixture(name);
        let expected = expected(&dir);
        let model = Model::load(&dir, DTypeChoice::F32).unwrap();
        let wide = difference(&model, &expected["ids"], &expected["logits"]);
        assert!(wide < 1e-4, "{name}: {wide}");
        assert_eq!(model.unused_tensors, [""; 0]);
        assert_eq!(model.num_parameters, parameters, "{name}");
        // Bf16 has 8 bits; rounding at the same places leaves errors of a few units in the last place of logits up to 10.
        let model = Model::load(&dir, DTypeChoice::Bf16).unwrap();
        let half = difference(&model, &expected["ids"], &expected["logits_bf16"]);
        let scale = expected["logits"].abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(half < 0.03 * scale, "{name}: {half} of {scale}");
    }
}

#[test]
fn formats_are_as_asked_for() {
    let dir = fixture("gemma");
    let dtype = |choice| Model::load(&dir, choice).unwrap().dtype;
    assert_eq!(dtype(DTypeChoice::Auto), "bfloat16");
    assert_eq!(dtype(DTypeChoice::F32), "float32");
    let half = Model::load(&dir, DTypeChoice::F16).unwrap();
    assert_eq!((half.dtype.as_str(), half.arithmetic), ("float16", Some("float32")));
    // All but the smallest weights are the same in bf16 and f16, and the arithmetic is f32.
    let expected = expected(&dir);
    let difference = difference(&half, &expected["ids"], &expected["logits"]);
    assert!(difference < 1e-3, "{difference}");
}

#[test]
fn a_cache_continues_a_sequence() {
    let dir = fixture("llama");
    let model = Model::load(&dir, DTypeChoice::F32).unwrap();
    // Longer than one window of query rows.
    let ids: Vec<u32> = (0..200).map(|i| (i * 7) % 64).collect();
    let whole = model.logits(&model.forward(&ids, None).unwrap(), 0, ids.len()).unwrap();
    let mut cache = model.new_cache(ids.len());
    let mut pieces = Vec::new();
    for piece in [&ids[..150], &ids[150..151], &ids[151..]] {
        let hidden = model.forward(piece, Some(&mut cache)).unwrap();
        pieces.extend(model.logits(&hidden, 0, piece.len()).unwrap());
    }
    assert_eq!(cache.len(), ids.len());
    let difference = whole.iter().zip(&pieces).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn ids_beyond_the_vocabulary_are_refused() {
    let model = Model::load(&fixture("llama"), DTypeChoice::F32).unwrap();
    assert!(model.forward(&[3, 64], None).unwrap_err().to_string().contains("token id 64"));
}
