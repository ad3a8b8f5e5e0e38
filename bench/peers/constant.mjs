// The least that a Worker in JavaScript can do.
export default { fetch: () => new Response("ok") };
