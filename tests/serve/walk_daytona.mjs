// Walks groups of calls of Daytona's own client for TypeScript against `belljar serve`: `ok` at the end.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";

// One client, which has two names.
const name = process.env.CLIENT.includes("daytona-sdk") ? "@daytona/sdk" : "@daytonaio/sdk";
const { Daytona, DaytonaError, DaytonaNotFoundError, Image } = createRequire(process.env.CLIENT + "/")(name);
const daytona = new Daytona();

const sandbox = await daytona.create({ language: "python", networkBlockAll: true, envVars: { GIVEN: "yes" }, labels: { for: "node" } });
assert.equal(sandbox.state, "started");
let told = await sandbox.process.executeCommand("echo $GIVEN; echo err >&2; exit 3");
assert.deepEqual([told.exitCode, told.result], [3, "yes\nerr\n"]);
told = await sandbox.process.codeRun("print(6 * 7)");
assert.deepEqual([told.exitCode, told.result], [0, "42\n"]);

await sandbox.fs.uploadFile(Buffer.from("one"), "some/where/file.txt");
assert.equal((await sandbox.fs.downloadFile("some/where/file.txt")).toString(), "one");
await sandbox.fs.uploadFiles([1, 2].map((n) => ({ source: Buffer.from(String(n)), destination: `many/${n}` })));
assert.deepEqual((await sandbox.fs.listFiles("many")).map((file) => file.name).sort(), ["1", "2"]);
assert.equal((await sandbox.fs.getFileDetails("many/1")).size, 1);
assert.equal((await sandbox.fs.findFiles("some", "one")).length, 1);
await sandbox.fs.deleteFile("many/1");
await assert.rejects(sandbox.fs.getFileDetails("many/1"), DaytonaNotFoundError);

await sandbox.process.createSession("s");
await sandbox.process.executeSessionCommand("s", { command: "X=kept; cd /tmp" });
const answer = await sandbox.process.executeSessionCommand("s", { command: "echo $X; pwd" });
assert.match(answer.stdout, /kept\n\/tmp\n/);
const run = await sandbox.process.executeSessionCommand("s", { command: "echo a; sleep 0.3; echo b", runAsync: true });
let heard = "";
await sandbox.process.getSessionCommandLogs("s", run.cmdId, (text) => (heard += text), (text) => (heard += text));
assert.match(heard, /a\nb\n/);
await sandbox.process.deleteSession("s");

let shown = "";
const pty = await sandbox.process.createPty({ id: "one", cols: 100, rows: 30, onData: (data) => (shown += Buffer.from(data).toString()) });
await pty.waitForConnection();
await pty.sendInput("stty size; exit 7\n");
assert.equal((await pty.wait()).exitCode, 7);
assert.match(shown, /30 100/);

const out = [];
const result = await sandbox.codeInterpreter.runCode("x = 20\nprint(x + 1)", { onStdout: (message) => out.push(message.output) });
assert.equal(result.error, undefined);
assert.equal(out.join(""), "21\n");

await sandbox.git.clone("/nowhere", "x").then(() => assert.fail(), (error) => assert(error instanceof DaytonaError));
await sandbox.process.executeCommand("git init -q -b main r && cd r && git -c user.name=F -c user.email=f@x commit -q --allow-empty -m far");
assert.equal((await sandbox.git.status("r")).currentBranch, "main");
await sandbox.fs.uploadFile(Buffer.from("x"), "r/f");
await sandbox.git.add("r", ["f"]);
assert.equal((await sandbox.git.commit("r", "first", "Ada", "ada@example.org")).sha.length, 40);

const listed = [];
for await (const one of daytona.list({ labels: { for: "node" } })) listed.push(one.id);
assert.deepEqual(listed, [sandbox.id]);
assert.match((await sandbox.getPreviewLink(3000)).url, /^http:\/\/3000-/);
await sandbox.stop();
assert.equal(sandbox.state, "stopped");
await sandbox.start();
assert.equal((await sandbox.fs.downloadFile("some/where/file.txt")).toString(), "one");
await assert.rejects(daytona.get("nowhere"), DaytonaNotFoundError);
await sandbox.delete();

// An image of local files: a small one, a directory with one that is uploaded in parts, and a pattern.
fs.mkdirSync("context/dir/below", { recursive: true });
fs.writeFileSync("context/eins.txt", "eins");
fs.writeFileSync("context/dir/below/large", Buffer.alloc(7 << 20, "x"));
fs.writeFileSync("context/one.cfg", "1");
fs.writeFileSync("context/two.cfg", "2");
const image = Image.base("python:3.12-slim")
  .addLocalFile("context/eins.txt", "/tmp/put/renamed.txt")
  .addLocalDir("context/dir", "/tmp/put/dir")
  .dockerfileCommands(["ARG WHERE=/tmp/put", "WORKDIR $WHERE", "COPY --chmod=600 one.cfg two.cfg conf/", "COPY *.cfg more/", 'ENV WHOLE="$WHERE/conf" PATH="/tmp/put/bin:$PATH"', "RUN echo $WHERE > arg"], "context")
  .entrypoint(["/bin/sh", "-c", "echo begun; exec sleep 1000"]);
const built = await daytona.create({ image, networkBlockAll: true }, { timeout: 120 });
const said = await built.process.executeCommand("cat renamed.txt arg; wc -c < dir/below/large; stat -c %a conf/one.cfg conf/two.cfg; cat more/*; echo $WHOLE; case $PATH in /tmp/put/bin:/*) echo path;; esac");
assert.equal(said.result, "eins/tmp/put\n7340032\n600\n600\n12/tmp/put/conf\npath\n");
assert.equal((await built.process.getEntrypointSession()).commands.length, 1);
while (!/begun/.test((await built.process.getEntrypointLogs()).stdout)) await new Promise((done) => setTimeout(done, 50));
await built.delete();
// The same files are not uploaded again, and others are no part of the same image.
fs.writeFileSync("context/eins.txt", "zwei");
const other = await daytona.create({ image: Image.base("python:3.12-slim").addLocalFile("context/eins.txt", "/tmp/f"), networkBlockAll: true }, { timeout: 120 });
assert.equal((await other.fs.downloadFile("/tmp/f")).toString(), "zwei");
await other.delete();
await assert.rejects(daytona.create({ image: Image.base("python:3.12-slim").dockerfileCommands(["USER ada"]) }), /USER/);
console.log("ok");
process.exit(0);
