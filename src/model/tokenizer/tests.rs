//! Tokenizers of whole folders, against ids of transformers.

use super::*;
use crate::model::testing::{copy_model, fixture, shared};
use serde_json::{Value, json};

fn load(dir: &Path) -> Result<Tokenizer> {
    Tokenizer::load(dir, &ModelConfig::load(dir)?)
}

fn change(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

#[test]
fn bos_comes_from_the_files() {
    let Some(model) = copy_model("stories260K") else { return };
    let dir = model.path();
    let ids = |special| load(dir).unwrap().encode("Once upon a time", special).unwrap();
    // prompt_ids of the model's reference.json
    assert_eq!(ids(true), [1, 403, 407, 261, 378]);
    assert_eq!(ids(false), [403, 407, 261, 378]);
    change(dir, TOKENIZER, |t| t["post_processor"] = Value::Null);
    assert_eq!(ids(true), [403, 407, 261, 378]);
    change(dir, TOKENIZER_CONFIG, |c| c["add_bos_token"] = json!(true));
    assert_eq!(ids(true), [1, 403, 407, 261, 378]);
}

#[test]
fn headers_of_gguf_files_have_tokenizers() {
    let Some(model) = copy_model("stories260K") else { return };
    let mut config = ModelConfig::load(model.path()).unwrap();
    let file = model.path().join("stories260K-q8_0.gguf");
    let tokenizer = Tokenizer::load(&file, &config).unwrap();
    let ids = tokenizer.encode("Once upon a time", true).unwrap();
    assert_eq!(ids, [1, 403, 407, 261, 378]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "Once upon a time");
    assert_eq!(tokenizer.prefix(), Some(&SpecialToken { id: 1, text: "<s>".into() }));
    assert_eq!((tokenizer.eos.unwrap().text.as_str(), tokenizer.pad), ("</s>", None));
    config.vocab_size = 500;
    let err = Tokenizer::load(&file, &config).err().unwrap().to_string();
    assert!(err.contains("stories260K-q8_0.gguf") && err.contains("vocabulary has 500"), "{err}");
}

#[test]
fn a_tokenizer_may_stand_alone() {
    let Some(model) = copy_model("stories260K") else { return };
    let dir = model.path();
    let expected = load(dir).unwrap();
    for path in [dir.to_path_buf(), dir.join(TOKENIZER)] {
        let found = Tokenizer::alone(&path).unwrap();
        assert_eq!(found.encode("Once upon a time", true).unwrap(), [1, 403, 407, 261, 378]);
        assert_eq!((&found.bos, &found.eos), (&expected.bos, &expected.eos));
        assert_eq!(found.fingerprint().unwrap(), expected.fingerprint().unwrap());
    }
    std::fs::remove_file(dir.join("config.json")).unwrap();
    assert_eq!(Tokenizer::alone(dir).unwrap().bos, expected.bos);
    assert!(Tokenizer::alone(&dir.join("none.json")).is_err());
    let Some(other) = copy_model("tiny-gemma") else { return };
    assert_ne!(Tokenizer::alone(other.path()).unwrap().fingerprint().unwrap(), expected.fingerprint().unwrap());
}

#[test]
fn special_tokens_are_strings_or_objects() {
    let Some(model) = copy_model("tiny-gemma") else { return };
    let dir = model.path();
    change(dir, TOKENIZER_CONFIG, |c| {
        c["bos_token"] = json!({"__type": "AddedToken", "content": "<bos>", "lstrip": false});
        c["eos_token"] = Value::Null;
        c["model_max_length"] = json!(1e30);
    });
    let tokenizer = load(dir).unwrap();
    assert_eq!(tokenizer.bos, Some(SpecialToken { id: 2, text: "<bos>".into() }));
    assert_eq!(tokenizer.eos.as_ref().unwrap().text, "<eos>", "from config.json");
    assert_eq!(tokenizer.max_length, None);
    assert!(!tokenizer.bos_contradiction);
    change(dir, TOKENIZER_CONFIG, |c| c["add_bos_token"] = json!(false));
    let tokenizer = load(dir).unwrap();
    assert!(tokenizer.bos_contradiction);
    assert_eq!(tokenizer.encode("x", true).unwrap()[0], 2, "the post-processor decides");
}

#[test]
fn wrong_tokenizers_are_refused() {
    let Some(model) = copy_model("tiny-gemma") else { return };
    let dir = model.path();
    let says = |part: &str| {
        let err = load(dir).err().expect("should be refused").to_string();
        assert!(err.contains(part) && err.contains("tokenizer.json") && err.contains("hint:"), "{part}: {err}");
    };
    change(dir, "config.json", |c| c["vocab_size"] = json!(4000));
    says("vocabulary has 4000");
    std::fs::write(dir.join(TOKENIZER), "{\"version\": 1").unwrap();
    says("is not a tokenizer");
    std::fs::write(dir.join(TOKENIZER), b"{\"version\": \"\xff\"}").unwrap();
    says("is not a tokenizer");
    std::fs::remove_file(dir.join(TOKENIZER)).unwrap();
    says("is not there");
}

#[test]
fn ids_equal_the_published_vectors() {
    let Some(shared) = shared() else { return };
    let path = shared.join("tokenizers/vectors.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(vectors["texts"].clone()).unwrap();
    for family in ["llama2", "gemma"] {
        let tokenizer = guard::read(&shared.join("tokenizers").join(family).join(TOKENIZER)).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(vectors["ids"][family].clone()).unwrap();
        assert_eq!(texts.len(), expected.len());
        for (text, expected) in texts.iter().zip(expected) {
            assert_eq!(tokenizer.encode(text.as_str(), false).unwrap().get_ids(), expected, "{family}: {text:?}");
        }
    }
}

/// A vocabulary of letters, a few signs and two markers, in which markers are put together of nothing.
fn letters() -> Value {
    let mut pieces: Vec<String> = ["<unk>", "\u{2581}", "\n"].map(str::to_string).into();
    pieces.extend(('a'..='z').chain("<>|_/".chars()).map(String::from));
    pieces.extend(["<|im_start|>", "<|im_end|>"].map(str::to_string));
    let vocab: serde_json::Map<String, Value> =
        pieces.into_iter().zip(0..).map(|(piece, id)| (piece, json!(id))).collect();
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
    let normalizers = json!([{"type": "Prepend", "prepend": "\u{2581}"}, spaces]);
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "vocab": vocab, "merges": []}
    })
}

