//! The promises of `multiply`: close to the product in f64, and the same bits whatever stands around a row.

use super::buffer::Buffer;
use super::lanes::round_bf16;
use super::{Arithmetic, Codes, Grouped, Isa, Keep, PackedMatrix, Rounding, multiply_on};

/// Numbers between -1 and 1, the same each time (a linear congruential generator, Knuth's MMIX constants).
pub fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A matrix, its exact values row by row, and its name in messages.
struct Case {
    name: String,
    packed: PackedMatrix,
    values: Vec<f32>,
}

fn dense(outs: usize, ins: usize, keep: Keep, seed: u64) -> Case {
    let mut values = numbers(outs * ins, seed);
    let packed = PackedMatrix::pack(outs, ins, keep, &|rows, to| {
        to.copy_from_slice(&values[rows.start * ins..rows.end * ins]);
    });
    if keep == Keep::Bf16 {
        values.iter_mut().for_each(|value| *value = round_bf16(*value));
    }
    Case { name: format!("{keep:?} {outs}x{ins}"), packed, values }
}

pub fn grouped(outs: usize, ins: usize, group: usize, four: bool, mins: bool, rounding: Rounding) -> Grouped {
    let groups = ins.div_ceil(group);
    let seed = (outs * 31 + ins * 7 + group) as u64;
    let byte = |value: &f32| (value * 128.0).floor() as i8;
    let codes = if four {
        let mut levels = [0f32; 16];
        levels.copy_from_slice(&numbers(16, seed + 1));
        Codes::Four {
            bytes: numbers(outs * ins.div_ceil(2), seed).iter().map(|value| byte(value) as u8).collect(),
            levels,
        }
    } else {
        Codes::Eight(numbers(outs * ins, seed).iter().map(byte).collect())
    };
    let scale = if four { 1.0 } else { 1.0 / 128.0 };
    let scales = numbers(outs * groups, seed + 2).iter().map(|value| value * scale).collect();
    let mins = mins.then(|| numbers(outs * groups, seed + 3));
    Grouped::new(outs, ins, group, codes, scales, mins, rounding).unwrap()
}

fn compressed(outs: usize, ins: usize, group: usize, four: bool, mins: bool, rounding: Rounding) -> Case {
    let codes = grouped(outs, ins, group, four, mins, rounding);
    let mut values = vec![0.0; outs * ins];
    values.chunks_exact_mut(ins).enumerate().for_each(|(out, row)| codes.row(out, row));
    let name = format!("four={four} {outs}x{ins} groups of {group} mins={mins} {rounding:?}");
    Case { name, packed: PackedMatrix::grouped(&codes), values }
}

/// Every format, outputs that fill panels and that do not, inputs odd and longer than a block of depth.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (outs, ins) in [(32, 64), (1, 1), (33, 7), (95, 577), (64, 1100), (70, 1024), (70, 1536)] {
        cases.push(dense(outs, ins, Keep::F32, ins as u64));
        cases.push(dense(outs, ins, Keep::Bf16, ins as u64 + 1));
    }
    for four in [true, false] {
        cases.push(compressed(40, 577, 32, four, true, Rounding::None));
        cases.push(compressed(33, 1100, 64, four, false, Rounding::Bf16));
        cases.push(compressed(64, 70, 7, four, true, Rounding::F16));
        cases.push(compressed(31, 2048, 2048, four, false, Rounding::None));
    }
    cases
}

fn product(isa: Isa, parts: &[&PackedMatrix], arithmetic: Arithmetic, x: &[f32], m: usize) -> Vec<f32> {
    let outs = parts.iter().map(|part| part.outs()).sum();
    let mut y = vec![f32::NAN; m * outs];
    multiply_on(isa, parts, arithmetic, x, m, &mut y, outs);
    y
}

fn assert_same(got: &[f32], expected: &[f32], what: impl Fn() -> String) {
    assert_eq!(got.len(), expected.len());
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(got) == bits(expected), "{}", what());
}

const ARITHMETICS: [Arithmetic; 2] = [Arithmetic::F32, Arithmetic::Bf16];

