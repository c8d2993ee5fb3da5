// The page of `belljar serve --ui`: sandboxes with what they use, a terminal, files and the network's log.
// Whatever a sandbox says is shown as text, and never as a part of the page.
import { Terminal } from "./xterm.mjs";
import { FitAddon } from "./fit.mjs";

const $ = (selector) => document.querySelector(selector);
const PAUSE = 1500; // milliseconds between two looks
let token = location.hash.slice(1) || sessionStorage.getItem("belljar-token") || "";
let chosen = null; // the sandbox that is shown
let tab = "terminal";
let screen = null; // its terminal
const before = new Map(); // CPU time at the last look, by sandbox

// Not to stay in the address, from where it goes into the history.
if (location.hash) history.replaceState(null, "", location.pathname);

async function call(method, params = {}) {
  const answer = await fetch("call", {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ method, params }),
  });
  const told = await answer.json().catch(() => ({ message: `the server answered ${answer.status}` }));
  if (answer.ok) return told;
  const error = new Error(told.message ?? `the server answered ${answer.status}`);
  error.status = answer.status;
  throw error;
}

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const text = (name) => (typeof name === "string" ? name : (name?.text ?? JSON.stringify(name)));

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) (bytes /= 1024), at++;
  return `${at && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

function wrong(error) {
  $("#wrong").textContent = error ? error.message : "";
  $("#wrong").hidden = !error;
}

// What it has used since the last look, as a part of one CPU.
function rate(id, stats) {
  const now = performance.now();
  const last = before.get(id);
  before.set(id, { now, cpu: stats.cpu_ms });
  return last && now > last.now ? Math.max(0, (stats.cpu_ms - last.cpu) / (now - last.now)) : null;
}

function row(sandbox, stats) {
  const used = stats ? rate(sandbox.id, stats) : null;
  const cells = [
    make("td", { textContent: sandbox.name, title: sandbox.id }),
    make("td", { textContent: (sandbox.image ?? "").split("@")[0], title: sandbox.image ?? "" }),
    make("td", { textContent: sandbox.state, className: sandbox.state, title: sandbox.error ?? "" }),
    make("td", { textContent: used === null ? "" : `${Math.round(used * 100)} %`, className: "number cpu" }),
    make("td", { className: "number memory" }),
    make("td", { textContent: stats ? `${stats.pids}` : "", className: "number" }),
  ];
  if (stats) {
    const [value, max] = [stats.memory_bytes, stats.memory_limit_bytes];
    cells[4].append(size(value), make("meter", { value, max, high: max * 0.9, title: `of ${size(max)}` }));
  }
  const line = make("tr", { tabIndex: 0 }, ...cells);
  line.setAttribute("aria-selected", sandbox.id === chosen?.id);
  line.dataset.id = sandbox.id;
  line.onclick = () => choose(sandbox);
  line.onkeydown = (event) => event.key === "Enter" && choose(sandbox);
  return line;
}

async function look() {
  const { sandboxes } = await call("ls");
  const stats = await Promise.all(
    sandboxes.map((one) => (one.state === "running" ? call("stats", { name: one.id }).catch(() => null) : null)),
  );
  const focus = document.activeElement?.closest("#list tr")?.dataset.id;
  $("#list tbody").replaceChildren(...sandboxes.map((one, at) => row(one, stats[at])));
  if (focus) document.querySelector(`#list tr[data-id="${CSS.escape(focus)}"]`)?.focus();
  $("#none").hidden = sandboxes.length > 0;
  const running = sandboxes.filter((one) => one.state === "running").length;
  $("#state").textContent = `${sandboxes.length} sandbox${sandboxes.length === 1 ? "" : "es"}, ${running} running`;
  if (chosen) {
    const now = sandboxes.find((one) => one.id === chosen.id);
    if (!now) return choose(null);
    const changed = now.state !== chosen.state;
    chosen = now;
    if (changed) show(tab);
  }
}

