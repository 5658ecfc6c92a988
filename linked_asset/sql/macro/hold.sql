{# Rows that sync is about to change or delete. It never waits for one that somebody else holds: they may wait for a row that
   Immich's statement wrote before us, and PostgreSQL would end one of the two. #}
{% macro hold(table, condition, strength="no key update") -%}
perform from public."{{ table }}" where {{ condition }} for {{ strength }} nowait;
{%- endmacro %}
