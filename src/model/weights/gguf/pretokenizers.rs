//! How byte-level tokenizers cut texts into words, by the names that llama.cpp gives the rules.
//!
//! The rules are those of the models' `tokenizer.json`, which llama.cpp quotes (`src/llama-vocab.cpp`) where it had to rewrite
//! them. Where llama.cpp leaves out a normaliser that the model has (NFC), it is here.

/// A rule.
pub struct PreTokenizer {
    /// Values of `tokenizer.ggml.pre`.
    pub names: &'static [&'static str],
    /// What is cut off, one after the other; every match is a word, and so is what lies between.
    pub splits: &'static [&'static str],
    /// GPT-2's words come after that.
    pub gpt2_words: bool,
    pub nfc: bool,
    /// A word that is a token is not put together of merges.
    pub ignore_merges: bool,
    /// BOS goes in front where the file does not say.
    pub adds_bos: bool,
}

const DIGIT: &str = r"\p{N}";

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

const SEED_CODER: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";

const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

const GPT2: PreTokenizer =
    PreTokenizer { names: &[], splits: &[], gpt2_words: true, nfc: false, ignore_merges: false, adds_bos: false };

const WHOLE: PreTokenizer = PreTokenizer { gpt2_words: false, ..GPT2 };

/// All rules. A new one is a row.
pub const ALL: &[PreTokenizer] = &[
    PreTokenizer { names: &["gpt-2", "phi-2", "mpt", "trillion", "gigachat", "a.x-4.0", "mellum", "exaone4"], ..GPT2 },
    // GPT-NeoX and Pythia have OLMo's name.
    PreTokenizer { names: &["olmo"], nfc: true, ..GPT2 },
    PreTokenizer {
        names: &["smollm", "starcoder", "refact", "codeshell", "minerva-7b", "command-r"],
        splits: &[DIGIT],
        ..GPT2
    },
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        splits: &[LLAMA3],
        ignore_merges: true,
        adds_bos: true,
        ..WHOLE
    },
    PreTokenizer { names: &["dbrx", "smaug-bpe"], splits: &[LLAMA3], ..WHOLE },
    PreTokenizer { names: &["qwen2"], splits: &[QWEN2], nfc: true, ..WHOLE },
    PreTokenizer { names: &["deepseek-r1-qwen", "megrez", "kormo", "hunyuan"], splits: &[QWEN2], ..WHOLE },
    PreTokenizer { names: &["tekken"], splits: &[TEKKEN], ignore_merges: true, adds_bos: true, ..WHOLE },
    PreTokenizer { names: &["gpt-4o", "llama4", "kanana2"], splits: &[GPT4O], ..WHOLE },
    PreTokenizer {
        names: &["deepseek-v3", "hunyuan-dense"],
        splits: &[r"\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK3],
        ..WHOLE
    },
    PreTokenizer {
        names: &["deepseek-coder"],
        splits: &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\u{d7ff}]+", DIGIT],
        ..WHOLE
    },
    PreTokenizer { names: &["seed-coder"], splits: &[SEED_CODER], ..WHOLE },
    PreTokenizer { names: &["poro-chat", "bloom", "gpt3-finnish"], splits: &[BLOOM], ..WHOLE },
    PreTokenizer { names: &["viking"], splits: &[BLOOM, DIGIT], ..WHOLE },
];

/// The rule of a name.
pub fn named(name: &str) -> Option<&'static PreTokenizer> {
    ALL.iter().find(|row| row.names.contains(&name))
}
