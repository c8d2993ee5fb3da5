"""A template without belljar: what src/warm gives, driven by an ordinary user in user and pid namespaces of his own.

    harness.py DIRECTORY CASE [OLD NEW]...

DIRECTORY has what the test wrote: `words.json`, `fork.so`, `script.bin`. Each OLD in the driver becomes NEW: a remedy is
taken away, and the case shows what it was for. Prints what the case found, as JSON.
"""
import array
import ctypes
import json
import os
import re
import signal
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NULL = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}, "seed": "00" * 32}


def checked(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags):
    """New namespaces; the user's own ids, mapped to themselves."""
    uid, gid = os.getuid(), os.getgid()
    checked(LIBC.unshare(flags), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)


def own_proc():
    checked(LIBC.mount(None, b"/", None, 0x44000, None), "make mounts private")
    checked(LIBC.mount(b"proc", b"/proc", b"proc", 0, None), "mount /proc")


def memfd(data):
    number = os.memfd_create("belljar-test", os.MFD_CLOEXEC)
    os.write(number, data)
    return number


def contents(number):
    try:
        return os.pread(number, 1 << 20, 0).decode("utf-8", "replace")
    except OSError:
        return ""  # a pipe, which somebody else reads


def send(channel, message, numbers=()):
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))] if numbers else []
    channel.sendmsg([message], control)


def hear(channel):
    return json.loads(channel.recv(1 << 20) or b"null")


class Template:
    how = b"park"
    node = False

    def __init__(self, directory, replaced, number=None):
        self.directory, self.replaced, self.number = directory, replaced, number
        self.script = open(directory + "/script.bin", "rb").read()

    def start(self, preload):
        words = json.load(open(self.directory + ("/node-words.json" if self.node else "/words.json")))
        program = open(self.directory + "/fork.so", "rb").read()
        for old, new in self.replaced:
            assert old.encode() in program, "the driver has no %r" % old
            program = program.replace(old.encode(), new.encode())
        words[0] = "/usr/bin/node" if self.node else sys.executable
        self.channel, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self.number:
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(self.number - 1))
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(inside.fileno(), 0)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            checked(LIBC.prctl(38, 1, 0, 0, 0), "no_new_privs")
            os.execv(words[0], words)
        inside.close()
        send(self.channel, json.dumps({"preload": preload}).encode(), [memfd(program)])
        self.answer = self.first = hear(self.channel)
        return self

    def ready(self, preload="import json"):
        assert "ready" in (self.start(preload).answer or ()), self.answer
        return self

    def fork(self, spare=None, script=None, how=None):
        spare = spare or Spare()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open("/dev/null", os.O_RDWR)
        blob = memfd(self.script if script is None else script)
        send(self.channel, how or self.how, [blob] + spare.namespaces + [null, theirs.fileno()])
        for number in (blob, null):
            os.close(number)
        theirs.close()
        self.answer = hear(self.channel)
        if "failed" in self.answer:
            return None
        return Copy(spare, ours)

    def run(self, code, *words, **more):
        copy = self.fork()
        assert copy is not None, self.answer
        return copy.run(code, *words, **more)


class Spare:
    """Pid 1 of a sandbox that is empty: it reaps, says how the process it is told of ended, and ends."""

    def __init__(self):
        self.control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.maker = os.fork()
        if self.maker == 0:
            self.control.close()
            try:
                unshare(NEWUSER | NEWPID | NEWNS | NEWNET | NEWIPC | NEWUTS)
                pid = os.fork()
                if pid == 0:
                    self.serve(inside)
                inside.close()
                os.waitpid(pid, 0)
            finally:
                os._exit(0)
        inside.close()
        message, control, _, _ = self.control.recvmsg(100, socket.CMSG_SPACE(64))
        self.namespaces = list(array.array("i", control[0][2]))

    @staticmethod
    def serve(channel):
        own_proc()
        names = ("user", "pid", "mnt", "net", "ipc", "uts")
        send(channel, b"here", [os.open("/proc/self/ns/" + name, os.O_RDONLY) for name in names])
        ended = {}
        wanted = json.loads(channel.recv(100) or b"0")
        while wanted and wanted not in ended:
            pid, status = os.wait()
            ended[pid] = status
        channel.send(json.dumps(ended.get(wanted)).encode())
        os._exit(0)

    def end(self):
        self.control.close()
        for number in self.namespaces:
            os.close(number)
        os.waitpid(self.maker, 0)


