//! `filter_list`: named chains of filters, checked against the table of filters.

use super::super::read::{self, Keys};
use crate::error::Result;
use crate::score;
use crate::task::{FilterPipeline, FilterStep};
use crate::yaml::Yaml;
use serde_json::Map;

/// The pipelines; without `filter_list`, `none` that takes the first answer.
pub fn filters(keys: &Keys<'_>) -> Result<Vec<FilterPipeline>> {
    let Some(yaml) = keys.get("filter_list") else {
        let step = FilterStep { function: "take_first".into(), kwargs: Map::new() };
        return Ok(vec![FilterPipeline { name: "none".into(), steps: vec![step] }]);
    };
    let mut pipelines: Vec<FilterPipeline> = Vec::new();
    for item in read::list(yaml, "filter_list")? {
        let pipeline = pipeline(item)?;
        if pipelines.iter().any(|other| other.name == pipeline.name) {
            return Err(item.error(format!("two filter pipelines are called `{}`", pipeline.name)));
        }
        pipelines.push(pipeline);
    }
    if pipelines.is_empty() {
        return Err(yaml.error("`filter_list` is empty"));
    }
    Ok(pipelines)
}

fn pipeline(yaml: &Yaml) -> Result<FilterPipeline> {
    let keys = Keys::of(yaml, "filter_list", "a filter pipeline")?;
    keys.only(&["name", "filter"])?;
    let name = read::text(keys.need("name", yaml)?, "name")?.to_owned();
    let filter = keys.need("filter", yaml)?;
    let steps: Vec<FilterStep> = read::list(filter, "filter")?.iter().map(step).collect::<Result<_>>()?;
    Ok(FilterPipeline { name, steps })
}

fn step(yaml: &Yaml) -> Result<FilterStep> {
    let keys = Keys::of(yaml, "filter", "a filter")?;
    let function = read::text(keys.need("function", yaml)?, "function")?.to_owned();
    let mut kwargs = Map::new();
    for entry in keys.entries().iter().filter(|entry| entry.key.key_text() != "function") {
        let key = entry.key.key_text();
        kwargs.insert(key.clone(), entry.value.to_json(&key)?);
    }
    let step = FilterStep { function, kwargs };
    score::check_filter(&step).map_err(|err| keys.place(err, yaml))?;
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};

    const BASE: &str = "task: t\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\nfilter_list:\n";

    #[test]
    fn pipelines() {
        let text = "- name: strict\n  filter:\n  - {function: regex, regex_pattern: 'a', group_select: -1}\n  - function: take_first\n- {name: maj, filter: [{function: take_first_k, k: 8}, {function: majority_vote}]}\n";
        let filters = task(&format!("{BASE}{text}")).filters;
        assert_eq!(filters.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["strict", "maj"]);
        assert_eq!(filters[0].steps[0].kwargs["group_select"], -1);
        let default = task(BASE.trim_end_matches("filter_list:\n")).filters;
        assert_eq!((default[0].name.as_str(), default[0].steps[0].function.as_str()), ("none", "take_first"));
    }

    #[test]
    fn errors() {
        let cases = [
            ("- {name: a, filter: [{function: take_frist}]}\n", "did you mean `take_first`?"),
            (
                "- {name: a, filter: [{function: regex, regex_patern: x}]}\n",
                "unknown argument of the filter `regex` `regex_patern`",
            ),
            ("- {name: a, filter: [{function: take_first_k}]}\n", "the filter `take_first_k` needs `k`"),
            ("- {name: a, filter: [{function: custom, filter_fn: f}]}\n", "the filter `custom` calls Python"),
            ("- {name: a, filter: [{function: !function u.F}]}\n", "calls the Python function u.F"),
            ("- {name: a, filter: [{function: regex, regex_pattern: '('}]}\n", "t.yaml:7"),
            ("- {name: a, filters: []}\n", "did you mean `filter`?"),
            ("- {filter: [{function: take_first}]}\n", "a filter pipeline needs `name`"),
        ];
        for (text, want) in cases {
            let err = refused(&format!("{BASE}{text}"));
            assert!(err.contains(want), "{text}: {err}");
        }
        let twice = "- {name: a, filter: [{function: take_first}]}\n".repeat(2);
        assert!(refused(&format!("{BASE}{twice}")).contains("t.yaml:8: two filter pipelines are called `a`"));
    }
}
