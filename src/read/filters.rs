//! Which filter pipeline a line is of, where it does not say.
//!
//! Until 0.4.5 the reference wrote no filter into its samples; it wrote all documents under the first filter of the task, then all under
//! the second (`lm_eval/evaluator.py`: `for filter_key in task.instances[0].filtered_resps`). Whether that is what a file holds is seen by the
//! figures: comparisons take only scores whose mean is the filter's figure.

use super::samples::hash_of;
use crate::record::{Line, Task};
use serde_json::Value;
use std::collections::HashMap;

/// The filters of a task in order, and how often each document came.
pub(super) struct Filters<'a> {
    names: Vec<&'a str>,
    seen: HashMap<u128, usize>,
}

impl<'a> Filters<'a> {
    pub(super) fn of(task: &'a Task) -> Self {
        let list = task.config.get("filter_list").and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(|filter| filter.get("name")?.as_str()).collect();
        Filters { names, seen: HashMap::new() }
    }

    /// Names the filter of a line that says none, where the task has several.
    pub(super) fn name(&mut self, line: &mut Line) {
        if line.filter.is_some() || self.names.len() < 2 {
            return;
        }
        let seen = self.seen.entry(hash_of(&line.doc_id.to_string())).or_insert(0);
        line.filter = self.names.get(*seen).map(|name| (*name).to_owned());
        *seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_without_filters_are_named_by_their_order() {
        let list = json!([{"name": "strict", "filter": []}, {"name": "flexible", "filter": []}]);
        let task = Task { config: [("filter_list".to_owned(), list)].into_iter().collect(), ..Task::default() };
        let mut filters = Filters::of(&task);
        let mut name = |id: u64, filter: Option<&str>| {
            let mut line = Line { doc_id: json!(id), filter: filter.map(str::to_owned), ..Line::default() };
            filters.name(&mut line);
            line.filter
        };
        assert_eq!([0, 1].map(|id| name(id, None)), [Some("strict".into()), Some("strict".into())]);
        assert_eq!(name(0, Some("said")), Some("said".into()));
        assert_eq!([0, 1].map(|id| name(id, None)), [Some("flexible".into()), Some("flexible".into())]);
        assert_eq!(name(0, None), None, "there is no third filter");
        let mut line = Line::default();
        Filters::of(&Task::default()).name(&mut line);
        assert_eq!(line.filter, None);
    }
}
