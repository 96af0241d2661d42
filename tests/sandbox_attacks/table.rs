//! The attacks: what each is called, what shows that it would work without the sandbox, and how it may end within it.

use fairmark::sandbox::{Ending, Limits, ProgramOutcome};
use std::time::Duration;

/// What an unsandboxed run of the attack proves.
#[derive(Clone, Copy, PartialEq)]
pub enum Control {
    /// It must work there: otherwise the test is broken.
    Sure,
    /// It works on some machines only (root, kernel options, an outer sandbox); where not, the report says so.
    Perhaps,
    /// Not an attack on anything outside: it must only not harm the harness.
    None,
}

pub struct Attack {
    /// File that holds it.
    pub group: &'static str,
    /// Function that does it.
    pub name: &'static str,
    pub control: Control,
    /// How it has to end in the sandbox, beyond not saying `breach`.
    pub ends: fn(&ProgramOutcome) -> bool,
}

const fn row(group: &'static str, name: &'static str, control: Control, ends: fn(&ProgramOutcome) -> bool) -> Attack {
    Attack { group, name, control, ends }
}

fn refused(outcome: &ProgramOutcome) -> bool {
    outcome.ending == Ending::Exited(0) && outcome.stdout.starts_with("contained")
}

fn out_of_time(outcome: &ProgramOutcome) -> bool {
    outcome.ending == Ending::TimedOut && outcome.usage.cpu < 0.8
}

fn out_of_memory(outcome: &ProgramOutcome) -> bool {
    refused(outcome) && outcome.stdout.contains("MemoryError") || outcome.ending == Ending::OutOfMemory
}

fn out_of_disk(outcome: &ProgramOutcome) -> bool {
    outcome.ending == Ending::OutOfDisk || refused(outcome)
}

fn output_cut(outcome: &ProgramOutcome) -> bool {
    outcome.stdout.len() == 64 << 10
}

/// By the kernel (a signal), or by an answer of "no such call".
fn refused_or_killed(outcome: &ProgramOutcome) -> bool {
    refused(outcome) || matches!(outcome.ending, Ending::Signalled(libc::SIGSYS | libc::SIGSEGV))
}

fn anyhow(outcome: &ProgramOutcome) -> bool {
    !matches!(outcome.ending, Ending::SandboxFailed(_))
}

/// Limits of the attacks: small where a limit is what is tested, generous where a busy machine could hit one.
pub fn limits() -> Limits {
    Limits {
        cpu: Duration::from_secs(5),
        wall: Duration::from_secs(60),
        memory: 128 << 20,
        file_size: 2 << 20,
        open_files: 64,
        ..Limits::default()
    }
}

/// The same without what the attack goes against.
pub fn wide() -> Limits {
    Limits {
        cpu: Duration::from_secs(60),
        wall: Duration::from_secs(60),
        memory: 8 << 30,
        file_size: 20 << 30,
        open_files: 512,
        threads: 512,
        output: 4 << 20,
    }
}

/// Attacks that meet a small processor limit, and a small limit by the clock.
pub const LOOPS: [&str; 6] = [
    "endless_loop",
    "endless_loop_deaf",
    "exhausting_pattern",
    "huge_number",
    "deep_recursion",
    "deep_native_recursion",
];
pub const WAITS: [&str; 2] = ["endless_sleep", "stop_itself"];

use Control::{None as Nothing, Perhaps, Sure};

