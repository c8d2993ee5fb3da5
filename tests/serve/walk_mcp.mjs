// Walks the tools of belljar with npm's official client: `walk_mcp.mjs local|remote`, `ok` at the end.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const from = (path) => import(pathToFileURL(`${process.env.CLIENT}/node_modules/@modelcontextprotocol/sdk/dist/esm/client/${path}.js`));
const { Client } = await from("index");
const { StdioClientTransport } = await from("stdio");
const { StreamableHTTPClientTransport } = await from("streamableHttp");

const parts = {
  local: () => new StdioClientTransport({ command: process.env.BELLJAR, args: ["mcp"], env: process.env }),
  remote: () =>
    new StreamableHTTPClientTransport(new URL(`${process.env.URL}/mcp`), {
      requestInit: { headers: { Authorization: `Bearer ${process.env.TOKEN}` } },
    }),
};

const client = new Client({ name: "walk", version: "1" });
await client.connect(parts[process.argv[2]]());
const call = async (name, args, isError = false) => {
  const told = await client.callTool({ name, arguments: args });
  assert.equal(Boolean(told.isError), isError, JSON.stringify(told));
  return told.content.map((block) => block.text ?? block.mimeType).join("\n");
};
assert.equal(client.getServerVersion().name, "belljar");
assert.ok((await client.listTools()).tools.some((tool) => tool.name === "run_code"));
const { sandbox } = JSON.parse(await call("create_sandbox", {}));
assert.equal(await call("run_code", { code: "6 * 7", sandbox }), "42");
assert.equal(await call("run_code", { code: "const x = 6; x * 7", language: "javascript", sandbox }), "42");
assert.equal(await call("run_command", { command: "echo here; exit 2", sandbox }), "here\n\n[exit code 2]");
await call("write_file", { path: "a/b.txt", content: "text", sandbox });
assert.equal(await call("read_file", { path: "a/b.txt", sandbox }), "text");
assert.match(await call("read_file", { path: "none", sandbox }, true), /no such/i);
await call("remove_sandbox", { sandbox });
await client.close();
console.log("ok");
