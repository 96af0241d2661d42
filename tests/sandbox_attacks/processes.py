"""Attacks on other processes, and by way of new ones."""
import signal
import subprocess
import threading
import time


def kill_other():
    os.kill(TARGET["process"], signal.SIGKILL)
    return True


def stop_other():
    os.kill(TARGET["process"], signal.SIGSTOP)
    return True


def signal_harness():
    os.kill(TARGET["harness"], 0)
    return True


def signal_parent():
    os.kill(os.getppid(), 0)
    return True


def signal_everybody():
    os.kill(-1, 0)
    return True


def queue_signal():
    info = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(info, 0).value = 10
    ctypes.c_int.from_buffer(info, 8).value = -1
    process = TARGET["process"]
    syscall(129, 138, process, 0, info)
    return True


def signal_by_descriptor():
    import fcntl

    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, TARGET["process"])
    fcntl.fcntl(read, getattr(fcntl, "F_SETSIG", 10), signal.SIGKILL)
    fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)
    os.write(write, b"x")
    return True


def process_handle():
    return syscall(434, 434, TARGET["process"], 0) > 0


def trace():
    return syscall(101, 117, 0x4206, TARGET["process"], 0, 0) == 0


def read_memory():
    room = ctypes.create_string_buffer(16)
    mine = (ctypes.c_size_t * 2)(ctypes.addressof(room), 16)
    other = (ctypes.c_size_t * 2)(TARGET["victim_address"], 16)
    syscall(310, 270, TARGET["victim"], mine, 1, other, 1, 0)
    return room.raw == b"tests of another"


def read_memory_file():
    with open("/proc/%d/mem" % TARGET["victim"], "rb", 0) as file:
        file.seek(TARGET["victim_address"])
        return file.read(16) == b"tests of another"


def steal_descriptor():
    handle = syscall(434, 434, TARGET["process"], 0)
    return syscall(438, 438, handle, 0, 0) >= 0


def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    return True


def fork_by_clone3():
    arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    if syscall(435, 435, arguments, 64) == 0:
        os._exit(0)
    os.wait()
    return True


def fork_bomb():
    children = []
    try:
        while len(children) < 40:
            child = os.fork()
            if child == 0:
                time.sleep(30)
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children) == 40


def thread_bomb():
    threading.stack_size(64 << 10)
    stop = threading.Event()
    try:
        for _ in range(60):
            threading.Thread(target=stop.wait).start()
        return True
    finally:
        stop.set()


def execute():
    os.execv("/bin/echo", ["echo", "breach"])


def execute_shell():
    return os.system("true") == 0


def spawn():
    return subprocess.run(["/bin/echo", "x"], stdout=subprocess.PIPE).stdout == b"x\n"


def execute_memory():
    program = os.memfd_create("innocent")
    with open("/bin/echo", "rb") as echo:
        os.write(program, echo.read())
    os.execve(program, ["echo", "breach"], {})


def execute_written():
    with open("run.sh", "w") as file:
        file.write("#!/bin/sh\necho breach\n")
    os.chmod("run.sh", 0o755)
    os.execv("./run.sh", ["run.sh"])


def daemon():
    """Two forks and a session of its own: nobody's child, in nobody's group."""
    if os.fork():
        os.wait()
        time.sleep(0.1)
        return True
    os.setsid()
    if os.fork():
        os._exit(0)
    LIBC.prctl(15, TARGET["daemon"].encode(), 0, 0, 0)
    # The output pipes stay open, as a daemon that wants to be noticed would keep them.
    time.sleep(20)
    os._exit(0)
