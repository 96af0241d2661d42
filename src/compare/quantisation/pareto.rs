//! Formats that nobody needs: another one is smaller as stored, and nearer to the reference beyond noise.
//!
//! Nearness is the KL at the same positions, paired by sequence: CR1's t test of the differences from 30 sequences on, sign flips of whole
//! sequences below. All pairs of formats of which one is smaller are tested; Holm over them. Nearer to the reference is not better on a task.

use super::measured::Column;
use super::size::Size;
use crate::fidelity::Total;
use crate::stats::{Caution, Correction, Draws, Observations, Test, Unfit, sign_flips, student_test};
use serde::Serialize;

/// Error rate of all tests together.
const ALPHA: f64 = 0.05;

/// A format that is larger than another and farther from the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dominated {
    pub format: String,
    /// The one that is smaller and nearer.
    pub by: String,
    /// How much nearer, in KL: positive.
    pub nearer: f64,
    /// Of the paired test, by Holm.
    pub p: f64,
    pub sequences: usize,
    pub bytes: u64,
    pub bytes_of_other: u64,
    /// Whether the other one also answered more tokens a second; speed is measured once, without an error.
    pub faster: Option<bool>,
}

/// By format: the nearest of those that dominate it.
pub(super) fn dominated(sizes: &[Size], columns: &[Column], reference: &str) -> Vec<Dominated> {
    let mut tested = Vec::new();
    let of = |label: &str| sizes.iter().find(|size| size.format == label);
    for large in columns.iter().filter(|column| column.label != reference) {
        for small in columns.iter().filter(|column| column.label != reference) {
            let (Some(size), Some(smaller)) = (of(&large.label), of(&small.label)) else { continue };
            let Some((bytes, bytes_of_other)) = size.stored_bytes.zip(smaller.stored_bytes) else { continue };
            let Some((difference, test)) = gained(large, small).filter(|_| bytes_of_other < bytes) else { continue };
            let speeds = smaller.tokens_per_second.zip(size.tokens_per_second);
            tested.push(Dominated {
                format: large.label.clone(),
                by: small.label.clone(),
                nearer: difference,
                p: test.p,
                sequences: small.totals.as_ref().map_or(0, |(_, totals)| totals.len()),
                bytes,
                bytes_of_other,
                faster: speeds.map(|(ours, theirs)| ours > theirs),
            });
        }
    }
    let ps: Vec<f64> = tested.iter().map(|pair| pair.p).collect();
    let Ok(adjusted) = Correction::Holm.adjust(&ps) else { return Vec::new() };
    tested.iter_mut().zip(adjusted).for_each(|(pair, p)| pair.p = p);
    let mut found: Vec<Dominated> = Vec::new();
    for pair in tested.into_iter().filter(|pair| pair.nearer > 0.0 && pair.p <= ALPHA) {
        match found.iter_mut().find(|known| known.format == pair.format) {
            Some(known) if known.nearer < pair.nearer => *known = pair,
            Some(_) => {}
            None => found.push(pair),
        }
    }
    found
}

/// How much nearer the second is to the reference than the first, with the test of no difference. `None` unless both have the same
/// positions, all of them finite.
fn gained(first: &Column, second: &Column) -> Option<(f64, Test)> {
    let ((tokens, of_first), (others, of_second)) = (first.totals.as_ref()?, second.totals.as_ref()?);
    let pairs = || of_first.iter().zip(of_second);
    let same = tokens == others
        && of_first.len() == of_second.len()
        && pairs().all(|(a, b)| a.positions == b.positions)
        && first.first()?.kind == second.first()?.kind;
    same.then(|| paired(of_first, of_second).ok()).flatten()
}

/// The weighted mean of the differences by sequence is the mean over positions, and so is its clustered error.
pub(super) fn paired(first: &[Total], second: &[Total]) -> Result<(f64, Test), Unfit> {
    let weights: Vec<f64> = first.iter().map(|total| total.positions as f64).collect();
    let pairs = first.iter().zip(second);
    let differences: Vec<f64> = pairs.map(|(a, b)| (a.kl - b.kl) / a.positions as f64).collect();
    let observations = Observations::new(&differences)?.weighted(&weights)?;
    let test = match differences.len() < Caution::CLUSTERS {
        true => sign_flips(observations, Draws::USUAL)?,
        false => student_test(observations)?,
    };
    Ok((observations.mean()?, test))
}
