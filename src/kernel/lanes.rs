//! Vectors of f32: one trait, one form for each instruction set, and the way into code compiled for a set.
//! In: pointers and numbers. Out: the same. Never allocates, never chooses the instruction set: `run_on` is told.
//!
//! A kernel is a `Work`: its `run` is written once over `V: Lanes`, marked `#[inline(always)]`, and `run_on` compiles it
//! into a function with the set's target features.

use super::isa::Isa;

/// A vector of `COUNT` f32 values.
///
/// # Safety
/// All methods are unsafe for one reason: they may only run on a processor with the instruction set (inside `Work::run`
/// that holds). Those that take pointers read or write `COUNT` values there; alignment is not needed.
#[allow(clippy::missing_safety_doc)] // one reason for all, above
pub trait Lanes: Copy {
    const COUNT: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// self * factor + addend: fused where the set has it, in two roundings on `Portable`.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The greater; the other operand where one is NaN is not promised.
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// To the nearest whole number, halves to even. |self| < 2^22 where the set is `Portable`.
    unsafe fn round(self) -> Self;
    /// self * 2^power for whole powers with -126 <= power <= 127 (exponent bits made from it).
    unsafe fn scale_by_power(self, power: Self) -> Self;
    /// Each lane of `yes` where the lane of self < that of `other`, of `no` elsewhere (NaN too).
    unsafe fn select_less(self, other: Self, yes: Self, no: Self) -> Self;
    /// `COUNT` pairs of bfloat16 values, widened: those of the low halves, those of the high halves.
    unsafe fn load_bf16_pairs(from: *const u32) -> (Self, Self);
    /// Rounded to bfloat16, halves to even, NaN stays NaN.
    unsafe fn round_bf16(self) -> Self;
    /// Rounded to binary16, halves to even.
    unsafe fn round_f16(self) -> Self;
    /// Byte `byte` of each 32-bit word whose bits `self` holds, as a signed number.
    unsafe fn signed_byte(self, byte: u32) -> Self;
    /// levels[the four bits from `shift` on] of each 32-bit word whose bits `self` holds.
    unsafe fn nibble_level(self, shift: u32, levels: &[f32; 16]) -> Self;
    /// Sum of all lanes, halves folded onto each other.
    unsafe fn sum(self) -> f32 {
        let mut values = [0f32; 16];
        // SAFETY: no form has more than 16 lanes.
        unsafe { self.store(values.as_mut_ptr()) };
        let mut count = Self::COUNT;
        while count > 1 {
            count /= 2;
            for i in 0..count {
                values[i] += values[i + count];
            }
        }
        values[0]
    }
}

/// Asks for the cache line at `at`, to be read soon (into the second-level cache). Any address is allowed.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The same into the first-level cache, to be written.
#[inline(always)]
pub fn prefetch_to_write<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(at.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Code written over `Lanes`.
pub trait Work {
    type Output;
    /// # Safety
    /// Only `run_on` calls it: the processor has `V`'s instruction set. Mark the implementation `#[inline(always)]`.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

/// Runs `work` compiled for `isa`.
///
/// # Safety
/// The processor runs `isa` (`Isa::best` and `Isa::available` name such; `Isa::is_available` asks).
#[inline]
pub unsafe fn run_on<W: Work>(isa: Isa, work: W) -> W::Output {
    debug_assert!(isa.is_available());
    // SAFETY (all arms): the caller's promise.
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Bf16 => unsafe { on_avx512(work) },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { on_avx2(work) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { work.run::<super::lanes_neon::Neon>() },
        _ => unsafe { work.run::<super::lanes_portable::Portable>() },
    }
}

/// # Safety
/// The processor has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,f16c")]
unsafe fn on_avx512<W: Work>(work: W) -> W::Output {
    // SAFETY: the caller's promise.
    unsafe { work.run::<super::lanes_x86::Avx512>() }
}

/// # Safety
/// The processor has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn on_avx2<W: Work>(work: W) -> W::Output {
    // SAFETY: the caller's promise.
    unsafe { work.run::<super::lanes_x86::Avx2>() }
}

/// `value` rounded to bfloat16, halves to even; a NaN stays one.
#[inline]
pub fn round_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    if value.is_nan() {
        return f32::from_bits(bits & 0xffff_0000 | 0x0040_0000);
    }
    f32::from_bits(bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
}
