//! Draws the shots of each document, with the reference's stream of random numbers.

use crate::data::TaskDocs;
use crate::doc::{Doc, Fields};
use crate::error::{Error, Result};
use crate::python::random::PyRandom;
use crate::task::{Sampler, Task};
use std::cell::RefCell;

/// Which rows of the pool are kept out of a document's shots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeptOut {
    Nothing,
    /// Rows equal to the document: what the reference does where the task names one split for both.
    Equal,
    /// Those, and rows that would show the document's question with its answer.
    Shown,
}

/// The pool of shots and the state of its sampler: one stream per task, in dataset order.
pub struct Shots<'a> {
    pool: Option<&'a [Fields]>,
    sampler: Sampler,
    random: RefCell<PyRandom>,
    count: usize,
    kept_out: KeptOut,
}

impl<'a> Shots<'a> {
    /// `exclude_evaluated`: the document asked about is never among its shots, wherever they come from.
    pub fn new(task: &Task, docs: &'a TaskDocs, count: usize, seed: u64, exclude_evaluated: bool) -> Self {
        let kept_out = match (exclude_evaluated || task.fewshot.exclude_evaluated, docs.pool_is_evaluated_split) {
            (true, _) => KeptOut::Shown,
            (false, true) => KeptOut::Equal,
            (false, false) => KeptOut::Nothing,
        };
        Shots {
            pool: docs.pool.as_deref(),
            sampler: task.fewshot.sampler,
            random: RefCell::new(PyRandom::new(seed)),
            count,
            kept_out,
        }
    }

    /// Shots in each prompt.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn fields(&self, index: usize) -> Result<&'a Fields> {
        self.pool.and_then(|pool| pool.get(index)).ok_or_else(no_pool)
    }

    /// Whether a row of the pool is the document itself.
    pub fn equals(&self, index: usize, doc: &Doc) -> bool {
        self.pool.and_then(|pool| pool.get(index)) == Some(&doc.fields)
    }

    /// Places in the pool of the next document's shots. `shows`: whether the row at a place would show the document, solved.
    pub fn draw(&self, doc: &Doc, shows: &dyn Fn(usize) -> bool) -> Result<Vec<usize>> {
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let size = self.pool.ok_or_else(no_pool)?.len();
        let is_other = |index: &usize| match self.kept_out {
            KeptOut::Nothing => true,
            KeptOut::Equal => !self.equals(*index, doc),
            KeptOut::Shown => !self.equals(*index, doc) && !shows(*index),
        };
        let drawn: Vec<usize> = match (self.sampler, self.kept_out) {
            (Sampler::FirstN, _) => (0..size).filter(is_other).take(self.count).collect(),
            (Sampler::Default, KeptOut::Nothing) => {
                self.random.borrow_mut().sample(size, self.count).unwrap_or_default()
            }
            (Sampler::Default, _) => self.draw_others(size, is_other),
        };
        if drawn.len() == self.count {
            return Ok(drawn);
        }
        let has = match size - (0..size).filter(is_other).count() {
            0 => size.to_string(),
            own => {
                format!("{} besides copies of this document ({size} rows, {own} of them equal to it)", size - own)
            }
        };
        Err(Error::input(format!("{} shots are wanted for document {}, and the pool has {has}", self.count, doc.id))
            .hint("ask for fewer with `--num-fewshot`, or give the task a larger fewshot_split"))
    }

    /// The reference draws one more than it needs and takes the evaluated document out. That may leave too few where the
    /// pool holds the document twice; then it draws again, from a pool without it.
    fn draw_others(&self, size: usize, is_other: impl Fn(&usize) -> bool) -> Vec<usize> {
        let mut random = self.random.borrow_mut();
        if let Some(sample) = random.sample(size, self.count.saturating_add(1)) {
            let drawn: Vec<usize> = sample.into_iter().filter(&is_other).take(self.count).collect();
            if drawn.len() == self.count {
                return drawn;
            }
        }
        let others: Vec<usize> = (0..size).filter(is_other).collect();
        let sample = random.sample(others.len(), self.count).unwrap_or_default();
        sample.into_iter().filter_map(|i| others.get(i).copied()).collect()
    }
}

fn no_pool() -> Error {
    Error::input("shots are wanted, and the task has no documents to take them from")
        .hint("give the task a fewshot_split or a training_split, or ask for `--num-fewshot 0`")
}
