//! Schedules over a toy model: every token once, the same bits however the work is cut, memory within its bounds.

use super::decode::{Continuation, Generation, Texts};
use super::sampling::Picker;
use super::schedule::{Schedule, Settings, Step};
use super::score::SpanScore;
use super::toy::{self, BEGINNING, BYTES, Toy};
use super::tree::{Tree, TreeBuilder};
use super::{LanguageModel, pool};
use crate::engine::Cancel;
use crate::error::{Error, Result};
use crate::request::{Decoding, Prompt, Request, RequestKind, Response};
use std::sync::atomic::Ordering;

/// Random numbers of a seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 = toy::mix(self.0);
        (self.0 % below as u64) as usize
    }
}

/// What a test asks.
#[derive(Debug, Clone)]
pub enum Job {
    Score { ids: Vec<u32>, targets: usize },
    Write { ids: Vec<u32>, most: usize, draws: bool, sample: u32 },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Score(SpanScore),
    Text(Response),
}

/// Jobs with shared beginnings.
pub fn jobs(dice: &mut Dice, count: usize, longest: usize) -> Vec<Job> {
    let mut seen: Vec<Vec<u32>> = Vec::new();
    let mut jobs = Vec::new();
    for _ in 0..count {
        let mut ids: Vec<u32> = Vec::new();
        if !seen.is_empty() && dice.roll(4) > 0 {
            let before = &seen[dice.roll(seen.len())];
            ids.extend(&before[..dice.roll(before.len() + 1)]);
        }
        let more = 2 + dice.roll(longest);
        ids.extend((0..more).map(|_| dice.roll(toy::VOCABULARY as usize) as u32));
        seen.push(ids.clone());
        let targets = 1 + dice.roll(ids.len() - 1);
        if dice.roll(3) > 0 {
            jobs.push(Job::Score { ids, targets });
            continue;
        }
        let (most, draws) = (1 + dice.roll(9), dice.roll(2) == 0);
        for sample in 0..1 + dice.roll(3) as u32 {
            jobs.push(Job::Write { ids: ids.clone(), most, draws, sample });
        }
    }
    jobs
}

fn decode(ids: &[u32], _: bool) -> Result<String> {
    Ok(ids.iter().map(|id| char::from(b'a' + *id as u8)).collect())
}

pub const TEXTS: Texts<'static> = Texts { decode: &decode, eos: &[] };

fn continuation(ids: &[u32], most: usize, draws: bool, sample: u32) -> Continuation {
    let stops = vec!["ca".to_string(), "gg".to_string()];
    let generation = Generation {
        request: 0,
        prompt_tokens: ids.len(),
        truncated_tokens: 0,
        max_new_tokens: most,
        stops,
        thinking: Default::default(),
    };
    let decoding = Decoding {
        until: vec![],
        max_gen_toks: Some(most),
        do_sample: draws,
        temperature: 1.0,
        top_p: Some(0.9),
        top_k: Some(5),
        min_p: None,
        written: Default::default(),
    };
    let kind = RequestKind::Generate { context: Prompt::Text(format!("{ids:?}")), decoding };
    Continuation::new(generation, Picker::new(&Request { kind, sample, seed: 1 }))
}

/// The answer to one job, computed from its beginning to its end without a tree.
fn directly(toy: &Toy, job: &Job) -> Outcome {
    let states = |ids: &[u32]| -> Vec<u64> {
        let len = toy.length_class(ids.len());
        ids.iter()
            .scan(BEGINNING, |state, token| {
                *state = toy::after(*state, *token, len);
                Some(*state)
            })
            .collect()
    };
    match job {
        Job::Score { ids, targets } => {
            let states = states(&ids[..ids.len() - 1]);
            let mut score = SpanScore { logprob: 0.0, is_greedy: true };
            for (state, target) in states.iter().zip(&ids[1..]).skip(states.len() - targets) {
                score.logprob += toy::log_prob(*state, *target);
                score.is_greedy &= toy::argmax(*state) == *target;
            }
            Outcome::Score(score)
        }
        Job::Write { ids, most, draws, sample } => {
            let mut continuation = continuation(ids, *most, *draws, *sample);
            let mut state = *states(ids).last().unwrap();
            loop {
                let next = continuation.picker.pick(toy::argmax(state), &toy::logits(state)).unwrap();
                if let Some(response) = continuation.push(next, &TEXTS).unwrap() {
                    return Outcome::Text(response.unwrap());
                }
                let len = toy.length_class(ids.len() + continuation.picked());
                state = toy::after(state, next, len);
            }
        }
    }
}

