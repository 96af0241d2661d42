//! Judging on several threads: jobs are shared out, findings come back to the thread that asked for them.

use super::FindingSink;
use crate::engine::Cancel;
use crate::error::Result;
use crate::judgement::Finding;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How often a judge that waits for findings looks whether it is cancelled.
const BEAT: Duration = Duration::from_millis(100);

/// Takes the finding of the case at an index; `false`: stop.
pub(super) type Tell<'a> = dyn Fn(usize, Finding) -> bool + 'a;

/// Threads that run programs.
pub(super) struct Workers<'a> {
    pub number: usize,
    /// Ends the programs that are running.
    pub interrupt: &'a dyn Fn(),
    pub cancel: &'a Cancel,
}

impl Workers<'_> {
    /// Gives every job to `work`, which tells the findings of it. When it is cancelled, running programs are ended, and what was cut short by that is no
    /// finding.
    ///
    /// Errors: those of the sink, which end the work.
    pub fn share<J: Sync>(
        &self,
        jobs: &[J],
        work: impl Fn(&J, &Tell<'_>) + Sync,
        sink: &mut FindingSink<'_>,
    ) -> Result<()> {
        let (next, cancel) = (AtomicUsize::new(0), self.cancel);
        let (sender, findings) = mpsc::sync_channel(self.number * 4);
        std::thread::scope(|scope| {
            for _ in 0..self.number.min(jobs.len()) {
                let (next, work, sender) = (&next, &work, sender.clone());
                scope.spawn(move || {
                    let tell = |index, finding: Finding| {
                        let cut_short = finding.is_err() && cancel.is_cancelled();
                        !cut_short && sender.send((index, finding)).is_ok() && !cancel.is_cancelled()
                    };
                    while !cancel.is_cancelled() {
                        let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                        work(job, &tell);
                    }
                });
            }
            drop(sender);
            let outcome = self.receive(&findings, sink);
            // After an error nobody listens any more: no worker begins another job, and none waits to send.
            if outcome.is_err() {
                next.store(jobs.len(), Ordering::Relaxed);
            }
            drop(findings);
            outcome
        })
    }

    fn receive(&self, findings: &mpsc::Receiver<(usize, Finding)>, sink: &mut FindingSink<'_>) -> Result<()> {
        loop {
            match findings.recv_timeout(BEAT) {
                Ok((index, finding)) => sink(index, finding)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // Programs may run for minutes.
                Err(RecvTimeoutError::Timeout) if self.cancel.is_cancelled() => (self.interrupt)(),
                Err(RecvTimeoutError::Timeout) => (),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::judgement::Judgement;
    use crate::request::Unscored;
    use serde_json::Map;
    use std::sync::atomic::AtomicBool;

    fn finding(value: usize) -> Finding {
        Ok(Judgement { value: value as f64, detail: Map::new() })
    }

    #[test]
    fn every_job_once() {
        let cancel = Cancel::default();
        let jobs: Vec<usize> = (0..100).collect();
        let mut found = vec![0; 200];
        let workers = Workers { number: 3, interrupt: &|| (), cancel: &cancel };
        let work = |job: &usize, tell: &Tell<'_>| {
            tell(2 * job, finding(*job));
            tell(2 * job + 1, finding(*job));
        };
        workers
            .share(&jobs, work, &mut |index, _| {
                found[index] += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(found, vec![1; 200]);
    }

    #[test]
    fn cancelling_ends_programs_and_what_they_were_at_is_no_finding() {
        let (cancel, ended) = (Cancel::default(), AtomicBool::new(false));
        let end = || ended.store(true, Ordering::SeqCst);
        let workers = Workers { number: 2, interrupt: &end, cancel: &cancel };
        // The first job is done; the others run until they are ended, and then fail.
        let work = |job: &usize, tell: &Tell<'_>| {
            if *job > 0 {
                while !ended.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            tell(*job, if *job == 0 { finding(0) } else { Err(Unscored::new("ended")) });
        };
        let mut found = Vec::new();
        let mut sink = |index: usize, _: Finding| {
            found.push(index);
            cancel.cancel();
            Ok(())
        };
        workers.share(&[0, 1, 2, 3], work, &mut sink).unwrap();
        assert_eq!(found, [0]);
    }

    #[test]
    fn an_error_of_the_sink_ends_the_work() {
        let (cancel, done) = (Cancel::default(), AtomicUsize::new(0));
        let workers = Workers { number: 2, interrupt: &|| (), cancel: &cancel };
        let jobs = vec![(); 1000];
        let work = |_: &(), tell: &Tell<'_>| {
            done.fetch_add(1, Ordering::SeqCst);
            tell(0, finding(0));
        };
        let err = workers.share(&jobs, work, &mut |_, _| Err(Error::input("disk full"))).unwrap_err();
        assert!(err.to_string().contains("disk full"));
        assert!(done.load(Ordering::SeqCst) < 1000, "nobody listens");
    }
}
