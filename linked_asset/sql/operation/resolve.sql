-- What happened since then, or once more, stays open.
update linked.incident
set resolved_at = now()
where resolved_at is null and last_at < (select installed_at from linked.installation)
