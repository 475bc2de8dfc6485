// A browser for tests: a command as JSON on each line of stdin, its result as JSON on a line of stdout.
// Arguments: the folder with node_modules, and the browser.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [folder, executablePath] = process.argv.slice(2);
const require = createRequire(`${folder}/node_modules/`);
const { chromium } = require("playwright-core");
const { finalizeEvent } = require("nostr-tools/pure");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const LIMIT = 15_000;
let context, page, seen;

const commands = {
  /**
   * A new page. `signer`: a secret key in hex, or what it does instead: `refuses`, `silent`, `nonsense`; `late` seconds
   * is its own clock behind, and `signs` is the URL that it signs whatever it is given.
   */
  async open({ url, phone, dark, scripts = true, signer, late = 0, signs }) {
    await context?.close();
    const viewport = phone ? { width: 360, height: 740 } : { width: 1200, height: 900 };
    context = await browser.newContext({
      viewport, isMobile: !!phone, hasTouch: !!phone, javaScriptEnabled: scripts,
      colorScheme: dark ? "dark" : "light", locale: "en-GB", timezoneId: "UTC",
    });
    page = await context.newPage();
    await page.clock.install();
    seen = { console: [], requests: [] };
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.console.push(message.text()));
    page.on("pageerror", (error) => seen.console.push(String(error)));
    context.on("request", (request) => seen.requests.push(request.url()));
    page.on("websocket", (socket) => seen.requests.push(socket.url()));
    if (signer) {
      await page.exposeFunction("signHere", (event) => {
        if (signer === "refuses") throw new Error("User rejected");
        if (signer === "silent") return new Promise(() => {});
        if (signer === "nonsense") return { sig: "x" };
        event.created_at -= late;
        if (signs) event.tags.find((tag) => tag[0] === "u")[1] = signs;
        return finalizeEvent(event, Buffer.from(signer, "hex"));
      });
      await page.addInitScript(() => {
        window.nostr = { signEvent: (event) => window.signHere(event) };
      });
    }
    await page.goto(url);
  },
  /** Waits until an element is seen that has this text, and returns all of its text. */
  async until({ selector, has = "" }) {
    const element = page.locator(selector).filter({ hasText: has }).first();
    await element.waitFor({ timeout: LIMIT });
    return element.innerText();
  },
  async hidden({ selector }) {
    await page.locator(selector).first().waitFor({ state: "hidden", timeout: LIMIT });
  },
  async click({ selector }) {
    await page.locator(selector).click({ timeout: LIMIT });
  },
  async press({ key }) {
    await page.keyboard.press(key);
  },
  async reload() {
    await page.reload();
  },
  async evaluate({ script }) {
    return page.evaluate(script);
  },
  async offline({ offline }) {
    await context.setOffline(offline);
  },
  async permit({ permission }) {
    await context.grantPermissions([permission]);
  },
  /** Lets the page's clock run on; its timers that are due then run at once. */
  async forward({ seconds }) {
    await page.clock.fastForward(seconds * 1000);
  },
  /** What axe-core finds fault with. */
  async axe() {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
  },
  async seen() {
    return seen;
  },
  async picture({ path }) {
    await page.screenshot({ path, animations: "disabled" });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  const result = await commands[command](given).then(
    (value) => ({ value: value ?? null }),
    (error) => ({ error: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
await browser.close();
