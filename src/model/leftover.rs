//! Tensors of a checkpoint that the model has no place for: what they would have changed.
//!
//! Comes in: weights from which a model was built, and its configuration. Goes out: names of tensors that are not used, and what a
//! user should know of those that are left out because of the configuration. Never: an error for a tensor that nobody needs, unless it cannot
//! be read.
//!
//! transformers leaves the same tensors out, most of them without a word.

use super::config::{RopeScaling, RopeSpec};
use super::rotary::RotaryTable;
use super::{ModelConfig, Weights};
use crate::error::Result;

/// Tables of rotary frequencies, which are computed here.
const FREQUENCIES: &str = ".rotary_emb.inv_freq";

/// Single numbers that old checkpoints hold: what hidden scores are set to.
const HIDDEN_SCORES: &[&str] = &[".attn.masked_bias", ".attention.masked_bias"];

/// Masks `[1, 1, positions, positions]`, where the name alone could be a bias.
const MASKS: &[&str] = &[".attn.bias", ".attention.bias"];

/// Frequencies in bf16 or f16 are rounded; so far they may be off.
const TOLERANCE: f32 = 0.01;

/// The smallest frequencies of long contexts have few bits in f16.
const STEP: f32 = 1e-7;

/// What is left over.
#[derive(Debug, Default)]
pub struct Leftover {
    /// Names of tensors that have no place in the model, in order.
    pub unused: Vec<String>,
    pub notices: Vec<String>,
}

/// What a tensor is that was left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It would have changed nothing.
    Same,
    Frequencies,
    Mask,
    Bias,
    Layer,
    Unknown,
}

/// Looks at what is left of a checkpoint after a model was built of it.
pub fn look(weights: &Weights, config: &ModelConfig) -> Result<Leftover> {
    let mut found: Vec<(Kind, String)> = Vec::new();
    for (name, info) in weights.left() {
        let kind = if name.ends_with(FREQUENCIES) {
            frequencies(weights, config, name)?
        } else if MASKS.iter().any(|end| name.ends_with(end)) && info.shape.len() == 4 {
            mask(weights, name, info.shape.last().copied().unwrap_or(0))?
        } else if HIDDEN_SCORES.iter().any(|end| name.ends_with(end)) && info.shape.iter().product::<usize>() == 1 {
            Kind::Same
        } else {
            other(weights, config, name)?
        };
        found.push((kind, name.clone()));
    }
    let mut leftover = Leftover::default();
    let of = |kind: Kind| found.iter().filter(move |(found, _)| *found == kind).map(|(_, name)| name);
    for (kind, text) in [
        (
            Kind::Frequencies,
            "rotary frequencies that are stored differ from those that config.json gives; config.json decides, as in transformers",
        ),
        (Kind::Mask, "masks that are stored let tokens see something else than what is before them; they are not used"),
        (
            Kind::Bias,
            "biases that are not zero are not used, because layers have none by config.json (`attention_bias`, `mlp_bias`)",
        ),
        (Kind::Layer, "tensors belong to layers beyond the `num_hidden_layers` of config.json; they are not used"),
    ] {
        let names: Vec<&String> = of(kind).collect();
        if let Some(first) = names.first() {
            leftover.notices.push(format!("{} {text} ({first}, ...)", names.len()));
        }
    }
    leftover.unused = of(Kind::Unknown).cloned().collect();
    Ok(leftover)
}

/// Whether stored frequencies are those of a rope of the model, scaled (as the tables here are) or not (as old checkpoints have them).
fn frequencies(weights: &Weights, config: &ModelConfig, name: &str) -> Result<Kind> {
    let Some(stored) = weights.look(name)? else { return Ok(Kind::Frequencies) };
    let near = |expected: &[f32]| {
        expected.len() == stored.len()
            && expected.iter().zip(&stored).all(|(a, b)| (a - b).abs() <= TOLERANCE * a.abs() + STEP)
    };
    let plain = |rope: &RopeSpec| RopeSpec { scaling: RopeScaling::Default, ..rope.clone() };
    let known = config.ropes.iter().flat_map(|rope| [rope.clone(), plain(rope)]);
    let same = known.into_iter().any(|rope| near(&RotaryTable::new(&rope, config.head_dim).frequencies(1)));
    Ok(if same { Kind::Same } else { Kind::Frequencies })
}

/// Whether a mask lets every token see itself and what is before it, and nothing else.
fn mask(weights: &Weights, name: &str, positions: usize) -> Result<Kind> {
    let Some(stored) = weights.look(name)? else { return Ok(Kind::Mask) };
    let square = stored.len() == positions * positions;
    let causal = stored.iter().enumerate().all(|(at, seen)| (*seen != 0.0) == (at % positions <= at / positions));
    Ok(if square && causal { Kind::Same } else { Kind::Mask })
}

fn other(weights: &Weights, config: &ModelConfig, name: &str) -> Result<Kind> {
    let layer = name.split('.').collect::<Vec<_>>();
    let layer = layer.windows(2).find(|pair| matches!(pair[0], "layers" | "h")).and_then(|pair| pair[1].parse().ok());
    if layer.is_some_and(|layer: usize| layer >= config.num_hidden_layers) {
        return Ok(Kind::Layer);
    }
    let Some(layer) = name.strip_suffix(".bias") else { return Ok(Kind::Unknown) };
    let values = weights.look(name)?;
    if values.is_some_and(|values| values.iter().all(|value| *value == 0.0)) {
        return Ok(Kind::Same);
    }
    let used = ["weight", "qweight"].iter().any(|part| weights.is_used(&format!("{layer}.{part}")));
    Ok(if used { Kind::Bias } else { Kind::Unknown })
}

