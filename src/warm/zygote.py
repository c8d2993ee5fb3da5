"""The warm Python of a template: imports once, and is copied into a fresh sandbox for each run.

Three lives in one file. `template` imports what is asked for and refuses what a copy could share with others. `serve` makes
copies, by scripts that belljar sends: it decides nothing about a sandbox. `Copy` is a copy: it waits for code, makes itself
what a fresh interpreter would be, runs the code and ends as an interpreter does. Python 3.9 and later, glibc and musl.
"""
import json
import os
import sys

try:
    import _socket
    import array
    import builtins
    import ctypes
    import fcntl
    import gc
    import io
    import signal
    import types
except ImportError as exception:
    # Small Pythons lack some of it. Descriptor 0 is the socket that an answer is awaited on.
    os.write(0, json.dumps({"refused": {"why": "python", "what": str(exception)}}).encode())
    # Who hears it ends with this process.
    while os.read(0, 1):
        pass
    os._exit(0)

RIGHTS = _socket.CMSG_SPACE(4 * 253)
DRIVER = sys._getframe().f_code.co_filename
HUGE = 2 << 20
COLLAPSE = 25
PR_SET_DUMPABLE = 4


class Job(ctypes.Structure):
    """What `belljar_serve` takes, field by field as in fork.rs."""

    _fields_ = [
        ("channel", ctypes.c_int32), ("wait", ctypes.c_int32), ("rseq_offset", ctypes.c_int64), ("rseq_length", ctypes.c_uint64),
        ("failed", ctypes.c_int32), ("place", ctypes.c_int32), ("call", ctypes.c_int32), ("errno", ctypes.c_int32),
        ("parked", ctypes.c_int32), ("socket", ctypes.c_int32), ("kept", ctypes.c_int32 * 8), ("kept_count", ctypes.c_int32), ("padding", ctypes.c_int32), ("pid", ctypes.c_int64), ("more", ctypes.c_uint64 * 6),
    ]


class ArenaAllocator(ctypes.Structure):
    """`PyObjectArenaAllocator` of CPython."""

    _fields_ = [("context", ctypes.c_void_p), ("alloc", ctypes.c_void_p), ("free", ctypes.c_void_p)]


class Refused(Exception):
    """What a preload did that copies cannot have: a word for machines, and what it was."""

    def __init__(self, why, what):
        super().__init__(why, what)
        self.why, self.what = why, what


def receive(channel):
    """One message and its descriptors; an empty one at the end of the other side."""
    message, control, flags, _ = channel.recvmsg(1 << 16, RIGHTS, _socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % 4])
    if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
        raise OSError("a message was longer than agreed")
    return message, descriptors


def whole(descriptor):
    """The bytes of a memfd, wherever its offset is."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def say(channel, **words):
    channel.send(json.dumps(words).encode())


# The template.


def template(message, program):
    """Imports; what a copy needs of it. The message and the descriptor of this very file are what the first words brought."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Before anything else: what sits inside of a spare shares this memory for a moment.
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    # What the preload says is nobody's, and a run must not find it in a buffer.
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    order = json.loads(message)
    try:
        library = ctypes.PyDLL("/proc/self/fd/%d" % program)
        # Kept: the allocator must outlive every arena.
        library.arenas = gather_arenas(library)
    except (OSError, AttributeError) as exception:
        # Another Python than CPython, which has none of the calls that the fork needs.
        say(channel, refused={"why": "python", "what": str(exception)})
        # Who hears it ends with this process.
        receive(channel)
        os._exit(0)
    os.close(program)
    # pyarrow's allocator begins a thread otherwise.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    try:
        preload(order["preload"])
        settle(libc, library)
        kept = check(channel.fileno())
    except Refused as refusal:
        say(channel, refused={"why": refusal.why, "what": refusal.what})
        # Who hears it ends with this process.
        receive(channel)
        os._exit(0)
    gc.collect()
    gc.freeze()
    huge = collapse(library)
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    say(channel, ready={"version": "%d.%d.%d" % sys.version_info[:3], "modules": len(sys.modules), "rss": resident, "huge": huge})
    return library, kept


