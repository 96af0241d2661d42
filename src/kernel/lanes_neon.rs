//! The NEON form of `Lanes`: four lanes with fused multiply-add. In, out, never: as there.

use std::arch::aarch64::*;

use half::f16;

use super::lanes::Lanes;

#[derive(Clone, Copy)]
pub struct Neon(pub float32x4_t);

// SAFETY (whole file): every 64-bit ARM has NEON; the trait's callers promise COUNT readable or writable values.
#[allow(unsafe_op_in_unsafe_fn)]
impl Lanes for Neon {
    const COUNT: usize = 4;
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(vdupq_n_f32(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(vld1q_f32(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        vst1q_f32(to, self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(vaddq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(vsubq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(vmulq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(vdivq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(vfmaq_f32(addend.0, self.0, factor.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(vmaxq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(vminq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(vsqrtq_f32(self.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(vrndnq_f32(self.0))
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, power: Self) -> Self {
        let exponent = vaddq_s32(vcvtnq_s32_f32(power.0), vdupq_n_s32(127));
        Self(vmulq_f32(self.0, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))))
    }
    #[inline(always)]
    unsafe fn select_less(self, other: Self, yes: Self, no: Self) -> Self {
        Self(vbslq_f32(vcltq_f32(self.0, other.0), yes.0, no.0))
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs(from: *const u32) -> (Self, Self) {
        let pairs = vld1q_u32(from);
        let high = vandq_u32(pairs, vdupq_n_u32(0xffff_0000));
        (Self(vreinterpretq_f32_u32(vshlq_n_u32::<16>(pairs))), Self(vreinterpretq_f32_u32(high)))
    }
    #[inline(always)]
    unsafe fn round_bf16(self) -> Self {
        let bits = vreinterpretq_u32_f32(self.0);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
        let chosen = vbslq_u32(vceqq_f32(self.0, self.0), rounded, quiet);
        Self(vreinterpretq_f32_u32(vandq_u32(chosen, vdupq_n_u32(0xffff_0000))))
    }
    #[inline(always)]
    unsafe fn round_f16(self) -> Self {
        let mut values = [0f32; 4];
        vst1q_f32(values.as_mut_ptr(), self.0);
        let rounded = values.map(|value| f16::from_f32(value).to_f32());
        Self(vld1q_f32(rounded.as_ptr()))
    }
    #[inline(always)]
    unsafe fn signed_byte(self, byte: u32) -> Self {
        let top = vshlq_s32(vreinterpretq_s32_f32(self.0), vdupq_n_s32(24 - 8 * byte as i32));
        Self(vcvtq_f32_s32(vshrq_n_s32::<24>(top)))
    }
    #[inline(always)]
    unsafe fn nibble_level(self, shift: u32, levels: &[f32; 16]) -> Self {
        let mut words = [0f32; 4];
        vst1q_f32(words.as_mut_ptr(), self.0);
        let found = words.map(|word| levels[(word.to_bits() >> shift & 15) as usize]);
        Self(vld1q_f32(found.as_ptr()))
    }
}
