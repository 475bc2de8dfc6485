"use strict";

// How long an answer, a signature and a relay are waited for, and how often the page looks again, in seconds.
const ANSWER = 30, SIGNATURE = 120, RELAY = 5, LOOK_RUNNING = 30, LOOK_WAITING = 10, LOOK_AT_MOST = 120, LEAVE = 5;
// Bytes of an answer, and characters of what a stranger says, that are read; requests that are remembered.
const LARGEST = 1 << 20, LONGEST = 200, REMEMBERED = 20;
const STAYS = "nest-stays";

const $ = (id) => document.getElementById(id);
const data = document.body.dataset;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// --- Words ---

const fill = (name, known = {}) =>
  WORDS[name].replace(/\{(\w+)\}/g, (mark, key) => ({ room: data.room, api: data.api, ...known })[key] ?? mark);

function node(tag, text = "", attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  say(made, text);
  return made;
}

/** Shows a text; what stands in backticks is code. */
function say(element, text) {
  const parts = text.split("`").map((part, at) => (at % 2 ? Object.assign(document.createElement("code"), { textContent: part }) : part));
  element.replaceChildren(...parts);
}

/** A stranger's words without secrets that they may repeat, and without characters that are not to be seen. */
const harmless = (text) =>
  String(text).replace(/Nostr\s+[\w+/=-]{20,}|eyJ[\w+/=.-]+/g, "***").replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim().slice(0, LONGEST);

const people = (n) => (n < 2 ? WORDS[`people${n}`] : fill("people", { n }));

function span(seconds) {
  const units = [[172800, 86400, "days"], [7200, 3600, "h"], [120, 60, "min"], [0, 1, "s"]];
  const [, length, unit] = units.find(([from]) => seconds >= from);
  return `${Math.round(seconds / length)} ${unit}`;
}

const when = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

// --- Requests, and the details of what happened ---

const requests = [];
/** When the page last looked. */
let looked = performance.now();
/** How far the clock here is ahead of the server's, in seconds; the server's is known to the second. */
let ahead = null;

async function ask(method, url, headers = {}) {
  const [begun, time] = [performance.now(), new Date().toISOString().slice(11, 19)];
  const note = (outcome) => {
    requests.push(`${time} ${method} ${new URL(url, location).pathname} ${outcome} · ${Math.round(performance.now() - begun)} ms`);
    if (requests.length > REMEMBERED) requests.shift();
    details();
  };
  try {
    const signal = AbortSignal.timeout(ANSWER * 1000);
    const answer = await fetch(url, { method, headers, signal, cache: "no-store", redirect: "manual" });
    const text = await read(answer);
    const date = Date.parse(answer.headers.get("date"));
    if (date) ahead = (Date.now() - date) / 1000 - 0.5;
    let json = {};
    try {
      json = JSON.parse(text) ?? {};
    } catch {
      // A page, or nothing.
    }
    const said = harmless(json.error ?? "");
    const status = answer.status || WORDS.redirect;
    note(`${status} ${said}`.trim());
    return { status, headers: answer.headers, text, json, said };
  } catch (error) {
    const said = error.name === "TimeoutError" ? fill("noAnswer", { seconds: ANSWER }) : harmless(error.message);
    note(said);
    throw new Error(said);
  }
}

async function read(answer) {
  if (!answer.body) return "";
  const [reader, decoder] = [answer.body.getReader(), new TextDecoder()];
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > LARGEST) {
      await reader.cancel();
      throw new Error(WORDS.tooLarge);
    }
  }
}

function details() {
  const off = Math.abs(ahead) < 2 ? "factClockRight" : "factClockIs";
  const clock = ahead === null ? "notKnown" : off;
  const known = { apart: span(Math.abs(ahead)), side: WORDS[ahead > 0 ? "ahead" : "behind"] };
  const list = document.createElement("ol");
  list.append(...requests.map((request) => node("li", request)));
  const told = document.createElement("dd");
  told.append(list);
  $("here").replaceChildren(
    node("dt", WORDS.factClock), node("dd", fill(clock, known)),
    node("dt", WORDS.factBrowser), node("dd", navigator.userAgent),
    node("dt", WORDS.factRequests), told,
  );
}

