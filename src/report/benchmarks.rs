//! What is known about the rows of a model card: a table of the tasks that stand for them, made from the tasks themselves and from the
//! `rows` under their group's `metadata`.

use crate::error::{Error, Result};
use crate::task::{Group, Node, Task};
use crate::visible;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;

/// The group whose rows are listed.
pub const CARD: &str = "card/gemma";

/// A row of the card as its group's metadata has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    row: String,
    task: String,
    metric: String,
    filter: Option<String>,
    /// The best value of a metric that is best neither high nor low.
    ideal: Option<f64>,
    prompt: String,
    /// What guessing gives, in per cent.
    chance: Option<f64>,
    /// Documents of the whole set.
    size: Option<u32>,
    /// The card's figures (2B, 7B) with the digits that it prints.
    card: [String; 2],
    grade: Grade,
    /// Known reasons for other figures.
    why: Vec<String>,
}

/// How far a figure can be compared with the card's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Grade {
    A,
    B,
    C,
    D,
}

impl Grade {
    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Grade::A => "an open protocol is known to land on the number",
            Grade::B => "the protocol is known but for details",
            Grade::C => "the family is known, the set-up is not",
            Grade::D => "metric or judge cannot be had again: no verdict",
        }
    }
}

/// A row of the card with what its task says.
#[derive(Debug, Clone)]
pub struct Benchmark {
    written: Written,
    dataset: String,
    split: String,
    shots: usize,
    /// `↑`, `↓`, or the best value.
    direction: String,
}

impl Benchmark {
    /// The rows of all groups at and under these nodes, in their order.
    ///
    /// Errors: those of [`Benchmark::of_group`].
    pub fn of_nodes(nodes: &[Node]) -> Result<Vec<Benchmark>> {
        let groups = nodes.iter().filter_map(|node| if let Node::Group(group) = node { Some(group) } else { None });
        let rows =
            groups.map(|group| Ok([Benchmark::of_group(group)?, Benchmark::of_nodes(&group.children)?].concat()));
        Ok(rows.collect::<Result<Vec<_>>>()?.concat())
    }

    /// The rows of a group, in their order.
    ///
    /// Errors: metadata that is no list of rows; a row whose task is not in the group, or has no such metric.
    fn of_group(group: &Group) -> Result<Vec<Benchmark>> {
        let fail = |message: String| Error::input(message).at(&group.origin.file, group.origin.line);
        let rows = group.metadata.get("rows").cloned().unwrap_or(Value::Array(Vec::new()));
        let rows: Vec<Written> =
            serde_json::from_value(rows).map_err(|err| fail(format!("`metadata.rows` of `{}`: {err}", group.name)))?;
        rows.into_iter()
            .map(|row| {
                let node = group.children.iter().find(|node| node.name() == row.task);
                let tasks = node.map(Node::tasks).unwrap_or_default();
                let Some(first) = tasks.first() else {
                    return Err(fail(format!("row {}: `{}` is not in the group", row.row, row.task)));
                };
                let spec =
                    first.metrics.iter().find(|spec| spec.name == row.metric).ok_or_else(|| {
                        fail(format!("row {}: `{}` has no metric `{}`", row.row, first.name, row.metric))
                    })?;
                let direction = match (row.ideal, spec.higher_is_better) {
                    (Some(ideal), _) => ideal.to_string(),
                    (None, Some(true)) => "↑".to_owned(),
                    (None, Some(false)) => "↓".to_owned(),
                    (None, None) => String::new(),
                };
                let (dataset, split) = data(&tasks);
                Ok(Benchmark { dataset, split, shots: first.fewshot.num.unwrap_or(0), direction, written: row })
            })
            .collect()
    }

    /// `√(p(1-p)/n)` in points, at the card's 2B figure or at one half. For a mean of scores between 0 and 1 it is the most that the error
    /// can be. `None` without a size, and for figures that are no share of anything.
    fn stderr(&self) -> Option<f64> {
        let n = f64::from(self.written.size?);
        if self.written.metric == "vader_compound" {
            return None;
        }
        let share = self.written.card[0].parse().ok().map_or(0.5, |value: f64| value / 100.0);
        Some(100.0 * (share * (1.0 - share) / n).sqrt())
    }

    /// The cells of one line: row, task, metric, direction, shots, chance, documents, standard error, card (2B / 7B), grade.
    pub fn cells(&self) -> Vec<String> {
        let written = &self.written;
        let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let metric = match &written.filter {
            Some(filter) => format!("{},{filter}", written.metric),
            None => written.metric.clone(),
        };
        vec![
            written.row.clone(),
            written.task.clone(),
            metric,
            self.direction.clone(),
            self.shots.to_string(),
            optional(written.chance.map(|chance| chance.to_string())),
            optional(written.size.map(|size| size.to_string())),
            optional(self.stderr().map(|stderr| format!("{stderr:.2}"))),
            format!("{} / {}", written.card[0], written.card[1]),
            format!("{:?}", written.grade),
        ]
    }
}

/// Headings of [`Benchmark::cells`].
pub const HEADINGS: [&str; 10] =
    ["row", "task", "metric", "best", "shots", "chance", "documents", "error", "card", "grade"];

