//! interim
use super::isa::Isa;
use super::exp::exp;
use super::lanes::{Lanes, Work, run_on};
use rayon::prelude::*;

fn blocks(width: usize) -> usize { (16384 / width.max(1)).max(1) * width }

fn rms(row: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let mut s = [0.0f32; 16];
    for c in row.chunks(16) { for (a, v) in s.iter_mut().zip(c) { *a += v * v } }
    let ss: f32 = s.iter().sum();
    let inv = 1.0 / (ss / row.len() as f32 + eps).sqrt();
    for ((o, x), w) in out.iter_mut().zip(row).zip(weight) { *o = x * inv * w }
}
pub fn rms_norm(x: &[f32], width: usize, weight: &[f32], eps: f32, out: &mut [f32]) {
    let b = blocks(width);
    out.par_chunks_mut(b).zip(x.par_chunks(b)).for_each(|(o, x)| for (o, x) in o.chunks_mut(width).zip(x.chunks(width)) { rms(x, weight, eps, o) });
}
pub fn rms_norm_strided(data: &mut [f32], stride: usize, rows: usize, first_column: usize, heads: usize, head_dim: usize, weight: &[f32], eps: f32) {
    let mut t = vec![0.0; head_dim];
    for r in 0..rows { for h in 0..heads { let x = &mut data[r * stride + first_column + h * head_dim..][..head_dim]; rms(x, weight, eps, &mut t); x.copy_from_slice(&t) } }
}
pub fn layer_norm(x: &[f32], width: usize, weight: &[f32], bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    for (o, x) in out.chunks_mut(width).zip(x.chunks(width)) {
        let m = x.iter().sum::<f32>() / width as f32;
        let v = x.iter().map(|x| (x - m) * (x - m)).sum::<f32>() / width as f32;
        let inv = 1.0 / (v + eps).sqrt();
        for i in 0..width { o[i] = (x[i] - m) * inv * weight[i] + bias.map_or(0.0, |b| b[i]) }
    }
}
pub fn add(x: &mut [f32], y: &[f32]) { x.par_chunks_mut(16384).zip(y.par_chunks(16384)).for_each(|(x, y)| for (x, y) in x.iter_mut().zip(y) { *x += y }) }
pub fn add_scaled(x: &mut [f32], y: &[f32], f: f32) { x.par_chunks_mut(16384).zip(y.par_chunks(16384)).for_each(|(x, y)| for (x, y) in x.iter_mut().zip(y) { *x += f * y }) }
pub fn scale(x: &mut [f32], f: f32) { for x in x { *x *= f } }
pub fn add_bias(x: &mut [f32], stride: usize, rows: usize, first_column: usize, bias: &[f32]) {
    for r in 0..rows { for (x, b) in x[r * stride + first_column..].iter_mut().zip(bias) { *x += b } }
}
pub fn add_rms_norm(x: &mut [f32], y: &[f32], factor: f32, width: usize, weight: &[f32], eps: f32, out: &mut [f32]) {
    let b = blocks(width);
    out.par_chunks_mut(b).zip(x.par_chunks_mut(b)).zip(y.par_chunks(b)).for_each(|((o, x), y)| {
        for (x, y) in x.iter_mut().zip(y) { *x += factor * y }
        for (o, x) in o.chunks_mut(width).zip(x.chunks(width)) { rms(x, weight, eps, o) }
    });
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation { Silu, Gelu, GeluTanh, Relu, QuickGelu, Relu2 }
fn erf(x: f64) -> f64 {
    // series / continued fraction
    let a = x.abs();
    let r = if a < 3.0 { let mut t = a; let mut s = a; let mut n = 0.0; while t.abs() > 1e-17 * s.abs() && n < 200.0 { n += 1.0; t *= -a * a / n; s += t / (2.0 * n + 1.0); } s * 2.0 / std::f64::consts::PI.sqrt() }
    else { let mut f = 0.0; for k in (1..60).rev() { f = k as f64 / 2.0 / (a + f) } 1.0 - (-a * a).exp() / ((a + f) * std::f64::consts::PI.sqrt()) };
    r.copysign(x)
}
fn act(kind: Activation, x: f32) -> f32 {
    match kind {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => (0.5 * x as f64 * (1.0 + erf(x as f64 / 2f64.sqrt()))) as f32,
        Activation::GeluTanh => 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044715 * x * x * x)).tanh()),
        Activation::Relu => x.max(0.0),
        Activation::Relu2 => x.max(0.0) * x.max(0.0),
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
    }
}
pub fn activate(kind: Activation, x: &mut [f32]) { x.par_chunks_mut(4096).for_each(|x| for x in x { *x = act(kind, *x) }) }
struct SiluGate<'a>(&'a [f32], &'a [f32], &'a mut [f32]);
impl Work for SiluGate<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        unsafe {
            let n = self.2.len();
            let mut i = 0;
            let one = V::splat(1.0);
            while i + V::COUNT <= n {
                let g = V::load(self.0.as_ptr().add(i));
                let e = exp(V::splat(0.0).sub(g));
                g.div(one.add(e)).mul(V::load(self.1.as_ptr().add(i))).store(self.2.as_mut_ptr().add(i));
                i += V::COUNT;
            }
            for j in i..n { self.2[j] = act(Activation::Silu, self.0[j]) * self.1[j] }
        }
    }
}
pub fn gated(kind: Activation, gate_up: &[f32], width: usize, out: &mut [f32]) {
    let isa = Isa::best();
    out.par_chunks_mut(width * 8).zip(gate_up.par_chunks(width * 16)).for_each(|(o, g)| for (o, g) in o.chunks_mut(width).zip(g.chunks(2 * width)) {
        let (g, u) = g.split_at(width);
        if kind == Activation::Silu { unsafe { run_on(isa, SiluGate(g, u, o)) } } else { for i in 0..width { o[i] = act(kind, g[i]) * u[i] } }
    });
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotaryStyle { HalfSplit, Interleaved }
pub fn rotate(data: &mut [f32], stride: usize, rows: usize, first_column: usize, heads: usize, head_dim: usize, rotary_dim: usize, style: RotaryStyle, cos: &[f32], sin: &[f32]) {
    let half = rotary_dim / 2;
    data.par_chunks_mut(stride).take(rows).enumerate().for_each(|(r, row)| {
        let (c, s) = (&cos[r * half..][..half], &sin[r * half..][..half]);
        for h in 0..heads {
            let x = &mut row[first_column + h * head_dim..][..rotary_dim];
            for i in 0..half {
                let (a, b) = match style { RotaryStyle::HalfSplit => (i, i + half), RotaryStyle::Interleaved => (2 * i, 2 * i + 1) };
                let (p, q) = (x[a], x[b]);
                x[a] = p * c[i] - q * s[i];
                x[b] = q * c[i] + p * s[i];
            }
        }
    });
}
