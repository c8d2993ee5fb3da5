// A terminal that somebody looks at.

import type { Call } from "./client.js";
import { DaytonaGoneError, DaytonaNotFoundError } from "./errors.js";
import type { Link } from "./link.js";

/** What leaves a terminal alone, as Ctrl-] does for people. */
const LEAVE = "\x1d";

/** How a terminal ended. */
export interface PtyResult {
  exitCode?: number;
  error?: string;
}

/** A terminal that keeps running. */
export interface PtySessionInfo {
  id: string;
  active: boolean;
}

/** Shows what a terminal shows, and types into it. It goes on when nobody looks. */
export class PtyHandle {
  readonly #call: Call;
  readonly #end: Promise<PtyResult>;
  #result: PtyResult | undefined;
  #left = false;

  constructor(
    private readonly link: Link,
    private readonly sandbox: string,
    readonly sessionId: string,
    onData: (data: Uint8Array) => void | Promise<void>,
  ) {
    this.#call = link.begin("pty.attach", { sandbox, id: sessionId, input: true }, (_, data) => void onData(data));
    this.#end = this.#call.result.then(
      (told) => ({ exitCode: (told as { end?: { exit_code?: number } }).end?.exit_code ?? 137 }),
      (error: Error) => {
        // Its session was ended while somebody looked.
        const gone = error instanceof DaytonaGoneError || error instanceof DaytonaNotFoundError;
        return { error: error.message, ...(gone ? { exitCode: 137 } : {}) };
      },
    );
    this.#end.then((result) => (this.#result = this.#left ? undefined : result));
  }

  /** Of what ran in it, when that has ended. */
  get exitCode(): number | undefined {
    return this.#result?.exitCode;
  }

  /** Why it ended, where it did not by itself. */
  get error(): string | undefined {
    return this.#result?.error;
  }

  isConnected(): boolean {
    return !this.#left && !this.#result;
  }

  /** Nothing is to be waited for: what is typed waits itself. */
  async waitForConnection(): Promise<void> {}

  async sendInput(data: string | Uint8Array): Promise<void> {
    if (!this.isConnected()) throw new DaytonaGoneError("the terminal has ended, or was left", { kind: "ended" });
    await this.#call.input(data);
  }

  async resize(cols: number, rows: number): Promise<PtySessionInfo> {
    await this.link.ask("pty.resize", { sandbox: this.sandbox, id: this.sessionId, columns: cols, rows });
    return { id: this.sessionId, active: true };
  }

  /** Waits for its end. */
  wait(): Promise<PtyResult> {
    return this.#end;
  }

  /** Ends it, with what runs in it. */
  async kill(): Promise<void> {
    await this.link.ask("session.rm", { sandbox: this.sandbox, id: this.sessionId });
  }

  /** Leaves it alone. It goes on. */
  async disconnect(): Promise<void> {
    if (!this.isConnected()) return;
    this.#left = true;
    await this.#call.input(LEAVE);
  }
}
