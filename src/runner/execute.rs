//! Items to answers to scores: asks only for what the journal lacks, and journals every answer and score as it exists.

use super::journal::Asker;
use super::judging::Docket;
use super::{Event, Prepared, PreparedTask, RunFolder};
use crate::engine::{Cancel, Delivery, Engine, Outcome, Update};
use crate::error::Result;
use crate::item::Item;
use crate::judge::Judges;
use crate::request::{Request, Response, Unscored};
use crate::run::{GroupResult, NotRun, TaskResult};
use crate::sample::{AnsweredItem, Sample, Score};
use crate::score::{estimate_group, estimate_task, remarks_on_answers, score_item};
use crate::task::{Group, Node, Task, groups_under, tasks_under};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// A task with everything that was found out.
pub struct FinishedTask {
    pub task: Arc<Task>,
    pub items: Vec<AnsweredItem>,
    /// All samples, document by document within each filter pipeline.
    pub samples: Vec<Sample>,
    pub result: TaskResult,
}

impl Finished {
    /// All answers with what was asked.
    pub fn answers(&self) -> Vec<(&Request, &Response)> {
        let items = self.tasks.iter().flat_map(|t| &t.items);
        let pairs = items.flat_map(|a| a.item.requests.iter().zip(&a.responses));
        pairs
            .flat_map(|(request, outcomes)| outcomes.iter().flatten().map(move |response| (request, response)))
            .collect()
    }
}

impl FinishedTask {
    /// The answers about one document.
    pub fn answered(&self, doc_id: usize) -> Option<&AnsweredItem> {
        // Items stand in the order of their ids.
        let index = self.items.binary_search_by_key(&doc_id, |a| a.item.doc.id).ok()?;
        self.items.get(index)
    }
}

/// A run after its last answer (or after it was cancelled).
pub struct Finished {
    pub nodes: Vec<Node>,
    pub tasks: Vec<FinishedTask>,
    /// Tasks whose answers could not have been judged.
    pub not_run: Vec<NotRun>,
    pub groups: Vec<GroupResult>,
    /// Requests without an answer, or answers without a judgement, because the run was cancelled.
    pub missing: usize,
    /// Documents that could not be scored.
    pub unscored: usize,
}

impl Finished {
    fn stopped(nodes: Vec<Node>, missing: usize) -> Finished {
        Finished { nodes, tasks: Vec::new(), not_run: Vec::new(), groups: Vec::new(), missing, unscored: 0 }
    }

    /// Whether every task was run and every document has its scores.
    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.unscored == 0 && self.not_run.is_empty()
    }
}

/// What a run works with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    pub engine: &'a dyn Engine,
    pub judges: &'a Judges,
    pub cancel: &'a Cancel,
}

/// One request of one item, with its key.
#[derive(Clone, Copy)]
struct Slot {
    task: usize,
    item: usize,
    request: usize,
}

