-- Times are milliseconds since 1970 (UTC), ids are UUIDv7 in their usual text form.

CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  operator INTEGER NOT NULL DEFAULT 0,  -- 1: the operator's own, whose keys may verify everybody's
  suspended_at INTEGER,                 -- its keys are refused from here on
  created_at INTEGER NOT NULL,
  -- What it asks of the keys that are made in it. NULL: nothing.
  default_expiry_days INTEGER,          -- the life of a key whose maker says nothing of it
  longest_expiry_days INTEGER,          -- the longest life that can be asked for
  max_keys_per_user INTEGER,            -- how many personal keys that still work a user may have
  -- How long things are kept. NULL: as long as the operator says.
  audit_retention_days INTEGER,
  trace_retention_days INTEGER,
  -- Whether it may use the resource routes, and how many runs it has left. NULL: as many as it likes.
  subscription TEXT NOT NULL DEFAULT 'active' CHECK (subscription IN ('active', 'inactive')),
  credits INTEGER CHECK (credits >= 0),
  updated_at INTEGER NOT NULL DEFAULT 0, -- 0: not since it was created; here and in the tables below
  -- The response to a key that somebody has found in public and reported.
  on_leak TEXT NOT NULL DEFAULT 'revoke' CHECK (on_leak IN ('revoke', 'disable', 'notify')),
  -- How much of each thing it may have, as the operator says. NULL: the default, see `quotas`.
  max_keys INTEGER CHECK (max_keys >= 0),
  max_projects INTEGER CHECK (max_projects >= 0),
  max_members INTEGER CHECK (max_members >= 0),
  max_invitations INTEGER CHECK (max_invitations >= 0),
  max_datasets INTEGER CHECK (max_datasets >= 0),
  max_bytes INTEGER CHECK (max_bytes >= 0)
) STRICT, WITHOUT ROWID;

-- Bootstrap: the second attempt, or the loser of two at once, runs into it.
CREATE UNIQUE INDEX organizations_operator ON organizations (operator) WHERE operator = 1;

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Is somebody with this address in an organization?
CREATE INDEX users_by_email ON users (email);

CREATE TABLE memberships (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  created_at INTEGER NOT NULL,
  key_expires_at INTEGER,               -- the end of sessions without a key, if the invitation had one; NULL: none
  updated_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (organization_id, user_id)
) STRICT, WITHOUT ROWID;

-- Is there another owner, and who else can manage keys?
CREATE INDEX memberships_administering ON memberships (organization_id, role) WHERE role <> 'member';

-- Where is somebody for whom Cloudflare Access vouches?
CREATE INDEX memberships_by_user ON memberships (user_id);

-- Open invitations: one that is accepted or revoked is no more, and one that has expired goes with the
-- next that is made.
CREATE TABLE invitations (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email TEXT NOT NULL,                  -- in lower case
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  digest TEXT NOT NULL,                 -- SHA-256 of the token; hexadecimal
  expires_at INTEGER NOT NULL,          -- not there from here on
  key_expires_at INTEGER,               -- when the key expires that whoever accepts it gets; NULL: never
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,             -- the key or session that made it
  invited_by TEXT REFERENCES users (id), -- the user as whom that key acted; NULL: none
  parent_id TEXT                        -- the key that it descends from, as that of a key
) STRICT, WITHOUT ROWID;

-- One invitation by its token.
CREATE UNIQUE INDEX invitations_by_digest ON invitations (digest);
-- One for each address.
CREATE UNIQUE INDEX invitations_by_email ON invitations (organization_id, email);
-- Lists, newest first.
CREATE INDEX invitations_listed ON invitations (organization_id, id);
-- What has expired.
CREATE INDEX invitations_due ON invitations (organization_id, expires_at);
-- Those of a person who is removed, or may do less.
CREATE INDEX invitations_by_inviter ON invitations (invited_by) WHERE invited_by IS NOT NULL;
-- Those that descend from a key, which end with it.
CREATE INDEX invitations_by_parent ON invitations (parent_id) WHERE parent_id IS NOT NULL;
-- Those of one creator, newest first.
CREATE INDEX invitations_by_creator ON invitations (organization_id, created_by, id);
CREATE INDEX invitations_by_creating_user ON invitations (organization_id, invited_by, id) WHERE invited_by IS NOT NULL;
CREATE INDEX invitations_by_key ON invitations (created_by);