def gather_arenas(library):
    """Lets CPython's arenas lie side by side: scattered, they cost page tables at every fork."""
    address = lambda function: ctypes.cast(function, ctypes.c_void_p).value
    arenas = ArenaAllocator(None, address(library.belljar_take_arena), address(library.belljar_leave_arena))
    ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(arenas))
    return arenas


def preload(code):
    """Runs the preload as a module of its own, which a run finds as `__preload__`."""
    module = types.ModuleType("__preload__")
    sys.modules["__preload__"] = module
    try:
        exec(compile(code, "<preload>", "exec", dont_inherit=True), module.__dict__)
    except BaseException as exception:
        import traceback

        frames = exception.__traceback__.tb_next
        raise Refused("exception", "".join(traceback.format_exception(type(exception), exception, frames))) from None


def settle(libc, library):
    """Leaves nothing half done in memory that every copy would do once more, and no signal for the template itself."""
    signal.alarm(0)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGPIPE: signal.SIG_IGN, signal.SIGXFSZ: signal.SIG_IGN}
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) != usual.get(number, signal.SIG_DFL):
            signal.signal(number, usual.get(number, signal.SIG_DFL))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    libc.fflush(None)
    # OpenBLAS ends its threads before a fork and begins them when they are needed: so fork once for nothing.
    copy = ctypes.PyDLL(None).fork()
    if copy == 0:
        os._exit(0)
    os.waitpid(copy, 0)
    library.belljar_seal_arenas()


def check(channel):
    """Refuses what copies would share, or would miss. The descriptors that they keep: libraries have those of themselves."""
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        raise Refused("threads", sorted(read("/proc/self/task/%s/comm" % thread).strip() for thread in threads)[:20])
    maps = [line.split(None, 5) for line in read("/proc/self/maps").splitlines()]
    shared = [words[5] if len(words) > 5 else "anonymous" for words in maps if "w" in words[1] and "s" in words[1]]
    if shared:
        raise Refused("shared memory", sorted(set(shared)))
    children = read("/proc/self/task/%d/children" % os.getpid()).split()
    # Those that were left behind, too: the sandbox's first process has them. Who made the template is nobody's child here.
    children += [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid() and parent(name) == 1]
    try:
        child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        children = children or [str(getattr(child, "si_pid", ""))]
    except ChildProcessError:
        pass
    if children:
        raise Refused("children", [read("/proc/%s/comm" % name).strip() or name for name in children])
    programs = {words[5] for words in maps if len(words) > 5 and "x" in words[1]}
    unknown, kept = [], []
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        if number > 2 and number != channel:
            try:
                path = os.readlink("/proc/self/fd/%d" % number)
            except FileNotFoundError:
                continue  # the listing's own
            # libffi maps its own file again and again, by a number that it keeps.
            if path in programs and len(kept) < 8 and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                kept.append(number)
            else:
                unknown.append("%d (%s)" % (number, path))
    if unknown:
        raise Refused("descriptors", unknown)
    return kept


