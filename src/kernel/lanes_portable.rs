//! The form of `Lanes` for any processor: four lanes in plain Rust. In, out, never: as there.

use half::f16;

use super::lanes::{Lanes, round_bf16};

#[derive(Clone, Copy)]
pub struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let (a, b) = (self.0, other.0);
        Self([f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])])
    }
}

// SAFETY (pointers, whole file): the trait's callers promise COUNT readable or writable values; alignment is not assumed.
impl Lanes for Portable {
    const COUNT: usize = 4;
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.zip(factor, |a, b| a * b).zip(addend, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Added to 1.5 * 2^23 a value has no place for a fraction: the addition rounds it.
        const SHIFT: f32 = 12_582_912.0;
        self.map(|value| (value + SHIFT) - SHIFT)
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, power: Self) -> Self {
        self.zip(power, |value, power| value * f32::from_bits(((power as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    unsafe fn select_less(self, other: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] < other.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs(from: *const u32) -> (Self, Self) {
        let pairs = unsafe { from.cast::<[u32; 4]>().read_unaligned() };
        let low = pairs.map(|pair| f32::from_bits(pair << 16));
        (Self(low), Self(pairs.map(|pair| f32::from_bits(pair & 0xffff_0000))))
    }
    #[inline(always)]
    unsafe fn round_bf16(self) -> Self {
        self.map(round_bf16)
    }
    #[inline(always)]
    unsafe fn round_f16(self) -> Self {
        self.map(|value| f16::from_f32(value).to_f32())
    }
    #[inline(always)]
    unsafe fn signed_byte(self, byte: u32) -> Self {
        self.map(|word| f32::from((word.to_bits() >> (8 * byte)) as i8))
    }
    #[inline(always)]
    unsafe fn nibble_level(self, shift: u32, levels: &[f32; 16]) -> Self {
        self.map(|word| levels[(word.to_bits() >> shift & 15) as usize])
    }
}
