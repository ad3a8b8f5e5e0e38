// One key's life on the settings pages, by clicking, with a script and without.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HOSTILE, api, open, signIn, visit } from "./browser.mjs";

let world;

before(async () => {
  world = await open();
});

after(() => world.close());

const status = async (key) => (await world.app.fetch("/v1/keys/self", { headers: { authorization: `Bearer ${key}` } })).status;

/** Fills the form in and sends it. */
async function create(page, name) {
  await page.goto("/settings/keys");
  await page.getByRole("link", { name: "New API key" }).click();
  await page.getByRole("link", { name: "Review queue triage tool" }).click();
  await page.getByLabel("Name").fill(name);
  await page.getByText("30 days").click();
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByRole("heading", { name: "Copy your new key" }).waitFor();
  return page.locator("#key").inputValue();
}

for (const javaScriptEnabled of [true, false]) {
  test(`the life of a key ${javaScriptEnabled ? "with" : "without"} a script`, async () => {
    const { page, close } = await visit(world, { javaScriptEnabled });
    // Whoever leaves before he has copied the secret is asked; here he always goes.
    page.on("dialog", (dialog) => dialog.accept());
    await signIn(page, world.owner);
    const key = await create(page, HOSTILE);
    assert.equal(await status(key), 200);
    await page.getByRole("link", { name: "I have stored it" }).click();
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    assert.ok(!(await page.content()).includes(key));
    for (const scope of ["review:read", "review:write"]) await page.locator("dl").first().getByText(scope, { exact: true }).waitFor();

    await page.getByRole("link", { name: "Change" }).click();
    await page.getByLabel("Name").fill("Triage");
    await page.getByLabel("review:write").uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("The key was changed.").waitFor();

    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByText("are refused until you enable it").waitFor();
    assert.equal(await status(key), 401);
    await page.getByRole("button", { name: "Enable" }).click();
    await page.getByText("The key works again.").waitFor();

    await page.getByLabel("Keep the old secret working for").selectOption("A day");
    await page.getByRole("button", { name: "Rotate" }).click();
    await page.getByRole("heading", { name: "Copy the new secret" }).waitFor();
    const rotated = await page.locator("#key").inputValue();
    await page.getByRole("link", { name: "I have stored it" }).click();
    await page.getByText("Old secret", { exact: true }).waitFor();
    assert.deepEqual([await status(key), await status(rotated)], [200, 200]);
    await page.getByRole("button", { name: "Finish: end the old secret now" }).click();
    await page.getByText("only the new secret works").waitFor();
    assert.deepEqual([await status(key), await status(rotated)], [401, 200]);

    await page.getByRole("link", { name: "Revoke" }).click();
    await page.getByLabel("Type the key's name to confirm").fill("triage");
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByText("This is not its name.").waitFor();
    await page.getByLabel("Type the key's name to confirm").fill("Triage");
    await page.keyboard.press("Enter");
    await page.getByText("The key was revoked.").waitFor();
    assert.equal(await status(rotated), 401);
    await close();
  });
}

test("a secret is shown once: neither loading again nor going back brings it back, or makes another key", async () => {
  const { page, close } = await visit(world);
  page.on("dialog", (dialog) => dialog.accept());
  await signIn(page, world.owner);
  const key = await create(page, "once");
  const { items: before } = await api(world.app, world.owner, "/v1/keys");
  await page.reload();
  await page.getByRole("heading", { name: "It was shown once" }).waitFor();
  assert.ok(!(await page.content()).includes(key));
  await page.getByRole("link", { name: "Go to the key" }).click();
  await page.getByRole("heading", { name: "once", exact: true }).waitFor();
  for (let back = 0; back < 3; back += 1) {
    // What is behind is the answer to a form, which the browser has not kept and does not send again by itself.
    await page.goBack().catch((error) => assert.match(error.message, /ERR_CACHE_MISS/));
    await page.waitForLoadState();
    assert.ok(!(await page.locator("html").innerHTML()).includes(key), page.url());
  }
  const { items: behind } = await api(world.app, world.owner, "/v1/keys");
  assert.equal(behind.length, before.length);
  await close();
});

test("leaving before the secret was copied has to be confirmed, and the button says that it copied", async () => {
  const { page, context, close } = await visit(world);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, world.owner);
  const key = await create(page, "copied");
  let asked = 0;
  page.on("dialog", (dialog) => {
    asked += 1;
    dialog.dismiss();
  });
  // Browsers ask nobody who has not touched the page.
  await page.getByText("Python", { exact: true }).click();
  await page.getByRole("link", { name: "Devices" }).click();
  await page.waitForTimeout(200);
  assert.equal(asked, 1);
  await page.getByRole("button", { name: "Copy the key" }).click();
  await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await page.getByRole("link", { name: "Devices" }).click();
  await page.waitForURL("**/settings/devices");
  assert.equal(asked, 1);
  await close();
});
