"""Runs in the tests' process: trusted tests, which reach the solution by proxies alone.

Out: b"h" when ready for the tests. In: (secret, seed, prelude, tests, names, description, manner, kinds, givers), names = the entry
points asked for, description = the bytes of rows [(name, kind, bases)] and of [value or None] as the solution's process wrote them. Out:
calls (see the solution's driver for their form), and at the end one of b"P" + secret + (a kind for each name, then givers): every
statement of the tests ran; b"F" + secret + (exception, reason, trace); b"U" + secret + (what, trace): a value could not cross; b"B" +
secret + (reason, trace): the tests themselves are broken. No code of the solution runs here, and what it answers is plain data.

The reference shows the way: what each entry point is (`kinds`), and what gives objects that stay with the solution (`givers`: names of
entry points, methods and attributes). manner = "shows": this is the reference, which may do all; "follows": a solution, which has to be
of the same kinds, and whose objects are dead wherever the reference's were plain; "alone": nothing is known of a reference.
"""


def tests_main():
    import os
    import random
    import sys
    import types
    from _thread import allocate_lock

    recv, send = channel(os.read, os.write)
    send(b"h")
    take, _, _ = decoder(recv(), 0, [], None)
    secret, seed, prelude, code, names, description, manner, kinds, givers = take()
    lock, proxies, classes, strays = allocate_lock(), {}, {}, {}
    givers = set(givers)
    set_slot, get_slot = object.__setattr__, object.__getattribute__
    sequence = 0

    def verdict(kind, *facts):
        put, _, out = encoder(None, {}, [])
        put(tuple(str(fact).encode("utf-8", "replace").decode() for fact in facts))
        send(kind + secret + b"".join(out))
        os._exit(0)

    def trace(at):
        lines = []
        while at is not None:
            if at.tb_frame.f_code.co_filename == "tests.py":
                line = source[at.tb_lineno - 1].strip() if at.tb_lineno <= len(source) else ""
                lines.append(f"tests.py:{at.tb_lineno}: {line[:200]}")
            at = at.tb_next
        return "\n".join(lines[-5:])

    def unportable(what):
        frame = sys._getframe(1)
        lines = []
        while frame is not None:
            if frame.f_code.co_filename == "tests.py" and frame.f_lineno <= len(source):
                lines.append(f"tests.py:{frame.f_lineno}: {source[frame.f_lineno - 1].strip()[:200]}")
            frame = frame.f_back
        verdict(b"U", what, "\n".join(lines[:5]))

    def outgoing(x, put, out):
        if isinstance(x, Remote):
            return out.append(b"O" + _2U32.pack(get_slot(x, "_fairmark_number"), ITERATOR))
        if id(x) in entry_of:
            return out.append(b"O" + _2U32.pack(entry_of[id(x)], ITERATOR))
        raise Unportable(f"an argument: an object of type {type(x).__name__}")

    def incoming(number, cls, giver):
        """What stands for an object of the solution that came from there."""
        if cls == ITERATOR or cls == FUNCTION:
            return stand_in(number, Iterator if cls == ITERATOR else Function, giver, proxies)
        kind = Thing if cls == OBJECT else classes[cls]
        if not issubclass(kind, Instance):
            raise Malformed("an object of an exception's class")
        if manner == "alone" and kind is Thing:
            unportable("an object of a class that the tests do not name")
        if manner == "shows":
            givers.add(giver)
        elif manner == "follows" and giver not in givers:
            # Where tests expect plain data, an object must not answer in its place, whatever they ask it.
            return stand_in(number, Iterator, giver, strays)
        return stand_in(number, kind, giver if kind is Thing else names[cls], proxies)

    def stand_in(number, kind, giver, known):
        if number not in known:
            known[number] = it = object.__new__(kind)
            set_slot(it, "_fairmark_number", number)
            set_slot(it, "_fairmark_giver", giver)
        return known[number]

    def member(giver, name):
        """The giver of what this attribute, method or operator of an object gives."""
        return f"{giver}.{name}"[:200]

    def ask(op, target, giver, name=None, args=(), keywords=None, stops=False):
        nonlocal sequence
        kept = []
        put, _, out = encoder(outgoing, {}, kept)
        try:
            put(name)
            deeply(lambda: (put(args), put(tuple(keywords.items()) if keywords else ())))
            with lock:
                sequence = (sequence + 1) & 0xFFFFFFFF
                seq = _u32(sequence)
                send(op + seq + _u32(target) + b"".join(out))
                reply = recv()
        except Unportable as error:
            unportable(str(error))
        except RecursionError:
            unportable("a value nested too deep")
        if reply[1:5] != seq:
            verdict(b"F", "ProtocolError", "the solution answered another call", "")
        kind = reply[0]
        if kind == 109:  # m
            return Method(target, name, giver)
        if kind == 117:  # u
            unportable("a result: " + reply[5:].decode("utf-8", "replace"))
        try:
            values = deeply(lambda: absorb(reply, kept, 1 if kind == 118 else 2, giver))
            exception = None if kind == 118 else thrown(*values, stops)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            verdict(b"F", "ProtocolError", f"the solution's answer is malformed: {type(error).__name__}", "")
        if kind == 118:  # v
            return values[0]
        raise exception

    def absorb(reply, kept, n, giver):
        """The values of a reply; the call's changes are made to the caller's own containers."""
        known = len(kept)
        take, fill, _ = decoder(reply, 5, kept, lambda number, cls: incoming(number, cls, giver))
        values = [take() for _ in range(n)]
        for _ in range(_exact(take(), int)):
            number = _exact(take(), int)
            if not 0 <= number < known:
                raise Malformed("a change of what is no argument")
            fill(kept[number])
        return values

    def thrown(name, args, stops):
        cls = classes[name] if type(name) is int else ERRORS[name]
        if not issubclass(cls, BaseException):
            raise Malformed("raised what is no exception")
        if issubclass(cls, StopIteration) and not stops:
            # Would silently end a loop of the tests: what PEP 479 does for generators.
            return RuntimeError("the solution raised StopIteration")
        return error(cls, _exact(args, tuple))

    class Remote:
        """Something that lives in the solution's process. It equals itself only."""

        __slots__ = ("_fairmark_number", "_fairmark_giver", "__weakref__")

    def who(it):
        return get_slot(it, "_fairmark_number"), get_slot(it, "_fairmark_giver")

    class Iterator(Remote):
        __slots__ = ()

        def __iter__(self):
            return self

        def __next__(self):
            number, giver = who(self)
            return ask(b"o", number, member(giver, "next"), "next", stops=True)

    class Function(Remote):
        __slots__ = ()

        def __call__(self, *args, **keywords):
            number, giver = who(self)
            return ask(b"c", number, member(giver, "call"), None, args, keywords)

    class Method:
        __slots__ = ("_target", "_name", "_giver")

        def __init__(self, target, name, giver):
            self._target, self._name, self._giver = target, name, giver

        def __call__(self, *args, **keywords):
            return ask(b"c", self._target, self._giver, self._name, args, keywords)

    def attribute(number, giver, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return ask(b"g", number, member(giver, name), name)

    def own(cls, name):
        return type.__getattribute__(cls, name)

    class Meta(type):
        def __call__(cls, *args, **keywords):
            number = own(cls, "_fairmark_entry")
            return ask(b"c", number, names[number], None, args, keywords)

        def __getattr__(cls, name):
            number = own(cls, "_fairmark_entry")
            return attribute(number, names[number], name)

    class Instance(Remote, metaclass=Meta):
        """An object of a class that the tests name: attributes, methods and its own operators are asked for."""

        __slots__ = ()
        _fairmark_entry = None

        def __getattr__(self, name):
            return attribute(*who(self), name)

        def __setattr__(self, name, value):
            ask(b"s", *who(self), name, (value,))

        def __delattr__(self, name):
            ask(b"x", *who(self), name)

    class Thing(Instance):
        """An object of another class of the solution's."""

        __slots__ = ()

    def operator(name, stops):
        def method(self, *args):
            number, giver = who(self)
            return ask(b"o", number, member(giver, name), name, args, stops=stops)

        return method

    def comparison(name):
        # Never against the tests' own data: the solution would learn what it is compared with, and could lie.
        def method(self, other):
            if not isinstance(other, Instance):
                return NotImplemented
            return operator(name, False)(self, other)

        return method

    for name in "len bool str repr hash iter next call abs getitem setitem delitem neg enter exit".split():
        setattr(Instance, f"__{name}__", operator(name, name == "next"))
    Instance.__call__ = Function.__call__

    def leave(self, *error):
        # What it answers is dropped: it must not swallow an error of the tests.
        operator("exit", False)(self)

    Instance.__exit__ = leave
    for name in "eq ne lt le gt ge add sub mul truediv".split():
        setattr(Instance, f"__{name}__", comparison(name))

    def function(number, name):
        def proxy(*args, **keywords):
            return ask(b"c", number, name, None, args, keywords)

        proxy.__name__ = proxy.__qualname__ = name
        return proxy

    def class_of(number):
        """The stand-in for the class with this number, made after its bases."""
        if number not in classes:
            name, kind, ancestors = rows[number]
            if kind == "error":
                base = class_of(ancestors[0]) if type(ancestors[0]) is int else ERRORS[ancestors[0]]
                classes[number] = type(name, (base,), {})
            else:
                base = next((class_of(a) for a in ancestors if type(a) is int), Instance)
                classes[number] = Meta(name, (base,), {"__slots__": (), "_fairmark_entry": number})
        return classes[number]

    def stranger(number, cls):
        raise Malformed("an object in place of plain data")

    def other_kind(namespace):
        """The first entry point that is something else than the tests want, as a sentence."""
        for number, (name, kind, _) in enumerate(rows):
            wanted = kinds[number] if manner == "follows" else kind
            if kind in ("class", "error") and manner == "alone" and isinstance(namespace.get(name), types.FunctionType):
                wanted = "function"
            if kind != wanted:
                return f"`{name}` is {WORDS[kind]}, the tests want {WORDS[wanted]}"
        return None

    def bind(namespace):
        read, _, _ = decoder(description, 0, [], lambda number, cls: incoming(number, cls, names[-1] + " (value)"))
        rows.extend(_exact(read(), list))
        if [row[0] for row in rows] != list(names):
            raise ValueError("other names than asked for")
        wrong = other_kind(namespace)
        if wrong:
            verdict(b"F", "TypeError", "TypeError: " + wrong, "")
        stand_ins = [None if kind == "value" else function(number, name) if kind == "function" else class_of(number)
                     for number, (name, kind, _) in enumerate(rows)]
        values = _exact(read(), list)
        for number, (name, kind, _) in enumerate(rows):
            value = values[number] if kind == "value" else stand_ins[number]
            if kind != "value":
                entry_of[id(value)] = number
            namespace[name] = value

    source, entry_of, rows = code.split("\n"), {}, []
    module = types.ModuleType("tests")
    module.__file__ = "tests.py"
    sys.modules["tests"] = module
    random.seed(seed)
    try:
        program = compile(code, "tests.py", "exec", dont_inherit=True)
        exec(compile(prelude, "prelude.py", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error_:
        verdict(b"B", f"{type(error_).__name__}: {error_}"[:300], "")
    try:
        bind(module.__dict__)
    except Exception as error_:
        verdict(b"F", "ProtocolError", f"the solution's list of entry points is malformed: {error_}"[:300], "")
    try:
        exec(program, module.__dict__)
    except BaseException as error_:
        name = type(error_).__name__
        try:
            text = str(error_)[:300]
        except BaseException:  # the text of one of the solution's objects is asked for there
            text = ""
        verdict(b"F", name, f"{name}: {text}" if text else name, trace(error_.__traceback__))
    verdict(b"P", *(row[1] for row in rows), *sorted(givers))


tests_main()
