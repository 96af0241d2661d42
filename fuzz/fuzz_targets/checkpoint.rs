//! Any bytes as a checkpoint: read or refused, never a panic. The first byte says of which format.
//!
//! `cargo +nightly fuzz run checkpoint -- -max_total_time=300 -rss_limit_mb=2048`; files to begin with are in
//! `src/model/weights/testdata` and `tests/fixtures` (put a byte 0, 1 or 2 before each).
//! `tests/hostile_checkpoints.rs` does the same with seeded changes and needs no fuzzer.

#![no_main]

use fairmark::model::{Backend, DTypeChoice, DeviceChoice, Weights};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["model.safetensors", "pytorch_model.bin", "model.gguf"];

/// Shapes that a matrix is asked for in.
const SHAPES: [(usize, usize); 4] = [(64, 64), (32, 64), (4, 32), (256, 256)];

fuzz_target!(|bytes: &[u8]| {
    let Some((format, bytes)) = bytes.split_first() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join(NAMES[usize::from(*format) % NAMES.len()]), bytes).expect("a file");
    let opened = Weights::open(dir.path(), None, |_| Backend::new(DTypeChoice::F32, DeviceChoice::Cpu, None));
    let Ok(mut weights) = opened else { return };
    for prefix in ["model.layers.0.self_attn.q_proj", "model.embed_tokens", "x"] {
        for (outs, ins) in SHAPES {
            if let Ok(matrix) = weights.linear(prefix, outs, ins) {
                matrix.rows(0..outs, &mut vec![0.0; outs * ins]);
            }
        }
    }
    let _ = weights.vector("model.norm.weight", 64);
});
