// The types of the library, as a service would use them.
import { Verifier, bearer, type Verdict } from "../../clients/typescript/index.js";
import { express, fastify, hono } from "../../clients/typescript/middleware.js";

const verifier = new Verifier({ url: new URL("https://keys.example.com"), key: "bit_org_…", maxStalenessMs: 1_000, onError: console.error });
const verdict: Verdict = await verifier.verify(bearer("Bearer bit_pat_…"), { scopes: ["orders:read"] });
const status: 200 | 401 | 403 | 503 = verdict.status;
const organization: string | undefined = verdict.owner?.organization_id;
// @ts-expect-error: a verdict is not to be changed.
verdict.valid = true;
// @ts-expect-error: the key that asks is missing.
new Verifier({ url: "https://keys.example.com" });
export const all = [status, organization, hono(verifier), express(verifier, { scopes: ["orders:read"] }), fastify(verifier)];

// The client's.
import { all as items, Client } from "../../clients/typescript/client.js";

const client = new Client({ url: "https://keys.example.com", key: "bit_pat_…" });
const created = await client.keys.create({ name: "n", scopes: ["orders:read"] }, { idempotencyKey: "one" });
export const secret: string = created.key;
for await (const key of items(client.keys.list, { status: "all" })) {
  const kind: "pat" | "org" | "proj" | "sk" = key.kind;
  console.log(kind);
}
// @ts-expect-error: the name is missing.
await client.keys.create({ scopes: [] });
// @ts-expect-error: there is no such parameter.
await client.keys.get({ key_id: "1", other: true });
const verdict2 = await client.keys.verify({ key: "bit_pat_…" });
export const valid: boolean = verdict2.valid;
