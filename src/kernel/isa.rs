//! Instruction sets: which one this processor runs, detected once; what a kernel is compiled for is chosen from here.
//! In: nothing. Out: an `Isa`. Never decides anything else: what a kernel does with it stands in the kernel.

use std::sync::OnceLock;

/// What the kernels are written for. A processor's best one gives its numbers; two of them may differ in the last bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// What every processor of the architecture has: four lanes, multiplication and addition rounded separately.
    Portable,
    /// 64-bit ARM: four lanes with fused multiply-add.
    Neon,
    /// x86-64 with AVX2, FMA and F16C: eight lanes.
    Avx2,
    /// x86-64 with AVX-512 F, BW, CD, DQ and VL: sixteen lanes.
    Avx512,
    /// The same and AVX-512-BF16: a dot product of bfloat16 pairs in one instruction.
    Avx512Bf16,
}

/// Variable that names an instruction set, to get the numbers of another processor.
pub const ISA_VARIABLE: &str = "FAIRMARK_ISA";

const ALL: [Isa; 5] = [Isa::Avx512Bf16, Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

impl Isa {
    /// The one that [`ISA_VARIABLE`] names, else the best of this processor; decided once.
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Isa::asked_for().ok().flatten().unwrap_or_else(Isa::detected))
    }

    /// The best of this processor.
    fn detected() -> Isa {
        ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    /// The one that [`ISA_VARIABLE`] names; `Err` with its value where this processor has none of that name.
    pub fn asked_for() -> Result<Option<Isa>, String> {
        match std::env::var(ISA_VARIABLE) {
            Ok(name) if !name.is_empty() => {
                Isa::available().into_iter().find(|isa| isa.name() == name).map(Some).ok_or(name)
            }
            _ => Ok(None),
        }
    }

    /// All that this processor runs, best first.
    pub fn available() -> Vec<Isa> {
        ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// As it is named in tables and results.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// Whether this processor runs it. Every function that takes an `Isa` checks this before it runs its code.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            Isa::Avx2 => has_avx2(),
            Isa::Avx512 => has_avx512(),
            Isa::Avx512Bf16 => has_avx512() && has_bf16(),
        }
    }

    /// Whether the processor has AVX-512-VNNI too: dot products of bytes in one instruction.
    pub fn has_vnni(self) -> bool {
        matches!(self, Isa::Avx512 | Isa::Avx512Bf16) && has_vnni()
    }
}

#[cfg(target_arch = "x86_64")]
mod detect {
    use std::arch::is_x86_feature_detected as has;

    pub fn has_avx2() -> bool {
        has!("avx2") && has!("fma") && has!("f16c")
    }

    pub fn has_avx512() -> bool {
        has_avx2() && has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl")
    }

    pub fn has_bf16() -> bool {
        has!("avx512bf16")
    }

    pub fn has_vnni() -> bool {
        has_avx512() && has!("avx512vnni")
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod detect {
    pub fn has_avx2() -> bool {
        false
    }

    pub fn has_avx512() -> bool {
        false
    }

    pub fn has_bf16() -> bool {
        false
    }

    pub fn has_vnni() -> bool {
        false
    }
}

use detect::{has_avx2, has_avx512, has_bf16, has_vnni};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_first_that_is_available_and_portable_always_is() {
        let available = Isa::available();
        assert_eq!(available[0], Isa::best());
        assert_eq!(available.last(), Some(&Isa::Portable));
    }
}
