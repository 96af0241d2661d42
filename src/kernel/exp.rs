//! Exponential, hyperbolic tangent and error function of vectors of f32.
//!
//! In: a vector. Out: a vector. Every lane takes the same steps, so a value's bits do not depend on where it stands; ends of rows go
//! through the same code ([`load_some`], [`store_some`]).

use super::lanes::Lanes;

/// Below this e^x has no normal f32.
const LOWEST: f32 = -87.336_54;

/// e^x within 2 units in the last place; 0 below -87.33 and infinity above 88.72. (Cephes `expf`: reduction by ln 2 in two steps, then a
/// polynomial of degree 5.) NaN for NaN.
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
pub unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let low = V::splat(LOWEST);
        let high = V::splat(88.722_84);
        // In this order a NaN is kept: where the second operand is one, every form of max and min gives it.
        let clamped = high.min(low.max(x));
        let n = clamped.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_add(V::splat(-0.693_359_4), clamped);
        let r = n.mul_add(V::splat(2.121_944_4e-4), r);
        let mut p = V::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            p = p.mul_add(r, V::splat(c));
        }
        let p = p.mul_add(r.mul(r), r).add(V::splat(1.0));
        // In two steps, because 2^128 is no f32.
        let half = n.mul(V::splat(0.5)).round();
        let value = p.scale_by_power(half).scale_by_power(n.sub(half));
        let value = x.select_less(low, V::splat(0.0), value);
        high.select_less(x, V::splat(f32::INFINITY), value)
    }
}

/// tanh x, within 3 units in the last place. (Cephes `tanhf`: a polynomial near zero, else by e^2x.)
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
pub unsafe fn tanh<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let one = V::splat(1.0);
        let z = x.mul(x);
        let mut p = V::splat(-5.704_988_7e-3);
        for c in [2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8] {
            p = p.mul_add(z, V::splat(c));
        }
        let near = p.mul(z).mul_add(x, x);
        let far = one.sub(V::splat(2.0).div(exp(x.add(x)).add(one)));
        z.select_less(V::splat(0.625 * 0.625), near, far)
    }
}

/// The share of the standard normal distribution below x, (1 + erf(x / sqrt 2)) / 2, within 1e-6. (Abramowitz and Stegun, Handbook of
/// Mathematical Functions, 7.1.26.)
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
pub unsafe fn normal_cdf<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let one = V::splat(1.0);
        let zero = V::splat(0.0);
        let y = x.max(zero.sub(x)).mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
        let t = one.div(y.mul_add(V::splat(0.327_591_1), one));
        let mut p = V::splat(1.061_405_4);
        for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
            p = p.mul_add(t, V::splat(c));
        }
        // What lies beyond |x| on one side.
        let tail = p.mul(t).mul(exp(zero.sub(y.mul(y)))).mul(V::splat(0.5));
        x.select_less(zero, tail, one.sub(tail))
    }
}

/// A whole vector, or the first `count` lanes of one with `fill` in the others.
///
/// # Safety
/// As all of [`Lanes`]; `count` values are readable, `count` at most 16 where it is less than a whole vector.
#[inline(always)]
pub unsafe fn load_some<V: Lanes>(from: *const f32, count: usize, fill: f32) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= V::COUNT {
            return V::load(from);
        }
        let mut values = [fill; 16];
        std::ptr::copy_nonoverlapping(from, values.as_mut_ptr(), count);
        V::load(values.as_ptr())
    }
}

