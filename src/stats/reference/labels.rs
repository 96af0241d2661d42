//! Statistics over gold and predicted labels.

use super::NonEmpty;

/// The gold and the predicted label of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    pub gold: i64,
    pub predicted: i64,
}

/// F1 of the label 1: `2·tp / (predicted ones + gold ones)`, 0 when label 1 occurs nowhere. van Rijsbergen (1979).
///
/// Misleads with more than two labels: it is blind to all of them but label 1 (the reference refuses such sets), and it
/// ignores true negatives even with two.
pub fn f1(xs: NonEmpty<'_, Labels>) -> f64 {
    let hits = xs.iter().filter(|x| x.gold == 1 && x.predicted == 1).count();
    let ones: usize = xs.iter().map(|x| usize::from(x.gold == 1) + usize::from(x.predicted == 1)).sum();
    if ones == 0 { 0.0 } else { 2.0 * hits as f64 / ones as f64 }
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
        assert_eq!(f1(xs), 0.7692307692307693);
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
        assert_eq!(f1(NonEmpty::new(&no_ones).unwrap()), 0.0);
    }
}
