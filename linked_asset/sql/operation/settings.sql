-- What the role or the database may have set otherwise. Not every server knows each of them, nor may every role set each.
do $settings$
begin
    perform set_config(needed.name, needed.value, false)
    from (
        values
{% for name, value in settings.items() %}
            ('{{ name }}', '{{ value }}'){{ "" if loop.last else "," }}
{% endfor %}
    ) as needed (name, value)
    join pg_catalog.pg_settings on lower(pg_settings.name) = needed.name
    where pg_settings.setting <> needed.value;
end
$settings$;
