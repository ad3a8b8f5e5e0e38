// Better Auth's plugin for API keys, as its documentation sets it up for a Worker. `STORAGE` says where keys are:
// "database" (D1), "cached" (KV before D1) or "kv" (KV alone).
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";

let auth;

function start({ DB, CACHE, STORAGE }) {
  const keys = STORAGE === "database" ? {} : { storage: "secondary-storage", fallbackToDatabase: STORAGE === "cached" };
  const storage = {
    get: (name) => CACHE.get(name),
    // KV takes no time to live below a minute.
    set: (name, value, ttl) => CACHE.put(name, value, ttl ? { expirationTtl: Math.max(60, ttl) } : undefined),
    delete: (name) => CACHE.delete(name),
  };
  return betterAuth({
    baseURL: "http://localhost",
    secret: "a-secret-for-the-benchmark-only-0123456789",
    database: DB,
    ...(STORAGE !== "database" && { secondaryStorage: storage }),
    telemetry: { enabled: false },
    // It would warn that there is no schema yet.
    logger: { disabled: true },
    // Its limit of ten uses a day would refuse the benchmark.
    plugins: [apiKey({ ...keys, rateLimit: { enabled: false } })],
  });
}

export default {
  async fetch(request, env) {
    auth ??= start(env);
    if (new URL(request.url).pathname === "/setup") {
      await (await getMigrations(auth.options)).runMigrations();
      const { internalAdapter } = await auth.$context;
      const user = await internalAdapter.createUser({ email: "a@b.example", name: "A", emailVerified: true });
      return Response.json(await auth.api.createApiKey({ body: { userId: user.id, name: "warm" } }));
    }
    const { key } = await request.json();
    return Response.json(await auth.api.verifyApiKey({ body: { key } }));
  },
};
