//! Coverage that is counted out: all numbers of right answers, all flips each way, with their probabilities.

use fairmark::stats::{Flips, Interval, Level, Proportion};

use super::table::{Row, Section, Setting};

pub type OfProportion = (&'static str, fn(Proportion) -> Interval);
pub type OfFlips = (&'static str, fn(Flips) -> Interval);

pub const PROPORTIONS: &[OfProportion] = &[
    ("normal (not offered)", |p| normal(p.value(), p.value() * (1.0 - p.value()), p.n())),
    ("Wilson (default)", |p| p.wilson(Level::P95).interval),
    ("Jeffreys", |p| p.jeffreys(Level::P95).interval),
    ("Beta(1,1)", |p| p.beta(Level::P95).interval),
    ("Clopper-Pearson", |p| p.clopper_pearson(Level::P95).interval),
];

pub const PAIRS: &[OfFlips] = &[
    ("normal (not offered)", |f| normal(f.difference(), f.rate() - f.difference().powi(2), f.n())),
    ("Tango (default)", |f| f.tango(Level::P95).interval),
    ("Bonett-Price", |f| f.bonett_price(Level::P95).interval),
];

/// The normal interval, for comparison only.
fn normal(value: f64, variance: f64, n: usize) -> Interval {
    let half = Level::P95.z() * (variance / n as f64).sqrt();
    Interval::new(value - half, value + half).expect("shares are finite")
}

pub const SECTIONS: &[fn() -> Section] = &[middle, outer, pairs, few_flips, false_alarms];

/// Rows of every method for answers at these shares.
fn answers(shares: &[f64]) -> Vec<Row> {
    let of = |n: &usize| PROPORTIONS.iter().map(|method| proportion(*method, *n, shares)).collect::<Vec<_>>();
    [20, 50, 100, 164, 500, 1319].iter().flat_map(of).collect()
}

fn middle() -> Section {
    Section {
        title: "Right and wrong answers",
        text: format!(
            "Counted out, for p = 0.05, 0.06, …, 0.95. Between these the saw has a few deeper teeth: in steps of 0.001 the least that \
             Wilson covers is {:.3} at n = 50, {:.3} at n = 500 and {:.3} at n = 1,319.",
            wilson_closely(50),
            wilson_closely(500),
            wilson_closely(1319)
        ),
        size: "answers",
        intervals: true,
        rows: answers(&middle_shares()),
    }
}

fn outer() -> Section {
    Section {
        title: "Right and wrong answers, nearly all alike",
        text: "Counted out, for p = 0.005, 0.010, …, 0.045 and as far from 1. In sets where a few answers of a kind are expected, \
               no method but Clopper-Pearson keeps 92 % everywhere: for some p the outcome that is missed has a chance of ten percent. \
               A gate that must never be fooled there uses Clopper-Pearson."
            .into(),
        size: "answers",
        intervals: true,
        rows: answers(&outer_shares()),
    }
}

/// Rows of every method for pairs that flip as often as these.
fn of_pairs(flips: &[(f64, f64)]) -> Vec<Row> {
    let of = |n: &usize| PAIRS.iter().map(|method| paired(*method, *n, flips)).collect::<Vec<_>>();
    [50, 100, 500, 1319].iter().flat_map(of).collect()
}

fn pairs() -> Section {
    Section {
        title: "Paired right and wrong answers",
        text: format!("Counted out, for flips to right and to wrong of {}.", said(FLIPS)),
        size: "pairs",
        intervals: true,
        rows: of_pairs(FLIPS),
    }
}

fn few_flips() -> Section {
    Section {
        title: "Paired right and wrong answers, hardly any of which flip",
        text: format!(
            "Counted out, for flips to right and to wrong of {}. Where one or two flips are expected (50 and 100 pairs), what is not fooled \
             holds the truth too often: Tango by up to four points, Bonett-Price by more though it is a little shorter, while the normal \
             interval, which has no width where nothing flips, falls to 78 %. These settings stand apart from those above; of all ten \
             together Tango would cover 97.0 % of 50 pairs on average.",
            said(FEW_FLIPS)
        ),
        size: "pairs",
        intervals: true,
        rows: of_pairs(FEW_FLIPS),
    }
}

/// Chances of a flip to right and of one to wrong.
pub const FLIPS: &[(f64, f64)] = &[(0.03, 0.03), (0.05, 0.05), (0.08, 0.04), (0.10, 0.05), (0.10, 0.10), (0.20, 0.10)];
const FEW_FLIPS: &[(f64, f64)] = &[(0.005, 0.005), (0.01, 0.01), (0.02, 0.02), (0.03, 0.01)];

fn said(flips: &[(f64, f64)]) -> String {
    let one = |(b, c): &(f64, f64)| format!("{}/{} %", (b * 1000.0).round() / 10.0, (c * 1000.0).round() / 10.0);
    flips.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub fn middle_shares() -> Vec<f64> {
    (5..=95).map(|percent| f64::from(percent) / 100.0).collect()
}

/// The least that Wilson's interval covers for p = 0.050, 0.051, …, 0.950.
fn wilson_closely(n: usize) -> f64 {
    let shares: Vec<f64> = (50..=950).map(|thousandth| f64::from(thousandth) / 1000.0).collect();
    proportion(PROPORTIONS[1], n, &shares).least()
}

fn outer_shares() -> Vec<f64> {
    let low = (1..=9).map(|step| f64::from(step) * 0.005);
    low.clone().chain(low.map(|share| 1.0 - share)).collect()
}

/// Logarithms of 0! to n!.
fn log_factorials(n: usize) -> Vec<f64> {
    let mut logs = vec![0.0; n + 1];
    for k in 1..=n {
        logs[k] = logs[k - 1] + (k as f64).ln();
    }
    logs
}

/// How often the interval of `n` answers holds each of `shares`.
pub fn proportion((method, interval): OfProportion, n: usize, shares: &[f64]) -> Row {
    let intervals: Vec<Interval> =
        (0..=n).map(|k| interval(Proportion::new(k, n).expect("no more right than answers"))).collect();
    let logs = log_factorials(n);
    let of_share = |share: &f64| {
        let mut setting = Setting { covered: 0.0, width: 0.0, refused: 0.0 };
        for (k, interval) in intervals.iter().enumerate() {
            let log = logs[n] - logs[k] - logs[n - k] + k as f64 * share.ln() + (n - k) as f64 * (1.0 - share).ln();
            add(&mut setting, log.exp(), *interval, *share);
        }
        setting
    };
    Row { method: method.into(), size: n, settings: shares.iter().map(of_share).collect(), noise: 0.0 }
}

fn add(setting: &mut Setting, mass: f64, interval: Interval, truth: f64) {
    setting.width += mass * interval.width();
    // A truth that is an end is held: what rounding does to it is no matter of the method.
    if interval.low() <= truth + 1e-12 && truth - 1e-12 <= interval.high() {
        setting.covered += mass;
    }
}

/// How often the interval of `n` pairs holds the difference of each of `flips`.
pub fn paired((method, interval): OfFlips, n: usize, flips: &[(f64, f64)]) -> Row {
    let logs = log_factorials(n);
    let mut settings = vec![Setting { covered: 0.0, width: 0.0, refused: 0.0 }; flips.len()];
    for b in 0..=n {
        for c in 0..=n - b {
            let ways = logs[n] - logs[b] - logs[c] - logs[n - b - c];
            let mass = |(to_right, to_wrong): &(f64, f64)| {
                let stay = (1.0 - to_right - to_wrong).ln() * (n - b - c) as f64;
                (ways + b as f64 * to_right.ln() + c as f64 * to_wrong.ln() + stay).exp()
            };
            let masses: Vec<f64> = flips.iter().map(mass).collect();
            // What never happens need not be worked out: together it is less than 10^-8.
            if masses.iter().all(|mass| *mass < 1e-14) {
                continue;
            }
            let interval = interval(Flips::new(b, c, n).expect("no more flips than pairs"));
            for ((setting, mass), (to_right, to_wrong)) in settings.iter_mut().zip(masses).zip(flips) {
                add(setting, mass, interval, to_right - to_wrong);
            }
        }
    }
    Row { method: method.into(), size: n, settings, noise: 0.0 }
}

/// How often McNemar's tests cry wolf: one less the "coverage" of no difference.
fn false_alarms() -> Section {
    let rates = [0.02, 0.04, 0.1, 0.2, 0.4];
    let equal: Vec<(f64, f64)> = rates.iter().map(|rate| (rate / 2.0, rate / 2.0)).collect();
    let tests: [OfFlips; 2] = [
        ("exact", |flips| shown(flips.mcnemar_exact().p)),
        ("mid-p (default)", |flips| shown(flips.mcnemar_mid_p().p)),
    ];
    let rows = [50, 100, 500].iter().flat_map(|n| tests.iter().map(|test| paired(*test, *n, &equal)));
    Section {
        title: "McNemar's tests",
        text: format!(
            "Counted out, for two equal models with flips of {} %: how often p stays above 0.05. It should do so in 95 % of cases; \
             more means that real differences are missed.",
            rates.map(|rate| (rate * 100.0).round().to_string()).join(", ")
        ),
        size: "pairs",
        intervals: false,
        rows: rows.collect(),
    }
}

/// An interval that holds 0 where the test accepts, and lies beside it where it refuses.
fn shown(p: f64) -> Interval {
    let at = if p > 0.05 { 0.0 } else { 1.0 };
    Interval::new(at, at).expect("in order")
}
