//! ModernBERT (arXiv 2412.13663): rotary positions, norms before the layers, gated feed-forward, and two layers of three that see only
//! tokens near by.

use super::batch::Batch;
use super::config::Config;
use super::layers::{
    Act, Candle, attend, dot_products, embedding, first_token, layer_norm, linear_maybe_bias, split_heads,
};
use super::model::Classifier;
use crate::error::{Error, Result};
use crate::model::Weights;
use candle_core::{D, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module};

/// A layer sees all tokens in every n-th layer, unless the configuration lists the kinds.
const GLOBAL_EVERY: usize = 3;

struct ModernBert {
    words: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    /// Tokens farther away than this are not seen by local layers.
    reach: usize,
    head_width: usize,
    /// Bases of the rotary angles: of global and of local layers.
    thetas: [f64; 2],
    pools_mean: bool,
    dense: Linear,
    head_act: Act,
    head_norm: LayerNorm,
    classifier: Linear,
}

struct Layer {
    attention_norm: Option<LayerNorm>,
    qkv: Linear,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
    act: Act,
    heads: usize,
    is_local: bool,
}

/// Cosines and sines `[time, width / 2]`, and the mask of local layers `[time, time]`.
struct Tables {
    global: (Tensor, Tensor),
    local: (Tensor, Tensor),
    nearby: Option<Tensor>,
}

/// `ModernBertForSequenceClassification`
pub fn modernbert(weights: &mut Weights, config: &Config) -> Result<Box<dyn Classifier>> {
    let (width, eps) = (config.hidden_size, config.norm_eps);
    let head_width = width / config.num_heads.max(1);
    if !head_width.is_multiple_of(2) {
        return Err(Error::input(format!("heads of {head_width} cannot be rotated")).key("num_attention_heads"));
    }
    let pooling = config.text("classifier_pooling")?.unwrap_or_else(|| "cls".to_string());
    if !["cls", "mean"].contains(&pooling.as_str()) {
        return Err(Error::input(format!("`{pooling}` is no pooling that is known")).key("classifier_pooling"));
    }
    let kinds = kinds(config)?;
    let mut layers = Vec::new();
    for (index, is_local) in kinds.into_iter().enumerate() {
        layers.push(layer(weights, config, index, is_local)?);
    }
    Ok(Box::new(ModernBert {
        words: embedding(weights, "model.embeddings.tok_embeddings", config.vocab_size, width)?,
        norm: layer_norm(weights, "model.embeddings.norm", width, eps)?,
        layers,
        final_norm: layer_norm(weights, "model.final_norm", width, eps)?,
        reach: config.count("local_attention")?.unwrap_or(128) / 2,
        head_width,
        thetas: [
            theta(config, "full_attention", "global_rope_theta", 160_000.0)?,
            theta(config, "sliding_attention", "local_rope_theta", 10_000.0)?,
        ],
        pools_mean: pooling == "mean",
        dense: linear_maybe_bias(weights, "head.dense", width, width)?,
        head_act: config.act_at("classifier_activation")?.unwrap_or(Act::Gelu),
        head_norm: layer_norm(weights, "head.norm", width, eps)?,
        classifier: linear_maybe_bias(weights, "classifier", config.labels.len(), width)?,
    }))
}

/// Whether each layer is local.
fn kinds(config: &Config) -> Result<Vec<bool>> {
    let layers = config.num_layers;
    let Some(written) = config.raw().get("layer_types").and_then(|kinds| kinds.as_array()) else {
        let every = config.count("global_attn_every_n_layers")?.unwrap_or(GLOBAL_EVERY).max(1);
        return Ok((0..layers).map(|index| index % every != 0).collect());
    };
    let kinds = written.iter().map(|kind| match kind.as_str() {
        Some("full_attention") => Some(false),
        Some("sliding_attention") => Some(true),
        _ => None,
    });
    let kinds: Option<Vec<bool>> = kinds.collect();
    kinds.filter(|kinds| kinds.len() == layers).ok_or_else(|| {
        Error::input(format!("is not {layers} times `full_attention` or `sliding_attention`")).key("layer_types")
    })
}

/// The base of rotary angles, in the new spelling (`rope_parameters`) or the old.
fn theta(config: &Config, kind: &str, old: &str, default: f64) -> Result<f64> {
    let rope = config.raw().get("rope_parameters").and_then(|rope| rope.get(kind));
    if let Some(scaled) = rope.and_then(|rope| rope.get("rope_type")?.as_str()).filter(|kind| *kind != "default") {
        return Err(
            Error::input(format!("rotary positions of the kind `{scaled}` are not supported")).key("rope_parameters")
        );
    }
    let theta = rope.and_then(|rope| rope.get("rope_theta")?.as_f64());
    let theta = theta.or_else(|| config.raw().get(old)?.as_f64()).unwrap_or(default);
    if theta.is_finite() && theta > 0.0 { Ok(theta) } else { Err(Error::input("is not above 0").key(old)) }
}

