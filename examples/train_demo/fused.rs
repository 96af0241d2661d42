//! Operations of a Llama whose value and gradient are worked out in one pass over memory each. Built from candle's single
//! operations they take most of the training time.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// The numbers of a tensor that lies in memory without gaps.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("the trainer's operations take contiguous f32 tensors"),
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn like(tensor: &Tensor, values: Vec<f32>) -> Result<Tensor> {
    Tensor::from_vec(values, tensor.shape(), tensor.device())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums at a time, which the compiler turns into vector instructions.
    let mut sums = [0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a.len() / 8 * 8;
    sums.iter().sum::<f32>() + a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum::<f32>()
}

/// Root mean square normalisation of the last dimension, without a weight.
#[derive(Clone, Copy)]
pub struct Normed {
    pub epsilon: f32,
}

impl Normed {
    fn scale(&self, row: &[f32]) -> f32 {
        (dot(row, row) / row.len() as f32 + self.epsilon).sqrt().recip()
    }
}

impl CustomOp1 for Normed {
    fn name(&self) -> &'static str {
        "normed"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(storage, layout)?.to_vec();
        let width = layout.dims()[layout.dims().len() - 1];
        for row in out.chunks_exact_mut(width) {
            let scale = self.scale(row);
            row.iter_mut().for_each(|value| *value *= scale);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = arg.dim(candle_core::D::Minus1)?;
        let (x, y, mut g) = (values(arg)?, values(res)?, values(grad)?);
        for ((x, y), g) in x.chunks_exact(width).zip(y.chunks_exact(width)).zip(g.chunks_exact_mut(width)) {
            let (scale, along) = (self.scale(x), dot(g, y) / width as f32);
            g.iter_mut().zip(y).for_each(|(g, y)| *g = scale * (*g - along * y));
        }
        Ok(Some(like(arg, g)?))
    }
}

/// Rotation of `[batch, heads, window, head]` by position, pairing the halves of a head as Llama does.
#[derive(Clone, Copy)]
pub struct Rotated {
    pub theta: f64,
    pub backwards: bool,
}

impl CustomOp1 for Rotated {
    fn name(&self) -> &'static str {
        "rotated"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, _, window, head) = layout.shape().dims4()?;
        let half = head / 2;
        let turn = if self.backwards { -1.0 } else { 1.0 };
        let angle = |at: usize, pair: usize| turn * at as f64 / self.theta.powf(pair as f64 / half as f64);
        let turns: Vec<(f32, f32)> = (0..window * half)
            .map(|index| angle(index / half, index % half).sin_cos())
            .map(|(sin, cos)| (sin as f32, cos as f32))
            .collect();
        let mut out = slice(storage, layout)?.to_vec();
        for (at, row) in out.chunks_exact_mut(head).enumerate() {
            let (first, second) = row.split_at_mut(half);
            let turns = &turns[at % window * half..][..half];
            for ((a, b), (sin, cos)) in first.iter_mut().zip(second).zip(turns) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let back = Rotated { backwards: !self.backwards, ..*self };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

/// Causal softmax of scaled scores `[batch, heads, window, window]`.
#[derive(Clone, Copy)]
pub struct Shares {
    pub scale: f32,
}

impl CustomOp1 for Shares {
    fn name(&self) -> &'static str {
        "shares"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, _, window, _) = layout.shape().dims4()?;
        let mut out = slice(storage, layout)?.to_vec();
        for (at, row) in out.chunks_exact_mut(window).enumerate() {
            let (seen, ahead) = row.split_at_mut(at % window + 1);
            let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            seen.iter_mut().for_each(|score| *score = ((*score - largest) * self.scale).exp());
            let total = seen.iter().sum::<f32>().recip();
            seen.iter_mut().for_each(|share| *share *= total);
            ahead.fill(0.0);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let window = arg.dim(candle_core::D::Minus1)?;
        let (shares, mut g) = (values(res)?, values(grad)?);
        for (shares, g) in shares.chunks_exact(window).zip(g.chunks_exact_mut(window)) {
            let along = dot(shares, g);
            g.iter_mut().zip(shares).for_each(|(g, share)| *g = self.scale * share * (*g - along));
        }
        Ok(Some(like(arg, g)?))
    }
}

/// `silu(gate) * up`.
#[derive(Clone, Copy)]
pub struct Gated;

fn logistic(x: f32) -> f32 {
    (1.0 + (-x).exp()).recip()
}

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(&self, a: &CpuStorage, of_a: &Layout, b: &CpuStorage, of_b: &Layout) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (slice(a, of_a)?, slice(b, of_b)?);
        let out = gate.iter().zip(up).map(|(gate, up)| gate * logistic(*gate) * up).collect();
        Ok((CpuStorage::F32(out), of_a.shape().clone()))
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut of_gate, mut of_up, g) = (values(gate)?, values(up)?, values(grad)?);
        for ((gate, up), g) in of_gate.iter_mut().zip(&mut of_up).zip(&g) {
            let open = logistic(*gate);
            (*gate, *up) = (g * *up * open * (1.0 + *gate * (1.0 - open)), g * *gate * open);
        }
        Ok((Some(like(gate, of_gate)?), Some(like(up, of_up)?)))
    }
}
