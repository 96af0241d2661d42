//! Two sets of right and wrong answers to the same documents: who became right, who became wrong.

use super::given::Unfit;

/// What changed between two runs over `n` documents, two at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flips {
    to_right: usize,
    to_wrong: usize,
    n: usize,
}

impl Flips {
    /// # Errors
    /// With fewer than two documents, or more changes than documents.
    pub fn new(to_right: usize, to_wrong: usize, n: usize) -> Result<Flips, Unfit> {
        if n < 2 {
            return Err(Unfit::TooFew { what: "documents", n, least: 2 });
        }
        match to_right.checked_add(to_wrong) {
            Some(changes) if changes <= n => Ok(Flips { to_right, to_wrong, n }),
            changes => Err(Unfit::Count { count: changes.unwrap_or(usize::MAX), n }),
        }
    }

    /// Of paired answers, in the same order of documents.
    ///
    /// # Errors
    /// When the lists differ in length, or have fewer than two answers.
    pub fn of(base: &[bool], candidate: &[bool]) -> Result<Flips, Unfit> {
        if base.len() != candidate.len() {
            return Err(Unfit::Lengths { values: base.len(), others: candidate.len() });
        }
        let count =
            |to: bool| base.iter().zip(candidate).filter(|(base, candidate)| **candidate == to && **base != to).count();
        Flips::new(count(true), count(false), base.len())
    }

    /// How many documents both runs got wrong with another answer: changes that no score shows.
    ///
    /// # Errors
    /// When the lists differ in length.
    pub fn other_wrong(base: &[bool], candidate: &[bool], same_answer: &[bool]) -> Result<usize, Unfit> {
        if base.len() != candidate.len() || base.len() != same_answer.len() {
            return Err(Unfit::Lengths { values: base.len(), others: candidate.len().min(same_answer.len()) });
        }
        let wrong = base.iter().zip(candidate).map(|(base, candidate)| !base && !candidate);
        Ok(wrong.zip(same_answer).filter(|(wrong, same)| *wrong && !**same).count())
    }

    /// Wrong in the base, right in the candidate: `b`.
    pub fn to_right(self) -> usize {
        self.to_right
    }

    /// Right in the base, wrong in the candidate: `c`.
    pub fn to_wrong(self) -> usize {
        self.to_wrong
    }

    pub fn n(self) -> usize {
        self.n
    }

    /// `(b - c) / n`, what the candidate gained.
    pub fn difference(self) -> f64 {
        (self.to_right as f64 - self.to_wrong as f64) / self.n as f64
    }

    /// `(b + c) / n`, the share of documents whose verdict changed.
    pub fn rate(self) -> f64 {
        (self.to_right + self.to_wrong) as f64 / self.n as f64
    }

    /// The same with base and candidate exchanged.
    pub fn mirrored(self) -> Flips {
        Flips { to_right: self.to_wrong, to_wrong: self.to_right, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_way() {
        let flips = Flips::of(&[true, true, false, false, true], &[true, false, true, false, false]).unwrap();
        assert_eq!(flips, Flips::new(1, 2, 5).unwrap());
        assert_eq!((flips.difference(), flips.rate()), (-0.2, 0.6));
        assert_eq!(flips.mirrored(), Flips::new(2, 1, 5).unwrap());
        assert_eq!(Flips::of(&[true, false], &[true]), Err(Unfit::Lengths { values: 2, others: 1 }));
        assert!(Flips::new(0, 0, 1).is_err());
        assert!(Flips::new(2, 1, 2).is_err());
        assert!(Flips::new(usize::MAX, 1, 2).is_err());
    }
}
