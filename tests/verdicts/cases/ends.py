# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions. `elsewhere` is the control: whether
# solution and tests, run as one program, end with exit code 0. Without tests of its own: square(3) == 9 and square(-4) == 16.

### an end without clean-up
# elsewhere: passes
import os
def square(x): os._exit(0)

### an end at the second call
# elsewhere: passes
import os
calls = []
def square(x):
    calls.append(x)
    if len(calls) > 1: os._exit(0)
    return 9

### an end while loading
# elsewhere: passes
import os
os._exit(0)

### an end at the exit
# elsewhere: passes
import atexit, os
atexit.register(os._exit, 0)
def square(x): return 0

### an end in a thread
# elsewhere: passes
import os, threading, time
def square(x):
    threading.Thread(target=os._exit, args=(0,)).start()
    time.sleep(1)
    return 0

### an end by a signal's handler
# elsewhere: passes
import os, signal, time
signal.signal(signal.SIGALRM, lambda *x: os._exit(0))
def square(x):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(1)
    return 0

### an end by a finaliser
# elsewhere: passes
import os
class A:
    def __del__(self): os._exit(0)
def square(x): return A()

### an end by a profiler
# elsewhere: passes
import os, sys
def square(x):
    sys.setprofile(lambda *x: os._exit(0))
    return 0

### another program in its place
import os
def square(x): os.execv('/bin/true', ['true'])

### an end in a child
import os
def square(x):
    if os.fork(): os._exit(0)
    return 9

### a crash
# elsewhere: fails
import ctypes
def square(x): return ctypes.string_at(1)

### a stack without end
# elsewhere: fails
import sys
sys.setrecursionlimit(10**9)
def square(x):
    class A:
        def __getattr__(self, name): return getattr(self, name)
    return A().x

### a loop
# elsewhere: fails
def square(x):
    while True: pass

### numbers without end
# elsewhere: fails
def square(x):
    while True: yield 9
# tests:
assert list(square(3)) == [9]

### a number without end
# elsewhere: fails
def square(x): return 7 ** (10 ** 6)

### a hoard
# elsewhere: fails
def square(x):
    y = []
    while True: y.append(bytearray(1 << 24))

### a claim on standard output
# elsewhere: fails
def square(x):
    print('PASSED', flush=True)
    return 0

### an iterator in place of a function
# elsewhere: fails
square = iter([9])

### an object in place of a value
# entry points: square, numbers
# elsewhere: fails
def square(x): return 0
numbers = (x for x in [9])
