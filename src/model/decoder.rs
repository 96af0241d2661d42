//! A decoder-only transformer on candle tensors, for every family that differs only in the parts of [`DecoderSpec`].
//!
//! The forward pass gives the hidden states of all positions; logits are computed only for the rows asked for.

use super::config::ModelConfig;
use super::rope::Rope;
use super::weights::Weights;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use candle_nn::ops::{rms_norm, softmax_last_dim};
use candle_nn::rotary_emb::rope;
use candle_nn::{Linear, Module};
use candle_transformers::utils::repeat_kv;

/// The gate's activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Silu,
    /// GELU in its tanh form.
    GeluTanh,
    /// GELU with the error function.
    GeluErf,
}

/// Sizes and switches of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderSpec {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_layers: usize,
    pub num_heads: usize,
    pub num_kv_heads: usize,
    pub head_dim: usize,
    pub vocab_size: usize,
    pub rms_norm_eps: f64,
    /// Added to norm weights (Gemma: 1).
    pub norm_offset: f64,
    /// Factor on embeddings (Gemma: the root of the width).
    pub embed_scale: Option<f64>,
    pub act: Act,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    /// The head is the embedding matrix.
    pub tied_head: bool,
    pub rope: Rope,
}

impl DecoderSpec {
    /// What all families share.
    pub fn from_config(config: &ModelConfig, default_act: Act) -> Result<DecoderSpec> {
        let hidden_size = config.required("hidden_size", config.hidden_size)?;
        let num_heads = config.required("num_attention_heads", config.num_attention_heads)?;
        let num_kv_heads = config.num_key_value_heads.unwrap_or(num_heads);
        let head_dim = config.head_dim.unwrap_or(hidden_size / num_heads);
        let problem = |key: &str, what: String| Err(Error::input(what).file(&config.file).key(key));
        if num_kv_heads == 0 || num_heads % num_kv_heads != 0 {
            return problem("num_key_value_heads", format!("{num_heads} heads cannot share {num_kv_heads} key-value heads"));
        }
        if head_dim == 0 || head_dim % 2 != 0 {
            return problem("head_dim", format!("rotary positions need an even head width, not {head_dim}"));
        }
        let act = match config.hidden_activation.as_deref().or(config.hidden_act.as_deref()) {
            None => default_act,
            Some("silu" | "swish") => Act::Silu,
            Some("gelu_pytorch_tanh" | "gelu_new") => Act::GeluTanh,
            // Gemma 1 checkpoints say `gelu` and were trained with the tanh form; transformers reads it so.
            Some("gelu") if default_act == Act::GeluTanh => Act::GeluTanh,
            Some("gelu") => Act::GeluErf,
            Some(other) => return problem("hidden_act", format!("activation `{other}` is not supported")),
        };
        Ok(DecoderSpec {
            hidden_size,
            intermediate_size: config.required("intermediate_size", config.intermediate_size)?,
            num_layers: config.required("num_hidden_layers", config.num_hidden_layers)?,
            num_heads,
            num_kv_heads,
            head_dim,
            vocab_size: config.required("vocab_size", config.vocab_size)?,
            rms_norm_eps: config.rms_norm_eps.unwrap_or(1e-6),
            norm_offset: 0.0,
            embed_scale: None,
            act,
            attention_bias: false,
            mlp_bias: false,
            tied_head: config.tie_word_embeddings.unwrap_or(false),
            rope: Rope::from_config(config, head_dim)?,
        })
    }
}

/// Keys and values of the tokens seen so far.
#[derive(Clone, Default)]
pub struct KvCache {
    /// Per layer: keys and values, each `[1, kv_heads, len, head_dim]`.
    layers: Vec<(Tensor, Tensor)>,
    len: usize,
}

impl KvCache {
    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

struct Layer {
    input_norm: Tensor,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    post_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A loaded decoder.
pub struct Decoder {
    spec: DecoderSpec,
    embeddings: Tensor, // [vocab, hidden]
    layers: Vec<Layer>,
    norm: Tensor, // [hidden]
    head: Linear,
    cos: Tensor, // [window, head_dim / 2]
    sin: Tensor,
    num_parameters: u64,
}

impl Decoder {
    /// Loads all tensors, checking their shapes. `window` is the number of positions that will be used at most.
    pub fn load(spec: DecoderSpec, weights: &Weights, window: usize) -> Result<Decoder> {
        let (h, kv) = (spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim);
        let (d, m) = (spec.hidden_size, spec.intermediate_size);
        let norm = |name: &str| -> Result<Tensor> {
            let weight = weights.get(name, &[d])?;
            if spec.norm_offset == 0.0 {
                return Ok(weight);
            }
            weights.checked(name, weight + spec.norm_offset)
        };
        let linear = |name: &str, rows: usize, columns: usize, bias: bool| -> Result<Linear> {
            let weight = weights.get(&format!("{name}.weight"), &[rows, columns])?;
            let bias = if bias { Some(weights.get(&format!("{name}.bias"), &[rows])?) } else { None };
            Ok(Linear::new(weight, bias))
        };
        let mut layers = Vec::with_capacity(spec.num_layers.min(4096));
        for i in 0..spec.num_layers {
            let p = format!("model.layers.{i}");
            layers.push(Layer {
                input_norm: norm(&format!("{p}.input_layernorm.weight"))?,
                q: linear(&format!("{p}.self_attn.q_proj"), h, d, spec.attention_bias)?,
                k: linear(&format!("{p}.self_attn.k_proj"), kv, d, spec.attention_bias)?,
                v: linear(&format!("{p}.self_attn.v_proj"), kv, d, spec.attention_bias)?,
                o: linear(&format!("{p}.self_attn.o_proj"), d, h, spec.attention_bias)?,
                post_norm: norm(&format!("{p}.post_attention_layernorm.weight"))?,
                gate: linear(&format!("{p}.mlp.gate_proj"), m, d, spec.mlp_bias)?,
                up: linear(&format!("{p}.mlp.up_proj"), m, d, spec.mlp_bias)?,
                down: linear(&format!("{p}.mlp.down_proj"), d, m, spec.mlp_bias)?,
            });
        }
        let embeddings = weights.get("model.embed_tokens.weight", &[spec.vocab_size, d])?;
        let head = if spec.tied_head {
            Linear::new(embeddings.clone(), None)
        } else {
            linear("lm_head", spec.vocab_size, d, false)?
        };
        let last_norm = norm("model.norm.weight")?;
        let (cos, sin) = weights.checked("rotary tables", spec.rope.tables(window, weights.dtype(), weights.device()))?;
        let num_parameters = weights.num_parameters();
        Ok(Decoder { spec, embeddings, layers, norm: last_norm, head, cos, sin, num_parameters })
    }

