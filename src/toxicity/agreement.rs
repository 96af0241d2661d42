//! How well the scores of a scorer agree with scores that a data set stores (RealToxicityPrompts: those of Perspective).
//!
//! Correlations say whether texts are put in the same order; they are high for a scorer whose scores are all half as large. Mean difference,
//! confusion and calibration say that. Figures on texts that a scorer was fitted to say nothing: see [`super::linear::is_held_out`].

use super::measures::TOXIC;
use serde::{Deserialize, Serialize};

/// Bins of equal width for calibration.
const BINS: usize = 10;

/// Agreement of two series of scores. A figure that the scores do not define (a correlation with a constant) is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Pairs.
    pub n: usize,
    /// Product-moment correlation.
    pub pearson: Option<f64>,
    /// Rank correlation; ties have their mean rank.
    pub spearman: Option<f64>,
    /// Mean of ours less stored.
    pub mean_difference: Option<f64>,
    /// Mean absolute difference.
    pub mae: Option<f64>,
    /// Area under the ROC curve of our scores for stored >= 0.5; ties count half.
    pub auc: Option<f64>,
    /// Both scores against 0.5.
    pub confusion: Confusion,
    /// Cohen's kappa of the two verdicts at 0.5.
    pub kappa: Option<f64>,
    /// Ten bins of our scores, from 0 to 1.
    pub calibration: Vec<CalibrationBin>,
}

/// Texts by both verdicts at 0.5; "positive" is toxic by our score, "true" that the stored one says the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    pub true_positive: usize,
    pub false_positive: usize,
    pub false_negative: usize,
    pub true_negative: usize,
}

/// Texts whose scores of ours lie in `[from, to)`, in the last bin `[from, to]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    pub from: f64,
    pub to: f64,
    pub n: usize,
    /// Means; `None` where there is no text.
    pub mean_ours: Option<f64>,
    pub mean_stored: Option<f64>,
    /// Share of texts with stored >= 0.5.
    pub share_toxic: Option<f64>,
}

/// Compares scores: pairs of ours and stored, both in 0..1. Pairs with a NaN are left out and not counted in `n`.
pub fn agreement(scores: &[(f64, f64)]) -> Agreement {
    let pairs: Vec<(f64, f64)> = scores.iter().copied().filter(|(a, b)| !a.is_nan() && !b.is_nan()).collect();
    let (ours, stored): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let differences: Vec<f64> = pairs.iter().map(|(ours, stored)| ours - stored).collect();
    let confusion = confusion(&pairs);
    let ranks = ranks(&ours);
    Agreement {
        n: pairs.len(),
        pearson: pearson(&ours, &stored),
        spearman: pearson(&ranks, &self::ranks(&stored)),
        mean_difference: mean(differences.iter().copied()),
        mae: mean(differences.iter().map(|difference| difference.abs())),
        auc: auc(&ranks, &stored),
        kappa: confusion.kappa(),
        confusion,
        calibration: calibration(&pairs),
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (mean(a.iter().copied())?, mean(b.iter().copied())?);
    let (mut covariance, mut variance_a, mut variance_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        covariance += a * b;
        variance_a += a * a;
        variance_b += b * b;
    }
    // Of a constant, the sum of squares is rounding noise or nothing.
    let constant = |values: &[f64]| values.iter().all(|value| Some(value) == values.first());
    if constant(a) || constant(b) {
        return None;
    }
    let r = covariance / (variance_a.sqrt() * variance_b.sqrt());
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Ranks from 1; values that are equal share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for ties in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (ties.len() + 1) as f64 / 2.0;
        ties.iter().for_each(|index| ranks[*index] = rank);
        before += ties.len();
    }
    ranks
}

/// From the sum of the ranks of toxic texts (Mann and Whitney).
fn auc(ranks: &[f64], stored: &[f64]) -> Option<f64> {
    let toxic = || ranks.iter().zip(stored).filter(|(_, stored)| **stored >= TOXIC).map(|(rank, _)| rank);
    let (positive, negative) = (toxic().count() as f64, stored.len() as f64 - toxic().count() as f64);
    let wins = toxic().sum::<f64>() - positive * (positive + 1.0) / 2.0;
    (positive > 0.0 && negative > 0.0).then(|| wins / (positive * negative))
}

fn confusion(pairs: &[(f64, f64)]) -> Confusion {
    let mut confusion = Confusion::default();
    for (ours, stored) in pairs {
        let cell = match (*ours >= TOXIC, *stored >= TOXIC) {
            (true, true) => &mut confusion.true_positive,
            (true, false) => &mut confusion.false_positive,
            (false, true) => &mut confusion.false_negative,
            (false, false) => &mut confusion.true_negative,
        };
        *cell += 1;
    }
    confusion
}

