//! Every method of the house as a row: formula, source, and when it misleads. What `--interval` names stands here.

use serde::{Serialize, Serializer};

/// How an interval or a p was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Counted,
    Student,
    Cr1,
    BootstrapT,
    Bca,
    Wilson,
    WilsonEffective,
    ClopperPearson,
    Beta,
    Jeffreys,
    Reruns,
    Micro,
    Macro,
    Tango,
    TangoEffective,
    BonettPrice,
    Unchanged,
    McNemarExact,
    McNemarMidP,
    SignFlipsExact,
    SignFlipsSampled,
    PairedT,
}

/// What there is to say about a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub formula: &'static str,
    pub source: &'static str,
    pub misleads: &'static str,
}

/// All methods.
pub const METHODS: &[Method] = &[
    Method::Counted,
    Method::Student,
    Method::Cr1,
    Method::BootstrapT,
    Method::Bca,
    Method::Wilson,
    Method::WilsonEffective,
    Method::ClopperPearson,
    Method::Beta,
    Method::Jeffreys,
    Method::Reruns,
    Method::Micro,
    Method::Macro,
    Method::Tango,
    Method::TangoEffective,
    Method::BonettPrice,
    Method::Unchanged,
    Method::McNemarExact,
    Method::McNemarMidP,
    Method::SignFlipsExact,
    Method::SignFlipsSampled,
    Method::PairedT,
];

