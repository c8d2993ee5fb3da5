#!/usr/bin/env node
// The command `belljar`: the binary, with what was given.

import { spawnSync } from "node:child_process";
import { constants } from "node:os";
import { find } from "./binary.js";

try {
  const told = spawnSync(find(), process.argv.slice(2), { stdio: "inherit" });
  if (told.error) throw told.error;
  process.exitCode = told.status ?? 128 + (told.signal ? constants.signals[told.signal] : 0);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 125;
}
