//! Chance from a seed: the same draws on every machine and in every version (Mersenne Twister).

use rand_mt::Mt64;

/// A seeded source of choices.
pub struct Dice(Mt64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mt64::new(seed))
    }

    /// A number below `n`, which must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `n` different members of `from` other than `but`.
    pub fn others<'a>(&mut self, from: &[&'a str], n: usize, but: &[&str]) -> Vec<&'a str> {
        let mut left: Vec<&str> = from.iter().copied().filter(|one| !but.contains(one)).collect();
        self.shuffle(&mut left);
        left.truncate(n);
        left
    }
}
