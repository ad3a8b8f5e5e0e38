// The libraries as a referee drives them: each command is one JSON value with the time, and is answered with what the
// library has asked and decided since. A library in another language is a program that reads commands from its input and
// writes the answers to its output, one a line.
//
// {"do": "copies"}                                     begins with empty copies, for the vectors
// {"do": "hear", "answer": {…}, "after": 4, "sent_at"}  an answer of the feed
// {"do": "keep", "answer": {…}, "sent_at"}              an answer to a verification, of the only key
// {"do": "judge", "at"}                                 answered with [{"code": "valid"}], or `ask`
// {"do": "verifier"}                                    begins with a new verifier, for a history
// {"do": "verify", "at", "id": 1, "key": "…"}           a caller comes
// {"do": "token", "at", "id": 1, "token": "…"}          a caller comes with a derived token
// {"do": "answer", "at", "id": 2, "body": "…"}          Bitting answers question 2; null if the answer is lost
//
// The events: {"ask": 2, "path": "/v1/feed", "body": {…}} and {"verdict": 1, "valid": true}.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

/** The TypeScript library in this folder, in this process. */
export async function typescript(folder) {
  const load = (file) => import(pathToFileURL(join(folder, file)));
  const [{ Copies }, { Verifier }] = [await load("copies.js"), await load("index.js")];
  // A digest that is ready at once, so that a history is the same each time. Signatures are not what it is about.
  const { digest, importKey, verify } = crypto.subtle;
  Object.assign(crypto.subtle, {
    digest: async (_, data) => createHash("sha256").update(data).digest(), importKey: async () => "key", verify: async () => true,
  });
  let [now, events, asked, copies, verifier] = [0, [], [], undefined, undefined];
  const begin = () => {
    [now, events, asked] = [0, [], []];
    const fetch = (url, { body }) => new Promise((resolve, reject) => {
      const { pathname, search } = new URL(url);
      events.push({ ask: asked.length, path: pathname + search, ...(body && { body: JSON.parse(body) }) });
      asked.push((text) => text === null ? reject(new Error("lost")) : resolve(new Response(text)));
    });
    verifier = new Verifier({ url: "https://bitting.example", key: "own", timeoutMs: 2 ** 30, clock: () => now, wallClock: () => now, fetch });
  };
  const obey = {
    copies: () => void (copies = new Copies({ maxKeys: 10, maxStalenessMs: Infinity })),
    hear: ({ answer, after, sent_at: sentAt }) => copies.hear(answer, after ?? undefined, sentAt),
    keep: ({ answer, sent_at: sentAt }) => copies.keep("key", answer, sentAt),
    judge: ({ at }) => void events.push({ code: copies.judge("key", at)?.code ?? "ask" }),
    verifier: begin,
    verify: ({ id, key }) => void verifier.verify(key).then(({ valid }) => events.push({ verdict: id, valid })),
    token: ({ id, token }) => void verifier.verifyToken(token, { audience: "us" }).then(({ valid }) => events.push({ verdict: id, valid })),
    answer: ({ id, body }) => asked[id](body),
  };
  return {
    knowsTokens: true,
    async send(command) {
      now = command.at ?? now;
      obey[command.do](command);
      if (command.at !== undefined) await new Promise(setImmediate);
      return events.splice(0);
    },
    close: () => void Object.assign(crypto.subtle, { digest, importKey, verify }),
  };
}

/** A library behind a program. */
export function program(command, args, { env = {}, knowsTokens = false } = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  const waiting = [];
  const end = (error) => waiting.splice(0).forEach(({ reject }) => reject(error));
  child.on("error", end);
  child.stdin.on("error", end);
  child.on("close", () => end(new Error(`${command} has ended`)));
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.resolve(JSON.parse(line)));
  return {
    knowsTokens,
    send: (said) => new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${JSON.stringify(said)}\n`);
    }),
    close: () => child.kill(),
  };
}
