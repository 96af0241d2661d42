//! YAML text to a tree of values that know their file and line: the only reader of YAML. The ground floor.
//!
//! Values mean what they mean to PyYAML (see `scalar`), or stay texts as they are written ([`parse_texts`]). The tag `!function` is a
//! kind of its own, so that it can be refused by name. Untrusted: depth and size are limited, also through aliases.

mod scalar;

use crate::error::{Error, Result};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number};
use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Deepest nesting, counted through aliases.
const MAX_DEPTH: usize = 64;
/// Most values in one file, counted through aliases.
const MAX_VALUES: usize = 1_000_000;
/// Bytes of a text that count as one more value.
const BYTES_A_VALUE: usize = 64;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Yaml {
    pub value: Value,
    pub file: Arc<Path>,
    pub line: usize,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Yaml>),
    Map(Vec<Entry>),
    /// `!function module.name`: a Python function of the reference format.
    Function(String),
}

/// One `key: value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Yaml,
    pub value: Yaml,
}

impl Yaml {
    /// An error at this value.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::input(message).at(&self.file, self.line)
    }

    /// What stands here, in words: `the number 3`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing (null)".into(),
            Value::Bool(flag) => format!("the boolean {flag}"),
            Value::Int(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number:?}"),
            Value::Str(text) if text.chars().count() <= 40 => format!("the text {text:?}"),
            Value::Str(_) => "a text".into(),
            Value::Seq(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
            Value::Function(name) => format!("the Python function {name}"),
        }
    }

    /// The refusal of a Python function, if this is one: `key` is what asks for it.
    pub fn refused(&self, key: &str) -> Option<Error> {
        let Value::Function(name) = &self.value else { return None };
        let message = format!("`{key}` calls the Python function {name}; fairmark does not run Python");
        Some(self.error(message).hint("use the declarative form, see docs/tasks.md"))
    }

    /// The value as JSON; keys that are not text are spelled as Python's `json` spells them. `key` is named in errors.
    pub fn to_json(&self, key: &str) -> Result<serde_json::Value> {
        Ok(match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => serde_json::Value::Bool(*flag),
            Value::Int(number) => serde_json::Value::from(*number),
            Value::Float(number) => match Number::from_f64(*number) {
                Some(number) => serde_json::Value::Number(number),
                None => return Err(self.error(format!("`{key}` cannot be {number}"))),
            },
            Value::Str(text) => serde_json::Value::from(text.as_str()),
            Value::Seq(items) => {
                serde_json::Value::Array(items.iter().map(|item| item.to_json(key)).collect::<Result<_>>()?)
            }
            Value::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    let name = entry.key.key_text();
                    let inner = entry.value.to_json(&format!("{key}.{name}"))?;
                    map.insert(name, inner);
                }
                serde_json::Value::Object(map)
            }
            Value::Function(_) => match self.refused(key) {
                Some(error) => return Err(error),
                None => serde_json::Value::Null,
            },
        })
    }

    /// A text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The values of a list.
    pub fn as_list(&self) -> Option<&[Yaml]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        self.as_map()?.iter().find(|entry| entry.key.as_text() == Some(key)).map(|entry| &entry.value)
    }

    /// A text as a list of one, or a list of texts.
    ///
    /// # Errors
    /// When it is neither.
    pub fn texts(&self) -> Result<Vec<String>> {
        let text = |yaml: &Yaml| {
            let not_text = || yaml.error(format!("expected a text or a list of texts, not {}", yaml.describe()));
            yaml.as_text().map(str::to_owned).ok_or_else(not_text)
        };
        self.as_list().map_or_else(|| Ok(vec![text(self)?]), |items| items.iter().map(text).collect())
    }

    /// A key's spelling: as Python's `json.dumps` writes keys.
    pub fn key_text(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Bool(flag) => flag.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => format!("{number:?}"),
            Value::Str(text) | Value::Function(text) => text.clone(),
            Value::Seq(_) | Value::Map(_) => String::new(),
        }
    }
}

/// Reads one document.
///
/// # Errors
/// What is no YAML, has two documents, a key twice in one mapping, or is too deep or too large; with file and line.
pub fn parse(text: &str, file: &Arc<Path>) -> Result<Yaml> {
    read(text, file, false)
}

/// Reads one document whose scalars stay texts as they are written: names, of which `1.0` and `no` are some.
///
/// # Errors
/// As [`parse`].
pub fn parse_texts(text: &str, file: &Arc<Path>) -> Result<Yaml> {
    read(text, file, true)
}

