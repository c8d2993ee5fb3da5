// A sandbox: what is known of it, and what can be done with it.

import { DaytonaBadRequestError, DaytonaGoneError, DaytonaNotFoundError, DaytonaNotImplementedError } from "./errors.js";
import { FileSystem } from "./filesystem.js";
import { Git } from "./git.js";
import { CodeInterpreter } from "./interpreter.js";
import { type Link, PROGRAM, textOf, type Told } from "./link.js";
import { type LspLanguageId, LspServer } from "./lsp.js";
import { type PortPreviewUrl, type Resources, type SandboxMetrics, SandboxState } from "./models.js";
import { network } from "./network.js";
import { checkNames, Process } from "./process.js";

const GIB = 2 ** 30;
/** Labels that `belljar serve` reads and writes too: what only Daytona's clients say, and the language. */
export const RECORD = "belljar.daytona";
export const LANGUAGE = "code-toolbox-language";
const STATES: Record<string, SandboxState> = {
  running: SandboxState.STARTED, starting: SandboxState.STARTING, stopping: SandboxState.STOPPING, stopped: SandboxState.STOPPED,
};

/** Made by `Daytona.create`, `get` and `list`. `await using` removes it at the end of the block. */
export class Sandbox {
  readonly id: string;
  readonly process: Process;
  readonly fs: FileSystem;
  readonly git: Git;
  readonly codeInterpreter: CodeInterpreter;
  name!: string;
  state!: SandboxState;
  labels!: Record<string, string>;
  env!: Record<string, string>;
  snapshot!: string;
  cpu!: number;
  memory!: number;
  disk!: number;
  createdAt!: string;
  networkBlockAll!: boolean;
  /** Whether it stays when the program ends that made it. */
  kept!: boolean;
  #record: Record<string, unknown> = {};

  constructor(
    private readonly link: Link,
    told: Told,
  ) {
    this.id = told.id;
    this.#know(told);
    this.process = new Process(this, link);
    this.fs = new FileSystem(this, link);
    this.git = new Git(this, link);
    this.codeInterpreter = new CodeInterpreter(this, link);
  }

