// A real browser in front of the real Worker: Chromium, driven by Playwright's core library.
import assert from "node:assert/strict";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { OPERATOR_SECRET, start } from "../e2e/harness.mjs";

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

/** By how many pixels the page that is open is too wide for a window of this width. */
async function excess(page, width) {
  await page.setViewportSize({ width, height: 800 });
  return page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
}

/** What axe finds on the page that is open, and by how many pixels it is too wide, in these colours and at this width. */
export async function look(page, colorScheme, width) {
  await page.emulateMedia({ colorScheme });
  const overflow = await excess(page, width);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return { overflow, violations: violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html) })) };
}

/** Looks at the page that is open as a stranger would: axe finds nothing, nothing is cut off, nothing hostile ran. */
export async function inspect(page, name) {
  for (const width of [640, 900, 1030]) {
    const overflow = await excess(page, width);
    assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide at ${width}`);
  }
  for (const [colorScheme, width] of [["light", 1280], ["dark", 320]]) {
    const { overflow, violations } = await look(page, colorScheme, width);
    assert.ok(overflow <= 0, `${name}, ${colorScheme}, is ${overflow} pixels too wide at ${width}`);
    assert.deepEqual(violations, [], `${name}, ${colorScheme}, ${width}`);
  }
  assert.notEqual(await page.title(), "owned");
}
