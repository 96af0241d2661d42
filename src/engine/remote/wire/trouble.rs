//! What errors mean, whoever says them: every provider has its own words for a blocked prompt, an empty account and too many requests.
//!
//! Codes are looked at first; words of messages only where providers give no code. Nothing here looks at texts that a server repeats.

use super::field;
use serde_json::{Map, Value};
use std::time::Duration;

/// What an error means besides its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A content filter stopped the prompt or the answer.
    Blocked,
    /// Nothing more is answered before the account is filled, or its quota of a day begins anew.
    Exhausted,
    /// Too much at once: later, or slower.
    Throttled,
    /// Nothing that has words of its own.
    Other,
}

/// How deep errors are looked into, and how many of their texts are read.
const DEPTH: usize = 5;
const TEXTS: usize = 64;

/// Fields that hold codes, and fields that hold words for people.
const CODE_KEYS: &[&str] =
    &["code", "type", "status", "reason", "__type", "error_code", "errortype", "error_type", "quotaid"];
const WORD_KEYS: &[&str] =
    &["message", "msg", "detail", "details", "error", "raw", "error_message", "error_msg", "title"];

/// Beginnings of codes (in small letters, other signs as `_`).
const BLOCK_CODES: &[&str] = &[
    "content_filter",
    "contentfilter",
    "content_policy",
    "contentpolicy",
    "content_blocked",
    "content_moderation",
    "responsibleai",
    "responsible_ai",
    "moderation",
    "prohibited_content",
    "data_inspection",
    "datainspection",
    "guardrail",
    "prompt_blocked",
    "safety",
    "blocklist",
    "recitation",
    "spii",
    "model_armor",
    "refusal",
];

/// Beginnings of further reasons that answers end.
const BLOCK_ENDINGS: &[&str] = &[
    "refused",
    "blocked",
    "image_safety",
    "image_prohibited",
    "image_recitation",
    "error_toxic",
    "sensitive",
    "flagged",
    "unsafe",
];

/// Words of content filters that give no code.
const BLOCK_WORDS: &[&str] = &[
    "content management policy",
    "content filtering policy",
    "content filter",
    "content_filter",
    "contentpolicyviolation",
    "content policy",
    "requires moderation",
    "usage guidelines",
    "violating our usage polic",
    "violates our usage polic",
    "prohibited use policy",
    "prohibited_content",
    "responsible ai",
    "content exists risk",
    "considered high risk",
    "inappropriate content",
    "sensitive words",
    "guardrail",
    "safety system",
    "safety filter",
    "prompt was flagged",
    "input was flagged",
    "flagged as potentially",
    "flagged by",
    "prompt was blocked",
    "response was blocked",
];

/// Codes of accounts without credit.
const EXHAUSTED_CODES: &[&str] = &[
    "insufficient_quota",
    "insufficient_balance",
    "insufficient_credit",
    "insufficient_funds",
    "billing_not_active",
    "billing_hard_limit",
    "billing_error",
    "billing_disabled",
    "credit_balance_too_low",
    "exceeded_current_quota",
    "quota_exhausted",
    "payment_required",
    "usage_limit_reached",
    "arrearage",
];

/// Words of the same.
const EXHAUSTED_WORDS: &[&str] = &[
    "credit balance is too low",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "insufficient_quota",
    "insufficient quota",
    "billing hard limit",
    "account is not active",
    "out of credits",
    "no credits",
    "not enough credits",
    "requires more credits",
    "included credits",
    "spending limit",
    "spend limit",
];

/// Words of an account that is empty or of a quota of minutes (Gemini has them for both).
const QUOTA_WORDS: &str = "exceeded your current quota";

/// Codes of too many requests at once.
const THROTTLE_CODES: &[&str] = &[
    "rate_limit",
    "ratelimit",
    "too_many_requests",
    "toomanyrequests",
    "throttl",
    "resource_exhausted",
    "overloaded",
    "model_overloaded",
    "engine_overloaded",
];

/// Words of the same; they count only where no status says anything.
const THROTTLE_WORDS: &[&str] = &["rate limit", "rate-limit", "too many requests", "overloaded"];

/// Words of limits that only a new day or month lifts.
const LONG_WORDS: &[&str] =
    &["per day", "per-day", "per_day", "perday", "daily", "(rpd)", "(tpd)", "per month", "permonth"];

/// What stands before the time in `Please try again in 7m12s`.
const WAIT_WORDS: &[&str] =
    &["try again in ", "try again after ", "retry in ", "retry after ", "come back in ", "available in "];