fn read(text: &str, file: &Arc<Path>, texts: bool) -> Result<Yaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (open, anchors) = (Vec::new(), HashMap::new());
    let mut builder = Builder { file: file.clone(), texts, open, anchors, count: 0, documents: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|err| builder.broken(&err))?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or(Yaml { value: Value::Null, file: file.clone(), line: 1 }))
}

/// A finished value kept for its aliases, with its size and depth.
struct Anchored {
    yaml: Yaml,
    values: usize,
    depth: usize,
}

/// A list or mapping that is being read.
struct Open {
    kind: OpenKind,
    anchor: usize,
    line: usize,
    /// `count` of the builder when this began.
    before: usize,
    /// Deepest nesting seen inside, counted from here.
    depth: usize,
}

enum OpenKind {
    Seq(Vec<Yaml>),
    Map { entries: Vec<Entry>, merged: Vec<Entry>, key: Option<Key>, seen: HashSet<String> },
}

/// A key that waits for its value.
enum Key {
    Plain(Yaml),
    /// `<<`.
    Merge,
}

struct Builder {
    file: Arc<Path>,
    /// Whether scalars stay texts.
    texts: bool,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    count: usize,
    documents: usize,
    root: Option<Yaml>,
}

impl Builder {
    fn error(&self, line: usize, message: impl Into<String>) -> Error {
        Error::input(message).at(&self.file, line)
    }

    fn broken(&self, err: &ScanError) -> Error {
        self.error(err.marker().line(), format!("not valid YAML: {}", err.info()))
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.error(line, "the file holds one YAML document, and this is a second one"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                if is_merge && self.expects_key() {
                    return self.begin_merge();
                }
                let value = self.scalar(&text, style, tag.as_deref(), line)?;
                let yaml = Yaml { value, file: self.file.clone(), line };
                self.add(yaml, anchor, 1 + text.len() / BYTES_A_VALUE, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", line)?;
                self.begin(OpenKind::Seq(Vec::new()), anchor, line)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", line)?;
                let kind = OpenKind::Map { entries: Vec::new(), merged: Vec::new(), key: None, seen: HashSet::new() };
                self.begin(kind, anchor, line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor) else {
                    return Err(self.error(line, "an alias (`*name`) stands inside the value it names"));
                };
                let (yaml, values, depth) = (target.yaml.clone(), target.values, target.depth);
                self.add(yaml, 0, values, depth)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Map { key: None, .. }, .. }))
    }

    fn begin_merge(&mut self) -> Result<()> {
        if let Some(Open { kind: OpenKind::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key::Merge);
        }
        Ok(())
    }

    fn begin(&mut self, kind: OpenKind, anchor: usize, line: usize) -> Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(line, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(Open { kind, anchor, line, before: self.count, depth: 0 });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.kind {
            OpenKind::Seq(items) => Value::Seq(items),
            OpenKind::Map { entries, merged, .. } => Value::Map(with_merged(merged, entries)),
        };
        let values = self.count - open.before + 1;
        // What is inside has been counted already; the value itself has not.
        self.count = open.before;
        let yaml = Yaml { value, file: self.file.clone(), line: open.line };
        self.add(yaml, open.anchor, values, open.depth + 1)
    }

    /// Puts a finished value where it belongs. `values` and `depth` are its own size.
    fn add(&mut self, yaml: Yaml, anchor: usize, values: usize, depth: usize) -> Result<()> {
        self.count += values;
        if self.count > MAX_VALUES {
            let message =
                format!("more than {MAX_VALUES} values, counted through aliases (long texts count as several)");
            return Err(yaml.error(message));
        }
        if self.open.len() + depth > MAX_DEPTH {
            return Err(yaml.error(format!("nested more than {MAX_DEPTH} levels deep, counted through aliases")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { yaml: yaml.clone(), values, depth });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(yaml);
            return Ok(());
        };
        open.depth = open.depth.max(depth);
        match &mut open.kind {
            OpenKind::Seq(items) => items.push(yaml),
            OpenKind::Map { entries, merged, key, seen } => match key.take() {
                None => *key = Some(Key::Plain(checked_key(yaml, seen)?)),
                Some(Key::Plain(key)) => entries.push(Entry { key, value: yaml }),
                Some(Key::Merge) => merge(yaml, merged)?,
            },
        }
        Ok(())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Value> {
        let Some(tag) = tag else {
            if self.texts || style != ScalarStyle::Plain {
                return Ok(Value::Str(text.to_owned()));
            }
            return scalar::resolve(text).ok_or_else(|| self.error(line, format!("the integer {text} is too large")));
        };
        let wrong = || self.error(line, format!("{text:?} is not what its tag {tag} says"));
        if !tag.is_yaml_core_schema() {
            return match (tag.handle.as_str(), tag.suffix.as_str()) {
                ("!", "function") => Ok(Value::Function(text.to_owned())),
                // The non-specific tag makes it text.
                ("", "!") | ("!", "") => Ok(Value::Str(text.to_owned())),
                _ => Err(self.error(line, format!("unknown YAML tag {tag}"))),
            };
        }
        match tag.suffix.as_str() {
            "str" => Ok(Value::Str(text.to_owned())),
            "null" => Ok(Value::Null),
            "bool" => scalar::boolean(text).map(Value::Bool).ok_or_else(wrong),
            "int" => match scalar::integer(text) {
                scalar::Integer::Value(number) => Ok(Value::Int(number)),
                scalar::Integer::TooLarge | scalar::Integer::None => Err(wrong()),
            },
            "float" => match scalar::resolve(text) {
                Some(Value::Float(number)) => Ok(Value::Float(number)),
                Some(Value::Int(number)) => Ok(Value::Float(number as f64)),
                _ => Err(wrong()),
            },
            _ => Err(self.error(line, format!("unknown YAML tag {tag}"))),
        }
    }

    fn check_collection_tag(&self, tag: Option<&Tag>, own: &str, line: usize) -> Result<()> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == own) => {
                Err(self.error(line, format!("unknown YAML tag {tag} on a list or mapping")))
            }
            _ => Ok(()),
        }
    }
}

