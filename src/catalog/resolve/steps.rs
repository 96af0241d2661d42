//! The declarative `process_docs`: a list of steps over the rows.

use super::super::read::{self, Keys};
use super::single;
use crate::error::Result;
use crate::task::{Derivation, DocStep};
use crate::yaml::{Value, Yaml};

/// The steps, by name.
const STEPS: &[&str] = &["derive", "keep", "rename", "drop", "explode", "shuffle"];

/// What a field of `derive` can come from, besides a template.
const SOURCES: &[&str] = &["literal", "column", "boxed", "minerva_answer"];

pub fn steps(yaml: &Yaml) -> Result<Vec<DocStep>> {
    match &yaml.value {
        Value::Seq(items) => items.iter().map(step).collect(),
        _ => Err(read::wrong(yaml, "process_docs", "a list of steps")),
    }
}

fn step(yaml: &Yaml) -> Result<DocStep> {
    let (name, value) = single(yaml, "a step of `process_docs`")?;
    Ok(match name.key_text().as_str() {
        "derive" => DocStep::Derive(fields(value, "derive", derivation)?),
        "keep" => DocStep::Keep(read::template(value, "keep")?),
        "rename" => DocStep::Rename(fields(value, "rename", |yaml, key| Ok(read::text(yaml, key)?.to_owned()))?),
        "drop" => DocStep::Drop(read::texts(value, "drop")?),
        "explode" => explode(value)?,
        "shuffle" => shuffle(value)?,
        other => return Err(read::unknown(name, &format!("unknown step `{other}`"), other, STEPS)),
    })
}

/// A mapping of columns; it must not be empty.
fn fields<T>(yaml: &Yaml, key: &str, read: impl Fn(&Yaml, &str) -> Result<T>) -> Result<Vec<(String, T)>> {
    match &yaml.value {
        Value::Map(entries) if !entries.is_empty() => entries
            .iter()
            .map(|entry| {
                let name = read::text(&entry.key, key)?;
                Ok((name.to_owned(), read(&entry.value, &format!("{key}.{name}"))?))
            })
            .collect(),
        _ => Err(read::wrong(yaml, key, "a mapping of columns")),
    }
}

fn derivation(yaml: &Yaml, key: &str) -> Result<Derivation> {
    if let Value::Str(_) = yaml.value {
        return Ok(Derivation::Text(read::template(yaml, key)?));
    }
    let (kind, value) = single(yaml, key)?;
    match kind.key_text().as_str() {
        "literal" => Ok(Derivation::Literal(read::template(value, key)?)),
        "column" => Ok(Derivation::Column(read::text(value, key)?.to_owned())),
        "boxed" => Ok(Derivation::Boxed(read::text(value, key)?.to_owned())),
        "minerva_answer" => Ok(Derivation::MinervaAnswer(read::text(value, key)?.to_owned())),
        other => Err(read::unknown(kind, &format!("`{key}` cannot come from `{other}`"), other, SOURCES)),
    }
}

fn explode(yaml: &Yaml) -> Result<DocStep> {
    let keys = Keys::of(yaml, "explode", "`explode`")?;
    keys.only(&["column", "into"])?;
    let column = read::text(keys.need("column", yaml)?, "column")?;
    let into = keys.text("into")?.unwrap_or(column);
    Ok(DocStep::Explode { column: column.to_owned(), into: into.to_owned() })
}

fn shuffle(yaml: &Yaml) -> Result<DocStep> {
    let keys = Keys::of(yaml, "shuffle", "`shuffle`")?;
    keys.only(&["column", "seed"])?;
    let column = read::text(keys.need("column", yaml)?, "column")?;
    let seed = keys.count("seed")?.unwrap_or(0);
    Ok(DocStep::Shuffle { column: column.to_owned(), seed: seed as u64 })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};
    use super::*;

    const BASE: &str =
        "task: t\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\nprocess_docs:\n";

    #[test]
    fn every_step() {
        let text = "- derive: {a: '{{b}}', c: {literal: '[{{d}}]'}, e: {column: f}}\n- keep: '{{ a == 1 }}'\n- rename: {a: b}\n- drop: [c, d]\n- explode: {column: c}\n- shuffle: {column: c, seed: 7}\n";
        let want = vec![
            DocStep::Derive(vec![
                ("a".into(), Derivation::Text("{{b}}".into())),
                ("c".into(), Derivation::Literal("[{{d}}]".into())),
                ("e".into(), Derivation::Column("f".into())),
            ]),
            DocStep::Keep("{{ a == 1 }}".into()),
            DocStep::Rename(vec![("a".into(), "b".into())]),
            DocStep::Drop(vec!["c".into(), "d".into()]),
            DocStep::Explode { column: "c".into(), into: "c".into() },
            DocStep::Shuffle { column: "c".into(), seed: 7 },
        ];
        assert_eq!(task(&format!("{BASE}{text}")).steps, want);
    }

    #[test]
    fn errors() {
        let cases = [
            ("- kep: x\n", "t.yaml:7: unknown step `kep`"),
            ("- {keep: x, drop: [a]}\n", "t.yaml:7: a step of `process_docs` is a mapping of one key"),
            ("- derive: {a: 1}\n", "`derive.a` must be a mapping of one key, not the number 1"),
            ("- derive: {a: {litral: x}}\n", "did you mean `literal`?"),
            ("- derive: {a: '{% if %}'}\n", "`derive.a` is no valid template"),
            ("- explode: {into: x}\n", "`explode` needs `column`"),
            ("- shuffle: {column: c, seed: -1}\n", "`seed` must be a number from 0"),
            ("- shuffle: {column: c, sed: 1}\n", "did you mean `seed`?"),
            ("- keep\n", "must be a mapping of one key"),
        ];
        for (text, want) in cases {
            let err = refused(&format!("{BASE}{text}"));
            assert!(err.contains(want), "{text}: {err}");
        }
        assert!(refused(&format!("{} !function utils.process_docs\n", BASE.trim_end())).contains("utils.process_docs"));
    }
}
