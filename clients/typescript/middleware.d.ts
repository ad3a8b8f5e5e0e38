import type { Caller, Verdict, Verifier } from "./index.js";

export interface Required {
  /** The scopes that the key must hold. */
  scopes?: readonly string[];
  /** Who presents the key, from the framework's request: `(req) => ({ ip: req.ip })`. Without it, nothing is told. */
  client?: (request: any) => Caller | undefined;
}

/** For Hono: sets `c.get("key")` to the verdict, or answers 401, 403 or 503. */
export function hono(verifier: Verifier, required?: Required): (c: any, next: () => Promise<void>) => Promise<any>;
/** For Express: sets `req.key` to the verdict, or answers 401, 403 or 503. */
export function express(verifier: Verifier, required?: Required): (req: any, res: any, next: (error?: any) => void) => Promise<void>;
/** For Fastify, as a `preHandler`: sets `request.key` to the verdict, or answers 401, 403 or 503. */
export function fastify(verifier: Verifier, required?: Required): (request: any, reply: any) => Promise<any>;
export type { Verdict };
