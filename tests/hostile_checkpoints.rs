//! Checkpoints changed at random: whatever comes of it, no panic, and no allocation that the file does not pay for.
//!
//! A test binary of its own, because it counts what the allocator is asked for.

use fairmark::model::{Backend, DTypeChoice, DeviceChoice};
use fairmark::model::{Found, StoredMatrix, Weights};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, which remembers the largest request.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// What a file may ask for beyond its own size: tables of threads, buffers of the library.
const ALLOWANCE: usize = 1 << 20;

/// A 2-bit code becomes four bytes where its scales do not fit, or eight while a file's text is taken apart.
const FACTOR: usize = 16;

/// xorshift64
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Matrices that the test files hold.
const MATRICES: &[(&str, usize, usize)] = &[
    ("gptq2", 32, 64),
    ("gptq3", 32, 64),
    ("gptq8", 32, 64),
    ("gptq_act", 32, 64),
    ("awq", 24, 64),
    ("fp8_block", 40, 48),
    ("fp8_row", 40, 48),
    ("conv", 48, 16),
    ("wide", 8, 32),
    ("model.layers.0.self_attn.q_proj", 64, 64),
    ("model.layers.0.mlp.down_proj", 64, 192),
];

/// Reads all that there is; errors must name the folder.
fn read(dir: &Path) -> usize {
    let refused = |err: fairmark::error::Error| {
        assert!(err.to_string().contains(&dir.display().to_string()), "{err}");
        1
    };
    let opened =
        Weights::open(dir, None, |found: &Found| Backend::new(DTypeChoice::F32, DeviceChoice::Cpu, found.dtype));
    let mut weights = match opened {
        Ok(weights) => weights,
        Err(err) => return refused(err),
    };
    let mut count = 0;
    let mut values = Vec::new();
    let mut take = |matrix: fairmark::error::Result<StoredMatrix>| match matrix {
        Ok(matrix) => {
            values.resize(matrix.outs() * matrix.ins(), 0.0);
            matrix.rows(0..matrix.outs(), &mut values);
        }
        Err(err) => count += refused(err),
    };
    for (prefix, outs, ins) in MATRICES {
        if weights.has_matrix(prefix) {
            take(weights.linear(prefix, *outs, *ins));
        }
    }
    if weights.has("experts") {
        take(weights.experts("experts", 3, 4, 32));
    }
    for (name, len) in [("norm.weight", 3), ("half", 4), ("f32", 24), ("turned", 24), ("part", 6)] {
        if weights.has(name) {
            count += weights.vector(name, len).err().map_or(0, refused);
        }
    }
    // Views of pickles are put in order when they are asked for as matrices.
    for (name, outs, ins) in [("turned", 6, 4), ("part", 2, 3), ("parameter", 2, 3)] {
        if weights.has(name) {
            count += weights.experts(name, 1, outs, ins).err().map_or(0, refused);
        }
    }
    count
}

/// Changes some bytes of stretches of a file, many times over, and reads what came of it.
fn mutate(whole: &[u8], name: &str, stretches: &[std::ops::Range<usize>], rounds: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for round in 0..rounds {
        let mut bytes = whole.to_vec();
        for _ in 0..1 + random.below(3) {
            let stretch = &stretches[random.below(stretches.len())];
            let at = stretch.start + random.below(stretch.len());
            match random.below(4) {
                // A digit or letter for another keeps JSON and opcodes whole more often than noise does.
                0 => bytes[at] = b"0123456789-.eE\",:[]{}"[random.below(21)],
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes[at..(at + 1 + random.below(8)).min(stretch.end)].fill([0, 0xff, 0x7f][random.below(3)]),
                _ => bytes[at] = random.below(256) as u8,
            }
        }
        if random.below(16) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        LARGEST.store(0, Ordering::Relaxed);
        refused += usize::from(read(dir.path()) > 0);
        let largest = LARGEST.load(Ordering::Relaxed);
        assert!(largest <= FACTOR * whole.len() + ALLOWANCE, "round {round} of {name} asked for {largest} bytes");
    }
    assert!(refused > rounds / 4, "{name}: {refused} of {rounds} refused");
}

fn testdata(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/weights/testdata").join(name)).unwrap()
}

fn header(file: &[u8]) -> std::ops::Range<usize> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    0..8 + length
}

// One test, because what the allocator is asked for is counted for the whole process.
#[test]
fn changed_checkpoints_are_read_or_refused() {
    let encodings = testdata("encodings.safetensors");
    mutate(&encodings, "model.safetensors", &[header(&encodings)], 3000);
    let torch = testdata("torch.bin");
    let all = 0..torch.len();
    mutate(&torch, "pytorch_model.bin", &[all], 4000);
    for kind in ["nf4-dq", "int8"] {
        let shared = format!("../shared/models/tiny-llama-bnb-{kind}/model.safetensors");
        let Ok(file) = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(shared)) else { continue };
        let layer = first_layer(&file);
        let head = header(&layer);
        // The states are JSON inside the data.
        let mut stretches = vec![head.clone()];
        let states = layer[head.end..].windows(13).enumerate().filter(|(_, w)| *w == b"{\"quant_type\"");
        stretches.extend(states.map(|(at, _)| head.end + at..head.end + at + 160).filter(|s| s.end <= layer.len()));
        mutate(&layer, "model.safetensors", &stretches, 1500);
    }
}

/// The tensors of the first layer of a checkpoint, as a file.
fn first_layer(file: &[u8]) -> Vec<u8> {
    let head = header(file);
    let tensors: serde_json::Value = serde_json::from_slice(&file[8..head.end]).unwrap();
    let (mut kept, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, tensor) in tensors.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("model.layers.0.")) {
        let offset = |i: usize| head.end + tensor["data_offsets"][i].as_u64().unwrap() as usize;
        let start = data.len();
        data.extend_from_slice(&file[offset(0)..offset(1)]);
        let mut tensor = tensor.clone();
        tensor["data_offsets"] = serde_json::json!([start, data.len()]);
        kept.insert(name.clone(), tensor);
    }
    let text = serde_json::Value::Object(kept).to_string();
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &data].concat()
}
