//! The tokenizer in the header of a GGUF file.
//!
//! Comes in: `tokenizer.ggml.*`. Goes out: the same tokenizer as the model's `tokenizer.json` has, as far as the header tells.
//! Never: tokens that the model's embedding lacks.
//!
//! SentencePiece vocabularies (`llama`) have scores instead of merges: merges are made of them as transformers'
//! `generate_merges` does. Byte-level vocabularies (`gpt2`) have merges, and the name of the rule that cuts texts into words.

use super::header::{DAMAGED, shown};
use super::metadata::Metadata;
use super::pretokenizers::{self, PreTokenizer};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

const TOKENS: &str = "tokenizer.ggml.tokens";
const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";
const TYPES: &str = "tokenizer.ggml.token_type";

pub(super) const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// What SentencePiece writes for a space.
const SPACE: &str = "\u{2581}";

/// What ends a turn or a text whatever the header says, by its text (`special_eog_ids` in llama.cpp's llama-vocab.cpp).
pub const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    // Tokens between files and repositories, which models of code write behind the end.
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// `<|end|>` ends a part of a turn, not the turn, where these two are there as well (gpt-oss; Solar).
const PARTS_OF_TURNS: &[[&str; 2]] = &[["<|return|>", "<|call|>"], ["<|calls|>", "<|flush|>"]];

/// Ids of the tokens that end a text by their own text.
pub fn ends<'a>(id: impl Fn(&str) -> Option<u32> + 'a) -> impl Iterator<Item = u32> + 'a {
    let in_parts = PARTS_OF_TURNS.iter().any(|two| two.iter().all(|text| id(text).is_some()));
    ENDS.iter().filter(move |text| !(in_parts && **text == "<|end|>")).filter_map(move |text| id(text))
}

/// Pieces of SentencePiece are at most so many characters long; longer texts are no merges.
const LONGEST_PIECE: usize = 512;

/// No model has more tokens that stand for themselves.
const MOST_ADDED: usize = 1 << 16;

/// A tokenizer with what else the header says about it.
pub struct GgufTokenizer {
    pub inner: Tokenizer,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub pad: Option<u32>,
    /// Whether a post-processor puts BOS in front of texts.
    pub adds_bos: bool,
    pub chat_template: Option<String>,
    /// What the user should know.
    pub notice: Option<String>,
}

/// Types of tokens, by their numbers in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// The tokens of a header, each with its type.
struct Tokens<'a> {
    metadata: &'a Metadata,
    texts: Vec<String>,
    types: Vec<Type>,
    vocab: Vocab,
}

/// The tokenizer of a header. Errors name the file and the key.
pub fn tokenizer(metadata: &Metadata) -> Result<GgufTokenizer> {
    let name = metadata.text(MODEL)?.ok_or_else(|| {
        metadata
            .error(MODEL, "is missing: the file has no tokenizer")
            .hint("use a file that llama.cpp's converter made")
    })?;
    let tokens = Tokens::read(metadata)?;
    match name {
        "llama" => sentencepiece(tokens),
        "gpt2" => byte_level(tokens),
        other => Err(metadata
            .error(MODEL, format!("the tokenizer model `{}` is not supported", shown(other)))
            .hint("supported are llama (SentencePiece BPE) and gpt2 (byte-level BPE)")),
    }
}

