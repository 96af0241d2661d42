//! Texts as token ids, put side by side: sorted by length, filled up to the longest, with a mask.

use super::layers::Candle;
use candle_core::{Device, Tensor};

/// Most texts in a batch, and most tokens with the filling.
const MOST_TEXTS: usize = 64;
const MOST_TOKENS: usize = 8192;

/// Texts that are computed together.
pub struct Batch {
    /// `[batch, time]`
    ids: Tensor,
    /// 1 for tokens of the text, 0 behind its end; `[batch, time]`. `None` where all are as long.
    present: Option<Tensor>,
    /// 0, or the lowest number behind the end; `[batch, 1, 1, time]`.
    mask: Option<Tensor>,
    rows: Vec<Vec<u32>>,
    time: usize,
}

impl Batch {
    /// Puts texts together. `pad`: the id behind their ends.
    pub fn new(rows: Vec<Vec<u32>>, pad: u32) -> Candle<Batch> {
        let (size, time) = (rows.len(), rows.iter().map(Vec::len).max().unwrap_or(0));
        let is_ragged = rows.iter().any(|row| row.len() < time);
        let filled = |inside: f32, behind: f32| -> Candle<Tensor> {
            let row =
                |row: &Vec<u32>| (0..time).map(|at| if at < row.len() { inside } else { behind }).collect::<Vec<f32>>();
            Tensor::from_vec(rows.iter().flat_map(row).collect::<Vec<f32>>(), (size, time), &Device::Cpu)
        };
        let (present, mask) = match is_ragged {
            false => (None, None),
            true => (Some(filled(1.0, 0.0)?), Some(filled(0.0, f32::MIN)?.reshape((size, 1, 1, time))?)),
        };
        let ids = rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(pad, time - row.len())));
        let ids = Tensor::from_vec(ids.collect::<Vec<u32>>(), (size, time), &Device::Cpu)?;
        Ok(Batch { ids, present, mask, rows, time })
    }

    pub fn ids(&self) -> &Tensor {
        &self.ids
    }

    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// Tokens of the longest text.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Token ids of each text.
    pub fn rows(&self) -> &[Vec<u32>] {
        &self.rows
    }

    /// Hidden states `[batch, time, width]` with zeros behind the ends of texts.
    pub fn cleared(&self, hidden: Tensor) -> Candle<Tensor> {
        match &self.present {
            Some(present) => hidden.broadcast_mul(&present.unsqueeze(2)?),
            None => Ok(hidden),
        }
    }
}

/// Which texts go together: indices, the longest texts first. `lengths`: tokens of each text.
pub fn plan(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    let length = |index: &usize| lengths.get(*index).copied().unwrap_or(0).max(1);
    // Stable: texts of the same length stay in their order.
    order.sort_by_key(|index| std::cmp::Reverse(length(index)));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < MOST_TEXTS
                    && batch.first().is_some_and(|first| (batch.len() + 1) * length(first) <= MOST_TOKENS) =>
            {
                batch.push(index);
            }
            _ => batches.push(vec![index]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_complete() {
        let lengths: Vec<usize> = (0..300).map(|i| (i * 37) % 600).collect();
        let batches = plan(&lengths);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..300).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
            assert!(batch.len() <= MOST_TEXTS && (batch.len() == 1 || longest * batch.len() <= MOST_TOKENS));
        }
        assert_eq!(plan(&[1, 3, 1, 3]), [[1, 3, 0, 2]]);
        assert_eq!(plan(&[20_000, 1]), [[0], [1]]);
        assert!(plan(&[]).is_empty());
    }

    #[test]
    fn short_texts_are_filled_up() {
        let batch = Batch::new(vec![vec![5, 6, 7], vec![8]], 9).unwrap();
        assert_eq!(batch.ids().to_vec2::<u32>().unwrap(), [[5, 6, 7], [8, 9, 9]]);
        assert_eq!(batch.present.as_ref().unwrap().to_vec2::<f32>().unwrap(), [[1.0; 3], [1.0, 0.0, 0.0]]);
        assert_eq!(batch.mask().unwrap().dims(), [2, 1, 1, 3]);
        assert!(Batch::new(vec![vec![1], vec![2]], 0).unwrap().mask().is_none());
    }
}
