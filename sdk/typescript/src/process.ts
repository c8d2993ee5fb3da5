// Commands and code in a sandbox, and shells that keep running.

import { constants } from "node:os";
import { posix } from "node:path";
import { type Chart, taken, withCharts } from "./charts.js";
import { DaytonaBadRequestError, DaytonaNotFoundError, DaytonaProcessExecutionTimeoutError } from "./errors.js";
import { bytesOf, type Link, textOf, type Told } from "./link.js";
import { PtyHandle, type PtySessionInfo } from "./pty.js";
import type { Sandbox } from "./sandbox.js";

/** How a command ended. `result` is all that it wrote, on both of its outputs, in order. */
export interface ExecuteResponse {
  exitCode: number;
  result: string;
  artifacts: { stdout: string; charts?: Chart[] };
  /** `exited`, or what ended it, as belljar has it. */
  status: string;
  /** Whether it wrote more than a result holds, 64 MiB: the rest was dropped, and the result says so. */
  truncated: boolean;
}

/** Words and variables for code, and its language where that is not the sandbox's. */
export interface CodeRunParams {
  argv?: string[];
  env?: Record<string, string>;
  language?: string;
  /** The warm template to run it by, in a sandbox of its own: this one's files are not there. What it wrote to standard error comes behind the rest of `result` then. */
  warm?: string;
}

/** Lines for the shell of a session. */
export interface SessionExecuteRequest {
  command: string;
  runAsync?: boolean;
  async?: boolean;
}

/** What came of lines; without an exit code where nobody waited. */
export interface SessionExecuteResponse {
  cmdId: string;
  exitCode?: number;
  output?: string;
  stdout?: string;
  stderr?: string;
}

/** Lines that a session was given. */
export interface Command {
  id: string;
  command: string;
  exitCode?: number;
}

/** A shell that keeps running. */
export interface Session {
  sessionId: string;
  commands: Command[];
}

/** A terminal to be made. */
export interface PtyCreateOptions {
  id: string;
  cwd?: string;
  envs?: Record<string, string>;
  cols?: number;
  rows?: number;
  onData: (data: Uint8Array) => void | Promise<void>;
}

// Both outputs in one, since callers get one text; bash where there is one, as people expect.
const BOTH = "exec 2>&1; for s in /bin/bash /usr/bin/bash sh; do command -v $s >/dev/null && break; done; ";
/** The longest command that is one word; what is longer is read by the shell, which leaves it no input of its own. */
const LONGEST_WORD = 100_000;
export const RUNS: Record<string, string> = {
  python: 'exec python3 -u - "$@" 2>&1',
  javascript: 'exec node - "$@" 2>&1',
  // Types are taken away and not looked at, which needs no package.
  typescript: 'exec node --experimental-strip-types --no-warnings --input-type=module-typescript - "$@" 2>&1',
};
const DROPPED = "\nbelljar: there was more than 64 MiB of output, and the rest was dropped\n";
const SHELL = "for s in /bin/bash /usr/bin/bash; do [ -x $s ] && exec $s -i -l; done; exec sh -i";
const TOLD: Record<string, string> = {
  out_of_memory: "\nbelljar: the memory limit of the sandbox was passed\n",
  output_limit: "\nbelljar: the output limit was passed\n",
  cpu_time_exceeded: "\nbelljar: the CPU time of the sandbox was used up\n",
  forbidden_syscall: "\nbelljar: a system call that is forbidden ended it\n",
};

/** A time as belljar has it. */
export const seconds = (value: number): string => `${Math.max(1, Math.round(value * 1000))}ms`;

/** Variables must have names: with `=` in it one would set another. */
export function checkNames(env: Record<string, string> = {}): void {
  const wrong = Object.keys(env).find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (wrong !== undefined) throw new DaytonaBadRequestError(`env: \`${wrong}\` is no name of a variable`, { kind: "invalid" });
}

/** What a session's lines have written. */
function logsOf(told: Told): { output: string; stdout: string; stderr: string } {
  const [stdout, stderr] = [bytesOf(told.stdout).toString(), bytesOf(told.stderr).toString()];
  const dropped = told.truncated ? "\nbelljar: there was more than is kept of a session, and some was dropped\n" : "";
  return { output: stdout + stderr + dropped, stdout, stderr };
}

const exitCodeOf = (end: Told): number | undefined => (end ? (end.exit_code ?? (end.timed_out ? 124 : -1)) : undefined);

/** Commands, code, sessions and terminals of a sandbox. */
export class Process {
  constructor(
    private readonly sandbox: Sandbox,
    private readonly link: Link,
  ) {}