  #know(told: Told): void {
    const labels = told.labels as Record<string, string>;
    try {
      const record: unknown = JSON.parse(labels[RECORD] ?? "{}");
      this.#record = record && typeof record === "object" ? (record as Record<string, unknown>) : {};
    } catch {
      // A label that somebody else has written says nothing.
      this.#record = {};
    }
    this.name = told.name;
    this.state = STATES[told.state] ?? SandboxState.ERROR;
    // Those that begin with `belljar.` are belljar's own.
    this.labels = Object.fromEntries(Object.entries(labels).filter(([key]) => !key.startsWith("belljar.")));
    this.kept = !(PROGRAM in labels) && told.keep;
    this.env = { ...(this.#record.env as Record<string, string> | undefined) };
    this.snapshot = (this.#record.snapshot as string | undefined) ?? told.image;
    this.cpu = told.limits.cpus;
    this.memory = told.limits.memory_bytes / GIB;
    this.disk = told.limits.disk_bytes / GIB;
    this.createdAt = told.created;
    this.networkBlockAll = told.net === "none";
  }

  /** What `codeRun` runs where nobody says otherwise. */
  get language(): string {
    return this.labels[LANGUAGE] ?? "python";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state !== SandboxState.DESTROYED) await this.delete();
  }

  /** Looks at it again. */
  async refreshData(): Promise<void> {
    this.#know(await this.link.ask("inspect", { name: this.id }));
  }

  async start(timeout = 60): Promise<void> {
    await this.refreshData();
    if (this.state === SandboxState.STARTED) return;
    each(await this.link.ask("start", { name: [this.id] }, timeout));
    await this.refreshData();
  }

  /** Ends what runs in it. Its files stay, unless it was made with `ephemeral`. */
  async stop(timeout = 60, force = false): Promise<void> {
    each(await this.link.ask("stop", { name: [this.id], grace: force ? "0s" : "1s" }, timeout));
    try {
      await this.refreshData();
    } catch (error) {
      if (!(error instanceof DaytonaNotFoundError)) throw error;
      this.state = SandboxState.DESTROYED;
    }
  }

  /** Removes it, and waits for that. */
  async delete(timeout = 60): Promise<void> {
    each(await this.link.ask("rm", { name: [this.id], force: true }, timeout));
    this.state = SandboxState.DESTROYED;
  }

  /** Lets it stay when the program ends. */
  async keep(): Promise<void> {
    await this.link.ask("life", { name: this.id, keep: true });
    await this.link.ask("label", { name: this.id, label: [`${PROGRAM}=`] });
    this.kept = true;
  }

  async recover(timeout = 60): Promise<void> {
    await this.start(timeout);
  }

  /** Leaves its files where they are: that is all that it means here. */
  async archive(): Promise<void> {
    await this.refreshData();
    if (this.state !== SandboxState.STOPPED) throw new DaytonaBadRequestError("the sandbox is not stopped", { kind: "running", hint: "stop it first" });
  }

  /** Refused: memory is not kept. */
  async pause(): Promise<void> {
    throw new DaytonaNotImplementedError("the memory of a sandbox cannot be kept", { hint: "stop it, and its files are" });
  }

  /** Another one with a copy of its files. */
  async fork(params: { name?: string } = {}, timeout = 60): Promise<Sandbox> {
    this.link.keepWatch();
    const made = await this.link.ask("fork", { name: this.id, new: params.name }, timeout);
    if (!this.kept) await this.link.ask("label", { name: made.id, label: [`${PROGRAM}=${this.link.program}`] });
    return new Sandbox(this.link, await this.link.ask("inspect", { name: made.id }));
  }

  /** Keeps its files as an image, by that name. */
  async createSnapshot(name: string, timeout = 60): Promise<void> {
    await this.link.ask("snapshot.create", { name: this.id, image: name }, timeout);
  }

  async resize(resources: Resources, timeout = 60): Promise<void> {
    await this.link.ask("resize", { name: this.id, ...limits(resources) }, timeout);
    await this.refreshData();
  }

  /** These, in the place of those that it had. */
  async setLabels(labels: Record<string, string>): Promise<Record<string, string>> {
    const own = Object.keys(labels).find((key) => key.startsWith("belljar."));
    if (own) throw new DaytonaBadRequestError(`labels: \`${own}\`: what begins with \`belljar.\` is belljar's own`, { kind: "invalid" });
    const gone = Object.keys(this.labels).filter((key) => !(key in labels) && key !== LANGUAGE);
    const label = [...Object.entries(labels).map(([key, value]) => `${key}=${value}`), ...gone.map((key) => `${key}=`)];
    await this.link.ask("label", { name: this.id, label });
    await this.refreshData();
    return this.labels;
  }

  /** Minutes without a call until it is stopped; 0 for never. */
  async setAutostopInterval(interval: number): Promise<void> {
    await this.link.ask("life", { name: this.id, idle_stop: interval ? `${interval}m` : "none" });
  }

  /** Minutes without a call until it is removed; below 0 for never, 0 for its stop. */
  async setAutoDeleteInterval(interval: number): Promise<void> {
    await this.link.ask("life", { name: this.id, keep: interval !== 0, ...(interval === 0 ? {} : { idle_rm: interval > 0 ? `${interval}m` : "none" }) });
  }

  /** Minutes until it is removed; 0 for never. */
  async setTtl(ttlMinutes: number): Promise<void> {
    await this.link.ask("life", { name: this.id, ttl: ttlMinutes ? `${ttlMinutes}m` : "none" });
  }

  /** Variables of commands from now on. */
  async updateEnv(env: Record<string, string>, options: { unset?: string[] } = {}): Promise<void> {
    checkNames(env);
    const all = Object.entries({ ...this.env, ...env }).filter(([name]) => !options.unset?.includes(name));
    this.env = Object.fromEntries(all);
    this.#record.env = this.env;
    await this.link.ask("label", { name: this.id, label: [`${RECORD}=${JSON.stringify(this.#record)}`] });
  }

  /** What it may reach from now on. One that was made without a network gets none. */
  async updateNetworkSettings(settings: { networkBlockAll?: boolean; networkAllowList?: string; domainAllowList?: string }): Promise<void> {
    const asked = network(settings, "open");
    // One that has a network keeps it, and reaches nothing.
    await this.link.ask("net.set", { name: this.id, ...asked, ...(asked.net === "none" ? { net: "only" } : {}) });
    await this.refreshData();
  }

  async #shell(script: string): Promise<string> {
    return textOf(await this.link.ask("exec", { name: this.id, command: ["sh", "-c", script] }), "stdout").replace(/\n$/, "");
  }

  /** Where commands begin. */
  getWorkDir(): Promise<string> {
    return this.#shell("pwd");
  }

  getUserHomeDir(): Promise<string> {
    return this.#shell('echo "$HOME"');
  }

  /** What it uses now; of its CPUs, in all its life. */
  async getMetricsLatest(): Promise<SandboxMetrics> {
    const told = await this.link.ask("stats", { name: this.id });
    const cpus = Math.max(1, told.millicpus_limit);
    return {
      cpuCount: Math.ceil(cpus / 1000),
      cpuUsedPct: Math.min(100, ((told.cpu_ms / Math.max(1, told.uptime_ms)) * 100_000) / cpus),
      memTotal: told.memory_limit_bytes,
      memUsed: told.memory_bytes,
      diskTotal: told.disk_limit_bytes,
      diskUsed: told.disk_bytes,
    };
  }

  /** An address of this machine's that leads to a port in it, as long as this program runs. */
  async getPreviewLink(port: number): Promise<PortPreviewUrl> {
    return { url: await this.link.preview(this.id, port), token: "" };
  }

  async createLspServer(languageId: LspLanguageId | string, pathToProject: string): Promise<LspServer> {
    return new LspServer(this, this.link, languageId, pathToProject);
  }
}

function each(told: Told): void {
  for (const one of told.sandboxes) if ("error" in one) throw new DaytonaGoneError(one.error.message, one.error);
}

/** As parameters of a verb. */
export function limits(resources: Resources): { memory?: string; disk?: string; cpus?: string } {
  if (resources.gpu) throw new DaytonaNotImplementedError("resources: gpu: there are none in sandboxes");
  const size = (gib: number | undefined) => (gib === undefined ? undefined : String(Math.round(gib * GIB)));
  const given = { memory: size(resources.memory), disk: size(resources.disk), cpus: resources.cpu?.toString() };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
