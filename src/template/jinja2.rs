//! Filters, tests and functions of Jinja2 that minijinja has not, or has otherwise.

use super::filters::{refuse_undefined, string};
use super::operators::{affordable, check_held, some};
use crate::python::text;
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::globals::joiner;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Characters that a text may be made wide.
const WIDEST: usize = 1_000_000;

/// Puts them into an environment.
pub fn add_to(env: &mut Environment<'static>) {
    env.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    env.add_test("sequence", |value: &Value| {
        let holds = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map | ValueKind::String);
        holds || value.is_undefined()
    });
    env.add_test("callable", is_callable);
    env.add_test("integer", |value: &Value| value.is_integer() && value.kind() == ValueKind::Number);
    env.add_filter("attr", attr);
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("e", escape);
    env.add_filter("escape", escape);
    env.add_filter("indent", indent);
    env.add_filter("list", |state: &State<'_, '_>, value: Value| {
        some(&value)?;
        minijinja::filters::list(state, value)
    });
    env.add_filter(
        "sum",
        |state: &State<'_, '_>, value: Value, attribute: Option<&str>, start: Option<Value>, kwargs: Kwargs| {
            some(&value)?;
            minijinja::filters::sum(state, value, attribute, start, kwargs)
        },
    );
    type Given<'a, 'b, 'c> = (&'a State<'b, 'c>, Value, Kwargs);
    type Filter = fn(Given<'_, '_, '_>) -> Result<Value, Error>;
    let through: [(&str, Filter); 4] = [
        ("sort", |(state, value, kwargs)| minijinja::filters::sort(state, value, kwargs)),
        ("unique", |(state, value, kwargs)| minijinja::filters::unique(state, value, kwargs)),
        ("max", |(state, value, kwargs)| minijinja::filters::max(state, value, kwargs)),
        ("min", |(state, value, kwargs)| minijinja::filters::min(state, value, kwargs)),
    ];
    for (name, filter) in through {
        env.add_filter(name, move |state: &State<'_, '_>, value: Value, kwargs: Kwargs| {
            some(&value)?;
            filter((state, value, kwargs))
        });
    }
    env.add_filter("batch", batch);
    env.add_filter("slice", slice);
    env.add_filter("center", |state: &State<'_, '_>, value: &Value, width: Option<usize>| {
        centred(&string(state, value)?, width.unwrap_or(80), ' ')
    });
    env.add_filter("filesizeformat", filesize);
    env.add_filter("forceescape", |state: &State<'_, '_>, value: &Value| {
        string(state, value).map(|text| escaped(&text))
    });
    env.add_filter("striptags", |state: &State<'_, '_>, value: &Value| {
        string(state, value).map(minijinja_contrib::filters::striptags)
    });
    env.add_filter("truncate", truncate);
    env.add_filter("urlencode", urlencode);
    env.add_filter("wordcount", |state: &State<'_, '_>, value: &Value| string(state, value).map(|text| words(&text)));
    env.add_function("joiner", joiner);
    env.add_function("cycler", |items: Rest<Value>| match items.0.is_empty() {
        true => Err(invalid("cycler: at least one item has to be given")),
        false => Ok(Value::from_object(Cycler { items: items.0, at: AtomicUsize::new(0) })),
    });
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.into())
}

fn is_callable(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        // Jinja2's undefined value has a method for being called, which raises.
        return value.is_undefined();
    };
    let name = object.type_name();
    ["Function", "Macro", "Joiner"].iter().any(|kind| name.contains(kind))
}

/// `default(value, default_value="", boolean=False)`.
fn default(value: &Value, rest: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut places = rest.into_values();
    let kwargs = match places.pop_if(|last| last.is_kwargs()) {
        Some(kwargs) => Kwargs::try_from(kwargs)?,
        None => Kwargs::from_iter(std::iter::empty::<(String, Value)>()),
    };
    let by_name = |place: Option<&Value>, name: &str| match place {
        Some(value) => Ok(Some(value.clone())),
        None => kwargs.get::<Option<Value>>(name),
    };
    let otherwise = by_name(places.first(), "default_value")?;
    let boolean = by_name(places.get(1), "boolean")?.is_some_and(|value| value.is_true());
    kwargs.assert_all_used()?;
    let is_kept = if boolean { value.is_true() } else { !value.is_undefined() };
    Ok(if is_kept { value.clone() } else { otherwise.unwrap_or_else(|| Value::from("")) })
}