/// Ids of a text by the tokenizer of a folder with these files beside its `tokenizer.json`.
fn ids_with(config: &Value, beside: &[(&str, Value)]) -> (Vec<u32>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    write(TOKENIZER, &letters());
    write(TOKENIZER_CONFIG, config);
    beside.iter().for_each(|(name, value)| write(name, value));
    let tokenizer = Tokenizer::alone(dir.path()).unwrap();
    let ids = tokenizer.encode("a <|im_start|> b<|im_end|>\nab abc <pad>", false).unwrap();
    (ids, tokenizer.torn_markers("{{ '<|im_start|>' }} <|im_end|> <nothing>").unwrap())
}

// Expected ids: AutoTokenizer of transformers 5.24 on the same files, tokenizer_class PreTrainedTokenizerFast.
#[test]
fn added_tokens_stand_in_other_files() {
    let token = |content: &str| json!({"content": content, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true});
    let with = |content: &str, key: &str, value: bool| {
        let mut token = token(content);
        token[key] = json!(value);
        token
    };
    let (start, end) = ("<|im_start|>", "<|im_end|>");
    let mut word = with("ab", "single_word", true);
    word["special"] = json!(false);
    let mut normalized = with(start, "normalized", true);
    normalized["special"] = json!(false);
    let listed = json!({start: 34, end: 35});
    let mut object = with(end, "rstrip", true);
    object["__type"] = json!("AddedToken");
    let map = json!({"eos_token": with(end, "rstrip", true), "additional_special_tokens": [start]});
    /// A token, the files that name it, and the ids of the text.
    type Named<'a> = (Value, &'a [(&'a str, Value)], &'a [u32]);
    let cases: &[Named<'_>] = &[
        (json!({}), &[], &NOTHING),
        (json!({"added_tokens_decoder": {"34": token(start), "35": token(end)}}), &[], &BOTH),
        (
            json!({"added_tokens_decoder": {"34": with(start, "lstrip", true), "35": with(end, "rstrip", true)}}),
            &[],
            &[1, 3, 34, 1, 1, 4, 35, 1, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30],
        ),
        (
            json!({"added_tokens_decoder": {"34": token(start), "35": word}}),
            &[],
            &[1, 3, 1, 34, 1, 1, 4, 29, 31, 11, 15, 32, 7, 16, 6, 31, 30, 2, 36, 1, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30],
        ),
        (json!({"added_tokens_decoder": {"34": normalized}}), &[], &NORMALIZED),
        (json!({}), &[(ADDED_TOKENS, listed.clone())], &NORMALIZED),
        (
            json!({"eos_token": end}),
            &[(ADDED_TOKENS, listed)],
            &[1, 3, 34, 1, 4, 35, 1, 2, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30],
        ),
        (
            json!({"eos_token": object}),
            &[],
            &[
                1, 3, 1, 29, 31, 11, 15, 32, 21, 22, 3, 20, 22, 31, 30, 1, 4, 35, 1, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6,
                30,
            ],
        ),
        (
            json!({}),
            &[(SPECIAL_TOKENS_MAP, map)],
            &[1, 3, 1, 34, 1, 1, 4, 35, 1, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30],
        ),
        (json!({"extra_special_tokens": [start, end]}), &[], &BOTH),
        (
            json!({"extra_special_tokens": {"image_token": start}}),
            &[],
            &[1, 3, 1, 34, 1, 1, 4, 29, 31, 11, 15, 32, 7, 16, 6, 31, 30, 2, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30],
        ),
        (
            json!({"pad_token": "<pad>"}),
            &[],
            &[
                1, 3, 1, 29, 31, 11, 15, 32, 21, 22, 3, 20, 22, 31, 30, 1, 4, 29, 31, 11, 15, 32, 7, 16, 6, 31, 30, 2,
                3, 4, 1, 3, 4, 5, 1, 36,
            ],
        ),
    ];
    for (config, beside, expected) in cases {
        assert_eq!(ids_with(config, beside).0, *expected, "{config} {beside:?}");
    }
    // The alarm for what no file says.
    assert_eq!(ids_with(&json!({}), &[]).1, [end, start]);
    assert_eq!(ids_with(&json!({"extra_special_tokens": [start, end]}), &[]).1, [""; 0]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(TOKENIZER), letters().to_string()).unwrap();
    let decoder = json!({"added_tokens_decoder": {"99": token("<new>")}});
    std::fs::write(dir.path().join(TOKENIZER_CONFIG), decoder.to_string()).unwrap();
    let tokenizer = Tokenizer::alone(dir.path()).unwrap();
    assert!(tokenizer.notices[0].contains("36, not 99"), "{:?}", tokenizer.notices);
}

const NOTHING: [u32; 40] = [
    1, 3, 1, 29, 31, 11, 15, 32, 21, 22, 3, 20, 22, 31, 30, 1, 4, 29, 31, 11, 15, 32, 7, 16, 6, 31, 30, 2, 3, 4, 1, 3,
    4, 5, 1, 29, 18, 3, 6, 30,
];
const BOTH: [u32; 22] = [1, 3, 1, 34, 1, 1, 4, 35, 1, 2, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30];
const NORMALIZED: [u32; 28] =
    [1, 3, 34, 1, 4, 29, 31, 11, 15, 32, 7, 16, 6, 31, 30, 2, 3, 4, 1, 3, 4, 5, 1, 29, 18, 3, 6, 30];

#[test]
fn an_added_token_without_a_row_is_noted_and_other_vocabularies_are_refused() {
    let mut tokenizer = guard::parse(letters().to_string().as_bytes()).unwrap();
    tokenizer.add_tokens([tokenizers::AddedToken::from("[PAD]", true)]).unwrap();
    assert_eq!(check_size(&tokenizer, 37).unwrap(), None);
    assert!(check_size(&tokenizer, 36).unwrap().unwrap().contains("\"[PAD]\" (id 36) has no row"));
    assert!(check_size(&tokenizer, 30).unwrap_err().to_string().contains("vocabulary has 30"));
}

// tests/fixtures/make_tokenizers.py: ids by SentencePiece itself.
#[test]
fn files_of_sentencepiece_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let model = std::fs::read(fixture("tokenizers/sentencepiece.model")).unwrap();
    std::fs::write(dir.path().join(MODEL), &model).unwrap();
    std::fs::write(dir.path().join(TOKENIZER_CONFIG), r#"{"bos_token": "<s>", "eos_token": "</s>"}"#).unwrap();
    let tokenizer = Tokenizer::alone(dir.path()).unwrap();
    let texts: &[(&str, &[u32])] = &[
        ("the sailor told", &[263, 293, 291]),
        (" there was", &[307, 263, 313, 308, 279, 310, 317]),
        ("a\n\nb  c", &[264, 15, 15, 320, 307, 277]),
        ("\u{e9} \u{65e5} tall ship", &[307, 200, 174, 307, 235, 156, 170, 261, 285, 265, 281, 321]),
    ];
    for (text, expected) in texts {
        assert_eq!(tokenizer.encode(text, false).unwrap(), *expected, "{text:?}");
        assert_eq!(tokenizer.encode(text, true).unwrap()[0], 1, "BOS");
        assert_eq!(tokenizer.decode(expected, true).unwrap(), *text);
    }
    // Cut short anywhere it is refused or read, and nothing panics.
    for length in (0..model.len()).step_by(97) {
        std::fs::write(dir.path().join(MODEL), &model[..length]).unwrap();
        if let Err(err) = Tokenizer::alone(dir.path()) {
            assert!(err.to_string().contains("tokenizer.model"), "{err}");
        }
    }
    std::fs::write(dir.path().join(MODEL), "IQ== 0\nIg== 1\n").unwrap();
    assert!(Tokenizer::alone(dir.path()).err().unwrap().to_string().contains("tiktoken"));
}

// Expected ids: Qwen2Tokenizer of transformers 5.24 with these two files.
#[test]
fn vocab_with_merges_is_read_where_the_class_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        VOCAB,
        r#"{"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120ab": 4, "1": 5, "2": 6, "<|endoftext|>": 7, "\u010a": 8}"#,
    );
    write(MERGES, "#version: 0.2\na b\n\u{120} ab\n");
    let class = |class: &str| {
        write(TOKENIZER_CONFIG, &json!({"tokenizer_class": class, "eos_token": "<|endoftext|>"}).to_string())
    };
    class("Qwen2Tokenizer");
    let tokenizer = Tokenizer::alone(dir.path()).unwrap();
    assert_eq!(tokenizer.encode("ab ab12\nb<|endoftext|>a", true).unwrap(), [3, 4, 5, 6, 8, 1, 7, 0]);
    class("LlamaTokenizer");
    let err = Tokenizer::alone(dir.path()).err().unwrap().to_string();
    assert!(err.contains("`LlamaTokenizer`") && err.contains("hint:"), "{err}");
    std::fs::remove_file(dir.path().join(MERGES)).unwrap();
    let err = Tokenizer::alone(dir.path()).err().unwrap().to_string();
    assert!(err.contains("there is vocab.json"), "{err}");
}
