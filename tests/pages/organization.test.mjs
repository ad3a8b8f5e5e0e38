// The pages of the organization in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HOSTILE, open, signIn, visit } from "./browser.mjs";

let world;

before(async () => {
  world = await open();
});

after(() => world.close());

test("somebody is invited, put into a team, and the trail tells of it", async () => {
  const { page, context, close } = await visit(world);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, world.owner);
  await page.getByRole("link", { name: "People" }).click();
  await page.getByLabel("Address").fill("ann@example.com");
  await page.getByLabel("Role").selectOption("Admin");
  await page.getByRole("button", { name: "Create invitation" }).click();
  await page.getByRole("heading", { name: "Invitation", exact: true }).waitFor();
  await page.getByRole("button", { name: "Copy the link" }).click();
  await page.getByText("Copied", { exact: true }).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(link, /\/invitations\/bit_inv_/);
  await page.getByRole("link", { name: "I have stored it" }).click();
  await page.getByText("ann@example.com", { exact: true }).waitFor();
  await page.getByLabel("Address").fill("ann@example.com");
  await page.getByRole("button", { name: "Create invitation" }).click();
  await page.getByText("This address already has an open invitation. Revoke it first.").waitFor();
  assert.equal(await page.locator(":focus").inputValue(), "ann@example.com");

  await page.getByRole("link", { name: "Teams" }).click();
  await page.getByLabel("Name").fill(HOSTILE);
  await page.getByRole("button", { name: "Create team" }).click();
  await page.getByRole("button", { name: "Add to the team" }).click();
  await page.getByText("The person was added to the team.").waitFor();

  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByText("into the team").click();
  await page.getByText("team.member_added", { exact: true }).waitFor();
  await page.getByLabel("Action").selectOption("Invitation created");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.waitForURL("**action=invitation.created*");
  assert.equal(await page.locator("details").count(), 1);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Download/ }).click()]);
  assert.equal(download.suggestedFilename(), "audit-log.ndjson");
  await close();
});

test("without a script a project is made and deleted, and settings are saved", async () => {
  const { page, close } = await visit(world, { javaScriptEnabled: false });
  await page.goto("/sign-in");
  await page.getByLabel("API key").fill(world.owner);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Projects" }).click();
  await page.getByLabel("Name").fill("Website");
  await page.getByRole("button", { name: "Create project" }).click();
  assert.match(await page.locator("#key").inputValue(), /^bit_proj_/);
  await page.getByRole("link", { name: "Projects" }).click();
  await page.getByRole("link", { name: "Website" }).click();
  await page.getByRole("link", { name: /^Delete the project/ }).click();
  await page.getByLabel("Type the project's name").fill("Website");
  await page.getByRole("button", { name: /^Delete the project/ }).click();
  await page.getByText("The project was deleted").waitFor();
  await page.getByRole("link", { name: "Organization" }).click();
  await page.getByLabel("Longest expiry").fill("90");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The settings were saved.").waitFor();
  assert.equal(await page.getByLabel("Longest expiry").inputValue(), "90");
  await close();
});
