// A Worker that lets a request on if its key is good for a scope.
//
// Bitting is a Worker of the same account, and is called as an object: no URL, no key of this Worker's own, no network.
//
//   [[services]]
//   binding = "BITTING"
//   service = "bitting"
//   entrypoint = "Bitting"
export default {
  async fetch(request, env) {
    try {
      // For keys with conditions. A Worker that is called by others tells whom those have told.
      const client = { ip: request.headers.get("CF-Connecting-IP"), country: request.cf?.country };
      const { ok, identity, refusal } = await env.BITTING.authorize(request.headers, ["datasets:read"], client);
      if (!ok) return refusal;
      return Response.json({ organization: identity.organization_id, scopes: identity.scopes });
    } catch {
      // A Worker that cannot ask does not know, and that is no yes.
      return Response.json({ code: "unavailable" }, { status: 503, headers: { "Retry-After": "2" } });
    }
  },
};
