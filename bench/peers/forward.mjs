// The least that stands before another Worker: it hands each request on and the answer back.
export default { fetch: (request, env) => env.UPSTREAM.fetch(request) };
