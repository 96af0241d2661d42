"""What every attack has: its target, system calls, and a way to say how it went."""
import ctypes
import json
import os
import sys

TARGET = json.load(open("target.json"))
LIBC = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"


def syscall(x86, arm, *arguments):
    """A raw system call, by its numbers on the two architectures; an error becomes an exception."""
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    LIBC.syscall.restype = ctypes.c_long
    result = LIBC.syscall(ctypes.c_long(arm if ARM else x86), *plain)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attempt(attack):
    try:
        done = attack()
    except Exception as error:
        print("contained:", type(error).__name__, error, flush=True)
    else:
        print("breach" if done else "contained: nothing came of it", flush=True)
