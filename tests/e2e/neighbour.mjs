// Another Worker of the account, which calls a method of the entrypoint `Bitting` with the arguments in the body.
export default {
  async fetch(request, env) {
    const [method, ...args] = await request.json();
    try {
      return Response.json(await env.BITTING[method](...args));
    } catch (error) {
      return Response.json({ error: error.message }, { status: 500 });
    }
  },
};
