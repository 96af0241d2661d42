//! interim
use super::matrix::{Arithmetic, PackedMatrix};
use super::multiply::multiply;
#[derive(Debug, Clone, Copy)]
pub struct HeadSpec { pub scale: f32, pub softcap: Option<f32> }
#[derive(Debug, Clone, PartialEq)]
pub struct RowScore { pub argmax: u32, pub log_probs: Vec<f64> }
impl RowScore {
    pub fn of(logits: &[f32], targets: &[u32]) -> RowScore {
        let (mut am, mut max) = (0, f32::NEG_INFINITY);
        for (i, l) in logits.iter().enumerate() { if *l > max { max = *l; am = i } }
        let nan = logits.iter().any(|l| l.is_nan());
        let sum: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
        RowScore { argmax: am as u32, log_probs: targets.iter().map(|t| if nan { f64::NAN } else { logits.get(*t as usize).map_or(f64::NAN, |l| f64::from(*l) - (f64::from(max) + sum.ln())) }).collect() }
    }
}
pub fn logits(head: &PackedMatrix, arithmetic: Arithmetic, spec: HeadSpec, bias: Option<&[f32]>, x: &[f32], rows: usize, out: &mut [f32]) {
    multiply(&[head], arithmetic, x, rows, out, head.outs());
    for row in out.chunks_mut(head.outs()) { for (i, l) in row.iter_mut().enumerate() { *l = *l * spec.scale + bias.map_or(0.0, |b| b[i]); if let Some(c) = spec.softcap { *l = c * (*l / c).tanh() } } }
}
pub fn log_probs(head: &PackedMatrix, arithmetic: Arithmetic, spec: HeadSpec, bias: Option<&[f32]>, x: &[f32], rows: usize, targets: &[&[u32]]) -> Vec<RowScore> {
    let mut out = Vec::new();
    for r in (0..rows).step_by(96) {
        let n = (rows - r).min(96);
        let mut l = vec![0.0; n * head.outs()];
        logits(head, arithmetic, spec, bias, &x[r * head.ins()..(r + n) * head.ins()], n, &mut l);
        out.extend(l.chunks(head.outs()).zip(&targets[r..]).map(|(l, t)| RowScore::of(l, t)));
    }
    out
}
