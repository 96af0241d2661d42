//! Rows of a comparison: one for each metric of a task under a filter.

use super::Options;
use super::pair::{Pairing, pair};
use super::scores::{Scores, Together, scores_of, together};
use crate::error::{Error, Result};
use crate::estimate::{Estimate, figure};
use crate::record::{Program, Run, Task};
use crate::stats::{self, Clusters, Observations, Paired, Part};
use crate::visible;
use serde::Serialize;

/// Documents of a task that are listed as having got worse.
const MOST_WORST: usize = 10;

/// One metric of one task or group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub task: String,
    pub is_group: bool,
    pub metric: String,
    pub filter: String,
    pub higher_is_better: Option<bool>,
    /// The figures of the runs; where only some documents are compared, of those.
    #[serde(serialize_with = "figure::serialize")]
    pub base: Option<f64>,
    #[serde(serialize_with = "figure::serialize")]
    pub candidate: Option<f64>,
    /// Documents that were compared: those with a score in both.
    pub n: usize,
    /// Documents of both without a score in one of them.
    pub unscored: usize,
    /// Clusters that the documents stand in, where they do.
    pub clusters: Option<usize>,
    /// Differences over the pairs; `None` where the metric is no mean over documents, or too few have scores.
    pub paired: Option<stats::Comparison>,
    /// Why there is no paired difference.
    pub unpaired: Option<String>,
    /// Wrong in both, with another answer: where scores are right or wrong.
    pub other_wrong: Option<usize>,
    /// p of the paired test, by Holm over all rows of tasks.
    pub p_adjusted: Option<f64>,
}

/// Error rate of all false alarms over the rows of a comparison.
pub(super) const ALPHA: f64 = 0.05;

impl Row {
    /// Whether it changed beyond noise.
    pub fn moved(&self) -> bool {
        self.p_adjusted.is_some_and(|p| p <= ALPHA)
    }
}

/// A document that got worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flipped {
    pub task: String,
    pub metric: String,
    pub filter: String,
    pub doc_id: String,
    /// Whether `fairmark show` finds the document by its id: not where Inspect gave it.
    #[serde(skip)]
    pub shown: bool,
    pub base: f64,
    pub candidate: f64,
    /// What it lost, negative whatever the metric's direction.
    pub change: f64,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    pub rows: Vec<Row>,
    pub worst: Vec<Flipped>,
    /// What only one has, or has otherwise.
    pub differs: Vec<String>,
    pub notes: Vec<String>,
}

/// What a task adds to its groups.
pub(super) struct Share {
    pub task: String,
    pub metric: String,
    pub filter: String,
    /// Means of both, and the part that their differences are.
    pub base: f64,
    pub candidate: f64,
    pub part: Part,
}

/// Adds the rows of a task that both runs have; what they add to groups.
pub(super) fn rows(
    base: (&Run, &Task),
    candidate: (&Run, &Task),
    options: &Options,
    found: &mut Found,
) -> Result<Vec<Share>> {
    if base.1.estimates.is_empty() && candidate.1.estimates.is_empty() {
        return Ok(Vec::new());
    }
    let read = |(run, task): (&Run, &Task)| scores_of(run, task);
    let (of_base, of_candidate) = rayon::join(|| read(base), || read(candidate));
    let (of_base, of_candidate) = (of_base?, of_candidate?);
    let name = &base.1.name;
    let filters = |scores: &[Scores]| scores.iter().map(|s| s.filter.clone()).collect::<Vec<_>>();
    let (ours, theirs) = (filters(&of_base), filters(&of_candidate));
    if ours.iter().any(|f| !theirs.contains(f)) || theirs.iter().any(|f| !ours.contains(f)) {
        let (ours, theirs) = (visible::list(&ours), visible::list(&theirs));
        found.differs.push(format!("{name} has the filters {ours} in the base and {theirs} in the candidate"));
    }
    if (base.0.writer.program == Program::Inspect) != (candidate.0.writer.program == Program::Inspect) {
        let message =
            format!("{name}: the documents of a log of Inspect and of another program's run cannot be paired");
        return Err(Error::input(message)
            .file(&candidate.0.path)
            .hint("they have neither ids nor hashes in common: compare logs of Inspect with each other"));
    }
    let mut shares = Vec::new();
    for scores in &of_base {
        let Some(other) = of_candidate.iter().find(|other| other.filter == scores.filter) else { continue };
        let pairing = match scores.hashed && other.hashed {
            true => pair(&scores.documents, &other.documents),
            false => {
                found
                    .notes
                    .push(format!("{name}: documents are paired by their ids: one of the runs has no hashes of them"));
                pair(&scores.ids.keys(), &other.ids.keys())
            }
        };
        if !pairing.is_whole() {
            found.differs.push(documents(name, (scores, other), &pairing));
        }
        let side = Side {
            task: base.1,
            candidate: candidate.1,
            scores,
            other,
            pairing: &pairing,
            shown: base.0.writer.program != Program::Inspect,
        };
        found.notes.extend(side.other_prompts());
        found.notes.extend(side.one_cluster());
        for metric in side.metrics(&mut found.differs) {
            let (row, worst, share) = side.row(&metric, options);
            found.rows.push(row);
            found.worst.extend(worst);
            shares.extend(share);
        }
    }
    Ok(shares)
}

