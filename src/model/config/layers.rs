//! What differs from layer to layer: how far attention sees, which rotary positions it has, whether the MLP is a mixture.

use super::defaults::{Defaults, Scale, Windows};
use super::read::Written;
use crate::error::{Error, Result};
use serde_json::Value;

/// One layer's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerKind {
    /// A token sees so many tokens, itself among them; `None`: all before it.
    pub window: Option<usize>,
    /// Which of the model's ropes turns queries and keys; `None`: none.
    pub rope: Option<usize>,
    /// What scores are multiplied by before the softmax.
    pub scale: f32,
    /// Whether the MLP is a mixture of experts.
    pub experts: bool,
}

/// Settings of all layers. `ropes` is how many ropes there are: none, one for all, or one for full attention and one for windows.
pub fn layers(
    written: &Written,
    defaults: &Defaults,
    count: usize,
    head_dim: usize,
    ropes: usize,
) -> Result<Vec<LayerKind>> {
    let scales = scales(written, defaults, count, head_dim)?;
    let turns = turning(written, defaults, count)?;
    let windows = windows(written, defaults, &turns)?;
    let experts = experts(written, defaults, count)?;
    let kind = |layer: usize| {
        let window = windows[layer];
        let rope = if ropes > 1 && window.is_some() { 1 } else { 0 };
        let rope = (turns[layer] && ropes > 0).then_some(rope);
        LayerKind { window, rope, scale: scales[layer], experts: experts[layer] }
    };
    Ok((0..count).map(kind).collect())
}

fn scales(written: &Written, defaults: &Defaults, count: usize, head_dim: usize) -> Result<Vec<f32>> {
    let root = |x: f64| x.powf(-0.5);
    let scale = match defaults.scale {
        Scale::HeadDim => root(head_dim as f64),
        Scale::QueryPreAttnScalar => root(written.positive("query_pre_attn_scalar", Some(256.0))?.unwrap_or(256.0)),
        Scale::AttentionMultiplier => written.real("attention_multiplier", Some(1.0))?.unwrap_or(1.0),
        Scale::Gpt2 if written.flag("scale_attn_weights", true)? => root(head_dim as f64),
        Scale::Gpt2 => 1.0,
    };
    let by_layer = matches!(defaults.scale, Scale::Gpt2) && written.flag("scale_attn_by_inverse_layer_idx", false)?;
    let scale = |layer: usize| if by_layer { scale / (layer + 1) as f64 } else { scale };
    Ok((0..count).map(|layer| scale(layer) as f32).collect())
}

/// Which layers turn queries and keys.
fn turning(written: &Written, defaults: &Defaults, count: usize) -> Result<Vec<bool>> {
    if !matches!(defaults.windows, Windows::NoRope) {
        return Ok(vec![true; count]);
    }
    // The name is the wrong way round: 1 stands for a layer that has rotary positions.
    let has_rope = |value: &Value| value.as_bool().or(value.as_u64().map(|n| n != 0));
    if let Some(mut layers) = written.list("no_rope_layers", "0 and 1", has_rope)? {
        if layers.len() < count {
            return Err(wrong_length("no_rope_layers", layers.len(), count));
        }
        layers.truncate(count);
        return Ok(layers);
    }
    let interval = written.known_size("no_rope_layer_interval", Some(4))?;
    Ok((1..=count).map(|layer| !layer.is_multiple_of(interval)).collect())
}

fn windows(written: &Written, defaults: &Defaults, turns: &[bool]) -> Result<Vec<Option<usize>>> {
    let count = turns.len();
    let usable = match defaults.windows {
        Windows::Never => return Ok(vec![None; count]),
        Windows::All | Windows::AllButEvery { .. } => true,
        Windows::AllIfUsed | Windows::FromMaxWindowLayers | Windows::NoRope => {
            written.flag("use_sliding_window", false)?
        }
    };
    let window = written.size("sliding_window", defaults.sliding_window)?;
    let used = window.filter(|_| usable);
    let (fallback, listed): (Vec<bool>, bool) = match defaults.windows {
        Windows::Never | Windows::All | Windows::AllIfUsed => (vec![used.is_some(); count], false),
        Windows::FromMaxWindowLayers => {
            let first = written.number("max_window_layers", Some(28))?.unwrap_or(28);
            ((0..count).map(|layer| used.is_some() && layer >= first).collect(), true)
        }
        Windows::AllButEvery { default, key } => {
            let pattern = key.map_or(Ok(default), |key| written.known_size(key, Some(default)))?;
            ((1..=count).map(|layer| !layer.is_multiple_of(pattern)).collect(), true)
        }
        Windows::NoRope => (turns.iter().map(|turns| used.is_some() && !turns).collect(), true),
    };
    let sliding = match if listed { layer_types(written, count)? } else { None } {
        Some(sliding) => sliding,
        None => fallback,
    };
    if sliding.contains(&true) && used.is_none() {
        return Err(Error::input("some layers have a sliding window, but it has no size").key("sliding_window"));
    }
    Ok(sliding.into_iter().map(|sliding| used.filter(|_| sliding)).collect())
}

/// Whether each layer has a window, as `layer_types` lists them.
fn layer_types(written: &Written, count: usize) -> Result<Option<Vec<bool>>> {
    let Some(names) = written.list("layer_types", "names of layer types", Value::as_str)? else { return Ok(None) };
    if names.len() != count {
        return Err(wrong_length("layer_types", names.len(), count));
    }
    let sliding = |name: &str| match name {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => Err(Error::input(format!("layers of the type `{other}` are not supported"))
            .key("layer_types")
            .hint("supported are full_attention and sliding_attention")),
    };
    names.into_iter().map(sliding).collect::<Result<_>>().map(Some)
}

fn experts(written: &Written, defaults: &Defaults, count: usize) -> Result<Vec<bool>> {
    let Some(experts) = &defaults.experts else { return Ok(vec![false; count]) };
    if !experts.some_dense {
        return Ok(vec![true; count]);
    }
    let dense = written.list("mlp_only_layers", "layer numbers", Value::as_u64)?.unwrap_or_default();
    let step = written.known_size("decoder_sparse_step", Some(1))?;
    Ok((0..count).map(|layer| !dense.contains(&(layer as u64)) && (layer + 1).is_multiple_of(step)).collect())
}

fn wrong_length(key: &str, found: usize, layers: usize) -> Error {
    Error::input(format!("lists {found} layers of {layers}")).key(key)
}
