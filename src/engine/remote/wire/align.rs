//! Lays the tokens that a server echoes over the prompt: where each begins, which ones follow the prompt, and whether it is our prompt.
//!
//! Offsets that servers send are not used: some count characters and some bytes, and tokenizers that put a space before every text
//! shift them by one. Texts of tokens are not always pieces of the prompt either: half a character has no text of its own, special
//! tokens may be shown or not, and some servers show `▁`, `Ġ` or `<0xE7>`.

use super::WireError;
use super::field::malformed;
use std::borrow::Cow;

/// How far a token behind one without a text of its own is looked for, in characters.
const REACH: usize = 64;

/// Longest `<...>` or `[...]` that counts as a special token, in characters.
const SPECIAL: usize = 40;

/// Tokens over a prompt.
#[derive(Debug, PartialEq)]
pub(super) struct Alignment {
    /// Where each token begins, in characters of the prompt; `None` where that cannot be told.
    pub offsets: Vec<Option<usize>>,
    /// Tokens at the end that follow the prompt.
    pub generated: usize,
}

/// Lays tokens over a prompt. `generated`: how many of them follow it, as far as the server says.
pub(super) fn align(prompt: &str, texts: &[Option<&str>], generated: Option<usize>) -> Result<Alignment, WireError> {
    let known = generated.map(|count| count.min(texts.len()));
    let (first, rest) = match texts {
        [] => (None, texts),
        [None, rest @ ..] => (Some(()), rest),
        _ => (None, texts),
    };
    let Some(rest) = rest.iter().copied().collect::<Option<Vec<&str>>>() else {
        return Ok(Alignment { offsets: vec![None; texts.len()], generated: known.unwrap_or(0) });
    };
    let mut found = if first.is_some() { behind_unknown(prompt, &rest, known)? } else { whole(prompt, &rest, known)? };
    if first.is_some() {
        found.offsets.insert(0, Some(0));
    }
    Ok(found)
}

/// Tokens whose first one has no text: the beginning-of-sequence token, or the first piece of the prompt.
fn behind_unknown(prompt: &str, rest: &[&str], known: Option<usize>) -> Result<Alignment, WireError> {
    let shown = &rest[..rest.len() - known.unwrap_or(0).min(rest.len())];
    let piece = prompt.strip_suffix(shown.concat().as_str()).filter(|piece| piece.chars().count() <= REACH);
    let Some(piece) = piece.filter(|piece| !piece.is_empty()) else {
        return whole(prompt, rest, known);
    };
    let mut found = whole(&prompt[piece.len()..], rest, known)?;
    let skipped = piece.chars().count();
    for offset in found.offsets.iter_mut().flatten() {
        *offset += skipped;
    }
    Ok(found)
}

fn whole(prompt: &str, texts: &[&str], known: Option<usize>) -> Result<Alignment, WireError> {
    let plain = texts.iter().map(|text| plain(text)).collect::<Vec<_>>();
    let changed = plain.iter().any(|text| matches!(text, Cow::Owned(_)));
    let spaced = format!(" {prompt}");
    for (prompt, shift) in [(prompt, 0), (spaced.as_str(), 1)] {
        if let Some(found) = follow(prompt, texts, known, shift) {
            return Ok(found);
        }
        if changed {
            let texts: Vec<&str> = plain.iter().map(|text| text.as_ref()).collect();
            if let Some(found) = follow(prompt, &texts, known, shift) {
                return Ok(found);
            }
        }
    }
    roughly(prompt, texts, known)
}

/// Walks through the prompt token by token; `None` when they part. The prompt may have `shift` spaces put before it.
fn follow(prompt: &str, texts: &[&str], known: Option<usize>, shift: usize) -> Option<Alignment> {
    let mut offsets = Vec::with_capacity(texts.len());
    let (mut at, mut chars, mut lost) = (0, 0, false);
    for (index, text) in texts.iter().enumerate() {
        let rest = &prompt[at..];
        let begins = Some(chars.max(shift) - shift);
        if rest.is_empty() && (at > 0 || index > 0 || !is_special(text)) {
            break;
        }
        offsets.push(begins);
        if text.is_empty() || is_lossy(text) {
            lost = true;
            continue;
        }
        let Some((skip, length)) = place(rest, text, lost) else {
            if at <= shift && is_special(text) {
                continue;
            }
            return None;
        };
        if skip == rest.len() {
            offsets.pop();
            (at, lost) = (prompt.len(), false);
            break;
        }
        if lost && skip > 0 {
            let skipped = rest[..skip].chars().count();
            offsets.pop();
            offsets.push(Some((chars + skipped).max(shift) - shift));
        }
        chars += rest[..skip + length].chars().count();
        at += skip + length;
        lost = false;
    }
    if at < prompt.len() && !lost {
        return None;
    }
    finish(prompt, at, offsets, texts.len(), known, shift)
}

