//! The driver with engines that answer twice, never, in any order, or refuse; and through the response cache.

use super::testing::{folder, spec};
use super::{Finished, Means, Prepared, RunFolder, execute, prepare};
use crate::catalog::Catalog;
use crate::data::{DataOptions, DataSource};
use crate::engine::cache::{CacheOptions, CachedEngine};
use crate::engine::mock::MockEngine;
use crate::engine::{Cancel, Delivery, Engine, Identity, Inspection, Sink, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::judge::Judges;
use crate::prompt::PromptOptions;
use crate::request::{Prompt, Request, Unscored};
use crate::usage::UsageReport;
use serde_json::json;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

const DOCS: usize = 30;
/// Two choices a document, and the last two documents ask the same.
const REQUESTS: usize = 2 * (DOCS - 1);

/// What an engine does with a request, by its place.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Answer,
    /// And later again, otherwise.
    Twice,
    Never,
    Refuse,
    Fail,
}

/// Does as told, last request first, and notes what it was asked.
struct Odd {
    mock: MockEngine,
    act: fn(usize) -> Act,
    /// Fails as a whole after so many answers.
    breaks: Option<usize>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Engine for Odd {
    fn identity(&self) -> &Identity {
        self.mock.identity()
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        self.mock.render(prompt)
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        self.mock.inspect(request)
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        self.asked.borrow_mut().extend(requests.iter().map(Request::key));
        let mut answers = Vec::new();
        self.mock.answer(requests, cancel, &mut |update| {
            answers.push(update);
            Ok(())
        })?;
        for (count, update) in answers.into_iter().rev().enumerate() {
            let Update::Answered(index, outcome, _) = update else { continue };
            let sent = Delivery { latency_ms: Some(index as u32 + 1), retries: 1, cached: false };
            if self.breaks == Some(count) {
                return Err(Error::new(ErrorKind::Incomplete, "the server went away"));
            }
            match (self.act)(index) {
                Act::Answer => sink(Update::Answered(index, outcome, sent))?,
                Act::Twice => {
                    sink(Update::Answered(index, outcome, sent))?;
                    sink(Update::Answered(index, Err(Unscored::new("said twice")), sent))?;
                    sink(Update::Answered(requests.len() + index, Err(Unscored::new("never asked")), sent))?;
                }
                Act::Never => {}
                Act::Refuse => sink(Update::Answered(index, Err(Unscored::refused("a filter")), sent))?,
                Act::Fail => sink(Update::Answered(index, Err(Unscored::new("timeout")), sent))?,
            }
        }
        Ok(())
    }
}

/// One run folder and what is done in it.
struct Bench {
    out: tempfile::TempDir,
    tasks: tempfile::TempDir,
}

/// What a session gave.
struct Done {
    finished: Result<Finished>,
    /// Keys of the requests that the engine was asked.
    asked: Vec<String>,
    usage: UsageReport,
}

impl Bench {
    fn new() -> Bench {
        let tasks = tempfile::tempdir().unwrap();
        let docs: Vec<String> = (0..DOCS)
            .map(|i| json!({"q": format!("question {}", i.min(DOCS - 2)), "c": ["one", "two"], "a": i % 2}).to_string())
            .collect();
        std::fs::write(tasks.path().join("data.jsonl"), docs.join("\n")).unwrap();
        let yaml = "task: odd\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: data.jsonl\ntest_split: test\n\
                    output_type: multiple_choice\ndoc_to_target: a\ndoc_to_choice: c\ndoc_to_text: '{{q}}'\n\
                    metric_list:\n  - metric: acc\n";
        std::fs::write(tasks.path().join("odd.yaml"), yaml).unwrap();
        Bench { out: tempfile::tempdir().unwrap(), tasks }
    }

    fn prepared(&self) -> Prepared {
        let nodes = Catalog::load(&[self.tasks.path().to_path_buf()]).unwrap().select(&["odd".to_string()]).unwrap();
        let source = DataSource::open(DataOptions { offline: true, ..DataOptions::default() }).unwrap();
        prepare(nodes, &source, &PromptOptions::default(), None, &mut |_| {}).unwrap()
    }

    fn session(&self, act: fn(usize) -> Act) -> Done {
        self.session_with(act, None, None, false)
    }

    fn session_with(
        &self,
        act: fn(usize) -> Act,
        breaks: Option<usize>,
        cache: Option<&Path>,
        retry_refused: bool,
    ) -> Done {
        let asked = Rc::default();
        let odd = Odd { mock: MockEngine::new("mock").unwrap(), act, breaks, asked: Rc::clone(&asked) };
        let engine = match cache {
            Some(file) => {
                let options = CacheOptions { file: Some(file.into()), retry_refused, ..CacheOptions::default() };
                CachedEngine::wrap(Box::new(odd), &options).unwrap()
            }
            None => Box::new(odd),
        };
        let prepared = self.prepared();
        let mut folder = self.folder(engine.as_ref(), &prepared);
        if retry_refused {
            folder.forget_refusals();
        }
        let mut done = 0;
        let (judges, cancel) = (Judges::default(), Cancel::default());
        let means = Means { engine: engine.as_ref(), judges: &judges, cancel: &cancel };
        let finished = execute(prepared, &means, &mut folder, 0, &mut |event| {
            if let super::Event::Answered { done: now, total, .. } = event {
                assert!(now > done && now <= total);
                done = now;
            }
        });
        Done { finished, asked: asked.take(), usage: folder.totals().report(None) }
    }

