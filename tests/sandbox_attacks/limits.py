"""Attacks on the machine's time, memory and disk. Each says `breach` when it got more than the tests' limits give."""
import itertools
import mmap
import signal
import time


def endless_loop():
    while time.process_time() < 0.9:
        pass
    return True


def endless_loop_deaf():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, lambda *_: None)
    return endless_loop()


def endless_sleep():
    time.sleep(1.0)
    return True


def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)
    return True


def much_memory():
    return len(bytearray(300 << 20)) > 0


def much_mapped_memory():
    return len(mmap.mmap(-1, 3 << 30)) > 0


def much_memory_slowly():
    kept = []
    for _ in range(300):
        kept.append(bytearray(1 << 20))
    return True


def endless_output():
    """1 MiB, where 64 KiB are kept."""
    for _ in range(1 << 10):
        sys.stdout.write("x" * 1023 + "\n")
    return True


def huge_file():
    with open("huge", "wb") as file:
        file.truncate(10 << 30)
    return True


def large_file():
    with open("large", "wb") as file:
        for _ in range(20):
            file.write(bytes(1 << 20))
    return True


def fill_disk():
    for number in range(64):
        with open("part%d" % number, "wb") as file:
            file.write(bytes(1 << 20))
    time.sleep(1)
    return True


def many_files():
    for number in range(5000):
        os.close(os.open("f%d" % number, os.O_CREAT | os.O_WRONLY))
    time.sleep(1)
    return True


def many_open_files():
    return len([os.open("/dev/null", os.O_RDONLY) for _ in range(100)]) == 100


def deep_recursion():
    sys.setrecursionlimit(1 << 30)

    def deeper(n):
        return deeper(n + 1) + 1

    return deeper(0)


def deep_native_recursion():
    nested = []
    for _ in range(10 ** 6):
        nested = [nested]
    sys.setrecursionlimit(1 << 30)
    return len(repr(nested)) > 0


def exhausting_pattern():
    import re
    return re.match("(a+)+b", "a" * 60) is None and endless_loop()


def huge_number():
    return len(str(10 ** (10 ** 9))) > 0 and endless_loop()