  /** Runs a command by a shell, at most `timeout` seconds long. One that fails is a result. */
  async executeCommand(command: string, cwd?: string, env?: Record<string, string>, timeout?: number): Promise<ExecuteResponse> {
    if (!command.trim()) throw new DaytonaBadRequestError("command: is empty", { kind: "invalid" });
    if (Buffer.byteLength(command) > LONGEST_WORD) return this.#run(["sh", "-c", `${BOTH}exec $s`], { text: command, cwd, env, timeout });
    return this.#run(["sh", "-c", `${BOTH}exec $s -c "$1"`, "sh", command], { text: "", cwd, env, timeout });
  }

  /** Runs a piece of code in the sandbox's language, or in another. Charts that it shows are in `artifacts`. */
  async codeRun(code: string, params: CodeRunParams = {}, timeout?: number): Promise<ExecuteResponse> {
    const language = params.language ?? this.sandbox.language;
    const script = RUNS[language];
    if (!script) throw new DaytonaBadRequestError(`language: \`${language}\` is none of ${Object.keys(RUNS).join(", ")}`, { kind: "invalid" });
    const shows = language === "python" && code.includes("matplotlib");
    const whole = shows ? withCharts(code) : code;
    // Words begin where they do for a file.
    const text = language === "javascript" ? `process.argv.splice(1, 1);${whole}` : whole;
    const told = params.warm === undefined
      ? await this.#run(["sh", "-c", script, "sh", ...(params.argv ?? [])], { text, env: params.env, timeout })
      : await this.#runWarm(params.warm, language, whole, params, timeout);
    if (!shows) return told;
    const { rest, charts } = taken(told.result);
    return { ...told, result: rest, artifacts: { stdout: rest, charts } };
  }

