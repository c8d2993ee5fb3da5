// What a sandbox is made of, as steps: `Image.base("python").pipInstall("requests")`.
//
// The steps are done once, in a sandbox, and what comes of it is kept as an image by a name that comes from the steps and the files in
// them. `base` names an image that is here, or means one of belljar's own or this machine's files.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { DaytonaBadRequestError } from "./errors.js";

/** What a step does, and its words. */
export type Step = ["RUN" | "ENV" | "WORKDIR" | "COPY", ...string[]];

/** How pip installs. */
export interface PipInstallOptions {
  indexUrl?: string;
  findLinks?: string[];
  extraIndexUrls?: string[];
  pre?: boolean;
}

/** Steps, each of which makes another `Image`. */
export class Image {
  private constructor(
    readonly from: string,
    readonly steps: readonly Step[],
  ) {}

  /** Begins with an image that is here. */
  static base(image: string): Image {
    return new Image(image, []);
  }

  /** Begins with the image `python`, or this machine's files; with Python of that version, or it is refused. */
  static debianSlim(pythonVersion?: string): Image {
    const image = new Image("python", []);
    if (!pythonVersion) return image;
    const told = `import sys; v = '.'.join(map(str, sys.version_info[:2])); v == ${JSON.stringify(pythonVersion)} or sys.exit('python is ' + v)`;
    return image.#then("RUN", "python3", "-c", told);
  }

  #then(...step: Step): Image {
    return new Image(this.from, [...this.steps, step]);
  }

  pipInstall(packages: string | string[], options: PipInstallOptions = {}): Image {
    const words = ["python3", "-m", "pip", "install", "--break-system-packages", ...[packages].flat().sort()];
    for (const link of options.findLinks ?? []) words.push("--find-links", link);
    if (options.indexUrl) words.push("--index-url", options.indexUrl);
    for (const url of options.extraIndexUrls ?? []) words.push("--extra-index-url", url);
    if (options.pre) words.push("--pre");
    return this.#then("RUN", ...words);
  }

  /** Runs commands: a text by a shell, words as they are. */
  runCommands(...commands: Array<string | string[]>): Image {
    return commands.reduce<Image>((image, one) => image.#then("RUN", ...(typeof one === "string" ? ["sh", "-c", one] : one)), this);
  }

  /** Variables of the steps that follow, and of commands in the sandbox. */
  env(envVars: Record<string, string>): Image {
    return Object.entries(envVars).reduce<Image>((image, [name, value]) => image.#then("ENV", name, value), this);
  }

  /** Where the steps that follow, and commands, begin. */
  workdir(path: string): Image {
    return this.#then("WORKDIR", path);
  }

  addLocalFile(localPath: string, remotePath: string): Image {
    const local = resolve(localPath);
    if (!statSync(local, { throwIfNoEntry: false })?.isFile()) throw new DaytonaBadRequestError(`localPath: \`${local}\` is no file`, { kind: "invalid" });
    return this.#then("COPY", local, remotePath.endsWith("/") ? remotePath + basename(local) : remotePath);
  }

  /** What is in the directory is in `remotePath` then. */
  addLocalDir(localPath: string, remotePath: string): Image {
    const local = resolve(localPath);
    if (!statSync(local, { throwIfNoEntry: false })?.isDirectory()) throw new DaytonaBadRequestError(`localPath: \`${local}\` is no directory`, { kind: "invalid" });
    return this.#then("COPY", local, remotePath.replace(/\/+$/, "") || "/");
  }

  /** The steps as people know them. */
  get dockerfile(): string {
    const line = ([what, ...words]: Step) => `${what} ${what === "RUN" ? JSON.stringify(words) : words.join(what === "ENV" ? "=" : " ")}`;
    return `${[`FROM ${this.from}`, ...this.steps.map(line)].join("\n")}\n`;
  }

  /** The name of what comes of the steps, done to an image of this digest. */
  name(base: string): string {
    const digest = createHash("sha256").update(`${base}\n${JSON.stringify(this.steps)}`);
    for (const [what, local = ""] of this.steps) {
      if (what !== "COPY") continue;
      for (const path of files(local)) {
        digest.update(`${relative(local, path)} ${statSync(path).mode.toString(8)}\n`);
        digest.update(createHash("sha256").update(readFileSync(path)).digest());
      }
    }
    return `daytona-build-${digest.digest("hex").slice(0, 16)}`;
  }
}

/** All files of it, in one order. */
function files(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => files(join(path, name)));
}