// --- How the nest is ---

/** The relays that this page may connect to, as its policy has it, and whether the host has named them or only the link. */
const { relays, source } = { ...data };
/** Its event on Nostr, if relays have it. */
let event = null;

/** Asks for this page again, and shows what has changed. An error: the server was not reached. */
async function look() {
  looked = performance.now();
  const answer = await ask("GET", location.pathname);
  const page = new DOMParser().parseFromString(answer.text, "text/html");
  if (answer.status !== 429) {
    if (!page.getElementById("state")) throw new Error(`status ${answer.status}`);
    // Without its store, the server does not know whose the nest is.
    if (page.body.dataset.host) Object.assign(data, page.body.dataset);
    Object.assign($("state").dataset, page.getElementById("state").dataset);
    for (const id of ["what", "why", "todo", "wait"]) now[id] = page.getElementById(id).textContent;
    for (const id of ["client", "app", "contact"]) {
      const [here, there] = [$(id), page.getElementById(id)];
      if (!there.hidden) [here.href, here.hidden] = [there.getAttribute("href"), false];
    }
    $("facts").replaceChildren(...page.getElementById("facts").childNodes);
    show();
  }
  return answer.headers;
}

/** What the server says of it, before the event is counted in. */
const now = Object.fromEntries(["what", "why", "todo", "wait"].map((id) => [id, $(id).textContent]));

function show() {
  const state = $("state").dataset.state;
  const told = { ...now };
  const status = event?.status;
  if (state !== "running" && (status === "closed" || status === "ended")) {
    Object.assign(told, said("over", { time: when(event.ends) }), { wait: "" });
  } else if (state !== "running" && status === "planned") {
    Object.assign(told, event.starts ? said("planned", { time: when(event.starts) }) : said("plannedSomeTime"));
  }
  for (const id in told) if ($(id).textContent !== told[id].replaceAll("`", "")) say($(id), told[id]);
  if (event?.title) $("title").textContent = event.title;
  if (event?.page) [$("client").href, $("client").hidden] = [event.page, false];
  document.title = `${told.what} · ${$("title").textContent}`;
  for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
  document.querySelector("header .restart").hidden = state === "noNest";
  $("restart-nest").hidden = !["inactive", "mediaDown", "unknown"].includes(state);
  $("stays").hidden = $("client").hidden;
  $("ask").closest("section").hidden = source !== "link" || !relays || event !== null || state === "noNest";
  say($("ask"), fill("ask", { relays: relays.split(" ").join(", ") }));
}

const said = (name, known) => ({
  what: fill(name, known), why: fill(`${name}.why`, known), todo: fill(`${name}.todo`, known),
});

// --- Looking again ---

let timer = null, pause = 0;

function again(seconds) {
  clearTimeout(timer);
  // Not all who wait at once.
  timer = setTimeout(tick, seconds * 1000 * (0.9 + 0.2 * Math.random()));
}

async function tick() {
  if (document.hidden || busy) return again(LOOK_WAITING);
  try {
    const before = $("state").dataset.state;
    const headers = await look();
    if ($("state").dataset.state !== before && source === "record") readEvent();
    const usual = $("state").dataset.state === "running" ? LOOK_RUNNING : LOOK_WAITING;
    const [limit, left] = ["limit", "remaining"].map((name) => Number(headers.get(`ratelimit-${name}`) ?? 1));
    const scarce = left * 4 < limit;
    const wait = Number(headers.get("retry-after") ?? 0) || (scarce ? Number(headers.get("ratelimit-reset")) : 0);
    pause = Math.max(usual, wait);
  } catch {
    say($("wait"), WORDS.offline);
    pause = Math.min(LOOK_AT_MOST, Math.max(LOOK_WAITING, pause * 2));
  }
  again(pause);
}

// --- The event on Nostr, from relays that the host has named, or else those of the link if somebody says so ---

