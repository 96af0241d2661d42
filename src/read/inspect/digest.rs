//! A hash of JSON while it is parsed: nothing of it is kept. Ids of chat messages are drawn anew in every run and do not count.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What JSON says, as a hash: equal for equal values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// The first half, of several together.
    pub(super) fn together(digests: &[Digest]) -> u128 {
        let mut hasher = Sha256::new();
        digests.iter().for_each(|digest| hasher.update(digest.0));
        hasher.finalize().iter().take(16).fold(0, |key, byte| (key << 8) | u128::from(*byte))
    }

    /// The first eight bytes.
    pub(super) fn short(self) -> u64 {
        self.0.iter().take(8).fold(0, |key, byte| (key << 8) | u64::from(*byte))
    }

    /// In hexadecimal.
    pub(super) fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let mut hasher = Sha256::new();
        Hashing(&mut hasher).deserialize(deserializer)?;
        Ok(Digest(hasher.finalize().into()))
    }
}

struct Hashing<'h>(&'h mut Sha256);

impl Hashing<'_> {
    fn text(&mut self, mark: u8, text: &str) {
        self.0.update([mark]);
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }
}

impl<'de> DeserializeSeed<'de> for Hashing<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Hashing<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.update(b"0");
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.update(if value { b"t" } else { b"f" });
        Ok(())
    }

    fn visit_u64<E: Error>(mut self, number: u64) -> Result<(), E> {
        self.text(b'n', &number.to_string());
        Ok(())
    }

    fn visit_i64<E: Error>(mut self, number: i64) -> Result<(), E> {
        self.text(b'n', &number.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<(), E> {
        self.text(b'n', &number.to_string());
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.text(b's', text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.update(b"[");
        while list.next_element_seed(Hashing(self.0))?.is_some() {}
        self.0.update(b"]");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.0.update(b"{");
        while let Some(key) = map.next_key::<String>()? {
            if key == "id" {
                map.next_value::<IgnoredAny>()?;
            } else {
                self.text(b'k', &key);
                map.next_value_seed(Hashing(self.0))?;
            }
        }
        self.0.update(b"}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_hashes() {
        let digest = |text: &str| serde_json::from_str::<Digest>(text).unwrap();
        assert_eq!(digest("[\"a\", 1]"), digest("[ \"a\",1 ]"));
        assert_eq!(digest(r#"[{"id": "x", "content": "q"}]"#), digest(r#"[{"content": "q", "id": "y"}]"#));
        for (a, b) in [("\"1\"", "1"), ("[[1],2]", "[1,[2]]"), ("[]", "{}"), ("null", "false"), ("1", "1.5")] {
            assert_ne!(digest(a), digest(b), "{a} {b}");
        }
        assert_ne!(Digest::together(&[digest("1"), digest("2")]), Digest::together(&[digest("2"), digest("1")]));
        assert!(serde_json::from_str::<Digest>(&"[".repeat(1_000_000)).is_err());
    }
}
