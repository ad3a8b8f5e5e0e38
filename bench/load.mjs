// A load generator: so many connections that are kept open, and on each one request after the other.
import { Pool } from "undici";

/** Sends requests for `ms`. Gives the time of each answer in ms, and those that are not as expected. */
export async function drive(origin, { request, status = 200 }, connections, ms) {
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const [times, wrong] = [[], []];
  const until = performance.now() + ms;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      for (let from = performance.now(); from < until; from = performance.now()) {
        const answer = await pool.request(request());
        const body = await answer.body.text();
        times.push(performance.now() - from);
        if (answer.statusCode !== status) wrong.push(`${answer.statusCode}: ${body}`);
      }
    }),
  );
  await pool.close();
  return { times, wrong };
}