def parent(name):
    fields = read("/proc/%s/stat" % name).rpartition(") ")[2].split()
    return int(fields[1]) if fields else 0


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def collapse(library):
    """Puts writable private memory into huge pages, where the kernel can; the bytes that are in such pages."""
    done = 0
    library.belljar_advise.argtypes = [ctypes.c_uint64] * 3
    for line in read("/proc/self/maps").splitlines():
        words = line.split(None, 5)
        if words[1] != "rw-p" or (len(words) > 5 and not words[5].startswith(("[heap]", "[anon:"))):
            continue
        start, end = (int(word, 16) for word in words[0].split("-"))
        for part in range(-(-start // HUGE) * HUGE, end - HUGE + 1, HUGE):
            if library.belljar_advise(part, HUGE, COLLAPSE) == 0:
                done += HUGE
    return done


# Its copies.


def rseq_area():
    """Where glibc keeps its rseq area, and its length; musl and older versions have none."""
    try:
        offset = ctypes.c_ssize_t.in_dll(ctypes.CDLL(None), "__rseq_offset").value
        length = ctypes.c_uint.in_dll(ctypes.CDLL(None), "__rseq_size").value
    except ValueError:
        return 0, 0
    # The library says how much of it means something; the kernel wants what was registered: 32 at least.
    return offset, length and max(32, -(-length // 32) * 32)


def serve(library, kept):
    """Makes copies, until the other side ends. Returns in the copies: their socket, what failed, whether it is made ahead."""
    offset, length = rseq_area()
    job = Job(
        channel=channel.fileno(), wait=1, rseq_offset=offset, rseq_length=length,
        kept=(ctypes.c_int32 * 8)(*kept), kept_count=len(kept),
    )
    result = library.belljar_serve(ctypes.byref(job))
    # The number may be a file of the run's by the time that the object goes.
    channel.detach()
    failed = {"list": "child", "call": job.call, "errno": job.errno} if result == -2 else None
    return job.socket, failed, job.parked != 0


class Copy:
    """One run: waits, is given code, and ends with it. What goes wrong here is a fault of ours, and ends with 125."""

    seeded = False

    def __init__(self, number, failed, parked):
        """Waits for the request, and puts its descriptors in place."""
        channel = _socket.socket(fileno=number)
        if failed:
            say(channel, failed=failed)
            os._exit(125)
        if parked:
            self.rehearse()
        say(channel, pid=os.getpid())
        message, descriptors = receive(channel)
        if not message:
            os._exit(125)
        for standard, descriptor in enumerate(descriptors[1:4]):
            os.dup2(descriptor, standard)
        request = json.loads(whole(descriptors[0]))
        for descriptor in descriptors:
            os.close(descriptor)
        channel.close()
        self.take(request)

    def rehearse(self):
        """Takes code that does nothing and runs it: the pages that this touches are not touched while somebody waits."""
        words = {"code": "import sys; print(file=sys.__stdout__)", "name": "<string>", "argv": ["-c"], "env": dict(os.environ), "cwd": "/", "seed": "00"}
        self.take(json.loads(json.dumps(words)))
        exec(self.compile(), sys.modules["__main__"].__dict__)

    def take(self, request):
        """Makes of this process what an interpreter is where its code begins."""
        self.name, self.code = request["name"], request["code"]
        self.seed(bytes.fromhex(request["seed"]))
        self.reopen()
        os.environ.clear()
        os.environ.update(request["env"])
        # Not every build has it.
        if hasattr(sys.modules.get("time"), "tzset"):
            sys.modules["time"].tzset()
        os.chdir(request["cwd"])
        self.arrange(request["argv"])

    def arrange(self, argv):
        """Makes of the module `__main__`, of `sys.argv` and of `sys.path` what they are where code begins."""
        sys.argv[:] = argv
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        main.__builtins__ = builtins
        if sys.version_info < (3, 14):
            main.__annotations__ = {}
        if self.name.startswith("<"):
            main.__loader__ = sys.modules["_frozen_importlib"].BuiltinImporter
            first, words = "", ["-c", self.code] if self.name == "<string>" else ["-"]
        else:
            self.bring(main)
            first, words = os.path.dirname(self.name), [self.name]
        if hasattr(sys, "orig_argv"):
            sys.orig_argv[:] = [sys.orig_argv[0], "-u"] + words + argv[1:]
        if "" in sys.path:
            sys.path[sys.path.index("")] = first

    def bring(self, main):
        """The file of the code: tracebacks and `inspect` read it."""
        from importlib.machinery import SourceFileLoader

        main.__file__, main.__loader__ = self.name, SourceFileLoader("__main__", self.name)
        if sys.version_info < (3, 15):
            main.__cached__ = None
        try:
            os.makedirs(os.path.dirname(self.name), exist_ok=True)
            with open(self.name, "xb") as file:
                file.write(self.code.encode("utf-8", "surrogateescape"))
                os.fchmod(file.fileno(), 0o444)
        except OSError:
            pass  # it is there, or cannot be: then only tracebacks lack its lines

    def seed(self, seed):
        """Nothing random may be the same in two copies. What was random at import is made anew, once in a copy."""
        known = sys.modules.get
        if known("_ssl"):
            # OpenSSL takes a process for a copy by its number, which may be the template's.
            known("_ssl").RAND_add(seed, float(len(seed)))
        if self.seeded:
            return
        self.seeded = True
        if known("random"):
            known("random").seed(seed + os.urandom(32))
        if known("numpy.random"):
            known("numpy.random").seed(list(array.array("I", os.urandom(64))))
        if known("torch"):
            known("torch").manual_seed(int.from_bytes(os.urandom(8), "little"))
        if known("tempfile"):
            known("tempfile")._name_sequence = None
        if known("multiprocessing.process"):
            known("multiprocessing.process").current_process().authkey = os.urandom(32)

    @staticmethod
    def reopen():
        """The standard streams over the new descriptors, in the same objects: loggers hold them."""
        for number, stream in enumerate((sys.__stdin__, sys.__stdout__, sys.__stderr__)):
            raw = io.FileIO(number, "wb" if number else "rb", closefd=False)
            raw.name = ("<stdin>", "<stdout>", "<stderr>")[number]
            buffer = raw if number else io.BufferedReader(raw)
            stream.__init__(buffer, stream.encoding, stream.errors, "\n", False, bool(number))
            stream.mode = "w" if number else "r"

    def compile(self):
        if self.name == "<string>" and sys.version_info >= (3, 14) and self.code.lstrip("\r\n")[:1] in (" ", "\t"):
            # Since then such code may be indented as a whole.
            import textwrap

            self.code = textwrap.dedent(self.code)
        source = self.code if self.name.startswith("<") else self.code.encode("utf-8", "surrogateescape")
        compiled = compile(source, self.name, "exec", dont_inherit=True)
        if self.name == "<string>" and sys.version_info >= (3, 13):
            # Since then tracebacks show the lines of code that came as text.
            import linecache

            # 3.13.0 knows it by its name, as it knows the start of this file; later releases by the code object.
            linecache._register_code(self.name if self.name in linecache.cache else compiled, self.code, self.name)
        return compiled

    @staticmethod
    def exit_code(value):
        """What the interpreter makes of the argument of `sys.exit`."""
        if value is None:
            return 0
        if isinstance(value, int):
            return value & 0xFF if -(1 << 63) <= value < 1 << 63 else 0xFF
        sys.stdout.flush()
        print(value, file=sys.stderr)
        return 1

    @staticmethod
    def own(exception):
        """The exception without the frames of this file."""
        frames = exception.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename == DRIVER:
            frames = frames.tb_next
        return exception.with_traceback(frames)

    def show(self, exception):
        """What the interpreter says of an exception that nobody has caught; how it ends."""
        exception = self.own(exception)
        sys.last_type, sys.last_value, sys.last_traceback = type(exception), exception, exception.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = exception
        another = None
        try:
            sys.excepthook(type(exception), exception, exception.__traceback__)
        except BaseException as raised:
            another = self.own(raised)
        if another is not None:
            print("Error in sys.excepthook:", file=sys.stderr)
            sys.__excepthook__(type(another), another, another.__traceback__)
            print("\nOriginal exception was:", file=sys.stderr)
            sys.__excepthook__(type(exception), exception, exception.__traceback__)
        sys.last_type = sys.last_value = sys.last_traceback = sys.last_exc = None
        return -signal.SIGINT if isinstance(exception, KeyboardInterrupt) else 1

    def finish(self, raised):
        """What the interpreter does at its end, but for taking everything apart, which costs more than the run."""
        if raised is None:
            ending = 0
        elif isinstance(raised, SystemExit):
            ending = self.exit_code(raised.code)
        else:
            ending = self.show(raised)
        raised = None
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        import atexit

        try:
            atexit._run_exitfuncs()
        except BaseException:
            pass  # 3.9 has shown it already, as at any end
        # What the code's objects do when they go, they do now: in their order where nobody else holds them.
        sys.modules.pop("__main__", None)
        gc.collect()
        for stream in (sys.stdout, sys.stderr):
            try:
                if not stream.closed:
                    stream.flush()
            except (OSError, AttributeError):
                ending = ending or 120
        if ending < 0:
            signal.signal(-ending, signal.SIG_DFL)
            os.kill(os.getpid(), -ending)
        os._exit(ending)


COPY = RAISED = None
try:
    os.set_inheritable(channel.fileno(), False)
    COPY = Copy(*serve(*template(message, program)))
except BaseException:
    import traceback

    os.write(2, b"belljar: the warm interpreter failed\n" + traceback.format_exc().encode("utf-8", "replace"))
    os._exit(125)
# Here and not in a function: the code's frames have two of ours below them, and no more.
try:
    exec(COPY.compile(), sys.modules["__main__"].__dict__)
except BaseException as exception:
    RAISED = [exception]
COPY.finish(RAISED and RAISED.pop())
