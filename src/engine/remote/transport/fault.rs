//! What can go wrong with one attempt, and what each kind of failure means.

use crate::engine::remote::wire::trouble::Meaning;
use serde_json::Value;
use std::time::Duration;

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection.
    Unreachable,
    /// No answer in time, or a gateway that says so.
    Timeout,
    /// The connection broke before the end of the answer.
    Torn,
    /// The server is well and says that this is too much.
    Throttled,
    /// An answer that is none: a server error, no JSON.
    Broken,
    /// A whole body of status 200 without an answer: no choices, no message. Mostly the prompt's own fault.
    Empty,
    /// The account is empty, or its quota used up for longer than anybody waits.
    Exhausted,
    /// The server does not want us: key, account, model, address. Other calls will not fare better.
    Denied,
    /// The server does not take this call.
    Rejected,
    /// A content filter, or the model's refusal.
    Refused,
}

impl Kind {
    /// Whether the same call may succeed later.
    pub fn is_worth_another_try(self) -> bool {
        !matches!(self, Kind::Denied | Kind::Rejected | Kind::Refused)
    }

    /// Whether fewer requests at the same time may help.
    pub fn cuts_level(self) -> bool {
        matches!(self, Kind::Unreachable | Kind::Timeout | Kind::Torn | Kind::Throttled)
    }

    /// Whether the server did answer, with something that is no answer: that may lie in the prompt.
    pub fn is_answered(self) -> bool {
        matches!(self, Kind::Broken | Kind::Empty)
    }

    /// Whether it speaks against the server's health.
    pub fn is_failure_of_server(self) -> bool {
        matches!(self, Kind::Unreachable | Kind::Timeout | Kind::Torn | Kind::Broken | Kind::Empty)
    }
}

/// Statuses that mean something of their own. Others: 5xx are `Broken`, everything else is `Rejected`.
const STATUSES: &[(u16, Kind)] = &[
    (401, Kind::Denied),
    (402, Kind::Exhausted),
    (403, Kind::Denied),
    (404, Kind::Denied),
    (405, Kind::Denied),
    (407, Kind::Denied),
    (408, Kind::Timeout),
    (409, Kind::Broken),
    (410, Kind::Denied),
    (425, Kind::Broken),
    (429, Kind::Throttled),
    (501, Kind::Rejected),
    (503, Kind::Throttled),
    (504, Kind::Timeout),
    // Anthropic: overloaded.
    (529, Kind::Throttled),
];

/// What to do about a status that denies everything.
const DENIALS: &[(u16, &str)] = &[
    (401, "check the environment variable that holds the key"),
    (403, "check the environment variable that holds the key, and what the key may use"),
    (404, "check the model's name and the base URL"),
    (405, "check the base URL: there is something else at this address"),
    (407, "the proxy wants a password: check the environment variables of the proxy"),
    (410, "the model or the route has been withdrawn: check the model's name"),
];

/// A failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub kind: Kind,
    /// For people: secrets removed, short, on one line.
    pub message: String,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// What the server said in its own error format, when it said something.
    pub said: Option<String>,
    /// How long the server asks to be left alone.
    pub wait: Option<Duration>,
    /// The body of a rejection, which may name a setting that is not wanted.
    pub body: Option<Value>,
}

impl Fault {
    pub fn new(kind: Kind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), status: None, said: None, wait: None, body: None }
    }

    /// A server that asks to be left alone for longer than anybody waits has ended the session. The time is told where it is one to come
    /// back at: what stands beside an empty account is of another limit.
    pub fn within(self, longest: Duration) -> Fault {
        match (self.kind, self.wait) {
            (Kind::Throttled | Kind::Exhausted, Some(wait)) if wait > longest => {
                let message = format!("the server asks to come back in {}: {}", span(wait), self.message);
                Fault { kind: Kind::Exhausted, message, ..self }
            }
            (Kind::Exhausted, Some(_)) => Fault { wait: None, ..self },
            _ => self,
        }
    }

    /// What to do when the server denies everything.
    pub fn hint(&self) -> &'static str {
        match (self.kind, self.wait) {
            (Kind::Exhausted, Some(_)) => return "what was answered is kept: the same command goes on then",
            (Kind::Exhausted, None) => {
                return "the account has no credit left, or its quota is used up; what was answered is kept, and the same command \
                        goes on when there is some again";
            }
            _ => {}
        }
        let row = DENIALS.iter().find(|(status, _)| Some(*status) == self.status);
        row.map_or(
            "check the base URL, the model's name and the environment variable that holds the key",
            |(_, hint)| hint,
        )
    }

    /// Whether the server knows the route but not the model.
    pub fn is_missing_model(&self) -> bool {
        const ABSENT: &[&str] = &["not found", "not_found", "not exist", "no such", "unknown", "not loaded"];
        let Some(said) = self.said.as_deref().filter(|_| matches!(self.status, Some(400 | 404 | 410))) else {
            return false;
        };
        let said = said.to_lowercase();
        // Anthropic says only `model: <name>`.
        said.starts_with("model:") || said.contains("model") && ABSENT.iter().any(|word| said.contains(word))
    }
}

