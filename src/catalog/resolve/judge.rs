//! `judge: {function: name, <argument>: <template>, <setting>: <value>}`.

use super::super::read::{self, Keys};
use crate::error::Result;
use crate::judge::{self, JUDGES};
use crate::task::JudgeSpec;
use crate::yaml::{Value, Yaml};

/// The judge of a task's answers.
pub fn judge(yaml: &Yaml) -> Result<JudgeSpec> {
    if !matches!(yaml.value, Value::Map(_)) {
        return Err(read::wrong(yaml, "judge", "a mapping with `function` and its arguments"));
    }
    let keys = Keys::of(yaml, "judge", "`judge`")?;
    let at = keys.need("function", yaml)?;
    let name = read::text(at, "function")?;
    let Some(row) = judge::judge(name) else {
        let known: Vec<&str> = JUDGES.iter().map(|row| row.name).collect();
        return Err(read::unknown(at, &format!("unknown judge `{name}`"), name, &known));
    };
    let mut spec = JudgeSpec { function: name.to_owned(), args: Vec::new() };
    for entry in keys.entries().iter().filter(|entry| entry.key.key_text() != "function") {
        let key = entry.key.key_text();
        if !row.args.contains(&key.as_str()) {
            let message = format!("judge `{name}` has no argument `{key}`");
            return Err(read::unknown(&entry.key, &message, &key, row.args));
        }
        let template = match &entry.value.value {
            Value::Int(number) => number.to_string(),
            _ => read::template(&entry.value, &key)?,
        };
        spec.args.push((key, template));
    }
    judge::check_spec(&spec).map_err(|err| keys.place(err, yaml))?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};

    const BASE: &str = "task: t\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\n";

    #[test]
    fn templates_and_numbers() {
        let text = "judge: {function: code, tests: '{{test}}', reference: '{{solution}}', cpu_seconds: 3}\nmetric_list: [{metric: pass@1}]\n";
        let spec = task(&format!("{BASE}{text}")).judge.unwrap();
        let expected = [("tests", "{{test}}"), ("reference", "{{solution}}"), ("cpu_seconds", "3")];
        assert_eq!(spec.args, expected.map(|(key, value)| (key.into(), value.into())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            ("judge: code\n", "a mapping with `function`"),
            ("judge: {function: cod}\n", "did you mean `code`?"),
            ("judge: {function: code, tests: a}\n", "the judge `code` needs `reference`"),
            ("judge: {function: code, tests: a, reference: b, cpu_second: 1}\n", "did you mean `cpu_seconds`?"),
            ("judge: {function: code, tests: a, reference: b, cpu_seconds: 0}\n", "a whole number from 1 to 3600"),
        ] {
            let err = refused(&format!("{BASE}{text}"));
            assert!(err.contains(message), "{text}{err}");
        }
    }
}
