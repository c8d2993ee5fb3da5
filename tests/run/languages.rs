//! Case 63 of the catalogue: what people run starts and works under the filters. A filter that is too tight is found
//! out here: `statx`, `faccessat2`, `clone3`, `rseq`, `futex_waitv`, `epoll_pwait2`, `arch_prctl`, `set_robust_list`.

use crate::common::{Scratch, installed, python, shell};
use std::process::Command;

/// What the shell printed, in a run that went well and complained about nothing.
fn printed(options: &[&str], script: &str) -> String {
    let run = shell(options, script);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout
}

const STRICT: &[&str] = &["--seccomp", "strict"];

const PYTHON: &str = "
import asyncio, ctypes, hashlib, json, os, pathlib, random, re, sqlite3, ssl, subprocess, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
print(sum(ThreadPoolExecutor(4).map(lambda n: n * n, range(10))))
print(subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout, end='')
print(asyncio.run(asyncio.sleep(0, 'loop')))
with tempfile.NamedTemporaryFile() as f: pathlib.Path(f.name).write_text('x'); print(os.path.getsize(f.name))
";

#[test]
fn python_works() {
    assert_eq!(python(&[], PYTHON).stdout, "285\nchild\nloop\n1\n");
    let processes = "import multiprocessing as m\nif __name__ == '__main__':\n  with m.get_context('fork').Pool(2) as p: print(p.map(abs, [-1, -2]))";
    assert_eq!(python(&[], processes).stdout, "[1, 2]\n");
}

#[test]
fn python_works_under_strict() {
    assert_eq!(python(STRICT, PYTHON).stdout, "285\nchild\nloop\n1\n");
}

const NODE: &str = "
const { Worker } = require('worker_threads'), { execFileSync } = require('child_process'), fs = require('fs');
fs.writeFileSync('/tmp/x', 'file'); console.log(fs.readFileSync('/tmp/x', 'utf8'), execFileSync('echo', ['child']).toString().trim());
new Worker('require(\"worker_threads\").parentPort.postMessage(6 * 7)', { eval: true }).on('message', n =>
  require('crypto').pbkdf2('a', 'b', 1000, 8, 'sha256', (error, key) => setTimeout(() => console.log(n, key.length), 1)));
";

fn node(options: &[&str]) {
    if !installed("node") {
        return;
    }
    let run = crate::common::call([&["code", "node"], options, &["-e", NODE]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "file child\n42 8\n"), "{}", run.stderr);
}

#[test]
fn node_works() {
    node(&[]);
}

#[test]
fn node_works_under_strict() {
    node(STRICT);
}

// Go makes its system calls itself, without a C library, and starts threads at once.
#[test]
fn a_static_go_program_works() {
    if !installed("go") {
        return;
    }
    let scratch = Scratch::new("go");
    let source = scratch.file(
        "hello.go",
        "package main\nfunc main() { c := make(chan int); for i := 0; i < 100; i++ { go func(i int) { c <- i }(i) }; n := 0; for i := 0; i < 100; i++ { n += <-c }; println(n) }\n",
    );
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(scratch.0.join("hello")).arg(source);
    build
        .env("CGO_ENABLED", "0")
        .env("GO111MODULE", "off")
        .env("GOCACHE", scratch.0.join("cache"))
        .current_dir(&scratch.0);
    assert!(build.status().expect("start go").success());
    let mount = format!("{}:/mnt/hello", scratch.0.join("hello").display());
    for profile in ["default", "strict"] {
        let run = crate::common::call(["run", "--seccomp", profile, "--mount", &mount, "--", "/mnt/hello"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), "4950\n"), "{profile}");
    }
}

#[test]
fn shells_work() {
    let script = "set -e; cd /tmp; f() { cat <<-X\n$1\nX\n}; f here | tr a-z A-Z; (exit 3) || echo $?; mkdir d; echo x >d/y; tar cf - d | tar tf -; find d -name y | xargs wc -c; sleep 0.01 & wait; printf '%s\\n' b a | sort | sed s/a/c/";
    let expected = "HERE\n3\nd/\nd/y\n2 d/y\nc\nb\n";
    assert_eq!(printed(&[], script), expected);
    assert_eq!(printed(STRICT, script), expected);
    let bash = "bash -c 'a=(1 2 3); echo ${a[@]:1} <(:) | cut -c1-3; read -r x <<<here; echo $x; ulimit -c 0'";
    assert_eq!(printed(&[], bash), "2 3\nhere\n");
}

#[test]
fn git_works() {
    if !installed("git") {
        return;
    }
    let script = "cd /tmp && git init -q -b main a && cd a && git config user.name x && git config user.email x@y && echo 1 >f && git add f \
        && git commit -qm one && git clone -q . ../b && cd ../b && echo 2 >f && git -c user.name=x -c user.email=x@y commit -qam two && git log --format=%s && git gc -q";
    assert_eq!(printed(&[], script), "two\none\n");
}

