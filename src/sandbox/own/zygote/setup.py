"""First part of the warmed interpreter: what it is and how it sets itself up.

A warmed interpreter loads what programs commonly import and forks one sandboxed child at a time. It is told over the socket on descriptor 3, in frames (u32 length, little-endian, JSON). The first frame sets it up; every
other one starts a child, whose descriptors come with it, and is answered by how the child ended. It goes when the
socket closes, and with it everything that it started.
"""
import sys

sys.path[:] = [p for p in sys.path if p]

import ctypes
import errno
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import time
import traceback

CONTROL = 3
CLONE = {"mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000,
         "pid": 0x20000000, "network": 0x40000000}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF, CLOSE_RANGE = 445, 446, 436
MS_PRIVATE, MS_REC, MS_NOSUID, MS_NODEV, MS_NOEXEC, MNT_DETACH = 1 << 18, 1 << 14, 2, 4, 8, 2

PRELOAD = """abc ast array base64 bisect builtins calendar cmath codecs collections collections.abc contextlib copy
dataclasses datetime decimal enum fractions functools hashlib heapq inspect io itertools json keyword linecache locale
math numbers operator os os.path pprint queue random re reprlib shutil site statistics string struct sys tempfile
textwrap threading time timeit token tokenize traceback types typing unicodedata unittest uuid warnings weakref zlib
""".split()

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    """A C library function whose negative result is an error."""
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if getattr(libc, name)(*plain) < 0:
        code = ctypes.get_errno()
        raise OSError(code, name + ": " + os.strerror(code))


class Order:
    """What this zygote was told at its start, and what came of it."""

    def __init__(self, told):
        self.scratch = told["scratch"]
        self.uid = told["uid"]
        self.without = set(told["without"])
        self.filters = [Filter(bytes.fromhex(f), told["own_pid"]) for f in told["filters"]]
        self.scratch_rights = told["scratch_rights"]
        self.namespaces = []
        self.reason = ""
        self.tmpfs = False
        self.processes = 0
        self.shared_user = False


class Filter:
    """A seccomp program in which every child puts its own number."""

    def __init__(self, program, mark):
        mark = struct.pack("=I", mark)
        self.program = bytearray(program)
        self.places = [i + 4 for i in range(0, len(program), 8) if program[i + 4:i + 8] == mark]

    def install(self):
        for place in self.places:
            struct.pack_into("=I", self.program, place, os.getpid())
        code = (ctypes.c_char * len(self.program)).from_buffer(self.program)
        head = ctypes.create_string_buffer(struct.pack("@HP", len(self.program) // 8, ctypes.addressof(code)))
        call("prctl", PR_SET_SECCOMP, 2, ctypes.c_void_p(ctypes.addressof(head)), 0, 0)


def drop_user(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def unshare(order, mode):
    """Own namespaces: all of them or none. A user namespace gives an unprivileged process the right to the others."""
    uid, gid = os.getuid(), os.getgid()
    names = ["network", "pid", "ipc", "mount", "uts"] + (["user"] if mode == "user" else [])
    try:
        call("unshare", sum(CLONE[n] for n in names))
        if mode == "user":
            for file, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)),
                               ("gid_map", "%d %d 1" % (gid, gid))):
                with open("/proc/self/" + file, "w") as out:
                    out.write(text)
        call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    except OSError as error:
        order.reason = str(error)
        return False
    order.namespaces = sorted(names)
    return True


def become_init():
    """Goes on as the first process of the new namespace; whoever is left behind waits, and neither outlives the other."""
    child = os.fork()
    if child:
        os.close(CONTROL)
        status = os.waitpid(child, 0)[1]
        os._exit(0 if status == 0 else 1)
    tie_to_parent(0)


def tie_to_parent(parent):
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def mount_scratch(order, size):
    options = "size=%d,nr_inodes=%d,mode=0700" % (size, max(64, size // 4096))
    call("mount", b"scratch", os.fsencode(order.scratch), b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.encode())


def unmount_scratch(order):
    call("umount2", os.fsencode(order.scratch), MNT_DETACH)


def try_tmpfs(order):
    try:
        mount_scratch(order, 1 << 20)
        unmount_scratch(order)
        return True
    except OSError:
        return False


def redirect_imports(old, new):
    """The standard library's other place, which the programs' user can reach."""
    def moved(path):
        return new + path[len(old):] if path == old or path.startswith(old + "/") else path

    sys.path[:] = [moved(p) for p in sys.path]
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__path__", None), list):
            module.__path__[:] = [moved(p) for p in module.__path__]


def other_processes(order):
    """How many of this user's processes and threads the kernel counts besides a child's own."""
    release = tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in os.uname().release.split(".")[:2])
    if "user" in order.namespaces and release >= (5, 14):
        return 2  # this process and the one that waits for it; other namespaces are counted on their own
    count, uid = 0, os.getuid()
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat("/proc/" + name).st_uid == uid:
                count += len(os.listdir("/proc/" + name + "/task"))
        except OSError:
            pass
    return count


def warm():
    import importlib

    for name in PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    site = sys.modules.get("site")
    if site:
        site.setquit()  # programs may call exit() and quit()
    import concurrent.futures
    concurrent.futures.ThreadPoolExecutor
    try:
        ctypes.CDLL("libgcc_s.so.1")  # the C library opens it when a thread exits early, and no program may open it
    except OSError:
        pass
    sys.stdout.flush()
    gc.collect()
    gc.freeze()


def set_up(told):
    order = Order(told)
    for old, new in told["imports"]:
        redirect_imports(old, new)
    warm()
    mode = told["namespaces"]
    apart = mode == "root" and unshare(order, mode)
    if order.uid is not None:
        drop_user(order.uid)
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self would still be root's
    apart = apart or (mode == "user" and unshare(order, mode))
    if apart:
        become_init()
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    order.tmpfs = "user" in order.namespaces and try_tmpfs(order)
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # if memory runs out, programs go before anything else
    except OSError:
        pass
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    return order