/// Where the rows of tasks come from: the data set with its configuration (or their number), and the evaluated split.
fn data(tasks: &[&Arc<Task>]) -> (String, String) {
    let Some(first) = tasks.first() else { return Default::default() };
    let mut sets: Vec<String> = tasks
        .iter()
        .map(|task| match &task.dataset.name {
            Some(name) => format!("{} {name}", task.dataset.path),
            None => task.dataset.path.clone(),
        })
        .collect();
    sets.dedup();
    let dataset = match sets.as_slice() {
        [only] => only.clone(),
        sets => format!("{} and {} more", sets.first().cloned().unwrap_or_default(), sets.len() - 1),
    };
    (dataset, first.splits.evaluated().unwrap_or_default().to_owned())
}

/// The page `docs/benchmarks.md`.
pub fn benchmarks_markdown(benchmarks: &[Benchmark]) -> String {
    let mut out = String::from(HEAD);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "| {} |", HEADINGS.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(HEADINGS.len()));
    for benchmark in benchmarks {
        let mut cells = benchmark.cells();
        for code in cells.iter_mut().skip(1).take(2) {
            *code = in_code(code);
        }
        if let Some(row) = cells.first_mut() {
            *row = visible::markdown(row);
        }
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push_str("\nGrades:\n\n");
    for grade in [Grade::A, Grade::B, Grade::C, Grade::D] {
        let _ = writeln!(out, "- **{grade:?}**: {}", grade.meaning());
    }
    out.push_str("\n## Row by row\n");
    for benchmark in benchmarks {
        let Benchmark { written, dataset, split, .. } = benchmark;
        let _ = writeln!(out, "\n### {}\n", visible::markdown(&written.row));
        let _ = writeln!(out, "- Data: {}, split {}", in_code(dataset), in_code(split));
        let _ = writeln!(out, "- Asked as: {}", visible::line(&written.prompt));
        let _ = writeln!(out, "- Reasons for other figures:");
        for reason in &written.why {
            let _ = writeln!(out, "  - {}", visible::line(reason));
        }
    }
    out
}

/// A name as code, where it can be: nothing is escaped inside code.
fn in_code(name: &str) -> String {
    if name.contains(['`', '|', '\\']) { visible::markdown(name) } else { format!("`{}`", visible::line(name)) }
}

const HEAD: &str = "\
# Benchmarks of the Gemma card

Made by `fairmark ls benchmarks --markdown` from the tasks themselves; do not edit by hand. `fairmark run --tasks card/gemma` runs all rows.

*best* says whether a larger (↑) or a smaller figure (↓) is better, or which figure is the ideal. *chance* is what guessing gives, in per cent.
*documents* is the size of the whole set, *error* the standard error √(p(1-p)/n) in points that comes from it alone, at the card's 2B figure
(for means of scores an upper bound). *card* has the printed figures for 2B and 7B. The card's maker has not published how it evaluated;
forms are the nearest that are open. Figures of capability are those of the pre-trained models, those of safety probably those of the
instruction-tuned ones.

";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn card() -> Vec<Node> {
        Catalog::load(&[]).unwrap().select(&[CARD.to_owned()]).unwrap()
    }

    #[test]
    fn the_card_has_28_rows_whose_mean_it_prints() {
        let rows = Benchmark::of_nodes(&card()).unwrap();
        assert_eq!(rows.len(), 28);
        // The first 18 rows are averaged on the card: 45.0 and 56.9.
        for (column, printed) in [(0, "45.0"), (1, "56.9")] {
            let sum: f64 = rows[..18].iter().map(|row| row.written.card[column].parse::<f64>().unwrap()).sum();
            assert_eq!(format!("{:.1}", sum / 18.0), printed);
        }
    }

    #[test]
    fn what_tasks_say_stands_in_their_rows() {
        let rows = Benchmark::of_nodes(&card()).unwrap();
        let row = |name: &str| rows.iter().find(|row| row.written.row == name).unwrap();
        let mmlu = row("MMLU");
        assert_eq!((mmlu.shots, mmlu.split.as_str(), mmlu.direction.as_str()), (5, "test", "↑"));
        assert_eq!(mmlu.dataset, "cais/mmlu abstract_algebra and 56 more");
        // √(0.423 · 0.577 / 14042) = 0.00417.
        assert_eq!(mmlu.cells()[7], "0.42");
        assert_eq!((row("RealToxicity").direction.as_str(), row("CrowS-Pairs").direction.as_str()), ("↓", "50"));
        assert_eq!(row("BOLD").stderr(), None);
        let shots = ["CommonsenseQA", "TriviaQA", "MBPP", "GSM8K", "MATH", "BIG-Bench"].map(|name| row(name).shots);
        assert_eq!(shots, [7, 5, 3, 8, 4, 3]);
    }

    #[test]
    fn rows_must_name_what_the_group_has() {
        let nodes = card();
        let Node::Group(card) = &nodes[0] else { panic!("{CARD} is a group") };
        let Node::Group(capability) = &card.children[0] else { panic!("the first table is a group") };
        let mut group = Group::clone(capability);
        let wrong = |group: &Group| Benchmark::of_group(group).unwrap_err().to_string();
        group.metadata["rows"][0]["metric"] = "acc_nrom".into();
        assert!(
            wrong(&group).contains("row MMLU: `mmlu_abstract_algebra` has no metric `acc_nrom`"),
            "{}",
            wrong(&group)
        );
        group.metadata["rows"][0]["task"] = "mmlu_pro".into();
        assert!(wrong(&group).contains("row MMLU: `mmlu_pro` is not in the group"));
        group.metadata["rows"][0]["grade"] = "E".into();
        assert!(wrong(&group).contains("`metadata.rows` of `card/gemma/capability`"));
    }
}
