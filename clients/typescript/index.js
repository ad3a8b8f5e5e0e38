import { Copies, missingScopes } from "./copies.js";
import { isWellFormed } from "./key_text.js";
import { isSignedBy, parse, SigningKeys } from "./tokens.js";

// The time without a question about the feed after one that was refused.
const REFUSED_FEED_MS = 60 * 1000;

// The attempts to get an answer that no change contradicts.
const ATTEMPTS = 3;

const STATUS = { valid: 200, conditions_not_met: 403, insufficient_scope: 403, organization_suspended: 403, unavailable: 503 };

export class Verifier {
  #url;
  #key;
  #fetch;
  #timeoutMs;
  #clock;
  #onError;
  #copies;
  #signingKeys;
  #wallClock;
  #asking = new Map();
  #polledAt = -Infinity;
  #last = -Infinity;

  constructor({ url, key, maxStalenessMs = Infinity, maxKeys = 10_000, timeoutMs = 3_000, fetch, onError, clock, wallClock }) {
    this.#url = String(url).replace(/\/+$/, "");
    this.#key = key;
    this.#fetch = fetch ?? ((...question) => globalThis.fetch(...question));
    this.#timeoutMs = timeoutMs;
    this.#clock = clock ?? elapsed();
    this.#onError = onError ?? (() => {});
    this.#copies = new Copies({ maxKeys, maxStalenessMs });
    this.#signingKeys = new SigningKeys(() => this.#call("/.well-known/jwks.json"));
    this.#wallClock = wallClock ?? Date.now;
  }

  /** The number of keys in memory. */
  get size() {
    return this.#copies.size;
  }

