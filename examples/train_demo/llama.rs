//! A small Llama whose every operation has a gradient: what the trainer fits and the ordinary loader reads afterwards.

use crate::fused::{Gated, Normed, Rotated, Shares};
use candle_core::{DType, Device, Result, Tensor, Var};
use std::collections::HashMap;

/// The sizes of the model; `config.json` says the same.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub vocab: usize,
    pub hidden: usize,
    pub feed_forward: usize,
    pub layers: usize,
    pub heads: usize,
    pub rope_theta: f64,
    pub norm_eps: f64,
}

struct Layer {
    q: Var,
    k: Var,
    v: Var,
    o: Var,
    gate: Var,
    up: Var,
    down: Var,
}

/// Llama with tied embeddings; weights are `[outputs, inputs]`, as Hugging Face stores them.
pub struct Llama {
    shape: Shape,
    embedding: Var,
    layers: Vec<Layer>,
}

/// Normally distributed numbers from a seed (candle's own generator on the CPU cannot be seeded).
struct Normal(fastrand::Rng);

impl Normal {
    fn matrix(&mut self, rows: usize, columns: usize, deviation: f64) -> Result<Var> {
        let values: Vec<f32> = (0..rows * columns).map(|_| (self.next() * deviation) as f32).collect();
        Var::from_tensor(&Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
    }

    /// Box and Muller's transform of two uniform numbers.
    fn next(&mut self) -> f64 {
        let (a, b) = (1.0 - self.0.f64(), self.0.f64());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

impl Llama {
    pub fn new(shape: Shape, seed: u64) -> Result<Self> {
        let mut normal = Normal(fastrand::Rng::with_seed(seed));
        let Shape { vocab, hidden, feed_forward, .. } = shape;
        let spread = 1.0 / (hidden as f64).sqrt();
        // What is added to the residual stream starts smaller, the deeper the model (as in GPT-2).
        let residual = spread / (2.0 * shape.layers as f64).sqrt();
        let embedding = normal.matrix(vocab, hidden, 0.05)?;
        let layers = (0..shape.layers)
            .map(|_| {
                Ok(Layer {
                    q: normal.matrix(hidden, hidden, spread)?,
                    k: normal.matrix(hidden, hidden, spread)?,
                    v: normal.matrix(hidden, hidden, spread)?,
                    o: normal.matrix(hidden, hidden, residual)?,
                    gate: normal.matrix(feed_forward, hidden, spread)?,
                    up: normal.matrix(feed_forward, hidden, spread)?,
                    down: normal.matrix(hidden, feed_forward, residual)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { shape, embedding, layers })
    }

    /// Every trained weight under its name in a checkpoint. The weights of the norms stay 1.
    pub fn weights(&self) -> Vec<(String, Var)> {
        let mut named = vec![("model.embed_tokens.weight".to_string(), self.embedding.clone())];
        for (index, layer) in self.layers.iter().enumerate() {
            for (name, weight) in [
                ("self_attn.q_proj", &layer.q),
                ("self_attn.k_proj", &layer.k),
                ("self_attn.v_proj", &layer.v),
                ("self_attn.o_proj", &layer.o),
                ("mlp.gate_proj", &layer.gate),
                ("mlp.up_proj", &layer.up),
                ("mlp.down_proj", &layer.down),
            ] {
                named.push((format!("model.layers.{index}.{name}.weight"), weight.clone()));
            }
        }
        named
    }

    /// The weights as a checkpoint stores them, in bf16.
    pub fn checkpoint(&self) -> Result<HashMap<String, Tensor>> {
        let mut stored = HashMap::new();
        for (name, weight) in self.weights() {
            stored.insert(name, weight.to_dtype(DType::BF16)?);
        }
        let mut norms = vec!["model.norm.weight".to_string()];
        for index in 0..self.shape.layers {
            let of_layer = ["input_layernorm", "post_attention_layernorm"];
            norms.extend(of_layer.map(|name| format!("model.layers.{index}.{name}.weight")));
        }
        for name in norms {
            stored.insert(name, Tensor::ones(self.shape.hidden, DType::BF16, &Device::Cpu)?);
        }
        Ok(stored)
    }

    /// Logits `[batch * window, vocab]` of the token ids `[batch, window]`.
    pub fn logits(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, window) = ids.dims2()?;
        let norm = Normed { epsilon: self.shape.norm_eps as f32 };
        let mut x = self.embedding.embedding(&ids.flatten_all()?)?;
        for layer in &self.layers {
            let normed = x.apply_op1(norm)?;
            x = (&x + self.attention(layer, &normed, (batch, window))?)?;
            let normed = x.apply_op1(norm)?;
            let gated = linear(&normed, &layer.gate)?.apply_op2(&linear(&normed, &layer.up)?, Gated)?;
            x = (&x + linear(&gated, &layer.down)?)?;
        }
        linear(&x.apply_op1(norm)?, &self.embedding)
    }

    /// Causal attention of `x` `[batch * window, hidden]`.
    fn attention(&self, layer: &Layer, x: &Tensor, (batch, window): (usize, usize)) -> Result<Tensor> {
        let Shape { hidden, heads, rope_theta, .. } = self.shape;
        let head = hidden / heads;
        let split = |x: Tensor| x.reshape((batch, window, heads, head))?.transpose(1, 2)?.contiguous();
        let rotated = |x: Tensor| x.apply_op1(Rotated { theta: rope_theta, backwards: false });
        let q = rotated(split(linear(x, &layer.q)?)?)?;
        let k = rotated(split(linear(x, &layer.k)?)?)?;
        let v = split(linear(x, &layer.v)?)?;
        let shares = q.matmul(&k.t()?)?.apply_op1(Shares { scale: 1.0 / (head as f32).sqrt() })?;
        let mixed = shares.matmul(&v)?.transpose(1, 2)?.reshape((batch * window, hidden))?;
        linear(&mixed, &layer.o)
    }
}

fn linear(x: &Tensor, weight: &Var) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}