/// Units of times, by their beginning, in seconds; the longest beginnings first.
const UNITS: &[(&str, f64)] = &[("ms", 1e-3), ("milli", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];

/// A wait that is so short is no end, even where it is the limit of a day that is reached: such limits refill little by little.
const SHORT: Duration = Duration::from_secs(600);

/// What an error body says: codes and words.
#[derive(Default)]
struct Said {
    codes: Vec<String>,
    words: Vec<String>,
    flagged: bool,
    left: usize,
}

/// What the body of an error means.
pub fn meaning(body: &Value) -> Meaning {
    let said = Said::of(body);
    let code = |beginnings: &[&str]| said.codes.iter().any(|code| beginnings.iter().any(|b| code.starts_with(b)));
    let word = |words: &[&str]| said.words.iter().any(|text| words.iter().any(|word| text.contains(word)));
    let per_day = |texts: &[String]| texts.iter().any(|text| LONG_WORDS.iter().any(|word| text.contains(word)));
    if said.flagged || code(BLOCK_CODES) || word(BLOCK_WORDS) {
        return Meaning::Blocked;
    }
    if code(EXHAUSTED_CODES) || word(EXHAUSTED_WORDS) || status(body) == Some(402) {
        return Meaning::Exhausted;
    }
    let throttled = code(THROTTLE_CODES) || matches!(status(body), Some(429 | 503 | 529)) || word(THROTTLE_WORDS);
    let is_google = said.codes.iter().any(|code| code == "resource_exhausted");
    match throttled {
        // Google names the quota; what it says about the wait is of the minute's.
        _ if is_google && per_day(&said.codes) => Meaning::Exhausted,
        true if per_day(&said.words) && !is_google && wait(body).is_none_or(|wait| wait > SHORT) => Meaning::Exhausted,
        _ if word(&[QUOTA_WORDS]) && !is_google => Meaning::Exhausted,
        true => Meaning::Throttled,
        false => Meaning::Other,
    }
}

/// Whether the reason that an answer ended is a block: `content_filter`, `content_filter: RECITATION`, `SAFETY`, `guardrail_intervened`.
pub fn is_block(reason: &str) -> bool {
    let reason = code(reason);
    let is_one = |beginnings: &[&str]| beginnings.iter().any(|beginning| reason.starts_with(beginning));
    is_one(BLOCK_CODES) || is_one(BLOCK_ENDINGS)
}

/// The HTTP status that a body names as its own: gateways put the errors of others into bodies of status 200.
pub fn status(body: &Value) -> Option<u16> {
    let error = error(body)?;
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        value => field::whole(value),
    };
    let named = ["code", "status", "status_code"].iter().filter_map(|key| number(field::member(error, key)?));
    let mut named = named.filter_map(|number| u16::try_from(number).ok()).filter(|number| (400..600).contains(number));
    named.next()
}

/// How long the server asks to be left alone.
pub fn wait(body: &Value) -> Option<Duration> {
    let error = error(body)?;
    let field = |key: &str| field::member(error, key).or_else(|| field::member(body, key));
    let number = |key: &str| match field(key)? {
        Value::String(text) => time(text),
        value => value.as_f64(),
    };
    let seconds = number("retry_after_ms").map(|ms| ms / 1000.0).or_else(|| number("retry_after"));
    let seconds = seconds.or_else(|| number("retry_after_seconds")).or_else(|| {
        let details = field::member(error, "details")?.as_array()?;
        details.iter().find_map(|detail| time(field::text(detail, "retryDelay")?))
    });
    let seconds = seconds.or_else(|| {
        let said = Said::of(body);
        let behind = |text: &String| {
            let (_, rest) = WAIT_WORDS.iter().find_map(|words| text.split_once(words))?;
            time(rest)
        };
        said.words.iter().find_map(behind)
    })?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, 1e9)).ok()
}

/// `2h59m`, `7m12.5s`, `3 hours`, `90`: seconds.
fn time(text: &str) -> Option<f64> {
    let mut rest = text.trim_start();
    let (mut total, mut parts) = (0.0, 0);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        // A full stop may end the sentence.
        let Ok(number) = number.trim_end_matches('.').parse::<f64>() else { break };
        let behind = behind.trim_start();
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let size = UNITS.iter().find(|(beginning, _)| unit.starts_with(beginning)).map(|(_, size)| *size);
        match size {
            Some(size) => total += number * size,
            None if parts == 0 => return Some(number),
            None => break,
        }
        parts += 1;
        rest = behind.trim_start_matches([' ', ',']).trim_start_matches("and ");
    }
    (parts > 0).then_some(total)
}

/// The object that says what went wrong.
fn error(body: &Value) -> Option<&Value> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let of_choice = || {
        let choice = field::member(body, "choices")?.as_array()?.first()?;
        field::member(choice, "error")
    };
    field::member(body, "error").filter(|error| error.is_object()).or_else(of_choice).or(Some(body))
}

impl Said {
    fn of(body: &Value) -> Said {
        let mut said = Said { left: TEXTS, ..Said::default() };
        let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
        match error(body) {
            Some(Value::Object(error)) => said.read(error, DEPTH),
            Some(Value::String(text)) => said.words.push(text.to_lowercase()),
            _ => {}
        }
        said
    }

    fn read(&mut self, object: &Map<String, Value>, depth: usize) {
        for (key, value) in object {
            let name = key.to_ascii_lowercase();
            self.flagged |= name == "flagged_input" && !value.is_null();
            self.value(&name, value, depth);
        }
    }

