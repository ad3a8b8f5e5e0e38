-- A key can be bound to one thing, and need not know what kind of thing that is.
DROP INDEX keys_by_live_evaluation;
ALTER TABLE keys RENAME COLUMN live_evaluation_id TO bound_to;
CREATE UNIQUE INDEX keys_by_bound_to ON keys (bound_to) WHERE bound_to IS NOT NULL AND revoked_at IS NULL;