impl<'a> Tokens<'a> {
    fn read(metadata: &'a Metadata) -> Result<Tokens<'a>> {
        let texts = metadata.texts(TOKENS)?.unwrap_or_default();
        if texts.is_empty() {
            return Err(metadata.error(TOKENS, "has no tokens").hint(DAMAGED));
        }
        // As llama.cpp names them.
        let text = |(id, text): (usize, &str)| if text.is_empty() { format!("[EMPTY_{id}]") } else { text.to_string() };
        let texts: Vec<String> = texts.into_iter().enumerate().map(text).collect();
        let types = match metadata.numbers(TYPES)? {
            Some(types) if types.len() == texts.len() => types.into_iter().map(token_type).collect(),
            Some(types) => {
                let message = format!("has {} types for {} tokens", types.len(), texts.len());
                return Err(metadata.error(TYPES, message).hint(DAMAGED));
            }
            None => vec![Type::Normal; texts.len()],
        };
        let mut vocab = Vocab::default();
        for (id, text) in texts.iter().enumerate() {
            let id = u32::try_from(id).map_err(|e| metadata.error(TOKENS, "has too many tokens").cause(e))?;
            if let Some(other) = vocab.insert(text.clone(), id) {
                let message = format!("the tokens {other} and {id} are both {:?}", shown(text));
                return Err(metadata.error(TOKENS, message).hint(DAMAGED));
            }
        }
        let mut tokens = Tokens { metadata, texts, types, vocab };
        // Some converters wrote them as ordinary tokens; llama.cpp makes them control tokens, too.
        for id in ends(|text| tokens.vocab.get(text).copied()).collect::<Vec<u32>>() {
            if let Some(kind) = tokens.types.get_mut(id as usize) {
                *kind = Type::Control;
            }
        }
        Ok(tokens)
    }

    /// The token of a `tokenizer.ggml.<name>_token_id`, else the default, where the vocabulary has it.
    fn id(&self, name: &str, default: Option<usize>) -> Result<Option<u32>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = self.metadata.count(&key)?;
        match id.or(default.filter(|id| *id < self.texts.len())) {
            Some(id) if id >= self.texts.len() => {
                let message = format!("is the token {id} of {}", self.texts.len());
                Err(self.metadata.error(&key, message).hint(DAMAGED))
            }
            id => Ok(id.and_then(|id| u32::try_from(id).ok())),
        }
    }

    fn text(&self, id: u32) -> Option<&str> {
        self.texts.get(id as usize).map(String::as_str)
    }

    /// Tokens of some type.
    fn of(&self, wanted: &[Type]) -> impl Iterator<Item = &String> {
        let typed = self.texts.iter().zip(&self.types);
        typed.filter(move |(_, kind)| wanted.contains(kind)).map(|(text, _)| text)
    }

    /// Makes the tokenizer of a model for tokens and the steps around it.
    fn assemble(self, bpe: BPE, steps: Steps, ids: Ids) -> Result<GgufTokenizer> {
        let metadata = self.metadata;
        let wrong = |e: tokenizers::Error| metadata.error(TOKENS, "cannot be set up").cause(e);
        let mut inner = Tokenizer::new(bpe);
        inner.with_normalizer(wrapper::<NormalizerWrapper>(steps.normalizer)?).map_err(wrong)?;
        inner.with_pre_tokenizer(wrapper::<PreTokenizerWrapper>(steps.pre_tokenizer)?);
        inner.with_decoder(wrapper::<DecoderWrapper>(steps.decoder)?);
        let adds = |name: &str| metadata.flag(&format!("tokenizer.ggml.add_{name}_token"));
        let (adds_bos, adds_eos) = (adds("bos")?.unwrap_or(steps.adds_bos), adds("eos")?.unwrap_or(false));
        let (before, behind) = (ids.bos.filter(|_| adds_bos), ids.eos.filter(|_| adds_eos));
        inner.with_post_processor(wrapper::<PostProcessorWrapper>(self.template(before, behind))?);
        // llama.cpp knows of Phi-3's tokens, as of no others, that they take the spaces behind them.
        let phi3 = metadata.text("general.name")?.is_some_and(|name| {
            let name = name.to_lowercase();
            name.contains("phi-3") || name.contains("phi3")
        });
        let strips = |text: &str| phi3 && !["<unk>", "<s>", "<|endoftext|>"].contains(&text);
        let special = self.of(&[Type::Control, Type::Unknown]);
        let special: Vec<AddedToken> =
            special.map(|text| AddedToken::from(text.as_str(), true).rstrip(strips(text))).collect();
        let defined: Vec<AddedToken> = self
            .of(&[Type::UserDefined])
            .map(|text| AddedToken::from(text.as_str(), false).normalized(false))
            .collect();
        if special.len() + defined.len() > MOST_ADDED {
            return Err(metadata.error(TYPES, "has more special tokens than any model").hint(DAMAGED));
        }
        inner.add_special_tokens(special).map_err(wrong)?;
        inner.add_tokens(defined).map_err(wrong)?;
        Ok(GgufTokenizer {
            inner,
            bos: ids.bos,
            eos: ids.eos,
            pad: self.id("padding", None)?,
            adds_bos: before.is_some(),
            chat_template: metadata.text(CHAT_TEMPLATE)?.map(str::to_string),
            notice: steps.notice,
        })
    }

