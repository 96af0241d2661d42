# Cases for `verdicts.rs`: right solutions whose data or manners are hard for two processes.

### arguments are changed in place
# entry points: f
def f(a, d, s, b):
    a.sort(); a[0] = [9]; d['k'].append(a); del d['x']; s.add(4); b.extend(b'!')
    return a
# tests:
a, d, s, b = [3, 1, 2], {'x': 1, 'k': []}, {1}, bytearray(b'a')
r = f(a, d, s, b)
assert r is a
assert a == [[9], 2, 3] and d == {'k': [a]} and d['k'][0] is a and s == {1, 4} and b == b'a!'

### aliases and cycles survive
# entry points: f
def f(a):
    assert a[0] is a and a[1] is a[2]
    a[1].append(1)
    return a
# tests:
x = []
a = []
a.extend([a, x, x])
assert f(a) is a and x == [1] and len(a) == 3

### expected exceptions
# entry points: f
class Odd(KeyError):
    pass

def f(x):
    if x < 0: raise ValueError('negative', x)
    if x == 0: raise Odd('zero')
    return [1][x]
# tests:
for x, kind, args in [(-1, ValueError, ('negative', -1)), (0, KeyError, ('zero',)), (5, IndexError, ('list index out of range',))]:
    try:
        f(x)
    except kind as e:
        assert e.args == args
    else:
        assert False

### exceptions that the solution defines
# entry points: f, Base, Full
class Base(ValueError):
    pass

class Full(Base):
    pass

def f(x):
    raise Full(x)
# tests:
try:
    f(3)
except Base as e:
    assert type(e) is Full and isinstance(e, ValueError) and e.args == (3,)
else:
    assert False

### changes before an exception
# entry points: f
def f(a):
    a.append(1)
    raise OSError(2, 'x')
# tests:
a = []
try:
    f(a)
except OSError as e:
    assert e.errno == 2
assert a == [1]

### values cross unchanged
# entry points: f
def f(*args, **keywords):
    return args, keywords
# tests:
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
values = [0, -1, 2**63 - 1, -2**63, 2**63, -2**64, 10**5000, 1.5, 5e-324, -0.0, float('inf'), True, False, None, 1j, '', 'é\0\U0001f600', '\ud800x',
b'\0\xff', bytearray(b'x'), (), (1,), [1], [[]], {1: 2, 'a': None}, {1, 'a'}, set(), frozenset([1, (2,)]), range(3, 9, 2), list(range(100)),
[1.5] * 20, [True] * 20, [1, True] * 20, [2**70] * 9, tuple(range(10)), set(range(50)), Counter('aab'), OrderedDict(b=1, a=2), deque([1, 2], 3), defaultdict(list, {1: [2]}),
Fraction(1, 3), Decimal('1.10'), date(2020, 2, 29), timedelta(1, 2), int, len]
for v in values:
    (r,), _ = f(v)
    assert r == v and type(r) is type(v) and repr(r)[:99] == repr(v)[:99] if v != 10**5000 else r == v
    assert f(x=v) == ((), {'x': v})
nan = f(float('nan'))[0][0]
assert nan != nan
assert struct.pack('d', f(-0.0)[0][0]) == struct.pack('d', -0.0)
assert list(f({3: 1, 1: 2})[0][0]) == [3, 1]
assert [type(x) for x in f([1, True] * 20)[0][0]] == [int, bool] * 20

### deep structures
# entry points: f
def f(n):
    x = []
    for _ in range(n): x = [x]
    return x
# tests:
x, n = f(350), 0
while x: x, n = x[0], n + 1
assert n == 350
assert f(350) == f(350)

### keywords, defaults and starred arguments
# entry points: f
def f(a, b=2, *rest, c=3, **more):
    return a, b, rest, c, more
# tests:
assert f(1) == (1, 2, (), 3, {})
assert f(1, 5, 6, 7, c=8, d=9) == (1, 5, (6, 7), 8, {'d': 9})
assert f(*[1], **{'b': 4}) == (1, 4, (), 3, {})
try:
    f()
except TypeError:
    pass
else:
    assert False

### tuples and lists differ
# entry points: f
def f():
    return (1, [2])
# tests:
assert f() == (1, [2]) and f() != [1, [2]] and f() != (1, (2,))

### what Python calls equal
# entry points: f
def f():
    return [True, 1.0, {1: 2}]
# tests:
assert f() == [1, 1, {True: 2}]

### subclasses with the language's own equality
# entry points: f
from collections import namedtuple
from enum import IntEnum
P = namedtuple('P', 'x y')
class N(IntEnum):
    ONE = 1
def f():
    return P(1, N.ONE)
# tests:
assert f() == (1, 1)

### iterators are asked item by item
# entry points: f
def f(n):
    i = 0
    while i < n or n < 0:
        yield i
        i += 1
# tests:
from itertools import islice
assert list(f(3)) == [0, 1, 2]
assert list(islice(f(-1), 4)) == [0, 1, 2, 3]
assert f(3) != [0, 1, 2]
it = f(1)
assert next(it) == 0 and next(it, 'end') == 'end'

### map, zip and views
# entry points: f
def f(d):
    return map(str, d), zip(d, d), d.keys(), d.items()