/// A key must be a scalar and new in its mapping.
fn checked_key(key: Yaml, seen: &mut HashSet<String>) -> Result<Yaml> {
    if matches!(&key.value, Value::Seq(_) | Value::Map(_) | Value::Function(_)) {
        return Err(key.error(format!("a key must be a plain value, not {}", key.describe())));
    }
    if !seen.insert(identity(&key)) {
        return Err(key.error(format!("the key `{}` stands twice in this mapping", key.key_text())));
    }
    Ok(key)
}

/// What tells keys apart: `1` and `"1"` are two.
fn identity(key: &Yaml) -> String {
    let kind = if matches!(key.value, Value::Str(_)) { "text" } else { "other" };
    format!("{kind}:{}", key.key_text())
}

/// Takes in the value of a `<<` key: a mapping, or a list of them of which earlier ones win.
fn merge(source: Yaml, merged: &mut Vec<Entry>) -> Result<()> {
    match source.value {
        Value::Map(entries) => put_all(merged, entries),
        Value::Seq(items) => {
            let mut all = Vec::new();
            for item in items.into_iter().rev() {
                match item.value {
                    Value::Map(entries) => all.extend(entries),
                    _ => return Err(item.error("`<<` takes mappings only")),
                }
            }
            put_all(merged, all);
        }
        _ => return Err(source.error("`<<` takes a mapping or a list of mappings")),
    }
    Ok(())
}

/// Merged entries first, the mapping's own values over them.
fn with_merged(mut merged: Vec<Entry>, own: Vec<Entry>) -> Vec<Entry> {
    if merged.is_empty() {
        return own;
    }
    put_all(&mut merged, own);
    merged
}

