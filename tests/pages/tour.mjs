// Every page of the settings, one after the other: empty, full, with mistakes, and with a secret.
import { readFileSync } from "node:fs";
import { HOSTILE, api, signIn } from "./browser.mjs";

const LONG = "a-name-that-is-long-and-has-no-blank-at-which-it-could-be-broken-".repeat(3);
const DAY_MS = 86_400_000;

/** The paths of the pages that have an address of their own, as the table of pages has them. */
export const PAGES = [...readFileSync(new URL("../../crates/pages/src/routes.rs", import.meta.url), "utf8").matchAll(/page!\("GET" "([^"]+)" /g)]
  .map(([, path]) => path)
  // Those lead elsewhere, are files, or catch what is no page.
  .filter((path) => !["/", "/settings", "/settings/audit/export", "/settings/assets/:file", "/settings/*rest"].includes(path));

/** The row of the table that answers for a path. */
export function template(path) {
  const fits = (row) => new RegExp(`^${row.replace(/:\w+/g, "[^/]+")}$`).test(path);
  const parameters = (row) => row.split(":").length;
  return PAGES.filter(fits).sort((one, other) => parameters(one) - parameters(other))[0];
}

/**
 * Leads a page of the browser through all pages; gives each by its name when it is open, with its path if it was
 * asked for by its address.
 */
export async function* tour(world, page) {
  const { app, owner } = world;
  const call = (path, body, method) => api(app, owner, path, body, method);
  const open = async (name, path) => {
    await page.goto(path);
    return { name, path: path.split(/[?#]/)[0] };
  };
  const press = async (name, button) => {
    await page.getByRole("button", { name: button }).first().click();
    await page.waitForLoadState();
    return { name };
  };
  // What the browser itself would ask for is left to the server.
  const unchecked = () => page.locator("form[method=post]").evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
  page.on("dialog", (dialog) => dialog.accept());

  yield open("sign-in", "/sign-in");
  await page.getByLabel("API key").fill("bit_pat_nothing");
  yield press("sign-in-error", "Sign in");
  yield open("sign-in-link", new URL(world.link).pathname);
  yield open("link-dead", "/sign-in/nothing");
  await signIn(page, owner);
  yield open("people-alone", "/settings/people");
  yield open("teams-empty", "/settings/teams");
  yield open("projects-empty", "/settings/projects");
  yield open("keys-none", "/settings/keys?status=revoked");

  const { key, keys } = await furnish(world, call);
  yield open("keys", "/settings/keys");
  yield open("keys-all", "/settings/keys?status=all");
  yield open("key-new", "/settings/keys/new");
  yield open("key-new-recipe", "/settings/keys/new?recipe=4");
  await page.getByLabel("On a date").check();
  await unchecked();
  yield press("key-new-errors", "Create the key");
  await page.goto("/settings/keys/new?recipe=4");
  await page.getByLabel("Name").fill("CI pipeline");
  yield press("key-reveal", "Create the key");
  await page.reload();
  yield { name: "key-gone" };
  yield open("key", `/settings/keys/${key}`);
  await page.locator(".events summary").first().click();
  yield { name: "key-event" };
  yield open("key-hostile", `/settings/keys/${keys.hostile}`);
  yield open("key-disabled", `/settings/keys/${keys.disabled}`);
  yield open("key-revoked", `/settings/keys/${keys.revoked}`);
  yield open("key-edit", `/settings/keys/${key}/edit`);
  await page.getByLabel("Name").fill(" ");
  await unchecked();
  yield press("key-edit-errors", "Save");
  yield open("key-revoke", `/settings/keys/${key}/revoke`);
  await page.getByLabel("Type the key's name to confirm").fill("another");
  yield press("key-revoke-error", "Revoke key");
  await page.goto(`/settings/keys/${key}`);
  await page.getByLabel("Keep the old secret working for").selectOption("Not at all");
  yield press("key-rotate-reveal", "Rotate");
  await page.goto(`/settings/keys/${key}`);
  await page.getByLabel("Keep the old secret working for").selectOption("A week");
  // Somebody else is faster.
  await call(`/v1/keys/${key}/rotate`, { grace_period_seconds: 604_800 });
  yield press("key-rotate-refused", "Rotate");
  yield open("key-rotating", `/settings/keys/${key}`);

  yield open("people", "/settings/people");
  await page.getByLabel("Address").fill("nobody");
  await unchecked();
  yield press("people-error", "Create invitation");
  await page.getByLabel("Address").fill("ben@example.com");
  yield press("invitation-reveal", "Create invitation");
  const link = await page.locator("#key").inputValue();
  const { items: members } = await call("/v1/organizations/self/members");
  const ann = members.find((member) => member.email === "ann@example.com").user_id;
  yield open("person", `/settings/people/${ann}`);
  yield press("sign-in-link-reveal", "Create sign-in link");
  yield open("person-remove", `/settings/people/${ann}/remove`);
  yield open("teams", "/settings/teams");
  const { items: teams } = await call("/v1/organizations/self/teams");
  const team = teams.find((team) => team.name === "Platform").id;
  yield open("team", `/settings/teams/${team}`);
  await page.locator("#user").evaluate((select) => (select.innerHTML = '<option value="">Nobody</option>'));
  yield press("team-error", "Add to the team");
  yield open("team-delete", `/settings/teams/${team}/delete`);
  yield open("projects", "/settings/projects");
  await page.getByLabel("Name").fill("Shop");
  yield press("project-reveal", "Create project");
  const { items: projects } = await call("/v1/organizations/self/projects");
  const project = projects.find((project) => project.name === "Website").id;
  yield open("project", `/settings/projects/${project}`);
  yield open("project-delete", `/settings/projects/${project}/delete`);
  await page.getByLabel("Type the project's name").fill("another");
  yield press("project-delete-error", "Delete the project");
  yield open("organization", "/settings/organization");
  await page.getByLabel("Default expiry").fill("90");
  await page.getByLabel("Longest expiry").fill("30");
  yield press("organization-error", "Save");
  yield open("audit", "/settings/audit");
  for (const summary of await page.locator(".events summary").all()) if ((await summary.textContent()).includes("changed the key")) await summary.click();
  yield { name: "audit-open" };
  yield open("audit-none", "/settings/audit?action=team.deleted");
  yield open("audit-error", "/settings/audit?since=soon&key=x");
  yield open("devices", "/settings/devices");
  yield open("not-found", "/settings/nothing");

  await page.goto("/settings/devices");
  const narrow = await call("/v1/keys", { name: "narrow", scopes: ["api-keys:*", "datasets:read", "members:read"], expires_in_days: 20 });
  await page.getByRole("button", { name: "Sign out" }).first().click();
  await signIn(page, narrow.key);
  yield open("key-new-narrow", "/settings/keys/new");
  yield open("people-narrow", "/settings/people");
  yield open("not-allowed", "/settings/organization");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/sign-in");
  yield open("invitation", new URL(link).pathname);
  await page.getByRole("button", { name: "Accept the invitation" }).click();
  yield open("people-member", "/settings/people");
  yield open("teams-member", "/settings/teams");
  yield open("organization-member", "/settings/organization");
  yield open("for-admins", "/settings/audit");
}

/** Fills the organization with what a busy one has; gives the id of a key that was used, and of others. */
async function furnish({ app, owner }, call) {
  const make = async (name, fields = {}) => (await call("/v1/keys", { name, scopes: ["datasets:read"], ...fields })).id;
  const many = ["datasets:read", "datasets:write", "evaluations:read", "results:read", "review:read", "review:write"];
  const hostile = await make(HOSTILE, { scopes: many, expires_in_days: 3 });
  await make(LONG, { scopes: [] });
  await make("Billing", { kind: "org", scopes: ["organization:read"], expires_in_days: 400 });
  await make("Everything", { scopes: ["full"] });
  const old = await make("forgotten");
  const revoked = await make("old laptop");
  await call(`/v1/keys/${revoked}`, undefined, "DELETE");
  const disabled = await make("paused", { metadata: { team: "Core", on_call: true } });
  await call(`/v1/keys/${disabled}`, { enabled: false }, "PATCH");
  const key = await make("Nightly export", { scopes: ["datasets:read", "results:read"], expires_in_days: 90 });
  await call(`/v1/keys/${key}`, { name: "Nightly export", scopes: ["datasets:read", "results:read", "review:read"], metadata: { repository: "acme/export", tags: ["ci", "night"] } }, "PATCH");
  const day = Math.floor(Date.now() / DAY_MS);
  for (let ago = 29; ago >= 0; ago -= 1) {
    const uses = ago % 7 < 2 ? 0 : Math.round(400 * Math.abs(Math.sin(ago * 2)));
    await app.db.prepare("INSERT INTO key_uses (day, key_id, uses) VALUES (?1, ?2, ?3)").bind(day - ago, key, uses).run();
  }
  await app.db.prepare("UPDATE keys SET last_used_at = ?1 WHERE id = ?2").bind(Date.now() - 3_600_000, key).run();
  await app.db.prepare("UPDATE keys SET created_at = ?1 WHERE id = ?2").bind(Date.now() - 200 * DAY_MS, old).run();
  await call("/v1/organizations/self/projects", { name: "Website", description: "The shop, and everything around it" });
  await call("/v1/organizations/self/projects", { name: HOSTILE, description: LONG });
  for (const [email, role] of [["ann@example.com", "admin"], ["a-colleague-with-quite-a-long-address@subsidiary.example.com", "member"]]) {
    const { token } = await call("/v1/organizations/self/invitations", { email, role });
    await api(app, "", `/v1/invitations/${token}/accept`, { key_name: "first" });
  }
  await call("/v1/organizations/self/invitations", { email: "carl@example.com", role: "member" });
  const { items: members } = await call("/v1/organizations/self/members");
  await call("/v1/organizations/self/teams", { name: HOSTILE });
  const team = await call("/v1/organizations/self/teams", { name: "Platform" });
  for (const member of members.slice(0, 2)) await call(`/v1/organizations/self/teams/${team.id}/members/${member.user_id}`, {}, "PUT");
  const { key: narrow } = await call("/v1/keys", { name: "curious", scopes: ["api-keys:*"] });
  await app.fetch("/v1/keys", { method: "POST", headers: { authorization: `Bearer ${narrow}` }, body: JSON.stringify({ name: "more", scopes: ["members:write"] }) });
  await app.fetch("/v1/keys/self", { headers: { authorization: `Bearer ${owner}` } });
  return { key, keys: { hostile, revoked, disabled } };
}
