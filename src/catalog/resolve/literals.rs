//! Texts of a task file that hold `\n` or `\t` as two characters: in YAML only double quotes make a line break or a tab of them.

use super::super::read::Keys;
use crate::remark::Remark;
use crate::template::own_text;
use crate::yaml::{Value, Yaml};

/// Keys whose texts are templates.
const TEMPLATES: &[&str] = &["description", "doc_to_text", "doc_to_target", "doc_to_choice", "gen_prefix"];

/// Keys whose texts stand as they are.
const TEXTS: &[&str] = &["target_delimiter", "fewshot_delimiter"];

/// Commands of LaTeX that begin like an escape; a word that begins with `text` or `triangle` is one as well.
const LATEX: &[&str] = &[
    "nabla",
    "natural",
    "ne",
    "nearrow",
    "neg",
    "neq",
    "newcommand",
    "newline",
    "nexists",
    "ngeq",
    "ni",
    "nleq",
    "nmid",
    "noindent",
    "nonumber",
    "normalsize",
    "not",
    "notin",
    "nparallel",
    "nsubseteq",
    "nu",
    "nwarrow",
    "tag",
    "tan",
    "tanh",
    "tau",
    "tbinom",
    "tfrac",
    "therefore",
    "theta",
    "thickapprox",
    "thinspace",
    "tilde",
    "times",
    "tiny",
    "title",
    "to",
    "today",
    "top",
];

/// A warning for each key of a task called `name`.
pub fn remarks(keys: &Keys<'_>, name: &str) -> Vec<Remark> {
    let mut found = Vec::new();
    let shots = keys.get("fewshot_config").and_then(|yaml| Keys::of(yaml, "fewshot_config", "`fewshot_config`").ok());
    for (before, keys) in [("", Some(*keys)), ("fewshot_config.", shots)] {
        let Some(keys) = keys else { continue };
        let of = |key: &&str, is_template| Some((format!("{before}{key}"), keys.get(key)?, is_template));
        found.extend(TEMPLATES.iter().filter_map(|key| of(key, true)));
        found.extend(TEXTS.iter().filter_map(|key| of(key, false)));
    }
    let generation = keys.get("generation_kwargs").and_then(|yaml| Keys::of(yaml, "generation_kwargs", "").ok());
    found.extend(generation.and_then(|keys| Some(("generation_kwargs.until".to_owned(), keys.get("until")?, false))));
    found.into_iter().filter_map(|(key, yaml, is_template)| remark(name, &key, yaml, is_template)).collect()
}

fn remark(name: &str, key: &str, yaml: &Yaml, is_template: bool) -> Option<Remark> {
    let (letter, at) = texts(yaml).into_iter().find_map(|(text, at)| {
        let own = if is_template { own_text(text) } else { text.to_owned() };
        Some((escape(&own)?, at))
    })?;
    let what = if letter == 'n' { "line break" } else { "tab" };
    let place = format!("{}:{}", at.file.display(), at.line);
    let text = format!(
        "{place}: `{key}` holds a backslash and `{letter}`, which is no {what}: only double quotes make one of it in YAML"
    );
    Some(Remark::warning(name, text))
}

/// The texts of a value: itself, or those of a list or mapping.
fn texts(yaml: &Yaml) -> Vec<(&str, &Yaml)> {
    match &yaml.value {
        Value::Str(text) => vec![(text, yaml)],
        Value::Seq(items) => items.iter().flat_map(texts).collect(),
        Value::Map(entries) => entries.iter().flat_map(|entry| texts(&entry.value)).collect(),
        _ => Vec::new(),
    }
}

/// The letter of the first `\n` or `\t` that is neither part of `\\` nor the beginning of a command of LaTeX.
pub fn escape(text: &str) -> Option<char> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('\\') {
        let word = after.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let is_command = LATEX.contains(&word) || word.starts_with("text") || word.starts_with("triangle");
        match after.chars().next() {
            Some(letter @ ('n' | 't')) if !is_command => return Some(letter),
            Some(second) => rest = after.get(second.len_utf8()..).unwrap_or_default(),
            None => break,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::task;
    use super::*;

    const BASE: &str = "task: t\ndataset_path: a/b\ntest_split: test\n";

    #[test]
    fn escapes_and_commands() {
        for (text, letter) in [
            (r"Q: x\nA:", Some('n')),
            (r"\n\nQ:", Some('n')),
            (r"a\tb", Some('t')),
            (r"x\nanswer", Some('n')),
            (r"\text{x} \times \neq \nu \theta \to \\no \boxed{}", None),
            ("Q: x\nA:", None),
            (r"at the end \", None),
        ] {
            assert_eq!(escape(text), letter, "{text}");
        }
    }

    #[test]
    fn keys_with_file_and_line() {
        let text = "doc_to_text: 'Q: {{q.split(\"\\n\")[0]}}\\nA:'\ndoc_to_target: y\ntarget_delimiter: '\\t'\ngeneration_kwargs:\n  until:\n  - \"\\n\"\n  - '\\n\\nQ:'\nfewshot_config:\n  doc_to_text: \"{{q}}\\\\n\"\n";
        let found: Vec<String> = task(&format!("{BASE}{text}")).remarks.into_iter().map(|r| r.text).collect();
        let begins = [
            "t.yaml:4: `doc_to_text`",
            "t.yaml:6: `target_delimiter`",
            "t.yaml:12: `fewshot_config.doc_to_text`",
            "t.yaml:10: `generation_kwargs.until`",
        ];
        assert_eq!(found.len(), begins.len(), "{found:?}");
        assert!(found.iter().zip(begins).all(|(text, begin)| text.starts_with(begin)), "{found:?}");
        let fine = "doc_to_text: \"{{q.replace('\\\\n', ' ')}}\\nA:\"\ndoc_to_target: y\nfilter_list: [{name: a, filter: [{function: regex, regex_pattern: '\\n'}]}]\n";
        assert!(task(&format!("{BASE}{fine}")).remarks.is_empty());
    }
}
