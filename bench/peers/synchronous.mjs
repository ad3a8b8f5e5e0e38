// The least Worker in Rust behind a synchronous entry: JavaScript reads the request and builds the answer.
import { verify } from "../../target/bench/index.js";

const headers = { "content-type": "application/json" };

export default {
  async fetch(request) {
    const body = await request.text();
    return new Response(verify(request.headers.get("authorization") ?? "", body), { headers });
  },
};
