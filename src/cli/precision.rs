//! `--precision`: number formats and quantisations that weights are loaded in.

use crate::engine::local::DTypeChoice;
use crate::engine::{EngineOptions, is_remote, mock};
use crate::error::{Error, Result};
use crate::model::Precision;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::fmt;

/// One level of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Full-precision weights in this number format, as `--dtype` asks for them.
    Plain(DTypeChoice),
    /// Full-precision weights, quantised while loading.
    Quantised(Precision),
}

/// The number formats: names and what they are.
const PLAIN: [(DTypeChoice, &str, &str, &str); 3] = [
    (DTypeChoice::F32, "f32", "float32", "32 bits, not quantised"),
    (DTypeChoice::Bf16, "bf16", "bfloat16", "16 bits, not quantised: weights and activations rounded to bfloat16"),
    (DTypeChoice::F16, "f16", "float16", "16 bits, not quantised: weights rounded to float16"),
];

impl Level {
    /// Names and descriptions of all levels.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        PLAIN.iter().map(|(_, name, _, doc)| (*name, *doc)).chain(Precision::all())
    }

    /// Reads a name, in either case.
    pub fn parser() -> impl TypedValueParser<Value = Level> {
        let plain = PLAIN.iter().map(|(_, name, alias, doc)| PossibleValue::new(name).alias(alias).help(doc));
        let quantised = Precision::all().map(|(name, doc)| PossibleValue::new(name).help(doc));
        PossibleValuesParser::new(plain.chain(quantised)).try_map(|text: String| text.parse())
    }

    /// The options for an engine at this level.
    ///
    /// Errors: `--dtype` says otherwise.
    fn applied(self, options: EngineOptions) -> Result<EngineOptions> {
        match self {
            Level::Quantised(precision) => Ok(EngineOptions { precision: Some(precision), ..options }),
            Level::Plain(dtype) if [DTypeChoice::Auto, dtype].contains(&options.dtype) => {
                Ok(EngineOptions { dtype, ..options })
            }
            Level::Plain(_) => Err(Error::input("--dtype asks for another number format")
                .key(format!("--precision {self}"))
                .hint("leave --dtype out; --precision names the format of every column")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Quantised(precision) => precision.fmt(f),
            Level::Plain(dtype) => {
                f.write_str(PLAIN.iter().find(|(known, ..)| known == dtype).map_or("auto", |(_, name, ..)| name))
            }
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Level, String> {
        let is = |name: &str| name.eq_ignore_ascii_case(text);
        match PLAIN.iter().find(|(_, name, alias, _)| is(name) || is(alias)) {
            Some((dtype, ..)) => Ok(Level::Plain(*dtype)),
            None => text.parse().map(Level::Quantised),
        }
    }
}

/// A model at one level: a column of the table.
pub struct Column {
    /// As the user named it.
    pub model: String,
    /// Where several levels stand side by side.
    pub level: Option<Level>,
    pub options: EngineOptions,
    /// How its matrices are stored, once it is loaded.
    pub storage: Option<String>,
}

impl Column {
    /// Every model at every level. Servers, whose level is their own, are one column each.
    pub fn all(models: &[String], levels: &[Level], options: &EngineOptions) -> Result<Vec<Column>> {
        let mut columns = Vec::new();
        for model in models {
            let fixed = is_remote(model) || mock::is_mock(model);
            if levels.is_empty() || fixed {
                columns.push(Column { model: model.clone(), level: None, options: options.clone(), storage: None });
                continue;
            }
            for level in levels {
                let shown = (levels.len() > 1).then_some(*level);
                columns.push(Column {
                    model: model.clone(),
                    level: shown,
                    options: level.applied(options.clone())?,
                    storage: None,
                });
            }
        }
        Ok(columns)
    }

    /// The heading of the column of a model that is called `label`. Where its matrices are not what the level says, what they are is
    /// named: `tiny q4_k (q5_0)`.
    pub fn heading(&self, label: &str) -> String {
        let asked = self.options.precision;
        let other = self.storage.as_deref().filter(|storage| asked.is_some_and(|asked| asked.name() != *storage));
        match (other.zip(asked), self.level) {
            (Some((storage, asked)), _) => format!("{label} {asked} ({storage})"),
            (None, Some(level)) => format!("{label} {level}"),
            (None, None) => label.to_string(),
        }
    }
}

/// The options of a verb that loads one model.
pub fn only(levels: &[Level], options: EngineOptions) -> Result<EngineOptions> {
    match levels {
        [] => Ok(options),
        [level] => level.applied(options),
        _ => Err(Error::input("several precisions where one model is loaded")
            .key("--precision")
            .hint("name one; `fairmark run` puts several side by side")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_formats_and_quantisations() {
        assert_eq!("bf16".parse(), Ok(Level::Plain(DTypeChoice::Bf16)));
        assert_eq!("BFloat16".parse(), Ok(Level::Plain(DTypeChoice::Bf16)));
        assert_eq!("Q4_K".parse(), Ok(Level::Quantised(Precision::Q4K)));
        assert!("int4".parse::<Level>().is_err());
        for (name, _) in Level::all() {
            assert_eq!(name.parse::<Level>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn every_model_at_every_level_and_servers_once() {
        let models = ["./a".to_string(), "openai:gpt-x".to_string()];
        let levels = ["bf16", "nf4"].map(|name| name.parse().unwrap());
        let columns = Column::all(&models, &levels, &EngineOptions::default()).unwrap();
        let headings: Vec<String> = columns.iter().map(|column| column.heading("m")).collect();
        assert_eq!(headings, ["m bf16", "m nf4", "m"]);
        assert_eq!((columns[0].options.dtype, columns[0].options.precision), (DTypeChoice::Bf16, None));
        assert_eq!((columns[1].options.dtype, columns[1].options.precision), (DTypeChoice::Auto, Some(Precision::Nf4)));
        assert_eq!(columns[2].options.precision, None);
        // One level needs no name in the heading.
        let alone = Column::all(&models[..1], &levels[1..], &EngineOptions::default()).unwrap();
        assert_eq!(alone[0].heading("m"), "m");
        // What was made stands in the heading where it is not what was asked for.
        let made = |at: usize, storage: &str| {
            let column = &Column::all(&models, &levels, &EngineOptions::default()).unwrap()[at];
            let column = Column {
                model: column.model.clone(),
                options: column.options.clone(),
                storage: Some(storage.into()),
                ..*column
            };
            column.heading("m")
        };
        assert_eq!((made(0, "bfloat16"), made(1, "nf4")), ("m bf16".to_string(), "m nf4".to_string()));
        assert_eq!(
            (made(1, "q5_0"), made(1, "nf4, bfloat16")),
            ("m nf4 (q5_0)".into(), "m nf4 (nf4, bfloat16)".into())
        );
        let f32 = EngineOptions { dtype: DTypeChoice::F32, ..EngineOptions::default() };
        assert!(Column::all(&models[..1], &levels[..1], &f32).err().unwrap().to_string().contains("--dtype"));
        assert!(only(&levels, EngineOptions::default()).is_err());
    }
}
