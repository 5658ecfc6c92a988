{# What the triggers share. Statement level with transition tables (a statement that changes 5,000 rows costs one call), no
   column lists, no conditions, not deferrable: each of these would stop one of Immich's own migrations. #}

{# How long, since it began, a statement may ask for its turn that takes something from somebody: longer than another one links
   assets before it leaves the rest to the queue, and well below a timeout that the role, the database or the session has set. #}
{% set patience -%}
least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
{%- endset %}

{# Whether an asset is a member. As an expression of its own it is looked up row by row whatever the plan, which PL/pgSQL
   keeps: made for a statement of many rows, a join would read all members for every later one. #}
{% macro is_member(asset) -%}
(select true from linked.member where member.asset_id = {{ asset }})
{%- endmacro %}

{% macro takes_part(account) -%}
exists (select from linked.participant where participant.user_id = {{ account }})
{%- endmacro %}

{# Whose trashing and deleting hides a clone from its own account alone. #}
{% macro hides_alone(member) -%}
(not {{ member }}.can_write or {{ member }}.deletes_own)
{%- endmacro %}

{# Of the albums that cover an asset for an account: whether it is so for each of those that let the account write. #}
{% macro deletes_own(of_album, can_write) -%}
coalesce(bool_and({{ of_album }}) filter (where {{ can_write }}), false)
{%- endmacro %}

{# The groups of the members among rows, for the same reason row by row. #}
{% macro groups_of(rows, asset) -%}
array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = {{ asset }}) as source_id
                        from {{ rows }}
                    ) as known
                    where source_id is not null
                )
{%- endmacro %}

{# The rows of an update in which one of the columns has another value than before. No join of the two transition tables:
   PL/pgSQL keeps the plan of the first call, and where that had one row, the join would be quadratic ever after. #}
{% macro changed(fresh, stale, columns, key="id") %}
(select {{ key }}, {{ columns }} from {{ fresh }} except select {{ key }}, {{ columns }} from {{ stale }}) as changed
{%- endmacro %}

{# Which columns an update has changed, over the rows that concern us. A full join is never made by nested loops. #}
{% macro changed_columns(fresh, stale, names, key, concern) -%}
(
            select array_remove(array[
{% for name in names %}
                case when bool_or(fresh."{{ name }}" is distinct from stale."{{ name }}") then '{{ name }}' end
                {{- "," if not loop.last }}
{% endfor %}
            ], null)
            from {{ fresh }} full join {{ stale }} using ("{{ key }}")
            where {{ concern }}
        )
{%- endmacro %}

{# What every trigger function does around its work.

   First it looks whether a statement concerns anything linked (`look`, and where that says null, for costing more, `closer`), and of updates whether in a column that matters
   (`columns`, by their canonical names, over the rows of `concern`): nearly none does, and costs no more than that. Then it
   takes its turn: on the groups (`sources`), or on everything. `patient`: what takes something from somebody is not put off;
   `meanwhile`: what is done at once where the work has to be put off, or fails.

   Nothing is done while the addon itself writes or is suspended, and no exception ever reaches Immich. The work is rendered
   twice: over the transition tables, and over what was noted of them. It must not return early. Security definer: the role
   that installed the addon need not be the one that Immich uses, which knows nothing of schema linked.

   A search path that belongs to the function would be a third of what the look costs. So whatever is asked before it is set
   names the schema of each operator, and calls nothing (`qualified`); types of variables, which are looked up even earlier, have
   theirs, too (`typed`). Where a look has to call a function (`calls`) the path is set before. Immich's own path is
   left as it is where it finds the same: every plan that is kept belongs to a path, and with another one each statement in
   Immich's own triggers would be planned anew for the rows that sync writes, and again for Immich's next. #}
{% macro on(table, event, what, look="", closer="", columns=[], key="id", concern="true", sources="null", patient="false", calls=false, meanwhile="") %}
{% set rows = "stale" if event == "delete" else "fresh" %}
{% set path = "pg_catalog, public, vectors, pg_temp" %}
{% macro set_path() -%}
if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
    perform pg_catalog.set_config('search_path', '{{ path }}', true);
end if;
{% endmacro %}
{% macro restore_path() -%}
if v_search_path is not null then
    perform pg_catalog.set_config('search_path', v_search_path, true);
end if;
{% endmacro %}
{% macro do_meanwhile() %}
{% if meanwhile %}
begin
    {{ meanwhile }}
exception when others then
    null;
end;
{% endif %}
{% endmacro %}
{% filter typed %}
create or replace function linked.on_{{ table }}_{{ event }}() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path text;
    v_lock_timeout text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources uuid[];
    v_from uuid[];
    v_to uuid[];
    v_sqlstate text;
    v_message text;
    v_context text;
{% if columns %}
    v_columns text[];
{% endif %}
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
{% if calls %}
{{ set_path() | indent(12, first=True) }}
{% endif %}
            select has_work or exists (select from linked.note),
                {{ (look if calls else look | qualified) or "exists (select from " ~ rows ~ ")" }}
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
{% if closer %}
            -- No row: sync is suspended.
            if v_is_due is not null and v_concerns_us is null then
                v_concerns_us := {{ closer | qualified }};
            end if;
{% endif %}
            if not (v_is_due or v_concerns_us) is true then
{% if calls %}
{{ restore_path() | indent(16, first=True) }}
{% endif %}
                return null;
            end if;
{% if not calls %}
{{ set_path() | indent(12, first=True) }}
{% endif %}
{% if columns %}
            if v_concerns_us then
                v_columns := {{ changed_columns("fresh", "stale", columns, key, concern) }};
                v_concerns_us := v_columns <> '{}';
            end if;
{% endif %}
            if v_concerns_us then
                v_sources := {{ sources }};
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
{{ restore_path() | indent(16, first=True) }}
                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and ({{ patient }});
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from {{ rows }} limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            {{- caller("fresh", "stale", "current_query()") }}
            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
{{ restore_path() | indent(12, first=True) }}
            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
{{ set_path() | indent(16, first=True) }}
                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + {{ patience }}
                then
                    perform pg_sleep(0.02);
{{ restore_path() | indent(20, first=True) }}
                    continue;
                end if;
{{ do_meanwhile() | indent(16, first=True) }}                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        '{{ table }} {{ event }}',
                        {{ "null" if event == "insert" else "(select jsonb_agg(to_jsonb(stale)) from stale)" }},
                        {{ "null" if event == "delete" else "(select jsonb_agg(to_jsonb(fresh)) from fresh)" }},
                        current_query(),
                        v_sources
                    );
{{ restore_path() | indent(20, first=True) }}
                    return null;
                exception when others then
                    exit;
                end;
            when others then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                exit;
        end;
    end loop;
{{ set_path() | indent(4, first=True) }}
{{ do_meanwhile() | indent(4, first=True) }}    begin
        perform linked.record_incident('{{ table }} {{ event }}', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in {{ table }} {{ event }}', v_message, v_sqlstate;
    end;
{{ restore_path() | indent(4, first=True) }}
    return null;
end
$linked$;
{% endfilter %}
comment on function linked.on_{{ table }}_{{ event }}() is '{{ what }}';
create or replace trigger linked_{{ table }}_{{ event }} after {{ event }} on public."{{ table }}"
{% if event == "insert" %}
referencing new table as fresh
{% elif event == "update" %}
referencing old table as stale new table as fresh
{% else %}
referencing old table as stale
{% endif %}
for each statement execute function linked.on_{{ table }}_{{ event }}();
comment on trigger linked_{{ table }}_{{ event }} on public."{{ table }}" is '{{ what }}';

{% set noted_fresh = "jsonb_populate_recordset(null::public.\"" ~ table ~ "\", p_fresh) as fresh" %}
{% set noted_stale = "jsonb_populate_recordset(null::public.\"" ~ table ~ "\", p_stale) as stale" %}
create or replace function linked.redo_{{ table }}_{{ event }}(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
{% if columns %}
    v_columns text[] := {{ changed_columns(noted_fresh, noted_stale, columns, key, concern) }};
{% endif %}
begin
    {{- caller(noted_fresh, noted_stale, "p_statement") }}
end
$linked$;
comment on function linked.redo_{{ table }}_{{ event }}(jsonb, jsonb, text) is
    'Does what was noted: {{ what[0] | lower }}{{ what[1:] }}';
{% endmacro %}
