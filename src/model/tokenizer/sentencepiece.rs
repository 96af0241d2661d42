//! `tokenizer.model`: SentencePiece's own file, where there is no `tokenizer.json`.
//!
//! Comes in: a protocol buffer (`ModelProto` of sentencepiece_model.proto). Goes out: the same BPE tokenizer that the header of a GGUF file of
//! the model gives. Never: unigram vocabularies, tiktoken's lists; both are refused by name.
//!
//! Ids are those of SentencePiece itself. transformers 5 gives others where a text begins with a space (it leaves out the space that
//! SentencePiece puts before every text) and no BOS unless `add_bos_token` says so; transformers 4 and llama.cpp give these.

use super::added::Written;
use crate::error::{Error, Result};
use crate::file;
use crate::model::weights::gguf::{merges_of_scores, wrapper};
use serde_json::{Value, json};
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, Tokenizer};

pub const MODEL: &str = "tokenizer.model";

/// What SentencePiece writes for a space.
const SPACE: &str = "\u{2581}";

/// No vocabulary has more pieces.
const MOST_PIECES: usize = 1 << 22;

/// Kinds of pieces.
const NORMAL: u64 = 1;
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// The kind of model that puts pieces together by merges.
const BPE_MODEL: u64 = 2;

/// What is read of the file.
struct Model {
    pieces: Vec<String>,
    scores: Vec<f64>,
    kinds: Vec<u64>,
    model_type: u64,
    byte_fallback: bool,
    add_dummy_prefix: bool,
}

/// The tokenizer of the file, without BOS and EOS.
pub fn read(path: &Path, written: &Written) -> Result<Tokenizer> {
    let bytes = file::read(path, file::SMALL).map_err(|e| Error::io("cannot read", path, e))?;
    let model = parse(&bytes).map_err(|e| e.file(path))?;
    assemble(model, written).map_err(|e| e.file(path))
}

fn unreadable() -> Error {
    Error::input("is not a vocabulary of SentencePiece").hint(
        "save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers",
    )
}

fn parse(bytes: &[u8]) -> Result<Model> {
    // Lines of base64 and a number: what Llama 3 calls tokenizer.model in Meta's own format.
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first.is_ascii() && first.len() < 200 && first.contains(&b' ') && first.ends_with(b"0") {
        return Err(Error::input("is a list of tokens of tiktoken, which does not say how texts are cut into words").hint(
            "save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers",
        ));
    }
    let mut model = Model {
        pieces: Vec::new(),
        scores: Vec::new(),
        kinds: Vec::new(),
        model_type: 1,
        byte_fallback: false,
        add_dummy_prefix: true,
    };
    for field in fields(bytes) {
        match field? {
            (1, Content::Bytes(piece)) => model.piece(piece)?,
            (2, Content::Bytes(trainer)) => {
                for field in fields(trainer) {
                    match field? {
                        (3, Content::Number(kind)) => model.model_type = kind,
                        (35, Content::Number(flag)) => model.byte_fallback = flag != 0,
                        _ => {}
                    }
                }
            }
            (3, Content::Bytes(normalizer)) => {
                for field in fields(normalizer) {
                    if let (3, Content::Number(flag)) = field? {
                        model.add_dummy_prefix = flag != 0;
                    }
                }
            }
            _ => {}
        }
    }
    if model.pieces.is_empty() {
        return Err(unreadable());
    }
    Ok(model)
}

impl Model {
    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut text, mut score, mut kind) = (None, 0.0, NORMAL);
        for field in fields(bytes) {
            match field? {
                (1, Content::Bytes(piece)) => text = std::str::from_utf8(piece).ok(),
                (2, Content::Float(value)) if !value.is_nan() => score = f64::from(value),
                (3, Content::Number(value)) => kind = value,
                _ => {}
            }
        }
        if self.pieces.len() >= MOST_PIECES {
            return Err(Error::input("has more pieces than any vocabulary"));
        }
        self.pieces.push(text.ok_or_else(unreadable)?.to_string());
        self.scores.push(score);
        self.kinds.push(kind);
        Ok(())
    }
}

fn assemble(model: Model, written: &Written) -> Result<Tokenizer> {
    if model.model_type != BPE_MODEL {
        return Err(Error::input("is a vocabulary of SentencePiece that is not of merges (BPE)").hint(
            "save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers",
        ));
    }
    let mut vocab = Vocab::default();
    for (piece, id) in model.pieces.iter().zip(0u32..) {
        if vocab.insert(piece.clone(), id).is_some() {
            return Err(Error::input(format!("has a piece twice, the second time as {id}")));
        }
    }
    let mergeable: Vec<bool> = model.kinds.iter().map(|kind| [NORMAL, USER_DEFINED].contains(kind)).collect();
    let merges = merges_of_scores(&model.pieces, &mergeable, &model.scores, &vocab);
    let mut bpe = BPE::builder().vocab_and_merges(vocab, merges).byte_fallback(model.byte_fallback).fuse_unk(true);
    let of =
        |wanted: u64| model.pieces.iter().zip(&model.kinds).filter(move |(_, kind)| **kind == wanted).map(|(p, _)| p);
    if let Some(unknown) = of(UNKNOWN).next() {
        bpe = bpe.unk_token(unknown.clone());
    }
    let wrong = |e: tokenizers::Error| unreadable().cause(e);
    let mut tokenizer = Tokenizer::new(super::guard::run(|| bpe.build())?.map_err(wrong)?);
    let prefix = written.add_prefix_space.unwrap_or(model.add_dummy_prefix);
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let (normalizer, pre_tokenizer) = match (prefix, written.legacy) {
        (false, _) => (spaces, Value::Null),
        // Only the text as a whole begins with a space, not what stands behind a special token.
        (true, Some(false)) => {
            let metaspace =
                json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": false});
            (Value::Null, metaspace)
        }
        (true, _) => {
            (json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, spaces]}), Value::Null)
        }
    };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    tokenizer.with_normalizer(wrapper::<tokenizers::NormalizerWrapper>(normalizer)?).map_err(wrong)?;
    tokenizer.with_pre_tokenizer(wrapper::<tokenizers::PreTokenizerWrapper>(pre_tokenizer)?);
    let decoder = json!({"type": "Sequence", "decoders": decoders});
    tokenizer.with_decoder(wrapper::<tokenizers::DecoderWrapper>(decoder)?);
    let special: Vec<AddedToken> =
        of(UNKNOWN).chain(of(CONTROL)).map(|text| AddedToken::from(text.as_str(), true)).collect();
    let defined: Vec<AddedToken> =
        of(USER_DEFINED).map(|text| AddedToken::from(text.as_str(), false).normalized(false)).collect();
    super::guard::run(|| tokenizer.add_tokens(special.into_iter().chain(defined)))?.map_err(wrong)?;
    Ok(tokenizer)
}

/// What a field of a protocol buffer holds.
enum Content<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message: numbers and contents (<https://protobuf.dev/programming-guides/encoding/>).
fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Content<'_>)>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or_else(unreadable))
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Content<'a>)> {
    let tag = number(rest)?;
    let content = match tag & 7 {
        0 => Content::Number(number(rest)?),
        1 => {
            take(rest, 8)?;
            Content::Other
        }
        2 => {
            let length = usize::try_from(number(rest)?).ok()?;
            Content::Bytes(take(rest, length)?)
        }
        5 => Content::Float(f32::from_le_bytes(take(rest, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((tag >> 3, content))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A number in groups of seven bits, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
