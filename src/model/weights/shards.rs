//! The index of a checkpoint in several files: which tensor is in which.
//!
//! Where two shards hold a tensor of the same name (one of them is left of an earlier save), the index decides.

use super::bytes::Bytes;
use super::checkpoint::DAMAGED;
use super::checkpoint::{Checkpoint, TensorInfo};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

/// Characters of a name that messages show.
const SHOWN: usize = 100;

/// `model.safetensors.index.json` or `pytorch_model.bin.index.json`.
#[derive(Deserialize)]
pub struct Index {
    weight_map: HashMap<String, String>,
}

impl Index {
    /// Refuses an index that names a tensor which its shard does not hold.
    pub fn check(&self, holds: impl Fn(&str) -> bool) -> Result<()> {
        match self.weight_map.iter().filter(|(name, _)| !holds(name)).min() {
            Some((name, shard)) => {
                let (name, shard) = (shown(name), shown(shard));
                Err(Error::input(format!("names the tensor {name} in {shard}, which does not hold it")).hint(DAMAGED))
            }
            None => Ok(()),
        }
    }

    /// The shards, which are there and in the folder.
    pub fn shards(&self, dir: &Path) -> Result<Vec<Shard<'_>>> {
        let names: BTreeSet<&String> = self.weight_map.values().collect();
        names.into_iter().map(|name| Ok(Shard { path: shard_path(dir, name)?, name, index: self })).collect()
    }
}

/// A file of a checkpoint with an index.
pub struct Shard<'a> {
    pub path: PathBuf,
    name: &'a str,
    index: &'a Index,
}

impl Shard<'_> {
    /// Whether the index says that a tensor is in another shard.
    pub fn is_stale(&self, tensor: &str) -> bool {
        self.index.weight_map.get(tensor).is_some_and(|shard| shard != self.name)
    }
}

/// A tensor in a shard that the index does not name for it.
pub struct Stale {
    pub tensor: String,
    pub info: TensorInfo,
    pub bytes: Bytes,
}

/// What to say of copies in other shards, where they are not the same.
pub fn stale_notice(checkpoint: &dyn Checkpoint, stale: &[Stale]) -> Result<Option<String>> {
    let mut other = Vec::new();
    for copy in stale {
        let info = checkpoint.tensors().get(&copy.tensor);
        let same = info.is_some_and(|info| info.dtype == copy.info.dtype && info.shape == copy.info.shape)
            && *checkpoint.bytes(&copy.tensor)? == *copy.bytes;
        if !same {
            other.push(copy);
        }
    }
    other.sort_by(|a, b| a.tensor.cmp(&b.tensor));
    Ok(other.first().map(|first| {
        let file = first.info.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let tensors =
            if other.len() == 1 { "1 tensor stands".to_string() } else { format!("{} tensors stand", other.len()) };
        format!(
            "{tensors} in a second shard with other numbers ({} in {}, ...): the index decides, its shard was read",
            shown(&first.tensor),
            shown(&file)
        )
    }))
}

/// A name that somebody else wrote, as messages show it.
fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

fn shard_path(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Error::input(format!("names a shard outside the folder: {}", shown(name))));
    }
    if !path.exists() {
        return Err(Error::input(format!("names the shard {}, which is not there", shown(name)))
            .hint("the checkpoint was not downloaded to the end; fetch the missing file"));
    }
    Ok(path)
}