fn plan<M: LanguageModel>(model: &M, jobs: &[Job]) -> (Tree, Vec<Continuation>, Vec<usize>) {
    let (mut builder, mut continuations, mut writers) = (TreeBuilder::default(), Vec::new(), Vec::new());
    for (index, job) in jobs.iter().enumerate() {
        match job {
            Job::Score { ids, targets } => {
                let (last, input) = ids.split_last().unwrap();
                let class = model.length_class(input.len()) as u32;
                builder.add_scored(index as u32, class, input.iter().copied(), *targets, *last);
            }
            Job::Write { ids, most, draws, sample } => {
                let class = model.length_class(ids.len()) as u32;
                builder.add_prompt(continuations.len() as u32, class, ids.iter().copied());
                continuations.push(continuation(ids, *most, *draws, *sample));
                writers.push(index);
            }
        }
    }
    (builder.build(), continuations, writers)
}

/// All answers, through the tree; each must come once.
pub fn answers<M: LanguageModel>(model: &M, jobs: &[Job], settings: Settings, threads: usize) -> Vec<Outcome> {
    answers_with(TEXTS, model, jobs, settings, threads)
}

/// The same, with texts as given.
pub fn answers_with<M: LanguageModel>(
    texts: Texts<'_>,
    model: &M,
    jobs: &[Job],
    settings: Settings,
    threads: usize,
) -> Vec<Outcome> {
    let (tree, continuations, writers) = plan(model, jobs);
    let mut outcomes: Vec<Option<Outcome>> = vec![None; jobs.len()];
    let mut last = (0, 0);
    let mut take = |step| {
        let (index, outcome) = match step {
            Step::Scored(ask, score) => (ask as usize, Outcome::Score(score)),
            Step::Written(ask, text) => (writers[ask as usize], Outcome::Text(text.unwrap())),
            Step::Computed { computed, of } => {
                assert!(computed >= last.0 && computed <= of, "{computed} of {of} after {last:?}");
                last = (computed, of);
                return Ok(());
            }
        };
        assert!(outcomes[index].replace(outcome).is_none(), "job {index} is answered twice");
        Ok(())
    };
    let schedule = Schedule::new(model, &tree, continuations, texts, settings);
    schedule.run(&pool(threads).unwrap(), &Cancel::default(), &mut take).unwrap();
    assert_eq!(last.0, last.1, "all that was to be computed was");
    outcomes.into_iter().map(|outcome| outcome.expect("every job is answered")).collect()
}

pub const AMPLE: Settings = Settings { pass_tokens: 64, texts: 4, text_tokens: 2, kv_memory: 1 << 30 };

#[test]
fn every_token_is_computed_once_and_every_answer_is_the_direct_one() {
    for seed in 0..60 {
        let toy = Toy { longest: (seed % 3 == 0).then_some(12), ..Toy::default() };
        let jobs = jobs(&mut Dice(seed), 1 + seed as usize, 20);
        let expected: Vec<Outcome> = jobs.iter().map(|job| directly(&toy, job)).collect();
        assert_eq!(answers(&toy, &jobs, AMPLE, 1), expected, "seed {seed}");
        assert_eq!(toy.counts.computed.load(Ordering::SeqCst), least_tokens(&toy, &jobs, &expected), "seed {seed}");
    }
}

/// Tokens that have to be computed: the tree's, and what was written but for the last token of each text.
fn least_tokens(toy: &Toy, jobs: &[Job], outcomes: &[Outcome]) -> usize {
    let written = outcomes.iter().map(|outcome| match outcome {
        Outcome::Text(response) => response.usage.completion_tokens - 1,
        Outcome::Score(_) => 0,
    });
    plan(toy, jobs).0.num_tokens() + written.sum::<usize>()
}