    /// What puts tokens before and behind a text; nothing where there are none.
    fn template(&self, before: Option<u32>, behind: Option<u32>) -> Value {
        let token = |id: Option<u32>| id.and_then(|id| Some((self.text(id)?, id)));
        let (before, behind) = (token(before), token(behind));
        if before.is_none() && behind.is_none() {
            return Value::Null;
        }
        let piece = |(text, _): (&str, u32)| json!({"SpecialToken": {"id": text, "type_id": 0}});
        let sequence = |id: &str| {
            let text = json!({"Sequence": {"id": id, "type_id": 0}});
            before.map(piece).into_iter().chain([text]).chain(behind.map(piece)).collect::<Vec<_>>()
        };
        let described = [before, behind].into_iter().flatten();
        let described =
            described.map(|(text, id)| (text.to_string(), json!({"id": text, "ids": [id], "tokens": [text]})));
        let pair = [sequence("A"), sequence("B")].concat();
        json!({
            "type": "TemplateProcessing",
            "single": sequence("A"),
            "pair": pair,
            "special_tokens": described.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// What happens to texts around the model for tokens, as `tokenizer.json` writes it.
struct Steps {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    /// Whether BOS goes in front where the header does not say.
    adds_bos: bool,
    notice: Option<String>,
}

struct Ids {
    bos: Option<u32>,
    eos: Option<u32>,
}

pub fn wrapper<T: serde::de::DeserializeOwned>(value: Value) -> Result<Option<T>> {
    serde_json::from_value(value).map_err(|e| Error::input("the tokenizer cannot be set up").cause(e))
}

fn token_type(number: f64) -> Type {
    match number as i64 {
        2 => Type::Unknown,
        3 => Type::Control,
        4 => Type::UserDefined,
        5 => Type::Unused,
        6 => Type::Byte,
        _ => Type::Normal,
    }
}

/// SentencePiece BPE: pieces with scores, unknown characters as bytes.
fn sentencepiece(tokens: Tokens<'_>) -> Result<GgufTokenizer> {
    let metadata = tokens.metadata;
    let scores = match metadata.numbers(SCORES)? {
        Some(scores) if scores.len() == tokens.texts.len() && !scores.iter().any(|score| score.is_nan()) => scores,
        Some(_) => return Err(metadata.error(SCORES, "has not one number for each token").hint(DAMAGED)),
        None => return Err(metadata.error(SCORES, "is missing").hint(DAMAGED)),
    };
    let unknown = tokens.id("unknown", Some(0))?.and_then(|id| tokens.text(id)).map(str::to_string);
    let ids = Ids { bos: tokens.id("bos", Some(1))?, eos: tokens.id("eos", Some(2))? };
    let mergeable: Vec<bool> =
        tokens.types.iter().map(|kind| matches!(kind, Type::Normal | Type::UserDefined)).collect();
    let merges = merges_of_scores(&tokens.texts, &mergeable, &scores, &tokens.vocab);
    let mut bpe = BPE::builder().vocab_and_merges(tokens.vocab.clone(), merges).byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = unknown {
        bpe = bpe.unk_token(unknown);
    }
    let bpe = bpe.build().map_err(|e| metadata.error(TOKENS, "is not a vocabulary").hint(DAMAGED).cause(e))?;
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    let normalizer = if metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, spaces]})
    } else {
        spaces
    };
    let steps = Steps {
        normalizer,
        pre_tokenizer: Value::Null,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        adds_bos: true,
        notice: None,
    };
    tokens.assemble(bpe, steps, ids)
}

/// Each way to put a piece together of two others, those of the best scores first. Where scores are the same, the order of ids
/// is that in which the pieces were learned. `mergeable` says which of the pieces are put together.
pub fn merges_of_scores(texts: &[String], mergeable: &[bool], scores: &[f64], vocab: &Vocab) -> Vec<(String, String)> {
    let mut pieces: Vec<usize> = (0..texts.len()).filter(|id| mergeable.get(*id) == Some(&true)).collect();
    let score = |id: &usize| scores.get(*id).copied().unwrap_or(f64::NEG_INFINITY);
    pieces.sort_by(|a, b| score(b).total_cmp(&score(a)));
    let mut merges = Vec::new();
    for text in pieces.iter().filter_map(|id| texts.get(*id)) {
        if text.chars().nth(LONGEST_PIECE).is_some() {
            continue;
        }
        // The longest left part first, as transformers has it.
        for (at, _) in text.char_indices().skip(1).collect::<Vec<_>>().into_iter().rev() {
            let (left, right) = text.split_at(at);
            if vocab.contains_key(left) && vocab.contains_key(right) {
                merges.push((left.to_string(), right.to_string()));
            }
        }
    }
    merges
}

