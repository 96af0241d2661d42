//! Coverage by simulation, from fixed seeds: scores that are no counts, and values in clusters.

use fairmark::python::random::PyRandom;
use fairmark::stats::{
    Clusters, Draws, IntervalEstimate, Level, Observations, Part, Repeats, Unfit, Weighting, bca_mean, bootstrap_t,
    default_interval, group, student, tango_effective, wilson_effective,
};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

use super::table::{Row, Section, Setting};

const LEVEL: Level = Level::P95;
/// Resamples of a bootstrap here: enough for coverage, and a twentieth of the time.
const FEW_DRAWS: Draws = Draws { count: 499, seed: 7 };
const SLOW: usize = 1_000;
const FAST: usize = 10_000;

type Attempt = Result<IntervalEstimate, Unfit>;

pub const SECTIONS: &[fn() -> Section] =
    &[scores, clustered_answers, clustered_scores, clustered_pairs, repeats, groups];

/// Runs `once` so many times, with a generator of its own each time, and counts how often the interval holds `truth`. No interval counts
/// neither way.
fn simulate(runs: usize, seed: u64, truth: f64, once: impl Fn(&mut PyRandom) -> Attempt + Sync) -> Setting {
    let outcomes: Vec<Option<(bool, f64)>> = (0..runs)
        .into_par_iter()
        .map(|run| {
            let mut random = PyRandom::new(seed << 32 | run as u64);
            let interval = once(&mut random).ok()?.interval;
            Some((interval.contains(truth), interval.width()))
        })
        .collect();
    let found: Vec<(bool, f64)> = outcomes.iter().flatten().copied().collect();
    let count = found.len().max(1) as f64;
    Setting {
        covered: found.iter().filter(|(covered, _)| *covered).count() as f64 / count,
        width: found.iter().map(|(_, width)| width).sum::<f64>() / count,
        refused: 1.0 - found.len() as f64 / runs as f64,
    }
}

/// The name of a method, with a mark where it is taken when none is asked for.
fn named(method: &str, is_default: bool) -> String {
    if is_default { format!("{method} (default)") } else { method.to_owned() }
}

fn row(method: &str, size: usize, runs: usize, settings: Vec<Setting>) -> Row {
    let noise = (0.95_f64 * 0.05 / runs as f64).sqrt();
    Row { method: method.into(), size, settings, noise }
}

// ---- numbers at random ----

