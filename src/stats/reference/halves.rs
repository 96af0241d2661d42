//! Statistics that compare two halves of a set.

use super::{NonEmpty, mean};

/// A number, and whether its document belongs to the first half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halved {
    pub value: f64,
    pub first: bool,
}

/// Mean of the first half minus mean of the second; `None` when one of them is empty.
///
/// Misleads where the halves differ in more than what is compared: then it measures that as well.
pub fn difference(xs: NonEmpty<'_, Halved>) -> Option<f64> {
    let half = |first: bool| {
        let values: Vec<f64> = xs.iter().filter(|x| x.first == first).map(|x| x.value).collect();
        NonEmpty::new(&values).map(mean)
    };
    Some(half(true)? - half(false)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_unequal_halves() {
        // 3 of 4 and 1 of 2: 3/4 - 1/2.
        let xs = [(1.0, true), (0.0, false), (1.0, true), (1.0, true), (0.0, true), (1.0, false)];
        let xs = xs.map(|(value, first)| Halved { value, first });
        assert_eq!(difference(NonEmpty::new(&xs).unwrap()), Some(0.25));
        assert_eq!(difference(NonEmpty::new(&xs[2..4]).unwrap()), None);
    }
}
