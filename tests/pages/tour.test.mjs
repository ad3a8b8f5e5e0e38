// Every page of the table as a stranger sees it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect, open, visit } from "./browser.mjs";
import { PAGES, template, tour } from "./tour.mjs";

test("every page can be read by everybody, light and dark, narrow and wide", async () => {
  const world = await open();
  // What still runs would keep the test from ending when it fails.
  try {
    const { page, close } = await visit(world);
    const seen = new Set();
    for await (const { name, path } of tour(world, page)) {
      await inspect(page, name);
      if (path) seen.add(template(path));
    }
    assert.deepEqual(PAGES.filter((path) => !seen.has(path)), [], "a page is on no tour: add it to tests/pages/tour.mjs");
    await close();
  } finally {
    await world.close();
  }
});
