//! DeBERTa-v2 and v3 (arXiv 2006.03654, 2111.09543): attention to what a token is and, apart from that, to how far away it is.

use super::batch::Batch;
use super::config::Config;
use super::layers::{
    Act, Candle, arithmetic, attend, dot_products, embedding, first_token, layer_norm, linear, matrix, split_heads,
    vector,
};
use super::model::Classifier;
use crate::error::{Error, Result};
use crate::model::Weights;
use candle_core::{D, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module};

struct Deberta {
    words: Embedding,
    positions: Option<Embedding>,
    /// What token type 0 adds.
    token_type: Option<Tensor>,
    /// From the width of embeddings to that of layers, without bias.
    projection: Option<Linear>,
    norm: LayerNorm,
    layers: Vec<Layer>,
    relative: Option<Relative>,
    convolution: Option<Convolution>,
    pooler: Linear,
    pooler_act: Act,
    classifier: Linear,
}

/// Distances between tokens.
struct Relative {
    /// Rows for distances, normed; `[2 * span, width]`
    table: Tensor,
    span: usize,
    /// Distances above half of this share rows, on a logarithmic scale; `None`: none do.
    buckets: Option<usize>,
    farthest: usize,
}

/// Which parts of attention look at distances.
#[derive(Clone, Copy)]
struct Kinds {
    content_to_position: bool,
    position_to_content: bool,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    /// Rows for distances as keys and as queries, by heads: `[1, heads, 2 * span, width]`.
    position_keys: Option<Tensor>,
    position_queries: Option<Tensor>,
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
    act: Act,
    heads: usize,
    /// 1 / sqrt(width * kinds of scores)
    scale: f64,
}

/// A convolution beside the first layer.
struct Convolution {
    /// `[width, width / groups, kernel]`
    weight: Tensor,
    bias: Tensor,
    kernel: usize,
    groups: usize,
    act: Act,
    norm: LayerNorm,
}

/// `DebertaV2ForSequenceClassification`
pub fn deberta(weights: &mut Weights, config: &Config) -> Result<Box<dyn Classifier>> {
    let (width, eps) = (config.hidden_size, config.norm_eps);
    let narrow = config.count("embedding_size")?.unwrap_or(width);
    let at = |name: &str| format!("deberta.embeddings.{name}");
    let positions = match config.flag("position_biased_input")?.unwrap_or(true) {
        true => Some(embedding(weights, &at("position_embeddings"), config.max_positions, narrow)?),
        false => None,
    };
    let token_type = match config.type_vocab_size {
        0 => None,
        types => {
            let table = matrix(weights, &at("token_type_embeddings"), types, narrow)?;
            Some(table.narrow(0, 0, 1).map_err(arithmetic)?)
        }
    };
    let projection = match narrow == width {
        true => None,
        false => Some(Linear::new(matrix(weights, &at("embed_proj"), width, narrow)?, None)),
    };
    let relative = relative(weights, config)?;
    let mut layers = Vec::new();
    for index in 0..config.num_layers {
        layers.push(layer(weights, config, relative.as_ref(), &format!("deberta.encoder.layer.{index}"))?);
    }
    let pooled = config.count("pooler_hidden_size")?.unwrap_or(width);
    if pooled != width {
        return Err(Error::input(format!("is not the width of the model, {width}")).key("pooler_hidden_size"));
    }
    Ok(Box::new(Deberta {
        words: embedding(weights, &at("word_embeddings"), config.vocab_size, narrow)?,
        positions,
        token_type,
        projection,
        norm: layer_norm(weights, &at("LayerNorm"), width, eps)?,
        layers,
        relative,
        convolution: convolution(weights, config)?,
        pooler: linear(weights, "pooler.dense", width, width)?,
        pooler_act: config.act_at("pooler_hidden_act")?.unwrap_or(Act::Gelu),
        classifier: linear(weights, "classifier", config.labels.len(), width)?,
    }))
}

fn relative(weights: &mut Weights, config: &Config) -> Result<Option<Relative>> {
    if !config.flag("relative_attention")?.unwrap_or(false) {
        return Ok(None);
    }
    // Both are -1 where they are not used.
    let farthest = config.count_or_negative("max_relative_positions")?.unwrap_or(config.max_positions);
    let buckets = config.count_or_negative("position_buckets")?;
    let span = buckets.unwrap_or(farthest);
    if buckets.is_some_and(|buckets| buckets < 2 || buckets / 2 + 1 >= farthest)
        || span > config.max_positions.max(farthest)
    {
        return Err(Error::input(format!("{span} rows of distances do not fit distances up to {farthest}"))
            .key("position_buckets"));
    }
    let table = matrix(weights, "deberta.encoder.rel_embeddings", 2 * span, config.hidden_size)?;
    let norms = config.text("norm_rel_ebd")?.unwrap_or_default().to_lowercase();
    let table = match norms.split('|').any(|norm| norm.trim() == "layer_norm") {
        true => {
            let norm = layer_norm(weights, "deberta.encoder.LayerNorm", config.hidden_size, config.norm_eps)?;
            norm.forward(&table).map_err(arithmetic)?
        }
        false => table,
    };
    Ok(Some(Relative { table, span, buckets, farthest }))
}

