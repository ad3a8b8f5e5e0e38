// A verification as one writes it by hand: Hono, SHA-256 and one look-up in KV.
import { Hono } from "hono";

const app = new Hono();
app.post("/verify", async (context) => {
  const { key } = await context.req.json();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  const name = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const record = await context.env.CACHE.get(`key:${name}`, "json");
  return record ? context.json({ valid: true, ...record }) : context.json({ valid: false }, 401);
});
export default app;
