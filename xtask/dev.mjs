// `npm run dev`: the Worker on this machine, rebuilt on every save, with a first organization and key.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { build, localDatabase, npmPackages, seconds, start, wasmTarget } from "./steps.mjs";

const port = Number(process.env.PORT ?? 8787);
const url = `http://127.0.0.1:${port}`;

await assertPortIsFree();
if (!existsSync(".dev.vars")) {
  writeFileSync(".dev.vars", `OPERATOR_SECRET=${randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
}
const packages = npmPackages();
await Promise.all([packages.then(localDatabase), wasmTarget().then(() => build({ dev: true, after: packages }))]);

const wrangler = ["wrangler", "dev", "--ip", "127.0.0.1", "--port", String(port), "--show-interactive-dev-session=false"];
const server = start(wrangler, "SIGTERM", { stdio: ["ignore", "inherit", "inherit"] });
server.on("exit", (code) => process.exit(code ?? 1));
await untilItAnswers();
console.log(`${seconds()}  ${url} answers`);
await bootstrap();

function assertPortIsFree() {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.on("error", (error) => {
      console.error(`Port ${port} cannot be used (${error.code}). Another one: PORT=${port + 1} npm run dev`);
      process.exit(1);
    });
    probe.listen(port, "127.0.0.1", () => probe.close(resolve));
  });
}

async function untilItAnswers() {
  for (;;) {
    try {
      return await fetch(url);
    } catch {
      await sleep(100);
    }
  }
}

async function bootstrap() {
  const secret = /^OPERATOR_SECRET\s*=\s*"?([^"\r\n]*)/m.exec(readFileSync(".dev.vars", "utf8"))?.[1];
  const response = await fetch(`${url}/v1/bootstrap`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ organization: "Local", email: "owner@localhost", key_name: "first key" }),
  });
  const text = await response.text();
  if (response.status === 201) {
    const { key, sign_in_link: link } = JSON.parse(text);
    console.log(`\nThe settings pages, signed in by a link that works once:\n\n  ${link}`);
    console.log(`\nThe first key, shown this once:\n\n  ${key}\n\nTry it:\n\n  curl -H "Authorization: Bearer ${key}" ${url}/v1/keys/self\n`);
  } else if (response.status === 409) {
    console.log("\nAlready set up; the first key was shown then. To start anew: stop, rm -r .wrangler/state, npm run dev.\n");
  } else {
    console.error(`\nPOST /v1/bootstrap answered ${response.status}: ${text}\n`);
  }
}
