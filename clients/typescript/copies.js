// The rules of a follower: which answers may be used again, and until when. docs/src/feed.md gives them their numbers.
// There is no I/O here, and no clock: every instant is a number of milliseconds by one clock.

// The bound as long as no answer has told it.
const DEFAULT_BOUND_MS = 5_000;

// An answer to a caller's own question may be this old, even if nothing may be kept. It was current when it was read.
const LEAST_ANSWER_MS = 1_000;

// An answer that was asked for so long ago is asked for again behind its use, so that Bitting knows that the key is used.
const ASK_AGAIN_MS = 10 * 60 * 1000;

// The most subjects whose last change is remembered.
const MAX_SUBJECTS = 20_000;

export class Copies {
  head = 0;
  #base;
  // The newest number from which on Bitting could not tell the changes.
  #tooOld = -1;
  #lastChange = new Map();
  #readAt = -Infinity;
  #boundMs = DEFAULT_BOUND_MS;
  #entries = new Map();
  #maxKeys;
  #maxStalenessMs;

  constructor({ maxKeys, maxStalenessMs }) {
    this.#maxKeys = maxKeys;
    this.#maxStalenessMs = maxStalenessMs;
  }

  get size() {
    return this.#entries.size;
  }

  get boundMs() {
    return Math.min(this.#boundMs, this.#maxStalenessMs);
  }

  feedAgeMs(now) {
    return now - this.#readAt;
  }

  // F1. Hears an answer of the feed to a question that was sent at `sentAt` with `after`.
  hear(answer, after, sentAt) {
    if (answer.head < this.head) return;
    this.#boundMs = answer.max_staleness_ms;
    const isWhole = after !== undefined && answer.base <= after;
    if (after !== undefined && !isWhole) this.#tooOld = Math.max(this.#tooOld, after);
    // What is known is worth more than a token from before it.
    if (after < this.#base && !isWhole) return;
    if (this.#base === undefined || !isWhole) {
      this.#base = answer.base;
      this.#lastChange.clear();
    } else {
      this.#base = Math.min(this.#base, after);
    }
    for (const [seq, subject] of answer.changes) {
      this.#lastChange.set(subject, Math.max(seq, this.#lastChange.get(subject) ?? 0));
    }
    this.head = answer.head;
    this.#readAt = Math.max(this.#readAt, sentAt - answer.age_ms);
    if (this.#lastChange.size > MAX_SUBJECTS) {
      this.#base = this.head;
      this.#lastChange.clear();
    }
  }

  // Keeps an answer about a key, to a question that was sent at `sentAt`, unless a newer one is there. F9. One about a key
  // with conditions is for its caller alone, and what was kept about the key is dropped.
  keep(name, answer, sentAt) {
    if (this.#entries.get(name)?.answer.seq > answer.seq) return;
    this.#entries.delete(name);
    if (answer.conditional) return;
    this.#entries.set(name, { answer, sentAt, askedAt: sentAt });
    if (this.#entries.size > this.#maxKeys) this.#entries.delete(this.#entries.keys().next().value);
  }

  // Notes a use of a key. Returns true if it is time to ask about it again, and takes that as done.
  use(name, now) {
    const entry = this.#entries.get(name);
    if (!entry) return false;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    const isDue = now - entry.askedAt > ASK_AGAIN_MS;
    if (isDue) entry.askedAt = now;
    return isDue;
  }

  // F2.1. The number of the newest change that the answer about a key does not know of; 0 if there is none.
  contradiction(name) {
    return this.#newerThan(this.#entries.get(name)?.answer);
  }

  // F8. The code for a token with these claims at `now`; undefined if the feed must be read first. A feed that was read for
  // this token may be older than the bound.
  judgeToken(claims, now, wasRead) {
    const limitMs = wasRead ? Math.max(this.boundMs, LEAST_ANSWER_MS) : this.boundMs;
    const reachesBack = this.#base <= claims.seq || claims.seq <= this.#tooOld;
    if ((this.boundMs <= 0 && !wasRead) || this.feedAgeMs(now) > limitMs || !reachesBack) return undefined;
    return this.#newerThan(claims) > 0 ? "token_outdated" : "valid";
  }

  // The `after` with which the feed is read for a token: from the token on, if what is known begins later.
  afterFor({ seq }) {
    return this.#base <= seq || seq <= this.#tooOld ? this.head : seq;
  }

  #newerThan({ seq, subjects } = {}) {
    if (seq === undefined || this.#base === undefined) return 0;
    const newer = subjects.map((subject) => this.#lastChange.get(subject) ?? 0);
    const newest = Math.max(this.#base, ...newer);
    return newest > seq ? newest : 0;
  }

  // F2, F3. The answer about a key as it is at `now`; undefined if Bitting must be asked. A caller that came at `since`
  // may use an answer to a question that was sent later, however short the bound is. `asked` is an answer that was not kept.
  judge(name, now, since = Infinity, asked = this.#entries.get(name)) {
    if (!asked || this.#newerThan(asked.answer)) return undefined;
    const { answer, sentAt } = asked;
    const { seq, age_ms: ageMs = 0, fresh_for_ms: freshForMs = Infinity } = answer;
    const elapsedMs = now - sentAt;
    const isOwn = sentAt >= since && (answer.degraded || elapsedMs + ageMs <= Math.max(this.boundMs, LEAST_ANSWER_MS));
    const isFresh = elapsedMs < freshForMs && elapsedMs + ageMs < this.boundMs;
    const isVouchedFor = seq <= this.head && this.boundMs > 0 && this.feedAgeMs(now) <= this.boundMs;
    if (!isOwn && (answer.conditional || (!isFresh && !isVouchedFor))) return undefined;
    if (answer.valid && typeof answer.ends_in_ms === "number" && elapsedMs >= answer.ends_in_ms) {
      return { ...answer, valid: false, code: answer.outgoing_until ? "key_rotated" : "api_key_expired" };
    }
    return answer;
  }
}

// F6. The required scopes that are not held. `held` is null for everything.
export function missingScopes(held, required) {
  if (held === null) return [];
  return required.filter((scope) => !held.includes(scope) && !held.includes(`${scope.split(":", 1)[0]}:*`));
}
