-- Version 8. How many runs a project ever had: the number in the next one's name, without counting them each time.
ALTER TABLE projects ADD COLUMN runs_made INTEGER NOT NULL DEFAULT 0;

UPDATE projects SET runs_made = (SELECT count(*) FROM runs WHERE project_id = projects.id);
