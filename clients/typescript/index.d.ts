/** The result of a verification. */
export interface Verdict {
  /** True if the key is valid and holds all required scopes. */
  readonly valid: boolean;
  /** `valid`, or why the key is not: a code of Bitting's, `missing_api_key`, or `unavailable` if nobody can tell. */
  readonly code: string;
  /** The HTTP status for the caller: 200, 401, 403 or 503. */
  readonly status: 200 | 401 | 403 | 503;
  /** The required scopes that the key lacks, if it is otherwise valid. */
  readonly missing_scopes?: readonly string[];
  /** The first condition of the key that is not met. */
  readonly failed_condition?: string;
  /** The members from here on are absent for a text that is no key. */
  readonly key_id?: string;
  readonly name?: string;
  readonly kind?: "pat" | "org" | "proj" | "sk";
  readonly owner?: {
    readonly organization_id: string;
    readonly user_id: string | null;
    readonly live_evaluation_id: string | null;
  };
  /** The scopes of the key; null for full access. */
  readonly scopes?: readonly string[] | null;
  /** Metadata of those who manage the key. Decide nothing by it. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Metadata of Bitting's operator. */
  readonly operator_metadata?: Readonly<Record<string, unknown>>;
  readonly expires_at?: string | null;
  /** The end of this secret, if a rotation is replacing it. */
  readonly outgoing_until?: string;
}

export interface Options {
  /** The address of Bitting. */
  url: string | URL;
  /** A key with the scopes of the bundle `verifier`: `api-keys:verify` and `feed:read`. */
  key: string;
  /** A bound that is shorter than the deployment's. The shorter of both holds. */
  maxStalenessMs?: number;
  /** The most keys in memory: 10,000. The least recently used one goes first. */
  maxKeys?: number;
  /** The time that Bitting has for an answer: 3,000. */
  timeoutMs?: number;
  /** Asks Bitting in place of `fetch`, such as the `fetch` of a service binding. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Hears why Bitting could not be asked. */
  onError?: (error: unknown) => void;
  /** Milliseconds of a clock that is never set back, for tests. */
  clock?: () => number;
  /** Milliseconds since 1970, for tests. */
  wallClock?: () => number;
}

/** Who presents a key. A key with conditions about what is not told here is refused. */
export interface Caller {
  /** The address. Take it from the connection or from a proxy of your own, never from a header that a caller can set. */
  ip?: string | null | undefined;
  /** The country: a code of ISO 3166-1, or what Cloudflare says. */
  country?: string | null | undefined;
}

export interface Question {
  /** The scopes that the key must hold. */
  scopes?: readonly string[];
  /** Who presents the key. */
  client?: Caller | undefined;
  /** Keeps the runtime going for work behind the answer, where it would not: `waitUntil` of Workers. */
  waitUntil?: (work: Promise<void>) => void;
}

export interface TokenQuestion extends Question {
  /** The service that the tokens must be for. */
  audience: string;
}

/** Verifies keys in memory, and refuses a revoked key within the bound. One for each process. */
export class Verifier {
  constructor(options: Options);
  /** The number of keys in memory. */
  readonly size: number;
  /** Verifies a key. Never throws: if Bitting cannot be asked, the verdict is `unavailable`. */
  verify(key: string | undefined | null, question?: Question): Promise<Verdict>;
  /**
   * Verifies a derived token with the deployment's public keys and the feed. Codes of its own are `missing_token`,
   * `malformed_token`, `invalid_token`, `token_expired`, and `token_outdated` if the key has changed since.
   */
  verifyToken(token: string | undefined | null, question: TokenQuestion): Promise<Verdict>;
}

/** The key in the header `Authorization`; undefined if there is none. */
export function bearer(authorization: string | undefined | null): string | undefined;
