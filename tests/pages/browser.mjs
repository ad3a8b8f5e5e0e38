// A real browser in front of the real Worker: Chromium, driven by Playwright's core library.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { OPERATOR_SECRET, start } from "../e2e/harness.mjs";

const screenshots = join(dirname(fileURLToPath(import.meta.url)), "../../target/screenshots");
mkdirSync(screenshots, { recursive: true });

export const HOSTILE = `<img src=x onerror="document.title='owned'">`;

/** The Worker with its first organization, and a browser. */
export async function open(options) {
  const app = await start(options);
  // A name of this machine that a browser does not take for it.
  const args = ["--no-sandbox", "--host-resolver-rules=MAP keys.test 127.0.0.1"];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
  const first = await api(app, OPERATOR_SECRET, "/v1/bootstrap", { organization: "Acme", email: "owner@example.com", key_name: "first key" });
  return {
    app,
    browser,
    owner: first.key,
    link: first.sign_in_link,
    close: async () => {
      await browser.close();
      await app.close();
    },
  };
}

/** Calls the API and expects that to work. */
export async function api(app, key, path, body, method = body === undefined ? "GET" : "POST") {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await app.fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${text}`);
  return text && JSON.parse(text);
}

/** A window of the browser; whatever goes wrong in it fails the test when it is closed. */
export async function visit(world, options = {}) {
  const context = await world.browser.newContext({ baseURL: world.app.url, timezoneId: "Asia/Tokyo", locale: "en-GB", ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`${error}`));
  page.on("console", (message) => {
    // A page of a status of 400 or more is one on purpose.
    if (message.type() === "error" && !/the server responded with a status of 4/.test(message.text())) wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(world.app.url)) wrong.push(`a request to ${request.url()}`);
  });
  return {
    page,
    context,
    close: async () => {
      await context.close();
      assert.deepEqual(wrong, []);
    },
  };
}

/** Signs in with a key, as a person does it. */
export async function signIn(page, key) {
  await page.goto("/sign-in");
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/settings/keys");
}

/**
 * Looks at the page that is open as a stranger would: axe finds nothing, nothing is cut off, nothing hostile ran;
 * and takes its picture, light and dark, narrow and wide.
 */
export async function inspect(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [320, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const which = `${name}-${colorScheme}-${width}`;
      await page.screenshot({ path: join(screenshots, `${which}.png`), fullPage: true });
      const overflow = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${which} is ${overflow} pixels too wide`);
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      const told = violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html) }));
      assert.deepEqual(told, [], which);
    }
  }
  assert.notEqual(await page.title(), "owned");
}