async function watch() {
  for (;;) {
    try {
      if (!document.hidden) {
        await look();
        if (tab === "network" && chosen) await network();
      }
    } catch (error) {
      if (error.status === 401) return enter("This token is not the server's.");
      $("#state").textContent = `No answer: ${error.message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

function choose(sandbox) {
  if (sandbox?.id === chosen?.id) return;
  leave();
  chosen = sandbox;
  $("#one").hidden = !sandbox;
  for (const line of document.querySelectorAll("#list tr[data-id]"))
    line.setAttribute("aria-selected", line.dataset.id === sandbox?.id);
  if (sandbox) {
    $("#one h2").textContent = sandbox.name;
    show("terminal");
  }
}

function show(name) {
  tab = name;
  wrong(null);
  for (const element of document.querySelectorAll(".tab")) element.hidden = element.id !== name;
  for (const button of document.querySelectorAll("[data-tab]"))
    button.setAttribute("aria-pressed", button.dataset.tab === name);
  const runs = chosen.state === "running";
  $("[data-act=start]").disabled = runs;
  $("[data-act=stop]").disabled = !runs;
  if (name !== "terminal") leave();
  if (name === "about") $("#about").textContent = JSON.stringify(chosen, null, 2);
  else if (!runs) wrong(new Error("It does not run."));
  else if (name === "terminal") terminal();
  else if (name === "files") list(".").catch(wrong);
  else network().catch(wrong);
}

function leave() {
  if (!screen) return;
  const { term, socket, sizes, sandbox, id } = screen;
  screen = null;
  sizes.disconnect();
  socket.close();
  term.dispose();
  // A terminal that nobody looks at would stay.
  call("session.rm", { sandbox, id }).catch(() => {});
}

function terminal() {
  if (screen) return;
  const id = `page-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  const sandbox = chosen.id;
  const term = new Terminal({ cursorBlink: true, fontSize: 13, scrollback: 5000 });
  const fit = new FitAddon();
  term.loadAddon(fit);
  $("#terminal").replaceChildren();
  term.open($("#terminal"));
  fit.fit();
  const address = new URL(`terminal/${encodeURIComponent(sandbox)}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.search = new URLSearchParams({ id, cols: term.cols, rows: term.rows });
  // Pages cannot set headers here.
  const socket = new WebSocket(address, ["X-Daytona-Pty-Exit-Control", `belljar-token.${token}`]);
  socket.binaryType = "arraybuffer";
  const sizes = new ResizeObserver(() => fit.fit());
  sizes.observe($("#terminal"));
  screen = { term, socket, sizes, sandbox, id };
  const bytes = new TextEncoder();
  term.onData((data) => socket.readyState === WebSocket.OPEN && socket.send(bytes.encode(data)));
  term.onResize(({ cols, rows }) => call("pty.resize", { sandbox, id, columns: cols, rows }).catch(() => {}));
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return term.write(new Uint8Array(data));
    const told = JSON.parse(data);
    if (told.status === "exited") term.write(`\r\n[it has ended with ${told.exitCode}]\r\n`);
    if (told.status === "error") wrong(new Error(told.error));
  };
  socket.onerror = () => screen?.id === id && wrong(new Error("The terminal could not be opened."));
  term.focus();
}

async function list(path) {
  const sandbox = chosen.id;
  const { entries } = await call("fs.ls", { sandbox, path });
  if (chosen?.id !== sandbox) return;
  entries.sort((one, other) => (other.kind === "directory") - (one.kind === "directory") || text(one.name).localeCompare(text(other.name)));
  const up = path === "/" ? [] : [make("tr", {}, make("td", {}, open("..", () => list(`${path}/..`))), make("td"), make("td"))];
  const rows = entries.map((entry) =>
    make(
      "tr",
      {},
      make("td", {}, entry.kind === "directory" ? open(`${text(entry.name)}/`, () => list(text(entry.path))) : entry.kind === "file" ? open(text(entry.name), () => file(path, entry)) : text(entry.name)),
      make("td", { className: "number", textContent: entry.kind === "file" ? size(entry.size) : entry.kind }),
      make("td", { textContent: `${entry.mode}  ${entry.modified.replace("T", " ").slice(0, 19)}` }),
    ),
  );
  $("#files").replaceChildren(make("p", { textContent: path }), make("table", {}, make("tbody", {}, ...up, ...rows)));
}

function open(label, act) {
  return make("button", { textContent: label, onclick: () => act().then(() => wrong(null), wrong) });
}

async function file(path, entry) {
  const { content, encoding } = await call("fs.cat", { sandbox: chosen.id, path: text(entry.path), length: 16 << 20 });
  const bytes = encoding === "base64" ? Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)) : new TextEncoder().encode(content);
  const link = make("a", { textContent: "Download", download: text(entry.name), href: URL.createObjectURL(new Blob([bytes])) });
  const head = make("p", {}, open("Back", () => list(path)), ` ${text(entry.path)} (${size(entry.size)}) `, link);
  if (entry.size > bytes.length) link.replaceWith("larger than what is shown here: `belljar cp` copies it");
  const shown = encoding === "base64" ? "[no text]" : content.length > 200000 ? `${content.slice(0, 200000)}\n[and more]` : content;
  $("#files").replaceChildren(head, make("pre", { textContent: shown }));
}

async function network() {
  const sandbox = chosen.id;
  const rule = `${chosen.net}${chosen.allow?.length ? `: ${chosen.allow.join(", ")}` : ""}`;
  const head = make("p", { textContent: `It may reach: ${rule}` });
  const { events } = chosen.net === "none" || chosen.net === "host" ? { events: [] } : await call("net.log", { name: sandbox });
  if (chosen?.id !== sandbox || tab !== "network") return;
  const rows = events.slice(-500).reverse().map((event) =>
    make(
      "tr",
      { className: event.event === "refused" ? "refused" : "" },
      ...[
        new Date(event.at).toLocaleTimeString(),
        event.event,
        [event.protocol, event.name, event.address, event.port].filter(Boolean).join(" "),
        event.reason ?? event.hint ?? (event.sent === undefined ? "" : `${size(event.sent)} out, ${size(event.received ?? 0)} in`),
      ].map((textContent) => make("td", { textContent, title: textContent })),
    ),
  );
  const empty = rows.length ? [] : [make("p", { textContent: "Nothing has happened." })];
  $("#network").replaceChildren(head, ...empty, make("table", {}, make("tbody", {}, ...rows)));
}

function enter(why) {
  leave();
  sessionStorage.removeItem("belljar-token");
  $("main").hidden = true;
  $("#create").hidden = true;
  $("#enter").hidden = false;
  $("#state").textContent = why;
  $("#enter input").focus();
}

$("#enter").onsubmit = (event) => {
  event.preventDefault();
  token = new FormData(event.target).get("token").trim();
  begin();
};

$("#create").onsubmit = async (event) => {
  event.preventDefault();
  const { image, net, keep } = Object.fromEntries(new FormData(event.target));
  const button = $("#create button");
  button.disabled = true;
  try {
    const made = await call("create", { ...(image && { image }), net, keep: keep === "on" });
    await look();
    choose({ ...made, state: "running", net });
    await look();
  } catch (error) {
    $("#state").textContent = error.message;
  }
  button.disabled = false;
};

for (const button of document.querySelectorAll("[data-tab]")) button.onclick = () => show(button.dataset.tab);
for (const button of document.querySelectorAll("[data-act]"))
  button.onclick = async () => {
    const { act } = button.dataset;
    // What is not kept goes when it stops.
    const goes = act === "rm" || (act === "stop" && !chosen.keep);
    if (goes && !confirm(`${act === "rm" ? "Remove" : "Stop"} ${chosen.name}? All its files go${act === "rm" ? "" : ", since it is not kept"}.`)) return;
    leave();
    try {
      await call(act, { name: [chosen.id], ...(act === "rm" && { force: true }) });
      await look();
    } catch (error) {
      wrong(error);
    }
  };
addEventListener("pagehide", leave);

async function begin() {
  if (!token) return enter("");
  sessionStorage.setItem("belljar-token", token);
  $("#enter").hidden = true;
  $("main").hidden = false;
  $("#create").hidden = false;
  const names = call("image.ls").then(({ images }) => images.map((image) => make("option", { value: text(image.name) })));
  names.then((options) => $("#images").replaceChildren(...options)).catch(() => {});
  await watch();
}
begin();
