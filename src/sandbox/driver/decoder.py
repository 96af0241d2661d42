"""The other half of `codec.py`: reads values. Follows it in the same source."""


def _exact(x, kind):
    if type(x) is not kind:
        raise Malformed(f"not a {kind.__name__}")
    return x


def error(cls, args):
    """An exception of a class of builtins; where the class does not take these arguments, of its nearest base."""
    for base in cls.__mro__:
        try:
            return base(*args)
        except Exception:
            continue
    return Exception(*args)


_named = {}


def named_tuple(name, fields):
    """The class of this name and these fields. `namedtuple` refuses what is no plain name."""
    if (name, fields) not in _named:
        from collections import namedtuple

        _named[name, fields] = namedtuple(name, [_exact(field, str) for field in fields])
    return _named[name, fields]


def decoder(data, pos, kept, other):
    """Gives (take, fill, where): `take()` reads a value, `fill(x)` reads contents into the mutable container x,
    `where()` is the position. `kept` is the list of containers by number, `other(number, class)` makes the object
    that stands for one of the solution's."""
    size = len(data)

    def length(unit):
        nonlocal pos
        (n,) = _U32.unpack_from(data, pos)
        pos += 4
        if n * unit > size - pos:
            raise Malformed("a length beyond the end")
        return n

    def raw():
        nonlocal pos
        n = length(1)
        pos += n
        return data[pos - n : pos]

    def items(depth):
        nonlocal pos
        kind = data[pos]
        pos += 1
        if kind == 118:  # v
            return [take(depth) for _ in range(length(1))]
        n = length(8)
        pos += 8 * n
        return list(unpack_from(f"<{n}{'q' if kind == 113 else 'd'}", data, pos - 8 * n))

    def pairs(x, depth):
        for _ in range(length(2)):
            key = take(depth)
            x[key] = take(depth)

    def fill(x, depth=0):
        t = type(x)
        if t is list:
            x[:] = items(depth)
        elif t is set:
            new = items(depth)
            x.clear()
            x.update(new)
        elif t is bytearray:
            x[:] = raw()
        elif t.__name__ == "deque":
            take(depth)
            new = items(depth)
            x.clear()
            x.extend(new)
        else:
            if t.__name__ == "defaultdict":
                factory = take(depth)
                x.default_factory = x.default_factory or factory
            new = {}
            pairs(new, depth)
            x.clear()
            for key, value in new.items():
                x[key] = value

    def take(depth=0):
        nonlocal pos
        tag = data[pos]
        pos += 1
        if tag == 105:  # i
            pos += 8
            return _I64.unpack_from(data, pos - 8)[0]
        if tag == 115:  # s
            return raw().decode("utf-8", "surrogatepass")
        if tag == 78:  # N
            return None
        if tag == 84:  # T
            return True
        if tag == 70:  # F
            return False
        if tag == 102:  # f
            pos += 8
            return _F64.unpack_from(data, pos - 8)[0]
        if depth > MAX_DEPTH + 1:
            raise Malformed("too deep")
        if tag == 108:  # l
            x = []
            kept.append(x)
            x.extend(items(depth + 1))
            return x
        if tag == 116:  # t
            return tuple(items(depth + 1))
        if tag == 100:  # d
            x = {}
            kept.append(x)
            pairs(x, depth + 1)
            return x
        return rare(tag, depth)

    def mutable(x, depth):
        kept.append(x)
        fill(x, depth + 1)
        return x

    def rare(tag, depth):
        nonlocal pos
        if tag == 82:  # R
            (n,) = _U32.unpack_from(data, pos)
            pos += 4
            return kept[n]
        if tag == 83:  # S
            return mutable(set(), depth)
        if tag == 73:  # I
            return int.from_bytes(raw(), "little", signed=True)
        if tag == 98:  # b
            return raw()
        if tag == 97:  # a
            return mutable(bytearray(), depth)
        if tag == 90:  # Z
            return frozenset(items(depth + 1))
        if tag == 77:  # M
            name, fields = _exact(take(depth + 1), str), _exact(take(depth + 1), tuple)
            return named_tuple(name, fields)._make(_exact(take(depth + 1), tuple))
        if tag == 99:  # c
            pos += 16
            return complex(*_C128.unpack_from(data, pos - 16))
        if tag == 114:  # r
            return range(*(_exact(take(depth + 1), int) for _ in "123"))
        if tag == 79:  # O
            pos += 8
            return other(*_2U32.unpack_from(data, pos - 8))
        if tag == 89:  # Y
            return NAMED[_exact(take(depth + 1), str)]
        if tag == 75:  # K
            name = _exact(take(depth + 1), str)
            args = _exact(take(depth + 1), tuple)
            return VIEWS[name](*args) if name in VIEWS else _from_modules(STANDARD[name][0], name)(*args)
        if tag == 88:  # X
            return error(ERRORS[_exact(take(depth + 1), str)], _exact(take(depth + 1), tuple))
        return collection(tag, depth)

    def collection(tag, depth):
        import collections

        if tag == 67:  # C
            return mutable(collections.Counter(), depth)
        if tag == 68:  # D
            return mutable(collections.OrderedDict(), depth)
        if tag == 71:  # G
            return mutable(collections.defaultdict(), depth)
        if tag == 81:  # Q
            x = collections.deque()
            kept.append(x)
            at = len(kept) - 1
            limit = take(depth + 1)
            if limit is not None:
                kept[at] = x = collections.deque(maxlen=_exact(limit, int))
            x.extend(items(depth + 1))
            return x
        raise Malformed(f"unknown tag {tag}")

    return take, fill, lambda: pos
