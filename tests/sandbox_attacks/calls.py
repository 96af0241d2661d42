"""Attacks by system calls that no program of a benchmark needs."""
import fcntl
import signal
import stat


def handle_of_a_file():
    handle, mount = ctypes.create_string_buffer(b"\x80" + bytes(135), 136), ctypes.c_int()
    return syscall(303, 264, -100, TARGET["secret"].encode(), handle, ctypes.byref(mount), 0) == 0


def watch_files():
    return syscall(294, 26, 0) >= 0


def watch_all_files():
    return syscall(300, 262, 0, 0) >= 0


def watch_by_lease():
    fcntl.fcntl(os.open(TARGET["outside"], os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_MODIFY)
    return True


def new_mount():
    return syscall(430, 430, b"tmpfs", 0) >= 0


def tree_of_mounts():
    return syscall(428, 428, -100, b"/", 1) >= 0


def enter_a_namespace():
    return syscall(308, 268, os.open("/proc/1/ns/net", os.O_RDONLY), 0) == 0


def compare_processes():
    return syscall(312, 272, os.getpid(), TARGET["process"], 1, 0, 0) >= 0


def splice():
    (a, b), (c, d) = os.pipe(), os.pipe()
    os.write(b, b"x")
    return syscall(275, 76, a, None, d, None, 1, 0) == 1


def give_memory_to_a_pipe():
    _, write = os.pipe()
    data = ctypes.create_string_buffer(b"x")
    part = (ctypes.c_size_t * 2)(ctypes.addressof(data), 1)
    return syscall(278, 75, write, part, 1, 0) == 1


def large_pipes():
    return fcntl.fcntl(os.pipe()[1], 1031, 1 << 20) >= 1 << 20


def write_memory_of_other():
    data = ctypes.create_string_buffer(b"tests of another")
    mine = (ctypes.c_size_t * 2)(ctypes.addressof(data), 16)
    other = (ctypes.c_size_t * 2)(TARGET["victim_address"], 16)
    return syscall(311, 271, TARGET["victim"], mine, 1, other, 1, 0) == 16


def signal_a_thread():
    return syscall(200, 130, TARGET["process"], 0) == 0


def signal_with_a_message():
    info = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(info, 8).value = -1
    return syscall(297, 240, TARGET["process"], TARGET["process"], 0, info) == 0


def slow_down_other():
    os.setpriority(os.PRIO_PROCESS, TARGET["process"], 5)
    return True


def bind_other_to_a_processor():
    os.sched_setaffinity(TARGET["process"], {min(os.sched_getaffinity(0))})
    return True


def schedule_other():
    os.sched_setscheduler(TARGET["process"], os.SCHED_BATCH, os.sched_param(0))
    return True


def input_priority_of_other():
    return syscall(251, 30, 1, TARGET["process"], 3 << 13) == 0


def memory_of_other_nodes():
    return syscall(256, 238, TARGET["process"], 1, (ctypes.c_ulong * 1)(1), (ctypes.c_ulong * 1)(1)) >= 0


def make_a_device():
    os.mknod("innocent", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return True


def take_rights_of_a_file():
    open("innocent", "w").close()
    os.chmod("innocent", 0o4755)
    return True


def root_of_another():
    return "root" in open("/proc/self/root/etc/passwd").read()


def folder_of_the_harness():
    return bool(os.listdir("/proc/%d/cwd" % TARGET["harness"]))


def descriptors_of_the_harness():
    return bool(os.listdir("/proc/%d/fd" % TARGET["harness"]))


def execute_by_descriptor():
    program = os.open("/bin/echo", os.O_RDONLY)
    arguments = (ctypes.c_char_p * 3)(b"echo", b"breach", None)
    syscall(322, 281, program, b"", arguments, (ctypes.c_char_p * 1)(None), 0x1000)


def fork_by_number():
    child = syscall(56, 220, int(signal.SIGCHLD), 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def a_session_of_its_own():
    os.setpgid(0, 0)
    return True


def kernel_crypto():
    import socket
    return bool(socket.socket(38, socket.SOCK_SEQPACKET))


def raw_packets():
    import socket
    return bool(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))


def virtual_machine_socket():
    import socket
    return bool(socket.socket(40, socket.SOCK_STREAM))


def log_of_the_kernel():
    return syscall(103, 116, 10, None, 0) >= 0


def secret_memory():
    return syscall(447, 447, 0) >= 0
