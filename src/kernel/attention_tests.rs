//! The promises of `attention`: close to the softmax in f64, and the same bits for a query whatever stands around it.

use std::ops::Range;

use super::lanes::round_bf16;
use super::multiply_tests::numbers;
use super::{AttentionSpec, Isa, KvBlock, KvFormat, KvShape, Stretch, attention_on};

/// A sequence's queries, keys and values, `[len][heads][dim]` each.
struct Case {
    spec: AttentionSpec,
    format: KvFormat,
    len: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Case {
    fn new(heads: usize, kv_heads: usize, head_dim: usize, value_dim: usize, len: usize, format: KvFormat) -> Case {
        let kv = KvShape { kv_heads, head_dim, value_dim };
        let spec = AttentionSpec { heads, kv, scale: (head_dim as f32).powf(-0.5), softcap: None, window: None };
        let spread = |values: Vec<f32>| values.iter().map(|value| value * 4.0).collect();
        let q = spread(numbers(len * heads * head_dim, 1));
        let k = spread(numbers(len * kv_heads * head_dim, 2));
        Case { spec, format, len, q, k, v: numbers(len * kv_heads * value_dim, 3) }
    }

    fn name(&self) -> String {
        format!("{:?} {:?} of {}", self.spec, self.format, self.len)
    }

    /// Keys and values of these positions, appended a few at a time.
    fn block(&self, positions: Range<usize>, capacity: usize, at_once: usize) -> KvBlock {
        let KvShape { kv_heads, head_dim, value_dim } = self.spec.kv;
        let (k_width, v_width) = (kv_heads * head_dim, kv_heads * value_dim);
        let mut block = KvBlock::new(self.spec.kv, self.format, capacity);
        for first in positions.clone().step_by(at_once) {
            let rows = at_once.min(positions.end - first);
            block.append(&self.k[first * k_width..], k_width, &self.v[first * v_width..], v_width, rows);
        }
        assert_eq!(block.len(), positions.len());
        block
    }

    /// The last `rows` of the sequence's first `len` positions, which are cut at `cuts`, the last block's being `own`.
    fn run(&self, isa: Isa, len: usize, cuts: &[usize], rows: usize) -> Vec<f32> {
        self.run_all(isa, &[(len, cuts.to_vec(), rows)]).swap_remove(0)
    }

    /// The same for several stretches in one call.
    fn run_all(&self, isa: Isa, parts: &[(usize, Vec<usize>, usize)]) -> Vec<Vec<f32>> {
        let AttentionSpec { heads, kv, .. } = self.spec;
        // Rows with something behind them, which stays.
        let (q_stride, out_stride) = (heads * kv.head_dim + 3, heads * kv.value_dim + 5);
        let total: usize = parts.iter().map(|(_, _, rows)| rows).sum();
        let (mut q, mut out) = (vec![f32::NAN; total * q_stride], vec![7.0; total * out_stride]);
        let mut blocks = Vec::new();
        let mut first_row = 0;
        for (len, cuts, rows) in parts {
            let edges: Vec<usize> = [0].iter().chain(cuts).chain([len]).copied().collect();
            let made: Vec<KvBlock> = edges
                .windows(2)
                .enumerate()
                .map(|(i, edge)| {
                    self.block(edge[0]..edge[1], [edge[1] - edge[0], 1, 40][i % 3], [1000, 7, 1][(i + rows) % 3])
                })
                .collect();
            blocks.push(made);
            for row in 0..*rows {
                let from = &self.q[(len - rows + row) * heads * kv.head_dim..][..heads * kv.head_dim];
                q[(first_row + row) * q_stride..][..heads * kv.head_dim].copy_from_slice(from);
            }
            first_row += rows;
        }
        let mut first_row = 0;
        let mut stretches = Vec::new();
        for ((_, _, rows), blocks) in parts.iter().zip(&blocks) {
            let (own, past) = blocks.split_last().unwrap();
            stretches.push(Stretch { first_row, rows: *rows, past: past.iter().collect(), own });
            first_row += rows;
        }
        attention_on(isa, &self.spec, &stretches, &q, q_stride, &mut out, out_stride);
        assert!(out.chunks(out_stride).all(|row| row[heads * kv.value_dim..] == [7.0; 5]), "written beyond a row");
        let rows: Vec<f32> = out.chunks(out_stride).flat_map(|row| &row[..heads * kv.value_dim]).copied().collect();
        let mut at = 0;
        let mut cut = Vec::new();
        for (_, _, count) in parts {
            cut.push(rows[at..at + count * heads * kv.value_dim].to_vec());
            at += count * heads * kv.value_dim;
        }
        cut
    }

    /// All rows in one stretch of one block.
    fn whole(&self, isa: Isa) -> Vec<f32> {
        self.run(isa, self.len, &[], self.len)
    }

    fn width(&self) -> usize {
        self.spec.heads * self.spec.kv.value_dim
    }

    /// The definition in f64, with keys, values and queries as the format has them.
    fn oracle(&self, position: usize) -> Vec<f64> {
        let AttentionSpec { heads, kv, scale, softcap, window } = self.spec;
        let kept = |value: f32| f64::from(if self.format == KvFormat::Bf16 { round_bf16(value) } else { value });
        let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
        let mut out = Vec::new();
        for head in 0..heads {
            let kv_head = head / (heads / kv.kv_heads);
            let q = &self.q[(position * heads + head) * kv.head_dim..][..kv.head_dim];
            let scores: Vec<f64> = (first..=position)
                .map(|key| {
                    let k = &self.k[(key * kv.kv_heads + kv_head) * kv.head_dim..][..kv.head_dim];
                    let score = q.iter().zip(k).map(|(q, k)| kept(*q) * kept(*k)).sum::<f64>() * f64::from(scale);
                    softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
                })
                .collect();
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
            let sum: f64 = shares.iter().sum();
            for channel in 0..kv.value_dim {
                let value = |key: usize| kept(self.v[(key * kv.kv_heads + kv_head) * kv.value_dim + channel]);
                out.push((first..=position).zip(&shares).map(|(key, share)| share * value(key)).sum::<f64>() / sum);
            }
        }
        out
    }
}

fn assert_same(got: &[f32], expected: &[f32], what: impl Fn() -> String) {
    assert_eq!(got.len(), expected.len());
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(got) == bits(expected), "{}", what());
}

