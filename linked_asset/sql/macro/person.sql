{# What differs between releases in which a person is a row with an id of its own and those in which it is one account's view
   of a person group, which other accounts can have views of. `personGroupId` is the person's id as Immich shows it, in both. #}

{# The person whom a face shows: of the account that has the picture, else of somebody who sees it in an ordinary album. #}
{% macro shown(face, owner, outer=false) -%}
{{ "left " if outer }}join {% if has("person_group") -%}
lateral (
            select known.* from public.person known
            where known.{{ person.personGroupId }} = {{ face }}.{{ asset_face.personGroupId }}
            order by known."ownerId" = {{ owner }} desc, known."ownerId"
            limit 1
        ) as person on true
{%- else -%}
public.person on person.{{ person.personGroupId }} = {{ face }}.{{ asset_face.personGroupId }}
{%- endif %}
{%- endmacro %}

{# The row of a person that is remembered. #}
{% macro is_person(row, pair) -%}
{{ row }}.{{ person.personGroupId }} = {{ pair }}.person_id and {{ row }}."ownerId" = {{ pair }}.owner_id
{%- endmacro %}

{# Of the faces of a person, or a group, those on the pictures of one account. #}
{% macro in_account(face, owner) -%}
{% if has("person_group") %}join public.asset on asset.id = {{ face }}."assetId" and asset."ownerId" = {{ owner }}{% endif %}
{%- endmacro %}
