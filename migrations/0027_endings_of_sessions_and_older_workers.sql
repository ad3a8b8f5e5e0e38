-- Sessions without a key end with the person whose link began them, and so do the keys without a person that were created
-- in them, even when such a session is over.
ALTER TABLE keys ADD COLUMN linked_by_user TEXT;
UPDATE keys SET linked_by_user = (SELECT created_by_user FROM sessions WHERE sessions.id = keys.created_by AND key_id IS NULL)
WHERE created_by IN (SELECT id FROM sessions WHERE key_id IS NULL);

CREATE INDEX keys_by_linking_user ON keys (organization_id, linked_by_user) WHERE linked_by_user IS NOT NULL;
CREATE INDEX sessions_by_creating_user ON sessions (organization_id, created_by_user) WHERE created_by_user IS NOT NULL;
CREATE INDEX sessions_by_creator ON sessions (created_by) WHERE created_by IS NOT NULL;
