# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions that want not to be counted. The control: with
# WRONG = False before them, the same programs pass. Without tests of its own: square(3) == 9 and square(-4) == 16.

### killed by itself
import os, signal, sys, time
def square(x):
    if WRONG:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x

### a broken memory
import os, signal, sys, time
def square(x):
    if WRONG:
        os.kill(os.getpid(), signal.SIGSEGV)
    return x * x

### aborted
import os, signal, sys, time
def square(x):
    if WRONG:
        os.abort()
    return x * x

### the signal of the time limit
import os, signal, sys, time
def square(x):
    if WRONG:
        os.kill(os.getpid(), signal.SIGXCPU)
    return x * x

### the signal of the file limit
import os, signal, sys, time
def square(x):
    if WRONG:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGXFSZ)
    return x * x

### the signal of a forbidden call
import os, signal, sys, time
def square(x):
    if WRONG:
        os.kill(os.getpid(), signal.SIGSYS)
    return x * x

### the code of a lost channel
import os, signal, sys, time
def square(x):
    if WRONG:
        os._exit(70)
    return x * x

### the code of a broken layer
import os, signal, sys, time
def square(x):
    if WRONG:
        os._exit(1)
    return x * x

### all descriptors closed
import os, signal, sys, time
def square(x):
    if WRONG:
        os.closerange(0, 64)
    return x * x

### its ears closed
import os, signal, sys, time
def square(x):
    if WRONG:
        os.close(3)
    return x * x

### its mouth closed
import os, signal, sys, time
def square(x):
    if WRONG:
        os.close(4); time.sleep(0.2)
    return x * x

### its mouth on nothing
import os, signal, sys, time
def square(x):
    if WRONG:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 4); os._exit(0)
    return x * x

### a text of a layer that failed
import os, signal, sys, time
def square(x):
    if WRONG:
        os.write(4, b"\1\0\0\0h"); os._exit(0)
    return x * x

### a frame about broken tests
import os, signal, sys, time
def square(x):
    if WRONG:
        os.write(4, b"\1\0\0\0B"); os._exit(0)
    return x * x

### an empty frame
import os, signal, sys, time
def square(x):
    if WRONG:
        os.write(4, bytes(4)); os._exit(0)
    return x * x

### a frame without an end
import os, signal, sys, time
def square(x):
    if WRONG:
        os.write(4, b"\xff\xff\xff\x00vvvv"); os._exit(0)
    return x * x

### a frame of 4 GiB
import os, signal, sys, time
def square(x):
    if WRONG:
        os.write(4, b"\xff\xff\xff\xff"); os._exit(0)
    return x * x

### a text of 17 MiB
import os, signal, sys, time
def square(x):
    if WRONG:
        return "x" * (17 << 20)
    return x * x

### two million and one parts
import os, signal, sys, time
def square(x):
    if WRONG:
        return [(1,)] * 1_100_000
    return x * x

### a list a thousand deep
import os, signal, sys, time
def square(x):
    if WRONG:
        y = []
        for _ in range(1000): y = [y]
        return y
    return x * x

### a list that holds itself
import os, signal, sys, time
def square(x):
    if WRONG:
        y = []; y.append(y); return y
    return x * x

### a number of two million digits
import os, signal, sys, time
def square(x):
    if WRONG:
        return 7 ** 2_400_000
    return x * x

### half a pair of surrogates
import os, signal, sys, time
def square(x):
    if WRONG:
        return chr(0xd800)
    return x * x

### an exception that cannot be told
import os, signal, sys, time
def square(x):
    if WRONG:
        raise type("E", (Exception,), {"__str__": lambda s: 1 / 0})(object(), sys)
    return x * x

### an exception of a million parts
import os, signal, sys, time
def square(x):
    if WRONG:
        raise ValueError(*range(1_000_000))
    return x * x

### an exception without a base
import os, signal, sys, time
def square(x):
    if WRONG:
        raise BaseException(os)
    return x * x

### a key that no hash is for
import os, signal, sys, time
def square(x):
    if WRONG:
        from decimal import Decimal
        d = object.__new__(type("K", (), {"__hash__": lambda s: 1})); return {d: 1}
    return x * x

### a module for an answer
import os, signal, sys, time
def square(x):
    if WRONG:
        return sys
    return x * x

### a class for an answer
import os, signal, sys, time
def square(x):
    if WRONG:
        return type("A", (), {})
    return x * x

### a named tuple of a reserved name
import os, signal, sys, time
def square(x):
    if WRONG:
        return type("class", (tuple,), {"_fields": ("def", "def")})((1, 2))
    return x * x

### the disk filled
import os, signal, sys, time
def square(x):
    if WRONG:
        i = 0
        while True: open(str(i), "wb").write(bytes(1 << 20)); i += 1
    return x * x

### descriptors used up
import os, signal, sys, time
def square(x):
    if WRONG:
        kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(10_000)]
    return x * x

### threads used up
import os, signal, sys, time
def square(x):
    if WRONG:
        import threading
        kept = [threading.Thread(target=time.sleep, args=(9,), daemon=True).start() for _ in range(10_000)]
    return x * x

### memory used up
import os, signal, sys, time
def square(x):
    if WRONG:
        kept = []
        while True: kept.append(bytearray(1 << 22))
    return x * x

### a stack used up
import os, signal, sys, time
def square(x):
    if WRONG:
        sys.setrecursionlimit(10 ** 9); f = lambda: f(); f()
    return x * x

### folders that nobody may list
import os, signal, sys, time
def square(x):
    if WRONG:
        os.mkdir("d", 0o300)
        for i in range(40_000): open("d/%d" % i, "wb").close()
        return 0
    return x * x

### folders in folders
import os, signal, sys, time
def square(x):
    if WRONG:
        for i in range(3000):
            os.mkdir("d"); os.chdir("d")
        return 0
    return x * x

### links to everywhere
import os, signal, sys, time
def square(x):
    if WRONG:
        for i in range(200): os.symlink("/", "l%d" % i)
        os._exit(1)
    return x * x

### pipes that nobody writes to
import os, signal, sys, time
def square(x):
    if WRONG:
        for i in range(200): os.mkfifo("p%d" % i)
        os._exit(1)
    return x * x

### a handler for every signal
import os, signal, sys, time
def square(x):
    if WRONG:
        [signal.signal(n, lambda *x: os._exit(1)) for n in range(1, 32) if n not in (9, 19)]; os.kill(os.getpid(), signal.SIGTERM); time.sleep(1)
    return x * x

### an exception for a key, given back
# entry points: give, take
class E(Exception): pass
def give():
    return {ValueError([1, 2]): 1} if WRONG else {1: 1}
def take(d):
    return 1 in d
# tests:
assert take(give())

### a view for a key, given back
# entry points: give, take
def give():
    return [{}.keys(), {1: 2}.items()] if WRONG else [1]
def take(d):
    return d == [1]
# tests:
assert take(give())

### answers that fill the tests
def square(x):
    return 'x' * (15 << 20) if WRONG else x * x
# tests:
kept = [square(n) for n in range(100)]
assert kept[3] == 9

### items without end
def square(x):
    while WRONG: yield bytes(1 << 20)
    yield x * x
# tests:
assert list(square(3)) == [9]

### a change that fills an argument
def square(x):
    x.extend([0] * (3_000_000 if WRONG else 1))
# tests:
x = []
square(x)
assert x == [0]
