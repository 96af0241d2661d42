//! Several tests at once: p values adjusted so that each can be held against α as if it stood alone.

use super::given::Unfit;

/// What is kept under α.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// The chance of any false alarm, whatever the tests have to do with each other: `max_{j≤i} min(1, (m-j+1)·p_(j))`, p ascending.
    /// Holm (1979), Scandinavian J. Statistics 6. The default.
    Holm,
    /// The same for tests that are independent or depend on each other positively: `min_{j≥i} (m-j+1)·p_(j)`. Hochberg (1988),
    /// Biometrika 75. Misleads where one test's alarm makes another's less likely.
    Hochberg,
    /// The expected share of false ones among the alarms: `min_{j≥i} m·p_(j)/j`. Benjamini and Hochberg (1995), JRSS B 57. For
    /// screening: of ten alarms at 0.1 one may be false.
    BenjaminiHochberg,
}

impl Correction {
    /// The adjusted p values, in the order they came in.
    ///
    /// # Errors
    /// Names the first that is not in [0, 1].
    pub fn adjust(self, ps: &[f64]) -> Result<Vec<f64>, Unfit> {
        if let Some(p) = ps.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(Unfit::Outside { what: "a p of", value: *p, low: 0.0, high: 1.0 });
        }
        let count = ps.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
        let mut adjusted = vec![0.0; count];
        match self {
            Correction::Holm => {
                let mut most: f64 = 0.0;
                for (rank, at) in order.iter().enumerate() {
                    most = most.max((count - rank) as f64 * ps[*at]).min(1.0);
                    adjusted[*at] = most;
                }
            }
            Correction::Hochberg | Correction::BenjaminiHochberg => {
                let mut least: f64 = 1.0;
                for (rank, at) in order.iter().enumerate().rev() {
                    let factor = match self {
                        Correction::BenjaminiHochberg => count as f64 / (rank + 1) as f64,
                        _ => (count - rank) as f64,
                    };
                    least = least.min(factor * ps[*at]);
                    adjusted[*at] = least;
                }
            }
        }
        Ok(adjusted)
    }
}

#[cfg(test)]
mod tests {
    //! Expected values: `statsmodels.stats.multitest.multipletests` 0.15.0.
    use super::super::golden::{golden, near, numbers, rows};
    use super::*;

    #[test]
    fn as_statsmodels() {
        for row in rows(&golden("multiplicity")) {
            let ps = numbers(&row["p"]);
            let corrections =
                [(Correction::Holm, "holm"), (Correction::Hochberg, "hochberg"), (Correction::BenjaminiHochberg, "bh")];
            for (correction, name) in corrections {
                let adjusted = correction.adjust(&ps).unwrap();
                adjusted.iter().zip(numbers(&row[name])).for_each(|(got, expected)| near(*got, expected));
            }
        }
    }

    #[test]
    fn published_figures() {
        let ps = [0.01, 0.04, 0.03, 0.005, 0.2];
        let published = [
            (Correction::Holm, [0.04, 0.09, 0.09, 0.025, 0.2]),
            (Correction::Hochberg, [0.04, 0.08, 0.08, 0.025, 0.2]),
            (Correction::BenjaminiHochberg, [0.025, 0.05, 0.05, 0.025, 0.2]),
        ];
        for (correction, expected) in published {
            correction.adjust(&ps).unwrap().iter().zip(expected).for_each(|(got, expected)| near(*got, expected));
        }
    }

    #[test]
    fn only_probabilities() {
        assert_eq!(Correction::Holm.adjust(&[]), Ok(Vec::new()));
        assert!(Correction::Holm.adjust(&[0.5, 1.1]).is_err());
        assert!(Correction::Hochberg.adjust(&[f64::NAN]).is_err());
    }
}
