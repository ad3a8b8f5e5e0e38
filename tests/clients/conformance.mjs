// Whether a library keeps the rules of docs/src/feed.md: the vectors, and random histories in which keys are
// revoked and enabled while answers of Bitting's isolates are late, old, and out of order.
import { readFileSync } from "node:fs";

const BOUND_MS = 5_000;
// The most changes in one answer of the feed.
const PAGE = 4;
const KEYS = JSON.parse(readFileSync(new URL("../vectors/key_text.json", import.meta.url))).texts.slice(0, 3).map(({ text }) => text);
const PUBLIC_KEYS = { keys: [{ kty: "OKP", crv: "Ed25519", kid: "one", x: "A".repeat(43) }] };
const VECTORS = JSON.parse(readFileSync(new URL("../vectors/feed.json", import.meta.url)));

// The rules that the library behind this driver breaks, each in a sentence. Empty if it keeps all of them.
export async function broken(driver, histories) {
  const failures = [];
  try {
    for (const vector of VECTORS) failures.push(...await play(driver, vector));
    let [accepted, asked, tokens] = [0, 0, 0];
    for (let seed = 1; seed <= histories && failures.length === 0; seed += 1) {
      const history = new History(seed, driver);
      const late = await history.play();
      accepted += history.accepted + history.tokensAccepted;
      asked += history.asked;
      tokens += history.tokensAccepted / (history.tokensVerified || 1);
      if (late) failures.push(`history ${seed}: ${late}`);
    }
    if (failures.length === 0 && (accepted < 10 * histories || asked > 1.6 * accepted)) {
      failures.push(`${accepted} requests were let on, with ${asked} questions`);
    }
    if (failures.length === 0 && driver.knowsTokens && tokens < 0.15 * histories) {
      failures.push(`only ${tokens / histories} of the tokens were let on`);
    }
  } finally {
    driver.close();
  }
  return failures;
}

async function play(driver, { name, events }) {
  await driver.send({ do: "copies" });
  for (const { feed, verified, after = null, sent_at: sentAt, at, verdict } of events) {
    if (feed) await driver.send({ do: "hear", answer: feed, after, sent_at: sentAt });
    else if (verified) await driver.send({ do: "keep", answer: verified, sent_at: sentAt });
    else {
      const [{ code }] = await driver.send({ do: "judge", at });
      if (code !== verdict) return [`${name}: ${code} at ${at}, not ${verdict}`];
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
  #driver;
  // For each caller who waits, what is done with the verdict.
  #callers = [];
  #revokedAt = new Map();
  // The database at each change: the number, the last change of each subject, and which keys are active.
  #states = [{ at: -Infinity, seq: 1, changes: new Map(), active: new Map(KEYS.map((key) => [key, true])), pruned: 0 }];

  constructor(seed, driver) {
    this.random = random(seed);
    this.#driver = driver;
  }

  async play() {
    await this.#driver.send({ do: "verifier" });
    let at = 0;
    for (let event = 0; event < 30 + this.random() * 60; event += 1) {
      at -= Math.log(1 - this.random()) * 800;
      this.#at(at, this.#event());
    }
    while (this.#queue.length > 0 && !this.#late) {
      this.#queue.sort((a, b) => a.at - b.at);
      const { at: next, act } = this.#queue.shift();
      this.now = Math.max(this.now, next);
      await act();
    }
    const unanswered = this.#callers.findIndex((caller) => caller !== undefined);
    return this.#late ?? (unanswered < 0 ? undefined : `caller ${unanswered} was not answered`);
  }

  // Tells the library something, and hears what it asks and decides.
  async #tell(command) {
    for (const { ask, path, body, verdict, valid } of await this.#driver.send({ ...command, at: this.now })) {
      if (verdict === undefined) this.#ask(ask, new URL(path, "https://bitting.example"), body);
      else {
        this.#callers[verdict](valid);
        this.#callers[verdict] = undefined;
      }
    }
  }

  #come(command, decide) {
    return this.#tell({ ...command, id: this.#callers.push(decide) - 1 });
  }

  #at(at, act) {
    this.#queue.push({ at, act });
  }

  // Now and then an answer is nearly as late as the bound: that is when the rules about ages are needed.
  #delay() {
    return this.random() < 0.1 ? this.random() * BOUND_MS : -Math.log(1 - this.random()) * 400;
  }

  #event() {
    const [choice, key] = [this.random(), KEYS[Math.floor(this.random() * KEYS.length)]];
    if (choice < 0.06) return () => this.#derive(key);
    if (choice < 0.2 && this.#driver.knowsTokens) return () => this.#verifyToken();
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

  #verify(key) {
    return this.#come({ do: "verify", key }, (valid) => {
      if (!valid) return;
      this.accepted += 1;
      const revokedAt = this.#revokedAt.get(key);
      if (this.now > revokedAt + BOUND_MS) this.#late ??= `a key that was revoked at ${revokedAt} was let on at ${this.now}`;
    });
  }

  // A token of some isolate, whose feed is up to the bound old.
  #derive(key) {
    const state = this.#state(this.random() < 0.5 ? 0 : this.random() * BOUND_MS);
    if (!state.active.get(key)) return;
    const claims = { iss: "https://bitting.example", aud: "us", exp: 10 ** 9, scope: "", sub: key, seq: state.seq, subjects: [key] };
    const parts = [{ alg: "EdDSA", kid: "one" }, claims, {}].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
    this.#tokens.push({ key, token: parts.join(".") });
  }

  #verifyToken() {
    if (this.#tokens.length === 0) return undefined;
    const { key, token } = this.#tokens.at(-1 - Math.floor(this.random() * Math.min(3, this.#tokens.length)));
    return this.#come({ do: "token", token }, (valid) => {
      this.tokensVerified += 1;
      if (!valid) return;
      this.tokensAccepted += 1;
      const revokedAt = this.#revokedAt.get(key);
      if (this.now > revokedAt + BOUND_MS) this.#late ??= `a token of a key that was revoked at ${revokedAt} was let on at ${this.now}`;
    });
  }

  // An answer of some isolate, whose feed is up to the bound old.
  #ask(id, url, body) {
    this.asked += 1;
    this.#at(this.now + this.#delay(), () => {
      const ageMs = this.random() < 0.5 ? 0 : this.random() * BOUND_MS;
      const answer = url.pathname.endsWith("/jwks.json") ? PUBLIC_KEYS : body ? this.#verification(body, ageMs) : this.#feed(url.searchParams.get("after"), ageMs);
      const lost = this.random() < 0.03;
      this.#at(this.now + this.#delay(), () => this.#tell({ do: "answer", id, body: lost ? null : JSON.stringify(answer) }));
    });
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
