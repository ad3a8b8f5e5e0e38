// The module that tests run in the place of build/worker.js: the same Worker, with a clock that the
// test sets, storage calls that fail when it says so, and counters of what the Worker asked for.
// Everything is done to the objects and globals that the Worker is given: its own code is unchanged.
// Before the Worker, whose memory it tells.
import { memoryBytes } from "./memory.mjs";
import worker, { Bitting as RealBitting, FeedHolder as RealFeedHolder } from "../../build/worker.js";

const RealDate = Date;
let clockOffset = 0;
let faults = []; // {name, times, message, after, delay}
let logs = [];
let io;
resetIo();

function resetIo() {
  io = { calls: [], d1_calls: 0, statements: 0, rows_read: 0, rows_written: 0, unmetered: 0, kv_gets: 0, kv_puts: 0, kv_others: 0, holder_calls: 0, background: 0 };
}

globalThis.Date = class extends RealDate {
  constructor(...values) {
    values.length ? super(...values) : super(Date.now());
  }
  static now() {
    const fault = takeFault("Date.now");
    if (fault?.message) throw new Error(fault.message);
    return RealDate.now() + clockOffset;
  }
};

// The longest that a timer runs, in ms: what the Worker would wait for longer is over by then.
const realSetTimeout = setTimeout;
let longestTimer = Infinity;
globalThis.setTimeout = (act, ms, ...values) => realSetTimeout(act, Math.min(ms, longestTimer), ...values);

for (const level of ["debug", "log", "info", "warn", "error"]) {
  const real = console[level];
  console[level] = (...values) => {
    logs.push({ level, message: values.map(String).join(" ") });
    real.apply(console, values);
  };
}

function takeFault(name) {
  const fault = faults.find((fault) => fault.name === name && fault.times > 0);
  if (fault) fault.times -= 1;
  return fault;
}

async function call(name, act) {
  const fault = takeFault(name);
  if (fault?.delay) await scheduler.wait(fault.delay);
  if (fault?.message && !fault.after) throw new Error(fault.message);
  const answer = await act();
  if (fault?.message) throw new Error(fault.message);
  return answer;
}

// The original statement behind each of ours, for batch().
const originals = new WeakMap();

function statement(original) {
  const send = (method) => (...values) => {
    io.calls.push(`DB.${method}`);
    io.d1_calls += 1;
    io.statements += 1;
    return call(`DB.${method}`, () => original[method](...values)).then(meter);
  };
  const ours = { bind: (...values) => statement(original.bind(...values)), first: send("first"), all: send("all"), run: send("run"), raw: send("raw") };
  originals.set(ours, original);
  return ours;
}

function meter(answer) {
  for (const result of Array.isArray(answer) ? answer : [answer]) {
    // first() and raw() answer without the figures.
    if (result?.meta) {
      io.rows_read += result.meta.rows_read;
      io.rows_written += result.meta.rows_written;
    } else {
      io.unmetered += 1;
    }
  }
  return answer;
}

function proxy(target, ours) {
  return new Proxy(target, {
    get(_, key) {
      if (Object.hasOwn(ours, key)) return ours[key];
      const value = target[key];
      // The worker crate compares a binding's constructor.name, so that one is passed on as it is.
      return typeof value === "function" && key !== "constructor" ? value.bind(target) : value;
    },
  });
}

function database(original) {
  return proxy(original, {
    prepare: (sql) => statement(original.prepare(sql)),
    batch: (statements) => {
      io.calls.push(`DB.batch(${statements.length})`);
      io.d1_calls += 1;
      io.statements += statements.length;
      return call("DB.batch", () => original.batch(statements.map((ours) => originals.get(ours)))).then(meter);
    },
    withSession: (bookmark) => database(original.withSession(bookmark)),
  });
}

function cache(original) {
  const counter = { get: "kv_gets", getWithMetadata: "kv_gets", put: "kv_puts", delete: "kv_others", list: "kv_others" };
  const send = (method) => (...values) => {
    io.calls.push(`CACHE.${method} ${values[0]}`);
    io[counter[method]] += 1;
    return call(`CACHE.${method}`, () => original[method](...values));
  };
  return proxy(original, Object.fromEntries(Object.keys(counter).map((method) => [method, send(method)])));
}

function context(original) {
  return proxy(original, {
    waitUntil(promise) {
      const counted = io;
      counted.background += 1;
      const done = () => (counted.background -= 1);
      promise.then(done, done);
      original.waitUntil(promise);
    },
  });
}

const bindings = (env) => ({ ...env, DB: database(env.DB), CACHE: cache(env.CACHE), ...(env.FEED_HOLDER && { FEED_HOLDER: holder(env.FEED_HOLDER) }) });

function holder(original) {
  return proxy(original, {
    getByName: (...values) => {
      const stub = original.getByName(...values);
      return proxy(stub, {
        fetch: (...request) => {
          io.calls.push("FEED_HOLDER.fetch");
          io.holder_calls += 1;
          return call("FEED_HOLDER.fetch", () => stub.fetch(...request));
        },
      });
    },
  });
}

export class Bitting extends RealBitting {
  constructor(ctx, env) {
    super(ctx, bindings(env));
  }
}

// The holder's own questions count with those of its isolate, in `held`.
export class FeedHolder extends RealFeedHolder {
  constructor(state, env) {
    super(state, { ...env, DB: database(env.DB) });
  }
}

// One request to this path is one command; what it answers is the state before the command.
async function control(command) {
  const state = { now: RealDate.now() + clockOffset, io: { ...io }, logs, faults, memory: memoryBytes() };
  if ("clock" in command) clockOffset = command.clock - RealDate.now();
  if ("advance" in command) clockOffset += command.advance;
  if ("longestTimer" in command) longestTimer = command.longestTimer ?? Infinity;
  if (command.fault) faults.push(command.fault);
  if (command.resetFaults) faults = [];
  if (command.resetIo) resetIo();
  if (command.resetLogs) logs = [];
  return Response.json(state);
}

export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/__test") return control(await request.json());
    return worker.fetch(request, bindings(env), context(ctx));
  },
  scheduled: (event, env, ctx) => worker.scheduled(event, bindings(env), context(ctx)),
};
