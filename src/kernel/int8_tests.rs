//! `Arithmetic::Int8` is its scalar definition, bit for bit, on every instruction set and for any number of rows.

use super::multiply_tests::{grouped, numbers};
use super::{Arithmetic, Codes, Grouped, Isa, Keep, PackedMatrix, Rounding, multiply_on};

/// The formula in `int8`'s opening, one output of one row.
fn defined(row: &[f32], codes: &Grouped, out: usize) -> f32 {
    let mut sum = 0f32;
    for (block, x) in row.chunks(32).enumerate() {
        let greatest = x.iter().fold(0f32, |most, value| most.max(value.abs()));
        let (step, inverse) = (greatest / 127.0, if greatest >= 1e-30 { 127.0 / greatest } else { 0.0 });
        let q: Vec<i32> = x.iter().map(|value| (value * inverse).round_ties_even() as i32).collect();
        let level = |k: usize| match &codes.codes {
            Codes::Four { bytes, levels } => {
                levels[(bytes[out * codes.ins.div_ceil(2) + k / 2] >> (4 * (k % 2)) & 15) as usize] as i32
            }
            Codes::Eight(codes_of) => i32::from(codes_of[out * codes.ins + k]),
        };
        let group = out * codes.groups() + block * 32 / codes.group;
        let whole: i32 = q.iter().enumerate().map(|(i, q)| q * level(block * 32 + i)).sum();
        sum += whole as f32 * (codes.scales[group] * step);
        if let Some(mins) = &codes.mins {
            sum += mins[group] * (step * q.iter().sum::<i32>() as f32);
        }
    }
    sum
}

fn cases() -> Vec<Grouped> {
    let mut cases = Vec::new();
    for (four, mins) in [(true, true), (true, false), (false, true), (false, false)] {
        for (outs, ins, group) in [(40, 64, 32), (33, 577, 64), (64, 1100, 1100), (31, 1541, 128), (5, 7, 32)] {
            let mut codes = grouped(outs, ins, group, four, mins, Rounding::None);
            if let Codes::Four { levels, .. } = &mut codes.codes {
                *levels = std::array::from_fn(|i| i as f32 - 8.0);
            }
            cases.push(codes);
        }
    }
    cases
}

#[test]
fn it_is_its_definition_for_any_rows_on_every_instruction_set() {
    for codes in cases() {
        let (outs, ins, packed) = (codes.outs, codes.ins, PackedMatrix::grouped(&codes));
        assert!(packed.takes_bytes());
        let mut x = numbers(45 * ins, 11);
        x[..ins.min(40)].fill(0.0);
        let expected: Vec<u32> = x
            .chunks_exact(ins)
            .flat_map(|row| (0..outs).map(|out| defined(row, &codes, out).to_bits()).collect::<Vec<_>>())
            .collect();
        for isa in Isa::available() {
            for m in (1..=14).chain([25, 45]) {
                let mut y = vec![f32::NAN; m * outs];
                multiply_on(isa, &[&packed], Arithmetic::Int8, &x, m, &mut y, outs);
                let got: Vec<u32> = y.iter().map(|value| value.to_bits()).collect();
                assert!(got == expected[..m * outs], "{isa:?} m = {m} {outs}x{ins} groups of {}", codes.group);
            }
        }
    }
}

#[test]
fn it_is_near_the_exact_product() {
    for codes in cases() {
        let (outs, ins, packed) = (codes.outs, codes.ins, PackedMatrix::grouped(&codes));
        let x = numbers(3 * ins, 12);
        let (mut rounded, mut exact) = (vec![0.0; 3 * outs], vec![0.0; 3 * outs]);
        multiply_on(Isa::best(), &[&packed], Arithmetic::Int8, &x, 3, &mut rounded, outs);
        multiply_on(Isa::best(), &[&packed], Arithmetic::F32, &x, 3, &mut exact, outs);
        let mut row = vec![0.0; ins];
        for out in 0..outs {
            codes.row(out, &mut row);
            // Half a step is at most 1 / 254 of the greatest input, 1 here.
            let bound = row.iter().map(|w| w.abs()).sum::<f32>() / 254.0 * 1.01 + 1e-5;
            for r in 0..3 {
                let error = (rounded[r * outs + out] - exact[r * outs + out]).abs();
                assert!(error <= bound, "{error} over {bound}");
            }
        }
    }
}

#[test]
fn other_matrices_are_multiplied_in_f32() {
    let values = numbers(40 * 70, 13);
    let fill =
        |rows: std::ops::Range<usize>, to: &mut [f32]| to.copy_from_slice(&values[rows.start * 70..rows.end * 70]);
    let dense = PackedMatrix::pack(40, 70, Keep::F32, &fill);
    let fractions = PackedMatrix::grouped(&grouped(33, 70, 32, true, true, Rounding::None));
    let short = PackedMatrix::grouped(&grouped(31, 70, 7, false, true, Rounding::None));
    let bytes = PackedMatrix::grouped(&grouped(12, 70, 32, false, true, Rounding::None));
    assert!(!dense.takes_bytes() && !fractions.takes_bytes() && !short.takes_bytes() && bytes.takes_bytes());
    let x = numbers(9 * 70, 14);
    let product = |parts: &[&PackedMatrix], arithmetic| {
        let outs = parts.iter().map(|part| part.outs()).sum();
        let mut y = vec![0.0; 9 * outs];
        multiply_on(Isa::best(), parts, arithmetic, &x, 9, &mut y, outs);
        y.chunks_exact(outs).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let together = product(&[&dense, &fractions, &bytes, &short], Arithmetic::Int8);
    let parts = [
        (&dense, Arithmetic::F32),
        (&fractions, Arithmetic::F32),
        (&bytes, Arithmetic::Int8),
        (&short, Arithmetic::F32),
    ];
    let alone = parts.map(|(part, arithmetic)| product(&[part], arithmetic));
    for (r, row) in together.iter().enumerate() {
        assert_eq!(*row, alone.iter().flat_map(|y| y[r].clone()).collect::<Vec<_>>());
    }
}

#[test]
fn not_a_number_stays_visible() {
    let packed = PackedMatrix::grouped(&grouped(32, 96, 32, false, false, Rounding::None));
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = numbers(2 * 96, 15);
        x[100] = bad;
        for isa in Isa::available() {
            let mut y = vec![0.0; 64];
            multiply_on(isa, &[&packed], Arithmetic::Int8, &x, 2, &mut y, 32);
            assert!(y[..32].iter().all(|value| value.is_finite()));
            assert!(y[32..].iter().all(|value| !value.is_finite()), "{isa:?} {bad}");
        }
    }
}
