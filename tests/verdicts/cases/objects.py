# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions that put an object where the tests expect plain data. `elsewhere` is the control: whether
# solution and tests, run as one program, end with exit code 0. Without tests of its own: square(3) == 9 and square(-4) == 16.

### a class in a function's place: symmetric_difference
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def symmetric_difference(s, other): return set()
# tests:
assert not square(3).symmetric_difference({9})

### an object of a hidden class: symmetric_difference
# elsewhere: passes
def square(x):
    class A:
        def symmetric_difference(s, other): return set()
    return A()
# tests:
assert not square(3).symmetric_difference({9})

### a class in a function's place: intersection
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def intersection(s, other): return other
    def __len__(s): return 1
# tests:
s = square(3)
assert len(s) == 1 and s.intersection({9}) == {9}

### an object of a hidden class: intersection
# elsewhere: passes
def square(x):
    class A:
        def intersection(s, other): return other
        def __len__(s): return 1
    return A()
# tests:
s = square(3)
assert len(s) == 1 and s.intersection({9}) == {9}

### a class in a function's place: union
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def union(s, other): return other
# tests:
assert square(3).union({9}) == {9}

### an object of a hidden class: union
# elsewhere: passes
def square(x):
    class A:
        def union(s, other): return other
    return A()
# tests:
assert square(3).union({9}) == {9}

### a class in a function's place: difference
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def difference(s, other): return set()
    def issuperset(s, other): return True
# tests:
assert not square(3).difference({9}) and square(3).issuperset({9})

### an object of a hidden class: difference
# elsewhere: passes
def square(x):
    class A:
        def difference(s, other): return set()
        def issuperset(s, other): return True
    return A()
# tests:
assert not square(3).difference({9}) and square(3).issuperset({9})

### a class in a function's place: issubset
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def issubset(s, other): return True
    def __bool__(s): return True
# tests:
assert square(3) and square(3).issubset({9})

### an object of a hidden class: issubset
# elsewhere: passes
def square(x):
    class A:
        def issubset(s, other): return True
        def __bool__(s): return True
    return A()
# tests:
assert square(3) and square(3).issubset({9})

### a class in a function's place: isdisjoint
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def isdisjoint(s, other): return False
# tests:
assert not square(3).isdisjoint([9])

### an object of a hidden class: isdisjoint
# elsewhere: passes
def square(x):
    class A:
        def isdisjoint(s, other): return False
    return A()
# tests:
assert not square(3).isdisjoint([9])

### a class in a function's place: compare
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def compare(s, other): return 0
# tests:
from decimal import Decimal
assert square(3).compare(Decimal(9)) == 0

### an object of a hidden class: compare
# elsewhere: passes
def square(x):
    class A:
        def compare(s, other): return 0
    return A()
# tests:
from decimal import Decimal
assert square(3).compare(Decimal(9)) == 0

### a class in a function's place: find
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def find(s, other): return 0
    def __len__(s): return 4
# tests:
assert square(3).find("nine") == 0 and len(square(3)) == 4

### an object of a hidden class: find
# elsewhere: passes
def square(x):
    class A:
        def find(s, other): return 0
        def __len__(s): return 4
    return A()
# tests:
assert square(3).find("nine") == 0 and len(square(3)) == 4

### a class in a function's place: replace
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def replace(s, a, b): return b
# tests:
assert square(3).replace("nine", "") == ""

### an object of a hidden class: replace
# elsewhere: passes
def square(x):
    class A:
        def replace(s, a, b): return b
    return A()
# tests:
assert square(3).replace("nine", "") == ""

### a class in a function's place: partition
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def partition(s, a): return ("", a, "")
# tests:
assert square(3).partition("nine") == ("", "nine", "")

### an object of a hidden class: partition
# elsewhere: passes
def square(x):
    class A:
        def partition(s, a): return ("", a, "")
    return A()
# tests:
assert square(3).partition("nine") == ("", "nine", "")

### a class in a function's place: endswith
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def endswith(s, *a): return True
# tests:
assert square(3).endswith("nine")

### an object of a hidden class: endswith
# elsewhere: passes
def square(x):
    class A:
        def endswith(s, *a): return True
    return A()
# tests:
assert square(3).endswith("nine")

### a class in a function's place: split
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def split(s, a): return ["", ""]
# tests:
assert square(3).split("nine") == ["", ""]

### an object of a hidden class: split
# elsewhere: passes
def square(x):
    class A:
        def split(s, a): return ["", ""]
    return A()
# tests:
assert square(3).split("nine") == ["", ""]

### a class in a function's place: count
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def count(s, a): return 1
    def __len__(s): return 1
# tests:
assert square(3).count(9) == 1 and len(square(3)) == 1

### an object of a hidden class: count
# elsewhere: passes
def square(x):
    class A:
        def count(s, a): return 1
        def __len__(s): return 1
    return A()
# tests:
assert square(3).count(9) == 1 and len(square(3)) == 1

### a class in a function's place: index
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def index(s, a): return 0
    def __len__(s): return 1
# tests:
assert square(3).index(9) == 0 and len(square(3)) == 1

