// What the TypeScript package does in Daytona's names, group by group: `node walk.mjs PART`, `ok` at the end.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ChartType, Client, CodeLanguage, Daytona, DaytonaBadRequestError, DaytonaConflictError, DaytonaError, DaytonaGitBranchNotFoundError,
  DaytonaNotFoundError, DaytonaTimeoutError, type ExecuteResponse, findBinary, Image, SandboxState,
} from "belljar";

const there = (): string[] => {
  const told = execFileSync(findBinary(), ["ls"], { encoding: "utf8" });
  return told.trim().split("\n").filter((line) => !/^(NAME|no sandboxes)/.test(line)).map((line) => line.split(/\s+/)[1]!);
};

async function refused<E extends Error>(kind: abstract new (...given: never[]) => E, act: () => Promise<unknown>, word: string): Promise<E> {
  try {
    await act();
  } catch (error) {
    assert(error instanceof kind && error.message.includes(word), String(error));
    return error;
  }
  throw new Error(`nobody refused ${word}`);
}

const parts: Record<string, (daytona: Daytona) => Promise<void>> = {
  async commands(daytona) {
    const sandbox = await daytona.create({ language: CodeLanguage.PYTHON, envVars: { GIVEN: "at first" }, labels: { for: "commands" } });
    assert.equal(sandbox.state, SandboxState.STARTED);
    const told: ExecuteResponse = await sandbox.process.executeCommand("echo out; echo err >&2; cd /; pwd; exit 3");
    assert.deepEqual([told.exitCode, told.result], [3, "out\nerr\n/\n"]);
    assert.equal((await sandbox.process.executeCommand("echo $GIVEN-$MORE", undefined, { MORE: "a 'b'" })).result, "at first-a 'b'\n");
    await sandbox.fs.createFolder("some/where");
    assert((await sandbox.process.executeCommand("pwd", "some/where")).result.endsWith("/some/where\n"));
    assert.equal((await sandbox.process.executeCommand("kill -9 $$")).exitCode, 137);
    assert.equal((await sandbox.process.executeCommand(`: ${"x".repeat(200_000)}\necho end`)).result, "end\n");
    const late = await refused(DaytonaTimeoutError, () => sandbox.process.executeCommand("echo so far; sleep 60", undefined, undefined, 1), "so far");
    assert.deepEqual([late.name, late.kind, late.statusCode], ["DaytonaProcessExecutionTimeoutError", "timed_out", 408]);
    assert.equal((await sandbox.process.codeRun("import sys; print(sys.argv[1:])", { argv: ["b", "c d"] })).result, "['b', 'c d']\n");
    assert.equal((await sandbox.process.codeRun("console.log(6 * 7)", { language: "javascript" })).result, "42\n");
    await refused(DaytonaBadRequestError, () => sandbox.process.codeRun("x", { language: "cobol" }), "python, javascript, typescript");
    // By a warm template, in a sandbox of its own.
    await sandbox.process["link"].ask("warm.create", { name: "compiled", image: "host", lang: "node", preload: "globalThis.known = 'yes'", ready: 1 });
    const warm = await sandbox.process.codeRun("console.log(known, process.argv.slice(1)); process.exitCode = 3", { language: "javascript", warm: "compiled", argv: ["b"] });
    assert.deepEqual([warm.exitCode, warm.result], [3, "yes [ 'b' ]\n"]);
    await sandbox.process["link"].ask("warm.rm", { name: "compiled" });
    const chart = "# matplotlib\nprint('belljar-chart:' + '{\"type\": \"bar\", \"title\": \"t\"}')\nprint('x \u{1F600}')";
    const shown = await sandbox.process.codeRun(chart);
    assert.deepEqual([shown.result, shown.artifacts.charts?.[0]?.type], ["x \u{1F600}\n", ChartType.BAR]);
    await refused(DaytonaBadRequestError, () => sandbox.process.executeCommand("true", undefined, { "A=B": "x" }), "A=B");
    const more = await sandbox.process.executeCommand("head -c 70000000 /dev/zero | tr '\\0' x");
    assert(more.truncated && more.result.endsWith("the rest was dropped\n"));
    // It is the code that says so, and it may say anything.
    const lie = await sandbox.process.codeRun(`# matplotlib\nprint('belljar-chart:' + '[' * 100000)`);
    assert.deepEqual([lie.exitCode, lie.artifacts.charts], [0, []]);
    const many = await Promise.all([...Array(12).keys()].map((at) => sandbox.process.executeCommand(`sleep 0.5; echo ${at}`)));
    assert.deepEqual(many.map((one) => one.result), [...Array(12).keys()].map((at) => `${at}\n`));
  },

  async files(daytona) {
    const { fs, process } = await daytona.create();
    const large = Buffer.alloc(9 << 20, "0123456789");
    await fs.uploadFile(large, "deep/er/large");
    assert((await fs.downloadFile("deep/er/large")).equals(large));
    await fs.uploadFile(Buffer.alloc(0), "empty");
    assert.equal((await fs.getFileDetails("empty")).size, 0);
    writeFileSync("local", "from a file");
    await fs.uploadFile("local", "b.txt");
    await fs.downloadFile("b.txt", "back");
    assert.equal(readFileSync("back", "utf8"), "from a file");
    await fs.uploadFiles([{ source: Buffer.from("one"), destination: "many/1.txt" }, { source: Buffer.from("two"), destination: "many/2 ü.txt" }]);
    assert.deepEqual((await fs.listFiles("many")).map((one) => one.name).sort(), ["1.txt", "2 ü.txt"]);
    await fs.setFilePermissions("many/1.txt", { mode: "600" });
    assert.equal((await fs.getFileDetails("many/1.txt")).permissions, "0600");
    await fs.moveFiles("many/1.txt", "moved.txt");
    const error = await refused(DaytonaNotFoundError, () => fs.downloadFile("many/1.txt", "none"), "No such file");
    assert.deepEqual([error.kind, error.data.path], ["not_found", "many/1.txt"]);
    assert(!existsSync("none") && !existsSync("none.part"));
    assert.deepEqual((await fs.findFiles(".", "on")).map((one) => [one.line, one.content]), [[1, "one"]]);
    assert((await fs.searchFiles(".", "*.txt")).files.length >= 2);
    const changed = await fs.replaceInFiles(["moved.txt", "nowhere.txt"], "one", "three");
    assert.deepEqual(changed.map((one) => one.success), [true, false]);
    await refused(DaytonaBadRequestError, () => fs.deleteFile("many"), "recursive");
    await fs.deleteFile("many", true);
    async function* broken(): AsyncIterable<Uint8Array> {
      yield Buffer.alloc(1 << 20);
      throw new Error("the disk is broken");
    }
    await refused(Error, () => fs.uploadFileStream(broken(), "half"), "");
    await refused(DaytonaNotFoundError, () => fs.getFileDetails("half"), "No such file");
    await refused(DaytonaError, () => fs.uploadFile(large, "/proc/self/nowhere"), "No such file");
    assert.equal((await process.executeCommand("cat moved.txt")).result, "three");
  },

  async sessions(daytona) {
    const { process, codeInterpreter } = await daytona.create();
    await process.createSession("work");
    await refused(DaytonaConflictError, () => process.createSession("work"), "work");
    const told = await process.executeSessionCommand("work", { command: "cd /tmp; X=5; echo out; echo err >&2; false" });
    assert.deepEqual([told.exitCode, told.stdout, told.stderr], [1, "out\n", "err\n"]);
    assert.equal((await process.executeSessionCommand("work", { command: "pwd; echo $X" })).stdout, "/tmp\n5\n");
    const later = await process.executeSessionCommand("work", { command: "read a; echo got $a; sleep 0.3; echo end >&2", runAsync: true });
    await process.sendSessionCommandInput("work", later.cmdId, "it");
    const heard = { out: "", err: "" };
    await process.getSessionCommandLogs("work", later.cmdId, (text) => void (heard.out += text), (text) => void (heard.err += text));
    assert.deepEqual(heard, { out: "got it\n", err: "end\n" });
    assert.equal((await process.getSessionCommand("work", later.cmdId)).exitCode, 0);
    assert.equal((await process.getSessionCommandLogs("work", later.cmdId)).stdout, "got it\n");
    await process.deleteSession("work");
    assert.deepEqual(await process.listSessions(), []);
    let shown = "";
    const terminal = await process.createPty({ id: "one", cols: 100, rows: 40, onData: (data) => void (shown += Buffer.from(data)) });
    await terminal.sendInput("stty size; exit 3\n");
    assert.equal((await terminal.wait()).exitCode, 3);
    assert(shown.includes("40 100"), shown);
    const other = await process.createPty({ id: "two", onData: () => undefined });
    await other.disconnect();
    assert.deepEqual((await process.listPtySessions()).map((one) => one.id), ["two"]);
    await process.killPtySession("two");
    await codeInterpreter.runCode("x = 5");
    assert.equal((await codeInterpreter.runCode("print(x)\nx")).stdout, "5\n");
    assert.equal((await codeInterpreter.runCode("1/0")).error?.name, "ZeroDivisionError");
    const context = await codeInterpreter.createContext("/tmp");
    assert.equal((await codeInterpreter.runCode("import os; print(os.environ['A'], os.getcwd())", { context, envs: { A: "b 'c'" } })).stdout, "b 'c' /tmp\n");
    await refused(DaytonaTimeoutError, () => codeInterpreter.runCode("while True: pass", { timeout: 1 }), "1 s");
    await codeInterpreter.deleteContext(context);
  },

  async life(daytona) {
    const sandbox = await daytona.create({ name: "box", resources: { cpu: 0.5, memory: 0.5, disk: 1 } });
    assert.deepEqual([sandbox.name, sandbox.cpu, sandbox.memory, sandbox.disk], ["box", 0.5, 0.5, 1]);
    await refused(DaytonaConflictError, () => daytona.create({ name: "box" }), "box");
    await sandbox.fs.uploadFile(Buffer.from("kept"), "a");
    await sandbox.stop();
    assert.equal(sandbox.state as SandboxState, SandboxState.STOPPED);
    await sandbox.start();
    const fork = await sandbox.fork({ name: "other" });
    assert.equal((await fork.process.executeCommand("cat a")).result, "kept");
    await fork.setLabels({ a: "b" });
    const names: string[] = [];
    for await (const one of daytona.list({ labels: { a: "b" } })) names.push(one.name);
    assert.deepEqual(names, ["other"]);
    await sandbox.updateEnv({ NEW: "x" });
    assert.equal((await (await daytona.get("box")).process.executeCommand("echo $NEW")).result, "x\n");
    await sandbox.delete();
    const error = await refused(DaytonaNotFoundError, () => daytona.get("box"), "box");
    assert.equal(error.hint, "`belljar ls` lists them");
    const volume = await daytona.volume.get("shared", true);
    for (const say of ["echo x > /data/x", "cat /data/x"]) {
      const one = await daytona.create({ volumes: [{ volumeId: volume.id, mountPath: "/data" }] });
      const told = await one.process.executeCommand(say);
      await one.delete();
      if (say.startsWith("cat")) assert.equal(told.result, "x\n");
    }
    await daytona.volume.delete(volume);
    writeFileSync("note.txt", "from here");
    const image = Image.base("host").env({ A: "v w" }).workdir("/opt/work").runCommands("echo made $A > made").addLocalFile("note.txt", "/opt/");
    const logs: string[] = [];
    const built = await daytona.create({ image }, { onSnapshotCreateLogs: (chunk) => logs.push(chunk) });
    assert.equal((await built.process.executeCommand("pwd; cat made ../note.txt; echo $A")).result, "/opt/work\nmade v w\nfrom herev w\n");
    assert(logs.length > 0);
    await refused(DaytonaError, () => daytona.create({ image: Image.base("host").runCommands("echo why; exit 3") }), "why");
    await built.createSnapshot("mine");
    assert.equal((await daytona.create({ snapshot: "mine" })).snapshot, "mine");
    await built.process.createSession("server");
    await built.process.executeSessionCommand("server", { command: "cd /opt && python3 -m http.server 3000", runAsync: true });
    const { url } = await built.getPreviewLink(3000);
    for (let at = 0; ; at += 1) {
      try {
        assert.equal(await (await fetch(`${url}note.txt`)).text(), "from here");
        break;
      } catch (error) {
        if (at > 100) throw error;
        await sleep(100);
      }
    }
    const git = built.git;
    await git.init("repo");
    await built.fs.uploadFile(Buffer.from("1"), "repo/a");
    await git.add("repo", ["a"]);
    assert.equal((await git.commit("repo", "first", "Somebody", "somebody@example.org")).sha.length, 40);
    await git.createBranch("repo", "side");
    assert.equal((await git.status("repo")).currentBranch, "side");
    await refused(DaytonaGitBranchNotFoundError, () => git.checkoutBranch("repo", "nowhere"), "nowhere");
    assert.equal(await git.getConfig("user.nothing", "local", "repo"), undefined);
    await built.fs.uploadFile(Buffer.from("def total(items):\n    return 1\n"), "project/a.py");
    const server = await built.createLspServer("python", "project");
    await server.start();
    assert.deepEqual((await server.documentSymbols("project/a.py")).map((one) => [one.name, one.kind]), [["total", 12]]);
  },

  async ends(daytona) {
    const program = `import { Daytona } from "belljar"; const daytona = new Daytona(); await daytona.create({ keep: true }); await daytona.create();
      console.log("made"); if (process.argv[2] === "fails") throw new Error("x"); if (process.argv[2] === "stays") setInterval(() => 0, 1000);`;
    writeFileSync("program.mjs", program);
    for (const [how, signal] of [["ends"], ["fails"], ["stays", "SIGKILL"], ["stays", "SIGTERM"]] as Array<[string, NodeJS.Signals?]>) {
      const child = spawn(process.execPath, ["program.mjs", how], { stdio: ["ignore", "pipe", "ignore"] });
      const ended = new Promise((resolve) => child.on("exit", resolve));
      await new Promise((resolve) => child.stdout.once("data", resolve));
      if (signal) child.kill(signal);
      await ended;
      for (let at = 0; there().length > 1 && at < 300; at += 1) await sleep(100);
      const left: boolean[] = [];
      for await (const one of daytona.list()) {
        left.push(one.kept);
        await one.delete();
      }
      assert.deepEqual(left, [true], how);
    }
    // The verbs themselves.
    const client = new Client();
    const made = await client.create({ name: "plain", memory: "256M" });
    assert.equal((await client.inspect({ name: made.id })).limits.memory_bytes, 256 << 20);
    const cat = client.begin("exec", { name: "plain", command: ["cat"], input: true });
    await cat.input("hello", true);
    assert.equal((await cat.result as { stdout: string }).stdout, "hello");
    assert.throws(() => client.begin("fs.write", { sandbox: "plain", path: "/tmp/a", input: "x".repeat(97 << 20) }), /96 MiB/);
    await client.rm({ name: ["plain"], force: true });
    await client.close();
    await refused(DaytonaError, () => client.ls(), "ended");
  },
};

const daytona = new Daytona();
try {
  await parts[process.argv[2]!]!(daytona);
} finally {
  await daytona.close();
}
assert.deepEqual(there(), []);
console.log("ok");
