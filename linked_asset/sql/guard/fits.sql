-- Before anything is changed: is this the database that the script was written for?
do $fits$
declare
    v_problems text;
{% if settings %}
    v_setting record;
{% endif %}
    v_renamed text := (
        select string_agg(quote_ident(renamed.name), ', ')
        from (
{{ renamed | indent(12, first=True) }}
        ) as renamed
    );
begin
    if v_renamed is not null then
        raise exception 'linked assets are damaged: schema "linked" is called % now, and no trigger finds it', v_renamed
            using hint = format('alter schema %s rename to linked. Do not drop it: clones would stay, '
                'and with one of them Immich deletes the family''s file.', v_renamed);
    end if;
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
        select from pg_catalog.pg_depend as d
        join pg_catalog.pg_namespace as n on n.oid = d.refobjid and n.nspname = 'linked'
        where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.deptype = 'n'
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
{% if settings %}
    select setting.* into v_setting
    from (
{{ settings | indent(8, first=True) }}
    ) as setting
    where setting.name = 'default_transaction_isolation'
    limit 1;
    if found then
        raise exception '%: the default isolation is %, under which Immich''s own statements would fail once the addon is installed',
            v_setting.what, v_setting.value
            using hint = v_setting.remedy;
    end if;
{% endif %}
end
$fits$;
