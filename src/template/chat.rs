//! Chat templates of models: a conversation to the text the model was trained on, as transformers renders it.

use super::jinja2::Arguments;
use super::json::{self, Indent};
use super::moment::{Moment, Precision, precision_of};
use super::scan::{self, Token, TokenKind};
use super::{compiled, environment, plain_error, shortened, value};
use crate::error::{Error, Result};
use crate::python::text;
use crate::request::{Message, Role};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Value, ValueOrKwargs};
use minijinja::{Environment, ErrorKind, State};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The name under which the environment keeps the one template.
const NAME: &str = "chat template";

/// What transformers puts after the message that is continued, to find its end in the rendered text.
const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// The function that gives a template the time.
const CLOCK: &str = "strftime_now";

/// Names that a conversation fills itself.
const OWN: &[&str] = &["messages", "add_generation_prompt"];

/// A compiled chat template.
pub struct ChatTemplate {
    env: Environment<'static>,
    /// What it takes for now.
    now: Arc<Mutex<Moment>>,
    clock: Option<Precision>,
    /// The names that it asks for.
    names: HashSet<String>,
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
    /// Compiles a template. Its `strftime_now` gives the local time of this call until [`ChatTemplate::set_now`] says otherwise.
    ///
    /// Errors: no template, or one that is too long to be read.
    pub fn new(source: &str) -> Result<ChatTemplate> {
        let in_context = |err: Error| err.context("chat template");
        let now = Arc::new(Mutex::new(Moment::now()));
        let mut env = environment();
        // Only custom delimiters can fail to build.
        env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default());
        env.add_filter("tojson", to_json);
        env.add_function("raise_exception", |message: &Value| -> Result<Value, minijinja::Error> {
            let message = value::excerpt(message);
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
        });
        let clock = Arc::clone(&now);
        env.add_function(CLOCK, move |format: &str| {
            let now = *clock.lock().unwrap_or_else(PoisonError::into_inner);
            now.strftime(format)
                .map_err(|problem| minijinja::Error::new(ErrorKind::InvalidOperation, shortened(&problem)))
        });
        let scanned = scan::scan(source, scan::Dialect::Chat).map_err(|refused| in_context(refused.into()))?;
        let clock = clock_of(&scanned.tokens);
        let names = compiled(scanned.tokens.len(), || {
            env.add_template_owned(NAME, scanned.source)?;
            Ok(env.get_template(NAME)?.undeclared_variables(false))
        })
        .map_err(in_context)?;
        let template = ChatTemplate { env, now, clock, names };
        template.set_now(Moment::now());
        Ok(template)
    }

    /// The moment that the rendered text depends on, if it does; as much of it as is printed.
    pub fn now(&self) -> Option<Moment> {
        self.clock.map(|_| *self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what time it is.
    pub fn set_now(&self, now: Moment) {
        let now = now.to(self.clock.unwrap_or(Precision::Time));
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Whether it asks for a name.
    pub fn uses(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether a name is the conversation's, and cannot be set.
    pub fn is_own(name: &str) -> bool {
        OWN.contains(&name)
    }

    /// The text of a conversation. With `add_generation_prompt` it ends where the assistant's answer begins; without, a
    /// final assistant message is left open, to be continued. `names`: special tokens and settings, by name.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        names: &Map<String, Json>,
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
        // As in transformers, tools and documents are there and none where nobody gives any.
        let mut context: BTreeMap<&str, Value> = [("tools", Value::from(())), ("documents", Value::from(()))].into();
        context.extend(names.iter().map(|(name, given)| (name.as_str(), value::from_json(given))));
        context.insert("messages", Value::from(turns));
        context.insert("add_generation_prompt", Value::from(add_generation_prompt));
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

/// What of a moment a template prints: all of it, unless every format is written out and asks for the day only.
fn clock_of(tokens: &[Token]) -> Option<Precision> {
    let mut clock = None;
    for (i, _) in tokens.iter().enumerate().filter(|(_, t)| t.kind == TokenKind::Name && t.text == CLOCK) {
        let at = |n: usize| tokens.get(i + n);
        let is_tested = |word: &Token| word.kind == TokenKind::Name && word.text == "is";
        let precision = match (at(1), at(2), at(3)) {
            (Some(open), Some(format), Some(close))
                if open.text == "(" && format.kind == TokenKind::Text && close.text == ")" =>
            {
                precision_of(&format.text)
            }
            // `strftime_now is defined`
            (Some(word), ..) if is_tested(word) => continue,
            _ => Precision::Time,
        };
        clock = Some(if clock == Some(Precision::Time) { Precision::Time } else { precision });
    }
    clock
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

/// transformers' `tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
fn to_json(state: &State<'_, '_>, value: &Value, rest: Rest<ValueOrKwargs>) -> Result<String, minijinja::Error> {
    let given = Arguments::new(rest)?;
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let ascii = is_true(given.get(0, "ensure_ascii")?);
    let indent = given.get(1, "indent")?.map(|indent| Indent::of(&indent)).transpose()?;
    let separators = given.get(2, "separators")?;
    let sort_keys = is_true(given.get(3, "sort_keys")?);
    given.end(4)?;
    let separators: Option<Vec<String>> = match separators {
        Some(pair) => {
            Some(pair.try_iter()?.map(|text| value::to_str_within(&text, 1000).unwrap_or_default()).collect())
        }
        None => None,
    };
    let separators = match separators.as_deref() {
        Some([items, key]) => Some((items.as_str(), key.as_str())),
        None => None,
        Some(_) => {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "tojson: `separators` are two texts"));
        }
    };
    json::written(state, value, &json::Form { indent, ascii, sort_keys, separators })
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
