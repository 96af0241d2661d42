//! Opens the launcher: finds out what this machine allows, and refuses where the required layers cannot be had.

use super::mirror::{self, Manner};
use super::pool::{Pool, Shared, State};
use super::rules::{self, Rules};
use super::zygote::{Hello, Plan};
use super::{cgroup, filter, user};
use crate::error::{Error, Result};
use crate::sandbox::interpreter::Interpreter;
use crate::sandbox::report::{Missing, Report};
use crate::sandbox::settings::{Layer, Settings};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// What to do where the launcher cannot work.
const OTHERWISE: &str =
    "use an external runner (bwrap, runsc, docker), or --unsafe-code for code that you trust anyway";

impl Pool {
    /// Finds out what can be enforced here and fills in the report.
    ///
    /// # Errors
    /// Without Landlock, seccomp or a Python with `ctypes`.
    pub(in crate::sandbox) fn open(
        settings: &Settings,
        interpreter: &Interpreter,
        base: &Path,
        report: &mut Report,
    ) -> Result<Pool> {
        let with = |layer| !settings.without.contains(&layer);
        require(interpreter, with(Layer::Landlock))?;
        let drops_user = user::is_root() && with(Layer::UidDrop);
        open_to_all(base)?;
        let (reads, imports) = readable(interpreter, base, drops_user)?;
        let rules = with(Layer::Landlock).then(|| Rules::new(&reads)).transpose()?;
        let filters: Vec<String> = filter::programs()?.iter().map(|program| hex(program)).collect();
        let cgroups =
            if with(Layer::Cgroup) { cgroup::probe(&interpreter.path) } else { Err("left out on request".to_owned()) };
        let order = json!({
            "filters": filters,
            "own_pid": filter::OWN_PID,
            "scratch_rights": rules.as_ref().map_or(0, Rules::scratch_rights),
            "imports": imports,
            "without": settings.without,
            "namespaces": if with(Layer::Namespaces) { "user" } else { "none" },
        });
        let mut shared = Shared {
            plan: Plan { python: interpreter.path.clone(), order, base: base.to_path_buf(), cgroups: cgroups.is_ok() },
            rules,
            drops_user,
            kept: settings.workers.max(1) * 2,
            state: Mutex::new(State::default()),
            serial: AtomicU64::new(0),
        };
        // Where user namespaces are switched off, root may still have the others.
        let mut pool = Pool::new(shared);
        let mut hello = pool.try_out()?;
        if hello.namespaces.is_empty() && drops_user && with(Layer::Namespaces) {
            shared = pool.into_shared()?;
            shared.plan.order["namespaces"] = json!("root");
            pool = Pool::new(shared);
            hello = pool.try_out()?;
        }
        describe(report, settings, &hello, &cgroups.err().unwrap_or_default());
        Ok(pool)
    }
}

/// Fails where a required layer is not to be had.
fn require(interpreter: &Interpreter, landlock: bool) -> Result<()> {
    if landlock && rules::abi() == 0 {
        return Err(Error::input(
            "programs cannot be sandboxed: this kernel has no Landlock (Linux 5.13), or it is off",
        )
        .hint(OTHERWISE));
    }
    // SAFETY: a plain question. A kernel without filters answers with an error other than "bad address".
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, 0, 0, 0) };
    if answer == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT) {
        return Err(Error::input("programs cannot be sandboxed: no seccomp filters in this kernel").hint(OTHERWISE));
    }
    if !interpreter.ctypes {
        return Err(Error::input(
            "programs cannot be sandboxed: this Python has no `ctypes`, which the launcher needs",
        )
        .file(&interpreter.path)
        .hint("install libffi and build Python anew, or name another Python"));
    }
    Ok(())
}

/// What programs may read, and where the library's folders moved from and to.
fn readable(interpreter: &Interpreter, base: &Path, drops_user: bool) -> Result<(Vec<PathBuf>, Vec<[PathBuf; 2]>)> {
    let (mut reads, mut imports) = (interpreter.reads.clone(), Vec::new());
    for (number, library) in interpreter.libraries.iter().enumerate() {
        let real = library.canonicalize().map_err(|e| Error::io("cannot find Python's library", library, e))?;
        let closed = drops_user && !mirror::is_open(&real);
        let manner = if closed { Manner::Copied } else { Manner::Linked };
        let moved = base.join(format!("python{number}"));
        let opened = mirror::make(&real, &moved, manner)?;
        // The folder itself is not opened: packages of the host lie in it.
        reads.retain(|path| *path != real);
        reads.extend(opened);
        imports.push([library.clone(), moved]);
    }
    Ok((reads, imports))
}

/// Lets other users pass through the sandbox's folder, but not look around in it.
fn open_to_all(base: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(base, mode).map_err(|e| Error::io("cannot open a folder to other users", base, e))
}

fn describe(report: &mut Report, settings: &Settings, hello: &Hello, no_cgroup: &str) {
    let with = |layer| !settings.without.contains(&layer);
    let mut have = |layer, reason: &str| {
        if with(layer) && reason.is_empty() {
            report.layers.push(layer);
        } else {
            let reason = if with(layer) { reason } else { "left out on request" };
            report.missing.push(Missing { layer, reason: reason.to_owned() });
        }
    };
    have(Layer::Landlock, "");
    have(Layer::Seccomp, "");
    have(Layer::Rlimits, "");
    have(Layer::Namespaces, if hello.namespaces.is_empty() { &hello.reason } else { "" });
    have(Layer::UidDrop, if user::is_root() { "" } else { "the harness is not root" });
    have(Layer::Cgroup, no_cgroup);
    report.landlock_abi = if with(Layer::Landlock) { rules::abi() } else { 0 };
    report.namespaces = hello.namespaces.clone();
    report.scratch = if hello.tmpfs { "tmpfs" } else { "folder" }.to_owned();
    report.uid = Some(hello.uid);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