  async #runWarm(warm: string, language: string, code: string, params: CodeRunParams, timeout?: number): Promise<ExecuteResponse> {
    checkNames(params.env);
    const told = await this.link.ask("code", {
      warm,
      lang: language,
      code,
      file: params.argv ?? [],
      env: params.env ?? {},
      timeout: timeout ? seconds(timeout) : undefined,
      output_limit: "64M",
    });
    return this.#told(told, timeout);
  }

  async #run(
    command: string[],
    given: { text: string; cwd?: string | undefined; env?: Record<string, string> | undefined; timeout?: number | undefined },
  ): Promise<ExecuteResponse> {
    checkNames(given.env);
    const told = await this.link.ask("exec", {
      name: this.sandbox.id,
      command,
      input: given.text,
      workdir: await this.#inside(given.cwd),
      env: { ...this.sandbox.env, ...given.env },
      timeout: given.timeout ? seconds(given.timeout) : undefined,
      output_limit: "64M",
    });
    return this.#told(told, given.timeout);
  }

  #told(told: Told, timeout?: number): ExecuteResponse {
    const truncated = Boolean(told.stdout_truncated);
    const output = textOf(told, "stdout") + textOf(told, "stderr") + (truncated ? DROPPED : "");
    const ended = (exitCode: number, result: string): ExecuteResponse => ({ exitCode, result, artifacts: { stdout: result }, status: told.status, truncated });
    if (told.status === "timed_out") {
      const error = new DaytonaProcessExecutionTimeoutError(`the command took longer than ${timeout} s; it had written: ${output}`, { ...told, kind: "timed_out" });
      error.output = output;
      throw error;
    }
    if (told.status === "setup_failed") return ended(-1, output + (told.error?.message ?? ""));
    if (told.exit_code !== null) return ended(told.exit_code, output);
    const signal = constants.signals[told.signal as NodeJS.Signals] ?? constants.signals.SIGKILL;
    return ended(128 + signal, output + (TOLD[told.status] ?? ""));
  }

  /** A directory that may count from where commands begin. */
  async #inside(cwd: string | undefined): Promise<string | undefined> {
    return !cwd || cwd.startsWith("/") ? cwd || undefined : posix.join(await this.sandbox.getWorkDir(), cwd);
  }

  #of(given: object = {}): object {
    return { sandbox: this.sandbox.id, ...given };
  }

  /** Starts a shell that keeps running. */
  async createSession(sessionId: string): Promise<void> {
    await this.link.ask("session.create", this.#of({ id: sessionId }));
  }

  async listSessions(): Promise<Session[]> {
    const told = await this.link.ask("session.ls", this.#of());
    const shells = told.sessions.filter((one: Told) => one.kind === "shell" && one.ended === null);
    return shells.map((one: Told) => ({
      sessionId: one.id,
      commands: one.jobs.map((job: Told) => ({ id: String(job.job), command: job.text, exitCode: exitCodeOf(job.end) })),
    }));
  }

  async getSession(sessionId: string): Promise<Session> {
    const found = (await this.listSessions()).find((one) => one.sessionId === sessionId);
    if (!found) throw new DaytonaNotFoundError(`session: there is no \`${sessionId}\``, { kind: "not_found" });
    return found;
  }

  /** Ends one, with all that it has started. */
  async deleteSession(sessionId: string): Promise<void> {
    await this.getSession(sessionId);
    await this.link.ask("session.rm", this.#of({ id: sessionId }));
  }

  /** Gives lines to a shell, and waits for their end unless `runAsync` is set. */
  async executeSessionCommand(sessionId: string, req: SessionExecuteRequest, timeout?: number): Promise<SessionExecuteResponse> {
    const detach = Boolean(req.runAsync ?? req.async);
    const limit = timeout && !detach ? seconds(timeout) : undefined;
    const told = await this.link.ask("session.exec", this.#of({ id: sessionId, lines: req.command, detach, timeout: limit }));
    if (detach) return { cmdId: String(told.job) };
    const logs = logsOf(told);
    if (told.end?.timed_out) {
      const error = new DaytonaProcessExecutionTimeoutError(`it took longer than ${timeout} s`, { kind: "timed_out" });
      error.output = logs.output;
      throw error;
    }
    return { cmdId: String(told.job), exitCode: exitCodeOf(told.end)!, ...logs };
  }

  async getSessionCommand(sessionId: string, commandId: string): Promise<Command> {
    const found = (await this.getSession(sessionId)).commands.find((one) => one.id === commandId);
    if (!found) throw new DaytonaNotFoundError(`command: there is no \`${commandId}\` in session \`${sessionId}\``, { kind: "not_found" });
    return found;
  }

  /** What lines have written so far; with listeners, what they write, as it comes, until they end. */
  async getSessionCommandLogs(sessionId: string, commandId: string): Promise<{ output: string; stdout: string; stderr: string }>;
  async getSessionCommandLogs(sessionId: string, commandId: string, onStdout: (chunk: string) => void, onStderr: (chunk: string) => void): Promise<void>;
  async getSessionCommandLogs(
    sessionId: string, commandId: string, onStdout?: (chunk: string) => void, onStderr?: (chunk: string) => void,
  ): Promise<{ output: string; stdout: string; stderr: string } | void> {
    const given = this.#of({ id: sessionId, job: Number(commandId) });
    if (!onStdout) {
      return logsOf(await this.link.ask("session.logs", given));
    }
    await this.link.ask("session.logs", { ...given, follow: true }, 0, (stream, data) => (stream === "stdout" ? onStdout : onStderr)?.(data.toString()));
  }

  /** A line for lines that were started with `runAsync`. */
  async sendSessionCommandInput(sessionId: string, commandId: string, data: string): Promise<void> {
    await this.link.ask("session.input", this.#of({ id: sessionId, job: Number(commandId), input: data.endsWith("\n") ? data : `${data}\n` }));
  }

  /** Starts a shell with a terminal. */
  async createPty(options: PtyCreateOptions): Promise<PtyHandle> {
    const env = Object.entries({ ...this.sandbox.env, TERM: "xterm-256color", ...options.envs }).map(([name, value]) => `${name}=${value}`);
    await this.link.ask("pty.create", this.#of({ id: options.id, workdir: await this.#inside(options.cwd), command: ["env", ...env, "sh", "-c", SHELL] }));
    const handle = await this.connectPty(options.id, { onData: options.onData });
    if (options.cols && options.rows) await handle.resize(options.cols, options.rows);
    return handle;
  }

  /** Looks at a terminal that runs. */
  async connectPty(sessionId: string, options: { onData: (data: Uint8Array) => void | Promise<void> }): Promise<PtyHandle> {
    await this.getPtySessionInfo(sessionId);
    return new PtyHandle(this.link, this.sandbox.id, sessionId, options.onData);
  }

  async listPtySessions(): Promise<PtySessionInfo[]> {
    const told = await this.link.ask("session.ls", this.#of());
    const live = told.sessions.filter((one: Told) => one.kind === "terminal" && one.ended === null && one.jobs.every((job: Told) => job.end === null));
    return live.map((one: Told) => ({ id: one.id, active: true }));
  }

  async getPtySessionInfo(sessionId: string): Promise<PtySessionInfo> {
    const found = (await this.listPtySessions()).find((one) => one.id === sessionId);
    if (!found) throw new DaytonaNotFoundError(`terminal: there is no \`${sessionId}\``, { kind: "not_found" });
    return found;
  }

  async killPtySession(sessionId: string): Promise<void> {
    await this.getPtySessionInfo(sessionId);
    await this.link.ask("session.rm", this.#of({ id: sessionId }));
  }

  async resizePtySession(sessionId: string, cols: number, rows: number): Promise<PtySessionInfo> {
    await this.link.ask("pty.resize", this.#of({ id: sessionId, columns: cols, rows }));
    return this.getPtySessionInfo(sessionId);
  }
}