/// The tokens behind the prompt, once the walk has ended.
fn finish(
    prompt: &str,
    at: usize,
    mut offsets: Vec<Option<usize>>,
    all: usize,
    known: Option<usize>,
    shift: usize,
) -> Option<Alignment> {
    if !skippable(&prompt[at..]) {
        return None;
    }
    let end = prompt.chars().count() - shift.min(prompt.chars().count());
    // Tokens without a text at the end may belong to the prompt's last character or to what follows it: the server's word decides.
    let generated = if at < prompt.len() { known.unwrap_or(0) } else { all - offsets.len() };
    offsets.truncate(all - generated);
    offsets.resize(all, Some(end));
    Some(Alignment { offsets, generated })
}

/// Where a token stands in what is left of the prompt: bytes to skip, bytes it covers. Skipping everything means that it stands behind.
fn place(rest: &str, text: &str, lost: bool) -> Option<(usize, usize)> {
    if !lost {
        if rest.starts_with(text) {
            return Some((0, text.len()));
        }
        // Tokens decoded one by one lose the space before them.
        let space = rest.chars().next().filter(|c| c.is_whitespace())?.len_utf8();
        return rest[space..].starts_with(text).then_some((0, space + text.len()));
    }
    let ends = rest.char_indices().map(|(start, _)| start).chain([rest.len()]);
    ends.take(REACH).find_map(|skip| {
        let (skipped, left) = rest.split_at(skip);
        ((left.is_empty() || left.starts_with(text)) && skippable(skipped)).then_some((skip, text.len()))
    })
}

/// Whether all of a piece of the prompt may be missing from the tokens' texts: characters of several bytes, special tokens.
fn skippable(piece: &str) -> bool {
    without_special(piece).chars().all(|c| !c.is_ascii() || c.is_ascii_whitespace())
}

/// Half a character.
fn is_lossy(text: &str) -> bool {
    text.contains('\u{fffd}') || text.starts_with("bytes:\\x") || byte(text).is_some_and(|byte| !byte.is_ascii())
}

/// What `<0xE7>` stands for.
fn byte(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

/// Whether a token looks like one that marks a place rather than a text: `<s>`, `<|begin_of_text|>`, `[CLS]`.
fn is_special(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && without_special(text).is_empty()
}

/// A token as text, where a server shows the tokenizer's own spelling.
fn plain(text: &str) -> Cow<'_, str> {
    if let Some(byte) = byte(text).filter(u8::is_ascii) {
        return Cow::Owned(char::from(byte).to_string());
    }
    if !text.contains(['▁', 'Ġ', 'Ċ', 'ĉ']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(['▁', 'Ġ'], " ").replace('Ċ', "\n").replace('ĉ', "\t"))
}

/// Compares only what every tokenizer keeps (some compose characters, lower letters or drop spaces on the way): then no offsets.
fn roughly(prompt: &str, texts: &[&str], known: Option<usize>) -> Result<Alignment, WireError> {
    let expected = skeleton(prompt);
    let guesses = known.into_iter().chain([1, 0]);
    for generated in guesses.filter(|generated| *generated <= texts.len()) {
        let shown: String = texts[..texts.len() - generated].iter().map(|text| plain(text)).collect();
        if skeleton(&shown) == expected {
            return Ok(Alignment { offsets: vec![None; texts.len()], generated });
        }
    }
    Err(malformed("answered another prompt: its tokens are not those of the text that was sent"))
}

/// ASCII letters, digits and signs in lower case, without special tokens, and without letters that carry an accent of their own.
fn skeleton(text: &str) -> String {
    let text = without_special(&text.replace("bytes:\\x", "\u{fffd}"));
    let mut kept = String::with_capacity(text.len());
    let mut carries = false;
    for c in text.chars() {
        if ('\u{300}'..='\u{36f}').contains(&c) {
            if std::mem::take(&mut carries) {
                kept.pop();
            }
            continue;
        }
        carries = c.is_ascii_graphic();
        if carries {
            kept.push(c.to_ascii_lowercase());
        }
    }
    kept
}

/// A text without `<...>` and `[UPPER]`.
fn without_special(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['<', '[']) {
        let (before, from) = rest.split_at(start);
        kept.push_str(before);
        let length = special_length(from);
        if length == 0 {
            kept.push_str(&from[..1]);
        }
        rest = &from[length.max(1)..];
    }
    kept.push_str(rest);
    kept
}