fn normal(random: &mut PyRandom) -> f64 {
    // Box and Muller (1958).
    let radius = (-2.0 * (1.0 - random.random()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random()).cos()
}

/// Gamma with a shape from 0 on and scale 1: Marsaglia and Tsang (2000).
fn gamma(random: &mut PyRandom, shape: f64) -> f64 {
    if shape < 1.0 {
        return gamma(random, shape + 1.0) * (1.0 - random.random()).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    loop {
        let x = normal(random);
        let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
        if v > 0.0 && (1.0 - random.random()).ln() < x * x / 2.0 + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

fn beta(random: &mut PyRandom, a: f64, b: f64) -> f64 {
    let (x, y) = (gamma(random, a), gamma(random, b));
    x / (x + y)
}

fn chance(random: &mut PyRandom, share: f64) -> f64 {
    f64::from(random.random() < share)
}

// ---- scores that are no counts ----

type Score = (&'static str, f64, fn(&mut PyRandom) -> f64);

const SCORES: &[Score] = &[
    ("an F1 of answers (30 % zeros, 40 % ones, the rest between)", 0.55, |random| match random.random() {
        u if u < 0.3 => 0.0,
        u if u < 0.7 => 1.0,
        _ => random.random(),
    }),
    ("a score that is mostly zero (80 %)", 0.1, |random| if random.random() < 0.8 { 0.0 } else { random.random() }),
    ("the share right of two answers to documents whose chances are Beta(0.6, 0.4)", 0.6, |random| {
        let share = beta(random, 0.6, 0.4);
        (chance(random, share) + chance(random, share)) / 2.0
    }),
    ("a normal one", 0.0, normal),
    ("a log-normal one with σ = ½", 1.1331484530668263, |random| (normal(random) / 2.0).exp()),
];

fn scores() -> Section {
    type OfScores = (&'static str, usize, fn(usize) -> bool, fn(Observations<'_>) -> Attempt);
    let methods: &[OfScores] = &[
        ("t", FAST, |n| n >= 30, |x| student(x, LEVEL)),
        ("bootstrap-t", SLOW, |n| n < 30, |x| bootstrap_t(x, LEVEL, FEW_DRAWS)),
        ("BCa bootstrap", SLOW, |_| false, |x| bca_mean(x, LEVEL, FEW_DRAWS)),
    ];
    let mut rows = Vec::new();
    for n in [10, 20, 50, 100, 500] {
        for (name, runs, is_default, method) in methods.iter().filter(|(name, ..)| n < 500 || *name == "t") {
            let of = |(at, (_, truth, score)): (usize, &Score)| {
                simulate(*runs, 100 + at as u64, *truth, |random| {
                    let values: Vec<f64> = (0..n).map(|_| score(random)).collect();
                    method(Observations::new(&values)?)
                })
            };
            rows.push(row(&named(name, is_default(n)), n, *runs, SCORES.iter().enumerate().map(of).collect()));
        }
    }
    let names: Vec<&str> = SCORES.iter().map(|(name, ..)| *name).collect();
    Section {
        title: "Other scores",
        text: format!(
            "Simulated, {FAST} times (bootstraps {SLOW} times), for {}. At 50 values t is at its limit where most scores are zero; of all \
             but the third setting its mean is 0.939.",
            names.join(", ")
        ),
        size: "values",
        intervals: true,
        rows,
    }
}

// ---- clusters ----

/// Clusters of answers: how often right, how alike within a cluster (1/(a+b+1) of a beta), and how large.
#[derive(Clone, Copy)]
struct Shape {
    share: f64,
    alike: f64,
    equal: bool,
}

const SHAPES: &[Shape] = &[
    Shape { share: 0.3, alike: 0.05, equal: true },
    Shape { share: 0.7, alike: 0.2, equal: true },
    Shape { share: 0.5, alike: 0.2, equal: false },
    Shape { share: 0.7, alike: 0.05, equal: false },
    Shape { share: 0.9, alike: 0.1, equal: false },
];

const SHAPES_TEXT: &str = "right 30, 70, 50, 70 and 90 % of the time, with a correlation within clusters of 0.05, 0.2, 0.2, 0.05 and 0.1, \
                           clusters of 8 in the first two and of 1 to about 30 (8 on average) in the others";

impl Shape {
    fn size(self, random: &mut PyRandom) -> usize {
        if self.equal { 8 } else { 1 + (-(1.0 - random.random()).ln() * 7.0).min(40.0) as usize }
    }

    /// The share of right answers in one cluster.
    fn of_cluster(self, random: &mut PyRandom) -> f64 {
        let sum = 1.0 / self.alike - 1.0;
        beta(random, self.share * sum, (1.0 - self.share) * sum)
    }

    /// Values of `count` clusters, each from `value` with what is common to the cluster.
    fn draw(
        self,
        random: &mut PyRandom,
        count: usize,
        value: impl Fn(&mut PyRandom, f64) -> f64,
    ) -> Result<(Vec<f64>, Clusters), Unfit> {
        let (mut values, mut keys) = (Vec::new(), Vec::new());
        for cluster in 0..count {
            let common = self.of_cluster(random);
            for _ in 0..self.size(random) {
                values.push(value(random, common));
                keys.push(cluster);
            }
        }
        Ok((values, Clusters::new(keys)?))
    }
}

type OfClusters = (&'static str, usize, fn(usize) -> bool, fn(&[f64], &Clusters) -> Attempt);

/// Where errors of clusters are taken for what they are.
const MANY: fn(usize) -> bool = |clusters| clusters >= 30;
const FEW: fn(usize) -> bool = |clusters| clusters < 30;
const NEVER: fn(usize) -> bool = |_| false;

fn of_shapes(
    methods: &[OfClusters],
    sizes: &[usize],
    truth: fn(Shape) -> f64,
    value: fn(&mut PyRandom, f64) -> f64,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for count in sizes {
        for (name, runs, is_default, method) in methods {
            let of = |(at, shape): (usize, &Shape)| {
                simulate(*runs, 200 + at as u64, truth(*shape), |random| {
                    let (values, clusters) = shape.draw(random, *count, value)?;
                    method(&values, &clusters)
                })
            };
            rows.push(row(
                &named(name, is_default(*count)),
                *count,
                *runs,
                SHAPES.iter().enumerate().map(of).collect(),
            ));
        }
    }
    rows
}

fn clustered_answers() -> Section {
    let methods: &[OfClusters] = &[
        ("t without clusters (wrong here)", FAST, NEVER, |x, _| student(Observations::new(x)?, LEVEL)),
        ("clustered t (CR1)", FAST, NEVER, |x, g| student(Observations::new(x)?.clustered(g)?, LEVEL)),
        ("bootstrap-t", SLOW, FEW, |x, g| bootstrap_t(Observations::new(x)?.clustered(g)?, LEVEL, FEW_DRAWS)),
        ("Wilson, effective n", FAST, MANY, |x, g| wilson_effective(Observations::new(x)?, g, LEVEL)),
    ];
    Section {
        title: "Right and wrong answers in clusters",
        text: format!("Simulated, {FAST} times (the bootstrap {SLOW} times), for answers that are {SHAPES_TEXT}."),
        size: "clusters",
        intervals: true,
        rows: of_shapes(methods, &[5, 10, 20, 57, 100], |shape| shape.share, chance),
    }
}

fn clustered_scores() -> Section {
    let methods: &[OfClusters] = &[
        ("clustered t (CR1)", FAST, MANY, |x, g| student(Observations::new(x)?.clustered(g)?, LEVEL)),
        ("bootstrap-t", SLOW, FEW, |x, g| bootstrap_t(Observations::new(x)?.clustered(g)?, LEVEL, FEW_DRAWS)),
        ("BCa bootstrap of clusters", SLOW, NEVER, |x, g| {
            bca_mean(Observations::new(x)?.clustered(g)?, LEVEL, FEW_DRAWS)
        }),
    ];
    Section {
        title: "Other scores in clusters",
        text: "Simulated as above; each score is what is common to its cluster (as above) and normal noise of 0.2 around it.".into(),
        size: "clusters",
        intervals: true,
        rows: of_shapes(methods, &[5, 10, 20, 57, 100], |shape| shape.share, |random, common| common + 0.2 * normal(random)),
    }
}

/// Flips in clusters: a document changes with a chance that is common to its cluster (its mean a fifth of the answers' share), and
/// two of three changes go to wrong.
fn clustered_pairs() -> Section {
    fn value(random: &mut PyRandom, common: f64) -> f64 {
        match random.random() / (common / 5.0) {
            u if u < 1.0 / 3.0 => 1.0,
            u if u < 1.0 => -1.0,
            _ => 0.0,
        }
    }
    let methods: &[OfClusters] = &[
        ("clustered t (CR1)", FAST, MANY, |d, g| student(Observations::new(d)?.clustered(g)?, LEVEL)),
        ("bootstrap-t", SLOW, FEW, |d, g| bootstrap_t(Observations::new(d)?.clustered(g)?, LEVEL, FEW_DRAWS)),
        ("Tango, effective n", FAST, NEVER, |d, g| tango_effective(Observations::new(d)?, g, LEVEL)),
    ];
    Section {
        title: "Paired right and wrong answers in clusters",
        text: "Simulated as above; of a cluster's documents a share flips that is a fifth of what is common to it, two of three to wrong."
            .into(),
        size: "clusters",
        intervals: true,
        rows: of_shapes(methods, &[5, 10, 20, 57, 100], |shape| -shape.share / 15.0, value),
    }
}

// ---- reruns and groups ----

fn repeats() -> Section {
    let mut rows = Vec::new();
    for (documents, answers) in [(50, 2), (50, 5), (200, 2), (1000, 3)] {
        let draw = move |random: &mut PyRandom| {
            let shares: Vec<f64> = (0..documents).map(|_| beta(random, 0.6, 0.4)).collect();
            let of = |share: &f64, random: &mut PyRandom| (0..answers).map(|_| chance(random, *share)).collect();
            let scores: Vec<Vec<f64>> = shares.iter().map(|share| of(share, random)).collect();
            (shares, scores)
        };
        // Moved by the truth of these very documents, so that the truth is 0.
        let again = simulate(FAST / 2, 300, 0.0, |random| {
            let (shares, scores) = draw(random);
            let truth = shares.iter().sum::<f64>() / f64::from(documents);
            Repeats::new(scores.iter().map(|scores| scores.iter().map(|score| score - truth).collect::<Vec<_>>()))?
                .reruns(LEVEL)
        });
        let others = simulate(FAST / 2, 301, 0.6, |random| {
            let repeats = Repeats::new(draw(random).1)?;
            default_interval(Observations::new(repeats.means())?, LEVEL)
        });
        rows.push(row(&format!("reruns (default), {answers} answers each"), documents as usize, FAST / 2, vec![again]));
        rows.push(row(
            &format!("further documents (default), {answers} answers each"),
            documents as usize,
            FAST / 2,
            vec![others],
        ));
    }
    Section {
        title: "Several answers to a document",
        text: format!(
            "Simulated, {} times: documents whose chance of a right answer is Beta(0.6, 0.4). Reruns are held against the same \
             documents' own chances, further documents against 0.6.",
            FAST / 2
        ),
        size: "documents",
        intervals: true,
        rows,
    }
}

fn groups() -> Section {
    let mut rows = Vec::new();
    for (parts, sizes) in [(3, [60, 100, 400]), (20, [50, 80, 150]), (57, [100, 150, 300])] {
        for weighting in [Weighting::Micro, Weighting::Macro] {
            let shares: Vec<f64> = (0..parts).map(|part| 0.25 + 0.7 * f64::from(part) / f64::from(parts)).collect();
            let sizes: Vec<usize> = (0..parts as usize).map(|part| sizes[part % 3]).collect();
            let total: usize = sizes.iter().sum();
            let truth = match weighting {
                Weighting::Micro => {
                    shares.iter().zip(&sizes).map(|(share, n)| share * *n as f64).sum::<f64>() / total as f64
                }
                Weighting::Macro => shares.iter().sum::<f64>() / f64::from(parts),
            };
            let setting = simulate(FAST / 2, 400, truth, |random| {
                let of = |(share, n): (&f64, &usize)| {
                    let answers: Vec<f64> = (0..*n).map(|_| chance(random, *share)).collect();
                    Part::of(Observations::new(&answers)?)
                };
                group(&shares.iter().zip(&sizes).map(of).collect::<Result<Vec<_>, _>>()?, weighting, LEVEL)
            });
            let name = if weighting == Weighting::Micro { "by documents (default)" } else { "parts alike (default)" };
            rows.push(row(&format!("{name}, {parts} parts"), total, FAST / 2, vec![setting]));
        }
    }
    Section {
        title: "Groups",
        text: format!(
            "Simulated, {} times: parts with shares from 25 to 95 % and some 50 to 400 documents, as the parts of a group are.",
            FAST / 2
        ),
        size: "documents",
        intervals: true,
        rows,
    }
}
