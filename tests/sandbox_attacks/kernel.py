"""Attacks on the kernel, on identity and on limits."""
import mmap
import resource
import signal


def unshare_user():
    return LIBC.unshare(0x10000000) == 0 or fail()


def fail():
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount():
    # In a mount namespace of its own, so that nobody else sees the mount.
    LIBC.unshare(0x00020000) == 0 or LIBC.unshare(0x10020000) == 0 or fail()
    LIBC.mount(None, b"/", None, ctypes.c_ulong(1 << 18 | 1 << 14), None)
    return LIBC.mount(b"x", os.fsencode(os.getcwd()), b"tmpfs", ctypes.c_ulong(0), None) == 0 or fail()


def change_root():
    os.chroot(".")
    return True


def become_root():
    os.setuid(0)
    os.seteuid(0)
    return os.geteuid() == 0


def become_other():
    os.setgroups([])
    os.setgid(1)
    os.setuid(1)
    return True


def all_capabilities():
    # The kernel's own word on what this process may do, by asking for something only root may.
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    syscall(125, 90, head, sets)
    return sets[0] != 0


def raise_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard + 100, hard + 100))
    return True


def lower_limit_of_other():
    resource.prlimit(TARGET["process"], resource.RLIMIT_CORE, (0, 0))
    return True


def io_uring():
    return syscall(425, 425, 4, ctypes.create_string_buffer(120)) >= 0


def bpf():
    # An array of one element.
    return syscall(321, 280, 0, ctypes.create_string_buffer(b"\2\0\0\0\4\0\0\0\4\0\0\0\1\0\0\0" + bytes(112), 128), 128) >= 0


def add_key():
    return syscall(248, 217, b"user", b"fairmark-test", b"x", 1, -1) > 0


def key_control():
    return syscall(250, 219, 0, -3, 1) > 0


def performance_counters():
    about = ctypes.create_string_buffer(128)
    ctypes.c_uint32.from_buffer(about, 0).value = 1
    ctypes.c_uint32.from_buffer(about, 4).value = 128
    return syscall(298, 241, about, 0, -1, -1, 0) >= 0


def user_faults():
    return syscall(323, 282, 1) >= 0


def memory_file():
    return syscall(319, 279, b"innocent", 0) >= 0


def shared_segment():
    segment = syscall(29, 194, 0, 4096, 0o1600)
    syscall(31, 195, segment, 0, None)
    return True


def semaphores():
    found = syscall(64, 190, 0, 1, 0o1600)
    syscall(66, 191, found, 0, 0, None)
    return True


def message_queue():
    queue = syscall(68, 186, 0, 0o1600)
    syscall(71, 187, queue, 0, None)
    return True


def posix_queue():
    name = b"fairmark-%d" % os.getpid()
    syscall(240, 180, name, os.O_CREAT | os.O_RDWR, 0o600, None)
    syscall(241, 181, name)
    return True


def posix_memory():
    path = "/dev/shm/fairmark-%d" % os.getpid()
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    os.remove(path)
    return True


def foreign_calls():
    """System calls by the numbers of 32-bit programs, which the list of allowed ones does not mean."""
    if ARM:
        return False
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()


def x32_calls():
    """The same by the numbers of the x32 interface."""
    if ARM:
        return False
    return syscall(0x40000000 + 41, 0, 2, 1, 0) >= 0
