// The README and the pages of the book, their code blocks and their headings.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const BOOK = readdirSync(join(ROOT, "docs/src")).filter((name) => name.endsWith(".md"));

/** Every document, by its path from the root. */
export const PAGES = ["README.md", "CONTRIBUTING.md", ...BOOK.map((name) => `docs/src/${name}`)];

export const read = (path) => readFileSync(join(ROOT, path), "utf8");

const FENCE = /^( *)```(\w*)\n([\s\S]*?)^\1```$/gm;

/**
 * The fenced blocks of a page. A comment on the line above a block says what the test does with it, and is not to be
 * seen where the page is rendered:
 *
 *   <!-- answer -->            this JSON is a part of what the last command printed
 *   <!-- run: NAME -->         the function NAME of samples.mjs runs it
 *   <!-- not run: REASON -->   it cannot be run here
 *
 * A block that includes a file (`included`) is run by the test of that file.
 */
export function blocks(path) {
  const page = read(path);
  return [...page.matchAll(FENCE)].map(({ 0: block, 2: language, 3: text, index }) => {
    const [, order, rest] = /<!-- (answer|run|not run)(?:: (.+?))? -->\s*$/.exec(page.slice(0, index)) ?? [];
    const line = page.slice(0, index).split("\n").length;
    const [, included] = /^\{\{#include (\S+)\}\}\n$/.exec(text) ?? [];
    return { place: `${path}:${line}`, block, language, text, order, rest, included };
  });
}

/** The anchors of a page's headings, as GitHub and mdBook make them. */
export function anchors(path) {
  const seen = new Map();
  return [...read(path).replace(FENCE, "").matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}_ -]/gu, "").trim().replaceAll(" ", "-");
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
}

/** The relative links and images of a page, without those in its code. */
export function links(path) {
  const prose = read(path).replace(FENCE, "").replace(/`[^`\n]*`/g, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)|(?:href|src|srcset)="([^"]+)"/g)].map(([, link, attribute]) => link ?? attribute);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}
