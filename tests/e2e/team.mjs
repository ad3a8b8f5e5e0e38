// A team of Cloudflare Access: what the Worker is told of it, its keys, and its tokens.
import { constants, generateKeyPairSync, sign } from "node:crypto";

export const DOMAIN = "acme.cloudflareaccess.com";
const AUDIENCE = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
export const VARS = { ACCESS_TEAM_DOMAIN: DOMAIN, ACCESS_AUDIENCE: AUDIENCE };

export const pair = (modulusLength = 2048) => generateKeyPairSync("rsa", { modulusLength });

/** A public key as the team's server gives it. */
export const jwk = (id, { publicKey }) => ({ kid: id, alg: "RS256", use: "sig", ...publicKey.export({ format: "jwk" }) });

/** The answer of the team's server. */
export const certs = (...keys) => Response.json({ keys, public_cert: { kid: "", cert: "" }, public_certs: [] });

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** What Access says of somebody for an hour, with some of it said otherwise, before it is signed. */
export function text(email, ms, claims = {}, header = {}) {
  const now = Math.floor(ms / 1000);
  const sub = "7335d417-61da-459d-899c-0a01c76a2f94";
  const said = { aud: [AUDIENCE], email, exp: now + 3600, iat: now, nbf: now, iss: `https://${DOMAIN}`, type: "app", sub, ...claims };
  return `${base64url({ alg: "RS256", kid: "first", typ: "JWT", ...header })}.${base64url(said)}`;
}

export const signed = (text, { privateKey }, options = {}) =>
  `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, padding: constants.RSA_PKCS1_PADDING, ...options }).toString("base64url")}`;
