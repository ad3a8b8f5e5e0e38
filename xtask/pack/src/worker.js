import { WorkerEntrypoint } from "cloudflare:workers";
import { fetch, scheduled, HolderObject } from "./index.js";

export default { fetch, scheduled };

// For other Workers of the account, over a service binding with `entrypoint = "Bitting"`. See examples/worker.
export class Bitting extends WorkerEntrypoint {
  // Checks the key in the headers of a request. `refusal` is the response for its sender, if the key is not good. `client`
  // is the sender, for keys with conditions.
  async authorize(sent, scopes = [], client = {}) {
    const query = new URLSearchParams(scopes.map((scope) => ["scope", scope]));
    query.append("client", "x-bitting-client-ip");
    const headers = new Headers(sent);
    // Only the scopes that are asked for here decide.
    for (const name of [...headers.keys()]) if (/^x-(forwarded|original)-/.test(name)) headers.delete(name);
    headers.set("X-Bitting-Client-IP", client.ip ?? "");
    headers.set("X-Bitting-Client-Country", client.country ?? "");
    const response = await this.#ask(`/v1/authorize?${query}`, { headers });
    if (response.status !== 200) return { ok: false, refusal: response };
    const text = (name) => response.headers.get(`X-Bitting-${name}`) || null;
    const identity = {
      key_id: text("Key-Id"),
      kind: text("Key-Kind"),
      organization_id: text("Organization-Id"),
      user_id: text("User-Id"),
      project_id: text("Project-Id"),
      scopes: text("Scopes")?.split(" ") ?? [],
    };
    return { ok: true, identity };
  }

  // Verifies a key, as `POST /v1/keys/verify` does, with the key of a verifier.
  verify(question, verifier) {
    return this.#answer("/v1/keys/verify", verifier, { method: "POST", body: JSON.stringify(question) });
  }

  // Gives the changes after this number, as `GET /v1/feed` does, with the key of a verifier.
  feed(after, verifier) {
    return this.#answer(typeof after !== "number" ? "/v1/feed" : `/v1/feed?after=${after}`, verifier, { method: "GET" });
  }

  async #answer(path, verifier, init) {
    const headers = { Authorization: `Bearer ${verifier}`, "Content-Type": "application/json" };
    const response = await this.#ask(path, { headers, ...init });
    const answer = await response.json();
    if (response.status !== 200) throw new Error(`${answer.error.code}: ${answer.detail}`);
    return answer;
  }

  #ask(path, init) {
    return fetch(new Request(`https://bitting${path}`, init), this.env, this.ctx);
  }
}

// An object of an instance that panicked is of no use any more, so the next call gets a new one.
export class FeedHolder {
  constructor(state, env) {
    this.renew = () => (this.object = new HolderObject(state, env));
  }
  async call(method, ...args) {
    try {
      return await (this.object ?? this.renew())[method](...args);
    } catch (error) {
      this.object = undefined;
      throw error;
    }
  }
  fetch(request) {
    return this.call("fetch", request);
  }
  alarm() {
    return this.call("alarm");
  }
}
