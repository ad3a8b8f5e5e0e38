// The types of the entrypoint `Bitting`, for `env.BITTING` of a Worker with a service binding to it.

export interface Identity {
  key_id: string;
  kind: "pat" | "org" | "proj" | "sk";
  organization_id: string;
  user_id: string | null;
  project_id: string | null;
  /** `["*"]` is full access. */
  scopes: string[];
}

/** Who presents a key. A key with conditions about what is not told here is refused. */
export interface Client {
  ip?: string | null;
  country?: string | null;
}

export interface Verification {
  valid: boolean;
  code: string;
  key_id?: string;
  missing_scopes?: string[];
  [field: string]: unknown;
}

export interface Feed {
  /** The number from which on no change is missing. */
  base: number;
  /** The number of the newest change. */
  head: number;
  age_ms: number;
  max_staleness_ms: number;
  /** The number of the last change of each subject, with the subject's id. */
  changes: Array<[number, string]>;
}

export interface Bitting {
  /** Checks the key in the headers of a request. `refusal` is the response for its sender, who is `client`. */
  authorize(headers: Headers, scopes?: string[], client?: Client): Promise<{ ok: true; identity: Identity } | { ok: false; refusal: Response }>;
  /** Verifies a key, as `POST /v1/keys/verify` does. `verifier` is a key with the scope `api-keys:verify`. */
  verify(
    question: { key: string; scopes?: string[]; freshness?: "bounded" | "strong"; client?: Client; explain?: boolean },
    verifier: string,
  ): Promise<Verification>;
  /** Gives the changes after this number, as `GET /v1/feed` does. `verifier` is a key with the scope `feed:read`. */
  feed(after: number | undefined, verifier: string): Promise<Feed>;
}
