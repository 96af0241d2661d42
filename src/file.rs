//! Files that others may have made or may watch: how they are opened, read, written and named. The ground floor.
//!
//! What is read is a plain file of bounded size: a pipe would hang, a device would never end. What is written by a name that can be
//! known beforehand never goes through a link. Names that come from outside (tasks, models) become safe parts of file names here.

use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of a file that is small by nature: configurations, tokenizers, headers, task files, references.
pub const SMALL: u64 = 64 << 20;

/// Bytes of a name's part in a file name; with prefixes, dates and suffixes the whole stays below 255.
const LONGEST_PART: usize = 120;

/// Opens a plain file for reading. Links are followed (the hub's cache is made of them).
///
/// Errors: it is a folder, a pipe, a socket or a device; none of them is waited for.
pub fn open(path: &Path) -> io::Result<File> {
    plain(waiting_for_nobody(OpenOptions::new().read(true)).open(path)?)
}

/// All of a plain file.
///
/// Errors: those of [`open`], a file of more than `most` bytes, and what git leaves where git-lfs did not fetch the file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(length.min(most) as usize);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("is larger than {most} bytes")));
    }
    if is_lfs_pointer(&bytes) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, LFS_POINTER));
    }
    Ok(bytes)
}

/// What to say of a file that [`is_lfs_pointer`].
pub const LFS_POINTER: &str = "is a pointer of git-lfs, not the file: run `git lfs pull` in its folder";

/// Whether a file's bytes only name the file, as git leaves them where git-lfs is not there.
/// Source: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>; pointers are shorter than 1024 bytes.
pub fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.len() < 1024 && bytes.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// The same as text. Errors: those of [`read`], and bytes that are no UTF-8.
pub fn read_to_string(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err.utf8_error()))
}

/// Opens a file of our own for reading and writing, and makes it where it is missing; its content stays.
///
/// Errors: there is a link, a folder, a pipe, a socket or a device under that name, or a file that has another name as well.
pub fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    alone(plain(through_no_link(&mut options, path)?.open(path)?)?)
}

/// All of a file of our own.
///
/// Errors: those of [`read`], and a link under that name.
pub fn read_own(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    refuse_link(path)?;
    read(path, most)
}

/// Makes a folder of our own, with those above it. A link in its place is refused; those above it may be links.
pub fn make_own_folder(path: &Path) -> io::Result<()> {
    refuse_link(path)?;
    std::fs::create_dir_all(path)
}

/// What to do about a file that could not be written.
pub fn remedy(err: &io::Error) -> &'static str {
    use io::ErrorKind::*;
    match err.kind() {
        StorageFull | QuotaExceeded => "make room there",
        InvalidFilename => "the path is too long or has characters that this file system refuses: use a shorter one",
        PermissionDenied | ReadOnlyFilesystem => {
            "this user may not write there: use another folder, or change its rights"
        }
        InvalidInput | IsADirectory | NotADirectory | AlreadyExists => "take away what is there under that name",
        NotFound => "its folder is gone: was it removed meanwhile?",
        _ => "see what the system says of that folder",
    }
}

/// Writes a file whole or not at all: under a name that nobody can know beforehand, then renamed over what is there. A link of that
/// name is replaced, not followed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = Partial::new(path)?;
    partial.write_all(bytes)?;
    partial.finish()
}

