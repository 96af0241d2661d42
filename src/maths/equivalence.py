"""Judges pairs of LaTeX answers with sympy: equal where simplify(a - b) is zero.

usage: equivalence.py FILE
FILE holds one JSON array [a, b] a line. One JSON object a line is printed as soon as it is known:
{"pair": n, "equal": bool, "reason": text or null}, n from 0. `reason` tells why a pair could not be judged; such a
pair counts as not equal. {"unavailable": text} says that nothing can be judged here.

The pairs are judged in their order, each within SECONDS. One that an alarm cannot stop (a single call of the interpreter that never ends)
ends the process some seconds later. After a time limit or an exhausted stack, which can leave sympy unable to judge anything more, the
program ends by itself. Whoever runs it starts it again with the pairs that are left.
"""

import json
import signal
import sys

SECONDS = 5
GRACE = 3


class OutOfTime(BaseException):
    """Not an Exception, so that no handler inside sympy swallows it."""


def on_alarm(_signal, _frame):
    raise OutOfTime


def judge(a, b):
    """(equal, reason, whether sympy is sound after it) of one pair."""
    if a and a == b:
        return True, None, True
    import sympy
    from sympy.parsing.latex import parse_latex

    step = "cannot read the first answer"
    try:
        signal.alarm(SECONDS)
        try:
            left = parse_latex(a)
            step = "cannot read the second answer"
            right = parse_latex(b)
            step = "cannot subtract the answers"
            difference = left - right
            step = "cannot simplify the difference"
            return bool(sympy.simplify(difference) == 0), None, True
        finally:
            signal.alarm(0)
    except OutOfTime:
        return False, "time limit of %d s" % SECONDS, False
    except Exception as error:
        first = (str(error).splitlines() or [""])[0][:200]
        sound = not isinstance(error, (RecursionError, MemoryError))
        return False, "%s: %s: %s" % (step, type(error).__name__, first), sound


def work(pairs):
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    for number, pair in enumerate(pairs):
        # Not caught: ends the process.
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS + GRACE)
        try:
            equal, reason, sound = judge(*pair)
        except OutOfTime:  # the alarm rang between the last step and its disarming
            equal, reason, sound = False, "time limit of %d s" % SECONDS, False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        print(json.dumps({"pair": number, "equal": equal, "reason": reason}), flush=True)
        if not sound:
            return


def main(path):
    try:
        import antlr4  # noqa: F401
        import sympy.parsing.latex
        from sympy.parsing.latex import parse_latex

        sympy.simplify(parse_latex("1") - parse_latex("2"))
    except Exception as error:
        print(json.dumps({"unavailable": "%s: %s" % (type(error).__name__, error)}))
        return
    with open(path, encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file if line.strip()]
    work(pairs)


if __name__ == "__main__":
    main(sys.argv[1])
