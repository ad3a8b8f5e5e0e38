-- The audit trail tells as whom a key acted and what was refused, keeps every event for as long as was said
-- when it was written, and can neither be changed nor cut short. Traces may end, too.

ALTER TABLE audit_events RENAME TO audit_events_before;

CREATE TABLE audit_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id TEXT NOT NULL,
  subject TEXT NOT NULL,                -- the key (or other thing) that it happened to
  action TEXT NOT NULL,                 -- 'key.created', 'key.revoked', …; 'refused' for an attempt
  actor_kind TEXT NOT NULL CHECK (actor_kind IN ('key', 'operator', 'system')),
  actor_id TEXT,                        -- the key that did it
  actor_user_id TEXT,                   -- the user as whom that key acted; NULL: none
  ip TEXT,                              -- from where, as the platform says
  request_id TEXT,
  details TEXT NOT NULL DEFAULT '{}',   -- a JSON object: what was set to what; never a secret
  refusal TEXT,                         -- the code with which an attempt was refused; NULL: it was done
  at INTEGER NOT NULL,
  -- Written with the event: whoever shortens the retention later cannot erase what was recorded before.
  keep_until INTEGER NOT NULL
) STRICT;

-- For how long these are kept was in the configuration alone, which SQL cannot read, so they get the 365 days
-- that are its default.
INSERT INTO audit_events (id, organization_id, subject, action, actor_kind, actor_id, ip, request_id, details, at, keep_until)
SELECT id, organization_id, subject, action, actor_kind, actor_id, ip, request_id, details, at, at + 31536000000
FROM audit_events_before;

DROP TABLE audit_events_before;

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
-- The sweep: what need not be kept any longer.
CREATE INDEX audit_events_due ON audit_events (keep_until);

-- An event stays as it was written, and for as long as it was said then, whoever holds the pen.
CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
BEGIN
  SELECT RAISE(ABORT, 'an audit event is never changed');
END;

-- REPLACE would delete without a word to the next trigger.
CREATE TRIGGER audit_events_appended BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'an audit event is never replaced');
END;

CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
WHEN OLD.keep_until > CAST(unixepoch('subsec') * 1000 AS INTEGER)
BEGIN
  SELECT RAISE(ABORT, 'an audit event is kept until its retention is over');
END;

ALTER TABLE traces ADD COLUMN keep_until INTEGER;
ALTER TABLE feedback ADD COLUMN keep_until INTEGER;
ALTER TABLE evals ADD COLUMN keep_until INTEGER;

-- The sweep: what need not be kept any longer, of each of the three.
CREATE INDEX traces_due ON traces (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX feedback_due ON feedback (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX evals_due ON evals (keep_until) WHERE keep_until IS NOT NULL;
