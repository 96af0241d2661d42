//! What quantising cost for other programs: CSV, unrounded.

use super::plain::Plain;
use super::quantisation::standing;
use crate::compare::quantisation::{Divergence, Quantisation, Size};
use crate::error::Result;
use crate::fidelity::Tail;

/// The divergences with the sizes of their formats, unrounded: a line for each format and source. Scores are in
/// [`comparisons_csv`](super::comparisons_csv).
///
/// # Errors
/// The table cannot be written.
pub fn quantisation_csv(found: &Quantisation) -> Result<String> {
    let rows = &found.divergences;
    let size = |row: &Divergence| found.sizes.iter().find(|size| size.format == row.format);
    let sized =
        |of: &dyn Fn(&Size) -> Option<f64>| rows.iter().map(|row| size(row).and_then(of)).collect::<Vec<Option<f64>>>();
    let numbers = |of: &dyn Fn(&Divergence) -> Option<f64>| rows.iter().map(of).collect::<Vec<Option<f64>>>();
    let counts = |of: &dyn Fn(&Divergence) -> usize| rows.iter().map(|row| Some(of(row))).collect::<Vec<_>>();
    let percentile = |tail: Tail| match tail {
        Tail::Percentile(value) => Some(value),
        Tail::MaxOf { .. } => None,
    };
    let mut table = Plain::default()
        .texts("format", rows.iter().map(|row| &row.format))
        .texts("reference", rows.iter().map(|_| &found.reference))
        .counts("stored_bytes", rows.iter().map(|row| size(row)?.stored_bytes.map(|bytes| bytes as usize)))
        .counts("memory_bytes", rows.iter().map(|row| size(row)?.memory_bytes.map(|bytes| bytes as usize)))
        .numbers("bits_per_weight", sized(&|size| size.bits_per_weight))
        .numbers("tokens_per_second", sized(&|size| size.tokens_per_second))
        .texts("source", rows.iter().map(|row| &row.source))
        .texts("kind", rows.iter().map(|row| row.kind.name()))
        .counts("positions", counts(&|row| row.summary.positions))
        .counts("sequences", counts(&|row| row.summary.sequences))
        .counts("not_finite", counts(&|row| row.summary.not_finite))
        .counts("infinite", counts(&|row| row.summary.infinite))
        .numbers("kl", numbers(&|row| Some(row.summary.kl.value)))
        .numbers("kl_stderr", numbers(&|row| row.summary.kl.stderr))
        .texts("standing", rows.iter().map(standing))
        .numbers("kl_median", numbers(&|row| Some(row.summary.median)))
        .numbers("kl_90", numbers(&|row| percentile(row.summary.p90)))
        .numbers("kl_99", numbers(&|row| percentile(row.summary.p99)))
        .numbers("kl_99_9", numbers(&|row| percentile(row.summary.p99_9)))
        .numbers("kl_max", numbers(&|row| Some(row.summary.max)))
        .numbers("worst_share", numbers(&|row| row.summary.worst.map(|worst| worst.share)))
        .numbers("floor", numbers(&|row| row.floor));
    let bins = rows.first().map_or(0, |row| row.summary.by_confidence.len());
    for at in 0..bins {
        let bin = |row: &Divergence| row.summary.by_confidence.get(at).cloned();
        table = table
            .numbers(&format!("kl_confidence_{}", at + 1), numbers(&|row| Some(bin(row)?.kl?.value)))
            .counts(&format!("positions_confidence_{}", at + 1), counts(&|row| bin(row).map_or(0, |b| b.positions)));
    }
    table
        .numbers("same_top", numbers(&|row| Some(row.summary.same_top.value)))
        .numbers("same_top_stderr", numbers(&|row| row.summary.same_top.stderr))
        .numbers("top5_recall", numbers(&|row| Some(row.summary.top5_recall.value)))
        .numbers("delta_p", numbers(&|row| Some(row.summary.shift.mean.value)))
        .numbers("delta_p_stderr", numbers(&|row| row.summary.shift.mean.stderr))
        .numbers("delta_p_rms", numbers(&|row| Some(row.summary.shift.rms)))
        .numbers("delta_p_rms_stderr", numbers(&|row| row.summary.shift.rms_stderr))
        .numbers("perplexity_reference", numbers(&|row| Some(row.summary.perplexity.reference)))
        .numbers("perplexity", numbers(&|row| Some(row.summary.perplexity.candidate)))
        .numbers("perplexity_ratio", numbers(&|row| row.summary.perplexity.ratio))
        .numbers("perplexity_ratio_stderr", numbers(&|row| row.summary.perplexity.ratio_stderr))
        .numbers("correlation", numbers(&|row| row.summary.perplexity.correlation))
        .csv()
}

#[cfg(test)]
mod tests {
    use super::super::quantisation::tests::found;
    use super::*;

    #[test]
    fn csv_is_unrounded() {
        let found = found();
        let text = quantisation_csv(&found).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert!(rows.len() == 3 && rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        let of = |name: &str| rows[2][rows[0].iter().position(|known| *known == name).unwrap()];
        assert_eq!(of("kl").parse::<f64>().unwrap(), found.divergences[1].summary.kl.value);
        assert_eq!((of("stored_bytes"), of("kl_99_9"), of("positions")), ("563", "", "1200"));
    }
}