fn gcc(options: &[&str]) {
    if !installed("gcc") {
        return;
    }
    let script = "cd /tmp && printf '#include <stdio.h>\\nint main(void) { puts(\"hello\"); }\\n' >h.c && gcc -O2 h.c -o h && ./h";
    assert_eq!(printed(options, script), "hello\n");
}

// Its shadow memory is an address space of terabytes, which nobody uses.
#[test]
fn a_program_with_an_address_sanitizer_runs_and_finds_what_is_wrong() {
    if !installed("gcc") {
        return;
    }
    let script = "cd /tmp && printf '#include <stdlib.h>\\nint main(int n, char **v) { char *p = malloc(8); p[7 + n] = 1; return p[0]; }\\n' >a.c && gcc -fsanitize=address a.c -o a || exit 77; ASAN_OPTIONS=detect_leaks=0 ./a";
    let run = shell(&[], script);
    assert!(run.code == Some(77) || run.code == Some(1) && run.stderr.contains("heap-buffer-overflow"), "{run:?}");
}

#[test]
fn gcc_compiles_and_its_program_runs() {
    gcc(&[]);
}

#[test]
fn gcc_compiles_and_its_program_runs_under_strict() {
    gcc(STRICT);
}

#[test]
fn make_works_with_parallel_jobs() {
    if !installed("make") {
        return;
    }
    let script = "cd /tmp && printf 'all: a b c\\n\\t@cat a b c\\na b c:\\n\\t@sleep 0.05; echo $@ >$@\\n' >Makefile && make -s -j3";
    assert_eq!(printed(&[], script), "a\nb\nc\n");
}

#[test]
fn java_compiles_and_runs() {
    if !installed("javac") {
        return;
    }
    let script = "cd /tmp && printf 'public class H { public static void main(String[] a) throws Exception { Thread t = new Thread(() -> System.out.println(\"hello\")); t.start(); t.join(); } }' >H.java && javac H.java && java H";
    assert_eq!(printed(&[], script), "hello\n");
}

const TRACE: &str = "
import ctypes, os, signal
L = ctypes.CDLL(None, use_errno=True)
L.ptrace.argtypes = [ctypes.c_long] * 4
L.ptrace.restype = ctypes.c_long
child = os.fork()
if child == 0:
    traced = L.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(traced & 1)
os.waitpid(child, os.WUNTRACED)
print(L.ptrace(0x4200, child, 0, 1), L.ptrace(7, child, 0, 0), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

// gdb and strace live by ptrace(2).
#[test]
fn under_debug_a_program_may_trace_its_own_child() {
    assert_eq!(python(&["--seccomp", "debug"], TRACE).stdout, "0 0 0\n");
    if installed("strace") {
        let run = shell(&["--seccomp", "debug"], "strace -f -o /tmp/log sh -c true && grep -c execve /tmp/log");
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1\n"), "{}", run.stderr);
    }
    if installed("gdb") {
        let run = shell(
            &["--seccomp", "debug"],
            "gdb -q -batch -ex starti -ex 'info registers rip' -ex kill /usr/bin/true 2>&1",
        );
        assert!(run.code == Some(0) && run.stdout.contains("Program stopped"), "{run:?}");
    }
}

// The way round a filter that gdb's own was: what the tracer changes after the filter has looked is looked at again.
#[test]
fn under_debug_a_tracer_cannot_change_a_call_into_a_forbidden_one() {
    let code = "
import ctypes, os, signal
L = ctypes.CDLL(None, use_errno=True)
L.ptrace.argtypes = [ctypes.c_long] * 4
L.ptrace.restype = ctypes.c_long
class Registers(ctypes.Structure): _fields_ = [(n, ctypes.c_ulong) for n in 'r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs gs ds es fsg gsb'.split()]
child = os.fork()
if child == 0:
    L.ptrace(0, 0, 0, 0); os.kill(os.getpid(), signal.SIGSTOP)
    answer = L.syscall(39)
    os._exit(42 if answer == -1 and ctypes.get_errno() == 1 else 1)
os.waitpid(child, os.WUNTRACED)
registers = Registers()
while True:
    L.ptrace(24, child, 0, 0)
    if os.WIFEXITED(status := os.waitpid(child, 0)[1]): break
    L.ptrace(12, child, 0, ctypes.addressof(registers))
    if registers.orig_rax == 39:
        registers.orig_rax, registers.rdi = 272, 0x10000000
        L.ptrace(13, child, 0, ctypes.addressof(registers))
print(os.waitstatus_to_exitcode(status))";
    assert_eq!(python(&["--seccomp", "debug"], code).stdout, "42\n");
}
