//! Draws the shots of each document, with the reference's stream of random numbers.

use crate::data::TaskDocs;
use crate::doc::{Doc, Fields};
use crate::error::{Error, Result};
use crate::python::random::PyRandom;
use crate::task::{Sampler, Task};

/// The pool of shots and the state of its sampler: one stream per task, in dataset order.
pub struct Shots<'a> {
    pool: Option<&'a [Fields]>,
    sampler: Sampler,
    random: PyRandom,
    count: usize,
    /// The pool is the split that is evaluated, so the document asked about must not be among its shots.
    remove_evaluated: bool,
}

impl<'a> Shots<'a> {
    pub fn new(task: &Task, docs: &'a TaskDocs, count: usize, seed: u64) -> Self {
        Shots {
            pool: docs.pool.as_deref(),
            sampler: task.fewshot.sampler,
            random: PyRandom::new(seed),
            count,
            remove_evaluated: docs.pool_is_evaluated_split,
        }
    }

    /// Shots in each prompt.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn fields(&self, index: usize) -> Result<&'a Fields> {
        self.pool.and_then(|pool| pool.get(index)).ok_or_else(no_pool)
    }

    /// Places in the pool of the next document's shots.
    pub fn draw(&mut self, doc: &Doc) -> Result<Vec<usize>> {
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let pool = self.pool.ok_or_else(no_pool)?;
        let is_other = |index: &usize| pool.get(*index) != Some(&doc.fields);
        let drawn: Vec<usize> = match self.sampler {
            Sampler::FirstN => {
                (0..pool.len()).filter(|i| !self.remove_evaluated || is_other(i)).take(self.count).collect()
            }
            Sampler::Default if !self.remove_evaluated => {
                self.random.sample(pool.len(), self.count).unwrap_or_default()
            }
            Sampler::Default => self.draw_others(pool.len(), is_other),
        };
        if drawn.len() == self.count {
            return Ok(drawn);
        }
        let usable = pool.len().saturating_sub(usize::from(self.remove_evaluated));
        Err(Error::input(format!("{} shots are wanted for document {}, and the pool has {usable}", self.count, doc.id))
            .hint("ask for fewer with `--num-fewshot`, or give the task a larger fewshot_split"))
    }

    /// The reference draws one more than it needs and takes the evaluated document out. That may leave too few where the
    /// pool holds the document twice; then it draws again, from a pool without it.
    fn draw_others(&mut self, size: usize, is_other: impl Fn(&usize) -> bool) -> Vec<usize> {
        let Some(sample) = self.random.sample(size, self.count + 1) else { return Vec::new() };
        let drawn: Vec<usize> = sample.into_iter().filter(&is_other).take(self.count).collect();
        if drawn.len() == self.count {
            return drawn;
        }
        let others: Vec<usize> = (0..size).filter(is_other).collect();
        let sample = self.random.sample(others.len(), self.count).unwrap_or_default();
        sample.into_iter().filter_map(|i| others.get(i).copied()).collect()
    }
}

fn no_pool() -> Error {
    Error::input("shots are wanted, and the task has no documents to take them from")
        .hint("give the task a fewshot_split or a training_split, or ask for `--num-fewshot 0`")
}
