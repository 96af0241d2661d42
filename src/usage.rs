//! What a run took: tokens, time, money. Nothing of it decides a number, and nothing of it stands in results or samples.

use crate::engine::{Delivery, Outcome};
use crate::price::Price;
use crate::request::Usage;
use serde::{Deserialize, Serialize};

/// Sums over the answers of a run, of all its sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Answers, those from the response cache included.
    pub answers: u64,
    pub from_cache: u64,
    pub refused: u64,
    /// Requests that had no answer when they were asked; they may have one by now.
    pub failed: u64,
    /// Attempts that failed before an answer came.
    pub retries: u64,
    /// Tokens of all answers.
    pub tokens: Tokens,
    /// Tokens of the answers that did not come from the cache: what was paid for.
    pub paid: Tokens,
    /// Of every answer that was sent for, in milliseconds.
    latencies: Vec<u32>,
    /// Since the journal was opened.
    session: Session,
}

/// What one session of a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Answers, those from the response cache included.
    pub answers: u64,
    /// Tokens of prompts and completions that were not in the response cache.
    pub tokens: u64,
    /// Seconds from the first question to the last answer.
    pub seconds: f64,
    /// Absent where nothing was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    /// Of the prompt's: those that the provider had in its own cache.
    pub cached: u64,
    /// Of the completion's: thoughts.
    pub reasoning: u64,
}

impl Tokens {
    fn add(&mut self, usage: &Usage) {
        self.prompt += usage.prompt_tokens as u64;
        self.completion += usage.completion_tokens as u64;
        self.cached += usage.cached_tokens as u64;
        self.reasoning += usage.reasoning_tokens as u64;
    }

    fn usage(&self) -> Usage {
        let count = |tokens: u64| usize::try_from(tokens).unwrap_or(usize::MAX);
        Usage {
            prompt_tokens: count(self.prompt),
            completion_tokens: count(self.completion),
            truncated_tokens: 0,
            cached_tokens: count(self.cached),
            reasoning_tokens: count(self.reasoning),
        }
    }
}

/// Latencies in milliseconds, by nearest rank: the smallest that at least so many percent do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: u32,
    pub p90: u32,
    pub p99: u32,
    pub max: u32,
}

/// `usage.json` in a run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    pub answers: u64,
    pub from_cache: u64,
    pub refused: u64,
    pub failed: u64,
    pub retries: u64,
    pub tokens: Tokens,
    /// Of answers that were sent for; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latency>,
    /// US dollars by the price table, without what came from the response cache; absent where nobody knows the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Bytes of the weights in memory: packed matrices and the embedding. They depend on the machine. Absent for models that are not in
    /// our memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Of the last session alone.
    #[serde(default)]
    pub session: Session,
}

impl Totals {
    /// What was added so far is of earlier sessions.
    pub fn begin_session(&mut self) {
        self.session = Session::default();
    }

    /// Says how long this session asked, in seconds.
    pub fn end_session(&mut self, seconds: f64) {
        self.session.seconds = seconds;
        let asked = self.session.tokens > 0 && seconds > 0.0;
        self.session.tokens_per_second = asked.then(|| self.session.tokens as f64 / seconds);
    }

    /// Takes an answer.
    pub fn add(&mut self, outcome: &Outcome, delivery: &Delivery) {
        self.retries += u64::from(delivery.retries);
        match outcome {
            Ok(response) => {
                self.answers += 1;
                self.session.answers += 1;
                self.tokens.add(&response.usage);
                if delivery.cached {
                    self.from_cache += 1;
                } else {
                    self.paid.add(&response.usage);
                    self.session.tokens += (response.usage.prompt_tokens + response.usage.completion_tokens) as u64;
                }
            }
            Err(unscored) if unscored.refused => self.refused += 1,
            Err(_) => self.failed += 1,
        }
        self.latencies.extend(delivery.latency_ms);
    }

    /// The figures for people and for `usage.json`.
    pub fn report(&self, price: Option<&Price>) -> UsageReport {
        UsageReport {
            answers: self.answers,
            from_cache: self.from_cache,
            refused: self.refused,
            failed: self.failed,
            retries: self.retries,
            tokens: self.tokens,
            latency_ms: latency(self.latencies.clone()),
            cost_usd: price.map(|price| price.cost(&self.paid.usage())),
            memory_bytes: None,
            session: self.session,
        }
    }
}

