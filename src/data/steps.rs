//! The declarative `process_docs`: rows to rows.

use crate::doc::Fields;
use crate::error::{Error, Result};
use crate::maths::{BoxError, boxed_answer, minerva_gold};
use crate::python::literal;
use crate::python::random::PyRandom;
use crate::task::{Derivation, DocStep};
use crate::template::Templates;
use serde_json::Value;

/// Rows that `explode` may make: one after another over the same lists they multiply.
const MOST_ROWS: usize = 5_000_000;

/// Applies the steps in order. Errors name the step, the row and the column.
pub fn apply_steps(rows: Vec<Fields>, steps: &[DocStep], templates: &Templates) -> Result<Vec<Fields>> {
    let mut rows = rows;
    for (number, step) in steps.iter().enumerate() {
        let name = step_name(step);
        rows = apply(rows, step, templates)
            .map_err(|err| err.context(format!("process_docs, step {} (`{name}`)", number + 1)))?;
    }
    Ok(rows)
}

fn step_name(step: &DocStep) -> &'static str {
    match step {
        DocStep::Derive(_) => "derive",
        DocStep::Keep(_) => "keep",
        DocStep::Rename(_) => "rename",
        DocStep::Drop(_) => "drop",
        DocStep::Explode { .. } => "explode",
        DocStep::Shuffle { .. } => "shuffle",
    }
}

fn apply(rows: Vec<Fields>, step: &DocStep, templates: &Templates) -> Result<Vec<Fields>> {
    match step {
        DocStep::Derive(fields) => each(rows, |row| derive(row, fields, templates)),
        DocStep::Keep(template) => keep(rows, template, templates),
        DocStep::Rename(names) => each(rows, |row| rename(row, names)),
        DocStep::Drop(columns) => each(rows, |row| drop_columns(row, columns)),
        DocStep::Explode { column, into } => explode(rows, column, into),
        DocStep::Shuffle { column, seed } => {
            let mut random = PyRandom::new(*seed);
            each(rows, |mut row| {
                random.shuffle(list_in(&mut row, column)?);
                Ok(row)
            })
        }
    }
}

/// Changes every row; errors name the row.
fn each(rows: Vec<Fields>, mut change: impl FnMut(Fields) -> Result<Fields>) -> Result<Vec<Fields>> {
    rows.into_iter().enumerate().map(|(i, row)| change(row).map_err(|err| in_row(err, i))).collect()
}

fn in_row(err: Error, row: usize) -> Error {
    err.context(format!("row {row}"))
}

fn derive(mut row: Fields, fields: &[(String, Derivation)], templates: &Templates) -> Result<Fields> {
    for (field, derivation) in fields {
        let value = derived(&row, derivation, templates).map_err(|err| err.context(format!("field `{field}`")))?;
        row.insert(field.clone(), value);
    }
    Ok(row)
}

fn derived(row: &Fields, derivation: &Derivation, templates: &Templates) -> Result<Value> {
    match derivation {
        Derivation::Text(template) => templates.render(template, row).map(Value::String),
        Derivation::Literal(template) => literal::parse(&templates.render(template, row)?),
        Derivation::Column(column) => row.get(column).cloned().ok_or_else(|| no_column(row, column)),
        Derivation::Boxed(column) => answer(row, column, boxed_answer),
        Derivation::MinervaAnswer(column) => answer(row, column, minerva_gold),
    }
}

/// The answer that a function finds in a worked solution.
fn answer(row: &Fields, column: &str, find: fn(&str) -> std::result::Result<String, BoxError>) -> Result<Value> {
    let value = row.get(column).ok_or_else(|| no_column(row, column))?;
    let solution =
        value.as_str().ok_or_else(|| Error::input(format!("the column `{column}` is no text")).key(column))?;
    find(solution).map(Value::String).map_err(|err| Error::input(err.to_string()).key(column))
}

fn keep(rows: Vec<Fields>, template: &str, templates: &Templates) -> Result<Vec<Fields>> {
    let mut kept = Vec::with_capacity(rows.len());
    for (i, row) in rows.into_iter().enumerate() {
        match templates.render(template, &row).map_err(|err| in_row(err, i))?.trim() {
            "True" => kept.push(row),
            "False" => {}
            other => {
                let err = Error::input(format!("the condition gives {other:?}, not True or False"));
                return Err(in_row(err, i).hint("write a comparison: `{{ column == 'value' }}`"));
            }
        }
    }
    Ok(kept)
}

fn rename(row: Fields, names: &[(String, String)]) -> Result<Fields> {
    if let Some((old, _)) = names.iter().find(|(old, _)| !row.contains_key(old)) {
        return Err(no_column(&row, old));
    }
    let mut out = Fields::with_capacity(row.len());
    for (column, value) in row {
        let name = names.iter().find(|(old, _)| *old == column).map_or(column, |(_, new)| new.clone());
        if out.contains_key(&name) {
            return Err(Error::input(format!("two columns would be called `{name}`")));
        }
        out.insert(name, value);
    }
    Ok(out)
}

fn drop_columns(mut row: Fields, columns: &[String]) -> Result<Fields> {
    for column in columns {
        // `shift_remove` keeps the order of the others.
        if row.shift_remove(column).is_none() {
            return Err(no_column(&row, column));
        }
    }
    Ok(row)
}

fn explode(rows: Vec<Fields>, column: &str, into: &str) -> Result<Vec<Fields>> {
    let mut out = Vec::new();
    for (i, mut row) in rows.into_iter().enumerate() {
        let items = list_in(&mut row, column).map_err(|err| in_row(err, i))?;
        for item in items.clone() {
            let mut copy = row.clone();
            copy.insert(into.to_string(), item);
            out.push(copy);
            if out.len() > MOST_ROWS {
                return Err(Error::input(format!("`explode` makes more than {MOST_ROWS} rows")));
            }
        }
    }
    Ok(out)
}

