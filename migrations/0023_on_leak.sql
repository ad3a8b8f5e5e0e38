-- The response to a key that somebody has found in public and reported.
ALTER TABLE organizations ADD COLUMN on_leak TEXT NOT NULL DEFAULT 'revoke'
  CHECK (on_leak IN ('revoke', 'disable', 'notify'));
