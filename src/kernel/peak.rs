//! The ceiling that the kernels are measured against: multiply-adds from registers to registers on all threads.
//! In: an arithmetic. Out: GFLOP/s. Never touches memory.

use std::time::Instant;

use rayon::prelude::*;

use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::matrix::Arithmetic;

/// GFLOP/s (a multiply-add is two) of a register-only loop: the best of many short bursts on each thread of the current
/// pool, summed.
pub fn peak(arithmetic: Arithmetic) -> f64 {
    peak_on(Isa::best(), arithmetic)
}

/// The same on a named instruction set.
///
/// # Panics
/// When the processor lacks `isa`.
pub fn peak_on(isa: Isa, arithmetic: Arithmetic) -> f64 {
    assert!(isa.is_available(), "this processor lacks {}", isa.name());
    let threads = rayon::current_num_threads();
    // Each thread's best burst: on a busy machine most bursts share their core.
    let best = |_| (0..BURSTS).map(|_| burst(isa, arithmetic)).fold(0.0, f64::max);
    (0..threads).into_par_iter().with_max_len(1).map(best).sum()
}

/// Bursts of a thread, together some tens of milliseconds.
const BURSTS: usize = 200;
/// Steps of a burst, a tenth of a millisecond: short enough to run undisturbed now and then.
const STEPS: usize = 10_000;

/// GFLOP/s of one burst.
fn burst(isa: Isa, arithmetic: Arithmetic) -> f64 {
    let start = Instant::now();
    burst_flops(isa, arithmetic) / start.elapsed().as_secs_f64() / 1e9
}

/// Floating-point operations done.
fn burst_flops(isa: Isa, arithmetic: Arithmetic) -> f64 {
    #[cfg(target_arch = "x86_64")]
    match arithmetic {
        // SAFETY (both): the instruction set was asked for.
        Arithmetic::Bf16 if isa == Isa::Avx512Bf16 => return unsafe { dot_burst() },
        Arithmetic::Int8 if isa.has_vnni() => return unsafe { byte_burst() },
        _ => {}
    }
    let _ = arithmetic;
    match isa {
        // SAFETY: `peak_on` checked the instruction set.
        Isa::Avx512 | Isa::Avx512Bf16 | Isa::Neon => unsafe { run_on(isa, Burst::<24>) },
        Isa::Avx2 => unsafe { run_on(isa, Burst::<12>) },
        Isa::Portable => unsafe { run_on(isa, Burst::<8>) },
    }
}

/// N independent chains.
struct Burst<const N: usize>;

impl<const N: usize> Work for Burst<N> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f64 {
        // SAFETY: called in `Work::run`; no pointers.
        unsafe {
            let (mut sums, factor, step) = ([V::splat(0.5); N], V::splat(0.999), V::splat(1e-3));
            for _ in 0..STEPS {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, step);
                }
            }
            std::hint::black_box(sums.map(|sum| sum.sum()));
        }
        (2 * N * V::COUNT * STEPS) as f64
    }
}

/// # Safety
/// The processor runs `Isa::Avx512Bf16`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn dot_burst() -> f64 {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    let mut sums = [_mm512_set1_ps(0.5); 24];
    // SAFETY: both types are 64 bytes of plain data.
    let (x, y): (__m512bh, __m512bh) = unsafe {
        [0x3c00_3c00, 0x3c00_3c01].map(|pair| transmute::<__m512i, __m512bh>(_mm512_set1_epi32(pair))).into()
    };
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, x, y);
        }
    }
    std::hint::black_box(sums.map(|sum| _mm512_reduce_add_ps(sum)));
    (4 * 24 * 16 * STEPS) as f64
}

/// # Safety
/// The processor has AVX-512-VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn byte_burst() -> f64 {
    use std::arch::x86_64::*;

    let mut sums = [_mm512_set1_epi32(1); 24];
    let (x, y) = std::hint::black_box((_mm512_set1_epi8(3), _mm512_set1_epi8(-2)));
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, x, y);
        }
    }
    std::hint::black_box(sums.map(|sum| _mm512_reduce_add_epi32(sum)));
    (8 * 24 * 16 * STEPS) as f64
}
