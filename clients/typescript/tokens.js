// The public keys of a deployment, and the signatures of its derived tokens.

// The keys are read again after this time behind an answer, and are not believed after twice as long.
const KEYS_MS = 5 * 60 * 1000;

// The least time between two questions, so that forged tokens cost nothing.
const RETRY_MS = 10 * 1000;

const MAX_BYTES = 16 * 1024;

export class SigningKeys {
  #keys = new Map();
  #readAt = -Infinity;
  #askedAt = -Infinity;
  #asking;
  #read;

  constructor(read) {
    this.#read = read;
  }

  // The key of this id; undefined if there is none. `now` is by a clock that is never set back.
  async get(id, now) {
    const isOld = now - this.#readAt > 2 * KEYS_MS;
    if (isOld || (!this.#keys.has(id) && now - this.#askedAt > RETRY_MS)) await this.#ask(now);
    if (now - this.#readAt > 2 * KEYS_MS) throw new Error("the public keys cannot be read");
    return this.#keys.get(id);
  }

  // Reads the keys again if they are in use and it is time to.
  async refresh(now) {
    if (this.#keys.size > 0 && now - this.#readAt > KEYS_MS && now - this.#askedAt > RETRY_MS) await this.#ask(now);
  }

  #ask(now) {
    if (now - this.#askedAt <= RETRY_MS && !this.#asking) return undefined;
    this.#asking ??= this.#askOnce(now).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #askOnce(now) {
    this.#askedAt = now;
    const { keys } = await this.#read();
    const usable = keys.filter(({ kty, crv, kid }) => kty === "OKP" && crv === "Ed25519" && typeof kid === "string");
    const imported = usable.map(async ({ kty, crv, x, kid }) => [kid, await crypto.subtle.importKey("jwk", { kty, crv, x }, "Ed25519", false, ["verify"])]);
    this.#keys = new Map(await Promise.all(imported));
    this.#readAt = now;
  }
}

// The header and the claims of a token that is signed with Ed25519, and what was signed; undefined if it is no such token.
export function parse(token) {
  if (typeof token !== "string" || token.length > MAX_BYTES) return undefined;
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  try {
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes(part))));
    if (header.alg !== "EdDSA" || header.crit !== undefined || typeof header.kid !== "string") return undefined;
    const isWhole = Number.isInteger(claims.exp) && Number.isInteger(claims.seq) && typeof claims.scope === "string" && Array.isArray(claims.subjects);
    if (!isWhole) return undefined;
    const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
    return { header, claims, signed, signature: bytes(parts[2]) };
  } catch {
    return undefined;
  }
}

export function isSignedBy(key, { signed, signature }) {
  return crypto.subtle.verify("Ed25519", key, signature, signed);
}

// Only base64url, which each text is in one way.
function bytes(part) {
  if (!/^[\w-]*$/.test(part)) throw new TypeError("not base64url");
  return Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
}