impl Method {
    /// The row of the method.
    pub const fn row(self) -> Row {
        match self {
            Method::Counted => Row {
                name: "counted",
                formula: "the value itself",
                source: "nothing is estimated",
                misleads: "says nothing of other documents, nor of engines that answer differently the next time",
            },
            Method::Student => Row {
                name: "t",
                formula: "x̄ ± t(n-1)·s/√n",
                source: "Student 1908",
                misleads: "in small or skewed samples, where values depend on each other, and near the ends of a bounded score",
            },
            Method::Cr1 => Row {
                name: "clustered t (CR1)",
                formula: "x̄ ± t(G-1)·√(G/(G-1)·Σ_g(Σ_i w(x-x̄))²)/Σw",
                source: "Liang and Zeger 1986; Cameron and Miller 2015",
                misleads: "with few or very unequal clusters: then it is far too narrow",
            },
            Method::BootstrapT => Row {
                name: "bootstrap-t",
                formula: "x̄ - q·SE, q the quantiles of (x̄*-x̄)/SE* over resampled clusters",
                source: "Efron 1981; Cameron, Gelbach and Miller 2008",
                misleads: "where resamples without any spread are likely: a handful of clusters, almost constant scores",
            },
            Method::Bca => Row {
                name: "BCa bootstrap",
                formula: "quantiles of θ* at Φ(z0+(z0±z)/(1-a(z0±z)))",
                source: "Efron 1987; Efron and Tibshirani 1993, 14.3",
                misleads: "in samples below some 50, where it is too narrow, and for extremes such as a maximum",
            },
            Method::Wilson => Row {
                name: "Wilson",
                formula: "(p+z²/2n ± z√(p(1-p)/n+z²/4n²))/(1+z²/n)",
                source: "Wilson 1927; Brown, Cai and DasGupta 2001",
                misleads: "where answers depend on each other; one end is too short where p is within a few answers of 0 or 1",
            },
            Method::WilsonEffective => Row {
                name: "Wilson, effective n",
                formula: "Wilson with n·p(1-p)/(n·Var_CR1) answers and t(G-1) for z",
                source: "Korn and Graubard 1998; Franco et al. 2019",
                misleads: "with few clusters, as everything made of them",
            },
            Method::ClopperPearson => Row {
                name: "Clopper-Pearson",
                formula: "Beta(α/2; k, n-k+1) to Beta(1-α/2; k+1, n-k)",
                source: "Clopper and Pearson 1934",
                misleads: "never too short, mostly too long: it covers 97 to 99 % where 95 % were asked for",
            },
            Method::Beta => Row {
                name: "Beta(1,1)",
                formula: "quantiles of Beta(1+k, 1+n-k)",
                source: "Bayes 1763; Bowyer, Aitchison and Ivanova 2025",
                misleads: "holds the truth with 95 % only on average over all p, less near 0 and 1",
            },
            Method::Jeffreys => Row {
                name: "Jeffreys",
                formula: "quantiles of Beta(1/2+k, 1/2+n-k), the end at k=0 and k=n itself",
                source: "Brown, Cai and DasGupta 2001",
                misleads: "covers as little as 88 % at n = 50 for some p",
            },
            Method::Reruns => Row {
                name: "reruns",
                formula: "x̄ ± t(ν)·√(Σ s_i²/K_i)/n, ν by Satterthwaite",
                source: "Satterthwaite 1946; Miller 2024",
                misleads: "speaks of asking the same documents again, never of others; two reruns say little of the spread",
            },
            Method::Micro => Row {
                name: "stratified, by documents",
                formula: "√Σ(n_k·se_k)²/Σn_k, t by Satterthwaite",
                source: "Cochran 1977, 5.4; Satterthwaite 1946",
                misleads: "speaks of further documents of these parts, not of other parts",
            },
            Method::Macro => Row {
                name: "stratified, parts alike",
                formula: "√Σse_k²/K, t by Satterthwaite",
                source: "Cochran 1977, 5.4; Satterthwaite 1946",
                misleads: "speaks of further documents of these parts, not of other parts; small parts weigh as much as large ones",
            },
            Method::Tango => Row {
                name: "Tango",
                formula: "Δ with |b-c-nΔ| = z√(n(2q̂+Δ(1-Δ)))",
                source: "Tango 1998",
                misleads: "where documents depend on each other",
            },
            Method::TangoEffective => Row {
                name: "Tango, effective n",
                formula: "Tango with flips and n scaled to n·(φ-D²)/(n·Var_CR1) and t(G-1) for z",
                source: "Tango 1998; design effect as Korn and Graubard 1998",
                misleads: "with few clusters, as everything made of them",
            },
            Method::BonettPrice => Row {
                name: "Bonett-Price",
                formula: "(b'-c')/n' ± z√((b'+c'-(b'-c')²/n')/n'²), b'=b+1, c'=c+1, n'=n+2",
                source: "Bonett and Price 2012",
                misleads: "too long where flips are rare",
            },
            Method::Unchanged => Row {
                name: "unchanged",
                formula: "±(max-min)·z²/(n+z²)",
                source: "Wilson 1927, of 0 changes in n",
                misleads: "supposes that no score changes by more than the scores seen differ from each other",
            },
            Method::McNemarExact => Row {
                name: "McNemar, exact",
                formula: "min(1, 2·P(X ≤ min(b,c))), X binomial (b+c, 1/2)",
                source: "McNemar 1947",
                misleads: "conservative: false alarms are far rarer than α says; says nothing of size",
            },
            Method::McNemarMidP => Row {
                name: "McNemar, mid-p",
                formula: "exact p - P(X = min(b,c))",
                source: "Fagerland, Lydersen and Laake 2013",
                misleads: "may exceed α by a hair; says nothing of size",
            },
            Method::SignFlipsExact => Row {
                name: "sign flips, all",
                formula: "share of the 2^m signs with |Σ±d| ≥ |Σd|",
                source: "Fisher 1935; Pitman 1937",
                misleads: "with fewer than six units it cannot reach 0.05; supposes differences symmetric about zero",
            },
            Method::SignFlipsSampled => Row {
                name: "sign flips, sampled",
                formula: "(1+#)/(1+B), # of B draws with |Σ±d| ≥ |Σd|",
                source: "Phipson and Smyth 2010",
                misleads: "its own noise: about √(p(1-p)/B); supposes differences symmetric about zero",
            },
            Method::PairedT => Row {
                name: "paired t",
                formula: "t = d̄/(s_d/√n), n-1 degrees of freedom",
                source: "Student 1908",
                misleads: "in small or skewed samples; clustered data need G-1 degrees and the clustered error",
            },
        }
    }

    /// The short name that stands beside a figure.
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_name_of_its_own_and_says_when_it_misleads() {
        let mut names: Vec<&str> = METHODS.iter().map(|method| method.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METHODS.len());
        for method in METHODS {
            let row = method.row();
            assert!(!row.formula.is_empty() && !row.source.is_empty() && !row.misleads.is_empty(), "{method:?}");
        }
    }
}