/// HTML's signs as Python's `markupsafe` writes them; what is marked as safe stays.
fn escape(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    string(state, value).map(|text| Value::from_safe_string(escaped(&text)))
}

/// `indent(s, width=4, first=False, blank=False)`: a width may be a text.
fn indent(state: &State<'_, '_>, value: &Value, rest: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let text = string(state, value)?;
    let given = Arguments::new(rest)?;
    let width = given.get(0, "width")?.unwrap_or_else(|| Value::from(4));
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is_true(given.get(1, "first")?), is_true(given.get(2, "blank")?));
    given.end(3)?;
    let before = match width.as_str() {
        Some(text) => text.to_string(),
        None => " ".repeat(usize::try_from(width)?.min(affordable(state))),
    };
    let lines: Vec<&str> = text.split('\n').collect();
    if before.len().saturating_mul(lines.len()) > affordable(state) {
        return Err(Error::from(ErrorKind::OutOfFuel));
    }
    let moved = lines.iter().enumerate().map(|(i, line)| match i {
        0 if !first => line.to_string(),
        _ if line.is_empty() && !blank && i > 0 => String::new(),
        _ => format!("{before}{line}"),
    });
    Ok(moved.collect::<Vec<_>>().join("\n"))
}

/// `getattr`, which sees no keys: of what templates have, only namespaces, loops and macros have attributes.
fn attr(state: &State<'_, '_>, value: &Value, name: &str) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    refuse_undefined(state, value)?;
    let kinds = ["Namespace", "Loop", "Macro", "GroupTuple", "Cycler"];
    let has = value.as_object().is_some_and(|object| kinds.iter().any(|kind| object.type_name().contains(kind)));
    if has { value.get_attr(name) } else { Ok(Value::UNDEFINED) }
}

fn batch(state: &State<'_, '_>, value: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    some(&value)?;
    let made = minijinja::filters::batch(state, value, count, fill)?;
    check_held(state, &made)?;
    Ok(made)
}

fn slice(state: &State<'_, '_>, value: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    some(&value)?;
    let made = minijinja::filters::slice(state, value, count, fill)?;
    check_held(state, &made)?;
    Ok(made)
}

/// `str.center(width, fill)`: of an odd number of places the extra one stands left where the width is odd.
pub fn centred(s: &str, width: usize, fill: char) -> Result<String, Error> {
    let places = room(s, width)?;
    let left = places / 2 + (places & width & 1);
    Ok(padded(s, left, places - left, fill))
}

/// Places that a text lacks to a width.
pub fn room(s: &str, width: usize) -> Result<usize, Error> {
    if width > WIDEST {
        return Err(invalid(format!("a text wider than {WIDEST} characters")));
    }
    Ok(width.saturating_sub(text::len(s)))
}

/// A text with so many characters before and behind it.
pub fn padded(s: &str, before: usize, behind: usize, fill: char) -> String {
    let fill = |count| std::iter::repeat_n(fill, count);
    fill(before).chain(s.chars()).chain(fill(behind)).collect()
}

