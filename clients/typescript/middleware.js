import { bearer } from "./index.js";

/** Hono: `app.use("/orders/*", hono(verifier, { scopes: ["orders:read"] }))`, then `c.get("key")`. */
export const hono = (verifier, { scopes, client } = {}) => async (c, next) => {
  const question = { scopes, client: client?.(c), waitUntil: waitUntil(c) };
  const verdict = await verifier.verify(bearer(c.req.header("authorization")), question);
  if (!verdict.valid) return c.json(problem(verdict), verdict.status, headers(verdict));
  c.set("key", verdict);
  await next();
};

/** Express: `app.get("/orders", express(verifier, { scopes: ["orders:read"] }), …)`, then `req.key`. */
export const express = (verifier, { scopes, client } = {}) => async (req, res, next) => {
  const verdict = await verifier.verify(bearer(req.headers.authorization), { scopes, client: client?.(req) });
  if (!verdict.valid) return void res.status(verdict.status).set(headers(verdict)).json(problem(verdict));
  req.key = verdict;
  next();
};

/** Fastify: `app.get("/orders", { preHandler: fastify(verifier, { scopes: ["orders:read"] }) }, …)`, then `request.key`. */
export const fastify = (verifier, { scopes, client } = {}) => async (request, reply) => {
  const verdict = await verifier.verify(bearer(request.headers.authorization), { scopes, client: client?.(request) });
  if (!verdict.valid) return reply.code(verdict.status).headers(headers(verdict)).send(problem(verdict));
  request.key = verdict;
};

function problem({ code, missing_scopes: missing }) {
  const message = missing ? `Insufficient API key scopes. Required: ${missing.join(", ")}` : `The API key was refused: ${code}`;
  return { error: { code, message } };
}

function headers({ status, code, missing_scopes: missing }) {
  if (status === 503) return { "retry-after": "1" };
  if (status === 401) return { "www-authenticate": "Bearer" };
  return { "www-authenticate": missing ? `Bearer error="${code}", scope="${missing.join(" ")}"` : "Bearer" };
}

// Outside of Workers Hono has no such context, and says so by an error.
function waitUntil(c) {
  try {
    const context = c.executionCtx;
    return context && ((work) => context.waitUntil(work));
  } catch {
    return undefined;
  }
}
