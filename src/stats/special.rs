//! Distributions: normal, Student, beta, binomial. Tails and quantiles, on the error and gamma functions of `statrs`.

use statrs::function::{erf, gamma};

use super::incomplete_beta::incomplete_beta;

/// `P(Z ≤ x)` of the standard normal.
pub(super) fn normal_cdf(x: f64) -> f64 {
    0.5 * erf::erfc(-x / std::f64::consts::SQRT_2)
}

/// The `p` quantile of the standard normal: -∞ at 0, +∞ at 1.
pub(super) fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erf::erfc_inv(2.0 * p)
}

/// `P(X ≤ x)` of Beta(a, b), for positive `a` and `b`.
pub(super) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    incomplete_beta(x, a, b)
}

/// The `p` quantile of Beta(a, b).
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    root(|x| beta_cdf(x, a, b) - p, 0.0, 1.0)
}

/// `P(T > t)` of Student's distribution with `freedom` degrees of freedom.
pub(super) fn student_tail(t: f64, freedom: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - student_tail(-t, freedom);
    }
    if t.is_infinite() {
        return 0.0;
    }
    let square = t * t;
    // Near the middle from the middle, far out from the end: each keeps its digits where the other loses them.
    let middle = beta_cdf(square / (freedom + square), 0.5, freedom / 2.0);
    if middle < 0.999 { (1.0 - middle) / 2.0 } else { beta_cdf(freedom / (freedom + square), freedom / 2.0, 0.5) / 2.0 }
}

/// The `t` with `P(T > t) = tail`, for a tail below 1/2.
///
/// Newton's steps from the first terms of Fisher and Cornish's expansion (1960), which are near from three degrees of freedom on.
pub(super) fn student_deviate(tail: f64, freedom: f64) -> f64 {
    if freedom < 3.0 {
        let share = beta_quantile(1.0 - 2.0 * tail, 0.5, freedom / 2.0);
        return (freedom * share / (1.0 - share)).sqrt();
    }
    let z = -normal_quantile(tail);
    let square = z * z;
    let first = z * (square + 1.0) / (4.0 * freedom);
    let second = z * (5.0 * square * square + 16.0 * square + 3.0) / (96.0 * freedom * freedom);
    let mut t = z + first + second;
    let half = freedom / 2.0;
    let log_scale = ln_gamma(half + 0.5) - ln_gamma(half) - 0.5 * (freedom * std::f64::consts::PI).ln();
    for _ in 0..40 {
        let density = (log_scale - (half + 0.5) * (t * t / freedom).ln_1p()).exp();
        // The tail is convex: a step from too small a t never passes the root, one from too large a t is cut at half of t.
        let next = (t + (student_tail(t, freedom) - tail) / density).max(t / 2.0);
        let done = (next - t).abs() <= 4.0 * f64::EPSILON * t;
        t = next;
        if done {
            break;
        }
    }
    t
}

/// `P(X ≤ k)` of a binomial with `n` trials and probability `p`.
pub(super) fn binomial_cdf(k: usize, n: usize, p: f64) -> f64 {
    if k >= n { 1.0 } else { beta_cdf(1.0 - p, (n - k) as f64, k as f64 + 1.0) }
}

/// `P(X = k)` of a binomial with `n` trials and probability 1/2.
pub(super) fn fair_mass(k: usize, n: usize) -> f64 {
    if k > n { 0.0 } else { (ln_choose(n, k) - n as f64 * std::f64::consts::LN_2).exp() }
}

fn ln_choose(n: usize, k: usize) -> f64 {
    let ln_factorial = |n: usize| gamma::ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// `ln Γ(x)` for positive `x`.
pub(super) fn ln_gamma(x: f64) -> f64 {
    gamma::ln_gamma(x)
}

/// Where `f` changes its sign between `low` and `high`, to the last digits; an end where it does not.
///
/// Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without using
/// derivatives" (1997): inverse quadratic interpolation where it is safe, halving elsewhere.
pub(super) fn root(f: impl Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    let (mut a, mut b) = (high, low);
    let (mut fa, mut fb) = (f(a), f(b));
    if fa == 0.0 || fb == 0.0 || (fa > 0.0) == (fb > 0.0) {
        return if fa.abs() < fb.abs() { a } else { b };
    }
    let mut step = 0.5;
    for _ in 0..200 {
        let x = a + step * (b - a);
        let fx = f(x);
        let (c, fc) = if (fx > 0.0) == (fa > 0.0) {
            (a, fa)
        } else {
            let far = (b, fb);
            (b, fb) = (a, fa);
            far
        };
        (a, fa) = (x, fx);
        let nearest = if fa.abs() < fb.abs() { a } else { b };
        let least = (f64::EPSILON * nearest.abs() + f64::MIN_POSITIVE) / (b - a).abs();
        if least > 0.5 || fa == 0.0 {
            return nearest;
        }
        let (chi, phi) = ((a - b) / (c - b), (fa - fb) / (fc - fb));
        step = if phi * phi < chi && (1.0 - phi) * (1.0 - phi) < 1.0 - chi {
            fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        } else {
            0.5
        };
        step = step.clamp(least, 1.0 - least);
    }
    if fa.abs() < fb.abs() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{golden, near, numbers, rows, within};
    use super::*;

    #[test]
    fn distributions_as_scipy() {
        let golden = golden("distributions");
        for row in rows(&golden["normal"]) {
            let row = numbers(&row);
            near(normal_quantile(row[0]), row[1]);
            within(normal_cdf(row[1]) / row[0], 1.0, 1e-10);
        }
        for row in rows(&golden["beta"]) {
            let row = numbers(&row);
            within(beta_cdf(row[2], row[0], row[1]) / row[3], 1.0, 1e-10);
            within(beta_quantile(row[4], row[0], row[1]), row[2], 1e-10);
        }
        for row in rows(&golden["student"]) {
            let row = numbers(&row);
            within(student_tail(row[1], row[0]) / row[2], 1.0, 1e-9);
            within(student_tail(-row[1], row[0]), 1.0 - row[2], 1e-12);
        }
        for row in rows(&golden["deviates"]) {
            let row = numbers(&row);
            within(student_deviate(row[1], row[0]), row[2], 1e-11);
        }
    }

    /// By hand: 1/2^10 times sums of binomial coefficients.
    #[test]
    fn fair_coins() {
        within(binomial_cdf(2, 10, 0.5), 56.0 / 1024.0, 1e-14);
        within(fair_mass(2, 10), 45.0 / 1024.0, 1e-14);
        assert_eq!((binomial_cdf(10, 10, 0.5), fair_mass(11, 10)), (1.0, 0.0));
    }

    #[test]
    fn roots_are_found_to_the_last_digits() {
        within(root(|x| x * x - 2.0, 0.0, 2.0), std::f64::consts::SQRT_2, 1e-15);
        within(root(|x| x.powi(9) - 1e-27, 0.0, 1.0), 1e-3, 1e-15);
        // No change of sign: the end that is nearer to one.
        assert_eq!(root(|x| x + 1.0, 0.0, 2.0), 0.0);
    }
}
