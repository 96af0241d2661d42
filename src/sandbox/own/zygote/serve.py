# Third part: orders come in, children are forked, watched and buried.


class Watch:
    """One child from its start to its end: who it is, what it may use, what it used."""

    def __init__(self, order, pid, limits):
        self.order = order
        self.pid = pid
        self.limits = limits
        self.start = time.monotonic()
        self.clock = (~pid << 3) | 2  # its processor time, as the kernel numbers such clocks
        self.why = None

    def kill(self, why):
        self.why = self.why or why
        os.kill(self.pid, signal.SIGKILL)

    def check(self):
        """Ends a child that is over a limit, and says for how many seconds there is nothing to check."""
        wall = self.start + self.limits["wall_ms"] / 1000 - time.monotonic()
        try:
            cpu = self.limits["cpu_ms"] / 1000 - time.clock_gettime(self.clock)
        except OSError:
            cpu = wall  # it has just ended
        if wall <= 0 or cpu <= 0:
            self.kill("time")
            return 1.0
        pause = min(wall, cpu)
        if not self.order.tmpfs:
            pause = min(pause, 0.025)
            if time.monotonic() - self.start > 0.02 and is_over(self.order.scratch, self.limits["scratch"]):
                self.kill("disk")
        return max(0.002, pause)


DEEPEST, LONGEST_LOOK = 60, 1.0
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_over(folder, most):
    """Whether more than `most` bytes lie on disk below a folder, every entry counted as 4096 at least.

    The program changes the folder meanwhile: no link is followed and no path is walked, each folder is opened in the one above it.
    What lies too deep, cannot be looked into or takes too long to look through (seconds of processor time) is over."""
    total, end, opened = 0, time.thread_time() + LONGEST_LOOK, []
    try:
        opened.append(look_into(folder, None))
        while opened:
            try:
                entry = next(opened[-1][1], None)
                if entry is None:
                    leave(opened.pop())
                    continue
                about = entry.stat(follow_symlinks=False)
                total += max(4096, about.st_blocks * 512)
                if total > most or len(opened) > DEEPEST or time.thread_time() > end:
                    return True
                if stat.S_ISDIR(about.st_mode):
                    opened.append(look_into(entry.name, opened[-1][0]))
            except OSError as error:
                # Gone, or something else by now: what it has become is counted the next time.
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    return True
    finally:
        while opened:
            leave(opened.pop())
    return False


def look_into(name, above):
    """A folder's descriptor and its entries. A program may make folders that it can write to and nobody can list."""
    try:
        descriptor = os.open(name, FOLDER, dir_fd=above)
    except PermissionError:
        closed = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            os.chmod("/proc/self/fd/%d" % closed, 0o700)
        finally:
            os.close(closed)
        descriptor = os.open(name, FOLDER, dir_fd=above)
    return descriptor, os.scandir(descriptor)


def leave(folder):
    folder[1].close()
    os.close(folder[0])


def reap_rest(order, group=None):
    """Ends whatever a child, which led `group`, left behind. There is nothing, unless a layer was left out."""
    if "pid" in order.namespaces:
        try:
            os.kill(-1, signal.SIGKILL)  # everything in this namespace but its first process, which is this one
        except ProcessLookupError:
            pass
    elif group:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    for _ in range(1000):
        if "pid" not in order.namespaces:
            kill_children()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def kill_children():
    # Orphans come to this process, as the reaper of all below it.
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGKILL)
    except OSError:
        pass


def read_exactly(control, count):
    data = b""
    while len(data) < count:
        more = control.recv(count - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data


def receive(control):
    """The next frame, and the descriptors that came with it."""
    room = socket.CMSG_SPACE(8 * 4)
    head, extra, _, _ = control.recvmsg(4, room)
    if not head:
        sys.exit(0)
    descriptors = []
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors += struct.unpack("=%di" % (len(data) // 4), data[:len(data) // 4 * 4])
    head += read_exactly(control, 4 - len(head))
    return json.loads(read_exactly(control, int.from_bytes(head, "little"))), descriptors


def reply(control, message):
    data = json.dumps(message).encode()
    control.sendall(len(data).to_bytes(4, "little") + data)


def start(order, job, descriptors, compiled):
    """Forks a child for the job: its number, or the reason why it could not be set up."""
    key = (job["name"], job["source"])
    if key not in compiled:
        compiled[key] = compile(job["source"], "<" + job["name"] + ">", "exec", dont_inherit=True)
    code = compiled[key]
    if order.tmpfs:
        mount_scratch(order, job["limits"]["scratch"])
    if order.shared_user:
        order.processes = other_processes(order) + 32  # the user's other programs come and go
    ours, theirs = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            child(order, job, code, descriptors, theirs, parent)
        finally:
            os._exit(1)  # never back into the loop of the parent
    os.close(theirs)
    for descriptor in descriptors:
        os.close(descriptor)
    said = os.read(ours, 4096)
    os.close(ours)
    return pid, said.decode(errors="replace")


def watch(order, control, bell, pid, limits):
    """Waits for the child's end, in time: its status and what it used."""
    it = Watch(order, pid, limits)
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(bell, select.POLLIN)
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            return {"status": status, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss * 1024,
                    "why": it.why}
        ready = {fd for fd, _ in poller.poll(it.check() * 1000)}
        if bell in ready:
            os.read(bell, 4096)
        if control.fileno() in ready:
            try:
                receive(control)  # the only thing that is ever asked now is to end it
            finally:
                it.kill("asked")


def serve(order, control):
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    order.processes = other_processes(order)
    order.shared_user = order.uid is None and "user" not in order.namespaces
    compiled = {}
    while True:
        job, descriptors = receive(control)
        if "source" not in job:
            continue  # asked to end a child that has just ended
        pid, said = start(order, job, descriptors, compiled)
        report = watch(order, control, ours, pid, job["limits"])
        reap_rest(order, pid)
        if order.tmpfs:
            unmount_scratch(order)
        report["failed"] = said
        reply(control, report)


def main():
    control = socket.socket(fileno=CONTROL)
    try:
        told, _ = receive(control)
        order = set_up(told)
        reply(control, {"namespaces": order.namespaces, "reason": order.reason, "tmpfs": order.tmpfs,
                        "uid": os.getuid(), "failed": ""})
    except Exception as error:
        reply(control, {"failed": "%s: %s" % (type(error).__name__, error)})
        sys.exit(1)
    try:
        serve(order, control)
    finally:
        reap_rest(order)


main()