pub const ATTACKS: &[Attack] = &[
    row("network", "tcp_connect", Sure, refused),
    row("network", "udp_send", Sure, refused),
    row("network", "abstract_socket", Sure, refused),
    row("network", "path_socket", Sure, refused),
    row("network", "datagram_through_a_pair", Sure, refused),
    row("network", "resolve_name", Perhaps, refused),
    row("network", "listen", Sure, refused),
    row("network", "netlink", Perhaps, refused),
    row("files", "read_secret", Sure, refused),
    row("files", "read_passwd", Sure, refused),
    row("files", "read_shadow", Perhaps, refused),
    row("files", "read_parent_environment", Sure, refused),
    row("files", "read_own_process_folder", Sure, refused),
    row("files", "list_processes", Sure, refused),
    row("files", "list_root", Sure, refused),
    row("files", "write_outside", Sure, refused),
    row("files", "append_outside", Sure, refused),
    row("files", "remove_outside", Sure, refused),
    row("files", "make_folder_outside", Sure, refused),
    row("files", "change_mode_outside", Sure, refused),
    row("files", "change_times_outside", Sure, refused),
    row("files", "set_attribute_outside", Perhaps, refused),
    row("files", "follow_symlink", Sure, refused),
    row("files", "write_through_symlink", Sure, refused),
    row("files", "hard_link", Sure, refused),
    row("files", "move_in", Sure, refused),
    row("files", "climb", Sure, refused),
    row("files", "write_library", Perhaps, refused),
    row("files", "other_programs_file", Sure, refused),
    row("files", "other_programs_folder", Sure, refused),
    row("files", "all_scratch_folders", Sure, refused),
    row("files", "inherited_descriptor", Sure, refused),
    row("files", "device", Perhaps, refused),
    row("processes", "kill_other", Sure, refused),
    row("processes", "stop_other", Sure, refused),
    row("processes", "signal_harness", Sure, refused),
    row("processes", "signal_parent", Sure, refused),
    row("processes", "signal_everybody", Sure, refused),
    row("processes", "queue_signal", Sure, refused),
    row("processes", "signal_by_descriptor", Sure, refused),
    row("processes", "process_handle", Perhaps, refused),
    row("processes", "trace", Perhaps, refused),
    row("processes", "read_memory", Perhaps, refused),
    row("processes", "read_memory_file", Perhaps, refused),
    row("processes", "steal_descriptor", Perhaps, refused),
    row("processes", "fork", Sure, refused),
    row("processes", "fork_by_clone3", Perhaps, refused),
    row("processes", "fork_bomb", Sure, refused),
    row("processes", "thread_bomb", Sure, refused),
    row("processes", "execute", Sure, refused),
    row("processes", "execute_shell", Sure, refused),
    row("processes", "spawn", Sure, refused),
    row("processes", "execute_memory", Perhaps, refused),
    row("processes", "execute_written", Sure, refused),
    row("processes", "daemon", Sure, refused),
    row("kernel", "unshare_user", Perhaps, refused),
    row("kernel", "mount", Perhaps, refused),
    row("kernel", "change_root", Perhaps, refused),
    row("kernel", "become_root", Perhaps, refused),
    row("kernel", "become_other", Perhaps, refused),
    row("kernel", "all_capabilities", Perhaps, refused),
    row("kernel", "raise_limit", Perhaps, refused),
    row("kernel", "lower_limit_of_other", Sure, refused),
    row("kernel", "io_uring", Perhaps, refused),
    row("kernel", "bpf", Perhaps, refused),
    row("kernel", "add_key", Perhaps, refused),
    row("kernel", "key_control", Perhaps, refused),
    row("kernel", "performance_counters", Perhaps, refused),
    row("kernel", "user_faults", Perhaps, refused),
    row("kernel", "memory_file", Perhaps, refused),
    row("kernel", "shared_segment", Perhaps, refused),
    row("kernel", "semaphores", Perhaps, refused),
    row("kernel", "message_queue", Perhaps, refused),
    row("kernel", "posix_queue", Perhaps, refused),
    row("kernel", "posix_memory", Perhaps, refused),
    row("kernel", "foreign_calls", Perhaps, refused_or_killed),
    row("kernel", "x32_calls", Perhaps, refused),
    row("library", "read_packages", Perhaps, refused),
    row("library", "list_packages", Perhaps, refused),
    row("library", "list_packages_by_descriptor", Perhaps, refused),
    row("library", "list_library_folder", Perhaps, refused),
    row("library", "list_packages_through_the_library", Perhaps, refused),
    row("library", "list_packages_through_a_link", Perhaps, refused),
    row("library", "walk_into_packages", Perhaps, refused),
    row("library", "import_package", Perhaps, refused),
    row("library", "link_to_packages", Perhaps, refused),
    row("library", "tests_of_python", Perhaps, refused),
    row("library", "write_into_the_library", Perhaps, refused),
    row("library", "remove_from_the_library", Perhaps, refused),
    row("calls", "handle_of_a_file", Perhaps, refused),
    row("calls", "watch_files", Sure, refused),
    row("calls", "watch_all_files", Perhaps, refused),
    row("calls", "watch_by_lease", Perhaps, refused),
    row("calls", "new_mount", Perhaps, refused),
    row("calls", "tree_of_mounts", Perhaps, refused),
    row("calls", "enter_a_namespace", Perhaps, refused),
    row("calls", "compare_processes", Perhaps, refused),
    row("calls", "splice", Sure, refused),
    row("calls", "give_memory_to_a_pipe", Sure, refused),
    row("calls", "large_pipes", Sure, refused),
    row("calls", "write_memory_of_other", Perhaps, refused),
    row("calls", "signal_a_thread", Sure, refused),
    row("calls", "signal_with_a_message", Perhaps, refused),
    row("calls", "slow_down_other", Sure, refused),
    row("calls", "bind_other_to_a_processor", Sure, refused),
    row("calls", "schedule_other", Perhaps, refused),
    row("calls", "input_priority_of_other", Perhaps, refused),
    row("calls", "memory_of_other_nodes", Perhaps, refused),
    row("calls", "make_a_device", Perhaps, refused),
    row("calls", "take_rights_of_a_file", Sure, refused),
    row("calls", "root_of_another", Sure, refused),
    row("calls", "folder_of_the_harness", Sure, refused),
    row("calls", "descriptors_of_the_harness", Sure, refused),
    row("calls", "execute_by_descriptor", Sure, refused),
    row("calls", "fork_by_number", Sure, refused),
    row("calls", "a_session_of_its_own", Perhaps, refused),
    row("calls", "kernel_crypto", Perhaps, refused),
    row("calls", "raw_packets", Perhaps, refused),
    row("calls", "virtual_machine_socket", Perhaps, refused),
    row("calls", "log_of_the_kernel", Perhaps, refused),
    row("calls", "secret_memory", Perhaps, refused),
    row("limits", "endless_loop", Sure, out_of_time),
    row("limits", "endless_loop_deaf", Sure, out_of_time),
    row("limits", "endless_sleep", Sure, out_of_time),
    row("limits", "stop_itself", Nothing, out_of_time),
    row("limits", "much_memory", Sure, out_of_memory),
    row("limits", "much_mapped_memory", Sure, |o| refused(o) && o.stdout.contains("OSError") || out_of_memory(o)),
    row("limits", "much_memory_slowly", Sure, out_of_memory),
    row("limits", "endless_output", Sure, output_cut),
    row("limits", "huge_file", Sure, refused),
    row("limits", "large_file", Sure, refused),
    row("limits", "fill_disk", Sure, out_of_disk),
    row("limits", "many_files", Sure, out_of_disk),
    row("limits", "many_open_files", Sure, refused),
    row("limits", "deep_recursion", Nothing, anyhow),
    row("limits", "deep_native_recursion", Nothing, anyhow),
    row("limits", "exhausting_pattern", Nothing, out_of_time),
    row("limits", "huge_number", Nothing, anyhow),
];