/// Bytes of the special token that a text begins with; 0: none.
fn special_length(text: &str) -> usize {
    let closing = if text.starts_with('<') { '>' } else { ']' };
    let fits = |c: char| {
        if closing == '>' { !c.is_whitespace() && c != '<' } else { c.is_ascii_uppercase() || "_/".contains(c) }
    };
    for (at, c) in text.char_indices().skip(1).take(SPECIAL) {
        if c == closing {
            return if at > 1 { at + 1 } else { 0 };
        }
        if !fits(c) {
            return 0;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(prompt: &str, texts: &[&str], generated: Option<usize>) -> (Vec<Option<usize>>, usize) {
        let texts: Vec<Option<&str>> = texts.iter().copied().map(Some).collect();
        let found = align(prompt, &texts, generated).unwrap();
        (found.offsets, found.generated)
    }

    fn some(offsets: &[usize]) -> Vec<Option<usize>> {
        offsets.iter().copied().map(Some).collect()
    }

    #[test]
    fn pieces_of_the_prompt_are_counted_in_characters() {
        assert_eq!(laid("a café b", &["a", " café", " b", "."], None), (some(&[0, 1, 6, 8]), 1));
        assert_eq!(laid("ab", &["a", "b"], Some(1)), (some(&[0, 1]), 0));
    }

    #[test]
    fn a_space_before_the_text_is_not_counted() {
        assert_eq!(laid("Once upon", &[" Once", " upon", " a"], Some(1)), (some(&[0, 4, 9]), 1));
        assert_eq!(laid(" Lily", &[" ", " Lily", " and"], Some(1)), (some(&[0, 0, 5]), 1));
        assert_eq!(laid("\n\nL", &[" ", "\n", "\n", "L", "x"], Some(1)), (some(&[0, 0, 1, 2, 3]), 1));
    }

    #[test]
    fn a_beginning_of_sequence_token_stands_before_the_prompt() {
        assert_eq!(laid("Once", &["<s>", " Once", ","], None), (some(&[0, 0, 4]), 1));
        assert_eq!(laid("Once", &["<|begin_of_text|>", "Once"], None), (some(&[0, 0]), 0));
        assert_eq!(laid("", &["<s>", " Once"], None), (some(&[0, 0]), 1));
        // written in the prompt and taken for the token, which is not shown
        assert_eq!(laid("<s>Lily", &[" Lily", " and"], Some(1)).1, 1);
    }

    #[test]
    fn tokens_without_text_of_their_own_are_stepped_over() {
        let tokens = [" Lily", " ", "–", " ", "", "", "", "."];
        assert_eq!(laid("Lily – 猫", &tokens, Some(1)), (some(&[0, 4, 5, 6, 7, 7, 7, 8]), 1));
        assert_eq!(laid("a猫b", &["a", "\u{fffd}", "\u{fffd}", "b"], Some(0)), (some(&[0, 1, 1, 2]), 0));
        assert_eq!(laid("a猫b", &["a", "bytes:\\xe7\\x8c", "bytes:\\xab", "b"], None).1, 0);
        assert_eq!(laid("a猫b", &["a", "<0xE7>", "<0x8C>", "<0xAB>", "b"], None).0[4], Some(2));
        assert_eq!(laid("<|user|>Hi", &["", "Hi", "x"], Some(1)), (some(&[0, 8, 10]), 1));
        assert_eq!(laid("a猫", &["a", "", "", "", ""], Some(1)).1, 1);
    }

    #[test]
    fn the_tokenizers_spelling_is_read() {
        assert_eq!(laid("Once upon\n", &["Once", "Ġupon", "Ċ"], None), (some(&[0, 4, 9]), 0));
        assert_eq!(laid("Once upon", &["▁Once", "▁upon"], None), (some(&[0, 4]), 0));
        assert_eq!(laid("Once upon a", &["Once", "upon", "a"], None), (some(&[0, 4, 9]), 0));
        assert_eq!(laid("a\nb", &["a", "<0x0A>", "b"], None), (some(&[0, 1, 2]), 0));
    }

    #[test]
    fn normalised_prompts_are_ours_but_have_no_offsets() {
        assert_eq!(laid("Cafe\u{301} A", &["cafè", " a", "x"], Some(1)), (vec![None; 3], 1));
        assert_eq!(laid("ABC", &["a", "bc"], None), (vec![None; 2], 0));
    }

    #[test]
    fn another_prompt_is_told_apart() {
        let texts = |texts: &[&'static str]| texts.iter().copied().map(Some).collect::<Vec<_>>();
        for (prompt, tokens) in [
            ("What is A?", texts(&["What", " is", " B", "?", "x"])),
            ("Once upon a time", texts(&["Once", " upon"])),
            ("Once", texts(&[])),
            ("Once", texts(&["Twice", " upon"])),
            ("a b", vec![None, Some("c"), Some("x")]),
        ] {
            let err = align(prompt, &tokens, Some(1)).unwrap_err();
            assert!(
                matches!(err, WireError::Malformed(ref text) if text.starts_with("answered another prompt")),
                "{prompt}"
            );
        }
    }

    #[test]
    fn an_unknown_first_token_is_the_marker_or_the_first_piece() {
        assert_eq!(align("a b", &[None, Some("a"), Some(" b")], Some(0)).unwrap().offsets, some(&[0, 0, 1]));
        assert_eq!(align("a b", &[None, Some(" b")], Some(0)).unwrap().offsets, some(&[0, 1]));
        assert_eq!(align("a b", &[None, None], None).unwrap(), Alignment { offsets: vec![None; 2], generated: 0 });
    }
}
