//! Statistics over gold and predicted labels.

use super::NonEmpty;

/// The gold and the predicted label of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    pub gold: i64,
    pub predicted: i64,
}

/// How the F1 of several labels becomes one figure, as in scikit-learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Average {
    /// F1 of label 1, of two labels.
    #[default]
    Binary,
    /// Mean over the labels, each counting alike.
    Macro,
    /// Of the counts of all labels together: the share of hits, where every document was given a label.
    Micro,
    /// Mean over the labels, each counting with the documents that have it.
    Weighted,
}

/// The names of the averages in task files.
pub const AVERAGES: &[(&str, Average)] = &[
    ("binary", Average::Binary),
    ("macro", Average::Macro),
    ("micro", Average::Micro),
    ("weighted", Average::Weighted),
];

/// What a document without an answer has for a predicted label: it misses the gold label and is none itself.
pub const NO_LABEL: i64 = -1;

/// F1, `2·tp / (predicted + gold)` of a label, 0 for a label that occurs nowhere; van Rijsbergen (1979). Labels are those that occur, as
/// gold or predicted: scikit-learn's `f1_score(gold, predicted, average=...)`.
///
/// Misleads as `Binary` with more than two labels, to all but one of which it is blind: the score wing refuses
/// that. As `Macro` a label with few documents moves it a lot.
pub fn f1(xs: NonEmpty<'_, Labels>, average: Average) -> f64 {
    if average == Average::Binary {
        return F1::of(xs, 1).value();
    }
    let mut labels: Vec<i64> = xs.iter().flat_map(|x| [x.gold, x.predicted]).filter(|x| *x != NO_LABEL).collect();
    labels.sort_unstable();
    labels.dedup();
    let each: Vec<F1> = labels.iter().map(|label| F1::of(xs, *label)).collect();
    let weights: Vec<f64> = match average {
        Average::Weighted => each.iter().map(|f1| f1.gold).collect(),
        _ => vec![1.0; each.len()],
    };
    if average == Average::Micro {
        let sum = |part: fn(&F1) -> f64| each.iter().map(part).sum();
        return F1 { hits: sum(|f| f.hits), gold: sum(|f| f.gold), predicted: sum(|f| f.predicted) }.value();
    }
    let total: f64 = weights.iter().sum();
    let sum: f64 = each.iter().zip(&weights).map(|(f1, weight)| f1.value() * weight).sum();
    if total > 0.0 { sum / total } else { 0.0 }
}

/// The counts of one label.
struct F1 {
    hits: f64,
    gold: f64,
    predicted: f64,
}

impl F1 {
    fn of(xs: NonEmpty<'_, Labels>, label: i64) -> F1 {
        let count = |test: &dyn Fn(&Labels) -> bool| xs.iter().filter(|x| test(x)).count() as f64;
        F1 {
            hits: count(&|x| x.gold == label && x.predicted == label),
            gold: count(&|x| x.gold == label),
            predicted: count(&|x| x.predicted == label),
        }
    }

    fn value(&self) -> f64 {
        let of = self.gold + self.predicted;
        if of > 0.0 { 2.0 * self.hits / of } else { 0.0 }
    }
}

/// Matthews correlation for any number of labels (Gorodkin 2004, R_K); 0 when gold or prediction is constant.
///
/// `(c·n - Σ t_k·p_k) / √((n² - Σ p_k²)(n² - Σ t_k²))` with `c` hits among `n`, `t_k` gold and `p_k` predicted counts of
/// label `k`. Misleads in tiny or one-sided sets, where it jumps between 0 and ±1.
pub fn matthews_corrcoef(xs: NonEmpty<'_, Labels>) -> f64 {
    let n = xs.count();
    let hits = xs.iter().filter(|x| x.gold == x.predicted).count() as f64;
    let gold = counts(xs.iter().map(|x| x.gold));
    let predicted = counts(xs.iter().map(|x| x.predicted));
    let of = |label: i64| predicted.iter().find(|(known, _)| *known == label).map_or(0.0, |(_, count)| *count);
    let both: f64 = gold.iter().map(|(label, count)| count * of(*label)).sum();
    let squares = |counts: &[(i64, f64)]| counts.iter().map(|(_, count)| count * count).sum::<f64>();
    let scale = (n * n - squares(&predicted)) * (n * n - squares(&gold));
    if scale == 0.0 { 0.0 } else { (hits * n - both) / scale.sqrt() }
}

/// How often each label occurs. Labels are few (choices of a question), so a list is searched faster than a map; the
/// counts are whole numbers, so their order cannot change a sum.
fn counts(labels: impl Iterator<Item = i64>) -> Vec<(i64, f64)> {
    let mut counts: Vec<(i64, f64)> = Vec::new();
    for label in labels {
        match counts.iter_mut().find(|(known, _)| *known == label) {
            Some((_, count)) => *count += 1.0,
            None => counts.push((label, 1.0)),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    //! Expected values: scikit-learn's `f1_score` and `matthews_corrcoef` as lm_eval 0.4.13 calls them.
    use super::*;

    fn labels(gold: &[i64], predicted: &[i64]) -> Vec<Labels> {
        gold.iter().zip(predicted).map(|(&gold, &predicted)| Labels { gold, predicted }).collect()
    }

    #[test]
    fn two_labels() {
        let xs = labels(&[0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1], &[0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1]);
        let xs = NonEmpty::new(&xs).unwrap();
        assert_eq!(f1(xs, Average::Binary), 0.7692307692307693);
        assert_eq!(matthews_corrcoef(xs), 0.50709255283711);
    }

    #[test]
    fn many_labels_and_one_out_of_range() {
        let xs = labels(&[0, 1, 2, 2, 1, 0, -100, 3, 1, 2], &[0, 2, 2, 2, 1, 1, 0, 3, 1, 0]);
        assert_eq!(matthews_corrcoef(NonEmpty::new(&xs).unwrap()), 0.47314581163139074);
    }

    #[test]
    fn degenerate_sets_give_zero() {
        let constant = labels(&[0, 0], &[1, 1]);
        assert_eq!(matthews_corrcoef(NonEmpty::new(&constant).unwrap()), 0.0);
        let no_ones = labels(&[0, 0], &[0, 0]);
        assert_eq!(f1(NonEmpty::new(&no_ones).unwrap(), Average::Binary), 0.0);
    }
}
