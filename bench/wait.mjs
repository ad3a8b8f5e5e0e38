// A model of how long a verification waits for the database's primary, far from it: with each isolate reading the
// feed for itself, with a holder of the feed in each region, and with read replicas, too. Network times are assumed.
const BOUND = 5; // seconds, as MAX_STALENESS_SECONDS
const HALF = BOUND / 2;
const PLACES = 250;
const ISOLATES = 6;
const HOLDER_IDLE = 60;
const NEAR_MS = 15; // to the region's holder or replica
/** The time to a primary in eastern North America and back, in ms, by region. */
const PRIMARY_MS = { enam: 15, wnam: 70, weur: 90, eeur: 115, sam: 130, me: 180, apac: 190, oc: 210, afr: 220 };
export const REGIONS = Object.keys(PRIMARY_MS);

/** The same numbers in each run (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Verifications that arrive at `rate` a second in the world, at places whose traffic follows Zipf's law. Of them `cold`
 * ask about a key that neither memory nor KV has. Gives the waits of each region, the share that waits for the
 * primary, and the questions a second that the primary gets for the feed.
 */
export function simulate({ rate, holder = false, replicas = false, cold = 0, requests = 200_000 }) {
  const next = random(1);
  const weights = Array.from({ length: PLACES }, (_, place) => 1 / (place + 1));
  const total = weights.reduce((sum, each) => sum + each, 0);
  let sum = 0;
  const upTo = weights.map((weight) => (sum += weight / total));
  upTo[PLACES - 1] = 1;
  const read = Array.from({ length: PLACES * ISOLATES }, () => -Infinity); // when each isolate's feed was true
  const holders = REGIONS.map(() => ({ used: -Infinity }));
  const waits = REGIONS.map(() => []);
  const used = new Set();
  let [now, toPrimary, questions, writes] = [0, 0, 0, 0];

  // A holder reads the feed every half bound, until nobody has asked it for a minute.
  function held(region) {
    const its = holders[region];
    const idle = now - its.used > HOLDER_IDLE;
    if (idle) {
      questions += 1 + (its.used > -Infinity ? HOLDER_IDLE / HALF : 0);
      Object.assign(its, { since: now, polls: 0 });
    }
    const polls = Math.floor((now - its.since) / HALF);
    questions += polls - its.polls;
    Object.assign(its, { used: now, polls });
    return { at: its.since + polls * HALF, asked: idle };
  }

  for (let n = 0; n < requests; n += 1) {
    now -= Math.log(1 - next()) / rate;
    const draw = next();
    const place = upTo.findIndex((share) => draw < share);
    const region = place % REGIONS.length;
    const isolate = place * ISOLATES + Math.floor(next() * ISOLATES);
    const far = PRIMARY_MS[REGIONS[region]];
    const isCold = next() < cold;
    const age = now - read[isolate];
    let wait = 0;
    let primary = false;
    if (age > HALF) {
      const { at, asked } = holder ? held(region) : { at: now, asked: true };
      read[isolate] = at;
      if (!holder) questions += 1;
      if (age > BOUND) {
        wait = (holder ? NEAR_MS : 0) + (asked ? far : 0);
        primary = asked;
      }
    }
    if (isCold) {
      // Alone, the row and the feed are one question.
      if (holder) wait += replicas ? NEAR_MS : far;
      else wait = far;
      primary ||= !replicas;
    }
    // An isolate writes what was used once a minute.
    const minute = `${isolate} ${Math.floor(now / 60)}`;
    if (!used.has(minute)) writes += 1;
    used.add(minute);
    if (primary) toPrimary += 1;
    waits[region].push(wait);
  }
  const of = (list, share) => list.toSorted((a, b) => a - b)[Math.floor(list.length * share)];
  return {
    primary: toPrimary / requests,
    questions: questions / now,
    writes: writes / now,
    regions: Object.fromEntries(REGIONS.map((name, index) => [name, [0.5, 0.99].map((share) => of(waits[index], share))])),
  };
}
