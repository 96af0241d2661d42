//! Reading and using the tokenizers library on files that nobody vouches for.
//!
//! Comes in: the bytes of a `tokenizer.json`, texts. Goes out: a tokenizer, or an error where the file is one that would take memory without
//! bound or where the library panics. Never: what tokens mean.
//!
//! A `tokenizer.json` is a program of sorts: steps that replace text can be put one behind the other, so that ten lines make a
//! gigabyte of one letter. Real ones have a handful of steps that leave a text about as long as it is; so much is asked of all.

use crate::caught::caught;
use crate::error::{Error, Result};
use crate::file;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;
use std::path::Path;
use tokenizers::{ModelWrapper, Tokenizer};

/// Values in the steps around the model for tokens; real ones have some dozens.
const MOST_VALUES: usize = 50_000;

/// Bytes of a text that a step puts in another's place, or before it.
const LONGEST_CONTENT: usize = 1024;

/// How many times as long as it was a text may become, all steps together. SentencePiece's own table of replacements makes a text
/// up to eleven times as long.
const MOST_GROWTH: f64 = 512.0;

/// Tokens that a post-processor may put around a text.
const MOST_AROUND: usize = 4096;

/// Bytes of a token. The longest published ones have some hundreds; the library's tree of tokens is as deep as they are long, and is taken
/// apart level by level.
const LONGEST_TOKEN: usize = 4096;

/// The greatest token id. The library makes lists over all ids up to the greatest; the largest vocabularies have 300 thousand.
const GREATEST_ID: u64 = (1 << 24) - 1;

/// Characters of a word that WordPiece takes apart, which takes time by their square; BERT's own files say 100.
const LONGEST_WORD: usize = 1000;

/// What to do about a file that is refused here.
const HINT: &str =
    "it should be the tokenizer.json of the Hugging Face tokenizers library; fetch it again if it was cut short";

/// Reads a `tokenizer.json`.
pub fn read(path: &Path) -> Result<Tokenizer> {
    let bytes = file::read(path, file::SMALL).map_err(|e| {
        let what = if e.kind() == std::io::ErrorKind::NotFound { "is not there" } else { "cannot read" };
        Error::io(what, path, e)
    })?;
    parse(&bytes).map_err(|e| e.file(path).hint(HINT))
}

/// The tokenizer that JSON describes. Errors name no file.
pub fn parse(bytes: &[u8]) -> Result<Tokenizer> {
    let unreadable =
        |e: &dyn fmt::Display| Error::input(format!("is not a tokenizer that can be read: {}", excerpt(e)));
    let text = std::str::from_utf8(bytes).map_err(|e| unreadable(&e))?;
    let steps: Steps = serde_json::from_str(text).map_err(|e| unreadable(&e))?;
    steps.check()?;
    let tokenizer = run(|| Tokenizer::from_bytes(bytes))?.map_err(|e| unreadable(&e))?;
    match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) if model.max_input_chars_per_word > LONGEST_WORD => {
            Err(Error::input(format!("words of more than {LONGEST_WORD} characters are not split up here"))
                .key("model.max_input_chars_per_word"))
        }
        _ => Ok(tokenizer),
    }
}

/// Runs a piece of the library; its panic is an error.
pub fn run<T>(work: impl FnOnce() -> T) -> Result<T> {
    caught(work).map_err(|message| Error::input(format!("the tokenizers library failed: {message}")))
}

