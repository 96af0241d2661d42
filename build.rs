//! Puts the built-in task files into the binary: writes a table of every file under `tasks/` and its text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=tasks");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("tasks");
    let mut files = Vec::new();
    walk(&root, &mut files)?;
    // The order of the registry: whole paths, compared as text.
    let mut names: Vec<(String, PathBuf)> = files.into_iter().map(|file| (shown(&root, &file), file)).collect();
    names.sort();
    let mut table = String::from("const FILES: &[(&str, &str)] = &[\n");
    for (name, file) in &names {
        writeln!(table, "    ({name:?}, include_str!({:?})),", file.display().to_string()).map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("tasks.rs"), table)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

/// The path under `tasks/`, with `/` between its parts on every system.
fn shown(root: &Path, file: &Path) -> String {
    let parts = file.strip_prefix(root).unwrap_or(file).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Task files end in `.yaml`; templates that are only included have no suffix. Anything else (a README) stays out.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_none_or(|suffix| suffix == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}
