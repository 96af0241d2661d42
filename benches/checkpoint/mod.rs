//! A checkpoint with random weights, of the shape of SmolLM-135M.

use std::io::{BufWriter, Write};
use std::path::Path;

const HIDDEN: usize = 576;
const LAYERS: usize = 30;
const HEADS: usize = 9;
const KV_HEADS: usize = 3;
const HEAD_DIM: usize = 64;
const INTERMEDIATE: usize = 1536;
const VOCABULARY: usize = 49152;

/// Writes `config.json`, `model.safetensors` (f32 numbers that bf16 holds exactly) and a copy of a tokenizer.
pub fn write(dir: &Path, tokenizer: &Path) -> Result<(), Box<dyn std::error::Error>> {
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::write(dir.join(name), std::fs::read(tokenizer.join(name))?)?;
    }
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
        "intermediate_size": INTERMEDIATE, "vocab_size": VOCABULARY, "tie_word_embeddings": true,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "torch_dtype": "float32",
    });
    std::fs::write(dir.join("config.json"), config.to_string())?;
    let tensors = tensors();
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for (name, shape) in &tensors {
        let bytes = 4 * shape.iter().product::<usize>();
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + bytes]});
        header.insert(name.clone(), entry);
        offset += bytes;
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = BufWriter::new(std::fs::File::create(dir.join("model.safetensors"))?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut random = Random(7);
    for (name, shape) in &tensors {
        let size = if name.contains("norm") { None } else { Some(1.0 / 32.0) };
        for _ in 0..shape.iter().product::<usize>() {
            file.write_all(&size.map_or(1.0, |size| random.next() * size).to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_string(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_string(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (part, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HEADS * HEAD_DIM, HIDDEN]),
            ("self_attn.k_proj", vec![KV_HEADS * HEAD_DIM, HIDDEN]),
            ("self_attn.v_proj", vec![KV_HEADS * HEAD_DIM, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HEADS * HEAD_DIM]),
            ("mlp.gate_proj", vec![INTERMEDIATE, HIDDEN]),
            ("mlp.up_proj", vec![INTERMEDIATE, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, INTERMEDIATE]),
        ] {
            tensors.push((format!("model.layers.{layer}.{part}.weight"), shape));
        }
    }
    tensors
}

/// A linear congruential generator; numbers lie between -1.7 and 1.7 and have the eight bits of bf16.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        half::bf16::from_f32(((self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0) * 1.7).to_f32()
    }
}