fn filesize(value: &Value, binary: Option<bool>) -> Result<String, Error> {
    let bytes = match value.as_str() {
        Some(text) => text::strip(text).parse::<f64>().map_err(|_| invalid("filesizeformat: no number"))?,
        None => f64::try_from(value.clone())?,
    };
    let binary = binary.unwrap_or(false);
    let (base, infix): (f64, &str) = if binary { (1024.0, "i") } else { (1000.0, "") };
    if bytes == 1.0 {
        return Ok("1 Byte".into());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let prefixes = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let place =
        (0..prefixes.len() - 1).find(|place| bytes < base.powi(*place as i32 + 2)).unwrap_or(prefixes.len() - 1);
    let prefix = if binary && place == 0 { "K" } else { prefixes[place] };
    Ok(format!("{:.1} {prefix}{infix}B", base * bytes / base.powi(place as i32 + 2)))
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('\'', "&#39;").replace('"', "&#34;")
}

/// Arguments of a filter that may be given by place or by name.
pub struct Arguments {
    places: Vec<Value>,
    kwargs: Kwargs,
}

impl Arguments {
    /// Parts what a filter is given.
    pub fn new(rest: Rest<ValueOrKwargs>) -> Result<Arguments, Error> {
        let mut places = rest.into_values();
        let kwargs = match places.pop() {
            Some(last) if last.is_kwargs() => Kwargs::try_from(last)?,
            last => {
                places.extend(last);
                Kwargs::from_iter(std::iter::empty::<(String, Value)>())
            }
        };
        Ok(Arguments { places, kwargs })
    }

    /// The argument at a place or of a name; `None` where there is none, or it is none.
    pub fn get(&self, place: usize, name: &str) -> Result<Option<Value>, Error> {
        let given = match self.places.get(place) {
            Some(value) => Some(value.clone()),
            None => self.kwargs.get::<Option<Value>>(name)?,
        };
        Ok(given.filter(|value| !value.is_none() && !value.is_undefined()))
    }

    /// Errors: something was given that nobody asked for.
    pub fn end(&self, places: usize) -> Result<(), Error> {
        if self.places.len() > places {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        self.kwargs.assert_all_used()
    }
}

/// `truncate(s, length=255, killwords=False, end="...", leeway=5)`.
fn truncate(state: &State<'_, '_>, value: &Value, rest: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let text = string(state, value)?;
    let given = Arguments::new(rest)?;
    let number = |value: Option<Value>, default| value.map_or(Ok(default), usize::try_from);
    let length = number(given.get(0, "length")?, 255)?;
    let killwords = given.get(1, "killwords")?.is_some_and(|value| value.is_true());
    let end = given.get(2, "end")?.map_or_else(|| Ok("...".to_string()), |end| string(state, &end))?;
    let leeway = number(given.get(3, "leeway")?, 5)?;
    given.end(4)?;
    let kept = length.checked_sub(text::len(&end)).ok_or_else(|| invalid("truncate: shorter than its end"))?;
    if text::len(&text) <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let cut: String = text.chars().take(kept).collect();
    let cut = if killwords { cut.as_str() } else { cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words) };
    Ok(format!("{cut}{end}"))
}

/// `urllib.parse.quote(text, safe="/")`; of a dict or of pairs a query.
fn urlencode(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    refuse_undefined(state, value)?;
    let quoted = |value: &Value, in_query: bool| Ok::<_, Error>(quote(&string(state, value)?, in_query));
    let pair = |key: &Value, value: &Value| Ok::<_, Error>(format!("{}={}", quoted(key, true)?, quoted(value, true)?));
    match value.kind() {
        ValueKind::Map => {
            let pairs = value.try_iter()?.map(|key| pair(&key, &value.get_item(&key)?));
            Ok(pairs.collect::<Result<Vec<_>, _>>()?.join("&"))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let item = |item: &Value, at: usize| item.get_item(&Value::from(at));
            let pairs = value.try_iter()?.map(|two| pair(&item(&two, 0)?, &item(&two, 1)?));
            Ok(pairs.collect::<Result<Vec<_>, _>>()?.join("&"))
        }
        _ => quoted(value, false),
    }
}

fn quote(text: &str, in_query: bool) -> String {
    let quoted = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => char::from(byte).to_string(),
        b'/' if !in_query => "/".to_string(),
        b' ' if in_query => "+".to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(quoted).collect()
}

/// `len(re.findall(r"\w+", text))`.
fn words(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).count()
}

/// `cycler("a", "b")`: one after the other, and again from the first.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Cycler {
    fn current(&self) -> Value {
        self.items.get(self.at.load(Ordering::Relaxed) % self.items.len()).cloned().unwrap_or_default()
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("current")).then(|| self.current())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let () = from_args(args)?;
        match method {
            "next" => {
                let current = self.current();
                self.at.fetch_add(1, Ordering::Relaxed);
                Ok(current)
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
