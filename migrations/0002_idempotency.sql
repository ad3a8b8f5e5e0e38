-- Requests that may be repeated within a day. Nothing here tells a secret, see src/domain/idempotency.rs.
CREATE TABLE idempotency_keys (
  key_id TEXT NOT NULL,                 -- the key that asked
  digest TEXT NOT NULL,                 -- SHA-256 of the Idempotency-Key; hexadecimal, as the next two
  fingerprint TEXT NOT NULL,            -- SHA-256 of the request
  nonce TEXT,                           -- what a new secret was derived with, from the text of the key that asked
  subject TEXT NOT NULL,                -- the id of what was made
  created_at INTEGER NOT NULL,
  PRIMARY KEY (key_id, digest)
) STRICT, WITHOUT ROWID;

-- The sweep: what can be repeated no more.
CREATE INDEX idempotency_keys_due ON idempotency_keys (created_at);
