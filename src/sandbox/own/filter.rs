//! The system calls that a sandboxed Python process may make: a list of what is allowed, all else answers "not permitted".
//!
//! Allowed is what the interpreter needs for computing, for files in the places that Landlock opens, for threads and for
//! talking to itself (pipes, socket pairs). Left out on purpose: new processes and programs, sockets to elsewhere,
//! tracing, namespaces, mounts, keys, BPF, io_uring, user-space page faults, shared memory segments and queues, changes
//! of identity, limits, modes, owners and times of files (Landlock does not cover the last three).

use crate::error::{Error, Result};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// Stands in a filter where the process's own number belongs; the launcher puts it in. No process has this number.
pub(super) const OWN_PID: u32 = 0x7fff_fff1;

/// Allowed whatever their arguments.
const PLAIN: &[libc::c_long] = &[
    // Reading and writing of what is open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fadvise64,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_flock,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    // Files, as far as Landlock and the file system let them.
    libc::SYS_openat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_umask,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_membarrier,
    // Threads and signals of its own. `clone3` is answered by a second filter.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    // Clocks, and what the process is.
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_getcpu,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_getpriority,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    // Socket pairs (which are connected already, and to nothing else).
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
];

/// Older calls of this architecture, each the like of one in [`PLAIN`].
#[cfg(target_arch = "x86_64")]
const OLD: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_access,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_getdents,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_time,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[libc::c_long] = &[];

/// Asks of a terminal or descriptor that change nothing outside the process.
const IOCTLS: &[u32] = &[
    libc::FIOCLEX as u32,
    libc::FIONCLEX as u32,
    libc::FIONBIO as u32,
    libc::FIONREAD as u32,
    libc::TCGETS as u32,
    libc::TIOCGWINSZ as u32,
];

/// What `fcntl` may be asked. Not whom signals about a descriptor go to: the kernel would send them to others.
const DESCRIPTOR_ASKS: &[libc::c_int] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_GETPIPE_SZ,
];

/// What `pthread_create` asks of `clone`: a thread of this process, and nothing else.
const THREAD: libc::c_int = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// The filters as the kernel takes them, in the order of installation.
pub(super) fn programs() -> Result<Vec<Vec<u8>>> {
    let failed = |e: seccompiler::BackendError| Error::input("cannot build the system call filter").cause(e);
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| {
        failed(e).hint("the sandbox knows x86_64 and aarch64; name an external runner or use --unsafe-code")
    })?;
    // glibc falls back from `clone3`, whose flags a filter cannot see, to `clone` when it seems not to exist.
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let second = SeccompFilter::new(clone3, SeccompAction::Allow, missing, arch).map_err(failed)?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let first = SeccompFilter::new(rules().map_err(failed)?, refused, SeccompAction::Allow, arch).map_err(failed)?;
    [second, first].into_iter().map(|f| BpfProgram::try_from(f).map(bytes).map_err(failed)).collect()
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules() -> std::result::Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = PLAIN.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    rules.insert(
        libc::SYS_ioctl,
        IOCTLS.iter().map(|ask| rule(&[(1, u64::from(*ask))])).collect::<std::result::Result<_, _>>()?,
    );
    rules.insert(
        libc::SYS_fcntl,
        DESCRIPTOR_ASKS.iter().map(|ask| rule(&[(1, *ask as u64)])).collect::<std::result::Result<_, _>>()?,
    );
    // Some C libraries set a bit more (`CLONE_DETACHED`), which the kernel ignores.
    let thread = SeccompCmpOp::MaskedEq(!(libc::CLONE_DETACHED as u64));
    let thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, thread, THREAD as u64)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]);
    // Signals to itself only.
    let own = u64::from(OWN_PID);
    rules.insert(libc::SYS_kill, vec![rule(&[(0, own)])?]);
    rules.insert(libc::SYS_tgkill, vec![rule(&[(0, own)])?]);
    // Reading its limits, not setting them: the address of new ones is null.
    rules.insert(libc::SYS_prlimit64, vec![null(2, &[(0, 0)])?, null(2, &[(0, own)])?]);
    rules.insert(
        libc::SYS_prctl,
        vec![rule(&[(0, libc::PR_SET_NAME as u64)])?, rule(&[(0, libc::PR_GET_NAME as u64)])?],
    );
    // A connected pair of streams. Datagram pairs could send to a path.
    let flags = (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u64;
    let stream = SeccompCmpOp::MaskedEq(u64::from(u32::MAX) & !flags);
    let stream = SeccompCondition::new(1, SeccompCmpArgLen::Dword, stream, libc::SOCK_STREAM as u64)?;
    rules.insert(
        libc::SYS_socketpair,
        vec![SeccompRule::new(vec![equal(0, libc::AF_UNIX as u64, SeccompCmpArgLen::Dword)?, stream])?],
    );
    rules.insert(libc::SYS_sendto, vec![null(4, &[])?]);
    Ok(rules)
}

fn equal(
    arg: u8,
    value: u64,
    length: SeccompCmpArgLen,
) -> std::result::Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(arg, length, SeccompCmpOp::Eq, value)
}

/// All of these arguments have these values, as 32-bit numbers.
fn rule(arguments: &[(u8, u64)]) -> std::result::Result<SeccompRule, seccompiler::BackendError> {
    let conditions = arguments.iter().map(|(arg, value)| equal(*arg, *value, SeccompCmpArgLen::Dword));
    SeccompRule::new(conditions.collect::<std::result::Result<_, _>>()?)
}

/// The pointer `arg` is null, and these arguments have these values.
fn null(arg: u8, arguments: &[(u8, u64)]) -> std::result::Result<SeccompRule, seccompiler::BackendError> {
    let mut conditions = vec![equal(arg, 0, SeccompCmpArgLen::Qword)?];
    for (arg, value) in arguments {
        conditions.push(equal(*arg, *value, SeccompCmpArgLen::Dword)?);
    }
    SeccompRule::new(conditions)
}

/// As an array of `struct sock_filter`.
fn bytes(program: BpfProgram) -> Vec<u8> {
    program
        .iter()
        .flat_map(|i| {
            let [c0, c1] = i.code.to_ne_bytes();
            let [k0, k1, k2, k3] = i.k.to_ne_bytes();
            [c0, c1, i.jt, i.jf, k0, k1, k2, k3]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_fit_the_kernel_and_know_their_own_process() {
        let programs = programs().unwrap();
        assert_eq!(programs.len(), 2);
        for program in &programs {
            assert!(program.len() % 8 == 0 && program.len() / 8 <= 4096, "BPF_MAXINSNS");
        }
        let marks = programs[1].chunks(8).filter(|i| i[4..] == OWN_PID.to_ne_bytes()).count();
        assert_eq!(marks, 3, "kill, tgkill, prlimit64");
    }
}
