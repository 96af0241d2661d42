//! What can go wrong, and a plan that says at which request it does.

use super::model::Seen;

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 429 without a word about when.
    TooMany,
    /// 429, `Retry-After: 1`
    TooManySeconds,
    /// 429, `Retry-After:` a date.
    TooManyDate,
    /// An error of this status.
    Status(u16),
    /// The listener and all connections are closed for a while.
    Away,
    /// Half the body, then the connection is reset.
    Reset,
    /// Half the body, then the connection is closed in good order.
    HalfBody,
    /// Some bytes, slowly, then nothing for longer than anybody waits.
    Trickle,
    /// The body says its length right and ends in the middle of the JSON.
    TruncatedJson,
    /// A page with status 200.
    Html,
    /// The right body as `text/plain`.
    WrongType,
    /// `choices: []`
    EmptyChoices,
    /// The answer, twice.
    Twice,
    /// The right choice stands behind another one, and twice.
    WrongOrder,
    /// Another model answers, under its own name.
    OtherModel,
    /// The echo shows that this is the answer to another prompt.
    OtherPrompt,
    /// `NaN` for log-probabilities.
    NanLogprobs,
    /// `null` for log-probabilities.
    NullLogprobs,
    /// On to [`Plan::elsewhere`].
    Redirect,
    /// A body of 100 MB that does not say so.
    Huge,
}

/// All that an honest client survives.
pub const PASSING: &[Fault] = &[
    Fault::TooMany,
    Fault::TooManySeconds,
    Fault::TooManyDate,
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Reset,
    Fault::HalfBody,
    Fault::Trickle,
    Fault::TruncatedJson,
    Fault::Html,
    Fault::WrongType,
    Fault::EmptyChoices,
    Fault::Twice,
    Fault::WrongOrder,
    Fault::OtherModel,
    Fault::OtherPrompt,
    Fault::NanLogprobs,
    Fault::NullLogprobs,
    Fault::Redirect,
];

/// Requests in a row that fail in the same way.
const STORMS: &[(Fault, u64)] =
    &[(Fault::TooMany, 24), (Fault::TooManySeconds, 16), (Fault::Status(500), 8), (Fault::Status(503), 24)];

/// Which requests fail, and how: all of it follows from the number of the request and the seed.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// The request that counts as the first.
    pub start: u64,
    /// Only requests for prompts with this in them fail (and probes do not).
    pub only: &'static str,
    /// Of a thousand requests so many fail.
    pub per_mille: u64,
    pub kinds: &'static [Fault],
    /// Every so many requests there is a storm.
    pub storms: Option<u64>,
    /// Requests at which the listener goes away.
    pub away: &'static [u64],
    /// No prompt meets more faults than this.
    pub most_per_prompt: u32,
    /// Where [`Fault::Redirect`] leads (`http://HOST:PORT`).
    pub elsewhere: Option<String>,
}

impl Plan {
    pub fn new(seed: u64, start: u64) -> Plan {
        Plan {
            seed,
            start,
            only: "Question",
            per_mille: 80,
            kinds: PASSING,
            storms: Some(500),
            away: &[400, 1300],
            most_per_prompt: 3,
            elsewhere: None,
        }
    }

    /// The fault of a request.
    pub fn at(&self, number: u64, key: &str) -> Option<Fault> {
        let n = number.checked_sub(self.start)?;
        if !key.contains(self.only) {
            return None;
        }
        if self.away.contains(&n) {
            return Some(Fault::Away);
        }
        let draw = Seen::nothing("fault").then(&n.to_string()).mixed(self.seed);
        if let Some(every) = self.storms {
            let (fault, length) = STORMS[(n / every) as usize % STORMS.len()];
            if n % every >= every - length {
                return Some(fault);
            }
        }
        if draw % 1000 >= self.per_mille || self.kinds.is_empty() {
            return None;
        }
        let fault = self.kinds[(draw / 1000) as usize % self.kinds.len()];
        (fault != Fault::Redirect || self.elsewhere.is_some()).then_some(fault)
    }
}