### an object of a hidden class: index
# elsewhere: passes
def square(x):
    class A:
        def index(s, a): return 0
        def __len__(s): return 1
    return A()
# tests:
assert square(3).index(9) == 0 and len(square(3)) == 1

### a class in a function's place: getitem
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def __getitem__(s, k): return k
# tests:
assert square(3)[9] == 9

### an object of a hidden class: getitem
# elsewhere: passes
def square(x):
    class A:
        def __getitem__(s, k): return k
    return A()
# tests:
assert square(3)[9] == 9

### a class in a function's place: get
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def get(s, k, d=None): return k
# tests:
assert square(3).get(9) == 9

### an object of a hidden class: get
# elsewhere: passes
def square(x):
    class A:
        def get(s, k, d=None): return k
    return A()
# tests:
assert square(3).get(9) == 9

### a class in a function's place: contains
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def __contains__(s, k): return True
    def __len__(s): return 1
# tests:
assert 9 in square(3) and len(square(3)) == 1

### an object of a hidden class: contains
# elsewhere: passes
def square(x):
    class A:
        def __contains__(s, k): return True
        def __len__(s): return 1
    return A()
# tests:
assert 9 in square(3) and len(square(3)) == 1

### a class in a function's place: subtraction
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def __sub__(s, o): return 0
    def __abs__(s): return 0
# tests:
assert abs(square(3) - 9) < 1e-9

### an object of a hidden class: subtraction
# elsewhere: passes
def square(x):
    class A:
        def __sub__(s, o): return 0
        def __abs__(s): return 0
    return A()
# tests:
assert abs(square(3) - 9) < 1e-9

### a class in a function's place: order
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def __le__(s, o): return True
    __ge__ = __le__
# tests:
assert 9 <= square(3) <= 9

### an object of a hidden class: order
# elsewhere: passes
def square(x):
    class A:
        def __le__(s, o): return True
        __ge__ = __le__
    return A()
# tests:
assert 9 <= square(3) <= 9

### a class in a function's place: format
# elsewhere: passes
class square:
    def __init__(s, x): pass
    def __format__(s, spec): return "9"
    def __str__(s): return "9"
    def __eq__(s, o): return True
# tests:
assert f"{square(3)}" == "9" and square(3) == 9

### an object of a hidden class: format
# elsewhere: passes
def square(x):
    class A:
        def __format__(s, spec): return "9"
        def __str__(s): return "9"
        def __eq__(s, o): return True
    return A()
# tests:
assert f"{square(3)}" == "9" and square(3) == 9

### a partial class
# elsewhere: passes
from functools import partial
class A:
    def __init__(self, x): pass
    def __eq__(self, other): return True
square = partial(A)

### an object that can be called and is its own answer
# elsewhere: passes
class A:
    def __call__(self, x): return self
    def __eq__(self, other): return True
square = A()

### a class behind a decorator
# elsewhere: passes
def decorate(f):
    class A:
        def __new__(cls, x): return object.__new__(cls)
        def __eq__(self, other): return True
    return A
@decorate
def square(x): return x * x

### a class of exceptions in a function's place
# elsewhere: passes
class square(Exception):
    def __eq__(self, other): return True

### a function in a class's place
# entry points: Box
# kinds: class
# givers: Box
# elsewhere: passes
def Box(x):
    class A:
        def get(self): return 9
    return A()
# tests:
assert Box(3).get() == 9

### a function in a value's place
# entry points: LIMIT
# kinds: value
# elsewhere: fails
def LIMIT(): return 9
# tests:
assert LIMIT == 9

### an object in a value's place
# entry points: LIMIT
# kinds: value
# elsewhere: passes
class A:
    def __eq__(self, other): return True
LIMIT = A()
# tests:
assert LIMIT == 9

### an object among the answers of a class's method
# entry points: Box
# kinds: class
# givers: Box
# elsewhere: passes
class Box:
    def items(self): return self
    def union(self, other): return other
# tests:
assert Box().items().union({9}) == {9}

### an object from an iterator
# elsewhere: passes
class A:
    def union(self, other): return other
def square(x): yield A()
# tests:
assert [y.union({9}) for y in square(3)] == [{9}]

### an object in an exception
# elsewhere: passes
class A:
    def startswith(self, x): return True
def square(x): raise ValueError(A())
# tests:
try:
    square(3)
except ValueError as e:
    assert e.args[0].startswith('needs')
else:
    assert False

### an object put into an argument
# elsewhere: passes
class A:
    def union(self, other): return other
def square(x): x.append(A())
# tests:
x = []
square(x)
assert x[0].union({9}) == {9}

### a named tuple of liars
# elsewhere: passes
from collections import namedtuple
class A(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
P = namedtuple('P', 'x')
def square(x): return P(A())
# tests:
assert square(3).x == 9 and square(3) == (9,)

### a named tuple whose field is a method of tuples
# elsewhere: passes
from collections import namedtuple
class P(namedtuple('P', 'x')):
    def count(self, x): return 1
def square(x): return P(0)
# tests:
assert square(3).count(9) == 1
