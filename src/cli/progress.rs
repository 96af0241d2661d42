//! Progress on stderr: what lies ahead, and on a terminal a bar with rate and time left.

use super::talk::{self, Bar};
use crate::engine::Workload;
use crate::engine::remote::transport::Waiting;
use crate::remark::{Remark, Weight};
use crate::runner::Event;
use std::time::{Duration, Instant};

/// How much to say on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors and warnings.
    Quiet,
    /// What is being done, and progress.
    Normal,
    /// Every task as it is prepared.
    Verbose,
}

/// Time over which the rate is measured before a total time is named, and the least time that is worth naming.
const MEASURED: Duration = Duration::from_secs(2);

/// The line while requests are answered.
const REQUESTS: &str = "{prefix} {bar:24} {human_pos}/{human_len} requests, {eta} left";

/// A log hears that it is waited when it has lasted so long, and again whenever it has lasted twice as long.
const FIRST_SAID: Duration = Duration::from_secs(10);

/// Shows a run's events.
pub struct Progress {
    verbosity: Verbosity,
    bar: Bar,
    label: String,
    started: Instant,
    requests: (usize, usize),
    tokens: Tokens,
    /// When waiting is said the next time, while it lasts.
    said_again: Option<Duration>,
}

/// How the computing of tokens goes.
#[derive(Default)]
struct Tokens {
    /// Whether the engine counts them; the bar shows requests otherwise.
    counted: bool,
    /// The first report: the rate is measured from there, because the first pass also pays for what happens once.
    first: Option<(Instant, usize)>,
    expected: bool,
}

impl Progress {
    /// What stands before the bar.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// `label` stands before the bar: the model's name.
    pub fn new(label: &str, verbosity: Verbosity) -> Progress {
        let label = label.to_string();
        let (bar, started) = (Bar::hidden(), Instant::now());
        Progress { verbosity, bar, label, started, requests: (0, 0), tokens: Tokens::default(), said_again: None }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::TaskPrepared { task, docs, requests } => {
                if self.verbosity == Verbosity::Verbose {
                    talk::say(format_args!("{task}: {docs} documents, {requests} requests"));
                }
            }
            Event::Damaged { lines } => {
                talk::warning(format_args!("{lines} damaged journal lines are ignored and asked again"));
            }
            Event::Started { total, answered } => self.start(*total, *answered),
            Event::Planned(workload) => self.plan(workload),
            Event::Computed { computed, of } => self.computed(*computed, *of),
            Event::Answered { done, total, .. } => {
                self.requests = (*done, *total);
                self.go_on();
                if !self.tokens.counted {
                    self.bar.position(*done as u64);
                }
            }
            Event::Remark(remark) => self.remark(remark),
            Event::Waiting(waiting) => self.waiting(waiting),
            Event::Judging { judge, done: 0, total } => self.judging(judge, *total),
            Event::Judging { done, .. } => self.bar.position(*done as u64),
            Event::Ended { .. } | Event::Judged { .. } => self.bar.clear(),
            // What else there is to say is said above the bar, or has none.
            Event::Ready { .. }
            | Event::Note(_)
            | Event::Remarks(_)
            | Event::Opened { .. }
            | Event::Used(_)
            | Event::Compared { .. }
            | Event::Written { .. } => {}
        }
    }

    fn start(&mut self, total: usize, answered: usize) {
        self.started = Instant::now();
        self.requests = (answered, total);
        if self.verbosity == Verbosity::Quiet || !talk::has_bars() {
            return;
        }
        self.bar = Bar::start(Some(total as u64), 8, REQUESTS, &self.label);
        self.bar.position(answered as u64);
        self.bar.reset_eta();
    }

    fn judging(&mut self, judge: &str, total: usize) {
        self.say(&format!("{judge}: {} answers to judge", grouped(total)));
        if self.verbosity == Verbosity::Quiet || !talk::has_bars() {
            return;
        }
        let template = "{prefix} {bar:24} {human_pos}/{human_len} judged, {eta} left";
        self.bar = Bar::start(Some(total as u64), 8, template, &format!("{} {judge}", self.label));
    }

    /// From here on the bar counts tokens.
    fn plan(&mut self, workload: &Workload) {
        self.say(&describe(workload));
        self.tokens = Tokens { counted: true, ..Tokens::default() };
        self.bar.length((workload.unique_tokens + workload.written_tokens) as u64);
        self.bar.position(0);
        self.bar.reset_eta();
        self.bar.template("{prefix} {bar:24} {human_pos}/{human_len} tokens, {msg}, {eta} left");
    }

    fn computed(&mut self, computed: usize, of: usize) {
        let (done, total) = self.requests;
        let Some((since, before)) = self.tokens.first else {
            self.tokens.first = Some((Instant::now(), computed));
            self.bar.message(&format!("{done}/{total} requests"));
            return;
        };
        let rate = computed.saturating_sub(before) as f64 / since.elapsed().as_secs_f64().max(1e-9);
        self.bar.length(of as u64);
        self.bar.position(computed as u64);
        self.bar.message(&format!("{} tok/s, {done}/{total} requests", compact(rate)));
        if !self.tokens.expected && since.elapsed() > MEASURED && rate > 0.0 {
            self.tokens.expected = true;
            let left = Duration::from_secs_f64(of.saturating_sub(computed) as f64 / rate);
            if left > MEASURED {
                self.say(&format!("about {} at {} tokens/s", time(self.started.elapsed() + left), compact(rate)));
            }
        }
    }

    /// What is waited for: on the line of a terminal each time, in a log now and then.
    fn waiting(&mut self, waiting: &Waiting) {
        let text = describe_waiting(waiting);
        if !self.bar.is_hidden() {
            let (done, total) = self.requests;
            if self.said_again.is_none() {
                self.bar.template("{prefix} {msg}");
            }
            self.said_again = Some(Duration::ZERO);
            self.bar.message(&format!("{done}/{total} requests, {text}"));
        } else if waiting.since >= self.said_again.unwrap_or(FIRST_SAID) {
            self.said_again = Some(waiting.since * 2);
            self.say(&text);
        }
    }

    /// Something was answered.
    fn go_on(&mut self) {
        if self.said_again.take().is_some() && !self.bar.is_hidden() {
            self.bar.template(REQUESTS);
            self.bar.message("");
        }
    }

    /// Warnings are said also where nothing else is.
    fn remark(&self, remark: &Remark) {
        let kind = if remark.weight == Weight::Warning { "warning" } else { "note" };
        self.bar.say(format_args!("{kind}: {}: {}", self.label, remark.text));
    }

    fn say(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.bar.say(format_args!("{}: {text}", self.label));
        }
    }
}