#[test]
fn answers_are_the_same_bits_however_the_work_is_cut() {
    (1000..1150).for_each(any_cut);
}

/// Jobs and settings of a seed, in two halves: the direct answers within the memory's bounds.
fn any_cut(seed: u64) {
    let dice = &mut Dice(seed);
    let toy = Toy { longest: (dice.roll(3) == 0).then_some(12), ..Toy::default() };
    let longest = 1 + dice.roll(60);
    let count = 1 + dice.roll(80);
    let mut jobs = jobs(dice, count, longest);
    for at in (1..jobs.len()).rev() {
        jobs.swap(at, dice.roll(at + 1));
    }
    let expected: Vec<Outcome> = jobs.iter().map(|job| directly(&toy, job)).collect();
    let memory = [0, 1, 10, 40, 100, 1000, 1 << 20][dice.roll(7)];
    let settings = Settings {
        pass_tokens: 1 + dice.roll(100),
        texts: 1 + dice.roll(6),
        text_tokens: 1 + dice.roll(4),
        kv_memory: memory * BYTES,
    };
    let split = dice.roll(jobs.len() + 1);
    let threads = 1 + dice.roll(3);
    let mut found = answers(&toy, &jobs[..split], settings, threads);
    found.extend(answers(&toy, &jobs[split..], settings, threads));
    assert_eq!(found, expected, "seed {seed}: {settings:?}");
    // One way and one continuation (whose room doubles) are needed in any case.
    let need = jobs.iter().map(|job| match job {
        Job::Score { ids, .. } => ids.len() - 1,
        Job::Write { ids, most, .. } => ids.len() + 2 * most,
    });
    let most_live = toy.counts.most_live.load(Ordering::SeqCst);
    assert!(most_live <= settings.kv_memory + need.max().unwrap() * BYTES, "seed {seed}: {settings:?}: {most_live}");
}

#[test]
fn what_is_given_up_for_want_of_memory_is_computed_again() {
    let check = |longest: Option<usize>, jobs: &[Job], settings: Settings| {
        let toy = Toy { longest, ..Toy::default() };
        let expected: Vec<Outcome> = jobs.iter().map(|job| directly(&toy, job)).collect();
        assert_eq!(answers(&toy, jobs, settings, 1), expected);
        let computed = toy.counts.computed.load(Ordering::SeqCst);
        let least = least_tokens(&toy, jobs, &expected);
        assert!(computed > least, "nothing was given up: {computed} of {least} {settings:?} {longest:?}");
    };
    // Two ways are begun together, and the first one's end leaves no room for the second.
    let ways = (0..4).map(|i| [vec![i / 2; 10], vec![2 + i % 2; 60]].concat());
    let ways: Vec<Job> = ways.map(|ids| Job::Score { ids, targets: 3 }).collect();
    // Texts outgrow the memory that was enough for all to begin.
    let texts: Vec<Job> =
        (0..20).map(|i| Job::Write { ids: vec![3, i % 7, 3], most: 30, draws: true, sample: i }).collect();
    for longest in [None, Some(5)] {
        check(longest, &texts, Settings { texts: 20, pass_tokens: 8, kv_memory: 90 * BYTES, ..AMPLE });
    }
    check(None, &ways, Settings { kv_memory: 70 * BYTES, ..AMPLE });
}

#[test]
fn questions_with_many_answers_read_one_row() {
    let question = |i: u32| vec![1, 2, 3, 4, i % 7, i / 7, 5];
    let jobs: Vec<Job> = (0..40)
        .flat_map(|i| (0..4).map(move |answer| (i, answer)))
        .map(|(i, answer)| Job::Score { ids: [question(i), vec![answer]].concat(), targets: 1 })
        .collect();
    let toy = Toy::default();
    answers(&toy, &jobs, AMPLE, 1);
    assert_eq!(toy.counts.rows.load(Ordering::SeqCst), 40);
    // The common part, the first and second own tokens and the last: two passes would do for 130 tokens, the way down takes three.
    assert!(toy.counts.passes.load(Ordering::SeqCst) <= 6);
}

