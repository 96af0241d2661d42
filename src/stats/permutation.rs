//! The sign-flip test of paired differences: were base and candidate exchangeable, each difference could as well have the other sign.
//!
//! `p` is the share of signs with `|Σ±d| ≥ |Σd|`, over whole clusters where there are such. All 2^m signs are tried where at most 20
//! units differ from zero; else B draws give `(1 + #)/(1 + B)`. Fisher (1935); Pitman (1937); Phipson and Smyth (2010), Statistical
//! Applications in Genetics 9. Equals `scipy.stats.permutation_test(..., permutation_type='samples')` where it is exact.
//!
//! Misleads with fewer than six units, where it cannot reach 0.05 whatever they say; and it supposes differences that are symmetric
//! about zero if there is no effect, which paired scores of two models on one document are.

use super::given::{Observations, Unfit};
use super::interval::{Caution, Scope, Test};
use super::method::Method;
use super::resample::Draws;

/// At most so many units are tried with all their signs.
const EXACT: usize = 20;

/// The two-sided test of "the mean difference is 0".
///
/// # Errors
/// When sums leave the range of numbers.
pub fn sign_flips(differences: Observations<'_>, draws: Draws) -> Result<Test, Unfit> {
    let sums: Vec<f64> = differences.totals(0.0).into_iter().map(|total| total.sum).filter(|sum| *sum != 0.0).collect();
    let scale: f64 = sums.iter().map(|sum| sum.abs()).sum();
    if !scale.is_finite() {
        return Err(Unfit::NotFinite { at: 0 });
    }
    // Sums of the same numbers in another order differ by rounding: they are ties.
    let observed = sums.iter().sum::<f64>().abs() - 1e-12 * scale;
    let (p, method) = if sums.len() <= EXACT {
        let all = (1u64 << sums.len()) as f64;
        (as_far(&sums, 0.0, observed) as f64 / all, Method::SignFlipsExact)
    } else {
        (sampled(&sums, observed, draws), Method::SignFlipsSampled)
    };
    let cautions = match differences.clusters() {
        Some(clusters) => vec![Caution::OtherClusters { clusters: clusters.count() }],
        None => Vec::new(),
    };
    Ok(Test { p, method, scope: Scope::Population, cautions })
}

/// How many of the signs of `rest` bring `sum` at least as far from 0 as `observed`.
fn as_far(rest: &[f64], sum: f64, observed: f64) -> u64 {
    match rest.split_first() {
        None => u64::from(sum.abs() >= observed),
        Some((first, rest)) => as_far(rest, sum + first, observed) + as_far(rest, sum - first, observed),
    }
}

/// The share of sampled signs that go at least as far, what was seen among them.
fn sampled(sums: &[f64], observed: f64, draws: Draws) -> f64 {
    let far = draws.map(|random, _| {
        let mut bits = 0u64;
        let mut sum = 0.0;
        for (at, value) in sums.iter().enumerate() {
            if at % 32 == 0 {
                bits = random.getrandbits(32);
            }
            sum += if bits >> (at % 32) & 1 == 1 { *value } else { -value };
        }
        sum.abs() >= observed
    });
    (1 + far.iter().filter(|far| **far).count()) as f64 / (1 + far.len()) as f64
}

#[cfg(test)]
mod tests {
    //! Expected values: `scipy.stats.permutation_test(permutation_type='samples')` of scipy 1.17.1; for sampled signs the same draws in
    //! Python.
    use super::super::given::Clusters;
    use super::super::golden::{golden, near, number, numbers, rows};
    use super::*;

    #[test]
    fn all_signs_as_scipy() {
        for row in rows(&golden("permutations")["exact"]) {
            let d = numbers(&row["d"]);
            let keys = if row["g"].is_null() { Vec::new() } else { rows(&row["g"]) };
            let clusters = Clusters::new(keys.iter().map(|key| key.as_u64()));
            let mut differences = Observations::new(&d).unwrap();
            if let Ok(clusters) = &clusters {
                differences = differences.clustered(clusters).unwrap();
            }
            let test = sign_flips(differences, Draws::USUAL).unwrap();
            near(test.p, number(&row["p"]));
            assert_eq!(test.method, Method::SignFlipsExact);
        }
    }

    #[test]
    fn sampled_signs_as_the_same_draws_in_python() {
        let golden = golden("permutations");
        let d = numbers(&golden["sampled"]["d"]);
        let test = sign_flips(Observations::new(&d).unwrap(), Draws { count: 1_500, seed: 5 }).unwrap();
        near(test.p, number(&golden["sampled"]["p"]));
        assert_eq!(test.method, Method::SignFlipsSampled);
    }

    #[test]
    fn nothing_changed() {
        assert_eq!(sign_flips(Observations::new(&[0.0; 30]).unwrap(), Draws::USUAL).unwrap().p, 1.0);
    }
}
