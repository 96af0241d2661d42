"""Judges pairs of LaTeX answers with sympy: equal where simplify(a - b) is zero.

usage: equivalence.py FILE
FILE holds one JSON array [a, b] a line. One JSON object a line is printed as soon as it is known:
{"pair": n, "equal": bool, "reason": text or null}, n from 0. `reason` tells why a pair could not be judged; such a
pair counts as not equal. {"unavailable": text} says that nothing can be judged here.

A worker process judges the pairs in their order. Each has SECONDS; a worker that an alarm cannot stop (one call of
the interpreter that never ends) or that dies is replaced, and the pair it was at counts as not equal.
"""

import json
import os
import select
import signal
import sys

SECONDS = 5
GRACE = 3


class OutOfTime(BaseException):
    """Not an Exception, so that no handler inside sympy swallows it."""


def on_alarm(_signal, _frame):
    raise OutOfTime


def judge(a, b):
    """(equal, reason) of one pair."""
    if a and a == b:
        return True, None
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
            return bool(sympy.simplify(difference) == 0), None
        finally:
            signal.alarm(0)
    except OutOfTime:
        return False, "time limit of %d s" % SECONDS
    except Exception as error:
        first = (str(error).splitlines() or [""])[0][:200]
        return False, "%s: %s: %s" % (step, type(error).__name__, first)


def work(pairs, start, out):
    signal.signal(signal.SIGALRM, on_alarm)
    for number in range(start, len(pairs)):
        try:
            equal, reason = judge(*pairs[number])
        except OutOfTime:  # the alarm rang between the last step and its disarming
            equal, reason = False, "time limit of %d s" % SECONDS
        line = json.dumps({"pair": number, "equal": equal, "reason": reason})
        os.write(out, (line + "\n").encode("ascii"))


def start_worker(pairs, start):
    """(process id, end of the pipe to read)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            work(pairs, start, write)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    return child, read


def lines_of(read):
    """Lines as they come; ends with a worker that is silent for too long or gone."""
    pending = b""
    while select.select([read], [], [], SECONDS + GRACE)[0]:
        data = os.read(read, 65536)
        if not data:
            return
        pending += data
        *whole, pending = pending.split(b"\n")
        for line in whole:
            yield line.decode("ascii")


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
    done = 0
    while done < len(pairs):
        child, read = start_worker(pairs, done)
        for line in lines_of(read):
            print(line, flush=True)
            done += 1
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        if done < len(pairs):
            reason = "the judge was stopped or died at this pair"
            print(json.dumps({"pair": done, "equal": False, "reason": reason}), flush=True)
            done += 1


if __name__ == "__main__":
    main(sys.argv[1])
