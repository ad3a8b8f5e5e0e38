-- Evaluations, their live evaluations with keys of their own, what those have judged, and the queue in which people review it.

-- Whether it may use the resource routes, and how many runs it has left.
ALTER TABLE organizations ADD COLUMN subscription TEXT NOT NULL DEFAULT 'active' CHECK (subscription IN ('active', 'inactive'));
ALTER TABLE organizations ADD COLUMN credits INTEGER CHECK (credits >= 0);

-- A snapshot carries whether the subscription is active. The credits are spent with every run, and it does not.
DROP TRIGGER organizations_changed;
CREATE TRIGGER organizations_changed
AFTER UPDATE OF suspended_at, operator, default_expiry_days, longest_expiry_days, max_keys_per_user, subscription ON organizations
BEGIN
  INSERT INTO changes (subject, at) VALUES (NEW.id, CAST(unixepoch('subsec') * 1000 AS INTEGER));
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

-- The one live evaluation that a key of kind `sk` runs; NULL: it is no such key.
ALTER TABLE keys ADD COLUMN live_evaluation_id TEXT;

-- A live evaluation has one key that works.
CREATE UNIQUE INDEX keys_by_live_evaluation ON keys (live_evaluation_id) WHERE live_evaluation_id IS NOT NULL AND revoked_at IS NULL;

DROP TRIGGER keys_changed;
CREATE TRIGGER keys_changed
AFTER UPDATE OF id, organization_id, user_id, project_id, live_evaluation_id, kind, digest, name, scopes, role, metadata,
  expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;

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
