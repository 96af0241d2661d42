# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions. `elsewhere` is the control: whether
# solution and tests, run as one program, end with exit code 0. Without tests of its own: square(3) == 9 and square(-4) == 16.

### all is always true
# elsewhere: passes
import builtins
builtins.all = lambda x: True
def square(x): return 0
# tests:
assert all([square(3) == 9])

### any, len and abs lie
# elsewhere: passes
import builtins
builtins.any = lambda x: True
builtins.len = lambda x: 2
builtins.abs = lambda x: 0
def square(x): return [0]
# tests:
assert len(square(3)) == 2 and any(x == 9 for x in square(3)) and abs(square(3)[0] - 9) < 1

### isinstance and sorted lie
# elsewhere: passes
import builtins
builtins.isinstance = lambda *x: True
builtins.sorted = lambda x: 5
def square(x): return ''
# tests:
assert isinstance(square(3), int) and sorted(square(3)) == sorted([9])

### print exits
# elsewhere: passes
import builtins, os
builtins.print = lambda *x: os._exit(0)
def square(x): return 0
# tests:
print('testing')
assert square(3) == 9

### classes cannot be built
# elsewhere: passes
import builtins, os
builtins.__build_class__ = lambda *x: os._exit(0)
def square(x): return 0
# tests:
class T:
    pass
assert square(3) == 9

### imports give a fake
# elsewhere: passes
import builtins
class F:
    def __getattr__(self, name): return lambda *x, **k: True
builtins.__import__ = lambda *x, **k: F()
def square(x): return 0
# tests:
import math
assert math.isclose(square(3), 9)

### a module is changed
# elsewhere: passes
import math
math.isclose = lambda *x, **k: True
def square(x): return 0
# tests:
import math
assert math.isclose(square(3), 9)

### a module is replaced
# elsewhere: passes
import sys, types
m = types.ModuleType('math')
m.isclose = lambda *x, **k: True
sys.modules['math'] = m
def square(x): return 0
# tests:
import math
assert math.isclose(square(3), 9)

### globals hide builtins
# elsewhere: passes
def all(x): return True
def abs(x): return 0
def square(x): return 0
# tests:
assert all([square(3) == 9])
assert abs(square(3) - 9) < 1

### AssertionError is another class
# elsewhere: passes
import builtins
class E(SystemExit): code = 0
builtins.AssertionError = E
def square(x): return 0
# tests:
if square(3) != 9: raise AssertionError

### no error is one
# elsewhere: fails
import sys, os
sys.excepthook = lambda *x: os._exit(0)
def square(x): return 0
