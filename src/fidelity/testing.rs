//! For tests: positions by a recipe that `tests/fixtures/fidelity/make.py` follows as well.

use super::{Header, Kind, Position};

/// Numbers in [0, 1): Knuth's 64-bit congruential generator, its upper 53 bits.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `n` positions in sequences of `length`: divergences with a long tail, some of them negative, that differ from sequence to sequence.
pub(crate) fn positions(seed: u64, n: usize, length: usize, scale: f64) -> Vec<Position> {
    let mut uniform = Uniform(seed);
    let mut found = Vec::new();
    for at in 0..n {
        let sequence = (at / length) as u32;
        let [a, b, c, d, e, f] = [(); 6].map(|()| uniform.next());
        let kl = -scale * (1.0 + f64::from(sequence % 5)) * (1.0 - a).ln() * b - 0.02 * scale;
        let reference_logprob = -0.2 - 3.0 * c;
        found.push(Position {
            sequence,
            kl,
            reference_logprob,
            candidate_logprob: reference_logprob + 8.0 * scale * (d - 0.5),
            reference_top: b,
            same_top: e < 0.9,
            top5: ((f * 6.0) as u8).min(5),
        });
    }
    found
}

/// The positions of a candidate that is its reference.
pub(crate) fn unchanged(positions: &[Position]) -> Vec<Position> {
    let same =
        |p: &Position| Position { kl: 0.0, candidate_logprob: p.reference_logprob, same_top: true, top5: 5, ..*p };
    positions.iter().map(same).collect()
}

/// A header for positions of a source.
pub(crate) fn header(source: &str, positions: &[Position]) -> Header {
    Header {
        format_version: 1,
        kind: Kind::Full,
        reference: "f32".into(),
        reference_spec: "5pec".into(),
        source: source.into(),
        vocabulary: 512,
        tokens_sha256: format!("tokens of {source}"),
        positions: positions.len() as u64,
        sequences: positions.last().map_or(0, |last| u64::from(last.sequence) + 1),
        window: None,
        floor: None,
        replaced: Some((36, 36)),
    }
}
