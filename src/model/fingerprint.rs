//! What tells one checkpoint from another, without reading gigabytes.

use super::config::{CONFIG, GENERATION_CONFIG};
use super::tokenizer::{ADDED_TOKENS, MERGES, MODEL, SPECIAL_TOKENS_MAP, TOKENIZER, TOKENIZER_CONFIG, VOCAB};
use super::weights::{HEADER_LENGTH, OLD_AWQ, OLD_GPTQ, gguf};
use crate::error::{Error, Result};
use crate::file;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Files besides the weights that decide what a model answers.
const SMALL: &[&str] = &[
    CONFIG,
    GENERATION_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS_MAP,
    ADDED_TOKENS,
    "chat_template.jinja",
    OLD_GPTQ,
    OLD_AWQ,
];

/// Old tokenizers, which decide where there is no `tokenizer.json`.
const OLD_TOKENIZERS: &[&str] = &[MODEL, VOCAB, MERGES];

/// Weight files up to this size are hashed whole.
const WHOLE: u64 = 64 << 20;

/// Larger ones are sampled: so many stretches of so many bytes, evenly spread.
const STRETCHES: u64 = 4096;
const STRETCH: u64 = 4096;

/// Of a large GGUF file so many bytes at the beginning go in, which is more than any vocabulary takes.
const GGUF_BEGINNING: u64 = 32 << 20;

/// SHA-256 (hex) over configuration, tokenizer, chat template and weights of a folder. Of a weight file above 64 MiB go in its
/// size, its header and 4,096 evenly spread stretches of 4 KiB: training that changed a model anywhere shows in them.
/// A GGUF file has all that in itself.
pub fn fingerprint(dir: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    if gguf::is_gguf(dir) {
        for path in gguf::files(dir) {
            let (size, bytes) =
                sample(&path, |_| Ok(GGUF_BEGINNING)).map_err(|e| Error::io("cannot read", &path, e))?;
            add(&mut hash, gguf::ENDING, size, &bytes);
        }
        return Ok(hex(hash));
    }
    let old = if dir.join(TOKENIZER).exists() { &[] } else { OLD_TOKENIZERS };
    for name in SMALL.iter().chain(old) {
        let path = dir.join(name);
        match file::read(&path, file::SMALL) {
            Ok(bytes) => add(&mut hash, name, bytes.len() as u64, &bytes),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
            Err(err) => return Err(Error::io("cannot read", &path, err)),
        }
    }
    for name in weight_files(dir)? {
        let path = dir.join(&name);
        let (size, bytes) = sample(&path, header_length).map_err(|e| Error::io("cannot read", &path, e))?;
        add(&mut hash, &name, size, &bytes);
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn add(hash: &mut Sha256, name: &str, size: u64, bytes: &[u8]) {
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(size.to_le_bytes());
    hash.update(bytes);
}

/// Names of the weights of the first format that there is, in the order in which `Weights` looks for them, and of their index.
fn weight_files(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io("cannot read", dir, e))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let safetensors = |name: &String| name.contains(".safetensors");
    let pickle = |name: &String| name.starts_with("pytorch_model") && name.contains(".bin");
    match names.iter().any(safetensors) {
        true => names.retain(safetensors),
        false => names.retain(pickle),
    }
    Ok(names)
}

/// The length of a safetensors header with the bytes that say it. (A pickle's file begins with what reads as a length beyond any
/// limit: of it the most goes in that may.)
fn header_length(file: &mut File) -> std::io::Result<u64> {
    let mut length = [0; HEADER_LENGTH as usize];
    file.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length).saturating_add(HEADER_LENGTH))
}

/// Size and bytes of a file; of a large one its `beginning` and the stretches.
fn sample(path: &Path, beginning: impl Fn(&mut File) -> std::io::Result<u64>) -> std::io::Result<(u64, Vec<u8>)> {
    let mut file = file::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    if size <= WHOLE {
        file.read_to_end(&mut bytes)?;
        return Ok((size, bytes));
    }
    let beginning = beginning(&mut file)?.min(WHOLE);
    file.rewind()?;
    Read::by_ref(&mut file).take(beginning).read_to_end(&mut bytes)?;
    for stretch in 0..STRETCHES {
        let start = u128::from(size - STRETCH) * u128::from(stretch) / u128::from(STRETCHES - 1);
        file.seek(SeekFrom::Start(start as u64))?;
        Read::by_ref(&mut file).take(STRETCH).read_to_end(&mut bytes)?;
    }
    Ok((size, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gguf_files_speak_for_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let path = |number: u32| dir.path().join(format!("m-{number:05}-of-00002.gguf"));
        std::fs::write(path(1), "GGUF").unwrap();
        let alone = fingerprint(&path(1)).unwrap();
        std::fs::write(dir.path().join(CONFIG), "{}").unwrap();
        assert_eq!(alone, fingerprint(&path(1)).unwrap());
        std::fs::write(path(2), "GGUF").unwrap();
        assert_ne!(alone, fingerprint(&path(1)).unwrap());
        assert_eq!(fingerprint(&path(1)).unwrap(), fingerprint(&path(2)).unwrap());
    }

    #[test]
    fn changes_with_any_file_and_with_large_weights() {
        let dir = tempfile::tempdir().unwrap();
        let print = || fingerprint(dir.path()).unwrap();
        let empty = print();
        std::fs::write(dir.path().join(CONFIG), "{}").unwrap();
        let config = print();
        assert_ne!(empty, config);
        std::fs::write(dir.path().join("pytorch_model.bin"), "x").unwrap();
        let pickle = print();
        std::fs::write(dir.path().join("training_args.bin"), "x").unwrap();
        assert!(pickle != config && pickle == print());
        std::fs::remove_file(dir.path().join("pytorch_model.bin")).unwrap();
        assert_eq!(config, print());
        // A sparse file above the limit, changed at its end.
        let weights = dir.path().join("model.safetensors");
        let file = File::create(&weights).unwrap();
        file.set_len(WHOLE + 12345).unwrap();
        let zeros = print();
        assert_ne!(config, zeros);
        let mut file = std::fs::OpenOptions::new().write(true).open(&weights).unwrap();
        file.seek(SeekFrom::End(-10)).unwrap();
        std::io::Write::write_all(&mut file, b"changed").unwrap();
        assert_ne!(zeros, print());
    }
}
