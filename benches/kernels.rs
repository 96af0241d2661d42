//! Rates of the CPU kernels: `cargo bench --bench kernels [-- <part of a shape's name>]`. Prints GFLOP/s of the best call
//! and its share of the register-only ceiling, which is measured in the same run. `RAYON_NUM_THREADS` sets the threads.
//!
//! A busy machine: take the shares of a run with one thread, whose best calls were not disturbed.

use std::time::{Duration, Instant};

use fairmark::kernel::{Arithmetic, Buffer, Codes, Grouped, Isa, Keep, PackedMatrix, Rounding, multiply, peak};

/// Outputs, inputs, and the row counts worth a look: projections of a Llama of 135M shape, a square one, its head.
const SHAPES: [(usize, usize, &[usize]); 6] = [
    (1536, 576, &[1, 4, 8, 13, 16, 32, 64, 512]),
    (576, 1536, &[1, 8, 13, 32, 64, 512]),
    (960, 576, &[1, 8, 64, 512]),
    (576, 576, &[8, 64, 512]),
    (2048, 2048, &[1, 8, 64, 256]),
    (49152, 576, &[1, 8, 64, 256]),
];
const FORMATS: [&str; 6] = ["f32", "bf16 widened", "bf16", "4 bit", "8 bit", "8 bit x int8"];
/// How long a cell of the table is measured.
const MEASURED: Duration = Duration::from_millis(150);

fn main() {
    // `cargo bench` adds `--bench`.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    let peaks = [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Int8].map(peak);
    println!(
        "{}, {} threads; ceilings f32 {:.0}, bf16 {:.0}, int8 {:.0} GFLOP/s",
        Isa::best().name(),
        rayon::current_num_threads(),
        peaks[0],
        peaks[1],
        peaks[2]
    );
    println!("{:>18}{}", "rows x out x in", FORMATS.map(|format| format!("{format:>18}")).concat());
    for (outs, ins, rows) in SHAPES {
        if !format!("{outs}x{ins}").contains(&wanted) {
            continue;
        }
        let matrices = matrices(outs, ins);
        for &m in rows {
            let cells = matrices.iter().map(|(matrix, arithmetic)| {
                let rate = rate(matrix, *arithmetic, m);
                format!("{:>12.0} {:>4.0}%", rate, 100.0 * rate / peaks[*arithmetic as usize])
            });
            println!("{:>18}{}", format!("{m} x {outs} x {ins}"), cells.collect::<String>());
        }
    }
}

/// In the order of `FORMATS`.
fn matrices(outs: usize, ins: usize) -> Vec<(PackedMatrix, Arithmetic)> {
    let dense = |keep| {
        PackedMatrix::pack(outs, ins, keep, &|_, values| {
            values.iter_mut().enumerate().for_each(|(i, value)| *value = (i % 251) as f32 / 125.0 - 1.0);
        })
    };
    let grouped = |codes| {
        let scales = vec![0.01; outs * ins.div_ceil(32)];
        let codes = Grouped::new(outs, ins, 32, codes, scales, None, Rounding::None).expect("lengths fit the shape");
        PackedMatrix::grouped(&codes)
    };
    let levels = std::array::from_fn(|i| i as f32 - 8.0);
    let bytes = (0..outs * ins.div_ceil(2)).map(|i| (i * 37 % 251) as u8).collect();
    let eight = || Codes::Eight((0..outs * ins).map(|i| (i * 37 % 251) as u8 as i8).collect());
    vec![
        (dense(Keep::F32), Arithmetic::F32),
        (dense(Keep::Bf16), Arithmetic::F32),
        (dense(Keep::Bf16), Arithmetic::Bf16),
        (grouped(Codes::Four { bytes, levels }), Arithmetic::F32),
        (grouped(eight()), Arithmetic::F32),
        (grouped(eight()), Arithmetic::Int8),
    ]
}

/// GFLOP/s of the best of several calls.
fn rate(matrix: &PackedMatrix, arithmetic: Arithmetic, m: usize) -> f64 {
    let (outs, ins) = (matrix.outs(), matrix.ins());
    let x: Vec<f32> = (0..m * ins).map(|i| (i % 127) as f32 / 63.0 - 1.0).collect();
    let mut y = Buffer::<f32>::new(m * outs);
    let (start, mut best, mut calls) = (Instant::now(), Duration::MAX, 0);
    while start.elapsed() < MEASURED || calls < 3 {
        let call = Instant::now();
        multiply(&[matrix], arithmetic, &x, m, &mut y, outs);
        best = best.min(call.elapsed());
        calls += 1;
    }
    2.0 * (m * outs * ins) as f64 / best.as_secs_f64() / 1e9
}
