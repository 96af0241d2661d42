//! The tiers that decide whether two answers are the same, cheapest first.

use super::exact::exact;
use super::symbolic;

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

/// Whether two answers are the same, and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// `None` exactly where `tier` is [`Tier::Undecided`].
    pub equal: Option<bool>,
    pub tier: Tier,
    /// Why sympy could not judge the pair, or why it was not asked.
    pub reason: Option<String>,
}

/// Judges a pair of normalised answers by their texts, then exactly. An undecided pair is one for [`symbolic`]; put
/// sympy's word in with [`Judgement::with_symbolic`].
pub fn judge(a: &str, b: &str) -> Judgement {
    if !a.is_empty() && a == b {
        return Judgement { equal: Some(true), tier: Tier::Text, reason: None };
    }
    match exact(a, b) {
        Some(equal) => Judgement { equal: Some(equal), tier: Tier::Exact, reason: None },
        None => Judgement { equal: None, tier: Tier::Undecided, reason: None },
    }
}

impl Judgement {
    /// An undecided pair with sympy's verdict, or with the reason why there is none; a decided one stays as it is.
    pub fn with_symbolic(self, outcome: Result<symbolic::Verdict, String>) -> Self {
        match (self.equal, outcome) {
            (Some(_), _) => self,
            (None, Ok(verdict)) => {
                Judgement { equal: Some(verdict.equal), tier: Tier::Symbolic, reason: verdict.reason }
            }
            (None, Err(why)) => Judgement { equal: None, tier: Tier::Undecided, reason: Some(why) },
        }
    }
}
