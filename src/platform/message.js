// What is read of a request and written of a response, each in one call from Rust: a call costs more than what it carries.

// The header with the client's country. Cloudflare sends it only where it is switched on, and elsewhere a client can.
const COUNTRY = "cf-ipcountry";

/**
 * The method, the URL, and the names and values of the headers, each on a line of its own. The client's country is where the
 * platform locates it.
 */
export function head(request) {
  let text = `${request.method}\n${request.url}`;
  for (const [name, value] of request.headers) if (name !== COUNTRY) text += `\n${name}\n${value}`;
  const country = request.cf?.country;
  return country ? `${text}\n${COUNTRY}\n${country}` : text;
}

/** The whole body of a request. */
export async function bytes(request) {
  return new Uint8Array(await request.arrayBuffer());
}

/** A response with these headers, which are given as those of a request are, and with this body. */
export function respond(status, text, body) {
  const lines = text.split("\n");
  const headers = [];
  for (let at = 0; at + 1 < lines.length; at += 2) headers.push([lines[at], lines[at + 1]]);
  return new Response(body, { status, headers });
}
