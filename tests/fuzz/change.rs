//! How an input is changed: bytes, words of its language, and values of JSON, all from a seed.

use super::Kind;
use serde_json::{Map, Value, json};

/// Bytes of an input.
const LARGEST: usize = 400_000;

/// Texts that mean something to parsers.
const ODD: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"4294967295",
    b"0.1e-400",
    b"NaN",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\n",
    b"\r",
    b"\t",
    b"\"",
    b"'",
    b"`",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b",",
    b":",
    b"#",
    b"&",
    b"*",
    b"|",
    b"%",
    b"\xe2\x80\xae",
    b"\x1b[31m",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"${x}",
    b"../../../etc/passwd",
    b"/dev/zero",
    b"\xf0\x9f\x91\xa9\xe2\x80\x8d",
];

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 of none.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// A number that is small more often than not.
    fn size(&mut self, most: usize) -> usize {
        let bits = self.below(usize::BITS as usize - most.max(1).leading_zeros() as usize + 1);
        self.below(1 << bits).min(most)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// The input of a kind with this seed and number: always the same.
pub fn input(kind: &Kind, corpus: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut bytes = chance.pick(corpus).cloned().unwrap_or_default();
    if kind.is_json && chance.below(3) > 0 {
        bytes = json_changed(&bytes, kind, &mut chance);
    }
    if !kind.is_json || chance.below(3) == 0 {
        for _ in 0..=chance.size(6) {
            change(&mut bytes, kind, corpus, &mut chance);
        }
    }
    bytes.truncate(LARGEST);
    bytes
}

/// One change to the bytes.
fn change(bytes: &mut Vec<u8>, kind: &Kind, corpus: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let end = (at + chance.size(64)).min(bytes.len());
    match chance.below(12) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << chance.below(8)),
        1 => bytes.iter_mut().skip(at).take(1 + chance.below(4)).for_each(|byte| *byte = chance.next() as u8),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => insert(bytes, at, chance.pick(ODD).copied().unwrap_or_default()),
        5 | 6 => insert(bytes, at, chance.pick(kind.words).map_or(b" ", |word| word.as_bytes())),
        7 => {
            let part = bytes[at..end].to_vec();
            let times = chance.size(LARGEST / part.len().max(1));
            insert(bytes, at, &part.repeat(times));
        }
        8 => {
            let word = chance.pick(kind.words).map_or(&b"("[..], |word| word.as_bytes());
            let times = chance.size(LARGEST / word.len().max(1));
            insert(bytes, at, &word.repeat(times));
        }
        9 => {
            let other = chance.pick(corpus).cloned().unwrap_or_default();
            let from = chance.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        10 => {
            let part = bytes.drain(at..end).collect::<Vec<_>>();
            let to = chance.below(bytes.len() + 1);
            insert(bytes, to, &part);
        }
        _ => replace_number(bytes, chance),
    }
    bytes.truncate(LARGEST);
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// Puts another number in the place of one.
fn replace_number(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()))
        .collect();
    let Some(start) = chance.pick(&starts).copied() else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = match chance.below(4) {
        0 => chance.next().to_string(),
        1 => format!("-{}", chance.below(1000)),
        2 => (1_u64 << chance.below(63)).to_string(),
        _ => chance.pick(&["0", "1", "1e308", "99999999999999999999999", "0.5"]).map_or("0", |text| text).to_string(),
    };
    bytes.splice(start..start + length, number.bytes());
}

/// JSON with some of its values changed; not JSON any more where it was none.
fn json_changed(bytes: &[u8], kind: &Kind, chance: &mut Chance) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return bytes.to_vec() };
    for _ in 0..=chance.size(4) {
        let nodes = count(&value);
        let donor = node(&mut value, chance.below(nodes)).map(|node| node.clone()).unwrap_or_default();
        let at = chance.below(nodes);
        if let Some(node) = node(&mut value, at) {
            *node = other(node, donor, kind, chance);
        }
    }
    value.to_string().into_bytes()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The value of this number, counted from the root.
fn node(value: &mut Value, number: usize) -> Option<&mut Value> {
    if number == 0 {
        return Some(value);
    }
    let mut left = number - 1;
    let inner: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(list) => Box::new(list.iter_mut()),
        Value::Object(map) => Box::new(map.values_mut()),
        _ => return None,
    };
    for inner in inner {
        let size = count(inner);
        if left < size {
            return node(inner, left);
        }
        left -= size;
    }
    None
}

/// Something else in a value's place.
fn other(value: &Value, donor: Value, kind: &Kind, chance: &mut Chance) -> Value {
    let word = chance.pick(kind.words).copied().unwrap_or_default();
    match chance.below(14) {
        0 => Value::Null,
        1 => json!(chance.next()),
        2 => json!(-(chance.below(10) as i64)),
        3 => json!(1_u64 << chance.below(63)),
        4 => json!(1e308),
        5 => json!(word),
        6 => json!(word.repeat(chance.size(20_000))),
        7 => json!([]),
        8 => json!({}),
        9 | 10 => donor,
        11 => Value::Array(vec![value.clone(); chance.size(20_000 / (count(value) + 1))]),
        12 => (0..chance.size(100)).fold(value.clone(), |inner, _| json!([inner])),
        _ => match value {
            Value::Object(map) => {
                let key = chance.below(map.len());
                let mut changed: Map<String, Value> = map.clone();
                let name = map.keys().nth(key).cloned().unwrap_or_default();
                let taken = changed.remove(&name).unwrap_or_default();
                if chance.below(2) == 0 {
                    changed.insert(word.to_string(), taken);
                }
                Value::Object(changed)
            }
            Value::Array(list) => {
                let mut list = list.clone();
                list.truncate(chance.below(list.len() + 1));
                list.push(donor);
                Value::Array(list)
            }
            Value::String(text) => {
                let at =
                    text.char_indices().nth(chance.below(text.chars().count() + 1)).map_or(text.len(), |(at, _)| at);
                json!(format!("{}{word}{}", &text[..at], &text[at..]))
            }
            _ => json!(""),
        },
    }
}
