//! The index of a checkpoint in several files: which tensor is in which.

use super::checkpoint::DAMAGED;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

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
                Err(Error::input(format!("names the tensor {name} in {shard}, which does not hold it")).hint(DAMAGED))
            }
            None => Ok(()),
        }
    }
}

/// Paths of all shards, which are there and in the folder.
pub fn shard_paths(dir: &Path, index: &Index) -> Result<Vec<PathBuf>> {
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    names.into_iter().map(|name| shard_path(dir, name)).collect()
}

fn shard_path(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Error::input(format!("names a shard outside the folder: {name}")));
    }
    if !path.exists() {
        return Err(Error::input(format!("names the shard {name}, which is not there"))
            .hint("the checkpoint was not downloaded to the end; fetch the missing file"));
    }
    Ok(path)
}