    fn value(&mut self, name: &str, value: &Value, depth: usize) {
        match value {
            Value::String(text) if self.left > 0 => {
                self.left -= 1;
                if CODE_KEYS.contains(&name) {
                    self.codes.push(code(text));
                }
                if WORD_KEYS.contains(&name) {
                    self.words.push(text.to_lowercase());
                }
            }
            Value::Object(object) if depth > 0 => self.read(object, depth - 1),
            Value::Array(list) if depth > 0 => {
                list.iter().take(TEXTS).for_each(|entry| self.value(name, entry, depth - 1))
            }
            _ => {}
        }
    }
}

/// A code in small letters, with `_` for every other sign.
pub(super) fn code(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_are_told_from_other_errors() {
        for body in [
            json!({"error": {"code": "content_filter", "message": "m"}}),
            json!({"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
            json!({"error": {"code": 403, "message": "m", "metadata": {"reasons": ["violence"], "flagged_input": "..."}}}),
            json!({"error": {"message": "Output blocked by content filtering policy", "type": "invalid_request_error"}}),
            json!({"error": {"message": "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - flagged", "code": "400"}}),
            json!({"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}),
            json!({"error": {"code": "data_inspection_failed", "message": "m"}}),
            json!({"message": "Blocked by a guardrail", "__type": "ValidationException"}),
            json!([{"error": {"code": 400, "message": "the prompt was blocked", "status": "INVALID_ARGUMENT"}}]),
            json!({"error": {"code": "invalid_prompt", "message": "your prompt was flagged as potentially violating our usage policy"}}),
        ] {
            assert_eq!(meaning(&body), Meaning::Blocked, "{body}");
        }
        for body in
            [json!({"error": {"code": "model_not_found"}}), json!({"error": "x"}), json!([]), json!({}), json!(3)]
        {
            assert_eq!(meaning(&body), Meaning::Other, "{body}");
        }
    }

    #[test]
    fn endings_that_are_blocks() {
        for reason in [
            "content_filter",
            "content-filter",
            "content_filter: PROHIBITED_CONTENT",
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "SPII",
            "PROHIBITED_CONTENT",
            "IMAGE_SAFETY",
            "MODEL_ARMOR",
            "refusal",
            "guardrail_intervened",
            "content_filtered",
            "ERROR_TOXIC",
        ] {
            assert!(is_block(reason), "{reason}");
        }
        for reason in ["stop", "length", "end_turn", "tool_calls", "", "MAX_TOKENS", "OTHER", "eos"] {
            assert!(!is_block(reason), "{reason}");
        }
    }

    #[test]
    fn an_empty_account_is_told_from_a_busy_minute() {
        let google = |quota: &str| {
            json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}]}}])
        };
        let minute = google("GenerateRequestsPerMinutePerProjectPerModel-FreeTier");
        assert_eq!((meaning(&minute), wait(&minute)), (Meaning::Throttled, Some(Duration::from_secs(37))));
        for body in [
            google("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            json!({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}),
            json!({"error": {"message": "m", "code": "billing_not_active"}}),
            json!({"error": {"message": "You exceeded your current quota, please check your plan and billing details."}}),
            json!({"error": {"message": "Your credit balance is too low to access the API.", "type": "invalid_request_error"}}),
            json!({"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}}),
            json!({"error": {"message": "requests per day. Please try again in 2h59m", "code": "rate_limit_exceeded"}}),
            json!({"error": {"message": "This request requires more credits", "code": 402}}),
        ] {
            assert_eq!(meaning(&body), Meaning::Exhausted, "{body}");
        }
        for body in [
            json!({"error": {"message": "tokens per day (TPD): Limit 100000. Please try again in 4m54.4s", "code": "rate_limit_exceeded"}}),
            json!({"error": {"message": "Rate limit exceeded: free-models-per-min", "code": 429}, "user_id": "u"}),
            json!({"choices": [{"error": {"code": 429, "message": "m"}}]}),
            json!({"__type": "ThrottlingException", "message": "Too many tokens"}),
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            json!({"error": "Too Many Requests"}),
        ] {
            assert_eq!(meaning(&body), Meaning::Throttled, "{body}");
        }
    }

    #[test]
    fn times_and_statuses_are_read() {
        for (text, seconds) in [
            ("2h59m", Some(10740.0)),
            ("7m12.5s.", Some(432.5)),
            ("20ms", Some(0.02)),
            ("3 hours and 5 minutes.", Some(11_100.0)),
            ("90", Some(90.0)),
            ("1 day", Some(86_400.0)),
            ("6s. visit", Some(6.0)),
            ("a while", None),
            ("", None),
        ] {
            assert_eq!(time(text), seconds, "{text}");
        }
        assert_eq!(wait(&json!({"error": {"message": "Please try again in 1m30s."}})), Some(Duration::from_secs(90)));
        assert_eq!(wait(&json!({"error": {"message": "m"}, "retry_after": 7})), Some(Duration::from_secs(7)));
        assert_eq!(wait(&json!({"error": {"message": "no"}})), None);
        assert_eq!(status(&json!({"error": {"code": "502"}})), Some(502));
        assert_eq!(status(&json!({"error": {"code": "x", "status": 429}})), Some(429));
        assert_eq!(status(&json!({"error": {"code": 7}})), None);
    }
}
