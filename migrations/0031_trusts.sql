-- Trusts: an issuer's tokens that are exchanged for keys of a few minutes.
CREATE TABLE trusts (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  issuer TEXT NOT NULL,                 -- an https URL, as the tokens write it
  audience TEXT NOT NULL,
  claims TEXT NOT NULL,                 -- a JSON object: the pattern of each claim
  project_id TEXT REFERENCES projects (id),  -- the project of the keys; NULL: they are of the organization
  scopes TEXT NOT NULL,                 -- a JSON array
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  expires_in_seconds INTEGER NOT NULL CHECK (expires_in_seconds BETWEEN 1 AND 900),  -- the life of each key
  expires_at INTEGER,                   -- the end of the key that created it, which it does not outlive; NULL: never
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,             -- the key or session that made it
  created_by_user TEXT,                 -- the user as whom that acted; NULL: none
  parent_id TEXT,                       -- the key that it descends from, as that of a key
  linked_by_user TEXT                   -- as that of a key
) STRICT, WITHOUT ROWID;

-- Lists, newest first.
CREATE INDEX trusts_listed ON trusts (organization_id, id);
-- Those that descend from a key, which end with it.
CREATE INDEX trusts_by_parent ON trusts (parent_id) WHERE parent_id IS NOT NULL;
-- The sweep: what has expired.
CREATE INDEX trusts_due ON trusts (expires_at) WHERE expires_at IS NOT NULL;

-- Tokens that were exchanged, for as long as they could be presented again.
CREATE TABLE exchanged_tokens (
  digest TEXT PRIMARY KEY,              -- SHA-256 of the issuer and the token's id; hexadecimal
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The sweep: what has expired.
CREATE INDEX exchanged_tokens_due ON exchanged_tokens (expires_at);

ALTER TABLE keys ADD COLUMN trust_id TEXT;

-- The keys that end with a trust.
CREATE INDEX keys_by_trust ON keys (trust_id, expires_at) WHERE trust_id IS NOT NULL;
-- The sweep: keys of trusts that expired some time ago.
CREATE INDEX keys_of_trusts_due ON keys (expires_at) WHERE trust_id IS NOT NULL;

-- Keys of trusts live for minutes, so they do not count.
DROP TRIGGER keys_counted;
CREATE TRIGGER keys_counted AFTER INSERT ON keys WHEN NEW.revoked_at IS NULL AND NEW.trust_id IS NULL
BEGIN
  UPDATE usage SET keys = keys + 1 WHERE organization_id = NEW.organization_id;
END;

DROP TRIGGER keys_discounted;
CREATE TRIGGER keys_discounted AFTER DELETE ON keys WHEN OLD.revoked_at IS NULL AND OLD.trust_id IS NULL
BEGIN
  UPDATE usage SET keys = keys - 1 WHERE organization_id = OLD.organization_id;
END;

DROP TRIGGER keys_recounted;
CREATE TRIGGER keys_recounted AFTER UPDATE OF organization_id, revoked_at ON keys WHEN OLD.trust_id IS NULL
BEGIN
  UPDATE usage SET keys = keys - 1 WHERE organization_id = OLD.organization_id AND OLD.revoked_at IS NULL;
  UPDATE usage SET keys = keys + 1 WHERE organization_id = NEW.organization_id AND NEW.revoked_at IS NULL;
END;

-- The sweep deletes keys of trusts that have expired. Every snapshot of them says so, and the feed need not.
DROP TRIGGER keys_deleted;
CREATE TRIGGER keys_deleted AFTER DELETE ON keys
WHEN OLD.trust_id IS NULL OR coalesce(OLD.expires_at > CAST(unixepoch('subsec') * 1000 AS INTEGER), 1)
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER keys_ended_with;
CREATE TRIGGER keys_ended_with
AFTER UPDATE OF ended_with ON keys WHEN NEW.ended_with IS NOT OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.organization_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
  DELETE FROM invitations WHERE parent_id = OLD.id;
  DELETE FROM sign_in_links WHERE parent_id = OLD.id;
  DELETE FROM trusts WHERE parent_id = OLD.id;
END;