/// Every form: grouped heads, widths that fill vectors and that do not, windows, caps, both formats.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for format in [KvFormat::F32, KvFormat::Bf16] {
        for (heads, kv_heads, dim, len) in
            [(9, 3, 64, 131), (4, 4, 16, 77), (4, 1, 8, 150), (2, 1, 80, 70), (2, 2, 96, 50), (3, 1, 128, 67)]
        {
            cases.push(Case::new(heads, kv_heads, dim, dim, len, format));
        }
        let mut windowed = Case::new(4, 2, 16, 16, 230, format);
        windowed.spec.window = Some(37);
        let mut capped = Case::new(2, 1, 256, 256, 45, format);
        capped.spec.softcap = Some(3.0);
        let mut both = Case::new(6, 2, 24, 40, 300, format);
        both.spec = AttentionSpec { window: Some(128), softcap: Some(20.0), scale: 0.3, ..both.spec };
        let mut narrow = Case::new(2, 2, 7, 5, 90, format);
        narrow.spec.window = Some(1);
        // More heads to a key-value head than a tile has rows.
        cases.extend([windowed, capped, both, narrow, Case::new(29, 1, 16, 16, 40, format)]);
    }
    cases
}

/// Numbers below `bound`, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// A sequence's length, its cuts, its rows.
    fn part(&mut self, longest: usize) -> (usize, Vec<usize>, usize) {
        let len = 1 + self.below(longest);
        let mut cuts: Vec<usize> = (0..self.below(5)).map(|_| self.below(len)).collect();
        cuts.sort_unstable();
        let own = len - cuts.last().copied().unwrap_or(0);
        let rows = if self.below(2) == 0 { 1 } else { 1 + self.below(own) };
        (len, cuts, rows)
    }
}

