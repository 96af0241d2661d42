//! Which documents of two runs are the same: by what they say, never by where they stand.

/// Documents of both, as `(index in the base, index in the candidate)` in the base's order, and how many either has alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairing {
    pub pairs: Vec<(usize, usize)>,
    pub only_base: Vec<usize>,
    pub only_candidate: Vec<usize>,
}

impl Pairing {
    /// Whether both have the same documents.
    pub fn is_whole(&self) -> bool {
        self.only_base.is_empty() && self.only_candidate.is_empty()
    }
}

/// Pairs documents of equal keys; of several with one key the first with the first, the second with the second, and so on.
pub fn pair(base: &[u128], candidate: &[u128]) -> Pairing {
    if base == candidate {
        return Pairing { pairs: (0..base.len()).map(|index| (index, index)).collect(), ..Pairing::default() };
    }
    let sorted = |keys: &[u128]| {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|index| keys[*index]);
        order
    };
    let (left, right) = (sorted(base), sorted(candidate));
    let mut found = Pairing::default();
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        let ends = (left.get(i).map(|at| base[*at]), right.get(j).map(|at| candidate[*at]));
        match ends {
            (Some(a), Some(b)) if a == b => {
                found.pairs.push((left[i], right[j]));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), other) if other.is_none_or(|b| a < b) => {
                found.only_base.push(left[i]);
                i += 1;
            }
            _ => {
                found.only_candidate.push(right[j]);
                j += 1;
            }
        }
    }
    found.pairs.sort_unstable();
    found.only_base.sort_unstable();
    found.only_candidate.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_paired_by_what_they_say() {
        assert_eq!(pair(&[5, 6], &[5, 6]).pairs, [(0, 0), (1, 1)]);
        let found = pair(&[5, 6, 5, 7], &[7, 5, 5, 9]);
        assert_eq!(found.pairs, [(0, 1), (2, 2), (3, 0)]);
        assert_eq!((found.only_base, found.only_candidate), (vec![1], vec![3]));
        assert!(pair(&[], &[]).is_whole() && !pair(&[1], &[]).is_whole());
        // More copies on one side: the rest is alone.
        let copies = pair(&[1, 1, 1], &[1]);
        assert_eq!((copies.pairs.len(), copies.only_base.len()), (1, 2));
    }
}
