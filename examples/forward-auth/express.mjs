import express from "express";

/** Lets a request on if its key holds these scopes. */
const requireScopes = (...scopes) => async (request, response, next) => {
  const query = new URLSearchParams([...scopes.map((scope) => ["scope", scope]), ["client", "x-bitting-client-ip"]]);
  const url = `${process.env.BITTING_URL}/v1/authorize?${query}`;
  const headers = ["authorization", "x-api-key"].flatMap((name) => (request.get(name) ? [[name, request.get(name)]] : []));
  headers.push(["x-bitting-client-ip", request.ip]);
  const answer = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(5000) }).catch(() => undefined);
  if (answer?.status === 200) {
    request.organization = answer.headers.get("x-bitting-organization-id");
    return next();
  }
  for (const name of ["content-type", "retry-after", "www-authenticate"]) {
    if (answer?.headers.has(name)) response.set(name, answer.headers.get(name));
  }
  response.status(answer?.status >= 400 ? answer.status : 503).send(await answer?.text().catch(() => ""));
};

const app = express();
app.get("/orders", requireScopes("orders:read"), (request, response) => response.json({ organization: request.organization }));
app.listen(process.env.PORT ?? 3000);