async function readEvent() {
  const found = (await Promise.all(relays.split(" ").filter(Boolean).map(fromRelay))).flat();
  for (const one of found.sort((a, b) => b.created_at - a.created_at)) {
    if (!(await isGenuine(one))) continue;
    const values = (name) => one.tags.filter((tag) => tag[0] === name).map((tag) => String(tag[1] ?? ""));
    const value = (name) => values(name)[0];
    const isWeb = (url) => /^https?:\/\//.test(url ?? "");
    event = {
      status: value("status"),
      title: harmless(value("title") ?? value("room") ?? ""),
      starts: Number(value("starts")) || null,
      ends: Number(value("ends")) || one.created_at,
      page: values("endpoint").some(isWeb) && isWeb(value("service")) ? value("service") : null,
    };
    return show();
  }
}

function fromRelay(url) {
  return new Promise((done) => {
    const events = [];
    let socket;
    const end = () => done(events) || socket?.close();
    setTimeout(end, RELAY * 1000);
    try {
      socket = new WebSocket(url);
    } catch {
      return end();
    }
    socket.onopen = () => {
      const filter = { kinds: [30312], authors: [data.host], "#d": [data.id], limit: 2 };
      socket.send(JSON.stringify(["REQ", "nest", filter]));
    };
    socket.onerror = socket.onclose = end;
    socket.onmessage = ({ data: text }) => {
      try {
        const [kind, , one] = text.length > LARGEST ? [] : JSON.parse(text);
        if (kind === "EVENT" && events.length < 10) events.push(one);
        if (kind === "EOSE" || kind === "CLOSED") end();
      } catch {
        end();
      }
    };
  });
}

/** Whether this is the nest's event, and its host has signed it (NIP-01, BIP-340). */
async function isGenuine({ id, pubkey, created_at, kind, tags, content, sig }) {
  try {
    if (kind !== 30312 || pubkey !== data.host || tags.find((tag) => tag[0] === "d")?.[1] !== data.id) return false;
    const hash = await sha256(new TextEncoder().encode(JSON.stringify([0, pubkey, created_at, kind, tags, content])));
    return hex(hash) === id && (await isSignature(bytes(sig), bytes(pubkey), hash));
  } catch {
    return false;
  }
}

const sha256 = async (...parts) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
const hex = (list) => [...list].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes = (text) => Uint8Array.from(text.match(/../g), (two) => parseInt(two, 16));
const number = (list) => BigInt(`0x${hex(list)}`);

// secp256k1: the prime of its field, the order of its group, and its generator.
const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
];
const mod = (a) => ((a % P) + P) % P;

function inverse(a) {
  let [r, next, x, nextX] = [P, mod(a), 0n, 1n];
  while (next) [r, next, x, nextX] = [next, r % next, nextX, x - (r / next) * nextX];
  return mod(x);
}

/** The sum of two points; `null` is the one at infinity. */
function add(a, b) {
  if (!a || !b) return a ?? b;
  if (a[0] === b[0] && a[1] !== b[1]) return null;
  const slope = mod(a[0] === b[0] ? 3n * a[0] * a[0] * inverse(2n * a[1]) : (b[1] - a[1]) * inverse(b[0] - a[0]));
  const x = mod(slope * slope - a[0] - b[0]);
  return [x, mod(slope * (a[0] - x) - a[1])];
}

function multiple(point, times) {
  let sum = null;
  for (; times; times >>= 1n, point = add(point, point)) if (times & 1n) sum = add(sum, point);
  return sum;
}

function power(a, exponent) {
  let product = 1n;
  for (; exponent; exponent >>= 1n, a = (a * a) % P) if (exponent & 1n) product = (product * a) % P;
  return product;
}

/** Only checks what everybody may see: that it takes longer for one signature than for another tells nobody a secret. */
async function isSignature(signature, pubkey, message) {
  const [x, r, s] = [pubkey, signature.slice(0, 32), signature.slice(32)].map(number);
  const square = mod(x ** 3n + 7n);
  const y = power(square, (P + 1n) / 4n);
  if (signature.length !== 64 || x >= P || r >= P || s >= N || mod(y * y) !== square) return false;
  const tag = await sha256(new TextEncoder().encode("BIP0340/challenge"));
  const challenge = number(await sha256(tag, tag, signature.slice(0, 32), pubkey, message)) % N;
  const point = add(multiple(G, s), multiple([x, y & 1n ? P - y : y], (N - challenge) % N));
  return point !== null && !(point[1] & 1n) && point[0] === r;
}

