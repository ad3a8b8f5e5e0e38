-- Approved device links: the digest of a program's token, and the key that it may claim.
CREATE TABLE device_links (
  digest TEXT PRIMARY KEY,              -- SHA-256 of the token; hexadecimal
  key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  key_expires_at INTEGER,               -- the expiry of the key from the claim on; NULL: never
  expires_at INTEGER NOT NULL           -- gives nothing from here on
) STRICT, WITHOUT ROWID;

-- The sweep: what has expired.
CREATE INDEX device_links_due ON device_links (expires_at);
-- What goes with a key.
CREATE INDEX device_links_by_key ON device_links (key_id);
