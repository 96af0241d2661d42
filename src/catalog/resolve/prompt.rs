//! How a document becomes text: `doc_to_text`, `doc_to_target`, `doc_to_choice`, `gen_prefix` and the delimiters.

use super::super::config::Config;
use super::super::read::{self, Keys};
use crate::error::Result;
use crate::task::{Choices, OutputType, PromptSpec, ReadTarget, Source};
use crate::yaml::{Value, Yaml};

pub fn prompt(keys: &Keys<'_>, config: &Config, output_type: OutputType) -> Result<PromptSpec> {
    let source = |key: &str| match keys.get(key) {
        Some(yaml) => self::source(yaml, key),
        None => Err(config.error(format!("the task has no `{key}`"))),
    };
    let doc_to_choice = keys.get("doc_to_choice").map(choices).transpose()?;
    if output_type == OutputType::MultipleChoice && doc_to_choice.is_none() {
        return Err(config.error("`output_type: multiple_choice` needs `doc_to_choice`"));
    }
    Ok(PromptSpec {
        doc_to_text: source("doc_to_text")?,
        doc_to_target: source("doc_to_target")?,
        doc_to_choice,
        read_target: keys.get("read_target").map_or(Ok(ReadTarget::Auto), read_target)?,
        gen_prefix: keys.get("gen_prefix").map(|yaml| read::template(yaml, "gen_prefix")).transpose()?,
        target_delimiter: keys.text("target_delimiter")?.unwrap_or(" ").to_owned(),
        fewshot_delimiter: keys.text("fewshot_delimiter")?.unwrap_or("\n\n").to_owned(),
    })
}

/// The prompt of the shots: what `fewshot_config` sets, else the task's.
pub fn shots(keys: &Keys<'_>, own: &PromptSpec) -> Result<PromptSpec> {
    let mut prompt = own.clone();
    if let Some(yaml) = keys.get("doc_to_text") {
        prompt.doc_to_text = source(yaml, "doc_to_text")?;
    }
    if let Some(yaml) = keys.get("doc_to_target") {
        prompt.doc_to_target = source(yaml, "doc_to_target")?;
    }
    if let Some(yaml) = keys.get("doc_to_choice") {
        prompt.doc_to_choice = Some(choices(yaml)?);
    }
    if let Some(yaml) = keys.get("read_target") {
        prompt.read_target = read_target(yaml)?;
    }
    if let Some(yaml) = keys.get("gen_prefix") {
        prompt.gen_prefix = Some(read::template(yaml, "gen_prefix")?);
    }
    if let Some(text) = keys.text("target_delimiter")? {
        prompt.target_delimiter = text.to_owned();
    }
    if let Some(text) = keys.text("fewshot_delimiter")? {
        prompt.fewshot_delimiter = text.to_owned();
    }
    Ok(prompt)
}

fn read_target(yaml: &Yaml) -> Result<ReadTarget> {
    let name = read::text(yaml, "read_target")?;
    ReadTarget::ALL.into_iter().find(|how| how.as_str() == name).ok_or_else(|| {
        let known = ReadTarget::ALL.map(ReadTarget::as_str);
        read::unknown(yaml, &format!("`read_target` cannot be `{name}`"), name, &known)
    })
}

fn source(yaml: &Yaml, key: &str) -> Result<Source> {
    match &yaml.value {
        Value::Str(_) => Ok(Source::Text(read::template(yaml, key)?)),
        Value::Int(number) => Ok(Source::Int(*number)),
        Value::Seq(items) => Ok(Source::List(items.iter().map(|item| item.to_json(key)).collect::<Result<_>>()?)),
        _ => Err(read::wrong(yaml, key, "a text (column or template), a whole number or a list")),
    }
}

fn choices(yaml: &Yaml) -> Result<Choices> {
    const KEY: &str = "doc_to_choice";
    let list: Vec<&Yaml> = match &yaml.value {
        Value::Str(_) => return Ok(Choices::Text(read::template(yaml, KEY)?)),
        Value::Seq(items) => items.iter().collect(),
        // The values of a mapping are the choices.
        Value::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
        _ => return Err(read::wrong(yaml, KEY, "a text (column or template), a list or a mapping")),
    };
    if list.is_empty() {
        return Err(yaml.error("`doc_to_choice` is empty"));
    }
    let texts = list.into_iter().map(|item| Ok(read::text(item, "a choice")?.to_owned())).collect::<Result<_>>()?;
    Ok(Choices::List(texts))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};
    use super::*;

    const BASE: &str = "task: t\ndataset_path: a/b\ntest_split: test\n";

    #[test]
    fn forms_of_sources_and_choices() {
        let text =
            "output_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_target: 0\ndoc_to_choice: {a: x, b: y}\n";
        let prompt = task(&format!("{BASE}{text}")).prompt;
        assert_eq!(prompt.doc_to_text, Source::Text("{{q}}".into()));
        assert_eq!(prompt.doc_to_target, Source::Int(0));
        assert_eq!(prompt.doc_to_choice, Some(Choices::List(vec!["x".into(), "y".into()])));
        assert_eq!((prompt.target_delimiter.as_str(), prompt.fewshot_delimiter.as_str()), (" ", "\n\n"));
        assert_eq!(prompt.read_target, ReadTarget::Auto);
        let prompt = task(&format!("{BASE}{text}read_target: literal\nfewshot_config: {{read_target: text}}\n"));
        assert_eq!(
            (prompt.prompt.read_target, prompt.fewshot.prompt.read_target),
            (ReadTarget::Literal, ReadTarget::Text)
        );
        assert!(refused(&format!("{BASE}{text}read_target: litteral\n")).contains("did you mean `literal`?"));
        let text = "doc_to_text: q\ndoc_to_target: [a, 1]\ntarget_delimiter: ''\n";
        let prompt = task(&format!("{BASE}{text}")).prompt;
        assert_eq!(prompt.doc_to_target, Source::List(vec!["a".into(), 1.into()]));
        assert_eq!(prompt.target_delimiter, "");
    }

    #[test]
    fn errors_name_the_key_and_the_line() {
        let err = refused(&format!("{BASE}doc_to_text: x\n"));
        assert_eq!(err, "t.yaml:1: the task has no `doc_to_target`");
        let text = "output_type: multiple_choice\ndoc_to_text: x\ndoc_to_target: y\n";
        assert!(refused(&format!("{BASE}{text}")).contains("needs `doc_to_choice`"));
        let err = refused(&format!("{BASE}{text}doc_to_choice: [no, yes]\n"));
        assert!(
            err.contains("t.yaml:7: `a choice` must be text, not the boolean false") && err.contains("quotes"),
            "{err}"
        );
        let err = refused(&format!("{BASE}doc_to_text: 1.5\ndoc_to_target: y\n"));
        assert!(err.contains("t.yaml:4: `doc_to_text` must be a text"), "{err}");
        let err = refused(&format!("{BASE}doc_to_text: x\ndoc_to_target: '{{{{ y '\n"));
        assert!(err.contains("t.yaml:5: `doc_to_target` is no valid template"), "{err}");
        let err = refused(&format!("{BASE}doc_to_text: !function utils.f\ndoc_to_target: y\n"));
        assert!(err.contains("t.yaml:4: `doc_to_text` calls the Python function utils.f"), "{err}");
    }
}