/// `22,410 tokens as requested, 9,742 to compute, 7,238 positions to score, at most 1,280 tokens to write`
fn describe(workload: &Workload) -> String {
    let Workload { requested_tokens, unique_tokens, scored_positions, written_tokens } = *workload;
    let mut text = format!(
        "{} tokens as requested, {} to compute, {} positions to score",
        grouped(requested_tokens),
        grouped(unique_tokens),
        grouped(scored_positions)
    );
    if written_tokens > 0 {
        text.push_str(&format!(", at most {} tokens to write", grouped(written_tokens)));
    }
    text
}

/// `waiting for 40 s (the server is asked again in 20 s): HTTP 429 from ...`
fn describe_waiting(waiting: &Waiting) -> String {
    let again = waiting.left.map(|left| format!(" (asked again in {})", time(left.max(Duration::from_secs(1)))));
    format!("waiting for {}{}: {}", time(waiting.since), again.unwrap_or_default(), waiting.why)
}

/// `1,234,567`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = (0..digits.len().div_ceil(3))
        .rev()
        .filter_map(|group| {
            let end = digits.len() - 3 * group;
            digits.get(end.saturating_sub(3)..end)
        })
        .collect();
    groups.join(",")
}

/// `40 s`, `12 min`, `3.4 h`
fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 100.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// `950`, `12.3k`, `4.5M`
fn compact(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_or_grouped() {
        assert_eq!([950.4, 12_340.0, 4.5e6].map(compact), ["950", "12.3k", "4.5M"]);
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(grouped), ["0", "12", "999", "1,000", "1,234,567"]);
        let times = [4, 99, 700, 10_000].map(|s| time(Duration::from_secs(s)));
        assert_eq!(times, ["4 s", "99 s", "12 min", "2.8 h"]);
    }

    #[test]
    fn waiting_says_for_how_long_and_why() {
        let mut waiting =
            Waiting { why: "HTTP 429".into(), since: Duration::from_secs(40), left: Some(Duration::from_secs(20)) };
        assert_eq!(describe_waiting(&waiting), "waiting for 40 s (asked again in 20 s): HTTP 429");
        waiting.left = None;
        assert_eq!(describe_waiting(&waiting), "waiting for 40 s: HTTP 429");
    }

    #[test]
    fn a_plan_names_what_lies_ahead() {
        let workload =
            Workload { requested_tokens: 22_410, unique_tokens: 9_742, scored_positions: 7_238, written_tokens: 0 };
        assert_eq!(describe(&workload), "22,410 tokens as requested, 9,742 to compute, 7,238 positions to score");
        let written = describe(&Workload { written_tokens: 1_280, ..workload });
        assert!(written.ends_with(", at most 1,280 tokens to write"), "{written}");
    }
}
