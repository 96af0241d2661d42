//! The file of a linear model: eight bytes `FMLINEAR`, four bytes with the length of a JSON header (little-endian), the header, then one
//! signed byte for each bucket.
//!
//! The header names the features (`features`), `buckets` (a power of two), `scale` and `bias`: the logit of a text is
//! `bias + scale * sum of weights / sqrt(number of weights)` over the buckets of the text, its score the logistic function of that.
//! `about` is free text: what the model was fitted to, and how well. Unknown keys are refused.

use super::features::Features;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8] = b"FMLINEAR";
const VERSION: u32 = 1;
/// Bytes before the header.
const PREFIX: usize = 12;
/// Bounds of what a file may ask for.
const LARGEST_HEADER: usize = 1 << 20;
const MOST_BUCKETS: usize = 1 << 28;

/// The header of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub version: u32,
    /// What a high score means: `toxicity`.
    pub label: String,
    pub features: Features,
    pub buckets: usize,
    pub scale: f64,
    pub bias: f64,
    /// Free text for people.
    #[serde(default)]
    pub about: serde_json::Value,
}

/// A model that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    header: Header,
    /// `[buckets]`
    weights: Vec<i8>,
}

impl LinearModel {
    /// Reads a file's bytes and checks that they are whole.
    pub fn read(bytes: &[u8]) -> Result<LinearModel> {
        let strange =
            |message: &str| Error::input(message).hint("docs/toxicity.md describes the format of linear models");
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| strange("is not a linear model: it does not begin with FMLINEAR"))?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| strange("ends before its header"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > LARGEST_HEADER || length > rest.len() {
            return Err(strange("its header is longer than the file, or than 1 MiB"));
        }
        let (header, weights) = rest.split_at(length);
        let header: Header =
            serde_json::from_slice(header).map_err(|e| strange("its header cannot be read").cause(e))?;
        header.check()?;
        if weights.len() != header.buckets {
            let message = format!("has {} weights, but its header says {}", weights.len(), header.buckets);
            return Err(Error::input(message).hint("the file is damaged or was not copied to the end"));
        }
        Ok(LinearModel { header, weights: weights.iter().map(|byte| byte.cast_signed()).collect() })
    }

    /// The bytes of a file that holds the model.
    pub fn write(&self) -> Result<Vec<u8>> {
        let header = serde_json::to_vec(&self.header).map_err(|e| Error::input("cannot be written").cause(e))?;
        let length = u32::try_from(header.len()).map_err(|e| Error::input("the header is too long").cause(e))?;
        let mut bytes = Vec::with_capacity(PREFIX + header.len() + self.weights.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend(self.weights.iter().map(|weight| weight.cast_unsigned()));
        Ok(bytes)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Log-odds that the text is toxic; of a text without words and letters, the bias.
    pub fn logit(&self, text: &str) -> f64 {
        let buckets = self.header.features.buckets(text, self.header.buckets);
        // A sum of small integers, so that no order of adding matters.
        let sum: i64 =
            buckets.iter().filter_map(|bucket| self.weights.get(*bucket)).map(|weight| i64::from(*weight)).sum();
        self.header.bias + self.header.scale * sum as f64 / (buckets.len().max(1) as f64).sqrt()
    }
}

impl Header {
    fn check(&self) -> Result<()> {
        let problem = if self.version != VERSION {
            format!("is of version {}, and version {VERSION} is read", self.version)
        } else if !self.buckets.is_power_of_two() || self.buckets > MOST_BUCKETS {
            format!("{} buckets are not a power of two up to {MOST_BUCKETS}", self.buckets)
        } else if !self.features.is_valid() {
            "its features have impossible lengths".to_string()
        } else if !self.scale.is_finite() || !self.bias.is_finite() {
            "its scale or bias is not a finite number".to_string()
        } else {
            return Ok(());
        };
        Err(Error::input(problem).hint("the file was made by another program or version"))
    }
}
