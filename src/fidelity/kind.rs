//! Names of the kinds of divergence.

use super::Kind;

impl Kind {
    /// The name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Full => "kl",
            Kind::Sampled => "kl_sampled",
            Kind::Lower => "kl_lower",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_files_say_the_same() {
        for kind in [Kind::Full, Kind::Sampled, Kind::Lower] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
