# Cases for `verdicts.rs`: wrong solutions that talk to the judge themselves, behind the kit in `wire.rs`.

### a forged pass
def square(x):
    say(frame(b'P' + bytes(16)))
    return 0

### a forged pass while loading
say(frame(b'P' + bytes(16)))
def square(x): return 0

### a forged pass in a row
def square(x):
    for i in range(1000): say(frame(b'P' + bytes([i & 255]) * 16))
    time.sleep(100)

### a forged end of one-process mode
def square(x):
    say(frame(b'D'))
    say(frame(b'P' + os.read(3, 20)[4:]))
    time.sleep(100)

### a forged reply with a lie
def square(x):
    say(frame(b'v' + struct.pack('<I', 1) + b'O' + bytes(8) + b'i' + bytes(8)))
    return 0

### a reply of an unknown kind
def square(x):
    say(frame(b'!' + struct.pack('<I', 1)))
    return 0

### a reply to another call
def square(x):
    say(frame(b'v' + struct.pack('<I', 7) + b'i' + struct.pack('<q', 9) + b'i' + bytes(8)))
    return 0

### a list of other entry points
# Were `abs` taken from the solution, the answer would be near enough.
row = lambda n: b'tv\3\0\0\0s' + frame(n) + b's' + frame(b'function') + b'N'
say(frame(b'rlv\2\0\0\0' + row(b'square') + row(b'abs') + b'lv\2\0\0\0NN'))
serve(b'i' + bytes(8))
# tests:
assert abs(square(3) - 9) < 1

### no list of entry points
# Were the prelude's own function left in place, nobody would ask the solution.
say(frame(b'rlv\0\0\0\0lv\0\0\0\0'))
serve(b'i' + bytes(8))
# tests:
assert 'square' not in globals()

### an answer that claims to be an object
row = b'tv\3\0\0\0s' + frame(b'square') + b's' + frame(b'class') + b'tv\0\0\0\0'
say(frame(b'rlv\1\0\0\0' + row + b'lv\1\0\0\0N'))
serve(b'T')
# tests:
assert square(3) == 9

### an object that answers every question with yes
row = b'tv\3\0\0\0s' + frame(b'square') + b's' + frame(b'class') + b'tv\0\0\0\0'
say(frame(b'rlv\1\0\0\0' + row + b'lv\1\0\0\0N'))
serve(b'O' + struct.pack('<II', 5, 0))
# tests:
assert square(3) == 9 or not square(3) != 9 or 9 in {square(3)} or square(3).startswith('9')

### a list of entry points with a cycle of bases
row = b'tv\3\0\0\0s' + frame(b'square') + b's' + frame(b'class') + b'tv\1\0\0\0i' + bytes(8)
say(frame(b'rlv\1\0\0\0' + row + b'lv\1\0\0\0N'))
def square(x): return 0

### a frame that is too long
def square(x):
    say(struct.pack('<I', 0x7fffffff))
    return 0

### a frame of many bytes
def square(x):
    say(frame(b'v' + struct.pack('<I', 1) + b's' + frame(b'x' * (15 << 20)) + b'i' + bytes(8)))
    return 0

### a deep frame
def square(x):
    say(frame(b'v' + struct.pack('<I', 1) + b'lv\1\0\0\0' * 100000 + b'N'))
    return 0

### a key that is a list
def square(x):
    say(frame(b'v' + struct.pack('<I', 1) + b'd\1\0\0\0lv\0\0\0\0N' + b'i' + bytes(8)))
    return 0

### a change of what is no argument
def square(x):
    say(frame(b'v' + struct.pack('<I', 1) + b'N' + b'i' + struct.pack('<q', 1) + b'i' + bytes(8) + b'v' + bytes(4)))
    return 0

### half a frame, then silence
def square(x):
    say(struct.pack('<I', 100) + b'v')
    time.sleep(1000)

### frames from a thread
def talk():
    while True: say(frame(b'P' + bytes(16)))
threading.Thread(target=talk, daemon=True).start()
def square(x): return 0

### closed descriptors
os.close(4)
def square(x): return 0

### all descriptors closed
def square(x):
    os.closerange(0, 64)
    return 0

### descriptors swapped
def square(x):
    os.dup2(4, 3)
    return 0

### a child that answers, too
def square(x):
    try: os.fork()
    except OSError: pass
    return 0

### descriptors of others
def square(x):
    for d in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd') else range(64):
        if int(d) not in (0, 1, 2, 3):
            try: os.write(int(d), frame(b'P' + bytes(16)))
            except OSError: pass
    return 0

### the memory searched for a secret
def square(x):
    try:
        maps = open('/proc/self/maps').read()
        memory = open('/proc/self/mem', 'rb')
    except OSError:
        return 0
    for line in maps.splitlines()[:40]:
        a, b = [int(n, 16) for n in line.split()[0].split('-')]
        try:
            memory.seek(a); data = memory.read(min(b - a, 1 << 20))
        except (OSError, OverflowError, ValueError): continue
        at = data.find(b'P')
        if at >= 0: say(frame(data[at:at + 17]))
    return 0

### the heap searched for a secret
def square(x):
    for o in gc.get_objects():
        for r in gc.get_referents(o):
            if type(r) is bytes and len(r) == 16: say(frame(b'P' + r))
    return 0

### a class smuggled among the entry points
class A(int):
    def __eq__(self, other): return True
def square(x):
    drivers('classes')[A] = 0
    return A()

### the encoder replaced
def square(x):
    g = drivers('encoder').__globals__
    g['encoder'] = lambda *a: (lambda x: None, lambda x: None, [b'O' + bytes(8), b'i' + bytes(8)])
    return 0

### the encoder made to lie about types
class A(int):
    def __eq__(self, other): return True
    def to_bytes(self, *a, **k): return b'9'
def square(x):
    drivers('encoder').__globals__['type'] = lambda x: int
    return A(1 << 70)

### the sender replaced
def square(x):
    s = drivers('send')
    for c in s.__closure__ or ():
        if callable(c.cell_contents): c.cell_contents = lambda fd, data: os.write(4, frame(b'P' + bytes(16)))
    return 0

### signals to everybody it may reach
import signal
def square(x):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGTERM)
    return 0