#[test]
fn products_are_close_to_f64_and_rows_do_not_see_each_other() {
    for case in cases() {
        let (outs, ins) = (case.packed.outs(), case.packed.ins());
        let x = numbers(230 * ins, 5);
        for (isa, arithmetic) in Isa::available().into_iter().flat_map(|isa| ARITHMETICS.map(|way| (isa, way))) {
            let alone: Vec<f32> =
                x.chunks_exact(ins).flat_map(|row| product(isa, &[&case.packed], arithmetic, row, 1)).collect();
            check_bound(&case, isa, arithmetic, &x, &alone);
            for m in (1..=40).chain([97, 230]) {
                let together = product(isa, &[&case.packed], arithmetic, &x, m);
                assert_same(&together, &alone[..m * outs], || format!("{} {isa:?} {arithmetic:?} m = {m}", case.name));
                // The same rows elsewhere in x: at the end instead of the start.
                let late = product(isa, &[&case.packed], arithmetic, &x[(230 - m) * ins..], m);
                assert_same(&late, &alone[(230 - m) * outs..], || format!("{} {isa:?} late m = {m}", case.name));
            }
        }
    }
}

/// |error| <= (roundings of one chain) * 2^-24 * sum |w x| (Higham, Accuracy and Stability, 3.1; one more for the
/// separate multiplication of the portable form).
fn check_bound(case: &Case, isa: Isa, arithmetic: Arithmetic, x: &[f32], y: &[f32]) {
    let (outs, ins) = (case.packed.outs(), case.packed.ins());
    let rounded = |value: f32| if arithmetic == Arithmetic::Bf16 { round_bf16(value) } else { value };
    let roundings = (ins.min(768) + ins.div_ceil(768) + 3) as f64;
    for (row, y) in x.chunks_exact(ins).zip(y.chunks_exact(outs)).step_by(17) {
        for (w, &got) in case.values.chunks_exact(ins).zip(y) {
            let products = w.iter().zip(row).map(|(&w, &x)| f64::from(w) * f64::from(rounded(x)));
            let (sum, size) = products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()));
            let error = (f64::from(got) - sum).abs();
            let bound = roundings * 2f64.powi(-24) * size + 1e-30;
            assert!(
                error <= bound,
                "{} {isa:?} {arithmetic:?}: {got} is {error:e} from {sum}, bound {bound:e}",
                case.name
            );
        }
    }
}

#[test]
fn threads_do_not_change_bits() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let pools = [pool(1), pool(2), pool(3), pool(7)];
    for case in cases() {
        let x = numbers(300 * case.packed.ins(), 6);
        for (isa, arithmetic) in Isa::available().into_iter().flat_map(|isa| ARITHMETICS.map(|way| (isa, way))) {
            for m in [1, 13, 300] {
                let by = |i: usize| pools[i].install(|| product(isa, &[&case.packed], arithmetic, &x, m));
                let alone = by(0);
                for i in 1..pools.len() {
                    assert_same(&by(i), &alone, || format!("{} {isa:?} {arithmetic:?} m = {m}", case.name));
                }
            }
        }
    }
}

#[test]
fn parts_are_what_they_are_alone_and_nothing_else_is_written() {
    let ins = 577;
    let parts = [
        dense(40, ins, Keep::F32, 1),
        dense(95, ins, Keep::Bf16, 2),
        compressed(33, ins, 32, true, true, Rounding::None),
        compressed(64, ins, 64, false, false, Rounding::Bf16),
    ];
    let packed: Vec<&PackedMatrix> = parts.iter().map(|part| &part.packed).collect();
    let (outs, stride) = (40 + 95 + 33 + 64, 250);
    for (isa, arithmetic) in Isa::available().into_iter().flat_map(|isa| ARITHMETICS.map(|way| (isa, way))) {
        for m in [1, 4, 5, 29, 150] {
            let x = numbers(m * ins, 7);
            let mut y = vec![7.0; (m - 1) * stride + outs];
            multiply_on(isa, &packed, arithmetic, &x, m, &mut y, stride);
            let alone: Vec<Vec<f32>> = packed.iter().map(|part| product(isa, &[part], arithmetic, &x, m)).collect();
            for (r, row) in y.chunks(stride).enumerate() {
                let expected: Vec<f32> = packed
                    .iter()
                    .zip(&alone)
                    .flat_map(|(part, y)| y[r * part.outs()..(r + 1) * part.outs()].iter().copied())
                    .collect();
                assert_same(&row[..outs], &expected, || format!("{isa:?} {arithmetic:?} m = {m}"));
                assert!(row[outs..].iter().all(|&value| value == 7.0));
            }
        }
    }
}

