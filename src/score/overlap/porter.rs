//! The Porter stemmer (Porter 1980) with NLTK's changes, which is what `rouge_score` stems with.
//!
//! For words of `a`-`z` and digits in lower case; other characters count as consonants.

/// Words that the rules get wrong, with their stems.
const IRREGULAR: &[(&str, &str)] = &[
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// A suffix, what replaces it, and what the rest must fulfil.
type Rule = (&'static str, &'static str, fn(&str) -> bool);

const DERIVED: &[Rule] = &[
    ("ational", "ate", is_long),
    ("tional", "tion", is_long),
    ("enci", "ence", is_long),
    ("anci", "ance", is_long),
    ("izer", "ize", is_long),
    ("bli", "ble", is_long),
    ("alli", "al", is_long),
    ("entli", "ent", is_long),
    ("eli", "e", is_long),
    ("ousli", "ous", is_long),
    ("ization", "ize", is_long),
    ("ation", "ate", is_long),
    ("ator", "ate", is_long),
    ("alism", "al", is_long),
    ("iveness", "ive", is_long),
    ("fulness", "ful", is_long),
    ("ousness", "ous", is_long),
    ("aliti", "al", is_long),
    ("iviti", "ive", is_long),
    ("biliti", "ble", is_long),
    ("fulli", "ful", is_long),
    // NLTK counts the l with the rest, so that `geologi` is stemmed too.
    ("logi", "log", |rest| is_long(&format!("{rest}l"))),
];

const ADJECTIVES: &[Rule] = &[
    ("icate", "ic", is_long),
    ("ative", "", is_long),
    ("alize", "al", is_long),
    ("iciti", "ic", is_long),
    ("ical", "ic", is_long),
    ("ful", "", is_long),
    ("ness", "", is_long),
];

const ENDINGS: &[Rule] = &[
    ("al", "", is_longer),
    ("ance", "", is_longer),
    ("ence", "", is_longer),
    ("er", "", is_longer),
    ("ic", "", is_longer),
    ("able", "", is_longer),
    ("ible", "", is_longer),
    ("ant", "", is_longer),
    ("ement", "", is_longer),
    ("ment", "", is_longer),
    ("ent", "", is_longer),
    ("ion", "", |rest| is_longer(rest) && rest.ends_with(['s', 't'])),
    ("ou", "", is_longer),
    ("ism", "", is_longer),
    ("ate", "", is_longer),
    ("iti", "", is_longer),
    ("ous", "", is_longer),
    ("ive", "", is_longer),
    ("ize", "", is_longer),
];

/// The stem of a word.
pub fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    if word.chars().nth(2).is_none() {
        return word.to_owned();
    }
    let word = without_plural(word);
    let word = without_past(&word);
    let word = apply(&word, &[("y", "i", |rest| rest.chars().nth(1).is_some() && ends_in_consonant(rest))]);
    let word = without_derivation(&word);
    let word = apply(&word, ADJECTIVES);
    let word = apply(&word, ENDINGS);
    let word = without_e(word);
    apply(&word, &[("ll", "l", |rest| is_longer(&format!("{rest}l")))])
}

/// The first rule whose suffix the word has decides, even where its condition fails.
fn apply(word: &str, rules: &[Rule]) -> String {
    for (suffix, replacement, condition) in rules {
        if let Some(rest) = word.strip_suffix(suffix) {
            return if condition(rest) { format!("{rest}{replacement}") } else { word.to_owned() };
        }
    }
    word.to_owned()
}

/// Step 1a.
fn without_plural(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(rest) if rest.chars().count() == 1 => format!("{rest}ie"),
        _ => apply(word, &[("sses", "ss", always), ("ies", "i", always), ("ss", "ss", always), ("s", "", always)]),
    }
}

/// Step 1b.
fn without_past(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ied") {
        return if rest.chars().count() == 1 { format!("{rest}ie") } else { format!("{rest}i") };
    }
    if let Some(rest) = word.strip_suffix("eed") {
        return if is_long(rest) { format!("{rest}ee") } else { word.to_owned() };
    }
    let rest = ["ed", "ing"].iter().filter_map(|suffix| word.strip_suffix(suffix)).find(|rest| has_vowel(rest));
    let Some(rest) = rest else { return word.to_owned() };
    if rest.ends_with("at") || rest.ends_with("bl") || rest.ends_with("iz") {
        return format!("{rest}e");
    }
    if ends_in_double_consonant(rest) {
        let mut shorter = rest.to_owned();
        if !rest.ends_with(['l', 's', 'z']) {
            shorter.pop();
        }
        return shorter;
    }
    if measure(rest) == 1 && ends_like_hop(rest) { format!("{rest}e") } else { rest.to_owned() }
}

/// Step 2, with NLTK's change: `alli` goes first, and what it leaves is looked at again.
fn without_derivation(word: &str) -> String {
    match word.strip_suffix("alli") {
        Some(rest) if is_long(rest) => without_derivation(&format!("{rest}al")),
        _ => apply(word, DERIVED),
    }
}

/// Step 5a.
fn without_e(word: String) -> String {
    match word.strip_suffix('e') {
        Some(rest) if measure(rest) > 1 || measure(rest) == 1 && !ends_like_hop(rest) => rest.to_owned(),
        _ => word,
    }
}

/// For each letter, whether it is a consonant: all but a, e, i, o, u, and y after a consonant.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.chars() {
        flags.push(match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// Porter's m: how often a vowel is followed by a consonant.
fn measure(word: &str) -> usize {
    consonants(word).windows(2).filter(|pair| *pair == [false, true]).count()
}

fn always(_: &str) -> bool {
    true
}

fn is_long(rest: &str) -> bool {
    measure(rest) > 0
}

fn is_longer(rest: &str) -> bool {
    measure(rest) > 1
}

fn has_vowel(word: &str) -> bool {
    consonants(word).contains(&false)
}

fn ends_in_consonant(word: &str) -> bool {
    consonants(word).last().is_some_and(|consonant| *consonant)
}

fn ends_in_double_consonant(word: &str) -> bool {
    let mut letters = word.chars().rev();
    letters.next().is_some_and(|last| letters.next() == Some(last)) && ends_in_consonant(word)
}

/// Whether the word ends in consonant, vowel, consonant but w, x, y, as `hop`; NLTK adds words of a vowel and a consonant.
fn ends_like_hop(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::read;
    use super::*;

    #[derive(serde::Deserialize)]
    struct Stems {
        whole: Vec<String>,
        roots: Vec<String>,
        suffixes: Vec<String>,
        stems: String,
    }

    #[test]
    fn equals_nltk() {
        let golden: Stems = read("stems");
        let made =
            golden.roots.iter().flat_map(|root| golden.suffixes.iter().map(move |suffix| format!("{root}{suffix}")));
        let words: Vec<String> = golden.whole.iter().cloned().chain(made).filter(|word| word.len() > 3).collect();
        let stems: Vec<&str> = golden.stems.split(' ').collect();
        assert_eq!(words.len(), stems.len());
        for (word, expected) in words.iter().zip(stems) {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
