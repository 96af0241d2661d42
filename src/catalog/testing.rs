//! What the catalog's tests share: a task from a text, the error of one, a catalog over a folder.

use super::Catalog;
use super::config::Config;
use crate::error::Result;
use crate::task::{Node, Task};
use crate::yaml::{self, Value};
use std::path::Path;
use std::sync::Arc;

/// The task that a text describes.
pub fn task(text: &str) -> Task {
    resolve(text).unwrap_or_else(|err| panic!("{text}\n{err}"))
}

/// The error for a text.
pub fn refused(text: &str) -> String {
    resolve(text).expect_err(text).to_string()
}

fn resolve(text: &str) -> Result<Task> {
    let file: Arc<Path> = Arc::from(Path::new("t.yaml"));
    let Value::Map(entries) = yaml::parse(text, &file)?.value else { panic!("{text} is a mapping") };
    super::resolve::task(&Config { file, entries }, "t")
}

/// Task files in a temporary folder.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).expect("a folder");
            }
            std::fs::write(path, text).expect("a file");
        }
        Folder(folder)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub fn catalog(&self) -> Catalog {
        Catalog::load(&[self.0.path().to_path_buf()]).expect("a catalog")
    }

    pub fn select(&self, specs: &[&str]) -> Result<Vec<Node>> {
        self.catalog().select(&specs.iter().map(|spec| spec.to_string()).collect::<Vec<_>>())
    }
}
