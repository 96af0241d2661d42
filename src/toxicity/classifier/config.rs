//! `config.json` of a sequence classifier: sizes that layers may trust, labels, and how logits become probabilities.

use super::layers::Act;
use super::model::{ARCHES, Arch};
use crate::error::{Error, Result};
use crate::model::read_json;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

pub const CONFIG: &str = "config.json";

/// Bounds far above any published encoder: what is beyond them is a damaged or hostile file.
const MOST_LAYERS: usize = 1024;
const WIDEST: usize = 1 << 16;
const MOST_ROWS: usize = 1 << 24;
const MOST_LABELS: usize = 1 << 12;

/// How logits become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The labels exclude each other.
    Softmax,
    /// Each label is a question of its own.
    Sigmoid,
}

/// The shape of a classifier.
#[derive(Debug, Clone)]
pub struct Config {
    pub file: PathBuf,
    pub arch: &'static Arch,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_layers: usize,
    pub num_heads: usize,
    /// Rows of the table of positions; where there is none, the longest text.
    pub max_positions: usize,
    pub type_vocab_size: usize,
    pub pad_token_id: u32,
    pub norm_eps: f64,
    pub act: Act,
    /// Names of the outputs, by index.
    pub labels: Vec<String>,
    raw: Map<String, Value>,
}

impl Config {
    /// Reads and checks the `config.json` of a folder.
    pub fn load(dir: &Path) -> Result<Config> {
        let file = dir.join(CONFIG);
        let raw: Map<String, Value> = read_json(&file)?.ok_or_else(|| {
            Error::input("is not there").file(&file).hint(
                "a classifier is a folder with config.json, tokenizer.json and model.safetensors, as transformers saves it",
            )
        })?;
        Config::of(raw, file.clone()).map_err(|e| e.file(file))
    }

    fn of(raw: Map<String, Value>, file: PathBuf) -> Result<Config> {
        let arch = arch(&raw)?;
        let mut config = Config {
            file,
            arch,
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_layers: 0,
            num_heads: 0,
            max_positions: 0,
            type_vocab_size: 0,
            pad_token_id: 0,
            norm_eps: arch.norm_eps,
            act: Act::Gelu,
            labels: Vec::new(),
            raw,
        };
        config.vocab_size = config.size(&["vocab_size"], MOST_ROWS)?;
        config.hidden_size = config.size(&["hidden_size", "dim"], WIDEST)?;
        config.intermediate_size = config.size(&["intermediate_size", "hidden_dim"], WIDEST)?;
        config.num_layers = config.size(&["num_hidden_layers", "n_layers"], MOST_LAYERS)?;
        config.num_heads = config.size(&["num_attention_heads", "n_heads"], WIDEST)?;
        config.max_positions = config.size(&["max_position_embeddings"], MOST_ROWS)?;
        config.type_vocab_size = match config.number("type_vocab_size")? {
            Some(number) if number as usize > MOST_ROWS => return Err(too_large("type_vocab_size")),
            Some(number) => number as usize,
            None => arch.type_vocab_size,
        };
        config.pad_token_id = u32::try_from(config.number("pad_token_id")?.unwrap_or(arch.pad_token_id.into()))
            .ok()
            .filter(|id| (*id as usize) < config.vocab_size)
            .ok_or_else(|| Error::input("is not a token of the vocabulary").key("pad_token_id"))?;
        if !config.hidden_size.is_multiple_of(config.num_heads) {
            let message = format!("{} does not split into {} heads", config.hidden_size, config.num_heads);
            return Err(Error::input(message).key("num_attention_heads"));
        }
        let eps = ["layer_norm_eps", "norm_eps"].into_iter().find_map(|key| config.raw.get(key)?.as_f64());
        config.norm_eps = eps.unwrap_or(arch.norm_eps);
        if !(0.0..1.0).contains(&config.norm_eps) {
            return Err(Error::input("is not a small number above 0").key("layer_norm_eps"));
        }
        for key in ["hidden_act", "hidden_activation", "activation"] {
            if let Some(act) = config.act_at(key)? {
                config.act = act;
            }
        }
        config.labels = config.read_labels()?;
        Ok(config)
    }

    /// All keys as they are written.
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// What `problem_type` says, as transformers reads it: sigmoid for several independent labels or one label, else softmax. A regression
    /// gives no probabilities.
    pub fn output(&self) -> Result<Output> {
        match self.text("problem_type")?.as_deref() {
            Some("regression") => Err(Error::input("a regression gives no probabilities")
                .file(&self.file)
                .key("problem_type")
                .hint("if its output is a logit, say `#activation=sigmoid` behind the address")),
            Some("multi_label_classification") => Ok(Output::Sigmoid),
            _ if self.labels.len() == 1 => Ok(Output::Sigmoid),
            Some("single_label_classification") | None => Ok(Output::Softmax),
            Some(other) => Err(Error::input(format!("`{other}` is not known")).file(&self.file).key("problem_type")),
        }
    }

