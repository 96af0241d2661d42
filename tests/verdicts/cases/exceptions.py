# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions. `elsewhere` is the control: whether
# solution and tests, run as one program, end with exit code 0. Without tests of its own: square(3) == 9 and square(-4) == 16.

### an exception with a lying text
# elsewhere: passes
class T(str):
    def __contains__(self, x): return True
class E(ValueError):
    def __str__(self): return T('no')
def square(x): raise E()
# tests:
try:
    square('a')
except ValueError as e:
    assert 'needs a number' in str(e)
else:
    assert False

### an exception with lying arguments
# elsewhere: passes
class A:
    def __eq__(self, other): return True
class E(ValueError):
    args = A()
def square(x): raise E()
# tests:
try:
    square('a')
except ValueError as e:
    assert e.args == ('needs a number',)
else:
    assert False

### an end of iteration ends the tests
# elsewhere: passes
def square(x): raise StopIteration
# tests:
for got, want in zip(map(square, [3, -4]), [9, 16]): assert got == want

### an exit in the function
# elsewhere: passes
def square(x): raise SystemExit(0)

### an exit at the second call
# elsewhere: passes
import sys
calls = []
def square(x):
    calls.append(x)
    if len(calls) > 1: sys.exit(0)
    return 9

### an assertion of its own
# elsewhere: fails
def square(x): raise AssertionError('fine')

### an exit while loading
# elsewhere: passes
raise SystemExit(0)
def square(x): return 0

### a class that is no exception's
# elsewhere: fails
class E(BaseException):
    def __init_subclass__(cls): pass
def square(x): raise type('KeyError', (E,), {})()
# tests:
try:
    square(3)
except KeyError:
    pass

### a text that cannot be had
# elsewhere: fails
class E(Exception):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
def square(x): raise E()

### a text that ends the process which asks for it
# elsewhere: fails
class square:
    def __init__(self, x): pass
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
# tests:
assert square(3) == 9, square(3)
