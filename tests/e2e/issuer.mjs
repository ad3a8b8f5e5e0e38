// An issuer of tokens for workloads, as GitHub, GitLab or a cluster is one: its metadata, its keys, and a service that
// gives a workflow its token.
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const KINDS = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export const pair = (alg, kid = alg) => ({ alg, kid, ...KINDS[alg]() });

export const jwk = ({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid, use: "sig" });

/** Signs claims. What the header says can be otherwise than what the key is. */
export function signed(claims, key, header = {}) {
  const text = `${encoded({ alg: key.alg, kid: key.kid, typ: "JWT", ...header })}.${encoded(claims)}`;
  const hash = key.alg === "EdDSA" ? null : "sha256";
  const signature = sign(hash, Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

export const REQUEST_TOKEN = "the workflow's own token";

/** Starts an issuer. What it answers can be changed: `keys`, `metadata`, and `answer`, which takes the place of all. */
export async function issuer(now = () => Date.now()) {
  const keys = [pair("RS256"), pair("ES256"), pair("EdDSA")];
  const state = { keys, metadata: {}, answer: undefined, asked: [] };
  let numbers = 0;
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, state.url);
    state.asked.push(url.pathname);
    const json = (value) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (url.pathname === "/token") {
      if (request.headers.authorization !== `Bearer ${REQUEST_TOKEN}`) return response.writeHead(401).end();
      return json({ value: state.token(await state.claims({ aud: url.searchParams.get("audience") })) });
    }
    if (state.answer?.(url, response)) return;
    if (url.pathname === "/.well-known/openid-configuration") {
      return json({ issuer: state.url, jwks_uri: `${state.url}/jwks`, ...state.metadata });
    }
    if (url.pathname === "/jwks") return json({ keys: state.keys.map(jwk) });
    return response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  state.url = `http://127.0.0.1:${server.address().port}`;
  state.claims = async (otherwise = {}) => {
    const at = Math.floor((await now()) / 1000);
    const sub = "repo:acme/web:ref:refs/heads/main";
    return { iss: state.url, aud: "https://keys.example.com", sub, iat: at, nbf: at, exp: at + 300, jti: String((numbers += 1)), ...otherwise };
  };
  state.token = (claims, key = state.keys[0], header = {}) => signed(claims, key, header);
  state.close = () => server.close();
  return state;
}
