// Walks groups of calls of E2B's own client for TypeScript against `belljar serve`: `ok` at the end.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { Sandbox, CommandExitError, NotFoundError, TimeoutError } = createRequire(process.env.CLIENT + "/")("e2b");

const sandbox = await Sandbox.create({ allowInternetAccess: false, metadata: { odd: "a b&c=d/ü" }, envs: { GIVEN: "yes" } });
assert(await sandbox.isRunning());
let told = await sandbox.commands.run("echo $GIVEN; echo err >&2");
assert.deepEqual([told.exitCode, told.stdout, told.stderr], [0, "yes\n", "err\n"]);
await assert.rejects(sandbox.commands.run("exit 3"), (error) => error instanceof CommandExitError && error.exitCode === 3);
await assert.rejects(sandbox.commands.run("sleep 60", { timeoutMs: 1000 }), TimeoutError);
let heard = "";
const handle = await sandbox.commands.run("read line; echo got $line; exec sleep 1000", { background: true, stdin: true, onStdout: (text) => (heard += text) });
assert((await sandbox.commands.list()).some((one) => one.pid === handle.pid));
await sandbox.commands.sendStdin(handle.pid, "one\n");
while (heard !== "got one\n") await new Promise((done) => setTimeout(done, 50));
assert(await handle.kill());
await assert.rejects(handle.wait(), CommandExitError);

const screen = [];
const terminal = await sandbox.pty.create({ cols: 100, rows: 30, onData: (data) => screen.push(Buffer.from(data).toString()), timeoutMs: 0 });
await sandbox.pty.resize(terminal.pid, { cols: 120, rows: 40 });
await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode("stty size; exit 4\n"));
await assert.rejects(terminal.wait(), (error) => error instanceof CommandExitError && error.exitCode === 4);
assert.match(screen.join(""), /40 120\r\n/);
const killed = await sandbox.pty.create({ cols: 100, rows: 30, onData: () => {} });
assert(await sandbox.pty.kill(killed.pid));

await sandbox.files.write("some/where/file.txt", "one");
assert.equal(await sandbox.files.read("some/where/file.txt"), "one");
await sandbox.files.write([{ path: "/tmp/x/1", data: "eins" }, { path: "/tmp/x/2", data: new Uint8Array([0, 255]).buffer }]);
assert.deepEqual([...(await sandbox.files.read("/tmp/x/2", { format: "bytes" }))], [0, 255]);
assert.deepEqual((await sandbox.files.list("/tmp/x")).map((one) => one.name).sort(), ["1", "2"]);
assert(await sandbox.files.makeDir("/tmp/new"));
assert.equal((await sandbox.files.rename("/tmp/x/1", "/tmp/new/eins")).path, "/tmp/new/eins");
assert.equal((await sandbox.files.getInfo("/tmp/new/eins")).size, 4);
const changed = [];
const watcher = await sandbox.files.watchDir("/tmp/new", (event) => changed.push(`${event.type} ${event.name}`), { recursive: true });
await sandbox.files.write("/tmp/new/watched", "1");
while (!changed.includes("write watched")) await new Promise((done) => setTimeout(done, 50));
await watcher.stop();
await sandbox.files.remove("/tmp/new");
assert.equal(await sandbox.files.exists("/tmp/new"), false);
await assert.rejects(sandbox.files.read("/tmp/nowhere"), NotFoundError);
assert.equal(await (await fetch(await sandbox.downloadUrl("some/where/file.txt"))).text(), "one");

const listed = await Sandbox.list({ query: { metadata: { odd: "a b&c=d/ü" } } }).nextItems();
assert.deepEqual(listed.map((one) => one.sandboxId), [sandbox.sandboxId]);
await sandbox.setTimeout(1000_000);
const again = await Sandbox.connect(sandbox.sandboxId);
assert.equal((await again.commands.run("echo same")).stdout, "same\n");
assert.equal(await sandbox.kill(), true);
await assert.rejects(Sandbox.connect(sandbox.sandboxId), NotFoundError);
console.log("ok");
process.exit(0);