/** A public key as people know it (NIP-19). */
function npub(key) {
  const [letters, prefix] = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l", [3, 3, 3, 3, 0, 14, 16, 21, 2]];
  const bits = [...bytes(key)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const words = bits.padEnd(260, "0").match(/.{5}/g).map((five) => parseInt(five, 2));
  let check = 1;
  for (const word of [...prefix, ...words, 0, 0, 0, 0, 0, 0]) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ word;
    [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].forEach((term, at) => (check ^= (top >> at) & 1 ? term : 0));
  }
  check ^= 1;
  const sum = [25, 20, 15, 10, 5, 0].map((shift) => (check >>> shift) & 31);
  return `npub1${[...words, ...sum].map((word) => letters[word]).join("")}`;
}

// --- Restarting ---

let busy = false;

function outcome(name, known = {}, ...more) {
  const { what, why, todo } = said(name, known);
  const parts = [node("h2", what), node("p", why), known.also && node("p", known.also), node("p", todo), ...more];
  $("outcome").replaceChildren(...parts.filter(Boolean));
  $("outcome").dataset.outcome = name;
  $("outcome").hidden = false;
}

function progress(name) {
  $("outcome").replaceChildren(node("p", WORDS[name]));
  $("outcome").dataset.outcome = name;
  $("outcome").hidden = false;
}

async function restart() {
  if (busy) return;
  busy = true;
  const buttons = document.querySelectorAll("button.restart");
  // They keep the focus.
  buttons.forEach((button) => button.setAttribute("aria-disabled", "true"));
  try {
    await restarting();
  } finally {
    busy = false;
    buttons.forEach((button) => button.removeAttribute("aria-disabled"));
  }
}

async function restarting() {
  if (!window.nostr?.signEvent) return outcome("noSigner", {}, copyButton("command"));
  progress("whoIsInside");
  try {
    await look();
  } catch {
    return outcome("unreachable");
  }
  $("outcome").hidden = true;
  const { sid: before, people: inside } = { ...$("state").dataset };
  if (Number(inside) > 0 && !(await confirmed(Number(inside)))) return;
  progress("signing");
  let signed;
  try {
    signed = await signature();
  } catch (error) {
    return outcome("notSigned", { said: harmless(error?.message ?? error) });
  }
  const notHost = () => outcome("403", { you: npub(signed.pubkey), host: data.npub });
  if (data.host && signed.pubkey !== data.host) return notHost();
  progress("restarting");
  let answer;
  try {
    const authorization = `Nostr ${btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(signed))))}`;
    answer = await ask("POST", `..${data.nest.slice(data.api.length)}/restart`, { authorization });
  } catch (error) {
    return lost(before, error.message);
  }
  // A proxy that gives up waiting does not say whether the server goes on.
  if (answer.status === 504) return lost(before, "status 504");
  if (answer.status === 403) return notHost();
  if (answer.status !== 200) return refused(answer, signed);
  if (typeof answer.json.token !== "string" || answer.json.roomId !== data.id) return outcome("nonsense", { status: 200 });
  progress("looking");
  const after = await roomAfter(before);
  if (after === null) return outcome("unproven", { why: WORDS.stillLooking });
  if (!after) return outcome("noRoom");
  if (after === before) return outcome("oldRoom", { sid: after, seconds: $("state").dataset.departure });
  return restarted(before, after);
}

/** After a request that was sent and not answered, only a new room says that the nest was restarted. */
async function lost(before, said) {
  progress("looking");
  const after = await roomAfter(before);
  return after && after !== before ? restarted(before, after) : outcome("lost", { said });
}

