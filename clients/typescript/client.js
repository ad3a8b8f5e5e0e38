import { OPERATIONS } from "./operations.js";

export class BittingError extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? `Bitting answered with ${status}`);
    this.name = "BittingError";
    this.status = status;
    this.code = problem.error?.code ?? "unknown";
    this.requestId = problem.request_id;
    if (retryAfter) this.retryAfterSeconds = Number(retryAfter);
    this.problem = problem;
  }
}

export class Client {
  #url;
  #key;
  #timeoutMs;
  #fetch;

  constructor({ url, key, timeoutMs = 10_000, fetch }) {
    this.#url = String(url).replace(/\/+$/, "");
    this.#key = key;
    this.#timeoutMs = timeoutMs;
    this.#fetch = fetch ?? ((...question) => globalThis.fetch(...question));
    const callable = ([name, operation]) => [name, (params, options) => this.#call(name, operation, params, options)];
    for (const [group, operations] of Object.entries(OPERATIONS)) {
      this[group] = Object.fromEntries(Object.entries(operations).map(callable));
    }
  }

  async request(method, path, { headers, signal, ...init } = {}) {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const response = await this.#fetch(this.#url + path, {
      ...init,
      method,
      headers: { ...headers, ...(this.#key && { authorization: `Bearer ${this.#key}` }) },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    if (response.ok) return response;
    const text = await response.text();
    throw new BittingError(response.status, parsed(text), response.headers.get("retry-after"));
  }

  async #call(name, [method, path, query, hasBody], params = {}, { idempotencyKey, ifMatch, signal } = {}) {
    const rest = { ...params };
    const take = (parameter) => {
      const value = rest[parameter];
      delete rest[parameter];
      return value;
    };
    const filled = path.replace(/\{(\w+)\}/g, (_, parameter) => {
      const value = take(parameter) ?? (parameter === "organization_id" ? "self" : undefined);
      // Another segment would name another route.
      if (typeof value !== "string" || !/^[\w-]+$/.test(value)) throw new TypeError(`${name} needs \`${parameter}\`: an id`);
      return value;
    });
    const asked = new URLSearchParams();
    for (const parameter of query) {
      const value = take(parameter);
      for (const one of value === undefined || value === null ? [] : [value].flat()) asked.append(parameter, String(one));
    }
    const unknown = Object.keys(rest);
    if (!hasBody && unknown.length > 0) throw new TypeError(`${name} has no parameter \`${unknown[0]}\``);
    const headers = { accept: "application/json" };
    if (hasBody) headers["content-type"] = "application/json";
    if (idempotencyKey) headers["idempotency-key"] = idempotencyKey;
    if (ifMatch) headers["if-match"] = ifMatch;
    const search = asked.size > 0 ? `?${asked}` : "";
    const response = await this.request(method, filled + search, { headers, signal, ...(hasBody && { body: JSON.stringify(rest) }) });
    const text = await response.text();
    return text ? JSON.parse(text) : undefined;
  }
}

export async function* all(list, params = {}) {
  for (let after = params.starting_after; ; ) {
    const page = await list({ ...params, starting_after: after });
    yield* page.items;
    if (!page.has_more) return;
    after = page.next_cursor;
  }
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return { detail: text.slice(0, 300) || undefined };
  }
}
