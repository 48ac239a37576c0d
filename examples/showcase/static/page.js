// The page's own script: no library, no build step. Each experiment is one block.

const $ = (id) => document.getElementById(id);
const bytes = (n) => n >= 1048576 ? `${(n / 1048576).toFixed(1)} MiB` : n >= 1024 ? `${Math.round(n / 1024)} KiB` : `${n} B`;
const json = async (path) => (await fetch(path, { cache: "no-store" })).json();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function make(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function draw(parent, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function say(id, ...parts) {
  $(id).replaceChildren(...parts.map((part) => typeof part === "string" ? part : make("b", part[0], part[1])));
}

function on(id, action) {
  const button = $(id);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try { await action(); } finally { button.disabled = false; }
  });
}

// --- the process, and whether it is stopping ---------------------------------------------------

async function showProcess() {
  const facts = await json("/api/process");
  const whole = Math.floor(facts.seconds);
  const up = whole < 120 ? `${whole} s` : whole < 7200 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 3600)} h`;
  const shown = {
    requests: facts.requests.toLocaleString("en"), seconds: up, memory: facts.memory ? bytes(facts.memory) : "not known",
    left: facts.left, process: `pid ${facts.pid} · Python ${facts.python} · ${facts.loop}`,
  };
  for (const [name, value] of Object.entries(shown)) document.querySelector(`[data-fact=${name}]`).textContent = value;
}

function pulse(state, text) {
  $("pulse").className = `pulse ${state}`;
  $("pulse").firstElementChild.textContent = text;
}

async function watch() {
  for (;;) {
    try {
      const answer = await json("/api/drain"); // answers when the server begins to stop
      if (answer.draining) { pulse("drain", "stopping"); await pause(1500); continue; }
      pulse("on", "serving");
      if (!answer.known) await pause(5000);
    } catch { pulse("off", "gone"); await pause(1500); }
  }
}

async function tick() {
  for (;;) {
    try {
      await showProcess();
      if (!$("pulse").matches(".drain")) pulse("on", "serving");
    } catch { pulse("off", "gone"); }
    await pause(2000);
  }
}

// --- the request -------------------------------------------------------------------------------

const ORDER = ["type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "client", "server", "headers"];

function valueOf(value) {
  if (typeof value === "string") return make("span", value === "" ? '""' : value, "str");
  if (typeof value === "number") return make("span", String(value), "num");
  if (Array.isArray(value)) return make("span", value.join(" : "), "str");
  return make("span", value && typeof value === "object" ? JSON.stringify(value) : String(value), "obj");
}

function showScope(scope) {
  const rows = [];
  const add = (name, value, kind) => {
    const row = make("tr");
    const cell = make("td");
    cell.append(valueOf(value));
    row.append(make("td", name, kind), cell);
    rows.push(row);
  };
  const names = [...ORDER, ...Object.keys(scope).filter((name) => !ORDER.includes(name))];
  for (const name of names.filter((name) => name in scope)) {
    if (name !== "headers" && name !== "extensions") { add(name, scope[name]); continue; }
    const inner = name === "headers" ? scope.headers : Object.entries(scope.extensions);
    add(name, `${inner.length} ${name === "headers" ? "fields" : "offered"}`);
    for (const [key, value] of inner) add(key, value, "sub");
  }
  $("scope").tBodies[0].replaceChildren(...rows);
}

const OFFERS = ["fullflush", "http.response.early_hint", "http.response.pathsend", "http.response.trailers", "http.response.zerocopysend", "pagi.connection", "pagi.transport"];

async function firstLook() {
  const scope = await json("/api/scope");
  showScope(scope);
  const [host, port] = scope.client ?? ["neighbour", null];
  $("peer").replaceChildren(host, port ? make("small", ` port ${port}`) : "");
  $("offers").replaceChildren(...OFFERS.map((name) => make("span", name, name in scope || name in (scope.extensions ?? {}) ? "" : "no")));
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { method, path } = event.target.elements;
  const wanted = path.value.startsWith("/api/scope") ? path.value : `/api/scope${path.value.startsWith("/") ? "" : "/"}${path.value}`;
  showScope(await (await fetch(wanted, { method: method.value, cache: "no-store" })).json());
});

// --- a response in pieces ----------------------------------------------------------------------

$("gap").addEventListener("input", () => { $("gap-out").textContent = `${$("gap").value} ms`; });

function lanes(span) {
  const svg = $("lanes"), pieces = [];
  const redraw = () => {
    const x = (ms) => 84 + (ms / span) * 502;
    svg.replaceChildren();
    for (const [y, text, kind] of [[40, "sent", "t-sent"], [130, "received", "t-got"]]) {
      draw(svg, "line", { x1: 84, x2: 590, y1: y, y2: y, class: "axis" });
      draw(svg, "text", { x: 0, y: y + 4, class: kind }, text);
    }
    for (let part = 0; part <= 4; part += 1) {
      draw(svg, "text", { x: x((span * part) / 4), y: 164, "text-anchor": part === 4 ? "end" : "middle" }, `${Math.round((span * part) / 4)} ms`);
    }
    for (const [sent, got] of pieces) {
      draw(svg, "line", { x1: x(sent), x2: x(got), y1: 40, y2: 130, class: "hair" });
      draw(svg, "circle", { cx: x(sent), cy: 40, r: 4, class: "sent" });
      draw(svg, "circle", { cx: x(got), cy: 130, r: 4, class: "got" });
    }
  };
  redraw();
  return (sent, got) => {
    pieces.push([sent, got]);
    span = Math.max(span, sent, got);
    redraw();
  };
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

async function runStream(count = 40) {
  const gap = Number($("gap").value);
  const mark = lanes(Math.max(60, count * (gap + 1.6)));
  const response = await fetch(`/api/stream?count=${count}&gap=${gap}`);
  const begun = performance.now();
  let latest = 0, worst = 0, first = null;
  for await (const piece of lines(response)) {
    const got = performance.now() - begun;
    first ??= got - piece.at;
    mark(piece.at, got);
    worst = Math.max(worst, got - piece.at - first);
    latest = piece.index + 1;
    say("stream-says", `${latest} of ${piece.of} pieces`);
  }
  say("stream-says", [`${latest} pieces`], `, the slowest ${worst.toFixed(1)} ms behind the first`);
}

on("stream-go", () => runStream());

// --- an upload ---------------------------------------------------------------------------------

function send(body, progress) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    request.addEventListener("load", () => request.status === 200 ? done(JSON.parse(request.responseText)) : failed(new Error(`${request.status} ${request.statusText}`)));
    request.addEventListener("error", () => failed(new Error("the connection was closed")));
    request.open("POST", "/api/upload");
    request.send(body);
  });
}

function plotMemory({ size, memory }) {
  const svg = $("memory");
  svg.replaceChildren();
  if (!size) draw(svg, "text", { x: 300, y: 60, "text-anchor": "middle" }, "Nothing sent yet.");
  const top = Math.max(size, ...memory.map(([, used]) => used)) * 1.08;
  const x = (at) => 4 + (at / Math.max(size, 1)) * 560, y = (value) => 112 - (value / top) * 100;
  const path = (points) => points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  draw(svg, "line", { x1: 4, x2: 564, y1: 112, y2: 112, class: "axis" });
  if (!size) return;
  draw(svg, "path", { d: path(memory.map(([at]) => [at, at])), class: "rise" });
  draw(svg, "text", { x: 300, y: y(size / 2) - 10, class: "t-sent", "text-anchor": "end" }, `received ${bytes(size)}`);
  if (!memory[0][1]) return;
  draw(svg, "path", { d: path(memory), class: "flat" });
  draw(svg, "text", { x: 560, y: y(memory.at(-1)[1]) + 16, class: "t-got", "text-anchor": "end" }, `memory ${bytes(memory.at(-1)[1])}`);
}

async function runUpload(body) {
  say("upload-says", "sending");
  try {
    const report = await send(body, (part) => { $("upload-bar").style.width = `${part * 100}%`; });
    plotMemory(report);
    const used = report.memory.map(([, value]) => value);
    say("upload-says", [bytes(report.size)], ` in ${report.seconds.toFixed(2)} s, ${bytes(report.size / Math.max(report.seconds, 1e-3))}/s. Memory rose by `,
      [bytes(Math.max(0, Math.max(...used) - used[0]))], `. SHA-256 ${report.sha256.slice(0, 16)}…`);
  } catch (error) { say("upload-says", "Refused: ", [error.message, "bad"]); }
}

on("upload-go", () => runUpload(new Blob(Array(64).fill(new Uint8Array(1048576)))));
$("file").addEventListener("change", (event) => event.target.files[0] && runUpload(event.target.files[0]));

// --- ranges ------------------------------------------------------------------------------------

function showPieces(count) {
  $("pieces").replaceChildren(...Array.from({ length: count }, (_, index) => make("li", String(index + 1))));
  return [...$("pieces").children];
}

async function runRanges(count = 8) {
  const cells = showPieces(count);
  const head = await fetch("/api/sample", { method: "HEAD" });
  const size = Number(head.headers.get("content-length"));
  const whole = new Uint8Array(size);
  const order = cells.map((_, index) => index).sort(() => Math.random() - 0.5);
  let turn = 0;
  for (const index of order) {
    const first = Math.floor((size * index) / count), last = Math.floor((size * (index + 1)) / count) - 1;
    cells[index].classList.add("asked");
    const response = await fetch("/api/sample", { headers: { Range: `bytes=${first}-${last}` } });
    whole.set(new Uint8Array(await response.arrayBuffer()), first);
    turn += 1;
    cells[index].replaceChildren(`no. ${turn}`, make("br"), String(response.status));
    cells[index].classList.add("here");
    await pause(60);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  const ours = `sha-256=:${btoa(String.fromCharCode(...digest))}:`;
  const same = ours === head.headers.get("repr-digest");
  say("ranges-says", bytes(size), " put together. The digest ", [same ? "agrees" : "differs", same ? "" : "bad"], `: ${ours.slice(9, 25)}…`);
}

on("ranges-go", () => runRanges());

// --- a slow reader -----------------------------------------------------------------------------

let flowing = null;

async function read(run) {
  const response = await fetch(`/api/flood/${run.name}`, { signal: run.abort.signal });
  const reader = response.body.getReader();
  for (;;) {
    while (run.held) await pause(50);
    const { done, value } = await reader.read();
    if (done) return;
    run.read += value.length;
  }
}

function showFlow(run, seen) {
  const facts = { "sent": bytes(seen.sent), "read here": bytes(run.read), "buffered": seen.buffered === undefined ? "not told" : bytes(seen.buffered),
    "times full": seen.waits, "memory": seen.memory ? bytes(seen.memory) : "-" };
  $("flow-facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", name), make("dd", String(value)));
    return pair;
  }));
  if (seen.high === undefined) return;
  const share = (value) => `${Math.min(100, (value / (seen.high * 1.5)) * 100)}%`;
  $("tank-fill").style.width = share(seen.buffered);
  for (const [id, value] of [["tank-high", seen.high], ["tank-low", seen.low]]) { $(id).style.left = share(value); $(id).className = "set"; }
  say("flow-says", run.held ? "You do not read. " : "You read. ", [seen.buffered >= seen.high ? "send waits" : "send goes on"],
    `. Marks: ${bytes(seen.low)} and ${bytes(seen.high)}`);
}

async function poll(run) {
  while (flowing === run) {
    const seen = await json(`/api/flow/${run.name}`);
    if (seen) showFlow(run, seen);
    await pause(200);
  }
}

$("flow-go").addEventListener("click", () => {
  if (flowing) { flowing.abort.abort(); flowing = null; $("flow-go").textContent = "Start"; $("flow-hold").disabled = true; return; }
  flowing = { name: Math.random().toString(36).slice(2), abort: new AbortController(), held: false, read: 0 };
  $("flow-go").textContent = "End";
  $("flow-hold").disabled = false;
  $("flow-hold").textContent = "Stop reading";
  read(flowing).catch(() => {});
  poll(flowing).catch(() => {});
});
$("flow-hold").addEventListener("click", () => {
  flowing.held = !flowing.held;
  $("flow-hold").textContent = flowing.held ? "Read on" : "Stop reading";
});

// --- leave early -------------------------------------------------------------------------------

async function showEndings() {
  const endings = await json("/api/endings");
  const items = endings.map(({ name, reason, detail, after }) => {
    const item = make("li");
    item.append(make("span", `${after.toFixed(2)} s`), make("b", reason ?? "complete", reason ? "" : "ok"), make("i", detail ?? name));
    return item;
  });
  $("endings").replaceChildren(...(items.length ? items : [make("li", "No slow response has ended yet.", "none")]));
}

async function ask(name, stay) {
  const abort = new AbortController();
  const whole = fetch(`/api/slow/${name}`, { signal: abort.signal }).then((response) => response.text()).catch(() => {});
  await (stay ? whole : pause(700));
  abort.abort();
  await pause(300);
  await showEndings();
}

on("leave-go", () => ask("walked away", false));
on("stay-go", () => ask("stayed", true));

// --- on the wire -------------------------------------------------------------------------------

const MEANS = {
  "early-hints": "Before the answer is ready, 103 tells the browser what it will need. (Browsers use it over HTTP/2 only.)",
  "trailers": "The digest comes after the body: it was not known before.",
  "upload": "The trailer of the request arrives in the application with the last piece of the body.",
  "continue": "The client waits; 100 is sent when the application first reads, and not before.",
  "range": "HEAD has the fields of the 206 and no body.",
  "pipelined": "Two requests in one packet; two answers, in order.",
  "two-hosts": "Two Host fields are an attack or a mistake: 400, and the connection is closed.",
};

function showBytes([side, text]) {
  const block = make("div", undefined, side);
  block.append(make("span", side === "sent" ? "client" : "server", "who"));
  const kept = text.length > 2600 ? text.slice(0, 2600) : text;
  let head = true;
  for (const line of kept.split(/(?<=\n)/)) {
    const plain = line.replace(/\r?\n$/, "");
    const start = /^(HTTP\/1\.[01] \d|[A-Z]+ \S+ HTTP\/1\.[01]$)/.test(plain);
    head = start || (head && plain !== "");
    block.append(make("span", plain, start ? "start" : ""));
    if (line.endsWith("\r\n")) block.append(make("span", "\\r\\n", "eol"));
    if (line.endsWith("\n")) block.append("\n");
  }
  if (kept !== text) block.append(make("span", `\n… and ${bytes(text.length - kept.length)} more`, "more"));
  return block;
}

let wiresAsked = 0;

async function showWire(name) {
  const asked = ++wiresAsked;
  for (const button of $("wire-tabs").children) button.setAttribute("aria-pressed", String(button.dataset.wire === name));
  const response = await fetch(`/api/wire/${name}`);
  const spoken = response.ok ? await response.json() : [];
  if (asked !== wiresAsked) return; // somebody has asked for another one since
  $("bytes").replaceChildren(...(spoken.length ? spoken.map(showBytes) : [make("p", "Not on this connection: it is encrypted, or has no address.")]));
  $("bytes").scrollTop = 0;
  say("wire-says", MEANS[name]);
}

$("wire-tabs").addEventListener("click", (event) => event.target.dataset.wire && showWire(event.target.dataset.wire));

// --- the code of each experiment ---------------------------------------------------------------

function coloured(text) {
  const pattern = /("""[\s\S]*?"""|b?f?"(?:[^"\\\n]|\\.)*"|#.*)|\b(async|await|def|return|if|else|elif|for|in|while|not|and|or|is|None|True|False|try|finally|lambda|with|pass|break|del|raise|except|import|from)\b/g;
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(at, found.index), make("span", found[0], found[2] ? "k" : found[0].startsWith("#") ? "c" : "s"));
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

for (const panel of document.querySelectorAll("[data-source]")) {
  const button = make("button", "code", "peek");
  button.addEventListener("click", async () => {
    const text = await (await fetch(`/api/source/${panel.dataset.source}`)).text();
    $("code").querySelector("pre").replaceChildren(...coloured(text));
    $("code").showModal();
  });
  panel.append(button);
}

showPieces(8);
plotMemory({ size: 0, memory: [] });
showFlow({ read: 0 }, { sent: 0, buffered: 0, waits: 0 });
firstLook();
showEndings();
showWire("early-hints");
runStream();
tick();
watch();
