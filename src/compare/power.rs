//! What a run of some size can see before it is made, and what it cannot.
//!
//! Of each task and group: how far off its score may be, the least difference to another run over the same documents that shows in 80 % of
//! cases, and that to a run over other documents. For right and wrong answers the first depends on how many verdicts change: where no
//! second run says it, it is assumed, and a row of assumptions is given. Other scores need a run to know their spread by.

use super::group::weighting;
use super::row::{Share, not_a_mean};
use super::scores::{Scores, Together, scores_of};
use super::{Comparison, Options, Row, compare};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::record::{Group, Node, Run, Samples, Task};
use crate::stats::{
    Clusters, Demand, FLIP_RATES, Level, Observations, Part, Proportion, Weighting, default_interval, detectable,
    detectable_gain, documents_needed, group, mean_error, pairs_needed, unpaired_needed,
};
use serde::Serialize;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The difference that is to be seen.
    pub difference: Option<f64>,
    /// Error rate and power.
    pub demand: Demand,
    /// Confidence of intervals.
    pub level: Level,
}

/// Whether scores are right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    RightOrWrong,
    Other,
    /// Nothing says it before a run.
    Unknown,
}

/// The differences that show under one supposition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sight {
    /// The share of documents whose verdict changes.
    pub flip_rate: Option<f64>,
    /// Whether what it rests on was seen in runs: flips, a spread, a score; else it is assumed.
    pub seen: bool,
    /// The least difference that shows in so many documents; `None` where even changes that all go one way would not.
    pub least: Option<f64>,
    /// Documents that the wished difference needs; `None` where there is no wish, or so few changes cannot make it.
    pub needed: Option<f64>,
    /// Whether there are as many.
    pub enough: Option<bool>,
}

/// What one figure of a task or group can tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    pub name: String,
    pub is_group: bool,
    pub metric: Option<String>,
    pub filter: Option<String>,
    pub scale: Scale,
    /// Documents that are asked.
    pub documents: usize,
    /// Documents of equal weight that would tell as much: fewer in a group whose tasks count alike.
    pub counts_as: usize,
    /// Clusters that the documents stand in.
    pub clusters: Option<usize>,
    /// The score of the baseline; `None` without one.
    pub base: Option<f64>,
    /// Half of the width of the score's interval; without a baseline at a score of 1/2, where it is widest.
    pub half_width: Option<f64>,
    /// Against a run over other documents: at the baseline's score, else at 1/2.
    pub unpaired: Option<Sight>,
    /// Against a run over the same documents, by flip rate.
    pub paired: Vec<Sight>,
    /// Why something is missing.
    pub note: Option<String>,
}

/// A task as its data show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub name: String,
    pub documents: usize,
    pub scale: Scale,
    pub clusters: Option<usize>,
}

/// A group of planned tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedGroup {
    pub name: String,
    pub tasks: Vec<String>,
    /// How it weighs its tasks; `None` where it only gathers them.
    pub weighting: Option<Weighting>,
}

/// What runs over these documents can see, groups first.
pub fn of_data(groups: &[PlannedGroup], tasks: &[Planned], wish: Wish) -> Vec<Outlook> {
    let of_group = |planned: &PlannedGroup| {
        let of: Vec<&Planned> = tasks.iter().filter(|task| planned.tasks.contains(&task.name)).collect();
        let sizes: Vec<usize> = of.iter().map(|task| task.documents).collect();
        let scale = match planned.weighting {
            Some(_) if of.iter().all(|task| task.scale == Scale::RightOrWrong) => Scale::RightOrWrong,
            _ => Scale::Unknown,
        };
        let counts_as = counts_as(&sizes, planned.weighting.unwrap_or(Weighting::Micro));
        let plain = Outlook { is_group: true, counts_as, ..plain(&planned.name, sizes.iter().sum(), scale) };
        match planned.weighting {
            Some(_) => Outlook { clusters: None, ..assumed(plain, wish) },
            None => Outlook { note: Some("it gathers tasks and has no figure of its own".into()), ..plain },
        }
    };
    let of_task = |task: &Planned| {
        assumed(Outlook { clusters: task.clusters, ..plain(&task.name, task.documents, task.scale) }, wish)
    };
    groups.iter().map(of_group).chain(tasks.iter().map(of_task)).collect()
}

