// Takes the pictures of the settings pages that the README and the book show, in both colours.
//
//   node tests/pages/screenshot.mjs
import { mkdirSync, writeFileSync } from "node:fs";
import { api, open, signIn, visit } from "./browser.mjs";

const FOLDER = new URL("../../docs/src/images/", import.meta.url);
const VIEWPORT = { width: 1280, height: 666 };
const MAX_BYTES = 60_000;
const DAY_MS = 86_400_000;

const KEYS = [
  { name: "Checkout service", kind: "org", scopes: ["api-keys:verify"], used: 0.0004, age: 210 },
  { name: "Nightly export", scopes: ["datasets:read", "results:read"], expires_in_days: 90, used: 0.4, age: 41 },
  { name: "CI pipeline", scopes: ["datasets:write"], label: "prod", expires_in_days: 30, used: 0.01, age: 12 },
  { name: "Old laptop", scopes: ["api-keys:read"], enabled: false, used: 63, age: 300 },
  { name: "Dashboard", scopes: ["evaluations:read", "results:read"], expires_in_days: 5, used: 1.2, age: 85 },
];

const world = await open();
const { app, owner } = world;
const set = (column, id, daysAgo) => app.db.prepare(`UPDATE keys SET ${column} = ?1 WHERE id = ?2`).bind(Date.now() - daysAgo * DAY_MS, id).run();
for (const { enabled, used, age, ...fields } of KEYS) {
  const { id } = await api(app, owner, "/v1/keys", fields);
  if (enabled === false) await api(app, owner, `/v1/keys/${id}`, { enabled }, "PATCH");
  await set("last_used_at", id, used);
  await set("created_at", id, age);
}
mkdirSync(FOLDER, { recursive: true });
const { page, context, close } = await visit(world, { viewport: VIEWPORT, deviceScaleFactor: 2 });
await signIn(page, owner);
const browser = await context.newCDPSession(page);
for (const colorScheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme });
  await page.mouse.move(0, 0);
  const { data } = await browser.send("Page.captureScreenshot", { format: "webp", quality: 70 });
  const picture = Buffer.from(data, "base64");
  if (picture.length > MAX_BYTES) throw new Error(`the picture has ${picture.length} bytes`);
  writeFileSync(new URL(`keys-${colorScheme}.webp`, FOLDER), picture);
  console.log(`keys-${colorScheme}.webp: ${picture.length} bytes`);
}
await close();
await world.close();
