// Files of a sandbox. A path that does not begin with `/` is one below the sandbox's working directory.

import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DaytonaBadRequestError, DaytonaForbiddenError } from "./errors.js";
import { bytesOf, type Link, textOf, type Told } from "./link.js";
import type { Sandbox } from "./sandbox.js";

/** What goes in one piece. */
const PIECE = 1 << 20;

/** What is known of a path. Owner and group are numbers, as seen inside. */
export interface FileInfo {
  name: string;
  path: string;
  size: number;
  mode: string;
  permissions: string;
  isDir: boolean;
  modTime: string;
  owner: string;
  group: string;
}

/** A line that has a text in it. */
export interface Match {
  file: string;
  line: number;
  content: string;
}

/** What became of a file. */
export interface ReplaceResult {
  file: string;
  success: boolean;
  error?: string;
}

/** A file that goes in: bytes, or the path of one here. */
export interface FileUpload {
  source: string | Uint8Array;
  destination: string;
}

/** Files of a sandbox. */
export class FileSystem {
  constructor(
    private readonly sandbox: Sandbox,
    private readonly link: Link,
  ) {}

  #ask(method: string, given: object): Promise<Told> {
    return this.link.ask(`fs.${method}`, { sandbox: this.sandbox.id, ...given });
  }

  /** Makes a directory, with those above it. */
  async createFolder(path: string, mode = "755"): Promise<void> {
    await this.#ask("mkdir", { path, parents: true, mode });
  }

  async deleteFile(path: string, recursive = false): Promise<void> {
    if (!recursive && (await this.#ask("stat", { path })).kind === "directory") {
      throw new DaytonaBadRequestError(`path: \`${path}\` is a directory`, { kind: "is_a_directory", hint: "give `true` as `recursive`" });
    }
    await this.#ask("rm", { path, recursive });
  }

  async listFiles(path = ".", options: { depth?: number } = {}): Promise<FileInfo[]> {
    return (await this.#ask("ls", { path, depth: options.depth })).entries.map(infoOf);
  }

  async getFileDetails(path: string): Promise<FileInfo> {
    return infoOf(await this.#ask("stat", { path }));
  }

  /** Moves a file or directory; nothing is replaced. */
  async moveFiles(source: string, destination: string): Promise<void> {
    await this.#ask("mv", { path: source, to: destination });
  }

  async setFilePermissions(path: string, permissions: { mode?: string; owner?: string; group?: string }): Promise<void> {
    const { mode, owner, group } = permissions;
    if (mode) await this.#ask("chmod", { path, mode });
    if (!owner && !group) return;
    const whose = `${owner ?? ""}${group ? `:${group}` : ""}`;
    const told = await this.link.ask("exec", { name: this.sandbox.id, command: ["chown", "--", whose, path] });
    if (told.exit_code !== 0) throw new DaytonaForbiddenError(`\`${path}\` cannot be given to ${whose}: ${textOf(told, "stderr").trim()}`, { kind: "denied" });
  }

  /** Lines of text files that have a text in them. */
  async findFiles(path: string, pattern: string): Promise<Match[]> {
    const told = await this.#ask("grep", { path, text: pattern });
    return told.lines.map((one: Told) => ({ file: bytesOf(one.path).toString(), line: one.line, content: bytesOf(one.content).toString() }));
  }

  /** Paths whose last part is like a pattern. */
  async searchFiles(path: string, pattern: string): Promise<{ files: string[] }> {
    return { files: (await this.#ask("find", { path, name: pattern })).entries.map((one: Told) => bytesOf(one.path).toString()) };
  }

  /** Replaces a text in files. What could not be done with one is said of that one. */
  async replaceInFiles(files: string[], pattern: string, newValue: string): Promise<ReplaceResult[]> {
    const told: ReplaceResult[] = [];
    for (const file of files) {
      try {
        const [failed] = (await this.#ask("replace", { text: pattern, new: newValue, file: [file] })).failed;
        told.push(failed ? { file, success: false, error: failed.error.message } : { file, success: true });
      } catch (error) {
        told.push({ file, success: false, error: (error as Error).message });
      }
    }
    return told;
  }

  /** Bytes, or a file of this machine, of any size. Directories that are not there are made. */
  async uploadFile(source: string | Uint8Array, remotePath: string, timeout = 0): Promise<void> {
    await this.uploadFileStream(typeof source === "string" ? createReadStream(source, { highWaterMark: PIECE }) : pieces(source), remotePath, { timeout });
  }

  async uploadFiles(files: FileUpload[], timeout = 0): Promise<void> {
    for (const one of files) await this.uploadFile(one.source, one.destination, timeout);
  }

  /** What a stream gives, as it gives it. The file is there when all of it is. */
  async uploadFileStream(source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, remotePath: string, options: { timeout?: number } = {}): Promise<void> {
    const call = this.link.begin("fs.write", { sandbox: this.sandbox.id, path: remotePath, parents: true, input: true });
    const giving = (async () => {
      for await (const piece of source) {
        if (call.done) return;
        await call.input(piece);
      }
      await call.input("", true);
    })();
    try {
      await Promise.race([giving, call.result]);
    } catch (error) {
      // What could not be read here must not be there as if it were all. Where belljar has refused it, its own error says why.
      if (!call.done) await call.cancel();
      await call.result;
      throw error;
    }
    giving.catch(() => undefined);
    await (options.timeout ? this.link.end(call, options.timeout) : call.result);
  }

  /** A file's bytes, or the same to a file of this machine, which is there when all of it is. */
  async downloadFile(remotePath: string): Promise<Buffer>;
  async downloadFile(remotePath: string, localPath: string): Promise<void>;
  async downloadFile(remotePath: string, localPath?: string): Promise<Buffer | void> {
    const stream = await this.downloadFileStream(remotePath);
    if (localPath === undefined) return Buffer.concat(await stream.toArray());
    try {
      await pipeline(stream, createWriteStream(`${localPath}.part`));
      await rename(`${localPath}.part`, localPath);
    } catch (error) {
      await rm(`${localPath}.part`, { force: true });
      throw error;
    }
  }

  /** A file's bytes, as they come. */
  async downloadFileStream(remotePath: string): Promise<Readable> {
    const stream = new PassThrough();
    const call = this.link.begin("fs.cat", { sandbox: this.sandbox.id, path: remotePath }, (_, data) => stream.write(data));
    call.result.then(() => stream.end(), (error: Error) => stream.destroy(error));
    stream.on("close", () => void (call.done || call.cancel()));
    return stream;
  }
}

function* pieces(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

function infoOf(entry: Told): FileInfo {
  const first = ({ directory: "d", symlink: "L", fifo: "p", socket: "S" } as Record<string, string>)[entry.kind] ?? "-";
  const bits = Number.parseInt(entry.mode, 8);
  const letters = [...Array(9).keys()].map((at) => (bits & (1 << (8 - at)) ? "rwx"[at % 3] : "-")).join("");
  const path = bytesOf(entry.path).toString();
  return {
    name: bytesOf(entry.name).toString() || path,
    path,
    size: entry.size,
    mode: first + letters,
    permissions: entry.mode.padStart(4, "0"),
    isDir: entry.kind === "directory",
    modTime: entry.modified,
    owner: String(entry.uid),
    group: String(entry.gid),
  };
}