/// The list in a column.
fn list_in<'a>(row: &'a mut Fields, column: &str) -> Result<&'a mut Vec<Value>> {
    if !row.contains_key(column) {
        return Err(no_column(row, column));
    }
    let not_a_list = || Error::input(format!("the column `{column}` does not hold a list"));
    row.get_mut(column).and_then(Value::as_array_mut).ok_or_else(not_a_list)
}

fn no_column(row: &Fields, column: &str) -> Error {
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let err = Error::input(format!("there is no column `{column}`"));
    match crate::error::nearest(column, names.iter().copied()) {
        Some(near) => err.hint(format!("did you mean `{near}`?")),
        None => err.hint(format!("the columns are: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(value: Value) -> Vec<Fields> {
        value.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    fn run(input: Value, steps: &[DocStep]) -> Result<String> {
        let out = apply_steps(rows(input), steps, &Templates::new())?;
        Ok(serde_json::to_string(&out).unwrap())
    }

    #[test]
    fn derive_in_order() {
        let steps = [DocStep::Derive(vec![
            ("both".into(), Derivation::Text("{{a}}-{{b}}".into())),
            ("twice".into(), Derivation::Text("{{both}} {{both}}".into())),
            ("n".into(), Derivation::Literal("[{{a}}, 2]".into())),
            ("a".into(), Derivation::Column("b".into())),
        ])];
        let out = run(json!([{"a": 1, "b": "x"}]), &steps).unwrap();
        assert_eq!(out, r#"[{"a":"x","b":"x","both":"1-x","twice":"1-x 1-x","n":[1,2]}]"#);
        let steps = [DocStep::Derive(vec![("c".into(), Derivation::Column("answr".into()))])];
        let err = run(json!([{"answer": 1}]), &steps).unwrap_err();
        assert!(err.to_string().contains("step 1 (`derive`): row 0: field `c`"), "{err}");
        assert!(err.to_string().contains("did you mean `answer`"), "{err}");
    }

    #[test]
    fn keep_rows() {
        let steps = [DocStep::Keep("{{ lang == 'en' }}".into())];
        let out = run(json!([{"lang": "en", "i": 0}, {"lang": "de", "i": 1}]), &steps).unwrap();
        assert_eq!(out, r#"[{"lang":"en","i":0}]"#);
        let err = run(json!([{"lang": "en"}, {"lang": "x"}]), &[DocStep::Keep("{{ lang }}".into())]).unwrap_err();
        assert!(err.to_string().contains("row 0: the condition gives \"en\""), "{err}");
    }

    #[test]
    fn rename_and_drop() {
        let steps = [
            DocStep::Rename(vec![("a".into(), "b".into()), ("b".into(), "a".into())]),
            DocStep::Drop(vec!["c".into()]),
        ];
        assert_eq!(run(json!([{"a": 1, "b": 2, "c": 3, "d": 4}]), &steps).unwrap(), r#"[{"b":1,"a":2,"d":4}]"#);
        let clash = [DocStep::Rename(vec![("a".into(), "b".into())])];
        assert!(run(json!([{"a": 1, "b": 2}]), &clash).unwrap_err().to_string().contains("two columns"));
        assert!(run(json!([{"a": 1}]), &[DocStep::Drop(vec!["z".into()])]).is_err());
    }

    #[test]
    fn explode_lists() {
        let step = |into: &str| [DocStep::Explode { column: "xs".into(), into: into.into() }];
        let input = json!([{"xs": [1, 2], "y": "q"}, {"xs": [], "y": "r"}]);
        assert_eq!(run(input.clone(), &step("xs")).unwrap(), r#"[{"xs":1,"y":"q"},{"xs":2,"y":"q"}]"#);
        assert_eq!(run(input, &step("x")).unwrap(), r#"[{"xs":[1,2],"y":"q","x":1},{"xs":[1,2],"y":"q","x":2}]"#);
        let err = run(json!([{"xs": [1]}, {"xs": "no"}]), &step("xs")).unwrap_err();
        assert!(err.to_string().contains("row 1: the column `xs` does not hold a list"), "{err}");
    }

    /// CPython: `r = random.Random(0); a = list(range(10)); r.shuffle(a); b = list("abcd"); r.shuffle(b)`.
    #[test]
    fn shuffle_is_one_stream() {
        let steps = [DocStep::Shuffle { column: "xs".into(), seed: 0 }];
        let out = run(json!([{"xs": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}, {"xs": ["a", "b", "c", "d"]}]), &steps).unwrap();
        assert_eq!(out, r#"[{"xs":[7,8,1,5,3,4,2,0,9,6]},{"xs":["b","a","d","c"]}]"#);
    }

    #[test]
    fn answers_of_worked_solutions() {
        let row = |solution: &str| Fields::from_iter([("solution".to_owned(), Value::String(solution.to_owned()))]);
        let steps = [DocStep::Derive(vec![
            ("boxed".into(), Derivation::Boxed("solution".into())),
            ("answer".into(), Derivation::MinervaAnswer("solution".into())),
        ])];
        let apply = |solution: &str| apply_steps(vec![row(solution)], &steps, &Templates::new());
        let found = apply(r"So $x = \boxed{\frac12\text{ cm}}$.").unwrap();
        assert_eq!((&found[0]["boxed"], &found[0]["answer"]), (&r"\frac12\text{ cm}".into(), &r"\frac{1}{2}".into()));
        let err = apply("So it is 3.").unwrap_err().to_string();
        assert!(err.contains("row 0") && err.contains(r"no closed \boxed{...}"), "{err}");
    }
}