CREATE TABLE teams (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- No two with one name.
CREATE UNIQUE INDEX teams_by_name ON teams (organization_id, name);
-- Lists, newest first.
CREATE INDEX teams_listed ON teams (organization_id, id);

CREATE TABLE team_members (
  team_id TEXT NOT NULL REFERENCES teams (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (team_id, user_id)
) STRICT, WITHOUT ROWID;

-- The teams of one person, newest first.
CREATE INDEX team_members_by_user ON team_members (organization_id, user_id, team_id);

CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  description TEXT,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER,                   -- its keys are refused from here on
  updated_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- An organization's projects, newest first.
CREATE INDEX projects_listed ON projects (organization_id, id) WHERE deleted_at IS NULL;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  number INTEGER NOT NULL,              -- counts an organization's keys, for clients that know integers
  user_id TEXT REFERENCES users (id),   -- the user whom the key acts as; NULL: none
  project_id TEXT REFERENCES projects (id),  -- the one project that the key sees; NULL: none
  kind TEXT NOT NULL CHECK (kind IN ('pat', 'org', 'proj', 'sk')),
  digest TEXT NOT NULL,                 -- SHA-256 of the text, or HMAC-SHA-256 under the pepper; hexadecimal
  pepper_version INTEGER NOT NULL,      -- 0: no pepper
  stem TEXT NOT NULL,                   -- the text before the secret
  start TEXT NOT NULL,                  -- the first 12 characters of the text
  last4 TEXT NOT NULL,                  -- the last 4
  name TEXT NOT NULL,
  scopes TEXT,                          -- a JSON array; NULL: everything that the owner may do
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),  -- the most it may do, whatever its user becomes
  metadata TEXT NOT NULL DEFAULT '{}',  -- a JSON object
  expires_at INTEGER,                   -- refused from here on
  disabled_at INTEGER,                  -- set: switched off
  revoked_at INTEGER,                   -- set: ended for good
  expired_at INTEGER,                   -- when the sweep recorded the expiry; verification never reads it
  created_at INTEGER NOT NULL,
  created_by TEXT,                      -- the key or session that made it; NULL: the operator, or an invitation
  updated_at INTEGER NOT NULL,
  last_used_at INTEGER,                 -- up to a minute late, and of the newest secret alone
  -- While a rotation is under way: the secret that is on its way out, which works until rotates_at.
  rotates_at INTEGER,
  outgoing_digest TEXT,
  outgoing_pepper_version INTEGER,
  outgoing_start TEXT,
  outgoing_last4 TEXT,
  outgoing_last_used_at INTEGER,
  outgoing_uses INTEGER NOT NULL DEFAULT 0,
  bound_to TEXT,                        -- the one thing that a key of kind `sk` is for, a live evaluation; NULL: it is no such key
  created_by_user TEXT,                 -- the user as whom its creator acted; NULL: none
  parent_id TEXT,                       -- the key that it descends from: its creator, or that of the creator's link or invitation
  rotated_by_user TEXT,                 -- the user who last rotated it, and saw its secret; NULL: none
  ended_with TEXT,                      -- the key or the user with all of whose descendants it ended; NULL: it did not
  last_used_from TEXT,                  -- a JSON object: the client of the last use, its address and user agent; NULL: not known
  outgoing_last_used_from TEXT,
  linked_by_user TEXT,                  -- the user whose link began the session without a key in which it was created; NULL: none
  operator_metadata TEXT NOT NULL DEFAULT '{}',  -- a JSON object that only the operator changes
  conditions TEXT,                      -- a JSON object: the clients for which the key works, and the times; NULL: all
  trust_id TEXT                         -- the trust by which a workload got it; NULL: it is no such key
) STRICT, WITHOUT ROWID;

-- Verification: one key by its digest, or by that of its outgoing secret.
CREATE UNIQUE INDEX keys_by_digest ON keys (digest);
CREATE UNIQUE INDEX keys_by_outgoing_digest ON keys (outgoing_digest) WHERE outgoing_digest IS NOT NULL;
-- A key by its number, and the next number.
CREATE UNIQUE INDEX keys_by_number ON keys (organization_id, number);
-- Lists of what is not revoked, newest first.
CREATE INDEX keys_listed ON keys (organization_id, id) WHERE revoked_at IS NULL;
-- Lists with revoked keys.
CREATE INDEX keys_by_organization ON keys (organization_id, id);
-- Lists of one user's keys: a member's own, or the owner filter.
CREATE INDEX keys_by_user ON keys (organization_id, user_id, id);
-- How many personal keys does a user have that are neither revoked nor expired?
CREATE INDEX keys_held ON keys (organization_id, user_id, expires_at) WHERE kind = 'pat' AND revoked_at IS NULL;
-- Lists of one project's keys.
CREATE INDEX keys_by_project ON keys (organization_id, project_id, id) WHERE project_id IS NOT NULL;
-- Lists by exact name.
CREATE INDEX keys_by_name ON keys (organization_id, name, id);
-- Lists by the first characters of the text.
CREATE INDEX keys_by_start ON keys (organization_id, start);
-- Lists of what a key or a session created, and of what a user did.
CREATE INDEX keys_by_creator ON keys (organization_id, created_by, id) WHERE created_by IS NOT NULL;
CREATE INDEX keys_by_creating_user ON keys (organization_id, created_by_user, id) WHERE created_by_user IS NOT NULL;
-- What descends from a key.
CREATE INDEX keys_by_parent ON keys (parent_id) WHERE parent_id IS NOT NULL;
-- Keys of which a user has seen the secret, without having created them.
CREATE INDEX keys_by_rotating_user ON keys (organization_id, rotated_by_user, id) WHERE rotated_by_user IS NOT NULL;
-- Keys that were created in sessions of a user's links.
CREATE INDEX keys_by_linking_user ON keys (organization_id, linked_by_user) WHERE linked_by_user IS NOT NULL;
-- Is there another key that can manage keys, before the last such key ends, or its user goes?
CREATE INDEX keys_managing ON keys (organization_id, user_id)
WHERE revoked_at IS NULL AND disabled_at IS NULL AND role <> 'member'
  AND (scopes IS NULL OR instr(scopes, '"api-keys:write"') > 0 OR instr(scopes, '"api-keys:*"') > 0);
-- The sweep: what has expired and was not recorded yet.
CREATE INDEX keys_due ON keys (expires_at) WHERE expires_at IS NOT NULL AND expired_at IS NULL AND revoked_at IS NULL;

-- The keys that end with a trust.
CREATE INDEX keys_by_trust ON keys (trust_id, expires_at) WHERE trust_id IS NOT NULL;
-- The sweep: keys of trusts that expired some time ago.
CREATE INDEX keys_of_trusts_due ON keys (expires_at) WHERE trust_id IS NOT NULL;