/// A time for people: `45 s`, `12 min`, `2 h 59 min`, `3 d 4 h`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        7200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// What a status other than 2xx means, with what the body of the refusal does.
pub(super) fn kind_of(status: u16, meaning: Meaning) -> Kind {
    match (meaning, kind_of_status(status)) {
        (Meaning::Blocked, _) if !matches!(status, 401 | 404 | 407) => Kind::Refused,
        (Meaning::Exhausted, _) if status < 500 => Kind::Exhausted,
        (Meaning::Throttled, Kind::Broken | Kind::Rejected) => Kind::Throttled,
        (_, kind) => kind,
    }
}

/// What a status other than 2xx means.
pub(super) fn kind_of_status(status: u16) -> Kind {
    match STATUSES.iter().find(|(code, _)| *code == status) {
        Some((_, kind)) => *kind,
        None if (500..600).contains(&status) => Kind::Broken,
        None => Kind::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_statuses_are_worth_another_try() {
        for status in [402, 408, 409, 425, 429, 500, 502, 503, 504, 520, 529, 599] {
            assert!(kind_of_status(status).is_worth_another_try(), "{status}");
        }
        for status in [300, 400, 401, 403, 404, 405, 410, 411, 413, 415, 418, 422, 431, 451, 501, 999] {
            assert!(!kind_of_status(status).is_worth_another_try(), "{status}");
        }
    }

    #[test]
    fn bodies_say_more_than_statuses() {
        for (status, meaning, kind) in [
            (429, Meaning::Other, Kind::Throttled),
            (429, Meaning::Exhausted, Kind::Exhausted),
            (400, Meaning::Exhausted, Kind::Exhausted),
            (400, Meaning::Throttled, Kind::Throttled),
            (500, Meaning::Throttled, Kind::Throttled),
            (403, Meaning::Blocked, Kind::Refused),
            (401, Meaning::Blocked, Kind::Denied),
            (500, Meaning::Exhausted, Kind::Broken),
            (402, Meaning::Other, Kind::Exhausted),
        ] {
            assert_eq!(kind_of(status, meaning), kind, "{status} {meaning:?}");
        }
    }

    #[test]
    fn long_waits_end_it() {
        let throttled =
            |seconds| Fault { wait: Some(Duration::from_secs(seconds)), ..Fault::new(Kind::Throttled, "m") };
        let longest = Duration::from_secs(600);
        assert_eq!(throttled(600).within(longest).kind, Kind::Throttled);
        let long = throttled(10_740).within(longest);
        assert_eq!(
            (long.kind, long.message.as_str()),
            (Kind::Exhausted, "the server asks to come back in 2 h 59 min: m")
        );
        assert!(long.hint().contains("goes on then"));
        let empty = Fault { kind: Kind::Exhausted, ..throttled(37) }.within(longest);
        assert!(empty.message == "m" && empty.hint().contains("no credit left"));
        let spans = [59, 600, 100_000, 200_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["59 s", "10 min", "27 h 46 min", "2 d 7 h"]);
    }

    #[test]
    fn tells_missing_models_from_missing_routes() {
        let said = |status, text: &str| {
            Fault { status: Some(status), said: Some(text.to_string()), ..Fault::new(Kind::Denied, "") }
                .is_missing_model()
        };
        assert!(said(404, "The model `x` does not exist."));
        assert!(said(404, "model \"llama\" not found, try pulling it first"));
        assert!(said(404, "model: claude-nope"));
        assert!(said(404, "models/foo is not found for API version v1beta"));
        assert!(!said(404, "This is a chat model and not supported in the v1/completions endpoint"));
        assert!(!said(404, "Not Found"));
        assert!(!said(500, "The model `x` does not exist."));
        assert!(!Fault::new(Kind::Denied, "model not found").is_missing_model());
    }
}
