"""Plain data as bytes: what may cross between a solution's process and its tests' process.

One tag byte, then the payload (little-endian). Only values whose whole behaviour the language fixes can be
written down here, so nothing that is read back can hold code of the writer. Mutable containers are numbered in
the order in which they appear; a second sight of one is a reference, so aliases and cycles survive.

    N T F                          None, True, False
    i <i64>   I <u32 n> <n bytes>  int (two's complement)
    f <f64>   c <f64 f64>          float, complex
    s b a <u32 n> <n bytes>        str (UTF-8, surrogates passed), bytes, bytearray*
    l t S Z <items>                list*, tuple, set*, frozenset
    d C D <pairs>                  dict*, Counter*, OrderedDict*
    G <value> <pairs>              defaultdict* with its factory
    Q <value> <items>              deque* with its maxlen
    M s-string <value> <value>     a named tuple: name of its class, names of its fields, a tuple
    r <value value value>          range
    Y s-string                     a type or function of builtins, by name
    K s-string <value>             a value of the standard library, by type name and arguments
    X <value> <value>              an exception: name or number of its class, arguments
    R <u32>                        the mutable container (marked * above) of that number
    O <u32> <u32>                  an object that stays with the solution: its number, number of its class (or
                                   ITERATOR, FUNCTION, OBJECT: of a class that the tests do not name)

    items = v <u32 n> <n values> | q <u32 n> <n i64> | w <u32 n> <n f64>
    pairs = <u32 n> <2n values>
"""

import sys
from struct import Struct, error as StructError, pack, unpack_from

MAX_BYTES = 16 << 20
MAX_NODES = 2_000_000
MAX_DEPTH = 400
ITERATOR, FUNCTION, OBJECT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_U32, _I64, _F64, _C128, _2U32 = Struct("<I"), Struct("<q"), Struct("<d"), Struct("<dd"), Struct("<II")
_u32, _i64, _f64 = _U32.pack, _I64.pack, _F64.pack

NAMED = {
    name: __builtins__[name] if isinstance(__builtins__, dict) else getattr(__builtins__, name)
    for name in (
        "abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float format "
        "frozenset hash hex int isinstance issubclass iter len list map max min next object oct ord pow range repr "
        "reversed round set slice sorted str sum tuple type zip"
    ).split()
}
NAME_OF = {id(value): name for name, value in NAMED.items()}


def _errors(cls=BaseException, found=None):
    found = {} if found is None else found
    if cls.__module__ == "builtins":
        found.setdefault(cls.__name__, cls)
        for sub in type.__subclasses__(cls):
            _errors(sub, found)
    return found


ERRORS = _errors()


class Unportable(Exception):
    """The value cannot be written as plain data."""


class Malformed(Exception):
    """The bytes are not what an honest writer writes."""


def _from_modules(module, name):
    return getattr(__import__(module), name)


def inherits(cls, base):
    """Whether equality and contents of the subclass are the base's own."""

    def own(c, name):
        return next((k.__dict__[name] for k in c.__mro__ if name in k.__dict__), None)

    names = ("eq", "ne", "hash", "lt", "le", "gt", "ge", "len", "iter", "getitem", "contains", "bool")
    return all(own(cls, f"__{name}__") is own(base, f"__{name}__") for name in names)


def fields_of(cls):
    """The fields of a class that `namedtuple` could have made, else None."""
    fields = getattr(cls, "_fields", None)
    if type(fields) is not tuple or not issubclass(cls, tuple) or not inherits(cls, tuple):
        return None
    names = (cls.__name__, *fields)
    fine = all(type(name) is str and len(name) < 100 and name.isidentifier() for name in names)
    return fields if fine and len(set(fields)) == len(fields) and not any(map(_is_reserved, names)) else None


WORDS = {"function": "a function", "class": "a class", "error": "a class of exceptions", "value": "a value"}


def kind(x):
    """What an entry point is. Whatever can be called and is no class counts as a function."""
    if isinstance(x, type):
        return "error" if issubclass(x, BaseException) else "class"
    return "function" if callable(x) else "value"


def _is_reserved(name):
    import keyword

    return name.startswith("_") or keyword.iskeyword(name)


# Immutable values of the standard library: type -> (arguments that make an equal one), and back.
STANDARD = {
    "Fraction": ("fractions", lambda x: (x.numerator, x.denominator)),
    "Decimal": ("decimal", lambda x: (str(x),)),
    "date": ("datetime", lambda x: (x.year, x.month, x.day)),
    "time": ("datetime", lambda x: (x.hour, x.minute, x.second, x.microsecond)),
    "datetime": ("datetime", lambda x: (x.year, x.month, x.day, x.hour, x.minute, x.second, x.microsecond)),
    "timedelta": ("datetime", lambda x: (x.days, x.seconds, x.microseconds)),
}
VIEWS = {
    "dict_keys": lambda *items: dict.fromkeys(items).keys(),
    "dict_values": lambda *items: dict(enumerate(items)).values(),
    "dict_items": lambda *items: dict(items).items(),
}
DICTS = {"Counter": b"C", "OrderedDict": b"D"}


