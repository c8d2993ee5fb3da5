"""A parked Node without belljar, as a sandbox would have it: descriptor 3 is a socket, over which its streams come.

    parked.py DIRECTORY CASE

DIRECTORY has `node.json`, the command line without what is preloaded. Prints what the case found, as JSON.
"""
import json
import os
import re
import socket
import subprocess
import sys

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "A": "b"}
CODES = [
    "console.log(1)", "console.log(process.argv.slice(1), process.execArgv.length, process.env, process.cwd())",
    "console.log(__filename, __dirname, typeof require, module.id, module.paths, require.main === module)",
    "process.exit(3)", "process.exitCode = 4", "throw new Error('x')", "throw 5", "let a = ;",
    "Promise.reject(new Error('p'))", "console.log(require('fs').readFileSync(0, 'utf8'))",
    "process.stdin.on('data', (part) => console.log('got', String(part)))",
    "import('os').then((os) => console.log(typeof os.cpus))", "await 1; console.log('a module')",
    "setTimeout(() => console.log('late'), 20); console.log('now')", "process.on('exit', (code) => console.log('exit', code))",
    "console.log(Object.getOwnPropertyNames(globalThis).sort().join())", "console.error('e'); console.log(typeof fs)",
    "require('child_process').execFileSync('sh', ['-c', 'ls /proc/self/fd'], { stdio: 'inherit' })", "require('./none')",
    "process.stdout.write('x'.repeat(300000))", "require('fs').writeSync(1, 'y'.repeat(200000))",
    "new (require('worker_threads').Worker)('console.log(process.argv.length)', { eval: true })",
    "var x = 1; console.log(globalThis.x)", "'use strict'; console.log(this === globalThis)",
    "process.kill(process.pid, 'SIGKILL')", "console.log(require.resolve.paths('x'))",
]


def park(words, preload):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def place():
        os.dup2(theirs.fileno(), 3)

    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(words + [preload], env=ENVIRONMENT, cwd="/", preexec_fn=place, pass_fds=[3], **nowhere)
    theirs.close()
    return process, ours, json.loads(ours.recv(1 << 16) or b"null")


def run(words, code, name, preload="", given=b""):
    process, channel, answer = park(words, preload)
    assert "pid" in answer, answer
    (stdin, write), (out, stdout), (err, stderr) = (os.pipe() for _ in range(3))
    os.write(write, given)
    os.close(write)
    argv = ["-c" if name == "<string>" else name, "a", "-b"]
    request = {"code": code, "name": name, "argv": argv, "env": ENVIRONMENT, "cwd": "/tmp", "seed": ""}
    blob = os.memfd_create("request")
    os.write(blob, json.dumps(request).encode())
    socket.send_fds(channel, [b"{}"], [blob, stdin, stdout, stderr])
    for number in (blob, stdin, stdout, stderr):
        os.close(number)
    said = [open(number, "rb").read().decode() for number in (out, err)]
    return [process.wait()] + said


def same(words, directory):
    """The codes of which a parked Node says something else than a fresh one, but for the frames of its own in traces."""
    path, differences = directory + "/code.js", []
    for code in CODES:
        with open(path, "w") as file:
            file.write(code)
        for name, fresh in (("<string>", ["-e", code, "--"]), (path, [path])):
            done = subprocess.run(["node"] + fresh + ["a", "-b"], input=b"given", capture_output=True, env=ENVIRONMENT, cwd="/tmp")
            expected = [done.returncode, done.stdout.decode(), done.stderr.decode()]
            found = run(words, code, name, given=b"given")
            if re.sub(r"\\n    at [^\\]*", "", repr(expected)) != re.sub(r"\\n    at [^\\]*", "", repr(found)):
                differences.append([code, name, expected, found])
    return differences


CASES = {
    "same": same,
    "loaded": lambda words, _: run(words, "console.log(globalThis.loaded)", "<string>", "globalThis.loaded = typeof require('zlib').gzip"),
    "refused": lambda words, _: park(words, "require('./none')")[2]["refused"]["why"],
    "left": lambda words, _: [(kept := park(words, ""))[1].close(), kept[0].wait()][1],
}

# Numbers up to 3 are taken, so that none of ours is 3.
while os.open("/dev/null", os.O_RDONLY) < 3:
    pass
words = json.load(open(sys.argv[1] + "/node.json"))
print(json.dumps(CASES[sys.argv[2]](words, sys.argv[1])))