/// A file that is written piece by piece, whole or not at all: see [`write_whole`]. One that is not finished is removed.
pub struct Partial {
    file: io::BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl Partial {
    /// Begins the file that will have this path.
    pub fn new(path: &Path) -> io::Result<Partial> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".fairmark-").suffix(".partial");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = io::BufWriter::with_capacity(1 << 16, builder.tempfile_in(folder)?);
        Ok(Partial { file, path: path.to_path_buf() })
    }

    /// Gives the file its name.
    pub fn finish(self) -> io::Result<()> {
        let partial = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        partial.as_file().sync_all()?;
        partial.persist(self.path).map(drop).map_err(|err| err.error)
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A name from outside as part of a file name: anything but letters, digits, `.`, `_` and `-` becomes `_`, what is too long is cut.
/// Different names may become equal: see [`unique_name`].
pub fn safe_name(name: &str) -> String {
    let mut part = String::new();
    for c in name.chars().map(|c| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' }) {
        if part.len() + c.len_utf8() > LONGEST_PART {
            break;
        }
        part.push(c);
    }
    let part = part.trim_start_matches('.');
    if part.is_empty() { "unnamed".into() } else { part.into() }
}

/// A safe name that only equal names have: one that had to be changed carries the beginning of its SHA-256.
pub fn unique_name(name: &str) -> String {
    let safe = safe_name(name);
    if safe == name {
        return safe;
    }
    let hash = Sha256::digest(name.as_bytes());
    hash.iter().take(4).fold(format!("{safe}-"), |name, byte| format!("{name}{byte:02x}"))
}

fn plain(file: File) -> io::Result<File> {
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "is a folder, not a file" } else { "is a pipe or a device, not a file" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(file)
}

/// A file under a second name would be changed under that name as well.
#[cfg(unix)]
fn alone(file: File) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;
    match file.metadata()?.nlink() {
        0 | 1 => Ok(file),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not a file of its own: it has another name as well (a hard link)",
        )),
    }
}

#[cfg(not(unix))]
fn alone(file: File) -> io::Result<File> {
    Ok(file)
}

#[cfg(unix)]
fn waiting_for_nobody(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    // On plain files the flag has no effect on reading.
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
}

#[cfg(not(unix))]
fn waiting_for_nobody(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn through_no_link<'a>(options: &'a mut OpenOptions, path: &Path) -> io::Result<&'a mut OpenOptions> {
    use std::os::unix::fs::OpenOptionsExt;
    refuse_link(path)?;
    Ok(options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW))
}

#[cfg(not(unix))]
fn through_no_link<'a>(options: &'a mut OpenOptions, path: &Path) -> io::Result<&'a mut OpenOptions> {
    refuse_link(path)?;
    Ok(options)
}

/// Says what the kernel's own message (too many levels of links) does not.
fn refuse_link(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "is a link, not a file of its own"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_safe_parts() {
        assert_eq!(safe_name("org/model:7b"), "org_model_7b");
        assert_eq!(safe_name("../.."), "_..");
        assert_eq!(safe_name(""), "unnamed");
        assert_eq!(unique_name("mmlu_anatomy"), "mmlu_anatomy");
        assert!(unique_name("a/b").starts_with("a_b-") && unique_name("a/b") != unique_name("a:b"));
        let long = "\u{e9}".repeat(400);
        assert!(unique_name(&long).len() <= LONGEST_PART + 9, "{}", unique_name(&long));
    }

    #[test]
    fn sizes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        write_whole(&file, b"12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(read(&file, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing partial is left");
        assert!(read(dir.path(), 5).unwrap_err().to_string().contains("folder"));
    }

    #[test]
    fn pointers_of_git_lfs_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n").unwrap();
        assert!(read(&file, 5000).unwrap_err().to_string().contains("git lfs pull"));
    }

    #[test]
    #[cfg(unix)]
    fn pipes_devices_and_links() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (pipe, zero, link) = (dir.path().join("pipe"), dir.path().join("zero"), dir.path().join("link"));
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: a path that ends in a nought.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        symlink("/dev/zero", &zero).unwrap();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "kept").unwrap();
        symlink(&outside, &link).unwrap();
        for odd in [&pipe, &zero] {
            assert!(read(odd, 5).unwrap_err().to_string().contains("not a file"), "{odd:?}");
        }
        for odd in [&pipe, &zero, &link] {
            assert!(open_own(odd).unwrap_err().to_string().contains("not a file"), "{odd:?}");
        }
        assert!(read_own(&link, 5).unwrap_err().to_string().contains("link"));
        let second = dir.path().join("second");
        std::fs::hard_link(&outside, &second).unwrap();
        assert!(open_own(&second).unwrap_err().to_string().contains("another name"));
        assert!(make_own_folder(&link).unwrap_err().to_string().contains("link"));
        assert_eq!(read(&link, 5).unwrap(), b"kept", "what is only read may be a link");
        write_whole(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&outside).unwrap(), b"kept");
        assert_eq!(std::fs::read(&link).unwrap(), b"new");
    }
}
