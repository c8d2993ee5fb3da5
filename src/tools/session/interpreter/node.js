// Runs pieces of code in one set of globals. argv[2]: the descriptor on which code comes, argv[3]: that on which we tell what became
// of it. Frames are as interpreter.rs has them. The globals are the code's as much as ours, as in Node's own REPL: what is used here is
// taken before code comes, and what code may have replaced is called only where a failure is told.
const { Buffer, Error, Function, Number, RegExp, String, Symbol, process, setImmediate } = globalThis;
const net = require("net");
const repl = require("repl");
const { writeSync } = require("fs");
const { PassThrough } = require("stream");
const { inspect } = require("util");
const { Recoverable } = repl;
const { alloc, concat, from } = Buffer;
const taken = Function.prototype.bind.bind(Function.prototype.call);
const cut = taken(String.prototype.slice);
const part = taken(Buffer.prototype.subarray);
const textOf = taken(Buffer.prototype.toString);
const matches = taken(RegExp.prototype.test);
const on = process.on.bind(process);
const exit = process.exit.bind(process);
const listenersOf = process.rawListeners.bind(process);
const removeListeners = process.removeAllListeners.bind(process);
const complain = process.stderr.write.bind(process.stderr);
const LONGEST = 11 << 20;
const [requests, results] = process.argv.splice(2).map(Number);
// Who has none was started by code, in our name.
if (!(results > 2)) exit(1);
const [CODE, DONE, NAME, RESULT, TRACEBACK, VALUE] = from("cenrtv");
// Where whoever shows values himself puts a function of a value and of what tells a result: it answers when it has told.
const FRONT = Symbol.for("belljar.front");
const put = (frame) => {
  for (let at = 0; at < frame.length; ) at += writeSync(results, frame, at);
};
const tell = (kind, text = "") => {
  // What is no text becomes U+FFFD.
  const data = part(from(cut(text, 0, LONGEST)), 0, LONGEST);
  const head = alloc(5);
  for (let at = 0; at < 4; at++) head[at] = data.length >>> (8 * at);
  head[4] = kind;
  put(head);
  put(data);
};
const server = repl.start({
  prompt: "", input: new PassThrough(), output: new PassThrough(), terminal: false, useGlobal: true, breakEvalOnSigint: true,
});
const evaluate = server.eval.bind(server);
const interrupt = server.emit.bind(server, "SIGINT");
const firstOf = (...ways) => {
  for (let at = 0; at < ways.length; at++) {
    try {
      return String(ways[at]());
    } catch {
      continue; // What cannot be said one way is said another.
    }
  }
  return "?";
};
// What is thrown may throw at whoever looks at it, a proxy wherever one looks.
const describe = (thrown) => {
  let error = thrown;
  try {
    if (thrown instanceof Recoverable) error = thrown.err;
  } catch {
    // Then it is none of the server's.
  }
  const known = error !== null && (typeof error === "object" || typeof error === "function");
  const name = known ? firstOf(() => error.name || "Error", () => "Error") : "Error";
  const whole = () => (typeof error === "symbol" ? String(error) : inspect(error));
  const told = known && firstOf(() => "message" in error) === "true";
  const value = firstOf(() => (told ? error.message : whole()), whole, () => "<an error that cannot say what it is>");
  const own = (line) => !matches(/^ +at .*(node:(vm|repl|domain|internal)|\.belljar-)/, line);
  const stack = () => (known && error.stack ? String(error.stack).split("\n").filter(own).join("\n") : `Uncaught ${value}`);
  return { name, value, traceback: firstOf(stack, () => `${name}: ${value}`) };
};
// What fails while a cell runs is that cell's; what fails between two is written.
let cell = null;
const fail = (error) => {
  if (cell) cell.fail(error);
  else complain(describe(error).traceback + "\n");
};
removeListeners("uncaughtException");
on("uncaughtException", fail);
// Where the server has a domain, what code throws goes there and to no callback. The domain writes on what it is given, which what
// was thrown need not suffer: it goes in a box.
class Thrown {
  #what;
  constructor(what) {
    this.#what = what;
  }
  static of(given) {
    const boxed = given !== null && typeof given === "object" && #what in given;
    return boxed ? given.#what : given;
  }
}
const domain = server._domain;
if (domain) {
  domain.removeAllListeners("error");
  domain.on("error", (given) => fail(Thrown.of(given)));
  if (domain._errorHandler) {
    const handle = domain._errorHandler.bind(domain);
    domain._errorHandler = (thrown) => handle(new Thrown(thrown));
  }
}
// Code that waits is interrupted by this, code that does not by the server.
on("SIGINT", () => {
  const interrupted = cell;
  if (!interrupted) return;
  interrupt();
  setImmediate(() => interrupted.fail(new Error("Script execution was interrupted by `SIGINT`")));
});
const listenAnew = (listeners) => {
  for (let at = 0; at < listeners.length; at++) on("SIGINT", listeners[at]);
};
// Takes the exit code that code has asked for.
const exitCode = () => {
  try {
    const code = Number(process.exitCode) & 255;
    process.exitCode = undefined;
    return code;
  } catch {
    return 1; // Code has made it what cannot be read or set.
  }
};
const run = (code, done) => {
  let settled = false;
  const settle = (failed, result) => {
    if (settled) return;
    settled = true;
    cell = null;
    try {
      if (!failed && result !== undefined) tell(RESULT, "text/plain\n" + inspect(result, { maxStringLength: LONGEST }));
    } catch (error) {
      failed = true;
      result = error;
    }
    if (failed) {
      const { name, value, traceback } = describe(result);
      tell(NAME, name);
      tell(VALUE, value);
      tell(TRACEBACK, traceback);
    }
    const asked = exitCode();
    if (asked) tell(CODE, String(asked));
    tell(DONE);
    done();
  };
  const finish = (value) => {
    const front = globalThis[FRONT];
    if (typeof front !== "function") return settle(false, value);
    const told = (media_type, data) => tell(RESULT, media_type + "\n" + data);
    front(value, told).then(() => settle(false), (error) => settle(true, error));
  };
  cell = { fail: (error) => settle(true, error) };
  // The server takes the signal while it runs code, and forgets who had it: all listeners come anew.
  const listeners = listenersOf("SIGINT");
  try {
    removeListeners("SIGINT");
    evaluate(code + "\n", server.context, "cell", (error, value) => {
      if (error !== null) settle(true, error);
      // A rejection that nobody waits for is known by then.
      else setImmediate(() => finish(value));
    });
  } catch (error) {
    settle(true, error);
  } finally {
    const later = listenersOf("SIGINT");
    removeListeners("SIGINT");
    listenAnew(listeners);
    listenAnew(later);
  }
};
let heard = alloc(0);
const next = () => {
  if (cell || heard.length < 5) return;
  const end = 5 + heard[0] + heard[1] * 2 ** 8 + heard[2] * 2 ** 16 + heard[3] * 2 ** 24;
  if (heard.length < end) return;
  const code = textOf(part(heard, 5, end));
  heard = part(heard, end);
  run(code, () => setImmediate(next));
};
const input = new net.Socket({ fd: requests, readable: true, writable: false });
input.on("end", () => exit(0));
input.on("data", (piece) => {
  heard = concat([heard, piece]);
  // Not from here, so that a traceback shows the code's own frames alone.
  setImmediate(next);
});
