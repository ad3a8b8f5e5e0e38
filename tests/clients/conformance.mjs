// Whether a copy of the library keeps the rules of docs/src/feed.md: the vectors, and random histories in which keys are
// revoked and enabled while answers of Bitting's isolates are late, old, and out of order.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const BOUND_MS = 5_000;
// The most changes in one answer of the feed.
const PAGE = 4;
const KEYS = JSON.parse(readFileSync(new URL("../vectors/key_text.json", import.meta.url))).texts.slice(0, 3).map(({ text }) => text);
const VECTORS = JSON.parse(readFileSync(new URL("../vectors/feed.json", import.meta.url)));

// The rules that the library in this folder breaks, each in a sentence. Empty if it keeps all of them.
export async function broken(folder, histories) {
  const load = (file) => import(pathToFileURL(join(folder, file)));
  const [{ Copies }, { Verifier }] = [await load("copies.js"), await load("index.js")];
  const failures = VECTORS.flatMap((vector) => play(Copies, vector));
  if (failures.length > 0) return failures;
  // A digest that is ready at once, so that a history is the same each time.
  const { digest, importKey, verify } = crypto.subtle;
  crypto.subtle.digest = async (_, data) => createHash("sha256").update(data).digest();
  // Signatures are not what the histories are about.
  crypto.subtle.importKey = async () => "key";
  crypto.subtle.verify = async () => true;
  try {
    let [accepted, asked, tokens] = [0, 0, 0];
    for (let seed = 1; seed <= histories; seed += 1) {
      const history = new History(seed, Verifier);
      const late = await history.play();
      accepted += history.accepted + history.tokensAccepted;
      asked += history.asked;
      tokens += history.tokensAccepted / (history.tokensVerified || 1);
      if (late) {
        failures.push(`history ${seed}: ${late}`);
        break;
      }
    }
    if (failures.length === 0 && (accepted < 10 * histories || asked > 1.6 * accepted)) {
      failures.push(`${accepted} requests were let on, with ${asked} questions`);
    }
    if (failures.length === 0 && tokens < 0.15 * histories) failures.push(`only ${tokens / histories} of the tokens were let on`);
  } finally {
    Object.assign(crypto.subtle, { digest, importKey, verify });
  }
  return failures;
}

function play(Copies, { name, events }) {
  const copies = new Copies({ maxKeys: 10, maxStalenessMs: Infinity });
  for (const event of events) {
    if (event.feed) copies.hear(event.feed, event.after ?? undefined, event.sent_at);
    else if (event.verified) copies.keep("key", event.verified, event.sent_at);
    else {
      const verdict = copies.judge("key", event.at)?.code ?? "ask";
      if (verdict !== event.verdict) return [`${name}: ${verdict} at ${event.at}, not ${event.verdict}`];
    }
  }
  return [];
}

function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
}

// One history, all of it drawn from its seed. Time goes on only in its queue.
class History {
  now = 0;
  accepted = 0;
  asked = 0;
  tokensAccepted = 0;
  tokensVerified = 0;
  #tokens = [];
  #queue = [];
  #late;
  #revokedAt = new Map();
  // The database at each change: the number, the last change of each subject, and which keys are active.
  #states = [{ at: -Infinity, seq: 1, changes: new Map(), active: new Map(KEYS.map((key) => [key, true])), pruned: 0 }];

  constructor(seed, Verifier) {
    this.random = random(seed);
    this.verifier = new Verifier({
      url: "https://bitting.example", key: "verifier", timeoutMs: 2 ** 30, clock: () => this.now, wallClock: () => this.now,
      fetch: (url, init) => this.#answer(new URL(url), init),
    });
  }

  async play() {
    let at = 0;
    for (let event = 0; event < 30 + this.random() * 60; event += 1) {
      at -= Math.log(1 - this.random()) * 800;
      this.#at(at, this.#event());
    }
    while (this.#queue.length > 0 && !this.#late) {
      this.#queue.sort((a, b) => a.at - b.at);
      const { at: next, act } = this.#queue.shift();
      this.now = Math.max(this.now, next);
      act();
      await new Promise(setImmediate);
    }
    return this.#late;
  }

