//! What there is to say about weights that were read: what became of a precision, tables that contradict the configuration, tensors
//! that nobody asked for.

use super::encoding::missing;
use super::number::Number;
use super::{TensorInfo, Weights};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Tensors of which there is something to say.
#[derive(Default)]
pub(super) struct Doubtful {
    first: String,
    count: usize,
}

impl Weights {
    /// Remembers something to say about a tensor; equal remarks are counted.
    pub(super) fn notice(&mut self, text: &str, tensor: &str) {
        let doubtful = self.notices.entry(text.to_string()).or_default();
        if doubtful.count == 0 {
            doubtful.first = tensor.to_string();
        }
        doubtful.count += 1;
    }

    /// What the user should know: tables that contradict the configuration, matrices that the precision does not fit.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.checkpoint.notices().to_vec();
        notices.extend(self.notices.iter().map(|(text, Doubtful { first, count })| match count {
            1 => format!("{first}: {text}"),
            _ => format!("{first} and {} more: {text}", count - 1),
        }));
        let Some(precision) = self.precision else { return notices };
        notices.extend(self.quantised.iter().filter_map(|((made, ins), count)| {
            let one = *count == 1;
            let matrices = if one { "1 matrix".to_string() } else { format!("{count} matrices") };
            let why = |blocks: String| format!("rows of {ins} are not whole blocks of {blocks}");
            match made {
                None => {
                    let stay = if one { "stays" } else { "stay" };
                    Some(format!("{matrices} {stay} in full precision: {}", why(precision.described_with_fallback())))
                }
                Some(made) if *made != precision.name() => {
                    let are = if one { "is" } else { "are" };
                    Some(format!("{matrices} {are} {made}, as llama.cpp does it: {}", why(precision.described())))
                }
                Some(_) => None,
            }
        }));
        notices
    }

    /// What became of the matrices that were to be brought to a precision: formats with the number of matrices, plain numbers among
    /// them; empty where no precision was asked for.
    pub fn brought_to(&self) -> Vec<(String, usize)> {
        let mut made: BTreeMap<String, usize> = BTreeMap::new();
        for ((name, _), count) in &self.quantised {
            *made.entry(name.map_or(self.backend.dtype_name(), |name| name).to_string()).or_default() += count;
        }
        made.into_iter().collect()
    }

    /// Refuses a precision that no matrix was brought to.
    pub fn check_precision(&self) -> Result<()> {
        let Some(precision) = self.precision else { return Ok(()) };
        if self.quantised.is_empty() || self.quantised.keys().any(|(made, _)| made.is_some()) {
            return Ok(());
        }
        let widths: BTreeSet<String> = self.quantised.keys().map(|(_, ins)| ins.to_string()).collect();
        let widths: Vec<String> = widths.into_iter().collect();
        Err(Error::input(format!(
            "quantises nothing of this model: its rows of {} are not whole blocks of {}",
            widths.join(", "),
            precision.described_with_fallback()
        ))
        .file(&self.place)
        .key(format!("--precision {precision}"))
        .hint("int8, nf4 and fp4 take rows of any width"))
    }

    /// Names of the tensors that nobody asked for, in order.
    pub fn left(&self) -> Vec<(&String, &TensorInfo)> {
        let tensors = self.checkpoint.tensors().iter();
        let mut left: Vec<_> = tensors.filter(|(name, _)| !self.used.contains(*name)).collect();
        left.sort_by_key(|(name, _)| *name);
        left
    }

    /// The same, names only.
    pub fn unused(&self) -> Vec<String> {
        self.left().into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether a tensor has been handed out.
    pub fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// The numbers of a plain tensor that the model has no place for, to look at; `None` where it is not plain.
    pub fn look(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let Some(info) = self.checkpoint.tensors().get(name) else { return Ok(None) };
        let bytes = self.checkpoint.bytes(name)?;
        Ok(match (info.dtype.as_str(), Number::named(&info.dtype)) {
            ("BOOL" | "U8", _) => Some(bytes.iter().map(|byte| f32::from(*byte)).collect()),
            (_, Some(number)) => {
                let mut values = vec![0.0; bytes.len() / number.size()];
                number.widen(&bytes, &mut values);
                Some(values)
            }
            _ => None,
        })
    }

    /// The error for a tensor that is not there, which names the prefix that a wrapper put before all names.
    pub fn absent(&self, name: &str) -> Error {
        let Some(prefix) = self.foreign_prefix(name) else { return missing(name, &self.place) };
        let shown: String = prefix.chars().take(100).collect();
        Error::input(format!("the tensor {name} is missing: all names begin with `{shown}`")).file(&self.place).hint(format!(
            "a wrapper was saved in the model's place (torch.compile says `_orig_mod.`, DataParallel `module.`): save the model \
             inside of it, or rename the tensors without `{shown}`"
        ))
    }

    /// What all names begin with, where the wanted one would be found behind it.
    fn foreign_prefix(&self, wanted: &str) -> Option<String> {
        let tensors = self.checkpoint.tensors();
        let mut names = tensors.keys();
        let mut common = names.next()?.as_str();
        for name in names {
            let same = common.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            // Bytes before a dot are whole characters.
            common = common.get(..same).or_else(|| common.get(..common[..].rfind('.')? + 1)).unwrap_or("");
        }
        let ends = common.match_indices('.').map(|(at, _)| &common[..=at]);
        let inner = wanted.strip_prefix("model.").unwrap_or(wanted);
        let is_there = |prefix: &str, name: &str| {
            let packed = name.strip_suffix("weight").map(|start| format!("{prefix}{start}qweight"));
            tensors.contains_key(&format!("{prefix}{name}")) || packed.is_some_and(|name| tensors.contains_key(&name))
        };
        ends.filter(|prefix| is_there(prefix, wanted) || is_there(prefix, inner)).map(str::to_string).next()
    }
}
