# Second part: what a forked child does before, and after, the driver runs in it.


def limit(kind, value):
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def limit_all(order, limits):
    with open("/proc/self/statm") as statm:
        own = int(statm.read().split()[0]) * resource.getpagesize()
    limit(resource.RLIMIT_AS, own + limits["memory"])
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_CPU, -(-limits["cpu_ms"] // 1000) + 1)  # behind the exact one that the zygote keeps
    limit(resource.RLIMIT_FSIZE, limits["file_size"])
    limit(resource.RLIMIT_NOFILE, max(8, limits["open_files"]))
    limit(resource.RLIMIT_NPROC, max(1, limits["threads"]) + order.processes)
    limit(resource.RLIMIT_STACK, min(64 << 20, max(8 << 20, limits["memory"] // 4)))
    limit(resource.RLIMIT_MEMLOCK, 0)
    limit(resource.RLIMIT_MSGQUEUE, 0)
    limit(resource.RLIMIT_SIGPENDING, 64)


def landlock(order, ruleset):
    folder = os.open(".", os.O_PATH | os.O_DIRECTORY)
    rule = ctypes.create_string_buffer(struct.pack("=Qi", order.scratch_rights, folder))
    call("syscall", LANDLOCK_ADD_RULE, ruleset, 1, ctypes.c_void_p(ctypes.addressof(rule)), 0)
    call("syscall", LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(folder)


def place(descriptors, status):
    """The child's descriptors: 0 to 4 as agreed, then Landlock's rules (5, closed later) and the way to say what failed (6)."""
    high = [fcntl.fcntl(d, fcntl.F_DUPFD, 32) for d in descriptors + [status]]
    for number, descriptor in zip([3, 4, 1, 2] + ([5] if len(high) == 6 else []) + [6], high):
        os.dup2(descriptor, number, inheritable=False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if libc.syscall(ctypes.c_long(CLOSE_RANGE), ctypes.c_long(7), ctypes.c_long(0xFFFFFFFF), ctypes.c_long(0)) < 0:
        os.closerange(7, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def enter(order, limits, parent):
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(order.scratch)
    if "rlimits" not in order.without:
        limit_all(order, limits)
    if "user" in order.namespaces:
        nothing = ctypes.create_string_buffer(24)
        head = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
        call("capset", ctypes.c_void_p(ctypes.addressof(head)), ctypes.c_void_p(ctypes.addressof(nothing)))
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    tie_to_parent(parent)
    if "landlock" not in order.without:
        landlock(order, 5)
        os.close(5)
    if "seccomp" not in order.without:
        for program in order.filters:
            program.install()
    os.environ.clear()
    sys.argv = []


def child(order, job, code, descriptors, status, parent):
    try:
        place(descriptors, status)
        enter(order, job["limits"], parent)
    except BaseException as error:
        os.write(6, ("%s: %s" % (type(error).__name__, error)).encode())
        os._exit(1)
    os.close(6)
    main = type(sys)("__main__")
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    end = 0
    try:
        exec(code, main.__dict__)
    except SystemExit as error:
        end = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        end = 1
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(end & 0xFF)