    fn folder(&self, engine: &dyn Engine, prepared: &Prepared) -> RunFolder {
        folder(self.out.path(), spec(engine, prepared))
    }

    fn answer_lines(&self) -> usize {
        let folder = std::fs::read_dir(self.out.path()).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
        text.lines().filter(|line| line.contains(r#""line":"answer""#)).count()
    }
}

fn samples(done: &Done) -> Vec<crate::sample::Sample> {
    done.finished.as_ref().unwrap().tasks[0].samples.clone()
}

fn missing(done: &Done) -> usize {
    done.finished.as_ref().unwrap().missing
}

#[test]
fn a_second_answer_is_none() {
    let plain = Bench::new().session(|_| Act::Answer);
    let bench = Bench::new();
    let twice = bench.session(|index| if index % 3 == 0 { Act::Twice } else { Act::Answer });
    assert_eq!(samples(&twice), samples(&plain));
    assert_eq!((twice.asked.len(), bench.answer_lines()), (REQUESTS, REQUESTS));
    assert_eq!((twice.usage.answers, twice.usage.failed, twice.usage.retries), (58, 0, 58));
    let latency = twice.usage.latency_ms.unwrap();
    // Nearest rank of 1..=58.
    assert_eq!((latency.p50, latency.p90, latency.p99, latency.max), (29, 53, 58, 58));
    assert_eq!(bench.session(|_| Act::Fail).asked.len(), 0, "nothing is asked twice");
}

#[test]
fn what_is_never_answered_is_missing_and_asked_for_next_time() {
    let plain = Bench::new().session(|_| Act::Answer);
    let bench = Bench::new();
    let first = bench.session(|index| if index % 4 == 1 { Act::Never } else { Act::Answer });
    let want = (0..REQUESTS).filter(|index| index % 4 == 1).count();
    assert_eq!(missing(&first), want);
    assert!(first.finished.as_ref().unwrap().tasks.is_empty());
    let second = bench.session(|_| Act::Answer);
    assert_eq!((second.asked.len(), missing(&second)), (want, 0));
    assert_eq!(samples(&second), samples(&plain));
    assert_eq!((second.usage.answers, second.usage.session.answers), (REQUESTS as u64, want as u64));
}

#[test]
fn an_engine_that_breaks_leaves_what_it_answered() {
    let plain = Bench::new().session(|_| Act::Answer);
    let bench = Bench::new();
    let first = bench.session_with(|_| Act::Answer, Some(20), None, false);
    assert_eq!(first.finished.err().unwrap().kind(), ErrorKind::Incomplete);
    assert_eq!((bench.answer_lines(), first.usage.answers), (20, 20));
    let second = bench.session(|_| Act::Answer);
    assert_eq!(second.asked.len(), REQUESTS - 20);
    assert_eq!(samples(&second), samples(&plain));
}

#[test]
fn refusals_are_final_and_failures_are_not() {
    let plain = Bench::new().session(|_| Act::Answer);
    let bench = Bench::new();
    let first = bench.session(|index| match index {
        3 => Act::Refuse,
        8 | 21 => Act::Fail,
        _ => Act::Answer,
    });
    assert_eq!((missing(&first), first.finished.as_ref().unwrap().unscored), (0, 3));
    let second = bench.session(|_| Act::Answer);
    assert_eq!(second.asked.len(), 2, "the two that failed");
    assert_eq!(second.finished.as_ref().unwrap().unscored, 1);
    assert_eq!((second.usage.refused, second.usage.failed, second.usage.answers), (1, 2, 57));
    let third = bench.session_with(|_| Act::Answer, None, None, true);
    assert_eq!(third.asked.len(), 1, "the one that was refused");
    assert_eq!(samples(&third), samples(&plain));
    assert_eq!(bench.session(|_| Act::Answer).asked.len(), 0);
}

#[test]
fn another_run_takes_its_answers_from_the_cache() {
    let plain = Bench::new().session(|_| Act::Answer);
    let (first, second) = (Bench::new(), Bench::new());
    let file = first.out.path().join("cache/r.sqlite");
    let done = first.session_with(|index| if index == 5 { Act::Refuse } else { Act::Twice }, None, Some(&file), false);
    assert_eq!(done.asked.len(), REQUESTS);
    let done = second.session_with(|_| Act::Answer, None, Some(&file), false);
    assert_eq!((done.asked.len(), done.usage.from_cache, done.usage.refused), (0, 57, 1));
    assert_eq!((done.usage.latency_ms, done.usage.session.tokens), (None, 0));
    // Journal and cache both hold the refusal.
    let done = second.session_with(|_| Act::Answer, None, Some(&file), true);
    assert_eq!(done.asked.len(), 1);
    assert_eq!(samples(&done), samples(&plain));
}