/// What runs as large as the baseline can see; `keep` says how many of so many documents are asked. With a candidate the flips between the
/// two are taken for those of the next pair.
///
/// # Errors
/// The baseline has no samples, or damaged ones; the candidate is not comparable with it.
pub fn of_runs(
    base: &Run,
    candidate: Option<&Run>,
    selected: Option<&[String]>,
    keep: &dyn Fn(usize) -> usize,
    wish: Wish,
) -> Result<Vec<Outlook>> {
    let compared = candidate.map(|run| compare(("base", base), ("candidate", run), &Options::default())).transpose()?;
    let nodes = selected_nodes(base, selected)?;
    let mut names: Vec<&str> = Vec::new();
    for name in nodes.iter().flat_map(|node| node.tasks()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut shares = Vec::new();
    let mut of_tasks = Vec::new();
    for task in names.iter().filter_map(|name| base.task(name)) {
        of_tasks.extend(of_task((base, task), compared.as_ref(), keep, wish, &mut shares)?);
    }
    let mut found = Vec::new();
    for node in nodes.iter().flat_map(|node| node.groups()) {
        let is_new = !found.iter().any(|outlook: &Outlook| outlook.is_group && outlook.name == node.name());
        if let Some(of_run) = base.group(node.name()).filter(|_| is_new) {
            found.extend(of_group(of_run, &node.tasks(), &of_tasks, &shares, wish));
        }
    }
    found.extend(of_tasks);
    match found.is_empty() {
        true => Err(Error::input("the baseline has no task with figures").file(&base.path)),
        false => Ok(found),
    }
}

/// The nodes of a run that are named, or all.
fn selected_nodes<'a>(run: &'a Run, selected: Option<&[String]>) -> Result<Vec<&'a Node>> {
    let Some(names) = selected else { return Ok(run.tree.iter().collect()) };
    let find = |name: &String| {
        run.tree.iter().find_map(|node| node.find(name)).ok_or_else(|| {
            let hint = "name tasks and groups as its table does; without --baseline they are looked for in the catalog";
            Error::input(format!("the baseline has no task or group `{name}`")).file(&run.path).hint(hint)
        })
    };
    names.iter().map(find).collect()
}

fn of_task(
    (run, task): (&Run, &Task),
    compared: Option<&Comparison>,
    keep: &dyn Fn(usize) -> usize,
    wish: Wish,
    shares: &mut Vec<Asked>,
) -> Result<Vec<Outlook>> {
    let columns = match task.estimates.is_empty() || task.samples == Samples::Missing {
        true => Vec::new(),
        false => scores_of(run, task)?,
    };
    let documents = task.effective.or_else(|| columns.first().map(|column| column.documents.len())).unwrap_or(0);
    let mut found = Vec::new();
    for estimate in task.estimates.iter().filter(|estimate| estimate.value.is_some()) {
        let mut outlook = plain(&task.name, keep(documents), Scale::Unknown);
        (outlook.metric, outlook.filter) = (Some(estimate.metric.clone()), Some(estimate.filter.clone()));
        let row = compared.and_then(|c| c.rows.iter().find(|row| is_of(row, &task.name, estimate)));
        found.push(match scored(estimate, &columns, keep) {
            Ok((values, clusters)) => {
                shares.extend(asked(&task.name, estimate, &columns, (&values, clusters.as_ref())));
                from_scores(outlook, &values, clusters.as_ref(), row, wish)
            }
            Err(reason) => Outlook { note: Some(reason), ..outlook },
        });
    }
    Ok(found)
}

fn is_of(row: &Row, name: &str, estimate: &Estimate) -> bool {
    (row.task.as_str(), &row.metric, &row.filter) == (name, &estimate.metric, &estimate.filter)
}

/// The scores of the documents that are kept, and their clusters.
fn scored(
    estimate: &Estimate,
    columns: &[Scores],
    keep: &dyn Fn(usize) -> usize,
) -> std::result::Result<(Vec<f64>, Option<Clusters>), String> {
    let column = columns.iter().find(|column| column.filter == estimate.filter);
    let scores = column.and_then(|column| column.metric(&estimate.metric));
    let (Some(column), Some(scores)) = (column, scores) else {
        return Err("the baseline's samples have no score of each document".to_owned());
    };
    if let Some(reason) = not_a_mean(Some(estimate), scores) {
        return Err(reason);
    }
    let kept = keep(scores.len()).min(scores.len());
    let places = || (0..kept).filter(|at| scores.get(*at).is_some_and(|score| !score.is_nan()));
    let clusters = match column.together(places()) {
        Together::One => return Err("all its documents are of one cluster".to_owned()),
        Together::Clusters(clusters) => Some(clusters),
        Together::Alone => None,
    };
    Ok((places().filter_map(|at| scores.get(at).copied()).collect(), clusters))
}

/// What a task adds to its groups.
struct Asked {
    /// With all its documents, which tell how groups weigh it.
    whole: Share,
    /// With those that are asked.
    part: Part,
}

