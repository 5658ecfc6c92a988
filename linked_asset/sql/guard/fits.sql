-- Before anything is changed: is this the database that the script was written for?
do $fits$
declare
    v_problems text;
begin
{% if installed is none %}
    if to_regclass('linked.installation') is not null then
        raise exception 'linked assets are installed already'
            using hint = 'Write the script from what is installed (linked-asset status): alembic upgrade FROM:TO --sql';
    elsif exists (
{{ ours | indent(8, first=True) }}
    ) then
        raise exception 'linked assets are damaged: nothing says any more what is installed'
            using hint = 'Run alembic upgrade head, which mends what can be mended. Do not drop schema "linked": clones would stay, '
                'and with one of them Immich deletes the family''s file.';
    elsif exists (
        select from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'linked'
    ) or exists (
        select from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'linked'
    ) then
        raise exception 'schema "linked" exists already and is not ours'
            using hint = 'If it comes from the SQL scripts of immich-linked-assets, remove it first by their immich_delete_linked_asset.sql.';
    end if;
{% else %}
    if to_regclass('linked.alembic_version') is null then
        if exists (
{{ ours | indent(12, first=True) }}
        ) then
            raise exception 'linked assets are damaged: Alembic''s version table is gone'
                using hint = 'Run alembic upgrade head, which mends what can be mended. Do not drop schema "linked".';
        end if;
        raise exception 'linked assets are not installed here, the script starts from {{ installed }}';
    end if;
    if not exists (select from linked.alembic_version where version_num = '{{ installed }}') then
        raise exception 'the script starts from {{ installed }}, installed is %',
            (select string_agg(version_num, ', ') from linked.alembic_version);
    end if;
{% endif %}
{% if differences %}
    select string_agg(unfit.line, '; ') into v_problems
    from (
{{ differences | indent(8, first=True) }}
    ) as unfit
    where unfit.kind not in ('{{ tolerated | join("', '") }}');
    if v_problems is not null then
        raise exception 'Immich''s tables do not fit {{ target }}: %', v_problems
            using hint = 'Write the script for the Immich that runs here: alembic upgrade VERSION --sql';
    end if;
{% endif %}
end
$fits$;
