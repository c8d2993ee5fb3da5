// Runs pieces of code in one set of globals. argv[2]: the descriptor on which code comes, argv[3]: that on which we tell what became
// of it. Frames are as interpreter.rs has them.
const fs = require("fs");
const net = require("net");
const repl = require("repl");
const { PassThrough } = require("stream");
const { Console } = require("console");
const { inspect } = require("util");
const { writeSync } = fs;
const LONGEST = 11 << 20;
const [requests, results] = process.argv.splice(2).map(Number);
// Who has none was started by code, in our name.
if (!(results > 2)) process.exit(1);
const tell = (kind, text = "") => {
  // What is no text becomes U+FFFD.
  const data = Buffer.from(text.slice(0, LONGEST)).subarray(0, LONGEST);
  const head = Buffer.alloc(5);
  head.writeUInt32LE(data.length);
  head.write(kind, 4);
  const frame = Buffer.concat([head, data]);
  for (let at = 0; at < frame.length; ) at += writeSync(results, frame, at);
};
const server = repl.start({
  prompt: "", input: new PassThrough(), output: new PassThrough(), terminal: false, useGlobal: false, breakEvalOnSigint: true,
});
server.context.console = new Console(process.stdout, process.stderr);
const firstOf = (...ways) => {
  for (const way of ways) {
    try {
      return String(way());
    } catch {
      continue; // What cannot be said one way is said another.
    }
  }
  return "?";
};
const describe = (thrown) => {
  const error = thrown instanceof repl.Recoverable ? thrown.err : thrown;
  const known = error !== null && (typeof error === "object" || typeof error === "function");
  const name = known ? firstOf(() => error.name || "Error", () => "Error") : "Error";
  const whole = () => (typeof error === "symbol" ? String(error) : inspect(error));
  const told = known && firstOf(() => "message" in error) === "true";
  const value = firstOf(() => (told ? error.message : whole()), whole, () => "<an error that cannot say what it is>");
  const own = (line) => !/^ +at .*(node:(vm|repl|domain|internal)|\.belljar-|new Promise \(<anonymous>\))/.test(line);
  const stack = () => (known && error.stack ? String(error.stack).split("\n").filter(own).join("\n") : `Uncaught ${value}`);
  return [name, value, firstOf(stack, () => `${name}: ${value}`)];
};
// What fails while a cell runs is that cell's; what fails between two is written.
let cell = null;
const fail = (error) => {
  if (cell) cell.fail(error);
  else process.stderr.write(describe(error)[2] + "\n");
};
process.removeAllListeners("uncaughtException");
process.on("uncaughtException", fail);
// Where the server has a domain, what code throws goes there and to no callback.
if (server._domain) {
  server._domain.removeAllListeners("error");
  server._domain.on("error", fail);
}
// Code that waits is interrupted by this, code that does not by the server.
process.on("SIGINT", () => {
  const interrupted = cell;
  if (!interrupted) return;
  server.emit("SIGINT");
  setImmediate(() => interrupted.fail(new Error("Script execution was interrupted by `SIGINT`")));
});
// The server takes the signal while it runs code, and forgets who had it: all listeners come anew.
const listenAnew = (listeners) => {
  process.removeAllListeners("SIGINT");
  listeners.forEach((listener) => process.on("SIGINT", listener));
};
const run = (code) => new Promise((done) => {
  let settled = false;
  const settle = (failed, result) => {
    if (settled) return;
    settled = true;
    cell = null;
    try {
      if (!failed && result !== undefined) tell("r", "text/plain\n" + inspect(result, { maxStringLength: LONGEST }));
    } catch (error) {
      [failed, result] = [true, error];
    }
    if (failed) describe(result).forEach((text, number) => tell("nvt"[number], text));
    const code = Number(process.exitCode) & 255;
    if (code) tell("c", String(code));
    process.exitCode = undefined;
    done();
  };
  cell = { fail: (error) => settle(true, error) };
  const listeners = process.rawListeners("SIGINT");
  try {
    process.removeAllListeners("SIGINT");
    server.eval(code + "\n", server.context, "cell", (error, value) => {
      if (error !== null) settle(true, error);
      // A rejection that nobody waits for is known by then.
      else setImmediate(() => settle(false, value));
    });
  } catch (error) {
    settle(true, error);
  } finally {
    listenAnew([...listeners, ...process.rawListeners("SIGINT")]);
  }
});
let heard = Buffer.alloc(0);
let queue = Promise.resolve();
const input = new net.Socket({ fd: requests, readable: true, writable: false });
input.on("end", () => process.exit(0));
input.on("data", (piece) => {
  heard = Buffer.concat([heard, piece]);
  while (heard.length >= 5 && heard.length >= 5 + heard.readUInt32LE()) {
    const end = 5 + heard.readUInt32LE();
    const code = heard.subarray(5, end).toString();
    heard = heard.subarray(end);
    queue = queue.then(() => run(code)).then(() => tell("e"));
  }
});
