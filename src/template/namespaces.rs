//! Namespaces that would hold themselves: shown, they have no end, and the stack has one.
//!
//! `{% set n.x = n %}` is refused before anything runs, and so is every way to the same: a name that may stand for a namespace (or for a
//! list, a mapping or a macro's argument with one in it) is not put into an attribute. Attributes of namespaces, which are what templates
//! use, may be put anywhere.

use super::scan::{Refused, Token, TokenKind};
use std::collections::HashSet;

/// Refuses a template in which a namespace could come to hold a namespace.
pub(super) fn check(tokens: &[Token]) -> Result<(), Refused> {
    let is_namespace = |token: &Token| token.kind == TokenKind::Name && token.text == "namespace";
    if !tokens.iter().any(is_namespace) {
        return Ok(());
    }
    let tags = tags(tokens);
    let mut held: HashSet<&str> = HashSet::new();
    loop {
        let before = held.len();
        for tag in &tags {
            if carries(tag.value, &held) {
                held.extend(tag.names.iter().copied());
            }
        }
        // An argument of a macro may be anything that is handed on by its name.
        if tags.iter().any(|tag| !tag.is_attribute && names(tag.value, &held).any(|name| held.contains(name))) {
            held.extend(tags.iter().flat_map(|tag| &tag.parameters).copied());
        }
        if held.len() == before {
            break;
        }
    }
    match tags.iter().find(|tag| tag.is_attribute && carries(tag.value, &held)) {
        Some(tag) => {
            let problem = "puts a namespace into an attribute of a namespace, which could then hold itself without end";
            Err(Refused { problem: problem.to_owned(), line: tag.line })
        }
        None => Ok(()),
    }
}

/// What stands between two delimiters.
struct Tag<'a> {
    line: usize,
    /// Names that it gives a value: of `set`, `for`, `with`.
    names: Vec<&'a str>,
    /// Parameters of a macro, or of a call block.
    parameters: Vec<&'a str>,
    /// Whether the value goes into an attribute (`set n.x = ...`).
    is_attribute: bool,
    value: &'a [Token],
}

fn tags(tokens: &[Token]) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    for part in tokens.split(|token| token.kind == TokenKind::Close) {
        let start = part.iter().rposition(|token| token.kind == TokenKind::Open).map_or(0, |at| at + 1);
        let part = &part[start..];
        let line = part.first().map_or(1, |token| token.line);
        let inner = part.get(1..).unwrap_or_default();
        let plain = |value| Tag { line, names: Vec::new(), parameters: Vec::new(), is_attribute: false, value };
        let tag = match part.first().map(|token| token.text.as_str()) {
            Some("set") => match inner.iter().position(|token| token.text == "=") {
                Some(at) => {
                    let is_attribute = inner[..at].iter().any(|token| token.text == ".");
                    let names = if is_attribute { Vec::new() } else { only_names(&inner[..at]) };
                    Tag { names, is_attribute, ..plain(&inner[at + 1..]) }
                }
                None => plain(inner),
            },
            Some("for") => match inner.iter().position(|token| token.text == "in") {
                Some(at) => Tag { names: only_names(&inner[..at]), ..plain(&inner[at + 1..]) },
                None => plain(inner),
            },
            Some("with") => Tag { names: only_names(inner), ..plain(inner) },
            Some("macro" | "call") => Tag { parameters: only_names(inner), ..plain(inner) },
            _ => plain(part),
        };
        tags.push(tag);
    }
    tags
}

fn only_names(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().filter(|token| token.kind == TokenKind::Name).map(|token| token.text.as_str()).collect()
}

/// Whether an expression may be, or hold, a namespace.
fn carries(value: &[Token], held: &HashSet<&str>) -> bool {
    let made = value.iter().any(|token| token.kind == TokenKind::Name && token.text == "namespace");
    made || names(value, held).next().is_some()
}

/// Names in an expression that stand for namespaces themselves, not for an attribute of one, an argument's name or a test.
fn names<'a>(value: &'a [Token], held: &'a HashSet<&str>) -> impl Iterator<Item = &'a str> {
    let text = |at: usize| value.get(at).map(|token| token.text.as_str());
    value.iter().enumerate().filter_map(move |(at, token)| {
        let is_name = token.kind == TokenKind::Name && held.contains(token.text.as_str());
        let after_dot = at > 0 && matches!(text(at - 1), Some("." | "|"));
        let is_keyword = text(at + 1) == Some("=") && text(at + 2) != Some("=");
        (is_name && !after_dot && !is_keyword && text(at + 1) != Some(".")).then_some(token.text.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Dialect, scan};

    fn refused(source: &str) -> bool {
        match scan(source, Dialect::Chat) {
            Ok(_) => false,
            Err(refused) => refused.problem.contains("namespace"),
        }
    }

    #[test]
    fn no_namespace_holds_itself() {
        let start = "{% set n = namespace(s='', k=none) %}\n";
        for way in [
            "{% set n.s = n %}",
            "{% set n.s = [1, {'a': n}] %}",
            "{% set m = n %}{% set n.s = m %}",
            "{% set n.s = m %}{% set m = [n] %}",
            "{% for m in [n] %}{% set n.s = m %}{% endfor %}",
            "{% with m = n %}{% set m.s = m %}{% endwith %}",
            "{% macro f(m) %}{% set m.s = m %}{% endmacro %}{{ f(n) }}",
            "{% set m = namespace(a=n) %}{% set n.s = m %}",
            "{% set n.s = namespace(a=1) %}",
            "{% set n.s = n if true else 1 %}",
        ] {
            assert!(refused(&format!("{start}{way}")), "{way}");
        }
    }

    #[test]
    fn attributes_go_anywhere() {
        let start = "{% set ns = namespace(found=false, items=[], last=none) %}";
        for way in [
            "{% set ns.found = true %}{% set ns.items = ns.items + [1] %}{% set ns.last = ns.items[0] %}",
            "{% for m in messages %}{% set ns.last = m %}{% set ns.items = m.ns %}{% endfor %}{{ ns }}",
            "{% set x = ns.last %}{% set ns.found = x == ns.found %}{% set ns.last = f(ns=1) %}",
            "{% macro f(m) %}{{ m }}{% endmacro %}{{ f(ns.last) }}{% set ns.found = ns.found or ns.items | length > 3 %}",
        ] {
            assert!(!refused(&format!("{start}{way}")), "{way}");
        }
        assert!(!refused("{% set n.s = n %}"), "no namespace is made");
    }
}
