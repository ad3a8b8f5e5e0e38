// RESULTS.md and the plots, from the numbers of one run.
import { execSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { REGIONS, simulate } from "./wait.mjs";

const root = new URL("..", import.meta.url).pathname;
const MONTH_SECONDS = 30 * 24 * 3600;
const VERIFICATIONS = 100e6;

// Cloudflare's paid plan: each with what $5 a month includes, and the price of a million more.
const PRICES = {
  requests: { included: 10e6, price: 0.3 },
  cpu_ms: { included: 30e6, price: 0.02 },
  kv_gets: { included: 10e6, price: 0.5 },
  kv_puts: { included: 1e6, price: 5 },
  rows_read: { included: 25e9, price: 0.001 },
  rows_written: { included: 50e6, price: 1 },
  object_requests: { included: 1e6, price: 0.15 },
  object_gb_seconds: { included: 0.4e6, price: 12.5 },
};

const ratio = (x) => (x < 10 ? x.toFixed(2) : x.toFixed(1));
const figure = (x) => (Number.isInteger(x) ? x.toLocaleString("en") : x.toFixed(2));
const dollars = (x) => (x < 1e-9 ? "–" : `$${x.toFixed(2)}`);
const table = (head, rows) => [head, head.map((_, column) => (column ? "--:" : "---")), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

export function report(results, { rounds, ms, connections, starts }) {
  const find = (name) => results.find((result) => result.name.startsWith(name));
  const bases = [find("constant, JavaScript"), find("constant, Rust"), find("least possible in Rust, synchronous")];
  const over = (result, base) => result.cpu.median / base.cpu.median;

  const costs = results.map((result) => [
    result.name,
    `${result.cpu.median.toFixed(0)} (${result.cpu.low.toFixed(0)}–${result.cpu.high.toFixed(0)})`,
    ...bases.map((base) => ratio(over(result, base))),
    result.bytes.toLocaleString("en"),
    ...["d1_calls", "rows_read", "rows_written", "kv_gets", "kv_puts"].map((name) => figure(result.io[name])),
  ]);
  const times = results.map((result) => [result.name, ...[1, 16, 64].map((n) => result.latencies[n].map((time) => time.toFixed(1)).join(" / "))]);
  const sizes = results.filter(({ first }) => first).map((result) => [
    result.name.replace(": verify, warm", ""),
    result.first.toFixed(1),
    (result.gzip / 1000).toFixed(0),
    result.memory ? (result.memory / 2 ** 20).toFixed(1) : "–",
  ]);

  const rate = VERIFICATIONS / MONTH_SECONDS;
  const world = simulate({ rate });
  const warm = find("Bitting: verify, warm, 1,000");
  const each = (result) => ({ requests: 1, cpu_ms: result.cpu.median / 1000, ...result.io });
  const monthly = (perVerification) => Object.fromEntries(Object.entries(perVerification).map(([name, number]) => [name, number * VERIFICATIONS]));
  const plus = (use, more) => ({ ...use, ...Object.fromEntries(Object.entries(more).map(([name, number]) => [name, (use[name] ?? 0) + number])) });
  // Behind the answers: the feed's news, and the uses of keys, two rows for each key in an isolate's minute.
  const behind = (keys) => ({ rows_read: world.questions * MONTH_SECONDS * 4, rows_written: world.writes * MONTH_SECONDS * 2 * keys });
  const few = plus(monthly(each(warm)), behind(2));
  const holders = {
    object_requests: (world.questions + REGIONS.length / 2.5) * MONTH_SECONDS,
    object_gb_seconds: REGIONS.length * MONTH_SECONDS * 0.128,
  };
  const many = plus(plus(monthly(each(warm)), behind(1)), { kv_gets: VERIFICATIONS, rows_written: 2 * VERIFICATIONS });
  const bills = [
    ["constant, JavaScript", monthly(each(bases[0]))],
    ["Bitting, two keys used in an isolate's minute", few],
    ["the same, with a holder of the feed in nine regions", plus(few, holders)],
    ["Bitting, each verification asks about another key", many],
    ...results.filter(({ name }) => /^(Hono|Better Auth)/.test(name)).map((result) => [result.name, monthly(each(result))]),
  ].map(([name, use]) => {
    const cost = (...names) => names.reduce((sum, each) => sum + (Math.max(0, (use[each] ?? 0) - PRICES[each].included) / 1e6) * PRICES[each].price, 0);
    const parts = [cost("requests"), cost("cpu_ms"), cost("kv_gets", "kv_puts"), cost("rows_read", "rows_written"), cost("object_requests", "object_gb_seconds")];
    return [name, ...parts.map(dollars), `**${dollars(5 + parts.reduce((sum, part) => sum + part, 0))}**`];
  });

  const loads = [0.1, 1, 10, 100, 1_000, 10_000];
  const model = loads.map((load) => {
    const requests = Math.min(600_000, Math.max(60_000, load * 60));
    const [alone, held] = [false, true].map((holder) => simulate({ rate: load, holder, requests }));
    return { load, alone, held };
  });
  const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 2 : 0)} %`;
  const waits = model.map(({ load, alone, held }) => [load.toLocaleString("en"), percent(alone.primary), percent(held.primary), alone.questions.toFixed(1), held.questions.toFixed(1)]);
  const settings = [{}, { holder: true }, { holder: true, replicas: true }].map((setting) => simulate({ rate: 100, cold: 0.02, ...setting }).regions);
  const regions = REGIONS.map((name) => [name, ...settings.map((setting) => setting[name].join(" / "))]);

  const version = (path) => JSON.parse(readFileSync(`${root}/${path}/package.json`, "utf8")).version;
  const command = (text) => execSync(text, { cwd: root, encoding: "utf8" }).trim();
  const versions = [
    `Bitting ${command("git log -1 --format=%h -- src crates")}`,
    `workerd ${version("node_modules/workerd")}`,
    `Miniflare ${version("node_modules/miniflare")}`,
    `Node.js ${process.versions.node}`,
    command("rustc --version").replace(/ \(.*/, ""),
    `Hono ${version("bench/node_modules/hono")}`,
    `Better Auth ${version("bench/node_modules/better-auth")} with @better-auth/api-key ${version("bench/node_modules/@better-auth/api-key")}`,
  ];
  const wrong = results.filter((result) => result.wrong.length).map((result) => `${result.name}: ${result.wrong.length} (${result.wrong[0]})`);
  const [gateway, forward] = [find("Bitting: gateway"), find("the same forwarding")].map(({ cpu }) => cpu.median);

  writeFileSync(
    new URL("RESULTS.md", import.meta.url),
    `# Results

Written by \`node bench/run.mjs\` on ${new Date().toISOString().slice(0, 10)}. ${cpus().length} cores (${cpus()[0].model.trim()}), ${(totalmem() / 2 ** 30).toFixed(0)} GB, Linux ${release()}.
${versions.join(", ")}.

All Workers run in one workerd, as Miniflare starts it, with its own local D1 and KV. ${rounds} rounds alternate between them, ${ms / 1000} s each, with
${connections} connections that stay open, so that other load of the machine falls on all. Nothing keeps other programs from running at the same time, and in the published
run some did, on the same two cores: compare numbers of this page with each other, the ratios above all, and none with those of another machine.

## CPU

The user and system time of workerd for one request, the median of the rounds (quartiles). It holds all that workerd does: HTTP, the Worker, and the
local D1 and KV, which on Cloudflare's network run elsewhere and take network time instead. The counts are of a run of their own.

- The least possible Worker in Rust does the work of a verification (two checksums, two digests, two look-ups, JSON) and judges nothing.
  Synchronous: JavaScript reads the request, makes one call, and builds the answer.
- Bitting is the release build with all surfaces. A warm verification is answered from memory, with two keys known: the one that asks and the one that is
  asked about. How many keys the database has is in the name; "create" has a database of its own.
- A request through the gateway costs ${(gateway - forward).toFixed(0)} µs more than one that a Worker in JavaScript hands on without asking for a key.
- Hono is a verification as one writes it by hand: one look-up in KV of a digest. A key that is revoked there goes on working for as long as KV is stale.
- Better Auth notes each use of a key when it is verified, so it writes each time. Its limit of uses is turned off.
- Unkey's verifier is not here: it needs MySQL, Redis and ClickHouse beside it, and none of them runs in workerd.
- Answers that were not as expected: ${wrong.join("; ") || "none"}.

${table(["request", "CPU µs", "× constant JS", "× constant Rust", "× least, synchronous", "bytes", "D1 calls", "rows read", "rows written", "KV gets", "KV puts"], costs)}

## Latency

Milliseconds, 50th / 95th / 99th percentile, as the load generator sees them on the same cores. With 16 and 64 connections most of it is queueing.

${table(["request", "1 connection", "16 connections", "64 connections"], times)}

## Start, size and memory

The first answer after workerd starts anew (median of ${starts} starts), all modules after \`gzip -9\`, and the memory of WebAssembly after the requests above.

${table(["Worker", "first answer, ms", "gzip, KB", "WebAssembly, MB"], sizes)}

## 100 million verifications a month

In dollars, by Cloudflare's prices for the paid plan, and after what $5 a month includes: requests $0.30 a million (10 million included), CPU $0.02 a
million ms (30 million), KV $0.50 a million reads (10 million) and $5 a million writes (1 million), D1 $0.001 a million rows read (25 billion) and $1 a
million rows written (50 million), Durable Objects $0.15 a million requests (1 million) and $12.50 a million GB-s (400,000). Storage is left out.

${table(["", "requests", "CPU", "KV", "D1", "Durable Objects", "with $5 for the plan"], bills)}

The CPU is that of the table above, which is more than Cloudflare bills. Of Bitting's D1 rows nearly all are the last uses of keys, which an isolate writes
once a minute: two rows for each key that it saw. ${world.writes.toFixed(0)} isolates a second do so, by the model below (${rate.toFixed(0)} verifications a second in the world,
250 places with six isolates each); traffic from fewer places writes less. In the last row of Bitting no key is in memory when it is asked about, or
is seen twice in a minute.

The prices are those of the pages for [Workers](https://developers.cloudflare.com/workers/platform/pricing/),
[KV](https://developers.cloudflare.com/kv/platform/pricing/), [D1](https://developers.cloudflare.com/d1/platform/pricing/) and
[Durable Objects](https://developers.cloudflare.com/durable-objects/platform/pricing/), as of November 2026. Unkey's
[documentation](https://www.unkey.com/docs/platform/workspaces/billing) names 150,000 requests a month for its free plan and no price for more.

## Waiting for the primary: a model

\`bench/wait.mjs\` computes this; nothing here is measured. Verifications arrive at random at 250 places, whose traffic follows Zipf's law, each with six
isolates, spread over nine regions. A snapshot is believed while the feed is at most 5 s old. An isolate reads the feed anew behind an answer once it is
older than half of that, and before the answer once it is too old. A holder reads it every 2.5 s, until nobody has asked for a minute. Assumed: the
primary in eastern North America, 15 ms from there and up to 220 ms (Africa) from elsewhere, and 15 ms to the region's own holder or replica.

${table(["verifications a second in the world", "wait, each isolate for itself", "wait, with a holder", "feed queries a second, each for itself", "with a holder"], waits)}

At 100 a second, milliseconds of waiting, median / 99th percentile of all verifications, of which 2 % ask about a key that neither memory nor KV has:

${table(["region", "each isolate for itself", "with a holder", "with a holder and replicas"], regions)}
`,
  );
  writeFileSync(`${root}/docs/src/images/cost.svg`, bars(results.map((result) => ({ name: result.name, value: over(result, bases[0]) })).toSorted((a, b) => a.value - b.value)));
  writeFileSync(`${root}/docs/src/images/wait.svg`, lines(model));
}

