//! Jinja templates that give the bytes of the reference's Jinja2.
//!
//! Comes in: template source and a document's fields (or, in [`chat`], a conversation). Goes out: text. Never: what the text
//! is for.
//!
//! minijinja does the work; this wing adds Python's manners: values print as Python prints them, strings have Python's
//! methods and escapes, an undefined name is an error that says which and what is there, and a template that runs away, or is longer
//! than the parser's stack, is stopped. Differences from Jinja2 that are known and meant are in docs/templates.md.

pub mod chat;
mod filters;
mod jinja2;
mod json;
mod methods;
pub mod moment;
mod namespaces;
mod operands;
mod operators;
mod own_text;
mod scan;
mod sub;
mod value;

pub use own_text::own_text;

use crate::doc::Fields;
use crate::error::{Error, Result, nearest};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use std::collections::HashSet;
use std::sync::{LazyLock, PoisonError, RwLock};

/// Work one rendering may do: about one unit for an instruction, for 64 bytes written and for two list items visited. The
/// stock tasks need some hundreds; this bounds time to seconds and output to 256 MiB.
const FUEL: u64 = 4_000_000;

/// How deep expressions, loops and macros may nest.
const RECURSION_LIMIT: usize = 200;

/// Words and signs of a template that is compiled where the caller is: any stack has room for them.
const FEW_TOKENS: usize = 400;

/// Bytes of stack for a word or sign, which may be a level of the syntax tree that is read, compiled and dropped by recursion.
const STACK_PER_TOKEN: usize = 8 << 10;

/// Bytes of stack that a thread has in any case.
const STACK: usize = 2 << 20;

/// Names that start so are what `include` and its kin ask for; no template has such a name.
const INCLUDED: char = '\0';

/// Where a rendering keeps the last value it printed that was no text.
const PRINTED: &str = "printed";

/// Renders templates; every source is compiled once.
pub struct Templates {
    env: Environment<'static>,
    /// Long templates that are compiled already.
    long: RwLock<HashSet<String>>,
}

impl Default for Templates {
    fn default() -> Self {
        Templates::new()
    }
}

impl Templates {
    pub fn new() -> Self {
        let mut env = environment();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        // Only custom delimiters can fail to build.
        env.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default());
        // A template's name is its source: the environment then keeps the compiled form of each source it has seen.
        env.set_loader(|source| match source.starts_with(INCLUDED) {
            true => Ok(None),
            false => Ok(Some(scan::scan(source, scan::Dialect::Task)?.source)),
        });
        env.set_path_join_callback(|name, _| format!("{INCLUDED}{name}").into());
        Templates { env, long: RwLock::default() }
    }

    /// The text of a template for one document.
    pub fn render(&self, source: &str, fields: &Fields) -> Result<String> {
        self.render_with(source, &Context::new(fields))
    }

    /// As [`Templates::render_with`], with what the text was before it was printed.
    pub fn render_traced(&self, source: &str, context: &Context) -> Result<Rendered> {
        self.compile(source)?;
        let captured = self.env.get_template(source).and_then(|template| template.render_captured(context.0.clone()));
        let captured = captured.map_err(|err| render_error(&err, context))?;
        let printed = captured.state().get_temp(PRINTED);
        let text = captured.into_output();
        let was = match printed.filter(|value| value::to_str(value) == text).map(|value| value.kind()) {
            Some(ValueKind::Number) => Was::Number,
            Some(ValueKind::Seq | ValueKind::Iterable) => Was::List,
            _ => Was::Text,
        };
        Ok(Rendered { text, was })
    }

    /// As [`Templates::render`], for several templates over one document.
    pub fn render_with(&self, source: &str, context: &Context) -> Result<String> {
        self.compile(source)?;
        let rendered = self.env.get_template(source).and_then(|template| template.render(context.0.clone()));
        rendered.map_err(|err| render_error(&err, context))
    }

    /// Compiles a long template where there is room for it; short ones are compiled when they are rendered.
    fn compile(&self, source: &str) -> Result<()> {
        let is_known = || self.long.read().unwrap_or_else(PoisonError::into_inner).contains(source);
        if source.len() <= FEW_TOKENS || is_known() {
            return Ok(());
        }
        let tokens = scan::scan(source, scan::Dialect::Task)?.tokens.len();
        compiled(tokens, || self.env.get_template(source).map(drop))?;
        self.long.write().unwrap_or_else(PoisonError::into_inner).insert(source.to_string());
        Ok(())
    }
}