/// `pos_att_type`: a list, or words with `|` between them.
fn kinds(config: &Config) -> Kinds {
    let written = config.raw().get("pos_att_type");
    let words: Vec<String> = match written {
        Some(serde_json::Value::String(text)) => text.split('|').map(|word| word.trim().to_lowercase()).collect(),
        Some(serde_json::Value::Array(list)) => {
            list.iter().filter_map(|word| Some(word.as_str()?.to_lowercase())).collect()
        }
        _ => Vec::new(),
    };
    let has = |word: &str| words.iter().any(|known| known == word);
    Kinds { content_to_position: has("c2p"), position_to_content: has("p2c") }
}

fn layer(weights: &mut Weights, config: &Config, relative: Option<&Relative>, prefix: &str) -> Result<Layer> {
    let (width, inner, eps, heads) = (config.hidden_size, config.intermediate_size, config.norm_eps, config.num_heads);
    let at = |name: &str| format!("{prefix}.{name}");
    let kinds = kinds(config);
    let query = linear(weights, &at("attention.self.query_proj"), width, width)?;
    let key = linear(weights, &at("attention.self.key_proj"), width, width)?;
    let shares = config.flag("share_att_key")?.unwrap_or(false);
    let mut project = |wanted: bool, shared: &Linear, name: &str| -> Result<Option<Tensor>> {
        let Some(relative) = relative.filter(|_| wanted) else { return Ok(None) };
        let rows = match shares {
            true => shared.forward(&relative.table),
            false => linear(weights, &at(name), width, width)?.forward(&relative.table),
        };
        let rows = rows.and_then(|rows| split_heads(&rows.unsqueeze(0)?, heads));
        rows.map(Some).map_err(arithmetic)
    };
    let position_keys = project(kinds.content_to_position, &key, "attention.self.pos_key_proj")?;
    let position_queries = project(kinds.position_to_content, &query, "attention.self.pos_query_proj")?;
    let factors = 1 + usize::from(kinds.content_to_position) + usize::from(kinds.position_to_content);
    Ok(Layer {
        value: linear(weights, &at("attention.self.value_proj"), width, width)?,
        query,
        key,
        position_keys,
        position_queries,
        out: linear(weights, &at("attention.output.dense"), width, width)?,
        attention_norm: layer_norm(weights, &at("attention.output.LayerNorm"), width, eps)?,
        up: linear(weights, &at("intermediate.dense"), inner, width)?,
        down: linear(weights, &at("output.dense"), width, inner)?,
        norm: layer_norm(weights, &at("output.LayerNorm"), width, eps)?,
        act: config.act,
        heads,
        scale: 1.0 / ((width / heads.max(1) * factors) as f64).sqrt(),
    })
}

fn convolution(weights: &mut Weights, config: &Config) -> Result<Option<Convolution>> {
    let Some(kernel) = config.count_or_negative("conv_kernel_size")? else { return Ok(None) };
    let (width, groups) = (config.hidden_size, config.count("conv_groups")?.unwrap_or(1));
    if !width.is_multiple_of(groups) || kernel.is_multiple_of(2) || kernel > config.max_positions {
        return Err(Error::input("is not a convolution that keeps the length of texts").key("conv_kernel_size"));
    }
    let stored = weights.experts("deberta.encoder.conv.conv.weight", width, width / groups, kernel)?;
    let mut values = vec![0.0; width * (width / groups) * kernel];
    stored.rows(0..stored.outs(), &mut values);
    let weight = Tensor::from_vec(values, (width, width / groups, kernel), &Device::Cpu).map_err(arithmetic)?;
    Ok(Some(Convolution {
        weight,
        bias: vector(weights, "deberta.encoder.conv.conv.bias", width)?,
        kernel,
        groups,
        act: config.act_at("conv_act")?.unwrap_or(Act::Tanh),
        norm: layer_norm(weights, "deberta.encoder.conv.LayerNorm", width, config.norm_eps)?,
    }))
}

impl Relative {
    /// The row of each pair of tokens, `[1, 1, time, time]`.
    fn rows(&self, time: usize) -> Candle<Tensor> {
        let by_distance: Vec<u32> = (0..2 * time).map(|at| self.row(at as i64 - time as i64)).collect();
        // Query i and key j are i - j apart.
        let row = |query: usize, key: usize| by_distance.get(time + query - key).copied().unwrap_or(0);
        let rows: Vec<u32> =
            (0..time).flat_map(|query| (0..time).map(move |key| (query, key))).map(|(q, k)| row(q, k)).collect();
        Tensor::from_vec(rows, (1, 1, time, time), &Device::Cpu)
    }

