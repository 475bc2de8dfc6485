// A remote signer (NIP-46) for tests, NDK's own: JSON on each line of stdin, its result as JSON on a line of stdout.
// Argument: the folder with node_modules. The first line is what it starts with: the `relays`, the user's `key` in hex,
// and perhaps a `secret`, which a client has to bring to be paired, and which pairs one client only. Its result comes
// when every relay serves it. Each further line is a command.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const [folder] = process.argv.slice(2);
const require = createRequire(`${folder}/node_modules/`);
// Node 20 has no WebSocket of its own.
globalThis.WebSocket = require("ws");
const { default: NDK, NDKNip46Backend, NDKPrivateKeySigner } = require("@nostr-dev-kit/ndk");

const LIMIT = 15_000;
let signer, secret, spent = false, policy = "allow";
const paired = new Set(), handled = new Set(), seen = [], backends = [];

class Backend extends NDKNip46Backend {
  async handleIncomingEvent(event) {
    // Two backends may have a relay in common.
    if (handled.has(event.id)) return;
    handled.add(event.id);
    let request;
    try {
      request = await this.rpc.parseEvent(event);
    } catch {
      return; // NDK would end the whole program at what it cannot decrypt.
    }
    seen.push({ method: request.method, params: request.params });
    if (request.method === "sign_event" && policy === "ignore") return;
    await super.handleIncomingEvent(event);
  }

  async applyToken(client, token) {
    if (secret === undefined) return super.applyToken(client, token);
    if (token !== secret || paired.has(client)) return;
    if (spent) throw new Error("secret already used");
    spent = true;
    paired.add(client);
  }
}

async function permits({ pubkey, method }) {
  if (method === "connect" && secret === undefined) paired.add(pubkey);
  return paired.has(pubkey) && (method !== "sign_event" || policy === "allow");
}

/** A backend on these relays, as soon as they all serve it. */
async function serve(relays) {
  const known = backends.find(({ relayUrls }) => relays.every((relay) => relayUrls.includes(relay)));
  if (known) return known;
  const ndk = new NDK({ explicitRelayUrls: relays, enableOutboxModel: false, autoConnectUserRelays: false });
  const backend = new Backend(ndk, signer, permits, relays);
  ndk.connect();
  await backend.start();
  const [subscription] = ndk.subManager.subscriptions.values();
  const ready = () =>
    subscription.eosesSeen.size === relays.length && backend.rpc.pool.connectedRelays().length === relays.length;
  for (const start = Date.now(); !ready(); await sleep(10)) {
    if (Date.now() - start > LIMIT) throw new Error(`not served by all of ${relays}`);
  }
  backends.push(backend);
  return backend;
}

const commands = {
  async start({ relays, key, ...more }) {
    signer = new NDKPrivateKeySigner(key);
    secret = more.secret ?? undefined;
    const backend = await serve(relays);
    return { signer: (await backend.rpc.signer.user()).pubkey, user: backend.localUser.pubkey };
  },
  /** What it does from now on when it is to sign: `allow`, `refuse`, or `ignore` it without an answer. */
  async policy(given) {
    policy = given.policy;
  },
  /** Everything that it was asked. */
  async seen() {
    return seen;
  },
  /** Pairs with the client that shows this nostrconnect URI. NDK has no way of its own to do that. */
  async pair({ uri }) {
    const { host: client, searchParams } = new URL(uri);
    const backend = await serve(searchParams.getAll("relay"));
    paired.add(client);
    backend.rpc.encryptionType = "nip44";
    await backend.rpc.sendResponse(randomUUID(), client, searchParams.get("secret"));
  },
};

let started = false;
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  const result = await commands[started ? command : "start"](given).then(
    (value) => ({ value: value ?? null }),
    (error) => ({ error: String(error) }),
  );
  started = true;
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit();
