//! The toy model: a tokenizer with simple rules, and log-probabilities that are a hash of what stands before and the token. Every number
//! follows from the text alone, whoever asks, in whatever order.

/// Tokens that it writes; the empty one ends the answer.
const WORDS: &[&str] = &[
    " red", " oak", " sea", " 12", " 7", " the", " no", " yes", ".", ",", " an", " sun", " 40", " elm", "\n", " is",
    " low", "",
];
/// Labels of choices that it knows.
const LABELS: &[&str] = &["A", "B", "C", "D", "E", "F", "G", "H"];
/// A token's text is at most so long, so that it packs into an id.
const TOKEN_BYTES: usize = 4;

/// Hash of a text (FNV-1a), to be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64);

impl Seen {
    pub fn nothing(model: &str) -> Seen {
        Seen(0xcbf2_9ce4_8422_2325).then(model)
    }

    pub fn then(self, text: &str) -> Seen {
        Seen(text.bytes().fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// Spread evenly, one number for each `salt`.
    pub fn mixed(self, salt: u64) -> u64 {
        let mut x = self.0 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// In [0, 1).
    fn share(self, salt: u64) -> f64 {
        (self.mixed(salt) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The likeliest token.
    pub fn best(self) -> &'static str {
        WORDS[(self.mixed(1) % WORDS.len() as u64) as usize]
    }

    /// Natural logarithm of a token's probability: above -1 for the likeliest, below for all others.
    pub fn logprob(self, token: &str) -> f64 {
        let best = self.best();
        if token == best { -0.05 - 0.9 * self.share(2) } else { -1.0 - 8.0 * self.then(token).share(3) }
    }
}

/// Pieces of at most four bytes: a space belongs to the word after it, letters and digits hold together, everything else stands alone.
pub fn tokens(text: &str) -> Vec<&str> {
    #[derive(PartialEq, Clone, Copy)]
    enum Class {
        Space,
        Word,
        Other,
    }
    let mut pieces = Vec::with_capacity(text.len() / 3 + 1);
    let (mut start, mut before, mut is_blank) = (0, Class::Other, false);
    for (at, c) in text.char_indices() {
        let class = match c {
            c if c.is_whitespace() => Class::Space,
            c if c.is_alphanumeric() => Class::Word,
            _ => Class::Other,
        };
        let joins = class == Class::Word && (before == Class::Word || is_blank);
        if at > start && (!joins || at + c.len_utf8() - start > TOKEN_BYTES) {
            pieces.push(&text[start..at]);
            start = at;
        }
        (before, is_blank) = (class, c == ' ');
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

/// A token's id: its bytes.
pub fn id(token: &str) -> u32 {
    let mut bytes = [0; TOKEN_BYTES];
    bytes[..token.len()].copy_from_slice(token.as_bytes());
    u32::from_le_bytes(bytes)
}

/// The text that ids stand for.
pub fn text_of_ids(ids: impl IntoIterator<Item = u32>) -> String {
    let bytes: Vec<u8> = ids.into_iter().flat_map(u32::to_le_bytes).filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many labelled choices (`A. ...` at the beginnings of lines) a prompt lists.
fn num_labels(prompt: &str) -> usize {
    let is_listed = |label: &&&str| {
        prompt.lines().any(|line| line.strip_prefix(**label).is_some_and(|rest| rest.starts_with(['.', ')', ':'])))
    };
    match LABELS.iter().take_while(is_listed).count() {
        1 => 0,
        count => count,
    }
}

/// The likeliest first tokens of an answer to a prompt, likeliest first: labels where it lists labelled choices. A distribution.
pub fn first_tokens(prompt: &str, seen: Seen) -> Vec<(&'static str, f64)> {
    let labels = &LABELS[..num_labels(prompt)];
    let best = seen.best();
    let word = |word: &&'static str| {
        let is_best = labels.is_empty() && *word == best;
        (*word, if is_best { 5.0 } else { 2.0 * seen.then(word).share(4) })
    };
    let words = WORDS.iter().filter(|word| !word.is_empty()).map(word);
    let mut top: Vec<(&str, f64)> =
        labels.iter().map(|label| (*label, 3.0 + 4.0 * seen.then(label).share(4))).chain(words).collect();
    let sum: f64 = top.iter().map(|(_, logit)| logit.exp()).sum();
    top.iter_mut().for_each(|(_, logit)| *logit -= sum.ln());
    top.sort_by(|a, b| b.1.total_cmp(&a.1));
    top
}

/// A written answer.
pub struct Written {
    /// Tokens with their log-probabilities.
    pub tokens: Vec<(&'static str, f64)>,
    pub text: String,
    /// It had more to say.
    pub is_cut_off: bool,
}

/// The greedy answer: at most so many tokens, up to the first stop string. `first`: the likeliest first tokens.
pub fn write(seen: Seen, first: &[(&'static str, f64)], max_tokens: usize, stops: &[&str]) -> Written {
    let mut written = Written { tokens: Vec::new(), text: String::new(), is_cut_off: false };
    let mut seen = seen;
    loop {
        if written.tokens.len() == max_tokens {
            written.is_cut_off = true;
            return written;
        }
        let (token, logprob) = match first.first().filter(|_| written.tokens.is_empty()) {
            Some(first) => *first,
            None => (seen.best(), seen.logprob(seen.best())),
        };
        if token.is_empty() {
            return written;
        }
        written.text.push_str(token);
        written.tokens.push((token, logprob));
        let end = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| written.text.find(stop)).min();
        if let Some(end) = end {
            written.text.truncate(end);
            return written;
        }
        seen = seen.then(token);
    }
}
