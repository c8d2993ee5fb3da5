// Walks the page of `belljar serve --ui` in Chromium: `walk_page.mjs ADDRESS`, `ok` at the end.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENT}/`);
const puppeteer = require("puppeteer-core");
const address = process.env.PAGE;
const here = new URL(address);
const key = here.hash.slice(1);

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  // A browser in a container has no namespaces of its own to put its pages into; what it loads here is ours.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  defaultViewport: { width: 1400, height: 800 },
});
const page = await browser.newPage();
const asked = [];
const said = [];
page.on("request", (request) => asked.push(request.url()));
page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => said.push(`error: ${error}`));
page.on("dialog", (dialog) => dialog.accept());

const shown = (selector) => page.$eval(selector, (element) => element.innerText);
const until = (what, act, ...more) =>
  page.waitForFunction(act, { timeout: 30000 }, ...more).catch(async (error) => {
    throw new Error(`${what}: ${error.message}\n${await page.evaluate(() => document.body.innerText)}\n${said.join("\n")}`);
  });

// Without the token it shows nothing, and a wrong one is refused.
await page.goto(`${here.origin}/ui`);
await page.waitForSelector("#enter:not([hidden])");
await page.type("#enter input", "wrong-token-of-nobody");
await page.click("#enter button");
await until("a wrong token", () => document.querySelector("#state").textContent.includes("not the server's"));

// The key comes with the address, and does not stay there.
await page.goto("about:blank");
await page.goto(address);
await until("the empty list", () => !document.querySelector("#none").hidden);
assert.equal(await page.evaluate(() => location.href), `${here.origin}/ui/`);

// A sandbox is made, shown with what it uses, and typed into.
await page.click("#create button");
await until("the new sandbox", () => document.querySelector("#list tbody tr .memory meter"));
await page.waitForSelector(".xterm-helper-textarea");
await page.click("#terminal");
const rows = () => page.$eval(".xterm-rows", (element) => element.textContent);
const types = async (line) => {
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
};
await until("a prompt", () => /[$#] ?/.test(document.querySelector(".xterm-rows").textContent));
await types("echo $((6 * 7))-$(stty size | tr ' ' x); mkdir dir; echo '<img src=x onerror=document.title=1>' > 'dir/<b>x'");
await until("the answer", () => /42-\d+x\d+/.test(document.querySelector(".xterm-rows").textContent));
const [, lines, columns] = /42-(\d+)x(\d+)/.exec(await rows());
assert.ok(Number(columns) > 80 && Number(lines) > 20, `${columns} columns, ${lines} lines`);
// Its size follows the window's.
await page.setViewport({ width: 1100, height: 600 });
await new Promise((resolve) => setTimeout(resolve, 500));
await types("clear; stty size | tr ' ' y");
await until("the new size", () => /\d+y\d+/.test(document.querySelector(".xterm-rows").textContent));
assert.ok(Number(/\d+y(\d+)/.exec(await rows())[1]) < Number(columns));
await types("timeout 8 sh -c 'while :; do :; done'");
await until("a busy CPU", () => parseInt(document.querySelector("#list .cpu").textContent) > 50);
await page.screenshot({ path: process.env.SHOT });

// Files, of any name, are text.
await page.click("[data-tab=files]");
await until("the directory", () => document.querySelector("#files").innerText.includes("dir/"));
const press = (label) =>
  page.evaluate((label) => [...document.querySelectorAll("#files button")].find((button) => button.textContent === label).click(), label);
await press("dir/");
await until("the file", () => document.querySelector("#files").innerText.includes("<b>x"));
await press("<b>x");
await until("what is in it", () => document.querySelector("#files pre")?.textContent.includes("<img src=x"));
assert.equal(await page.title(), "belljar");
assert.equal(await page.evaluate(() => document.querySelector("#files a").download), "<b>x");

await page.click("[data-tab=network]");
await until("the network", () => document.querySelector("#network").innerText.includes("It may reach: none"));
await page.click("[data-tab=about]");
assert.equal(JSON.parse(await shown("#about")).state, "running");

// The terminal that was left is gone.
const left = await page.evaluate(
  async (key) => {
    const call = (method, params) =>
      fetch("call", { method: "POST", headers: { Authorization: `Bearer ${key}` }, body: JSON.stringify({ method, params }) });
    const name = document.querySelector("#list tr[data-id]").dataset.id;
    const refused = [await call("session.ls", { sandbox: name }), await call("run", { command: ["true"] }), await call("cp", {})];
    return refused.map((answer) => answer.status);
  },
  key,
);
assert.deepEqual(left, [403, 403, 403]);

await page.click("[data-act=stop]");
await until("an empty list", () => !document.querySelector("#none").hidden && document.querySelector("#one").hidden);

const foreign = asked.filter((url) => !url.startsWith(here.origin) && !/^(data|blob|about):/.test(url));
assert.deepEqual(foreign, []);
// Puppeteer tells the whole address; what is behind `#` stays in the browser.
assert.ok(asked.every((url) => !url.split("#")[0].includes(key)), "the key went over the wire in an address");
const wrong = said.filter((line) => line.startsWith("error") && !line.includes("401") && !line.includes("403"));
assert.deepEqual(wrong, []);
await browser.close();
console.log("ok");
