//! What Landlock lets a sandboxed process do: read the interpreter's files and a few devices, write its scratch directory.

use crate::error::{Error, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    make_bitflags,
};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Devices that hold nothing of anybody.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/urandom"];

/// Where the dynamic linker looks up libraries.
const LINKER_CACHE: &str = "/etc/ld.so.cache";

/// The newest interface that this code knows; on older kernels the crate leaves out what they lack.
const NEWEST: ABI = ABI::V10;

/// Everything but the scratch directory, ready to be made into rule sets.
pub(super) struct Rules {
    reads: Vec<(PathFd, BitFlags<AccessFs>)>,
    abi: u32,
}

/// Version of the kernel's Landlock interface, 0 where there is none.
pub(super) fn abi() -> u32 {
    const VERSION: libc::c_long = 1;
    // SAFETY: with this flag the call reads no memory.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

impl Rules {
    /// Opens the paths once; rule sets refer to what they are now.
    pub(super) fn new(reads: &[PathBuf]) -> Result<Rules> {
        let mut opened = Vec::new();
        for path in reads {
            let access = if path.is_dir() { AccessFs::ReadFile | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
            let fd = PathFd::new(path).map_err(|e| Error::input("cannot open").file(path).cause(e))?;
            opened.push((fd, access));
        }
        // Some containers lack some of these; whoever needs them then gets the same error as without a sandbox.
        for path in DEVICES {
            if let Ok(fd) = PathFd::new(path) {
                opened.push((fd, AccessFs::ReadFile | AccessFs::WriteFile));
            }
        }
        if let Ok(fd) = PathFd::new(Path::new(LINKER_CACHE)) {
            opened.push((fd, AccessFs::ReadFile.into()));
        }
        Ok(Rules { reads: opened, abi: abi() })
    }

    /// A new rule set, to which only the scratch directory has to be added.
    pub(super) fn ruleset(&self) -> Result<OwnedFd> {
        let made = || -> std::result::Result<_, landlock::RulesetError> {
            // Network and scope rules are not there on older kernels; seccomp refuses what they would.
            let mut ruleset = Ruleset::default()
                .handle_access(AccessFs::from_all(NEWEST))?
                .handle_access(AccessNet::from_all(NEWEST))?
                .scope(Scope::from_all(NEWEST))?
                .create()?;
            for (fd, access) in &self.reads {
                ruleset = ruleset.add_rule(PathBeneath::new(fd, *access))?;
            }
            Ok(ruleset.into())
        };
        let fd: Option<OwnedFd> = made().map_err(|e| Error::input("cannot make Landlock rules").cause(e))?;
        fd.ok_or_else(|| Error::input("this kernel has no Landlock"))
    }

    /// Rights inside the scratch directory, as the kernel numbers them: no running of programs, no devices, no sockets.
    pub(super) fn scratch_rights(&self) -> u64 {
        let mut rights = make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | RemoveFile | RemoveDir | MakeDir | MakeReg | MakeSym | MakeFifo
        });
        if self.abi >= 2 {
            rights |= AccessFs::Refer;
        }
        if self.abi >= 3 {
            rights |= AccessFs::Truncate;
        }
        rights.bits()
    }
}