/// Stores a whole vector, or its first `count` lanes.
///
/// # Safety
/// As all of [`Lanes`]; `count` values are writable.
#[inline(always)]
pub unsafe fn store_some<V: Lanes>(value: V, to: *mut f32, count: usize) {
    // SAFETY: the caller's promise; no form has more than 16 lanes.
    unsafe {
        if count >= V::COUNT {
            return value.store(to);
        }
        let mut values = [0.0; 16];
        value.store(values.as_mut_ptr());
        std::ptr::copy_nonoverlapping(values.as_ptr(), to, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::isa::Isa;
    use crate::kernel::lanes::{Work, run_on};

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Tanh,
        NormalCdf,
    }

    struct Apply<'a>(Function, &'a mut [f32]);

    impl Work for Apply<'_> {
        type Output = ();

        #[inline(always)]
        unsafe fn run<V: Lanes>(self) {
            for chunk in self.1.chunks_mut(V::COUNT) {
                // SAFETY: within the chunk.
                unsafe {
                    let x: V = load_some(chunk.as_ptr(), chunk.len(), 0.0);
                    let y = match self.0 {
                        Function::Exp => exp(x),
                        Function::Tanh => tanh(x),
                        Function::NormalCdf => normal_cdf(x),
                    };
                    store_some(y, chunk.as_mut_ptr(), chunk.len());
                }
            }
        }
    }

    fn apply(isa: Isa, function: Function, values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        // SAFETY: from `Isa::available`.
        unsafe { run_on(isa, Apply(function, &mut values)) };
        values
    }

    /// Numbers from -100 to 100, denser near zero.
    fn numbers() -> Vec<f32> {
        (-200_001..=200_001).map(|i| (i as f32 / 20_000.0).powi(2).copysign(i as f32)).collect()
    }

    #[test]
    fn values_are_those_of_f64() {
        for isa in Isa::available() {
            let xs = numbers();
            for (x, y) in xs.iter().zip(apply(isa, Function::Exp, &xs)) {
                let expected = f64::from(*x).exp();
                match *x {
                    x if x < LOWEST => assert_eq!(y, 0.0),
                    x if x > 88.722_84 => assert_eq!(y, f32::INFINITY),
                    _ => {
                        // f32 next to each other, as far apart as where the value lies: 2^(exponent - 23).
                        let unit = f64::from(f32::from_bits(y.to_bits() & 0x7f80_0000)) * f64::from(f32::EPSILON);
                        let off = (f64::from(y) - expected).abs();
                        assert!(off <= 2.0 * unit, "{isa:?} exp {x}: {y}, {expected}, {} units", off / unit);
                    }
                }
            }
            for (x, y) in xs.iter().zip(apply(isa, Function::Tanh, &xs)) {
                let expected = f64::from(*x).tanh();
                let error = (f64::from(y) - expected).abs();
                assert!(error <= 4e-7 * expected.abs(), "{isa:?} tanh {x}: {y}, {expected}");
            }
            let special = apply(isa, Function::Exp, &[f32::NEG_INFINITY, f32::INFINITY, 0.0]);
            assert_eq!(special, [0.0, f32::INFINITY, 1.0], "{isa:?}");
            let special = apply(isa, Function::Tanh, &[f32::NEG_INFINITY, f32::INFINITY, 0.0]);
            assert_eq!(special, [-1.0, 1.0, 0.0], "{isa:?}");
        }
    }

    // Expected values: math.erf of Python, (1 + erf(x / sqrt(2))) / 2.
    #[test]
    fn the_normal_distribution_is_close() {
        let expected = [
            (-6.0, 9.865_877e-10),
            (-3.0, 0.001_349_898),
            (-1.0, 0.158_655_25),
            (-0.1, 0.460_172_16),
            (0.0, 0.5),
            (0.5, 0.691_462_46),
            (2.0, 0.977_249_87),
            (8.0, 1.0),
        ];
        for isa in Isa::available() {
            for (x, expected) in expected {
                let y = apply(isa, Function::NormalCdf, &[x])[0];
                assert!((y - expected).abs() < 5e-7, "{isa:?} {x}: {y}, {expected}");
            }
        }
    }

    #[test]
    fn not_a_number_stays_one() {
        for isa in Isa::available() {
            for function in [Function::Exp, Function::Tanh, Function::NormalCdf] {
                let values = apply(isa, function, &[1.0, f32::NAN, -f32::NAN, 2.0]);
                assert_eq!(
                    values.iter().map(|value| value.is_nan()).collect::<Vec<_>>(),
                    [false, true, true, false],
                    "{isa:?}"
                );
            }
        }
    }

    #[test]
    fn a_value_does_not_depend_on_its_place() {
        let xs: Vec<f32> = (0..37).map(|i| i as f32 / 5.0 - 3.0).collect();
        for isa in Isa::available() {
            for function in [Function::Exp, Function::Tanh, Function::NormalCdf] {
                let together = apply(isa, function, &xs);
                for (x, y) in xs.iter().zip(together) {
                    assert_eq!(apply(isa, function, &[*x])[0].to_bits(), y.to_bits());
                }
            }
        }
    }
}
