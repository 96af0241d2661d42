//! CPython's `random.Random`: Mersenne Twister with its `sample`, `shuffle`, `choices` and `random`.
//!
//! Source of the algorithms: CPython `Lib/random.py` and `Modules/_randommodule.c` (3.11).

use rand_mt::Mt;

/// A generator that gives the numbers of `random.Random(seed)`.
pub struct PyRandom(Mt);

impl PyRandom {
    /// `random.Random(seed)` for a non-negative integer seed: the key is the seed's 32-bit words, least significant first.
    pub fn new(seed: u64) -> Self {
        let low = seed as u32;
        let high = (seed >> 32) as u32;
        let key = if high == 0 { vec![low] } else { vec![low, high] };
        PyRandom(Mt::new_with_key(key))
    }

    /// `getrandbits(k)` for 1 <= k <= 64.
    pub fn getrandbits(&mut self, k: u32) -> u64 {
        if k <= 32 {
            return u64::from(self.0.next_u32() >> (32 - k));
        }
        let low = u64::from(self.0.next_u32());
        let high = u64::from(self.0.next_u32() >> (64 - k));
        high << 32 | low
    }

    /// `_randbelow(n)`: uniform in 0..n by rejection; 0 for n = 0.
    pub fn randbelow(&mut self, n: usize) -> usize {
        if n == 0 {
            return 0;
        }
        let k = usize::BITS - n.leading_zeros();
        loop {
            let r = self.getrandbits(k) as usize;
            if r < n {
                return r;
            }
        }
    }

    /// `random()`: uniform in [0, 1) with 53 bits.
    pub fn random(&mut self) -> f64 {
        let a = f64::from(self.0.next_u32() >> 5);
        let b = f64::from(self.0.next_u32() >> 6);
        (a * 67_108_864.0 + b) * (1.0 / 9_007_199_254_740_992.0)
    }

    /// The indices that `sample(population, k)` picks from a population of `n`; `None` when `k > n` (Python's `ValueError`).
    pub fn sample(&mut self, n: usize, k: usize) -> Option<Vec<usize>> {
        if k > n {
            return None;
        }
        // Python: setsize += 4 ** _ceil(_log(k * 3, 4))
        let mut setsize = 21usize;
        if k > 5 {
            setsize += 4usize.pow(((k * 3) as f64).log(4.0).ceil() as u32);
        }
        let mut result = Vec::with_capacity(k);
        if n <= setsize {
            let mut pool: Vec<usize> = (0..n).collect();
            for i in 0..k {
                let j = self.randbelow(n - i);
                result.push(pool[j]);
                pool[j] = pool[n - i - 1];
            }
        } else {
            let mut selected = std::collections::HashSet::with_capacity(k);
            for _ in 0..k {
                let mut j = self.randbelow(n);
                while !selected.insert(j) {
                    j = self.randbelow(n);
                }
                result.push(j);
            }
        }
        Some(result)
    }

    /// `shuffle(x)` in place.
    pub fn shuffle<T>(&mut self, x: &mut [T]) {
        for i in (1..x.len()).rev() {
            let j = self.randbelow(i + 1);
            x.swap(i, j);
        }
    }

    /// One index as `choices(population, k=..)` draws it: `floor(random() * n)`.
    pub fn choice_index(&mut self, n: usize) -> usize {
        (self.random() * n as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    //! Values printed by CPython 3.11's `random` module.
    use super::*;

    #[test]
    fn sample_from_pool_and_from_set() {
        let mut r = PyRandom::new(1234);
        assert_eq!(r.sample(100, 5).unwrap(), [99, 56, 14, 0, 11]);
        assert_eq!(r.sample(10, 3).unwrap(), [9, 0, 1]);
        assert_eq!(r.sample(7473, 5).unwrap(), [806, 6279, 2905, 1939, 142]);
        assert_eq!(r.sample(2, 3), None);
    }

    #[test]
    fn two_word_seed() {
        let mut r = PyRandom::new((1 << 40) + 7);
        let expected = [
            628, 765, 834, 960, 967, 654, 584, 722, 487, 256, 970, 630, 129, 529, 384, 533, 737, 371, 402, 453, 460,
            884, 918, 381, 230,
        ];
        assert_eq!(r.sample(1000, 25).unwrap(), expected);
        let choices: Vec<usize> = (0..8).map(|_| r.choice_index(50)).collect();
        assert_eq!(choices, [42, 22, 29, 6, 26, 41, 28, 1]);
        assert_eq!(r.getrandbits(50), 849_905_633_823_125);
    }

    #[test]
    fn random_and_shuffle() {
        let mut r = PyRandom::new(1234);
        assert_eq!(r.random(), 0.9664535356921388);
        assert_eq!(r.random(), 0.4407325991753527);
        assert_eq!(r.random(), 0.007491470058587191);
        let mut x: Vec<u8> = (0..10).collect();
        PyRandom::new(0).shuffle(&mut x);
        assert_eq!(x, [7, 8, 1, 5, 3, 4, 2, 0, 9, 6]);
    }
}