  async verify(key, { scopes = [], client, waitUntil = () => {} } = {}) {
    if (!key) return verdict({ valid: false, code: "missing_api_key" });
    if (!isWellFormed(key)) return verdict({ valid: false, code: "malformed_api_key" });
    const name = await digest(key);
    const since = this.#now();
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const answer = this.#copies.judge(name, this.#now(), since);
        if (answer) {
          waitUntil(this.#behind(name, key));
          return verdict(answer, scopes);
        }
        const asked = await this.#ask(name, key, client, attempt);
        const own = asked.answer.conditional && this.#copies.judge(name, this.#now(), since, asked);
        if (own) return verdict(own, scopes);
      }
      const answer = this.#copies.judge(name, this.#now(), since);
      if (answer) return verdict(answer, scopes);
    } catch (error) {
      this.#onError(error);
    }
    return verdict({ valid: false, code: "unavailable" });
  }

  async verifyToken(token, { audience, scopes = [], waitUntil = () => {} }) {
    if (!audience) throw new TypeError("verifyToken needs `audience`: the service that the tokens are for");
    if (!token) return verdict({ valid: false, code: "missing_token" });
    const parsed = parse(token);
    if (!parsed) return verdict({ valid: false, code: "malformed_token" });
    const { header, claims } = parsed;
    try {
      const key = await this.#signingKeys.get(header.kid, this.#now());
      const isGood = key && (await isSignedBy(key, parsed)) && claims.iss === this.#url && claims.aud === audience;
      if (!isGood) return verdict({ valid: false, code: "invalid_token" });
      if (claims.exp * 1000 <= this.#wallClock()) return verdict({ valid: false, code: "token_expired" });
      let code = this.#copies.judgeToken(claims, this.#now());
      if (!code) {
        await this.#listen(this.#copies.afterFor(claims));
        code = this.#copies.judgeToken(claims, this.#now(), true) ?? "unavailable";
      }
      waitUntil(this.#behind());
      if (code !== "valid") return verdict({ valid: false, code });
      const { sub, scope, kind, organization_id, user_id = null } = claims;
      const owner = { organization_id, user_id, live_evaluation_id: null };
      return verdict({ valid: true, code, key_id: sub, kind, owner, scopes: scope ? scope.split(" ") : [] }, scopes);
    } catch (error) {
      this.#onError(error);
    }
    return verdict({ valid: false, code: "unavailable" });
  }

  // The time by the clock, and later than each time before, so that it orders what happens within one tick.
  #now() {
    this.#last = Math.max(this.#clock(), this.#last + 0.0001);
    return this.#last;
  }

  // Asks about a key that a client presents. Callers that come meanwhile for the same client wait for the same answer.
  #ask(name, key, client, attempt = 0) {
    return this.#shared(`${name} ${JSON.stringify([client?.ip, client?.country])}`, () => {
      const contradiction = this.#copies.contradiction(name);
      const newer = contradiction ? { at_least: contradiction } : attempt > 0 ? { freshness: "strong" } : {};
      return this.#askOnce(name, { key, ...(client && { client: { ip: client.ip, country: client.country } }), ...newer });
    });
  }

  #shared(about, ask) {
    let question = this.#asking.get(about);
    if (!question) {
      question = ask();
      if (MAY_SHARE) {
        this.#asking.set(about, question);
        const done = () => this.#asking.delete(about);
        question.then(done, done);
      }
    }
    return question;
  }

  async #askOnce(name, body) {
    const sentAt = this.#now();
    const headers = { "content-type": "application/json" };
    const answer = await this.#call("/v1/keys/verify", { method: "POST", headers, body: JSON.stringify(body) });
    if (typeof answer?.valid !== "boolean") throw new Error("the answer to the verification has no `valid`");
    this.#copies.keep(name, answer, sentAt);
    return { answer, sentAt };
  }

  // What is done behind an answer, for later ones. Its failure is no failure of this one.
  async #behind(name, key) {
    const isDue = this.#copies.use(name, this.#now());
    try {
      await this.#poll();
      await this.#signingKeys.refresh(this.#now());
      if (isDue) await this.#ask(name, key);
    } catch (error) {
      this.#onError(error);
    }
  }

  // Asks for the feed's news, if they are due. No question is waited for longer than until the next one is due, because a
  // runtime may cut it off.
  async #poll() {
    const { boundMs, head } = this.#copies;
    const sentAt = this.#now();
    if (this.#copies.feedAgeMs(sentAt) <= boundMs / 2 || sentAt - this.#polledAt < boundMs / 4 || boundMs <= 0) return;
    this.#polledAt = sentAt;
    try {
      await this.#listen(head > 0 ? head : undefined);
    } catch (error) {
      if (error.status === 401 || error.status === 403) this.#polledAt = sentAt + REFUSED_FEED_MS;
      throw error;
    }
  }

  // Reads the feed. Callers that come meanwhile wait for the same answer.
  #listen(after) {
    return this.#shared(`feed ${after}`, async () => {
      const sentAt = this.#now();
      const answer = await this.#call(after === undefined ? "/v1/feed" : `/v1/feed?after=${after}`);
      this.#copies.hear(answer, after, sentAt);
    });
  }

  async #call(path, { headers, ...request } = {}) {
    const response = await this.#fetch(this.#url + path, {
      ...request,
      headers: { ...headers, authorization: `Bearer ${this.#key}` },
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const text = await response.text();
    if (response.status !== 200) {
      throw Object.assign(new Error(`${path} was answered with ${response.status}: ${text.slice(0, 300)}`), { status: response.status });
    }
    // Callers get the parts of the answer that is kept, so that nobody may change them.
    return JSON.parse(text, (_, value) => Object.freeze(value));
  }
}

/** The key in the header `Authorization`; undefined if there is none. */
export function bearer(authorization) {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
}

// Workers may not wait for what another request has asked.
const MAY_SHARE = globalThis.navigator?.userAgent !== "Cloudflare-Workers";

function verdict(answer, scopes = []) {
  const missing = answer.valid ? missingScopes(answer.scopes, scopes) : [];
  const { valid, code } = missing.length > 0 ? { valid: false, code: "insufficient_scope" } : answer;
  return { ...answer, valid, code, status: STATUS[code] ?? 401, ...(missing.length > 0 && { missing_scopes: missing }) };
}

// A clock that is never set back, and counts while the machine sleeps. The monotonic clock may stand still then; the wall
// clock tells, by stepping ahead of it.
function elapsed() {
  let ahead = Date.now() - performance.now();
  let slept = 0;
  return () => {
    const monotonic = performance.now();
    const step = Date.now() - monotonic - ahead;
    ahead += step;
    if (step > 50) slept += step;
    return monotonic + slept;
  };
}

// A key is never kept, only this.
async function digest(key) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return btoa(String.fromCharCode(...bytes));
}
