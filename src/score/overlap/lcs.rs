//! Longest common subsequence, 64 cells at a time (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").

use std::collections::HashMap;
use std::hash::Hash;

/// The rows of the table of a reference against a candidate. Bit `j` of a row is 1 where the subsequence does not grow with the
/// candidate's word `j`. Needs `rows * candidate / 8` bytes.
struct Table {
    rows: Vec<Vec<u64>>,
}

impl Table {
    fn of<T: Hash + Eq>(reference: &[T], candidate: &[T]) -> Self {
        let places = places(candidate);
        let mut rows = vec![vec![u64::MAX; candidate.len().div_ceil(64)]];
        for word in reference {
            let mut row = rows.last().cloned().unwrap_or_default();
            if let Some(places) = places.get(word) {
                step(&mut row, places);
            }
            rows.push(row);
        }
        Self { rows }
    }

    /// Whether the subsequence of the first `i` words of the reference grows with the candidate's word `j`.
    fn grows(&self, i: usize, j: usize) -> bool {
        self.rows.get(i).and_then(|row| row.get(j / 64)).is_some_and(|block| block >> (j % 64) & 1 == 0)
    }

    /// Length of the common subsequence of the first `i` words of the reference and the first `j` of the candidate.
    fn len(&self, i: usize, j: usize) -> usize {
        let Some(row) = self.rows.get(i) else { return 0 };
        let whole: u32 = row.iter().take(j / 64).map(|block| block.count_zeros()).sum();
        let part = match row.get(j / 64) {
            Some(block) => (!block & ((1u64 << (j % 64)) - 1)).count_ones(),
            None => 0,
        };
        (whole + part) as usize
    }
}

/// The next row, for a word of the reference that stands at `places` of the candidate.
fn step(row: &mut [u64], places: &[u64]) {
    let mut carry = false;
    for (block, places) in row.iter_mut().zip(places) {
        let matched = *block & places;
        let (sum, over) = block.overflowing_add(matched);
        let (sum, again) = sum.overflowing_add(u64::from(carry));
        carry = over || again;
        *block = sum | (*block & !places);
    }
}

/// Where each word stands: bit `j` for the candidate's word `j`.
fn places<T: Hash + Eq>(candidate: &[T]) -> HashMap<&T, Vec<u64>> {
    let mut places: HashMap<&T, Vec<u64>> = HashMap::new();
    for (j, word) in candidate.iter().enumerate() {
        let bits = places.entry(word).or_insert_with(|| vec![0; candidate.len().div_ceil(64)]);
        if let Some(block) = bits.get_mut(j / 64) {
            *block |= 1 << (j % 64);
        }
    }
    places
}

/// Length of the longest common subsequence.
pub fn lcs_len<T: Hash + Eq>(reference: &[T], candidate: &[T]) -> usize {
    let places = places(candidate);
    let mut row = vec![u64::MAX; candidate.len().div_ceil(64)];
    for places in reference.iter().filter_map(|word| places.get(word)) {
        step(&mut row, places);
    }
    // Bits beyond the candidate stay 1.
    row.iter().map(|block| block.count_zeros() as usize).sum()
}

/// Places in the reference of one longest common subsequence, in rising order: of several, the one that `rouge_score` reads out
/// (from the end, it prefers to leave out a word of the reference).
pub fn lcs_places<T: Hash + Eq>(reference: &[T], candidate: &[T]) -> Vec<usize> {
    let table = Table::of(reference, candidate);
    let mut places = Vec::new();
    let (mut i, mut j) = (reference.len(), candidate.len());
    // Lengths at (i, j) and (i - 1, j).
    let mut here = table.len(i, j);
    let mut above = table.len(i.saturating_sub(1), j);
    while let (Some(up), Some(left)) = (i.checked_sub(1), j.checked_sub(1)) {
        if reference.get(up) == candidate.get(left) {
            places.push(up);
            (i, j) = (up, left);
            here = table.len(i, j);
            above = table.len(i.saturating_sub(1), j);
        } else if here - usize::from(table.grows(i, left)) > above {
            here -= usize::from(table.grows(i, left));
            above -= usize::from(table.grows(up, left));
            j = left;
        } else {
            i = up;
            here = above;
            above = table.len(i.saturating_sub(1), j);
        }
    }
    places.reverse();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook table.
    fn textbook(reference: &[u8], candidate: &[u8]) -> Vec<Vec<usize>> {
        let mut table = vec![vec![0; candidate.len() + 1]; reference.len() + 1];
        for (i, a) in reference.iter().enumerate() {
            for (j, b) in candidate.iter().enumerate() {
                table[i + 1][j + 1] = if a == b { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
            }
        }
        table
    }

    /// Its reading from the end, as `rouge_score` does it.
    fn read_out(reference: &[u8], candidate: &[u8]) -> Vec<usize> {
        let table = textbook(reference, candidate);
        let (mut i, mut j, mut places) = (reference.len(), candidate.len(), Vec::new());
        while i > 0 && j > 0 {
            if reference[i - 1] == candidate[j - 1] {
                places.insert(0, i - 1);
                (i, j) = (i - 1, j - 1);
            } else if table[i][j - 1] > table[i - 1][j] {
                j -= 1;
            } else {
                i -= 1;
            }
        }
        places
    }

    #[test]
    fn equals_the_textbook() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for round in 0..400 {
            let (letters, longest) = (random(5) + 1, if round % 4 == 0 { 300 } else { 12 });
            let mut text = || (0..random(longest)).map(|_| random(letters) as u8).collect::<Vec<_>>();
            let (reference, candidate) = (text(), text());
            let table = textbook(&reference, &candidate);
            assert_eq!(lcs_len(&reference, &candidate), table[reference.len()][candidate.len()]);
            assert_eq!(lcs_places(&reference, &candidate), read_out(&reference, &candidate));
        }
    }
}
