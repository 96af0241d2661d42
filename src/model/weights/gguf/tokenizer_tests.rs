//! Tokenizers of GGUF headers against the `tokenizer.json` of the same vocabularies.

use super::testing::Writer;
use super::*;
use crate::model::testing::{fixture, shared, shared_model};
use serde_json::Value;

/// Texts of the published vectors.
fn texts() -> Option<Vec<String>> {
    let path = shared()?.join("tokenizers/vectors.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Some(serde_json::from_value(vectors["texts"].clone()).unwrap())
}

fn ids(tokenizer: &tokenizers::Tokenizer, text: &str, special: bool) -> Vec<u32> {
    tokenizer.encode(text, special).unwrap().get_ids().to_vec()
}

/// Both give the same ids, and the same text back.
fn same(name: &str, ours: &tokenizers::Tokenizer, theirs: &tokenizers::Tokenizer, texts: &[String], special: bool) {
    for text in texts {
        let (a, b) = (ids(ours, text, special), ids(theirs, text, special));
        assert_eq!(a, b, "{name}: {text:?}");
        for skip in [false, true] {
            assert_eq!(ours.decode(&a, skip).unwrap(), theirs.decode(&b, skip).unwrap(), "{name}: {text:?}");
        }
    }
    assert_eq!(ours.get_vocab_size(true), theirs.get_vocab_size(true));
}

#[test]
fn converted_tokenizers_are_those_of_the_checkpoints() {
    let Some(mut texts) = texts() else { return };
    texts.push("Once upon a time, <s>there was</s> a  little   girl.\n".to_string());
    for name in ["stories260K", "llama2xs-279K"] {
        let Some(dir) = shared_model(name) else { return };
        let gguf = Gguf::open(&dir.join(format!("{name}-q8_0.gguf"))).unwrap();
        let ours = tokenizer(gguf.metadata()).unwrap();
        assert_eq!((ours.bos, ours.eos, ours.pad, ours.adds_bos), (Some(1), Some(2), None, true));
        assert_eq!((ours.chat_template, ours.notice), (None, None));
        let theirs = tokenizers::Tokenizer::from_file(dir.join("tokenizer.json")).unwrap();
        same(name, &ours.inner, &theirs, &texts, true);
    }
}

// tests/fixtures/make_gguf.py: ids of Hugging Face's tokenizers.
#[test]
fn tokenizers_of_fixtures_give_the_reference_ids() {
    let table: Value = serde_json::from_slice(&std::fs::read(fixture("gguf/tokenizers.json")).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(table["texts"].clone()).unwrap();
    let check = |name: &str, kind: &str, special: bool, tokenizer: &tokenizers::Tokenizer| {
        let expected: Vec<Vec<u32>> = serde_json::from_value(table[name][kind].clone()).unwrap();
        for (text, expected) in texts.iter().zip(expected) {
            // The references leave out what the published tokenizers of these families do: Llama's take the names of control
            // tokens for the tokens, Qwen's compose characters (`published_vocabularies_give_the_same_ids`).
            if text.contains(if name == "llama-mixed" { "<s>" } else { "e\u{301}" }) {
                continue;
            }
            assert_eq!(ids(tokenizer, text, special), expected, "{name} {kind}: {text:?}");
        }
    };
    for name in ["llama-mixed", "qwen2-bpe"] {
        let gguf = Gguf::open(&fixture("gguf").join(format!("{name}.gguf"))).unwrap();
        let tokenizer = tokenizer(gguf.metadata()).unwrap();
        check(name, "plain", false, &tokenizer.inner);
        if name == "llama-mixed" {
            check(name, "special", true, &tokenizer.inner);
        } else {
            let chat = chat_template(gguf.metadata().file()).unwrap();
            assert_eq!((chat.is_some(), &chat), (true, &tokenizer.chat_template));
        }
    }
}

/// The scores in SentencePiece's own file: a message of pieces (field 1), each with its text (1), score (2) and type (3).
fn scores(file: &Path) -> Option<Vec<f32>> {
    let bytes = std::fs::read(file).ok()?;
    let (mut rest, mut scores) = (&bytes[..], Vec::new());
    while let [0x0a, length, left @ ..] = rest {
        // No piece takes as many bytes as would need a longer length.
        assert!(*length < 128);
        let (piece, left) = left.split_at(usize::from(*length));
        let text = usize::from(piece[1]);
        assert_eq!((piece[0], piece[2 + text]), (0x0a, 0x15));
        scores.push(f32::from_le_bytes(piece[3 + text..7 + text].try_into().unwrap()));
        rest = left;
    }
    Some(scores)
}

/// The header that llama.cpp's converter writes for a `tokenizer.json`.
fn header(family: &str, model: &str, pre: &str) -> Option<(Writer, tokenizers::Tokenizer)> {
    let file = shared()?.join("tokenizers").join(family).join("tokenizer.json");
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut tokens: Vec<(String, i32)> = Vec::new();
    let mut put = |id: &Value, text: &str, kind: i32| {
        let id = id.as_u64().unwrap() as usize;
        tokens.resize(tokens.len().max(id + 1), (String::new(), 5));
        tokens[id] = (text.to_string(), kind);
    };
    for (text, id) in json["model"]["vocab"].as_object().unwrap() {
        let byte = text.len() == 6 && text.starts_with("<0x");
        put(id, text, if byte { 6 } else { 1 });
    }
    for token in json["added_tokens"].as_array().unwrap() {
        let kind = if token["special"] == true { 3 } else { 4 };
        put(&token["id"], token["content"].as_str().unwrap(), kind);
    }
    // transformers puts the character where SentencePiece has its byte.
    if model == "llama"
        && let Some(tab) = tokens.iter_mut().find(|(text, _)| text == "\t")
    {
        *tab = ("<0x09>".to_string(), 6);
    }
    let mut writer = Writer::new("llama");
    writer.text("tokenizer.ggml.model", model).text("tokenizer.ggml.pre", pre);
    writer.texts("tokenizer.ggml.tokens", &tokens.iter().map(|(text, _)| text).collect::<Vec<_>>());
    writer.integers("tokenizer.ggml.token_type", &tokens.iter().map(|(_, kind)| *kind).collect::<Vec<_>>());
    if model == "llama" {
        // Where SentencePiece's own file is not there: scores of BPE pieces fall with their ids.
        let scores = scores(&file.with_file_name("tokenizer.model"));
        let scores = scores.unwrap_or_else(|| (0..tokens.len()).map(|id| -(id as f32)).collect());
        writer.numbers("tokenizer.ggml.scores", &scores);
    } else {
        let merge = |pair: &Value| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let merges: Vec<String> = json["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
        writer.texts("tokenizer.ggml.merges", &merges);
    }
    Some((writer, tokenizers::Tokenizer::from_file(file).unwrap()))
}

/// The tokenizer of a header.
fn read(writer: &Writer) -> Result<GgufTokenizer> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.gguf");
    writer.save(&file);
    tokenizer(Gguf::open(&file)?.metadata())
}

#[test]
fn published_vocabularies_give_the_same_ids() {
    let Some(texts) = texts() else { return };
    for (family, model, pre) in [
        ("llama2", "llama", "default"),
        ("gemma", "llama", "default"),
        ("gpt2", "gpt2", "gpt-2"),
        ("gpt-neox", "gpt2", "olmo"),
        ("llama3", "gpt2", "llama-bpe"),
        ("qwen2", "gpt2", "qwen2"),
    ] {
        let Some((mut writer, theirs)) = header(family, model, pre) else { return };
        if family == "gemma" {
            writer.flag("tokenizer.ggml.add_space_prefix", false).flag("tokenizer.ggml.add_bos_token", false);
        }
        let ours = read(&writer).unwrap();
        assert_eq!(ours.adds_bos, family == "llama2", "{family}");
        same(family, &ours.inner, &theirs, &texts, false);
    }
}

/// A small SentencePiece vocabulary.
fn small() -> Writer {
    let mut writer = Writer::new("llama");
    writer.text("tokenizer.ggml.model", "llama");
    writer.texts("tokenizer.ggml.tokens", &["<unk>", "<s>", "</s>", "<0x41>", "\u{2581}", "a", "b", "ab", "<end>"]);
    writer.integers("tokenizer.ggml.token_type", &[2, 3, 3, 6, 1, 1, 1, 1, 4]);
    writer.numbers("tokenizer.ggml.scores", &[0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -1.5, 0.0]);
    writer
}

#[test]
fn tokens_are_put_around_texts_as_the_header_says() {
    let mut writer = small();
    let tokenizer = read(&writer).unwrap();
    assert_eq!(ids(&tokenizer.inner, "ab A", true), [1, 4, 7, 4, 3]);
    assert_eq!(ids(&tokenizer.inner, "ab<end>a", false), [4, 7, 8, 4, 5]);
    writer.flag("tokenizer.ggml.add_bos_token", false).flag("tokenizer.ggml.add_eos_token", true);
    writer.count("tokenizer.ggml.eos_token_id", 8).count("tokenizer.ggml.padding_token_id", 0);
    writer.text("tokenizer.chat_template", "{{ messages }}");
    let tokenizer = read(&writer).unwrap();
    assert_eq!(ids(&tokenizer.inner, "a", true), [4, 5, 8]);
    assert_eq!((tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.adds_bos), (Some(1), Some(8), Some(0), false));
    assert_eq!(tokenizer.chat_template.as_deref(), Some("{{ messages }}"));
    // Scores that are all the same: pieces were learned in the order of their ids.
    let mut writer = Writer::new("llama");
    writer.text("tokenizer.ggml.model", "llama").flag("tokenizer.ggml.add_space_prefix", false);
    writer.texts("tokenizer.ggml.tokens", &["<unk>", "<s>", "</s>", "a", "b", "c", "bc", "ab"]);
    writer.numbers("tokenizer.ggml.scores", &[-1000.0; 8]);
    assert_eq!(ids(&read(&writer).unwrap().inner, "abc", false), [3, 6]);
}

#[test]
fn missing_rules_for_words_are_guessed_aloud() {
    let mut writer = Writer::new("qwen2");
    writer.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", &["a", "1", "2", "12"]);
    writer.texts("tokenizer.ggml.merges", &["1 2"]);
    let tokenizer = read(&writer).unwrap();
    assert_eq!(ids(&tokenizer.inner, "12", true), [1, 2], "Qwen splits digits");
    assert!(tokenizer.notice.unwrap().contains("`qwen2`"));
    writer.text("tokenizer.ggml.pre", "gpt-2");
    let tokenizer = read(&writer).unwrap();
    assert_eq!((ids(&tokenizer.inner, "12", true), tokenizer.notice), (vec![3], None));
}

#[test]
fn wrong_tokenizers_are_refused() {
    type Change = fn(&mut Writer) -> &mut Writer;
    let changes: [(Change, &str); 9] = [
        (|w| w.text("tokenizer.ggml.model", "bert"), "stands twice"),
        (|w| w.count("tokenizer.ggml.bos_token_id", 9), "the token 9 of 9"),
        (|w| w.raw("tokenizer.ggml.eos_token_id", 5, &(-1_i32).to_le_bytes()), "0 or more"),
        (|w| w.count("tokenizer.ggml.add_bos_token", 1), "true or false"),
        (|w| bare(w, &[("tokenizer.ggml.model", "bert")]), "`bert` is not supported"),
        (|w| bare(w, &[("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "dodo")]), "`dodo` is not known"),
        (|w| bare(w, &[("tokenizer.ggml.model", "gpt2")]), "merges: is missing"),
        (|w| bare(w, &[("tokenizer.ggml.model", "llama")]), "scores: is missing"),
        (|w| w.texts("tokenizer.ggml.scores", &["x"]), "stands twice"),
    ];
    for (change, part) in changes {
        let mut writer = small();
        change(&mut writer);
        let err = read(&writer).err().expect(part).to_string();
        assert!(err.contains(part) && err.contains("x.gguf") && err.contains("tokenizer."), "{part}: {err}");
    }
    let lists = |tokens: &[&str], types: &[i32], merges: &[&str]| {
        let mut writer = Writer::new("llama");
        writer.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
        writer.texts("tokenizer.ggml.tokens", tokens).integers("tokenizer.ggml.token_type", types);
        writer.texts("tokenizer.ggml.merges", merges);
        read(&writer).err().expect("should be refused").to_string()
    };
    assert!(lists(&["a", "a"], &[1, 1], &[]).contains("are both"));
    assert!(lists(&["a"], &[1, 1], &[]).contains("2 types for 1 tokens"));
    assert!(lists(&[], &[], &[]).contains("has no tokens"));
    assert!(lists(&["a", "b"], &[1, 1], &["ab"]).contains("not two tokens"));
    assert!(lists(&["a", "b"], &[1, 1], &["a b"]).contains("do not give a token"));
    assert!(read(&Writer::new("llama")).err().unwrap().to_string().contains("has no tokenizer"));
}

/// Begins anew with some texts and a few tokens.
fn bare<'a>(writer: &'a mut Writer, texts: &[(&str, &str)]) -> &'a mut Writer {
    *writer = Writer::new("llama");
    for (key, value) in texts {
        writer.text(key, value);
    }
    writer.texts("tokenizer.ggml.tokens", &["a", "b", "c"])
}