/// Answers what is pending, has judged what needs a judge, and scores everything. When `means.cancel` is set, the tasks are left out of
/// the result and `missing` says how much is wanting.
pub fn execute(
    prepared: Prepared,
    means: &Means<'_>,
    folder: &mut RunFolder,
    bootstrap_iters: usize,
    on_event: &mut dyn FnMut(Event),
) -> Result<Finished> {
    let Prepared { nodes, tasks, .. } = prepared;
    let (mut board, requests, keys) = Board::new(&tasks, folder);
    if folder.recorded.damaged > 0 {
        on_event(Event::Damaged { lines: folder.recorded.damaged });
    }
    let total = board.total();
    let mut done = total - requests.len();
    on_event(Event::Started { total, answered: done });
    board.score_answered(&tasks, folder)?;
    let started = Instant::now();
    let answered = means.engine.answer(&requests, means.cancel, &mut |update| {
        let (index, outcome, delivery) = match update {
            Update::Planned(workload) => {
                on_event(Event::Planned(workload));
                return Ok(());
            }
            Update::Computed { computed, of } => {
                on_event(Event::Computed { computed, of });
                return Ok(());
            }
            Update::Remark(remark) => {
                on_event(Event::Remark(remark));
                return Ok(());
            }
            Update::Waiting(waiting) => {
                on_event(Event::Waiting(waiting));
                return Ok(());
            }
            Update::Answered(index, outcome, delivery) => (index, outcome, delivery),
        };
        let (Some(request), Some(key)) = (requests.get(index), keys.get(index)) else { return Ok(()) };
        let usage = outcome.as_ref().map(|r| r.usage).unwrap_or_default();
        // A second answer to one request is none.
        if !board.answered(&tasks, folder, key, request, (outcome, delivery))? {
            return Ok(());
        }
        done += 1;
        on_event(Event::Answered {
            done,
            total,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        });
        Ok(())
    });
    folder.recorded.totals.end_session(started.elapsed().as_secs_f64());
    on_event(Event::Ended { done, total });
    // They hold every prompt once more.
    drop((requests, keys));
    answered?;
    let missing = total - done;
    if missing > 0 {
        return Ok(Finished::stopped(nodes, missing));
    }
    let missing = board.judge(&tasks, means, folder, on_event)?;
    if missing > 0 {
        return Ok(Finished::stopped(nodes, missing));
    }
    let not_run = tasks.iter().filter_map(not_run).collect();
    let tasks: Vec<FinishedTask> = board.finish(tasks, bootstrap_iters);
    let groups = group_results(&nodes, &tasks);
    let unscored = tasks.iter().map(|t| t.result.unscored.iter().map(|(_, n)| n).sum::<usize>()).sum();
    Ok(Finished { nodes, tasks, not_run, groups, missing: 0, unscored })
}

fn not_run(t: &PreparedTask) -> Option<NotRun> {
    Some(NotRun { task: t.task.name.clone(), reason: t.not_run.clone()? })
}

/// A request's key; shared, because many places name it.
pub(super) type Key = Arc<str>;

/// Which answers there are, and which documents still wait for some.
struct Board {
    /// `[task][item][request][repeat]`
    keys: Vec<Vec<Vec<Vec<Key>>>>,
    /// Distinct request keys to the slots that wait for them; a key stands once, whoever asks.
    waiting: HashMap<Key, Vec<Slot>>,
    answers: HashMap<Key, Outcome>,
    /// `[task][item]`: answers still to come, repeats included.
    open: Vec<Vec<usize>>,
    /// `[task][item]`: scores, as soon as all answers are there.
    samples: Vec<Vec<Vec<Sample>>>,
}

impl Board {
    /// The board, and the distinct requests without an answer with their keys, in the order of the tasks and documents.
    fn new(tasks: &[PreparedTask], folder: &mut RunFolder) -> (Board, Vec<Request>, Vec<Key>) {
        let mut board = Board {
            keys: tasks.iter().map(|t| t.items.iter().map(|i| vec![Vec::new(); i.requests.len()]).collect()).collect(),
            waiting: HashMap::new(),
            answers: HashMap::new(),
            open: tasks.iter().map(|t| vec![0; t.items.len()]).collect(),
            samples: tasks.iter().map(|t| vec![Vec::new(); t.items.len()]).collect(),
        };
        let (mut requests, mut keys) = (Vec::new(), Vec::new());
        for (slot, request) in slots(tasks) {
            let key: Key = request.key().into();
            board.keys[slot.task][slot.item][slot.request].push(key.clone());
            if board.answers.contains_key(&key) {
                continue;
            }
            if let Some(outcome) = folder.recorded.answers.remove(&*key) {
                if outcome.as_ref().is_ok_and(|response| !response.fits(&request.kind)) {
                    folder.recorded.damaged += 1;
                } else {
                    board.answers.insert(key, outcome);
                    continue;
                }
            }
            board.open[slot.task][slot.item] += 1;
            match board.waiting.get_mut(&key) {
                Some(slots) => slots.push(slot),
                None => {
                    board.waiting.insert(key.clone(), vec![slot]);
                    requests.push(request);
                    keys.push(key);
                }
            }
        }
        folder.recorded.answers.clear();
        (board, requests, keys)
    }

