//! Judging: the cases of all answered documents that need a judge, asked for once each, what the journal has left out.

use super::execute::Key;
use super::{Event, FinishedTask, Means, PreparedTask, RunFolder};
use crate::error::Result;
use crate::judge::{Judge, JudgeRow};
use crate::judgement::{Case, Finding};
use crate::request::Unscored;
use crate::sample::AnsweredItem;
use crate::score::cases;
use std::collections::{HashMap, HashSet};

/// The cases of all tasks and what was found about them.
#[derive(Default)]
pub struct Docket {
    /// `(task, item)` to `[pipeline][repeat]`.
    keys: HashMap<(usize, usize), Vec<Vec<Key>>>,
    findings: HashMap<Key, Finding>,
    /// Distinct cases without a finding when judging began.
    asked: usize,
    /// Recorded judgements that this judge cannot have given.
    damaged: usize,
}

/// Verdicts on a task's answers that came from one process, and all its verdicts. By the first pipeline: the others judge the same answers.
pub fn one_process(task: &FinishedTask) -> (usize, usize) {
    let first = task.task.filters.first().map(|pipeline| pipeline.name.as_str());
    let samples = task.samples.iter().filter(|sample| Some(sample.filter.as_str()) == first);
    let verdicts = samples.flat_map(|sample| &sample.findings).filter_map(|finding| finding.as_ref().ok());
    verdicts.fold((0, 0), |(weak, all), found| (weak + usize::from(found.in_one_process()), all + 1))
}

/// Cases of one judge, and the document that each first came from.
#[derive(Default)]
struct Pending {
    cases: Vec<Case>,
    keys: Vec<Key>,
    places: Vec<(usize, usize)>,
    seen: HashSet<Key>,
}

impl Docket {
    /// Judges all answered documents of the tasks that have judges. `answered(task, item)`: their answers.
    pub fn judge(
        tasks: &[PreparedTask],
        answered: &dyn Fn(usize, usize) -> AnsweredItem,
        means: &Means<'_>,
        folder: &mut RunFolder,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Docket> {
        let mut docket = Docket::default();
        for (row, judge) in means.judges.all() {
            let mut pending = Pending::default();
            for (task, t) in tasks.iter().enumerate() {
                if t.task.judge.as_ref().is_some_and(|spec| spec.function == row.name) {
                    for item in 0..t.asked().len() {
                        docket.take(
                            (task, item),
                            cases(&t.task, &answered(task, item)),
                            (row, judge),
                            folder,
                            &mut pending,
                        );
                    }
                }
            }
            docket.ask(judge, pending, tasks, means, folder, on_event)?;
        }
        if docket.damaged > 0 {
            on_event(Event::Damaged { lines: docket.damaged });
        }
        Ok(docket)
    }

    /// Cases without a finding, because judging was cancelled.
    pub fn missing(&self) -> usize {
        self.asked.saturating_sub(self.findings.len())
    }

    /// What was found about a document, by pipeline and repeat.
    pub fn findings(&self, task: usize, item: usize) -> Vec<Vec<Finding>> {
        let of = |key: &Key| self.findings.get(key).cloned().unwrap_or(Err(Unscored::new("not judged")));
        let pipelines = self.keys.get(&(task, item)).map(Vec::as_slice).unwrap_or_default();
        pipelines.iter().map(|keys| keys.iter().map(of).collect()).collect()
    }

    fn take(
        &mut self,
        place: (usize, usize),
        cases: Vec<Vec<Case>>,
        (row, judge): (&JudgeRow, &dyn Judge),
        folder: &mut RunFolder,
        pending: &mut Pending,
    ) {
        let mut add = |case: Case| -> Key {
            let key: Key = case.key(judge.identity()).into();
            if pending.seen.insert(key.clone()) {
                self.asked += 1;
                let recorded = folder.recorded.judgements.remove(&*key);
                let is_possible = recorded.as_ref().is_some_and(|judgement| row.could_find(judgement));
                self.damaged += usize::from(recorded.is_some() && !is_possible);
                match recorded.filter(|_| is_possible) {
                    Some(judgement) => {
                        self.findings.insert(key.clone(), Ok(judgement));
                    }
                    None => {
                        pending.cases.push(case);
                        pending.keys.push(key.clone());
                        pending.places.push(place);
                    }
                }
            }
            key
        };
        let keys = cases.into_iter().map(|cases| cases.into_iter().map(&mut add).collect()).collect();
        self.keys.insert(place, keys);
    }

    fn ask(
        &mut self,
        judge: &dyn Judge,
        pending: Pending,
        tasks: &[PreparedTask],
        means: &Means<'_>,
        folder: &mut RunFolder,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let Pending { cases, keys, places, .. } = pending;
        if cases.is_empty() {
            return Ok(());
        }
        let name = &judge.identity().judge;
        let total = cases.len();
        let mut done = 0;
        on_event(Event::Judging { judge: name.clone(), done, total });
        judge.judge(&cases, means.cancel, &mut |index, finding| {
            let (Some(key), Some((task, item))) = (keys.get(index), places.get(index)) else { return Ok(()) };
            if let (Ok(judgement), Some(t)) = (&finding, tasks.get(*task)) {
                let doc_id = t.items.get(*item).map_or(0, |item| item.doc.id);
                folder.journal.judgement(key, name, (&t.task.name, doc_id), judgement)?;
            }
            self.findings.insert(key.clone(), finding);
            done += 1;
            on_event(Event::Judging { judge: name.clone(), done, total });
            Ok(())
        })?;
        on_event(Event::Judged { judge: name.clone(), done, total });
        Ok(())
    }
}