#[test]
fn texts_go_on_together() {
    let jobs: Vec<Job> =
        (0..24).map(|i| Job::Write { ids: vec![i % 6, i / 6, 3], most: 40, draws: true, sample: i }).collect();
    let toy = Toy::default();
    let expected: Vec<Outcome> = jobs.iter().map(|job| directly(&toy, job)).collect();
    let settings = Settings { texts: 8, ..AMPLE };
    assert_eq!(answers(&toy, &jobs, settings, 2), expected);
    let tokens = toy.counts.computed.load(Ordering::SeqCst);
    let passes = toy.counts.passes.load(Ordering::SeqCst);
    assert!(passes < tokens / 3, "{tokens} tokens in {passes} passes");
}

#[test]
fn cancelling_and_errors_end_it_between_passes() {
    let toy = Toy::default();
    let jobs = jobs(&mut Dice(5), 300, 30);
    let (tree, continuations, _) = plan(&toy, &jobs);
    let cancel = Cancel::default();
    let mut answered = 0;
    let mut take = |step| {
        if !matches!(step, Step::Computed { .. }) {
            answered += 1;
            cancel.cancel();
        }
        Ok(())
    };
    let pool = pool(1).unwrap();
    let schedule = Schedule::new(&toy, &tree, continuations, TEXTS, AMPLE);
    schedule.run(&pool, &cancel, &mut take).unwrap();
    assert!((1..jobs.len() / 2).contains(&answered), "{answered} of {}", jobs.len());
    let (tree, continuations, _) = plan(&toy, &jobs);
    let schedule = Schedule::new(&toy, &tree, continuations, TEXTS, AMPLE);
    let mut told = 0;
    let mut full = |_| {
        told += 1;
        Err(Error::input("the disk is full"))
    };
    let err = schedule.run(&pool, &Cancel::default(), &mut full).unwrap_err();
    assert_eq!((err.message(), told), ("the disk is full", 1));
    assert_eq!(toy.counts.most_live.load(Ordering::SeqCst) % BYTES, 0);
}

#[test]
#[ignore = "many more seeds"]
fn answers_are_the_same_bits_for_many_seeds() {
    (2000..30_000).for_each(any_cut);
}

#[test]
#[ignore = "a measurement: 100,000 sequences of 1,000 tokens"]
fn time_of_planning() {
    let dice = &mut Dice(1);
    let shots: Vec<Vec<u32>> = (0..57).map(|_| (0..700).map(|_| dice.roll(30_000) as u32).collect()).collect();
    let mut builder = TreeBuilder::default();
    for ask in 0..25_000 {
        let question: Vec<u32> = (0..290).map(|_| dice.roll(30_000) as u32).collect();
        for answer in 0..4u32 {
            let ending = (0..10).map(|i| answer * 10 + i);
            let input = shots[ask % 57].iter().copied().chain(question.iter().copied()).chain(ending);
            builder.add_scored(ask as u32 * 4 + answer, 0, input, 10, 7);
        }
    }
    let requested = builder.num_tokens();
    let started = std::time::Instant::now();
    let tree = pool(0).unwrap().install(|| builder.build());
    let planned = started.elapsed();
    println!("{requested} tokens, {} unique, {} nodes: {planned:?}", tree.num_tokens(), tree.nodes().len());
    let toy = Toy::default();
    let settings = Settings { pass_tokens: 1024, kv_memory: 40_000 * BYTES, ..AMPLE };
    let started = std::time::Instant::now();
    Schedule::new(&toy, &tree, Vec::new(), TEXTS, settings)
        .run(&pool(1).unwrap(), &Cancel::default(), &mut |_| Ok(()))
        .unwrap();
    let (passes, computed) = (toy.counts.passes.load(Ordering::SeqCst), toy.counts.computed.load(Ordering::SeqCst));
    println!("{passes} passes, {computed} tokens: {:?}, the toy's own work included", started.elapsed());
}