fn asked(
    task: &str,
    estimate: &Estimate,
    columns: &[Scores],
    (values, clusters): (&[f64], Option<&Clusters>),
) -> Option<Asked> {
    let part = Part::of(observations(values, clusters)?).ok()?;
    let (values, clusters) = scored(estimate, columns, &|n| n).ok()?;
    let all = observations(&values, clusters.as_ref())?;
    let mean = all.mean().ok()?;
    let (metric, filter) = (estimate.metric.clone(), estimate.filter.clone());
    let whole = Share { task: task.to_owned(), metric, filter, base: mean, candidate: mean, part: Part::of(all).ok()? };
    Some(Asked { whole, part })
}

fn observations<'a>(values: &'a [f64], clusters: Option<&'a Clusters>) -> Option<Observations<'a>> {
    let observations = Observations::new(values).ok()?;
    match clusters {
        Some(clusters) => observations.clustered(clusters).ok(),
        None => Some(observations),
    }
}

fn from_scores(
    outlook: Outlook,
    values: &[f64],
    clusters: Option<&Clusters>,
    row: Option<&Row>,
    wish: Wish,
) -> Outlook {
    let Some(observations) = observations(values, clusters) else {
        return Outlook { note: Some("fewer than two documents have a score".into()), ..outlook };
    };
    let n = values.len();
    let right_or_wrong = observations.successes().is_ok();
    let scale = if right_or_wrong { Scale::RightOrWrong } else { Scale::Other };
    let base = observations.mean().ok();
    let stderr = mean_error(observations).ok().map(|error| error.stderr);
    let unpaired = match (base, clusters) {
        (Some(base), None) if right_or_wrong => apart(base, n, wish),
        _ => stderr.and_then(|stderr| by_error(std::f64::consts::SQRT_2 * stderr, n, wish)),
    };
    let paired = match row.and_then(|row| seen(row, n, wish)) {
        Some(sight) => vec![sight],
        None if right_or_wrong => FLIP_RATES.iter().map(|rate| flips(*rate, n, wish)).collect(),
        None => Vec::new(),
    };
    let missing = || "how much a second run would differ is not known: give one with --candidate".to_owned();
    Outlook {
        scale,
        counts_as: n,
        clusters: clusters.map(Clusters::count),
        base,
        half_width: default_interval(observations, wish.level).ok().map(|found| found.interval.width() / 2.0),
        unpaired,
        note: paired.is_empty().then(missing),
        paired,
        ..outlook
    }
}

/// What two runs say of the next pair over `n` documents.
fn seen(row: &Row, n: usize, wish: Wish) -> Option<Sight> {
    let paired = row.paired.as_ref()?;
    let changed = paired.to_right.zip(paired.to_wrong).map(|(right, wrong)| right + wrong);
    let rate = changed.filter(|_| row.n > 0).map(|changed| changed as f64 / row.n as f64);
    let sight = match rate {
        Some(rate) if rate > 0.0 && row.clusters.is_none() => flips(rate, n, wish),
        // With clusters their error says how much fewer the documents are worth.
        _ if paired.stderr > 0.0 => by_error(paired.stderr * (row.n as f64 / n as f64).sqrt(), n, wish)?,
        _ => Sight { flip_rate: None, seen: true, least: paired.detectable, needed: None, enough: None },
    };
    Some(Sight { flip_rate: rate, seen: true, ..sight })
}

fn of_group(of_run: &Group, names: &[&str], tasks: &[Outlook], shares: &[Asked], wish: Wish) -> Vec<Outlook> {
    let estimates = of_run.estimates.iter().filter(|estimate| estimate.value.is_some());
    let one = |estimate: &Estimate| {
        let is = |metric: &str, filter: &str| metric == estimate.metric && filter == estimate.filter;
        let of: Vec<&Asked> = shares
            .iter()
            .filter(|s| names.contains(&s.whole.task.as_str()) && is(&s.whole.metric, &s.whole.filter))
            .collect();
        let sizes: Vec<usize> = of.iter().map(|asked| asked.part.documents()).collect();
        let mut outlook = Outlook { is_group: true, ..plain(&of_run.name, sizes.iter().sum(), Scale::Unknown) };
        (outlook.metric, outlook.filter) = (Some(estimate.metric.clone()), Some(estimate.filter.clone()));
        let all: Vec<&Share> = of.iter().map(|asked| &asked.whole).collect();
        let Some(weighting) = weighting((estimate, estimate), &all).filter(|_| of.len() == names.len()) else {
            let note = "it is no mean of its tasks' figures".to_owned();
            return Outlook { note: Some(note), ..outlook };
        };
        let parts: Vec<Part> = of.iter().map(|asked| asked.part).collect();
        let whole = group(&parts, weighting, wish.level).ok();
        let stderr = whole.as_ref().and_then(|whole| whole.stderr);
        let of_tasks: Vec<&Outlook> = tasks
            .iter()
            .filter(|task| names.contains(&task.name.as_str()))
            .filter(|task| is(task.metric.as_deref().unwrap_or_default(), task.filter.as_deref().unwrap_or_default()))
            .collect();
        let right_or_wrong = of_tasks.iter().all(|task| task.scale == Scale::RightOrWrong);
        let counts_as = counts_as(&sizes, weighting);
        let paired = match right_or_wrong {
            true => FLIP_RATES.iter().map(|rate| flips(*rate, counts_as, wish)).collect(),
            false => Vec::new(),
        };
        Outlook {
            scale: if right_or_wrong { Scale::RightOrWrong } else { Scale::Other },
            counts_as,
            base: estimate.value,
            half_width: whole.map(|whole| whole.interval.width() / 2.0),
            unpaired: stderr.and_then(|stderr| by_error(std::f64::consts::SQRT_2 * stderr, counts_as, wish)),
            paired,
            ..outlook
        }
    };
    estimates.map(one).collect()
}

