"""Tries to break out, one attempt per function. An attempt that raises was refused; one that returns says what it got.

Arguments: files of the host that a sandbox must not be able to read. Exits with 1 if any attempt succeeded.
"""

import ctypes
import errno
import os
import signal
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, PTRACE_ATTACH, KEYCTL_GET_KEYRING_ID, SESSION_KEYRING = 0x10000000, 16, 0, -3
NR_KEYCTL, NR_IO_URING_SETUP = {"x86_64": (250, 425), "aarch64": (219, 425)}[os.uname().machine]
MOST_FORKS = 2000  # enough to prove that nothing caps them, few enough not to hurt


class Refused(Exception):
    """Refused in another way than by an error number."""


def call(function, *args):
    ctypes.set_errno(0)
    answer = function(*args)
    if answer == -1:
        raise OSError(ctypes.get_errno(), "")
    return f"returned {answer}"


def read(path):
    with open(path, "rb", buffering=0) as file:
        if not file.read(16):
            raise Refused("masked: reads as empty")
    return "could read it"


def write(path, text):
    with open(path, "wb", buffering=0) as file:
        if os.fstat(file.fileno()).st_rdev == os.makedev(1, 3):
            raise Refused("masked by the null device")
        file.write(text)
    return "could write it"


def connect(address):
    with socket.create_connection(address, timeout=3):
        return "connected"


def kill_init():
    os.kill(1, signal.SIGKILL)
    raise Refused("pid 1 lives: the kernel ignores it")


def fork_bomb():
    children = []
    try:
        while len(children) < MOST_FORKS:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        return f"{MOST_FORKS} processes"
    except OSError as error:
        raise OSError(error.errno, f"after {len(children)} processes") from error
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


ATTEMPTS = [
    ("read /etc/shadow", lambda: read("/etc/shadow")),
    *((f"read {path} of the host", lambda path=path: read(path)) for path in sys.argv[1:]),
    ("write below /usr", lambda: write("/usr/bin/belljar-was-here", b"x")),
    ("connect to 1.1.1.1:53", lambda: connect(("1.1.1.1", 53))),
    ("make a user namespace", lambda: call(libc.unshare, CLONE_NEWUSER)),
    ("mount a tmpfs", lambda: call(libc.mount, b"x", b"/tmp", b"tmpfs", 0, None)),
    ("trace pid 1", lambda: call(libc.ptrace, PTRACE_ATTACH, 1, None, None)),
    ("read /proc/kcore", lambda: read("/proc/kcore")),
    ("write /proc/sysrq-trigger", lambda: write("/proc/sysrq-trigger", b"h")),
    ("set up io_uring", lambda: call(libc.syscall, NR_IO_URING_SETUP, 8, ctypes.create_string_buffer(120))),
    ("read the session keyring", lambda: call(libc.syscall, NR_KEYCTL, KEYCTL_GET_KEYRING_ID, SESSION_KEYRING, 0)),
    ("kill pid 1", kill_init),
    ("fork without end", fork_bomb),
]


def main():
    broken = 0
    for name, attempt in ATTEMPTS:
        try:
            print(f"  BROKEN OUT  {name}: {attempt()}", flush=True)
            broken += 1
        except Refused as refused:
            print(f"  refused     {name}: {refused}", flush=True)
        except OSError as error:
            code = errno.errorcode.get(error.errno, "timed out")
            detail = error.strerror if error.strerror and "after" in error.strerror else ""
            print(f"  refused     {name}: {code} {detail}".rstrip(), flush=True)
    print(f"{len(ATTEMPTS)} attempts, {broken} succeeded", flush=True)
    sys.exit(1 if broken else 0)


main()
