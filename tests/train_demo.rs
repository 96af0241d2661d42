//! The demo's trainer: its fused operations have the values and the gradients of the plain ones that candle differentiates by itself.

#[path = "../examples/train_demo/fused.rs"]
mod fused;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use fused::{Gated, Normed, Rotated, Shares};

/// Numbers between -2 and 2 that follow no pattern; the same each time.
fn numbers(shape: &[usize], seed: u64) -> Var {
    let mut random = fastrand::Rng::with_seed(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| 4.0 * random.f32() - 2.0).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    let largest = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    largest.to_scalar().unwrap()
}

/// Both ways of working `of` out agree in value, and in the gradients of a weighted sum of it.
fn agree(of: &[Var], fused: impl Fn() -> Result<Tensor>, plain: impl Fn() -> Result<Tensor>) {
    let (fused, plain) = (fused().unwrap(), plain().unwrap());
    assert!(largest_difference(&fused, &plain) < 1e-5);
    let weights = numbers(fused.dims(), 99);
    let gradients = |value: &Tensor| (value * weights.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
    let (of_fused, of_plain) = (gradients(&fused), gradients(&plain));
    for var in of {
        let (a, b) = (of_fused.get(var).unwrap(), of_plain.get(var).unwrap());
        let size = b.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(size > 0.1, "the check sees a gradient");
        assert!(largest_difference(a, b) < 1e-5 * size.max(1.0), "{a} {b}");
    }
}

#[test]
fn root_mean_square_norm() {
    let x = numbers(&[5, 24], 1);
    let plain = || {
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        x.broadcast_div(&(mean + 1e-5)?.sqrt()?)
    };
    agree(std::slice::from_ref(&x), || x.apply_op1(Normed { epsilon: 1e-5 }), plain);
}

#[test]
fn rotary_positions() {
    // [batch, heads, window, head]
    let (x, theta) = (numbers(&[2, 3, 7, 8], 2), 100.0);
    let plain = || {
        let angles: Vec<f32> =
            (0..7 * 4).map(|at| ((at / 4) as f64 / f64::powf(theta, (at % 4) as f64 / 4.0)) as f32).collect();
        let angles = Tensor::from_vec(angles, (7, 4), &Device::Cpu)?;
        candle_nn::rotary_emb::rope_slow(&x, &angles.cos()?, &angles.sin()?)
    };
    agree(std::slice::from_ref(&x), || x.apply_op1(Rotated { theta, backwards: false }), plain);
}

#[test]
fn causal_softmax() {
    let (x, scale) = (numbers(&[2, 3, 6, 6], 3), 0.35f32);
    let plain = || {
        let ahead: Vec<f32> = (0..36).map(|at| if at % 6 > at / 6 { f32::NEG_INFINITY } else { 0.0 }).collect();
        let mask = Tensor::from_vec(ahead, (6, 6), &Device::Cpu)?.to_dtype(DType::F32)?;
        candle_nn::ops::softmax(&x.affine(f64::from(scale), 0.0)?.broadcast_add(&mask)?, D::Minus1)
    };
    agree(std::slice::from_ref(&x), || x.apply_op1(Shares { scale }), plain);
}

#[test]
fn gated_linear_unit() {
    let (gate, up) = (numbers(&[6, 10], 4), numbers(&[6, 10], 5));
    agree(&[gate.clone(), up.clone()], || gate.apply_op2(&up, Gated), || gate.silu()? * up.as_tensor());
}