// Both have their own background and colours for each theme, so they can be read on any page.
const svg = (width, height, title, content) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">
<style>
  .page { fill: #fff } text { fill: #1f2328; font: 13px system-ui, sans-serif } .ours { fill: #0b66c3; stroke: #0b66c3 } .other { fill: #77808c; stroke: #77808c } .grid { stroke: #d5d9de }
  polyline { fill: none !important; stroke-width: 2.5 } .title { font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }
  @media (prefers-color-scheme: dark) { .page { fill: #14171c } text { fill: #e3e7ec } .ours { fill: #5ba8f5; stroke: #5ba8f5 } .other { fill: #8b95a1; stroke: #8b95a1 } .grid { stroke: #363c45 } }
</style>
<rect class="page" width="${width}" height="${height}" rx="6"/>
<text class="title" x="16" y="24">${title}</text>
${content.join("\n")}
</svg>
`;

function bars(rows) {
  const [left, width, top, step] = [290, 820, 58, 20];
  const most = Math.max(...rows.map(({ value }) => value));
  const x = (value) => left + (Math.log(value) / Math.log(most * 1.05)) * (width - left - 60);
  const bottom = top + rows.length * step;
  const ticks = [1, 2, 5, 10, 20, 50, 100].filter((tick) => tick <= most);
  return svg(width, bottom + 16, "CPU of a request in workerd, as a multiple of a constant Worker's in JavaScript (logarithmic)", [
    ...ticks.map((tick) => `<line class="grid" x1="${x(tick).toFixed(1)}" x2="${x(tick).toFixed(1)}" y1="${top - 8}" y2="${bottom}"/><text class="middle" x="${x(tick).toFixed(1)}" y="${top - 14}">${tick}</text>`),
    ...rows.map(({ name, value }, index) => {
      const y = top + index * step;
      return `<text class="end" x="${left - 8}" y="${y + 13}">${name}</text><rect class="${name.startsWith("Bitting") ? "ours" : "other"}" x="${left}" y="${y + 3}" width="${Math.max(1, x(value) - left).toFixed(1)}" height="${step - 7}"/><text x="${(Math.max(left + 1, x(value)) + 6).toFixed(1)}" y="${y + 13}">${ratio(value)}</text>`;
    }),
  ]);
}

function lines(model) {
  const [left, right, top, bottom] = [60, 560, 50, 270];
  const x = (index) => left + (index / (model.length - 1)) * (right - left);
  const y = (share) => bottom - share * (bottom - top);
  const line = (kind, name) => {
    const points = model.map((row, index) => `${x(index).toFixed(1)},${y(row[kind].primary).toFixed(1)}`);
    return `<polyline class="${name}" points="${points.join(" ")}"/>`;
  };
  return svg(610, 320, "Verifications that wait for the database's primary (a model)", [
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => `<line class="grid" x1="${left}" x2="${right}" y1="${y(share)}" y2="${y(share)}"/><text class="end" x="${left - 8}" y="${y(share) + 4}">${share * 100} %</text>`),
    ...model.map(({ load }, index) => `<text class="middle" x="${x(index).toFixed(1)}" y="${bottom + 20}">${load.toLocaleString("en")}</text>`),
    `<text class="middle" x="${(left + right) / 2}" y="${bottom + 40}">verifications a second in the world</text>`,
    line("alone", "other"),
    line("held", "ours"),
    `<text x="${x(2) + 14}" y="${y(model[2].alone.primary) - 8}">each isolate for itself</text>`,
    `<text x="${x(1) + 14}" y="${y(0) - 10}">with a holder of the feed</text>`,
  ]);
}
