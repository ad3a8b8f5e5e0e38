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

export interface Verification {
  valid: boolean;
  code: string;
  key_id?: string;
  missing_scopes?: string[];
  [field: string]: unknown;
}

export interface Bitting {
  /** Checks the key in the headers of a request. `refusal` is the response for its sender. */
  authorize(headers: Headers, scopes?: string[]): Promise<{ ok: true; identity: Identity } | { ok: false; refusal: Response }>;
  /** Verifies a key, as `POST /v1/keys/verify` does. `verifier` is a key with the scope `api-keys:verify`. */
  verify(
    question: { key: string; scopes?: string[]; freshness?: "bounded" | "strong" },
    verifier: string,
  ): Promise<Verification>;
}
