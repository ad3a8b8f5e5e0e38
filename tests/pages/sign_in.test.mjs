// The other ways to the settings pages in a real browser, and where there is none.
import { after, before, test } from "node:test";
import { certs, jwk, pair, signed, text, VARS } from "../e2e/team.mjs";
import { api, HOSTILE, inspect, open, visit } from "./browser.mjs";

const team = pair();
let world;

before(async () => {
  world = await open({ vars: VARS, internet: () => certs(jwk("first", team)) });
});

after(() => world.close());

/** A window of somebody whom Access has let through. */
const through = async (email) => {
  const token = signed(text(email, await world.app.now()), team);
  return visit(world, { extraHTTPHeaders: { "cf-access-jwt-assertion": token } });
};

test("whom Cloudflare Access vouches for chooses an organization, and is in it", async () => {
  await api(world.app, world.owner, "/v1/organizations", { name: HOSTILE, email: "owner@example.com", key_name: "first" });
  const { page, close } = await through("Owner@example.com");
  await page.goto("/settings/devices");
  await page.getByText("owner@example.com").waitFor();
  await inspect(page, "access");
  await page.getByRole("button", { name: "Go on to Acme" }).click();
  await page.waitForURL("**/settings/devices");
  await page.getByText("this one").waitFor();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("button", { name: `Go on to ${HOSTILE}` }).click();
  await page.waitForURL("**/settings/keys");
  await close();
});

test("whom Cloudflare Access lets through and nobody has invited is told whom to ask", async () => {
  const { page, close } = await through("stranger@example.com");
  await page.goto("/sign-in");
  await page.getByText("No organization here has a member with the address stranger@example.com").waitFor();
  await inspect(page, "access-stranger");
  await close();
});

test("whoever tries too often reads that he has to wait", async () => {
  const { page, close } = await visit(world, { extraHTTPHeaders: { "cf-connecting-ip": "192.0.2.7" } });
  // The count begins anew with each minute.
  for (let tries = 0; tries < 61 && (await page.title()) !== "Too many attempts · Bitting"; tries += 1) await page.goto(world.link);
  await page.getByText("Try again in a minute.").waitFor();
  await inspect(page, "too-many-attempts");
  await close();
});

test("where there is no https the page says so, and where to go", async () => {
  const url = world.app.url.replace("127.0.0.1", "keys.test");
  // Its browser complains, too, so that nothing must be said of what it complains of.
  const { page, context } = await visit({ ...world, app: { ...world.app, url } });
  await page.goto("/sign-in");
  await page.getByRole("link", { name: "Continue with https" }).waitFor();
  await inspect(page, "without-https");
  await context.close();
});
