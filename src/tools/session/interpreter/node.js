// Runs pieces of code in one set of globals. argv[2]: fifo of requests, argv[3]: fifo of results; a line of JSON each.
const fs = require("fs");
const repl = require("repl");
const { PassThrough } = require("stream");
const { Console } = require("console");
const { inspect } = require("util");
const [requestsPath, resultsPath] = process.argv.splice(2);
const results = fs.openSync(resultsPath, "w");
const tell = (message) => fs.writeSync(results, JSON.stringify(message) + "\n");
const server = repl.start({
  prompt: "", input: new PassThrough(), output: new PassThrough(), terminal: false, useGlobal: false, breakEvalOnSigint: true,
});
server.context.console = new Console(process.stdout, process.stderr);
const raised = (error) => {
  const known = error !== null && typeof error === "object";
  const name = known && error.name ? String(error.name) : "Error";
  const value = known && "message" in error ? String(error.message) : inspect(error);
  const own = (line) => !/^ +at .*(node:(vm|repl|domain|internal)|\.belljar-)/.test(line);
  const traceback = known && error.stack ? String(error.stack).split("\n").filter(own).join("\n") : value;
  tell({ error: { name, value, traceback } });
};
process.removeAllListeners("uncaughtException");
process.on("uncaughtException", (error) => process.stderr.write(inspect(error) + "\n"));
let settle = null;
// Where the server has a domain, what code throws goes there and to no callback.
if (server._domain) {
  server._domain.removeAllListeners("error");
  server._domain.on("error", (error) => {
    if (settle) settle(error);
    else process.stderr.write(inspect(error) + "\n");
  });
}
const run = (code) => new Promise((done) => {
  settle = (error, value) => {
    settle = null;
    if (error) raised(error instanceof repl.Recoverable ? error.err : error);
    else if (value !== undefined) tell({ result: { media_type: "text/plain", data: inspect(value) } });
    done();
  };
  server.eval(code + "\n", server.context, "cell", (error, value) => settle && settle(error, value));
});
const lines = require("readline").createInterface({ input: fs.createReadStream(requestsPath), terminal: false });
let queue = Promise.resolve();
lines.on("line", (line) => {
  queue = queue.then(() => run(JSON.parse(line).code)).then(() => tell("done"));
});