/// Byte-level BPE: bytes as characters, words cut by a rule.
fn byte_level(tokens: Tokens<'_>) -> Result<GgufTokenizer> {
    let metadata = tokens.metadata;
    let (pre, notice) = pre_tokenizer(&tokens)?;
    let merges = metadata.texts(MERGES)?.ok_or_else(|| metadata.error(MERGES, "is missing").hint(DAMAGED))?;
    let merges: Option<Vec<(String, String)>> = merges.into_iter().map(merge).collect();
    let merges = merges.ok_or_else(|| metadata.error(MERGES, "holds a merge that is not two tokens").hint(DAMAGED))?;
    // The library would panic at what it does not expect.
    let known = |(left, right): &(String, String)| {
        [left, right, &format!("{left}{right}")].into_iter().all(|text| tokens.vocab.contains_key(text))
    };
    if let Some((left, right)) = merges.iter().find(|merge| !known(merge)) {
        let message = format!("merges {:?} and {:?}, which do not give a token", shown(left), shown(right));
        return Err(metadata.error(MERGES, message).hint(DAMAGED));
    }
    let ids = Ids { bos: tokens.id("bos", None)?, eos: tokens.id("eos", None)? };
    let bpe = BPE::builder().vocab_and_merges(tokens.vocab.clone(), merges).ignore_merges(pre.ignore_merges).build();
    let bpe = bpe.map_err(|e| metadata.error(MERGES, "does not fit the tokens").hint(DAMAGED).cause(e))?;
    let prefix = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(false);
    let [normalizer, pre_tokenizer, decoder] = byte_level_steps(pre, prefix);
    let steps = Steps { normalizer, pre_tokenizer, decoder, adds_bos: pre.adds_bos, notice };
    tokens.assemble(bpe, steps, ids)
}

/// Normalizer, pre-tokenizer and decoder of a byte-level vocabulary, as `tokenizer.json` writes them; with `prefix` a text begins with a
/// space.
pub fn byte_level_steps(pre: &PreTokenizer, prefix: bool) -> [Value; 3] {
    let byte_level = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex});
    let split =
        |regex: &&str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let pretokenizers: Vec<Value> = pre.splits.iter().map(split).chain([byte_level(pre.gpt2_words)]).collect();
    let normalizer = if pre.nfc { json!({"type": "NFC"}) } else { Value::Null };
    [normalizer, json!({"type": "Sequence", "pretokenizers": pretokenizers}), byte_level(true)]
}

/// The two tokens of a merge. The first character belongs to the left one, even if it is a space.
fn merge(text: &str) -> Option<(String, String)> {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let at = text.get(first..)?.find(' ')? + first;
    Some((text.get(..at)?.to_string(), text.get(at + 1..)?.to_string()))
}

/// The rule for words, and what to say if it was guessed.
fn pre_tokenizer(tokens: &Tokens<'_>) -> Result<(&'static PreTokenizer, Option<String>)> {
    let metadata = tokens.metadata;
    if let Some(name) = metadata.text(PRE)?.filter(|name| *name != "default") {
        let found = pretokenizers::named(name).ok_or_else(|| {
            let err = metadata.error(PRE, format!("the pre-tokenizer `{}` is not known", shown(name)));
            let known: Vec<&str> = pretokenizers::ALL.iter().flat_map(|row| row.names).copied().collect();
            err.hint(format!("other words would give other tokens; known are {}", known.join(", ")))
        })?;
        return Ok((found, None));
    }
    // Files from before May 2024 do not say.
    let guess = match metadata.text("general.architecture")? {
        Some("qwen2" | "qwen3" | "qwen3moe") => "qwen2",
        Some("llama") if tokens.vocab.contains_key("<|begin_of_text|>") => "llama-bpe",
        _ => "gpt-2",
    };
    let notice = format!("the GGUF file does not name its pre-tokenizer; `{guess}` was taken, check the tokens");
    let found = pretokenizers::named(guess).ok_or_else(|| metadata.error(PRE, "is missing"))?;
    Ok((found, Some(notice)))
}
