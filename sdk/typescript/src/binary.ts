// Which `belljar` does the work: the one that `BELLJAR` names; else the one that this package carries (`bin/belljar`); else the
// one in `PATH`.

import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const CARRIED = fileURLToPath(new URL("../bin/belljar", import.meta.url));

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The script of this package's own is no binary, and would ask here again. */
function isBinary(path: string): boolean {
  const bytes = Buffer.alloc(4);
  const file = openSync(path, "r");
  try {
    readSync(file, bytes, 0, 4, 0);
  } finally {
    closeSync(file);
  }
  return bytes.equals(Buffer.from("\x7fELF", "latin1"));
}

const inPath = (name: string): string | undefined =>
  (name.includes("/") ? [name] : (process.env.PATH ?? "").split(delimiter).map((place) => join(place, name))).find(isProgram);

/** The path of the binary; an error, with what to do, where there is none. */
export function find(): string {
  const named = process.env.BELLJAR;
  if (named) {
    const found = inPath(named);
    if (!found) throw new Error(`BELLJAR: \`${named}\` is no program; name the binary, or unset the variable`);
    return found;
  }
  if (isProgram(CARRIED)) return CARRIED;
  const found = inPath("belljar");
  if (!found || !isBinary(found)) {
    throw new Error(
      "belljar: the binary is not there: install a package that carries it (`make npm`), put `belljar` into PATH, or name it by BELLJAR",
    );
  }
  return found;
}
