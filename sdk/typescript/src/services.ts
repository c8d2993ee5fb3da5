// Snapshots, which are images here, and volumes.

import { ofImage } from "./builder.js";
import { DaytonaConflictError, DaytonaNotFoundError, DaytonaUnprocessableEntityError } from "./errors.js";
import type { Image } from "./image.js";
import type { Link, Told } from "./link.js";
import type { Snapshot, Volume } from "./models.js";

/** Images that sandboxes are made of. */
export class SnapshotService {
  constructor(
    private readonly link: Link,
    private readonly net: object,
  ) {}

  async #all(): Promise<Snapshot[]> {
    const { images } = await this.link.ask("image.ls");
    return images.flatMap((image: Told) => image.names.map((whole: string) => {
      const name = whole.replace(/:latest$/, "");
      return { id: name, name, imageName: name, state: "active", size: image.bytes / 2 ** 30, createdAt: image.created };
    }));
  }

  async list(page = 1, limit = 100): Promise<{ items: Snapshot[]; total: number; page: number; totalPages: number }> {
    const all = await this.#all();
    return { items: all.slice((page - 1) * limit, page * limit), total: all.length, page, totalPages: Math.ceil(all.length / limit) };
  }

  async get(name: string): Promise<Snapshot> {
    const found = (await this.#all()).find((one) => one.name === name.replace(/:latest$/, ""));
    if (!found) throw new DaytonaNotFoundError(`snapshot: there is no \`${name}\``, { kind: "not_found", hint: "`belljar image ls` lists them" });
    return found;
  }

  /** Gives an image a name, or makes one by steps. */
  async create(params: { name: string; image: string | Image }, options: { onLogs?: (chunk: string) => void } = {}): Promise<Snapshot> {
    if ((await this.#all()).some((one) => one.name === params.name)) {
      throw new DaytonaConflictError(`snapshot: there is a \`${params.name}\` already`, { kind: "name_taken" });
    }
    const base = await ofImage(this.link, params.image, this.net, options.onLogs);
    if (!base.image) {
      throw new DaytonaUnprocessableEntityError("image: this machine's own files are no image", { kind: "invalid", hint: "`belljar image build` makes one" });
    }
    await this.link.ask("image.tag", { name: base.image, new: params.name });
    return this.get(params.name);
  }

  /** Takes the name away, and the files where nothing else needs them. */
  async delete(snapshot: Snapshot | string): Promise<void> {
    await this.link.ask("image.rm", { name: [typeof snapshot === "string" ? snapshot : snapshot.name] });
  }
}

/** Files that several sandboxes may have. */
export class VolumeService {
  constructor(private readonly link: Link) {}

  async list(): Promise<Volume[]> {
    const { volumes } = await this.link.ask("volume.ls");
    return volumes.map((one: Told) => ({ id: one.name, name: one.name, state: "ready", createdAt: one.created }));
  }

  /** The one of that name; made, where `create` says so. */
  async get(name: string, create = false): Promise<Volume> {
    const found = (await this.list()).find((one) => one.name === name);
    if (found) return found;
    if (create) return this.create(name);
    throw new DaytonaNotFoundError(`volume: there is no \`${name}\``, { kind: "not_found" });
  }

  async create(name: string): Promise<Volume> {
    await this.link.ask("volume.create", { name });
    return this.get(name);
  }

  async delete(volume: Volume): Promise<void> {
    await this.link.ask("volume.rm", { name: [volume.name] });
  }
}