/** The signed event of the request (NIP-98), by the server's clock. */
async function signature() {
  const nonce = hex(crypto.getRandomValues(new Uint8Array(16)));
  const created_at = Math.floor(Date.now() / 1000 - (Math.abs(ahead) < 20 ? 0 : ahead));
  const tags = [["u", `${data.nest}/restart`], ["method", "POST"], ["nonce", nonce]];
  const late = sleep(SIGNATURE).then(() => { throw new Error(fill("noAnswer", { seconds: SIGNATURE })); });
  const signed = await Promise.race([window.nostr.signEvent({ kind: 27235, created_at, tags, content: "" }), late]);
  if (!/^[0-9a-f]{64}$/.test(signed?.pubkey)) throw new Error(WORDS.noSignature);
  return Object.fromEntries(["id", "pubkey", "created_at", "kind", "tags", "content", "sig"].map((name) => [name, signed[name]]));
}

async function confirmed(inside) {
  $("question").textContent = inside === 1 ? WORDS.question1 : fill("question", { n: inside });
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "yes";
}

/** The SID of the room that is there afterwards, `""` for none, `null` if the server does not say. */
async function roomAfter(before) {
  let after = null;
  for (let attempt = 0; attempt < 4; attempt++) {
    try {
      await look();
      after = ["mediaDown", "unknown"].includes($("state").dataset.state) ? null : $("state").dataset.sid;
    } catch {
      after = null;
    }
    if (after && after !== before) break;
    await sleep(0.5);
  }
  return after;
}

async function refused({ status, headers, json, said }, signed) {
  const also = said && fill("serverSays", { said });
  if (status === 401) {
    const off = signed.created_at - (Date.now() / 1000 - ahead);
    const known = { also, url: `${data.nest}/restart`, apart: span(Math.abs(off)), side: WORDS[off > 0 ? "ahead" : "behind"] };
    return outcome(Math.abs(off) > 50 ? "clock" : "401", known);
  }
  if (status === 404 && json.error === "Nest not found") return outcome("404");
  if (status === 429) return outcome("429", { seconds: Number(headers.get("retry-after")) || 900 });
  if (!(status >= 500)) return outcome("nonsense", { status, also });
  const health = await ask("GET", "../health").catch(() => ({ json: {} }));
  const down = ["redis", "mediaServer"].filter((name) => health.json[name] === "down").map((name) => WORDS[name]);
  const known = { status, also, down: down.map((name) => fill("isDown", { name })).join(", ") };
  return outcome(down.length ? "down" : "5xx", known);
}

function restarted(before, after) {
  const proof = before ? `${before} → ${after}` : after;
  if ($("client").hidden || $("stayed").checked) return outcome("restarted", { proof });
  const leaving = setTimeout(() => location.assign($("client").href), LEAVE * 1000);
  const stay = node("button", WORDS.stay, { type: "button", id: "stay" });
  const note = node("p", fill("leaving", { seconds: LEAVE }));
  stay.onclick = () => {
    clearTimeout(leaving);
    note.remove();
    stay.remove();
  };
  return outcome("restarted", { proof }, note, stay);
}

// --- The rest ---

const copyButton = (id) => {
  const button = node("button", WORDS.copy, { type: "button", className: "copy" });
  button.dataset.copy = id;
  return button;
};

async function copy(id) {
  try {
    await navigator.clipboard.writeText($(id).innerText);
    say($("copied"), WORDS.copied);
  } catch {
    getSelection().selectAllChildren($(id));
    say($("copied"), WORDS.notCopied);
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.matches(".restart")) restart();
  if (button?.matches(".copy")) copy(button.dataset.copy);
  if (button?.id === "ask-button") readEvent().then(() => event ?? say($("ask"), WORDS.asked));
});
document.addEventListener("visibilitychange", () => performance.now() - looked > LOOK_WAITING * 1000 && tick());
try {
  $("stayed").checked = localStorage.getItem(STAYS) === "yes";
  $("stayed").onchange = () => localStorage.setItem(STAYS, $("stayed").checked ? "yes" : "no");
} catch {
  // It is not remembered where nothing may be.
}

details();
show();
if (source === "record") readEvent();
if ($("state").dataset.state !== "noNest") again(LOOK_WAITING);