fn layer(weights: &mut Weights, config: &Config, index: usize, is_local: bool) -> Result<Layer> {
    let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.norm_eps);
    let under = |name: &str| format!("model.layers.{index}.{name}");
    let attention_norm = match index {
        0 => None,
        _ => Some(layer_norm(weights, &under("attn_norm"), width, eps)?),
    };
    Ok(Layer {
        attention_norm,
        qkv: linear_maybe_bias(weights, &under("attn.Wqkv"), 3 * width, width)?,
        out: linear_maybe_bias(weights, &under("attn.Wo"), width, width)?,
        norm: layer_norm(weights, &under("mlp_norm"), width, eps)?,
        up: linear_maybe_bias(weights, &under("mlp.Wi"), 2 * inner, width)?,
        down: linear_maybe_bias(weights, &under("mlp.Wo"), width, inner)?,
        act: config.act,
        heads: config.num_heads,
        is_local,
    })
}

impl Layer {
    fn forward(&self, hidden: &Tensor, batch: &Batch, tables: &Tables) -> Candle<Tensor> {
        let normed = match &self.attention_norm {
            Some(norm) => &norm.forward(hidden)?,
            None => hidden,
        };
        let qkv = self.qkv.forward(normed)?.chunk(3, D::Minus1)?;
        let [queries, keys, values] = qkv.as_slice() else { candle_core::bail!("no three parts") };
        let (cos, sin) = if self.is_local { &tables.local } else { &tables.global };
        let rotated =
            |part: &Tensor| candle_nn::rotary_emb::rope(&split_heads(&part.contiguous()?, self.heads)?, cos, sin);
        let (queries, keys) = (rotated(queries)?, rotated(keys)?);
        let values = split_heads(&values.contiguous()?, self.heads)?;
        let mut scores = dot_products(&queries, &keys, 1.0 / (queries.dim(3)? as f64).sqrt())?;
        if let Some(nearby) = tables.nearby.as_ref().filter(|_| self.is_local) {
            scores = scores.broadcast_add(nearby)?;
        }
        let hidden = (self.out.forward(&attend(&scores, &values, batch)?)? + hidden)?;
        let gated = self.up.forward(&self.norm.forward(&hidden)?)?.chunk(2, D::Minus1)?;
        let [inner, gate] = gated.as_slice() else { candle_core::bail!("no two parts") };
        let inner = (self.act.forward(&inner.contiguous()?)? * gate.contiguous()?)?;
        self.down.forward(&inner)? + hidden
    }
}

impl ModernBert {
    fn tables(&self, time: usize) -> Candle<Tables> {
        let [global, local] = self.thetas.map(|theta| rotation(time, self.head_width, theta));
        let nearby = if time <= self.reach + 1 { None } else { Some(self.nearby(time)?) };
        Ok(Tables { global: global?, local: local?, nearby })
    }

    /// 0 where tokens see each other, else a number that is low, but not so low that the sum with the other mask overflows to infinity.
    fn nearby(&self, time: usize) -> Candle<Tensor> {
        let cell = |row: usize, column: usize| if row.abs_diff(column) <= self.reach { 0.0 } else { f32::MIN / 2.0 };
        let cells: Vec<f32> = (0..time).flat_map(|row| (0..time).map(move |column| cell(row, column))).collect();
        Tensor::from_vec(cells, (time, time), &Device::Cpu)
    }
}

/// Cosines and sines of `position / theta^(2i / width)`, `[time, width / 2]`.
fn rotation(time: usize, width: usize, theta: f64) -> Candle<(Tensor, Tensor)> {
    let frequencies: Vec<f32> =
        (0..width / 2).map(|i| (1.0 / theta.powf(2.0 * i as f64 / width as f64)) as f32).collect();
    let angles: Vec<f32> =
        (0..time).flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency)).collect();
    let angles = Tensor::from_vec(angles, (time, width / 2), &Device::Cpu)?;
    Ok((angles.cos()?, angles.sin()?))
}

impl Classifier for ModernBert {
    fn logits(&self, batch: &Batch) -> Candle<Tensor> {
        let tables = self.tables(batch.time())?;
        let mut hidden = self.norm.forward(&self.words.forward(batch.ids())?)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, batch, &tables)?;
        }
        let hidden = self.final_norm.forward(&hidden)?;
        let pooled = match self.pools_mean {
            false => first_token(&hidden)?,
            true => {
                let lengths: Vec<f32> = batch.rows().iter().map(|row| row.len() as f32).collect();
                let lengths = Tensor::from_vec(lengths, (batch.rows().len(), 1), &Device::Cpu)?;
                batch.cleared(hidden)?.sum(1)?.broadcast_div(&lengths)?
            }
        };
        let pooled = self.head_norm.forward(&self.head_act.forward(&self.dense.forward(&pooled)?)?)?;
        self.classifier.forward(&pooled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_turns_by_position() {
        let (cos, sin) = rotation(3, 4, 100.0).unwrap();
        // Frequencies 1 and 100^-0.5 = 0.1.
        let near = |tensor: Tensor, expected: [[f32; 2]; 3]| {
            let found = tensor.to_vec2::<f32>().unwrap();
            found.iter().flatten().zip(expected.iter().flatten()).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
        };
        near(cos, [[1.0, 1.0], [1f32.cos(), 0.1f32.cos()], [2f32.cos(), 0.2f32.cos()]]);
        near(sin, [[0.0, 0.0], [1f32.sin(), 0.1f32.sin()], [2f32.sin(), 0.2f32.sin()]]);
    }
}
