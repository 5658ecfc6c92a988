-- Assets that look like clones and that nobody remembers.
select count(*) from linked.clones_unknown()
