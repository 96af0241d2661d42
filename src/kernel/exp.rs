//! The exponential of vectors.

use super::lanes::Lanes;

/// e^x in f32, within 2 units in the last place for -87.3 < x < 88.3; below that 0. (Cephes' polynomial after reduction by ln 2.)
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
pub unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let low = V::splat(-87.336_54);
        let clamped = x.max(low).min(V::splat(88.3));
        let n = clamped.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_add(V::splat(-0.693_359_4), clamped);
        let r = n.mul_add(V::splat(2.121_944_4e-4), r);
        let mut p = V::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            p = p.mul_add(r, V::splat(c));
        }
        let p = p.mul_add(r.mul(r), r).add(V::splat(1.0));
        x.select_less(low, V::splat(0.0), p.scale_by_power(n))
    }
}
