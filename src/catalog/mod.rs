//! The catalog: YAML in the reference task format comes in, fully resolved [`Task`](crate::task::Task)s and groups go out.
//!
//! Files are found, includes merged, groups unfolded, defaults filled in and everything that can be wrong in a task is
//! refused here, with file, line and a suggestion. The catalog never reads data and never runs Python.
//!
//! ```text
//! files ---text---> yaml ---tree---> config (includes merged)
//!                                               |
//!                              index (names) <--+--> select (globs, groups, overrides) ---> resolve ---> Task, Group
//! ```

mod config;
mod files;
mod index;
mod read;
mod resolve;
mod select;

#[cfg(test)]
mod built_in_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod testing;

pub use index::{Entry, Kind};

use crate::error::Result;
use crate::task::Node;
use std::path::PathBuf;

/// All tasks, groups and tags that can be asked for.
#[derive(Debug)]
pub struct Catalog {
    index: index::Index,
}

impl Catalog {
    /// Reads the names of the built-in tasks and of those under each folder; later folders override earlier ones.
    pub fn load(include_paths: &[PathBuf]) -> Result<Catalog> {
        Ok(Catalog { index: index::Index::build(include_paths, &mut config::Loader::default())? })
    }

    /// Every name, in alphabetical order, with what is known of it without validating it.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.index.entries.values()
    }

    /// The resolved tasks and groups for names, patterns, tags and paths, in the order given. Nothing comes twice, and what
    /// stands inside a selected group is not repeated beside it.
    pub fn select(&self, specs: &[String]) -> Result<Vec<Node>> {
        select::Selector::new(&self.index).select(specs)
    }

    /// What was odd: names defined twice, overridden built-in tasks, files that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        self.index.all_warnings()
    }
}
