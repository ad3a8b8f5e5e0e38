// The settings pages in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HOSTILE, api, inspect, open, signIn, visit } from "./browser.mjs";

let world;

before(async () => {
  world = await open();
  const { app, owner } = world;
  const scopes = ["datasets:read", "datasets:write", "evaluations:read", "results:read", "review:read", "review:write"];
  await api(app, owner, "/v1/keys", { name: HOSTILE, scopes, expires_in_days: 3 });
  await api(app, owner, "/v1/keys", { name: "a-name-that-is-long-and-has-no-blank-at-which-it-could-be-broken-".repeat(3), scopes: [] });
  await api(app, owner, "/v1/keys", { name: "CI: nightly export", scopes: ["datasets:read"], expires_in_days: 30 });
  await api(app, owner, "/v1/keys", { name: "Billing", kind: "org", scopes: ["organization:read"] });
  const { id } = await api(app, owner, "/v1/keys", { name: "old", scopes: [] });
  await api(app, owner, `/v1/keys/${id}`, undefined, "DELETE");
});

after(() => world.close());

test("signing in by a link takes a click, and works once", async () => {
  const { page, close } = await visit(world);
  await page.goto(world.link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/settings/keys");
  await page.goto(world.link);
  await page.getByRole("heading", { name: "This link doesn't work" }).waitFor();
  await close();
});

test("signing in with a key says what is wrong beside the field, and goes on to where one wanted to go", async () => {
  const { page, close } = await visit(world);
  await page.goto("/settings/devices");
  await page.getByLabel("API key").fill("bit_pat_nothing");
  await page.keyboard.press("Enter");
  await page.getByText("its form or its checksum is wrong").waitFor();
  await page.getByLabel("API key").fill(world.owner);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings/devices");
  await close();
});

test("the list of keys", async () => {
  const { page, close } = await visit(world);
  await signIn(page, world.owner);
  assert.ok(await page.getByText(HOSTILE, { exact: true }).isVisible());
  // In the reader's zone, with the instant on hovering.
  const time = page.locator("tbody time").first();
  assert.match(await time.getAttribute("title"), /\d{2}:\d{2}/);
  await page.getByRole("link", { name: "Revoked" }).click();
  await page.getByText("old", { exact: true }).waitFor();
  await page.getByLabel("Name").fill("nothing of this name");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("No keys match.").waitFor();
  await close();
});

test("without a script everything works, by the keyboard alone, and dates are in UTC", async () => {
  const { page, close } = await visit(world, { javaScriptEnabled: false });
  await page.goto("/");
  await page.locator("#key:focus").waitFor();
  await page.keyboard.type(world.owner);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings/keys");
  await page.keyboard.press("Tab");
  assert.equal(await page.locator(":focus").textContent(), "Skip to the content");
  for (let presses = 0; (await page.locator(":focus").textContent()) !== "Devices"; presses += 1) {
    assert.ok(presses < 10);
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings/devices");
  assert.match(await page.locator("time").last().textContent(), /^\d+ \w{3} \d{4}, \d{2}:\d{2} UTC$/);
  await page.getByRole("button", { name: "Sign out", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/sign-in");
  await page.goto("/settings/keys");
  await page.waitForURL("**/sign-in?to=*");
  await close();
});

test("another device can be signed out, and is signed out at once", async () => {
  const [one, two] = await Promise.all([visit(world), visit(world)]);
  await signIn(one.page, world.owner);
  await signIn(two.page, world.owner);
  await one.page.goto("/settings/devices");
  const others = one.page.getByRole("button", { name: /^Sign out ./ });
  for (let left = await others.count(); left > 0; left = await others.count()) await others.first().click();
  await two.page.reload();
  await two.page.waitForURL("**/sign-in?*");
  await one.page.reload();
  assert.match(one.page.url(), /devices$/);
  await Promise.all([one.close(), two.close()]);
});

test("a form of another origin does nothing, and a link from there finds whoever is signed in", async () => {
  const { page, context, close } = await visit(world);
  await signIn(page, world.owner);
  // The same server under another name is another origin and another site.
  const elsewhere = world.app.url.replace("127.0.0.1", "localhost");
  await context.route(`${elsewhere}/evil`, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<form method="post" action="${world.app.url}/sign-out"><button>Win</button></form><a href="${world.app.url}/settings/devices">A link</a>`,
    }));
  const stranger = await context.newPage();
  await stranger.goto(`${elsewhere}/evil`);
  await stranger.getByRole("button", { name: "Win" }).click();
  await stranger.getByText("This form was sent by another site").waitFor();
  await inspect(stranger, "foreign-form");
  await stranger.goto(`${elsewhere}/evil`);
  await stranger.getByRole("link", { name: "A link" }).click();
  await stranger.getByRole("heading", { name: "Devices" }).waitFor();
  await page.reload();
  assert.match(page.url(), /settings\/keys$/);
  await close();
});

test("what is not there, and what a key may not see", async () => {
  const { page, close } = await visit(world);
  await page.goto("/settings/nothing");
  const { key } = await api(world.app, world.owner, "/v1/keys", { name: "narrow", scopes: ["api-keys:write"] });
  await signIn(page, key);
  await page.getByRole("heading", { name: "Not allowed" }).waitFor();
  await close();
});