impl Confusion {
    /// Agreement beyond what the two rates of toxic verdicts give by chance; `None` where chance alone agrees always.
    fn kappa(&self) -> Option<f64> {
        let [tp, fp, fn_, tn] = [self.true_positive, self.false_positive, self.false_negative, self.true_negative];
        let n = (tp + fp + fn_ + tn) as f64;
        let observed = (tp + tn) as f64 / n;
        let (ours, stored) = ((tp + fp) as f64 / n, (tp + fn_) as f64 / n);
        let chance = ours * stored + (1.0 - ours) * (1.0 - stored);
        (n > 0.0 && chance < 1.0).then(|| (observed - chance) / (1.0 - chance))
    }
}

fn calibration(pairs: &[(f64, f64)]) -> Vec<CalibrationBin> {
    let bin_of = |ours: f64| ((ours * BINS as f64) as usize).min(BINS - 1);
    let bin = |index: usize| {
        let inside: Vec<&(f64, f64)> = pairs.iter().filter(|(ours, _)| bin_of(*ours) == index).collect();
        CalibrationBin {
            from: index as f64 / BINS as f64,
            to: (index + 1) as f64 / BINS as f64,
            n: inside.len(),
            mean_ours: mean(inside.iter().map(|(ours, _)| *ours)),
            mean_stored: mean(inside.iter().map(|(_, stored)| *stored)),
            share_toxic: mean(inside.iter().map(|(_, stored)| f64::from(u8::from(*stored >= TOXIC)))),
        }
    };
    (0..BINS).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [f64; 12] = [0.1, 0.4, 0.35, 0.8, 0.5, 0.62, 0.05, 0.9, 0.4, 1.0, 0.49, 0.71];
    const STORED: [f64; 12] = [0.2, 0.5, 0.3, 0.9, 0.4, 0.7, 0.1, 0.6, 0.55, 0.95, 0.05, 0.5];

    fn near(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    /// scipy 1.17.1 (pearsonr, spearmanr), scikit-learn 1.9.1 (roc_auc_score, cohen_kappa_score, confusion_matrix) and numpy 2.4.6 (the
    /// means of bins, by digitize) on the same two lists.
    #[test]
    fn figures_are_those_of_scipy_and_scikit_learn() {
        let pairs: Vec<(f64, f64)> = OURS.into_iter().zip(STORED).collect();
        let found = agreement(&pairs);
        assert_eq!(found.n, 12);
        near(found.pearson, 0.798306603450307);
        near(found.spearman, 0.7771929824561404);
        near(found.mean_difference, 0.0475);
        near(found.mae, 0.14416666666666667);
        near(found.auc, 0.8857142857142857);
        near(found.kappa, 0.5);
        let expected = Confusion { true_positive: 5, false_positive: 1, false_negative: 2, true_negative: 4 };
        assert_eq!(found.confusion, expected);
        assert_eq!(found.calibration.iter().map(|bin| bin.n).collect::<Vec<_>>(), [1, 1, 0, 1, 3, 1, 1, 1, 1, 2]);
        near(found.calibration[4].mean_ours, 0.43);
        near(found.calibration[4].mean_stored, 0.36666666666666664);
        near(found.calibration[4].share_toxic, 2.0 / 3.0);
        near(found.calibration[9].mean_stored, 0.775);
        assert_eq!(found.calibration[2].mean_ours, None);
    }

    #[test]
    fn undefined_figures_are_none() {
        let none = agreement(&[]);
        assert_eq!((none.n, none.pearson, none.mae, none.auc, none.kappa), (0, None, None, None, None));
        let constant = agreement(&[(0.1, 0.2), (0.1, 0.4), (0.1, 0.3)]);
        assert_eq!((constant.pearson, constant.spearman, constant.auc, constant.kappa), (None, None, None, None));
        near(constant.mean_difference, -0.2);
        assert_eq!(agreement(&[(f64::NAN, 0.1), (0.2, 0.3)]).n, 1);
    }

    #[test]
    fn perfect_agreement_is_one() {
        let pairs: Vec<(f64, f64)> = STORED.iter().map(|score| (*score, *score)).collect();
        let found = agreement(&pairs);
        near(found.pearson, 1.0);
        near(found.spearman, 1.0);
        near(found.auc, 1.0);
        near(found.kappa, 1.0);
        near(found.mae, 0.0);
        let turned = agreement(&pairs.iter().map(|(a, b)| (1.0 - a, *b)).collect::<Vec<_>>());
        near(turned.pearson, -1.0);
        near(turned.auc, 0.0);
    }
}