class Copy:
    """A copy that is parked in a spare."""

    def __init__(self, spare, channel):
        self.spare, self.channel = spare, channel
        self.pid = hear(channel).get("pid")

    def begin(self, code, *words, name="<string>", env=None, stdin=None, cwd="/", out=None):
        argv = [{"<string>": "-c", "<stdin>": "-"}.get(name, name)] + list(words)
        request = dict(NULL, code=code, name=name, argv=argv, cwd=cwd)
        request["env"] = dict(request["env"], **(env or {}))
        out, err = os.memfd_create("out") if out is None else os.dup(out), os.memfd_create("err")
        blob = memfd(json.dumps(request).encode())
        null = os.open("/dev/null", os.O_RDONLY) if stdin is None else memfd(stdin)
        os.lseek(null, 0, os.SEEK_SET)
        send(self.channel, b"{}", [blob, null, out, err])
        self.spare.control.send(str(self.pid).encode())
        for number in (blob, null):
            os.close(number)
        self.out, self.err = out, err

    def end(self):
        """How it ended (a code, or a signal as a negative number), and what it wrote."""
        status = hear(self.spare.control)
        said = [contents(number) for number in (self.out, self.err)]
        for number in (self.out, self.err):
            os.close(number)
        self.channel.close()
        self.spare.end()
        return [os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)] + said

    def run(self, code, *words, **more):
        self.begin(code, *words, **more)
        return self.end()


def inside(directory, case, replaced):
    """Pid 1 of the template's namespaces: runs the case, where no signal to the group reaches who started it."""
    os.setsid()
    own_proc()
    number = 3000 if case.endswith("_numbered") else None
    template = Template(directory, replaced, number)
    if case.endswith("_on_demand"):
        template.how = b"now"
    found = CASES[case](template)
    print(json.dumps(found), flush=True)


def outs(template, preload, code, times=2, **more):
    """What copies print, one after the other."""
    template.ready(preload)
    return [template.run(code, **more) for _ in range(times)]


