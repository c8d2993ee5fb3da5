// Language servers in a sandbox. Positions begin at 0, and are counted as the protocol counts them, in units of UTF-16.

import { bytesOf, type Link, type Told } from "./link.js";
import type { Sandbox } from "./sandbox.js";

/** In the order of the protocol's numbers, from 1. */
const COMPLETIONS = (
  "text method function constructor field variable class interface module property unit value enum keyword snippet color file " +
  "reference folder enum_member constant struct event operator type_parameter"
).split(" ");
const SYMBOLS = (
  "file module namespace package class method property field constructor enum interface function variable constant string number " +
  "boolean array object key null enum_member struct event operator type_parameter"
).split(" ");

/** Languages that Daytona names. belljar knows more: `belljar lsp start --help`. */
export enum LspLanguageId {
  PYTHON = "python",
  TYPESCRIPT = "typescript",
  JAVASCRIPT = "javascript",
}

/** A place in a file. */
export interface Position {
  line: number;
  character: number;
}

/** Something that code defines. `kind` is the protocol's number. */
export interface LspSymbol {
  name: string;
  kind: number;
  location: { uri: string; range: { start: Position; end: Position } };
}

/** Something that could stand at a place. */
export interface CompletionItem {
  label: string;
  kind?: number;
  detail?: string;
  documentation?: string;
  insertText: string;
}

const numberOf = (kinds: string[], kind: string): number | undefined => (kinds.includes(kind) ? kinds.indexOf(kind) + 1 : undefined);

function symbolOf(told: Told): LspSymbol {
  const place = (one: Told): Position => ({ line: one.line - 1, character: one.column - 1 });
  const range = { start: place(told.range.start), end: place(told.range.end) };
  // One of a kind that the protocol has no number for is shown as a variable.
  return { name: told.name, kind: numberOf(SYMBOLS, told.kind) ?? 13, location: { uri: `file://${bytesOf(told.path)}`, range } };
}

/** A language server for a project. */
export class LspServer {
  constructor(
    private readonly sandbox: Sandbox,
    private readonly link: Link,
    private readonly language: string,
    private readonly project: string,
  ) {}

  #ask(method: string, given: object = {}): Promise<Told> {
    return this.link.ask(`lsp.${method}`, { sandbox: this.sandbox.id, language: this.language, project: this.project, ...given });
  }

  #of(method: string, path: string, given: object = {}): Promise<Told> {
    return this.#ask(method, { file: path.replace(/^file:\/\//, ""), utf16: true, ...given });
  }

  /** Starts it, where it does not run yet. */
  async start(): Promise<void> {
    await this.#ask("start");
  }

  async stop(): Promise<void> {
    await this.#ask("stop");
  }

  async didOpen(path: string): Promise<void> {
    await this.#of("open", path);
  }

  async didClose(path: string): Promise<void> {
    await this.#of("close", path);
  }

  async documentSymbols(path: string): Promise<LspSymbol[]> {
    return (await this.#of("symbols", path)).symbols.map(symbolOf);
  }

  /** What the project defines whose name is like the query. */
  async sandboxSymbols(query: string): Promise<LspSymbol[]> {
    return (await this.#ask("find", { query, utf16: true })).symbols.map(symbolOf);
  }

  async completions(path: string, position: Position): Promise<{ isIncomplete: boolean; items: CompletionItem[] }> {
    const told = await this.#of("completions", path, { line: position.line + 1, column: position.character + 1 });
    const items = told.items.map((one: Told) => ({
      label: one.label, kind: numberOf(COMPLETIONS, one.kind), detail: one.detail ?? undefined, documentation: one.documentation ?? undefined,
      insertText: one.insert,
    }));
    return { isIncomplete: told.incomplete, items };
  }
}