-- The sweep: rotations whose grace is over.
CREATE INDEX keys_rotating ON keys (rotates_at) WHERE rotates_at IS NOT NULL;

-- The secrets that a key had and has no more, in the order in which they ended: the newest thousand of each key that is
-- on record.
CREATE TABLE ended_secrets (
  digest TEXT PRIMARY KEY,              -- as in `keys`
  key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE
) STRICT;

-- Those of one key, oldest first.
CREATE INDEX ended_secrets_by_key ON ended_secrets (key_id);

-- A statement that takes a secret from a key cannot forget to remember it.
CREATE TRIGGER keys_secret_ended AFTER UPDATE OF digest, outgoing_digest ON keys
BEGIN
  INSERT OR IGNORE INTO ended_secrets (digest, key_id)
  SELECT OLD.digest, OLD.id WHERE OLD.digest NOT IN (NEW.digest, coalesce(NEW.outgoing_digest, ''));
  INSERT OR IGNORE INTO ended_secrets (digest, key_id)
  SELECT OLD.outgoing_digest, OLD.id
  WHERE OLD.outgoing_digest NOT IN (NEW.digest, coalesce(NEW.outgoing_digest, ''));
  DELETE FROM ended_secrets WHERE rowid IN
  (SELECT rowid FROM ended_secrets WHERE key_id = OLD.id ORDER BY rowid DESC LIMIT -1 OFFSET 1000);
END;

-- What TruLayer's libraries send. An id is its sender's own, so it is unique in an organization alone.
CREATE TABLE traces (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  id TEXT NOT NULL,
  project_id TEXT REFERENCES projects (id),  -- of the key that sent it; NULL: none
  trace TEXT NOT NULL,                  -- a JSON object as it was sent, its spans within
  bytes INTEGER NOT NULL,               -- how long that is
  started_at INTEGER NOT NULL,          -- as its sender says; when it came, if he does not
  received_at INTEGER NOT NULL,
  keep_until INTEGER,                   -- NULL: for ever
  PRIMARY KEY (organization_id, id)
) STRICT;

-- Lists, newest first, as far as a page may be long.
CREATE INDEX traces_listed ON traces (organization_id, started_at, id, bytes);
-- Lists of one project's.
CREATE INDEX traces_by_project ON traces (organization_id, project_id, started_at, id, bytes) WHERE project_id IS NOT NULL;

-- What somebody thinks of a trace, which may come later than this, or never.
CREATE TABLE feedback (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  trace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  project_id TEXT REFERENCES projects (id),  -- of the key that sent it; NULL: none
  feedback TEXT NOT NULL,               -- a JSON object
  created_at INTEGER NOT NULL,
  keep_until INTEGER,                   -- NULL: for ever
  PRIMARY KEY (organization_id, trace_id, id)
) STRICT, WITHOUT ROWID;

-- What somebody wants a trace to be evaluated by. Nothing here does it.
CREATE TABLE evals (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  trace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  project_id TEXT REFERENCES projects (id),  -- of the key that sent it; NULL: none
  evaluator_type TEXT NOT NULL,
  metric_name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  keep_until INTEGER,                   -- NULL: for ever
  PRIMARY KEY (organization_id, trace_id, id)
) STRICT, WITHOUT ROWID;

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


-- The sweep: what need not be kept any longer, of each of the three.
CREATE INDEX traces_due ON traces (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX feedback_due ON feedback (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX evals_due ON evals (keep_until) WHERE keep_until IS NOT NULL;

-- The audit trail: what was done, and what a known key was refused. AUTOINCREMENT: a number is never used
-- twice, so that no later event can take the place of one that was pruned.
CREATE TABLE audit_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id TEXT NOT NULL,
  subject TEXT NOT NULL,                -- the key (or other thing) that it happened to
  action TEXT NOT NULL,                 -- 'key.created', 'key.revoked', …; 'refused' for an attempt
  actor_kind TEXT NOT NULL CHECK (actor_kind IN ('key', 'operator', 'system')),
  actor_id TEXT,                        -- the key that did it, or the session, if it was not signed in by one
  actor_user_id TEXT,                   -- the user as whom that key acted; NULL: none
  ip TEXT,                              -- from where, as the platform says
  request_id TEXT,
  details TEXT NOT NULL DEFAULT '{}',   -- a JSON object: what was set to what; never a secret
  refusal TEXT,                         -- the code with which an attempt was refused; NULL: it was done
  at INTEGER NOT NULL,
  -- Written with the event: whoever shortens the retention later cannot erase what was recorded before.
  keep_until INTEGER NOT NULL,
  actor_session_id TEXT,                -- the session on the settings pages in which it was done; NULL: none
  number INTEGER                        -- counts an organization's events; set by a trigger
) STRICT;

-- Every list is newest first. Each index ends with the row's id by itself, which orders events of one instant.
-- An organization's events, and those of a span of time.
CREATE INDEX audit_events_listed ON audit_events (organization_id, at);
-- The events of one subject; above all those of a key.
CREATE INDEX audit_events_by_subject ON audit_events (organization_id, subject, at);
-- Those of one kind; the refused attempts are one.
CREATE INDEX audit_events_by_action ON audit_events (organization_id, action, at);
-- What one key did, and what one user did with all his keys.
CREATE INDEX audit_events_by_actor ON audit_events (organization_id, actor_id, at) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_by_user ON audit_events (organization_id, actor_user_id, at) WHERE actor_user_id IS NOT NULL;
-- One event by its number, the next number, and the events of a seal.
CREATE UNIQUE INDEX audit_events_by_number ON audit_events (organization_id, number);

-- The seals of each organization's events: a chain of hashes. They stay when the events are pruned: one for each organization that has
-- new events when the sweep looks.
CREATE TABLE audit_seals (
  organization_id TEXT NOT NULL,
  first_number INTEGER NOT NULL,
  last_number INTEGER NOT NULL,
  last_id INTEGER NOT NULL,             -- the id of the last event
  events_hash TEXT NOT NULL,            -- SHA-256 of the events; hexadecimal
  hash TEXT NOT NULL,                   -- SHA-256 of the hash of the seal before, and of this seal
  keep_until INTEGER NOT NULL,          -- the latest of the events
  sealed_at INTEGER NOT NULL,
  pruned INTEGER NOT NULL DEFAULT 0,    -- 1: its events are gone
  PRIMARY KEY (organization_id, last_number)
) STRICT, WITHOUT ROWID;

-- Up to which event is everything sealed?
CREATE INDEX audit_seals_by_last_id ON audit_seals (last_id);
-- The sweep: seals whose events need not be kept any longer.
CREATE INDEX audit_seals_due ON audit_seals (keep_until) WHERE pruned = 0;

-- An event stays as it was written, and for as long as it was said then, whoever holds the pen.
CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events WHEN OLD.number IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'an audit event is never changed');
END;