fn plain(name: &str, documents: usize, scale: Scale) -> Outlook {
    Outlook {
        name: name.to_owned(),
        is_group: false,
        metric: None,
        filter: None,
        scale,
        documents,
        counts_as: documents,
        clusters: None,
        base: None,
        half_width: None,
        unpaired: None,
        paired: Vec::new(),
        note: None,
    }
}

/// What is to be said without any run: at a score of 1/2, by a row of flip rates.
fn assumed(outlook: Outlook, wish: Wish) -> Outlook {
    let n = outlook.counts_as;
    if outlook.scale != Scale::RightOrWrong || n < 2 {
        let note = match n {
            0 | 1 => "fewer than two documents",
            _ => "its scores are not known to be right or wrong: a run as --baseline tells their spread",
        };
        return Outlook { note: Some(note.into()), ..outlook };
    }
    let half = Proportion::new(n / 2, n).ok().map(|share| share.wilson(wish.level).interval.width() / 2.0);
    Outlook {
        half_width: half,
        unpaired: apart(0.5, n, wish).map(|sight| Sight { seen: false, ..sight }),
        paired: FLIP_RATES.iter().map(|rate| flips(*rate, n, wish)).collect(),
        ..outlook
    }
}

/// How many documents of equal weight tell as much as these parts: all of them where documents count alike; `K² / Σ 1/n_k` where parts do.
fn counts_as(sizes: &[usize], weighting: Weighting) -> usize {
    match weighting {
        Weighting::Micro => sizes.iter().sum(),
        Weighting::Macro if sizes.contains(&0) => 0,
        Weighting::Macro => {
            let inverse: f64 = sizes.iter().map(|n| 1.0 / *n as f64).sum();
            (sizes.len() as f64 * sizes.len() as f64 / inverse).floor() as usize
        }
    }
}

/// The sight of `n` pairs of right and wrong answers of which a share `rate` changes.
fn flips(rate: f64, n: usize, wish: Wish) -> Sight {
    let needed = wish.difference.and_then(|delta| pairs_needed(rate, delta, wish.demand).ok());
    Sight {
        flip_rate: Some(rate),
        seen: false,
        least: detectable_gain(rate, n, wish.demand).ok().flatten(),
        needed,
        enough: needed.map(|needed| n as f64 >= needed),
    }
}

/// The sight of `n` right and wrong answers a side against others over other documents.
fn apart(share: f64, n: usize, wish: Wish) -> Option<Sight> {
    let least = detectable((2.0 * share * (1.0 - share)).sqrt(), n, wish.demand).ok()?;
    let needed = wish.difference.and_then(|delta| unpaired_needed(share, delta, wish.demand).ok());
    let enough = needed.map(|needed| n as f64 >= needed);
    Some(Sight { flip_rate: None, seen: true, least: Some(least), needed, enough })
}

/// The sight of a difference whose error over `n` documents is known.
fn by_error(stderr: f64, n: usize, wish: Wish) -> Option<Sight> {
    let spread = stderr * (n as f64).sqrt();
    let least = detectable(spread, n, wish.demand).ok()?;
    let needed = wish.difference.and_then(|delta| documents_needed(spread, delta, wish.demand).ok());
    let enough = needed.map(|needed| n as f64 >= needed);
    Some(Sight { flip_rate: None, seen: true, least: Some(least), needed, enough })
}

#[cfg(test)]
#[path = "power_tests.rs"]
mod tests;
