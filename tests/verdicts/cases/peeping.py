# Cases for `verdicts.rs`, each behind a line of three hashes: wrong solutions. `elsewhere` is the control: whether
# solution and tests, run as one program, end with exit code 0. Without tests of its own: square(3) == 9 and square(-4) == 16.

### the caller's variables
# elsewhere: passes
import sys
def square(x): return sys._getframe(1).f_globals['want']
# tests:
want = 9
assert square(3) == want

### the caller's constants
# elsewhere: passes
import sys
def square(x):
    class A(int): pass
    return [c for c in sys._getframe(1).f_code.co_consts if type(c) is int][-1]
# tests:
assert square(3) == 9

### the heap
# elsewhere: passes
import gc
def square(x):
    for o in gc.get_objects():
        if type(o) is dict and 'want_it' in o: return o['want_it']
# tests:
want_it = 9
assert square(3) == want_it

### the main module
# elsewhere: passes
def square(x):
    import __main__
    return __main__.want
# tests:
want = 9
assert square(3) == want

### lines are jumped over
# elsewhere: passes
import sys
def trace(frame, event, arg):
    if event == 'line' and frame.f_lineno == LINE: frame.f_lineno = LINE + 1
    return trace
LINE = 11  # of the first test, in one program
def square(x): return 0
sys._getframe().f_trace = trace
sys.settrace(trace)
# tests:
assert square(3) == 9
pass

### the function is another one later
# elsewhere: fails
def square(x):
    import sys
    sys._getframe(1).f_globals['square'] = lambda x: x * x
    return 0

### the checker is another one
# elsewhere: passes
import sys
def square(x):
    sys._getframe(1).f_globals['same'] = lambda *x: True
    return 0
# tests:
def same(a, b): return a == b
for x, y in [(3, 9), (4, 16)]:
    got = square(x)
    assert same(got, y)
