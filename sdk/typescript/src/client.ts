// The process behind the methods: JSON-RPC 2.0 over the pipes of `belljar rpc`.

import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { find } from "./binary.js";
import { DaytonaConnectionError, raised, type Said } from "./errors.js";
import { Methods, type OnOutput } from "./methods.js";

/** The longest line that `belljar rpc` reads. */
const LONGEST_LINE = 96 << 20;

/** A request in flight: it takes input, can be cancelled, and has a result. Made by `Client.begin`. */
export class Call {
  /** The answer. It is no fault of a program's that does not wait for it. */
  readonly result: Promise<unknown>;
  /** Whether there is an answer. */
  done = false;
  #settle!: { resolve: (value: unknown) => void; reject: (error: Error) => void };

  constructor(
    private readonly client: Client,
    readonly id: number,
    readonly method: string,
    readonly onOutput: OnOutput | undefined,
  ) {
    this.result = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.result.catch(() => undefined);
  }

  /** Gives standard input, and resolves when the command has taken it. For requests begun with `input: true`. */
  async input(data: string | Uint8Array = "", end = false): Promise<void> {
    await this.client.begin("input", { id: this.id, data, end }).result;
  }

  /** Does what Ctrl-C does. `result` says how it ended. */
  async cancel(): Promise<void> {
    try {
      await this.client.begin("cancel", { id: this.id }).result;
    } catch (error) {
      // It has ended meanwhile.
      if ((error as { kind?: string }).kind !== "not_found") throw error;
    }
  }

  /** What the process has answered, or that it has ended. */
  answer(message: Message | undefined): void {
    this.done = true;
    if (!message) this.#settle.reject(new DaytonaConnectionError("`belljar rpc` has ended before it answered"));
    else if (message.error) this.#settle.reject(raised(message.error.message, message.error.data ?? {}, this.method));
    else this.#settle.resolve(message.result);
  }

  /** What a listener of the caller's has thrown is thrown where the caller waits. */
  fault(error: Error): void {
    this.#settle.reject(error);
  }
}

interface Message {
  id?: number | null;
  method?: string;
  params?: { id: number; stream: "stdout" | "stderr"; data?: string; base64?: string };
  result?: unknown;
  error?: { message: string; data?: Said };
}

/** A `belljar rpc` process. `home` is belljar's own directory, where it is not the usual one. */
export class Client extends Methods {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, Call>();
  readonly #ended: Promise<void>;
  #last = 0;
  #over = false;
  #rest: Buffer[] = [];

  constructor(options: { command?: string[]; home?: string } = {}) {
    super((method, given, onOutput) => this.begin(method, given, onOutput).result);
    const [program = "belljar", ...words] = options.command ?? [find(), "rpc"];
    const env = options.home === undefined ? process.env : { ...process.env, BELLJAR_HOME: options.home };
    this.#process = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#process.stdout.on("data", (bytes: Buffer) => this.#hear(bytes));
    // Nobody reads any more: the answers that are missing say so.
    this.#process.stdin.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#over = true;
        this.#answerAll(undefined);
        resolve();
      };
      this.#process.on("error", end);
      this.#process.on("close", end);
    });
    this.#rouse();
  }

  /** A program waits for what it has asked for, and for nothing else. */
  #rouse(): void {
    const handles = [this.#process, this.#process.stdin, this.#process.stdout] as unknown as Array<{ ref(): void; unref(): void }>;
    for (const one of handles) this.#waiting.size ? one.ref() : one.unref();
  }

  /** Asks and does not wait: `client.begin("exec", { name: "box", command: ["cat"], input: true })`. */
  begin(method: string, given: object, onOutput?: OnOutput): Call {
    const call = new Call(this, ++this.#last, method, onOutput);
    if (this.#over) {
      call.answer(undefined);
      return call;
    }
    const params = encoded({ ...given, ...(onOutput ? { stream: true } : {}) });
    const line = Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", id: call.id, method, params })}\n`);
    if (line.length > LONGEST_LINE) throw new RangeError(`${method}: a request of ${line.length} bytes is longer than 96 MiB; give input by \`begin\``);
    this.#waiting.set(call.id, call);
    this.#rouse();
    this.#process.stdin.write(line);
    return call;
  }

  #hear(bytes: Buffer): void {
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; from = end + 1, end = bytes.indexOf(10, from)) {
      const line = Buffer.concat([...this.#rest, bytes.subarray(from, end)]).toString();
      this.#rest = [];
      this.#told(JSON.parse(line) as Message);
    }
    if (from < bytes.length) this.#rest.push(bytes.subarray(from));
  }

  #told(message: Message): void {
    if (message.method === "output" && message.params) {
      const call = this.#waiting.get(message.params.id);
      const { stream, data, base64 } = message.params;
      try {
        call?.onOutput?.(stream, base64 === undefined ? Buffer.from(data ?? "") : Buffer.from(base64, "base64"));
      } catch (error) {
        call?.fault(error as Error);
      }
    } else if (message.id == null) {
      // It could not read a request, and cannot say which: none of these may wait for ever.
      this.#answerAll(message);
    } else {
      const call = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      this.#rouse();
      call?.answer(message);
    }
  }

  #answerAll(message: Message | undefined): void {
    const left = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const call of left) call.answer(message);
  }

  /** Ends the process when what is in flight is done; what is not within so many seconds is cancelled. Sandboxes stay. */
  async close(timeout = 30): Promise<void> {
    this.#process.ref();
    this.#process.stdin.end();
    const late = setTimeout(() => this.#process.kill("SIGTERM"), timeout * 1000);
    const never = setTimeout(() => this.#process.kill("SIGKILL"), timeout * 1000 + 10_000);
    await this.#ended;
    clearTimeout(late);
    clearTimeout(never);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A value as JSON has it here: bytes in base64, and nothing where nothing was given. */
function encoded(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(encoded);
  if (value && typeof value === "object") {
    const entries = Object.entries(value).filter(([, one]) => one !== undefined && one !== null);
    return Object.fromEntries(entries.map(([key, one]) => [key, encoded(one)]));
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is no number in JSON`);
  return value;
}
