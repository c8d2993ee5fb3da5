// Writes src/methods.ts from docs/rpc.json, which `belljar schema rpc` prints too, and src/shown.ts from the code that takes
// charts out of figures, which `belljar serve` has too.
//
//     node sdk/typescript/generate.mjs            writes them
//     node sdk/typescript/generate.mjs --check    says whether they are up to date
//
// Every method becomes a method of a class, nouns become properties (`client.fs.ls`), every object an interface.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

const here = (path) => new URL(path, import.meta.url);
const document = JSON.parse(readFileSync(here("../../docs/rpc.json"), "utf8"));
const SIMPLE = { string: "string", integer: "number", number: "number", boolean: "boolean", null: "null" };

const said = (text, indent) => (text ? [`${indent}/** ${text.split(/\s+/).join(" ").replaceAll("*/", "* /")} */`] : []);

/** The type of a schema. */
function of(schema) {
  if (schema === true || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  for (const several of ["anyOf", "oneOf"]) {
    if (schema[several]) return [...new Set(schema[several].map(of))].join(" | ");
  }
  if (schema.allOf) return of(schema.allOf[0]);
  if (Array.isArray(schema.type)) return [...new Set(schema.type.map((type) => of({ ...schema, type })))].join(" | ");
  if (schema.type === "array") return `Array<${of(schema.items ?? {})}>`;
  if (schema.type === "object" && schema.properties) {
    const required = new Set(schema.required ?? []);
    const keys = Object.entries(schema.properties).map(([key, value]) => `${key}${required.has(key) ? "" : "?"}: ${of(value)}`);
    return `{ ${keys.join("; ")} }`;
  }
  if (schema.type === "object") return `Record<string, ${of(schema.additionalProperties ?? {})}>`;
  return SIMPLE[schema.type] ?? "unknown";
}

function declaration(name, schema) {
  // The client gives bytes their form in JSON.
  if (name === "Word") return [`export type Word = Uint8Array | ${of(schema)};`];
  if (schema.type !== "object" || !schema.properties) return [...said(schema.description, ""), `export type ${name} = ${of(schema)};`];
  const required = new Set(schema.required ?? []);
  const lines = [...said(schema.description, ""), `export interface ${name} {`];
  for (const [key, value] of Object.entries(schema.properties)) {
    lines.push(...said(value.description, "  "), `  ${key}${required.has(key) ? "" : "?"}: ${of(value)};`);
  }
  return [...lines, "}"];
}

function method(one) {
  const verb = one.name.split(".").pop();
  const parameters = one.params.filter((parameter) => parameter.name !== "stream");
  const keys = parameters.map((parameter) => {
    const type = parameter.name === "input" ? "Word" : of(parameter.schema);
    return `${parameter.name}${parameter.required ? "" : "?"}: ${type}`;
  });
  const needed = parameters.some((parameter) => parameter.required);
  const given = keys.length ? `given: { ${keys.join("; ")} }${needed ? "" : " = {}"}, ` : "";
  return [
    ...said(one.summary, "  "),
    `  ${verb}(${given}onOutput?: OnOutput): Promise<${of(one.result.schema)}> {`,
    `    return this.call("${one.name}", ${keys.length ? "given" : "{}"}, onOutput) as Promise<${of(one.result.schema)}>;`,
    "  }",
    "",
  ];
}

const nouns = {};
for (const one of document.methods.filter((one) => !["cancel", "input"].includes(one.name))) {
  const noun = one.name.includes(".") ? one.name.split(".")[0] : "";
  (nouns[noun] ??= []).push(...method(one));
}
const capital = (noun) => noun[0].toUpperCase() + noun.slice(1);
const own = Object.keys(nouns).filter(Boolean).sort();
const begin = ["  protected readonly call: Ask;", "", "  constructor(call: Ask) {", "    this.call = call;"];
const lines = [
  "// The methods of `belljar rpc`, typed. Written by generate.mjs from docs/rpc.json: do not edit.",
  "",
  "/** What a command prints, as it comes. */",
  'export type OnOutput = (stream: "stdout" | "stderr", data: Buffer) => void;',
  "",
  "/** How a method is asked for. */",
  "export type Ask = (method: string, given: object, onOutput?: OnOutput) => Promise<unknown>;",
  "",
];
for (const [name, schema] of Object.entries(document.components.schemas)) lines.push(...declaration(name, schema), "");
for (const noun of own) {
  lines.push(`/** \`belljar ${noun}\`. */`, `export class ${capital(noun)}Methods {`, ...begin, "  }", "", ...nouns[noun]);
  lines.splice(-1, 1, "}", "");
}
lines.push("/** Every verb of belljar. */", "export class Methods {", ...own.map((noun) => `  readonly ${noun}: ${capital(noun)}Methods;`), ...begin);
lines.push(...own.map((noun) => `    this.${noun} = new ${capital(noun)}Methods(call);`), "  }", "", ...nouns[""]);
lines.splice(-1, 1, "}");

const parts = ["../../src/serve/figures.py", "../../src/serve/daytona/charts.py"];
const code = parts.map((part) => readFileSync(here(part), "utf8")).join("");
const shown = `// Code that runs before code that shows charts. Written by generate.mjs: do not edit.\n\nexport const SHOWN = ${JSON.stringify(code)};\n`;
for (const [target, text] of [["src/methods.ts", `${lines.join("\n")}\n`], ["src/shown.ts", shown]]) {
  if (!process.argv.includes("--check")) writeFileSync(here(target), text);
  else if (!existsSync(here(target)) || readFileSync(here(target), "utf8") !== text) {
    console.error(`${target} is out of date: run \`node sdk/typescript/generate.mjs\``);
    process.exitCode = 1;
  }
}
