// Prints what each page of the settings takes: requests and bytes of a first visit, with nothing in the browser's
// cache, and what axe finds, in both colours and at two widths.
//
//   node tests/pages/measure.mjs [--screenshots FOLDER]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { look, open, visit } from "./browser.mjs";
import { tour } from "./tour.mjs";

const [option, folder] = process.argv.slice(2);
if (option && (option !== "--screenshots" || !folder)) throw new Error("usage: node tests/pages/measure.mjs [--screenshots FOLDER]");
if (folder) mkdirSync(folder, { recursive: true });

const world = await open();
const { page, context, close } = await visit(world);
await (await context.newCDPSession(page)).send("Network.setCacheDisabled", { cacheDisabled: true });
let answers = [];
page.on("request", (request) => {
  if (request.isNavigationRequest() && !request.redirectedFrom()) answers = [];
});
page.on("response", (response) => answers.push(response));

const table = {};
for await (const { name } of tour(world, page)) {
  await page.waitForLoadState("networkidle");
  const bodies = await Promise.all(answers.map((answer) => answer.body().catch(() => Buffer.alloc(0))));
  const sum = (size) => bodies.reduce((total, body) => total + size(body), 0);
  table[name] = {
    requests: answers.length,
    bytes: sum((body) => body.length),
    gzipped: sum((body) => (body.length ? gzipSync(body).length : 0)),
  };
  for (const colours of ["light", "dark"]) {
    for (const width of [320, 1280]) {
      const { overflow, violations } = await look(page, colours, width);
      table[name][`axe, ${colours}, ${width}`] = violations.length;
      if (overflow > 0) table[name]["pixels too wide"] = overflow;
      if (folder) await page.screenshot({ path: join(folder, `${name}-${colours}-${width}.png`), fullPage: true });
    }
  }
}
console.table(table);
await close();
await world.close();