fn latency(mut latencies: Vec<u32>) -> Option<Latency> {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100).max(1);
        latencies.get(rank - 1).copied()
    };
    Some(Latency { p50: at(50)?, p90: at(90)?, p99: at(99)?, max: latencies.last().copied()? })
}

impl UsageReport {
    /// One line: `1204 answers (80 from the cache), 31882 + 1204 tokens, 2841 tokens/s, latency 42 ms (p90 80, p99 130, max 502),
    /// 3 retries, 0.0061 US dollars`; speed is of the last session, all else of the whole run.
    pub fn line(&self) -> String {
        let mut parts = vec![match self.from_cache {
            0 => format!("{} answers", self.answers),
            n => format!("{} answers ({n} from the cache)", self.answers),
        }];
        parts.push(format!("{} + {} tokens", self.tokens.prompt, self.tokens.completion));
        if self.tokens.reasoning > 0 {
            parts.push(format!("{} of them thoughts", self.tokens.reasoning));
        }
        if let Some(speed) = self.session.tokens_per_second {
            parts.push(format!("{speed:.0} tokens/s"));
        }
        if let Some(Latency { p50, p90, p99, max }) = &self.latency_ms {
            parts.push(format!("latency {p50} ms (p90 {p90}, p99 {p99}, max {max})"));
        }
        if self.retries > 0 {
            parts.push(format!("{} retries", self.retries));
        }
        if let Some(cost) = self.cost_usd {
            parts.push(format!("{cost:.4} US dollars"));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Answer, Response, Unscored};

    fn answered(prompt: usize, completion: usize) -> Outcome {
        let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, ..Usage::default() };
        Ok(Response::new(Answer::Rolling { logprob: -1.0, num_tokens: 1 }, usage))
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        assert_eq!(latency((1..=100).collect()), Some(Latency { p50: 50, p90: 90, p99: 99, max: 100 }));
        assert_eq!(latency(vec![30, 10, 20]), Some(Latency { p50: 20, p90: 30, p99: 30, max: 30 }));
        assert_eq!(latency(vec![7]), Some(Latency { p50: 7, p90: 7, p99: 7, max: 7 }));
        assert_eq!(latency(Vec::new()), None);
    }

    #[test]
    fn the_cache_costs_nothing() {
        let mut totals = Totals::default();
        let sent = Delivery { latency_ms: Some(40), retries: 2, cached: false };
        totals.add(&answered(900_000, 90_000), &sent);
        totals.begin_session();
        totals.add(&answered(100_000, 10_000), &Delivery { latency_ms: Some(60), ..Delivery::default() });
        totals.add(&answered(5, 1), &Delivery { cached: true, ..Delivery::default() });
        totals.add(&Err(Unscored::refused("no")), &Delivery::default());
        totals.add(&Err(Unscored::new("gone")), &Delivery::default());
        totals.end_session(4.0);
        let report = totals.report(Some(&Price { input: 1.0, cached_input: 0.5, output: 10.0 }));
        assert_eq!((report.answers, report.from_cache, report.refused, report.failed), (3, 1, 1, 1));
        assert_eq!(report.cost_usd, Some(2.0));
        assert_eq!(
            report.line(),
            "3 answers (1 from the cache), 1000005 + 100001 tokens, 27500 tokens/s, latency 40 ms (p90 60, p99 60, max 60), \
             2 retries, 2.0000 US dollars"
        );
        assert_eq!(
            report.session,
            Session { answers: 2, tokens: 110_000, seconds: 4.0, tokens_per_second: Some(27_500.0) }
        );
        assert_eq!(totals.report(None).cost_usd, None);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<UsageReport>(&text).unwrap(), report);
    }

    #[test]
    fn a_session_without_questions_has_no_speed() {
        let mut totals = Totals::default();
        totals.add(&answered(5, 1), &Delivery { cached: true, ..Delivery::default() });
        totals.end_session(2.0);
        let report = totals.report(None);
        assert_eq!((report.session.answers, report.session.tokens, report.session.tokens_per_second), (1, 0, None));
        assert_eq!(report.line(), "1 answers (1 from the cache), 5 + 1 tokens");
    }
}
