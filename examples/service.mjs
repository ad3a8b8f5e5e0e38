// A service that asks Bitting whether its caller's key is good before it answers.
//
// On Cloudflare it reaches Bitting by a service binding, so the question never leaves Cloudflare:
//
//   [[services]]
//   binding = "BITTING"
//   service = "bitting"
//
// BITTING_KEY is its own key, a secret of this Worker, and needs the scope api-keys:verify.
export default {
  async fetch(request, env) {
    const [, key] = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    if (!key) return refuse(401, "missing_api_key");

    const answer = await env.BITTING.fetch("https://bitting/v1/keys/verify", {
      method: "POST",
      headers: { authorization: `Bearer ${env.BITTING_KEY}`, "content-type": "application/json" },
      body: JSON.stringify({ key, scopes: ["datasets:read"] }),
    });
    // Whoever cannot ask does not know, and that is no yes.
    if (!answer.ok) return refuse(503, "unavailable");

    const verdict = await answer.json();
    if (!verdict.valid) return refuse(verdict.code === "insufficient_scope" ? 403 : 401, verdict.code);
    return Response.json({ message: `Hello, ${verdict.name}` });
  },
};

function refuse(status, code) {
  const headers = status === 401 ? { "www-authenticate": "Bearer" } : {};
  return Response.json({ error: { code } }, { status, headers });
}
