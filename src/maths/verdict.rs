//! The tiers that decide whether two answers are the same, cheapest first.

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The normalised texts are the same (and not empty).
    Text,
    /// Exact arithmetic.
    Exact,
    /// sympy.
    Symbolic,
    /// Nothing has.
    Undecided,
}

impl Tier {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Text => "text",
            Tier::Exact => "exact",
            Tier::Symbolic => "symbolic",
            Tier::Undecided => "undecided",
        }
    }
}

/// Judges a pair of normalised answers by their texts, then by `arithmetic`: [`scalar`](super::exact::scalar) where
/// [`symbolic`](super::symbolic) has the last word, [`exact`](super::exact()) where nothing comes after. `None`: left open.
pub fn decide(a: &str, b: &str, arithmetic: fn(&str, &str) -> Option<bool>) -> Option<(bool, Tier)> {
    if !a.is_empty() && a == b {
        return Some((true, Tier::Text));
    }
    arithmetic(a, b).map(|equal| (equal, Tier::Exact))
}
