//! Independent jobs on several threads; their results come to the caller's thread.
//!
//! Each job runs on one worker from start to end. Candle's own parallelism (rayon) is kept inside a pool that belongs to the
//! worker, so that many small matrices do not fight over one pool. Which worker does what changes nothing in the numbers.

use crate::engine::Cancel;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// A rayon pool of so many threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map_err(|e| Error::input("cannot start threads").cause(e))
}

/// Runs `work` for every job, in their order as far as the threads allow, and hands each result to `take` on this thread. Stops
/// early at the first error and when `cancel` is set.
pub fn run<J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    cancel: &Cancel,
    work: impl Fn(&J) -> Result<R> + Sync,
    take: &mut dyn FnMut(R) -> Result<()>,
) -> Result<()> {
    let workers = threads.min(jobs.len()).max(1);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, results) = mpsc::channel();
    let (next, stop, work) = (&next, &stop, &work);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let sender = sender.clone();
            // With fewer jobs than threads, a worker has several.
            let own_threads = threads / workers + usize::from(worker < threads % workers);
            scope.spawn(move || {
                let serve = || {
                    while !stop.load(Ordering::Relaxed) && !cancel.is_cancelled() {
                        let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                        // Nobody listens any more only when the caller's thread is gone.
                        if sender.send(work(job)).is_err() {
                            break;
                        }
                    }
                };
                match pool(own_threads) {
                    Ok(pool) => pool.install(serve),
                    Err(err) => drop(sender.send(Err(err))),
                }
            });
        }
        drop(sender);
        let mut outcome = Ok(());
        for result in results {
            if outcome.is_ok() {
                outcome = result.and_then(&mut *take);
                stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
            }
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_results_come_to_this_thread() {
        let jobs: Vec<usize> = (0..100).collect();
        let here = std::thread::current().id();
        for threads in [1, 3, 200] {
            let mut seen = Vec::new();
            let mut take = |n: usize| {
                assert_eq!(std::thread::current().id(), here);
                seen.push(n);
                Ok(())
            };
            run(&jobs, threads, &Cancel::default(), |n| Ok(n * 2), &mut take).unwrap();
            seen.sort();
            assert_eq!(seen, jobs.iter().map(|n| n * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn errors_and_cancelling_end_it() {
        let jobs: Vec<usize> = (0..1000).collect();
        let work = |n: &usize| if *n == 5 { Err(Error::input("five")) } else { Ok(*n) };
        let err = run(&jobs, 2, &Cancel::default(), work, &mut |_| Ok(())).unwrap_err();
        assert_eq!(err.message(), "five");
        let mut taken = 0;
        let mut refuse = |_| {
            taken += 1;
            Err(Error::input("full"))
        };
        assert!(run(&jobs, 2, &Cancel::default(), |n| Ok(*n), &mut refuse).is_err());
        assert_eq!(taken, 1);
        let cancel = Cancel::default();
        let mut done = 0;
        let mut count = |_| {
            done += 1;
            cancel.cancel();
            Ok(())
        };
        let slow = |n: &usize| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(*n)
        };
        run(&jobs, 2, &cancel, slow, &mut count).unwrap();
        assert!(done < 1000, "{done}");
    }
}