    /// Distinct requests of the run.
    fn total(&self) -> usize {
        self.answers.len() + self.waiting.len()
    }

    /// Scores the documents whose answers were all in the journal.
    fn score_answered(&mut self, tasks: &[PreparedTask], folder: &mut RunFolder) -> Result<()> {
        for (task, t) in tasks.iter().enumerate() {
            for item in 0..t.asked().len() {
                if self.open[task][item] == 0 {
                    self.score(t, task, item, folder)?;
                }
            }
        }
        Ok(())
    }

    /// Judges and scores the documents of tasks that have judges; how many cases have no finding because the run was cancelled.
    fn judge(
        &mut self,
        tasks: &[PreparedTask],
        means: &Means<'_>,
        folder: &mut RunFolder,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<usize> {
        let answered = |task: usize, item: usize| self.answered_item(task, item, tasks[task].items[item].clone());
        let docket = Docket::judge(tasks, &answered, means, folder, on_event)?;
        if docket.missing() > 0 {
            return Ok(docket.missing());
        }
        for (task, t) in tasks.iter().enumerate().filter(|(_, t)| t.task.judge.is_some()) {
            for item in 0..t.asked().len() {
                let answered = self.answered_item(task, item, t.items[item].clone());
                let samples = score_item(&t.task, &answered, &docket.findings(task, item));
                self.keep(t, (task, item), samples, folder)?;
            }
        }
        Ok(0)
    }

    /// Journals an answer and scores the documents that it completes; `false` when nobody waits for it.
    fn answered(
        &mut self,
        tasks: &[PreparedTask],
        folder: &mut RunFolder,
        key: &Key,
        request: &Request,
        (outcome, delivery): (Outcome, Delivery),
    ) -> Result<bool> {
        let Some(slots) = self.waiting.remove(key) else { return Ok(false) };
        if let Some(first) = slots.first() {
            let t = &tasks[first.task];
            let asker = Asker { task: &t.task.name, doc_id: t.items[first.item].doc.id, request: first.request };
            folder.journal.answer(key, asker, request, (&outcome, delivery))?;
        }
        folder.recorded.totals.add(&outcome, &delivery);
        self.answers.insert(key.clone(), outcome);
        for slot in slots {
            let open = &mut self.open[slot.task][slot.item];
            *open -= 1;
            if *open == 0 {
                self.score(&tasks[slot.task], slot.task, slot.item, folder)?;
            }
        }
        Ok(true)
    }

    /// Scores a document whose answers are all there. Where a judge is needed, that comes later.
    fn score(&mut self, t: &PreparedTask, task: usize, item: usize, folder: &mut RunFolder) -> Result<()> {
        if t.task.judge.is_some() {
            return Ok(());
        }
        let samples = score_item(&t.task, &self.answered_item(task, item, t.items[item].clone()), &[]);
        self.keep(t, (task, item), samples, folder)
    }

    fn keep(
        &mut self,
        t: &PreparedTask,
        (task, item): (usize, usize),
        samples: Vec<Sample>,
        folder: &mut RunFolder,
    ) -> Result<()> {
        for sample in &samples {
            folder.journal.scores(&t.task.name, sample)?;
        }
        self.samples[task][item] = samples;
        Ok(())
    }

    fn answered_item(&self, task: usize, index: usize, item: Item) -> AnsweredItem {
        let outcome = |key: &Key| self.answers.get(key).cloned().unwrap_or(Err(Unscored::new("not answered")));
        let of_request = |keys: &Vec<Key>| keys.iter().map(outcome).collect();
        let responses = self.keys[task][index].iter().map(of_request).collect();
        AnsweredItem { item, responses }
    }

    fn finish(mut self, tasks: Vec<PreparedTask>, bootstrap_iters: usize) -> Vec<FinishedTask> {
        let mut samples = std::mem::take(&mut self.samples);
        tasks
            .into_iter()
            .enumerate()
            .filter(|(_, t)| t.not_run.is_none())
            .map(|(index, t)| {
                let PreparedTask { task, items, original, num_fewshot, .. } = t;
                let items = items.into_iter().enumerate();
                let items: Vec<AnsweredItem> = items.map(|(i, item)| self.answered_item(index, i, item)).collect();
                // By filter first, then by document: the order of the reference's samples file.
                let by_doc = std::mem::take(&mut samples[index]);
                let samples: Vec<Sample> = task
                    .filters
                    .iter()
                    .flat_map(|f| by_doc.iter().flatten().filter(|s| s.filter == f.name).cloned())
                    .collect();
                let result = TaskResult {
                    name: task.name.clone(),
                    original,
                    effective: items.len(),
                    num_fewshot,
                    estimates: estimate_task(&task, &samples, bootstrap_iters),
                    unscored: reasons(&task, &samples),
                    truncated: truncated(&items),
                    remarks: remarks_on_answers(&task, &items, &samples),
                };
                FinishedTask { task, items, samples, result }
            })
            .collect()
    }
}

/// All requests of all tasks, repeats included, in order.
fn slots(tasks: &[PreparedTask]) -> impl Iterator<Item = (Slot, Request)> + '_ {
    tasks.iter().enumerate().flat_map(|(task, t)| {
        t.asked().iter().enumerate().flat_map(move |(item, i)| {
            i.requests
                .iter()
                .enumerate()
                .flat_map(move |(request, r)| repeats(&t.task, r).map(move |r| (Slot { task, item, request }, r)))
        })
    })
}

