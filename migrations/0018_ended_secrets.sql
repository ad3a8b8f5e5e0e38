-- The secrets that a key had and has no more, so that an attempt with one is known as such and is seen. In the order in
-- which they ended; each key keeps its newest thousand.
CREATE TABLE ended_secrets (
  digest TEXT PRIMARY KEY,
  key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX ended_secrets_by_key ON ended_secrets (key_id);

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
