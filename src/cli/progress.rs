//! Progress on stderr: a bar with rate and time left on a terminal, nothing elsewhere.

use crate::runner::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Instant;

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

/// Shows a run's events.
pub struct Progress {
    verbosity: Verbosity,
    bar: ProgressBar,
    label: String,
    tokens: usize,
    started: Instant,
}

impl Progress {
    /// `label` stands before the bar: the model's name.
    pub fn new(label: &str, verbosity: Verbosity) -> Progress {
        let bar = ProgressBar::hidden();
        Progress { verbosity, bar, label: label.to_string(), tokens: 0, started: Instant::now() }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::TaskPrepared { task, docs, requests } => {
                if self.verbosity == Verbosity::Verbose {
                    eprintln!("{task}: {docs} documents, {requests} requests");
                }
            }
            Event::Started { total, answered } => self.start(*total, *answered),
            Event::Answered { done, prompt_tokens, completion_tokens, .. } => {
                self.tokens += prompt_tokens + completion_tokens;
                self.bar.set_position(*done as u64);
                let seconds = self.started.elapsed().as_secs_f64();
                if seconds > 0.0 {
                    self.bar.set_message(format!("{} tok/s", compact(self.tokens as f64 / seconds)));
                }
            }
            Event::Ended { .. } => self.bar.finish_and_clear(),
        }
    }

    fn start(&mut self, total: usize, answered: usize) {
        self.started = Instant::now();
        if self.verbosity == Verbosity::Quiet || !std::io::stderr().is_terminal() {
            return;
        }
        self.bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr_with_hz(8));
        let template = "{prefix} {bar:24} {pos}/{len} requests, {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━╸ "));
        }
        self.bar.set_prefix(self.label.clone());
        self.bar.set_position(answered as u64);
        self.bar.reset_eta();
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
    #[test]
    fn rates_are_short() {
        assert_eq!([950.4, 12_340.0, 4.5e6].map(super::compact), ["950", "12.3k", "4.5M"]);
    }
}