/// The `repeats` requests that one request stands for.
fn repeats<'a>(task: &Task, request: &'a Request) -> impl Iterator<Item = Request> + use<'a> {
    (0..task.repeats.max(1)).map(|sample| Request { sample, ..request.clone() })
}

/// Why documents were not scored (each counted once), commonest reason first.
fn reasons(task: &Task, samples: &[Sample]) -> Vec<(String, usize)> {
    let Some(first) = task.filters.first() else { return Vec::new() };
    let mut counts: Vec<(String, usize)> = Vec::new();
    for sample in samples.iter().filter(|s| s.filter == first.name) {
        let reason = sample.scores.iter().find_map(|(_, score)| match score {
            Score::Unscored(unscored) => Some(&unscored.reason),
            _ => None,
        });
        let Some(reason) = reason else { continue };
        match counts.iter_mut().find(|(r, _)| r == reason) {
            Some((_, n)) => *n += 1,
            None => counts.push((reason.clone(), 1)),
        }
    }
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts
}

/// Requests whose prompt was cut from the left.
fn truncated(items: &[AnsweredItem]) -> usize {
    let responses = items.iter().flat_map(|i| i.responses.iter().flatten());
    responses.filter(|r| r.as_ref().is_ok_and(|r| r.usage.truncated_tokens > 0)).count()
}

/// The figures of all groups. Groups without aggregates have none.
fn group_results(nodes: &[Node], tasks: &[FinishedTask]) -> Vec<GroupResult> {
    let result = |group: &Arc<Group>| GroupResult { name: group.name.clone(), estimates: aggregate(group, tasks) };
    groups_under(nodes).into_iter().map(result).collect()
}

fn aggregate(group: &Group, tasks: &[FinishedTask]) -> Vec<crate::estimate::Estimate> {
    if group.aggregates.is_empty() {
        return Vec::new();
    }
    let mut names: Vec<&str> = tasks_under(&group.children).iter().map(|t| t.name.as_str()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.to_string()));
    // A figure of some of a group's tasks is not the group's.
    if names.iter().any(|name| !tasks.iter().any(|t| t.task.name == *name)) {
        return Vec::new();
    }
    let leaves: Vec<_> = names
        .iter()
        .filter_map(|name| tasks.iter().find(|t| t.task.name == *name))
        .map(|t| t.result.estimates.as_slice())
        .collect();
    estimate_group(group, &leaves)
}