/// `mmlu_law has 1534 documents in the base and 100 in the candidate, 100 in both`.
fn documents(task: &str, (base, candidate): (&Scores, &Scores), pairing: &Pairing) -> String {
    let (ours, theirs, both) = (base.documents.len(), candidate.documents.len(), pairing.pairs.len());
    let mut said = format!("{task} has {ours} documents in the base and {theirs} in the candidate, {both} in both");
    for (which, scores, alone) in
        [("base", base, &pairing.only_base), ("candidate", candidate, &pairing.only_candidate)]
    {
        if !alone.is_empty() {
            let ids: Vec<String> = alone.iter().map(|at| scores.ids.at(*at)).collect();
            said.push_str(&format!(" (only the {which} has document {})", visible::list(&ids)));
        }
    }
    said
}

/// A task under one filter in both runs.
struct Side<'a> {
    task: &'a Task,
    candidate: &'a Task,
    scores: &'a Scores,
    other: &'a Scores,
    pairing: &'a Pairing,
    shown: bool,
}

/// Scores of the pairs that have one in both.
struct Pairs {
    /// Where the documents stand in base and candidate.
    at: Vec<(usize, usize)>,
    base: Vec<f64>,
    candidate: Vec<f64>,
}

impl Side<'_> {
    /// Metrics of both under this filter, in the base's order.
    fn metrics(&self, differs: &mut Vec<String>) -> Vec<String> {
        let names = |task: &Task| -> Vec<String> {
            let under = task.estimates.iter().filter(|estimate| estimate.filter == self.scores.filter);
            under.map(|estimate| estimate.metric.clone()).collect()
        };
        let (ours, theirs) = (names(self.task), names(self.candidate));
        if ours.iter().any(|metric| !theirs.contains(metric)) || theirs.iter().any(|metric| !ours.contains(metric)) {
            let (name, a, b) = (&self.task.name, visible::list(&ours), visible::list(&theirs));
            differs.push(format!("{name} has the metrics {a} in the base and {b} in the candidate"));
        }
        ours.into_iter().filter(|metric| theirs.contains(metric)).collect()
    }

    fn estimate<'t>(&self, task: &'t Task, metric: &str) -> Option<&'t Estimate> {
        task.estimates.iter().find(|estimate| estimate.metric == metric && estimate.filter == self.scores.filter)
    }

    /// Says of how many pairs the prompts differ, where they are known.
    fn other_prompts(&self) -> Option<String> {
        let prompts = |at: &(usize, usize)| (self.scores.prompts.get(at.0), self.other.prompts.get(at.1));
        let known = |at: &&(usize, usize)| matches!(prompts(at), (Some(a), Some(b)) if *a != 0 && *b != 0 && a != b);
        let others = self.pairing.pairs.iter().filter(known).count();
        let of = self.pairing.pairs.len();
        (others > 0).then(|| format!("{}: {others} of {of} documents were asked with another prompt", self.task.name))
    }

    fn row(&self, metric: &str, options: &Options) -> (Row, Vec<Flipped>, Option<Share>) {
        let (ours, theirs) = (self.estimate(self.task, metric), self.estimate(self.candidate, metric));
        let higher_is_better = ours.and_then(|e| e.higher_is_better).or(theirs.and_then(|e| e.higher_is_better));
        let mut row = Row {
            task: self.task.name.clone(),
            is_group: false,
            metric: metric.to_owned(),
            filter: self.scores.filter.clone(),
            higher_is_better,
            base: ours.and_then(|e| e.value),
            candidate: theirs.and_then(|e| e.value),
            n: 0,
            unscored: 0,
            clusters: None,
            paired: None,
            unpaired: None,
            other_wrong: None,
            p_adjusted: None,
        };
        let (Some(base), Some(candidate)) = (self.scores.metric(metric), self.other.metric(metric)) else {
            row.n = self.pairing.pairs.len();
            row.unpaired = Some("the samples have no score of each document".to_owned());
            return (row, Vec::new(), None);
        };
        let pairs = self.scored(base, candidate);
        row.n = pairs.at.len();
        row.unscored = self.pairing.pairs.len() - row.n;
        // A figure that is no mean of its scores (an F1, a perplexity) has no difference over pairs.
        if let Some(reason) = not_a_mean(ours, base).or_else(|| not_a_mean(theirs, candidate)) {
            row.unpaired = Some(reason);
            return (row, Vec::new(), None);
        }
        let clusters = match self.together(&pairs.at) {
            Together::Clusters(clusters) => Some(clusters),
            Together::Alone | Together::One => None,
        };
        row.clusters = clusters.as_ref().map(Clusters::count);
        let paired = Paired::new(&pairs.base, &pairs.candidate, clusters.as_ref());
        let share = paired.as_ref().ok().and_then(|paired| self.share(metric, paired, &pairs));
        match paired.and_then(|paired| paired.compare(options.level)) {
            Ok(paired) => {
                row.other_wrong = paired.to_right.and_then(|_| self.other_wrong(&pairs));
                row.paired = Some(paired);
            }
            Err(unfit) => row.unpaired = Some(unfit.to_string()),
        }
        // Of a pair without scores left out, the figures of the whole runs would not match the difference.
        if row.unscored > 0 || !self.pairing.is_whole() {
            row.base = mean(&pairs.base).or(row.base);
            row.candidate = mean(&pairs.candidate).or(row.candidate);
        }
        let worst = self.worst(metric, &pairs, higher_is_better);
        (row, worst, share)
    }

    fn scored(&self, base: &[f64], candidate: &[f64]) -> Pairs {
        let mut pairs = Pairs { at: Vec::new(), base: Vec::new(), candidate: Vec::new() };
        for (i, j) in &self.pairing.pairs {
            let (x, y) = (base.get(*i).copied().unwrap_or(f64::NAN), candidate.get(*j).copied().unwrap_or(f64::NAN));
            if !x.is_nan() && !y.is_nan() {
                pairs.at.push((*i, *j));
                pairs.base.push(x);
                pairs.candidate.push(y);
            }
        }
        pairs
    }

    /// How the documents of the pairs stand together: as the base says, else as the candidate does.
    fn together(&self, pairs: &[(usize, usize)]) -> Together {
        let of_base = self.scores.clusters.as_ref().map(|c| pairs.iter().map(|(i, _)| c.get(*i).copied()).collect());
        let of_other = || self.other.clusters.as_ref().map(|c| pairs.iter().map(|(_, j)| c.get(*j).copied()).collect());
        together(of_base.or_else(of_other).flatten())
    }

    /// Documents of one cluster are compared as if each stood for itself, which is said.
    fn one_cluster(&self) -> Option<String> {
        let Together::One = self.together(&self.pairing.pairs) else { return None };
        let name = &self.task.name;
        Some(format!(
            "{name}: all documents are of one cluster: the intervals take them for independent and are too short"
        ))
    }

    fn share(&self, metric: &str, paired: &Paired<'_>, pairs: &Pairs) -> Option<Share> {
        Some(Share {
            task: self.task.name.clone(),
            metric: metric.to_owned(),
            filter: self.scores.filter.clone(),
            base: mean(&pairs.base)?,
            candidate: mean(&pairs.candidate)?,
            part: Part::of(paired.differences().ok()?).ok()?,
        })
    }

    /// Wrong in both with another answer; `None` where some answer is unknown.
    fn other_wrong(&self, pairs: &Pairs) -> Option<usize> {
        let same = |(i, j): &(usize, usize)| Some((*self.scores.answers.get(*i)?)? == (*self.other.answers.get(*j)?)?);
        let same: Option<Vec<bool>> = pairs.at.iter().map(same).collect();
        let right = |scores: &[f64]| scores.iter().map(|score| *score == 1.0).collect::<Vec<bool>>();
        stats::Flips::other_wrong(&right(&pairs.base), &right(&pairs.candidate), &same?).ok()
    }

    fn worst(&self, metric: &str, pairs: &Pairs, higher_is_better: Option<bool>) -> Vec<Flipped> {
        let Some(higher) = higher_is_better else { return Vec::new() };
        let changes = pairs.base.iter().zip(&pairs.candidate).enumerate();
        let changes = changes.map(|(at, (x, y))| (at, if higher { y - x } else { x - y }));
        let mut worse: Vec<(usize, f64)> = changes.filter(|(_, change)| *change < 0.0).collect();
        worse.sort_by(|a, b| a.1.total_cmp(&b.1));
        worse.truncate(MOST_WORST);
        let flipped = |(at, change): (usize, f64)| {
            let (i, _) = *pairs.at.get(at)?;
            Some(Flipped {
                task: self.task.name.clone(),
                metric: metric.to_owned(),
                filter: self.scores.filter.clone(),
                doc_id: self.scores.ids.at(i),
                shown: self.shown,
                base: *pairs.base.get(at)?,
                candidate: *pairs.candidate.get(at)?,
                change,
            })
        };
        worse.into_iter().filter_map(flipped).collect()
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    Observations::new(values).ok()?.mean().ok()
}

/// Why a figure is not the mean of its documents' scores.
pub(super) fn not_a_mean(estimate: Option<&Estimate>, scores: &[f64]) -> Option<String> {
    let value = estimate?.value?;
    let (sum, n) = scores.iter().filter(|score| !score.is_nan()).fold((0.0, 0), |(sum, n), score| (sum + score, n + 1));
    if n == 0 {
        return Some("no document has a score".into());
    }
    let near = (sum / f64::from(n) - value).abs() <= 1e-6 * value.abs().max(1.0);
    (!near).then(|| "the figure is no mean over documents".to_owned())
}
