// The way from Daytona's names to `belljar rpc`: one process, started when it is first needed, and the end of what a program made.
//
// What a program makes goes with it: its sandboxes carry a label that is the program's own. `close` removes them; a small process
// that waits for the program's end removes what is left.

import { spawn, type ChildProcessByStdio } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Writable } from "node:stream";
import { find } from "./binary.js";
import { type Call, Client } from "./client.js";
import { DaytonaConnectionError, DaytonaTimeoutError } from "./errors.js";
import type { OnOutput } from "./methods.js";

/** The label of what goes with its program. Labels that begin so are belljar's own, and not shown. */
export const PROGRAM = "belljar.program";

/** Waits until its input ends. Where nobody has said that all is done, it removes what carries the label. */
const KEEPER = `
trap '' INT HUP TERM
read -r word && [ "$word" = done ] && exit
"$0" ls --label "$1" | while read -r _ id _; do
  [ "$id" = ID ] || "$0" rm --force "$id"
done
`;

// What the verbs answer has its types in methods.ts; what is asked by name here is read as it comes.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Told = any;

/** What all objects of a `Daytona` ask by. */
export class Link {
  readonly program = randomBytes(16).toString("hex");
  #client: Client | undefined;
  #keeper: ChildProcessByStdio<Writable, null, null> | undefined;
  #closed = false;
  readonly #previews = new Map<string, { call: Call; url: Promise<string> }>();

  constructor(private readonly home?: string) {}

  /** The client of `belljar rpc`, for what Daytona has no name for. */
  get client(): Client {
    if (this.#closed) throw new DaytonaConnectionError("this client is closed");
    if (!this.#client) {
      try {
        this.#client = new Client(this.home === undefined ? {} : { home: this.home });
      } catch (error) {
        throw new DaytonaConnectionError((error as Error).message);
      }
    }
    return this.#client;
  }

  /** Makes sure that what carries the label goes with this program. */
  keepWatch(): void {
    if (this.#keeper) return;
    const env = this.home === undefined ? process.env : { ...process.env, BELLJAR_HOME: this.home };
    const words = ["-c", KEEPER, find(), `${PROGRAM}=${this.program}`];
    this.#keeper = spawn("sh", words, { stdio: ["pipe", "ignore", "ignore"], env, detached: true });
    this.#keeper.unref();
    (this.#keeper.stdin as unknown as { unref(): void }).unref();
  }

  /** Asks and does not wait. */
  begin(method: string, given: object, onOutput?: OnOutput): Call {
    return this.client.begin(method, given, onOutput);
  }

  /** Asks and waits for the answer. What is not answered within so many seconds (0 for any number) is called off. */
  async ask(method: string, given: object = {}, within = 0, onOutput?: OnOutput): Promise<Told> {
    const call = this.begin(method, given, onOutput);
    return within > 0 ? this.end(call, within) : call.result;
  }

  /** The same of one that was begun. */
  async end(call: Call, within: number): Promise<Told> {
    let late: NodeJS.Timeout | undefined;
    const over = new Promise<never>((_, reject) => {
      late = setTimeout(() => {
        const error = new DaytonaTimeoutError(`${call.method}: not done within ${within} s`, { kind: "timed_out" });
        call.cancel().then(() => reject(error), reject);
      }, within * 1000);
    });
    try {
      return await Promise.race([call.result, over]);
    } finally {
      clearTimeout(late);
    }
  }

  /** An address that leads to a port of a sandbox, as long as the process behind this runs. */
  async preview(sandbox: string, port: number): Promise<string> {
    const known = this.#previews.get(`${sandbox} ${port}`);
    if (known && !known.call.done) return known.url;
    let said = "";
    let tell!: (url: string) => void;
    const url = new Promise<string>((resolve) => (tell = resolve));
    const call = this.begin("preview", { name: sandbox, port }, (_, data) => {
      said += data.toString();
      if (said.includes("\n")) tell(said.trim());
    });
    this.#previews.set(`${sandbox} ${port}`, { call, url });
    return Promise.race([url, call.result.then((told) => Promise.reject(new DaytonaConnectionError(`preview: it has ended: ${JSON.stringify(told)}`)))]);
  }

  /** Removes what goes with the program, and ends the process behind it. What is kept stays. */
  async close(): Promise<void> {
    const [client, keeper] = [this.#client, this.#keeper];
    this.#closed = true;
    this.#client = this.#keeper = undefined;
    try {
      if (client && keeper) {
        const left = (await client.ls({ label: [`${PROGRAM}=${this.program}`] })).sandboxes.map((one) => one.id);
        const gone = left.length ? (await client.rm({ name: left, force: true })).sandboxes : [];
        // What could not be removed now, the keeper tries again.
        if (!gone.some((one) => "error" in one)) keeper.stdin.write("done\n");
      }
    } finally {
      if (keeper) {
        keeper.ref();
        const ended = new Promise((resolve) => keeper.on("close", resolve));
        keeper.stdin.end();
        await ended;
      }
      // What is still in flight, as previews are, is of no use any more.
      await client?.close(0.5);
    }
  }
}

/** Bytes of a result: text, or an object with `base64`. */
export function bytesOf(value: unknown): Buffer {
  if (value && typeof value === "object") return Buffer.from((value as { base64: string }).base64, "base64");
  return Buffer.from(value == null ? "" : String(value));
}

/** What a command has written, whatever its encoding is. What is no text is shown as such. */
export function textOf(told: Told, key: string): string {
  return told[`${key}_encoding`] === "base64" ? Buffer.from(told[key], "base64").toString() : bytesOf(told[key]).toString();
}
