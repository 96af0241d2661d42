//! Puts the built-in task files and the demo into the binary: writes tables of every file's name and content.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Task files end in `.yaml`; templates that are only included have no suffix. Anything else (a README) stays out.
    let is_task = |path: &Path| path.extension().is_none_or(|suffix| suffix == "yaml");
    table("tasks", "str", &is_task)?;
    // The demo's data sets and model, without what is only for readers.
    table("datasets/demo", "[u8]", &|path: &Path| path.extension().is_some_and(|suffix| suffix != "md"))
}

/// Writes `FILES`, the files under `folder` that are wanted with their content as `kind`, to a file named as the folder's last part.
fn table(folder: &str, kind: &str, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    println!("cargo:rerun-if-changed={folder}");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(folder);
    let mut files = Vec::new();
    walk(&root, wanted, &mut files)?;
    // The order of the registry: whole paths, compared as text.
    let mut names: Vec<(String, PathBuf)> = files.into_iter().map(|file| (shown(&root, &file), file)).collect();
    names.sort();
    let include = if kind == "str" { "include_str" } else { "include_bytes" };
    let mut table = format!("const FILES: &[(&str, &{kind})] = &[\n");
    for (name, file) in &names {
        let path = file.display().to_string();
        writeln!(table, "    ({name:?}, {include}!({path:?})),").map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    fs::write(PathBuf::from(variable("OUT_DIR")?).join(format!("{name}.rs")), table)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

/// The path under `root`, with `/` between its parts on every system.
fn shown(root: &Path, file: &Path) -> String {
    let parts = file.strip_prefix(root).unwrap_or(file).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn walk(folder: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, wanted, files)?;
        } else if wanted(&path) {
            files.push(path);
        }
    }
    Ok(())
}
