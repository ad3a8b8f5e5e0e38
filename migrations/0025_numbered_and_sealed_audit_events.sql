-- Events are numbered in their organization, without gaps, and sealed in a chain of hashes. Outdated events are found by their seals.
ALTER TABLE audit_events ADD COLUMN number INTEGER;
DROP INDEX audit_events_due;
DROP TRIGGER audit_events_stay;

UPDATE audit_events SET number = numbered.number
FROM (SELECT id AS event_id, row_number() OVER (PARTITION BY organization_id ORDER BY id) AS number FROM audit_events) AS numbered
WHERE id = event_id;

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
