//! A small YAML reader for the two files of this wing: `sources.yaml` and the front matter of dataset cards.
//!
//! It gives a tree of texts, lists and maps that remembers lines; what a text means is the caller's business.

use crate::error::{Error, Result};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::iter::Peekable;

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 32;

/// A value with the line (from 1) on which it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub line: usize,
    pub value: Yaml,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    /// A scalar; `plain` when it was not quoted.
    Text {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In file order; keys do not repeat.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[(String, Node)]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Yaml::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// A text as a list of one, or a list of texts.
    pub fn texts(&self) -> Result<Vec<String>> {
        let not_text = |line| Error::input("expected a text or a list of texts").line(line);
        match &self.value {
            Yaml::Text { text, .. } => Ok(vec![text.clone()]),
            Yaml::List(items) => {
                items.iter().map(|item| item.as_text().map(str::to_string).ok_or_else(|| not_text(item.line))).collect()
            }
            Yaml::Map(_) => Err(not_text(self.line)),
        }
    }
}

type Events<'a> = Peekable<Box<dyn Iterator<Item = Result<(Event<'a>, Span)>> + 'a>>;

/// Reads one document; an empty one is an empty map. Errors carry the line.
pub(super) fn parse(text: &str) -> Result<Node> {
    let events = Parser::new_from_str(text).map(|event| {
        event.map_err(|err| Error::input(format!("not valid YAML: {}", err.info())).line(err.marker().line()))
    });
    let boxed: Box<dyn Iterator<Item = Result<(Event<'_>, Span)>> + '_> = Box::new(events);
    let mut events = boxed.peekable();
    while let Some(Ok((Event::StreamStart | Event::DocumentStart(_), _))) = events.peek() {
        events.next();
    }
    match events.peek() {
        None | Some(Ok((Event::StreamEnd | Event::DocumentEnd, _))) => {
            Ok(Node { line: 1, value: Yaml::Map(Vec::new()) })
        }
        Some(_) => node(&mut events, 0),
    }
}

fn node(events: &mut Events, depth: usize) -> Result<Node> {
    let (event, span) = events.next().unwrap_or_else(|| Err(Error::input("the YAML ends too early")))?;
    let line = span.start.line();
    if depth > MAX_DEPTH {
        return Err(Error::input("the YAML is nested too deeply").line(line));
    }
    let value = match event {
        Event::Scalar(text, style, ..) => Yaml::Text { text: text.into_owned(), plain: style == ScalarStyle::Plain },
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            while !take_end(events, &Event::SequenceEnd) {
                items.push(node(events, depth + 1)?);
            }
            Yaml::List(items)
        }
        Event::MappingStart(..) => map(events, depth)?,
        Event::Alias(_) => return Err(Error::input("YAML anchors and aliases are not supported here").line(line)),
        _ => return Err(Error::input("expected a value").line(line)),
    };
    Ok(Node { line, value })
}

fn map(events: &mut Events, depth: usize) -> Result<Yaml> {
    let mut entries: Vec<(String, Node)> = Vec::new();
    while !take_end(events, &Event::MappingEnd) {
        let key = node(events, depth + 1)?;
        let name = key.as_text().ok_or_else(|| Error::input("a key must be a text").line(key.line))?.to_string();
        if entries.iter().any(|(known, _)| *known == name) {
            return Err(Error::input(format!("the key `{name}` stands twice")).line(key.line));
        }
        entries.push((name, node(events, depth + 1)?));
    }
    Ok(Yaml::Map(entries))
}

/// Takes the next event if it is the given end.
fn take_end(events: &mut Events, end: &Event) -> bool {
    events.next_if(|event| matches!(event, Ok((event, _)) if event == end)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_with_lines() {
        let node = parse("a:\n  \"*\": {x: [1, '2']}\n# c\nb: t\n").unwrap();
        let star = node.get("a").and_then(|a| a.get("*")).unwrap();
        assert_eq!(star.get("x").unwrap().texts().unwrap(), ["1", "2"]);
        assert_eq!(node.get("b").unwrap().line, 4);
        assert_eq!(node.get("b").unwrap().value, Yaml::Text { text: "t".into(), plain: true });
        assert_eq!(parse("").unwrap().as_map(), Some(&[][..]));
    }

    #[test]
    fn errors_with_lines() {
        for (text, line) in [("a: 1\na: 2\n", 2), ("a: &x 1\nb: *x\n", 2), ("a: 1\nb: [\n", 3), ("a: 1\n b: 2\n", 2)] {
            let err = parse(text).unwrap_err();
            assert_eq!(err.place().line, Some(line), "{text:?} {err}");
        }
        assert!(parse(&"[".repeat(5000)).is_err());
    }
}