#[cfg(test)]
mod tests {
    use crate::model::testing::fixture;
    use crate::model::{LoadOptions, Model};
    use std::collections::BTreeMap;
    use std::path::Path;

    type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

    /// A copy of the fixture `checkpoints/mistral` with changed tensors.
    fn changed(change: impl FnOnce(&mut Tensors)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let from = fixture("checkpoints/mistral");
        std::fs::copy(from.join("config.json"), dir.path().join("config.json")).unwrap();
        let read = candle_core::safetensors::load(from.join("model.safetensors"), &candle_core::Device::Cpu).unwrap();
        let mut tensors: Tensors = read
            .into_iter()
            .map(|(name, tensor)| {
                let values = tensor.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap();
                (name, (tensor.dims().to_vec(), values.to_vec1().unwrap()))
            })
            .collect();
        change(&mut tensors);
        write(dir.path(), &tensors);
        dir
    }

    fn write(dir: &Path, tensors: &Tensors) {
        let tensors: std::collections::HashMap<String, candle_core::Tensor> = tensors
            .iter()
            .map(|(name, (shape, values))| {
                let tensor = candle_core::Tensor::from_vec(values.clone(), shape.clone(), &candle_core::Device::Cpu);
                (name.clone(), tensor.unwrap())
            })
            .collect();
        candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
    }

    fn load(dir: &tempfile::TempDir) -> crate::error::Result<Model> {
        Model::load(dir.path(), &LoadOptions::default())
    }

    fn logits(model: &Model) -> Vec<f32> {
        let mut kv = model.new_kv(4);
        let branch = crate::model::Branch { tokens: &[1, 2, 3], past: Vec::new(), own: &mut kv, sequence_len: 0 };
        let hidden = model.forward(&mut [branch]).unwrap();
        model.logits(&hidden, &[2]).unwrap()
    }

    #[test]
    fn what_is_left_out_is_looked_at() {
        let name = |part: &str| format!("model.layers.0.{part}");
        let dir = changed(|tensors| {
            let width = tensors[&name("self_attn.q_proj.weight")].0[0];
            tensors.insert(name("self_attn.q_proj.bias"), (vec![width], vec![0.0; width]));
            tensors.insert(name("self_attn.rotary_emb.inv_freq"), (vec![1], vec![0.5]));
        });
        let model = load(&dir).unwrap();
        assert!(model.unused_tensors.is_empty(), "a bias of zeros changes nothing: {:?}", model.unused_tensors);
        assert!(model.notices[0].starts_with("1 rotary frequencies that are stored differ"), "{:?}", model.notices);
        let dir = changed(|tensors| {
            let width = tensors[&name("self_attn.q_proj.weight")].0[0];
            tensors.insert(name("self_attn.q_proj.bias"), (vec![width], vec![0.5; width]));
            tensors.insert("model.layers.77.input_layernorm.weight".to_string(), (vec![1], vec![0.5]));
            tensors.insert("other".to_string(), (vec![1], vec![0.5]));
        });
        let model = load(&dir).unwrap();
        assert_eq!(model.unused_tensors, ["other"]);
        assert!(model.notices.iter().any(|n| n.starts_with("1 biases that are not zero")), "{:?}", model.notices);
        assert!(model.notices.iter().any(|n| n.contains("beyond the `num_hidden_layers`")), "{:?}", model.notices);
    }

    #[test]
    fn a_head_that_was_trained_apart_is_used() {
        let tie = |dir: &tempfile::TempDir| {
            let path = dir.path().join("config.json");
            let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            config["tie_word_embeddings"] = serde_json::json!(true);
            std::fs::write(path, config.to_string()).unwrap();
        };
        let (embedding, head) = ("model.embed_tokens.weight".to_string(), "lm_head.weight".to_string());
        // Mistral's own head is not its embedding.
        let apart = changed(|_| {});
        let untied = logits(&load(&apart).unwrap());
        tie(&apart);
        let model = load(&apart).unwrap();
        assert_eq!(logits(&model), untied);
        assert!(
            model.notices[0].contains("lm_head.weight: is stored, and it is not the embedding"),
            "{:?}",
            model.notices
        );
        // Equal copies are tied; only one of the two is enough, whichever it is.
        let copies = changed(|tensors| {
            tensors.insert(head.clone(), tensors[&embedding].clone());
        });
        let [no_head, no_embedding] = [&head, &embedding].map(|without| {
            changed(|tensors| {
                tensors.insert(head.clone(), tensors[&embedding].clone());
                tensors.remove(without);
            })
        });
        let tied: Vec<(Vec<f32>, u64, Vec<String>)> = [&copies, &no_head, &no_embedding]
            .map(|dir| {
                tie(dir);
                let model = load(dir).unwrap();
                (logits(&model), model.num_parameters, model.notices)
            })
            .into();
        assert!(tied.iter().all(|one| *one == tied[0] && one.2.is_empty()), "{tied:?}");
        assert_ne!(tied[0].0, untied);
    }

    #[test]
    fn names_without_prefix_load_and_foreign_prefixes_are_named() {
        let untouched = logits(&load(&changed(|_| {})).unwrap());
        let renamed = |rename: &dyn Fn(&str) -> String| {
            changed(|tensors| {
                *tensors = std::mem::take(tensors).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
            })
        };
        let bare = renamed(&|name| name.strip_prefix("model.").unwrap_or(name).to_string());
        assert_eq!(logits(&load(&bare).unwrap()), untouched);
        for prefix in ["_orig_mod.", "module.", "base_model.model."] {
            let err = load(&renamed(&|name| format!("{prefix}{name}"))).err().unwrap().to_string();
            assert!(err.contains(&format!("all names begin with `{prefix}`")) && err.contains("hint:"), "{err}");
        }
    }
}
