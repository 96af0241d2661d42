//! Which columns a task asks for, so that what a file lacks or holds oddly is said only of those.

use crate::task::{Choices, Derivation, DocStep, PromptSpec, Source, Task};
use crate::template::variables;
use std::collections::HashSet;

/// The columns and fields that a task's prompts, steps and arguments name: `answer`, `image.bytes`.
pub(super) struct Used(HashSet<String>);

impl Used {
    pub fn of(task: &Task) -> Used {
        let mut used = Used(HashSet::new());
        used.prompt(&task.prompt);
        used.prompt(&task.fewshot.prompt);
        used.template(&task.description);
        let arguments = task.process_results.iter().flat_map(|spec| &spec.args);
        let arguments = arguments.chain(task.judge.iter().flat_map(|spec| &spec.args));
        arguments.for_each(|(_, template)| used.template(template));
        task.steps.iter().chain(task.fewshot.steps.iter().flatten()).for_each(|step| used.step(step));
        used
    }

    /// Whether a column, or a field in one (`image.bytes`, `tags[]`), is asked for: by its name, as part of what is asked for, or in part.
    pub fn asks_for(&self, path: &str) -> bool {
        let path = path.replace("[]", "");
        let below = |part: &str, whole: &str| {
            part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.iter().any(|used| below(&path, used) || below(used, &path))
    }

    fn prompt(&mut self, prompt: &PromptSpec) {
        for source in [&prompt.doc_to_text, &prompt.doc_to_target] {
            if let Source::Text(text) = source {
                self.source(text);
            }
        }
        if let Some(Choices::Text(text)) = &prompt.doc_to_choice {
            self.source(text);
        }
        if let Some(Choices::List(list)) = &prompt.doc_to_choice {
            list.iter().for_each(|text| self.template(text));
        }
        prompt.gen_prefix.iter().for_each(|text| self.source(text));
    }

    /// A column's name, or a template.
    fn source(&mut self, text: &str) {
        self.0.insert(text.to_owned());
        self.template(text);
    }

    fn template(&mut self, text: &str) {
        self.0.extend(variables(text));
    }

    fn step(&mut self, step: &DocStep) {
        match step {
            DocStep::Derive(fields) => fields.iter().for_each(|(_, derivation)| match derivation {
                Derivation::Text(template) | Derivation::Literal(template) => self.template(template),
                Derivation::Column(column) | Derivation::Boxed(column) | Derivation::MinervaAnswer(column) => {
                    self.0.insert(column.clone());
                }
            }),
            DocStep::Keep(template) => self.template(template),
            DocStep::Rename(names) => self.0.extend(names.iter().map(|(old, _)| old.clone())),
            // A column that is dropped need not be there to be read.
            DocStep::Drop(_) => {}
            DocStep::Explode { column, .. } | DocStep::Shuffle { column, .. } => {
                self.0.insert(column.clone());
            }
        }
    }
}

/// Steps that drop columns, without those that are not there because they could not be read.
pub(super) fn without_dropping(steps: &[DocStep], absent: &HashSet<String>) -> Vec<DocStep> {
    let step = |step: &DocStep| match step {
        DocStep::Drop(columns) => {
            DocStep::Drop(columns.iter().filter(|column| !absent.contains(*column)).cloned().collect())
        }
        other => other.clone(),
    };
    steps.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_templates() {
        let mut used = Used(HashSet::new());
        used.source("{% for a in answers %}{{ a.text }}{% endfor %} image {{ image.path }} {{ 'quoted' }}");
        used.source("target");
        for (path, asked) in [
            ("answers", true),
            ("answers[].text", true),
            ("image", true),
            ("image.path", true),
            ("image.bytes", false),
            ("target", true),
            ("target.x", true),
            ("quoted", false),
            ("a", false),
            ("text", false),
        ] {
            assert_eq!(used.asks_for(path), asked, "{path}");
        }
    }
}
