-- What the column defaults of Immich's tables call.

{% if 'uuid-ossp' not in extensions %}
create function public.uuid_generate_v4() returns uuid
  language sql volatile parallel safe
  as 'select gen_random_uuid()';

{% endif %}
-- Milliseconds in the first 48 bits, so that ids ascend with time; the rest is random.
create function public.immich_uuid_v7(p_timestamp timestamp with time zone default clock_timestamp()) returns uuid
  language sql volatile
  as $$
    select (lpad(to_hex(floor(extract(epoch from p_timestamp) * 1000)::bigint), 12, '0')
            || '7' || substr(random.hex, 14))::uuid
    from (select replace(gen_random_uuid()::text, '-', '') as hex) as random
  $$;

{% if storage == 'real[]' %}
-- Stands in for pgvector's cosine distance.
create function public.cosine_distance(a real[], b real[]) returns double precision
  language sql immutable parallel safe
  as $$
    select 1 - sum(x * y) / nullif(sqrt(sum(x * x)) * sqrt(sum(y * y)), 0)
    from (select x::double precision, y::double precision from unnest(a, b) as pair (x, y)) as pairs
  $$;

create operator public.<=> (leftarg = real[], rightarg = real[], function = public.cosine_distance, commutator = operator(public.<=>));

{% endif %}
