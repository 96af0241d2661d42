//! BERT and what is built like it: RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT. They differ in names, in where positions begin and in the
//! head. Formulas: arXiv 1810.04805, 1907.11692, 1910.01108.

use super::batch::Batch;
use super::config::Config;
use super::layers::{
    Act, Candle, arithmetic, attend, dot_products, embedding, first_token, layer_norm, linear, split_heads,
};
use super::model::Classifier;
use crate::error::{Error, Result};
use crate::model::Weights;
use candle_core::{Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module};

/// Names of tensors.
struct Names {
    root: &'static str,
    layers: &'static str,
    attention: [&'static str; 4],
    attention_norm: &'static str,
    feed_forward: [&'static str; 2],
    feed_forward_norm: &'static str,
}

const BERT: Names = Names {
    root: "bert",
    layers: "encoder.layer",
    attention: ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"],
    attention_norm: "attention.output.LayerNorm",
    feed_forward: ["intermediate.dense", "output.dense"],
    feed_forward_norm: "output.LayerNorm",
};

const ROBERTA: Names = Names { root: "roberta", ..BERT };

const DISTILBERT: Names = Names {
    root: "distilbert",
    layers: "transformer.layer",
    attention: ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"],
    attention_norm: "sa_layer_norm",
    feed_forward: ["ffn.lin1", "ffn.lin2"],
    feed_forward_norm: "output_layer_norm",
};

/// An encoder with a head on the first token.
struct Bert {
    words: Embedding,
    positions: Embedding,
    /// What token type 0 adds: texts stand alone.
    token_type: Option<Tensor>,
    norm: LayerNorm,
    layers: Vec<Layer>,
    /// RoBERTa counts positions from the id of its padding on, and skips padding.
    padding_offset: Option<u32>,
    head: [Linear; 2],
    head_act: Act,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
    act: Act,
    heads: usize,
}

/// `BertForSequenceClassification`: a dense layer with tanh (the pooler), then the classifier.
pub fn bert(weights: &mut Weights, config: &Config) -> Result<Box<dyn Classifier>> {
    load(weights, config, &BERT, ["bert.pooler.dense", "classifier"], Act::Tanh)
}

/// `RobertaForSequenceClassification` and the models of its form.
pub fn roberta(weights: &mut Weights, config: &Config) -> Result<Box<dyn Classifier>> {
    load(weights, config, &ROBERTA, ["classifier.dense", "classifier.out_proj"], Act::Tanh)
}

/// `DistilBertForSequenceClassification`
pub fn distilbert(weights: &mut Weights, config: &Config) -> Result<Box<dyn Classifier>> {
    load(weights, config, &DISTILBERT, ["pre_classifier", "classifier"], Act::Relu)
}

fn load(
    weights: &mut Weights,
    config: &Config,
    names: &Names,
    head: [&str; 2],
    head_act: Act,
) -> Result<Box<dyn Classifier>> {
    if let Some(kind) = config.text("position_embedding_type")?.filter(|kind| kind != "absolute") {
        return Err(
            Error::input(format!("positions of the kind `{kind}` are not supported")).key("position_embedding_type")
        );
    }
    let under = |name: &str| format!("{}.embeddings.{name}", names.root);
    let width = config.hidden_size;
    let types = config.type_vocab_size;
    let token_type = match types {
        0 => None,
        _ => {
            let table = super::layers::matrix(weights, &under("token_type_embeddings"), types, width)?;
            Some(table.narrow(0, 0, 1).map_err(arithmetic)?)
        }
    };
    let words = embedding(weights, &under("word_embeddings"), config.vocab_size, width)?;
    let positions = embedding(weights, &under("position_embeddings"), config.max_positions, width)?;
    let norm = layer_norm(weights, &under("LayerNorm"), width, config.norm_eps)?;
    let mut layers = Vec::new();
    for index in 0..config.num_layers {
        layers.push(layer(weights, config, names, &format!("{}.{}.{index}", names.root, names.layers))?);
    }
    let head = [linear(weights, head[0], width, width)?, linear(weights, head[1], config.labels.len(), width)?];
    let padding_offset = (names.root == ROBERTA.root).then_some(config.pad_token_id);
    Ok(Box::new(Bert { words, positions, token_type, norm, layers, padding_offset, head, head_act }))
}

fn layer(weights: &mut Weights, config: &Config, names: &Names, prefix: &str) -> Result<Layer> {
    let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.norm_eps);
    let under = |name: &str| format!("{prefix}.{name}");
    let [query, key, value, out] = names.attention.map(under);
    let [up, down] = names.feed_forward.map(under);
    Ok(Layer {
        query: linear(weights, &query, width, width)?,
        key: linear(weights, &key, width, width)?,
        value: linear(weights, &value, width, width)?,
        out: linear(weights, &out, width, width)?,
        attention_norm: layer_norm(weights, &under(names.attention_norm), width, eps)?,
        up: linear(weights, &up, inner, width)?,
        down: linear(weights, &down, width, inner)?,
        norm: layer_norm(weights, &under(names.feed_forward_norm), width, eps)?,
        act: config.act,
        heads: config.num_heads,
    })
}

impl Layer {
    fn forward(&self, hidden: &Tensor, batch: &Batch) -> Candle<Tensor> {
        let [queries, keys, values] = [&self.query, &self.key, &self.value].map(|layer| layer.forward(hidden));
        let (queries, keys) = (split_heads(&queries?, self.heads)?, split_heads(&keys?, self.heads)?);
        let values = split_heads(&values?, self.heads)?;
        let scale = 1.0 / (queries.dim(3)? as f64).sqrt();
        let attended = attend(&dot_products(&queries, &keys, scale)?, &values, batch)?;
        let hidden = self.attention_norm.forward(&(self.out.forward(&attended)? + hidden)?)?;
        let inner = self.act.forward(&self.up.forward(&hidden)?)?;
        self.norm.forward(&(self.down.forward(&inner)? + &hidden)?)
    }
}

impl Bert {
    /// Positions of all tokens, `[batch, time]`.
    fn positions(&self, batch: &Batch) -> Candle<Tensor> {
        let time = batch.time();
        let mut positions = Vec::with_capacity(batch.rows().len() * time);
        for row in batch.rows() {
            match self.padding_offset {
                None => positions.extend(0..time as u32),
                Some(padding) => {
                    let mut last = padding;
                    positions.extend(row.iter().map(|id| {
                        last += u32::from(*id != padding);
                        if *id == padding { padding } else { last }
                    }));
                    positions.resize(positions.len() + time - row.len(), padding);
                }
            }
        }
        Tensor::from_vec(positions, (batch.rows().len(), time), &Device::Cpu)
    }
}

impl Classifier for Bert {
    fn logits(&self, batch: &Batch) -> Candle<Tensor> {
        let mut hidden = (self.words.forward(batch.ids())? + self.positions.forward(&self.positions(batch)?)?)?;
        if let Some(token_type) = &self.token_type {
            hidden = hidden.broadcast_add(token_type)?;
        }
        hidden = self.norm.forward(&hidden)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, batch)?;
        }
        let pooled = self.head_act.forward(&self.head[0].forward(&first_token(&hidden)?)?)?;
        self.head[1].forward(&pooled)
    }
}
