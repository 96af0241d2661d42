//! Chat templates of models: a conversation to the text the model was trained on, as transformers renders it.

use super::filters::json_of;
use super::{environment, plain_error, scan};
use crate::error::{Error, Result};
use crate::python::json::{Style, dumps_with};
use crate::python::text;
use crate::request::{Message, Role};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The name under which the environment keeps the one template.
const NAME: &str = "chat template";

/// What transformers puts after the message that is continued, to find its end in the rendered text.
const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// A compiled chat template.
pub struct ChatTemplate {
    env: Environment<'static>,
    source: String,
}

/// Why a conversation could not be rendered.
#[derive(Debug)]
pub enum ChatError {
    /// The template itself refused the conversation (`raise_exception`), with its message.
    Raised(String),
    /// Anything else: an undefined name, a wrong type, a text that does not end.
    Failed(Error),
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChatError::Raised(message) => write!(f, "template raised: {message}"),
            ChatError::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ChatError {}

impl From<ChatError> for Error {
    fn from(error: ChatError) -> Error {
        match error {
            ChatError::Raised(message) => {
                Error::input(format!("the chat template refuses the conversation: {message}"))
            }
            ChatError::Failed(error) => error.context("chat template"),
        }
    }
}

/// What `raise_exception` raises, carried inside the engine's error.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

impl ChatTemplate {
    /// Compiles a template. Its `strftime_now` gives the time of this call (UTC), however long the run takes.
    pub fn new(source: &str) -> Result<ChatTemplate> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        ChatTemplate::at(source, now)
    }

    /// Compiles a template whose `strftime_now` gives a fixed time, in seconds since 1970 (UTC).
    pub fn at(source: &str, unix_seconds: u64) -> Result<ChatTemplate> {
        let failed = |err: minijinja::Error| plain_error(&err).context("chat template");
        let mut env = environment();
        // Only custom delimiters can fail to build.
        env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default());
        env.add_filter("tojson", to_json);
        env.add_function("raise_exception", |message: &Value| -> Result<Value, minijinja::Error> {
            let message = super::value::to_str(message);
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
        });
        env.add_function("strftime_now", move |format: &str| strftime(format, unix_seconds));
        let scanned = scan::scan(source, scan::Dialect::Chat).map_err(failed)?;
        env.add_template_owned(NAME, scanned.source).map_err(failed)?;
        Ok(ChatTemplate { env, source: source.to_string() })
    }

    /// Whether the rendered text depends on the date.
    pub fn uses_clock(&self) -> bool {
        self.source.contains("strftime_now")
    }

    /// The text of a conversation. With `add_generation_prompt` it ends where the assistant's answer begins; without, a
    /// final assistant message is left open, to be continued.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        bos: &str,
        eos: &str,
    ) -> Result<String, ChatError> {
        let continued = messages.last().filter(|last| !add_generation_prompt && last.role == Role::Assistant);
        let turns: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(i, message)| {
                let open = continued.is_some() && i + 1 == messages.len();
                let content = format!("{}{}", message.content, if open { CONTINUE_TAG } else { "" });
                Value::from_pairs([("role", message.role.as_str()), ("content", &content)])
            })
            .collect();
        let context = minijinja::context! {
            messages => turns,
            tools => (),
            documents => (),
            add_generation_prompt,
            bos_token => bos,
            eos_token => eos,
        };
        let rendered = self
            .env
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(|err| chat_error(&err))?;
        match continued {
            None => Ok(rendered),
            Some(last) => cut_after(&rendered, &last.content).ok_or_else(|| {
                ChatError::Failed(
                    Error::input("the template changes the final message, which should be continued")
                        .hint("leave out gen_prefix, or do not apply the chat template"),
                )
            }),
        }
    }
}

/// The rendered text up to the end of the final message.
fn cut_after<'a>(rendered: &'a str, content: &str) -> Option<String> {
    let tag = CONTINUE_TAG.trim_end();
    let end = rendered.rfind(tag).filter(|_| rendered.contains(text::strip(content)))?;
    let (kept, rest): (&'a str, &str) = rendered.split_at_checked(end)?;
    // The tag ends with a blank: where that is gone, the template strips messages, and so do we.
    Some(if rest.starts_with(CONTINUE_TAG) { kept } else { text::rstrip(kept) }.to_string())
}

fn chat_error(err: &minijinja::Error) -> ChatError {
    let mut cause = std::error::Error::source(err);
    while let Some(inner) = cause {
        if let Some(raised) = inner.downcast_ref::<Raised>() {
            return ChatError::Raised(raised.0.clone());
        }
        cause = inner.source();
    }
    ChatError::Failed(plain_error(err))
}

/// transformers' `tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`, without `separators`.
fn to_json(value: &Value, kwargs: Kwargs) -> Result<String, minijinja::Error> {
    let style = Style {
        indent: kwargs.get::<Option<usize>>("indent")?,
        ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    Ok(dumps_with(&json_of(value)?, style))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// `datetime.strftime` for the codes that templates use.
fn strftime(format: &str, unix_seconds: u64) -> Result<String, minijinja::Error> {
    let days = unix_seconds / 86_400;
    let second = unix_seconds % 86_400;
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], index: u64| names.get(index as usize).copied().unwrap_or_default();
    let month_name = name(&MONTHS, month - 1);
    let weekday = name(&WEEKDAYS, (days + 3) % 7);
    let hour = second / 3600;
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out.push_str(&match chars.next() {
            Some('Y') => format!("{year:04}"),
            Some('y') => format!("{:02}", year % 100),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('B') => month_name.to_string(),
            Some('b') => month_name.chars().take(3).collect(),
            Some('A') => weekday.to_string(),
            Some('a') => weekday.chars().take(3).collect(),
            Some('H') => format!("{hour:02}"),
            Some('I') => format!("{:02}", (hour + 11) % 12 + 1),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_string(),
            Some('M') => format!("{:02}", second / 60 % 60),
            Some('S') => format!("{:02}", second % 60),
            Some('%') => "%".to_string(),
            other => {
                let code = other.map(String::from).unwrap_or_default();
                let problem = format!("strftime_now: `%{code}` is not supported");
                return Err(minijinja::Error::new(ErrorKind::InvalidOperation, problem));
            }
        });
    }
    Ok(out)
}

/// Year, month and day of a day number since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
