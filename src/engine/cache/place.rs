//! Where the response cache lies unless the user names a file.

use crate::error::{Error, Result};
use std::path::PathBuf;

const FILE: &str = "responses.sqlite";

/// The default file: in `FAIRMARK_CACHE_DIR`, else in the `fairmark` folder of the system's cache folder.
pub fn default_file() -> Result<PathBuf> {
    from_vars(&|name| std::env::var(name).ok())
}

fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.trim().is_empty()).map(PathBuf::from);
    if let Some(folder) = set("FAIRMARK_CACHE_DIR") {
        return Ok(folder.join(FILE));
    }
    // The standard wants relative paths there to be ignored.
    let caches = set("XDG_CACHE_HOME").filter(|folder| folder.is_absolute()).or_else(|| system_caches(&set));
    let caches = caches.ok_or_else(|| {
        Error::input("there is no home folder for the response cache")
            .hint("set FAIRMARK_CACHE_DIR, or name a file with `--cache-file`")
    })?;
    Ok(caches.join("fairmark").join(FILE))
}

fn system_caches(set: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let home = || set("HOME").or_else(|| set("USERPROFILE"));
    if cfg!(windows) {
        set("LOCALAPPDATA").or_else(|| home().map(|home| home.join("AppData").join("Local")))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library").join("Caches"))
    } else {
        home().map(|home| home.join(".cache"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(vars: &[(&str, &str)]) -> Option<String> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string());
        from_vars(&var).ok().map(|path| path.to_string_lossy().into_owned())
    }

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_users_wish_then_the_standards() {
        let home = ("HOME", "/home/x");
        assert_eq!(file(&[home]).unwrap(), "/home/x/.cache/fairmark/responses.sqlite");
        assert_eq!(file(&[home, ("XDG_CACHE_HOME", "/c")]).unwrap(), "/c/fairmark/responses.sqlite");
        assert_eq!(file(&[home, ("XDG_CACHE_HOME", "c")]).unwrap(), "/home/x/.cache/fairmark/responses.sqlite");
        assert_eq!(file(&[home, ("FAIRMARK_CACHE_DIR", "d")]).unwrap(), "d/responses.sqlite");
    }

    #[test]
    fn nowhere_is_an_error() {
        assert_eq!(file(&[]), None);
        assert_eq!(file(&[("HOME", " ")]), None);
    }
}