/// What somebody else's message says, shortened: some quote what they were given.
fn excerpt(message: &dyn fmt::Display) -> String {
    let text = message.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The steps around the model for tokens.
#[derive(Default)]
struct Steps {
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Steps, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Steps;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tokenizer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Steps, A::Error> {
                let (mut steps, left) = (Steps::default(), Cell::new(MOST_VALUES));
                while let Some(key) = map.next_key::<String>()? {
                    let step = match key.as_str() {
                        "normalizer" => &mut steps.normalizer,
                        "pre_tokenizer" => &mut steps.pre_tokenizer,
                        "post_processor" => &mut steps.post_processor,
                        "decoder" => &mut steps.decoder,
                        "model" | "added_tokens" => {
                            map.next_value_seed(Vocabulary)?;
                            continue;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if !step.is_null() {
                        return Err(A::Error::custom(format!("`{key}` stands there twice")));
                    }
                    *step = map.next_value_seed(Bounded(&left))?;
                }
                Ok(steps)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Passes over tokens and their ids: none is longer, and none greater, than the library can take.
#[derive(Clone, Copy)]
struct Vocabulary;

impl<'de> DeserializeSeed<'de> for Vocabulary {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Vocabulary {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        if value > GREATEST_ID {
            return Err(E::custom(format!("the number {value} is no token id: the greatest is {GREATEST_ID}")));
        }
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        // A merge has two tokens.
        if value.len() > 2 * LONGEST_TOKEN {
            return Err(E::custom(format!("a token has more than {LONGEST_TOKEN} bytes")));
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// A JSON value, of which so many parts are left to be read: as values they take many times the memory of their text.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| {
            D::Error::custom(format!("the steps around its model have more than {MOST_VALUES} values"))
        })?;
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

impl Steps {
    fn check(&self) -> Result<()> {
        let before = growth(&self.normalizer)? * growth(&self.pre_tokenizer)?;
        for (what, growth) in [("normalizer", before), ("decoder", growth(&self.decoder)?)] {
            if growth > MOST_GROWTH {
                return Err(
                    Error::input("makes texts longer without bound: its replacements multiply each other").key(what)
                );
            }
        }
        let (copies, around) = around(&self.post_processor);
        if copies > 1.0 || around > MOST_AROUND {
            return Err(Error::input("writes texts several times, or puts thousands of tokens around them")
                .key("post_processor"));
        }
        Ok(())
    }
}

/// The steps that a sequence has.
fn steps(step: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["normalizers", "pretokenizers", "decoders", "processors"];
    lists.into_iter().filter_map(|list| step.get(list)?.as_array()).flatten()
}

fn text<'a>(step: &'a Value, key: &str) -> &'a str {
    step.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// How many times as long a step can make a text, at most.
fn growth(step: &Value) -> Result<f64> {
    let content = text(step, "content").len().max(text(step, "prepend").len());
    if content > LONGEST_CONTENT {
        return Err(Error::input(format!("one of its steps puts in texts of {content} bytes")));
    }
    Ok(match text(step, "type") {
        "Sequence" => steps(step).try_fold(1.0, |product, step| growth(step).map(|growth| product * growth))?,
        "Replace" => replacement(step, content),
        "Precompiled" => table(text(step, "precompiled_charsmap"))?,
        "ByteLevel" | "BertNormalizer" => 2.0,
        // An empty text stands between any two letters.
        "BPEDecoder" if text(step, "suffix").is_empty() => 2.0,
        "CTC" if text(step, "word_delimiter_token").is_empty() => 2.0,
        _ => 1.0,
    })
}

/// How much longer a text becomes when each match of a pattern is replaced.
fn replacement(step: &Value, content: usize) -> f64 {
    let pattern = step.get("pattern");
    let string = pattern.and_then(|pattern| pattern.as_str().or_else(|| pattern.get("String")?.as_str()));
    if let Some(string) = string.filter(|string| !string.is_empty()) {
        return (content as f64 / string.len() as f64).max(1.0);
    }
    let regex = pattern.and_then(|pattern| pattern.get("Regex")?.as_str()).unwrap_or_default();
    let matches_nothing = fancy_regex::Regex::new(regex)
        .map_or(true, |regex| regex.is_match("").unwrap_or(true) || regex.is_match(" a").is_err());
    // A pattern that matches an empty text does so before every letter.
    if matches_nothing { 1.0 + content as f64 } else { (content as f64).max(1.0) }
}

/// SentencePiece's table of replacements: a trie with its length before it, then the texts that replace others, each ended by a nought.
/// The library makes room for as many entries as the length says.
fn table(base64: &str) -> Result<f64> {
    let wrong = |what: &str| Error::input(format!("its precompiled_charsmap {what}"));
    let bytes = decoded(base64).ok_or_else(|| wrong("is not base64"))?;
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return if bytes.is_empty() { Ok(1.0) } else { Err(wrong("is cut short")) };
    };
    let length = u32::from_le_bytes(*length) as usize;
    let texts = rest.get(length..).ok_or_else(|| wrong(&format!("claims {length} bytes of its {}", rest.len())))?;
    let longest = texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0);
    if longest > LONGEST_CONTENT {
        return Err(wrong(&format!("puts in texts of {longest} bytes")));
    }
    Ok((longest as f64).max(1.0))
}

/// The bytes of base64; `None` where it is none.
fn decoded(base64: &str) -> Option<Vec<u8>> {
    let digits = base64.trim_end_matches('=').bytes();
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

/// How often a post-processor writes a text, and how many tokens it puts around one.
fn around(step: &Value) -> (f64, usize) {
    match text(step, "type") {
        "Sequence" => steps(step).map(around).fold((1.0, 0), |(copies, tokens), (c, t)| (copies * c, tokens + t)),
        "TemplateProcessing" => {
            let single = step.get("single").and_then(Value::as_array).into_iter().flatten();
            let (sequences, special): (Vec<&Value>, Vec<&Value>) =
                single.partition(|piece| piece.get("Sequence").is_some());
            let ids = |piece: &&Value| {
                let name = piece.get("SpecialToken").map_or("", |token| text(token, "id"));
                let ids = step.get("special_tokens").and_then(|tokens| tokens.get(name)?.get("ids")?.as_array());
                ids.map_or(1, Vec::len)
            };
            (sequences.len() as f64, special.iter().map(ids).sum())
        }
        _ => (1.0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tokenizer(change: impl FnOnce(&mut Value)) -> Result<Tokenizer> {
        let mut value = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}
        });
        change(&mut value);
        parse(value.to_string().as_bytes())
    }

    fn says(change: impl FnOnce(&mut Value), part: &str) {
        let err = tokenizer(change).map(drop).expect_err("should be refused").to_string();
        assert!(err.contains(part) && err.len() < 600, "{part}: {err}");
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    /// Found by fuzzing: both ended the process.
    #[test]
    fn tokens_and_ids_that_the_library_cannot_take_are_refused() {
        let long = "Contiguous".repeat(4000);
        let unigram = json!({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], [long, -1.0]]});
        says(|t| t["model"] = unigram, "more than 4096 bytes");
        for id in [1_u64 << 24, 1 << 31, u64::from(u32::MAX)] {
            says(|t| t["model"]["vocab"]["odd"] = json!(id), "is no token id");
            let added = json!([{"id": id, "content": "<x>", "special": true}]);
            says(|t| t["added_tokens"] = added, "is no token id");
        }
    }

    #[test]
    fn steps_that_multiply_texts_are_refused() {
        let doubling: Vec<Value> = (0..40).map(|_| replace(json!({"String": "a"}), "aa")).collect();
        says(
            |t| t["normalizer"] = json!({"type": "Sequence", "normalizers": doubling}),
            "normalizer: makes texts longer",
        );
        says(|t| t["decoder"] = json!({"type": "Sequence", "decoders": doubling}), "decoder: makes texts longer");
        let nested = json!({"type": "Sequence", "normalizers": [json!({"type": "Sequence", "normalizers": doubling})]});
        says(|t| t["normalizer"] = nested, "makes texts longer");
        let everywhere: Vec<Value> = (0..20).map(|_| replace(json!({"Regex": "a*"}), "bb")).collect();
        says(|t| t["normalizer"] = json!({"type": "Sequence", "normalizers": everywhere}), "makes texts longer");
        let between: Vec<Value> = (0..30).map(|_| json!({"type": "BPEDecoder", "suffix": ""})).collect();
        says(|t| t["decoder"] = json!({"type": "Sequence", "decoders": between}), "makes texts longer");
        says(|t| t["normalizer"] = replace(json!({"String": "a"}), &"b".repeat(5000)), "puts in texts of 5000 bytes");
        says(
            |t| t["normalizer"] = json!({"type": "Prepend", "prepend": "b".repeat(5000)}),
            "puts in texts of 5000 bytes",
        );
        let piece = json!({"Sequence": {"id": "A", "type_id": 0}});
        let twice = json!({"type": "TemplateProcessing", "single": [piece, piece], "pair": [], "special_tokens": {}});
        says(|t| t["post_processor"] = twice, "post_processor: writes texts several times");
        // What real tokenizers have.
        let llama = json!([{"type": "Prepend", "prepend": "\u{2581}"}, replace(json!({"String": " "}), "\u{2581}")]);
        tokenizer(|t| t["normalizer"] = json!({"type": "Sequence", "normalizers": llama})).unwrap();
        let albert = [replace(json!({"String": "``"}), "\""), replace(json!({"Regex": " {2,}"}), " ")];
        tokenizer(|t| t["normalizer"] = json!({"type": "Sequence", "normalizers": albert})).unwrap();
    }

    #[test]
    fn tables_and_steps_are_bounded() {
        // 0xfffffff0 bytes of trie in a file of four.
        says(
            |t| t["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "8P///w=="}),
            "claims 4294967280 bytes",
        );
        says(|t| t["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "?"}), "is not base64");
        says(|t| t["pre_tokenizer"] = json!({"pretokenizers": vec![1; MOST_VALUES + 1]}), "more than 50000 values");
        says(|t| t["model"] = json!(7), "is not a tokenizer");
    }

    #[test]
    fn panics_of_the_library_are_errors() {
        // A trie whose first unit points outside of it: the library looks there when it normalises.
        let trie = json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAP///38="});
        let made = tokenizer(|t| t["normalizer"] = trie);
        let failed = match made {
            Err(err) => err.to_string(),
            Ok(made) => match run(|| made.encode_fast("abc", false)) {
                Err(err) => err.to_string(),
                Ok(encoded) => encoded.err().map_or_else(String::new, |e| e.to_string()),
            },
        };
        assert!(!failed.is_empty());
        assert!(run(|| -> u8 { panic!("a library") }).unwrap_err().to_string().contains("failed: a library"));
    }
}