    /// A text at a key; `None` where there is none.
    pub fn text(&self, key: &str) -> Result<Option<String>> {
        match self.raw.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Error::input("is not a text").key(key)),
        }
    }

    /// Whether something is so.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.raw.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_bool().map(Some).ok_or_else(|| Error::input("is not true or false").key(key)),
        }
    }

    /// A whole number of at least 1, within bounds.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        match self.number(key)? {
            None => Ok(None),
            Some(number) if (1..=MOST_ROWS as u64).contains(&number) => Ok(Some(number as usize)),
            Some(_) => Err(Error::input("is not possible").key(key)),
        }
    }

    /// The same for settings that are switched off by 0 or a negative number: `None`.
    pub fn count_or_negative(&self, key: &str) -> Result<Option<usize>> {
        match self.raw.get(key).and_then(Value::as_i64) {
            Some(number) if number < 1 => Ok(None),
            _ => self.count(key),
        }
    }

    /// An activation function by its name.
    pub fn act_at(&self, key: &str) -> Result<Option<Act>> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        let act = Act::named(&name);
        act.map(Some).ok_or_else(|| Error::input(format!("the activation `{name}` is not supported")).key(key))
    }

    fn number(&self, key: &str) -> Result<Option<u64>> {
        match self.raw.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| Error::input("is not a whole number").key(key)),
        }
    }

    /// A size under the first of several names that is there.
    fn size(&self, keys: &[&str], most: usize) -> Result<usize> {
        for key in keys {
            match self.number(key)? {
                None => {}
                Some(0) => return Err(Error::input("is 0").key(*key)),
                Some(number) if number > most as u64 => return Err(too_large(key)),
                Some(number) => return Ok(number as usize),
            }
        }
        Err(Error::input("is not there").key(keys.join(" or ")))
    }

    /// `id2label`, else as many `LABEL_n` as `num_labels` says, which is 2 where it says nothing.
    fn read_labels(&self) -> Result<Vec<String>> {
        let Some(Value::Object(map)) = self.raw.get("id2label") else {
            let count = self.count("num_labels")?.unwrap_or(2);
            return match count <= MOST_LABELS {
                true => Ok((0..count).map(|index| format!("LABEL_{index}")).collect()),
                false => Err(too_large("num_labels")),
            };
        };
        let strange = || Error::input("does not number the labels from 0 on").key("id2label");
        if map.is_empty() || map.len() > MOST_LABELS {
            return Err(strange());
        }
        let mut labels = vec![None; map.len()];
        for (index, label) in map {
            let place = index.parse().ok().and_then(|index: usize| labels.get_mut(index)).ok_or_else(strange)?;
            *place = Some(label.as_str().map_or_else(|| label.to_string(), str::to_string));
        }
        labels.into_iter().collect::<Option<Vec<String>>>().ok_or_else(strange)
    }
}

fn too_large(key: &str) -> Error {
    Error::input("is too large for any such model").key(key)
}

fn arch(raw: &Map<String, Value>) -> Result<&'static Arch> {
    let named = raw.get("architectures").and_then(|names| names.get(0)?.as_str());
    let kind = raw.get("model_type").and_then(Value::as_str);
    let known: Vec<&str> = ARCHES.iter().flat_map(|arch| arch.classes).copied().collect();
    let found = match (named, kind) {
        (Some(named), _) => ARCHES.iter().find(|arch| arch.classes.contains(&named)),
        (None, Some(kind)) => ARCHES.iter().find(|arch| arch.model_types.contains(&kind)),
        (None, None) => None,
    };
    found.ok_or_else(|| {
        let said = named.or(kind).unwrap_or("nothing");
        Error::input(format!("`{said}` is not a sequence classifier that is known"))
            .key("architectures")
            .hint(format!("known are: {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(change: impl FnOnce(&mut Value)) -> Result<Config> {
        let mut value = json!({
            "architectures": ["BertForSequenceClassification"], "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40, "hidden_act": "gelu"
        });
        change(&mut value);
        let Value::Object(map) = value else { unreachable!() };
        Config::of(map, PathBuf::from("config.json"))
    }

    #[test]
    fn defaults_are_those_of_the_family() {
        let config = read(|_| ()).unwrap();
        assert_eq!((config.type_vocab_size, config.pad_token_id, config.norm_eps), (2, 0, 1e-12));
        assert_eq!(config.labels, ["LABEL_0", "LABEL_1"]);
        assert_eq!(config.output().unwrap(), Output::Softmax);
        let one = read(|c| c["id2label"] = json!({"0": "toxic"})).unwrap();
        assert_eq!((one.labels.len(), one.output().unwrap()), (1, Output::Sigmoid));
        let many = read(|c| c["problem_type"] = json!("multi_label_classification")).unwrap();
        assert_eq!(many.output().unwrap(), Output::Sigmoid);
        assert!(read(|c| c["problem_type"] = json!("regression")).unwrap().output().is_err());
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let cases: [(&str, Value); 14] = [
            ("vocab_size", json!(0)),
            ("vocab_size", json!(1u64 << 60)),
            ("hidden_size", json!(-1)),
            ("hidden_size", json!("32")),
            ("hidden_size", json!(30)),
            ("num_attention_heads", json!(0)),
            ("num_hidden_layers", json!(100_000_000)),
            ("max_position_embeddings", Value::Null),
            ("pad_token_id", json!(100)),
            ("layer_norm_eps", json!(-1.0)),
            ("hidden_act", json!("mystery")),
            ("id2label", json!({"1": "a", "2": "b"})),
            ("id2label", json!({})),
            ("architectures", json!(["LlamaForCausalLM"])),
        ];
        for (key, value) in cases {
            let err = read(|c| c[key] = value.clone()).err().unwrap_or_else(|| panic!("{key} {value}")).to_string();
            assert!(err.contains(key) || err.contains("head"), "{key} {value}: {err}");
        }
    }
}
