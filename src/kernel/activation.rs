//! Activations of feed-forward layers.
//!
//! In: rows of f32. Out: rows of f32. Each element is computed on its own, the same way wherever it stands.

use super::exp::{exp, load_some, normal_cdf, store_some};
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::rows::{rows_at_once, width_checked};
use rayon::prelude::*;

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^-x)`
    Silu,
    /// `x * (1 + erf(x / sqrt 2)) / 2`
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, computed as `x / (1 + e^(-2 ...))`, which loses nothing where tanh is near -1
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `max(x, 0)^2`
    Relu2,
    /// `x / (1 + e^(-1.702 x))`
    QuickGelu,
}

/// Activates all values in place.
pub fn activate(kind: Activation, x: &mut [f32]) {
    x.par_chunks_mut(rows_at_once(1)).for_each(|x| {
        // SAFETY: `best` names an instruction set of this processor.
        unsafe { run_on(Isa::best(), Apply { kind, x }) }
    });
}

/// Rows of `2 * width` of gates and values to rows of `width`: `out = activation(gate) * value`.
pub fn gated(kind: Activation, gate_up: &[f32], width: usize, out: &mut [f32]) {
    let rows = rows_at_once(2 * width);
    let (from, to) = (rows * 2 * width_checked(width), rows * width_checked(width));
    out.par_chunks_mut(to).zip(gate_up.par_chunks(from)).for_each(|(out, gate_up)| {
        // SAFETY: as above.
        unsafe { run_on(Isa::best(), Gated { kind, gate_up, width, out }) }
    });
}

/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn activated<V: Lanes>(kind: Activation, x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        match kind {
            Activation::Silu => x.div(one.add(exp(zero.sub(x)))),
            Activation::QuickGelu => x.div(one.add(exp(x.mul(V::splat(-1.702))))),
            Activation::Gelu => x.mul(normal_cdf(x)),
            Activation::GeluTanh => {
                let cube = x.mul(x).mul(x);
                let inner = cube.mul_add(V::splat(0.044_715), x).mul(V::splat(-2.0 * 0.797_884_6));
                x.div(one.add(exp(inner)))
            }
            Activation::Relu => zero.max(x),
            Activation::Relu2 => {
                let x = zero.max(x);
                x.mul(x)
            }
        }
    }
}

/// Calls `$code` with a constant activation for `$kind`, so that the choice is made outside the loop.
macro_rules! with_kind {
    ($kind:expr, $K:ident => $code:expr) => {
        match $kind {
            Activation::Silu => {
                const $K: Activation = Activation::Silu;
                $code
            }
            Activation::Gelu => {
                const $K: Activation = Activation::Gelu;
                $code
            }
            Activation::GeluTanh => {
                const $K: Activation = Activation::GeluTanh;
                $code
            }
            Activation::Relu => {
                const $K: Activation = Activation::Relu;
                $code
            }
            Activation::Relu2 => {
                const $K: Activation = Activation::Relu2;
                $code
            }
            Activation::QuickGelu => {
                const $K: Activation = Activation::QuickGelu;
                $code
            }
        }
    };
}

struct Apply<'a> {
    kind: Activation,
    x: &'a mut [f32],
}

impl Work for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        with_kind!(self.kind, KIND => for chunk in self.x.chunks_mut(V::COUNT) {
            // SAFETY: within the chunk.
            unsafe {
                let x: V = load_some(chunk.as_ptr(), chunk.len(), 0.0);
                store_some(activated(KIND, x), chunk.as_mut_ptr(), chunk.len());
            }
        });
    }
}

struct Gated<'a> {
    kind: Activation,
    gate_up: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Work for Gated<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let width = self.width;
        with_kind!(self.kind, KIND => for (out, row) in self.out.chunks_mut(width).zip(self.gate_up.chunks(2 * width)) {
            let (gate, up) = row.split_at(width);
            for at in (0..width).step_by(V::COUNT) {
                let count = (width - at).min(V::COUNT);
                // SAFETY: `count` values from `at` on lie within the three rows.
                unsafe {
                    let load = |from: &[f32]| load_some::<V>(from.as_ptr().add(at), count, 0.0);
                    store_some(activated(KIND, load(gate)).mul(load(up)), out.as_mut_ptr().add(at), count);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: the formulas above at -3, -0.5, 0.25 and 2, by Python's math module (erf, tanh, exp in float64).
    const EXPECTED: &[(Activation, [f32; 4])] = &[
        (Activation::Silu, [-0.142_277_62, -0.188_770_33, 0.140_544_12, 1.761_594_2]),
        (Activation::Gelu, [-0.004_049_694, -0.154_268_77, 0.149_676_57, 1.954_499_7]),
        (Activation::GeluTanh, [-0.003_637_392, -0.154_286, 0.149_675_35, 1.954_597_7]),
        (Activation::Relu, [0.0, 0.0, 0.25, 2.0]),
        (Activation::Relu2, [0.0, 0.0, 0.0625, 4.0]),
        (Activation::QuickGelu, [-0.018_071_31, -0.149_611_56, 0.151_199_65, 1.935_658_6]),
    ];

    #[test]
    fn values_are_the_published_ones_and_gates_multiply() {
        for (kind, expected) in EXPECTED {
            let x = [-3.0f32, -0.5, 0.25, 2.0];
            let mut found = x.to_vec();
            activate(*kind, &mut found);
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() < 1e-6, "{kind:?}: {found:?} is not {expected:?}");
            }
            // Rows of 3: the last value of each row stands at the end of a vector.
            let rows: Vec<f32> = [-3.0, -0.5, 0.25, 2.0, 3.0, 4.0].repeat(5);
            let mut out = vec![0.0; 15];
            gated(*kind, &rows, 3, &mut out);
            for row in out.chunks(3) {
                assert_eq!(row, [found[0] * 2.0, found[1] * 3.0, found[2] * 4.0], "{kind:?}");
            }
        }
    }

    // Checkpoints with NaN weights must not look healthy; torch keeps it in all of these too.
    #[test]
    fn not_a_number_stays_one() {
        for (kind, _) in EXPECTED {
            let mut x = [[f32::NAN; 19], [1.0; 19]].concat();
            activate(*kind, &mut x);
            assert!(x[..19].iter().all(|value| value.is_nan()), "{kind:?}: {x:?}");
            assert!(x[19..].iter().all(|value| value.is_finite()), "{kind:?}: {x:?}");
        }
    }
}
