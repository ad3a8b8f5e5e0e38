// A database with many keys, made past the Worker in one statement.
import { rows } from "./client.mjs";

/**
 * Puts `total` keys beside those that are there, like the first of them but for what makes each its own.
 * The first `expired` of them expired one after the other, ending at `now`; of the others, every second
 * one will expire in a year, and the rest never.
 */
export async function crowd(app, { total, expired, now = Date.now() }) {
  await rows(app, "UPDATE organizations SET max_keys = 100000000");
  await rows(
    app,
    `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
     INSERT INTO keys (id, organization_id, number, user_id, kind, digest, pepper_version, stem, start, last4, name, scopes, role,
       metadata, expires_at, created_at, created_by, updated_at)
     SELECT printf('0190%04x-0000-7000-8000-%012x', i >> 16, i), organization_id, top + 1 + i, user_id, kind, printf('%064x', i), 0, stem, start, last4,
       'key ' || i, '["datasets:read"]', role, '{}',
       CASE WHEN i < ?2 THEN ?3 - ?2 + i WHEN i % 2 THEN ?3 + 31536000000 END, created_at, id, created_at
     FROM n, (SELECT * FROM keys ORDER BY id LIMIT 1), (SELECT max(number) AS top FROM keys)`,
    total,
    expired,
    now,
  );
}
