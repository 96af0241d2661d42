//! Base files of llama.cpp's perplexity tool, made by our models and compared with them.

use crate::engine::Cancel;
use crate::engine::local::{LocalEngine, Text};
use crate::error::{Error, Result};
use crate::fidelity::Position;
use crate::fidelity::logits_file::{Reader, Windows, Writer};
use std::path::Path;

/// Writes a model's distributions over a text, cut in whole windows, as `llama-perplexity --kl-divergence-base` does. Returns the windows.
///
/// # Errors
/// The text has not a whole window; the model cannot take it; the file cannot be written; cancelled.
pub fn write_base(engine: &LocalEngine, text: &str, window: usize, path: &Path, cancel: &Cancel) -> Result<Windows> {
    let (windows, bos) = windows_of(engine, text, window)?;
    let mut writer = Writer::new(path, &windows)?;
    for text in texts(&windows, bos) {
        engine.walk(None, &[text], cancel, &mut |_, rows| {
            let mut rows = rows.iter().flat_map(|rows| rows.chunks(windows.vocabulary.max(1)));
            rows.try_for_each(|row| writer.row(row))
        })?;
    }
    writer.finish()?;
    Ok(windows)
}

/// A model against a base file. `text`: what the file should be of, where that is to be checked. Returns the windows and the positions, each
/// window a cluster.
///
/// # Errors
/// The file is damaged, of another vocabulary, or of other tokens than the text's; the model cannot take them; cancelled.
pub fn compare_base(
    engine: &LocalEngine,
    path: &Path,
    text: Option<&str>,
    cancel: &Cancel,
) -> Result<(Windows, Vec<Position>)> {
    let mut reader = Reader::open(path)?;
    let windows = reader.windows.clone();
    let (theirs, ours) = (windows.vocabulary, engine.vocabulary());
    if theirs != ours {
        let message = format!("this base file is over a vocabulary of {theirs} tokens, and the model has {ours}");
        return Err(Error::input(message).file(path).hint("compare models of one family"));
    }
    let bos = match text {
        Some(text) => {
            let (own, bos) = windows_of(engine, text, windows.window).map_err(|err| err.file(path))?;
            // llama.cpp can be told to take the first windows only.
            if !own.tokens.starts_with(&windows.tokens) {
                let at = own.tokens.iter().zip(&windows.tokens).take_while(|(own, base)| own == base).count();
                return Err(Error::input(format!(
                    "the text's tokens differ from those of the base file, first at token {at}"
                ))
                .file(path)
                .hint("another text, or a model with another tokenizer"));
            }
            bos
        }
        None => engine.tokens_of("a")?.1,
    };
    let mut positions = Vec::new();
    for text in texts(&windows, bos) {
        let cluster = text.cluster;
        engine.walk(None, &[text], cancel, &mut |spots, rows| {
            let rows = rows.iter().flat_map(|rows| rows.chunks(ours.max(1)));
            for (spot, row) in spots.iter().zip(rows) {
                positions.push(reader.row()?.compared(row, spot.next).at(cluster));
            }
            Ok(())
        })?;
    }
    Ok((windows, positions))
}

/// A text's whole windows, with the token that begins texts at the very front, and that token.
fn windows_of(engine: &LocalEngine, text: &str, window: usize) -> Result<(Windows, Option<u32>)> {
    let (tokens, bos) = engine.tokens_of(text)?;
    let tokens = bos.into_iter().chain(tokens).collect();
    Ok((Windows::of(tokens, window, engine.vocabulary())?, bos))
}

/// What each window feeds to a model: its first token gives way to the one that begins texts, where there is such a one.
fn texts(windows: &Windows, bos: Option<u32>) -> impl Iterator<Item = Text> + '_ {
    windows.tokens.chunks_exact(windows.window).enumerate().filter_map(move |(cluster, tokens)| {
        let (last, fed) = tokens.split_last()?;
        let mut tokens = fed.to_vec();
        if let (Some(first), Some(bos)) = (tokens.first_mut(), bos) {
            *first = bos;
        }
        Some(Text { tokens, first: windows.first(), last: *last, cluster: cluster as u32 })
    })
}