    /// Elements of all tensors in the checkpoint.
    pub fn num_parameters(&self) -> u64 {
        self.num_parameters
    }

    pub fn vocab_size(&self) -> usize {
        self.spec.vocab_size
    }

    /// Runs `ids` after what `cache` holds; gives their final, normed hidden states `[ids.len(), hidden]`.
    /// Every id must be below the vocabulary size and every position below the window.
    pub fn forward(&self, ids: &[u32], cache: &mut KvCache) -> candle_core::Result<Tensor> {
        let (start, n) = (cache.len, ids.len());
        let ids = Tensor::new(ids, self.embeddings.device())?;
        let mut x = self.embeddings.index_select(&ids, 0)?.unsqueeze(0)?; // [1, n, hidden]
        if let Some(scale) = self.spec.embed_scale {
            // The factor is rounded to the tensors' format first, as in transformers.
            let scale = Tensor::new(scale as f32, x.device())?.to_dtype(x.dtype())?;
            x = x.broadcast_mul(&scale)?;
        }
        let cos = self.cos.narrow(0, start, n)?;
        let sin = self.sin.narrow(0, start, n)?;
        let mask = self.mask(start, n)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = self.norm(&x, &layer.input_norm)?;
            x = (x + self.attention(layer, &normed, &cos, &sin, mask.as_ref(), index, cache)?)?;
            let normed = self.norm(&x, &layer.post_norm)?;
            let gate = self.act(&layer.gate.forward(&normed)?)?;
            let gated = (gate * layer.up.forward(&normed)?)?;
            x = (x + layer.down.forward(&gated)?)?;
        }
        cache.len += n;
        self.norm(&x, &self.norm)?.squeeze(0)
    }

    /// Logits of hidden states: `[rows, hidden]` to `[rows, vocab]`, in f32.
    pub fn logits(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        self.head.forward(hidden)?.to_dtype(DType::F32)
    }

    fn norm(&self, x: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
        rms_norm(&x.contiguous()?, weight, self.spec.rms_norm_eps as f32)
    }

    fn act(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self.spec.act {
            Act::Silu => x.silu(),
            Act::GeluTanh => x.gelu(),
            Act::GeluErf => x.gelu_erf(),
        }
    }

    /// Minus infinity above the diagonal, `[n, start + n]`; none for a single token.
    fn mask(&self, start: usize, n: usize) -> candle_core::Result<Option<Tensor>> {
        if n == 1 {
            return Ok(None);
        }
        let row = |i: usize| (0..start + n).map(move |j| if j <= start + i { 0f32 } else { f32::NEG_INFINITY });
        let mask: Vec<f32> = (0..n).flat_map(row).collect();
        Tensor::from_vec(mask, (n, start + n), self.embeddings.device()).map(Some)
    }

    #[expect(clippy::too_many_arguments, reason = "one layer's part of the forward pass")]
    fn attention(
        &self,
        layer: &Layer,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        mask: Option<&Tensor>,
        index: usize,
        cache: &mut KvCache,
    ) -> candle_core::Result<Tensor> {
        let DecoderSpec { num_heads, num_kv_heads, head_dim, .. } = self.spec;
        let n = x.dim(1)?;
        let split = |t: Tensor, heads: usize| t.reshape((1, n, heads, head_dim))?.transpose(1, 2)?.contiguous();
        let q = rope(&split(layer.q.forward(x)?, num_heads)?, cos, sin)?; // [1, heads, n, head_dim]
        let mut k = rope(&split(layer.k.forward(x)?, num_kv_heads)?, cos, sin)?;
        let mut v = split(layer.v.forward(x)?, num_kv_heads)?;
        match cache.layers.get_mut(index) {
            Some(past) => {
                k = Tensor::cat(&[&past.0, &k], 2)?;
                v = Tensor::cat(&[&past.1, &v], 2)?;
                *past = (k.clone(), v.clone());
            }
            None => cache.layers.push((k.clone(), v.clone())),
        }
        let groups = num_heads / num_kv_heads;
        let (k, v) = (repeat_kv(k, groups)?, repeat_kv(v, groups)?); // [1, heads, len, head_dim]
        let scale = 1.0 / (head_dim as f64).sqrt();
        let mut scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?.to_dtype(DType::F32)?; // [1, heads, n, len]
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let weights = softmax_last_dim(&scores)?.to_dtype(v.dtype())?;
        let mixed = weights.matmul(&v.contiguous()?)?; // [1, heads, n, head_dim]
        layer.o.forward(&mixed.transpose(1, 2)?.reshape((1, n, num_heads * head_dim))?)
    }
}