#[test]
fn widened_panels_are_the_rows_exactly() {
    for isa in Isa::available() {
        for case in cases() {
            let (outs, ins) = (case.packed.outs(), case.packed.ins());
            for (start, end) in [(0, ins), (0, ins / 2), (ins / 4 * 2, ins), (ins / 4 * 2, (ins / 4 * 2 + 9).min(ins))]
            {
                for panel in 0..outs.div_ceil(32) {
                    let mut values = Buffer::<f32>::new((end - start) * 32);
                    case.packed.widen(isa, panel, start..end, &mut values);
                    for (i, line) in values.chunks_exact(32).enumerate() {
                        for (j, value) in line.iter().enumerate().take(outs - panel * 32) {
                            let expected = case.values[(panel * 32 + j) * ins + start + i];
                            assert_eq!(value.to_bits(), expected.to_bits(), "{} {isa:?}", case.name);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn not_a_number_stays_in_its_row() {
    let case = dense(64, 40, Keep::F32, 3);
    let mut x = numbers(5 * 40, 4);
    x[2 * 40 + 7] = f32::NAN;
    for (isa, arithmetic) in Isa::available().into_iter().flat_map(|isa| ARITHMETICS.map(|way| (isa, way))) {
        let y = product(isa, &[&case.packed], arithmetic, &x, 5);
        for (r, row) in y.chunks_exact(64).enumerate() {
            assert!(row.iter().all(|value| value.is_nan() == (r == 2)), "{isa:?} {arithmetic:?} row {r}");
        }
    }
}

#[test]
fn empty_products_are_empty_or_zero() {
    let empty = PackedMatrix::pack(3, 0, Keep::F32, &|_, _| ());
    assert_eq!(product(Isa::best(), &[&empty], Arithmetic::F32, &[], 2), [0.0; 6]);
    let none = PackedMatrix::pack(0, 5, Keep::Bf16, &|_, _| ());
    assert!(product(Isa::best(), &[&none], Arithmetic::F32, &[0.0; 10], 2).is_empty());
    multiply_on(Isa::best(), &[], Arithmetic::F32, &[], 0, &mut [], 0);
}

#[test]
fn a_grouped_matrix_of_wrong_lengths_is_refused() {
    let eight = |len| Codes::Eight(vec![0; len]);
    let make = |outs, ins, group, codes, scales| {
        Grouped::new(outs, ins, group, codes, vec![1.0; scales], None, Rounding::None).map(|_| ())
    };
    assert_eq!(make(2, 5, 4, eight(10), 4), Ok(()));
    assert!(make(2, 5, 0, eight(10), 4).unwrap_err().contains("group of 0"));
    assert!(make(2, 5, 4, eight(9), 4).unwrap_err().contains("9 codes"));
    assert!(make(2, 5, 4, eight(10), 5).unwrap_err().contains("5 scales"));
    assert!(make(usize::MAX, 5, 4, eight(10), 5).unwrap_err().contains("impossible"));
    let mins = Grouped::new(2, 4, 4, eight(8), vec![1.0; 2], Some(vec![]), Rounding::None);
    assert!(mins.unwrap_err().contains("0 minima"));
}

#[test]
fn selected_rows_are_the_rows() {
    for four in [true, false] {
        let all = grouped(9, 13, 4, four, true, Rounding::None);
        let some = all.select_rows(&[8, 0, 3]);
        let (mut expected, mut got) = ([0.0; 13], [0.0; 13]);
        for (i, &row) in [8, 0, 3].iter().enumerate() {
            all.row(row, &mut expected);
            some.row(i, &mut got);
            assert_eq!(got, expected);
        }
        assert_eq!(some.outs, 3);
    }
}
