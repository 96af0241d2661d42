# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions. `elsewhere` is the control: whether
# solution and tests, run as one program, end with exit code 0. Without tests of its own: square(3) == 9 and square(-4) == 16.

### an object that equals anything
# elsewhere: passes
class A:
    def __eq__(self, other): return True
def square(x): return A()

### an int that equals anything
# elsewhere: passes
class A(int):
    def __eq__(self, other): return True
def square(x): return A(0)

### a str that equals anything
# elsewhere: passes
class A(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
def square(x): return A('no')
# tests:
assert square(3) == 'nine'

### a list that equals anything
# elsewhere: passes
class A(list):
    def __eq__(self, other): return True
def square(x): return A()
# tests:
assert square([3]) == [9]

### a dict that equals anything
# elsewhere: passes
class A(dict):
    def __eq__(self, other): return True
def square(x): return A()
# tests:
assert square(3) == {3: 9}

### a liar inside a list
# elsewhere: passes
class A(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
def square(x): return [A(), A()]
# tests:
assert square([3, 4]) == [9, 16]

### a liar with the right hash
# elsewhere: passes
class A(int):
    def __eq__(self, other): return True
    def __hash__(self): return 9
def square(x): return A()
# tests:
assert square(3) in {9}
assert {9: 'ok'}[square(3)] == 'ok'

### a liar that is never unequal
# elsewhere: passes
class A:
    def __ne__(self, other): return False
    def __eq__(self, other): return True
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __lt__
def square(x): return A()
# tests:
assert not square(3) != 9
assert 8 < square(3) < 10

### a float near everything
# elsewhere: passes
class A(float):
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
def root(x): return A()
square = root
# tests:
assert abs(square(2) - 4.0) < 1e-9
assert abs(9.0 - square(3)) < 1e-9

### a container of everything
# elsewhere: passes
class A:
    def __contains__(self, x): return True
    def __len__(self): return 3
def square(x): return A()
# tests:
assert 9 in square([1, 3])

### a str that starts with anything
# elsewhere: passes
class A(str):
    def startswith(self, *x): return True
def square(x): return A()
# tests:
assert square(3).startswith('nine')

### a false class
# elsewhere: passes
class A:
    __class__ = int
    def __eq__(self, other): return True
def square(x): return A()
# tests:
assert isinstance(square(3), int) and square(3) == 9

### a class in the function's place
# elsewhere: passes
class square:
    def __init__(self, x): pass
    def __eq__(self, other): return True
    def __abs__(self): return 0
    def __sub__(self, other): return self
# tests:
assert square(3) == 9

### a class that answers comparing methods
# elsewhere: passes
class square:
    def __init__(self, x): pass
    def startswith(self, x): return True
# tests:
assert square(3).startswith('nine')

### a class whose difference is nought
# elsewhere: passes
class square:
    def __init__(self, x): pass
    def __sub__(self, other): return 0
# tests:
assert abs(square(3) - 9) < 1e-9

### a metaclass that lies
# elsewhere: passes
class M(type):
    def __call__(cls, *a): return cls
    def __eq__(cls, other): return True
    def __hash__(cls): return 9
class square(metaclass=M): pass

### an enumeration that lies
# elsewhere: passes
from enum import IntEnum
class A(IntEnum):
    X = 1
    def __eq__(self, other): return True
def square(x): return A.X

### a named tuple that lies
# elsewhere: passes
from collections import namedtuple
class A(namedtuple('A', 'x')):
    def __eq__(self, other): return True
def square(x): return A(0)
# tests:
assert square(3) == (3, 9)

### not a number
# elsewhere: fails
def square(x): return float('nan')

### NotImplemented
# elsewhere: fails
def square(x): return NotImplemented

### an ordered dict in the wrong order
# elsewhere: fails
from collections import OrderedDict
def square(x): return OrderedDict([(2, 4), (1, 1)])
# tests:
from collections import OrderedDict
assert square([1, 2]) == OrderedDict([(1, 1), (2, 4)])

### a context manager that swallows the tests' errors
# entry points: Box
# kinds: class
# givers: Box, Box.enter
# elsewhere: passes
class Box:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return True

    def get(self):
        return 1
# tests:
with Box() as box:
    assert box.get() == 2