/// Sets keys as a Python dict does: a new one goes last, an old one keeps its place.
pub fn put_all(entries: &mut Vec<Entry>, more: impl IntoIterator<Item = Entry>) {
    // Not found one by one: a hostile file has hundreds of thousands of keys.
    let mut places: HashMap<String, usize> =
        entries.iter().enumerate().map(|(place, entry)| (identity(&entry.key), place)).collect();
    for entry in more {
        match places.entry(identity(&entry.key)) {
            Slot::Occupied(place) => entries[*place.get()] = entry,
            Slot::Vacant(slot) => {
                slot.insert(entries.len());
                entries.push(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_yaml(text: &str) -> Result<Yaml> {
        parse(text, &Arc::from(Path::new("t.yaml")))
    }

    #[test]
    fn scalars_can_stay_texts() {
        let file: Arc<Path> = Arc::from(Path::new("t.yaml"));
        let yaml = parse_texts("a:\n  \"*\": {x: [1.0, '2', no], 2023: ~}\n# c\nb: t\n", &file).unwrap();
        let star = yaml.get("a").and_then(|a| a.get("*")).unwrap();
        assert_eq!(star.get("x").unwrap().texts().unwrap(), ["1.0", "2", "no"]);
        assert_eq!((star.get("2023").and_then(Yaml::as_text), yaml.get("b").unwrap().line), (Some("~"), 4));
        let err = yaml.get("a").unwrap().texts().unwrap_err();
        assert_eq!((err.place().line, err.to_string().contains("a mapping")), (Some(2), true), "{err}");
    }

    fn as_json(text: &str) -> serde_json::Value {
        read_yaml(text).and_then(|yaml| yaml.to_json("x")).expect(text)
    }

    fn message(text: &str) -> String {
        read_yaml(text).expect_err(text).to_string()
    }

    #[test]
    fn reads_the_shapes_of_task_files() {
        let text = "task: x\nuntil: [\"a\\n\", 'b', c]\nsteps:\n- drop: [a]\n- keep: >-\n    two\n    words\nmore: |\n  l1\n  l2\n";
        let want = json!({
            "task": "x", "until": ["a\n", "b", "c"], "steps": [{"drop": ["a"]}, {"keep": "two words"}], "more": "l1\nl2\n"
        });
        assert_eq!(as_json(text), want);
        assert_eq!(read_yaml("").unwrap().value, Value::Null);
        assert_eq!(as_json("{1: a, yes: b, ~: c, 1.5: d}"), json!({"1": "a", "true": "b", "null": "c", "1.5": "d"}));
    }

    #[test]
    fn knows_lines() {
        let yaml = read_yaml("a: 1\nb:\n  - x\n  - !function utils.f\n").unwrap();
        let Value::Map(entries) = &yaml.value else { panic!("a mapping") };
        let Value::Seq(items) = &entries[1].value.value else { panic!("a list") };
        assert_eq!(items[1].line, 4);
        let refusal = items[1].refused("process_docs").unwrap().to_string();
        let want = "t.yaml:4: `process_docs` calls the Python function utils.f; fairmark does not run Python\n  hint: use the declarative form, see docs/tasks.md";
        assert_eq!(refusal, want);
    }

    #[test]
    fn tags_and_quotes_decide_the_kind() {
        assert_eq!(
            as_json("[!!str 1, '1', \"yes\", !!int '7', !!float 1, ! 12]"),
            json!(["1", "1", "yes", 7, 1.0, "12"])
        );
        assert!(message("a: !python/object x").contains("t.yaml:1: unknown YAML tag"));
        assert!(message("a: !!set {x}").contains("unknown YAML tag"));
    }

    #[test]
    fn merges_as_pyyaml_does() {
        // Expected: `yaml.safe_load` of PyYAML 6.0.3, order of keys included.
        let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {z: 9, <<: [*a, *b], w: 5}\n";
        assert_eq!(as_json(text)["c"].to_string(), r#"{"y":2,"z":9,"x":1,"w":5}"#);
        assert!(message("a: 1\nb: {<<: 3}").contains("t.yaml:2: `<<` takes"));
    }

    #[test]
    fn refuses_what_is_broken() {
        assert_eq!(message("a: 1\nb: 2\na: 3"), "t.yaml:3: the key `a` stands twice in this mapping");
        assert!(message("a: [1, 2").starts_with("t.yaml:"));
        assert!(message("a: 1\n---\nb: 2").contains("one YAML document"));
        assert!(message("? [a]\n: 1").contains("a key must be a plain value, not a list"));
        assert!(message("a: &x [*x]").contains("inside the value it names"));
        assert!(message("a: 99999999999999999999").contains("too large"));
    }

    #[test]
    fn many_keys_are_merged_in_no_time() {
        let keys = |from: usize| (from..from + 50_000).map(|i| format!("  k{i}: 1\n")).collect::<String>();
        let text = format!("a: &a\n{}b: &b\n{}c:\n  <<: [*a, *b]\n{}", keys(0), keys(25_000), keys(50_000));
        let Value::Map(entries) = read_yaml(&text).unwrap().value else { panic!("a mapping") };
        assert!(matches!(&entries[2].value.value, Value::Map(merged) if merged.len() == 100_000));
    }

    #[test]
    fn bombs_are_refused() {
        let mut text = String::from("l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*l{}, ", level - 1).repeat(10);
            text.push_str(&format!("l{level}: &l{level} [{below}]\n"));
        }
        assert!(message(&text).contains("more than 1000000 values"));
        let mut text = String::from("l0: &l0 [x]\n");
        for level in 1..100 {
            text.push_str(&format!("l{level}: &l{level} [*l{}]\n", level - 1));
        }
        assert!(message(&text).contains("levels deep"));
        let long = "x".repeat(1 << 20);
        assert!(message(&format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(100))).contains("values"));
        assert!(read_yaml(&"[".repeat(100_000)).is_err());
        assert!(read_yaml(&"- ".repeat(100_000)).is_err());
    }
}