  #at(at, act) {
    this.#queue.push({ at, act });
  }

  #delay() {
    return -Math.log(1 - this.random()) * 600;
  }

  #event() {
    const [choice, key] = [this.random(), KEYS[Math.floor(this.random() * KEYS.length)]];
    if (choice < 0.06) return () => this.#derive(key);
    if (choice < 0.2) return () => this.#verifyToken();
    if (choice < 0.7) return () => this.#verify(key);
    if (choice < 0.8) return () => this.#change(key, false);
    if (choice < 0.88) return () => this.#change(key, true);
    if (choice < 0.95) return () => {
      for (let other = 0; other < 1 + choice * 5 % 1 * 8; other += 1) this.#change(`other ${other}`);
    };
    return () => this.#next((state) => { state.pruned = state.seq; state.changes = new Map(); });
  }

  #next(change) {
    const last = this.#states.at(-1);
    const state = { ...last, at: this.now, changes: new Map(last.changes), active: new Map(last.active) };
    change(state);
    this.#states.push(state);
  }

  #change(key, active) {
    this.#next((state) => {
      state.seq += 1;
      state.changes.set(key, state.seq);
      if (active !== undefined) state.active.set(key, active);
    });
    if (active === false && !this.#revokedAt.has(key)) this.#revokedAt.set(key, this.now);
    if (active === true) this.#revokedAt.delete(key);
  }

  async #verify(key) {
    const { valid } = await this.verifier.verify(key);
    if (!valid) return;
    this.accepted += 1;
    const revokedAt = this.#revokedAt.get(key);
    if (this.now > revokedAt + BOUND_MS) this.#late ??= `a key that was revoked at ${revokedAt} was let on at ${this.now}`;
  }

  // A token of some isolate, whose feed is up to the bound old.
  #derive(key) {
    const state = this.#state(this.random() < 0.5 ? 0 : this.random() * BOUND_MS);
    if (!state.active.get(key)) return;
    const claims = { iss: "https://bitting.example", aud: "us", exp: 10 ** 9, scope: "", sub: key, seq: state.seq, subjects: [key] };
    const parts = [{ alg: "EdDSA", kid: "one" }, claims, {}].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
    this.#tokens.push({ key, token: parts.join(".") });
  }

  async #verifyToken() {
    if (this.#tokens.length === 0) return;
    const { key, token } = this.#tokens.at(-1 - Math.floor(this.random() * Math.min(3, this.#tokens.length)));
    const { valid } = await this.verifier.verifyToken(token, { audience: "us" });
    this.tokensVerified += 1;
    if (!valid) return;
    this.tokensAccepted += 1;
    const revokedAt = this.#revokedAt.get(key);
    if (this.now > revokedAt + BOUND_MS) this.#late ??= `a token of a key that was revoked at ${revokedAt} was let on at ${this.now}`;
  }

  // An answer of some isolate, whose feed is up to the bound old.
  #answer(url, { body }) {
    this.asked += 1;
    return new Promise((resolve, reject) => this.#at(this.now + this.#delay(), () => {
      const ageMs = this.random() < 0.5 ? 0 : this.random() * BOUND_MS;
      const answer = url.pathname.endsWith("/jwks.json") ? { keys: [{ kty: "OKP", crv: "Ed25519", kid: "one", x: "" }] } : body ? this.#verification(JSON.parse(body), ageMs) : this.#feed(url.searchParams.get("after"), ageMs);
      const lost = this.random() < 0.03;
      this.#at(this.now + this.#delay(), () => lost ? reject(new Error("lost")) : resolve(new Response(JSON.stringify(answer))));
    }));
  }

  #state(ageMs) {
    return this.#states.findLast(({ at }) => at <= this.now - ageMs);
  }

  #verification({ key, at_least: atLeast = 0, freshness }, ageMs) {
    const old = this.#state(ageMs);
    const isCurrent = freshness === "strong" || old.seq < atLeast;
    const [state, age] = isCurrent ? [this.#states.at(-1), 0] : [old, ageMs];
    const valid = state.active.get(key);
    return {
      valid, code: valid ? "valid" : "key_disabled", scopes: null, seq: state.seq, subjects: [key], age_ms: age,
      fresh_for_ms: BOUND_MS - age, ends_in_ms: null,
    };
  }

  #feed(asked, ageMs) {
    const { seq: head, changes, pruned } = this.#state(ageMs);
    const after = asked === null ? head : Number(asked);
    const newer = [...changes].filter(([, seq]) => seq > after).map(([subject, seq]) => [seq, subject]);
    const isWhole = after >= pruned && newer.length <= PAGE;
    const base = isWhole ? Math.min(after, head) : head;
    return { base, head, age_ms: ageMs, max_staleness_ms: BOUND_MS, changes: isWhole ? newer.sort(([a], [b]) => b - a) : [] };
  }
}