def fork_times(template, preload="import json", times=60):
    """Milliseconds (the least, the median) of a fork, of a parked copy's first line, of its end; bytes that a parked copy has of its own."""
    template.ready(preload)
    found = {"fork": [], "first": [], "ended": [], "private": []}
    for _ in range(times):
        spare = Spare()
        time.sleep(0.01)
        begin = time.perf_counter()
        copy = template.fork(spare)
        found["fork"].append(time.perf_counter() - begin)
        time.sleep(0.02)
        found["private"].append(own_memory(template, copy) / 1000)
        reading, writing = os.pipe()
        given = time.perf_counter()
        copy.begin("print(1)", out=writing)
        os.close(writing)
        assert os.read(reading, 10).startswith(b"1")
        found["first"].append(time.perf_counter() - given)
        assert copy.end()[0] == 0
        os.close(reading)
        found["ended"].append(time.perf_counter() - given)
    rows = {name: [round(sorted(values)[at] * 1000, 2) for at in (0, times // 2)] for name, values in found.items()}
    return dict(rows, ready=template.answer if "ready" in template.answer else template.first)


def node_runs(template):
    """Runs by a template of Node: what they print, and what becomes of the template."""
    template.node = True
    template.script = open(template.directory + "/node-script.bin", "rb").read()
    template.ready("require('zlib')")
    code = "console.log(process.pid > 1, process.ppid, process.argv.slice(1), process.env.A, require('fs').readdirSync('/proc/self/fd').length < 30)"
    found = [template.run(code, "a", "b", env={"A": "b"}), template.run("throw 5")[0]]
    # Files of a process that is not dumpable are nobody's here.
    found.append(os.stat("/proc/%d/environ" % template.pid).st_uid == os.getuid())
    dead = Spare()
    dead.control.send(b"0")
    os.waitpid(dead.maker, 0)
    assert template.fork(dead) is None
    found.append(template.answer["failed"])
    assert template.fork(script=template.script.replace(b"/usr/bin/node", b"/usr/bin/none")) is None
    return found + [template.answer["failed"]["list"], template.run("console.log('next')")]


def own_memory(template, copy):
    """Bytes of private memory of the copy, who is the child of the spare's pid 1."""
    children = lambda pid: [int(word) for word in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]
    pid = children(children(copy.spare.maker)[0])[0]
    for line in open("/proc/%d/smaps_rollup" % pid):
        if line.startswith("Private_Dirty"):
            return int(line.split()[1]) * 1024
    return 0


RANDOM = """
import ssl, random, tempfile, secrets, uuid
print(ssl.RAND_bytes(8).hex(), random.random(), next(tempfile._get_candidate_names()), secrets.token_hex(), uuid.uuid4())
"""


def random_values(template):
    """Which of a run's random values come again in the next run: by their places."""
    template.number = template.number or 3  # what a copy's number is too
    used = "import ssl, random, tempfile, secrets, uuid\nssl.RAND_bytes(8); random.random(); tempfile.mktemp(); secrets.token_hex()"
    first, second = (run[1].split() for run in outs(template, used, RANDOM))
    assert len(first) == len(second) == 5
    return [place for place in range(5) if first[place] == second[place]]


def same_values(template, preload, code):
    """Whether two runs print the same."""
    first, second = outs(template, preload, code)
    assert first[0] == second[0] == 0, (first, second)
    return first[1] == second[1]


def refusal(template, preload):
    return template.start(preload).answer


def shared(template):
    """What the second of two runs reads of memory that the preload has mapped."""
    if "refused" in template.start("import mmap; memory = mmap.mmap(-1, 4096)").answer:
        return template.answer["refused"]
    code = "from __preload__ import memory; print(memory[:4]); memory[:4] = b'kept'"
    return [template.run(code)[1] for _ in range(2)]


def buffered(template):
    return outs(template, "import sys; sys.stdout = open(1, 'w', closefd=False); print('of the preload')", "print('own')")


def descriptors(template):
    preload = "import os, __main__; number = os.open('/etc/passwd', os.O_RDONLY)"
    if "refused" in template.start(preload).answer:
        return template.answer["refused"]
    return template.run("import os; print(sorted(os.listdir('/proc/self/fd')))")


def group(template):
    """How a run ends that kills its process group, and what the template says to the next one."""
    template.ready()
    first = template.run("import os, signal; os.kill(0, signal.SIGTERM)")[0]
    try:
        return [first, template.run("print('alive')")[1]]
    except (OSError, TypeError):
        return [first, "the template has ended"]


def interrupted(template):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    template.ready()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return template.run("import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")[1]


HOSTILE = """
import os, ctypes, time
seen = []
def look():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    names = ("CapEff", "CapBnd", "NoNewPrivs", "NSpid")
    seen.append([status[name].split() for name in names] + [os.getppid(), os.getsid(0) == os.getpid()])
os.register_at_fork(after_in_child=look)
# What runs in the parent of the copy, after the fork: a preload that holds it up.
slow = ctypes.PYFUNCTYPE(None)(lambda: time.sleep(0.3))
library = ctypes.CDLL(None)
library.__register_atfork(None, slow, None, None)
"""


def hostile(template):
    """What code of the preload finds around it, where it runs first in a copy, while it holds up the copy's parent."""
    template.ready(HOSTILE)
    return json.loads(template.run("import json, __preload__; print(json.dumps(__preload__.seen[-1]))")[1])


def processor(template):
    """Whether the C library knows the processor that a run is on, wherever the run goes."""
    template.ready("import ctypes; library = ctypes.CDLL(None)")
    code = """
import os
from __preload__ import library
there = sorted(os.sched_getaffinity(0))
for one in there * 2:
    os.sched_setaffinity(0, {one})
    assert library.sched_getcpu() == one, (library.sched_getcpu(), one)
print(len(there) > 1)
"""
    code, out, err = template.run(code)
    return out.strip() if code == 0 else err.strip().splitlines()[-1].split(":")[0]


def reaped(template):
    template.ready()
    for _ in range(5):
        assert template.run("pass")[0] == 0
    stats = (open("/proc/%s/stat" % name).read().rsplit(")", 1)[1].split() for name in os.listdir("/proc") if name.isdigit())
    return [stat for stat in stats if int(stat[1]) == template.pid]


def dead(template):
    """What the template says of a spare that has ended, and to the run after it."""
    template.ready()
    spare = Spare()
    spare.control.send(b"0")
    os.waitpid(spare.maker, 0)
    assert template.fork(spare) is None
    failed = template.answer
    return [failed, template.run("print('next')")[1]]


def script_faults(template):
    """What becomes of scripts that are none, or whose calls the kernel refuses."""
    template.ready()
    good, found = template.script, []
    setns = struct.pack("<7Q8B", 308, 0, 0x20000, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
    one_call = lambda *lengths: b"BJWARM01" + struct.pack("<3Q", *lengths) + setns
    for script in (b"", b"BJWARM02" + good[8:], good[:40], one_call(2, 0, 0), one_call(1 << 60, 0, 0), one_call(1, 0, 0)):
        assert template.fork(script=script) is None
        found.append(template.answer["failed"])
    return found + [template.run("print('next')")[1]]


SAME = [
    "print(__name__, sorted(globals()), __loader__, __spec__, __doc__, __builtins__)",
    "import sys; print(sys.argv, sys.path[0] == '', sys.flags.unbuffered, sys.stdout.line_buffering, sys.stdout.write_through)",
    "import sys; print([(s, s.buffer.__class__, s.fileno(), s.isatty()) for s in (sys.stdin, sys.stdout, sys.stderr)])",
    "import sys; sys.stdout.write('no newline')",
    "print('first\\n' * 3); 1 / 0",
    "def f(n):\n    return f(n - 1) if n else [][1]\nf(3)",
    "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e",
    "import sys; sys.exit()", "import sys; sys.exit(3)", "import sys; sys.exit(-1)", 
    "import sys; sys.exit('words')", "raise SystemExit(300)", "x = )", "  indented",
    "import os; os.kill(os.getpid(), 9)", "import os; os.abort()", "raise KeyboardInterrupt", "raise BaseException('b')",
    "import atexit; atexit.register(print, 'at exit'); print('before')",
    "class A:\n    def __del__(self): print('gone', self.n)\na = A(); a.n = 1\n_b = A(); _b.n = 2\nc = A(); c.n = 3; c.c = c",
    "import threading, time\ndef late(): time.sleep(0.05); print('late')\nthreading.Thread(target=late).start()",
    "import logging; logging.warning('told'); logging.getLogger('x').error('again')",
    "import warnings; warnings.warn('careful')",
    "import sys\ndef hook(*a): print('hook', a[0].__name__)\nsys.excepthook = hook\n1 / 0",
    "import sys\ndef hook(*a): raise ValueError('in the hook')\nsys.excepthook = hook\n1 / 0",
    "import os; print(sorted(os.environ.items()), os.getcwd(), os.umask(0))",
    "import time, os; os.environ['TZ'] = 'X3'; time.tzset(); print(time.tzname)",
    "import subprocess; print(subprocess.run(['sh', '-c', 'echo $0; exit 3']).returncode, flush=True)",
    "import multiprocessing as m\nif __name__ == '__main__':\n    p = m.get_context('fork').Process(target=print, args=('child',)); p.start(); p.join(); print(p.exitcode)",
    "import asyncio\nasync def f(): await asyncio.sleep(0); return 5\nprint(asyncio.run(f()))",
    "import sys; print(sys.stdin.read())", "print(input())", "import gc; print(gc.isenabled(), gc.get_threshold())",
    "import signal; print([signal.getsignal(s) for s in (2, 13, 15, 17)], signal.pthread_sigmask(0, []))",
    "import ctypes; k = [ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1) for _ in range(500)]; print(sum(f(1) for f in k))",
    "import sys; sys.stderr.write('partial'); sys.stdout.close()",
    "import locale, sys; print(locale.getlocale(), sys.getfilesystemencoding(), sys.stdout.encoding, sys.stdout.errors)",
    "print(ascii('\\xe9\\u20ac'), '\\xe9\\u20ac')", "from __future__ import annotations\nx: int = 1\nprint(__annotations__)",
    "import sys; print(sys.orig_argv[1:] if hasattr(sys, 'orig_argv') else [])",
    "def f(): f()\ntry:\n    f()\nexcept RecursionError as e: print(e)",
    
    "import sys\nclass A:\n    def __del__(self): print('gone', self.n)\nsys.kept = A(); sys.kept.n = 0\na = A(); a.n = 1; sys.exit(4)",
]


def cold(words, stdin, env):
    import subprocess

    done = subprocess.run([sys.executable, "-u"] + words, input=stdin, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return [done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")]


def same(template, preload="import json", codes=SAME):
    """The codes of which a warm run says something else than a cold one, with both."""
    template.ready(preload)
    environment = dict(NULL["env"], LD_LIBRARY_PATH=os.environ.get("LD_LIBRARY_PATH", ""), A="b")
    differences = []
    path = os.environ["HARNESS_FILES"] + "/file.py"
    for code in codes:
        for words, how in ((["-c", code, "a", "-b"], dict(name="<string>")), ([path, "a", "-b"], dict(name=path))):
            with open(path, "w") as file:
                file.write(code)
            expected = cold(words, b"given\n", environment)
            found = template.run(code, "a", "-b", env=environment, stdin=b"given\n", **how)
            addresses = [re.sub("0x[0-9a-f]{6,}", "0x", str(said)) for said in (expected, found)]
            if addresses[0] != addresses[1]:
                differences.append([code, how["name"], expected, found])
    return differences


CASES = {
    "output": lambda t: outs(t, "import json", "import sys; print(6 * 7); print('e', file=sys.stderr)"),
    "times": fork_times,
    "times_numpy": lambda t: fork_times(t, "import numpy, pandas"),
    "random": random_values,
    "random_numbered": random_values,
    "numpy": lambda t: same_values(t, "import numpy", "import numpy; print(numpy.random.rand())"),
    "shared": shared,
    "buffered": buffered,
    "descriptors": descriptors,
    "group": group,
    "interrupted": interrupted,
    "hostile": hostile,
    "processor": processor,
    "reaped": reaped,
    "dead": dead,
    "script": script_faults,
    "node": node_runs,
    "same": same,
    "same_on_demand": same,
    "lacking": lambda t: refusal(t, ""),
    "thread": lambda t: refusal(t, "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"),
    "blas": lambda t: "ready" in refusal(t, "import numpy; a = numpy.ones((512, 512)); a @ a"),
    "child": lambda t: refusal(t, "import subprocess; child = subprocess.Popen(['sleep', '60'])"),
    "exception": lambda t: refusal(t, "import json\ndef f():\n    return json.loads('')\nf()"),
    "dumpable": lambda t: refusal(t, "import ctypes; raise SystemExit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))")["refused"]["what"][-3:],
}


def main():
    directory, case, *rest = sys.argv[1:]
    os.closerange(3, 4096)
    os.environ["HARNESS_FILES"] = directory + "/files"
    unshare(NEWUSER | NEWPID | NEWNS)
    pid = os.fork()
    if pid == 0:
        try:
            inside(directory, case, list(zip(rest[::2], rest[1::2])))
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
