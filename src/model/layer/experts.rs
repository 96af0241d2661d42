//! Mixture of experts: a router chooses a few gated layers for each token and mixes their outputs.

use super::mlp::Mlp;
use super::projection::Projection;
use crate::model::rows::{HostRows, Rows, mixed};
use candle_core::{DType, Tensor};

/// The experts of one block.
pub struct Experts {
    /// `[experts, hidden]`
    router: Projection,
    /// Gated layers.
    experts: Vec<Mlp>,
    /// Experts of a token.
    top_k: usize,
    /// Shares of the chosen experts are scaled to sum to one.
    normalise: bool,
}

impl Experts {
    /// `experts` are gated layers as wide as the router's input; `top_k` of them work on each token.
    pub fn new(router: Projection, experts: Vec<Mlp>, top_k: usize, normalise: bool) -> Experts {
        Experts { router, top_k: top_k.min(experts.len()), experts, normalise }
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        self.router.bytes() + self.experts.iter().map(Mlp::bytes).sum::<usize>()
    }

    /// `[rows, hidden]` to `[rows, hidden]`. A row's sum runs over its experts in the order of their numbers, so it does not depend on
    /// which other rows chose the same.
    pub fn forward(&self, x: &Rows) -> candle_core::Result<Rows> {
        let choices = self.choices(&self.router.forward(x)?)?;
        let mut by_expert: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.experts.len()];
        for (row, chosen) in choices.iter().enumerate() {
            for (expert, share) in chosen {
                by_expert[*expert].push((row, *share));
            }
        }
        let mut sum = match x {
            Rows::Host(x) => {
                let mut zeros = HostRows::new(x.rows(), x.width());
                zeros.fill(0.0);
                Rows::Host(zeros)
            }
            Rows::Device(x) => Rows::Device(x.zeros_like()?),
        };
        for (expert, chosen) in self.experts.iter().zip(&by_expert).filter(|(_, chosen)| !chosen.is_empty()) {
            let rows: Vec<usize> = chosen.iter().map(|(row, _)| *row).collect();
            add_shares(&mut sum, &expert.forward(&x.gather(&rows)?)?, chosen)?;
        }
        Ok(sum)
    }

    /// The experts of each row with their shares, in the order of their numbers.
    fn choices(&self, logits: &Rows) -> candle_core::Result<Vec<Vec<(usize, f32)>>> {
        let experts = self.experts.len();
        let choose = |logits: &[f32]| logits.chunks(experts).map(|row| self.choose(row)).collect();
        Ok(match logits {
            Rows::Host(logits) => choose(logits),
            Rows::Device(logits) => choose(&logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?),
        })
    }

    /// Softmax over all experts, then the `top_k` largest shares.
    fn choose(&self, logits: &[f32]) -> Vec<(usize, f32)> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|l| (l - max).exp()).collect();
        let total: f32 = weights.iter().sum();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
        order.truncate(self.top_k);
        let kept: f32 = order.iter().map(|i| weights[*i] / total).sum();
        order.sort_unstable();
        let share = |i: usize| weights[i] / total / if self.normalise { kept } else { 1.0 };
        order.into_iter().map(|i| (i, share(i))).collect()
    }
}

/// Adds an expert's rows, each times its share, to the rows that chose it.
fn add_shares(sum: &mut Rows, y: &Rows, chosen: &[(usize, f32)]) -> candle_core::Result<()> {
    match (&mut *sum, y) {
        (Rows::Host(sum), Rows::Host(y)) => {
            for (from, (to, share)) in chosen.iter().enumerate() {
                sum.row_mut(*to).iter_mut().zip(y.row(from)).for_each(|(s, y)| *s += share * y);
            }
            Ok(())
        }
        (Rows::Device(sum), Rows::Device(y)) => {
            let (rows, shares): (Vec<u32>, Vec<f32>) = chosen.iter().map(|(row, share)| (*row as u32, *share)).unzip();
            let shares = Tensor::new(shares, y.device())?.to_dtype(y.dtype())?.unsqueeze(1)?;
            *sum = sum.index_add(&Tensor::new(rows, y.device())?, &y.broadcast_mul(&shares)?, 0)?;
            Ok(())
        }
        _ => mixed(),
    }
}