/// Does what goes as deep as a template is long, on a stack that has room for it.
fn compiled<T: Send>(tokens: usize, work: impl FnOnce() -> Result<T, minijinja::Error> + Send) -> Result<T> {
    let plain = |done: Result<T, minijinja::Error>| done.map_err(|err| plain_error(&err));
    if tokens <= FEW_TOKENS {
        return plain(work());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK + tokens * STACK_PER_TOKEN);
        let running =
            thread.spawn_scoped(scope, work).map_err(|err| Error::input("no memory to read a template").cause(err))?;
        match running.join() {
            Ok(done) => plain(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A rendered text with what it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    pub was: Was,
}

/// What a whole rendered text was before it was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Was {
    /// A text, or pieces put together.
    Text,
    /// One number.
    Number,
    /// One list.
    List,
}

/// A document's fields, ready for templates.
#[derive(Debug, Clone)]
pub struct Context(Value);

impl Context {
    pub fn new(fields: &Fields) -> Self {
        Context(Value::from_pairs(fields.iter().map(|(name, field)| (name.as_str(), value::from_json(field)))))
    }

    fn columns(&self) -> Vec<String> {
        self.0.try_iter().map(|names| names.map(|name| name.to_string()).collect()).unwrap_or_default()
    }
}

/// Whether the source is a template whose filters, tests and functions exist. The error carries the line within it.
pub fn check(source: &str) -> Result<()> {
    static ENV: LazyLock<Environment<'static>> = LazyLock::new(environment);
    let scanned = scan::scan(source, scan::Dialect::Task)?;
    let undeclared =
        compiled(scanned.tokens.len(), || Ok(ENV.template_from_str(&scanned.source)?.undeclared_variables(false)))?;
    for used in scan::uses(&scanned.tokens) {
        let known: &dyn Fn(&str) -> bool = match used.kind {
            scan::UseKind::Filter => &|name| registered("filter", name, &ENV),
            scan::UseKind::Test => &|name| registered("test", name, &ENV),
            scan::UseKind::Function => {
                &|name| !undeclared.contains(name) || ENV.globals().any(|(global, _)| global == name)
            }
        };
        if !known(used.name) {
            return Err(unknown(&used, &ENV));
        }
    }
    Ok(())
}

/// What a template takes from the document: names, with the fields that are named (`image.bytes`). Empty for what is no template.
pub fn variables(source: &str) -> Vec<String> {
    static ENV: LazyLock<Environment<'static>> = LazyLock::new(environment);
    let Ok(scanned) = scan::scan(source, scan::Dialect::Task) else { return Vec::new() };
    let template = ENV.template_from_str(&scanned.source);
    template.map(|template| template.undeclared_variables(true).into_iter().collect()).unwrap_or_default()
}

/// Whether the environment has a filter or test of that name, asked with the test `is filter` or `is test`.
fn registered(kind: &str, name: &str, env: &Environment<'_>) -> bool {
    env.empty_state().perform_test(kind, &[Value::from(name)]).unwrap_or(false)
}

fn unknown(used: &scan::Use<'_>, env: &Environment<'_>) -> Error {
    let what = used.kind.as_str();
    let err = Error::input(format!("unknown {what} `{}`", used.name)).line(used.line);
    let functions: Vec<&str> = env.globals().map(|(name, _)| name).filter(|name| !operators::is_own(name)).collect();
    let candidates: &[&str] = match used.kind {
        scan::UseKind::Filter => filters::COMMON,
        scan::UseKind::Test => filters::COMMON_TESTS,
        scan::UseKind::Function => &functions,
    };
    match nearest(used.name, candidates.iter().copied()) {
        Some(near) => err.hint(format!("did you mean `{near}`?")),
        None => err.hint(format!("{what}s there are: {}", candidates.join(", "))),
    }
}

/// What task and chat templates have in common.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_debug(true);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION_LIMIT);
    env.remove_global("debug");
    env.set_unknown_method_callback(methods::call);
    filters::add_to(&mut env);
    jinja2::add_to(&mut env);
    operators::add_to(&mut env);
    env.set_formatter(|out, state, printed| match printed.as_str() {
        Some(text) => out.write_str(text).map_err(minijinja::Error::from),
        None => {
            state.set_temp(PRINTED, printed.clone());
            out.write_str(&operators::text_of(state, printed)?).map_err(minijinja::Error::from)
        }
    });
    env
}

/// An error with the name that is missing and the columns there are.
fn render_error(err: &minijinja::Error, context: &Context) -> Error {
    let error = plain_error(err);
    match err.kind() {
        ErrorKind::UndefinedError => error.hint(format!("columns: {}", listed(&context.columns()))),
        _ => error,
    }
}

/// At most as many names as one reads.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 40;
    match names {
        [] => "none".to_string(),
        names if names.len() > SHOWN => format!("{}, ...", names[..SHOWN].join(", ")),
        names => names.join(", "),
    }
}

/// The engine's error in our words, with the line within the template.
fn plain_error(err: &minijinja::Error) -> Error {
    let part = err.range().and_then(|range| err.template_source()?.get(range)).map(operands::as_written);
    let part = part.as_deref().map(str::trim).filter(|part| !part.is_empty());
    let detail = shortened(&err.detail().map(str::to_owned).unwrap_or_else(|| err.kind().to_string()));
    let error = match (err.kind(), part) {
        // The detail names what is undefined.
        (ErrorKind::UndefinedError, _) if err.detail().is_some() => Error::input(detail),
        (ErrorKind::UndefinedError, Some(part)) => Error::input(format!("`{part}` is undefined")),
        (ErrorKind::OutOfFuel, _) => {
            Error::input("the template does not come to an end, or its text is too long").hint("shorten its loops")
        }
        (ErrorKind::TemplateNotFound, _) => {
            Error::input("the template includes another").hint("put the text of the other one here")
        }
        (ErrorKind::SyntaxError, _) => Error::input(format!("template: {detail}")),
        (_, Some(part)) if part.len() < 200 => Error::input(format!("template: {detail} (in `{part}`)")),
        _ => Error::input(format!("template: {detail}")),
    };
    match err.line() {
        Some(line) => error.line(line),
        None => error,
    }
}

/// The beginning of a text that a template or a document wrote, for errors.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 300;
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() { format!("{shown}...") } else { shown }
}

#[cfg(test)]
mod tests;