    fn row(&self, distance: i64) -> u32 {
        let span = self.span as i64;
        (self.bucket(distance) + span).clamp(0, 2 * span - 1) as u32
    }

    /// Distances up to half of the buckets as they are, farther ones by their logarithm. In f32, as the models were trained with.
    fn bucket(&self, distance: i64) -> i64 {
        let Some(buckets) = self.buckets else { return distance };
        let middle = (buckets / 2) as i64;
        if distance.abs() <= middle {
            return distance;
        }
        let wide = (distance.abs() as f32 / middle as f32).ln();
        let widest = ((self.farthest as f32 - 1.0) / middle as f32).ln();
        let bucket = (wide / widest * (middle - 1) as f32).ceil() as i64 + middle;
        bucket * distance.signum()
    }
}

impl Layer {
    /// `rows`: see [`Relative::rows`].
    fn forward(&self, hidden: &Tensor, batch: &Batch, rows: Option<&Tensor>) -> Candle<Tensor> {
        let [queries, keys, values] =
            [&self.query, &self.key, &self.value].map(|layer| split_heads(&layer.forward(hidden)?, self.heads));
        let (queries, keys, values) = (queries?, keys?, values?);
        let mut scores = dot_products(&queries, &keys, self.scale)?;
        if let (Some(rows), Some(positions)) = (rows, &self.position_keys) {
            scores = (scores + self.by_distance(&queries, positions, rows)?)?;
        }
        if let (Some(rows), Some(positions)) = (rows, &self.position_queries) {
            // For key j and query i the row is that of i - j: the transposed table.
            let turned = rows.transpose(2, 3)?.contiguous()?;
            scores = (scores + self.by_distance(&keys, positions, &turned)?.transpose(2, 3)?)?;
        }
        let attended = attend(&scores, &values, batch)?;
        let hidden = self.attention_norm.forward(&(self.out.forward(&attended)? + hidden)?)?;
        let inner = self.act.forward(&self.up.forward(&hidden)?)?;
        self.norm.forward(&(self.down.forward(&inner)? + &hidden)?)
    }

    /// Scores of each token with the row of its distance to each other one, `[batch, heads, time, time]`.
    fn by_distance(&self, tokens: &Tensor, positions: &Tensor, rows: &Tensor) -> Candle<Tensor> {
        let (batch, heads, time, _) = tokens.dims4()?;
        let all = (tokens * self.scale)?.broadcast_matmul(&positions.transpose(D::Minus2, D::Minus1)?)?;
        all.contiguous()?.gather(&rows.expand((batch, heads, time, time))?.contiguous()?, D::Minus1)
    }
}

impl Convolution {
    /// `embedded`: what the first layer was given, with zeros behind the ends of texts; `hidden`: what it made of that.
    fn forward(&self, embedded: &Tensor, hidden: &Tensor, batch: &Batch) -> Candle<Tensor> {
        let turned = embedded.transpose(1, 2)?.contiguous()?;
        let seen = turned.conv1d(&self.weight, (self.kernel - 1) / 2, 1, 1, self.groups)?;
        let seen = seen.transpose(1, 2)?.contiguous()?.broadcast_add(&self.bias)?;
        let seen = self.act.forward(&batch.cleared(seen)?)?;
        batch.cleared(self.norm.forward(&(hidden + seen)?)?)
    }
}

impl Classifier for Deberta {
    fn logits(&self, batch: &Batch) -> Candle<Tensor> {
        let mut hidden = self.words.forward(batch.ids())?;
        if let Some(positions) = &self.positions {
            let places = Tensor::arange(0, batch.time() as u32, &Device::Cpu)?;
            hidden = hidden.broadcast_add(&positions.forward(&places)?)?;
        }
        if let Some(token_type) = &self.token_type {
            hidden = hidden.broadcast_add(token_type)?;
        }
        if let Some(projection) = &self.projection {
            hidden = projection.forward(&hidden)?;
        }
        hidden = batch.cleared(self.norm.forward(&hidden)?)?;
        let embedded = hidden.clone();
        let rows = self.relative.as_ref().map(|relative| relative.rows(batch.time())).transpose()?;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, batch, rows.as_ref())?;
            if let Some(convolution) = self.convolution.as_ref().filter(|_| index == 0) {
                hidden = convolution.forward(&embedded, &hidden, batch)?;
            }
        }
        let pooled = self.pooler_act.forward(&self.pooler.forward(&first_token(&hidden)?)?)?;
        self.classifier.forward(&pooled)
    }
}
