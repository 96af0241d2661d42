//! `vocab.json` with `merges.txt`: byte-level BPE in GPT-2's own files, where there is no `tokenizer.json`.
//!
//! Comes in: the two files and the tokenizer's class. Goes out: the tokenizer that transformers makes of them. Never: a guess at how texts are
//! cut into words; classes for which that is not known are refused by name.

use super::added::Written;
use crate::error::{Error, Result};
use crate::file;
use crate::model::read_json;
use crate::model::weights::gguf::{byte_level_steps, pretokenizer, wrapper};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

pub const VOCAB: &str = "vocab.json";
pub const MERGES: &str = "merges.txt";

/// Classes of transformers (without `Fast`) and families that have them, with the name of their rule for words among those of GGUF files.
const CLASSES: &[(&str, &[&str], &str)] = &[
    ("Qwen2Tokenizer", &["qwen2", "qwen3", "qwen3_moe"], "qwen2"),
    ("GPT2Tokenizer", &["gpt2"], "gpt-2"),
    ("GPTNeoXTokenizer", &["gpt_neox"], "olmo"),
];

/// The tokenizer of a folder, without BOS and EOS. `model_type`: the family of its model, where that is known.
pub fn read(dir: &Path, written: &Written, model_type: Option<&str>) -> Result<Tokenizer> {
    let path = dir.join(VOCAB);
    let vocab: BTreeMap<String, u32> = read_json(&path)?.unwrap_or_default();
    let class = written.tokenizer_class.as_deref().map(|class| class.trim_end_matches("Fast"));
    let row = CLASSES.iter().find(|(name, types, _)| match class {
        Some(class) => class == *name,
        None => model_type.is_some_and(|model_type| types.contains(&model_type)),
    });
    let row = row.and_then(|(_, _, rule)| pretokenizer(rule)).ok_or_else(|| {
        let class: String = class.or(model_type).unwrap_or("unnamed").chars().take(60).collect();
        Error::input(format!("how texts of a tokenizer of the class `{class}` are cut into words is not known without tokenizer.json"))
            .file(&path)
            .hint("save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers")
    })?;
    let merges = merges(&dir.join(MERGES))?;
    let wrong = |e: tokenizers::Error| Error::input("is not a vocabulary that can be read").file(&path).cause(e);
    let vocab: Vocab = vocab.into_iter().collect();
    let bpe = BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(row.ignore_merges);
    let bpe = super::guard::run(|| bpe.build()).map_err(|e| e.file(&path))?.map_err(wrong)?;
    let mut tokenizer = Tokenizer::new(bpe);
    let [normalizer, pre_tokenizer, decoder] = byte_level_steps(row, written.add_prefix_space.unwrap_or(false));
    tokenizer.with_normalizer(wrapper::<NormalizerWrapper>(normalizer)?).map_err(wrong)?;
    tokenizer.with_pre_tokenizer(wrapper::<PreTokenizerWrapper>(pre_tokenizer)?);
    tokenizer.with_decoder(wrapper::<DecoderWrapper>(decoder)?);
    Ok(tokenizer)
}

/// Two tokens a line; a first line names the version.
fn merges(path: &Path) -> Result<Vec<(String, String)>> {
    let text = file::read_to_string(path, file::SMALL).map_err(|e| Error::io("cannot read", path, e))?;
    let mut merges = Vec::new();
    for (line, at) in text.lines().zip(1..) {
        if line.is_empty() || (at == 1 && line.starts_with("#version")) {
            continue;
        }
        let pair =
            line.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '));
        let (left, right) = pair.ok_or_else(|| Error::input("is not two tokens").at(path, at))?;
        merges.push((left.to_string(), right.to_string()));
    }
    Ok(merges)
}
