// Finds or makes the image that a sandbox begins with.

import { readdirSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import {
  DaytonaBadRequestError, DaytonaConflictError, DaytonaNotFoundError, DaytonaUnprocessableEntityError,
} from "./errors.js";
import { Image } from "./image.js";
import { type Link, PROGRAM, textOf, type Told } from "./link.js";

/** Names that Daytona has for what is there anyway: CPUs, GiB of memory and of disk. */
const SIZES: Record<string, [number, number, number]> = { "daytona-small": [1, 1, 3], "daytona-medium": [2, 4, 8], "daytona-large": [4, 8, 10] };
const HOST = "host";
/** What stands for images of others' registries, which nothing fetches unasked. */
const MEANS: Record<string, string> = { python: "python", node: "node", debian: "shell", ubuntu: "shell", alpine: "shell", busybox: "shell" };

/** What a sandbox begins with. Without an image it is this machine's own files. */
export interface Base {
  name: string;
  image?: string;
  env: Record<string, string>;
  workdir?: string;
  size?: [number, number, number];
}

type OnLogs = ((chunk: string) => void) | undefined;

async function digestOf(link: Link, name: string): Promise<string | undefined> {
  try {
    return (await link.ask("image.inspect", { name })).digest;
  } catch (error) {
    if ([DaytonaNotFoundError, DaytonaBadRequestError, DaytonaConflictError].some((kind) => error instanceof kind)) return undefined;
    throw error;
  }
}

async function firstOf(link: Link, name: string): Promise<Base> {
  return (await digestOf(link, name)) ? { name, image: name, env: {} } : { name: HOST, env: {} };
}

/** What a snapshot's name means; without one, what goes with the language. */
export async function ofSnapshot(link: Link, snapshot: string | undefined, language: string): Promise<Base> {
  const byLanguage = language === "python" ? "python" : "node";
  if (!snapshot) return firstOf(link, byLanguage);
  const size = SIZES[snapshot];
  if (size) return { ...(await firstOf(link, byLanguage)), name: snapshot, size };
  if (snapshot === HOST) return { name: HOST, env: {} };
  const image = snapshot.replace(/:latest$/, "");
  if (await digestOf(link, image)) return { name: snapshot, image, env: {} };
  if (image === "python" || image === "node") return { name: HOST, env: {} };
  throw new DaytonaNotFoundError(`snapshot \`${snapshot}\` is not here`, {
    kind: "not_found", hint: "`belljar image ls` lists what is here, `belljar image pull` fetches more",
  });
}

async function ofName(link: Link, name: string): Promise<Base> {
  try {
    return await ofSnapshot(link, name, "python");
  } catch (error) {
    const means = MEANS[name.split("/").pop()!.split(/[:@]/)[0]!];
    if (!(error instanceof DaytonaNotFoundError) || !means) throw error;
    return firstOf(link, means);
  }
}

/** What an image means: one that is here, or the steps, which are done where nobody has done them before. */
export async function ofImage(link: Link, image: string | Image, network: object, onLogs?: OnLogs): Promise<Base> {
  if (typeof image === "string") return ofName(link, image);
  const base = { ...(await ofName(link, image.from)), name: image.from };
  for (const [what, ...words] of image.steps) {
    if (what === "ENV") base.env[words[0]!] = words[1]!;
    else if (what === "WORKDIR") base.workdir = posix.resolve(base.workdir ?? "/", words[0]!);
  }
  if (image.steps.some(([what]) => what !== "ENV")) {
    const name = image.name((base.image && (await digestOf(link, base.image))) ?? HOST);
    if (!(await digestOf(link, name))) await build(link, base.image, image, { name, network, onLogs });
    base.image = name;
  }
  return base;
}

/** Does the steps in a sandbox, and makes an image of it. */
async function build(link: Link, base: string | undefined, image: Image, how: { name: string; network: object; onLogs: OnLogs }): Promise<void> {
  link.keepWatch();
  const label = { [PROGRAM]: link.program };
  const box = (await link.ask("create", { image: base, memory: "4G", disk: "10G", label, ...how.network })).id;
  try {
    const env: Record<string, string> = {};
    let workdir: string | undefined;
    for (const [at, [what, ...words]] of image.steps.entries()) {
      how.onLogs?.(`Step ${at + 1}/${image.steps.length}: ${what} ${words.join(" ")}\n`);
      if (what === "ENV") env[words[0]!] = words[1]!;
      else if (what === "WORKDIR") {
        workdir = posix.resolve(workdir ?? "/", words[0]!);
        await link.ask("fs.mkdir", { sandbox: box, path: workdir, parents: true });
      } else if (what === "COPY") await copy(link, box, words[0]!, posix.resolve(workdir ?? "/", words[1]!));
      else said(await link.ask("exec", { name: box, command: words, env, workdir, timeout: "15m" }), at + 1, words, how.onLogs);
    }
    await link.ask("snapshot.create", { name: box, image: how.name });
  } finally {
    await link.ask("rm", { name: [box], force: true });
  }
}

/** A directory's content comes into `to`, a file to it. */
async function copy(link: Link, box: string, local: string, to: string): Promise<void> {
  const names = statSync(local).isDirectory() ? readdirSync(local).sort() : undefined;
  await link.ask("fs.mkdir", { sandbox: box, path: names ? to : posix.dirname(to), parents: true });
  if (!names) await link.ask("cp", { from: [local], to: `${box}:${to}`, quiet: true });
  else if (names.length) await link.ask("cp", { from: names.map((name) => join(local, name)), to: `${box}:${to}/`, quiet: true });
}

function said(told: Told, number: number, words: string[], onLogs: OnLogs): void {
  const written = textOf(told, "stdout") + textOf(told, "stderr");
  if (written) onLogs?.(written);
  if (told.exit_code === 0) return;
  const last = written.trimEnd().split("\n").slice(-10).join("\n");
  throw new DaytonaUnprocessableEntityError(`image: step ${number}, \`${words.join(" ")}\`, failed (${told.status}): ${last}`);
}
