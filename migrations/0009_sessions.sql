-- The settings pages: browsers that are signed in, and the links that sign them in.

-- In which of them somebody did something.
ALTER TABLE audit_events ADD COLUMN actor_session_id TEXT;

-- Browsers that are signed in on the settings pages. One that is signed out is no more.
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,                 -- SHA-256 of the token; hexadecimal
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT REFERENCES users (id),   -- the user as whom it acts; NULL: none, as the key
  -- The key by which it was signed in, and the digest of the very secret: it can do what they can, and ends
  -- with them. NULL: it was signed in by a link, and acts as its user.
  key_id TEXT,
  key_digest TEXT,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),  -- the most it may do, whatever its user becomes
  key_expires_at INTEGER,               -- the latest expiry of the keys that it makes; NULL: none
  user_agent TEXT NOT NULL,             -- what the browser says of itself
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,        -- up to an hour late
  expires_at INTEGER NOT NULL           -- ends then, whatever it does
) STRICT, WITHOUT ROWID;

-- One session by its token.
CREATE UNIQUE INDEX sessions_by_digest ON sessions (digest);
-- Lists of a user's sessions, newest first, and of those of a key that has no user.
CREATE INDEX sessions_by_user ON sessions (organization_id, user_id, id);
CREATE INDEX sessions_by_key ON sessions (key_id, id) WHERE key_id IS NOT NULL;
-- The sweep: what has expired.
CREATE INDEX sessions_due ON sessions (expires_at);

CREATE TRIGGER sessions_changed
AFTER UPDATE OF id, organization_id, user_id, key_id, key_digest, role, key_expires_at, expires_at ON sessions
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;

CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;

-- Links that sign somebody in. One that was used is no more.
CREATE TABLE sign_in_links (
  digest TEXT PRIMARY KEY,              -- SHA-256 of the token; hexadecimal
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),  -- as that of the session
  key_expires_at INTEGER,               -- as that of the session
  created_by_user_id TEXT REFERENCES users (id),  -- NULL: nobody, but the operator or a key without a user
  expires_at INTEGER NOT NULL           -- opens nothing from here on
) STRICT, WITHOUT ROWID;

-- The sweep: what has expired.
CREATE INDEX sign_in_links_due ON sign_in_links (expires_at);
