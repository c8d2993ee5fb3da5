// Walks the code interpreter of E2B's own client for TypeScript against `belljar serve`: `ok` at the end.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { Sandbox } = createRequire(process.env.CLIENT + "/")("@e2b/code-interpreter");

const sandbox = await Sandbox.create({ allowInternetAccess: false });
const seen = [];
const told = await sandbox.runCode("print('so far')\n6 * 7", { onStdout: (message) => seen.push(message.line) });
assert.deepEqual([told.text, seen, told.error], ["42", ["so far\n"], undefined]);
assert(told.results[0].isMainResult);
const raised = await sandbox.runCode("1 / 0");
assert.equal(raised.error.name, "ZeroDivisionError");
assert.equal((await sandbox.runCode("const x = 1; x + 1", { language: "javascript" })).text, "2");
const context = await sandbox.createCodeContext({ cwd: "/tmp", language: "python" });
assert.equal((await sandbox.runCode("import os\nos.getcwd()", { context })).text, "/tmp");
assert((await sandbox.listCodeContexts()).some((one) => one.id === context.id));
await sandbox.restartCodeContext(context);
assert.equal((await sandbox.runCode("os", { context })).error.name, "NameError");
await sandbox.removeCodeContext(context);
await assert.rejects(sandbox.runCode("1", { context }), /not found/);
await assert.rejects(sandbox.runCode("import time\ntime.sleep(60)", { timeoutMs: 1000 }), /timed out/);
assert.equal((await sandbox.runCode("'still ' + 'there'")).text, "still there");
assert.equal((await sandbox.commands.run("echo $((6 * 7))")).stdout, "42\n");
await sandbox.kill();
console.log("ok");
process.exit(0);
