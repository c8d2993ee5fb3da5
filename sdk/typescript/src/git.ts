// Git in a sandbox. Credentials are given with each call, and stay outside.

import { DaytonaNotFoundError, DaytonaNotImplementedError } from "./errors.js";
import { bytesOf, type Link, type Told } from "./link.js";
import type { Sandbox } from "./sandbox.js";

/** A file that differs. */
export interface FileStatus {
  name: string;
  staging: string;
  worktree: string;
  /** What it was called before. */
  extra: string;
}

/** Where a repository stands. */
export interface GitStatus {
  currentBranch: string;
  fileStatus: FileStatus[];
  ahead: number;
  behind: number;
  branchPublished: boolean;
  detached: boolean;
}

const STATES: Record<string, string> = {
  untracked: "Untracked", modified: "Modified", type_changed: "Modified", added: "Added", deleted: "Deleted", renamed: "Renamed",
  copied: "Copied",
};

const text = (value: unknown): string => bytesOf(value).toString();

/** Git in a sandbox. */
export class Git {
  constructor(
    private readonly sandbox: Sandbox,
    private readonly link: Link,
  ) {}

  #ask(method: string, given: Record<string, unknown>): Promise<Told> {
    // What is given as nothing is belljar's to decide.
    const wanted = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== ""));
    return this.link.ask(`git.${method}`, { sandbox: this.sandbox.id, ...wanted });
  }

  async clone(
    url: string, path: string, branch?: string, commitId?: string, username?: string, password?: string, insecureSkipTls?: boolean,
    depth?: number,
  ): Promise<void> {
    await this.#ask("clone", { url, path, branch, commit: commitId, username, password, insecure_tls: insecureSkipTls, depth });
  }

  async init(path: string, bare = false, initialBranch?: string): Promise<void> {
    await this.#ask("init", { path, bare, branch: initialBranch });
  }

  async status(path: string): Promise<GitStatus> {
    const told = await this.#ask("status", { path });
    const word = (one: Told, key: string) => (one.conflict === null ? (STATES[one[key]] ?? "Unmodified") : "Updated but unmerged");
    return {
      currentBranch: text(told.branch ?? told.commit),
      fileStatus: told.files.map((one: Told) => ({
        name: text(one.path), staging: word(one, "staged"), worktree: word(one, "unstaged"), extra: text(one.old_path),
      })),
      ahead: told.ahead,
      behind: told.behind,
      branchPublished: told.published,
      detached: told.detached,
    };
  }

  async add(path: string, files: string[]): Promise<void> {
    await this.#ask("add", { path, files });
  }

  async commit(path: string, message: string, author: string, email: string, allowEmpty = false): Promise<{ sha: string }> {
    return { sha: (await this.#ask("commit", { path, message, author, email, allow_empty: allowEmpty })).hash };
  }

  async push(path: string, username?: string, password?: string, branch?: string, remote?: string, setUpstream = false): Promise<void> {
    await this.#ask("push", { path, username, password, branch, remote, set_upstream: setUpstream });
  }

  async pull(path: string, username?: string, password?: string, branch?: string, remote?: string): Promise<void> {
    await this.#ask("pull", { path, username, password, branch, remote });
  }

  async branches(path: string): Promise<{ branches: string[]; current?: string }> {
    const told = await this.#ask("branch", { path });
    const here = told.branches.filter((one: Told) => !one.remote).map((one: Told) => text(one.name));
    return { branches: here, ...(told.current === null ? {} : { current: text(told.current) }) };
  }

  async checkoutBranch(path: string, branch: string): Promise<void> {
    await this.#ask("checkout", { path, name: branch });
  }

  /** Makes a branch, and goes to it. */
  async createBranch(path: string, name: string): Promise<void> {
    await this.#ask("checkout", { path, name, create: true });
  }

  /** Removes a branch, whatever is on it. */
  async deleteBranch(path: string, name: string): Promise<void> {
    await this.#ask("branch", { path, name, delete: true, force: true });
  }

  async reset(path: string, mode?: string, target?: string, files?: string[]): Promise<void> {
    await this.#ask("reset", { path, mode, target, files });
  }

  async restore(path: string, files: string[], staged?: boolean, worktree?: boolean, source?: string): Promise<void> {
    await this.#ask("restore", { path, files, staged, worktree, source });
  }

  async remotes(path: string): Promise<{ remotes: Array<{ name: string; url: string }> }> {
    const told = await this.#ask("remote", { path });
    return { remotes: told.remotes.map((one: Told) => ({ name: text(one.name), url: text(one.url) })) };
  }

  async remoteGet(path: string, name: string): Promise<string | undefined> {
    return (await this.remotes(path)).remotes.find((one) => one.name === name)?.url;
  }

  async remoteAdd(path: string, name: string, url: string, fetch = false, overwrite = false): Promise<void> {
    await this.#ask("remote", { path, deed: "add", name, to: url, overwrite });
    if (fetch) await this.#ask("fetch", { path, remote: name });
  }

  /** A setting; nothing where it is not set. */
  async getConfig(key: string, scope = "global", path?: string): Promise<string | undefined> {
    try {
      const { value } = await this.#ask("config", { key, scope, path });
      return value === null ? undefined : text(value);
    } catch (error) {
      if (error instanceof DaytonaNotFoundError && error.kind === "not_found") return undefined;
      throw error;
    }
  }

  async setConfig(key: string, value: string, scope = "global", path?: string): Promise<void> {
    await this.#ask("config", { key, value, scope, path });
  }

  async configureUser(name: string, email: string, scope = "global", path?: string): Promise<void> {
    await this.setConfig("user.name", name, scope, path);
    await this.setConfig("user.email", email, scope, path);
  }

  /** Refused: what unlocks other machines is not kept where code runs that nobody has read. */
  async dangerouslyAuthenticate(_username: string, _password: string): Promise<void> {
    throw new DaytonaNotImplementedError("credentials are not kept in a sandbox", { hint: "give them with each clone, pull and push" });
  }
}
