-- The key of a live evaluation belongs to the project of that, and ends with it.
UPDATE keys SET project_id = (SELECT project_id FROM live_evaluations WHERE live_evaluations.id = keys.bound_to)
WHERE bound_to IS NOT NULL;