def encoder(other, memo, kept):
    """Gives (put, body, out): `put` writes a value to the list of byte strings `out`, `body` the contents of a
    mutable container. `other(value, put, out)` writes what is not plain, or raises Unportable. `memo` numbers
    containers by id, `kept` holds them in order."""
    out = []
    add = out.append
    nodes = 0

    def number(x):
        memo[id(x)] = len(kept)
        kept.append(x)

    def items(x, depth):
        nonlocal nodes
        n = len(x)
        nodes += n
        if nodes > MAX_NODES:
            raise Unportable(f"a value of more than {MAX_NODES} parts")
        if n >= 8:
            kinds = set(map(type, x))
            if len(kinds) == 1:
                try:
                    if int in kinds:
                        return add(b"q" + _u32(n) + pack(f"<{n}q", *x))
                    if float in kinds:
                        return add(b"w" + _u32(n) + pack(f"<{n}d", *x))
                except StructError:
                    pass
        add(b"v" + _u32(n))
        for y in x:
            put(y, depth)

    def pairs(x, depth):
        nonlocal nodes
        nodes += 2 * len(x)
        if nodes > MAX_NODES:
            raise Unportable(f"a value of more than {MAX_NODES} parts")
        add(_u32(len(x)))
        for k, v in x.items():
            put(k, depth)
            put(v, depth)

    def body(x, depth=0):
        t = type(x)
        if t is list or t is set:
            items(x, depth)
        elif t is bytearray:
            add(_u32(len(x)) + bytes(x))
        elif t.__name__ == "deque":
            put(x.maxlen, depth)
            items(x, depth)
        else:
            if t.__name__ == "defaultdict":
                # A factory that is no builtin stays behind: equality does not look at it.
                put(x.default_factory if id(x.default_factory) in NAME_OF else None)
            pairs(x, depth)

    def put(x, depth=0):
        t = type(x)
        if t is int:
            if -0x8000000000000000 <= x <= 0x7FFFFFFFFFFFFFFF:
                add(b"i" + _i64(x))
            else:
                raw = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
                add(b"I" + _u32(len(raw)) + raw)
        elif t is str:
            raw = x.encode("utf-8", "surrogatepass")
            add(b"s" + _u32(len(raw)) + raw)
        elif x is None:
            add(b"N")
        elif t is bool:
            add(b"T" if x else b"F")
        elif t is float:
            add(b"f" + _f64(x))
        elif depth > MAX_DEPTH:
            raise Unportable(f"a value nested deeper than {MAX_DEPTH}")
        elif t is list or t is dict or t is set or t is bytearray:
            seen = memo.get(id(x))
            if seen is not None:
                return add(b"R" + _u32(seen))
            number(x)
            if t is dict:
                add(b"d")
                pairs(x, depth + 1)
            else:
                add(b"l" if t is list else b"S" if t is set else b"a")
                body(x, depth + 1)
        elif t is tuple:
            add(b"t")
            items(x, depth + 1)
        elif t is frozenset:
            add(b"Z")
            items(x, depth + 1)
        elif t is bytes:
            add(b"b" + _u32(len(x)) + x)
        elif t is complex:
            add(b"c" + _C128.pack(x.real, x.imag))
        elif t is range:
            add(b"r")
            put(x.start)
            put(x.stop)
            put(x.step)
        elif id(x) in NAME_OF:
            add(b"Y")
            put(NAME_OF[id(x)])
        else:
            library(x, t, depth)

    def library(x, t, depth):
        name, module = t.__name__, t.__module__
        if module == "collections" and name in ("Counter", "OrderedDict", "defaultdict", "deque"):
            if t is _from_modules("collections", name):
                seen = memo.get(id(x))
                if seen is not None:
                    return add(b"R" + _u32(seen))
                number(x)
                add(DICTS.get(name) or (b"Q" if name == "deque" else b"G"))
                return body(x, depth + 1)
        elif name in STANDARD and module == STANDARD[name][0] and t is _from_modules(module, name):
            if getattr(x, "tzinfo", None) is None:
                add(b"K")
                put(name)
                return put(STANDARD[name][1](x))
        elif module == "builtins" and name in VIEWS:
            add(b"K")
            put(name)
            return put(tuple(x), depth + 1)
        elif isinstance(x, tuple) and fields_of(t) is not None and len(fields_of(t)) == len(x):
            add(b"M")
            put(name)
            put(fields_of(t))
            return put(tuple(list(x)), depth + 1)
        elif t is ERRORS.get(name):
            add(b"X")
            put(name)
            return put(x.args, depth + 1)
        return other(x, put, out)

    return put, body, out


def deeply(work):
    """Runs `work` with stack enough for the deepest value, wherever the caller is."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 4 * MAX_DEPTH)
    try:
        return work()
    finally:
        sys.setrecursionlimit(limit)


def channel(read, write):
    """Gives (recv, send) for frames on descriptors 3 and 4."""
    rest = b""

    def recv():
        nonlocal rest
        data = rest or read(3, 65536)
        while len(data) < 4:
            more = read(3, 65536)
            if not more:
                raise EOFError
            data += more
        end = 4 + _U32.unpack_from(data)[0]
        if len(data) < end:
            parts, have = [data], len(data)
            while have < end:
                more = read(3, 1 << 20)
                if not more:
                    raise EOFError
                parts.append(more)
                have += len(more)
            data = b"".join(parts)
        rest = data[end:]
        return data[4:end]

    def send(frame):
        if len(frame) > MAX_BYTES:
            raise Unportable("a value of more than 16 MiB")
        frame = _u32(len(frame)) + frame
        done = write(4, frame)
        while done < len(frame):
            done += write(4, frame[done : done + (1 << 20)])

    return recv, send