-- Numbers without gaps. What was pruned is sealed, so that no number is given twice.
CREATE TRIGGER audit_events_numbered AFTER INSERT ON audit_events WHEN NEW.number IS NULL
BEGIN
  UPDATE audit_events SET number = 1 + max(
    coalesce((SELECT max(number) FROM audit_events WHERE organization_id = NEW.organization_id), 0),
    coalesce((SELECT max(last_number) FROM audit_seals WHERE organization_id = NEW.organization_id), 0))
  WHERE id = NEW.id;
END;

-- REPLACE would delete without a word to the next trigger.
CREATE TRIGGER audit_events_appended BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'an audit event is never replaced');
END;

-- An event is kept for as long as was said when it was written. Afterwards it goes by its seal: an older Worker's sweep, which
-- knows no seals, deletes nothing that would then be missing.
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
BEGIN
  SELECT RAISE(ABORT, 'an audit event is kept until its retention is over')
  WHERE OLD.keep_until > CAST(unixepoch('subsec') * 1000 AS INTEGER);
  SELECT RAISE(IGNORE) WHERE NOT coalesce((SELECT keep_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM audit_seals
    WHERE organization_id = OLD.organization_id AND last_number >= OLD.number ORDER BY last_number LIMIT 1), 0);
END;

CREATE TRIGGER audit_seals_stay
BEFORE UPDATE OF organization_id, first_number, last_number, last_id, events_hash, hash, keep_until, sealed_at ON audit_seals
BEGIN
  SELECT RAISE(ABORT, 'a seal is never changed');
END;

-- REPLACE would delete without a word to the next trigger.
CREATE TRIGGER audit_seals_appended BEFORE INSERT ON audit_seals
WHEN EXISTS (SELECT 1 FROM audit_seals WHERE organization_id = NEW.organization_id AND last_number >= NEW.first_number)
BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: these events are sealed');
END;

CREATE TRIGGER audit_seals_kept BEFORE DELETE ON audit_seals
BEGIN
  SELECT RAISE(ABORT, 'a seal is never deleted');
END;

-- The change feed: the last change of each subject. A later change moves its row to a new number, so that nobody's
-- thousand changes push others out. AUTOINCREMENT: a number is never used twice, even when the newest row is gone.
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  subject TEXT NOT NULL,                -- the key, user, project, organization or session that changed
  at INTEGER NOT NULL
) STRICT;

-- One row for each subject. The guard: has it changed since?
CREATE UNIQUE INDEX changes_by_subject ON changes (subject);

-- The row of the subject 'pruned' has the highest number that was deleted: all changes behind it are here.
CREATE TRIGGER changes_pruned AFTER DELETE ON changes
BEGIN
  INSERT INTO changes (seq, subject, at) VALUES (OLD.seq, 'pruned', OLD.at)
  ON CONFLICT (subject) DO UPDATE SET seq = max(seq, excluded.seq), at = excluded.at;
END;

-- Whoever changes what a verification depends on, be it by hand, cannot forget the feed. The subject
-- is the one from before the change, because that is the one that snapshots know.
CREATE TRIGGER keys_changed
AFTER UPDATE OF id, organization_id, user_id, project_id, bound_to, kind, digest, name, scopes, conditions, role, metadata,
  operator_metadata, expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
WHEN NEW.ended_with IS OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

-- However many keys end with one from which they descend, that is one row of the feed: their organization's, which every
-- snapshot of them knows.
CREATE TRIGGER keys_ended_with
AFTER UPDATE OF ended_with ON keys WHEN NEW.ended_with IS NOT OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.organization_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
  DELETE FROM invitations WHERE parent_id = OLD.id;
  DELETE FROM sign_in_links WHERE parent_id = OLD.id;
  DELETE FROM trusts WHERE parent_id = OLD.id;
END;

-- The sweep deletes keys of trusts that have expired. Every snapshot of them says so, and the feed need not.
CREATE TRIGGER keys_deleted AFTER DELETE ON keys
WHEN OLD.trust_id IS NULL OR coalesce(OLD.expires_at > CAST(unixepoch('subsec') * 1000 AS INTEGER), 1)
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