# tests:
m, z, k, i = f({1: 2})
assert list(m) == ['1'] and list(z) == [(1, 1)] and k == {1} and list(i) == [(1, 2)]

### functions stay where they are
# entry points: f, g, h
from functools import lru_cache, partial
def f(n):
    return lambda x: x + n
g = partial(max, 3)
@lru_cache
def h(x):
    return x
# tests:
assert f(3)(4) == 7 and g(2) == 3 and g(4) == 4 and h(1) == 1

### classes
# entry points: Stack, Deep
class Stack:
    limit = 2
    def __init__(self): self.items = []
    def push(self, x):
        if len(self.items) == self.limit: raise OverflowError('full')
        self.items.append(x); return self
    def pop(self): return self.items.pop()
    def __len__(self): return len(self.items)
    def __eq__(self, other): return self.items == other.items
    @staticmethod
    def name(): return 'stack'
class Deep(Stack):
    limit = 99
# tests:
s = Stack()
assert s.push(3).push(4) is s and len(s) == 2 and s.items == [3, 4]
try:
    s.push(5)
except OverflowError as e:
    assert str(e) == 'full'
else:
    assert False
assert s.pop() == 4 and s == Stack().push(3) and s != Stack()
assert Stack.name() == 'stack' and Stack.limit == 2
d = Deep()
assert isinstance(d, Stack) and not isinstance(s, Deep) and d.limit == 99
d.limit = 0
try:
    d.push(1)
except OverflowError:
    pass
else:
    assert False

### objects as arguments
# entry points: Node, depth
class Node:
    def __init__(self, data): self.data, self.left, self.right = data, None, None
def depth(n):
    return 0 if n is None else 1 + max(depth(n.left), depth(n.right))
# tests:
root = Node(1)
root.left = Node(2)
root.left.right = Node(3)
assert depth(root) == 3 and root.left.right.data == 3 and depth([root][0].right) == 0

### constants
# entry points: f, PRIMES
PRIMES = [2, 3, 5]
def f():
    return PRIMES
# tests:
assert f() == PRIMES == [2, 3, 5]

### unbounded recursion that tests expect
# entry points: f
def f(x):
    return f(x)
# tests:
try:
    f(1)
except RecursionError:
    pass
else:
    assert False

### output and input
# entry points: f
def f():
    print('x' * 1000000)
    try:
        input()
    except EOFError:
        return 1
# tests:
assert f() == 1

### dataclasses
# entry points: P
from dataclasses import dataclass
@dataclass(order=True)
class P:
    x: int
    y: int = 2
# tests:
assert P(1) == P(1, 2) and P(1) < P(2) and repr(P(1)) == 'P(x=1, y=2)'

### objects of classes that the tests do not name
# entry points: make, grow
class P:
    kind = 'point'
    def __init__(self, x): self.x, self.parts = x, [x, {'a': x}]
    @property
    def double(self): return 2 * self.x
    def moved(self, by=1): return P(self.x + by)
    def __eq__(self, other): return self.x == other.x
    def __len__(self): return 3
    def __iter__(self): return iter(self.parts)
def make(x):
    return P(x)
def grow(p):
    p.x += 1
    return p
# tests:
p = make(3)
assert p.x == 3 and p.double == 6 and p.kind == 'point' and p.parts == [3, {'a': 3}] and len(p) == 3
assert p.moved(4).x == 7 and p.moved().moved(by=2).x == 6 and p == make(3) and p != make(4)
assert grow(p) is p and p.x == 4 and list(p)[0] == 3
assert [q.x for q in map(make, range(3))] == [0, 1, 2]

### objects of the library
# entry points: f
import re, types
from pathlib import PurePosixPath
def f(s):
    return re.match(r'(\w+) (\w+)', s), types.SimpleNamespace(a=1, b=[2]), PurePosixPath('/a/b.c')
# tests:
m, n, p = f('one two')
assert m.group(2) == 'two' and m.groups() == ('one', 'two') and n.a == 1 and n.b == [2] and p.suffix == '.c' and str(p.parent) == '/a'

### fields of named tuples
# entry points: f, g
from collections import namedtuple
from typing import NamedTuple
P = namedtuple('P', 'x y')
class Q(NamedTuple):
    name: str
    at: P
def f(x): return P(x, x + 1)
def g(q): return Q('q', q)._replace(name='r')
# tests:
p = f(1)
assert p.x == 1 and p == (1, 2) and p._asdict() == {'x': 1, 'y': 2} and p._replace(y=5).y == 5
assert g(p).at.y == 2 and g(p).name == 'r' and {p: 1}[(1, 2)] == 1

### members of an enumeration
# entry points: f
from enum import Enum
class Colour(Enum):
    RED = 1
def f(): return Colour.RED
# tests:
assert f().name == 'RED' and f().value == 1 and f() == f()

### an entry point that only looks like a function
# entry points: f, g, h, k
import functools, operator
def logged(f):
    @functools.wraps(f)
    def wrapper(*a): return f(*a)
    return wrapper
class Adder:
    def __call__(self, x): return x + 1
@logged
def f(x): return x + 1
g, h, k = Adder(), functools.partial(operator.add, 1), functools.cache(lambda x: x + 1) if hasattr(functools, 'cache') else f
# tests:
assert f(1) == g(1) == h(1) == k(1) == 2
