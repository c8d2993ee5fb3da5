// `Daytona`: makes sandboxes, and finds them.
//
//     await using daytona = new Daytona();
//     const sandbox = await daytona.create({ language: "python" });
//     console.log((await sandbox.process.codeRun("print(6 * 7)")).result);
//
// What a program makes goes with it, unless it says `keep`: at the end of the block, by `close`, or when the program ends, however that
// comes about.

import { ofImage, ofSnapshot } from "./builder.js";
import type { Client } from "./client.js";
import { DaytonaBadRequestError } from "./errors.js";
import { Link, PROGRAM } from "./link.js";
import type {
  CreateOptions, CreateSandboxFromImageParams, CreateSandboxFromSnapshotParams, DaytonaConfig, ListSandboxesQuery, VolumeMount,
} from "./models.js";
import { network } from "./network.js";
import { checkNames, RUNS } from "./process.js";
import { LANGUAGE, limits, RECORD, Sandbox } from "./sandbox.js";
import { SnapshotService, VolumeService } from "./services.js";

// The sandbox is one program's own: pip may install there what its distribution would rather see elsewhere.
const OWN = { PIP_BREAK_SYSTEM_PACKAGES: "1" };

const minutes = (given: number | undefined): string | undefined => (given && given > 0 ? `${given}m` : undefined);

/** Sandboxes of this machine. Needs no server and no key. */
export class Daytona {
  readonly snapshot: SnapshotService;
  readonly volume: VolumeService;
  readonly #link: Link;

  constructor(private readonly config: DaytonaConfig = {}) {
    this.#link = new Link(config.home);
    this.snapshot = new SnapshotService(this.#link, network({}, this.#net));
    this.volume = new VolumeService(this.#link);
  }

  get #net(): string {
    return this.config.net || process.env.BELLJAR_NET || "open";
  }

  /** belljar's own verbs, for what Daytona has no name for: `daytona.client.net.log({ name: sandbox.id })`. */
  get client(): Client {
    return this.#link.client;
  }

  /** Removes what is not kept, and ends the process behind it. */
  async close(): Promise<void> {
    await this.#link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Makes a sandbox, which runs when this resolves. */
  async create(params: CreateSandboxFromSnapshotParams | CreateSandboxFromImageParams = {}, options: CreateOptions = {}): Promise<Sandbox> {
    const language = params.language ?? "python";
    if (!RUNS[language]) throw new DaytonaBadRequestError(`language: \`${language}\` is none of ${Object.keys(RUNS).join(", ")}`, { kind: "invalid" });
    if (Object.keys(params.labels ?? {}).some((key) => key.startsWith("belljar."))) {
      throw new DaytonaBadRequestError("labels: what begins with `belljar.` is belljar's own", { kind: "invalid" });
    }
    const net = network(params, this.#net);
    const base = "image" in params ? await ofImage(this.#link, params.image, net, options.onSnapshotCreateLogs)
      : await ofSnapshot(this.#link, params.snapshot, language);
    const env = { ...OWN, ...base.env, ...params.envVars };
    checkNames(env);
    const label: Record<string, string> = { ...params.labels, [LANGUAGE]: language, [RECORD]: JSON.stringify({ env, snapshot: base.name }) };
    if (!(params.keep ?? (params.ephemeral === false || this.config.keep))) {
      this.#link.keepWatch();
      label[PROGRAM] = this.#link.program;
    }
    const [cpu, memory, disk] = base.size ?? [];
    const made = await this.#link.ask("create", {
      name: params.name, image: base.image, workdir: base.workdir, env, label,
      // Its files outlive a stop.
      keep: !(params.ephemeral || params.autoDeleteInterval === 0),
      volume: params.volumes?.length ? params.volumes.map(volume) : undefined,
      idle_stop: minutes(params.autoStopInterval), idle_rm: minutes(params.autoDeleteInterval), ttl: minutes(params.ttlMinutes),
      ...net, ...limits({ cpu, memory, disk, ...params.resources }),
    }, options.timeout ?? 60);
    return this.get(made.id);
  }

  /** The sandbox of that id or name, whoever has made it. */
  async get(sandboxIdOrName: string): Promise<Sandbox> {
    return new Sandbox(this.#link, await this.#link.ask("inspect", { name: sandboxIdOrName }));
  }

  /** The sandboxes of this machine that the query means. */
  async *list(query: ListSandboxesQuery = {}): AsyncIterableIterator<Sandbox> {
    for (const told of (await this.#link.ask("ls", { label: query.labels })).sandboxes) {
      const sandbox = new Sandbox(this.#link, told);
      const wanted = sandbox.id.startsWith(query.id ?? "") && sandbox.name.startsWith(query.name ?? "");
      if (wanted && (query.states?.includes(sandbox.state) ?? true)) yield sandbox;
    }
  }

  async start(sandbox: Sandbox, timeout = 60): Promise<void> {
    await sandbox.start(timeout);
  }

  async stop(sandbox: Sandbox): Promise<void> {
    await sandbox.stop();
  }

  async delete(sandbox: Sandbox, timeout = 60): Promise<void> {
    await sandbox.delete(timeout);
  }
}

function volume(one: VolumeMount): string {
  const below = one.subpath ? `/${one.subpath.replace(/^\/+|\/+$/g, "")}` : "";
  return `${one.volumeId}${below}:${one.mountPath}`;
}