CREATE TRIGGER organizations_changed
AFTER UPDATE OF suspended_at, operator, default_expiry_days, longest_expiry_days, max_keys_per_user, subscription ON organizations
BEGIN
  INSERT INTO changes (subject, at) VALUES (NEW.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

CREATE TRIGGER projects_changed AFTER UPDATE OF id, organization_id, deleted_at ON projects
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

CREATE TRIGGER memberships_added AFTER INSERT ON memberships
BEGIN
  INSERT INTO changes (subject, at) VALUES (NEW.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

CREATE TRIGGER memberships_changed AFTER UPDATE ON memberships
BEGIN
  INSERT INTO changes (subject, at)
  SELECT OLD.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER)
  UNION SELECT NEW.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE true
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

CREATE TRIGGER memberships_removed AFTER DELETE ON memberships
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

-- Data sets: a person's, a project's or an organization's own. Their ids are public: `ds_` and a UUIDv7.
CREATE TABLE datasets (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT REFERENCES users (id),        -- whose it is; NULL: its project's, or the organization's
  project_id TEXT REFERENCES projects (id),  -- NULL: none
  name TEXT NOT NULL,
  description TEXT,
  columns TEXT NOT NULL,                -- a JSON array of objects: id, name, role
  judgments TEXT NOT NULL DEFAULT '[]', -- a JSON array: how its rows are to be judged
  row_count INTEGER NOT NULL DEFAULT 0,
  next_row INTEGER NOT NULL DEFAULT 1,  -- the id of the next row: none is used twice
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ends_at INTEGER  -- set: nobody sees it, because it is being uploaded or was deleted; the sweep takes it from here on
) STRICT, WITHOUT ROWID;

-- Lists, newest first: of all of an organization, of one user, of one project.
CREATE INDEX datasets_listed ON datasets (organization_id, id) WHERE ends_at IS NULL;
CREATE INDEX datasets_by_user ON datasets (organization_id, user_id, id) WHERE ends_at IS NULL;
CREATE INDEX datasets_by_project ON datasets (organization_id, project_id, id) WHERE ends_at IS NULL;
-- The sweep: what was deleted, and uploads that were broken off.
CREATE INDEX datasets_ended ON datasets (ends_at) WHERE ends_at IS NOT NULL;

-- The rows of data sets, a hundred in one row of this table: D1 bills by the row.
CREATE TABLE dataset_chunks (
  dataset_id TEXT NOT NULL REFERENCES datasets (id),
  first_row INTEGER NOT NULL,           -- the id of the first; the others count on from it
  row_count INTEGER NOT NULL,           -- how many are there, without the removed
  cells TEXT NOT NULL,                  -- a JSON array: for each row an object of column ids and values, null if removed
  PRIMARY KEY (dataset_id, first_row)
) STRICT;

-- Who else may see or change a data set.
CREATE TABLE shares (
  resource_id TEXT NOT NULL,
  grantee_id TEXT NOT NULL,             -- a user or a team
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  grantee_kind TEXT NOT NULL CHECK (grantee_kind IN ('user', 'team')),
  access TEXT NOT NULL CHECK (access IN ('read', 'write')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (resource_id, grantee_id)
) STRICT, WITHOUT ROWID;

-- Lists of what is shared with a user or a team.
CREATE INDEX shares_by_grantee ON shares (grantee_id, resource_id, access);

-- Nothing stays shared with a person who leaves the organization, or with a team that ends.
CREATE TRIGGER shares_end_with_membership AFTER DELETE ON memberships
BEGIN
  DELETE FROM shares WHERE grantee_id = OLD.user_id AND organization_id = OLD.organization_id;
END;

CREATE TRIGGER shares_end_with_team AFTER DELETE ON teams
BEGIN
  DELETE FROM shares WHERE grantee_id = OLD.id AND organization_id = OLD.organization_id;
END;

-- Evaluations: which columns something has that is to be judged, and how it is judged. Their ids are public: `eval_` and a UUIDv7.
CREATE TABLE evaluations (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT REFERENCES users (id),        -- whose it is; NULL: its project's, or the organization's
  project_id TEXT REFERENCES projects (id),  -- NULL: none
  base_id TEXT REFERENCES evaluations (id) ON DELETE CASCADE, -- of which it is a variant; NULL: it is a base itself
  dataset_id TEXT,                      -- the data set that it was generated from; NULL: none
  name TEXT NOT NULL,
  description TEXT,
  config TEXT NOT NULL,                 -- a JSON object: the columns, and the judge
  draft INTEGER NOT NULL DEFAULT 0,     -- 1: nobody has looked at it yet, so it cannot be deployed
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Lists, newest first: of all of an organization, of one user, of one project; each also without variants.
CREATE INDEX evaluations_listed ON evaluations (organization_id, id);
CREATE INDEX evaluations_by_user ON evaluations (organization_id, user_id, id);
CREATE INDEX evaluations_by_project ON evaluations (organization_id, project_id, id);
CREATE INDEX evaluations_bases ON evaluations (organization_id, id) WHERE base_id IS NULL;
CREATE INDEX evaluations_bases_by_user ON evaluations (organization_id, user_id, id) WHERE base_id IS NULL;
CREATE INDEX evaluations_bases_by_project ON evaluations (organization_id, project_id, id) WHERE base_id IS NULL;
-- The variants of one, newest first.
CREATE INDEX evaluations_variants ON evaluations (base_id, id) WHERE base_id IS NOT NULL;

-- A variant is shared with whom its base is shared: when it is made, and when that changes.
CREATE TRIGGER evaluations_inserted
AFTER INSERT ON evaluations WHEN NEW.base_id IS NOT NULL
BEGIN
  INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
  SELECT NEW.id, grantee_id, organization_id, grantee_kind, access, NEW.created_at FROM shares WHERE resource_id = NEW.base_id;
END;

CREATE TRIGGER shares_inserted
AFTER INSERT ON shares
BEGIN
  INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
  SELECT id, NEW.grantee_id, NEW.organization_id, NEW.grantee_kind, NEW.access, NEW.created_at
  FROM evaluations WHERE base_id = NEW.resource_id
  ON CONFLICT (resource_id, grantee_id) DO UPDATE SET access = excluded.access;
END;

CREATE TRIGGER shares_changed
AFTER UPDATE OF access ON shares
BEGIN
  UPDATE shares SET access = NEW.access
  WHERE grantee_id = NEW.grantee_id AND resource_id IN (SELECT id FROM evaluations WHERE base_id = NEW.resource_id);
END;

CREATE TRIGGER shares_deleted
AFTER DELETE ON shares
BEGIN
  DELETE FROM shares
  WHERE grantee_id = OLD.grantee_id AND resource_id IN (SELECT id FROM evaluations WHERE base_id = OLD.resource_id);
END;

CREATE TRIGGER evaluations_deleted
AFTER DELETE ON evaluations
BEGIN
  DELETE FROM shares WHERE resource_id = OLD.id;
END;

-- Evaluations that are deployed, each with a key of its own. Their ids are public: `live_` and a UUIDv7.
CREATE TABLE live_evaluations (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT REFERENCES users (id),        -- whose it is; NULL: its project's, or the organization's
  project_id TEXT REFERENCES projects (id),  -- NULL: none
  evaluation_id TEXT NOT NULL,          -- the evaluation that was deployed; it may have changed since, or be gone
  name TEXT NOT NULL,
  description TEXT,
  config TEXT NOT NULL,                 -- a JSON object: the columns and the judge, as they were when it was deployed
  active INTEGER NOT NULL DEFAULT 1,    -- 0: it does not run
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Lists, newest first: of all of an organization, of one user, of one project.
CREATE INDEX live_evaluations_listed ON live_evaluations (organization_id, id);
CREATE INDEX live_evaluations_by_user ON live_evaluations (organization_id, user_id, id);
CREATE INDEX live_evaluations_by_project ON live_evaluations (organization_id, project_id, id);

-- A live evaluation has one key that works.
CREATE UNIQUE INDEX keys_by_bound_to ON keys (bound_to) WHERE bound_to IS NOT NULL AND revoked_at IS NULL;

-- What live evaluations have judged. Their ids are public: `run_` and a UUIDv7.
CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  live_evaluation_id TEXT NOT NULL REFERENCES live_evaluations (id),
  evaluation_id TEXT NOT NULL,          -- the evaluation that was deployed then
  key_id TEXT NOT NULL,                 -- the key that ran it
  user_id TEXT,                         -- the user as whom that key acted; NULL: none
  state TEXT NOT NULL CHECK (state IN ('running', 'completed', 'failed')),
  inputs TEXT NOT NULL,                 -- a JSON object: what was judged
  judgment TEXT,                        -- a JSON object: the verdict, and why; NULL: there is none
  passed INTEGER,                       -- 1 or 0, as the judgment says; NULL: there is none
  charged INTEGER NOT NULL,             -- 1: it has taken a credit, which goes back if it fails
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  keep_until INTEGER                    -- NULL: for ever
) STRICT, WITHOUT ROWID;

-- Lists, newest first: of all of an organization, of one live evaluation. A list of whatever end reads each of the three
-- ends, because a row read costs a thousandth of a row written, and each index costs every run one.
CREATE INDEX runs_listed ON runs (organization_id, passed, id);
CREATE INDEX runs_by_live_evaluation ON runs (live_evaluation_id, passed, id);
-- The sweep: runs that were broken off, whose credit goes back; and what need not be kept any longer.
CREATE INDEX runs_running ON runs (created_at) WHERE state = 'running';
CREATE INDEX runs_due ON runs (keep_until) WHERE keep_until IS NOT NULL;

-- Runs that people look at. Their ids are public: `rev_` and a UUIDv7. What was done, by which key and as which user, stands in its columns.
CREATE TABLE review_items (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  run_id TEXT NOT NULL REFERENCES runs (id),
  live_evaluation_id TEXT NOT NULL REFERENCES live_evaluations (id),
  state TEXT NOT NULL CHECK (state IN ('open', 'judged', 'rejected', 'promoted')),
  reason TEXT,                          -- why it was flagged
  flagged_at INTEGER NOT NULL,
  flagged_by_key TEXT NOT NULL,
  flagged_by_user TEXT,
  verdict TEXT,                         -- a person's
  passed INTEGER,                       -- 1 or 0, whether that is a good one; NULL: the person did not say
  notes TEXT,                           -- why, or why it was rejected
  decided_at INTEGER,                   -- when it was judged or rejected
  decided_by_key TEXT,
  decided_by_user TEXT,
  dataset_id TEXT,                      -- the data set that it was promoted into, and the row there
  row_id INTEGER,
  promoted_at INTEGER,
  promoted_by_key TEXT,
  promoted_by_user TEXT
) STRICT, WITHOUT ROWID;

-- A run is flagged once.
CREATE UNIQUE INDEX review_items_by_run ON review_items (run_id);
-- Lists, newest first: of all of an organization, of one live evaluation. As with runs, a list of all states reads each of them.
CREATE INDEX review_items_listed ON review_items (organization_id, state, id);
CREATE INDEX review_items_by_live_evaluation ON review_items (live_evaluation_id, state, id);

-- How often each key was used on each day. The day stands first, so that the sweep finds the oldest and a month of one key is thirty look-ups.
CREATE TABLE key_uses (
  day INTEGER NOT NULL,                 -- days since 1970 (UTC)
  key_id TEXT NOT NULL,
  uses INTEGER NOT NULL,
  PRIMARY KEY (day, key_id)
) STRICT, WITHOUT ROWID;

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
  expires_at INTEGER NOT NULL,          -- ends then, whatever it does
  created_by TEXT,                      -- the key, or the key or session that created its link or invitation; NULL: none
  created_by_user TEXT,                 -- the user as whom that acted; NULL: none
  parent_id TEXT                        -- the key that it descends from, as that of a key
) STRICT, WITHOUT ROWID;

-- One session by its token.
CREATE UNIQUE INDEX sessions_by_digest ON sessions (digest);
-- Lists of a user's sessions, newest first, and of those of a key that has no user.
CREATE INDEX sessions_by_user ON sessions (organization_id, user_id, id);
CREATE INDEX sessions_by_key ON sessions (key_id, id) WHERE key_id IS NOT NULL;
-- The sweep: what has expired.
CREATE INDEX sessions_due ON sessions (expires_at);
-- Those that descend from a key.
CREATE INDEX sessions_by_parent ON sessions (parent_id) WHERE parent_id IS NOT NULL;
-- Those of a user's links, and of the links that were created in a session.
CREATE INDEX sessions_by_creating_user ON sessions (organization_id, created_by_user) WHERE created_by_user IS NOT NULL;
CREATE INDEX sessions_by_creator ON sessions (created_by) WHERE created_by IS NOT NULL;

CREATE TRIGGER sessions_changed
AFTER UPDATE OF id, organization_id, user_id, key_id, key_digest, role, key_expires_at, expires_at ON sessions
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

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

-- Links that sign somebody in. One that was used is no more.
CREATE TABLE sign_in_links (
  digest TEXT PRIMARY KEY,              -- SHA-256 of the token; hexadecimal
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),  -- as that of the session
  key_expires_at INTEGER,               -- as that of the session
  created_by_user_id TEXT REFERENCES users (id),  -- NULL: nobody, but the operator or a key without a user
  expires_at INTEGER NOT NULL,          -- opens nothing from here on
  created_by TEXT,                      -- the key or session that created it; NULL: the operator
  session_id TEXT,                      -- the session on the settings pages in which it was created; NULL: none
  parent_id TEXT,                       -- the key that it descends from, as that of a key
  id TEXT,                              -- it opens nothing
  created_at INTEGER
) STRICT, WITHOUT ROWID;

-- The sweep: what has expired.
CREATE INDEX sign_in_links_due ON sign_in_links (expires_at);
-- Those of one person, which end with any change of what he may do.
CREATE INDEX sign_in_links_by_maker ON sign_in_links (created_by_user_id) WHERE created_by_user_id IS NOT NULL;

-- Those of one key, which end with it and with any change of what it may do, and those of one session.
CREATE INDEX sign_in_links_by_key ON sign_in_links (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX sign_in_links_by_session ON sign_in_links (session_id) WHERE session_id IS NOT NULL;
-- Those that descend from a key.
CREATE INDEX sign_in_links_by_parent ON sign_in_links (parent_id) WHERE parent_id IS NOT NULL;
-- Lists, newest first.
CREATE UNIQUE INDEX sign_in_links_listed ON sign_in_links (organization_id, id);

CREATE TRIGGER sign_in_links_end_with_key
AFTER UPDATE OF digest, scopes, conditions, role, expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
BEGIN
  DELETE FROM sign_in_links WHERE created_by = OLD.id;
END;

CREATE TRIGGER sign_in_links_end_with_session AFTER DELETE ON sessions
BEGIN
  DELETE FROM sign_in_links WHERE session_id = OLD.id;
END;

CREATE TRIGGER sign_in_links_end_with_role AFTER UPDATE ON memberships
BEGIN
  DELETE FROM sign_in_links WHERE created_by_user_id = OLD.user_id;
END;

CREATE TRIGGER sign_in_links_end_with_membership AFTER DELETE ON memberships
BEGIN
  DELETE FROM sign_in_links WHERE created_by_user_id = OLD.user_id;
END;

-- An invitation ends with the key that created it, and when that key no longer has full access without conditions, with
-- which it could not have created it.
CREATE TRIGGER invitations_end_with_key AFTER UPDATE OF revoked_at, scopes, conditions ON keys
WHEN NEW.revoked_at IS NOT NULL OR NEW.scopes IS NOT NULL OR NEW.conditions IS NOT NULL
BEGIN
  DELETE FROM invitations WHERE created_by = OLD.id;
END;

-- What an organization has, counted in the transaction of each change. Bytes are those of the rows of data sets, of
-- traces with their feedback, and of the inputs of runs; a data set counts until the sweep has taken it.
CREATE TABLE usage (
  organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
  keys INTEGER NOT NULL DEFAULT 0,                -- that are not revoked, without those of trusts
  projects INTEGER NOT NULL DEFAULT 0,            -- that are not deleted
  members INTEGER NOT NULL DEFAULT 0,
  invitations INTEGER NOT NULL DEFAULT 0,         -- that are open
  datasets INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- How much of each an organization may have. This is the one place of the defaults.
CREATE VIEW quotas AS
SELECT id AS organization_id,
  coalesce(max_keys, 100000) AS keys,
  coalesce(max_projects, 1000) AS projects,
  coalesce(max_members, 10000) AS members,
  coalesce(max_invitations, 1000) AS invitations,
  coalesce(max_datasets, 10000) AS datasets,
  coalesce(max_bytes, 1000000000) AS bytes
FROM organizations;

-- Nothing grows beyond its quota, whatever adds to it. What is beyond one that was lowered can still shrink.
CREATE TRIGGER usage_of_keys BEFORE UPDATE OF keys ON usage
WHEN NEW.keys > OLD.keys AND NEW.keys > (SELECT keys FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: keys ' || (SELECT keys FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_projects BEFORE UPDATE OF projects ON usage
WHEN NEW.projects > OLD.projects AND NEW.projects > (SELECT projects FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: projects ' || (SELECT projects FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_members BEFORE UPDATE OF members ON usage
WHEN NEW.members > OLD.members AND NEW.members > (SELECT members FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: members ' || (SELECT members FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_invitations BEFORE UPDATE OF invitations ON usage
WHEN NEW.invitations > OLD.invitations AND NEW.invitations > (SELECT invitations FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: invitations ' || (SELECT invitations FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_datasets BEFORE UPDATE OF datasets ON usage
WHEN NEW.datasets > OLD.datasets AND NEW.datasets > (SELECT datasets FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: datasets ' || (SELECT datasets FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_bytes BEFORE UPDATE OF bytes ON usage
WHEN NEW.bytes > OLD.bytes AND NEW.bytes > (SELECT bytes FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: bytes ' || (SELECT bytes FROM quotas WHERE organization_id = NEW.organization_id));
END;

-- Keys of trusts live for minutes, so they do not count.
CREATE TRIGGER keys_counted AFTER INSERT ON keys WHEN NEW.revoked_at IS NULL AND NEW.trust_id IS NULL
BEGIN
  UPDATE usage SET keys = keys + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER keys_discounted AFTER DELETE ON keys WHEN OLD.revoked_at IS NULL AND OLD.trust_id IS NULL
BEGIN
  UPDATE usage SET keys = keys - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER keys_recounted AFTER UPDATE OF organization_id, revoked_at ON keys WHEN OLD.trust_id IS NULL
BEGIN
  UPDATE usage SET keys = keys - 1 WHERE organization_id = OLD.organization_id AND OLD.revoked_at IS NULL;
  UPDATE usage SET keys = keys + 1 WHERE organization_id = NEW.organization_id AND NEW.revoked_at IS NULL;
END;

-- Where a project is inserted it is counted, too: for a trigger SQLite would look for references to the new row in all
-- tables.
CREATE TRIGGER projects_discounted AFTER DELETE ON projects WHEN OLD.deleted_at IS NULL
BEGIN
  UPDATE usage SET projects = projects - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER projects_recounted AFTER UPDATE OF organization_id, deleted_at ON projects
BEGIN
  UPDATE usage SET projects = projects - 1 WHERE organization_id = OLD.organization_id AND OLD.deleted_at IS NULL;
  UPDATE usage SET projects = projects + 1 WHERE organization_id = NEW.organization_id AND NEW.deleted_at IS NULL;
END;

-- An organization begins with its first member, and so does its usage. For a trigger on organizations SQLite would look
-- for references to the new row in all tables.
CREATE TRIGGER memberships_counted AFTER INSERT ON memberships
BEGIN
  INSERT OR IGNORE INTO usage (organization_id) VALUES (NEW.organization_id);
  UPDATE usage SET members = members + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER memberships_discounted AFTER DELETE ON memberships
BEGIN
  UPDATE usage SET members = members - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER memberships_recounted AFTER UPDATE OF organization_id ON memberships
BEGIN
  UPDATE usage SET members = members - 1 WHERE organization_id = OLD.organization_id;
  UPDATE usage SET members = members + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER invitations_counted AFTER INSERT ON invitations
BEGIN
  UPDATE usage SET invitations = invitations + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER invitations_discounted AFTER DELETE ON invitations
BEGIN
  UPDATE usage SET invitations = invitations - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER datasets_counted AFTER INSERT ON datasets
BEGIN
  UPDATE usage SET datasets = datasets + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER datasets_discounted AFTER DELETE ON datasets
BEGIN
  UPDATE usage SET datasets = datasets - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER traces_counted AFTER INSERT ON traces
BEGIN
  UPDATE usage SET bytes = bytes + NEW.bytes WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER traces_discounted AFTER DELETE ON traces
BEGIN
  UPDATE usage SET bytes = bytes - OLD.bytes WHERE organization_id = OLD.organization_id;
END;

-- What comes with traces counts, too, and what runs have judged. What a run has paid for is written in any case, so its
-- judgment does not count.
CREATE TRIGGER feedback_counted AFTER INSERT ON feedback
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.feedback) WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER feedback_discounted AFTER DELETE ON feedback
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.feedback) WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER evals_counted AFTER INSERT ON evals
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.metric_name) WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER evals_discounted AFTER DELETE ON evals
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.metric_name) WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER runs_counted AFTER INSERT ON runs
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.inputs) WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER runs_discounted AFTER DELETE ON runs
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.inputs) WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER dataset_chunks_counted AFTER INSERT ON dataset_chunks
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.cells)
  WHERE organization_id = (SELECT organization_id FROM datasets WHERE id = NEW.dataset_id);
END;

CREATE TRIGGER dataset_chunks_discounted AFTER DELETE ON dataset_chunks
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.cells)
  WHERE organization_id = (SELECT organization_id FROM datasets WHERE id = OLD.dataset_id);
END;

CREATE TRIGGER dataset_chunks_recounted AFTER UPDATE OF cells ON dataset_chunks
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.cells) + octet_length(NEW.cells)
  WHERE organization_id = (SELECT organization_id FROM datasets WHERE id = NEW.dataset_id);
END;
