//! Several answers to each document: averaged by document first, then taken as one value each.
//!
//! Counting every answer as a value of its own would make the error too small by up to the root of their number. The variance of a
//! document's average is `σ²_between + σ²_within/K`: more reruns lower the second part only, never the first. Miller (2024),
//! arXiv 2411.00640, section 3.

use super::given::{Level, Unfit};
use super::interval::{Interval, IntervalEstimate, Scope};
use super::method::Method;

/// Answers to documents, two documents at least and one answer to each.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeats {
    documents: Vec<Repeated>,
    means: Vec<f64>,
}

/// What the answers to one document say.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Repeated {
    answers: usize,
    /// Variance between the answers; 0 for one.
    variance: f64,
}

/// Where the spread of scores comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Variance between the documents' true averages.
    pub between: f64,
    /// Mean variance between the answers to one document.
    pub within: f64,
}

impl Repeats {
    /// One list of scores a document.
    ///
    /// # Errors
    /// With fewer than two documents, a document without an answer, or a score that is not finite (named by its document).
    pub fn new<D: AsRef<[f64]>>(documents: impl IntoIterator<Item = D>) -> Result<Repeats, Unfit> {
        let (mut repeated, mut means) = (Vec::new(), Vec::new());
        for (at, document) in documents.into_iter().enumerate() {
            let scores = document.as_ref();
            if scores.is_empty() {
                return Err(Unfit::TooFew { what: "answers to a document", n: 0, least: 1 });
            }
            let count = scores.len() as f64;
            let mean = scores.iter().sum::<f64>() / count;
            let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
            if !squares.is_finite() {
                return Err(Unfit::NotFinite { at });
            }
            let variance = if scores.len() < 2 { 0.0 } else { squares / (count - 1.0) };
            repeated.push(Repeated { answers: scores.len(), variance });
            means.push(mean);
        }
        if means.len() < 2 {
            return Err(Unfit::TooFew { what: "documents", n: means.len(), least: 2 });
        }
        Ok(Repeats { documents: repeated, means })
    }

    /// The average of each document: what every claim about further documents is made of.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The mean of the documents' averages.
    pub fn value(&self) -> f64 {
        self.means.iter().sum::<f64>() / self.means.len() as f64
    }

    /// How much of the spread lies between documents and how much within. `None` when a document was answered once only.
    ///
    /// `σ²_between` is the variance of the averages less what the answers themselves add to it, and 0 where that is more.
    pub fn spread(&self) -> Option<Spread> {
        if self.documents.iter().any(|document| document.answers < 2) {
            return None;
        }
        let n = self.means.len() as f64;
        let mean = self.value();
        let of_means = self.means.iter().map(|average| (average - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let within = self.documents.iter().map(|document| document.variance).sum::<f64>() / n;
        Some(Spread { between: (of_means - self.added().sum::<f64>() / n).max(0.0), within })
    }

    /// The variance of each document's average over reruns.
    fn added(&self) -> impl Iterator<Item = f64> + '_ {
        self.documents.iter().map(|document| document.variance / document.answers as f64)
    }

    /// How the mean would vary if the same documents were answered again as often.
    ///
    /// `√(Σ s_i²/K_i)/n` with Student's deviate of `(Σv_i)²/Σ(v_i²/(K_i-1))` degrees of freedom, `v_i = s_i²/K_i` (Satterthwaite 1946).
    /// Speaks of these documents only.
    ///
    /// # Errors
    /// When a document was answered once only, or no answer ever changed (an interval without width is no claim).
    pub fn reruns(&self, level: Level) -> Result<IntervalEstimate, Unfit> {
        if let Some(once) = self.documents.iter().find(|document| document.answers < 2) {
            return Err(Unfit::TooFew { what: "answers to a document", n: once.answers, least: 2 });
        }
        let total: f64 = self.added().sum();
        if total == 0.0 {
            return Err(Unfit::NoSpread);
        }
        let squares: f64 =
            self.documents.iter().zip(self.added()).map(|(document, v)| v * v / (document.answers as f64 - 1.0)).sum();
        let (value, stderr) = (self.value(), total.sqrt() / self.means.len() as f64);
        let half = level.t(total * total / squares) * stderr;
        Ok(IntervalEstimate {
            value,
            stderr: Some(stderr),
            interval: Interval::new(value - half, value + half).ok_or(Unfit::NotFinite { at: 0 })?,
            level,
            method: Method::Reruns,
            scope: Scope::Reruns,
            n: self.documents.iter().map(|document| document.answers).sum(),
            units: self.means.len(),
            cautions: Vec::new(),
        })
    }
}

impl Spread {
    /// The standard error over further documents, were there `documents` of them with `answers` answers each.
    pub fn stderr(self, documents: usize, answers: usize) -> f64 {
        ((self.between + self.within / answers as f64) / documents as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::Observations;
    use super::super::golden::{golden, near, numbers, within};
    use super::super::student::mean_error;
    use super::*;

    /// Two documents: the error over reruns is half of Welch's for the difference of two samples, with his degrees of freedom
    /// (`scipy.stats.ttest_ind(x, -y, equal_var=False)`).
    #[test]
    fn reruns_as_welch() {
        let golden = golden("groups");
        let repeats = Repeats::new([numbers(&golden["x"]), numbers(&golden["y"])]).unwrap();
        let estimate = repeats.reruns(Level::P95).unwrap();
        super::super::golden::ends(estimate.interval, &golden["macro"]);
        assert_eq!((estimate.scope, estimate.n, estimate.units), (Scope::Reruns, 39, 2));
    }

    /// By hand: averages 1, ½, 0, ½ with variances 0, ½, 0, ½ of two answers each.
    #[test]
    fn spread_is_split() {
        let repeats = Repeats::new([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]).unwrap();
        assert_eq!(repeats.means(), [1.0, 0.5, 0.0, 0.5]);
        let spread = repeats.spread().unwrap();
        within(spread.within, 0.25, 1e-15);
        within(spread.between, 1.0 / 6.0 - 0.125, 1e-15);
        // With as many answers as were given it is the error of the averages.
        let error = mean_error(Observations::new(repeats.means()).unwrap()).unwrap();
        near(spread.stderr(4, 2), error.stderr);
        assert!(spread.stderr(4, 8) < error.stderr);
    }

    #[test]
    fn answers_are_no_documents() {
        assert!(Repeats::new([[1.0, 0.0]]).is_err());
        assert!(Repeats::new([vec![1.0], vec![]]).is_err());
        assert_eq!(Repeats::new([[1.0], [f64::NAN]]), Err(Unfit::NotFinite { at: 1 }));
        let once = Repeats::new([[1.0], [0.0]]).unwrap();
        assert_eq!(once.spread(), None);
        assert!(once.reruns(Level::P95).is_err());
        let same = Repeats::new([[1.0, 1.0], [0.0, 0.0]]).unwrap();
        assert_eq!(same.reruns(Level::P95).unwrap_err(), Unfit::NoSpread);
    }
}
