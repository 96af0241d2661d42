//! A slice that is known to hold at least one element, so that a mean always exists.

use std::ops::Deref;

/// A slice with at least one element.
#[derive(Debug, PartialEq)]
pub struct NonEmpty<'a, T>(&'a [T]);

impl<T> Clone for NonEmpty<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for NonEmpty<'_, T> {}

impl<'a, T> NonEmpty<'a, T> {
    /// `None` for an empty slice.
    pub fn new(values: &'a [T]) -> Option<Self> {
        if values.is_empty() { None } else { Some(NonEmpty(values)) }
    }

    /// The number of elements as a divisor.
    pub fn count(self) -> f64 {
        self.0.len() as f64
    }
}

impl<T> Deref for NonEmpty<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_nothing() {
        assert!(NonEmpty::<f64>::new(&[]).is_none());
        let two = NonEmpty::new(&[1.0, 2.0]).unwrap();
        assert_eq!((two.count(), two.len()), (2.0, 2));
    }
}