#[test]
fn shares_are_those_of_the_softmax_in_f64() {
    for case in cases() {
        for isa in Isa::available() {
            let whole = case.whole(isa);
            // bfloat16 shares are off by 2^-9 each, of either sign; values are below 1.
            let tolerance = if case.format == KvFormat::F32 { 1e-5 } else { 4e-3 };
            for (position, got) in whole.chunks(case.width()).enumerate() {
                for (got, expected) in got.iter().zip(case.oracle(position)) {
                    let off = (f64::from(*got) - expected).abs();
                    assert!(off < tolerance, "{} {isa:?} at {position}: {got} {expected}", case.name());
                }
            }
        }
    }
}

#[test]
fn a_query_has_the_same_bits_however_its_sequence_is_cut_and_packed() {
    let mut dice = Dice(5);
    for case in cases() {
        for isa in Isa::available() {
            let whole = case.whole(isa);
            let check = |(len, cuts, rows): &(usize, Vec<usize>, usize), got: &[f32]| {
                let expected = &whole[(len - rows) * case.width()..len * case.width()];
                assert_same(got, expected, || format!("{} {isa:?}: {rows} rows of {len} cut at {cuts:?}", case.name()));
            };
            for _ in 0..6 {
                let part = dice.part(case.len);
                check(&part, &case.run(isa, part.0, &part.1, part.2));
            }
            let parts: Vec<_> = (0..7).map(|_| dice.part(case.len)).collect();
            for (part, got) in parts.iter().zip(case.run_all(isa, &parts)) {
                check(part, &got);
            }
        }
    }
}

#[test]
fn threads_do_not_change_bits() {
    for format in [KvFormat::F32, KvFormat::Bf16] {
        let case = Case::new(9, 3, 64, 64, 400, format);
        for isa in Isa::available() {
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| case.whole(isa))
            };
            let one = with(1);
            assert_same(&with(3), &one, || format!("{format:?} {isa:?}"));
        }
    }
}

#[test]
fn what_a_query_does_not_see_cannot_touch_it() {
    for mut case in cases() {
        let kv = case.spec.kv;
        for isa in Isa::available() {
            let clean = case.whole(isa);
            let cuts = [case.len / 3, case.len / 2 + 1];
            let (k, v) = (case.k.clone(), case.v.clone());
            for (position, poison) in
                [(case.len / 4, f32::NAN), (case.len / 2, f32::INFINITY), (case.len - 2, f32::NEG_INFINITY)]
            {
                case.k[position * kv.kv_heads * kv.head_dim..][..kv.kv_heads * kv.head_dim].fill(poison);
                case.v[position * kv.kv_heads * kv.value_dim..][..kv.kv_heads * kv.value_dim].fill(poison);
                let window = case.spec.window.unwrap_or(usize::MAX);
                let rows = case.len - cuts[1];
                let dirty = [(case.whole(isa), 0), (case.run(isa, case.len, &cuts, rows), cuts[1])];
                for (dirty, first) in dirty {
                    for (row, got) in dirty.chunks(case.width()).enumerate() {
                        let at = first + row;
                        if at < position || at - position >= window {
                            let expected = &clean[at * case.width()..][..case.width()];
                            assert_same(got, expected, || format!("{} {isa:?}: {at} by {position}", case.name()));
                        } else if poison.is_nan() {
                            assert!(got.iter().all(|value| value.is_nan()), "{} {isa:?}: {at} hides it", case.name());
                        }
                    }
                }
                (case.k, case.v) = (k.clone(), v.clone());
            }
        }
    }
}

#[test]
fn a_block_takes_the_bytes_it_says_and_grows() {
    let shape = KvShape { kv_heads: 3, head_dim: 64, value_dim: 80 };
    for (format, bytes) in [(KvFormat::F32, 4), (KvFormat::Bf16, 2)] {
        let mut block = KvBlock::new(shape, format, 100);
        assert_eq!(block.bytes(), KvBlock::bytes_of(shape, format, 100));
        assert_eq!(block.bytes(), 3 * 128 * (64 + 80) * bytes);
        let (k, v) = (vec![1.0; 500 * 3 * 64], vec![1.0; 500 * 3 * 80]);
        block.append(&k, 3 * 64, &v, 3 * 80, 0);
        assert!(block.is_empty());
        block.append(&k, 3 * 64, &v, 3 * 80, 500);
        assert_eq!(block.len(), 500);
        assert_eq!(block.parts().map(|part| part.len).collect::<Vec<_>>(), [128, 372]);
    }
}
