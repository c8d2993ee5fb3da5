// Python that remembers: code after code with the same globals.

import { randomBytes } from "node:crypto";
import { DaytonaBadRequestError, DaytonaNotFoundError, DaytonaTimeoutError } from "./errors.js";
import type { Link, Told } from "./link.js";
import type { OnOutput } from "./methods.js";
import { seconds } from "./process.js";
import type { Sandbox } from "./sandbox.js";

/** The context of whoever names none, and what stands before a context's name among the sandbox's sessions. */
const DEFAULT = "default";
const PREFIX = "interpreter-";
/** Seconds for one piece of code, where nobody says otherwise. */
const TIMEOUT = 600;

/** An exception that nobody caught. */
export interface ExecutionError {
  name: string;
  value: string;
  traceback: string;
}

/** What came of code. */
export interface ExecutionResult {
  stdout: string;
  stderr: string;
  error?: ExecutionError;
}

/** Globals that stay. */
export interface InterpreterContext {
  id: string;
  cwd: string;
}

/** How code is run. */
export interface RunCodeOptions {
  context?: InterpreterContext;
  envs?: Record<string, string>;
  timeout?: number;
  onStdout?: (message: { output: string }) => void;
  onStderr?: (message: { output: string }) => void;
  onError?: (error: ExecutionError) => void;
}

/** Python that remembers. */
export class CodeInterpreter {
  constructor(
    private readonly sandbox: Sandbox,
    private readonly link: Link,
  ) {}

  #code(context: string, code: string, given: object = {}, onOutput?: OnOutput): Promise<Told> {
    return this.link.ask("code", { sandbox: this.sandbox.id, context: PREFIX + context, lang: "python", code, ...given }, 0, onOutput);
  }

  /** Runs code with the globals that earlier code has left. The value of a last expression is not shown. */
  async runCode(code: string, options: RunCodeOptions = {}): Promise<ExecutionResult> {
    const name = options.context?.id ?? DEFAULT;
    if (options.context && !(await this.#all()).some((one) => one.id === name)) {
      throw new DaytonaNotFoundError(`context: there is no \`${name}\``, { kind: "not_found" });
    }
    const written = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    const limit = options.timeout ?? TIMEOUT;
    const told = await this.#code(name, wrapped(code, options.envs), { timeout: limit > 0 ? seconds(limit) : "none" }, (stream, data) => {
      written[stream].push(data);
      (stream === "stdout" ? options.onStdout : options.onStderr)?.({ output: data.toString() });
    });
    if (told.end?.timed_out) throw new DaytonaTimeoutError(`the code took longer than ${limit} s, and was interrupted`, { kind: "timed_out" });
    const result: ExecutionResult = { stdout: Buffer.concat(written.stdout).toString(), stderr: Buffer.concat(written.stderr).toString() };
    const error = told.end?.error;
    if (error && error.name !== "SystemExit") {
      result.error = { name: error.name, value: error.value, traceback: error.traceback };
      options.onError?.(result.error);
    }
    return result;
  }

  /** Globals of their own. */
  async createContext(cwd?: string): Promise<InterpreterContext> {
    const id = randomBytes(8).toString("hex");
    const go = cwd ? `_os.chdir(${JSON.stringify(cwd)})\n` : "";
    const told = await this.#code(id, `import os as _os\n${go}print(_os.getcwd(), end='')\ndel _os`);
    if (told.end?.error) {
      await this.link.ask("session.rm", { sandbox: this.sandbox.id, id: PREFIX + id });
      throw new DaytonaBadRequestError(`cwd: ${told.end.error.value}`, { kind: "invalid" });
    }
    return { id, cwd: String(told.stdout) };
  }

  async #all(): Promise<InterpreterContext[]> {
    const told = await this.link.ask("session.ls", { sandbox: this.sandbox.id });
    const ours = told.sessions.filter((one: Told) => one.kind === "python" && one.ended === null && one.id.startsWith(PREFIX));
    return ours.map((one: Told) => ({ id: one.id.slice(PREFIX.length), cwd: "" }));
  }

  async listContexts(): Promise<InterpreterContext[]> {
    return (await this.#all()).filter((one) => one.id !== DEFAULT);
  }

  async deleteContext(context: InterpreterContext): Promise<void> {
    if (context.id === DEFAULT) throw new DaytonaBadRequestError("context: the default one cannot be removed", { kind: "invalid" });
    await this.link.ask("session.rm", { sandbox: this.sandbox.id, id: PREFIX + context.id });
  }
}

/** A statement at the end, so that no value is the last; variables hold for this code alone. */
function wrapped(code: string, envs: Record<string, string> | undefined): string {
  if (!envs) return `${code}\npass`;
  const bytes = (value: string) => `__base64.b64decode("${Buffer.from(value).toString("base64")}")`;
  return [
    "import base64 as __base64, json as __json, os as __os",
    "__old = dict(__os.environ)",
    `__os.environ.update(__json.loads(${bytes(JSON.stringify(envs))}))`,
    `try:\n    exec(compile(${bytes(code)}, '<cell>', 'exec'), globals())`,
    "finally:\n    __os.environ.clear(); __os.environ.update(__old)\npass",
  ].join("\n");
}
