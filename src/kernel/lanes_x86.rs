//! The AVX2 and AVX-512 forms of `Lanes`. In, out, never: as there.

use std::arch::x86_64::*;

use super::lanes::Lanes;

#[derive(Clone, Copy)]
pub struct Avx512(pub __m512);

#[derive(Clone, Copy)]
pub struct Avx2(pub __m256);

// SAFETY (whole file): the trait's callers promise the instruction set and, for pointers, COUNT readable or writable values.
#[allow(unsafe_op_in_unsafe_fn)]
impl Lanes for Avx512 {
    const COUNT: usize = 16;
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm512_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm512_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm512_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm512_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(_mm512_div_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, factor.0, addend.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(_mm512_max_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(_mm512_min_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(_mm512_sqrt_ps(self.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, power: Self) -> Self {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(power.0), _mm512_set1_epi32(127));
        Self(_mm512_mul_ps(self.0, _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))))
    }
    #[inline(always)]
    unsafe fn select_less(self, other: Self, yes: Self, no: Self) -> Self {
        Self(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0), no.0, yes.0))
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs(from: *const u32) -> (Self, Self) {
        let pairs = _mm512_loadu_si512(from.cast());
        let high = _mm512_and_si512(pairs, _mm512_set1_epi32(0xffff_0000_u32 as i32));
        (Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs))), Self(_mm512_castsi512_ps(high)))
    }
    #[inline(always)]
    unsafe fn round_bf16(self) -> Self {
        let bits = _mm512_castps_si512(self.0);
        let mask = _mm512_set1_epi32(0xffff_0000_u32 as i32);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
        let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
        Self(_mm512_castsi512_ps(_mm512_and_si512(_mm512_mask_blend_epi32(nan, rounded, quiet), mask)))
    }
    #[inline(always)]
    unsafe fn round_f16(self) -> Self {
        Self(_mm512_cvtph_ps(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0)))
    }
    #[inline(always)]
    unsafe fn signed_byte(self, byte: u32) -> Self {
        let top = _mm512_sll_epi32(_mm512_castps_si512(self.0), _mm_cvtsi32_si128(24 - 8 * byte as i32));
        Self(_mm512_cvtepi32_ps(_mm512_srai_epi32::<24>(top)))
    }
    #[inline(always)]
    unsafe fn nibble_level(self, shift: u32, levels: &[f32; 16]) -> Self {
        // vpermps reads the low four bits of each index: no mask is needed.
        let index = _mm512_srl_epi32(_mm512_castps_si512(self.0), _mm_cvtsi32_si128(shift as i32));
        Self(_mm512_permutexvar_ps(index, _mm512_loadu_ps(levels.as_ptr())))
    }
}

#[allow(unsafe_op_in_unsafe_fn)]
impl Lanes for Avx2 {
    const COUNT: usize = 8;
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm256_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm256_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm256_storeu_ps(to, self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm256_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm256_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm256_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(_mm256_div_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(_mm256_fmadd_ps(self.0, factor.0, addend.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(_mm256_max_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(_mm256_min_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(_mm256_sqrt_ps(self.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, power: Self) -> Self {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(power.0), _mm256_set1_epi32(127));
        Self(_mm256_mul_ps(self.0, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))))
    }
    #[inline(always)]
    unsafe fn select_less(self, other: Self, yes: Self, no: Self) -> Self {
        Self(_mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0)))
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs(from: *const u32) -> (Self, Self) {
        let pairs = _mm256_loadu_si256(from.cast());
        let high = _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff_0000_u32 as i32));
        (Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs))), Self(_mm256_castsi256_ps(high)))
    }
    #[inline(always)]
    unsafe fn round_bf16(self) -> Self {
        let bits = _mm256_castps_si256(self.0);
        let mask = _mm256_set1_epi32(0xffff_0000_u32 as i32);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
        let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0);
        let chosen = _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
        Self(_mm256_and_ps(chosen, _mm256_castsi256_ps(mask)))
    }
    #[inline(always)]
    unsafe fn round_f16(self) -> Self {
        Self(_mm256_cvtph_ps(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0)))
    }
    #[inline(always)]
    unsafe fn signed_byte(self, byte: u32) -> Self {
        let top = _mm256_sll_epi32(_mm256_castps_si256(self.0), _mm_cvtsi32_si128(24 - 8 * byte as i32));
        Self(_mm256_cvtepi32_ps(_mm256_srai_epi32::<24>(top)))
    }
    #[inline(always)]
    unsafe fn nibble_level(self, shift: u32, levels: &[f32; 16]) -> Self {
        let index = _mm256_srl_epi32(_mm256_castps_si256(self.0), _mm_cvtsi32_si128(shift as i32));
        let below_eight = _mm256_permutevar8x32_ps(_mm256_loadu_ps(levels.as_ptr()), index);
        let from_eight = _mm256_permutevar8x32_ps(_mm256_loadu_ps(levels.as_ptr().add(8)), index);
        // Bit 3 of the nibble moved to the sign, which blendv chooses by.
        Self(_mm256_blendv_ps(below_eight, from_eight, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index))))
    }
}
