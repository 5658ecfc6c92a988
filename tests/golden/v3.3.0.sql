-- What the addon remembers. Small, and nothing in it depends on Immich's tables: no foreign key, no view, no type or
-- default of schema public. Immich's migrations and its in-app restore (`drop schema public cascade`) pass it by.

comment on schema linked is
    'Linked assets: shared media as real assets in every account. An addon to Immich, installed and removed by Alembic.';

create table if not exists linked.installation (
    singleton boolean not null default true,
    immich_version text not null,
    package_version text not null,
    script_sha256 text not null,
    installed_at timestamptz not null default now(),
    suspended_at timestamptz,
    suspended_why text,
    has_work boolean not null default true,
    constraint linked_installation_pkey primary key (singleton),
    constraint linked_installation_one_row check (singleton),
    constraint linked_installation_suspended check ((suspended_at is null) = (suspended_why is null))
);
alter table linked.installation add column if not exists has_work boolean not null default true;
comment on table linked.installation is
    'One row: the Immich version that functions and triggers were rendered for, whether sync is suspended, and whether there is anything left to do but notes.';

create table if not exists linked.linked_album (
    album_id uuid not null,
    owner_id uuid not null,
    name text not null,
    is_live boolean not null,
    deletes_own boolean not null default false,
    constraint linked_linked_album_pkey primary key (album_id)
);
alter table linked.linked_album add column if not exists deletes_own boolean not null default false;
create index if not exists linked_linked_album_owner_id_idx on linked.linked_album (owner_id);
comment on table linked.linked_album is
    'The linked albums as last understood. Not live: Immich keeps the album soft-deleted; it keeps its clones and links nothing new. Deletes own: whoever deletes what is not their own hides it from themselves alone.';

create table if not exists linked.prefix (
    album_id uuid not null,
    path text not null,
    constraint linked_prefix_album_id_fkey foreign key (album_id)
    references linked.linked_album (album_id) on delete cascade,
    constraint linked_prefix_path check (path = '' or (path like '/%' and path not like '%/'))
);
-- A line of a description can be longer than what an index takes.
create unique index if not exists linked_prefix_album_id_path_key on linked.prefix (album_id, md5(path));
comment on table linked.prefix is
    'The prefixes of the linked albums, without the last slash. Empty: everything that the album''s owner has.';

create table if not exists linked.waiting (
    album_id uuid not null,
    path text,
    policy text
);
alter table linked.waiting add column if not exists policy text;
create index if not exists linked_waiting_album_id_idx on linked.waiting (album_id);
comment on table linked.waiting is
    'What somebody else than its owner may have written into an album, and counts only once the owner has approved it: a prefix, a policy, or (neither) the name that would make it a linked album.';

create table if not exists linked.participant (
    album_id uuid not null,
    user_id uuid not null,
    role text not null,
    constraint linked_participant_pkey primary key (album_id, user_id),
    constraint linked_participant_album_id_fkey foreign key (album_id)
    references linked.linked_album (album_id) on delete cascade,
    constraint linked_participant_role check (role in ('owner', 'editor', 'viewer'))
);
create index if not exists linked_participant_user_id_idx on linked.participant (user_id);
comment on table linked.participant is 'The family account and the linked users of each linked album.';

create table if not exists linked.member (
    asset_id uuid not null,
    source_id uuid not null,
    owner_id uuid not null,
    can_write boolean not null,
    deletes_own boolean not null default false,
    constraint linked_member_pkey primary key (asset_id),
    constraint linked_member_source_id_owner_id_key unique (source_id, owner_id),
    constraint linked_member_source_can_write check (asset_id <> source_id or can_write)
);
alter table linked.member add column if not exists deletes_own boolean not null default false;
create index if not exists linked_member_owner_id_idx on linked.member (owner_id);
create index if not exists linked_member_writer_idx on linked.member (owner_id) where can_write;
comment on table linked.member is
    'The rows of each link group. The source has asset_id = source_id; a clone that cannot write belongs to a viewer. Deletes own: the policy of every linked album that lets this account write.';

create table if not exists linked.face (
    face_id uuid not null,
    face_key uuid not null,
    asset_id uuid not null,
    left_open boolean not null default false,
    own boolean not null default false,
    constraint linked_face_pkey primary key (face_id),
    constraint linked_face_face_key_asset_id_key unique (face_key, asset_id)
);
create index if not exists linked_face_asset_id_idx on linked.face (asset_id);
comment on table linked.face is
    'The faces of members. Faces with the same key are counterparts: the same face on each member. Left open: its account deleted the person, or took it off a viewer''s clone; it is assigned again only when somebody assigns a counterpart. Own: on a viewer''s clone, a face on which the viewer put somebody; it does not follow the others.';

create table if not exists linked.stack_pair (
    stack_id uuid not null,
    stack_key uuid not null,
    owner_id uuid not null,
    constraint linked_stack_pair_pkey primary key (stack_id),
    constraint linked_stack_pair_stack_key_owner_id_key unique (stack_key, owner_id)
);
comment on table linked.stack_pair is 'Stacks with the same key are counterparts: the linked part of a stack in each account.';

create table if not exists linked.passing_stack (
    stack_id uuid not null,
    made_in text not null,
    constraint linked_passing_stack_pkey primary key (stack_id)
);
comment on table linked.passing_stack is
    'Stacks that viewers made of clones, and the transaction in which: until it is over they stand, because Immich reads them back.';

create table if not exists linked.made_tag (
    tag_id uuid not null,
    unused_in text,
    constraint linked_made_tag_pkey primary key (tag_id)
);
create index if not exists linked_made_tag_unused_in_idx on linked.made_tag (unused_in) where unused_in is not null;
comment on table linked.made_tag is
    'Tags that the addon created as counterparts, and the transaction in which the last use of one was taken off.';

create table if not exists linked.album_pair (
    album_id uuid not null,
    album_key uuid not null,
    owner_id uuid not null,
    constraint linked_album_pair_pkey primary key (album_id),
    constraint linked_album_pair_album_key_owner_id_key unique (album_key, owner_id)
);
comment on table linked.album_pair is
    'Albums with the same key are counterparts. The key is the album of the creator; the addon made the others.';

create table if not exists linked.album_refusal (
    album_key uuid not null,
    owner_id uuid not null,
    constraint linked_album_refusal_pkey primary key (album_key, owner_id)
);
comment on table linked.album_refusal is 'Accounts that deleted their counterpart of an album: it does not come back by itself.';

create table if not exists linked.brought (
    asset_id uuid not null,
    holder_id uuid not null,
    constraint linked_brought_pkey primary key (asset_id, holder_id)
);
comment on table linked.brought is
    'What sync did to clones of viewers: the tags it put on them, the albums it put them into. All else that is there the viewer did, and nobody else undoes.';

create table if not exists linked.person_pair (
    person_id uuid not null,
    person_key uuid not null,
    owner_id uuid not null,
    made boolean not null default false,
    details jsonb,
    pair_id uuid not null default gen_random_uuid(),
    constraint linked_person_pair_person_key_owner_id_key unique (person_key, owner_id)
);
alter table linked.person_pair
add column if not exists details jsonb,
add column if not exists pair_id uuid not null default gen_random_uuid(),
drop constraint if exists linked_person_pair_pkey;
create unique index if not exists linked_person_pair_pair_id_key on linked.person_pair (pair_id);
create unique index if not exists linked_person_pair_person_id_owner_id_key on linked.person_pair (person_id, owner_id);
comment on table linked.person_pair is
    'Persons with the same key are counterparts: the same person in each account. The id of a person alone need not tell whose it is: persons of several accounts can have the same. Made: the addon created the row of person. Details: what sync has last seen of it.';

create table if not exists linked.dismissal (
    source_id uuid not null,
    user_id uuid not null,
    constraint linked_dismissal_pkey primary key (source_id, user_id)
);
create index if not exists linked_dismissal_user_id_idx on linked.dismissal (user_id);
comment on table linked.dismissal is
    'Clones that an account trashed or deleted for itself alone: a viewer, or anybody where only that is allowed. They do not come back until the album is shared with the account anew.';

create table if not exists linked.replacement (
    source_id uuid not null,
    user_id uuid not null,
    begun_at timestamptz not null default clock_timestamp(),
    constraint linked_replacement_pkey primary key (source_id, user_id)
);
comment on table linked.replacement is
    'Clones whose file Immich has replaced, and whose old file it is about to enter as an asset: until then, or for a minute, none is made anew.';

create table if not exists linked.queue (
    source_id uuid not null,
    queued_at timestamptz not null default clock_timestamp(),
    thorough boolean not null default false,
    constraint linked_queue_pkey primary key (source_id)
);
create index if not exists linked_queue_queued_at_idx on linked.queue (queued_at);
comment on table linked.queue is
    'Assets whose linking is still to be done, worked off in slices. Thorough: groups that may have missed changes, to be repaired.';

create table if not exists linked.note (
    id bigint generated always as identity,
    place text not null,
    stale jsonb,
    fresh jsonb,
    statement text not null,
    sources uuid[],
    left_at timestamptz not null default clock_timestamp(),
    tries integer not null default 0,
    constraint linked_note_pkey primary key (id)
);
comment on table linked.note is
    'What statements of Immich''s changed (the rows before and after) while somebody else had the turn on these groups (null: on everything). The next writer works it off.';

create table if not exists linked.second_look (
    source_id uuid,
    album_id uuid,
    since xid8 not null default pg_snapshot_xmin(pg_current_snapshot()),
    made_in xid8 not null default pg_current_xact_id(),
    settled_after xid8,
    constraint linked_second_look_what check ((source_id is null) <> (album_id is null))
);
comment on table linked.second_look is
    'What was linked while others may have been writing to it who could not see that yet: it is looked at once more when all transactions before settled_after are over.';

create table if not exists linked.pace (
    singleton boolean not null default true,
    next_at timestamptz not null,
    constraint linked_pace_pkey primary key (singleton),
    constraint linked_pace_one_row check (singleton)
);
comment on table linked.pace is 'Before when statements that do not change what all groups share leave queued work to others.';

create table if not exists linked.produced (
    source_id uuid not null,
    kind text not null,
    path text not null,
    told_at timestamptz not null
);
create unique index if not exists linked_produced_source_id_kind_path_key on linked.produced (source_id, kind, md5(path));
create index if not exists linked_produced_told_at_idx on linked.produced (told_at);
comment on table linked.produced is
    'Files that Immich''s jobs have told of for groups in which more than one member''s jobs ran, for a day. Empty path: none any more.';

create table if not exists linked.unsettled (
    source_id uuid not null,
    what text not null,
    since timestamptz not null default clock_timestamp(),
    marked_at timestamptz,
    constraint linked_unsettled_pkey primary key (source_id, what),
    constraint linked_unsettled_what check (what in ('image', 'video'))
);
create index if not exists linked_unsettled_since_idx on linked.unsettled (since) where marked_at is null;
comment on table linked.unsettled is
    'Groups in which jobs overlapped such that a file may be missing. Marked: the source, alone, waits for Immich''s job for what is missing.';

create table if not exists linked.quota_credit (
    user_id uuid not null,
    bytes bigint not null,
    given_at timestamptz not null default clock_timestamp()
);
comment on table linked.quota_credit is
    'Bytes that Immich is about to take off a quota for a deleted clone that was never added to it.';

create table if not exists linked.incident (
    id bigint generated always as identity,
    happened_at timestamptz not null default clock_timestamp(),
    place text not null,
    sqlstate text not null,
    message text not null,
    context text not null,
    resolved_at timestamptz,
    last_at timestamptz not null default clock_timestamp(),
    times bigint not null default 1,
    constraint linked_incident_pkey primary key (id)
);
alter table linked.incident
add column if not exists last_at timestamptz not null default clock_timestamp(),
add column if not exists times bigint not null default 1;
create index if not exists linked_incident_open_idx on linked.incident (place, sqlstate) where resolved_at is null;
comment on table linked.incident is
    'Where the addon could not do its part of statements of Immich''s, how often, first (happened_at) and last. The statements went through; `linked-asset reconcile` repairs, and notes when.';

-- Never break Immich, never in the way: whose turn it is, what is noted for later, and what happens when our part fails.

-- The work of one statement is done by one session at a time: for what concerns single groups by locks of their own (and a
-- shared one on all), for pairings, membership and the rest by an exclusive one. It is wanted after Immich's statement has
-- written its rows, and held until its transaction is over. Whoever has the turn may want a row that somebody holds who waits
-- for a turn: so nobody waits long, and what could not be done is noted. It is asked for again and again, never waited for in
-- PostgreSQL's queue: there such a circle would be a deadlock, and could end a statement of Immich's. Without a queue, whoever
-- wants the exclusive lock closes the door meanwhile: those who want a shared one look first whether it is open. A statement
-- whose rows hang together with those of many tables calls us for each of them: once it has waited in vain it does not do so again.
create or replace function linked.wait_for_turn(p_sources uuid[], p_patient boolean) returns void
language plpgsql
as $linked$
declare
    v_turns integer[];
    v_next integer := 1;
    v_is_door_closed boolean := false;
    v_shares_all boolean := false;
    v_until timestamptz;
begin
    if p_sources is not null then
        v_turns := array(select distinct linked.turn(id) from unnest(p_sources) as id order by 1);
    end if;
    loop
        if p_sources is null then
            if pg_try_advisory_xact_lock(1818848875, 0) then
                return;
            end if;
            v_is_door_closed := v_is_door_closed or pg_try_advisory_xact_lock(1818848875, 2);
        else
            v_shares_all := v_shares_all
                or pg_try_advisory_lock_shared(1818848875, 2)
                and pg_advisory_unlock_shared(1818848875, 2)
                and pg_try_advisory_xact_lock_shared(1818848875, 0);
            while v_shares_all and pg_try_advisory_xact_lock(1818848876, v_turns[v_next]) loop
                if v_next = cardinality(v_turns) then
                    return;
                end if;
                v_next := v_next + 1;
            end loop;
        end if;
        v_until := coalesce(v_until, case
            when p_patient then statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
            when current_setting('linked.gave_up', true) = extract(epoch from statement_timestamp())::text then '-infinity'
            else clock_timestamp() + interval '100 milliseconds'
        end);
        if clock_timestamp() >= v_until then
            raise lock_not_available using message = 'somebody else has the turn';
        end if;
        perform pg_sleep(0.001);
    end loop;
end
$linked$;
comment on function linked.wait_for_turn(uuid[], boolean) is
    'Waits for the turn on these groups, or on everything (null): 100 ms or, patiently, three seconds since the statement began (less where statement_timeout is short). Raises lock_not_available.';

-- The mark is the transaction's own id, which no other transaction ever has: left on in a pooled session, or set for a
-- role or a database, it marks nothing.
create or replace function linked.take_turn(p_sources uuid[], p_patient boolean) returns void
language plpgsql
as $linked$
begin
    perform linked.wait_for_turn(p_sources, p_patient);
    perform set_config('lock_timeout', '1ms', true);
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
    perform set_config('plan_cache_mode', 'force_generic_plan', true);
end
$linked$;
comment on function linked.take_turn(uuid[], boolean) is
    'Waits for the turn, marks what follows in this transaction as the addon''s own writing, and has it not wait for rows that others hold.';

create or replace function linked.turn(p_source uuid) returns integer
language sql immutable
as $linked$
    select uuid_hash(p_source) & 255
$linked$;
comment on function linked.turn(uuid) is 'Which of the locks on groups is that of this source.';

create or replace function linked.start_writing() returns void
language plpgsql
as $linked$
begin
    perform pg_advisory_xact_lock(1818848875, 0);
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
end
$linked$;
comment on function linked.start_writing() is
    'For commands: waits for the turn on everything and marks what follows in this transaction as the addon''s own writing.';

create or replace function linked.stop_writing() returns void
language plpgsql
as $linked$
begin
    perform set_config('linked.writing', '', true);
    perform set_config('plan_cache_mode', 'auto', true);
end
$linked$;
comment on function linked.stop_writing() is 'Ends what linked.take_turn() or linked.start_writing() began.';

-- PL/pgSQL keeps plans, and a plan made for arrays of a few rows joins them with nested loops: quadratic for thousands, in the
-- pooled connections that Immich uses. A statement of many rows pays for plans of its own; one of few has kept ones from the
-- start (linked.take_turn()), since PostgreSQL thinks a plan for an array of one element so much better that it makes a new one
-- each time, which is two fifths of what an upload costs. A plan that was made when a table was empty goes when autovacuum has
-- analysed it.
create or replace function linked.plan_for(p_rows bigint) returns void
language plpgsql
as $linked$
begin
    if p_rows >= 50 then
        perform set_config('plan_cache_mode', 'force_custom_plan', true);
    end if;
end
$linked$;
comment on function linked.plan_for(bigint) is
    'Has everything that follows planned for its own arrays where a statement has many rows. Until linked.stop_writing().';

-- The setting holds for whatever runs meanwhile: with it PostgreSQL also plans anew, for every single row, what foreign keys
-- check or delete, and (from PostgreSQL 18 on) what a default written in SQL computes. A statement that inserts or deletes
-- much has these keep their plans once it is planned itself.
create or replace function linked.keep_plans() returns boolean
language plpgsql
as $linked$
begin
    if current_setting('plan_cache_mode') = 'force_custom_plan' then
        perform set_config('plan_cache_mode', 'auto', true);
        perform set_config('linked.plans', 'anew', true);
    end if;
    return true;
end
$linked$;
comment on function linked.keep_plans() is
    'Has plans kept until linked.plan_anew(), whatever linked.plan_for() said. Always true: a condition of the statement for whose rows it is meant.';

create or replace function linked.plan_anew() returns void
language plpgsql
as $linked$
begin
    if current_setting('linked.plans', true) = 'anew' then
        perform set_config('plan_cache_mode', 'force_custom_plan', true);
        perform set_config('linked.plans', '', true);
    end if;
end
$linked$;
comment on function linked.plan_anew() is 'Ends what linked.keep_plans() began.';

-- How much of p_budget a statement may still use: well below a timeout that the role or the database has set, so that
-- what is too much for one statement is queued instead of cancelled.
create or replace function linked.time_left(p_budget interval) returns interval
language sql volatile
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
    select least(
        p_budget,
        nullif(current_setting('statement_timeout'), '0')::interval * 0.4 - (clock_timestamp() - statement_timestamp())
    )
$linked$;
comment on function linked.time_left(interval) is
    'What is left of a budget of time, or of four tenths of statement_timeout where that is less. Below zero: nothing.';

create or replace function linked.differences() returns setof text
language sql stable
set search_path = pg_catalog, public, vectors, pg_temp
set quote_all_identifiers = off
as $linked$
    select line from (
        with expected_table as (
            select e.key as table_name, e.value as shape, c.oid as relation
            from jsonb_each('{
        "asset": {"columns": {"id": ["uuid", false], "ownerId": ["uuid", false], "type": ["character varying", false], "originalPath": ["character varying", false], "fileCreatedAt": ["timestamp with time zone", false], "fileModifiedAt": ["timestamp with time zone", false], "isFavorite": ["boolean", false], "duration": ["integer", true], "checksum": ["bytea", false], "livePhotoVideoId": ["uuid", true], "updatedAt": ["timestamp with time zone", false], "createdAt": ["timestamp with time zone", false], "originalFileName": ["character varying", false], "thumbhash": ["bytea", true], "isOffline": ["boolean", false], "libraryId": ["uuid", true], "isExternal": ["boolean", false], "deletedAt": ["timestamp with time zone", true], "localDateTime": ["timestamp with time zone", false], "stackId": ["uuid", true], "duplicateId": ["uuid", true], "status": ["assets_status_enum", false], "updateId": ["uuid", false], "visibility": ["asset_visibility_enum", false], "width": ["integer", true], "height": ["integer", true], "isEdited": ["boolean", false], "checksumAlgorithm": ["asset_checksum_algorithm_enum", false]}, "keys": [[["id"], false], [["ownerId", "checksum"], true], [["ownerId", "libraryId", "checksum"], true]], "inserted": true, "elsewhere": ["deviceAssetId", "deviceId", "encodedVideoPath", "sidecarPath"], "copied": true},
        "asset_exif": {"columns": {"assetId": ["uuid", false], "make": ["character varying", true], "model": ["character varying", true], "exifImageWidth": ["integer", true], "exifImageHeight": ["integer", true], "fileSizeInByte": ["bigint", true], "orientation": ["character varying", true], "dateTimeOriginal": ["timestamp with time zone", true], "modifyDate": ["timestamp with time zone", true], "lensModel": ["character varying", true], "fNumber": ["double precision", true], "focalLength": ["double precision", true], "iso": ["integer", true], "latitude": ["double precision", true], "longitude": ["double precision", true], "city": ["character varying", true], "state": ["character varying", true], "country": ["character varying", true], "description": ["text", false], "fps": ["double precision", true], "exposureTime": ["character varying", true], "livePhotoCID": ["character varying", true], "timeZone": ["character varying", true], "projectionType": ["character varying", true], "profileDescription": ["character varying", true], "colorspace": ["character varying", true], "bitsPerSample": ["integer", true], "autoStackId": ["character varying", true], "rating": ["integer", true], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false], "lockedProperties": ["character varying[]", true], "tags": ["character varying[]", true]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_file": {"columns": {"id": ["uuid", false], "assetId": ["uuid", false], "createdAt": ["timestamp with time zone", false], "updatedAt": ["timestamp with time zone", false], "type": ["character varying", false], "path": ["character varying", false], "updateId": ["uuid", false], "isEdited": ["boolean", false], "isProgressive": ["boolean", false], "isTransparent": ["boolean", false]}, "keys": [[["id"], false], [["assetId", "type", "isEdited"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_job_status": {"columns": {"assetId": ["uuid", false], "facesRecognizedAt": ["timestamp with time zone", true], "metadataExtractedAt": ["timestamp with time zone", true], "duplicatesDetectedAt": ["timestamp with time zone", true], "ocrAt": ["timestamp with time zone", true]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": ["previewAt", "thumbnailAt"], "copied": true},
        "smart_search": {"columns": {"assetId": ["uuid", false], "embedding": [null, false]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_video": {"columns": {"assetId": ["uuid", false], "bitrate": ["integer", false], "frameCount": ["integer", false], "timeBase": ["integer", false], "index": ["smallint", false], "profile": ["smallint", true], "level": ["smallint", true], "colorPrimaries": ["smallint", false], "colorTransfer": ["smallint", false], "colorMatrix": ["smallint", false], "dvProfile": ["smallint", true], "dvLevel": ["smallint", true], "dvBlSignalCompatibilityId": ["smallint", true], "codecName": ["text", false], "formatName": ["text", false], "formatLongName": ["text", false], "pixelFormat": ["text", false]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_audio": {"columns": {"assetId": ["uuid", false], "bitrate": ["integer", false], "index": ["smallint", false], "profile": ["smallint", true], "codecName": ["text", false]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_keyframe": {"columns": {"assetId": ["uuid", false], "pts": ["integer[]", false], "accDuration": ["integer[]", false], "ownDuration": ["integer[]", false], "totalDuration": ["integer", false], "packetCount": ["integer", false], "outputFrames": ["integer", false]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_edit": {"columns": {"id": ["uuid", false], "assetId": ["uuid", false], "action": ["character varying", false], "parameters": ["jsonb", false], "sequence": ["integer", false], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false]}, "keys": [[["id"], false], [["assetId", "sequence"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_ocr": {"columns": {"id": ["uuid", false], "assetId": ["uuid", false], "x1": ["real", false], "y1": ["real", false], "x2": ["real", false], "y2": ["real", false], "x3": ["real", false], "y3": ["real", false], "x4": ["real", false], "y4": ["real", false], "boxScore": ["real", false], "textScore": ["real", false], "text": ["text", false], "isVisible": ["boolean", false], "updateId": ["uuid", false], "updatedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "ocr_search": {"columns": {"assetId": ["uuid", false], "text": ["text", false]}, "keys": [[["assetId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "asset_face": {"columns": {"assetId": ["uuid", false], "personGroupId": ["uuid", true], "imageWidth": ["integer", false], "imageHeight": ["integer", false], "boundingBoxX1": ["integer", false], "boundingBoxY1": ["integer", false], "boundingBoxX2": ["integer", false], "boundingBoxY2": ["integer", false], "id": ["uuid", false], "sourceType": ["sourcetype", false], "deletedAt": ["timestamp with time zone", true], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false], "isVisible": ["boolean", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": ["personId"], "copied": true},
        "face_search": {"columns": {"faceId": ["uuid", false], "embedding": [null, false]}, "keys": [[["faceId"], false]], "inserted": true, "elsewhere": [], "copied": true},
        "person_group": {"columns": {"id": ["uuid", false], "clusterGroupId": ["uuid", false], "createdAt": ["timestamp with time zone", false], "createId": ["uuid", false], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "person": {"columns": {"createdAt": ["timestamp with time zone", false], "updatedAt": ["timestamp with time zone", false], "ownerId": ["uuid", false], "name": ["character varying", false], "thumbnailPath": ["character varying", false], "isHidden": ["boolean", false], "birthDate": ["date", true], "faceAssetId": ["uuid", true], "isFavorite": ["boolean", false], "color": ["character varying", true], "updateId": ["uuid", false], "personGroupId": ["uuid", false]}, "keys": [[["ownerId", "personGroupId"], false]], "inserted": true, "elsewhere": ["id"], "copied": false},
        "person_user": {"columns": {"personGroupId": ["uuid", false], "sharedById": ["uuid", false], "sharedWithId": ["uuid", false]}, "keys": [[["personGroupId", "sharedById", "sharedWithId"], false]], "inserted": false, "elsewhere": [], "copied": false},
        "tag": {"columns": {"id": ["uuid", false], "userId": ["uuid", false], "value": ["character varying", false], "createdAt": ["timestamp with time zone", false], "updatedAt": ["timestamp with time zone", false], "color": ["character varying", true], "parentId": ["uuid", true], "updateId": ["uuid", false]}, "keys": [[["id"], false], [["userId", "value"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "tag_asset": {"columns": {"assetId": ["uuid", false], "tagId": ["uuid", false]}, "keys": [[["assetId", "tagId"], false]], "inserted": true, "elsewhere": ["assetsId", "tagsId"], "copied": false},
        "tag_closure": {"columns": {"id_ancestor": ["uuid", false], "id_descendant": ["uuid", false]}, "keys": [[["id_ancestor", "id_descendant"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "stack": {"columns": {"id": ["uuid", false], "primaryAssetId": ["uuid", false], "ownerId": ["uuid", false], "createdAt": ["timestamp with time zone", false], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false]}, "keys": [[["id"], false], [["primaryAssetId"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "album": {"columns": {"id": ["uuid", false], "albumName": ["character varying", false], "createdAt": ["timestamp with time zone", false], "albumThumbnailAssetId": ["uuid", true], "updatedAt": ["timestamp with time zone", false], "description": ["text", true], "deletedAt": ["timestamp with time zone", true], "isActivityEnabled": ["boolean", false], "order": ["character varying", false], "updateId": ["uuid", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": ["ownerId"], "copied": false},
        "album_user": {"columns": {"albumId": ["uuid", false], "userId": ["uuid", false], "role": ["album_user_role_enum", false], "updateId": ["uuid", false], "updatedAt": ["timestamp with time zone", false], "createId": ["uuid", false], "createdAt": ["timestamp with time zone", false]}, "keys": [[["albumId", "userId"], false], [["albumId"], true]], "inserted": true, "elsewhere": ["albumsId", "usersId"], "copied": false},
        "album_asset": {"columns": {"albumId": ["uuid", false], "assetId": ["uuid", false], "createdAt": ["timestamp with time zone", false], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false]}, "keys": [[["albumId", "assetId"], false]], "inserted": true, "elsewhere": ["albumsId", "assetsId"], "copied": false},
        "user": {"columns": {"id": ["uuid", false], "deletedAt": ["timestamp with time zone", true], "quotaUsageInBytes": ["bigint", false], "clusterGroupId": ["uuid", false]}, "keys": [[["id"], false]], "inserted": false, "elsewhere": [], "copied": false},
        "memory_asset": {"columns": {"memoriesId": ["uuid", false], "assetId": ["uuid", false], "createdAt": ["timestamp with time zone", false], "updatedAt": ["timestamp with time zone", false], "updateId": ["uuid", false]}, "keys": [[["memoriesId", "assetId"], false]], "inserted": true, "elsewhere": ["assetsId"], "copied": false},
        "move_history": {"columns": {"id": ["uuid", false], "entityId": ["uuid", false]}, "keys": [[["id"], false]], "inserted": false, "elsewhere": [], "copied": false},
        "system_metadata": {"columns": {"key": ["character varying", false], "value": ["jsonb", false]}, "keys": [[["key"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "asset_audit": {"columns": {"id": ["uuid", false], "assetId": ["uuid", false], "ownerId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "asset_face_audit": {"columns": {"id": ["uuid", false], "assetFaceId": ["uuid", false], "assetId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "asset_edit_audit": {"columns": {"id": ["uuid", false], "editId": ["uuid", false], "assetId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "asset_ocr_audit": {"columns": {"id": ["uuid", false], "assetId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "person_audit": {"columns": {"id": ["uuid", false], "personGroupId": ["uuid", false], "ownerId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": ["personId"], "copied": false},
        "person_group_audit": {"columns": {"id": ["uuid", false], "personGroupId": ["uuid", false], "clusterGroupId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "stack_audit": {"columns": {"id": ["uuid", false], "stackId": ["uuid", false], "userId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "album_audit": {"columns": {"id": ["uuid", false], "albumId": ["uuid", false], "userId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "album_user_audit": {"columns": {"id": ["uuid", false], "albumId": ["uuid", false], "userId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "album_asset_audit": {"columns": {"id": ["uuid", false], "albumId": ["uuid", false], "assetId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false},
        "memory_asset_audit": {"columns": {"id": ["uuid", false], "memoryId": ["uuid", false], "assetId": ["uuid", false], "deletedAt": ["timestamp with time zone", false]}, "keys": [[["id"], false]], "inserted": true, "elsewhere": [], "copied": false}
        }'::jsonb) as e
            left join pg_catalog.pg_class as c
                on c.relname = e.key
                and c.relnamespace = (select n.oid from pg_catalog.pg_namespace as n where n.nspname = 'public')
                and c.relkind in ('r', 'p')
        ),
        expected_column as (
            select t.table_name, t.relation, e.key as column_name, e.value ->> 0 as type_name, (e.value ->> 1)::boolean as nullable
            from expected_table as t
            cross join lateral jsonb_each(t.shape -> 'columns') as e
            where t.relation is not null
        ),
        live_column as (
            select
                t.table_name,
                (t.shape ->> 'inserted')::boolean as inserted,
                (t.shape ->> 'copied')::boolean as copied,
                t.shape -> 'elsewhere' as elsewhere,
                a.attname::text as column_name,
                case when y.typtype = 'e' then y.typname::text else pg_catalog.format_type(a.atttypid, null) end as type_name,
                not a.attnotnull as nullable,
                not (a.atthasdef or a.attidentity <> '' or a.attgenerated <> '') as without_default
            from expected_table as t
            join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
            join pg_catalog.pg_type as y on y.oid = a.atttypid
        ),
        expected_key as (
            select
                t.table_name,
                t.relation,
                (select array_agg(k.name order by k.name collate "C") from jsonb_array_elements_text(e.value -> 0) as k (name)) as columns,
                (e.value ->> 1)::boolean as partial
            from expected_table as t
            cross join lateral jsonb_array_elements(t.shape -> 'keys') as e
            where t.relation is not null
        ),
        live_key as (
            select
                t.table_name,
                array_agg(a.attname::text order by a.attname::text collate "C") as columns,
                i.indpred is not null as partial
            from expected_table as t
            join pg_catalog.pg_index as i on i.indrelid = t.relation and i.indisunique and i.indisvalid and i.indexprs is null
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0 : i.indnkeyatts - 1])
            group by t.table_name, i.indexrelid, i.indpred is not null
        ),
        difference as (
            select 'missing_table' as kind, table_name, null as column_name, null::text as wanted, null::text as live
            from expected_table
            where relation is null
            union all
            select 'missing_column', table_name, column_name, type_name, null
            from expected_column
            where (table_name, column_name) not in (select l.table_name, l.column_name from live_column as l)
            union all
            select 'other_type', table_name, column_name, w.type_name, l.type_name
            from expected_column as w
            join live_column as l using (table_name, column_name)
            where w.type_name <> l.type_name
            union all
            select
                'other_nullability',
                table_name,
                column_name,
                case when w.nullable then 'null allowed' else 'not null' end,
                case when l.nullable then 'null allowed' else 'not null' end
            from expected_column as w
            join live_column as l using (table_name, column_name)
            where w.nullable <> l.nullable
            union all
            select 'required_column', table_name, column_name, null, type_name
            from live_column
            where
                inserted
                and not nullable
                and without_default
                and (table_name, column_name) not in (select w.table_name, w.column_name from expected_column as w)
            union all
            select case when elsewhere ? column_name then 'unknown_column' else 'new_column' end, table_name, column_name, null, type_name
            from live_column
            where
                copied
                and (nullable or not without_default)
                and (table_name, column_name) not in (select w.table_name, w.column_name from expected_column as w)
            union all
            select 'missing_key', table_name, null, array_to_string(columns, ', ') || case when partial then ' (partial)' else '' end, null
            from expected_key
            where (table_name, columns, partial) not in (select l.table_name, l.columns, l.partial from live_key as l)
        )
        select
            kind,
            table_name,
            column_name,
            wanted,
            live,
            case kind
                when 'missing_table' then format('table %s is missing', table_name)
                when 'missing_column' then format('%s.%s is missing', table_name, column_name)
                when 'other_type' then format('%s.%s is %s instead of %s', table_name, column_name, live, wanted)
                when 'other_nullability' then format('%s.%s is %s instead of %s', table_name, column_name, live, wanted)
                when 'required_column' then format('%s.%s (%s, not null, no default) is unknown', table_name, column_name, live)
                when 'unknown_column' then format('%s.%s (%s) is unknown and would not be kept in sync', table_name, column_name, live)
                when 'new_column' then format('%s.%s (%s) is new to us: clones get its default, and it is not kept in sync', table_name, column_name, live)
                when 'missing_key' then format('%s has no unique key on %s', table_name, wanted)
            end as line
        from difference
        order by table_name, kind, column_name, wanted
    ) as difference
    where kind <> 'new_column'
$linked$;
comment on function linked.differences() is
    'How Immich''s tables differ from those that the functions were rendered for. Empty when they fit.';

-- One standing fault fails in statement after statement: it is one incident, counted. A row that another transaction
-- holds is not waited for; the same fault then has two.
create or replace function linked.record_incident(p_place text, p_sqlstate text, p_message text, p_context text)
returns void
language plpgsql
as $linked$
declare
    v_differences text;
begin
    -- Triggers look at rows before they know whether sync is suspended.
    if p_sqlstate like '42%' and exists (select from linked.installation where suspended_at is not null) then
        return;
    end if;
    update linked.incident
    set times = times + 1, last_at = clock_timestamp(), context = p_context
    where id = (
        select id from linked.incident
        where resolved_at is null and place = p_place and sqlstate = p_sqlstate and message = p_message
        order by id
        limit 1
        for update skip locked
    );
    if not found then
        insert into linked.incident (place, sqlstate, message, context)
        values (p_place, p_sqlstate, p_message, p_context);
    end if;
    perform pg_notify('linked', 'incident');
    -- These errors come up when Immich was upgraded under us, and as well in a trigger of somebody else's.
    if p_sqlstate like '42%' or p_sqlstate = '23502' then
        v_differences := array_to_string(array(select linked.differences()), '; ');
        if v_differences <> '' then
            update linked.installation
            set suspended_at = clock_timestamp(), suspended_why = v_differences
            where suspended_at is null;
        end if;
    end if;
exception when others then
    raise log 'linked assets: % (%) in %; the incident could not be recorded: %', p_message, p_sqlstate, p_place, sqlerrm;
end
$linked$;
comment on function linked.record_incident(text, text, text, text) is
    'Remembers that the addon could not do its part, and suspends sync when Immich''s tables no longer fit. Never raises.';

-- What linked albums are, as their owners wrote them, and what they cover for whom.


create or replace function linked.is_linked_album(p_name text) returns boolean
language sql immutable
as $linked$
    select lower(btrim(p_name, E' \t\r\n')) like 'linked album%'
$linked$;
comment on function linked.is_linked_album(text) is
    'An album is linked when its name starts with `linked album`, in any case, surrounding blanks ignored.';

-- A line of slashes and blanks is somebody's drawing: only exactly one slash means everything.
create or replace function linked.prefixes(p_description text) returns setof text
language sql immutable
as $linked$
    select distinct rtrim(line, E' \t\r/')
    from regexp_split_to_table(p_description, E'\n') as line
    where line like '/%'
        and (rtrim(line, E' \t\r/') <> '' or rtrim(line, E' \t\r') = '/')
$linked$;
comment on function linked.prefixes(text) is
    'The prefixes in an album''s description: its lines that start with a slash, without trailing blanks and slashes.';

-- Where lines contradict each other, the one by which no picture is lost.
create or replace function linked.deletes_own(p_description text) returns boolean
language sql immutable
as $linked$
    select exists (
        select from regexp_split_to_table(p_description, E'\n') as line
        where line ~* '^\s*deletes\s*:\s*own\s*$'
    )
$linked$;
comment on function linked.deletes_own(text) is
    'Whether a line of an album''s description says `deletes: own`, in any case, blanks ignored.';

-- In some releases an editor can take an album from its owner, who for a moment is none. The last one counts meanwhile.
create or replace function linked.standing_albums(p_albums uuid[])
returns table (album_id uuid, owner_id uuid, name text, is_live boolean)
language sql stable
as $linked$
    select album.id, coalesce(owner.id, known.owner_id), album."albumName", album."deletedAt" is null and owner.id is not null
    from public.album
    cross join lateral (select (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner') as id) as owner
    left join linked.linked_album known on known.album_id = album.id
    where album.id = any (p_albums) and linked.is_linked_album(album."albumName")
        and (owner.id is not null or known.album_id is not null)
$linked$;
comment on function linked.standing_albums(uuid[]) is
    'Those of these albums that are linked. Not live: Immich keeps the album soft-deleted, or it has no owner.';

-- Immich asks whether somebody may write before it writes: an editor may have left, or become a viewer, between the two.
create or replace function linked.written_by_owners(p_albums uuid[], p_since timestamptz) returns uuid[]
language sql stable
as $linked$
    select array(
        select given.id
        from unnest(p_albums) as given (id)
        where not exists (
                select from public.album_user
                where album_user."albumId" = given.id
                    and (
                        album_user.role::text = 'editor'
                        or (album_user.role::text = 'viewer' and album_user."updatedAt" > greatest(album_user."createdAt", p_since))
                    )
            )
            and not exists (
                select from public.album_user_audit
                where album_user_audit."albumId" = given.id and album_user_audit."deletedAt" > p_since
            )
    )
$linked$;
comment on function linked.written_by_owners(uuid[], timestamptz) is
    'Those of these albums into which nobody but their owner can have written since then, as far as Immich remembers who took part.';

-- Nobody watched what was written while sync was off, or in an album that was none of ours: where an editor may have had a hand in
-- it, or sync itself brought it from another account, the owner is asked. So it is where something waits already: that it does must
-- not be forgotten when the editor leaves. What stands at the first installation counts (linked.take_over).
create or replace function linked.trusted(p_albums uuid[]) returns uuid[]
language sql stable
as $linked$
    select case
        when current_setting('linked.takes_over', true) = pg_current_xact_id_if_assigned()::text then p_albums
        else array(
            select id from unnest(linked.written_by_owners(p_albums, '-infinity')) as id
            where not exists (
                    select from linked.participant where participant.album_id = id and participant.role = 'editor'
                )
                and not exists (select from linked.waiting where waiting.album_id = id)
                and not exists (select from linked.album_pair where album_pair.album_id = id)
        )
    end
$linked$;
comment on function linked.trusted(uuid[]) is
    'Those of these albums of which all counts that is written in them, although it is not known when and by whom.';

create or replace function linked.take_over() returns void
language plpgsql
as $linked$
begin
    perform set_config('linked.takes_over', pg_current_xact_id()::text, true);
end
$linked$;
comment on function linked.take_over() is
    'Lets all count that stands in albums, for the rest of the transaction.';

-- A name that makes an album linked counts in p_names alone, a prefix, and the end of `deletes: own`, in p_lines; elsewhere they
-- wait. A prefix below one that counts links no more than that.
-- Returns how membership changes by it: not at all (null), or that somebody gains by it, or may lose by it ('more', 'less').
create or replace function linked.understand(p_albums uuid[], p_names uuid[], p_lines uuid[]) returns text
language plpgsql
as $linked$
declare
    v_counting uuid[];
    v_own uuid[];
    v_more bigint := 0;
    v_less bigint := 0;
    v_count bigint;
begin
    v_counting := array(
        select standing.album_id
        from linked.standing_albums(p_albums) as standing
        where standing.album_id = any (p_names)
            or exists (select from linked.linked_album known where known.album_id = standing.album_id)
    );
    delete from linked.linked_album
    where album_id = any (p_albums) and album_id <> all (v_counting);
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;

    -- Whoever owns the album now has not written what stands in it.
    delete from linked.prefix
    using linked.linked_album known, linked.standing_albums(v_counting) as standing
    where known.album_id = prefix.album_id and standing.album_id = known.album_id
        and standing.owner_id <> known.owner_id and known.album_id <> all (p_lines);

    v_own := array(
        select album.id
        from public.album
        left join linked.linked_album known on known.album_id = album.id
        where album.id = any (v_counting)
            and (linked.deletes_own(album.description) or known.deletes_own and known.album_id <> all (p_lines))
    );
    select
        count(*) filter (
            where known.album_id is null or standing.is_live > known.is_live
                or known.deletes_own and standing.album_id <> all (v_own)
        ),
        count(*) filter (
            where known.owner_id <> standing.owner_id or not known.deletes_own and standing.album_id = any (v_own)
        )
    into v_more, v_count
    from linked.standing_albums(v_counting) as standing
    left join linked.linked_album known on known.album_id = standing.album_id;
    v_less := v_less + v_count;

    insert into linked.linked_album as known (album_id, owner_id, name, is_live, deletes_own)
    select album_id, owner_id, name, is_live, album_id = any (v_own) from linked.standing_albums(v_counting)
    on conflict (album_id) do update
    set owner_id = excluded.owner_id, name = excluded.name, is_live = excluded.is_live, deletes_own = excluded.deletes_own
    where (known.owner_id, known.name, known.is_live, known.deletes_own)
        is distinct from (excluded.owner_id, excluded.name, excluded.is_live, excluded.deletes_own);

    insert into linked.prefix (album_id, path)
    select album.id, line.path
    from public.album
    cross join linked.prefixes(album.description) as line (path)
    where album.id = any (v_counting)
        and (
            album.id = any (p_lines)
            or exists (
                select from linked.prefix wider
                where wider.album_id = album.id and (wider.path = '' or starts_with(line.path, wider.path || '/'))
            )
        )
    on conflict do nothing;
    get diagnostics v_count = row_count;
    v_more := v_more + v_count;

    -- Below one that waits, what counted until now goes on to count.
    delete from linked.prefix
    where album_id = any (p_albums)
        and not exists (
            select from public.album, linked.prefixes(album.description) as line (path)
            where album.id = prefix.album_id
                and (
                    line.path = prefix.path
                    or (
                        (line.path = '' or starts_with(prefix.path, line.path || '/'))
                        and not exists (
                            select from linked.prefix wider
                            where wider.album_id = album.id and wider.path = line.path
                        )
                    )
                )
        );
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;

    delete from linked.waiting where album_id = any (p_albums);
    insert into linked.waiting (album_id, path, policy)
    select standing.album_id, null, null
    from linked.standing_albums(p_albums) as standing
    where standing.album_id <> all (v_counting)
    union all
    select album.id, line.path, null
    from public.album
    cross join linked.prefixes(album.description) as line (path)
    where album.id = any (v_counting)
        and not exists (select from linked.prefix where prefix.album_id = album.id and prefix.path = line.path)
    union all
    select album.id, null, 'deletes: all'
    from public.album
    where album.id = any (v_own) and not linked.deletes_own(album.description);

    delete from linked.participant
    where album_id = any (p_albums)
        and not exists (
            select from linked.album_participants(p_albums) as live
            where live.album_id = participant.album_id and live.user_id = participant.user_id
        );
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;

    with joined as (
        insert into linked.participant as known (album_id, user_id, role)
        select live.album_id, live.user_id, live.role
        from linked.album_participants(p_albums) as live
        on conflict (album_id, user_id) do nothing
        returning known.album_id
    )
    select v_more + count(*) into v_more from joined;

    update linked.participant
    set role = live.role
    from linked.album_participants(p_albums) as live
    where participant.album_id = live.album_id and participant.user_id = live.user_id and participant.role <> live.role;
    get diagnostics v_count = row_count;
    v_less := v_less + v_count;
    return case when v_less > 0 then 'less' when v_more > 0 then 'more' end;
end
$linked$;
comment on function linked.understand(uuid[], uuid[], uuid[]) is
    'Brings what is remembered of these albums (linked or not, prefixes, policy, participants) up to what Immich has.';

create or replace function linked.album_participants(p_albums uuid[])
returns table (album_id uuid, user_id uuid, role text)
language sql stable
as $linked$
    select linked_album.album_id, linked_album.owner_id, 'owner'
    from linked.linked_album
    where linked_album.album_id = any (p_albums)
    union
    select linked_album.album_id, album_user."userId", album_user.role::text
    from linked.linked_album
    join public.album_user on album_user."albumId" = linked_album.album_id
    where linked_album.album_id = any (p_albums) and album_user."userId" <> linked_album.owner_id
$linked$;
comment on function linked.album_participants(uuid[]) is 'The owner of each of these linked albums and the users it is shared with.';

create or replace function linked.assets_of_albums(p_albums uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select asset.id
        from linked.linked_album
        join linked.prefix on prefix.album_id = linked_album.album_id
        join public.asset on asset."ownerId" = linked_album.owner_id
        where linked_album.album_id = any (p_albums)
            and (prefix.path = '' or starts_with(asset."originalPath", prefix.path || '/'))
        union
        select "assetId"
        from public.album_asset
        where "albumId" = any (p_albums)
    );
end
$linked$;
comment on function linked.assets_of_albums(uuid[]) is 'Every asset that one of these linked albums may cover, video parts of live photos apart.';

create or replace function linked.covered(p_assets uuid[])
returns table (source_id uuid, through_id uuid, album_id uuid, owner_id uuid, path text, linkable boolean)
language sql stable
as $linked$
    with candidate as (
        select source.id as source_id, coalesce(still.id, source.id) as through_id,
            source."ownerId" as owner_id, source."originalPath" as path,
            coalesce(still."originalPath", source."originalPath") as through_path,
            source."deletedAt" is null and not source."isOffline" and source.status = 'active'
            and (still.id is null or still."deletedAt" is null and not still."isOffline" and still.status = 'active')
                as linkable
        from public.asset source
        left join public.asset still
            on still."livePhotoVideoId" = source.id and still."ownerId" = source."ownerId"
        where source.id = any (p_assets)
            and source.visibility <> 'locked' and (still.id is null or still.visibility <> 'locked')
            and not exists (
                select from linked.member
                where member.asset_id = source.id and member.asset_id <> member.source_id
            )
            and not exists (
                select from linked.member
                where member.asset_id = still.id and member.asset_id <> member.source_id
            )
    ), hit as (
        select candidate.*, linked_album.album_id
        from candidate
        join linked.linked_album on linked_album.owner_id = candidate.owner_id
        join linked.prefix on prefix.album_id = linked_album.album_id
        where prefix.path = '' or starts_with(candidate.through_path, prefix.path || '/')
        union all
        select candidate.*, participant.album_id
        from candidate
        join public.album_asset on album_asset."assetId" = candidate.through_id
        join linked.participant
            on participant.album_id = album_asset."albumId" and participant.user_id = candidate.owner_id
    )
    select distinct hit.source_id, hit.through_id, hit.album_id, hit.owner_id, hit.path, hit.linkable
    from hit
$linked$;
comment on function linked.covered(uuid[]) is
    'Which of these assets are sources, by which linked albums (of a video part through which still), and whether new clones may be made (not in the trash, not offline).';

create or replace function linked.is_covered_at(p_source uuid, p_path text) returns boolean
language sql stable
as $linked$
    with candidate as (
        select source.id as source_id, coalesce(still.id, source.id) as through_id,
            source."ownerId" as owner_id, p_path as path,
            coalesce(still."originalPath", p_path) as through_path,
            source."deletedAt" is null and not source."isOffline" and source.status = 'active'
            and (still.id is null or still."deletedAt" is null and not still."isOffline" and still.status = 'active')
                as linkable
        from public.asset source
        left join public.asset still
            on still."livePhotoVideoId" = source.id and still."ownerId" = source."ownerId"
        where source.id = p_source
            and source.visibility <> 'locked' and (still.id is null or still.visibility <> 'locked')
            and not exists (
                select from linked.member
                where member.asset_id = source.id and member.asset_id <> member.source_id
            )
            and not exists (
                select from linked.member
                where member.asset_id = still.id and member.asset_id <> member.source_id
            )
    ), hit as (
        select candidate.*, linked_album.album_id
        from candidate
        join linked.linked_album on linked_album.owner_id = candidate.owner_id
        join linked.prefix on prefix.album_id = linked_album.album_id
        where prefix.path = '' or starts_with(candidate.through_path, prefix.path || '/')
        union all
        select candidate.*, participant.album_id
        from candidate
        join public.album_asset on album_asset."assetId" = candidate.through_id
        join linked.participant
            on participant.album_id = album_asset."albumId" and participant.user_id = candidate.owner_id
    )
    select exists (select from hit)
$linked$;
comment on function linked.is_covered_at(uuid, text) is
    'Whether a linked album would cover an asset if its file lay at p_path.';

-- Of several albums that cover an asset the stronger right counts, for each account that of those in which it may write. Who
-- has the file in a library of their own needs no clone. A video part goes where a still of it is: not where the still
-- was left out, dismissed or not linked for any cause.
create or replace function linked.wanted(p_assets uuid[])
returns table (source_id uuid, user_id uuid, can_write boolean, deletes_own boolean, linkable boolean)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    with taker as materialized (
        select participant.album_id, participant.user_id, participant.role <> 'viewer' as can_write, linked_album.deletes_own,
            linked_album.is_live and account."deletedAt" is null as linkable,
            exists (
                select from public.asset own
                where own."ownerId" = participant.user_id and own."libraryId" is not null
            ) as has_library
        from linked.participant
        join linked.linked_album on linked_album.album_id = participant.album_id
        join public."user" account on account.id = participant.user_id
    )
    select covered.source_id, taker.user_id,
        bool_or(taker.can_write),
        coalesce(bool_and(taker.deletes_own) filter (where taker.can_write), false),
        bool_or(covered.linkable and taker.linkable)
    from linked.covered(p_assets) as covered
    join taker on taker.album_id = covered.album_id and taker.user_id <> covered.owner_id
    where not exists (
            select from linked.dismissal
            where dismissal.source_id = covered.source_id and dismissal.user_id = taker.user_id
        )
        and not exists (
            select from linked.replacement
            where replacement.source_id = covered.source_id and replacement.user_id = taker.user_id
                and begun_at > clock_timestamp() - interval '1 minute'
        )
        and not (
            taker.has_library
            and exists (
                select from public.asset own
                where own."originalPath" = covered.path and own."ownerId" = taker.user_id
                    and own."libraryId" is not null
            )
        )
        and (
            covered.through_id = covered.source_id
            or exists (
                select from linked.member still
                where still.source_id = covered.through_id and still.owner_id = taker.user_id
            )
            -- The copy of the old file that Immich is about to enter refers to the video.
            or exists (
                select from linked.replacement still
                where still.source_id = covered.through_id and still.user_id = taker.user_id
                    and begun_at > clock_timestamp() - interval '1 minute'
            )
        )
    group by covered.source_id, taker.user_id;
end
$linked$;
comment on function linked.wanted(uuid[]) is
    'The clones that these assets should have. Not linkable: one that exists stays, but none is made now.';

-- What statements had to leave undone, and what is looked at a second time.

create or replace function linked.leave_note(
    p_place text, p_stale jsonb, p_fresh jsonb, p_statement text, p_sources uuid[]
) returns void
language plpgsql
as $linked$
begin
    insert into linked.note (place, stale, fresh, statement, sources)
    values (p_place, p_stale, p_fresh, p_statement, p_sources);
    perform pg_notify('linked', 'note');
end
$linked$;
comment on function linked.leave_note(text, jsonb, jsonb, text, uuid[]) is
    'Notes what a statement changed, for the next one that has the turn on these groups (null: on everything).';

-- In the order in which they were left, those last that were tried already. One that meets rows of others stays, however often,
-- and one that meets what a later note tells (a person that is gone, say) for a while; what fails again and again becomes an
-- incident: its groups may differ, and reconcile tells.
create or replace function linked.work_notes(p_sources uuid[], p_until timestamptz) returns void
language plpgsql
as $linked$
declare
    v_note record;
    v_sqlstate text;
    v_message text;
    v_context text;
begin
    for v_note in
        select id, place, stale, fresh, statement, tries
        from linked.note
        where p_sources is null or sources <@ p_sources
        order by tries > 0, id
    loop
        begin
            delete from linked.note where id = v_note.id;
            perform linked.plan_for(jsonb_array_length(coalesce(v_note.fresh, v_note.stale)));
            execute format('select linked.%I($1, $2, $3)', 'redo_' || replace(v_note.place, ' ', '_'))
            using v_note.stale, v_note.fresh, v_note.statement;
        exception when others then
            get stacked diagnostics
                v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
            if v_sqlstate in ('55P03', '40P01', '40001') then
                update linked.note set tries = greatest(tries, 1) where id = v_note.id;
            elsif v_note.tries < (case when v_sqlstate like '23%' then 20 else 2 end) then
                update linked.note set tries = tries + 1 where id = v_note.id;
            else
                delete from linked.note where id = v_note.id;
                perform linked.record_incident(v_note.place, v_sqlstate, v_message, v_context);
            end if;
        end;
        exit when clock_timestamp() >= p_until;
    end loop;
end
$linked$;
comment on function linked.work_notes(uuid[], timestamptz) is
    'Does what was noted for these groups (null: all that was noted), until the time is over.';

create or replace function linked.look_again_at(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.second_look (source_id) select distinct source_id from unnest(p_sources) as source_id;
end
$linked$;
comment on function linked.look_again_at(uuid[]) is
    'Has groups compared once more that were made while somebody may have been writing to their sources unseen.';

-- Whoever wrote to a source before we had committed, and did not see that it is linked, has a transaction that was under way
-- when we are first seen here. What wrote later has seen it. (A restored database counts its transactions anew.)
create or replace function linked.look_again(p_until timestamptz) returns void
language plpgsql
as $linked$
declare
    v_now pg_snapshot := pg_current_snapshot();
    v_over xid8 := coalesce(
        (select running from pg_snapshot_xip(pg_current_snapshot()) as running order by running limit 1),
        pg_snapshot_xmax(pg_current_snapshot())
    );
    v_albums uuid[];
    v_since xid8;
    v_sources uuid[];
begin
    update linked.second_look set settled_after = pg_snapshot_xmax(v_now)
    where settled_after is null and made_in <> pg_current_xact_id();

    with due as (
        delete from linked.second_look
        where album_id is not null and (settled_after <= v_over or settled_after > pg_snapshot_xmax(v_now))
        returning album_id, since
    )
    select array_agg(distinct album_id), (array_agg(since order by since))[1] into v_albums, v_since from due;
    if v_albums is not null then
        insert into linked.queue (source_id)
        select asset.id
        from unnest(linked.assets_of_albums(v_albums)) as covered (id)
        join public.asset on asset.id = covered.id
        where (v_since > pg_snapshot_xmax(v_now) or age(asset.xmin) <= age(xid(v_since)))
            and not exists (select from linked.member where member.asset_id = asset.id)
        on conflict do nothing;
    end if;

    loop
        with due as (
            delete from linked.second_look
            where ctid = any (array(
                select ctid from linked.second_look
                where source_id is not null and (settled_after <= v_over or settled_after > pg_snapshot_xmax(v_now))
                limit 1000
            ))
            returning source_id
        )
        select array_agg(distinct source_id) into v_sources from due;
        exit when v_sources is null;
        perform linked.plan_for(cardinality(v_sources));
        -- Nearly all are as they should be; but to plan how they are compared costs as much as writing to 50.
        if cardinality(v_sources) > 50 then
            v_sources := array(select distinct found.source_id from linked.disagreements(v_sources) as found);
        end if;
        perform linked.equal_to_sources(v_sources);
        exit when clock_timestamp() >= p_until;
    end loop;
end
$linked$;
comment on function linked.look_again(timestamptz) is
    'Looks a second time at what was linked while others may have been writing to it unseen, if these are done, until the time is over.';

create or replace function linked.equal_to_sources(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
    select array_agg(source_id), array_agg(asset_id) into v_from, v_to
    from linked.member where source_id = any (p_sources) and asset_id <> source_id;
    if v_from is null then
        return;
    end if;
    perform linked.propagate_asset(v_from, v_to);
    perform linked.propagate_rows(v_from, v_to);
    perform linked.pair_live_photos(p_sources);
    perform linked.join_counterparts(v_to);
end
$linked$;
comment on function linked.equal_to_sources(uuid[]) is 'Makes the clones of these sources equal to them.';

-- Each part on its own: none undoes the statement's own work or that of another.
create or replace function linked.work_along(p_sources uuid[], p_has_time boolean) returns void
language plpgsql
as $linked$
declare
    v_begun timestamptz := clock_timestamp();
    v_until timestamptz := v_begun + interval '50 milliseconds';
begin
    perform linked.work_notes(p_sources, v_until);
    if p_sources is not null then
        if not linked.is_worth_a_turn() or not pg_try_advisory_xact_lock(1818848875, 0) then
            return;
        end if;
        perform linked.work_notes(null, v_until);
    end if;
    begin
        perform linked.settle();
        perform linked.sweep_tags();
        perform linked.sweep_stacks();
    exception when others then
        null;
    end;
    if (p_has_time or not exists (select from linked.pace where next_at > v_begun))
        and (exists (select from linked.queue) or exists (select from linked.second_look))
    then
        begin
            perform linked.look_again(v_until);
        exception when others then
            null;
        end;
        begin
            perform linked.work_slices(interval '50 milliseconds', 30);
        exception when others then
            null;
        end;
    end if;
    insert into linked.pace (next_at) values (clock_timestamp() + 20 * (clock_timestamp() - v_begun))
    on conflict (singleton) do update set next_at = excluded.next_at;
    perform linked.tell_of_work(linked.has_work());
end
$linked$;
comment on function linked.work_along(uuid[], boolean) is
    'Does with a statement that has the turn on these groups (null: on everything) some of what others left. Linking without time of its own: a twentieth of the time at most, in all sessions together.';

create or replace function linked.is_worth_a_turn() returns boolean
language plpgsql stable
as $linked$
begin
    return exists (select from linked.note)
        or exists (select from linked.passing_stack)
        or exists (select from linked.made_tag where unused_in is not null)
        or not exists (select from linked.pace where next_at > clock_timestamp());
end
$linked$;
comment on function linked.is_worth_a_turn() is
    'Whether to do more of what is left than others have just done. Of tags, stacks and notes there is never much.';

-- What every statement asks must not depend on how much there was to do once. Who meets another one that tells leaves it to them.
create or replace function linked.tell_of_work(p_has_work boolean) returns void
language plpgsql
as $linked$
begin
    update linked.installation
    set has_work = p_has_work
    where ctid = (select ctid from linked.installation where has_work <> p_has_work for update skip locked);
end
$linked$;
comment on function linked.tell_of_work(boolean) is
    'Has the statements of others know whether there is anything left to do but notes.';

create or replace function linked.has_work() returns boolean
language plpgsql stable
as $linked$
begin
    return exists (select from linked.queue) or exists (select from linked.second_look)
        or exists (select from linked.passing_stack) or exists (select from linked.made_tag where unused_in is not null)
        or exists (select from linked.unsettled where marked_at is null);
end
$linked$;
comment on function linked.has_work() is 'Whether there is anything left to do but notes.';

-- Of a statement that is none of our business. It waits for nobody.
create or replace function linked.work_aside() returns void
language plpgsql
as $linked$
declare
    v_lock_timeout text := current_setting('lock_timeout');
begin
    if linked.is_worth_a_turn() and pg_try_advisory_xact_lock(1818848875, 0) then
        perform linked.take_turn(null, false);
        perform linked.work_along(null, false);
        perform linked.stop_writing();
        perform set_config('lock_timeout', v_lock_timeout, true);
    end if;
end
$linked$;
comment on function linked.work_aside() is
    'Does with a statement that concerns nothing linked what others left, if nobody else has the turn.';

-- Deleting assets the way Immich does, with the traces that its clients need.


-- stack."primaryAssetId" is NO ACTION: deleting a primary asset fails. Immich gives such a stack another primary asset,
-- or dissolves it when fewer than two would be left; so do we, before the assets go.
create or replace function linked.leave_stacks(p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_stacks uuid[] := array(
        select "stackId" from public.asset where id = any (p_assets) and "stackId" is not null
        union
        select id from public.stack where "primaryAssetId" = any (p_assets)
    );
begin
    if cardinality(v_stacks) > 0 then
        update public.asset set "stackId" = null where id = any (p_assets) and "stackId" is not null;
        perform linked.dissolve_stacks(v_stacks);
    end if;
end
$linked$;
comment on function linked.leave_stacks(uuid[]) is
    'Takes assets that are about to be deleted out of the lead of their stacks, dissolving stacks of fewer than two.';

-- Immich's audit triggers look at pg_trigger_depth(): below a trigger its clients would not learn of the delete. Album and
-- memory rows are deleted first because their triggers still fire one level down, and would not below the cascade.
create or replace function linked.delete_assets(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id = any (p_assets) for update nowait;
    perform from public."asset_exif" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_file" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_job_status" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."smart_search" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_video" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_audio" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_keyframe" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_edit" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_ocr" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."ocr_search" where "assetId" = any (p_assets) for no key update nowait;
    perform from public."asset_face" where "assetId" = any (p_assets) for no key update nowait;
    perform linked.leave_stacks(p_assets);
    if pg_trigger_depth() > 1 then
        insert into public.album_asset_audit ("albumId", "assetId")
        select "albumId", "assetId"
        from public.album_asset where "assetId" = any (p_assets);
        insert into public.memory_asset_audit ("memoryId", "assetId")
        select "memoriesId", "assetId"
        from public.memory_asset where "assetId" = any (p_assets);
    end if;
    delete from public.album_asset where "assetId" = any (p_assets);
    delete from public.memory_asset where "assetId" = any (p_assets);
    delete from public.move_history where "entityId" = any (p_assets);
    if pg_trigger_depth() > 0 then
        insert into public.asset_audit ("assetId", "ownerId")
        select id, "ownerId" from public.asset where id = any (p_assets);
    end if;
    perform linked.keep_plans();
    delete from public.asset where id = any (p_assets);
    perform linked.plan_anew();
end
$linked$;
comment on function linked.delete_assets(uuid[]) is
    'Deletes rows of asset, with the audit rows that a delete by Immich itself would leave. Touches no file.';

-- Invariants: no clone without its source; a group without clones is no group.
create or replace function linked.forget_members(p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_gone uuid[] := p_assets;
    v_sources uuid[];
begin
    delete from linked.brought where asset_id = any (p_assets);
    with gone as (
        delete from linked.member where asset_id = any (p_assets) returning source_id
    )
    select array_agg(distinct source_id) into v_sources from gone;
    with alone as (
        delete from linked.member source
        where source.asset_id = any (v_sources)
            and not exists (
                select from linked.member clone
                where clone.source_id = source.asset_id and clone.asset_id <> source.asset_id
                    and clone.asset_id <> all (p_assets)
            )
        returning asset_id
    )
    select v_gone || array_agg(asset_id) into v_gone from alone;
    delete from linked.face where asset_id = any (v_gone);
    perform linked.forget_marks(v_gone);
    perform linked.leave_albums_of_nobody(v_sources);
end
$linked$;
comment on function linked.forget_members(uuid[]) is
    'Takes assets out of their groups, and sources that have no clone left with them.';

create or replace function linked.contents_of(
    p_members uuid[], out owner_ids uuid[], out checksums bytea[], out source_ids uuid[]
)
language plpgsql stable
as $linked$
begin
    select array_agg(asset."ownerId"), array_agg(asset.checksum), array_agg(member.source_id)
    into owner_ids, checksums, source_ids
    from linked.member join public.asset on asset.id = member.asset_id
    where member.asset_id = any (p_members);
end
$linked$;
comment on function linked.contents_of(uuid[]) is
    'In whose account what content of which source is, member by member: what linked.fill_gaps() asks for once they are gone.';

-- Unlinking deletes clone rows and nothing else: no file, no source, nothing to the trash. What the addon had made around
-- them in their owners' accounts goes when nothing is left in it; of accounts that take part no more also what had been
-- emptied before. Of live photos the video goes with the last still.
create or replace function linked.unlink(p_clones uuid[]) returns void
language plpgsql
as $linked$
declare
    v_clones uuid[];
    v_owners uuid[];
    v_checksums bytea[];
    v_sources uuid[];
    v_albums uuid[];
    v_persons uuid[];
    v_tags uuid[];
begin
    if coalesce(cardinality(p_clones), 0) = 0 then
        return;
    end if;
    v_clones := p_clones || linked.video_clones(p_clones);
    select owner_ids, checksums, source_ids into v_owners, v_checksums, v_sources from linked.contents_of(v_clones);
    v_albums := array(
        select distinct album_pair.album_id
        from public.album_asset
        join linked.album_pair on album_pair.album_id = album_asset."albumId"
        where album_asset."assetId" = any (v_clones)
    );
    v_persons := array(
        select distinct person_pair.pair_id
        from public.asset_face
        join public.asset on asset.id = asset_face."assetId"
        join linked.person_pair
            on person_pair.person_id = asset_face."personGroupId" and person_pair.owner_id = asset."ownerId"
        where asset_face."assetId" = any (v_clones) or asset_face."assetId" = any (v_sources)
    );
    v_tags := array(
        select distinct "tagId" from public.tag_asset where "assetId" = any (v_clones)
    );
    -- Whatever is remembered: what is not external, or of a library, is nobody's clone but somebody's original.
    perform linked.delete_assets(array(
        select id from public.asset where id = any (v_clones) and "isExternal" and "libraryId" is null
    ));
    perform linked.forget_members(v_clones);
    perform linked.forget_persons(v_persons);
    perform linked.note_unused_tags(v_tags);
    perform linked.delete_albums(array(
        select album_id from linked.album_pair
        where album_id = any (v_albums) and album_id <> album_key
            and not exists (select from public.album_asset where "albumId" = album_id)
    ));
    perform linked.part_albums(v_albums);
    -- Who is left of a cluster group may be the one that has the embeddings now.
    insert into linked.queue (source_id, thorough)
    select distinct member.source_id, true
    from unnest(v_owners, v_sources) as gone (owner_id, source_id)
    join public."user" theirs on theirs.id = gone.owner_id
    join linked.member on member.source_id = gone.source_id and member.asset_id <> member.source_id
    join public."user" mine on mine.id = member.owner_id and mine."clusterGroupId" = theirs."clusterGroupId"
    on conflict (source_id) do update set thorough = true;
    if found then
        perform pg_notify('linked', 'queue');
    end if;
    perform linked.fill_gaps(v_owners, v_checksums, v_sources);
end
$linked$;
comment on function linked.unlink(uuid[]) is 'Deletes clones, and links what they had kept out by having the same content.';

-- Immich deletes the files of a member that is deleted for good, so no other row of the group may stay behind.
create or replace function linked.delete_groups(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_members uuid[];
    v_owners uuid[];
    v_checksums bytea[];
    v_of uuid[];
begin
    if coalesce(cardinality(p_sources), 0) = 0 then
        return;
    end if;
    v_members := array(select asset_id from linked.member where source_id = any (p_sources));
    select owner_ids, checksums, source_ids into v_owners, v_checksums, v_of from linked.contents_of(v_members);
    perform linked.credit_quota(v_members);
    perform linked.take_off_quota(v_members);
    perform linked.delete_assets(v_members);
    perform linked.forget_members(v_members);
    delete from linked.dismissal where source_id = any (p_sources);
    delete from linked.queue where source_id = any (p_sources);
    perform linked.fill_gaps(v_owners, v_checksums, v_of);
end
$linked$;
comment on function linked.delete_groups(uuid[]) is 'Deletes all that is left of groups of which a member was deleted for good.';

-- A viewer's trash and delete, and those of anybody who may not delete for others, hide the clone from that account alone.
create or replace function linked.dismiss(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if coalesce(cardinality(p_clones), 0) = 0 then
        return;
    end if;
    insert into linked.dismissal (source_id, user_id)
    select source_id, owner_id from linked.member where asset_id = any (p_clones)
    on conflict do nothing;
    -- Others may have deleted it for good already, and Immich's job for this clone be on its way.
    perform linked.credit_quota(array(
        select id from public.asset
        where id in (select unnest(p_clones || linked.video_clones(p_clones))) and status = 'deleted'
    ));
    perform linked.unlink(p_clones);
end
$linked$;
comment on function linked.dismiss(uuid[]) is 'Removes clones that their accounts have deleted for themselves alone, and remembers that they are not wanted back.';

-- Rows of asset that come, change and go: what of it the other members take over, and which assets are linked by it.


create or replace function linked.on_asset_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where exists (select from linked.replacement where replacement.user_id operator(pg_catalog.=) fresh."ownerId")
                        or exists (select from linked.participant where participant.user_id operator(pg_catalog.=) fresh."ownerId")
                        and (
                            fresh."libraryId" is not null
                            or fresh."livePhotoVideoId" is not null
                            or exists (
                                select from linked.linked_album
                                join linked.prefix on prefix.album_id operator(pg_catalog.=) linked_album.album_id
                                where linked_album.owner_id operator(pg_catalog.=) fresh."ownerId"
                                    and (prefix.path operator(pg_catalog.=) '' or pg_catalog.starts_with(fresh."originalPath", prefix.path operator(pg_catalog.||) '/'))
                            )
                            or exists (
                                select from public.asset theirs
                                where theirs."originalPath" operator(pg_catalog.=) fresh."originalPath" and theirs."ownerId" operator(pg_catalog.<>) fresh."ownerId"
                            )
                        )
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.disarm_copies(array(select id from fresh where "libraryId" is null and not "isExternal"));
            perform linked.refresh_membership(
                array(
                    select id from fresh
                    union
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from fresh
                    where "libraryId" is not null
                    union
                    -- The video of a clone whose old file this is: it would be deleted with it.
                    select video.source_id
                    from fresh
                    join linked.member video
                        on video.asset_id = fresh."livePhotoVideoId" and video.asset_id <> video.source_id
                ),
                -- Once it is committed others write to it, who do not know yet that it is linked.
                p_unseen => array(select id from fresh)
            );

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_insert() is 'Links new assets that a linked album covers.';
create or replace trigger linked_asset_insert after insert on public."asset"
referencing new table as fresh
for each statement execute function linked.on_asset_insert();
comment on trigger linked_asset_insert on public."asset" is 'Links new assets that a linked album covers.';

create or replace function linked.redo_asset_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.disarm_copies(array(select id from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh where "libraryId" is null and not "isExternal"));
            perform linked.refresh_membership(
                array(
                    select id from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh
                    union
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh
                    where "libraryId" is not null
                    union
                    -- The video of a clone whose old file this is: it would be deleted with it.
                    select video.source_id
                    from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh
                    join linked.member video
                        on video.asset_id = fresh."livePhotoVideoId" and video.asset_id <> video.source_id
                ),
                -- Once it is committed others write to it, who do not know yet that it is linked.
                p_unseen => '{}'
            );

end
$linked$;
comment on function linked.redo_asset_insert(jsonb, jsonb, text) is
    'Does what was noted: links new assets that a linked album covers.';

-- In this order: first what takes members out of their groups (what an account trashes for itself alone, a file that was
-- replaced), so that nothing of it is passed on; then what the members share; then what hangs between groups (live photos, stacks), for those that are
-- left; last membership, which is computed from what all of this has made of the rows.
create or replace function linked.on_asset_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh.id))
                or case when not exists (select from fresh offset 1) then exists (
                    select from fresh
                    where row(fresh."ownerId", fresh."originalPath", fresh."visibility", fresh."deletedAt", fresh."status", fresh."isOffline", fresh."libraryId", fresh."livePhotoVideoId", fresh."checksum", fresh."stackId")::pg_catalog.record operator(pg_catalog.*<>) (select row(stale."ownerId", stale."originalPath", stale."visibility", stale."deletedAt", stale."status", stale."isOffline", stale."libraryId", stale."livePhotoVideoId", stale."checksum", stale."stackId")::pg_catalog.record from stale)
                        and exists (select from linked.participant where participant.user_id operator(pg_catalog.=) fresh."ownerId")
                ) end
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            -- No row: sync is suspended.
            if v_is_due is not null and v_concerns_us is null then
                v_concerns_us := exists (
                    select from fresh full join stale on fresh.id operator(pg_catalog.=) stale.id
                    where row(fresh."ownerId", fresh."originalPath", fresh."visibility", fresh."deletedAt", fresh."status", fresh."isOffline", fresh."libraryId", fresh."livePhotoVideoId", fresh."checksum", fresh."stackId")::pg_catalog.record operator(pg_catalog.*<>) row(stale."ownerId", stale."originalPath", stale."visibility", stale."deletedAt", stale."status", stale."isOffline", stale."libraryId", stale."livePhotoVideoId", stale."checksum", stale."stackId")::pg_catalog.record and (exists (select from linked.participant where participant.user_id operator(pg_catalog.=) fresh."ownerId")) is true
                );
            end if;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."type" is distinct from stale."type") then 'type' end,
                case when bool_or(fresh."originalPath" is distinct from stale."originalPath") then 'originalPath' end,
                case when bool_or(fresh."fileCreatedAt" is distinct from stale."fileCreatedAt") then 'fileCreatedAt' end,
                case when bool_or(fresh."fileModifiedAt" is distinct from stale."fileModifiedAt") then 'fileModifiedAt' end,
                case when bool_or(fresh."duration" is distinct from stale."duration") then 'duration' end,
                case when bool_or(fresh."checksum" is distinct from stale."checksum") then 'checksum' end,
                case when bool_or(fresh."originalFileName" is distinct from stale."originalFileName") then 'originalFileName' end,
                case when bool_or(fresh."thumbhash" is distinct from stale."thumbhash") then 'thumbhash' end,
                case when bool_or(fresh."isOffline" is distinct from stale."isOffline") then 'isOffline' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."localDateTime" is distinct from stale."localDateTime") then 'localDateTime' end,
                case when bool_or(fresh."status" is distinct from stale."status") then 'status' end,
                case when bool_or(fresh."visibility" is distinct from stale."visibility") then 'visibility' end,
                case when bool_or(fresh."width" is distinct from stale."width") then 'width' end,
                case when bool_or(fresh."height" is distinct from stale."height") then 'height' end,
                case when bool_or(fresh."isEdited" is distinct from stale."isEdited") then 'isEdited' end,
                case when bool_or(fresh."checksumAlgorithm" is distinct from stale."checksumAlgorithm") then 'checksumAlgorithm' end,
                case when bool_or(fresh."ownerId" is distinct from stale."ownerId") then 'ownerId' end,
                case when bool_or(fresh."libraryId" is distinct from stale."libraryId") then 'libraryId' end,
                case when bool_or(fresh."livePhotoVideoId" is distinct from stale."livePhotoVideoId") then 'livePhotoVideoId' end,
                case when bool_or(fresh."stackId" is distinct from stale."stackId") then 'stackId' end
            ], null)
            from fresh full join stale using ("id")
            where (select true from linked.member where member.asset_id = fresh.id) or exists (select from linked.participant where participant.user_id = fresh."ownerId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := case
                when v_columns && array['ownerId', 'originalPath', 'visibility', 'deletedAt', 'status', 'isOffline', 'libraryId', 'livePhotoVideoId', 'checksum', 'stackId'] then null
                else array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh.id) as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                )
            end;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (v_columns && array['ownerId', 'originalPath', 'visibility']
                and exists (
                    select from fresh
                    where (select member.source_id from linked.member where member.asset_id = fresh.id) = fresh.id
                        and not exists (select from linked.covered(array[fresh.id]))
                )
                or v_columns && array['deletedAt', 'status']
                and exists (
                    select from fresh
                    where (select (not member.can_write or member.deletes_own) from linked.member where member.asset_id = fresh.id)
                        and (fresh."deletedAt" is not null or fresh.status <> 'active')
                ));
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_changed pg_catalog.uuid[];
                v_stacks pg_catalog.uuid[];
                v_moved pg_catalog.uuid[];
                v_scope pg_catalog.uuid[];
                v_albums pg_catalog.uuid[];
            begin
                if v_columns && array['deletedAt', 'status'] then
                    perform linked.hide_alone(array(select id from (select id, "deletedAt", status from fresh except select id, "deletedAt", status from stale) as changed));
                end if;
                if v_columns && array['originalPath'] then
                    v_moved := array(select id from (select id, "originalPath" from fresh except select id, "originalPath" from stale) as changed);
                    perform linked.release(array(
                        select member.asset_id
                        from linked.member
                        where member.asset_id = any (v_moved) and member.asset_id <> member.source_id
                            and member.source_id <> all (v_moved)
                    ));
                end if;
                if v_columns && array['visibility'] then
                    perform linked.rejoin(array(
                        select id from stale where visibility = 'locked'
                        intersect
                        select id from fresh where visibility <> 'locked'
                    ));
                end if;

                if v_columns && array['type', 'originalPath', 'fileCreatedAt', 'fileModifiedAt', 'duration', 'checksum', 'originalFileName', 'thumbhash', 'isOffline', 'deletedAt', 'localDateTime', 'status', 'visibility', 'width', 'height', 'isEdited', 'checksumAlgorithm'] then
                    v_changed := array(
                        select changed.id
                        from (select id, visibility, "type", "originalPath", "fileCreatedAt", "fileModifiedAt", "duration", "checksum", "originalFileName", "thumbhash", "isOffline", "deletedAt", "localDateTime", "status", "width", "height", "isEdited", "checksumAlgorithm" from fresh except select id, visibility, "type", "originalPath", "fileCreatedAt", "fileModifiedAt", "duration", "checksum", "originalFileName", "thumbhash", "isOffline", "deletedAt", "localDateTime", "status", "width", "height", "isEdited", "checksumAlgorithm" from stale) as changed
                        join linked.member on member.asset_id = changed.id
                    );
                    if v_columns && array['width', 'height'] then
                        perform linked.keep_measures(v_changed);
                    end if;
                    perform linked.note_settled(v_changed);
                    perform linked.follow_viewers(v_changed);
                    select from_ids, to_ids into v_from, v_to from linked.siblings(v_changed, false);
                    if v_from is not null then
                        perform linked.propagate_asset(v_from, v_to, v_columns);
                    end if;
                end if;

                if v_columns && array['livePhotoVideoId'] then
                    perform linked.follow_live_photos(array(
                        select changed.id
                        from (select id, "livePhotoVideoId" from fresh except select id, "livePhotoVideoId" from stale) as changed
                        join linked.member on member.asset_id = changed.id
                    ));
                end if;

                if v_columns && array['stackId'] then
                    v_changed := array(select id from (select id, "stackId" from fresh except select id, "stackId" from stale) as changed);
                    -- Immich leaves stacks of one behind when it moves assets to another stack.
                    v_stacks := array(
                        select stack_pair.stack_id
                        from stale join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                        where stale.id = any (v_changed)
                    );
                    perform linked.let_stacks_pass(v_changed);
                    select from_ids, to_ids into v_from, v_to from linked.siblings(v_changed, false);
                    if v_from is not null then
                        perform linked.propagate_stacks(v_from, v_to);
                    end if;
                    perform linked.dissolve_stacks(v_stacks);
                end if;

                if cardinality(v_moved) > 0 then
                    select linked.follow_media_folder(
                        array_agg(old_path), array_agg(new_path), (select count(*) from fresh)
                    )
                    into v_albums
                    from (
                        select max(old_path) as old_path, max(new_path) as new_path
                        from (
                            select id, "originalPath" as new_path, null as old_path from fresh
                            union all
                            select id, null, "originalPath" from stale
                        ) as path
                        where id = any (v_moved)
                        group by id
                    ) as moved;
                end if;

                if v_columns && array['ownerId', 'originalPath', 'visibility', 'deletedAt', 'status', 'isOffline', 'libraryId', 'livePhotoVideoId', 'checksum'] then
                    v_changed := array(
                        select id from (select id, "ownerId", "originalPath", "visibility", "deletedAt", "status", "isOffline", "libraryId", "livePhotoVideoId", "checksum" from fresh except select id, "ownerId", "originalPath", "visibility", "deletedAt", "status", "isOffline", "libraryId", "livePhotoVideoId", "checksum" from stale) as changed
                    );
                    v_scope := array(
                        select unnest(v_changed)
                        union
                        select source_id from linked.member where asset_id = any (v_changed)
                        union
                        select "livePhotoVideoId" from stale where id = any (v_changed) and "livePhotoVideoId" is not null
                        union
                        -- A prefix may have moved to where others lie already.
                        select unnest(linked.assets_of_albums(v_albums))
                        union
                        -- A still that has left its group leaves its video behind.
                        select video.source_id
                        from stale join linked.member video on video.asset_id = stale."livePhotoVideoId"
                        where stale.id = any (v_changed)
                            and not exists (select from linked.member where member.asset_id = stale.id)
                        union
                        select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                        from (
                            select id, "ownerId", "originalPath", "libraryId" from fresh
                            union
                            select id, "ownerId", "originalPath", "libraryId" from stale
                        ) as known
                        where id = any (v_changed) and "libraryId" is not null
                    );
                    perform linked.refresh_membership(v_scope);
                    perform linked.pair_live_photos(v_scope);
                end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                begin
                    if v_columns && array['deletedAt', 'status'] then perform linked.spare_files(array(select id from fresh)); end if;
                exception when others then
                    null;
                end;
                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

    begin
        if v_columns && array['deletedAt', 'status'] then perform linked.spare_files(array(select id from fresh)); end if;
    exception when others then
        null;
    end;
    begin
        perform linked.record_incident('asset update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_update() is 'Propagates changes of members, links and unlinks assets by what they have become.';
create or replace trigger linked_asset_update after update on public."asset"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_update();
comment on trigger linked_asset_update on public."asset" is 'Propagates changes of members, links and unlinks assets by what they have become.';

create or replace function linked.redo_asset_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."type" is distinct from stale."type") then 'type' end,
                case when bool_or(fresh."originalPath" is distinct from stale."originalPath") then 'originalPath' end,
                case when bool_or(fresh."fileCreatedAt" is distinct from stale."fileCreatedAt") then 'fileCreatedAt' end,
                case when bool_or(fresh."fileModifiedAt" is distinct from stale."fileModifiedAt") then 'fileModifiedAt' end,
                case when bool_or(fresh."duration" is distinct from stale."duration") then 'duration' end,
                case when bool_or(fresh."checksum" is distinct from stale."checksum") then 'checksum' end,
                case when bool_or(fresh."originalFileName" is distinct from stale."originalFileName") then 'originalFileName' end,
                case when bool_or(fresh."thumbhash" is distinct from stale."thumbhash") then 'thumbhash' end,
                case when bool_or(fresh."isOffline" is distinct from stale."isOffline") then 'isOffline' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."localDateTime" is distinct from stale."localDateTime") then 'localDateTime' end,
                case when bool_or(fresh."status" is distinct from stale."status") then 'status' end,
                case when bool_or(fresh."visibility" is distinct from stale."visibility") then 'visibility' end,
                case when bool_or(fresh."width" is distinct from stale."width") then 'width' end,
                case when bool_or(fresh."height" is distinct from stale."height") then 'height' end,
                case when bool_or(fresh."isEdited" is distinct from stale."isEdited") then 'isEdited' end,
                case when bool_or(fresh."checksumAlgorithm" is distinct from stale."checksumAlgorithm") then 'checksumAlgorithm' end,
                case when bool_or(fresh."ownerId" is distinct from stale."ownerId") then 'ownerId' end,
                case when bool_or(fresh."libraryId" is distinct from stale."libraryId") then 'libraryId' end,
                case when bool_or(fresh."livePhotoVideoId" is distinct from stale."livePhotoVideoId") then 'livePhotoVideoId' end,
                case when bool_or(fresh."stackId" is distinct from stale."stackId") then 'stackId' end
            ], null)
            from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset", p_stale) as stale using ("id")
            where (select true from linked.member where member.asset_id = fresh.id) or exists (select from linked.participant where participant.user_id = fresh."ownerId")
        );
begin
            declare
                v_changed uuid[];
                v_stacks uuid[];
                v_moved uuid[];
                v_scope uuid[];
                v_albums uuid[];
            begin
                if v_columns && array['deletedAt', 'status'] then
                    perform linked.hide_alone(array(select id from (select id, "deletedAt", status from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh except select id, "deletedAt", status from jsonb_populate_recordset(null::public."asset", p_stale) as stale) as changed));
                end if;
                if v_columns && array['originalPath'] then
                    v_moved := array(select id from (select id, "originalPath" from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh except select id, "originalPath" from jsonb_populate_recordset(null::public."asset", p_stale) as stale) as changed);
                    perform linked.release(array(
                        select member.asset_id
                        from linked.member
                        where member.asset_id = any (v_moved) and member.asset_id <> member.source_id
                            and member.source_id <> all (v_moved)
                    ));
                end if;
                if v_columns && array['visibility'] then
                    perform linked.rejoin(array(
                        select id from jsonb_populate_recordset(null::public."asset", p_stale) as stale where visibility = 'locked'
                        intersect
                        select id from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh where visibility <> 'locked'
                    ));
                end if;

                if v_columns && array['type', 'originalPath', 'fileCreatedAt', 'fileModifiedAt', 'duration', 'checksum', 'originalFileName', 'thumbhash', 'isOffline', 'deletedAt', 'localDateTime', 'status', 'visibility', 'width', 'height', 'isEdited', 'checksumAlgorithm'] then
                    v_changed := array(
                        select changed.id
                        from (select id, visibility, "type", "originalPath", "fileCreatedAt", "fileModifiedAt", "duration", "checksum", "originalFileName", "thumbhash", "isOffline", "deletedAt", "localDateTime", "status", "width", "height", "isEdited", "checksumAlgorithm" from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh except select id, visibility, "type", "originalPath", "fileCreatedAt", "fileModifiedAt", "duration", "checksum", "originalFileName", "thumbhash", "isOffline", "deletedAt", "localDateTime", "status", "width", "height", "isEdited", "checksumAlgorithm" from jsonb_populate_recordset(null::public."asset", p_stale) as stale) as changed
                        join linked.member on member.asset_id = changed.id
                    );
                    if v_columns && array['width', 'height'] then
                        perform linked.keep_measures(v_changed);
                    end if;
                    perform linked.note_settled(v_changed);
                    perform linked.follow_viewers(v_changed);
                    select from_ids, to_ids into v_from, v_to from linked.siblings(v_changed, false);
                    if v_from is not null then
                        perform linked.propagate_asset(v_from, v_to, v_columns);
                    end if;
                end if;

                if v_columns && array['livePhotoVideoId'] then
                    perform linked.follow_live_photos(array(
                        select changed.id
                        from (select id, "livePhotoVideoId" from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh except select id, "livePhotoVideoId" from jsonb_populate_recordset(null::public."asset", p_stale) as stale) as changed
                        join linked.member on member.asset_id = changed.id
                    ));
                end if;

                if v_columns && array['stackId'] then
                    v_changed := array(select id from (select id, "stackId" from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh except select id, "stackId" from jsonb_populate_recordset(null::public."asset", p_stale) as stale) as changed);
                    -- Immich leaves stacks of one behind when it moves assets to another stack.
                    v_stacks := array(
                        select stack_pair.stack_id
                        from jsonb_populate_recordset(null::public."asset", p_stale) as stale join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                        where stale.id = any (v_changed)
                    );
                    perform linked.let_stacks_pass(v_changed);
                    select from_ids, to_ids into v_from, v_to from linked.siblings(v_changed, false);
                    if v_from is not null then
                        perform linked.propagate_stacks(v_from, v_to);
                    end if;
                    perform linked.dissolve_stacks(v_stacks);
                end if;

                if cardinality(v_moved) > 0 then
                    select linked.follow_media_folder(
                        array_agg(old_path), array_agg(new_path), (select count(*) from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh)
                    )
                    into v_albums
                    from (
                        select max(old_path) as old_path, max(new_path) as new_path
                        from (
                            select id, "originalPath" as new_path, null as old_path from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh
                            union all
                            select id, null, "originalPath" from jsonb_populate_recordset(null::public."asset", p_stale) as stale
                        ) as path
                        where id = any (v_moved)
                        group by id
                    ) as moved;
                end if;

                if v_columns && array['ownerId', 'originalPath', 'visibility', 'deletedAt', 'status', 'isOffline', 'libraryId', 'livePhotoVideoId', 'checksum'] then
                    v_changed := array(
                        select id from (select id, "ownerId", "originalPath", "visibility", "deletedAt", "status", "isOffline", "libraryId", "livePhotoVideoId", "checksum" from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh except select id, "ownerId", "originalPath", "visibility", "deletedAt", "status", "isOffline", "libraryId", "livePhotoVideoId", "checksum" from jsonb_populate_recordset(null::public."asset", p_stale) as stale) as changed
                    );
                    v_scope := array(
                        select unnest(v_changed)
                        union
                        select source_id from linked.member where asset_id = any (v_changed)
                        union
                        select "livePhotoVideoId" from jsonb_populate_recordset(null::public."asset", p_stale) as stale where id = any (v_changed) and "livePhotoVideoId" is not null
                        union
                        -- A prefix may have moved to where others lie already.
                        select unnest(linked.assets_of_albums(v_albums))
                        union
                        -- A still that has left its group leaves its video behind.
                        select video.source_id
                        from jsonb_populate_recordset(null::public."asset", p_stale) as stale join linked.member video on video.asset_id = stale."livePhotoVideoId"
                        where stale.id = any (v_changed)
                            and not exists (select from linked.member where member.asset_id = stale.id)
                        union
                        select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                        from (
                            select id, "ownerId", "originalPath", "libraryId" from jsonb_populate_recordset(null::public."asset", p_fresh) as fresh
                            union
                            select id, "ownerId", "originalPath", "libraryId" from jsonb_populate_recordset(null::public."asset", p_stale) as stale
                        ) as known
                        where id = any (v_changed) and "libraryId" is not null
                    );
                    perform linked.refresh_membership(v_scope);
                    perform linked.pair_live_photos(v_scope);
                end if;
            end;

end
$linked$;
comment on function linked.redo_asset_update(jsonb, jsonb, text) is
    'Does what was noted: propagates changes of members, links and unlinks assets by what they have become.';

-- What was taken out of the trash again before it could be hidden gets back what linked.spare_files() took off it.
create or replace function linked.hide_alone(p_changed uuid[]) returns void
language plpgsql
as $linked$
declare
    v_spared uuid[];
begin
    perform linked.dismiss(array(
        select asset.id
        from linked.member join public.asset on asset.id = member.asset_id
        where member.asset_id = any (p_changed) and (not member.can_write or member.deletes_own)
            and (asset."deletedAt" is not null or asset.status <> 'active')
    ));
    perform linked.drop_copies(p_changed);
    v_spared := array(
        select id from public.asset where id = any (p_changed) and right("originalPath", 44) = '.hidden-' || id
    );
    if cardinality(v_spared) > 0 then
        perform linked.equal_to_sources(array(
            select source_id from linked.member where asset_id = any (v_spared || linked.video_clones(v_spared))
        ));
    end if;
end
$linked$;
comment on function linked.hide_alone(uuid[]) is
    'Hides from accounts what they have put into the trash for themselves alone, and deletes the old file of a replaced clone from it.';

-- Where the clone could not be taken away at once: Immich's job for it may come before the next write, and deletes what the row
-- names.
create or replace function linked.spare_files(p_changed uuid[]) returns void
language plpgsql
as $linked$
declare
    v_hidden uuid[] := array(
        select asset.id
        from linked.member join public.asset on asset.id = member.asset_id
        where member.asset_id = any (p_changed) and (not member.can_write or member.deletes_own) and member.asset_id <> member.source_id
            and (asset."deletedAt" is not null or asset.status <> 'active')
    );
begin
    if cardinality(v_hidden) = 0 then
        return;
    end if;
    v_hidden := v_hidden || linked.video_clones(v_hidden);
    perform from public."asset" where id = any (v_hidden) for no key update nowait;
    perform from public."asset_file" where "assetId" = any (v_hidden) for update nowait;
    perform set_config('linked.writing', pg_current_xact_id()::text, true);
    delete from public.asset_file where "assetId" = any (v_hidden);
    update public.asset
    set "originalPath" = "originalPath" || '.hidden-' || id
    where id = any (v_hidden);
    perform linked.stop_writing();
end
$linked$;
comment on function linked.spare_files(uuid[]) is
    'Has clones that an account has put into the trash for itself alone, and that are still there, name no file of the group.';

create or replace function linked.rejoin(p_unlocked uuid[]) returns void
language plpgsql
as $linked$
begin
    if cardinality(p_unlocked) = 0 then
        return;
    end if;
    update public.asset mine
    set visibility = source.visibility
    from linked.member
    join public.asset source on source.id = member.source_id
    where member.asset_id = any (p_unlocked) and member.asset_id <> member.source_id
        and mine.id = member.asset_id
        and mine.visibility not in ('locked', source.visibility) and source.visibility <> 'locked';
    perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(member.asset_id))
    from linked.member
    join linked.member sibling
        on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    where member.asset_id = any (p_unlocked)
    having count(*) > 0;
end
$linked$;
comment on function linked.rejoin(uuid[]) is
    'Brings clones that come out of their owners'' locked folders to where the others are.';

-- A member deleted for good takes its group along, because Immich deletes the group's files. Rows that vanish with their
-- owner's account do not: then sources are unlinked, and clones are just gone. (The depth of triggers cannot tell these
-- two apart in an AFTER trigger; the account is already invisible in the second.)
create or replace function linked.on_asset_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale.id) or exists (select from linked.participant where participant.user_id operator(pg_catalog.=) stale."ownerId")
                        or exists (select from linked.dismissal where dismissal.source_id operator(pg_catalog.=) stale.id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_groups pg_catalog.uuid[];
                v_gone pg_catalog.uuid[];
                v_credited pg_catalog.uuid[];
                v_stacks pg_catalog.uuid[];
                v_owners pg_catalog.uuid[];
                v_checksums pg_catalog.bytea[];
                v_ids pg_catalog.uuid[];
            begin
                insert into linked.dismissal (source_id, user_id)
                select member.source_id, member.owner_id
                from stale
                join linked.member on member.asset_id = stale.id
                join public."user" account on account.id = stale."ownerId"
                where (not member.can_write or member.deletes_own)
                on conflict do nothing;

                select
                    array_agg(distinct member.source_id) filter (
                        where member.asset_id = member.source_id
                            or account.id is not null and (
                                not (not member.can_write or member.deletes_own)
                                -- The still went for all of them, and Immich deletes the file of its video through this member.
                                or stale.visibility = 'hidden' and not exists (
                                    select from linked.member video
                                    join public.asset still on still."livePhotoVideoId" = video.asset_id
                                    where video.source_id = member.source_id
                                )
                            )
                    ),
                    array_agg(member.asset_id),
                    array_agg(member.asset_id) filter (where account.id is not null and (not member.can_write or member.deletes_own))
                into v_groups, v_gone, v_credited
                from stale
                join linked.member on member.asset_id = stale.id
                left join public."user" account on account.id = stale."ownerId";
                -- Immich looks after a stack only when it loses its primary asset.
                v_stacks := array(
                    select stack_pair.stack_id from stale join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                );
                delete from linked.unsettled using stale where unsettled.source_id = stale.id;
                perform linked.credit_quota(v_credited);
                perform linked.delete_groups(v_groups);
                perform linked.dissolve_stacks(v_stacks);
                if v_gone is not null then
                    perform linked.forget_members(v_gone);
                end if;

                select array_agg(stale."ownerId"), array_agg(stale.checksum), array_agg(stale.id)
                into v_owners, v_checksums, v_ids
                from stale;
                perform linked.fill_gaps(v_owners, v_checksums, v_ids);
                delete from linked.dismissal using stale where dismissal.source_id = stale.id;
                perform linked.refresh_membership(array(
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from stale
                    where "libraryId" is not null
                    union
                    -- A still went for its account alone, and nothing else of its group: its video goes too.
                    select video.source_id
                    from stale
                    join linked.member video on video.asset_id = stale."livePhotoVideoId" and (not video.can_write or video.deletes_own)
                    join public.asset still on still."livePhotoVideoId" = video.source_id
                ));
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_delete() is 'Deletes what is left of the groups of deleted members, and links what they had kept out.';
create or replace trigger linked_asset_delete after delete on public."asset"
referencing old table as stale
for each statement execute function linked.on_asset_delete();
comment on trigger linked_asset_delete on public."asset" is 'Deletes what is left of the groups of deleted members, and links what they had kept out.';

create or replace function linked.redo_asset_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_groups uuid[];
                v_gone uuid[];
                v_credited uuid[];
                v_stacks uuid[];
                v_owners uuid[];
                v_checksums bytea[];
                v_ids uuid[];
            begin
                insert into linked.dismissal (source_id, user_id)
                select member.source_id, member.owner_id
                from jsonb_populate_recordset(null::public."asset", p_stale) as stale
                join linked.member on member.asset_id = stale.id
                join public."user" account on account.id = stale."ownerId"
                where (not member.can_write or member.deletes_own)
                on conflict do nothing;

                select
                    array_agg(distinct member.source_id) filter (
                        where member.asset_id = member.source_id
                            or account.id is not null and (
                                not (not member.can_write or member.deletes_own)
                                -- The still went for all of them, and Immich deletes the file of its video through this member.
                                or stale.visibility = 'hidden' and not exists (
                                    select from linked.member video
                                    join public.asset still on still."livePhotoVideoId" = video.asset_id
                                    where video.source_id = member.source_id
                                )
                            )
                    ),
                    array_agg(member.asset_id),
                    array_agg(member.asset_id) filter (where account.id is not null and (not member.can_write or member.deletes_own))
                into v_groups, v_gone, v_credited
                from jsonb_populate_recordset(null::public."asset", p_stale) as stale
                join linked.member on member.asset_id = stale.id
                left join public."user" account on account.id = stale."ownerId";
                -- Immich looks after a stack only when it loses its primary asset.
                v_stacks := array(
                    select stack_pair.stack_id from jsonb_populate_recordset(null::public."asset", p_stale) as stale join linked.stack_pair on stack_pair.stack_id = stale."stackId"
                );
                delete from linked.unsettled using jsonb_populate_recordset(null::public."asset", p_stale) as stale where unsettled.source_id = stale.id;
                perform linked.credit_quota(v_credited);
                perform linked.delete_groups(v_groups);
                perform linked.dissolve_stacks(v_stacks);
                if v_gone is not null then
                    perform linked.forget_members(v_gone);
                end if;

                select array_agg(stale."ownerId"), array_agg(stale.checksum), array_agg(stale.id)
                into v_owners, v_checksums, v_ids
                from jsonb_populate_recordset(null::public."asset", p_stale) as stale;
                perform linked.fill_gaps(v_owners, v_checksums, v_ids);
                delete from linked.dismissal using jsonb_populate_recordset(null::public."asset", p_stale) as stale where dismissal.source_id = stale.id;
                perform linked.refresh_membership(array(
                    select linked.sources_on(array_agg("ownerId"), array_agg("originalPath"::text))
                    from jsonb_populate_recordset(null::public."asset", p_stale) as stale
                    where "libraryId" is not null
                    union
                    -- A still went for its account alone, and nothing else of its group: its video goes too.
                    select video.source_id
                    from jsonb_populate_recordset(null::public."asset", p_stale) as stale
                    join linked.member video on video.asset_id = stale."livePhotoVideoId" and (not video.can_write or video.deletes_own)
                    join public.asset still on still."livePhotoVideoId" = video.source_id
                ));
            end;

end
$linked$;
comment on function linked.redo_asset_delete(jsonb, jsonb, text) is
    'Does what was noted: deletes what is left of the groups of deleted members, and links what they had kept out.';

-- Propagate: make siblings' shared columns and rows equal to those of one member, touching only what differs.


-- A statement can change several members of a group at once; siblings then take after one of them, the source for choice.
-- What a viewer changed is undone by taking after the source, unless a job of Immich's changed it together with files on
-- disk (p_followed): there the change has to be followed, because the old file is gone.
create or replace function linked.siblings(
    p_changed uuid[], p_followed boolean, out from_ids uuid[], out to_ids uuid[]
)
language plpgsql stable
as $linked$
declare
    v_source uuid;
    v_from uuid;
begin
    -- Others may have deleted assets, and wait for their turn to have it noticed.
    if cardinality(p_changed) = 1 then
        select source_id, case when can_write or p_followed then asset_id else source_id end
        into v_source, v_from
        from linked.member where asset_id = p_changed[1];
        select array_agg(theirs.id), array_agg(mine.id) into from_ids, to_ids
        from public.asset theirs
        join linked.member on member.source_id = v_source and member.asset_id <> v_from
        join public.asset mine on mine.id = member.asset_id
        where theirs.id = v_from;
        return;
    end if;
    with origin as (
        select distinct on (member.source_id)
            member.source_id,
            case when member.can_write or p_followed then member.asset_id else member.source_id end as asset_id
        from linked.member
        where member.asset_id = any (p_changed)
        order by member.source_id, member.can_write desc, member.asset_id = member.source_id desc, member.asset_id
    )
    select array_agg(theirs.id), array_agg(mine.id) into from_ids, to_ids
    from origin join linked.member using (source_id)
    join public.asset theirs on theirs.id = origin.asset_id
    join public.asset mine on mine.id = member.asset_id
    where member.asset_id <> origin.asset_id;
end
$linked$;
comment on function linked.siblings(uuid[], boolean) is
    'For members that changed: whom to take as origin, and which siblings to make equal to it, pair by pair. Null: there are none.';

-- The locked folder is personal: nobody is locked by a sibling, and a locked clone stays locked whatever the others do. What
-- a source is marked with until its thumbnails (or video) are made anew is its own.
create or replace function linked.propagate_asset(p_from uuid[], p_to uuid[], p_columns text[] default null) returns void
language plpgsql
as $linked$
begin
    if p_columns is null or 'checksum' = any (p_columns) then
        perform linked.make_room(p_from, p_to);
    end if;
    perform from public."asset" where id = any (p_to) for no key update nowait;
    update public.asset mine
    set "type" = case when (p_columns is null or 'type' = any (p_columns)) then theirs."type" else mine."type" end,
"originalPath" = case when (p_columns is null or 'originalPath' = any (p_columns)) then theirs."originalPath" else mine."originalPath" end,
"fileCreatedAt" = case when (p_columns is null or 'fileCreatedAt' = any (p_columns)) then theirs."fileCreatedAt" else mine."fileCreatedAt" end,
"fileModifiedAt" = case when (p_columns is null or 'fileModifiedAt' = any (p_columns)) then theirs."fileModifiedAt" else mine."fileModifiedAt" end,
"duration" = case when (p_columns is null or 'duration' = any (p_columns)) then theirs."duration" else mine."duration" end,
"checksum" = case when (p_columns is null or 'checksum' = any (p_columns)) then theirs."checksum" else mine."checksum" end,
"originalFileName" = case when (p_columns is null or 'originalFileName' = any (p_columns)) then theirs."originalFileName" else mine."originalFileName" end,
"isOffline" = case when (p_columns is null or 'isOffline' = any (p_columns)) then theirs."isOffline" else mine."isOffline" end,
"deletedAt" = case when (p_columns is null or 'deletedAt' = any (p_columns)) then theirs."deletedAt" else mine."deletedAt" end,
"localDateTime" = case when (p_columns is null or 'localDateTime' = any (p_columns)) then theirs."localDateTime" else mine."localDateTime" end,
"status" = case when (p_columns is null or 'status' = any (p_columns)) then theirs."status" else mine."status" end,
"width" = case when (p_columns is null or 'width' = any (p_columns)) then theirs."width" else mine."width" end,
"height" = case when (p_columns is null or 'height' = any (p_columns)) then theirs."height" else mine."height" end,
"checksumAlgorithm" = case when (p_columns is null or 'checksumAlgorithm' = any (p_columns)) then theirs."checksumAlgorithm" else mine."checksumAlgorithm" end,
        "visibility" = case when (p_columns is null or 'visibility' = any (p_columns)) then case when 'locked' in (mine.visibility, theirs.visibility) then mine.visibility else theirs.visibility end else mine."visibility" end,
        "thumbhash" = case when (p_columns is null or 'thumbhash' = any (p_columns)) then case when image.source_id in (mine.id, theirs.id) then mine."thumbhash" else theirs."thumbhash" end else mine."thumbhash" end,
        "isEdited" = case when (p_columns is null or 'isEdited' = any (p_columns)) then case when image.source_id in (mine.id, theirs.id) then mine."isEdited" else theirs."isEdited" end else mine."isEdited" end

    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join linked.member on member.asset_id = pair.to_id
    left join linked.unsettled image
        on image.source_id = member.source_id and image.what = 'image' and image.marked_at is not null
    left join linked.unsettled video
        on video.source_id = member.source_id and video.what = 'video' and video.marked_at is not null
    where mine.id = pair.to_id
        and (
            (p_columns is null or 'type' = any (p_columns)) and mine."type" is distinct from theirs."type" or
            (p_columns is null or 'originalPath' = any (p_columns)) and mine."originalPath" is distinct from theirs."originalPath" or
            (p_columns is null or 'fileCreatedAt' = any (p_columns)) and mine."fileCreatedAt" is distinct from theirs."fileCreatedAt" or
            (p_columns is null or 'fileModifiedAt' = any (p_columns)) and mine."fileModifiedAt" is distinct from theirs."fileModifiedAt" or
            (p_columns is null or 'duration' = any (p_columns)) and mine."duration" is distinct from theirs."duration" or
            (p_columns is null or 'checksum' = any (p_columns)) and mine."checksum" is distinct from theirs."checksum" or
            (p_columns is null or 'originalFileName' = any (p_columns)) and mine."originalFileName" is distinct from theirs."originalFileName" or
            (p_columns is null or 'isOffline' = any (p_columns)) and mine."isOffline" is distinct from theirs."isOffline" or
            (p_columns is null or 'deletedAt' = any (p_columns)) and mine."deletedAt" is distinct from theirs."deletedAt" or
            (p_columns is null or 'localDateTime' = any (p_columns)) and mine."localDateTime" is distinct from theirs."localDateTime" or
            (p_columns is null or 'status' = any (p_columns)) and mine."status" is distinct from theirs."status" or
            (p_columns is null or 'width' = any (p_columns)) and mine."width" is distinct from theirs."width" or
            (p_columns is null or 'height' = any (p_columns)) and mine."height" is distinct from theirs."height" or
            (p_columns is null or 'checksumAlgorithm' = any (p_columns)) and mine."checksumAlgorithm" is distinct from theirs."checksumAlgorithm" or
            (p_columns is null or 'visibility' = any (p_columns)) and mine."visibility" is distinct from case when 'locked' in (mine.visibility, theirs.visibility) then mine.visibility else theirs.visibility end or
            (p_columns is null or 'thumbhash' = any (p_columns)) and mine."thumbhash" is distinct from case when image.source_id in (mine.id, theirs.id) then mine."thumbhash" else theirs."thumbhash" end or
            (p_columns is null or 'isEdited' = any (p_columns)) and mine."isEdited" is distinct from case when image.source_id in (mine.id, theirs.id) then mine."isEdited" else theirs."isEdited" end
        );
end
$linked$;
comment on function linked.propagate_asset(uuid[], uuid[], text[]) is
    'Makes these columns of asset (null: all that are shared) of the members p_to equal to those of p_from, pair by pair.';

-- Immich's unique index on (owner, checksum) leaves room for one row of a content in each account. When the content of a
-- group changes, clones whose owner already has the new content are unlinked (their own copy stays). Where it is the
-- source's owner who has it, the member that brought the new content becomes an asset of its own.
create or replace function linked.make_room(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_taken uuid[];
    v_released uuid[];
begin
    select array_agg(mine.id), array_agg(pair.from_id) filter (where member.asset_id = member.source_id)
    into v_taken, v_released
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join public.asset mine on mine.id = pair.to_id
    join linked.member on member.asset_id = mine.id
    where mine.checksum <> theirs.checksum
        and mine."libraryId" is null
        and exists (
            select from public.asset other
            where other."ownerId" = mine."ownerId" and other.checksum = theirs.checksum
                and other."libraryId" is null and other.id <> mine.id
        );
    if v_taken is null then
        return;
    end if;
    perform linked.make_own(v_released);
    perform linked.unlink(array(
        select asset_id from linked.member where asset_id = any (v_taken) and asset_id <> source_id
    ));
end
$linked$;
comment on function linked.make_room(uuid[], uuid[]) is
    'Keeps a change of content from running into a row of the same content that an account already has.';

-- Thumbhash and encoded video that a job of Immich made for a viewer's clone: the source takes them over, so that everybody
-- follows; but not while it is marked to have its own made. (A viewer's sidecar is the viewer's own.)
create or replace function linked.follow_viewers(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id in (select source_id from linked.member where asset_id = any (p_changed) and not can_write) for no key update nowait;
    update public.asset source
    set "thumbhash" = theirs."thumbhash"
    from linked.member
    join public.asset theirs on theirs.id = member.asset_id
    where member.asset_id = any (p_changed) and not member.can_write
        and source.id = member.source_id
        and source."thumbhash" is distinct from theirs."thumbhash"
        and not exists (
            select from linked.unsettled
            where unsettled.source_id = source.id and marked_at is not null
                and what = 'image'
        );
end
$linked$;
comment on function linked.follow_viewers(uuid[]) is
    'Brings what Immich''s jobs produced on clones of viewers to their sources.';

create or replace function linked.propagate_asset_exif(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."asset_exif" where "assetId" = any (p_to) for no key update nowait;
        update public.asset_exif mine
        set "make" = case when (p_columns is null or 'make' = any (p_columns)) then theirs."make" else mine."make" end,
"model" = case when (p_columns is null or 'model' = any (p_columns)) then theirs."model" else mine."model" end,
"exifImageWidth" = case when (p_columns is null or 'exifImageWidth' = any (p_columns)) then theirs."exifImageWidth" else mine."exifImageWidth" end,
"exifImageHeight" = case when (p_columns is null or 'exifImageHeight' = any (p_columns)) then theirs."exifImageHeight" else mine."exifImageHeight" end,
"fileSizeInByte" = case when (p_columns is null or 'fileSizeInByte' = any (p_columns)) then theirs."fileSizeInByte" else mine."fileSizeInByte" end,
"orientation" = case when (p_columns is null or 'orientation' = any (p_columns)) then theirs."orientation" else mine."orientation" end,
"dateTimeOriginal" = case when (p_columns is null or 'dateTimeOriginal' = any (p_columns)) then theirs."dateTimeOriginal" else mine."dateTimeOriginal" end,
"modifyDate" = case when (p_columns is null or 'modifyDate' = any (p_columns)) then theirs."modifyDate" else mine."modifyDate" end,
"lensModel" = case when (p_columns is null or 'lensModel' = any (p_columns)) then theirs."lensModel" else mine."lensModel" end,
"fNumber" = case when (p_columns is null or 'fNumber' = any (p_columns)) then theirs."fNumber" else mine."fNumber" end,
"focalLength" = case when (p_columns is null or 'focalLength' = any (p_columns)) then theirs."focalLength" else mine."focalLength" end,
"iso" = case when (p_columns is null or 'iso' = any (p_columns)) then theirs."iso" else mine."iso" end,
"latitude" = case when (p_columns is null or 'latitude' = any (p_columns)) then theirs."latitude" else mine."latitude" end,
"longitude" = case when (p_columns is null or 'longitude' = any (p_columns)) then theirs."longitude" else mine."longitude" end,
"city" = case when (p_columns is null or 'city' = any (p_columns)) then theirs."city" else mine."city" end,
"state" = case when (p_columns is null or 'state' = any (p_columns)) then theirs."state" else mine."state" end,
"country" = case when (p_columns is null or 'country' = any (p_columns)) then theirs."country" else mine."country" end,
"description" = case when (p_columns is null or 'description' = any (p_columns)) then theirs."description" else mine."description" end,
"fps" = case when (p_columns is null or 'fps' = any (p_columns)) then theirs."fps" else mine."fps" end,
"exposureTime" = case when (p_columns is null or 'exposureTime' = any (p_columns)) then theirs."exposureTime" else mine."exposureTime" end,
"livePhotoCID" = case when (p_columns is null or 'livePhotoCID' = any (p_columns)) then theirs."livePhotoCID" else mine."livePhotoCID" end,
"timeZone" = case when (p_columns is null or 'timeZone' = any (p_columns)) then theirs."timeZone" else mine."timeZone" end,
"projectionType" = case when (p_columns is null or 'projectionType' = any (p_columns)) then theirs."projectionType" else mine."projectionType" end,
"profileDescription" = case when (p_columns is null or 'profileDescription' = any (p_columns)) then theirs."profileDescription" else mine."profileDescription" end,
"colorspace" = case when (p_columns is null or 'colorspace' = any (p_columns)) then theirs."colorspace" else mine."colorspace" end,
"bitsPerSample" = case when (p_columns is null or 'bitsPerSample' = any (p_columns)) then theirs."bitsPerSample" else mine."bitsPerSample" end,
"autoStackId" = case when (p_columns is null or 'autoStackId' = any (p_columns)) then theirs."autoStackId" else mine."autoStackId" end,
"rating" = case when (p_columns is null or 'rating' = any (p_columns)) then theirs."rating" else mine."rating" end,
"lockedProperties" = case when (p_columns is null or 'lockedProperties' = any (p_columns)) then theirs."lockedProperties" else mine."lockedProperties" end,
"tags" = case when (p_columns is null or 'tags' = any (p_columns)) then theirs."tags" else mine."tags" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset_exif theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."make", mine."model", mine."exifImageWidth", mine."exifImageHeight", mine."fileSizeInByte", mine."orientation", mine."dateTimeOriginal", mine."modifyDate", mine."lensModel", mine."fNumber", mine."focalLength", mine."iso", mine."latitude", mine."longitude", mine."city", mine."state", mine."country", mine."description", mine."fps", mine."exposureTime", mine."livePhotoCID", mine."timeZone", mine."projectionType", mine."profileDescription", mine."colorspace", mine."bitsPerSample", mine."autoStackId", mine."rating", mine."lockedProperties", mine."tags")::record *<> row(theirs."make", theirs."model", theirs."exifImageWidth", theirs."exifImageHeight", theirs."fileSizeInByte", theirs."orientation", theirs."dateTimeOriginal", theirs."modifyDate", theirs."lensModel", theirs."fNumber", theirs."focalLength", theirs."iso", theirs."latitude", theirs."longitude", theirs."city", theirs."state", theirs."country", theirs."description", theirs."fps", theirs."exposureTime", theirs."livePhotoCID", theirs."timeZone", theirs."projectionType", theirs."profileDescription", theirs."colorspace", theirs."bitsPerSample", theirs."autoStackId", theirs."rating", theirs."lockedProperties", theirs."tags")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        -- What a viewer writes before the source has anything (a picture of a library that Immich has not read yet).
        delete from public.asset_exif mine
        using unnest(p_from, p_to) as pair (from_id, to_id), linked.member
        where mine."assetId" = pair.to_id and member.asset_id = pair.to_id and not member.can_write
            and not exists (select from public.asset_exif theirs where theirs."assetId" = pair.from_id);
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_exif ("assetId", "make", "model", "exifImageWidth", "exifImageHeight", "fileSizeInByte", "orientation", "dateTimeOriginal", "modifyDate", "lensModel", "fNumber", "focalLength", "iso", "latitude", "longitude", "city", "state", "country", "description", "fps", "exposureTime", "livePhotoCID", "timeZone", "projectionType", "profileDescription", "colorspace", "bitsPerSample", "autoStackId", "rating", "lockedProperties", "tags")
    select pair.to_id, theirs."make", theirs."model", theirs."exifImageWidth", theirs."exifImageHeight", theirs."fileSizeInByte", theirs."orientation", theirs."dateTimeOriginal", theirs."modifyDate", theirs."lensModel", theirs."fNumber", theirs."focalLength", theirs."iso", theirs."latitude", theirs."longitude", theirs."city", theirs."state", theirs."country", theirs."description", theirs."fps", theirs."exposureTime", theirs."livePhotoCID", theirs."timeZone", theirs."projectionType", theirs."profileDescription", theirs."colorspace", theirs."bitsPerSample", theirs."autoStackId", theirs."rating", theirs."lockedProperties", theirs."tags"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_exif theirs on theirs."assetId" = pair.from_id
    left join public.asset_exif mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_exif(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_exif (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_file(
    p_from uuid[], p_to uuid[], p_keys text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
begin
    if not p_are_new then
        perform from public."asset_file" where "assetId" = any (p_to) for no key update nowait;
        delete from public.asset_file mine
        using unnest(p_from, p_to) as pair (from_id, to_id)
        where mine."assetId" = pair.to_id
            and not exists (
                select from public.asset_file theirs
                where theirs."assetId" = pair.from_id
                    and theirs."type" = mine."type"
                    and theirs."isEdited" = mine."isEdited"
            )
        and (p_keys is null or row(mine."type", mine."isEdited")::text = any (p_keys))
        and (
            mine.type <> 'encoded_video'
            or not exists (
                select from linked.member
                join linked.unsettled on unsettled.source_id = member.source_id and what = 'video' and marked_at is not null
                where member.asset_id = pair.from_id
            )
        );
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_file ("assetId", "type", "isEdited", "path", "isProgressive", "isTransparent")
    select pair.to_id, theirs."type", theirs."isEdited", theirs."path", theirs."isProgressive", theirs."isTransparent"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_file theirs on theirs."assetId" = pair.from_id
    left join public.asset_file mine
        on mine."assetId" = pair.to_id and mine."type" = theirs."type" and mine."isEdited" = theirs."isEdited"
    where (select linked.keep_plans()) and (
        mine."assetId" is null or row(mine."path", mine."isProgressive", mine."isTransparent")::record *<> row(theirs."path", theirs."isProgressive", theirs."isTransparent")::record)
        and (p_keys is null or row(theirs."type", theirs."isEdited")::text = any (p_keys))
        and (
            theirs.type <> 'encoded_video'
            or not exists (
                select from linked.member
                join linked.unsettled on unsettled.source_id = member.source_id and what = 'video' and marked_at is not null
                where member.asset_id = pair.from_id
            )
        )
    on conflict ("assetId", "type", "isEdited") do update
    set "path" = excluded."path", "isProgressive" = excluded."isProgressive", "isTransparent" = excluded."isTransparent";
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_file(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_file (with these keys, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_job_status(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."asset_job_status" where "assetId" = any (p_to) for no key update nowait;
        update public.asset_job_status mine
        set "facesRecognizedAt" = case when (p_columns is null or 'facesRecognizedAt' = any (p_columns)) then theirs."facesRecognizedAt" else mine."facesRecognizedAt" end,
"metadataExtractedAt" = case when (p_columns is null or 'metadataExtractedAt' = any (p_columns)) then theirs."metadataExtractedAt" else mine."metadataExtractedAt" end,
"duplicatesDetectedAt" = case when (p_columns is null or 'duplicatesDetectedAt' = any (p_columns)) then theirs."duplicatesDetectedAt" else mine."duplicatesDetectedAt" end,
"ocrAt" = case when (p_columns is null or 'ocrAt' = any (p_columns)) then theirs."ocrAt" else mine."ocrAt" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset_job_status theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."facesRecognizedAt", mine."metadataExtractedAt", mine."duplicatesDetectedAt", mine."ocrAt")::record *<> row(theirs."facesRecognizedAt", theirs."metadataExtractedAt", theirs."duplicatesDetectedAt", theirs."ocrAt")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_job_status ("assetId", "facesRecognizedAt", "metadataExtractedAt", "duplicatesDetectedAt", "ocrAt")
    select pair.to_id, theirs."facesRecognizedAt", theirs."metadataExtractedAt", theirs."duplicatesDetectedAt", theirs."ocrAt"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_job_status theirs on theirs."assetId" = pair.from_id
    left join public.asset_job_status mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_job_status(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_job_status (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_smart_search(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."smart_search" where "assetId" = any (p_to) for no key update nowait;
        update public.smart_search mine
        set "embedding" = case when (p_columns is null or 'embedding' = any (p_columns)) then theirs."embedding" else mine."embedding" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.smart_search theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."embedding")::record *<> row(theirs."embedding")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.smart_search ("assetId", "embedding")
    select pair.to_id, theirs."embedding"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.smart_search theirs on theirs."assetId" = pair.from_id
    left join public.smart_search mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_smart_search(uuid[], uuid[], text[], boolean) is
    'Makes the rows of smart_search (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_video(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."asset_video" where "assetId" = any (p_to) for no key update nowait;
        update public.asset_video mine
        set "bitrate" = case when (p_columns is null or 'bitrate' = any (p_columns)) then theirs."bitrate" else mine."bitrate" end,
"frameCount" = case when (p_columns is null or 'frameCount' = any (p_columns)) then theirs."frameCount" else mine."frameCount" end,
"timeBase" = case when (p_columns is null or 'timeBase' = any (p_columns)) then theirs."timeBase" else mine."timeBase" end,
"index" = case when (p_columns is null or 'index' = any (p_columns)) then theirs."index" else mine."index" end,
"profile" = case when (p_columns is null or 'profile' = any (p_columns)) then theirs."profile" else mine."profile" end,
"level" = case when (p_columns is null or 'level' = any (p_columns)) then theirs."level" else mine."level" end,
"colorPrimaries" = case when (p_columns is null or 'colorPrimaries' = any (p_columns)) then theirs."colorPrimaries" else mine."colorPrimaries" end,
"colorTransfer" = case when (p_columns is null or 'colorTransfer' = any (p_columns)) then theirs."colorTransfer" else mine."colorTransfer" end,
"colorMatrix" = case when (p_columns is null or 'colorMatrix' = any (p_columns)) then theirs."colorMatrix" else mine."colorMatrix" end,
"dvProfile" = case when (p_columns is null or 'dvProfile' = any (p_columns)) then theirs."dvProfile" else mine."dvProfile" end,
"dvLevel" = case when (p_columns is null or 'dvLevel' = any (p_columns)) then theirs."dvLevel" else mine."dvLevel" end,
"dvBlSignalCompatibilityId" = case when (p_columns is null or 'dvBlSignalCompatibilityId' = any (p_columns)) then theirs."dvBlSignalCompatibilityId" else mine."dvBlSignalCompatibilityId" end,
"codecName" = case when (p_columns is null or 'codecName' = any (p_columns)) then theirs."codecName" else mine."codecName" end,
"formatName" = case when (p_columns is null or 'formatName' = any (p_columns)) then theirs."formatName" else mine."formatName" end,
"formatLongName" = case when (p_columns is null or 'formatLongName' = any (p_columns)) then theirs."formatLongName" else mine."formatLongName" end,
"pixelFormat" = case when (p_columns is null or 'pixelFormat' = any (p_columns)) then theirs."pixelFormat" else mine."pixelFormat" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset_video theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."bitrate", mine."frameCount", mine."timeBase", mine."index", mine."profile", mine."level", mine."colorPrimaries", mine."colorTransfer", mine."colorMatrix", mine."dvProfile", mine."dvLevel", mine."dvBlSignalCompatibilityId", mine."codecName", mine."formatName", mine."formatLongName", mine."pixelFormat")::record *<> row(theirs."bitrate", theirs."frameCount", theirs."timeBase", theirs."index", theirs."profile", theirs."level", theirs."colorPrimaries", theirs."colorTransfer", theirs."colorMatrix", theirs."dvProfile", theirs."dvLevel", theirs."dvBlSignalCompatibilityId", theirs."codecName", theirs."formatName", theirs."formatLongName", theirs."pixelFormat")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_video ("assetId", "bitrate", "frameCount", "timeBase", "index", "profile", "level", "colorPrimaries", "colorTransfer", "colorMatrix", "dvProfile", "dvLevel", "dvBlSignalCompatibilityId", "codecName", "formatName", "formatLongName", "pixelFormat")
    select pair.to_id, theirs."bitrate", theirs."frameCount", theirs."timeBase", theirs."index", theirs."profile", theirs."level", theirs."colorPrimaries", theirs."colorTransfer", theirs."colorMatrix", theirs."dvProfile", theirs."dvLevel", theirs."dvBlSignalCompatibilityId", theirs."codecName", theirs."formatName", theirs."formatLongName", theirs."pixelFormat"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_video theirs on theirs."assetId" = pair.from_id
    left join public.asset_video mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_video(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_video (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_audio(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."asset_audio" where "assetId" = any (p_to) for no key update nowait;
        update public.asset_audio mine
        set "bitrate" = case when (p_columns is null or 'bitrate' = any (p_columns)) then theirs."bitrate" else mine."bitrate" end,
"index" = case when (p_columns is null or 'index' = any (p_columns)) then theirs."index" else mine."index" end,
"profile" = case when (p_columns is null or 'profile' = any (p_columns)) then theirs."profile" else mine."profile" end,
"codecName" = case when (p_columns is null or 'codecName' = any (p_columns)) then theirs."codecName" else mine."codecName" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset_audio theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."bitrate", mine."index", mine."profile", mine."codecName")::record *<> row(theirs."bitrate", theirs."index", theirs."profile", theirs."codecName")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_audio ("assetId", "bitrate", "index", "profile", "codecName")
    select pair.to_id, theirs."bitrate", theirs."index", theirs."profile", theirs."codecName"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_audio theirs on theirs."assetId" = pair.from_id
    left join public.asset_audio mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_audio(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_audio (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_keyframe(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."asset_keyframe" where "assetId" = any (p_to) for no key update nowait;
        update public.asset_keyframe mine
        set "pts" = case when (p_columns is null or 'pts' = any (p_columns)) then theirs."pts" else mine."pts" end,
"accDuration" = case when (p_columns is null or 'accDuration' = any (p_columns)) then theirs."accDuration" else mine."accDuration" end,
"ownDuration" = case when (p_columns is null or 'ownDuration' = any (p_columns)) then theirs."ownDuration" else mine."ownDuration" end,
"totalDuration" = case when (p_columns is null or 'totalDuration' = any (p_columns)) then theirs."totalDuration" else mine."totalDuration" end,
"packetCount" = case when (p_columns is null or 'packetCount' = any (p_columns)) then theirs."packetCount" else mine."packetCount" end,
"outputFrames" = case when (p_columns is null or 'outputFrames' = any (p_columns)) then theirs."outputFrames" else mine."outputFrames" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset_keyframe theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."pts", mine."accDuration", mine."ownDuration", mine."totalDuration", mine."packetCount", mine."outputFrames")::record *<> row(theirs."pts", theirs."accDuration", theirs."ownDuration", theirs."totalDuration", theirs."packetCount", theirs."outputFrames")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_keyframe ("assetId", "pts", "accDuration", "ownDuration", "totalDuration", "packetCount", "outputFrames")
    select pair.to_id, theirs."pts", theirs."accDuration", theirs."ownDuration", theirs."totalDuration", theirs."packetCount", theirs."outputFrames"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_keyframe theirs on theirs."assetId" = pair.from_id
    left join public.asset_keyframe mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_keyframe(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_keyframe (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_edit(
    p_from uuid[], p_to uuid[], p_keys text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
begin
    if not p_are_new then
        perform from public."asset_edit" where "assetId" = any (p_to) for no key update nowait;
        with gone as (
        delete from public.asset_edit mine
        using unnest(p_from, p_to) as pair (from_id, to_id)
        where mine."assetId" = pair.to_id
            and not exists (
                select from public.asset_edit theirs
                where theirs."assetId" = pair.from_id
                    and theirs."sequence" = mine."sequence"
            )
        and (p_keys is null or row(mine."sequence")::text = any (p_keys))
        returning mine.*
        )
        insert into public.asset_edit_audit ("editId", "assetId")
        select id, "assetId" from gone where pg_trigger_depth() > 0;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_edit ("assetId", "sequence", "action", "parameters")
    select pair.to_id, theirs."sequence", theirs."action", theirs."parameters"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_edit theirs on theirs."assetId" = pair.from_id
    left join public.asset_edit mine
        on mine."assetId" = pair.to_id and mine."sequence" = theirs."sequence"
    where (select linked.keep_plans()) and (
        mine."assetId" is null or row(mine."action", mine."parameters")::record *<> row(theirs."action", theirs."parameters")::record)
        and (p_keys is null or row(theirs."sequence")::text = any (p_keys))
    on conflict ("assetId", "sequence") do update
    set "action" = excluded."action", "parameters" = excluded."parameters";
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_edit(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_edit (with these keys, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_asset_ocr(
    p_from uuid[], p_to uuid[], p_keys text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
begin
    if not p_are_new then
        perform from public."asset_ocr" where "assetId" = any (p_to) for no key update nowait;
        with gone as (
        delete from public.asset_ocr mine
        using unnest(p_from, p_to) as pair (from_id, to_id)
        where mine."assetId" = pair.to_id
            and not exists (
                select from public.asset_ocr theirs
                where theirs."assetId" = pair.from_id
                    and theirs."x1" = mine."x1"
                    and theirs."y1" = mine."y1"
                    and theirs."x2" = mine."x2"
                    and theirs."y2" = mine."y2"
                    and theirs."x3" = mine."x3"
                    and theirs."y3" = mine."y3"
                    and theirs."x4" = mine."x4"
                    and theirs."y4" = mine."y4"
                    and theirs."text" = mine."text"
            )
        and (p_keys is null or row(mine."x1", mine."y1", mine."x2", mine."y2", mine."x3", mine."y3", mine."x4", mine."y4", mine."text")::text = any (p_keys))
        returning mine.*
        )
        insert into public.asset_ocr_audit ("assetId")
        select "assetId" from gone where pg_trigger_depth() > 0;
        update public.asset_ocr mine
        set "boxScore" = theirs."boxScore", "textScore" = theirs."textScore", "isVisible" = theirs."isVisible"
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset_ocr theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id and mine."x1" = theirs."x1" and mine."y1" = theirs."y1" and mine."x2" = theirs."x2" and mine."y2" = theirs."y2" and mine."x3" = theirs."x3" and mine."y3" = theirs."y3" and mine."x4" = theirs."x4" and mine."y4" = theirs."y4" and mine."text" = theirs."text"
            and row(mine."boxScore", mine."textScore", mine."isVisible")::record *<> row(theirs."boxScore", theirs."textScore", theirs."isVisible")::record
        and (p_keys is null or row(mine."x1", mine."y1", mine."x2", mine."y2", mine."x3", mine."y3", mine."x4", mine."y4", mine."text")::text = any (p_keys));
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.asset_ocr ("assetId", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text", "boxScore", "textScore", "isVisible")
    select pair.to_id, theirs."x1", theirs."y1", theirs."x2", theirs."y2", theirs."x3", theirs."y3", theirs."x4", theirs."y4", theirs."text", theirs."boxScore", theirs."textScore", theirs."isVisible"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset_ocr theirs on theirs."assetId" = pair.from_id
    left join public.asset_ocr mine
        on mine."assetId" = pair.to_id and mine."x1" = theirs."x1" and mine."y1" = theirs."y1" and mine."x2" = theirs."x2" and mine."y2" = theirs."y2" and mine."x3" = theirs."x3" and mine."y3" = theirs."y3" and mine."x4" = theirs."x4" and mine."y4" = theirs."y4" and mine."text" = theirs."text"
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
        and (p_keys is null or row(theirs."x1", theirs."y1", theirs."x2", theirs."y2", theirs."x3", theirs."y3", theirs."x4", theirs."y4", theirs."text")::text = any (p_keys));
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_asset_ocr(uuid[], uuid[], text[], boolean) is
    'Makes the rows of asset_ocr (with these keys, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';
create or replace function linked.propagate_ocr_search(
    p_from uuid[], p_to uuid[], p_columns text[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_updated bigint;
begin
    if not p_are_new then
        perform from public."ocr_search" where "assetId" = any (p_to) for no key update nowait;
        delete from public.ocr_search mine
        using unnest(p_from, p_to) as pair (from_id, to_id)
        where mine."assetId" = pair.to_id
            and not exists (
                select from public.ocr_search theirs
                where theirs."assetId" = pair.from_id
            );
        update public.ocr_search mine
        set "text" = case when (p_columns is null or 'text' = any (p_columns)) then theirs."text" else mine."text" end

        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.ocr_search theirs on theirs."assetId" = pair.from_id
        where mine."assetId" = pair.to_id
            and row(mine."text")::record *<> row(theirs."text")::record;
        -- Nearly always that was all.
        get diagnostics v_updated = row_count;
        if v_updated = cardinality(p_to) then
            return;
        end if;
        perform from public."asset" where id = any (p_to) for key share nowait;
    end if;
    insert into public.ocr_search ("assetId", "text")
    select pair.to_id, theirs."text"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.ocr_search theirs on theirs."assetId" = pair.from_id
    left join public.ocr_search mine
        on mine."assetId" = pair.to_id
    where (select linked.keep_plans()) and (
        mine."assetId" is null)
    on conflict ("assetId") do nothing;
    perform linked.plan_anew();
end
$linked$;
comment on function linked.propagate_ocr_search(uuid[], uuid[], text[], boolean) is
    'Makes the rows of ocr_search (in these columns, null: all) of the members p_to equal to those of p_from, pair by pair. What is new has none yet.';

-- What a viewer's job wrote is undone, less files and what is read from the picture alone: then that it ran says nothing of the
-- source, and Immich's jobs for what is missing would pass the source by.
create or replace function linked.undo_viewers_status(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if cardinality(p_clones) = 0 then
        return;
    end if;
    delete from public.asset_job_status mine
    where mine."assetId" = any (p_clones)
        and mine."ocrAt" is null
        and not exists (
            select from linked.member join public.asset_job_status theirs on theirs."assetId" = member.source_id
            where member.asset_id = mine."assetId"
        );
    update public.asset_job_status mine
    set "facesRecognizedAt" = theirs."facesRecognizedAt", "metadataExtractedAt" = theirs."metadataExtractedAt", "duplicatesDetectedAt" = theirs."duplicatesDetectedAt"
    from linked.member
    left join public.asset_job_status theirs on theirs."assetId" = member.source_id
    where member.asset_id = any (p_clones) and mine."assetId" = member.asset_id
        and row(mine."facesRecognizedAt", mine."metadataExtractedAt", mine."duplicatesDetectedAt")::record *<> row(theirs."facesRecognizedAt", theirs."metadataExtractedAt", theirs."duplicatesDetectedAt")::record;
end
$linked$;
comment on function linked.undo_viewers_status(uuid[]) is
    'Gives clones of viewers back the job status of their sources, of all jobs whose product a viewer''s clone does not pass on.';

-- asset_job_status comes last: as soon as it is there, Immich's jobs may look at what the asset lacks.
create or replace function linked.propagate_rows(p_from uuid[], p_to uuid[], p_are_new boolean default false) returns void
language plpgsql
as $linked$
begin
    perform linked.propagate_asset_exif(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_file(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_smart_search(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_video(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_audio(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_keyframe(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_edit(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_ocr(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_ocr_search(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_faces(p_from, p_to, p_are_new => p_are_new);
    perform linked.propagate_asset_job_status(p_from, p_to, p_are_new => p_are_new);
end
$linked$;
comment on function linked.propagate_rows(uuid[], uuid[], boolean) is
    'Makes every row that hangs on the members p_to equal to those of p_from. On what is new none hangs yet.';

create or replace function linked.on_asset_exif_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_exif(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_exif insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_exif insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_exif insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_exif_insert() is 'Propagates rows of asset_exif to the siblings.';
create or replace trigger linked_asset_exif_insert after insert on public."asset_exif"
referencing new table as fresh
for each statement execute function linked.on_asset_exif_insert();
comment on trigger linked_asset_exif_insert on public."asset_exif" is 'Propagates rows of asset_exif to the siblings.';

create or replace function linked.redo_asset_exif_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_exif", p_fresh) as fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_exif(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_asset_exif_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_exif to the siblings.';
create or replace function linked.on_asset_exif_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."make" is distinct from stale."make") then 'make' end,
                case when bool_or(fresh."model" is distinct from stale."model") then 'model' end,
                case when bool_or(fresh."exifImageWidth" is distinct from stale."exifImageWidth") then 'exifImageWidth' end,
                case when bool_or(fresh."exifImageHeight" is distinct from stale."exifImageHeight") then 'exifImageHeight' end,
                case when bool_or(fresh."fileSizeInByte" is distinct from stale."fileSizeInByte") then 'fileSizeInByte' end,
                case when bool_or(fresh."orientation" is distinct from stale."orientation") then 'orientation' end,
                case when bool_or(fresh."dateTimeOriginal" is distinct from stale."dateTimeOriginal") then 'dateTimeOriginal' end,
                case when bool_or(fresh."modifyDate" is distinct from stale."modifyDate") then 'modifyDate' end,
                case when bool_or(fresh."lensModel" is distinct from stale."lensModel") then 'lensModel' end,
                case when bool_or(fresh."fNumber" is distinct from stale."fNumber") then 'fNumber' end,
                case when bool_or(fresh."focalLength" is distinct from stale."focalLength") then 'focalLength' end,
                case when bool_or(fresh."iso" is distinct from stale."iso") then 'iso' end,
                case when bool_or(fresh."latitude" is distinct from stale."latitude") then 'latitude' end,
                case when bool_or(fresh."longitude" is distinct from stale."longitude") then 'longitude' end,
                case when bool_or(fresh."city" is distinct from stale."city") then 'city' end,
                case when bool_or(fresh."state" is distinct from stale."state") then 'state' end,
                case when bool_or(fresh."country" is distinct from stale."country") then 'country' end,
                case when bool_or(fresh."description" is distinct from stale."description") then 'description' end,
                case when bool_or(fresh."fps" is distinct from stale."fps") then 'fps' end,
                case when bool_or(fresh."exposureTime" is distinct from stale."exposureTime") then 'exposureTime' end,
                case when bool_or(fresh."livePhotoCID" is distinct from stale."livePhotoCID") then 'livePhotoCID' end,
                case when bool_or(fresh."timeZone" is distinct from stale."timeZone") then 'timeZone' end,
                case when bool_or(fresh."projectionType" is distinct from stale."projectionType") then 'projectionType' end,
                case when bool_or(fresh."profileDescription" is distinct from stale."profileDescription") then 'profileDescription' end,
                case when bool_or(fresh."colorspace" is distinct from stale."colorspace") then 'colorspace' end,
                case when bool_or(fresh."bitsPerSample" is distinct from stale."bitsPerSample") then 'bitsPerSample' end,
                case when bool_or(fresh."autoStackId" is distinct from stale."autoStackId") then 'autoStackId' end,
                case when bool_or(fresh."rating" is distinct from stale."rating") then 'rating' end,
                case when bool_or(fresh."lockedProperties" is distinct from stale."lockedProperties") then 'lockedProperties' end,
                case when bool_or(fresh."tags" is distinct from stale."tags") then 'tags' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_exif(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_exif update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_exif update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_exif update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_exif_update() is 'Propagates rows of asset_exif to the siblings.';
create or replace trigger linked_asset_exif_update after update on public."asset_exif"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_exif_update();
comment on trigger linked_asset_exif_update on public."asset_exif" is 'Propagates rows of asset_exif to the siblings.';

create or replace function linked.redo_asset_exif_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."make" is distinct from stale."make") then 'make' end,
                case when bool_or(fresh."model" is distinct from stale."model") then 'model' end,
                case when bool_or(fresh."exifImageWidth" is distinct from stale."exifImageWidth") then 'exifImageWidth' end,
                case when bool_or(fresh."exifImageHeight" is distinct from stale."exifImageHeight") then 'exifImageHeight' end,
                case when bool_or(fresh."fileSizeInByte" is distinct from stale."fileSizeInByte") then 'fileSizeInByte' end,
                case when bool_or(fresh."orientation" is distinct from stale."orientation") then 'orientation' end,
                case when bool_or(fresh."dateTimeOriginal" is distinct from stale."dateTimeOriginal") then 'dateTimeOriginal' end,
                case when bool_or(fresh."modifyDate" is distinct from stale."modifyDate") then 'modifyDate' end,
                case when bool_or(fresh."lensModel" is distinct from stale."lensModel") then 'lensModel' end,
                case when bool_or(fresh."fNumber" is distinct from stale."fNumber") then 'fNumber' end,
                case when bool_or(fresh."focalLength" is distinct from stale."focalLength") then 'focalLength' end,
                case when bool_or(fresh."iso" is distinct from stale."iso") then 'iso' end,
                case when bool_or(fresh."latitude" is distinct from stale."latitude") then 'latitude' end,
                case when bool_or(fresh."longitude" is distinct from stale."longitude") then 'longitude' end,
                case when bool_or(fresh."city" is distinct from stale."city") then 'city' end,
                case when bool_or(fresh."state" is distinct from stale."state") then 'state' end,
                case when bool_or(fresh."country" is distinct from stale."country") then 'country' end,
                case when bool_or(fresh."description" is distinct from stale."description") then 'description' end,
                case when bool_or(fresh."fps" is distinct from stale."fps") then 'fps' end,
                case when bool_or(fresh."exposureTime" is distinct from stale."exposureTime") then 'exposureTime' end,
                case when bool_or(fresh."livePhotoCID" is distinct from stale."livePhotoCID") then 'livePhotoCID' end,
                case when bool_or(fresh."timeZone" is distinct from stale."timeZone") then 'timeZone' end,
                case when bool_or(fresh."projectionType" is distinct from stale."projectionType") then 'projectionType' end,
                case when bool_or(fresh."profileDescription" is distinct from stale."profileDescription") then 'profileDescription' end,
                case when bool_or(fresh."colorspace" is distinct from stale."colorspace") then 'colorspace' end,
                case when bool_or(fresh."bitsPerSample" is distinct from stale."bitsPerSample") then 'bitsPerSample' end,
                case when bool_or(fresh."autoStackId" is distinct from stale."autoStackId") then 'autoStackId' end,
                case when bool_or(fresh."rating" is distinct from stale."rating") then 'rating' end,
                case when bool_or(fresh."lockedProperties" is distinct from stale."lockedProperties") then 'lockedProperties' end,
                case when bool_or(fresh."tags" is distinct from stale."tags") then 'tags' end
            ], null)
            from jsonb_populate_recordset(null::public."asset_exif", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset_exif", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_exif", p_fresh) as fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_exif(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_asset_exif_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_exif to the siblings.';
create or replace function linked.on_asset_file_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("type", "isEdited")::text from fresh
            );
            begin
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type || case when "isEdited" then ' edited' else '' end as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select *, null as old_path, path as new_path from fresh
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from fresh limit 2) as first
            ) = 1;
            perform linked.note_settled(array(select "assetId" from fresh where type = 'encoded_video'));
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_file(v_from, v_to, v_keys);
            end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_file insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_file insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_file insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_file_insert() is 'Propagates rows of asset_file to the siblings.';
create or replace trigger linked_asset_file_insert after insert on public."asset_file"
referencing new table as fresh
for each statement execute function linked.on_asset_file_insert();
comment on trigger linked_asset_file_insert on public."asset_file" is 'Propagates rows of asset_file to the siblings.';

create or replace function linked.redo_asset_file_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("type", "isEdited")::text from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh
            );
            begin
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type || case when "isEdited" then ' edited' else '' end as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select *, null as old_path, path as new_path from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh limit 2) as first
            ) = 1;
            perform linked.note_settled(array(select "assetId" from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh where type = 'encoded_video'));
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_file(v_from, v_to, v_keys);
            end if;
            end;

end
$linked$;
comment on function linked.redo_asset_file_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_file to the siblings.';
create or replace function linked.on_asset_file_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("type", "isEdited")::text from fresh
                union
                select row("type", "isEdited")::text from stale
            );
            begin
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type || case when "isEdited" then ' edited' else '' end as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select *, path as old_path, null as new_path from stale
                        union all
                        select *, null as old_path, path as new_path from fresh
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from fresh limit 2) as first
            ) = 1;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_file(v_from, v_to, v_keys);
            end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_file update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_file update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_file update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_file_update() is 'Propagates rows of asset_file to the siblings.';
create or replace trigger linked_asset_file_update after update on public."asset_file"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_file_update();
comment on trigger linked_asset_file_update on public."asset_file" is 'Propagates rows of asset_file to the siblings.';

create or replace function linked.redo_asset_file_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("type", "isEdited")::text from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh
                union
                select row("type", "isEdited")::text from jsonb_populate_recordset(null::public."asset_file", p_stale) as stale
            );
            begin
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type || case when "isEdited" then ' edited' else '' end as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select *, path as old_path, null as new_path from jsonb_populate_recordset(null::public."asset_file", p_stale) as stale
                        union all
                        select *, null as old_path, path as new_path from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh limit 2) as first
            ) = 1;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_file", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_file(v_from, v_to, v_keys);
            end if;
            end;

end
$linked$;
comment on function linked.redo_asset_file_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_file to the siblings.';
create or replace function linked.on_asset_file_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = stale."assetId") as source_id
                        from stale
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("type", "isEdited")::text from stale
            );
            begin
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type || case when "isEdited" then ' edited' else '' end as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select *, path as old_path, null as new_path from stale
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from stale limit 2) as first
            ) = 1;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_file(v_from, v_to, v_keys);
            end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_file delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_file delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_file delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_file_delete() is 'Propagates rows of asset_file to the siblings.';
create or replace trigger linked_asset_file_delete after delete on public."asset_file"
referencing old table as stale
for each statement execute function linked.on_asset_file_delete();
comment on trigger linked_asset_file_delete on public."asset_file" is 'Propagates rows of asset_file to the siblings.';

create or replace function linked.redo_asset_file_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("type", "isEdited")::text from jsonb_populate_recordset(null::public."asset_file", p_stale) as stale
            );
            begin
            -- A job tells of one asset's files; what writes those of several (a new media folder) is no job.
            perform linked.watch_produced(member.source_id, file.kinds, file.old_paths, file.new_paths)
            from (
                select "assetId", array_agg(kind) as kinds, array_agg(old_path) as old_paths, array_agg(new_path) as new_paths
                from (
                    select "assetId", type || case when "isEdited" then ' edited' else '' end as kind, max(old_path) as old_path, max(new_path) as new_path
                    from (
                        select *, path as old_path, null as new_path from jsonb_populate_recordset(null::public."asset_file", p_stale) as stale
                    ) as version
                    where type <> 'sidecar'
                    group by 1, 2
                ) as file
                group by "assetId"
            ) as file
            join linked.member on member.asset_id = file."assetId"
            where (
                select count(*)
                from (select distinct "assetId" from jsonb_populate_recordset(null::public."asset_file", p_stale) as stale limit 2) as first
            ) = 1;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_file", p_stale) as stale where exists (select from public.asset where asset.id = stale."assetId")),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_file(v_from, v_to, v_keys);
            end if;
            end;

end
$linked$;
comment on function linked.redo_asset_file_delete(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_file to the siblings.';
create or replace function linked.on_asset_job_status_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.undo_viewers_status(array(
                select member.asset_id
                from fresh join linked.member on member.asset_id = fresh."assetId"
                where not member.can_write
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_job_status(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_job_status insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_job_status insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_job_status insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_job_status_insert() is 'Propagates rows of asset_job_status to the siblings.';
create or replace trigger linked_asset_job_status_insert after insert on public."asset_job_status"
referencing new table as fresh
for each statement execute function linked.on_asset_job_status_insert();
comment on trigger linked_asset_job_status_insert on public."asset_job_status" is 'Propagates rows of asset_job_status to the siblings.';

create or replace function linked.redo_asset_job_status_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.undo_viewers_status(array(
                select member.asset_id
                from jsonb_populate_recordset(null::public."asset_job_status", p_fresh) as fresh join linked.member on member.asset_id = fresh."assetId"
                where not member.can_write
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_job_status", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_job_status(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_asset_job_status_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_job_status to the siblings.';
create or replace function linked.on_asset_job_status_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."facesRecognizedAt" is distinct from stale."facesRecognizedAt") then 'facesRecognizedAt' end,
                case when bool_or(fresh."metadataExtractedAt" is distinct from stale."metadataExtractedAt") then 'metadataExtractedAt' end,
                case when bool_or(fresh."duplicatesDetectedAt" is distinct from stale."duplicatesDetectedAt") then 'duplicatesDetectedAt' end,
                case when bool_or(fresh."ocrAt" is distinct from stale."ocrAt") then 'ocrAt' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.undo_viewers_status(array(
                select member.asset_id
                from fresh join linked.member on member.asset_id = fresh."assetId"
                where not member.can_write
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_job_status(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_job_status update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_job_status update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_job_status update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_job_status_update() is 'Propagates rows of asset_job_status to the siblings.';
create or replace trigger linked_asset_job_status_update after update on public."asset_job_status"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_job_status_update();
comment on trigger linked_asset_job_status_update on public."asset_job_status" is 'Propagates rows of asset_job_status to the siblings.';

create or replace function linked.redo_asset_job_status_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."facesRecognizedAt" is distinct from stale."facesRecognizedAt") then 'facesRecognizedAt' end,
                case when bool_or(fresh."metadataExtractedAt" is distinct from stale."metadataExtractedAt") then 'metadataExtractedAt' end,
                case when bool_or(fresh."duplicatesDetectedAt" is distinct from stale."duplicatesDetectedAt") then 'duplicatesDetectedAt' end,
                case when bool_or(fresh."ocrAt" is distinct from stale."ocrAt") then 'ocrAt' end
            ], null)
            from jsonb_populate_recordset(null::public."asset_job_status", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset_job_status", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            perform linked.undo_viewers_status(array(
                select member.asset_id
                from jsonb_populate_recordset(null::public."asset_job_status", p_fresh) as fresh join linked.member on member.asset_id = fresh."assetId"
                where not member.can_write
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_job_status", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_job_status(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_asset_job_status_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_job_status to the siblings.';
create or replace function linked.on_smart_search_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_smart_search(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'smart_search insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('smart_search insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in smart_search insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_smart_search_insert() is 'Propagates rows of smart_search to the siblings.';
create or replace trigger linked_smart_search_insert after insert on public."smart_search"
referencing new table as fresh
for each statement execute function linked.on_smart_search_insert();
comment on trigger linked_smart_search_insert on public."smart_search" is 'Propagates rows of smart_search to the siblings.';

create or replace function linked.redo_smart_search_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."smart_search", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_smart_search(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_smart_search_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of smart_search to the siblings.';
create or replace function linked.on_smart_search_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."embedding" is distinct from stale."embedding") then 'embedding' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_smart_search(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'smart_search update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('smart_search update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in smart_search update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_smart_search_update() is 'Propagates rows of smart_search to the siblings.';
create or replace trigger linked_smart_search_update after update on public."smart_search"
referencing old table as stale new table as fresh
for each statement execute function linked.on_smart_search_update();
comment on trigger linked_smart_search_update on public."smart_search" is 'Propagates rows of smart_search to the siblings.';

create or replace function linked.redo_smart_search_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."embedding" is distinct from stale."embedding") then 'embedding' end
            ], null)
            from jsonb_populate_recordset(null::public."smart_search", p_fresh) as fresh full join jsonb_populate_recordset(null::public."smart_search", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."smart_search", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_smart_search(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_smart_search_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of smart_search to the siblings.';
create or replace function linked.on_asset_video_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_video(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_video insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_video insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_video insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_video_insert() is 'Propagates rows of asset_video to the siblings.';
create or replace trigger linked_asset_video_insert after insert on public."asset_video"
referencing new table as fresh
for each statement execute function linked.on_asset_video_insert();
comment on trigger linked_asset_video_insert on public."asset_video" is 'Propagates rows of asset_video to the siblings.';

create or replace function linked.redo_asset_video_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_video", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_video(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_asset_video_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_video to the siblings.';
create or replace function linked.on_asset_video_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."bitrate" is distinct from stale."bitrate") then 'bitrate' end,
                case when bool_or(fresh."frameCount" is distinct from stale."frameCount") then 'frameCount' end,
                case when bool_or(fresh."timeBase" is distinct from stale."timeBase") then 'timeBase' end,
                case when bool_or(fresh."index" is distinct from stale."index") then 'index' end,
                case when bool_or(fresh."profile" is distinct from stale."profile") then 'profile' end,
                case when bool_or(fresh."level" is distinct from stale."level") then 'level' end,
                case when bool_or(fresh."colorPrimaries" is distinct from stale."colorPrimaries") then 'colorPrimaries' end,
                case when bool_or(fresh."colorTransfer" is distinct from stale."colorTransfer") then 'colorTransfer' end,
                case when bool_or(fresh."colorMatrix" is distinct from stale."colorMatrix") then 'colorMatrix' end,
                case when bool_or(fresh."dvProfile" is distinct from stale."dvProfile") then 'dvProfile' end,
                case when bool_or(fresh."dvLevel" is distinct from stale."dvLevel") then 'dvLevel' end,
                case when bool_or(fresh."dvBlSignalCompatibilityId" is distinct from stale."dvBlSignalCompatibilityId") then 'dvBlSignalCompatibilityId' end,
                case when bool_or(fresh."codecName" is distinct from stale."codecName") then 'codecName' end,
                case when bool_or(fresh."formatName" is distinct from stale."formatName") then 'formatName' end,
                case when bool_or(fresh."formatLongName" is distinct from stale."formatLongName") then 'formatLongName' end,
                case when bool_or(fresh."pixelFormat" is distinct from stale."pixelFormat") then 'pixelFormat' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_video(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_video update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_video update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_video update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_video_update() is 'Propagates rows of asset_video to the siblings.';
create or replace trigger linked_asset_video_update after update on public."asset_video"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_video_update();
comment on trigger linked_asset_video_update on public."asset_video" is 'Propagates rows of asset_video to the siblings.';

create or replace function linked.redo_asset_video_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."bitrate" is distinct from stale."bitrate") then 'bitrate' end,
                case when bool_or(fresh."frameCount" is distinct from stale."frameCount") then 'frameCount' end,
                case when bool_or(fresh."timeBase" is distinct from stale."timeBase") then 'timeBase' end,
                case when bool_or(fresh."index" is distinct from stale."index") then 'index' end,
                case when bool_or(fresh."profile" is distinct from stale."profile") then 'profile' end,
                case when bool_or(fresh."level" is distinct from stale."level") then 'level' end,
                case when bool_or(fresh."colorPrimaries" is distinct from stale."colorPrimaries") then 'colorPrimaries' end,
                case when bool_or(fresh."colorTransfer" is distinct from stale."colorTransfer") then 'colorTransfer' end,
                case when bool_or(fresh."colorMatrix" is distinct from stale."colorMatrix") then 'colorMatrix' end,
                case when bool_or(fresh."dvProfile" is distinct from stale."dvProfile") then 'dvProfile' end,
                case when bool_or(fresh."dvLevel" is distinct from stale."dvLevel") then 'dvLevel' end,
                case when bool_or(fresh."dvBlSignalCompatibilityId" is distinct from stale."dvBlSignalCompatibilityId") then 'dvBlSignalCompatibilityId' end,
                case when bool_or(fresh."codecName" is distinct from stale."codecName") then 'codecName' end,
                case when bool_or(fresh."formatName" is distinct from stale."formatName") then 'formatName' end,
                case when bool_or(fresh."formatLongName" is distinct from stale."formatLongName") then 'formatLongName' end,
                case when bool_or(fresh."pixelFormat" is distinct from stale."pixelFormat") then 'pixelFormat' end
            ], null)
            from jsonb_populate_recordset(null::public."asset_video", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset_video", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_video", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_video(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_asset_video_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_video to the siblings.';
create or replace function linked.on_asset_audio_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_audio(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_audio insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_audio insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_audio insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_audio_insert() is 'Propagates rows of asset_audio to the siblings.';
create or replace trigger linked_asset_audio_insert after insert on public."asset_audio"
referencing new table as fresh
for each statement execute function linked.on_asset_audio_insert();
comment on trigger linked_asset_audio_insert on public."asset_audio" is 'Propagates rows of asset_audio to the siblings.';

create or replace function linked.redo_asset_audio_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_audio", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_audio(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_asset_audio_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_audio to the siblings.';
create or replace function linked.on_asset_audio_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."bitrate" is distinct from stale."bitrate") then 'bitrate' end,
                case when bool_or(fresh."index" is distinct from stale."index") then 'index' end,
                case when bool_or(fresh."profile" is distinct from stale."profile") then 'profile' end,
                case when bool_or(fresh."codecName" is distinct from stale."codecName") then 'codecName' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_audio(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_audio update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_audio update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_audio update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_audio_update() is 'Propagates rows of asset_audio to the siblings.';
create or replace trigger linked_asset_audio_update after update on public."asset_audio"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_audio_update();
comment on trigger linked_asset_audio_update on public."asset_audio" is 'Propagates rows of asset_audio to the siblings.';

create or replace function linked.redo_asset_audio_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."bitrate" is distinct from stale."bitrate") then 'bitrate' end,
                case when bool_or(fresh."index" is distinct from stale."index") then 'index' end,
                case when bool_or(fresh."profile" is distinct from stale."profile") then 'profile' end,
                case when bool_or(fresh."codecName" is distinct from stale."codecName") then 'codecName' end
            ], null)
            from jsonb_populate_recordset(null::public."asset_audio", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset_audio", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_audio", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_audio(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_asset_audio_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_audio to the siblings.';
create or replace function linked.on_asset_keyframe_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_keyframe(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_keyframe insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_keyframe insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_keyframe insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_keyframe_insert() is 'Propagates rows of asset_keyframe to the siblings.';
create or replace trigger linked_asset_keyframe_insert after insert on public."asset_keyframe"
referencing new table as fresh
for each statement execute function linked.on_asset_keyframe_insert();
comment on trigger linked_asset_keyframe_insert on public."asset_keyframe" is 'Propagates rows of asset_keyframe to the siblings.';

create or replace function linked.redo_asset_keyframe_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_keyframe", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_keyframe(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_asset_keyframe_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_keyframe to the siblings.';
create or replace function linked.on_asset_keyframe_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."pts" is distinct from stale."pts") then 'pts' end,
                case when bool_or(fresh."accDuration" is distinct from stale."accDuration") then 'accDuration' end,
                case when bool_or(fresh."ownDuration" is distinct from stale."ownDuration") then 'ownDuration' end,
                case when bool_or(fresh."totalDuration" is distinct from stale."totalDuration") then 'totalDuration' end,
                case when bool_or(fresh."packetCount" is distinct from stale."packetCount") then 'packetCount' end,
                case when bool_or(fresh."outputFrames" is distinct from stale."outputFrames") then 'outputFrames' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_keyframe(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_keyframe update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_keyframe update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_keyframe update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_keyframe_update() is 'Propagates rows of asset_keyframe to the siblings.';
create or replace trigger linked_asset_keyframe_update after update on public."asset_keyframe"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_keyframe_update();
comment on trigger linked_asset_keyframe_update on public."asset_keyframe" is 'Propagates rows of asset_keyframe to the siblings.';

create or replace function linked.redo_asset_keyframe_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."pts" is distinct from stale."pts") then 'pts' end,
                case when bool_or(fresh."accDuration" is distinct from stale."accDuration") then 'accDuration' end,
                case when bool_or(fresh."ownDuration" is distinct from stale."ownDuration") then 'ownDuration' end,
                case when bool_or(fresh."totalDuration" is distinct from stale."totalDuration") then 'totalDuration' end,
                case when bool_or(fresh."packetCount" is distinct from stale."packetCount") then 'packetCount' end,
                case when bool_or(fresh."outputFrames" is distinct from stale."outputFrames") then 'outputFrames' end
            ], null)
            from jsonb_populate_recordset(null::public."asset_keyframe", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset_keyframe", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_keyframe", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_keyframe(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_asset_keyframe_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_keyframe to the siblings.';
create or replace function linked.on_asset_edit_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("sequence")::text from fresh
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_edit(v_from, v_to, v_keys);
            end if;
            perform linked.follow_edits(array(select "assetId" from fresh));
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_edit insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_edit insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_edit insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_edit_insert() is 'Propagates rows of asset_edit to the siblings.';
create or replace trigger linked_asset_edit_insert after insert on public."asset_edit"
referencing new table as fresh
for each statement execute function linked.on_asset_edit_insert();
comment on trigger linked_asset_edit_insert on public."asset_edit" is 'Propagates rows of asset_edit to the siblings.';

create or replace function linked.redo_asset_edit_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("sequence")::text from jsonb_populate_recordset(null::public."asset_edit", p_fresh) as fresh
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_edit", p_fresh) as fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_edit(v_from, v_to, v_keys);
            end if;
            perform linked.follow_edits(array(select "assetId" from jsonb_populate_recordset(null::public."asset_edit", p_fresh) as fresh));
            end;

end
$linked$;
comment on function linked.redo_asset_edit_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_edit to the siblings.';
create or replace function linked.on_asset_edit_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("sequence")::text from fresh
                union
                select row("sequence")::text from stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_edit(v_from, v_to, v_keys);
            end if;
            perform linked.follow_edits(array(select "assetId" from fresh));
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_edit update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_edit update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_edit update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_edit_update() is 'Propagates rows of asset_edit to the siblings.';
create or replace trigger linked_asset_edit_update after update on public."asset_edit"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_edit_update();
comment on trigger linked_asset_edit_update on public."asset_edit" is 'Propagates rows of asset_edit to the siblings.';

create or replace function linked.redo_asset_edit_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("sequence")::text from jsonb_populate_recordset(null::public."asset_edit", p_fresh) as fresh
                union
                select row("sequence")::text from jsonb_populate_recordset(null::public."asset_edit", p_stale) as stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_edit", p_fresh) as fresh),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_edit(v_from, v_to, v_keys);
            end if;
            perform linked.follow_edits(array(select "assetId" from jsonb_populate_recordset(null::public."asset_edit", p_fresh) as fresh));
            end;

end
$linked$;
comment on function linked.redo_asset_edit_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_edit to the siblings.';
create or replace function linked.on_asset_edit_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = stale."assetId") as source_id
                        from stale
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("sequence")::text from stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_edit(v_from, v_to, v_keys);
            end if;
            perform linked.follow_edits(array(select "assetId" from stale));
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_edit delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_edit delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_edit delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_edit_delete() is 'Propagates rows of asset_edit to the siblings.';
create or replace trigger linked_asset_edit_delete after delete on public."asset_edit"
referencing old table as stale
for each statement execute function linked.on_asset_edit_delete();
comment on trigger linked_asset_edit_delete on public."asset_edit" is 'Propagates rows of asset_edit to the siblings.';

create or replace function linked.redo_asset_edit_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("sequence")::text from jsonb_populate_recordset(null::public."asset_edit", p_stale) as stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_edit", p_stale) as stale where exists (select from public.asset where asset.id = stale."assetId")),
                false
            );
            if v_from is not null then
                perform linked.propagate_asset_edit(v_from, v_to, v_keys);
            end if;
            perform linked.follow_edits(array(select "assetId" from jsonb_populate_recordset(null::public."asset_edit", p_stale) as stale));
            end;

end
$linked$;
comment on function linked.redo_asset_edit_delete(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_edit to the siblings.';
create or replace function linked.on_asset_ocr_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from fresh
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_ocr(v_from, v_to, v_keys);
            end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_ocr insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_ocr insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_ocr insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_ocr_insert() is 'Propagates rows of asset_ocr to the siblings.';
create or replace trigger linked_asset_ocr_insert after insert on public."asset_ocr"
referencing new table as fresh
for each statement execute function linked.on_asset_ocr_insert();
comment on trigger linked_asset_ocr_insert on public."asset_ocr" is 'Propagates rows of asset_ocr to the siblings.';

create or replace function linked.redo_asset_ocr_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from jsonb_populate_recordset(null::public."asset_ocr", p_fresh) as fresh
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_ocr", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_ocr(v_from, v_to, v_keys);
            end if;
            end;

end
$linked$;
comment on function linked.redo_asset_ocr_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_ocr to the siblings.';
create or replace function linked.on_asset_ocr_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from fresh
                union
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_ocr(v_from, v_to, v_keys);
            end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_ocr update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_ocr update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_ocr update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_ocr_update() is 'Propagates rows of asset_ocr to the siblings.';
create or replace trigger linked_asset_ocr_update after update on public."asset_ocr"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_ocr_update();
comment on trigger linked_asset_ocr_update on public."asset_ocr" is 'Propagates rows of asset_ocr to the siblings.';

create or replace function linked.redo_asset_ocr_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from jsonb_populate_recordset(null::public."asset_ocr", p_fresh) as fresh
                union
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from jsonb_populate_recordset(null::public."asset_ocr", p_stale) as stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_ocr", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_ocr(v_from, v_to, v_keys);
            end if;
            end;

end
$linked$;
comment on function linked.redo_asset_ocr_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_ocr to the siblings.';
create or replace function linked.on_asset_ocr_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = stale."assetId") as source_id
                        from stale
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_keys pg_catalog.text[] := array(
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_ocr(v_from, v_to, v_keys);
            end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_ocr delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_ocr delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_ocr delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_ocr_delete() is 'Propagates rows of asset_ocr to the siblings.';
create or replace trigger linked_asset_ocr_delete after delete on public."asset_ocr"
referencing old table as stale
for each statement execute function linked.on_asset_ocr_delete();
comment on trigger linked_asset_ocr_delete on public."asset_ocr" is 'Propagates rows of asset_ocr to the siblings.';

create or replace function linked.redo_asset_ocr_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_keys text[] := array(
                select row("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "text")::text from jsonb_populate_recordset(null::public."asset_ocr", p_stale) as stale
            );
            begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_ocr", p_stale) as stale where exists (select from public.asset where asset.id = stale."assetId")),
                true
            );
            if v_from is not null then
                perform linked.propagate_asset_ocr(v_from, v_to, v_keys);
            end if;
            end;

end
$linked$;
comment on function linked.redo_asset_ocr_delete(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of asset_ocr to the siblings.';
create or replace function linked.on_ocr_search_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_ocr_search(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'ocr_search insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('ocr_search insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in ocr_search insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_ocr_search_insert() is 'Propagates rows of ocr_search to the siblings.';
create or replace trigger linked_ocr_search_insert after insert on public."ocr_search"
referencing new table as fresh
for each statement execute function linked.on_ocr_search_insert();
comment on trigger linked_ocr_search_insert on public."ocr_search" is 'Propagates rows of ocr_search to the siblings.';

create or replace function linked.redo_ocr_search_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."ocr_search", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_ocr_search(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_ocr_search_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of ocr_search to the siblings.';
create or replace function linked.on_ocr_search_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."text" is distinct from stale."text") then 'text' end
            ], null)
            from fresh full join stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_ocr_search(v_from, v_to, v_columns);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'ocr_search update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('ocr_search update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in ocr_search update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_ocr_search_update() is 'Propagates rows of ocr_search to the siblings.';
create or replace trigger linked_ocr_search_update after update on public."ocr_search"
referencing old table as stale new table as fresh
for each statement execute function linked.on_ocr_search_update();
comment on trigger linked_ocr_search_update on public."ocr_search" is 'Propagates rows of ocr_search to the siblings.';

create or replace function linked.redo_ocr_search_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."text" is distinct from stale."text") then 'text' end
            ], null)
            from jsonb_populate_recordset(null::public."ocr_search", p_fresh) as fresh full join jsonb_populate_recordset(null::public."ocr_search", p_stale) as stale using ("assetId")
            where (select true from linked.member where member.asset_id = fresh."assetId")
        );
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."ocr_search", p_fresh) as fresh),
                true
            );
            if v_from is not null then
                perform linked.propagate_ocr_search(v_from, v_to, v_columns);
            end if;

end
$linked$;
comment on function linked.redo_ocr_search_update(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of ocr_search to the siblings.';
create or replace function linked.on_ocr_search_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = stale."assetId") as source_id
                        from stale
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
                true
            );
            if v_from is not null then
                perform linked.propagate_ocr_search(v_from, v_to);
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'ocr_search delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('ocr_search delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in ocr_search delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_ocr_search_delete() is 'Propagates rows of ocr_search to the siblings.';
create or replace trigger linked_ocr_search_delete after delete on public."ocr_search"
referencing old table as stale
for each statement execute function linked.on_ocr_search_delete();
comment on trigger linked_ocr_search_delete on public."ocr_search" is 'Propagates rows of ocr_search to the siblings.';

create or replace function linked.redo_ocr_search_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."ocr_search", p_stale) as stale where exists (select from public.asset where asset.id = stale."assetId")),
                true
            );
            if v_from is not null then
                perform linked.propagate_ocr_search(v_from, v_to);
            end if;

end
$linked$;
comment on function linked.redo_ocr_search_delete(jsonb, jsonb, text) is
    'Does what was noted: propagates rows of ocr_search to the siblings.';

-- Immich replaces the edits of an asset in one transaction: it deletes all, and inserts without ON CONFLICT. In between there can be
-- some again: what a viewer may not delete, which stays, and what somebody did to a sibling, whose place the new ones take.
create or replace function linked.replace_edits() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
as $linked$
declare
    v_source uuid;
    v_can_write boolean;
begin
    if current_setting('linked.writing', true) = pg_current_xact_id_if_assigned()::text then
        return new;
    end if;
    select source_id, can_write into v_source, v_can_write from linked.member where member.asset_id = new."assetId";
    if v_source is null or not exists (select from linked.installation where suspended_at is null) then
        return new;
    end if;
    begin
        perform linked.wait_for_turn(array[v_source], false);
    exception when lock_not_available or deadlock_detected then
        -- Sync may have inserted one in a transaction that goes on and on: here its end is waited for without an error.
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.asset_edit ("assetId", sequence, action, parameters)
        values (new."assetId", new.sequence, new.action, new.parameters)
        on conflict do nothing;
        if found then
            delete from public.asset_edit where "assetId" = new."assetId" and sequence = new.sequence;
        end if;
        perform linked.stop_writing();
    end;
    if not v_can_write then
        return case
            when not exists (
                select from public.asset_edit known where known."assetId" = new."assetId" and known.sequence = new.sequence
            ) then new
        end;
    end if;
    -- Not as writing of the addon's own: it goes from the siblings, too.
    insert into public.asset_edit_audit ("editId", "assetId")
    select id, "assetId" from public.asset_edit where "assetId" = new."assetId" and sequence >= new.sequence;
    delete from public.asset_edit where "assetId" = new."assetId" and sequence >= new.sequence;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.replace_edits() is
    'Lets the edits that Immich inserts take the place of what sync has brought since Immich deleted the old ones; a viewer''s edits do not.';
create or replace trigger linked_asset_edit_replace before insert on public.asset_edit
for each row execute function linked.replace_edits();
comment on trigger linked_asset_edit_replace on public.asset_edit is
    'Lets the edits that Immich inserts take the place of what sync has brought since Immich deleted the old ones.';

-- Files that Immich's jobs produce, where jobs of one group's members overlap.
--
-- A job reads the path that its asset has, writes to a path of its own, tells the database, and then deletes what it had read.
-- The group takes over what it is told, so that its file can be deleted by a job only after the path was left and came back: then
-- whoever had read it before may still delete it. Neither file nor start of a job can be seen from here. So such a group is
-- remembered as unsettled, and when it has been quiet its source alone is marked the way in which Immich's job for what is
-- missing finds it: one job, no overlap.


-- A job tells of a file after it has written it, and deletes another one afterwards; in between, as long as this at most, another
-- job may do the same. Of a video the deletion is queued before the database is told, and encoding takes its time.
create or replace function linked.unsettled_for(p_kind text) returns interval
language sql immutable
as $linked$
    select case when p_kind = 'encoded_video' then interval '1 hour' else interval '10 minutes' end
$linked$;
comment on function linked.unsettled_for(text) is
    'How long files of a kind may still be deleted by jobs that overlapped with the one that was last heard of.';

-- Nothing is written for a group's first files, nor while only one member's jobs run. Of videos a job deletes what it has read only
-- where it tells that there is none any more.
create or replace function linked.watch_produced(p_source uuid, p_kinds text[], p_old text[], p_new text[]) returns void
language plpgsql
as $linked$
declare
    v_now timestamptz := clock_timestamp();
    v_back text[];
begin
    if not exists (select from linked.produced where source_id = p_source)
        and not exists (
            select from unnest(p_old, p_new) as told (old_path, new_path) where old_path <> coalesce(new_path, '')
        )
    then
        return;
    end if;
    v_back := array(
        select told.kind
        from unnest(p_kinds, p_old, p_new) as told (kind, old_path, new_path)
        join linked.produced back
            on back.source_id = p_source and back.kind = told.kind and back.path = told.new_path
        where told.new_path is distinct from told.old_path
            and exists (
                select from linked.produced other
                where other.source_id = p_source and other.kind = told.kind and other.path <> told.new_path
                    and (other.path = '' or told.kind <> 'encoded_video')
                    and other.told_at > v_now - linked.unsettled_for(told.kind)
            )
    );
    update linked.unsettled set since = v_now where source_id = p_source and marked_at is null;
    perform linked.remember_unsettled(array[p_source], what)
    from (
        select distinct case kind when 'encoded_video' then 'video' else 'image' end as what from unnest(v_back) as kind
    ) as back;

    insert into linked.produced (source_id, kind, path, told_at)
    select p_source, told.kind, known.path, v_now
    from unnest(p_kinds, p_old, p_new) as told (kind, old_path, new_path)
    cross join lateral (
        select coalesce(told.new_path, '') as path union select coalesce(told.old_path, told.new_path)
    ) as known
    where told.old_path <> coalesce(told.new_path, '')
        or exists (select from linked.produced where source_id = p_source and produced.kind = told.kind)
    on conflict (source_id, kind, md5(path)) do update set told_at = excluded.told_at
    where produced.path in (
        select coalesce(told.new_path, '')
        from unnest(p_kinds, p_new) as told (kind, new_path)
        where told.kind = produced.kind
    );
end
$linked$;
comment on function linked.watch_produced(uuid, text[], text[], text[]) is
    'Takes note of files that a job told of, and of the group as unsettled where a path comes back while others may still delete it.';

-- A few at a time: jobs for all assets leave some for every group.
create or replace function linked.forget_produced() returns void
language plpgsql
as $linked$
begin
    delete from linked.produced
    where ctid = any (array(
        select ctid from linked.produced where told_at < clock_timestamp() - interval '1 day' order by told_at limit 200
    ));
end
$linked$;
comment on function linked.forget_produced() is 'Forgets files of which jobs told more than a day ago.';

create or replace function linked.remember_unsettled(p_sources uuid[], p_what text) returns void
language plpgsql
as $linked$
begin
    insert into linked.unsettled (source_id, what)
    select source_id, p_what from unnest(p_sources) as source_id
    on conflict (source_id, what) do update set since = excluded.since;
    if found then
        perform linked.tell_of_work(true);
    end if;
end
$linked$;
comment on function linked.remember_unsettled(uuid[], text) is
    'Remembers groups whose thumbnails (image), or whose encoded video (video), may be without a file.';

-- Of what the source alone is marked with nothing is carried to the clones or from them (linked.propagate_asset): Immich's job for
-- what is missing would take them too, or not the source. It never takes a hidden video, the moving part of a live photo: there all
-- members do without the encoded file. Of a picture that is edited it makes only what the edits make of it (v2.5 to v3.1 at
-- least): until then the source passes for one that is not. An asset without siblings is told to Immich, no more: nothing overlaps.
create or replace function linked.settle() returns void
language plpgsql
as $linked$
declare
    v_images uuid[];
    v_videos uuid[];
begin
    perform linked.forget_produced();
    with due as (
        update linked.unsettled set marked_at = clock_timestamp()
        where (source_id, what) in (
            select source_id, what from linked.unsettled
            where marked_at is null
                and since < clock_timestamp() - linked.unsettled_for(case what when 'video' then 'encoded_video' end)
            order by since
            limit 100
        )
        returning source_id, what
    )
    select array_agg(source_id) filter (where what = 'image'), array_agg(source_id) filter (where what = 'video')
    into v_images, v_videos
    from due;
    if v_images is null and v_videos is null then
        return;
    end if;
    perform from public."asset" where id in (
            select unnest(v_images || v_videos)
            union all
            select asset_id from linked.member where source_id = any (v_images || v_videos)
        ) for no key update nowait;
    update public.asset
    set thumbhash = null,
        "isEdited" = "isEdited" and not exists (select from linked.member where member.asset_id = asset.id)
    where id = any (v_images);
    delete from public.asset_file where "assetId" = any (v_videos) and type = 'encoded_video';
    delete from public.asset_file mine
    using linked.member, public.asset source
    where member.source_id = any (v_videos) and source.id = member.source_id and source.visibility = 'hidden'
        and mine."assetId" = member.asset_id and mine.type = 'encoded_video';
    delete from linked.unsettled
    where source_id = any (v_images || v_videos) and not exists (select from linked.member where member.asset_id = source_id);
    delete from linked.unsettled
    using public.asset
    where source_id = any (v_videos) and what = 'video' and asset.id = source_id and asset.visibility = 'hidden';
end
$linked$;
comment on function linked.settle() is
    'Marks the sources of unsettled groups that have been quiet for Immich''s job for missing thumbnails (or videos).';

-- Of what is marked no more nothing is left but what Immich does about it.
create or replace function linked.forget_marks(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.unsettled where source_id = any (p_sources) and marked_at is not null;
    if found then
        perform linked.say_edited(p_sources);
    end if;
end
$linked$;
comment on function linked.forget_marks(uuid[]) is
    'Has assets that leave their groups pass no more for what they are not.';

-- The job of the source has written what was missing. Where others came in between, or the picture was edited meanwhile (then
-- it has written what the edits make of it, no more), the source is marked once more.
create or replace function linked.note_settled(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    if not exists (select from linked.unsettled where source_id = any (p_changed) and marked_at is not null) then
        return;
    end if;
    with written as (
        select source_id, what, since > marked_at or what = 'image' and "isEdited" as again
        from linked.unsettled join public.asset on asset.id = source_id
        where source_id = any (p_changed) and marked_at is not null
            and case what
                when 'image' then thumbhash is not null
                else exists (select from public.asset_file where "assetId" = asset.id and asset_file.type = 'encoded_video')
            end
    ), anew as (
        update linked.unsettled set marked_at = null
        from written
        where written.again and (unsettled.source_id, unsettled.what) = (written.source_id, written.what)
    )
    delete from linked.unsettled
    using written
    where not written.again and (unsettled.source_id, unsettled.what) = (written.source_id, written.what);
    perform linked.say_edited(p_changed);
    if exists (select from linked.unsettled where source_id = any (p_changed) and marked_at is null) then
        perform linked.tell_of_work(true);
    end if;
end
$linked$;
comment on function linked.note_settled(uuid[]) is
    'Forgets that groups are unsettled when what their source was marked with has been written.';

create or replace function linked.say_edited(p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[] := array(
        select id
        from public.asset
        where id = any (p_assets) and not "isEdited"
            and exists (select from public.asset_edit where asset_edit."assetId" = asset.id)
            and not exists (
                select from linked.unsettled
                where unsettled.source_id = asset.id and what = 'image' and marked_at is not null
            )
    );
begin
    if cardinality(v_assets) = 0 then
        return;
    end if;
    perform from public."asset" where id = any (v_assets) for no key update nowait;
    update public.asset set "isEdited" = true where id = any (v_assets);
end
$linked$;
comment on function linked.say_edited(uuid[]) is
    'Has those of these assets that passed for not edited, and are marked no more, say again that they are.';

-- Immich writes what it reads of the file unless the picture is edited, which a marked source does not say.
create or replace function linked.keep_measures(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    update public.asset source
    set width = theirs.width, height = theirs.height
    from (
        select distinct on (unsettled.source_id) unsettled.source_id, clone.width, clone.height
        from linked.unsettled
        join linked.member on member.source_id = unsettled.source_id and member.asset_id <> member.source_id
        join public.asset clone on clone.id = member.asset_id and clone."isEdited"
        where unsettled.source_id = any (p_changed) and what = 'image' and marked_at is not null
        order by unsettled.source_id, clone.id
    ) as theirs
    where source.id = theirs.source_id and not source."isEdited"
        and (source.width, source.height) is distinct from (theirs.width, theirs.height);
end
$linked$;
comment on function linked.keep_measures(uuid[]) is
    'Gives marked sources of edited pictures that have just changed the measures back that the edits give them.';

-- That the last edit is gone Immich tells of the asset that it was taken from, where it says it was edited: a marked source does not,
-- and what becomes of a marked source is not carried to the clones.
create or replace function linked.follow_edits(p_edited uuid[]) returns void
language plpgsql
as $linked$
declare
    v_clones uuid[] := array(
        select clone.asset_id
        from linked.member
        join linked.unsettled on unsettled.source_id = member.source_id and what = 'image' and marked_at is not null
        join linked.member clone on clone.source_id = member.source_id and clone.asset_id <> clone.source_id
        where member.asset_id = any (p_edited)
    );
begin
    if cardinality(v_clones) = 0 then
        return;
    end if;
    perform from public."asset" where id = any (v_clones) for no key update nowait;
    update public.asset
    set "isEdited" = not "isEdited"
    where id = any (v_clones)
        and "isEdited" <> exists (select from public.asset_edit where asset_edit."assetId" = asset.id);
end
$linked$;
comment on function linked.follow_edits(uuid[]) is
    'Has clones whose source is marked say whether they are edited.';

-- Faces: the same face on each member, told apart by a key because a face has no natural one.


-- What somebody else has done to other faces, and waits for a turn to have it noticed, is left to them.
create or replace function linked.propagate_faces(
    p_from uuid[], p_to uuid[], p_faces uuid[] default null, p_are_new boolean default false
) returns void
language plpgsql
as $linked$
declare
    v_keys uuid[];
begin
    if p_faces is not null then
        v_keys := array(
            select face_key from linked.face where face_id = any (p_faces) union select id from unnest(p_faces) as id
        );
    end if;
    delete from linked.face
    where (asset_id = any (p_from) or asset_id = any (p_to)) and (v_keys is null or face_key = any (v_keys))
        and not exists (select from public.asset_face where asset_face.id = face.face_id);
    if not exists (
        select from public.asset_face where "assetId" = any (p_from) or "assetId" = any (p_to)
    ) then
        return;
    end if;
    insert into linked.face (face_id, face_key, asset_id)
    select asset_face.id, asset_face.id, asset_face."assetId"
    from public.asset_face
    where asset_face."assetId" = any (p_from) and (p_faces is null or asset_face.id = any (p_faces))
    on conflict do nothing;

    if not p_are_new then
        perform from public."asset_face" where "assetId" = any (p_to) for no key update nowait;
        perform linked.leave_to_viewers(p_from, p_to, v_keys);
        -- Faces that the origin does not have, except those that a viewer drew by hand on a clone: they are the viewer's own.
        perform linked.delete_faces(array(
            select mine.id
            from unnest(p_from, p_to) as pair (from_id, to_id)
            join public.asset_face mine on mine."assetId" = pair.to_id
            join linked.member on member.asset_id = pair.to_id
            left join linked.face my_face on my_face.face_id = mine.id
            where (member.can_write or my_face.face_id is not null or mine."sourceType" <> 'manual')
                and (v_keys is null or my_face.face_key = any (v_keys) or my_face.face_id is null and mine.id = any (p_faces))
                and not exists (
                    select from linked.face their_face
                    where their_face.asset_id = pair.from_id and their_face.face_key = my_face.face_key
                )
        ));

        update public.asset_face mine
        set "imageWidth" = theirs."imageWidth", "imageHeight" = theirs."imageHeight", "boundingBoxX1" = theirs."boundingBoxX1", "boundingBoxY1" = theirs."boundingBoxY1", "boundingBoxX2" = theirs."boundingBoxX2", "boundingBoxY2" = theirs."boundingBoxY2", "sourceType" = theirs."sourceType", "deletedAt" = theirs."deletedAt", "isVisible" = theirs."isVisible"
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.face their_face on their_face.asset_id = pair.from_id
        join public.asset_face theirs on theirs.id = their_face.face_id
        join linked.face my_face on my_face.asset_id = pair.to_id and my_face.face_key = their_face.face_key
        where mine.id = my_face.face_id
            and (v_keys is null or their_face.face_key = any (v_keys))
            and row(mine."imageWidth", mine."imageHeight", mine."boundingBoxX1", mine."boundingBoxY1", mine."boundingBoxX2", mine."boundingBoxY2", mine."sourceType", mine."deletedAt", mine."isVisible")::record *<> row(theirs."imageWidth", theirs."imageHeight", theirs."boundingBoxX1", theirs."boundingBoxY1", theirs."boundingBoxX2", theirs."boundingBoxY2", theirs."sourceType", theirs."deletedAt", theirs."isVisible")::record;
    end if;
    perform linked.copy_faces(p_from, p_to, v_keys);
end
$linked$;
comment on function linked.propagate_faces(uuid[], uuid[], uuid[], boolean) is
    'Makes these faces (null: all) and their embeddings on the members p_to equal to those on p_from, pair by pair. What is new has none yet.';

-- From then on it is like one that the viewer drew by hand.
create or replace function linked.leave_to_viewers(p_from uuid[], p_to uuid[], p_keys uuid[]) returns void
language plpgsql
as $linked$
begin
    with left_over as materialized (
        select my_face.face_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.face my_face
            on my_face.asset_id = pair.to_id and my_face.own and (p_keys is null or my_face.face_key = any (p_keys))
        join public.asset_face mine on mine.id = my_face.face_id and mine."deletedAt" is null
        where not exists (
            select from linked.face their_face
            join public.asset_face theirs on theirs.id = their_face.face_id and theirs."deletedAt" is null
            where their_face.asset_id = pair.from_id and their_face.face_key = my_face.face_key
        )
    ), forgotten as (
        delete from linked.face using left_over where face.face_id = left_over.face_id
    )
    update public.asset_face
    set "sourceType" = 'manual'
    from left_over
    where asset_face.id = left_over.face_id;
end
$linked$;
comment on function linked.leave_to_viewers(uuid[], uuid[], uuid[]) is
    'Leaves a face that is removed or hidden to the viewers who put a person on it.';

create or replace function linked.copy_faces(p_from uuid[], p_to uuid[], p_keys uuid[] default null) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id = any (p_to) for key share nowait;
    with missing as materialized (
        select distinct on (their_face.face_key, pair.to_id)
            gen_random_uuid() as face_id, their_face.face_key, their_face.face_id as their_face_id, pair.to_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join linked.face their_face on their_face.asset_id = pair.from_id
        where (p_keys is null or their_face.face_key = any (p_keys))
            and not exists (
                select from linked.face my_face
                where my_face.asset_id = pair.to_id and my_face.face_key = their_face.face_key
            )
    ), made as (
        insert into public.asset_face (id, "assetId", "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType", "deletedAt", "isVisible")
        select missing.face_id, missing.to_id, theirs."imageWidth", theirs."imageHeight", theirs."boundingBoxX1", theirs."boundingBoxY1", theirs."boundingBoxX2", theirs."boundingBoxY2", theirs."sourceType", theirs."deletedAt", theirs."isVisible"
        from missing join public.asset_face theirs on theirs.id = missing.their_face_id
        where (select linked.keep_plans())
        returning id
    )
    insert into linked.face (face_id, face_key, asset_id)
    select missing.face_id, missing.face_key, missing.to_id
    from missing join made on made.id = missing.face_id;
    perform linked.plan_anew();

    insert into public.face_search ("faceId", "embedding")
    select my_face.face_id, theirs."embedding"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.face their_face on their_face.asset_id = pair.from_id
    join public.face_search theirs on theirs."faceId" = their_face.face_id
    join linked.face my_face on my_face.asset_id = pair.to_id and my_face.face_key = their_face.face_key
    left join public.face_search mine on mine."faceId" = my_face.face_id
    where (p_keys is null or their_face.face_key = any (p_keys))
        and (mine."faceId" is null or row(mine."embedding")::record *<> row(theirs."embedding")::record)
        and pair.to_id not in (
            select linked.twins(array(select source_id from linked.member where asset_id = any (p_to)))
        )
    on conflict ("faceId") do update
    set "embedding" = excluded."embedding";
    perform linked.forget_twins(array(select distinct source_id from linked.member where asset_id = any (p_from || p_to)));
end
$linked$;
comment on function linked.copy_faces(uuid[], uuid[], uuid[]) is
    'Gives the members p_to those of these faces (null: all) of p_from that they lack, and their embeddings, pair by pair.';

-- Immich recognizes the faces of all accounts of a cluster group together, and takes a face that is there twice for one that
-- is seen often. So in each cluster group one member has the embeddings, the source if it can be. A face without one is left
-- alone by Immich's recognition, and follows the others.
create or replace function linked.twins(p_sources uuid[]) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select placed.asset_id
    from (
        select member.asset_id,
            row_number() over (
                partition by member.source_id, account."clusterGroupId"
                order by member.asset_id = member.source_id desc, member.owner_id
            ) as place
        from linked.member
        join public."user" account on account.id = member.owner_id
        where member.source_id = any (p_sources)
    ) as placed
    where placed.place > 1;
end
$linked$;
comment on function linked.twins(uuid[]) is
    'The members of these groups whose faces have no embeddings, because another member has them for the same cluster group.';

create or replace function linked.forget_twins(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from public.face_search
    using linked.face
    where face.asset_id in (select linked.twins(p_sources)) and face_search."faceId" = face.face_id;
end
$linked$;
comment on function linked.forget_twins(uuid[]) is 'Deletes the embeddings of faces that another member has for the same cluster group.';

create or replace function linked.delete_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    if cardinality(p_faces) = 0 then
        return;
    end if;
    if pg_trigger_depth() > 0 then
        insert into public.asset_face_audit ("assetFaceId", "assetId")
        select id, "assetId" from public.asset_face where id = any (p_faces);
    end if;
    perform linked.keep_plans();
    delete from public.asset_face where id = any (p_faces);
    perform linked.plan_anew();
    delete from linked.face where face_id = any (p_faces);
end
$linked$;
comment on function linked.delete_faces(uuid[]) is
    'Deletes faces, with the audit rows that a delete by Immich itself would leave.';

-- Immich itself takes two boxes for one face when they overlap by more than half.
create or replace function linked.overlap(p_one integer[], p_other integer[]) returns double precision
language sql immutable
as $linked$
    select area.shared / nullif(area.sum - area.shared, 0)
    from (
        select greatest(0, least(p_one[3], p_other[3]) - greatest(p_one[1], p_other[1]))::double precision
            * greatest(0, least(p_one[4], p_other[4]) - greatest(p_one[2], p_other[2])) as shared,
            (p_one[3] - p_one[1])::double precision * (p_one[4] - p_one[2])
            + (p_other[3] - p_other[1])::double precision * (p_other[4] - p_other[2]) as sum
    ) as area
$linked$;
comment on function linked.overlap(integer[], integer[]) is
    'How much of two boxes (left, top, right, bottom) together lies in both: 0 to 1, null where neither has an area.';

create or replace function linked.at_known_places(p_faces uuid[]) returns table (face_id uuid, known_id uuid)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select mine.id, other.id
    from public.asset_face mine
    join linked.face known on known.asset_id = mine."assetId" and known.face_id not in (select unnest(p_faces))
    join public.asset_face other on other.id = known.face_id
    where mine.id = any (p_faces)
        and (mine."imageWidth", mine."imageHeight") = (other."imageWidth", other."imageHeight")
        and linked.overlap(
            array[mine."boundingBoxX1", mine."boundingBoxY1", mine."boundingBoxX2", mine."boundingBoxY2"],
            array[other."boundingBoxX1", other."boundingBoxY1", other."boundingBoxX2", other."boundingBoxY2"]
        ) > 0.5;
end
$linked$;
comment on function linked.at_known_places(uuid[]) is
    'Which of these faces lie where the member has a face already that is remembered.';

-- A job that looked at a member before sync had brought it the faces of a sibling finds the same ones again. The newcomer
-- goes: the other may be assigned already.
create or replace function linked.drop_found_again(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from public.asset_face
    where id in (
        select mine.id
        from linked.at_known_places(p_faces) as twice
        join public.asset_face mine on mine.id = twice.face_id and mine."sourceType" = 'machine-learning'
        join public.asset_face other on other.id = twice.known_id and other."sourceType" = 'machine-learning'
    );
end
$linked$;
comment on function linked.drop_found_again(uuid[]) is
    'Deletes those of these new faces that were found by machine where a member has a face found by machine already.';

create or replace function linked.on_asset_face_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := case
                when not exists (select from fresh where fresh."personGroupId" is not null)
                    then array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = fresh."assetId") as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                )
            end;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.drop_found_again(array(select id from fresh));
            select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from fresh), false);
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select id from fresh));
            end if;
            perform linked.hand_to_viewers(array(select id from fresh where "personGroupId" is not null));
            perform linked.propagate_people(linked.leading_faces(array(
                select id from fresh where "personGroupId" is not null
            )));

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_face insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_face insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_face insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_face_insert() is 'Propagates new faces, and whom they show, to the siblings.';
create or replace trigger linked_asset_face_insert after insert on public."asset_face"
referencing new table as fresh
for each statement execute function linked.on_asset_face_insert();
comment on trigger linked_asset_face_insert on public."asset_face" is 'Propagates new faces, and whom they show, to the siblings.';

create or replace function linked.redo_asset_face_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.drop_found_again(array(select id from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh));
            select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh), false);
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select id from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh));
            end if;
            perform linked.hand_to_viewers(array(select id from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh where "personGroupId" is not null));
            perform linked.propagate_people(linked.leading_faces(array(
                select id from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh where "personGroupId" is not null
            )));

end
$linked$;
comment on function linked.redo_asset_face_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates new faces, and whom they show, to the siblings.';

create or replace function linked.on_asset_face_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from stale where exists (select from public.asset where asset.id = stale."assetId")),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select id from stale));
            end if;
            -- What a viewer removed is there again, and shows whom it showed.
            perform linked.refill_people(array(
                select member.asset_id
                from stale join linked.member on member.asset_id = stale."assetId"
                where not member.can_write
            ));

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_face delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_face delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_face delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_face_delete() is 'Propagates removed faces to the siblings.';
create or replace trigger linked_asset_face_delete after delete on public."asset_face"
referencing old table as stale
for each statement execute function linked.on_asset_face_delete();
comment on trigger linked_asset_face_delete on public."asset_face" is 'Propagates removed faces to the siblings.';

create or replace function linked.redo_asset_face_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(select "assetId" from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale where exists (select from public.asset where asset.id = stale."assetId")),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select id from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale));
            end if;
            -- What a viewer removed is there again, and shows whom it showed.
            perform linked.refill_people(array(
                select member.asset_id
                from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale join linked.member on member.asset_id = stale."assetId"
                where not member.can_write
            ));

end
$linked$;
comment on function linked.redo_asset_face_delete(jsonb, jsonb, text) is
    'Does what was noted: propagates removed faces to the siblings.';

create or replace function linked.on_face_search_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) (select asset_face."assetId" from public.asset_face where asset_face.id operator(pg_catalog.=) fresh."faceId")))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = (select asset_face."assetId" from public.asset_face where asset_face.id = fresh."faceId")) as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(
                    select asset_face."assetId"
                    from fresh join public.asset_face on asset_face.id = fresh."faceId"
                ),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select "faceId" from fresh));
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'face_search insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('face_search insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in face_search insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_face_search_insert() is 'Propagates the embeddings of faces to the siblings.';
create or replace trigger linked_face_search_insert after insert on public."face_search"
referencing new table as fresh
for each statement execute function linked.on_face_search_insert();
comment on trigger linked_face_search_insert on public."face_search" is 'Propagates the embeddings of faces to the siblings.';

create or replace function linked.redo_face_search_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(
                    select asset_face."assetId"
                    from jsonb_populate_recordset(null::public."face_search", p_fresh) as fresh join public.asset_face on asset_face.id = fresh."faceId"
                ),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select "faceId" from jsonb_populate_recordset(null::public."face_search", p_fresh) as fresh));
            end if;

end
$linked$;
comment on function linked.redo_face_search_insert(jsonb, jsonb, text) is
    'Does what was noted: propagates the embeddings of faces to the siblings.';
create or replace function linked.on_face_search_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where (select true from linked.member where member.asset_id operator(pg_catalog.=) (select asset_face."assetId" from public.asset_face where asset_face.id operator(pg_catalog.=) fresh."faceId")))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := array(
                    select distinct source_id
                    from (
                        select (select member.source_id from linked.member where member.asset_id = (select asset_face."assetId" from public.asset_face where asset_face.id = fresh."faceId")) as source_id
                        from fresh
                    ) as known
                    where source_id is not null
                );
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(
                    select asset_face."assetId"
                    from fresh join public.asset_face on asset_face.id = fresh."faceId"
                ),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select "faceId" from fresh));
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'face_search update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('face_search update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in face_search update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_face_search_update() is 'Propagates the embeddings of faces to the siblings.';
create or replace trigger linked_face_search_update after update on public."face_search"
referencing old table as stale new table as fresh
for each statement execute function linked.on_face_search_update();
comment on trigger linked_face_search_update on public."face_search" is 'Propagates the embeddings of faces to the siblings.';

create or replace function linked.redo_face_search_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            select from_ids, to_ids into v_from, v_to from linked.siblings(
                array(
                    select asset_face."assetId"
                    from jsonb_populate_recordset(null::public."face_search", p_fresh) as fresh join public.asset_face on asset_face.id = fresh."faceId"
                ),
                false
            );
            if v_from is not null then
                perform linked.propagate_faces(v_from, v_to, array(select "faceId" from jsonb_populate_recordset(null::public."face_search", p_fresh) as fresh));
            end if;

end
$linked$;
comment on function linked.redo_face_search_update(jsonb, jsonb, text) is
    'Does what was noted: propagates the embeddings of faces to the siblings.';

-- People: a person of one account and the person of another who stands for the same human being. In Immich a person is known
-- by an id and whose it is, here by the id of its row in linked.person_pair.


-- Whom a face shows is told to the same face on the other members (of p_only, if given), except where a viewer has put
-- somebody on it. A person of another account on a member's face (Immich lets users of a shared album do that) is replaced
-- by that account's own.
create or replace function linked.propagate_people(p_faces uuid[], p_only uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_cleared uuid[];
    v_faces uuid[];
    v_users uuid[];
    v_persons uuid[];
    v_owners uuid[];
    v_pairs uuid[];
begin
    if coalesce(cardinality(p_faces), 0) = 0 then
        return;
    end if;
    perform from public."asset_face" where id in (
            select my_face.face_id
            from linked.face their_face join linked.face my_face on my_face.face_key = their_face.face_key
            where their_face.face_id = any (p_faces)
        ) for no key update nowait;
    with cleared as (
        update public.asset_face mine
        set "personGroupId" = null
        from unnest(p_faces) as origin (face_id)
        join public.asset_face theirs on theirs.id = origin.face_id and theirs."personGroupId" is null
        join linked.face their_face on their_face.face_id = theirs.id
        join linked.face my_face on my_face.face_key = their_face.face_key and my_face.face_id <> their_face.face_id
        where mine.id = my_face.face_id and mine."personGroupId" is not null and not my_face.own and p_only is null
        returning mine.id
    )
    select array_agg(id) into v_cleared from cleared;

    select array_agg(my_face.face_id), array_agg(member.owner_id), array_agg(person."personGroupId"), array_agg(person."ownerId")
    into v_faces, v_users, v_persons, v_owners
    from unnest(p_faces) as origin (face_id)
    join public.asset_face theirs on theirs.id = origin.face_id
    join linked.face their_face on their_face.face_id = theirs.id
    join linked.member their_member on their_member.asset_id = their_face.asset_id
    join lateral (
            select known.* from public.person known
            where known."personGroupId" = theirs."personGroupId"
            order by known."ownerId" = their_member.owner_id desc, known."ownerId"
            limit 1
        ) as person on true
    join linked.face my_face on my_face.face_key = their_face.face_key and not my_face.own
    join linked.member on member.asset_id = my_face.asset_id
    where (my_face.face_id <> origin.face_id or person."ownerId" <> member.owner_id)
        and (p_only is null or (my_face.asset_id = any (p_only) and not my_face.left_open));
    if v_faces is not null then
        v_pairs := linked.remember_persons(v_persons, v_owners);
        perform linked.find_counterparts(v_pairs, v_users, v_faces);
        perform from public.person
        join linked.person_pair my_pair on person."personGroupId" = my_pair.person_id and person."ownerId" = my_pair.owner_id
        where my_pair.person_key in (select person_key from linked.person_pair where pair_id = any (v_pairs))
        for key share of person nowait;
        update public.asset_face mine
        set "personGroupId" = my_pair.person_id
        from unnest(v_faces, v_users, v_pairs) as target (face_id, user_id, pair_id)
        join linked.person_pair their_pair on their_pair.pair_id = target.pair_id
        join linked.person_pair my_pair
            on my_pair.person_key = their_pair.person_key and my_pair.owner_id = target.user_id
        where mine.id = target.face_id and mine."personGroupId" is distinct from my_pair.person_id;
        update linked.face set left_open = false where face_id = any (v_faces) and left_open;
        perform linked.fill_blanks(array(select distinct pair_id from unnest(v_pairs) as pair_id));
    end if;
    perform linked.choose_feature_faces(v_cleared || v_faces);
end
$linked$;
comment on function linked.propagate_people(uuid[], uuid[]) is
    'Assigns the faces that correspond to p_faces to the counterparts of the persons that p_faces are assigned to.';

create or replace function linked.remember_persons(p_persons uuid[], p_owners uuid[]) returns uuid[]
language plpgsql
as $linked$
begin
    -- Whoever renames or deletes one cannot see yet that it is remembered.
    perform from public.person
    where person."personGroupId" in (
            select one.person_id
            from unnest(p_persons, p_owners) as one (person_id, owner_id)
            where not exists (
                select from linked.person_pair
                where person_pair.person_id = one.person_id and person_pair.owner_id = one.owner_id
            )
        )
        and person."ownerId" = any (p_owners)
    for share nowait;
    insert into linked.person_pair (person_id, owner_id, person_key)
    select asked.person_id, asked.owner_id, gen_random_uuid()
    from (select distinct person_id, owner_id from unnest(p_persons, p_owners) as one (person_id, owner_id)) as asked
    join public.person on person."personGroupId" = asked.person_id and person."ownerId" = asked.owner_id
    where not exists (
        select from linked.person_pair
        where person_pair.person_id = asked.person_id and person_pair.owner_id = asked.owner_id
    );
    return array(
        select person_pair.pair_id
        from unnest(p_persons, p_owners) with ordinality as asked (person_id, owner_id, position)
        left join linked.person_pair
            on person_pair.person_id = asked.person_id and person_pair.owner_id = asked.owner_id
        order by asked.position
    );
end
$linked$;
comment on function linked.remember_persons(uuid[], uuid[]) is
    'The ids under which these persons of these accounts are remembered, in this order; who was not is from now on. Null: is gone.';

-- Nothing of a viewer's, nor of a stranger's who sees the picture in an ordinary album, leads: neither what is on their own
-- members, nor a person of theirs on somebody else's.
create or replace function linked.leading_faces(p_faces uuid[], p_last boolean default false) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select distinct on (face.face_key) face.face_id
        from linked.face
        join linked.member on member.asset_id = face.asset_id and member.can_write
        join public.asset_face on asset_face.id = face.face_id
        left join lateral (
            select known.* from public.person known
            where known."personGroupId" = asset_face."personGroupId"
            order by known."ownerId" = member.owner_id desc, known."ownerId"
            limit 1
        ) as person on true
        where face.face_id = any (p_faces) and not face.left_open
            and (
                asset_face."personGroupId" is null
                or exists (
                    select from linked.member writer
                    where writer.source_id = member.source_id and writer.owner_id = person."ownerId" and writer.can_write
                )
            )
        order by face.face_key, case when p_last then asset_face."updatedAt" end desc nulls last,
            member.asset_id = member.source_id desc, face.face_id
    );
end
$linked$;
comment on function linked.leading_faces(uuid[], boolean) is
    'One for each set of corresponding faces of these that others may follow: the last changed if asked for, else a source''s for choice.';

create or replace function linked.refill_people(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    if not exists (select from linked.face where asset_id = any (p_assets)) then
        return;
    end if;
    perform linked.recognize_own_faces(p_assets);
    perform linked.propagate_people(
        linked.leading_faces(array(
            select distinct their_face.face_id
            from linked.face my_face
            join linked.face their_face on their_face.face_key = my_face.face_key
            join public.asset_face on asset_face.id = their_face.face_id
            where my_face.asset_id = any (p_assets) and asset_face."personGroupId" is not null
        )),
        p_assets
    );
end
$linked$;
comment on function linked.refill_people(uuid[]) is
    'Assigns the faces of these members to the counterparts of the persons that siblings'' faces are assigned to.';

-- Where nobody watched, the later of what a viewer and what others put on a face counts.
create or replace function linked.recognize_own_faces(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.face
    set own = true
    from linked.member
    join public.asset_face mine on mine."assetId" = member.asset_id and mine."personGroupId" is not null
    where member.asset_id = any (p_assets) and not member.can_write
        and face.face_id = mine.id and not face.own and not face.left_open
        and not exists (
            select from linked.face their_face
            join linked.member writer on writer.asset_id = their_face.asset_id and writer.can_write
            join public.asset_face theirs on theirs.id = their_face.face_id
            where their_face.face_key = face.face_key
                and (
                    theirs."updatedAt" > mine."updatedAt"
                    or theirs."personGroupId" = mine."personGroupId"
                    or exists (
                        select from linked.person_pair my_pair
                        join linked.person_pair their_pair on their_pair.person_key = my_pair.person_key
                        where my_pair.person_id = mine."personGroupId" and my_pair.owner_id = member.owner_id
                            and their_pair.person_id = theirs."personGroupId" and their_pair.owner_id = writer.owner_id
                    )
                )
        );
end
$linked$;
comment on function linked.recognize_own_faces(uuid[]) is
    'Remembers of faces of viewers'' clones that the viewer put the person on them, where that was missed.';

-- Immich lets whoever sees a picture in a shared album put a person of theirs on it. A viewer's belongs on the viewer's
-- clone, unless the viewer put somebody on that later.
create or replace function linked.hand_to_viewers(p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_theirs uuid[];
    v_mine uuid[];
    v_persons uuid[];
begin
    select array_agg(their_face.face_id), array_agg(my_face.face_id) filter (where is_last.yes),
        array_agg(person."personGroupId") filter (where is_last.yes)
    into v_theirs, v_mine, v_persons
    from linked.face their_face
    join public.asset_face on asset_face.id = their_face.face_id
    join linked.member theirs on theirs.asset_id = their_face.asset_id
    join lateral (
            select known.* from public.person known
            where known."personGroupId" = asset_face."personGroupId"
            order by known."ownerId" = theirs.owner_id desc, known."ownerId"
            limit 1
        ) as person on true
    join linked.member mine
        on mine.source_id = theirs.source_id and mine.owner_id = person."ownerId" and not mine.can_write
    join linked.face my_face on my_face.face_key = their_face.face_key and my_face.asset_id = mine.asset_id
    join public.asset_face known on known.id = my_face.face_id
    cross join lateral (
        select not my_face.own or known."updatedAt" <= asset_face."updatedAt" as yes
    ) as is_last
    where their_face.face_id = any (p_faces) and theirs.owner_id <> person."ownerId" and not their_face.left_open;
    if v_theirs is null then
        return;
    end if;
    perform from public."asset_face" where id = any (v_theirs || v_mine) for no key update nowait;
    update public.asset_face set "personGroupId" = null where id = any (v_theirs);
    update public.asset_face
    set "personGroupId" = given.person_id
    from unnest(v_mine, v_persons) as given (face_id, person_id)
    where asset_face.id = given.face_id;
    update linked.face set own = true, left_open = false where face_id = any (v_mine);
end
$linked$;
comment on function linked.hand_to_viewers(uuid[]) is
    'Moves persons of viewers from the faces of others'' members to the same faces of the viewers'' clones.';

create or replace function linked.find_counterparts(p_pairs uuid[], p_users uuid[], p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_todo record;
    v_found uuid;
begin
    -- A loop because every pairing narrows the choice for the next; names go first, they are surest.
    for v_todo in
        select target.pair_id, target.user_id,
            array_agg(target.face_id order by asset_face."deletedAt" is not null, target.face_id) as faces
        from unnest(p_pairs, p_users, p_faces) as target (pair_id, user_id, face_id)
        join public.asset_face on asset_face.id = target.face_id
        join linked.person_pair on person_pair.pair_id = target.pair_id
        join public.person on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
        group by target.pair_id, target.user_id, person.name
        order by person.name = '', count(*) desc, target.pair_id
    loop
        continue when exists (
            select from linked.person_pair their_pair
            join linked.person_pair my_pair on my_pair.person_key = their_pair.person_key
            where their_pair.pair_id = v_todo.pair_id and my_pair.owner_id = v_todo.user_id
        );
        v_found := coalesce(
            linked.person_of_group(v_todo.pair_id, v_todo.user_id, v_todo.faces[1]),
            linked.person_by_face(v_todo.pair_id, v_todo.user_id, v_todo.faces),
            linked.person_by_name(v_todo.pair_id, v_todo.user_id),
            linked.person_by_embedding(v_todo.pair_id, v_todo.user_id),
            linked.make_person(v_todo.pair_id, v_todo.user_id, v_todo.faces[1])
        );
        perform from public."asset_face" where id = any (v_todo.faces) for no key update nowait;
        update public.asset_face set "personGroupId" = v_found where id = any (v_todo.faces) and "personGroupId" is distinct from v_found;
        perform linked.pair_persons(v_todo.pair_id, v_found, v_todo.user_id);
    end loop;
end
$linked$;
comment on function linked.find_counterparts(uuid[], uuid[], uuid[]) is
    'Pairs each person with a person of the user, found or made, and assigns p_faces to whom was not paired before.';

-- Two persons can stand for one human being when no account has a person of its own on both sides.
create or replace function linked.free_persons(p_pair uuid, p_user uuid) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select "personGroupId" from public.person where "ownerId" = p_user
    except
    select person_pair.person_id
    from linked.person_pair asked
    join linked.person_pair their_pair on their_pair.person_key = asked.person_key
    join linked.person_pair taken on taken.owner_id = their_pair.owner_id
    join linked.person_pair on person_pair.person_key = taken.person_key and person_pair.owner_id = p_user
    where asked.pair_id = p_pair;
end
$linked$;
comment on function linked.free_persons(uuid, uuid) is
    'The persons of a user that are not paired with somebody else than this person.';

-- Accounts whose faces Immich recognizes together have views of one group, by Immich's own rule. The group is looked at, too:
-- who leaves takes the groups along before the account itself.
create or replace function linked.person_of_group(p_pair uuid, p_user uuid, p_face uuid) returns uuid
language plpgsql
as $linked$
declare
    v_group uuid := (
        select person_group.id
        from linked.person_pair
        join public.person_group on person_group.id = person_pair.person_id
        join public."user" theirs
            on theirs.id = person_pair.owner_id and theirs."clusterGroupId" = person_group."clusterGroupId"
        join public."user" mine on mine.id = p_user and mine."clusterGroupId" = person_group."clusterGroupId"
        where person_pair.pair_id = p_pair
    );
begin
    if v_group is not null
        and not exists (select from public.person where "personGroupId" = v_group and "ownerId" = p_user)
    then
        perform linked.insert_person(v_group, p_pair, p_user, p_face);
    end if;
    return v_group;
end
$linked$;
comment on function linked.person_of_group(uuid, uuid, uuid) is
    'Where the user is in the cluster group of this person''s account: the user''s person of the same group, which is made where missing.';

create or replace function linked.person_by_face(p_pair uuid, p_user uuid, p_faces uuid[]) returns uuid
language plpgsql stable
as $linked$
begin
    return (select asset_face."personGroupId"
    from public.asset_face
    where asset_face.id = any (p_faces)
        and asset_face."personGroupId" in (select linked.free_persons(p_pair, p_user))
    group by asset_face."personGroupId"
    order by count(*) desc, asset_face."personGroupId"
    limit 1
    );
end
$linked$;
comment on function linked.person_by_face(uuid, uuid, uuid[]) is
    'The person to whom the user''s account has already assigned the same faces.';

create or replace function linked.person_by_name(p_pair uuid, p_user uuid) returns uuid
language plpgsql stable
as $linked$
begin
    return (select min(candidate."personGroupId"::text)::uuid
    from linked.person_pair
    join public.person theirs on theirs."personGroupId" = person_pair.person_id and theirs."ownerId" = person_pair.owner_id
    join public.person candidate
        on candidate."ownerId" = p_user and lower(btrim(candidate.name)) = lower(btrim(theirs.name))
    where person_pair.pair_id = p_pair and btrim(theirs.name) <> ''
        and candidate."personGroupId" in (select linked.free_persons(p_pair, p_user))
    having count(*) = 1
    );
end
$linked$;
comment on function linked.person_by_name(uuid, uuid) is
    'The one person of the user with the same name.';

-- A namesake of somebody else in the person's account is left for that one, and so is whoever looks more like somebody else
-- there. Compared are some faces of the person with some of each of the user's, without the vector index: it is approximate, and
-- looks at everybody's faces.
create or replace function linked.person_by_embedding(p_pair uuid, p_user uuid) returns uuid
language plpgsql stable
as $linked$
declare
    v_found uuid;
    v_distance double precision := linked.recognition_distance();
begin
    with theirs as materialized (
        select face_search.embedding
        from linked.person_pair
        join public.asset_face on asset_face."personGroupId" = person_pair.person_id
        join public.face_search on face_search."faceId" = asset_face.id
        where person_pair.pair_id = p_pair and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ), candidate as materialized (
        select person."personGroupId" as person_id
        from linked.free_persons(p_pair, p_user) as free (person_id)
        join public.person on person."personGroupId" = free.person_id and person."ownerId" = p_user
        where btrim(person.name) = ''
            or lower(btrim(person.name)) not in (
                select lower(btrim(other.name))
                from linked.person_pair asked
                join public.person other on other."ownerId" = asked.owner_id and other."personGroupId" <> asked.person_id
                where asked.pair_id = p_pair
            )
    ), mine as materialized (
        select candidate.person_id, face_search.embedding
        from candidate
        cross join lateral (
            select asset_face.id
            from public.asset_face
            where asset_face."personGroupId" = candidate.person_id and asset_face."deletedAt" is null
            order by asset_face.id
            limit 10
        ) as face
        join public.face_search on face_search."faceId" = face.id
    ), near as materialized (
        select mine.person_id, min(mine.embedding <=> theirs.embedding) as distance
        from theirs cross join mine
        where mine.embedding <=> theirs.embedding <= v_distance
        group by mine.person_id
        order by distance, mine.person_id
        limit 3
    )
    select near.person_id into v_found
    from near
    where not exists (
        select from linked.some_rival_faces(p_pair, p_user) as rival_face
        join public.face_search rival on rival."faceId" = rival_face
        cross join lateral (select mine.embedding from mine where mine.person_id = near.person_id) as known
        where known.embedding <=> rival.embedding < near.distance
    )
    order by near.distance, near.person_id
    limit 1;
    return v_found;
exception when undefined_function then
    return null;
end
$linked$;
comment on function linked.person_by_embedding(uuid, uuid) is
    'The person of the user whose faces are nearest, within Immich''s recognition distance.';

create or replace function linked.some_rival_faces(p_pair uuid, p_user uuid) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select face.id
    from linked.person_pair asked
    join public.person rival on rival."ownerId" = asked.owner_id and rival."personGroupId" <> asked.person_id
    cross join lateral (
        select asset_face.id
        from public.asset_face
        where asset_face."personGroupId" = rival."personGroupId" and asset_face."deletedAt" is null
        order by asset_face.id
        limit 10
    ) as face
    where asked.pair_id = p_pair
        and not exists (
            select from linked.person_pair rival_pair
            join linked.person_pair their_pair on their_pair.person_key = rival_pair.person_key
            where rival."personGroupId" = rival_pair.person_id and rival."ownerId" = rival_pair.owner_id and their_pair.owner_id = p_user
        );
end
$linked$;
comment on function linked.some_rival_faces(uuid, uuid) is
    'A few faces of each other person in this person''s account who has no counterpart with the user yet.';

create or replace function linked.recognition_distance() returns double precision
language plpgsql stable
as $linked$
begin
    return (select coalesce(
        (
            select (value #>> '{machineLearning,facialRecognition,maxDistance}')::double precision
            from public.system_metadata where key = 'system-config'
        ),
        0.5
    )
    );
end
$linked$;
comment on function linked.recognition_distance() is
    'The distance of embeddings up to which Immich takes two faces for one person''s, from its settings.';

create or replace function linked.make_person(p_pair uuid, p_user uuid, p_face uuid) returns uuid
language plpgsql
as $linked$
declare
    v_id uuid := gen_random_uuid();
begin
    insert into public.person_group (id, "clusterGroupId")
    select v_id, "clusterGroupId" from public."user" where id = p_user;
    perform linked.insert_person(v_id, p_pair, p_user, p_face);
    return v_id;
end
$linked$;
comment on function linked.make_person(uuid, uuid, uuid) is 'Creates a person of the user, with the user''s own face as feature face.';

-- No thumbnail: Immich deletes that file with the person, so none may be shared. Its nightly job draws one where it is empty.
create or replace function linked.insert_person(p_id uuid, p_pair uuid, p_user uuid, p_face uuid) returns void
language plpgsql
as $linked$
begin
    insert into public.person ("personGroupId", "ownerId", "name", "birthDate", "color", "faceAssetId", "thumbnailPath")
    select p_id, p_user, theirs."name", theirs."birthDate", theirs."color", p_face, ''
    from linked.person_pair
    join public.person theirs on theirs."personGroupId" = person_pair.person_id and theirs."ownerId" = person_pair.owner_id
    where person_pair.pair_id = p_pair;
    insert into linked.person_pair (person_id, owner_id, person_key, made) values (p_id, p_user, gen_random_uuid(), true);
end
$linked$;
comment on function linked.insert_person(uuid, uuid, uuid, uuid) is 'Writes the row of a person that the addon makes.';

-- A person's details travel from an account to another only when that account may write on some picture that shows the
-- person and is shared with the other; from there they go on likewise. So nothing of a viewer's ever leaves the viewer's
-- account, whoever is a viewer of one album and an editor of another counts as an editor for whom that other album shows,
-- and two accounts that share no picture learn from each other what a third, a writer with both, passes on.
create or replace function linked.reached(p_pairs uuid[]) returns table (origin_id uuid, pair_id uuid, kept_alike boolean)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    with recursive pair as (
        select person_pair.*
        from linked.person_pair
        where person_pair.person_key in (
            select asked.person_key from linked.person_pair asked where asked.pair_id = any (p_pairs)
        )
    ), step as materialized (
        select teller.pair_id as from_id, told.pair_id as to_id
        from pair teller
        join pair told on told.person_key = teller.person_key and told.pair_id <> teller.pair_id
        where exists (select from linked.member where member.owner_id = teller.owner_id and member.can_write)
            and exists (
                select
                from public.asset_face
                join linked.member theirs
                    on theirs.asset_id = asset_face."assetId" and theirs.owner_id = teller.owner_id and theirs.can_write
                join linked.member mine on mine.source_id = theirs.source_id and mine.owner_id = told.owner_id
                where asset_face."personGroupId" = teller.person_id
                -- Asked pair by pair: the first picture answers, nothing is joined whole.
                offset 0
            )
    ), reached as (
        select pair.pair_id as origin_id, pair.pair_id
        from pair where pair.pair_id = any (p_pairs)
        union
        select reached.origin_id, step.to_id
        from reached join step on step.from_id = reached.pair_id
    )
    select reached.origin_id, reached.pair_id, exists (
            select
            from linked.person_pair one
            join linked.person_pair other on other.pair_id = reached.pair_id and other.person_id = one.person_id
            join public.person_user
                on person_user."personGroupId" = one.person_id
                and person_user."sharedById" in (one.owner_id, other.owner_id)
                and person_user."sharedWithId" in (one.owner_id, other.owner_id)
            where one.pair_id = reached.origin_id
        )
    from reached where reached.pair_id <> reached.origin_id;
end
$linked$;
comment on function linked.reached(uuid[]) is
    'The counterparts to which the details of these persons travel. Kept alike: one has shared the person with the other, and names and birth dates between the two are Immich''s own affair.';

-- As Immich does in the account in which a face is reassigned; the job for missing thumbnails draws the new one.
create or replace function linked.choose_feature_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."person" where "faceAssetId" = any (p_faces) for no key update nowait;
    update public.person
    set "faceAssetId" = other.face_id, "thumbnailPath" = ''
    from public.person led
    join public.asset_face feature on feature.id = led."faceAssetId" and feature."personGroupId" is distinct from led."personGroupId"
    cross join lateral (
        select asset_face.id as face_id
        from public.asset_face
        join public.asset on asset.id = asset_face."assetId" and asset."ownerId" = led."ownerId"
        where asset_face."personGroupId" = led."personGroupId" and asset_face."deletedAt" is null
            and asset_face."isVisible"
        limit 1
    ) as other
    where led."faceAssetId" = any (p_faces) and person."personGroupId" = led."personGroupId" and person."ownerId" = led."ownerId";
end
$linked$;
comment on function linked.choose_feature_faces(uuid[]) is
    'Gives persons whose feature face is among these, and shows somebody else now, another of their faces.';

create or replace function linked.fill_blanks(p_pairs uuid[]) returns void
language plpgsql
as $linked$
declare
    v_pairs uuid[] := array(
        select person_pair.pair_id
        from linked.person_pair
        where person_pair.person_key in (
            select counterpart.person_key
            from linked.person_pair asked
            join linked.person_pair counterpart on counterpart.person_key = asked.person_key
            join public.person on person."personGroupId" = counterpart.person_id and person."ownerId" = counterpart.owner_id
            where asked.pair_id = any (p_pairs)
            group by counterpart.person_key
            having (min(person.name) = '' and max(person.name) <> '')
                or count(person."birthDate") not in (0, count(*))
                or count(person.color) not in (0, count(*))
        )
    );
begin
    -- Nearly always nothing is blank that somebody could fill, and it need not be asked whose details travel where.
    if cardinality(v_pairs) = 0 then
        return;
    end if;
    perform from public.person
    join linked.person_pair on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
    where person_pair.person_key in (select person_key from linked.person_pair where pair_id = any (v_pairs))
    for no key update of person nowait;
    update public.person
    set name = coalesce(nullif(person.name, ''), known.name, ''),
        "birthDate" = coalesce(person."birthDate", known.birth_date),
        color = coalesce(person.color, known.color)
    from (
        select reached.pair_id,
            (array_agg(one.name order by origin.pair_id = any (p_pairs) desc, origin.pair_id)
                filter (where one.name <> '' and not reached.kept_alike))[1] as name,
            (array_agg(one."birthDate" order by origin.pair_id = any (p_pairs) desc, origin.pair_id)
                filter (where one."birthDate" is not null and not reached.kept_alike))[1] as birth_date,
            (array_agg(one.color order by origin.pair_id = any (p_pairs) desc, origin.pair_id)
                filter (where one.color is not null))[1] as color
        from linked.reached(v_pairs) as reached
        join linked.person_pair origin on origin.pair_id = reached.origin_id
        join public.person one on one."personGroupId" = origin.person_id and one."ownerId" = origin.owner_id
        group by reached.pair_id
    ) as known
    join linked.person_pair on person_pair.pair_id = known.pair_id
    where person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
        and (
            (person.name = '' and known.name is not null)
            or (person."birthDate" is null and known.birth_date is not null)
            or (person.color is null and known.color is not null)
        );
    perform linked.note_details(v_pairs);
end
$linked$;
comment on function linked.fill_blanks(uuid[]) is
    'Fills what is blank in the name, birth date and colour of persons or their counterparts from those whose details travel to them.';

-- At pairing blanks are filled, on either side, and nothing is overwritten. Where some account has a person of its own on both
-- sides they stay apart: in one cluster group Immich itself can have given an account two persons for one human being.
create or replace function linked.pair_persons(p_pair uuid, p_person uuid, p_owner uuid) returns void
language plpgsql
as $linked$
declare
    v_key uuid := (select person_key from linked.person_pair where pair_id = p_pair);
    v_other uuid := (linked.remember_persons(array[p_person], array[p_owner]))[1];
    v_other_key uuid := (select person_key from linked.person_pair where pair_id = v_other);
begin
    if exists (
        select
        from linked.person_pair one
        join linked.person_pair other on other.owner_id = one.owner_id and other.pair_id <> one.pair_id
        where one.person_key = v_key and other.person_key = v_other_key
    ) then
        return;
    end if;
    update linked.person_pair set person_key = v_key where person_key = v_other_key;
    perform linked.fill_blanks(array[p_pair]);
    perform linked.note_details(array[p_pair]);
end
$linked$;
comment on function linked.pair_persons(uuid, uuid, uuid) is
    'Makes a person, and a person of another account, and those paired with them, counterparts.';

-- Each column on its own: at pairing nothing was overwritten, so another one may differ, and stays as it is. Of counterparts
-- that change in one statement one leads.
create or replace function linked.propagate_person_name(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public.person
    join linked.person_pair on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
    where person_pair.person_key in (select person_key from linked.person_pair where pair_id = any (p_pairs))
    for no key update of person nowait;
    update public.person mine
    set "name" = theirs."name"
    from (
        select reached.pair_id, reached.origin_id, reached.kept_alike,
            first_value(reached.origin_id) over (partition by person_pair.person_key order by reached.origin_id) as leader
        from linked.reached(p_pairs) as reached
        join linked.person_pair on person_pair.pair_id = reached.origin_id
    ) as told
    join linked.person_pair their_pair on their_pair.pair_id = told.origin_id
    join public.person theirs on theirs."personGroupId" = their_pair.person_id and theirs."ownerId" = their_pair.owner_id
    join linked.person_pair my_pair on my_pair.pair_id = told.pair_id
    where mine."personGroupId" = my_pair.person_id and mine."ownerId" = my_pair.owner_id and told.origin_id = told.leader
        and not told.kept_alike
        and mine."name" is distinct from theirs."name";
end
$linked$;
comment on function linked.propagate_person_name(uuid[]) is
    'Gives the name of these persons to the counterparts that they reach.';
create or replace function linked.propagate_person_birthdate(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public.person
    join linked.person_pair on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
    where person_pair.person_key in (select person_key from linked.person_pair where pair_id = any (p_pairs))
    for no key update of person nowait;
    update public.person mine
    set "birthDate" = theirs."birthDate"
    from (
        select reached.pair_id, reached.origin_id, reached.kept_alike,
            first_value(reached.origin_id) over (partition by person_pair.person_key order by reached.origin_id) as leader
        from linked.reached(p_pairs) as reached
        join linked.person_pair on person_pair.pair_id = reached.origin_id
    ) as told
    join linked.person_pair their_pair on their_pair.pair_id = told.origin_id
    join public.person theirs on theirs."personGroupId" = their_pair.person_id and theirs."ownerId" = their_pair.owner_id
    join linked.person_pair my_pair on my_pair.pair_id = told.pair_id
    where mine."personGroupId" = my_pair.person_id and mine."ownerId" = my_pair.owner_id and told.origin_id = told.leader
        and not told.kept_alike
        and mine."birthDate" is distinct from theirs."birthDate";
end
$linked$;
comment on function linked.propagate_person_birthdate(uuid[]) is
    'Gives the birthDate of these persons to the counterparts that they reach.';
create or replace function linked.propagate_person_color(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public.person
    join linked.person_pair on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
    where person_pair.person_key in (select person_key from linked.person_pair where pair_id = any (p_pairs))
    for no key update of person nowait;
    update public.person mine
    set "color" = theirs."color"
    from (
        select reached.pair_id, reached.origin_id, reached.kept_alike,
            first_value(reached.origin_id) over (partition by person_pair.person_key order by reached.origin_id) as leader
        from linked.reached(p_pairs) as reached
        join linked.person_pair on person_pair.pair_id = reached.origin_id
    ) as told
    join linked.person_pair their_pair on their_pair.pair_id = told.origin_id
    join public.person theirs on theirs."personGroupId" = their_pair.person_id and theirs."ownerId" = their_pair.owner_id
    join linked.person_pair my_pair on my_pair.pair_id = told.pair_id
    where mine."personGroupId" = my_pair.person_id and mine."ownerId" = my_pair.owner_id and told.origin_id = told.leader
        and mine."color" is distinct from theirs."color";
end
$linked$;
comment on function linked.propagate_person_color(uuid[]) is
    'Gives the color of these persons to the counterparts that they reach.';

-- Whom a merge is told to: the counterparts on the same pictures, where its account may write on them, and whom these reach.
-- The moved faces are those that show the new person here and the old one there.
create or replace function linked.reached_by_merge(p_old uuid, p_new uuid) returns uuid[]
language plpgsql stable
as $linked$
begin
    return (with first as materialized (
        select old_pair.pair_id
        from linked.person_pair merged
        join linked.person_pair target on target.pair_id = p_new
        join linked.person_pair old_pair
            on old_pair.person_key = merged.person_key and old_pair.pair_id <> merged.pair_id
        cross join lateral (
            select
            from public.asset_face theirs
            join linked.face their_face on their_face.face_id = theirs.id
            join linked.member their_member
                on their_member.asset_id = their_face.asset_id and their_member.owner_id = old_pair.owner_id
            join linked.face my_face on my_face.face_key = their_face.face_key
            join public.asset_face mine on mine.id = my_face.face_id and mine."personGroupId" = target.person_id
            join linked.member
                on member.asset_id = my_face.asset_id and member.owner_id = target.owner_id and member.can_write
            where theirs."personGroupId" = old_pair.person_id
            limit 1
        ) as moved
        where merged.pair_id = p_old
    )
    select array(
        select pair_id from first
        union
        select reached.pair_id
        from linked.reached(array(select pair_id from first)) as reached
        where reached.pair_id <> p_old
    )
    );
end
$linked$;
comment on function linked.reached_by_merge(uuid, uuid) is
    'The counterparts of the first person to whom it is told that all its faces were moved to the second.';

-- What the account put on a clone on which it may not write stays, and the old person with it. Who only views the pictures of
-- a person that is not the addon's keeps it with all that it shows besides them.
create or replace function linked.merge_persons(p_old uuid[], p_new uuid[]) returns void
language plpgsql
as $linked$
declare
    v_whole uuid[] := array(
        select person_pair.pair_id
        from linked.person_pair
        where person_pair.pair_id = any (p_old)
            and (
                person_pair.made
                or exists (
                    select from public.asset_face
                    join linked.member
                        on member.asset_id = asset_face."assetId" and member.owner_id = person_pair.owner_id
                        and member.can_write
                    where asset_face."personGroupId" = person_pair.person_id
                )
            )
    );
begin
    perform from public."asset_face" where "personGroupId" in (select person_id from linked.person_pair where pair_id = any (p_old)) for no key update nowait;
    update public.asset_face
    set "personGroupId" = new_pair.person_id
    from unnest(p_old, p_new) as merged (old_id, new_id)
    join linked.person_pair old_pair on old_pair.pair_id = merged.old_id
    join linked.person_pair new_pair on new_pair.pair_id = merged.new_id
    join public.asset_face moved on moved."personGroupId" = old_pair.person_id
    join public.asset on asset.id = moved."assetId" and asset."ownerId" = old_pair.owner_id
    left join linked.member on member.asset_id = moved."assetId"
    left join linked.face on face.face_id = moved.id
    where asset_face.id = moved.id
        and (face.face_id is not null or merged.old_id = any (v_whole))
        and (member.can_write or member.asset_id is null or not face.own);
    perform linked.delete_persons(array(
        select pair_id from linked.person_pair
        where pair_id = any (v_whole)
            and not exists (
                select from public.asset_face join public.asset on asset.id = asset_face."assetId" and asset."ownerId" = person_pair.owner_id
                where asset_face."personGroupId" = person_pair.person_id
            )
    ));
    delete from linked.person_pair where pair_id = any (p_old);
end
$linked$;
comment on function linked.merge_persons(uuid[], uuid[]) is
    'Makes persons of accounts to which a merge is told others of the same accounts.';

-- Immich merges by moving all faces of one person to another in one statement, then deletes the first. Where an account has
-- counterparts of both, they are merged too; else the pairing moves along.
create or replace function linked.follow_merge(p_owner uuid, p_old uuid, p_new uuid) returns void
language plpgsql
as $linked$
declare
    v_old_pair uuid := (select pair_id from linked.person_pair where person_id = p_old and owner_id = p_owner);
    v_new_pair uuid;
    v_told uuid[];
    v_old uuid[];
    v_new uuid[];
begin
    if v_old_pair is null then
        return;
    end if;
    v_new_pair := (linked.remember_persons(array[p_new], array[p_owner]))[1];
    v_told := linked.reached_by_merge(v_old_pair, v_new_pair);
    select array_agg(old_pair.pair_id), array_agg(new_pair.pair_id) into v_old, v_new
    from linked.person_pair old_pair
    join linked.person_pair target on target.pair_id = v_new_pair
    join linked.person_pair new_pair
        on new_pair.person_key = target.person_key and new_pair.owner_id = old_pair.owner_id
    where old_pair.pair_id = any (v_told) and old_pair.pair_id <> new_pair.pair_id;
    perform linked.merge_persons(v_old, v_new);

    update linked.person_pair
    set person_key = (select person_key from linked.person_pair where pair_id = v_new_pair)
    where pair_id = any (v_told);
    delete from linked.person_pair where pair_id = v_old_pair;
    -- Persons that were made for the one are now called like the other.
    perform from public.person
    join linked.person_pair on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
    where person_pair.person_key in (select person_key from linked.person_pair where pair_id = any (array[v_new_pair]))
    for no key update of person nowait;
    update public.person
    set name = target.name
    from linked.reached(array[v_new_pair]) as reached
    join linked.person_pair made_pair on made_pair.pair_id = reached.pair_id and made_pair.made
    join public.person target on target."personGroupId" = p_new and target."ownerId" = p_owner
    where person."personGroupId" = made_pair.person_id and person."ownerId" = made_pair.owner_id and made_pair.pair_id = any (v_told) and not reached.kept_alike
        and target.name not in ('', person.name);
    perform linked.fill_blanks(array[v_new_pair]);
    perform linked.note_details(array[v_new_pair]);
end
$linked$;
comment on function linked.follow_merge(uuid, uuid, uuid) is
    'After all faces of one person of an account were moved to another: merges the counterparts alike.';

create or replace function linked.delete_persons(p_pairs uuid[]) returns void
language plpgsql
as $linked$
declare
    v_groups uuid[] := array(select distinct person_id from linked.person_pair where pair_id = any (p_pairs));
begin
    if pg_trigger_depth() > 1 then
        insert into public.person_audit ("personGroupId", "ownerId")
        select person."personGroupId", person."ownerId"
        from linked.person_pair join public.person on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
        where person_pair.pair_id = any (p_pairs);
    end if;
    perform from public.person
    join linked.person_pair on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
    where person_pair.pair_id = any (p_pairs)
    for update of person nowait;
    delete from public.person
    using linked.person_pair
    where person_pair.pair_id = any (p_pairs) and person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id;
    delete from linked.person_pair where pair_id = any (p_pairs);
    v_groups := array(
        select id from public.person_group
        where id = any (v_groups)
            and not exists (select from public.person where "personGroupId" = person_group.id)
    );
    if pg_trigger_depth() > 0 then
        insert into public.person_group_audit ("personGroupId", "clusterGroupId")
        select id, "clusterGroupId" from public.person_group where id = any (v_groups);
    end if;
    delete from public.person_group where id = any (v_groups);
end
$linked$;
comment on function linked.delete_persons(uuid[]) is
    'Deletes persons and groups of which nobody has a person any more, with the audit rows that a delete by Immich itself would leave.';

-- A nameless person that the addon made and whose last face is somebody else's now stands for nobody: the counterparts are free
-- for that somebody else. Immich's nightly job deletes it, with its thumbnail.
create or replace function linked.part_from_emptied(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.person_pair
    set person_key = gen_random_uuid()
    from public.person
    where person_pair.pair_id = any (p_pairs) and person_pair.made
        and person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id and person.name = ''
        and not exists (
            select from public.asset_face join public.asset on asset.id = asset_face."assetId" and asset."ownerId" = person_pair.owner_id
            where asset_face."personGroupId" = person_pair.person_id
        );
end
$linked$;
comment on function linked.part_from_emptied(uuid[]) is
    'Unpairs those of these persons that the addon made, that have no name and that are on no picture any more.';

-- A person who is on no linked picture any more has no counterparts; one that the addon made and that is on no picture at
-- all goes.
create or replace function linked.forget_persons(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.delete_persons(array(
        select person_pair.pair_id
        from linked.person_pair
        where person_pair.pair_id = any (p_pairs) and person_pair.made
            and not exists (
                select from public.asset_face join public.asset on asset.id = asset_face."assetId" and asset."ownerId" = person_pair.owner_id
                where asset_face."personGroupId" = person_pair.person_id
            )
    ));
    delete from linked.person_pair
    where pair_id = any (p_pairs)
        and not exists (
            select from public.asset_face
            join linked.member on member.asset_id = asset_face."assetId" and member.owner_id = person_pair.owner_id
            where asset_face."personGroupId" = person_pair.person_id
        );
end
$linked$;
comment on function linked.forget_persons(uuid[]) is
    'Unpairs persons who are on no member any more, and deletes those of them that the addon made for nothing else.';

-- Whoever joins or leaves a cluster group takes the persons along: to new groups, where others have persons of the old ones.
-- The faces follow in the same transaction.
create or replace function linked.follow_moved_persons(p_owners uuid[], p_old uuid[], p_new uuid[]) returns uuid[]
language plpgsql
as $linked$
declare
    v_moved uuid[];
begin
    with moved as (
        update linked.person_pair
        set person_id = moved.new_id
        from unnest(p_owners, p_old, p_new) as moved (owner_id, old_id, new_id)
        where person_pair.owner_id = moved.owner_id and person_pair.person_id = moved.old_id
        returning person_pair.pair_id
    )
    select array_agg(pair_id) into v_moved from moved;
    perform set_config('linked.moved_in', pg_current_xact_id()::text, true);
    return v_moved;
end
$linked$;
comment on function linked.follow_moved_persons(uuid[], uuid[], uuid[]) is
    'Remembers persons under the groups to which they have moved. Returns which are remembered.';

-- An account that had deleted its person of a group can get one again, from Immich: the faces never left the group.
create or replace function linked.resume_persons(p_owners uuid[], p_groups uuid[]) returns void
language plpgsql
as $linked$
declare
    v_resumed uuid[];
begin
    with resumed as (
        update linked.face
        set left_open = false
        from unnest(p_owners, p_groups) as fresh (owner_id, group_id)
        join public.asset_face on asset_face."personGroupId" = fresh.group_id
        join linked.member on member.asset_id = asset_face."assetId" and member.owner_id = fresh.owner_id
        where face.face_id = asset_face.id and face.left_open
        returning face.face_id
    )
    select array_agg(face_id) into v_resumed from resumed;
    if v_resumed is not null then
        perform linked.propagate_people(linked.leading_faces(v_resumed));
    end if;
end
$linked$;
comment on function linked.resume_persons(uuid[], uuid[]) is
    'Takes faces of these accounts that had been left open, and show these new persons, for assigned.';

-- A merge within a cluster group reaches the pictures of all its accounts, in whatever order: what it does to a viewer's clone
-- is nothing that the viewer has put there.
create or replace function linked.agree_within_groups(p_faces uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.face
    set own = false
    from public.asset_face mine
    where mine.id = face.face_id and face.own
        and face.face_key in (select changed.face_key from linked.face changed where changed.face_id = any (p_faces))
        and exists (
            select from linked.face their_face
            join linked.member on member.asset_id = their_face.asset_id and member.can_write
            join public.asset_face theirs on theirs.id = their_face.face_id
            where their_face.face_key = face.face_key and theirs."personGroupId" = mine."personGroupId"
        );
end
$linked$;
comment on function linked.agree_within_groups(uuid[]) is
    'Lets faces of viewers'' clones follow again that correspond to these, and show the same group as a writer''s.';

-- What a viewer put on clones for themselves is everybody's once they may write: faces drawn by hand, and whom they put on
-- faces, unless a writer did so later. A drawn face goes where one was found in the same place that shows nobody else.
create or replace function linked.bring_in_faces(p_clones uuid[]) returns void
language plpgsql
as $linked$
declare
    v_brought uuid[];
begin
    perform linked.plan_for(cardinality(p_clones));
    perform linked.adopt_drawn_faces(array(
        select asset_face.id
        from public.asset_face
        where asset_face."assetId" = any (p_clones) and asset_face."sourceType" = 'manual'
            and not exists (select from linked.face where face.face_id = asset_face.id)
    ));
    v_brought := array(
        select mine.id
        from linked.face
        join public.asset_face mine on mine.id = face.face_id
        where face.asset_id = any (p_clones) and face.own and mine."personGroupId" is not null
            and not exists (
                select from linked.face their_face
                join linked.member on member.asset_id = their_face.asset_id and member.can_write
                join public.asset_face theirs on theirs.id = their_face.face_id and theirs."personGroupId" is not null
                where their_face.face_key = face.face_key and theirs."updatedAt" > mine."updatedAt"
            )
    );
    perform linked.copy_faces(array_agg(clone.asset_id), array_agg(sibling.asset_id))
    from linked.member clone
    join linked.member sibling on sibling.source_id = clone.source_id and sibling.asset_id <> clone.asset_id
    where clone.asset_id = any (p_clones)
        and exists (select from linked.face where face.asset_id = clone.asset_id and face.own)
    having count(*) > 0;
    update linked.face set own = false where asset_id = any (p_clones) and own;
    perform linked.propagate_people(linked.leading_faces(v_brought));
    perform linked.refill_people(p_clones);
    perform linked.fill_blanks(array(
        select distinct person_pair.pair_id
        from linked.member
        join public.asset_face on asset_face."assetId" = member.asset_id
        join linked.person_pair
            on person_pair.person_id = asset_face."personGroupId" and person_pair.owner_id = member.owner_id
        where member.asset_id = any (p_clones)
    ));
end
$linked$;
comment on function linked.bring_in_faces(uuid[]) is
    'Brings the faces and persons that viewers put on these clones, on which they may write from now on, to the siblings.';

create or replace function linked.adopt_drawn_faces(p_faces uuid[]) returns void
language plpgsql
as $linked$
declare
    v_drawn uuid[];
    v_known uuid[];
begin
    select array_agg(face_id), array_agg(known_id)
    into v_drawn, v_known
    from (
        select distinct on (twice.known_id) twice.face_id, twice.known_id
        from linked.at_known_places(p_faces) as twice
        join public.asset_face drawn on drawn.id = twice.face_id and drawn."deletedAt" is null
        join public.asset_face known on known.id = twice.known_id and known."deletedAt" is null
        where known."personGroupId" is null or known."personGroupId" = drawn."personGroupId"
        order by twice.known_id, twice.face_id
    ) as same;
    perform from public."asset_face" where id = any (v_known || v_drawn) for no key update nowait;
    update public.asset_face known
    set "personGroupId" = drawn."personGroupId"
    from unnest(v_drawn, v_known) as same (face_id, known_id)
    join public.asset_face drawn on drawn.id = same.face_id
    where known.id = same.known_id and known."personGroupId" is distinct from drawn."personGroupId";
    update linked.face
    set own = true, left_open = false
    from public.asset_face known
    where face.face_id = any (v_known) and known.id = face.face_id and known."personGroupId" is not null;
    perform linked.delete_faces(v_drawn);
    insert into linked.face (face_id, face_key, asset_id, own)
    select asset_face.id, asset_face.id, asset_face."assetId", true
    from public.asset_face where asset_face.id = any (p_faces);
end
$linked$;
comment on function linked.adopt_drawn_faces(uuid[]) is
    'Remembers faces that a viewer drew; one that lies on a face which was found gives it the person, and goes.';

-- Three changes of whom faces show are not passed on: the person was deleted (that unassigns in one account alone); recognition
-- was reset (one statement that leaves an account without any assigned face; faces of members are then filled again from
-- siblings that still have theirs); and what viewers do.
create or replace function linked.on_asset_face_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId")
                        or exists (
                            select from linked.person_pair where person_pair.person_id operator(pg_catalog.=) stale."personGroupId"
                        )
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."imageWidth" is distinct from stale."imageWidth") then 'imageWidth' end,
                case when bool_or(fresh."imageHeight" is distinct from stale."imageHeight") then 'imageHeight' end,
                case when bool_or(fresh."boundingBoxX1" is distinct from stale."boundingBoxX1") then 'boundingBoxX1' end,
                case when bool_or(fresh."boundingBoxY1" is distinct from stale."boundingBoxY1") then 'boundingBoxY1' end,
                case when bool_or(fresh."boundingBoxX2" is distinct from stale."boundingBoxX2") then 'boundingBoxX2' end,
                case when bool_or(fresh."boundingBoxY2" is distinct from stale."boundingBoxY2") then 'boundingBoxY2' end,
                case when bool_or(fresh."sourceType" is distinct from stale."sourceType") then 'sourceType' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."isVisible" is distinct from stale."isVisible") then 'isVisible' end,
                case when bool_or(fresh."personGroupId" is distinct from stale."personGroupId") then 'personGroupId' end
            ], null)
            from fresh full join stale using ("id")
            where true
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_changed pg_catalog.uuid[];
                v_unassigned pg_catalog.uuid[];
                v_reset pg_catalog.uuid[];
                v_merge record;
            begin
                v_changed := array(select id from (select id, "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType", "deletedAt", "isVisible" from fresh except select id, "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType", "deletedAt", "isVisible" from stale) as changed);
                if cardinality(v_changed) > 0 then
                    select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from fresh where id = any (v_changed)), false);
                    if v_from is not null then
                        perform linked.propagate_faces(v_from, v_to, v_changed);
                    end if;
                end if;

                v_changed := array(select id from (select id, "personGroupId" from fresh except select id, "personGroupId" from stale) as changed);
                -- These only follow their person to another group.
                if current_setting('linked.moved_in', true) = pg_current_xact_id_if_assigned()::text then
                    v_changed := array(
                        select fresh.id
                        from fresh
                        join public.asset on asset.id = fresh."assetId"
                        where fresh.id = any (v_changed)
                            and not exists (
                                select from linked.person_pair
                                where person_pair.person_id = fresh."personGroupId" and person_pair.owner_id = asset."ownerId"
                            )
                    );
                end if;
                if cardinality(v_changed) > 0 then
                    -- Immich moves all faces of a person, and says so by naming the person, only when it merges.
                    if current_query() ~* 'where[^;]*"personGroupId"' then
                        for v_merge in
                            with moved as materialized (
                                select distinct member.owner_id, face.old_id, face.new_id
                                from (
                                    select id, min(old_id)::uuid as old_id, min(new_id)::uuid as new_id
                                    from (
                                        select id, null as old_id, "personGroupId"::text as new_id from fresh
                                        union all
                                        select id, "personGroupId"::text, null from stale
                                    ) as one
                                    where id = any (v_changed)
                                    group by id
                                ) as face
                                join public.asset_face on asset_face.id = face.id
                                join linked.member on member.asset_id = asset_face."assetId" and member.can_write
                                where face.old_id is not null and face.new_id is not null
                            )
                            select moved.owner_id, moved.old_id, moved.new_id
                            from moved
                            where not exists (
                                select from public.asset_face left_over join public.asset on asset.id = left_over."assetId" and asset."ownerId" = moved.owner_id
                                where left_over."personGroupId" = moved.old_id
                            )
                        loop
                            perform linked.follow_merge(v_merge.owner_id, v_merge.old_id, v_merge.new_id);
                        end loop;
                    end if;

                    v_unassigned := array(
                        select id from stale where "personGroupId" is not null
                        intersect
                        select id from fresh where "personGroupId" is null
                    );
                    v_reset := array(
                        select asset."ownerId"
                        from fresh join public.asset on asset.id = fresh."assetId"
                        where fresh.id = any (v_unassigned)
                        group by asset."ownerId"
                        having (count(*) > 1 or current_query() ~* 'where[^;]*"sourceType"')
                            and not exists (
                                select from public.asset_face
                                join public.asset other on other.id = asset_face."assetId"
                                where other."ownerId" = asset."ownerId" and asset_face."personGroupId" is not null
                                    and asset_face."sourceType" = 'machine-learning'
                            )
                    );
                    update linked.face
                    set left_open = asset_face."personGroupId" is null
                            and (
                                face.left_open
                                or not exists (
                                    select from public.person
                                    where person."personGroupId" = stale."personGroupId"
                                )
                                or (not member.can_write and member.owner_id <> all (v_reset))
                            ),
                        own = asset_face."personGroupId" is not null and not member.can_write
                    from stale
                    join public.asset_face on asset_face.id = stale.id
                    join linked.member on member.asset_id = asset_face."assetId"
                    where face.face_id = stale.id and stale.id = any (v_changed);
                    perform linked.agree_within_groups(v_changed);
                    perform linked.hand_to_viewers(v_changed);
                    perform linked.part_from_emptied(array(
                        select distinct person_pair.pair_id
                        from stale
                        join public.asset on asset.id = stale."assetId"
                        join linked.person_pair
                            on person_pair.person_id = stale."personGroupId" and person_pair.owner_id = asset."ownerId"
                        where stale.id = any (v_changed)
                    ));
                    perform linked.propagate_people(linked.leading_faces(array(
                        select asset_face.id
                        from public.asset_face
                        join public.asset on asset.id = asset_face."assetId"
                        where asset_face.id = any (v_changed)
                            and (asset_face."personGroupId" is not null or asset."ownerId" <> all (v_reset))
                    )));
                    if cardinality(v_reset) > 0 then
                        perform linked.refill_people(array(
                            select fresh."assetId"
                            from fresh join public.asset on asset.id = fresh."assetId"
                            where asset."ownerId" = any (v_reset)
                        ));
                    end if;
                end if;
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'asset_face update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('asset_face update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in asset_face update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_asset_face_update() is 'Propagates changes of faces, and whom they show, to the siblings.';
create or replace trigger linked_asset_face_update after update on public."asset_face"
referencing old table as stale new table as fresh
for each statement execute function linked.on_asset_face_update();
comment on trigger linked_asset_face_update on public."asset_face" is 'Propagates changes of faces, and whom they show, to the siblings.';

create or replace function linked.redo_asset_face_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."imageWidth" is distinct from stale."imageWidth") then 'imageWidth' end,
                case when bool_or(fresh."imageHeight" is distinct from stale."imageHeight") then 'imageHeight' end,
                case when bool_or(fresh."boundingBoxX1" is distinct from stale."boundingBoxX1") then 'boundingBoxX1' end,
                case when bool_or(fresh."boundingBoxY1" is distinct from stale."boundingBoxY1") then 'boundingBoxY1' end,
                case when bool_or(fresh."boundingBoxX2" is distinct from stale."boundingBoxX2") then 'boundingBoxX2' end,
                case when bool_or(fresh."boundingBoxY2" is distinct from stale."boundingBoxY2") then 'boundingBoxY2' end,
                case when bool_or(fresh."sourceType" is distinct from stale."sourceType") then 'sourceType' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."isVisible" is distinct from stale."isVisible") then 'isVisible' end,
                case when bool_or(fresh."personGroupId" is distinct from stale."personGroupId") then 'personGroupId' end
            ], null)
            from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh full join jsonb_populate_recordset(null::public."asset_face", p_stale) as stale using ("id")
            where true
        );
begin
            declare
                v_changed uuid[];
                v_unassigned uuid[];
                v_reset uuid[];
                v_merge record;
            begin
                v_changed := array(select id from (select id, "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType", "deletedAt", "isVisible" from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh except select id, "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType", "deletedAt", "isVisible" from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale) as changed);
                if cardinality(v_changed) > 0 then
                    select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh where id = any (v_changed)), false);
                    if v_from is not null then
                        perform linked.propagate_faces(v_from, v_to, v_changed);
                    end if;
                end if;

                v_changed := array(select id from (select id, "personGroupId" from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh except select id, "personGroupId" from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale) as changed);
                -- These only follow their person to another group.
                if current_setting('linked.moved_in', true) = pg_current_xact_id_if_assigned()::text then
                    v_changed := array(
                        select fresh.id
                        from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh
                        join public.asset on asset.id = fresh."assetId"
                        where fresh.id = any (v_changed)
                            and not exists (
                                select from linked.person_pair
                                where person_pair.person_id = fresh."personGroupId" and person_pair.owner_id = asset."ownerId"
                            )
                    );
                end if;
                if cardinality(v_changed) > 0 then
                    -- Immich moves all faces of a person, and says so by naming the person, only when it merges.
                    if p_statement ~* 'where[^;]*"personGroupId"' then
                        for v_merge in
                            with moved as materialized (
                                select distinct member.owner_id, face.old_id, face.new_id
                                from (
                                    select id, min(old_id)::uuid as old_id, min(new_id)::uuid as new_id
                                    from (
                                        select id, null as old_id, "personGroupId"::text as new_id from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh
                                        union all
                                        select id, "personGroupId"::text, null from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale
                                    ) as one
                                    where id = any (v_changed)
                                    group by id
                                ) as face
                                join public.asset_face on asset_face.id = face.id
                                join linked.member on member.asset_id = asset_face."assetId" and member.can_write
                                where face.old_id is not null and face.new_id is not null
                            )
                            select moved.owner_id, moved.old_id, moved.new_id
                            from moved
                            where not exists (
                                select from public.asset_face left_over join public.asset on asset.id = left_over."assetId" and asset."ownerId" = moved.owner_id
                                where left_over."personGroupId" = moved.old_id
                            )
                        loop
                            perform linked.follow_merge(v_merge.owner_id, v_merge.old_id, v_merge.new_id);
                        end loop;
                    end if;

                    v_unassigned := array(
                        select id from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale where "personGroupId" is not null
                        intersect
                        select id from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh where "personGroupId" is null
                    );
                    v_reset := array(
                        select asset."ownerId"
                        from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh join public.asset on asset.id = fresh."assetId"
                        where fresh.id = any (v_unassigned)
                        group by asset."ownerId"
                        having (count(*) > 1 or p_statement ~* 'where[^;]*"sourceType"')
                            and not exists (
                                select from public.asset_face
                                join public.asset other on other.id = asset_face."assetId"
                                where other."ownerId" = asset."ownerId" and asset_face."personGroupId" is not null
                                    and asset_face."sourceType" = 'machine-learning'
                            )
                    );
                    update linked.face
                    set left_open = asset_face."personGroupId" is null
                            and (
                                face.left_open
                                or not exists (
                                    select from public.person
                                    where person."personGroupId" = stale."personGroupId"
                                )
                                or (not member.can_write and member.owner_id <> all (v_reset))
                            ),
                        own = asset_face."personGroupId" is not null and not member.can_write
                    from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale
                    join public.asset_face on asset_face.id = stale.id
                    join linked.member on member.asset_id = asset_face."assetId"
                    where face.face_id = stale.id and stale.id = any (v_changed);
                    perform linked.agree_within_groups(v_changed);
                    perform linked.hand_to_viewers(v_changed);
                    perform linked.part_from_emptied(array(
                        select distinct person_pair.pair_id
                        from jsonb_populate_recordset(null::public."asset_face", p_stale) as stale
                        join public.asset on asset.id = stale."assetId"
                        join linked.person_pair
                            on person_pair.person_id = stale."personGroupId" and person_pair.owner_id = asset."ownerId"
                        where stale.id = any (v_changed)
                    ));
                    perform linked.propagate_people(linked.leading_faces(array(
                        select asset_face.id
                        from public.asset_face
                        join public.asset on asset.id = asset_face."assetId"
                        where asset_face.id = any (v_changed)
                            and (asset_face."personGroupId" is not null or asset."ownerId" <> all (v_reset))
                    )));
                    if cardinality(v_reset) > 0 then
                        perform linked.refill_people(array(
                            select fresh."assetId"
                            from jsonb_populate_recordset(null::public."asset_face", p_fresh) as fresh join public.asset on asset.id = fresh."assetId"
                            where asset."ownerId" = any (v_reset)
                        ));
                    end if;
                end if;
            end;

end
$linked$;
comment on function linked.redo_asset_face_update(jsonb, jsonb, text) is
    'Does what was noted: propagates changes of faces, and whom they show, to the siblings.';

create or replace function linked.on_person_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where exists (select from linked.person_pair where stale."personGroupId" operator(pg_catalog.=) person_pair.person_id and stale."ownerId" operator(pg_catalog.=) person_pair.owner_id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_moved pg_catalog.uuid[];
            begin
                if exists (select "ownerId", "personGroupId" from fresh except select "ownerId", "personGroupId" from stale) then
                    -- Both tables have the rows in the order in which they were updated.
                    v_moved := linked.follow_moved_persons(
                        array_agg(stale."ownerId"), array_agg(stale."personGroupId"), array_agg(fresh."personGroupId")
                    )
                    from (select *, row_number() over () as place from stale) as stale
                    join (select *, row_number() over () as place from fresh) as fresh
                        on fresh.place = stale.place and fresh."ownerId" = stale."ownerId"
                    where fresh."personGroupId" <> stale."personGroupId";
                end if;
                perform linked.propagate_person_name(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "name" from fresh except select "ownerId", "personGroupId", "name" from stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
                perform linked.propagate_person_birthdate(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "birthDate" from fresh except select "ownerId", "personGroupId", "birthDate" from stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
                perform linked.propagate_person_color(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "color" from fresh except select "ownerId", "personGroupId", "color" from stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
                perform linked.note_details(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "name", "birthDate", "color" from fresh except select "ownerId", "personGroupId", "name", "birthDate", "color" from stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                ));
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'person update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('person update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in person update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_person_update() is 'Propagates names, birth dates and colours of persons.';
create or replace trigger linked_person_update after update on public."person"
referencing old table as stale new table as fresh
for each statement execute function linked.on_person_update();
comment on trigger linked_person_update on public."person" is 'Propagates names, birth dates and colours of persons.';

create or replace function linked.redo_person_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_moved uuid[];
            begin
                if exists (select "ownerId", "personGroupId" from jsonb_populate_recordset(null::public."person", p_fresh) as fresh except select "ownerId", "personGroupId" from jsonb_populate_recordset(null::public."person", p_stale) as stale) then
                    -- Both tables have the rows in the order in which they were updated.
                    v_moved := linked.follow_moved_persons(
                        array_agg(stale."ownerId"), array_agg(stale."personGroupId"), array_agg(fresh."personGroupId")
                    )
                    from (select *, row_number() over () as place from jsonb_populate_recordset(null::public."person", p_stale) as stale) as stale
                    join (select *, row_number() over () as place from jsonb_populate_recordset(null::public."person", p_fresh) as fresh) as fresh
                        on fresh.place = stale.place and fresh."ownerId" = stale."ownerId"
                    where fresh."personGroupId" <> stale."personGroupId";
                end if;
                perform linked.propagate_person_name(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "name" from jsonb_populate_recordset(null::public."person", p_fresh) as fresh except select "ownerId", "personGroupId", "name" from jsonb_populate_recordset(null::public."person", p_stale) as stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
                perform linked.propagate_person_birthdate(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "birthDate" from jsonb_populate_recordset(null::public."person", p_fresh) as fresh except select "ownerId", "personGroupId", "birthDate" from jsonb_populate_recordset(null::public."person", p_stale) as stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
                perform linked.propagate_person_color(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "color" from jsonb_populate_recordset(null::public."person", p_fresh) as fresh except select "ownerId", "personGroupId", "color" from jsonb_populate_recordset(null::public."person", p_stale) as stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                    where (person_pair.pair_id = any (v_moved)) is not true
                ));
                perform linked.note_details(array(
                    select person_pair.pair_id
                    from (select "ownerId", "personGroupId", "name", "birthDate", "color" from jsonb_populate_recordset(null::public."person", p_fresh) as fresh except select "ownerId", "personGroupId", "name", "birthDate", "color" from jsonb_populate_recordset(null::public."person", p_stale) as stale) as changed
                    join linked.person_pair on changed."personGroupId" = person_pair.person_id and changed."ownerId" = person_pair.owner_id
                ));
            end;

end
$linked$;
comment on function linked.redo_person_update(jsonb, jsonb, text) is
    'Does what was noted: propagates names, birth dates and colours of persons.';

create or replace function linked.on_person_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where exists (
                        select from public.asset_face join linked.face on face.face_id operator(pg_catalog.=) asset_face.id
                        where asset_face."personGroupId" operator(pg_catalog.=) fresh."personGroupId" and face.left_open
                    )
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.resume_persons(array_agg("ownerId"), array_agg("personGroupId")) from fresh;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'person insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('person insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in person insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_person_insert() is 'Assigns faces again whose account has got back the person that it had deleted.';
create or replace trigger linked_person_insert after insert on public."person"
referencing new table as fresh
for each statement execute function linked.on_person_insert();
comment on trigger linked_person_insert on public."person" is 'Assigns faces again whose account has got back the person that it had deleted.';

create or replace function linked.redo_person_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.resume_persons(array_agg("ownerId"), array_agg("personGroupId")) from jsonb_populate_recordset(null::public."person", p_fresh) as fresh;

end
$linked$;
comment on function linked.redo_person_insert(jsonb, jsonb, text) is
    'Does what was noted: assigns faces again whose account has got back the person that it had deleted.';

create or replace function linked.on_person_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where exists (select from linked.person_pair where stale."personGroupId" operator(pg_catalog.=) person_pair.person_id and stale."ownerId" operator(pg_catalog.=) person_pair.owner_id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            delete from linked.person_pair using stale where stale."personGroupId" = person_pair.person_id and stale."ownerId" = person_pair.owner_id;
            -- The faces stay with the group as long as somebody has a person of it.
            update linked.face
            set left_open = true
            from stale
            join linked.member on member.owner_id = stale."ownerId"
            join public.asset_face on asset_face."assetId" = member.asset_id and asset_face."personGroupId" = stale."personGroupId"
            where face.face_id = asset_face.id and not face.left_open;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'person delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('person delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in person delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_person_delete() is 'Unpairs deleted persons.';
create or replace trigger linked_person_delete after delete on public."person"
referencing old table as stale
for each statement execute function linked.on_person_delete();
comment on trigger linked_person_delete on public."person" is 'Unpairs deleted persons.';

create or replace function linked.redo_person_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            delete from linked.person_pair using jsonb_populate_recordset(null::public."person", p_stale) as stale where stale."personGroupId" = person_pair.person_id and stale."ownerId" = person_pair.owner_id;
            -- The faces stay with the group as long as somebody has a person of it.
            update linked.face
            set left_open = true
            from jsonb_populate_recordset(null::public."person", p_stale) as stale
            join linked.member on member.owner_id = stale."ownerId"
            join public.asset_face on asset_face."assetId" = member.asset_id and asset_face."personGroupId" = stale."personGroupId"
            where face.face_id = asset_face.id and not face.left_open;

end
$linked$;
comment on function linked.redo_person_delete(jsonb, jsonb, text) is
    'Does what was noted: unpairs deleted persons.';

-- Live photos: a clone's video part is the clone of its source's video part.


-- Before a user pairs a video with a still, Immich hides it. A video of the user's own that stays on no still is shown again; not
-- what Immich has extracted from a picture.
create or replace function linked.pair_live_photos(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    with wanted as materialized (
        select still.asset_id, video.asset_id as video_id, clone."livePhotoVideoId" as present_id
        from (
            select id, "livePhotoVideoId" from public.asset where id = any (p_sources)
            union
            select id, "livePhotoVideoId" from public.asset where "livePhotoVideoId" = any (p_sources)
        ) as source
        join linked.member still on still.source_id = source.id and still.asset_id <> still.source_id
        join public.asset clone on clone.id = still.asset_id
        left join linked.member video
            on video.source_id = source."livePhotoVideoId" and video.owner_id = still.owner_id
        where clone."livePhotoVideoId" is distinct from video.asset_id
        for no key update of clone nowait
    ), paired as (
        update public.asset mine
        set "livePhotoVideoId" = wanted.video_id
        from wanted
        where mine.id = wanted.asset_id
        returning mine.id, wanted.present_id
    )
    update public.asset video
    set visibility = 'timeline'
    from paired
    where video.id = paired.present_id and video.visibility = 'hidden'
        and position('/encoded-video/' in video."originalPath") = 0
        and not exists (select from linked.member where member.asset_id = video.id)
        and not exists (
            select from public.asset other where other."livePhotoVideoId" = video.id and other.id <> paired.id
        );
end
$linked$;
comment on function linked.pair_live_photos(uuid[]) is
    'Gives the clones of stills the clones of their video parts, for groups of which p_sources are the stills or the videos.';

-- Immich pairs still and video on whichever member it works on (metadata extraction of a clone finds the clone's video).
-- A video that is not a member stays unpaired: it is nobody else's.
create or replace function linked.follow_live_photos(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id in (select source_id from linked.member where asset_id = any (p_changed) and can_write) for no key update nowait;
    update public.asset source
    set "livePhotoVideoId" = source_video.asset_id
    from linked.member
    join public.asset theirs on theirs.id = member.asset_id
    left join linked.member video on video.asset_id = theirs."livePhotoVideoId"
    left join linked.member source_video
        on source_video.source_id = video.source_id and source_video.asset_id = source_video.source_id
    where member.asset_id = any (p_changed) and member.can_write and member.asset_id <> member.source_id
        and source.id = member.source_id
        and source."livePhotoVideoId" is distinct from source_video.asset_id
        and (theirs."livePhotoVideoId" is null or source_video.owner_id = source."ownerId");
end
$linked$;
comment on function linked.follow_live_photos(uuid[]) is
    'Brings the pairing of still and video on a clone to its source.';

create or replace function linked.video_clones(p_stills uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select video.asset_id
        from public.asset still
        join linked.member video on video.asset_id = still."livePhotoVideoId" and video.asset_id <> video.source_id
        where still.id = any (p_stills)
        except
        select other."livePhotoVideoId"
        from public.asset still
        join public.asset other on other."livePhotoVideoId" = still."livePhotoVideoId"
        where still.id = any (p_stills)
            and not exists (select from unnest(p_stills) as id where id = other.id)
    );
end
$linked$;
comment on function linked.video_clones(uuid[]) is
    'The clones of video parts that belong to these clones of stills and to no other.';

-- Stacks: the linked part of a stack exists in each account, when it has two or more.


-- Invariant: of two stacks with the same key, each holds the members of its own account.
create or replace function linked.propagate_stacks(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_keys uuid[];
    v_owners uuid[];
    v_first uuid[];
    v_left uuid[];
    v_left_keys uuid[];
begin
    if not exists (
        select from public.asset
        where (asset.id = any (p_from) or asset.id = any (p_to)) and asset."stackId" is not null
    ) then
        return;
    end if;
    select from_ids, to_ids into v_from, v_to from linked.with_stack_mates(p_from, p_to);
    perform linked.remember_stacks(v_from);
    select stack_keys, owner_ids, first_ids into v_keys, v_owners, v_first from linked.adopt_stacks(v_from, v_to);

    v_left := array(
        select distinct mine."stackId"
        from unnest(v_to) as to_id join public.asset mine on mine.id = to_id
        where mine."stackId" is not null
    );
    v_left_keys := array(select stack_key from linked.stack_pair where stack_id = any (v_left));
    -- Out of the old stack first: an asset cannot lead two. The keys at hand are still needed.
    perform linked.leave_other_stacks(v_from, v_to, v_keys, v_owners);
    perform linked.dissolve_stacks(v_left, p_keep_lone => true);
    perform linked.make_stacks(v_keys, v_owners, v_first);
    perform linked.join_stacks(v_from, v_to);
    perform linked.propagate_primaries(array(
        select distinct theirs."stackId" from public.asset theirs where theirs.id = any (v_from)
    ));
    perform linked.dissolve_stacks(array(
        select unnest(v_left)
        union
        select mine."stackId" from public.asset mine where mine.id = any (v_to) and mine."stackId" is not null
    ));
    perform linked.forget_lone_stacks(v_left_keys);
end
$linked$;
comment on function linked.propagate_stacks(uuid[], uuid[]) is
    'Stacks the members p_to the way p_from are stacked, pair by pair.';

-- Whether a stack has two linked assets in an account depends on all of its members.
create or replace function linked.with_stack_mates(p_from uuid[], p_to uuid[], out from_ids uuid[], out to_ids uuid[])
language plpgsql stable
as $linked$
begin
    select array_agg(pairs.from_id), array_agg(pairs.to_id) into from_ids, to_ids
    from (
        select pair.from_id, pair.to_id from unnest(p_from, p_to) as pair (from_id, to_id)
        union
        select mate.id, sibling.asset_id
        from (
            select distinct theirs."stackId" as stack_id, target.owner_id
            from unnest(p_from, p_to) as pair (from_id, to_id)
            join public.asset theirs on theirs.id = pair.from_id
            join linked.member target on target.asset_id = pair.to_id
        ) as stack
        join public.asset mate on mate."stackId" = stack.stack_id
        join linked.member mate_member on mate_member.asset_id = mate.id and mate_member.can_write
        join linked.member sibling
            on sibling.source_id = mate_member.source_id and sibling.owner_id = stack.owner_id
        where sibling.asset_id <> mate.id
    ) as pairs
    where not exists (
        select from public.asset mine
        join linked.passing_stack on passing_stack.stack_id = mine."stackId"
        where mine.id = pairs.to_id and passing_stack.made_in = pg_current_xact_id()::text
    );
end
$linked$;
comment on function linked.with_stack_mates(uuid[], uuid[]) is
    'These pairs of members, and those of all that is stacked with p_from. Without what a viewer has just stacked.';

create or replace function linked.remember_stacks(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    -- Whoever changes or dissolves it cannot see yet that it is remembered.
    insert into linked.stack_pair (stack_id, stack_key, owner_id)
    select stack.id, stack.id, stack."ownerId"
    from public.stack
    where stack.id in (select theirs."stackId" from public.asset theirs where theirs.id = any (p_assets))
        and not exists (select from linked.stack_pair known where known.stack_id = stack.id)
    for share of stack nowait
    on conflict do nothing;
end
$linked$;
comment on function linked.remember_stacks(uuid[]) is 'Remembers the stacks of these assets as having counterparts.';

-- The account may have stacked them already: then that stack becomes the counterpart.
create or replace function linked.adopt_stacks(
    p_from uuid[], p_to uuid[], out stack_keys uuid[], out owner_ids uuid[], out first_ids uuid[]
)
language plpgsql
as $linked$
declare
    v_own uuid[];
begin
    select array_agg(part.stack_key), array_agg(part.owner_id), array_agg(part.first_id), array_agg(part.own_stack_id)
    into stack_keys, owner_ids, first_ids, v_own
    from (
        select their_pair.stack_key, member.owner_id,
            (array_agg(mine.id order by theirs.id = their_stack."primaryAssetId" desc, mine."fileCreatedAt", member.source_id))[1]
            as first_id,
            (array_agg(mine."stackId" order by mine."stackId") filter (where not exists (
                select from linked.stack_pair other
                where other.stack_key = own_pair.stack_key and other.stack_id <> own_pair.stack_id
            )))[1] as own_stack_id
        from unnest(p_from, p_to) as pair (from_id, to_id)
        join public.asset theirs on theirs.id = pair.from_id
        join public.asset mine on mine.id = pair.to_id
        join linked.member on member.asset_id = pair.to_id
        join public.stack their_stack on their_stack.id = theirs."stackId"
        join linked.stack_pair their_pair on their_pair.stack_id = theirs."stackId"
        left join linked.stack_pair own_pair on own_pair.stack_id = mine."stackId"
        where not exists (
            select from linked.stack_pair
            where stack_pair.stack_key = their_pair.stack_key and stack_pair.owner_id = member.owner_id
        )
        group by their_pair.stack_key, member.owner_id
        having count(*) >= 2
    ) as part;
    perform from public.stack where id = any (v_own) for share nowait;
    insert into linked.stack_pair (stack_id, stack_key, owner_id)
    select distinct on (part.own_stack_id) part.own_stack_id, part.stack_key, part.owner_id
    from unnest(stack_keys, owner_ids, v_own) as part (stack_key, owner_id, own_stack_id)
    where part.own_stack_id is not null
    order by part.own_stack_id, part.stack_key
    on conflict (stack_id) do update set stack_key = excluded.stack_key;
end
$linked$;
comment on function linked.adopt_stacks(uuid[], uuid[]) is
    'The stacks, by key and owner, that accounts lack for these pairs, and which asset is to lead each. Those that an account has made of them itself become counterparts.';

create or replace function linked.leave_other_stacks(p_from uuid[], p_to uuid[], p_keys uuid[], p_owners uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id = any (p_to) for no key update nowait;
    update public.asset mine
    set "stackId" = null
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join linked.member on member.asset_id = pair.to_id
    left join linked.stack_pair their_pair on their_pair.stack_id = theirs."stackId"
    where mine.id = pair.to_id and mine."stackId" is not null
        and case
            when theirs."stackId" is null and not member.can_write then true
            when exists (select from linked.stack_pair my_pair where my_pair.stack_id = mine."stackId") then not exists (
                select from linked.stack_pair my_pair
                where my_pair.stack_id = mine."stackId" and my_pair.stack_key = their_pair.stack_key
            )
            -- Out of a stack of the account's own only where another takes it in.
            else (their_pair.stack_key, member.owner_id) in (select * from unnest(p_keys, p_owners))
                or exists (
                    select from linked.stack_pair my_pair
                    where my_pair.stack_key = their_pair.stack_key and my_pair.owner_id = member.owner_id
                )
        end;
end
$linked$;
comment on function linked.leave_other_stacks(uuid[], uuid[], uuid[], uuid[]) is
    'Takes the members p_to out of stacks that are not the counterparts of those of p_from. Stacks about to be made are named by key and owner.';

create or replace function linked.make_stacks(p_keys uuid[], p_owners uuid[], p_first uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id = any (p_first) for update nowait;
    with missing as materialized (
        select gen_random_uuid() as stack_id, part.stack_key, part.owner_id, part.first_id
        from unnest(p_keys, p_owners, p_first) as part (stack_key, owner_id, first_id)
        where not exists (
            select from linked.stack_pair
            where stack_pair.stack_key = part.stack_key and stack_pair.owner_id = part.owner_id
        )
    ), made as (
        insert into public.stack (id, "primaryAssetId", "ownerId")
        select stack_id, first_id, owner_id from missing
        on conflict do nothing
        returning id
    )
    insert into linked.stack_pair (stack_id, stack_key, owner_id)
    select missing.stack_id, missing.stack_key, missing.owner_id
    from missing join made on made.id = missing.stack_id;
end
$linked$;
comment on function linked.make_stacks(uuid[], uuid[], uuid[]) is
    'Makes the stacks of these keys for these owners that do not exist, each led by an asset that exists.';

create or replace function linked.join_stacks(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.write_stacks(array_agg(mine.id), array_agg(my_pair.stack_id))
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join public.asset theirs on theirs.id = pair.from_id
    join public.asset mine on mine.id = pair.to_id
    join linked.member on member.asset_id = pair.to_id
    join linked.stack_pair their_pair on their_pair.stack_id = theirs."stackId"
    join linked.stack_pair my_pair
        on my_pair.stack_key = their_pair.stack_key and my_pair.owner_id = member.owner_id
    where mine."stackId" is distinct from my_pair.stack_id
    having count(*) > 0;
end
$linked$;
comment on function linked.join_stacks(uuid[], uuid[]) is
    'Puts the members p_to into the counterparts of the stacks of p_from, pair by pair.';

-- With a plan that is kept, because foreign keys are checked row by row.
create or replace function linked.write_stacks(p_assets uuid[], p_stacks uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    update public.asset
    set "stackId" = pair.stack_id
    from unnest(p_assets, p_stacks) as pair (asset_id, stack_id)
    where asset.id = pair.asset_id;
end
$linked$;
comment on function linked.write_stacks(uuid[], uuid[]) is 'Puts assets into stacks, pair by pair.';

create or replace function linked.propagate_primaries(p_stacks uuid[]) returns void
language plpgsql
as $linked$
declare
    v_stacks uuid[];
    v_primaries uuid[];
begin
    select array_agg(my_pair.stack_id), array_agg(my_member.asset_id) into v_stacks, v_primaries
    from public.stack theirs
    join linked.stack_pair their_pair on their_pair.stack_id = theirs.id
    join linked.stack_pair my_pair on my_pair.stack_key = their_pair.stack_key and my_pair.stack_id <> theirs.id
    join public.stack mine on mine.id = my_pair.stack_id
    join linked.member their_member on their_member.asset_id = theirs."primaryAssetId"
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.owner_id = my_pair.owner_id
    where theirs.id = any (p_stacks) and mine."primaryAssetId" <> my_member.asset_id;
    if v_stacks is null then
        return;
    end if;
    perform from public."stack" where id = any (v_stacks) for no key update nowait;
    perform from public."asset" where id = any (v_primaries) for update nowait;
    update public.stack mine
    set "primaryAssetId" = wanted.asset_id
    from unnest(v_stacks, v_primaries) as wanted (stack_id, asset_id)
    join public.asset on asset.id = wanted.asset_id and asset."stackId" = wanted.stack_id
    where mine.id = wanted.stack_id
        and not exists (select from public.stack other where other."primaryAssetId" = wanted.asset_id);
end
$linked$;
comment on function linked.propagate_primaries(uuid[]) is
    'Gives the counterparts of these stacks the same primary asset, where it is a member.';

-- What a viewer makes the primary asset is undone by taking after another account's stack.
create or replace function linked.leading_stacks(p_stacks uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select distinct on (changed.stack_key) lead.stack_id
        from linked.stack_pair changed
        join linked.stack_pair lead on lead.stack_key = changed.stack_key
        join public.stack on stack.id = lead.stack_id
        join linked.member on member.asset_id = stack."primaryAssetId" and member.can_write
        where changed.stack_id = any (p_stacks)
        order by changed.stack_key, lead.stack_id = changed.stack_id desc,
            member.asset_id = member.source_id desc, lead.stack_id
    );
end
$linked$;
comment on function linked.leading_stacks(uuid[]) is
    'Of stacks that changed: which one the counterparts take after.';

-- Immich has no stacks of fewer than two, and none whose primary asset is outside. The new primary asset is chosen by what
-- is the same in all accounts.
create or replace function linked.dissolve_stacks(p_stacks uuid[], p_keep_lone boolean default false) returns void
language plpgsql
as $linked$
declare
    v_dissolved uuid[];
    v_keys uuid[];
    v_headless uuid[];
begin
    v_dissolved := array(
        select stack.id from public.stack
        where stack.id = any (p_stacks)
            and (select count(*) from public.asset where asset."stackId" = stack.id) < 2
            and not exists (
                select from linked.passing_stack
                where passing_stack.stack_id = stack.id and passing_stack.made_in = pg_current_xact_id()::text
            )
    );
    if cardinality(v_dissolved) > 0 then
        perform from public."stack" where id = any (v_dissolved) for update nowait;
        perform from public."asset" where "stackId" = any (v_dissolved) for no key update nowait;
        if pg_trigger_depth() > 0 then
            insert into public.stack_audit ("stackId", "userId")
            select id, "ownerId" from public.stack where id = any (v_dissolved);
        end if;
        delete from public.stack where id = any (v_dissolved);
        delete from linked.passing_stack where stack_id = any (v_dissolved);
        v_keys := array(select stack_key from linked.stack_pair where stack_id = any (v_dissolved));
        delete from linked.stack_pair where stack_id = any (v_dissolved);
        if not p_keep_lone then
            perform linked.forget_lone_stacks(v_keys);
        end if;
    end if;
    v_headless := array(
        select stack.id from public.stack
        where stack.id = any (p_stacks)
            and not exists (
                select from public.asset where asset.id = stack."primaryAssetId" and asset."stackId" = stack.id
            )
            and exists (select from public.asset where asset."stackId" = stack.id)
    );
    if cardinality(v_headless) > 0 then
        perform from public."stack" where id = any (v_headless) for no key update nowait;
        perform from public."asset" where "stackId" = any (v_headless) for update nowait;
        update public.stack
        set "primaryAssetId" = (
            select asset.id
            from public.asset left join linked.member on member.asset_id = asset.id
            where asset."stackId" = stack.id
            order by asset."fileCreatedAt", coalesce(member.source_id, asset.id)
            limit 1
        )
        where stack.id = any (v_headless);
    end if;
end
$linked$;
comment on function linked.dissolve_stacks(uuid[], boolean) is
    'Dissolves stacks of fewer than two assets, and gives the others a primary asset of their own.';

create or replace function linked.forget_lone_stacks(p_keys uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.stack_pair alone
    where stack_key = any (p_keys)
        and not exists (
            select from linked.stack_pair other
            where other.stack_key = alone.stack_key and other.stack_id <> alone.stack_id
        );
end
$linked$;
comment on function linked.forget_lone_stacks(uuid[]) is 'Forgets stacks that have no counterpart any more.';

-- Immich asks which stacks the assets lead, and makes its own after. When sync has made one in between, Immich's takes its
-- place: two stacks cannot have the same primary asset.
create or replace function linked.replace_stack() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
as $linked$
declare
    v_stack uuid;
    v_probe uuid;
begin
    if current_setting('linked.writing', true) = pg_current_xact_id_if_assigned()::text then
        return new;
    end if;
    begin
        if not exists (select from linked.installation where suspended_at is null)
            or not exists (select from linked.member where member.asset_id = new."primaryAssetId")
        then
            return new;
        end if;
        begin
            perform linked.wait_for_turn(null, false);
        exception when lock_not_available or deadlock_detected then
            -- Sync may have made the other in a transaction that goes on and on: here its end is waited for without an error.
            perform set_config('linked.writing', pg_current_xact_id()::text, true);
            v_probe := case when tg_op = 'INSERT' then new.id else gen_random_uuid() end;
            insert into public.stack (id, "ownerId", "primaryAssetId")
            values (v_probe, new."ownerId", new."primaryAssetId")
            on conflict do nothing;
            if found then
                delete from public.stack where id = v_probe;
            end if;
            perform linked.stop_writing();
        end;
        select stack.id into v_stack
        from public.stack join linked.stack_pair on stack_pair.stack_id = stack.id
        where stack."primaryAssetId" = new."primaryAssetId" and stack.id <> new.id;
        if v_stack is null then
            return new;
        end if;
        if tg_op = 'UPDATE' then
            new."primaryAssetId" := old."primaryAssetId";
            return new;
        end if;
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.stack_audit ("stackId", "userId")
        select id, "ownerId" from public.stack where id = v_stack;
        delete from public.stack where id = v_stack;
        update linked.stack_pair set stack_id = new.id where stack_id = v_stack;
        perform linked.stop_writing();
    exception when others then
        return new;
    end;
    return new;
end
$linked$;
comment on function linked.replace_stack() is
    'Lets a stack that Immich makes take the place of the one that sync made meanwhile with the same primary asset.';
create or replace trigger linked_stack_replace before insert or update on public.stack
for each row execute function linked.replace_stack();
comment on trigger linked_stack_replace on public.stack is
    'Lets a stack that Immich makes take the place of the one that sync made meanwhile with the same primary asset.';

create or replace function linked.fill_stacks(p_stacks uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.propagate_stacks(array_agg(wanted.from_id), array_agg(wanted.to_id))
    from (
        select distinct on (sibling.asset_id) mate.id as from_id, sibling.asset_id as to_id
        from linked.stack_pair mine
        join linked.stack_pair other on other.stack_key = mine.stack_key and other.stack_id <> mine.stack_id
        join public.asset mate on mate."stackId" = other.stack_id
        join linked.member on member.asset_id = mate.id and member.can_write
        join linked.member sibling on sibling.source_id = member.source_id and sibling.owner_id = mine.owner_id
        where mine.stack_id = any (p_stacks)
        order by sibling.asset_id, member.asset_id = member.source_id desc, mate.id
    ) as wanted
    having count(*) > 0;
end
$linked$;
comment on function linked.fill_stacks(uuid[]) is
    'Puts into new stacks, which have taken the place of others, what their counterparts hold.';

-- Immich reads the stack back that it has just made, in the same transaction. So a viewer's is undone by a later one.
create or replace function linked.let_stacks_pass(p_changed uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.passing_stack (stack_id, made_in)
    select distinct asset."stackId", pg_current_xact_id()::text
    from unnest(p_changed) as changed (id)
    join linked.member on member.asset_id = changed.id and not member.can_write
    join public.asset on asset.id = member.asset_id and asset."stackId" is not null
    where not exists (select from linked.stack_pair where stack_pair.stack_id = asset."stackId")
    on conflict (stack_id) do update set made_in = excluded.made_in;
end
$linked$;
comment on function linked.let_stacks_pass(uuid[]) is
    'Notes which stacks viewers have put these clones into: they stand until the transaction is over.';

create or replace function linked.sweep_stacks() returns void
language plpgsql
as $linked$
declare
    v_stacks uuid[];
begin
    with over as (
        delete from linked.passing_stack where made_in <> pg_current_xact_id()::text returning stack_id
    )
    select array_agg(stack_id) into v_stacks from over;
    perform linked.propagate_stacks(array_agg(member.source_id), array_agg(member.asset_id))
    from public.asset join linked.member on member.asset_id = asset.id
    where asset."stackId" = any (v_stacks) and not member.can_write
    having count(*) > 0;
    perform linked.dissolve_stacks(v_stacks);
end
$linked$;
comment on function linked.sweep_stacks() is
    'Takes clones of viewers out of the stacks that they were put into by an earlier transaction.';

create or replace function linked.bring_in_stacks(p_clones uuid[], p_siblings uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.passing_stack
    using public.asset
    where asset.id = any (p_clones) and passing_stack.stack_id = asset."stackId"
        and not exists (
            select from public.asset mate
            join linked.member on member.asset_id = mate.id and not member.can_write
            where mate."stackId" = passing_stack.stack_id
        );
    perform linked.propagate_stacks(array_agg(pair.clone_id), array_agg(pair.sibling_id))
    from unnest(p_clones, p_siblings) as pair (clone_id, sibling_id)
    join public.asset on asset.id = pair.clone_id and asset."stackId" is not null
    having count(*) > 0;
end
$linked$;
comment on function linked.bring_in_stacks(uuid[], uuid[]) is
    'Gives the stacks that viewers had made of these clones to the siblings, now that they may write.';

create or replace function linked.on_stack_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where exists (select from linked.stack_pair where stack_pair.stack_id operator(pg_catalog.=) fresh.id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.fill_stacks(array(
                select fresh.id from fresh join linked.stack_pair on stack_pair.stack_id = fresh.id
            ));

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'stack insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('stack insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in stack insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_stack_insert() is 'Fills stacks that take the place of others.';
create or replace trigger linked_stack_insert after insert on public."stack"
referencing new table as fresh
for each statement execute function linked.on_stack_insert();
comment on trigger linked_stack_insert on public."stack" is 'Fills stacks that take the place of others.';

create or replace function linked.redo_stack_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.fill_stacks(array(
                select fresh.id from jsonb_populate_recordset(null::public."stack", p_fresh) as fresh join linked.stack_pair on stack_pair.stack_id = fresh.id
            ));

end
$linked$;
comment on function linked.redo_stack_insert(jsonb, jsonb, text) is
    'Does what was noted: fills stacks that take the place of others.';

create or replace function linked.on_stack_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where exists (select from linked.stack_pair where stack_pair.stack_id operator(pg_catalog.=) fresh.id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.propagate_primaries(linked.leading_stacks(array(
                select id from (select id, "primaryAssetId" from fresh except select id, "primaryAssetId" from stale) as changed
            )));

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'stack update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('stack update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in stack update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_stack_update() is 'Propagates the primary assets of stacks.';
create or replace trigger linked_stack_update after update on public."stack"
referencing old table as stale new table as fresh
for each statement execute function linked.on_stack_update();
comment on trigger linked_stack_update on public."stack" is 'Propagates the primary assets of stacks.';

create or replace function linked.redo_stack_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.propagate_primaries(linked.leading_stacks(array(
                select id from (select id, "primaryAssetId" from jsonb_populate_recordset(null::public."stack", p_fresh) as fresh except select id, "primaryAssetId" from jsonb_populate_recordset(null::public."stack", p_stale) as stale) as changed
            )));

end
$linked$;
comment on function linked.redo_stack_update(jsonb, jsonb, text) is
    'Does what was noted: propagates the primary assets of stacks.';

create or replace function linked.on_stack_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where exists (select from linked.stack_pair where stack_pair.stack_id operator(pg_catalog.=) stale.id)
                        or exists (select from linked.passing_stack where passing_stack.stack_id operator(pg_catalog.=) stale.id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            delete from linked.stack_pair using stale where stack_pair.stack_id = stale.id;
            delete from linked.passing_stack using stale where passing_stack.stack_id = stale.id;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'stack delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('stack delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in stack delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_stack_delete() is 'Forgets the pairing of stacks.';
create or replace trigger linked_stack_delete after delete on public."stack"
referencing old table as stale
for each statement execute function linked.on_stack_delete();
comment on trigger linked_stack_delete on public."stack" is 'Forgets the pairing of stacks.';

create or replace function linked.redo_stack_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            delete from linked.stack_pair using jsonb_populate_recordset(null::public."stack", p_stale) as stale where stack_pair.stack_id = stale.id;
            delete from linked.passing_stack using jsonb_populate_recordset(null::public."stack", p_stale) as stale where passing_stack.stack_id = stale.id;

end
$linked$;
comment on function linked.redo_stack_delete(jsonb, jsonb, text) is
    'Does what was noted: forgets the pairing of stacks.';

-- Tags: the counterpart of a tag is the one with the same value (path) in the other account.


-- Creates what is missing of the tags p_values in the accounts p_users, with their parents, Immich's closure rows, and the
-- colours that the tags have in the accounts p_like.
create or replace function linked.make_tags(p_users uuid[], p_values text[], p_like uuid[]) returns void
language plpgsql
as $linked$
declare
    v_depth integer := 1;
    v_made uuid[];
begin
    -- A loop because a tag needs its parent's id.
    loop
        with path as (
            select distinct on (tag.user_id, value)
                tag.user_id, tag.like_id,
                array_to_string((string_to_array(tag.value, '/'))[:v_depth], '/') as value,
                rtrim(array_to_string((string_to_array(tag.value, '/'))[:v_depth - 1], '/'), '/') as parent
            from unnest(p_users, p_values, p_like) as tag (user_id, value, like_id)
            where cardinality(string_to_array(tag.value, '/')) = v_depth
                or (string_to_array(tag.value, '/'))[v_depth] <> ''
            order by tag.user_id, value, tag.like_id
        ), made as (
            insert into public.tag ("userId", value, color, "parentId")
            select path.user_id, path.value, model.color, parent.id
            from path
            left join public.tag model on model."userId" = path.like_id and model.value = path.value
            left join public.tag parent on parent."userId" = path.user_id and parent.value = path.parent
            on conflict do nothing
            returning id
        ), noted as (
            insert into linked.made_tag (tag_id) select id from made returning tag_id
        )
        select array_agg(tag_id) into v_made from noted;
        insert into public.tag_closure (id_ancestor, id_descendant)
        select id, id from unnest(v_made) as id
        union
        select closure.id_ancestor, tag.id
        from public.tag
        join public.tag_closure closure on closure.id_descendant = tag."parentId"
        where tag.id = any (v_made)
        union
        select tag."parentId", tag.id
        from public.tag where tag.id = any (v_made) and tag."parentId" is not null
        on conflict do nothing;
        v_depth := v_depth + 1;
        exit when not exists (
            select from unnest(p_values) as value where cardinality(string_to_array(value, '/')) >= v_depth
        );
    end loop;
end
$linked$;
comment on function linked.make_tags(uuid[], text[], uuid[]) is
    'Creates tags with their parents in accounts that lack them, and remembers that the addon made them.';

-- The rows are found with plans for as many as there are, and written with one that is kept, like those of albums.
create or replace function linked.write_tags(p_assets uuid[], p_tags uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    perform from public."tag" where id = any (p_tags) for key share nowait;
    perform from public."asset" where id = any (p_assets) for key share nowait;
    with added as (
        insert into public.tag_asset ("assetId", "tagId")
        select asset_id, tag_id from unnest(p_assets, p_tags) as pair (asset_id, tag_id)
        on conflict do nothing
        returning "assetId" as asset_id, "tagId" as tag_id
    )
    insert into linked.brought (asset_id, holder_id)
    select added.asset_id, added.tag_id
    from added join linked.member on member.asset_id = added.asset_id and not member.can_write
    on conflict do nothing;
end
$linked$;
comment on function linked.write_tags(uuid[], uuid[]) is
    'Puts tags on assets, pair by pair, and notes which clones of viewers are among them.';

create or replace function linked.erase_tags(p_assets uuid[], p_tags uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    perform from public.tag_asset
    join unnest(p_assets, p_tags) as pair (asset_id, tag_id)
        on "assetId" = pair.asset_id and "tagId" = pair.tag_id
    for update of tag_asset nowait;
    delete from public.tag_asset
    using unnest(p_assets, p_tags) as pair (asset_id, tag_id)
    where "assetId" = pair.asset_id and "tagId" = pair.tag_id;
    delete from linked.brought
    using unnest(p_assets, p_tags) as pair (asset_id, tag_id)
    where brought.asset_id = pair.asset_id and brought.holder_id = pair.tag_id;
end
$linked$;
comment on function linked.erase_tags(uuid[], uuid[]) is 'Takes tags off assets, pair by pair.';

-- What a viewer puts on clones is the viewer's own. p_tags: of p_from, these; null: all.
create or replace function linked.add_tags(p_from uuid[], p_to uuid[], p_tags uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_users uuid[];
    v_assets uuid[];
    v_tags uuid[];
begin
    perform linked.plan_for(cardinality(p_from));
    select array_agg(pair.to_id), array_agg(theirs."tagId"), array_agg(member.owner_id)
    into v_assets, v_tags, v_users
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member their_member on their_member.asset_id = pair.from_id and their_member.can_write
    join linked.member on member.asset_id = pair.to_id
    join public.tag_asset theirs on theirs."assetId" = pair.from_id
    where p_tags is null or theirs."tagId" = any (p_tags);
    if v_assets is null then
        return;
    end if;
    perform linked.make_tags(array_agg(missing.user_id), array_agg(missing.value), array_agg(missing.like_id))
    from (
        select wanted.user_id, their_tag.value::text as value, their_tag."userId" as like_id
        from (select distinct user_id, tag_id from unnest(v_users, v_tags) as wanted (user_id, tag_id)) as wanted
        join public.tag their_tag on their_tag.id = wanted.tag_id
        where not exists (
            select from public.tag where tag."userId" = wanted.user_id and tag.value = their_tag.value
        )
    ) as missing
    having count(*) > 0;

    select array_agg(wanted.asset_id), array_agg(my_tag.id)
    into v_assets, v_tags
    from unnest(v_assets, v_tags, v_users) as wanted (asset_id, tag_id, user_id)
    join public.tag their_tag on their_tag.id = wanted.tag_id
    join public.tag my_tag on my_tag."userId" = wanted.user_id and my_tag.value = their_tag.value;
    perform linked.write_tags(v_assets, v_tags);
end
$linked$;
comment on function linked.add_tags(uuid[], uuid[], uuid[]) is
    'Puts the tags of p_from on the members p_to, pair by pair, by value.';

-- What an account with read rights alone put on its clone stays: nothing is taken off there that sync did not bring.
create or replace function linked.propagate_tags(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
begin
    perform linked.plan_for(cardinality(p_from));
    select array_agg(mine."assetId"), array_agg(my_tag.id)
    into v_assets, v_tags
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id
    join public.tag_asset mine on mine."assetId" = pair.to_id
    join public.tag my_tag on my_tag.id = mine."tagId"
    where not exists (
            select from public.tag_asset theirs
            join public.tag their_tag on their_tag.id = theirs."tagId"
            where theirs."assetId" = pair.from_id and their_tag.value = my_tag.value
        )
        and (
            member.can_write
            or exists (
                select from linked.brought
                where brought.asset_id = pair.to_id and brought.holder_id = my_tag.id
            )
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
        perform linked.note_unused_tags(array(select distinct id from unnest(v_tags) as id));
    end if;
    perform linked.add_tags(p_from, p_to);
end
$linked$;
comment on function linked.propagate_tags(uuid[], uuid[]) is
    'Makes the tags on the members p_to those that p_from have, pair by pair, by value.';

-- Never more than what was taken off: a tag that a sibling has for another cause stays. What a viewer took off comes back.
create or replace function linked.lose_tags(p_assets uuid[], p_tags uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
begin
    perform linked.plan_for(cardinality(p_assets));
    delete from linked.brought
    using unnest(p_assets, p_tags) as gone (asset_id, tag_id)
    where brought.asset_id = gone.asset_id and brought.holder_id = gone.tag_id;

    select array_agg(my_member.asset_id), array_agg(my_tag.id)
    into v_assets, v_tags
    from unnest(p_assets, p_tags) as gone (asset_id, tag_id)
    join public.asset on asset.id = gone.asset_id
    left join public.tag_asset again
        on again."assetId" = gone.asset_id and again."tagId" = gone.tag_id
    join public.tag their_tag on their_tag.id = gone.tag_id
    join linked.member their_member on their_member.asset_id = gone.asset_id and their_member.can_write
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join public.tag my_tag on my_tag."userId" = my_member.owner_id and my_tag.value = their_tag.value
    where again."assetId" is null
        and (
            my_member.can_write
            or exists (
                select from linked.brought
                where brought.asset_id = my_member.asset_id and brought.holder_id = my_tag.id
            )
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
    end if;

    perform linked.add_tags(array_agg(member.source_id), array_agg(member.asset_id))
    from linked.member
    join public.asset on asset.id = member.asset_id
    where member.asset_id = any (p_assets) and not member.can_write
    having count(*) > 0;
end
$linked$;
comment on function linked.lose_tags(uuid[], uuid[]) is
    'After tags were taken off members: takes their counterparts off the siblings.';

-- Where a group was deleted, its clones have lost their tags without a trigger.
create or replace function linked.made_like(p_tags uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select made_tag.tag_id
        from public.tag theirs
        cross join (select distinct user_id from linked.participant) as account
        join public.tag on tag."userId" = account.user_id and tag.value = theirs.value
        join linked.made_tag on made_tag.tag_id = tag.id
        where theirs.id = any (p_tags)
    );
end
$linked$;
comment on function linked.made_like(uuid[]) is 'The tags of the addon''s with the same value as one of these.';

-- Immich's metadata extraction looks tags up, then deletes and inserts the rows of tag_asset in one transaction: a tag that
-- has just lost its last use may get it back. So it is only noted here, and swept by a later transaction.
create or replace function linked.note_unused_tags(p_tags uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.made_tag
    set unused_in = case when used.tag_id is null then pg_current_xact_id()::text end
    from (
        select made.tag_id as id, (
            select closure.id_ancestor
            from public.tag_closure closure
            join public.tag_asset on tag_asset."tagId" = closure.id_descendant
            where closure.id_ancestor = made.tag_id
            limit 1
        ) as tag_id
        from linked.made_tag made
        where made.tag_id in (
            select id_ancestor from public.tag_closure where id_descendant = any (p_tags)
        )
    ) as used
    where made_tag.tag_id = used.id
        and (made_tag.unused_in is null) = (used.tag_id is null);
end
$linked$;
comment on function linked.note_unused_tags(uuid[]) is
    'Notes which of these tags and their parents, where the addon made them, no asset uses any more.';

-- A tag that Immich has looked up a moment ago (its upsert moves "updatedAt") is about to be used.
create or replace function linked.sweep_tags() returns void
language plpgsql
as $linked$
declare
    v_unused uuid[] := array(
        select made_tag.tag_id
        from linked.made_tag join public.tag on tag.id = made_tag.tag_id
        where made_tag.unused_in = 'removal'
            or (
                made_tag.unused_in <> pg_current_xact_id()::text
                and (tag."updatedAt" = tag."createdAt" or tag."updatedAt" < clock_timestamp() - interval '10 seconds')
            )
    );
begin
    perform from public."tag" where id = any (v_unused) for update nowait;
    perform linked.note_unused_tags(v_unused);
    with unused as (
        delete from linked.made_tag
        where tag_id = any (v_unused) and unused_in is not null
        returning tag_id
    )
    delete from public.tag
    where id in (select tag_id from unused)
        and not exists (
            select from public.tag child
            where child."parentId" = tag.id and child.id not in (select tag_id from unused)
        );
end
$linked$;
comment on function linked.sweep_tags() is
    'Deletes tags that the addon made and that no asset has used since an earlier transaction.';

-- A deleted tag is gone from the members of its owner: so it is taken off their siblings. (The rows of tag_asset went with
-- the tag before anybody could tell what its value was.)
create or replace function linked.take_off_deleted_tags(p_users uuid[], p_values text[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
begin
    select array_agg(member.asset_id), array_agg(tag.id)
    into v_assets, v_tags
    from unnest(p_users, p_values) as deleted (user_id, value)
    join public.tag on tag.value = deleted.value and tag."userId" <> deleted.user_id
    join public.tag_asset on tag_asset."tagId" = tag.id
    join linked.member on member.asset_id = tag_asset."assetId"
    join linked.member deleter
        on deleter.source_id = member.source_id and deleter.owner_id = deleted.user_id and deleter.can_write
    where (
            member.can_write
            or exists (
                select from linked.brought where brought.asset_id = member.asset_id and brought.holder_id = tag.id
            )
        )
        -- Put on again by somebody before the delete had its turn.
        and not exists (
            select from public.tag again
            join public.tag_asset theirs on theirs."tagId" = again.id
            where again."userId" = deleted.user_id and again.value = deleted.value
                and theirs."assetId" = deleter.asset_id
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
        perform linked.note_unused_tags(array(select distinct id from unnest(v_tags) as id));
    end if;
end
$linked$;
comment on function linked.take_off_deleted_tags(uuid[], text[]) is
    'Takes the counterparts of deleted tags off the siblings of the members that had them.';

create or replace function linked.propagate_tag_colors(p_tags uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."tag" where value in (select value from public.tag where id = any (p_tags)) and "userId" in (select user_id from linked.participant) for no key update nowait;
    update public.tag mine
    set color = theirs.color
    from public.tag theirs
    where theirs.id = any (p_tags)
        and mine.value = theirs.value and mine."userId" <> theirs."userId"
        and mine.color is distinct from theirs.color
        and exists (
            select from public.tag_asset my_use
            join linked.member on member.asset_id = my_use."assetId"
            join linked.member their_member
                on their_member.source_id = member.source_id and their_member.owner_id = theirs."userId"
            join public.tag_asset their_use on their_use."assetId" = their_member.asset_id
            where my_use."tagId" = mine.id and their_use."tagId" = theirs.id
                and their_member.can_write
        );
end
$linked$;
comment on function linked.propagate_tag_colors(uuid[]) is
    'Gives the colour of tags to their counterparts in accounts that have them on the same picture.';

create or replace function linked.on_tag_asset_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId")
                        or exists (select from linked.made_tag where made_tag.tag_id operator(pg_catalog.=) fresh."tagId")
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            declare
                v_tags pg_catalog.uuid[] := array(select distinct "tagId" from fresh);
            begin
                select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from fresh), false);
                if v_from is not null then
                    perform linked.add_tags(v_from, v_to, v_tags);
                end if;
                perform linked.note_unused_tags(v_tags);
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'tag_asset insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('tag_asset insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in tag_asset insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_tag_asset_insert() is 'Puts tags on the siblings.';
create or replace trigger linked_tag_asset_insert after insert on public."tag_asset"
referencing new table as fresh
for each statement execute function linked.on_tag_asset_insert();
comment on trigger linked_tag_asset_insert on public."tag_asset" is 'Puts tags on the siblings.';

create or replace function linked.redo_tag_asset_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            declare
                v_tags uuid[] := array(select distinct "tagId" from jsonb_populate_recordset(null::public."tag_asset", p_fresh) as fresh);
            begin
                select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from jsonb_populate_recordset(null::public."tag_asset", p_fresh) as fresh), false);
                if v_from is not null then
                    perform linked.add_tags(v_from, v_to, v_tags);
                end if;
                perform linked.note_unused_tags(v_tags);
            end;

end
$linked$;
comment on function linked.redo_tag_asset_insert(jsonb, jsonb, text) is
    'Does what was noted: puts tags on the siblings.';

create or replace function linked.on_tag_asset_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId")
                        or exists (select from linked.made_tag where made_tag.tag_id operator(pg_catalog.=) stale."tagId")
                        -- Of an asset that is gone nobody remembers whether it was a member.
                        or not exists (select from public.asset where asset.id operator(pg_catalog.=) stale."assetId")
                        and exists (
                            select from public.tag join linked.participant on participant.user_id operator(pg_catalog.=) tag."userId"
                            where tag.id operator(pg_catalog.=) stale."tagId"
                        )
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.lose_tags(array_agg(stale."assetId"), array_agg(stale."tagId"))
            from stale join linked.member on member.asset_id = stale."assetId"
            having count(*) > 0;
            perform linked.note_unused_tags(linked.made_like(array(select distinct "tagId" from stale)));
            -- Immich takes all tags off an asset before it puts back those that it has read. A viewer's are neither in the sidecar
            -- nor in the exif that these are read from.
            if position('"tagId"' in current_query()) = 0 then
                insert into public.tag_asset ("tagId", "assetId")
                select tag.id, asset.id
                from stale
                join linked.member on member.asset_id = stale."assetId" and not member.can_write
                join public.asset on asset.id = member.asset_id
                join public.tag on tag.id = stale."tagId"
                on conflict do nothing;
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'tag_asset delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('tag_asset delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in tag_asset delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_tag_asset_delete() is 'Takes tags off the siblings.';
create or replace trigger linked_tag_asset_delete after delete on public."tag_asset"
referencing old table as stale
for each statement execute function linked.on_tag_asset_delete();
comment on trigger linked_tag_asset_delete on public."tag_asset" is 'Takes tags off the siblings.';

create or replace function linked.redo_tag_asset_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.lose_tags(array_agg(stale."assetId"), array_agg(stale."tagId"))
            from jsonb_populate_recordset(null::public."tag_asset", p_stale) as stale join linked.member on member.asset_id = stale."assetId"
            having count(*) > 0;
            perform linked.note_unused_tags(linked.made_like(array(select distinct "tagId" from jsonb_populate_recordset(null::public."tag_asset", p_stale) as stale)));
            -- Immich takes all tags off an asset before it puts back those that it has read. A viewer's are neither in the sidecar
            -- nor in the exif that these are read from.
            if position('"tagId"' in p_statement) = 0 then
                insert into public.tag_asset ("tagId", "assetId")
                select tag.id, asset.id
                from jsonb_populate_recordset(null::public."tag_asset", p_stale) as stale
                join linked.member on member.asset_id = stale."assetId" and not member.can_write
                join public.asset on asset.id = member.asset_id
                join public.tag on tag.id = stale."tagId"
                on conflict do nothing;
            end if;

end
$linked$;
comment on function linked.redo_tag_asset_delete(jsonb, jsonb, text) is
    'Does what was noted: takes tags off the siblings.';

-- From v3.2 on Immich renames tags, and what is below them. On the siblings the tag of the new value takes the place of that of the old
-- one, which may be on pictures that are nobody else's affair. What a viewer renames is the viewer's own from then on.
create or replace function linked.follow_renamed_tags(p_tags uuid[], p_values text[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_tags uuid[];
    v_from uuid[];
    v_to uuid[];
begin
    perform linked.plan_for((select count(*) from public.tag_asset where "tagId" = any (p_tags)));
    select array_agg(member.asset_id), array_agg(tag.id)
    into v_assets, v_tags
    from unnest(p_tags, p_values) as renamed (tag_id, value)
    join public.tag_asset theirs on theirs."tagId" = renamed.tag_id
    join linked.member their_member on their_member.asset_id = theirs."assetId" and their_member.can_write
    join linked.member
        on member.source_id = their_member.source_id and member.asset_id <> their_member.asset_id
    join public.tag on tag."userId" = member.owner_id and tag.value = renamed.value
    join public.tag_asset mine on mine."tagId" = tag.id and mine."assetId" = member.asset_id
    where (
            member.can_write
            or exists (
                select from linked.brought where brought.asset_id = member.asset_id and brought.holder_id = tag.id
            )
        )
        -- Another tag of the old value has been put on since.
        and not exists (
            select from public.tag again
            join public.tag_asset use on use."tagId" = again.id
            where again."userId" = their_member.owner_id and again.value = renamed.value
                and use."assetId" = their_member.asset_id
        );
    if v_assets is not null then
        perform linked.erase_tags(v_assets, v_tags);
        perform linked.note_unused_tags(array(select distinct id from unnest(v_tags) as id));
    end if;

    select array_agg(their_member.asset_id), array_agg(member.asset_id)
    into v_from, v_to
    from (select distinct "assetId" as asset_id from public.tag_asset where "tagId" = any (p_tags)) as used
    join linked.member their_member on their_member.asset_id = used.asset_id and their_member.can_write
    join linked.member
        on member.source_id = their_member.source_id and member.asset_id <> their_member.asset_id;
    if v_from is not null then
        perform linked.add_tags(v_from, v_to, p_tags);
    end if;

    delete from linked.brought where holder_id = any (p_tags);
    select array_agg(member.source_id), array_agg(member.asset_id)
    into v_from, v_to
    from public.tag_asset
    join linked.member on member.asset_id = tag_asset."assetId" and not member.can_write
    where tag_asset."tagId" = any (p_tags);
    if v_from is not null then
        perform linked.add_tags(v_from, v_to);
    end if;
end
$linked$;
comment on function linked.follow_renamed_tags(uuid[], text[]) is
    'After tags that had these values were renamed: puts the tags of the new values on the siblings, instead of those of the old ones.';

create or replace function linked.on_tag_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where exists (select from linked.participant where participant.user_id operator(pg_catalog.=) fresh."userId")) and exists (select from (select id, color, value from fresh except select id, color, value from stale) as changed)
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.propagate_tag_colors(array(
                select id from (select id, color from fresh except select id, color from stale) as changed
            ));
            perform linked.follow_renamed_tags(array_agg(renamed.id), array_agg(renamed.old_value))
            from (
                select id, max(old_value) as old_value
                from (
                    select id, value::text as old_value, null as new_value from stale
                    union all
                    select id, null, value::text from fresh
                ) as version
                group by id
                having max(old_value) <> max(new_value)
            ) as renamed
            having count(*) > 0;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'tag update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('tag update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in tag update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_tag_update() is 'Propagates the colours of tags, and what they are called.';
create or replace trigger linked_tag_update after update on public."tag"
referencing old table as stale new table as fresh
for each statement execute function linked.on_tag_update();
comment on trigger linked_tag_update on public."tag" is 'Propagates the colours of tags, and what they are called.';

create or replace function linked.redo_tag_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.propagate_tag_colors(array(
                select id from (select id, color from jsonb_populate_recordset(null::public."tag", p_fresh) as fresh except select id, color from jsonb_populate_recordset(null::public."tag", p_stale) as stale) as changed
            ));
            perform linked.follow_renamed_tags(array_agg(renamed.id), array_agg(renamed.old_value))
            from (
                select id, max(old_value) as old_value
                from (
                    select id, value::text as old_value, null as new_value from jsonb_populate_recordset(null::public."tag", p_stale) as stale
                    union all
                    select id, null, value::text from jsonb_populate_recordset(null::public."tag", p_fresh) as fresh
                ) as version
                group by id
                having max(old_value) <> max(new_value)
            ) as renamed
            having count(*) > 0;

end
$linked$;
comment on function linked.redo_tag_update(jsonb, jsonb, text) is
    'Does what was noted: propagates the colours of tags, and what they are called.';

create or replace function linked.on_tag_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where exists (select from linked.participant where participant.user_id operator(pg_catalog.=) stale."userId")
                        or exists (select from linked.made_tag where made_tag.tag_id operator(pg_catalog.=) stale.id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            delete from linked.made_tag using stale where made_tag.tag_id = stale.id;
            perform linked.take_off_deleted_tags(array_agg(stale."userId"), array_agg(stale.value::text))
            from stale join public."user" account on account.id = stale."userId"
            having count(*) > 0;
            perform linked.note_unused_tags(array(select "parentId" from stale where "parentId" is not null));

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'tag delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('tag delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in tag delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_tag_delete() is 'Takes deleted tags off the siblings.';
create or replace trigger linked_tag_delete after delete on public."tag"
referencing old table as stale
for each statement execute function linked.on_tag_delete();
comment on trigger linked_tag_delete on public."tag" is 'Takes deleted tags off the siblings.';

create or replace function linked.redo_tag_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            delete from linked.made_tag using jsonb_populate_recordset(null::public."tag", p_stale) as stale where made_tag.tag_id = stale.id;
            perform linked.take_off_deleted_tags(array_agg(stale."userId"), array_agg(stale.value::text))
            from jsonb_populate_recordset(null::public."tag", p_stale) as stale join public."user" account on account.id = stale."userId"
            having count(*) > 0;
            perform linked.note_unused_tags(array(select "parentId" from jsonb_populate_recordset(null::public."tag", p_stale) as stale where "parentId" is not null));

end
$linked$;
comment on function linked.redo_tag_delete(jsonb, jsonb, text) is
    'Does what was noted: takes deleted tags off the siblings.';

-- Counterpart albums: an album of an account's own pictures, for the other accounts' members.


-- A row that sync has just added to an album or a tag may be one that Immich is about to insert: it has looked, found
-- nothing, and inserts without ON CONFLICT. A row trigger can let that row go; Immich does not read these rows back. It is
-- called for every row of anybody's: so what holds none that sync added is found out once, and remembered while the
-- transaction lasts. The condition on the holder is one that no index serves, because a plan made when there were few rows
-- would go through all of its rows, for each that is added.

create or replace function linked.is_known_album_asset(p_holder uuid, p_asset uuid) returns boolean
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
set enable_seqscan = off
as $linked$
begin
    if not exists (select from linked.album_pair where album_pair.album_id = p_holder) then
        perform set_config('linked.untouched', p_holder::text, true);
        return false;
    end if;
    begin
        perform linked.wait_for_turn(null, false);
    exception when lock_not_available or deadlock_detected then
        -- Sync may have added the row in a transaction that goes on and on: here its end is waited for without an error.
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.album_asset ("albumId", "assetId") values (p_holder, p_asset)
        on conflict do nothing;
        if found then
            delete from public.album_asset where "albumId" = p_holder and "assetId" = p_asset;
        end if;
        perform linked.stop_writing();
    end;
    return exists (
        select from public.album_asset known
        where known."assetId" = p_asset and (known."albumId" = p_holder) is true
    );
end
$linked$;
comment on function linked.is_known_album_asset(uuid, uuid) is
    'Whether Immich is about to insert what sync has just inserted. Waits for the turn where sync may have.';

-- What is set for a function is set for each row.
create or replace function linked.skip_known_album_asset() returns trigger
language plpgsql security definer
as $linked$
begin
    if pg_catalog.current_setting('linked.writing', true)
            operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
        or pg_catalog.current_setting('linked.untouched', true) operator(pg_catalog.=) new."albumId"::pg_catalog.text
    then
        return new;
    end if;
    if linked.is_known_album_asset(new."albumId", new."assetId") then
        return null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.skip_known_album_asset() is
    'Drops rows that are there already, because sync was faster than Immich, instead of letting Immich''s insert fail.';
create or replace trigger linked_album_asset_skip_known before insert on public.album_asset
for each row execute function linked.skip_known_album_asset();
comment on trigger linked_album_asset_skip_known on public.album_asset is
    'Drops rows that are there already, because sync was faster than Immich, instead of letting Immich''s insert fail.';

create or replace function linked.is_known_tag_asset(p_holder uuid, p_asset uuid) returns boolean
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
set lock_timeout = '0'
set enable_seqscan = off
as $linked$
begin
    if not exists (select from public.tag mine cross join linked.participant join public.tag theirs on theirs."userId" = participant.user_id and theirs.value = mine.value and theirs.id <> mine.id where mine.id = p_holder) then
        perform set_config('linked.untouched', p_holder::text, true);
        return false;
    end if;
    begin
        perform linked.wait_for_turn(null, false);
    exception when lock_not_available or deadlock_detected then
        -- Sync may have added the row in a transaction that goes on and on: here its end is waited for without an error.
        perform set_config('linked.writing', pg_current_xact_id()::text, true);
        insert into public.tag_asset ("tagId", "assetId") values (p_holder, p_asset)
        on conflict do nothing;
        if found then
            delete from public.tag_asset where "tagId" = p_holder and "assetId" = p_asset;
        end if;
        perform linked.stop_writing();
    end;
    return exists (
        select from public.tag_asset known
        where known."assetId" = p_asset and (known."tagId" = p_holder) is true
    );
end
$linked$;
comment on function linked.is_known_tag_asset(uuid, uuid) is
    'Whether Immich is about to insert what sync has just inserted. Waits for the turn where sync may have.';

-- What is set for a function is set for each row.
create or replace function linked.skip_known_tag_asset() returns trigger
language plpgsql security definer
as $linked$
begin
    if pg_catalog.current_setting('linked.writing', true)
            operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
        or pg_catalog.current_setting('linked.untouched', true) operator(pg_catalog.=) new."tagId"::pg_catalog.text
    then
        return new;
    end if;
    if linked.is_known_tag_asset(new."tagId", new."assetId") then
        return null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.skip_known_tag_asset() is
    'Drops rows that are there already, because sync was faster than Immich, instead of letting Immich''s insert fail.';
create or replace trigger linked_tag_asset_skip_known before insert on public.tag_asset
for each row execute function linked.skip_known_tag_asset();
comment on trigger linked_tag_asset_skip_known on public.tag_asset is
    'Drops rows that are there already, because sync was faster than Immich, instead of letting Immich''s insert fail.';


-- The rows are found with plans for as many as there are. They are written with a plan that is kept: PostgreSQL checks foreign
-- keys row by row, and would plan that anew for each of them.
create or replace function linked.write_album_assets(p_albums uuid[], p_assets uuid[]) returns uuid[]
language plpgsql
set plan_cache_mode = auto
as $linked$
declare
    v_touched uuid[];
begin
    perform from public."album" where id = any (p_albums) for key share nowait;
    perform from public."asset" where id = any (p_assets) for key share nowait;
    with added as (
        insert into public.album_asset ("albumId", "assetId")
        select album_id, asset_id from unnest(p_albums, p_assets) as pair (album_id, asset_id)
        on conflict do nothing
        returning "albumId" as album_id, "assetId" as asset_id
    ), noted as (
        insert into linked.brought (asset_id, holder_id)
        select added.asset_id, added.album_id
        from added join linked.member on member.asset_id = added.asset_id and not member.can_write
        on conflict do nothing
    )
    select array_agg(distinct album_id) into v_touched from added;
    return v_touched;
end
$linked$;
comment on function linked.write_album_assets(uuid[], uuid[]) is
    'Puts assets into albums, pair by pair, and notes which clones of viewers are among them. Returns the albums that changed.';

create or replace function linked.erase_album_assets(p_albums uuid[], p_assets uuid[]) returns void
language plpgsql
set plan_cache_mode = auto
as $linked$
begin
    perform from public.album_asset
    join unnest(p_albums, p_assets) as pair (album_id, asset_id)
        on "albumId" = pair.album_id and "assetId" = pair.asset_id
    for update of album_asset nowait;
    delete from public.album_asset
    using unnest(p_albums, p_assets) as pair (album_id, asset_id)
    where "albumId" = pair.album_id and "assetId" = pair.asset_id;
    delete from linked.brought
    using unnest(p_albums, p_assets) as pair (album_id, asset_id)
    where brought.asset_id = pair.asset_id and brought.holder_id = pair.album_id;
end
$linked$;
comment on function linked.erase_album_assets(uuid[], uuid[]) is 'Takes assets out of albums, pair by pair.';

create or replace function linked.make_counterparts(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.album_pair (album_id, album_key, owner_id)
    select album.id, album.id, (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner')
    from public.album
    where album.id = any (p_albums) and (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner') is not null
        and not exists (select from linked.album_pair known where known.album_id = album.id)
    -- Whoever changes or deletes it cannot see yet that it is remembered.
    for share of album nowait
    on conflict do nothing;

    with missing as materialized (
        select gen_random_uuid() as album_id, wanted.album_key, wanted.owner_id, wanted.their_id
        from (
            select distinct on (their_pair.album_key, owner_id)
                their_pair.album_key, wanted.owner_id, their_pair.album_id as their_id
            from unnest(p_albums, p_users) as wanted (album_id, owner_id)
            join linked.album_pair their_pair on their_pair.album_id = wanted.album_id
            order by their_pair.album_key, owner_id, their_pair.album_id = their_pair.album_key desc
        ) as wanted
        where not exists (
                select from linked.album_pair
                where album_pair.album_key = wanted.album_key and album_pair.owner_id = wanted.owner_id
            )
            and not exists (
                select from linked.album_refusal
                where album_refusal.album_key = wanted.album_key and album_refusal.owner_id = wanted.owner_id
            )
            and not exists (
                select from linked.album_pair shared
                join public.album_user on album_user."albumId" = shared.album_id
                where shared.album_key = wanted.album_key and album_user."userId" = wanted.owner_id
                    and album_user.role <> 'owner'
            )
    ), made as (
        insert into public.album (id, "albumName", description, "order", "isActivityEnabled")
        select missing.album_id, theirs."albumName", theirs.description, theirs."order",
            theirs."isActivityEnabled"
        from missing join public.album theirs on theirs.id = missing.their_id
    ), owned as (
        insert into public.album_user ("albumId", "userId", role)
        select album_id, owner_id, 'owner' from missing
    )
    insert into linked.album_pair (album_id, album_key, owner_id)
    select album_id, album_key, owner_id from missing;
end
$linked$;
comment on function linked.make_counterparts(uuid[], uuid[]) is
    'Creates what is missing of the counterparts of albums in accounts, pair by pair.';

-- Albums of an account's own in which members are that it may change. What a viewer puts into albums is the viewer's own.
-- p_albums: of these; null: of all.
create or replace function linked.add_to_albums(p_from uuid[], p_to uuid[], p_albums uuid[] default null) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
    v_theirs uuid[];
    v_users uuid[];
    v_albums uuid[];
begin
    perform linked.plan_for(cardinality(p_from));
    select array_agg(mine.id), array_agg(album.id), array_agg(mine."ownerId")
    into v_assets, v_theirs, v_users
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.from_id and member.can_write
    join public.album_asset theirs on theirs."assetId" = pair.from_id
    join public.album on album.id = theirs."albumId" and (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner') = member.owner_id
    join public.asset mine on mine.id = pair.to_id and mine.visibility <> 'locked'
    where album."deletedAt" is null
        and (p_albums is null or album.id = any (p_albums))
        and not linked.is_linked_album(album."albumName");
    if v_assets is null then
        return;
    end if;
    v_albums := array(select distinct id from unnest(v_theirs) as id);
    perform linked.make_counterparts(array_agg(album_id), array_agg(user_id))
    from (select distinct album_id, user_id from unnest(v_theirs, v_users) as wanted (album_id, user_id)) as wanted;

    select array_agg(my_pair.album_id), array_agg(wanted.asset_id)
    into v_theirs, v_assets
    from unnest(v_theirs, v_users, v_assets) as wanted (album_id, user_id, asset_id)
    join linked.album_pair their_pair on their_pair.album_id = wanted.album_id
    join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key and my_pair.owner_id = wanted.user_id
    join public.album mine on mine.id = my_pair.album_id;
    v_theirs := linked.write_album_assets(v_theirs, v_assets);
    perform from public."album" where id = any (v_theirs) for no key update nowait;
    update public.album set "updatedAt" = clock_timestamp() where id = any (v_theirs);
    perform linked.propagate_covers(v_albums);
end
$linked$;
comment on function linked.add_to_albums(uuid[], uuid[], uuid[]) is
    'Puts the members p_to into the counterparts of the albums that p_from are in, pair by pair, creating what is missing.';

-- Never more than what left: a member that is not in an album for another cause tells nothing about its siblings.
create or replace function linked.leave_albums(p_albums uuid[], p_assets uuid[]) returns void
language plpgsql
as $linked$
declare
    v_albums uuid[];
    v_assets uuid[];
begin
    perform linked.plan_for(cardinality(p_assets));
    delete from linked.brought
    using unnest(p_albums, p_assets) as gone (album_id, asset_id)
    where brought.asset_id = gone.asset_id and brought.holder_id = gone.album_id;

    select array_agg(my_pair.album_id), array_agg(my_member.asset_id)
    into v_albums, v_assets
    from unnest(p_albums, p_assets) as gone (album_id, asset_id)
    join public.album on album.id = gone.album_id
    join public.asset theirs on theirs.id = gone.asset_id and theirs.visibility <> 'locked'
    join linked.member their_member
        on their_member.asset_id = theirs.id and their_member.owner_id = (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner') and their_member.can_write
    join linked.album_pair their_pair on their_pair.album_id = album.id
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join linked.album_pair my_pair
        on my_pair.album_key = their_pair.album_key and my_pair.owner_id = my_member.owner_id
    left join public.album_asset again
        on again."albumId" = gone.album_id and again."assetId" = gone.asset_id
    where again."assetId" is null
        and (
            my_member.can_write
            or exists (
                select from linked.brought
                where brought.asset_id = my_member.asset_id and brought.holder_id = my_pair.album_id
            )
        );
    perform linked.erase_album_assets(v_albums, v_assets);

    -- What a viewer took out comes back.
    perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(member.asset_id))
    from linked.member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.can_write
    where member.asset_id = any (p_assets) and not member.can_write
    having count(*) > 0;
end
$linked$;
comment on function linked.leave_albums(uuid[], uuid[]) is
    'After members left albums: takes their siblings out of the counterparts, pair by pair.';

create or replace function linked.brought_for_nobody(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, album_id uuid)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select member.source_id, member.asset_id, my_pair.album_id
    from linked.member
    join linked.brought on brought.asset_id = member.asset_id
    join linked.album_pair my_pair on my_pair.album_id = brought.holder_id
    where member.source_id = any (p_sources)
        and not exists (
            select from linked.member sibling
            join public.album_asset theirs on theirs."assetId" = sibling.asset_id
            join linked.album_pair their_pair
                on their_pair.album_id = theirs."albumId" and their_pair.owner_id = sibling.owner_id
            where sibling.source_id = member.source_id and sibling.can_write
                and their_pair.album_key = my_pair.album_key
        )
        -- What is in a locked folder is in no album, and tells nothing.
        and not exists (
            select from linked.member sibling
            join public.asset on asset.id = sibling.asset_id and asset.visibility = 'locked'
            where sibling.source_id = member.source_id and sibling.can_write
        );
end
$linked$;
comment on function linked.brought_for_nobody(uuid[]) is
    'Clones of viewers in counterparts that sync had put them into, where nobody else has the picture in it now.';

create or replace function linked.leave_albums_of_nobody(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.erase_album_assets(array_agg(album_id), array_agg(asset_id))
    from linked.brought_for_nobody(p_sources)
    having count(*) > 0;
end
$linked$;
comment on function linked.leave_albums_of_nobody(uuid[]) is
    'Takes clones of viewers out of the counterparts in which nobody else has the picture now.';

create or replace function linked.propagate_covers(p_albums uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."album" where id in (
            select my_pair.album_id
            from linked.album_pair their_pair join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key
            where their_pair.album_id = any (p_albums)
        ) for no key update nowait;
    update public.album mine
    set "albumThumbnailAssetId" = wanted.cover_id
    from (
        select my_pair.album_id, my_member.asset_id as cover_id
        from public.album theirs
        join linked.member their_member on their_member.asset_id = theirs."albumThumbnailAssetId"
        join linked.album_pair their_pair on their_pair.album_id = theirs.id
        join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key and my_pair.album_id <> theirs.id
        join linked.member my_member
            on my_member.source_id = their_member.source_id and my_member.owner_id = my_pair.owner_id
        where theirs.id = any (p_albums)
    ) as wanted
    where mine.id = wanted.album_id and mine."albumThumbnailAssetId" is distinct from wanted.cover_id
        and exists (
            select from public.album_asset
            where "albumId" = wanted.album_id and "assetId" = wanted.cover_id
        );
end
$linked$;
comment on function linked.propagate_covers(uuid[]) is
    'Gives the counterparts of these albums the same cover, where it is a member.';

-- What counts is what any of the counterparts holds: who took their own pictures out of theirs, or locked them, has no more
-- rights by it. Where none holds any, who is a viewer of anything has none. While a change of role that sync missed is not
-- followed yet, members still have the rights of before: so the role has to allow it too.
create or replace function linked.may_edit_album(p_album uuid, p_owner uuid) returns boolean
language plpgsql stable
as $linked$
declare
    v_roles text[] := array(select role from linked.participant where user_id = p_owner);
    v_seen boolean;
    v_edited boolean;
begin
    if cardinality(v_roles) = 0 then
        return false;
    end if;
    v_edited := exists (
        select from linked.album_pair my_pair
        join linked.album_pair their_pair on their_pair.album_key = my_pair.album_key
        join public.album_asset on album_asset."albumId" = their_pair.album_id
        join linked.member their_member on their_member.asset_id = album_asset."assetId"
        join linked.member my_member
            on my_member.source_id = their_member.source_id and my_member.owner_id = p_owner and my_member.can_write
        where my_pair.album_id = p_album
            and (my_member.asset_id = my_member.source_id or v_roles && '{owner,editor}')
    );
    if v_edited or 'viewer' = any (v_roles) then
        return v_edited;
    end if;
    return not exists (
        select from linked.album_pair my_pair
        join linked.album_pair their_pair on their_pair.album_key = my_pair.album_key
        join public.album_asset on album_asset."albumId" = their_pair.album_id
        join linked.member on member.asset_id = album_asset."assetId"
        where my_pair.album_id = p_album
    );
end
$linked$;
comment on function linked.may_edit_album(uuid, uuid) is
    'Whether the owner of a counterpart may change the pictures in it, and so what all counterparts are called.';

-- The creator's album, unless its owner may not edit it any more. Who still has clones, or rights, from before a change that
-- sync missed comes last.
create or replace function linked.leading_album(p_key uuid) returns uuid
language plpgsql stable
as $linked$
begin
    return (
        with held as materialized (
            select distinct member.source_id
            from linked.album_pair
            join public.album_asset on album_asset."albumId" = album_pair.album_id
            join linked.member on member.asset_id = album_asset."assetId"
            where album_pair.album_key = p_key
        ), editor as materialized (
            select source."ownerId" as user_id from held join public.asset source on source.id = held.source_id
            union
            select user_id from linked.wanted(array(select source_id from held)) as wanted where can_write
        )
        select album_pair.album_id
        from linked.album_pair
        join public.album on album.id = album_pair.album_id
        where album_pair.album_key = p_key and linked.may_edit_album(album_pair.album_id, album_pair.owner_id)
        order by
            album_pair.owner_id in (select user_id from editor) desc,
            album_pair.album_id = album_pair.album_key desc, album."createdAt", album_pair.album_id
        limit 1
    );
end
$linked$;
comment on function linked.leading_album(uuid) is
    'Which of the albums with a key the others take after, where they differ. Null: none.';

-- The counterpart of who may only look takes after the leading one instead. Who is not linked learns nothing.
create or replace function linked.propagate_album_details(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_origins uuid[] := array(
        select distinct on (changed.album_key)
            case when changed.may_edit then changed.album_id else linked.leading_album(changed.album_key) end
        from (
            select album_pair.*, linked.may_edit_album(album_id, owner_id) as may_edit
            from linked.album_pair
            where album_id = any (p_albums)
        ) as changed
        order by changed.album_key, changed.may_edit desc, changed.album_id = changed.album_key desc, changed.album_id
    );
begin
    perform from public."album" where id in (
            select my_pair.album_id
            from linked.album_pair their_pair join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key
            where their_pair.album_id = any (v_origins)
        ) for no key update nowait;
    update public.album mine
    set "albumName" = theirs."albumName", description = theirs.description, "order" = theirs."order"
    from public.album theirs
    join linked.album_pair their_pair on their_pair.album_id = theirs.id
    join linked.album_pair my_pair on my_pair.album_key = their_pair.album_key
    where theirs.id = any (v_origins) and mine.id = my_pair.album_id and mine.id <> theirs.id
        and my_pair.owner_id in (select user_id from linked.participant)
        and (mine."albumName", mine.description, mine."order")
            is distinct from (theirs."albumName", theirs.description, theirs."order");
    perform linked.propagate_covers(v_origins);
end
$linked$;
comment on function linked.propagate_album_details(uuid[]) is
    'Gives name, description, order and cover of these albums to their counterparts.';

create or replace function linked.delete_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
begin
    if pg_trigger_depth() > 1 then
        insert into public.album_audit ("albumId", "userId")
        select "albumId", "userId"
        from public.album_user where "albumId" = any (p_albums);
    end if;
    perform from public."album" where id = any (p_albums) for update nowait;
    -- While the content is there: where the owner is a user of the album, it goes with its owner's row.
    delete from linked.brought
    using public.album_asset
    where album_asset."albumId" = any (p_albums)
        and brought.asset_id = album_asset."assetId"
        and brought.holder_id = album_asset."albumId";
    delete from public.album_user where "albumId" = any (p_albums);
    delete from public.album where id = any (p_albums);
    delete from linked.album_pair where album_id = any (p_albums);
end
$linked$;
comment on function linked.delete_albums(uuid[]) is
    'Deletes albums that the addon made, with the audit rows that a delete by Immich itself would leave.';

-- An album that holds what its owner put there for themselves stays, and only the rest leaves it. For themselves is what the
-- other accounts have no member of, and what sync did not bring to a viewer.
create or replace function linked.withdraw_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_albums uuid[];
    v_assets uuid[];
    v_kept uuid[];
begin
    with held as materialized (
        select album_pair.album_id, member.asset_id,
            case
                when member.can_write then exists (
                    select from linked.album_pair other
                    join linked.member sibling
                        on sibling.source_id = member.source_id and sibling.owner_id = other.owner_id
                    where other.album_key = album_pair.album_key and other.album_id <> album_pair.album_id
                )
                else exists (
                    select from linked.brought
                    where brought.asset_id = member.asset_id and brought.holder_id = album_pair.album_id
                )
            end as leaves
        from linked.album_pair
        join public.album_asset on album_asset."albumId" = album_pair.album_id
        left join linked.member
            on member.asset_id = album_asset."assetId" and member.owner_id = album_pair.owner_id
        where album_pair.album_id = any (p_albums)
    ), kept as (
        select album_id from held group by album_id having not bool_and(leaves)
    )
    select array_agg(held.album_id) filter (where held.leaves), array_agg(held.asset_id) filter (where held.leaves),
        array_agg(distinct held.album_id)
    into v_albums, v_assets, v_kept
    from kept join held on held.album_id = kept.album_id;
    perform linked.erase_album_assets(v_albums, v_assets);
    delete from linked.album_pair where album_id = any (v_kept);
    perform linked.delete_albums(array(
        select unnest(p_albums) except select unnest(v_kept)
    ));
end
$linked$;
comment on function linked.withdraw_albums(uuid[]) is
    'Takes counterpart albums out of accounts: all of an album, or what the others have in it.';

-- The creator's delete is everybody's, while the creator may edit the album; any other is somebody's own. Albums that go with their owner's account tell
-- nothing (Immich has marked the account as deleted by then); who saw such an album itself now needs a counterpart.
create or replace function linked.follow_deleted_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_keys uuid[] := array(
        select album_pair.album_key
        from linked.album_pair
        join public."user" account on account.id = album_pair.owner_id and account."deletedAt" is null
        where album_pair.album_id = any (p_albums) and album_pair.album_id = album_pair.album_key
            and linked.may_edit_album(album_pair.album_id, album_pair.owner_id)
    );
    v_orphans uuid[];
    v_others uuid[];
begin
    insert into linked.album_refusal (album_key, owner_id)
    select album_pair.album_key, album_pair.owner_id
    from linked.album_pair
    join public."user" account on account.id = album_pair.owner_id and account."deletedAt" is null
    where album_pair.album_id in (select unnest(p_albums) except select unnest(v_keys))
    on conflict do nothing;
    v_orphans := array(
        select other.album_id
        from linked.album_pair
        join linked.album_pair other on other.album_key = album_pair.album_key
        where album_pair.album_id = any (p_albums)
        except
        select album_id from linked.album_pair where album_key = any (v_keys) or album_id = any (p_albums)
    );
    v_others := array(
        select user_id from linked.participant
        except
        select owner_id from linked.album_pair where album_id = any (p_albums)
    );
    perform linked.withdraw_albums(array(
        select album_id from linked.album_pair where album_key = any (v_keys)
        except
        select unnest(p_albums)
    ));
    delete from linked.album_pair where album_id = any (p_albums);
    delete from linked.album_refusal where album_key = any (v_keys);
    perform linked.spread_albums(v_orphans, v_others);
end
$linked$;
comment on function linked.follow_deleted_albums(uuid[]) is
    'After albums were deleted: withdraws the counterparts of a creator''s album, remembers who refused one.';

-- Whoever sees an album because it is shared with them needs no counterpart of it; who had seen that counterpart now needs one.
-- What somebody shows who may not edit it takes nothing from anybody.
create or replace function linked.follow_shared_albums(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
declare
    -- Found first, and asked about then: of all albums it would be asked where the tables are read from end to end.
    v_withdrawn uuid[] := array(
        with seen as materialized (
            select my_pair.album_id, their_pair.album_id as their_id, their_pair.owner_id as their_owner_id
            from unnest(p_albums, p_users) as shared (album_id, user_id)
            join linked.album_pair their_pair on their_pair.album_id = shared.album_id
            join linked.album_pair my_pair
                on my_pair.album_key = their_pair.album_key and my_pair.owner_id = shared.user_id
            where my_pair.album_id <> my_pair.album_key
        )
        select album_id from seen where linked.may_edit_album(their_id, their_owner_id)
    );
    v_left uuid[] := array(
        select "userId" from public.album_user where "albumId" = any (v_withdrawn)
    );
begin
    perform linked.withdraw_albums(v_withdrawn);
    if cardinality(v_left) > 0 then
        perform linked.spread_albums(linked.counterparts(p_albums), v_left);
    end if;
end
$linked$;
comment on function linked.follow_shared_albums(uuid[], uuid[]) is
    'After albums were shared with users: takes the counterparts out of their accounts.';

-- p_users: to whom; null: to everybody.
create or replace function linked.spread_albums(p_albums uuid[], p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.add_to_albums(array_agg(their_member.asset_id), array_agg(my_member.asset_id), p_albums)
    from public.album_asset
    join linked.member their_member on their_member.asset_id = album_asset."assetId"
    join linked.member my_member
        on my_member.source_id = their_member.source_id and my_member.asset_id <> their_member.asset_id
    join public."user" account on account.id = my_member.owner_id
    where album_asset."albumId" = any (p_albums)
        and (p_users is null or my_member.owner_id = any (p_users))
    having count(*) > 0;
end
$linked$;
comment on function linked.spread_albums(uuid[], uuid[]) is
    'Gives accounts the counterparts that they now need of these albums.';

-- Counterparts of albums hold the pictures of who may not write in these themselves.
create or replace function linked.counterparts(p_albums uuid[]) returns uuid[]
language plpgsql stable
as $linked$
begin
    return array(
        select distinct other.album_id
        from linked.album_pair
        join linked.album_pair other on other.album_key = album_pair.album_key
        where album_pair.album_id = any (p_albums)
    );
end
$linked$;
comment on function linked.counterparts(uuid[]) is 'These albums, as far as they have counterparts, and the counterparts.';

-- Albums of accounts that are not linked any more are their own affair, and the others' are no counterparts of them: not
-- when linked again either, because what they are called may be private by then. The key of a creator who left is nobody's
-- album. Who saw such an album itself now needs a counterpart.
create or replace function linked.part_albums(p_albums uuid[]) returns void
language plpgsql
as $linked$
declare
    v_parted uuid[] := array(
        select album_id from linked.album_pair
        where album_id = any (p_albums) and owner_id not in (select user_id from linked.participant)
            and (
                album_id = album_key
                or not exists (
                    select from public.album_asset
                    join linked.member on member.asset_id = album_asset."assetId"
                    where album_asset."albumId" = album_pair.album_id
                        and member.owner_id = album_pair.owner_id
                )
            )
    );
    v_left uuid[];
begin
    if cardinality(v_parted) = 0 then
        return;
    end if;
    v_left := array(select unnest(linked.counterparts(v_parted)) except select unnest(v_parted));
    delete from linked.album_pair where album_id = any (v_parted);
    with passed as materialized (
        select id as old_key, gen_random_uuid() as new_key from unnest(v_parted) as id
    ), refused as (
        update linked.album_refusal set album_key = new_key from passed where album_key = old_key
    )
    update linked.album_pair set album_key = new_key from passed where album_key = old_key;
    perform linked.spread_albums(v_left, array(
        select distinct "userId" from public.album_user
        where "albumId" = any (v_parted) and role <> 'owner'
    ));
end
$linked$;
comment on function linked.part_albums(uuid[]) is
    'Parts those of these albums from their counterparts whose owners are not linked any more.';

-- Refresh membership: the clones that there are become those that there should be.


-- Videos after their stills: they go where these are by then. Unlinking is done at once, all of it.
create or replace function linked.refresh_membership(
    p_assets uuid[], p_all_at_once boolean default false, p_unseen uuid[] default '{}'
) returns void
language plpgsql
as $linked$
declare
    v_parts uuid[];
    v_queued boolean;
begin
    if coalesce(cardinality(p_assets), 0) = 0 then
        return;
    end if;
    perform linked.plan_for(cardinality(p_assets));
    v_parts := array(
        select video.id
        from public.asset still
        join public.asset video on video.id = still."livePhotoVideoId" and video."ownerId" = still."ownerId"
        where still.id = any (p_assets)
        union
        select video.id
        from public.asset video
        join public.asset still on still."livePhotoVideoId" = video.id and still."ownerId" = video."ownerId"
        where video.id = any (p_assets)
    );
    v_queued := linked.refresh_clones(
        array(select id from unnest(p_assets) as id where id is not null except select unnest(v_parts)), p_all_at_once, p_unseen
    );
    if cardinality(v_parts) > 0 then
        v_queued := linked.refresh_clones(v_parts, p_all_at_once, p_unseen) or v_queued;
    end if;
    if v_queued then
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.refresh_membership(uuid[], boolean, uuid[]) is
    'Compares the clones that these assets and their video parts should have with those that exist: creates what is missing, deletes what is too much. Unseen: rows that no other transaction can have written to.';

create or replace function linked.begin_linking() returns void
language plpgsql
as $linked$
begin
    perform pg_notify('linked', 'queue');
    perform linked.work_slices(interval '2 seconds', 200);
exception when lock_not_available or deadlock_detected or serialization_failure then
    null;
end
$linked$;
comment on function linked.begin_linking() is
    'Links of what was just queued as much as one statement may take time for. What is held by others stays queued.';

-- Nothing to take from anybody: then even the comparison is left to the slices in which many are linked. Rights that have
-- become stronger count at once.
create or replace function linked.extend_membership(p_albums uuid[], p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_missing uuid[];
begin
    perform linked.plan_for(cardinality(p_sources));
    perform linked.refresh_membership(array(
        select distinct member.source_id
        from linked.participant
        join linked.linked_album on linked_album.album_id = participant.album_id
        join linked.member
            on member.owner_id = participant.user_id
            and (not member.can_write or member.deletes_own and not linked_album.deletes_own)
        where participant.album_id = any (p_albums) and participant.role <> 'viewer'
            and member.source_id in (select unnest(p_sources))
    ));
    v_missing := array(
        select distinct id
        from unnest(p_sources) as id
        cross join (select distinct user_id from linked.participant where album_id = any (p_albums)) as taker
        where not exists (
            select from linked.member where member.source_id = id and member.owner_id = taker.user_id
        )
    );
    if cardinality(v_missing) <= 500 then
        perform linked.refresh_membership(v_missing);
    else
        insert into linked.queue (source_id) select unnest(v_missing) on conflict do nothing;
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.extend_membership(uuid[], uuid[]) is
    'Links what these albums cover for those who have come to take part in them, where nobody loses anything.';

-- Linking of many assets is queued, to be worked off in slices. Returns whether it was.
create or replace function linked.refresh_clones(p_sources uuid[], p_all_at_once boolean, p_unseen uuid[]) returns boolean
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_users uuid[];
    v_can_write boolean[];
    v_deletes_own boolean[];
    v_linkable boolean[];
    v_editors uuid[];
    v_viewers uuid[];
    v_is_few boolean;
    v_until timestamptz := clock_timestamp() + linked.time_left(interval '2 seconds');
begin
    select array_agg(source_id), array_agg(user_id), array_agg(can_write), array_agg(deletes_own), array_agg(linkable)
    into v_sources, v_users, v_can_write, v_deletes_own, v_linkable
    from linked.wanted(p_sources);

    perform linked.unlink(array(
        select member.asset_id
        from linked.member
        left join unnest(v_sources, v_users) as wanted (source_id, user_id)
            on wanted.source_id = member.source_id and wanted.user_id = member.owner_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
            and wanted.source_id is null
    ));

    update linked.member
    set deletes_own = wanted.deletes_own
    from unnest(v_sources, v_users, v_deletes_own) as wanted (source_id, user_id, deletes_own)
    where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        and member.deletes_own <> wanted.deletes_own;

    with changed as (
        update linked.member
        set can_write = wanted.can_write
        from unnest(v_sources, v_users, v_can_write) as wanted (source_id, user_id, can_write)
        where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
            and member.can_write <> wanted.can_write
        returning member.asset_id, member.can_write
    )
    select array_agg(asset_id) filter (where can_write), array_agg(asset_id) filter (where not can_write)
    into v_editors, v_viewers
    from changed;
    perform linked.bring_in(v_editors);
    perform linked.set_apart(v_viewers);

    select array_agg(wanted.source_id order by wanted.user_id, wanted.source_id),
        array_agg(wanted.user_id order by wanted.user_id, wanted.source_id),
        array_agg(wanted.can_write order by wanted.user_id, wanted.source_id),
        array_agg(wanted.deletes_own order by wanted.user_id, wanted.source_id)
    into v_sources, v_users, v_can_write, v_deletes_own
    from unnest(v_sources, v_users, v_can_write, v_deletes_own, v_linkable)
        as wanted (source_id, user_id, can_write, deletes_own, linkable)
    where wanted.linkable
        and not exists (
            select from linked.member
            where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        );
    if v_sources is null then
        return false;
    end if;
    if p_all_at_once then
        perform linked.link(v_sources, v_users, v_can_write, v_deletes_own);
        perform linked.look_again_at(array(select unnest(v_sources) except select unnest(p_unseen)));
        return false;
    end if;
    v_is_few := cardinality(v_sources) <= 250 * extract(epoch from linked.time_left(interval '2 seconds'));
    -- Pictures of many persons take longer than others.
    while v_is_few and cardinality(v_sources) > 0 and clock_timestamp() < v_until loop
        perform linked.link(v_sources[:25], v_users[:25], v_can_write[:25], v_deletes_own[:25]);
        perform linked.look_again_at(array(select unnest(v_sources[:25]) except select unnest(p_unseen)));
        v_sources := v_sources[26:];
        v_users := v_users[26:];
        v_can_write := v_can_write[26:];
        v_deletes_own := v_deletes_own[26:];
    end loop;
    insert into linked.queue (source_id)
    select distinct source_id from unnest(v_sources) as source_id
    on conflict do nothing;
    if v_is_few and cardinality(v_sources) > 0 then
        perform pg_notify('linked', 'queue');
    end if;
    return not v_is_few;
end
$linked$;
comment on function linked.refresh_clones(uuid[], boolean, uuid[]) is
    'Compares the clones that these assets should have with those that exist, whatever becomes of their video parts.';

-- Whoever deletes a source cannot see yet that it is one: it is held until we are seen.
-- No conflict target: both of Immich's unique indexes on checksums may object. Then the account has the picture already,
-- and it is left out. User after user, so that where Immich goes through all assets in stored order, its jobs for members of one
-- group do not run side by side.
create or replace function linked.link(
    p_sources uuid[], p_users uuid[], p_can_write boolean[], p_deletes_own boolean[]
) returns void
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_clones uuid[];
begin
    with plan as materialized (
        select gen_random_uuid() as clone_id, wanted.*
        from unnest(p_sources, p_users, p_can_write, p_deletes_own)
            with ordinality as wanted (source_id, user_id, can_write, deletes_own, position)
    ), made as (
        insert into public.asset (id, "ownerId", "type", "originalPath", "fileCreatedAt", "fileModifiedAt", "duration", "checksum", "originalFileName", "thumbhash", "isOffline", "deletedAt", "localDateTime", "status", "visibility", "width", "height", "isEdited", "checksumAlgorithm", "createdAt", "isExternal")
        select plan.clone_id, plan.user_id, s."type", s."originalPath", s."fileCreatedAt", s."fileModifiedAt", s."duration", s."checksum", s."originalFileName", s."thumbhash", s."isOffline", s."deletedAt", s."localDateTime", s."status", s."visibility", s."width", s."height", s."isEdited", s."checksumAlgorithm", s."createdAt", true
        from plan join public.asset s on s.id = plan.source_id
        where (select linked.keep_plans())
        order by plan.user_id, plan.position
        for key share of s nowait
        on conflict do nothing
        returning id
    ), clone as (
        insert into linked.member (asset_id, source_id, owner_id, can_write, deletes_own)
        select plan.clone_id, plan.source_id, plan.user_id, plan.can_write, plan.deletes_own
        from plan join made on made.id = plan.clone_id
        returning asset_id, source_id
    )
    select array_agg(source_id), array_agg(asset_id) into v_sources, v_clones from clone;
    perform linked.plan_anew();
    if v_sources is null then
        return;
    end if;
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select asset.id, asset.id, asset."ownerId", true
    from public.asset where asset.id = any (v_sources)
    on conflict do nothing;
    perform linked.propagate_rows(v_sources, v_clones, p_are_new => true);
    perform linked.pair_live_photos(array(
        select id from public.asset where id = any (v_sources) and "livePhotoVideoId" is not null
        union
        select "livePhotoVideoId" from public.asset where "livePhotoVideoId" = any (v_sources)
    ));
    perform linked.join_counterparts(v_clones);
end
$linked$;
comment on function linked.link(uuid[], uuid[], boolean[], boolean[]) is
    'Creates clones of the sources in the accounts of the users, with everything that hangs on them.';

-- A new clone takes its place in everything that exists already: tags and stack of the source; the albums of any sibling; the
-- person that any sibling's face is assigned to (the source's, if it has one).
create or replace function linked.join_counterparts(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    perform
        linked.propagate_tags(array_agg(source_id), array_agg(asset_id)),
        linked.propagate_stacks(array_agg(source_id), array_agg(asset_id))
    from linked.member
    where asset_id = any (p_clones);

    perform linked.add_to_albums(array_agg(sibling.asset_id), array_agg(clone.asset_id))
    from linked.member clone
    join linked.member sibling on sibling.source_id = clone.source_id and sibling.asset_id <> all (p_clones)
    where clone.asset_id = any (p_clones) and sibling.can_write;

    perform linked.refill_people(p_clones);
end
$linked$;
comment on function linked.join_counterparts(uuid[]) is
    'Gives new clones the tags, stacks, albums and people of their siblings.';

-- Who may only look has tags, albums and stacks of their own on clones; who may write shares them.
create or replace function linked.bring_in(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if p_clones is null then
        return;
    end if;
    perform
        linked.add_tags(array_agg(clone.asset_id), array_agg(sibling.asset_id)),
        linked.add_to_albums(array_agg(clone.asset_id), array_agg(sibling.asset_id)),
        linked.bring_in_stacks(array_agg(clone.asset_id), array_agg(sibling.asset_id))
    from linked.member clone
    join linked.member sibling on sibling.source_id = clone.source_id and sibling.asset_id <> clone.asset_id
    where clone.asset_id = any (p_clones);
    delete from linked.brought where asset_id = any (p_clones);
    perform linked.bring_in_faces(p_clones);
end
$linked$;
comment on function linked.bring_in(uuid[]) is
    'Gives what viewers had put on these clones to the siblings, now that they may write.';

-- What an account shared while it could write is the group's; the albums that it made itself are its own. Stacks of one linked
-- picture and others of the account's were never shared: of viewers they do not last.
create or replace function linked.set_apart(p_clones uuid[]) returns void
language plpgsql
as $linked$
begin
    if p_clones is null then
        return;
    end if;
    insert into linked.brought (asset_id, holder_id)
    select member.asset_id, mine."tagId"
    from linked.member
    join public.tag_asset mine on mine."assetId" = member.asset_id
    join public.tag my_tag on my_tag.id = mine."tagId"
    join public.tag_asset theirs on theirs."assetId" = member.source_id
    join public.tag their_tag on their_tag.id = theirs."tagId" and their_tag.value = my_tag.value
    where member.asset_id = any (p_clones)
    union
    select member.asset_id, album_pair.album_id
    from linked.member
    join public.album_asset mine on mine."assetId" = member.asset_id
    join linked.album_pair
        on album_pair.album_id = mine."albumId" and album_pair.owner_id = member.owner_id
    where member.asset_id = any (p_clones) and album_pair.album_id <> album_pair.album_key
    on conflict do nothing;
    perform linked.leave_albums_of_nobody(array(select source_id from linked.member where asset_id = any (p_clones)));
    perform linked.propagate_stacks(array_agg(source_id), array_agg(asset_id))
    from linked.member where asset_id = any (p_clones);
end
$linked$;
comment on function linked.set_apart(uuid[]) is
    'Takes note of what is shared on these clones, now that they may not write any more.';

-- A row that leaves an account, or changes its content, makes room for a clone that had been left out.
create or replace function linked.fill_gaps(p_owners uuid[], p_checksums bytea[], p_except uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.refresh_membership(array(
        select distinct asset.id
        from unnest(p_owners, p_checksums, p_except) as gap (owner_id, checksum, source_id)
        join public.asset on asset.checksum = gap.checksum and asset."ownerId" <> gap.owner_id
        where asset.id is distinct from gap.source_id
            and not exists (
                select from linked.member where member.asset_id = asset.id and member.asset_id <> member.source_id
            )
    ));
end
$linked$;
comment on function linked.fill_gaps(uuid[], bytea[], uuid[]) is
    'Links sources that were left out because an account had their content, after a row of it is gone.';

create or replace function linked.sources_on(p_owners uuid[], p_paths text[]) returns setof uuid
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    select source.id
    from unnest(p_owners, p_paths) as own (owner_id, path)
    join public.asset source on source."originalPath" = own.path and source."ownerId" <> own.owner_id
    where own.owner_id in (select user_id from linked.participant);
end
$linked$;
comment on function linked.sources_on(uuid[], text[]) is
    'What others have on the files of participants'' own libraries: whether these need clones depends on that.';

-- Linking makes tables of a few rows large within seconds, long before autovacuum looks at them, and plans for few rows read
-- every row of many.
create or replace function linked.keep_statistics() returns void
language plpgsql
as $linked$
begin
    if pg_relation_size('linked.member') / current_setting('block_size')::bigint
        > (select 10 + 2 * relpages from pg_class where oid = 'linked.member'::regclass)
    then
        analyze linked.member, linked.face;
    end if;
end
$linked$;
comment on function linked.keep_statistics() is
    'Has PostgreSQL look anew at what the addon remembers, whenever that has doubled.';

-- A row in an index over vectors takes as much time as up to ten clones without.
create or replace function linked.take_slice(p_size integer) returns uuid[]
language sql volatile
as $linked$
    with waiting as (
        select source_id, queued_at from linked.queue where not thorough order by queued_at limit p_size
    ), counted as (
        select source_id, sum(
            (select count(*) from public.smart_search where smart_search."assetId" = source_id)
            + (select count(*) from public.asset_face where asset_face."assetId" = source_id)
        ) over (order by queued_at, source_id) as vectors, row_number() over (order by queued_at, source_id) as place
        from waiting
    ), slice as (
        delete from linked.queue
        where source_id in (select source_id from counted where vectors <= 2 * p_size or place = 1)
        returning source_id
    )
    select array_agg(source_id) from slice
$linked$;
comment on function linked.take_slice(integer) is
    'Takes from the queue what is only to be linked: at most p_size sources with at most twice as many faces and embeddings, one source at least. Null: there is none.';

-- What only has to be linked comes first. Every slice has its statements planned anew (some 50 milliseconds): the first is
-- small, the others as large as the time allows that is left, by what the session has seen. Of groups that may have missed
-- changes most have not: many are compared at once, and a few repaired.
create or replace function linked.work_slices(p_budget interval, p_slice integer) returns void
language plpgsql
as $linked$
declare
    v_left interval := linked.time_left(p_budget);
    v_until timestamptz := clock_timestamp() + v_left;
    v_users bigint := (select max(users) from (select count(*) as users from linked.participant group by album_id) as n);
    v_sources integer := greatest(
        1, p_slice * least(1, extract(epoch from v_left) / nullif(extract(epoch from p_budget), 0)) / greatest(1, v_users)
    );
    v_rate numeric := nullif(current_setting('linked.sources_per_second', true), '');
    v_size integer := greatest(v_sources, least(v_rate * extract(epoch from v_left), 8 * v_sources));
    v_begun timestamptz;
    v_slice uuid[];
    v_differ uuid[];
begin
    if v_left < interval '0' then
        return;
    end if;
    perform linked.plan_for(8 * p_slice);
    loop
        v_begun := clock_timestamp();
        v_slice := linked.take_slice(v_size);
        if v_slice is not null then
            perform linked.attempt(v_slice, false);
            v_rate := v_size / extract(epoch from clock_timestamp() - v_begun);
            -- The last slice is not a whole one.
            if exists (select from linked.queue where not thorough) then
                perform set_config('linked.sources_per_second', v_rate::text, false);
            end if;
            v_size := least(v_rate * extract(epoch from v_until - clock_timestamp()), 8 * v_sources);
            exit when v_size < greatest(1, v_sources / 2);
        else
            v_slice := array(select source_id from linked.queue order by queued_at limit 10 * v_sources);
            exit when cardinality(v_slice) = 0;
            v_differ := array(
                select found.source_id
                from linked.disagreements(v_slice) as found
                group by found.source_id
                order by found.source_id = any (v_slice) desc
            );
            delete from linked.queue
            where source_id in (select unnest(v_slice) except select unnest(v_differ));
            if cardinality(v_differ) > 0 then
                perform linked.mend(v_differ[:v_sources]);
            end if;
        end if;
        perform linked.keep_statistics();
        exit when clock_timestamp() >= v_until;
    end loop;
end
$linked$;
comment on function linked.work_slices(interval, integer) is
    'Works off what is queued, first about p_slice clones (fewer where statement_timeout is short), until p_budget is used up or nothing is left.';

-- Immich takes linking back before it is done: the album is unshared, an account deleted, a prefix removed.
create or replace function linked.drop_needless_queue() returns void
language plpgsql
as $linked$
declare
    v_queued uuid[] := array(select source_id from linked.queue where not thorough);
begin
    delete from linked.queue
    where not thorough
        and source_id in (
            select unnest(v_queued)
            except
            select wanted.source_id
            from linked.wanted(v_queued) as wanted
            where wanted.linkable
                and not exists (
                    select from linked.member
                    where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
                )
        );
end
$linked$;
comment on function linked.drop_needless_queue() is
    'Takes from the queue what no linked album wants any more.';

create or replace function linked.work_off(p_budget interval) returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
declare
    v_until timestamptz := clock_timestamp() + p_budget;
begin
    perform linked.start_writing();
    perform set_config('jit', 'off', true);
    perform linked.work_notes(null, v_until);
    perform linked.look_again(v_until);
    perform linked.work_slices(v_until - clock_timestamp(), 100);
    perform linked.settle();
    perform linked.tell_of_work(linked.has_work());
    perform linked.stop_writing();
    return linked.left_to_do();
end
$linked$;
comment on function linked.work_off(interval) is
    'Works off notes, second looks and queued linking for about p_budget. Returns how much is left. To be called in short transactions.';

create or replace function linked.left_to_do() returns bigint
language sql stable
as $linked$
    select (select count(*) from linked.queue) + (select count(*) from linked.note)
        + (
            select count(*) from linked.second_look
            where settled_after is null
                or settled_after <= coalesce(
                    (select running from pg_snapshot_xip(pg_current_snapshot()) as running order by running limit 1), settled_after
                )
        )
$linked$;
comment on function linked.left_to_do() is
    'How much is queued, noted, and to be looked at a second time, less what waits for transactions that are still under way.';

-- State and rows can drift apart unseen: Immich's in-app restore puts another database beside what is remembered, and rows go
-- while sync is suspended. A source that is gone takes its clones along; a clone that is gone is made anew. Faces of members
-- that are gone are not forgotten here: that they are gone tells that somebody removed them.
create or replace function linked.forget_the_gone() returns void
language plpgsql
as $linked$
begin
    delete from linked.stack_pair where not exists (select from public.stack where stack.id = stack_pair.stack_id);
    delete from linked.album_pair where not exists (select from public.album where album.id = album_pair.album_id);
    delete from linked.person_pair
    where not exists (select from public.person where person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id);
    delete from linked.made_tag where not exists (select from public.tag where tag.id = made_tag.tag_id);
    delete from linked.passing_stack where not exists (select from public.stack where stack.id = passing_stack.stack_id);
    delete from linked.brought
    where not exists (
            select from public.tag_asset
            where tag_asset."assetId" = brought.asset_id
                and tag_asset."tagId" = brought.holder_id
        )
        and not exists (
            select from public.album_asset
            where album_asset."assetId" = brought.asset_id
                and album_asset."albumId" = brought.holder_id
        );
    perform linked.unlink(array(
        select member.asset_id
        from linked.member join public.asset on asset.id = member.asset_id
        where not exists (select from public.asset source where source.id = member.source_id)
    ));
    perform linked.forget_members(array(
        select asset_id from linked.member
        where not exists (select from public.asset where asset.id = member.asset_id)
    ));
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select distinct source.id, source.id, source."ownerId", true
    from linked.member join public.asset source on source.id = member.source_id
    on conflict do nothing;
    delete from linked.face where not exists (select from linked.member where member.asset_id = face.asset_id);
    delete from linked.unsettled where not exists (select from public.asset where asset.id = unsettled.source_id);
    perform linked.note_unused_tags(array(select tag_id from linked.made_tag));
end
$linked$;
comment on function linked.forget_the_gone() is
    'Makes what is remembered fit the rows that exist, after a restore or after sync was suspended.';

-- A clone can be remembered no more: schema `linked` was lost, or a backup was restored beside it. Nothing is known for a
-- clone by its looks alone. But where an account is to have a clone of a source, and has an external asset without a library
-- (Immich itself never writes such) on that file, with that content, the asset takes the clone's place: a second could not be made.
create or replace function linked.adopt() returns bigint
language plpgsql
as $linked$
declare
    v_clones uuid[] := array(select linked.clones_unknown());
    v_sources uuid[];
    v_count bigint;
begin
    if cardinality(v_clones) = 0 then
        return 0;
    end if;
    select array_agg(mine.id), array_agg(source.id) into v_clones, v_sources
    from public.asset mine
    join public.asset source
        on source."originalPath" = mine."originalPath" and source.checksum = mine.checksum
        and source."ownerId" <> mine."ownerId"
    where mine.id = any (v_clones) and not (source."isExternal" and source."libraryId" is null);
    insert into linked.member (asset_id, source_id, owner_id, can_write, deletes_own)
    select mine.id, covered.source_id, mine."ownerId", bool_or(participant.role <> 'viewer'),
        coalesce(bool_and(linked_album.deletes_own) filter (where participant.role <> 'viewer'), false)
    from unnest(v_clones, v_sources) as pair (clone_id, source_id)
    join public.asset mine on mine.id = pair.clone_id
    join linked.covered(v_sources) as covered on covered.source_id = pair.source_id
    join linked.linked_album on linked_album.album_id = covered.album_id
    join linked.participant on participant.album_id = covered.album_id and participant.user_id = mine."ownerId"
    group by mine.id, covered.source_id
    on conflict do nothing;
    get diagnostics v_count = row_count;
    insert into linked.member (asset_id, source_id, owner_id, can_write)
    select source.id, source.id, source."ownerId", true
    from public.asset source
    where source.id in (select source_id from linked.member where asset_id = any (v_clones))
    on conflict do nothing;
    return v_count;
end
$linked$;
comment on function linked.adopt() is
    'Takes assets that stand where clones of sources are to be for these clones. Returns how many.';

create or replace function linked.clones_unknown() returns setof uuid
language sql stable
as $linked$
    select mine.id
    from public.asset mine
    where mine."isExternal" and mine."libraryId" is null
        and not exists (select from linked.member where member.asset_id = mine.id)
        and exists (
            select from public.asset theirs
            where theirs."originalPath" = mine."originalPath" and theirs."ownerId" <> mine."ownerId"
        )
$linked$;
comment on function linked.clones_unknown() is
    'Assets that look like clones, on a file of somebody else''s asset, and that nobody remembers.';

-- What an account deleted for good for itself alone is hidden from it. That any other clone was deleted tells nothing certain of its
-- source (and of its file): it is made anew. A row that is gone without Immich's audit row was never deleted: another backup
-- has been restored.
create or replace function linked.follow_deletions() returns bigint
language plpgsql
as $linked$
declare
    v_albums uuid[] := array(
        select album_pair.album_id
        from linked.album_pair
        where not exists (select from public.album where album.id = album_pair.album_id)
            and exists (select from public.album_audit where album_audit."albumId" = album_pair.album_id)
    );
    v_count bigint;
begin
    insert into linked.dismissal (source_id, user_id)
    select distinct member.source_id, member.owner_id
    from linked.member
    join public.asset_audit on asset_audit."assetId" = member.asset_id
    where (not member.can_write or member.deletes_own)
        and not exists (select from public.asset where asset.id = member.asset_id)
    on conflict do nothing;
    get diagnostics v_count = row_count;
    perform linked.follow_deleted_albums(v_albums);
    return v_count + cardinality(v_albums);
end
$linked$;
comment on function linked.follow_deletions() is
    'Does what was to be done when accounts deleted albums, or clones for themselves alone, unseen. Returns how many they were.';

create or replace function linked.remembered() returns bigint
language sql stable
as $linked$
    select (select count(*) from linked.member) + (select count(*) from linked.face)
        + (select count(*) from linked.person_pair) + (select count(*) from linked.album_pair)
        + (select count(*) from linked.stack_pair) + (select count(*) from linked.made_tag)
$linked$;
comment on function linked.remembered() is 'How many rows the addon remembers something of.';

create or replace function linked.review() returns table (kind text, changes bigint)
language plpgsql
as $linked$
declare
    v_albums uuid[] := array(select id from public.album union select album_id from linked.linked_album);
    v_trusted uuid[] := linked.trusted(v_albums);
    v_remembered bigint;
begin
    return query
    select 'linked album', (linked.understand(v_albums, v_trusted, v_trusted) is not null)::integer::bigint;
    return query select 'deletion', linked.follow_deletions();
    v_remembered := linked.remembered();
    perform linked.forget_the_gone();
    perform linked.sweep_stacks();
    return query select 'row that is gone', v_remembered - linked.remembered();
    return query select 'forgotten clone', linked.adopt();
    return query select 'replaced file', linked.disarm_kept_copies();
    return query select 'album', linked.equalize_albums();
    return query select 'person', linked.equalize_persons();
end
$linked$;
comment on function linked.review() is
    'Makes what is remembered, and what all groups share, fit what Immich has, after whatever happened unseen. Returns what did not.';

create or replace function linked.enqueue_all() returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.review();
    insert into linked.queue (source_id, thorough)
    select id, bool_or(thorough)
    from (
        select id, false from unnest(linked.assets_of_albums(array(select album_id from linked.linked_album))) as id
        union all
        select source_id, true from linked.member
    ) as due (id, thorough)
    group by id
    on conflict (source_id) do update set thorough = queue.thorough or excluded.thorough;
    perform linked.tell_of_work(linked.has_work());
    perform linked.stop_writing();
    return linked.left_to_do();
end
$linked$;
comment on function linked.enqueue_all() is
    'Queues everything that the linked albums cover, and every group that exists for repair. Returns how many are queued.';

-- For psql: a procedure may commit between slices. It waits for locks as long as the Python commands do, holding none meanwhile.
create or replace procedure linked.drain()
language plpgsql
as $linked$
declare
    v_left bigint;
    v_tries integer := 0;
    v_patience timestamptz;
    v_begun timestamptz := clock_timestamp();
begin
    loop
        begin
            perform set_config('lock_timeout', '3s', true);
            v_left := case when v_left is null then linked.enqueue_all() else linked.work_off(interval '200 milliseconds') end;
            v_tries := 0;
            v_patience := null;
        exception when lock_not_available or deadlock_detected or serialization_failure then
            v_tries := v_tries + 1;
            v_patience := coalesce(v_patience, clock_timestamp() + interval '25 seconds');
            if clock_timestamp() > v_patience then
                raise exception 'Immich is busy: what is to be linked could not be locked in % tries (%)', v_tries, sqlerrm
                using errcode = 'lock_not_available', hint = 'Call it again later: it goes on from there.';
            end if;
        end;
        commit;
        exit when v_left = 0;
        perform pg_sleep(case when v_tries > 0 then least(4, 0.25 * 2 ^ v_tries) else 0 end);
    end loop;
    update linked.incident set resolved_at = clock_timestamp() where resolved_at is null and last_at < v_begun;
    commit;
end
$linked$;
comment on procedure linked.drain() is
    'Links everything that the linked albums cover, and repairs every group, in small transactions; with that, what had happened is no incident any more.';

-- Changes of linked albums and of other albums that sync has to do with.


create or replace function linked.refresh_albums(p_albums uuid[], p_names uuid[], p_lines uuid[]) returns void
language plpgsql
as $linked$
declare
    v_before uuid[];
    v_users uuid[];
    v_sources uuid[];
    v_change text;
begin
    v_before := array(select distinct user_id from linked.participant where album_id = any (p_albums));
    v_change := linked.understand(p_albums, p_names, p_lines);
    if v_change is null then
        return;
    end if;
    v_sources := linked.assets_of_albums(array(
        select album_id from linked.linked_album where album_id = any (p_albums)
    ));
    perform linked.plan_for(cardinality(v_sources));
    -- Shared anew: what the viewer had hidden comes back.
    v_users := array(
        select distinct user_id from linked.participant
        where album_id = any (p_albums) and user_id <> all (v_before)
    );
    delete from linked.dismissal
    where user_id = any (v_users) and source_id = any (v_sources);
    -- What is being uploaded is not seen yet, nor does whoever uploads it see the change.
    insert into linked.second_look (album_id)
    select album_id from linked.linked_album where album_id = any (p_albums);
    if v_change = 'more' then
        perform linked.extend_membership(p_albums, v_sources);
    else
        perform linked.drop_needless_queue();
        perform linked.refresh_membership(array(
            select id from unnest(v_sources) as id
            union
            select source_id from linked.member where owner_id = any (v_before)
        ));
        perform linked.tidy_up();
    end if;
end
$linked$;
comment on function linked.refresh_albums(uuid[], uuid[], uuid[]) is
    'After a change of albums or of who they are shared with: brings membership up to date.';

create or replace function linked.is_approval(p_name text) returns boolean
language sql immutable
as $linked$
    select lower(btrim(p_name, E' \t\r\n')) like 'approve linked album%'
$linked$;
comment on function linked.is_approval(text) is
    'An album of this name approves all that waits in its owner''s linked albums, in any case, surrounding blanks ignored.';

-- Only the owner can have written the name of an album that is shared with nobody. What was written after that does not wait yet, but
-- stands in the albums already where the approval was noted and is worked off later.
create or replace function linked.approve_by_album(p_albums uuid[], p_at timestamptz) returns void
language plpgsql
as $linked$
declare
    v_waiting uuid[] := array(
        select distinct waiting.album_id
        from linked.waiting
        join public.album on album.id = waiting.album_id
        join public.album approval on (select owner."userId" from public.album_user owner where owner."albumId" = approval.id and owner.role = 'owner') = (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner')
        where approval.id = any (linked.written_by_owners(p_albums, p_at - interval '1 minute'))
            and album."updatedAt" <= p_at
            and not exists (
                select from public.album_user
                where album_user."albumId" = approval.id and album_user.role::text <> 'owner'
            )
    );
begin
    if cardinality(v_waiting) > 0 then
        perform linked.refresh_albums(v_waiting, v_waiting, v_waiting);
    end if;
end
$linked$;
comment on function linked.approve_by_album(uuid[], timestamptz) is
    'Approves what waits in the linked albums of those who own these albums, which they wrote at p_at, as far as these are shared with nobody.';

create or replace function linked.approve(p_album uuid) returns bigint
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
declare
    v_waiting bigint := (select count(*) from linked.waiting where album_id = p_album);
begin
    perform linked.start_writing();
    perform linked.refresh_albums(array[p_album], array[p_album], array[p_album]);
    perform linked.stop_writing();
    return v_waiting;
end
$linked$;
comment on function linked.approve(uuid) is
    'Lets count what waits in an album. Returns how much that was.';

-- What sync had emptied before an account was unlinked goes too: albums and persons that the addon made.
create or replace function linked.tidy_up() returns void
language plpgsql
as $linked$
begin
    perform linked.forget_persons(array(
        select pair_id from linked.person_pair
        where made and owner_id not in (select user_id from linked.participant)
    ));
    perform linked.delete_albums(array(
        select album_id from linked.album_pair
        where album_id <> album_key and owner_id not in (select user_id from linked.participant)
            and not exists (
                select from public.album_asset
                where album_asset."albumId" = album_pair.album_id
            )
    ));
    perform linked.part_albums(array(select album_id from linked.album_pair));
end
$linked$;
comment on function linked.tidy_up() is
    'Deletes what the addon made in accounts that are not linked any more, where nothing is left in it, and parts the rest from it.';

-- Immich rewrites the root of all paths in one statement without a condition when its media folder moves, but not the
-- prefixes in descriptions.
create or replace function linked.follow_media_folder(p_old_paths text[], p_new_paths text[], p_rows bigint) returns uuid[]
language plpgsql
as $linked$
declare
    v_kept text := linked.common_end(p_old_paths[1], p_new_paths[1]);
    v_old_root text := left(p_old_paths[1], -length(v_kept));
    v_new_root text := left(p_new_paths[1], -length(v_kept));
    v_albums uuid[];
begin
    if not exists (
            select from linked.prefix, unnest(p_old_paths, p_new_paths) as moved (old_path, new_path)
            where starts_with(moved.old_path, prefix.path || '/') and not starts_with(moved.new_path, prefix.path || '/')
        )
        or p_rows <> (select count(*) from public.asset)
        or v_kept = ''
        or exists (
            select from unnest(p_old_paths, p_new_paths) as moved (old_path, new_path)
            where not starts_with(moved.old_path, v_old_root || '/')
                or moved.new_path <> v_new_root || substr(moved.old_path, length(v_old_root) + 1)
        )
    then
        return null;
    end if;
    with moved as (
        update public.album
        set description = (
            select string_agg(
                case when line = v_old_root or starts_with(line, v_old_root || '/')
                    then v_new_root || substr(line, length(v_old_root) + 1) else line end,
                E'\n' order by place
            )
            from regexp_split_to_table(album.description, E'\n') with ordinality as lines (line, place)
        )
        where id in (
            select album_id from linked.prefix where path = v_old_root or starts_with(path, v_old_root || '/')
        )
        returning id
    )
    select array_agg(id) into v_albums from moved;
    update linked.prefix
    set path = v_new_root || substr(path, length(v_old_root) + 1)
    where album_id = any (v_albums) and (path = v_old_root or starts_with(path, v_old_root || '/'));
    perform linked.understand(v_albums, '{}', '{}');
    return v_albums;
end
$linked$;
comment on function linked.follow_media_folder(text[], text[], bigint) is
    'Rewrites the prefixes in descriptions of linked albums when a statement has moved all assets (p_rows of them) from one root to another. Returns these albums.';

create or replace function linked.common_end(p_one text, p_other text) returns text
language sql immutable
as $linked$
    with piece as (
        select place, one, other
        from rows from (
            unnest(string_to_array(reverse(p_one), '/')), unnest(string_to_array(reverse(p_other), '/'))
        ) with ordinality as pieces (one, other, place)
    )
    select coalesce(
        reverse(string_agg(one || '/', '' order by place) filter (
            where place < (select coalesce(min(place), 2147483647) from piece where one is distinct from other)
        )),
        ''
    )
    from piece
$linked$;
comment on function linked.common_end(text, text) is 'The whole path components that two paths have in common at their end, with the slash before them.';

create or replace function linked.on_album_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            select has_work or exists (select from linked.note),
                exists (select from fresh where linked.is_linked_album(fresh."albumName") or linked.is_approval(fresh."albumName"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            -- Whoever makes an album owns it, whatever editors it is made with. They may have written to it since, where this was noted.
            declare
                v_made pg_catalog.uuid[] := array(select id from fresh where linked.is_linked_album("albumName"));
            begin
                perform linked.refresh_albums(v_made, v_made, array(
                    select fresh.id from fresh join public.album on album.id = fresh.id and album.description is not distinct from fresh.description
                    where fresh.id = any (v_made)
                ));
                perform linked.approve_by_album(
                    array(select id from fresh where linked.is_approval("albumName")), (select min("updatedAt") from fresh)
                );
            end;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_insert() is 'Takes note of new linked albums.';
create or replace trigger linked_album_insert after insert on public."album"
referencing new table as fresh
for each statement execute function linked.on_album_insert();
comment on trigger linked_album_insert on public."album" is 'Takes note of new linked albums.';

create or replace function linked.redo_album_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            -- Whoever makes an album owns it, whatever editors it is made with. They may have written to it since, where this was noted.
            declare
                v_made uuid[] := array(select id from jsonb_populate_recordset(null::public."album", p_fresh) as fresh where linked.is_linked_album("albumName"));
            begin
                perform linked.refresh_albums(v_made, v_made, array(
                    select fresh.id from jsonb_populate_recordset(null::public."album", p_fresh) as fresh join public.album on album.id = fresh.id and album.description is not distinct from fresh.description
                    where fresh.id = any (v_made)
                ));
                perform linked.approve_by_album(
                    array(select id from jsonb_populate_recordset(null::public."album", p_fresh) as fresh where linked.is_approval("albumName")), (select min("updatedAt") from jsonb_populate_recordset(null::public."album", p_fresh) as fresh)
                );
            end;

end
$linked$;
comment on function linked.redo_album_insert(jsonb, jsonb, text) is
    'Does what was noted: takes note of new linked albums.';

create or replace function linked.on_album_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where exists (select from linked.linked_album where linked_album.album_id = fresh.id)
                        or exists (select from linked.album_pair where album_pair.album_id = fresh.id)
                        or exists (select from linked.waiting where waiting.album_id = fresh.id)
                        or linked.is_linked_album(fresh."albumName") or linked.is_approval(fresh."albumName")
                )
                or exists (select from stale where stale."deletedAt" is not null)
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."albumName" is distinct from stale."albumName") then 'albumName' end,
                case when bool_or(fresh."description" is distinct from stale."description") then 'description' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."order" is distinct from stale."order") then 'order' end,
                case when bool_or(fresh."albumThumbnailAssetId" is distinct from stale."albumThumbnailAssetId") then 'albumThumbnailAssetId' end
            ], null)
            from fresh full join stale using ("id")
            where true
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (exists (select from fresh join linked.linked_album on linked_album.album_id = fresh.id));
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_albums(
                array(
                    select id from (select id, "albumName", description, "deletedAt" from fresh except select id, "albumName", description, "deletedAt" from stale) as changed
                    intersect
                    (
                        select id from fresh where linked.is_linked_album("albumName")
                        union
                        select id from stale where linked.is_linked_album("albumName")
                    )
                ),
                linked.written_by_owners(array(select id from (select id, "albumName" from fresh except select id, "albumName" from stale) as changed), (select min("updatedAt") from fresh) - interval '1 minute'),
                -- A new name can make an album linked that had lines before.
                array(
                    select unnest(linked.written_by_owners(
                        array(select id from (select id, description from fresh except select id, description from stale) as changed), (select min("updatedAt") from fresh) - interval '1 minute'
                    ))
                    union
                    select unnest(linked.trusted(array(select id from (select id, "albumName" from fresh except select id, "albumName" from stale) as changed)))
                )
            );
            perform linked.approve_by_album(
                array(
                    select id from (select id, "albumName" from fresh except select id, "albumName" from stale) as changed
                    intersect
                    select id from fresh where linked.is_approval("albumName")
                ),
                (select min("updatedAt") from fresh)
            );
            perform linked.follow_deleted_albums(array(
                select fresh.id
                from fresh join linked.album_pair on album_pair.album_id = fresh.id
                where linked.is_linked_album(fresh."albumName")
            ));
            perform linked.propagate_album_details(array(
                select changed.id
                from (select id, "albumName", description, "order", "albumThumbnailAssetId" from fresh except select id, "albumName", description, "order", "albumThumbnailAssetId" from stale) as changed
                join linked.album_pair on album_pair.album_id = changed.id
            ));
            -- Albums of an account that is back.
            perform linked.spread_albums(
                array(
                    select id from stale where "deletedAt" is not null
                    intersect
                    select id from fresh where "deletedAt" is null
                ),
                null
            );

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_update() is 'Follows edits of linked albums and their prefixes, and of albums with counterparts.';
create or replace trigger linked_album_update after update on public."album"
referencing old table as stale new table as fresh
for each statement execute function linked.on_album_update();
comment on trigger linked_album_update on public."album" is 'Follows edits of linked albums and their prefixes, and of albums with counterparts.';

create or replace function linked.redo_album_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."albumName" is distinct from stale."albumName") then 'albumName' end,
                case when bool_or(fresh."description" is distinct from stale."description") then 'description' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."order" is distinct from stale."order") then 'order' end,
                case when bool_or(fresh."albumThumbnailAssetId" is distinct from stale."albumThumbnailAssetId") then 'albumThumbnailAssetId' end
            ], null)
            from jsonb_populate_recordset(null::public."album", p_fresh) as fresh full join jsonb_populate_recordset(null::public."album", p_stale) as stale using ("id")
            where true
        );
begin
            perform linked.refresh_albums(
                array(
                    select id from (select id, "albumName", description, "deletedAt" from jsonb_populate_recordset(null::public."album", p_fresh) as fresh except select id, "albumName", description, "deletedAt" from jsonb_populate_recordset(null::public."album", p_stale) as stale) as changed
                    intersect
                    (
                        select id from jsonb_populate_recordset(null::public."album", p_fresh) as fresh where linked.is_linked_album("albumName")
                        union
                        select id from jsonb_populate_recordset(null::public."album", p_stale) as stale where linked.is_linked_album("albumName")
                    )
                ),
                linked.written_by_owners(array(select id from (select id, "albumName" from jsonb_populate_recordset(null::public."album", p_fresh) as fresh except select id, "albumName" from jsonb_populate_recordset(null::public."album", p_stale) as stale) as changed), (select min("updatedAt") from jsonb_populate_recordset(null::public."album", p_fresh) as fresh) - interval '1 minute'),
                -- A new name can make an album linked that had lines before.
                array(
                    select unnest(linked.written_by_owners(
                        array(select id from (select id, description from jsonb_populate_recordset(null::public."album", p_fresh) as fresh except select id, description from jsonb_populate_recordset(null::public."album", p_stale) as stale) as changed), (select min("updatedAt") from jsonb_populate_recordset(null::public."album", p_fresh) as fresh) - interval '1 minute'
                    ))
                    union
                    select unnest(linked.trusted(array(select id from (select id, "albumName" from jsonb_populate_recordset(null::public."album", p_fresh) as fresh except select id, "albumName" from jsonb_populate_recordset(null::public."album", p_stale) as stale) as changed)))
                )
            );
            perform linked.approve_by_album(
                array(
                    select id from (select id, "albumName" from jsonb_populate_recordset(null::public."album", p_fresh) as fresh except select id, "albumName" from jsonb_populate_recordset(null::public."album", p_stale) as stale) as changed
                    intersect
                    select id from jsonb_populate_recordset(null::public."album", p_fresh) as fresh where linked.is_approval("albumName")
                ),
                (select min("updatedAt") from jsonb_populate_recordset(null::public."album", p_fresh) as fresh)
            );
            perform linked.follow_deleted_albums(array(
                select fresh.id
                from jsonb_populate_recordset(null::public."album", p_fresh) as fresh join linked.album_pair on album_pair.album_id = fresh.id
                where linked.is_linked_album(fresh."albumName")
            ));
            perform linked.propagate_album_details(array(
                select changed.id
                from (select id, "albumName", description, "order", "albumThumbnailAssetId" from jsonb_populate_recordset(null::public."album", p_fresh) as fresh except select id, "albumName", description, "order", "albumThumbnailAssetId" from jsonb_populate_recordset(null::public."album", p_stale) as stale) as changed
                join linked.album_pair on album_pair.album_id = changed.id
            ));
            -- Albums of an account that is back.
            perform linked.spread_albums(
                array(
                    select id from jsonb_populate_recordset(null::public."album", p_stale) as stale where "deletedAt" is not null
                    intersect
                    select id from jsonb_populate_recordset(null::public."album", p_fresh) as fresh where "deletedAt" is null
                ),
                null
            );

end
$linked$;
comment on function linked.redo_album_update(jsonb, jsonb, text) is
    'Does what was noted: follows edits of linked albums and their prefixes, and of albums with counterparts.';

create or replace function linked.on_album_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where exists (select from linked.linked_album where linked_album.album_id operator(pg_catalog.=) stale.id)
                        or exists (select from linked.album_pair where album_pair.album_id operator(pg_catalog.=) stale.id)
                        or exists (select from linked.waiting where waiting.album_id operator(pg_catalog.=) stale.id)
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (exists (select from stale join linked.linked_album on linked_album.album_id = stale.id));
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_albums(array(select id from stale), '{}', '{}');
            perform linked.follow_deleted_albums(array(
                select stale.id from stale join linked.album_pair on album_pair.album_id = stale.id
            ));

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_delete() is 'Unlinks what deleted linked albums had linked, and withdraws the counterparts of others.';
create or replace trigger linked_album_delete after delete on public."album"
referencing old table as stale
for each statement execute function linked.on_album_delete();
comment on trigger linked_album_delete on public."album" is 'Unlinks what deleted linked albums had linked, and withdraws the counterparts of others.';

create or replace function linked.redo_album_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.refresh_albums(array(select id from jsonb_populate_recordset(null::public."album", p_stale) as stale), '{}', '{}');
            perform linked.follow_deleted_albums(array(
                select stale.id from jsonb_populate_recordset(null::public."album", p_stale) as stale join linked.album_pair on album_pair.album_id = stale.id
            ));

end
$linked$;
comment on function linked.redo_album_delete(jsonb, jsonb, text) is
    'Does what was noted: unlinks what deleted linked albums had linked, and withdraws the counterparts of others.';

create or replace function linked.on_album_user_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where exists (select from linked.linked_album where linked_album.album_id operator(pg_catalog.=) fresh."albumId") or exists (select from linked.album_pair where album_pair.album_id operator(pg_catalog.=) fresh."albumId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from fresh
                    join linked.linked_album on linked_album.album_id = fresh."albumId"
                ),
                '{}',
                '{}'
            );
            perform linked.follow_shared_albums(
                array_agg(fresh."albumId"), array_agg(fresh."userId")
            )
            from fresh join linked.album_pair on album_pair.album_id = fresh."albumId"
            where fresh.role <> 'owner'
            having count(*) > 0;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album_user insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album_user insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album_user insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_user_insert() is 'Links and unlinks users with whom a linked album is shared.';
create or replace trigger linked_album_user_insert after insert on public."album_user"
referencing new table as fresh
for each statement execute function linked.on_album_user_insert();
comment on trigger linked_album_user_insert on public."album_user" is 'Links and unlinks users with whom a linked album is shared.';

create or replace function linked.redo_album_user_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from jsonb_populate_recordset(null::public."album_user", p_fresh) as fresh
                    join linked.linked_album on linked_album.album_id = fresh."albumId"
                ),
                '{}',
                '{}'
            );
            perform linked.follow_shared_albums(
                array_agg(fresh."albumId"), array_agg(fresh."userId")
            )
            from jsonb_populate_recordset(null::public."album_user", p_fresh) as fresh join linked.album_pair on album_pair.album_id = fresh."albumId"
            where fresh.role <> 'owner'
            having count(*) > 0;

end
$linked$;
comment on function linked.redo_album_user_insert(jsonb, jsonb, text) is
    'Does what was noted: links and unlinks users with whom a linked album is shared.';
create or replace function linked.on_album_user_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where exists (select from linked.linked_album where linked_album.album_id operator(pg_catalog.=) fresh."albumId") or exists (select from linked.album_pair where album_pair.album_id operator(pg_catalog.=) fresh."albumId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (exists (select from fresh where exists (select from linked.linked_album where linked_album.album_id = fresh."albumId")));
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from fresh
                    join linked.linked_album on linked_album.album_id = fresh."albumId"
                ),
                '{}',
                '{}'
            );

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album_user update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album_user update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album_user update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_user_update() is 'Links and unlinks users with whom a linked album is shared.';
create or replace trigger linked_album_user_update after update on public."album_user"
referencing old table as stale new table as fresh
for each statement execute function linked.on_album_user_update();
comment on trigger linked_album_user_update on public."album_user" is 'Links and unlinks users with whom a linked album is shared.';

create or replace function linked.redo_album_user_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from jsonb_populate_recordset(null::public."album_user", p_fresh) as fresh
                    join linked.linked_album on linked_album.album_id = fresh."albumId"
                ),
                '{}',
                '{}'
            );

end
$linked$;
comment on function linked.redo_album_user_update(jsonb, jsonb, text) is
    'Does what was noted: links and unlinks users with whom a linked album is shared.';
create or replace function linked.on_album_user_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale where exists (select from linked.linked_album where linked_album.album_id operator(pg_catalog.=) stale."albumId") or exists (select from linked.album_pair where album_pair.album_id operator(pg_catalog.=) stale."albumId"))
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (exists (select from stale where exists (select from linked.linked_album where linked_album.album_id = stale."albumId")));
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from stale
                    join linked.linked_album on linked_album.album_id = stale."albumId"
                ),
                '{}',
                '{}'
            );
            perform linked.spread_albums(
                linked.counterparts(array_agg(stale."albumId")), array_agg(stale."userId")
            )
            from stale
            join linked.album_pair on album_pair.album_id = stale."albumId"
            join public.album on album.id = stale."albumId"
            where stale.role <> 'owner'
            having count(*) > 0;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album_user delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album_user delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album_user delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_user_delete() is 'Links and unlinks users with whom a linked album is shared.';
create or replace trigger linked_album_user_delete after delete on public."album_user"
referencing old table as stale
for each statement execute function linked.on_album_user_delete();
comment on trigger linked_album_user_delete on public."album_user" is 'Links and unlinks users with whom a linked album is shared.';

create or replace function linked.redo_album_user_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.refresh_albums(
                array(
                    select linked_album.album_id
                    from jsonb_populate_recordset(null::public."album_user", p_stale) as stale
                    join linked.linked_album on linked_album.album_id = stale."albumId"
                ),
                '{}',
                '{}'
            );
            perform linked.spread_albums(
                linked.counterparts(array_agg(stale."albumId")), array_agg(stale."userId")
            )
            from jsonb_populate_recordset(null::public."album_user", p_stale) as stale
            join linked.album_pair on album_pair.album_id = stale."albumId"
            join public.album on album.id = stale."albumId"
            where stale.role <> 'owner'
            having count(*) > 0;

end
$linked$;
comment on function linked.redo_album_user_delete(jsonb, jsonb, text) is
    'Does what was noted: links and unlinks users with whom a linked album is shared.';

create or replace function linked.on_album_asset_insert() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from fresh
                    where exists (select from linked.linked_album where linked_album.album_id operator(pg_catalog.=) fresh."albumId")
                        or (select true from linked.member where member.asset_id operator(pg_catalog.=) fresh."assetId")
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_membership(array(
                select fresh."assetId"
                from fresh join linked.linked_album on linked_album.album_id = fresh."albumId"
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from fresh), false);
            if v_from is not null then
                perform linked.add_to_albums(v_from, v_to, array(select distinct "albumId" from fresh));
            end if;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album_asset insert',
                        null,
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album_asset insert', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album_asset insert', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_asset_insert() is 'Links what is put into a linked album, and puts the siblings into the counterparts of others.';
create or replace trigger linked_album_asset_insert after insert on public."album_asset"
referencing new table as fresh
for each statement execute function linked.on_album_asset_insert();
comment on trigger linked_album_asset_insert on public."album_asset" is 'Links what is put into a linked album, and puts the siblings into the counterparts of others.';

create or replace function linked.redo_album_asset_insert(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.refresh_membership(array(
                select fresh."assetId"
                from jsonb_populate_recordset(null::public."album_asset", p_fresh) as fresh join linked.linked_album on linked_album.album_id = fresh."albumId"
            ));
            select from_ids, to_ids into v_from, v_to from linked.siblings(array(select "assetId" from jsonb_populate_recordset(null::public."album_asset", p_fresh) as fresh), false);
            if v_from is not null then
                perform linked.add_to_albums(v_from, v_to, array(select distinct "albumId" from jsonb_populate_recordset(null::public."album_asset", p_fresh) as fresh));
            end if;

end
$linked$;
comment on function linked.redo_album_asset_insert(jsonb, jsonb, text) is
    'Does what was noted: links what is put into a linked album, and puts the siblings into the counterparts of others.';

create or replace function linked.on_album_asset_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (
                    select from stale
                    where exists (select from linked.linked_album where linked_album.album_id operator(pg_catalog.=) stale."albumId")
                        or (select true from linked.member where member.asset_id operator(pg_catalog.=) stale."assetId")
                )
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (exists (select from stale join linked.linked_album on linked_album.album_id = stale."albumId"));
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.refresh_membership(array(
                select stale."assetId"
                from stale join linked.linked_album on linked_album.album_id = stale."albumId"
            ));
            perform linked.leave_albums(
                array_agg(stale."albumId"), array_agg(stale."assetId")
            )
            from stale join linked.member on member.asset_id = stale."assetId"
            having count(*) > 0;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'album_asset delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('album_asset delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in album_asset delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_album_asset_delete() is 'Unlinks what is taken out of a linked album, and takes the siblings out of the counterparts of others.';
create or replace trigger linked_album_asset_delete after delete on public."album_asset"
referencing old table as stale
for each statement execute function linked.on_album_asset_delete();
comment on trigger linked_album_asset_delete on public."album_asset" is 'Unlinks what is taken out of a linked album, and takes the siblings out of the counterparts of others.';

create or replace function linked.redo_album_asset_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.refresh_membership(array(
                select stale."assetId"
                from jsonb_populate_recordset(null::public."album_asset", p_stale) as stale join linked.linked_album on linked_album.album_id = stale."albumId"
            ));
            perform linked.leave_albums(
                array_agg(stale."albumId"), array_agg(stale."assetId")
            )
            from jsonb_populate_recordset(null::public."album_asset", p_stale) as stale join linked.member on member.asset_id = stale."assetId"
            having count(*) > 0;

end
$linked$;
comment on function linked.redo_album_asset_delete(jsonb, jsonb, text) is
    'Does what was noted: unlinks what is taken out of a linked album, and takes the siblings out of the counterparts of others.';

-- Quota: what Immich computes for a participant is what it would be without the addon.


-- Immich takes the size of a deleted upload off its owner's quota, and so for a clone what was never added. When a trash is
-- emptied every member has a deletion job of its own that has read its row before the group went, and takes the size off all
-- the same. A credit that nobody claims (there was no such job) is worth nothing after a minute.
create or replace function linked.credit_quota(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.quota_credit where given_at < clock_timestamp() - interval '1 minute';
    insert into linked.quota_credit (user_id, bytes)
    select member.owner_id, size.bytes
    from linked.member
    left join public.asset on asset.id = member.asset_id
    cross join lateral (
        select exif."fileSizeInByte" as bytes
        from linked.member sibling join public.asset_exif exif on exif."assetId" = sibling.asset_id
        where sibling.source_id = member.source_id
        limit 1
    ) as size
    where member.asset_id = any (p_members) and size.bytes > 0
        and (member.asset_id <> member.source_id or asset."libraryId" is null and asset.id is not null);
end
$linked$;
comment on function linked.credit_quota(uuid[]) is
    'Remembers what Immich may be about to take off quotas although it was never added, or is taken off already.';

-- The source goes with the clone that Immich deleted; Immich leaves the quota of its owner alone.
create or replace function linked.take_off_quota(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."user" where id in (select owner_id from linked.member where asset_id = any (p_members) and asset_id = source_id) for no key update nowait;
    update public."user"
    set "quotaUsageInBytes" = greatest("quotaUsageInBytes" - gone.bytes, 0)
    from (
        select source."ownerId" as owner_id, sum(exif."fileSizeInByte") as bytes
        from linked.member
        join public.asset source on source.id = member.asset_id and member.asset_id = member.source_id
        join public.asset_exif exif on exif."assetId" = source.id
        where member.asset_id = any (p_members) and source."libraryId" is null and exif."fileSizeInByte" > 0
        group by source."ownerId"
    ) as gone
    where "user".id = gone.owner_id;
end
$linked$;
comment on function linked.take_off_quota(uuid[]) is
    'Takes sources that are about to be deleted off their owners'' quotas.';

-- p_recount: Immich summed up all assets of the users, clones included. Else it added or took off the size of one asset.
create or replace function linked.settle_quota(p_users uuid[], p_changes bigint[], p_recount boolean) returns void
language plpgsql
as $linked$
begin
    if p_recount then
        update public."user"
        set "quotaUsageInBytes" = "quotaUsageInBytes" - clones.bytes
        from (
            select member.owner_id, sum(exif."fileSizeInByte") as bytes
            from linked.member
            join public.asset_exif exif on exif."assetId" = member.asset_id
            where member.owner_id = any (p_users) and member.asset_id <> member.source_id
                and exif."fileSizeInByte" > 0
            group by member.owner_id
        ) as clones
        where "user".id = clones.owner_id;
        delete from linked.quota_credit where user_id = any (p_users);
        return;
    end if;
    with claim as (
        select distinct on (credit.user_id) credit.ctid, credit.user_id, credit.bytes
        from unnest(p_users, p_changes) as change (user_id, bytes)
        join linked.quota_credit credit on credit.user_id = change.user_id and credit.bytes = -change.bytes
    ), used as (
        delete from linked.quota_credit where ctid in (select ctid from claim) returning user_id, bytes
    )
    update public."user"
    set "quotaUsageInBytes" = "quotaUsageInBytes" + used.bytes
    from used
    where "user".id = used.user_id;
end
$linked$;
comment on function linked.settle_quota(uuid[], bigint[], boolean) is
    'Takes clones out of what Immich just wrote as the quota of users.';

create or replace function linked.on_user_update() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
    v_columns pg_catalog.text[];
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from fresh where exists (select from linked.participant where participant.user_id operator(pg_catalog.=) fresh.id)) or exists (select from linked.quota_credit)
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_columns := (
            select array_remove(array[
                case when bool_or(fresh."quotaUsageInBytes" is distinct from stale."quotaUsageInBytes") then 'quotaUsageInBytes' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."clusterGroupId" is distinct from stale."clusterGroupId") then 'clusterGroupId' end
            ], null)
            from fresh full join stale using ("id")
            where true
        );
                v_concerns_us := v_columns <> '{}';
            end if;
            if v_concerns_us then
                v_sources := case
                when v_columns = array['quotaUsageInBytes'] and position('fileSizeInByte' in current_query()) = 0
                    and not exists (select from fresh join linked.quota_credit on quota_credit.user_id = fresh.id)
                    then '{}'
            end;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from fresh limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            -- Only a recount mentions the column that it sums up.
            perform linked.settle_quota(
                array_agg(usage.id), array_agg(usage.change), position('fileSizeInByte' in current_query()) > 0
            )
            from (
                select id, sum(bytes)::bigint as change
                from (
                    select id, "quotaUsageInBytes" as bytes from fresh
                    union all
                    select id, -"quotaUsageInBytes" from stale
                ) as signed
                group by id
            ) as usage
            where usage.change <> 0
            having count(*) > 0;
            perform linked.follow_cluster_groups(array(select id from (select id, "clusterGroupId" from fresh except select id, "clusterGroupId" from stale) as changed));
            perform linked.extend_membership(array_agg(album_id), linked.assets_of_albums(array_agg(album_id)))
            from linked.participant
            where user_id in (
                select id from stale where "deletedAt" is not null
                intersect
                select id from fresh where "deletedAt" is null
            )
            having count(*) > 0;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'user update',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        (select jsonb_agg(to_jsonb(fresh)) from fresh),
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('user update', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in user update', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_user_update() is 'Links what an account missed while it awaited deletion, and keeps clones out of quotas.';
create or replace trigger linked_user_update after update on public."user"
referencing old table as stale new table as fresh
for each statement execute function linked.on_user_update();
comment on trigger linked_user_update on public."user" is 'Links what an account missed while it awaited deletion, and keeps clones out of quotas.';

create or replace function linked.redo_user_update(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
    v_columns text[] := (
            select array_remove(array[
                case when bool_or(fresh."quotaUsageInBytes" is distinct from stale."quotaUsageInBytes") then 'quotaUsageInBytes' end,
                case when bool_or(fresh."deletedAt" is distinct from stale."deletedAt") then 'deletedAt' end,
                case when bool_or(fresh."clusterGroupId" is distinct from stale."clusterGroupId") then 'clusterGroupId' end
            ], null)
            from jsonb_populate_recordset(null::public."user", p_fresh) as fresh full join jsonb_populate_recordset(null::public."user", p_stale) as stale using ("id")
            where true
        );
begin
            -- Only a recount mentions the column that it sums up.
            perform linked.settle_quota(
                array_agg(usage.id), array_agg(usage.change), position('fileSizeInByte' in p_statement) > 0
            )
            from (
                select id, sum(bytes)::bigint as change
                from (
                    select id, "quotaUsageInBytes" as bytes from jsonb_populate_recordset(null::public."user", p_fresh) as fresh
                    union all
                    select id, -"quotaUsageInBytes" from jsonb_populate_recordset(null::public."user", p_stale) as stale
                ) as signed
                group by id
            ) as usage
            where usage.change <> 0
            having count(*) > 0;
            perform linked.follow_cluster_groups(array(select id from (select id, "clusterGroupId" from jsonb_populate_recordset(null::public."user", p_fresh) as fresh except select id, "clusterGroupId" from jsonb_populate_recordset(null::public."user", p_stale) as stale) as changed));
            perform linked.extend_membership(array_agg(album_id), linked.assets_of_albums(array_agg(album_id)))
            from linked.participant
            where user_id in (
                select id from jsonb_populate_recordset(null::public."user", p_stale) as stale where "deletedAt" is not null
                intersect
                select id from jsonb_populate_recordset(null::public."user", p_fresh) as fresh where "deletedAt" is null
            )
            having count(*) > 0;

end
$linked$;
comment on function linked.redo_user_update(jsonb, jsonb, text) is
    'Does what was noted: links what an account missed while it awaited deletion, and keeps clones out of quotas.';

-- With an account goes what hangs on it, table by table, and all triggers of the first tables before those of the next: it is
-- long gone from albums of others when Immich notes, last, which of its pictures left them. Whoever deletes such an album at that
-- moment would hold it and want the account's row in it. So the albums are held first, all of them or none, where somebody
-- may wait for a turn in between: for whom nothing is linked the moment is as short as Immich makes it.
create or replace function linked.hold_albums() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    if not exists (select from linked.participant where participant.user_id = old.id) then
        return old;
    end if;
    loop
        begin
            perform from public."album" where id in (select "albumId" from public.album_user where "userId" = old.id) for key share nowait;
            return old;
        exception when lock_not_available then
            if clock_timestamp() >= statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4) then
                return old;
            end if;
            perform pg_sleep(0.01);
        end;
    end loop;
exception when others then
    return old;
end
$linked$;
comment on function linked.hold_albums() is
    'Asks for the albums that a deleted account which takes part sees, for three seconds, before Immich deletes what hangs on it.';
create or replace trigger linked_user_hold_albums before delete on public."user"
for each row execute function linked.hold_albums();
comment on trigger linked_user_hold_albums on public."user" is
    'Asks for the albums that a deleted account sees, before Immich deletes what hangs on it.';

create or replace function linked.on_user_delete() returns trigger
language plpgsql security definer
as $linked$
declare
    v_is_due boolean;
    v_search_path pg_catalog.text;
    v_lock_timeout pg_catalog.text;
    v_concerns_us boolean;
    v_is_patient boolean := false;
    v_sources pg_catalog.uuid[];
    v_from pg_catalog.uuid[];
    v_to pg_catalog.uuid[];
    v_sqlstate pg_catalog.text;
    v_message pg_catalog.text;
    v_context pg_catalog.text;
begin
    -- Most calls are about the addon's own writing. The rest is asked within: nothing outside the block may fail.
    if pg_catalog.current_setting('linked.writing', true)
        operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
    then
        return null;
    end if;
    loop
        begin
            select has_work or exists (select from linked.note),
                exists (select from stale)
            into v_is_due, v_concerns_us
            from linked.installation
            where suspended_at is null;
            if not (v_is_due or v_concerns_us) is true then
                return null;
            end if;
            if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
            end if;

            if v_concerns_us then
                v_sources := null;
                v_concerns_us := v_sources is distinct from '{}';
            end if;
            if v_concerns_us is not true then
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_aside();
                end if;
                if v_search_path is not null then
                    perform pg_catalog.set_config('search_path', v_search_path, true);
                end if;

                return null;
            end if;
            -- Many groups are as good as all.
            if cardinality(v_sources) > 32 then
                v_sources := null;
            end if;
            v_is_patient := pg_trigger_depth() = 1 and (false);
            v_lock_timeout := current_setting('lock_timeout');
            perform linked.take_turn(v_sources, v_is_patient);
            if v_sources is null then
                perform linked.plan_for((select count(*) from (select from stale limit 50) as first));
                -- What was done before comes first, where the order matters. Within a group each change goes its own way.
                if v_is_due and pg_trigger_depth() = 1 then
                    perform linked.work_notes(null, clock_timestamp() + interval '50 milliseconds');
                end if;
            end if;
            perform linked.replace_files_of_users(array(select id from stale));
            delete from linked.dismissal using stale where dismissal.user_id = stale.id;
            delete from linked.album_refusal using stale where album_refusal.owner_id = stale.id;
            delete from linked.quota_credit using stale where quota_credit.user_id = stale.id;

            -- Where Immich deletes, what hangs below goes first, and what is remembered of it last.
            if pg_trigger_depth() = 1 and (v_is_due or v_sources is null) then
                perform linked.work_along(v_sources, v_sources is null);
            end if;
            perform linked.stop_writing();
            perform set_config('lock_timeout', v_lock_timeout, true);
            if v_search_path is not null then
                perform pg_catalog.set_config('search_path', v_search_path, true);
            end if;

            return null;
        exception
            when lock_not_available or deadlock_detected or serialization_failure or unique_violation or foreign_key_violation then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
                if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
                    v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
                    perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
                end if;

                if v_is_patient
                    and clock_timestamp() < statement_timestamp() + least(interval '3 seconds', nullif(current_setting('statement_timeout'), '0')::interval * 0.4)
                then
                    perform pg_sleep(0.02);
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

                    continue;
                end if;
                                begin
                    perform set_config('linked.gave_up', extract(epoch from statement_timestamp())::text, true);
                    perform linked.leave_note(
                        'user delete',
                        (select jsonb_agg(to_jsonb(stale)) from stale),
                        null,
                        current_query(),
                        v_sources
                    );
                    if v_search_path is not null then
                        perform pg_catalog.set_config('search_path', v_search_path, true);
                    end if;

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
    if pg_catalog.current_schemas(true) operator(pg_catalog.<>) '{pg_catalog,public}' then
        v_search_path := coalesce(v_search_path, pg_catalog.current_setting('search_path'));
        perform pg_catalog.set_config('search_path', 'pg_catalog, public, vectors, pg_temp', true);
    end if;

        begin
        perform linked.record_incident('user delete', v_sqlstate, v_message, v_context);
    exception when others then
        raise log 'linked assets: % (%) in user delete', v_message, v_sqlstate;
    end;
    if v_search_path is not null then
        perform pg_catalog.set_config('search_path', v_search_path, true);
    end if;

    return null;
end
$linked$;
comment on function linked.on_user_delete() is 'Has Immich make anew what it kept in the folders of deleted accounts on behalf of others.';
create or replace trigger linked_user_delete after delete on public."user"
referencing old table as stale
for each statement execute function linked.on_user_delete();
comment on trigger linked_user_delete on public."user" is 'Has Immich make anew what it kept in the folders of deleted accounts on behalf of others.';

create or replace function linked.redo_user_delete(p_stale jsonb, p_fresh jsonb, p_statement text) returns void
language plpgsql
as $linked$
declare
    v_from uuid[];
    v_to uuid[];
begin
            perform linked.replace_files_of_users(array(select id from jsonb_populate_recordset(null::public."user", p_stale) as stale));
            delete from linked.dismissal using jsonb_populate_recordset(null::public."user", p_stale) as stale where dismissal.user_id = stale.id;
            delete from linked.album_refusal using jsonb_populate_recordset(null::public."user", p_stale) as stale where album_refusal.owner_id = stale.id;
            delete from linked.quota_credit using jsonb_populate_recordset(null::public."user", p_stale) as stale where quota_credit.user_id = stale.id;

end
$linked$;
comment on function linked.redo_user_delete(jsonb, jsonb, text) is
    'Does what was noted: has Immich make anew what it kept in the folders of deleted accounts on behalf of others.';

-- Rows outside a group that would make Immich delete the group's files.


-- Until v2.7 Immich can replace an asset's file: the new file lies in the upload folder of whoever did it, and Immich keeps the
-- old one as a copy in the trash and deletes it for good later. On a clone both would take the family's picture along. So a
-- clone whose file was replaced becomes an asset of its owner's own, and its source stays what it was.
create or replace function linked.release(p_moved uuid[]) returns void
language plpgsql
as $linked$
declare
    v_released uuid[] := array(
        select mine.id
        from public.asset mine
        join linked.member on member.asset_id = mine.id
        where mine.id = any (p_moved)
            and (
                position('/upload/' || mine."ownerId" || '/' in mine."originalPath") > 0
                or (member.can_write and not linked.is_covered_at(member.source_id, mine."originalPath"))
            )
    );
begin
    if cardinality(v_released) = 0 then
        return;
    end if;
    -- The old file comes back as a row of its own, a few statements later: a new clone would be in its way.
    delete from linked.replacement where begun_at < clock_timestamp() - interval '1 minute';
    insert into linked.replacement (source_id, user_id)
    select source_id, owner_id from linked.member where asset_id = any (v_released)
    on conflict (source_id, user_id) do update set begun_at = excluded.begun_at;
    perform linked.make_own(v_released);
end
$linked$;
comment on function linked.release(uuid[]) is
    'Makes clones whose file was replaced assets of their owners'' own.';

-- Thumbnails and video are the group's: Immich makes the asset's own, and would delete these. A job that has looked already will,
-- without the group's learning of it.
create or replace function linked.make_own(p_members uuid[]) returns void
language plpgsql
as $linked$
begin
    if coalesce(cardinality(p_members), 0) = 0 then
        return;
    end if;
    perform linked.remember_unsettled(
        array(select distinct source_id from linked.member where asset_id = any (p_members) and asset_id <> source_id), 'image'
    );
    perform from public."asset" where id in (
            select sibling.asset_id
            from linked.member leaver join linked.member sibling on sibling.source_id = leaver.source_id
            where leaver.asset_id = any (p_members)
        ) for no key update nowait;
    perform from public."asset_file" where "assetId" in (
            select sibling.asset_id
            from linked.member leaver join linked.member sibling on sibling.source_id = leaver.source_id
            where leaver.asset_id = any (p_members)
        ) for no key update nowait;
    perform from public."asset_job_status" where "assetId" = any (p_members) for no key update nowait;
    perform linked.leave_paths(p_members);
    perform linked.forget_members(p_members);
    delete from public.asset_file where "assetId" = any (p_members);
    update public.asset
    set "isExternal" = false, thumbhash = null
    where id = any (p_members);
end
$linked$;
comment on function linked.make_own(uuid[]) is 'Takes members out of their groups as assets that share no file with them.';

-- Where a job writes follows from owner and id. Whoever leaves and keeps the id has its next picture written to where the group
-- names what was made of the last: the others do without, until Immich makes their own.
create or replace function linked.leave_paths(p_leaving uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from public.asset_file
    using linked.member leaver, linked.member other
    where leaver.asset_id = any (p_leaving)
        and other.source_id = leaver.source_id and other.asset_id <> leaver.asset_id
        and asset_file."assetId" = other.asset_id
        and linked.is_made_for(asset_file.path, leaver.owner_id, leaver.asset_id);
end
$linked$;
comment on function linked.leave_paths(uuid[]) is
    'Makes the siblings of members that become assets of their own forget the files that jobs wrote for these.';

create or replace function linked.is_made_for(p_path text, p_owner uuid, p_asset uuid) returns boolean
language sql immutable
as $linked$
    select position('/' || p_asset in p_path) > 0
        and (
            position('/thumbs/' || p_owner || '/' in p_path) > 0
            or position('/encoded-video/' || p_owner || '/' in p_path) > 0
        )
$linked$;
comment on function linked.is_made_for(text, uuid, uuid) is
    'Whether a job of Immich for this asset has written the file, and another one would write to it again.';

-- The copy in the trash must not point to files that somebody else's asset still needs, its sidecar among them: it comes after the
-- clone has left its group, which may be gone with it. Immich's unlink tolerates a path that does not exist.
create or replace function linked.disarm_copies(p_assets uuid[]) returns void
language plpgsql
as $linked$
begin
    delete from linked.replacement
    using public.asset mine, public.asset source
    where mine.id = any (p_assets)
        and replacement.user_id = mine."ownerId"
        and source.id = replacement.source_id and source.checksum = mine.checksum;
    update public.asset mine
    set "originalPath" = mine."originalPath" || '.replaced-' || mine.id
    from public.asset theirs
    where mine.id = any (p_assets)
        and theirs."originalPath" = mine."originalPath"
        and theirs."ownerId" <> mine."ownerId"
        -- Clones that do not know yet that their source has got another file say nothing.
        and not exists (
            select from linked.member where member.asset_id = theirs.id and member.asset_id <> member.source_id
        );
end
$linked$;
comment on function linked.disarm_copies(uuid[]) is
    'Points uploads that claim the file of somebody else''s asset to a path that does not exist, before Immich deletes it.';

-- The same for what happened while sync was off: the clone still counts as one, and the copy is as it was written.
create or replace function linked.disarm_kept_copies() returns bigint
language plpgsql
as $linked$
declare
    v_copies uuid[] := array(
        select mine.id
        from linked.member
        join public.asset source on source.id = member.source_id
        join public.asset mine on mine."originalPath" = source."originalPath" and mine."ownerId" <> source."ownerId"
        where member.asset_id = member.source_id
            and mine."libraryId" is null and not mine."isExternal"
            and not exists (select from linked.member clone where clone.asset_id = mine.id)
    );
begin
    if cardinality(v_copies) > 0 then
        perform linked.disarm_copies(v_copies);
        perform linked.drop_copies(v_copies);
    end if;
    return cardinality(v_copies);
end
$linked$;
comment on function linked.disarm_kept_copies() is
    'Disarms what Immich kept of the old file of a clone that was replaced while sync was off, and deletes it from the trash. Returns how many.';

create or replace function linked.release_replaced(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.make_own(array(
        select mine.id
        from linked.member
        join public.asset mine on mine.id = member.asset_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
            and position('/upload/' || mine."ownerId" || '/' in mine."originalPath") > 0
    ));
end
$linked$;
comment on function linked.release_replaced(uuid[]) is
    'Makes clones whose file was replaced while sync was off assets of their owners'' own.';

-- In the trash such a copy is nothing: no file to restore, no size that Immich ever added to a quota. The picture itself is
-- linked again in its place.
create or replace function linked.drop_copies(p_trashed uuid[]) returns void
language plpgsql
as $linked$
declare
    v_copies uuid[];
    v_owners uuid[];
    v_checksums bytea[];
begin
    select array_agg(id), array_agg("ownerId"), array_agg(checksum)
    into v_copies, v_owners, v_checksums
    from public.asset
    where id = any (p_trashed) and "deletedAt" is not null and right("originalPath", 46) = '.replaced-' || id;
    if v_copies is not null then
        perform linked.delete_assets(v_copies);
        perform linked.fill_gaps(v_owners, v_checksums, v_copies);
    end if;
end
$linked$;
comment on function linked.drop_copies(uuid[]) is
    'Deletes what Immich put into the trash as the old file of a replaced clone.';

-- Immich makes thumbnails and videos for a clone in its owner's folders, and removes these folders with the account.
create or replace function linked.replace_files_of_users(p_users uuid[]) returns void
language plpgsql
as $linked$
declare
    v_assets uuid[];
begin
    with gone as (
        delete from public.asset_file
        using unnest(p_users) as account (id)
        where position('/thumbs/' || account.id || '/' in asset_file.path) > 0
            or position('/encoded-video/' || account.id || '/' in asset_file.path) > 0
        returning asset_file."assetId"
    )
    select array_agg(distinct "assetId") into v_assets from gone;
end
$linked$;
comment on function linked.replace_files_of_users(uuid[]) is
    'Forgets files in the folders of deleted accounts that other assets refer to, so that Immich makes them anew.';

-- A statement reads what it needs before it waits for its turn. The cover that it then sets may be gone by then; Immich's
-- own foreign key would refuse it. (GET /albums sets missing covers, in one statement over all albums.)
create or replace function linked.drop_gone_cover() returns trigger
language plpgsql security definer
as $linked$
begin
    if (new."albumThumbnailAssetId" operator(pg_catalog.=) old."albumThumbnailAssetId") is not true
        and not exists (
            select from public.asset where asset.id operator(pg_catalog.=) new."albumThumbnailAssetId"
        )
    then
        new."albumThumbnailAssetId" := null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.drop_gone_cover() is
    'Leaves an album without a cover instead of letting Immich''s statement fail, when the cover was deleted while it waited.';
create or replace trigger linked_album_drop_gone_cover before update on public.album
for each row execute function linked.drop_gone_cover();
comment on trigger linked_album_drop_gone_cover on public.album is
    'Leaves an album without a cover instead of letting Immich''s statement fail, when the cover was deleted while it waited.';

-- Immich's look for missing files reports each row that names one, in upserts of ten thousand by path: a file of a group comes
-- twice, and PostgreSQL refuses to update one row a second time.
create or replace function linked.report_once() returns trigger
language plpgsql security definer
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    if exists (
        select from linked.member
        where member.asset_id <> member.source_id
            and member.asset_id = coalesce(
                new."assetId", (select "assetId" from public.asset_file where asset_file.id = new."fileAssetId")
            )
    ) then
        return null;
    end if;
    return new;
exception when others then
    return new;
end
$linked$;
comment on function linked.report_once() is
    'Leaves clones out of Immich''s report of missing files: the source is reported.';
create or replace trigger linked_integrity_report_once before insert on public.integrity_report
for each row execute function linked.report_once();
comment on trigger linked_integrity_report_once on public.integrity_report is
    'Leaves clones out of Immich''s report of missing files: the source is reported.';

-- Reconcile: whatever was missed, by a fault or while sync was suspended, is made good. What moves, replaces or deletes files
-- or rows is never taken from a clone: there the source counts. Of edits the last one counts, told by a date that only edits
-- of that table move ("updatedAt" of asset moves with favourites, stacks and the locked folder, so asset has none). Of tags and
-- albums, which have no date, all that anybody has.


create or replace function linked.member_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with pair as materialized (
        select member.source_id, member.asset_id, member.owner_id, member.can_write, member.deletes_own
        from linked.member
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
    ), wanted as materialized (
        select wanted.source_id, wanted.user_id, wanted.can_write, wanted.deletes_own, wanted.linkable
        from linked.wanted(array(
            select unnest(p_sources)
            union
            select "livePhotoVideoId" from public.asset where id = any (p_sources) and "livePhotoVideoId" is not null
        )) as wanted
    )
    select wanted.source_id, wanted.source_id, 'member'
    from wanted
    join public.asset source on source.id = wanted.source_id
    where wanted.linkable
        and not exists (
            select from linked.member where member.source_id = wanted.source_id and member.owner_id = wanted.user_id
        )
        and not exists (
            select from public.asset own
            where own."ownerId" = wanted.user_id and own.checksum = source.checksum and own."libraryId" is null
        )
    union all
    select pair.source_id, pair.asset_id, 'member'
    from pair
    left join wanted on wanted.source_id = pair.source_id and wanted.user_id = pair.owner_id
    where (wanted.can_write, wanted.deletes_own) is distinct from (pair.can_write, pair.deletes_own)
    union all
    select member.source_id, member.asset_id, 'member'
    from linked.member
    where member.source_id = any (p_sources)
        and not exists (select from public.asset where asset.id = member.asset_id)
$linked$;
comment on function linked.member_disagreements(uuid[]) is
    'Groups that have too few or too many members, or members with other rights.';

create or replace function linked.row_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with pair as materialized (
        select member.source_id, member.asset_id, member.owner_id, member.can_write
        from linked.member
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
    )
    select pair.source_id, pair.asset_id, 'asset'
    from pair
    join public.asset source on source.id = pair.source_id
    join public.asset mine on mine.id = pair.asset_id
    left join linked.member video on video.source_id = source."livePhotoVideoId" and video.owner_id = pair.owner_id
    where row(mine."type", mine."originalPath", mine."fileCreatedAt", mine."fileModifiedAt", mine."duration", mine."checksum", mine."originalFileName", mine."isOffline", mine."deletedAt", mine."localDateTime", mine."status", mine."width", mine."height", mine."checksumAlgorithm")::record *<> row(source."type", source."originalPath", source."fileCreatedAt", source."fileModifiedAt", source."duration", source."checksum", source."originalFileName", source."isOffline", source."deletedAt", source."localDateTime", source."status", source."width", source."height", source."checksumAlgorithm")::record
        or (mine.visibility <> source.visibility and 'locked' not in (mine.visibility, source.visibility))
        or (
            mine."thumbhash" is distinct from source."thumbhash"
            and not exists (
                select from linked.unsettled
                where unsettled.source_id = source.id and what = 'image' and marked_at is not null
            )
        )
        or (
            mine."isEdited" is distinct from source."isEdited"
            and not exists (
                select from linked.unsettled
                where unsettled.source_id = source.id and what = 'image' and marked_at is not null
            )
        )
        or mine."livePhotoVideoId" is distinct from video.asset_id
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_exif'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_exif theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_exif mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."make", mine."model", mine."exifImageWidth", mine."exifImageHeight", mine."fileSizeInByte", mine."orientation", mine."dateTimeOriginal", mine."modifyDate", mine."lensModel", mine."fNumber", mine."focalLength", mine."iso", mine."latitude", mine."longitude", mine."city", mine."state", mine."country", mine."description", mine."fps", mine."exposureTime", mine."livePhotoCID", mine."timeZone", mine."projectionType", mine."profileDescription", mine."colorspace", mine."bitsPerSample", mine."autoStackId", mine."rating", mine."lockedProperties", mine."tags")::record *<> row(theirs."make", theirs."model", theirs."exifImageWidth", theirs."exifImageHeight", theirs."fileSizeInByte", theirs."orientation", theirs."dateTimeOriginal", theirs."modifyDate", theirs."lensModel", theirs."fNumber", theirs."focalLength", theirs."iso", theirs."latitude", theirs."longitude", theirs."city", theirs."state", theirs."country", theirs."description", theirs."fps", theirs."exposureTime", theirs."livePhotoCID", theirs."timeZone", theirs."projectionType", theirs."profileDescription", theirs."colorspace", theirs."bitsPerSample", theirs."autoStackId", theirs."rating", theirs."lockedProperties", theirs."tags")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_file'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_file theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_file mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id and mine."type" = theirs."type" and mine."isEdited" = theirs."isEdited"
    where (mine.member_id is null or theirs.member_id is null or row(mine."path", mine."isProgressive", mine."isTransparent")::record *<> row(theirs."path", theirs."isProgressive", theirs."isTransparent")::record)
        and (
            coalesce(mine.type, theirs.type) <> 'encoded_video'
            or not exists (
                select from linked.unsettled
                where unsettled.source_id = coalesce(mine.source_id, theirs.source_id) and what = 'video'
                    and marked_at is not null
            )
        )
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_job_status'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_job_status theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_job_status mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."facesRecognizedAt", mine."metadataExtractedAt", mine."duplicatesDetectedAt", mine."ocrAt")::record *<> row(theirs."facesRecognizedAt", theirs."metadataExtractedAt", theirs."duplicatesDetectedAt", theirs."ocrAt")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'smart_search'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.smart_search theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.smart_search mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."embedding")::record *<> row(theirs."embedding")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_video'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_video theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_video mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."bitrate", mine."frameCount", mine."timeBase", mine."index", mine."profile", mine."level", mine."colorPrimaries", mine."colorTransfer", mine."colorMatrix", mine."dvProfile", mine."dvLevel", mine."dvBlSignalCompatibilityId", mine."codecName", mine."formatName", mine."formatLongName", mine."pixelFormat")::record *<> row(theirs."bitrate", theirs."frameCount", theirs."timeBase", theirs."index", theirs."profile", theirs."level", theirs."colorPrimaries", theirs."colorTransfer", theirs."colorMatrix", theirs."dvProfile", theirs."dvLevel", theirs."dvBlSignalCompatibilityId", theirs."codecName", theirs."formatName", theirs."formatLongName", theirs."pixelFormat")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_audio'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_audio theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_audio mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."bitrate", mine."index", mine."profile", mine."codecName")::record *<> row(theirs."bitrate", theirs."index", theirs."profile", theirs."codecName")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_keyframe'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_keyframe theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_keyframe mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."pts", mine."accDuration", mine."ownDuration", mine."totalDuration", mine."packetCount", mine."outputFrames")::record *<> row(theirs."pts", theirs."accDuration", theirs."ownDuration", theirs."totalDuration", theirs."packetCount", theirs."outputFrames")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_edit'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_edit theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_edit mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id and mine."sequence" = theirs."sequence"
    where (mine.member_id is null or theirs.member_id is null or row(mine."action", mine."parameters")::record *<> row(theirs."action", theirs."parameters")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'asset_ocr'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.asset_ocr theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.asset_ocr mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id and mine."x1" = theirs."x1" and mine."y1" = theirs."y1" and mine."x2" = theirs."x2" and mine."y2" = theirs."y2" and mine."x3" = theirs."x3" and mine."y3" = theirs."y3" and mine."x4" = theirs."x4" and mine."y4" = theirs."y4" and mine."text" = theirs."text"
    where (mine.member_id is null or theirs.member_id is null or row(mine."boxScore", mine."textScore", mine."isVisible")::record *<> row(theirs."boxScore", theirs."textScore", theirs."isVisible")::record)
    union all
    select coalesce(mine.source_id, theirs.source_id), coalesce(mine.member_id, theirs.member_id), 'ocr_search'
    from (
        select pair.source_id, pair.asset_id as member_id, theirs.*
        from pair join public.ocr_search theirs on theirs."assetId" = pair.source_id
    ) as theirs
    full join (
        select pair.source_id, pair.asset_id as member_id, mine.*
        from pair join public.ocr_search mine on mine."assetId" = pair.asset_id
    ) as mine
        on mine.member_id = theirs.member_id
    where (mine.member_id is null or theirs.member_id is null or row(mine."text")::record *<> row(theirs."text")::record)
$linked$;
comment on function linked.row_disagreements(uuid[]) is
    'Members whose row of asset, or rows with a key of their own below it, differ from the source.';

create or replace function linked.face_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with pair as materialized (
        select member.source_id, member.asset_id, member.owner_id, member.can_write
        from linked.member
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id
    ), face as materialized (
        select member.source_id, member.asset_id, member.can_write, known.face_id, known.face_key,
            known.left_open, asset_face.id, asset_face."deletedAt" is not null as is_hidden,
            case when person."ownerId" = member.owner_id then person."personGroupId" end as person_id,
            person_pair.person_key,
            -- A stranger's person, from an ordinary album, is nobody's business but the stranger's.
            person."ownerId" <> member.owner_id and not known.left_open and exists (
                select
                from linked.member sibling
                join linked.face their_face on their_face.asset_id = sibling.asset_id
                where sibling.source_id = member.source_id and sibling.owner_id = person."ownerId"
                    and their_face.face_key = known.face_key
                    and (not sibling.can_write or member.can_write)
            ) as is_misplaced
        from linked.member
        join linked.face known on known.asset_id = member.asset_id
        left join public.asset_face on asset_face.id = known.face_id
        left join lateral (
            select known.* from public.person known
            where known."personGroupId" = asset_face."personGroupId"
            order by known."ownerId" = member.owner_id desc, known."ownerId"
            limit 1
        ) as person on true
        left join linked.person_pair
            on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id and person."ownerId" = member.owner_id
        where member.source_id = any (p_sources)
    ), shown as materialized (
        -- Persons of one group are the same, paired or not.
        select face_key, count(distinct person_id) > max(agreeing) as is_unclear
        from (
            select face_key, person_id,
                case when person_key is null then 1 else count(*) over (partition by face_key, person_key) end as agreeing
            from (
                select distinct face_key, person_id, person_key from face where can_write and person_id is not null
            ) as one
        ) as known
        group by face_key
    )
    select coalesce(my_face.source_id, their_face.source_id), coalesce(my_face.asset_id, their_face.asset_id), 'asset_face'
    from (
        select pair.source_id, pair.asset_id, face.face_id, face.face_key
        from pair join face on face.asset_id = pair.asset_id
    ) as my_face
    full join (
        select pair.source_id, pair.asset_id, face.face_id, face.face_key
        from pair join face on face.asset_id = pair.source_id
    ) as their_face using (asset_id, face_key)
    left join public.asset_face mine on mine.id = my_face.face_id
    left join public.asset_face theirs on theirs.id = their_face.face_id
    left join public.face_search my_search on my_search."faceId" = mine.id
    left join public.face_search their_search on their_search."faceId" = theirs.id
    where mine.id is null or theirs.id is null
        or row(mine."imageWidth", mine."imageHeight", mine."boundingBoxX1", mine."boundingBoxY1", mine."boundingBoxX2", mine."boundingBoxY2", mine."sourceType", mine."deletedAt", mine."isVisible")::record *<> row(theirs."imageWidth", theirs."imageHeight", theirs."boundingBoxX1", theirs."boundingBoxY1", theirs."boundingBoxX2", theirs."boundingBoxY2", theirs."sourceType", theirs."deletedAt", theirs."isVisible")::record
        or case
            when my_face.asset_id in (select linked.twins(p_sources)) then my_search."faceId" is not null
            else row(my_search."embedding")::record *<> row(their_search."embedding")::record
        end
    union all
    select member.source_id, member.asset_id, 'asset_face'
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where member.source_id = any (p_sources) and (member.can_write or asset_face."sourceType" <> 'manual')
        and not exists (select from linked.face where face.face_id = asset_face.id)
    union all
    select face.source_id, face.asset_id, 'person'
    from face left join shown on shown.face_key = face.face_key
    where face.id is not null
        and (
            face.is_misplaced
            or (
                shown.face_key is not null and not face.is_hidden
                and case
                    when face.person_id is null then not face.left_open
                    else shown.is_unclear and face.can_write
                end
            )
        )
$linked$;
comment on function linked.face_disagreements(uuid[]) is
    'Members that lack a face of the group, have another, or show somebody else on it.';

create or replace function linked.company_disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    with tagged as materialized (
        select member.source_id, member.asset_id, member.can_write, tag.id as tag_id, tag.value
        from linked.member
        join public.tag_asset on tag_asset."assetId" = member.asset_id
        join public.tag on tag.id = tag_asset."tagId"
        where member.source_id = any (p_sources)
    ), listed as materialized (
        select member.source_id, member.asset_id, album_pair.album_key
        from linked.member
        join public.album_asset on album_asset."assetId" = member.asset_id
        join public.album on album.id = album_asset."albumId" and (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner') = member.owner_id
        join public.asset on asset.id = member.asset_id and asset.visibility <> 'locked'
        left join linked.album_pair on album_pair.album_id = album.id
        where member.source_id = any (p_sources) and member.can_write
            and album."deletedAt" is null and not linked.is_linked_album(album."albumName")
    ), stacked as materialized (
        select member.source_id, member.asset_id, member.owner_id, asset."stackId" as stack_id, stack_pair.stack_key,
            stack."primaryAssetId" = member.asset_id as is_primary
        from linked.member
        join public.asset on asset.id = member.asset_id
        join public.stack on stack.id = asset."stackId"
        left join linked.stack_pair on stack_pair.stack_id = stack.id
        where member.source_id = any (p_sources) and member.can_write
    )
    select distinct sibling.source_id, sibling.asset_id, 'tag_asset'
    from tagged theirs
    join linked.member sibling on sibling.source_id = theirs.source_id and sibling.asset_id <> theirs.asset_id
    where theirs.can_write
        and not exists (
            select from tagged mine where mine.asset_id = sibling.asset_id and mine.value = theirs.value
        )
    union all
    select distinct mine.source_id, mine.asset_id, 'tag_asset'
    from tagged mine
    join linked.brought on brought.asset_id = mine.asset_id and brought.holder_id = mine.tag_id
    where not exists (
            select from tagged theirs where theirs.asset_id = mine.source_id and theirs.value = mine.value
        )
    union all
    select brought.source_id, brought.asset_id, 'album_asset'
    from linked.brought_for_nobody(p_sources) as brought
    union all
    select distinct sibling.source_id, sibling.asset_id, 'album_asset'
    from listed
    join linked.member sibling on sibling.source_id = listed.source_id and sibling.asset_id <> listed.asset_id
    join public.asset mine on mine.id = sibling.asset_id and mine.visibility <> 'locked'
    where not exists (
            select from linked.album_pair my_pair
            join public.album_asset known on known."albumId" = my_pair.album_id
            where my_pair.album_key = listed.album_key and my_pair.owner_id = sibling.owner_id
                and known."assetId" = sibling.asset_id
        )
        and not exists (
            select from linked.album_refusal
            where album_refusal.album_key = listed.album_key and album_refusal.owner_id = sibling.owner_id
        )
        and not exists (
            select from linked.album_pair shared
            join public.album_user on album_user."albumId" = shared.album_id
            where shared.album_key = listed.album_key and album_user."userId" = sibling.owner_id
                and album_user.role <> 'owner'
        )
    union all
    select distinct sibling.source_id, sibling.asset_id, 'stack'
    from stacked
    join linked.member sibling on sibling.source_id = stacked.source_id and sibling.asset_id <> stacked.asset_id
    join public.asset mine on mine.id = sibling.asset_id
    left join linked.stack_pair my_pair on my_pair.stack_id = mine."stackId"
    left join public.stack my_stack on my_stack.id = mine."stackId"
    where (
            sibling.can_write
            -- Beside stacks of a viewer's that stand until the next write.
            or mine."stackId" is null and not exists (
                select from linked.passing_stack
                join public.stack passing on passing.id = passing_stack.stack_id
                where passing."ownerId" = sibling.owner_id
            )
        )
        and case
            when (my_pair.stack_key = stacked.stack_key) is not true then exists (
                select from public.asset mate
                join linked.member mate_member on mate_member.asset_id = mate.id
                join linked.member my_mate
                    on my_mate.source_id = mate_member.source_id and my_mate.owner_id = sibling.owner_id
                where mate."stackId" = stacked.stack_id and mate.id <> stacked.asset_id and mate_member.can_write
            )
            else stacked.is_primary and my_stack."primaryAssetId" <> sibling.asset_id
                -- A picture that the other account does not have can lead only this one.
                and exists (
                    select from linked.member leader
                    join linked.member their_member on their_member.source_id = leader.source_id
                    where leader.asset_id = my_stack."primaryAssetId" and their_member.owner_id = stacked.owner_id
                )
        end
$linked$;
comment on function linked.company_disagreements(uuid[]) is
    'Members that lack a tag, album or stack that a sibling of a writer has.';

-- The invariant of section 12.2, asked of some groups: no row, and all their members agree. Read only, no lock. What is a
-- viewer's own (tags, albums, stacks, persons, faces drawn by hand, the path of the sidecar) is no difference.
create or replace function linked.disagreements(p_sources uuid[])
returns table (source_id uuid, asset_id uuid, kind text)
language sql stable
as $linked$
    select * from linked.member_disagreements(p_sources)
    union all
    select * from linked.row_disagreements(p_sources)
    union all
    select * from linked.face_disagreements(p_sources)
    union all
    select * from linked.company_disagreements(p_sources)
$linked$;
comment on function linked.disagreements(uuid[]) is
    'What is to be made good in the groups of these sources: for each member and kind of row that differs one row.';

-- What Immich's jobs produced counts on viewers' clones too: the file from before is gone. Where the content is not the
-- source's, a date tells nothing.
create or replace function linked.last_written(p_sources uuid[], p_table text)
returns table (from_id uuid, to_id uuid)
language plpgsql stable
as $linked$
#variable_conflict use_column
begin
    return query
    with dated as (
        select member.source_id, member.asset_id,
            case p_table
                when 'asset_exif' then (
                    select max("updatedAt") from public.asset_exif where "assetId" = member.asset_id
                )
                when 'asset_file' then (
                    select max("updatedAt") from public.asset_file where "assetId" = member.asset_id
                )
                when 'smart_search' then (
                    select max(to_timestamp(0)) from public.smart_search where "assetId" = member.asset_id
                )
                when 'asset_video' then (
                    select max(to_timestamp(0)) from public.asset_video where "assetId" = member.asset_id
                )
                when 'asset_audio' then (
                    select max(to_timestamp(0)) from public.asset_audio where "assetId" = member.asset_id
                )
                when 'asset_keyframe' then (
                    select max(to_timestamp(0)) from public.asset_keyframe where "assetId" = member.asset_id
                )
                when 'asset_edit' then (
                    select max("updatedAt") from public.asset_edit where "assetId" = member.asset_id
                )
                when 'asset_ocr' then (
                    select max("updatedAt") from public.asset_ocr where "assetId" = member.asset_id
                )
                when 'ocr_search' then (
                    select max(to_timestamp(0)) from public.ocr_search where "assetId" = member.asset_id
                )
            end as written_at
        from linked.member
        join public.asset source on source.id = member.source_id
        join public.asset mine on mine.id = member.asset_id and mine.checksum = source.checksum
        where member.source_id = any (p_sources) and (
                member.can_write
                or p_table in ('asset_file', 'asset_job_status', 'smart_search', 'asset_video', 'asset_audio', 'asset_keyframe', 'asset_ocr', 'ocr_search')
            )
    ), origin as (
        select distinct on (source_id) source_id, asset_id
        from dated
        order by source_id, written_at desc nulls last, asset_id = source_id desc, asset_id
    )
    select origin.asset_id, member.asset_id
    from origin join linked.member using (source_id)
    where member.asset_id <> origin.asset_id;
end
$linked$;
comment on function linked.last_written(uuid[], text) is
    'Which member each sibling is to be made equal to in a table: the one that was written last.';

-- Dates are edited in the exif, and Immich's metadata extraction carries them to the asset.
create or replace function linked.take_dates(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id = any (p_to) for no key update nowait;
    update public.asset source
    set "localDateTime" = theirs."localDateTime", "fileCreatedAt" = theirs."fileCreatedAt"
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id and member.asset_id = member.source_id
    join public.asset theirs on theirs.id = pair.from_id
    join public.asset_exif my_exif on my_exif."assetId" = pair.to_id
    join public.asset_exif their_exif on their_exif."assetId" = pair.from_id
    where source.id = pair.to_id
        and my_exif."dateTimeOriginal" is distinct from their_exif."dateTimeOriginal"
        and (source."localDateTime", source."fileCreatedAt") is distinct from (theirs."localDateTime", theirs."fileCreatedAt");
end
$linked$;
comment on function linked.take_dates(uuid[], uuid[]) is
    'Gives sources the dates of the member whose exif they are about to take over.';

-- What an edit makes of the picture is told by the asset, too.
create or replace function linked.take_edits(p_from uuid[], p_to uuid[]) returns void
language plpgsql
as $linked$
begin
    perform from public."asset" where id = any (p_to) for no key update nowait;
    update public.asset source
    set "isEdited" = theirs."isEdited", width = theirs.width, height = theirs.height, thumbhash = theirs.thumbhash
    from unnest(p_from, p_to) as pair (from_id, to_id)
    join linked.member on member.asset_id = pair.to_id and member.asset_id = member.source_id
    join public.asset theirs on theirs.id = pair.from_id
    where source.id = pair.to_id
        and exists (
            select from public.asset_edit
            where "assetId" in (pair.from_id, pair.to_id)
            group by sequence, action, parameters
            having count(*) = 1
        );
end
$linked$;
comment on function linked.take_edits(uuid[], uuid[]) is
    'Gives sources the measures and the thumbhash of the member whose edits they are about to take over.';

create or replace function linked.equalize_job_status(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    with known as (
        select member.source_id,
            coalesce(
                max(status."facesRecognizedAt") filter (where member.asset_id = member.source_id),
                max(status."facesRecognizedAt") filter (where member.can_write)
            ) as "facesRecognizedAt",
            coalesce(
                max(status."metadataExtractedAt") filter (where member.asset_id = member.source_id),
                max(status."metadataExtractedAt") filter (where member.can_write)
            ) as "metadataExtractedAt",
            coalesce(
                max(status."duplicatesDetectedAt") filter (where member.asset_id = member.source_id),
                max(status."duplicatesDetectedAt") filter (where member.can_write)
            ) as "duplicatesDetectedAt",
            coalesce(
                max(status."ocrAt") filter (where member.asset_id = member.source_id),
                max(status."ocrAt") filter (where member.can_write)
            ) as "ocrAt"
        from linked.member
        join public.asset_job_status status on status."assetId" = member.asset_id
        where member.source_id = any (p_sources)
        group by member.source_id
    )
    insert into public.asset_job_status ("assetId", "facesRecognizedAt", "metadataExtractedAt", "duplicatesDetectedAt", "ocrAt")
    select member.asset_id, known."facesRecognizedAt", known."metadataExtractedAt", known."duplicatesDetectedAt", known."ocrAt"
    from known
    join linked.member on member.source_id = known.source_id
    left join public.asset_job_status present on present."assetId" = member.asset_id
    where present."assetId" is null
        or row(present."facesRecognizedAt", present."metadataExtractedAt", present."duplicatesDetectedAt", present."ocrAt")::record *<> row(known."facesRecognizedAt", known."metadataExtractedAt", known."duplicatesDetectedAt", known."ocrAt")::record
    on conflict ("assetId") do update
    set "facesRecognizedAt" = excluded."facesRecognizedAt", "metadataExtractedAt" = excluded."metadataExtractedAt", "duplicatesDetectedAt" = excluded."duplicatesDetectedAt", "ocrAt" = excluded."ocrAt";
end
$linked$;
comment on function linked.equalize_job_status(uuid[]) is
    'Gives all members the job status of the source, filled up from those of editors.';

-- A face whose counterparts were forgotten is known again by where it is; boxes that a machine found on two members may differ
-- a little. What a viewer drew is the viewer's own.
create or replace function linked.match_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    with stray as (
        select member.source_id, asset_face.*,
            array["boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2"] as box
        from linked.member
        join public.asset_face on asset_face."assetId" = member.asset_id
        where member.source_id = any (p_sources) and (member.can_write or asset_face."sourceType" <> 'manual')
            and not exists (select from linked.face where face.face_id = asset_face.id)
    )
    insert into linked.face (face_id, face_key, asset_id)
    select distinct on (stray.id) stray.id, known.face_key, stray."assetId"
    from stray
    join linked.member sibling on sibling.source_id = stray.source_id and sibling.asset_id <> stray."assetId"
    join linked.face known on known.asset_id = sibling.asset_id
    join public.asset_face other on other.id = known.face_id
    cross join lateral (
        select array[other."boundingBoxX1", other."boundingBoxY1", other."boundingBoxX2", other."boundingBoxY2"] as box
    ) as their
    where other."sourceType" = stray."sourceType"
        and (
            their.box = stray.box
            or (
                stray."sourceType" = 'machine-learning'
                and (other."imageWidth", other."imageHeight") = (stray."imageWidth", stray."imageHeight")
                and linked.overlap(stray.box, their.box) > 0.5
            )
        )
    order by stray.id, linked.overlap(stray.box, their.box) desc nulls last, known.face_key
    on conflict do nothing;
end
$linked$;
comment on function linked.match_faces(uuid[]) is
    'Pairs faces that are not remembered with the siblings'' remembered faces at the same place.';

create or replace function linked.recognize_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.match_faces(p_sources);
    insert into linked.face (face_id, face_key, asset_id)
    select asset_face.id, asset_face.id, asset_face."assetId"
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where member.asset_id = any (p_sources) and member.asset_id = member.source_id
    on conflict do nothing;
    perform linked.match_faces(p_sources);
end
$linked$;
comment on function linked.recognize_faces(uuid[]) is
    'Remembers faces that are not remembered as counterparts of those at the same place.';

-- A face that was there when sync last looked, and is gone from the source since, was removed; one that the source never had
-- was found or drawn on a clone meanwhile.
create or replace function linked.bring_new_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.face (face_id, face_key, asset_id)
    select asset_face.id, asset_face.id, asset_face."assetId"
    from linked.member
    join public.asset_face on asset_face."assetId" = member.asset_id
    where member.source_id = any (p_sources) and member.can_write
    on conflict do nothing;

    with fresh as materialized (
        select distinct on (mine.face_key) gen_random_uuid() as face_id, mine.face_key, mine.face_id as their_face_id,
            member.source_id
        from linked.member
        join linked.face mine on mine.asset_id = member.asset_id
        join public.asset_face on asset_face.id = mine.face_id
        where member.source_id = any (p_sources) and member.asset_id <> member.source_id and member.can_write
            and not exists (
                select from linked.face theirs
                where theirs.face_key = mine.face_key and theirs.asset_id = member.source_id
            )
        order by mine.face_key, mine.face_id
    ), made as (
        insert into public.asset_face (id, "assetId", "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType", "deletedAt", "isVisible")
        select fresh.face_id, fresh.source_id, theirs."imageWidth", theirs."imageHeight", theirs."boundingBoxX1", theirs."boundingBoxY1", theirs."boundingBoxX2", theirs."boundingBoxY2", theirs."sourceType", theirs."deletedAt", theirs."isVisible"
        from fresh join public.asset_face theirs on theirs.id = fresh.their_face_id
        returning id
    ), embedded as (
        insert into public.face_search ("faceId", "embedding")
        select fresh.face_id, theirs."embedding"
        from fresh join public.face_search theirs on theirs."faceId" = fresh.their_face_id
    )
    insert into linked.face (face_id, face_key, asset_id)
    select fresh.face_id, fresh.face_key, fresh.source_id
    from fresh join made on made.id = fresh.face_id;
end
$linked$;
comment on function linked.bring_new_faces(uuid[]) is
    'Gives sources the faces that were found or drawn on clones unseen.';

-- An embedding has no date: whoever has it gives it to the others.
create or replace function linked.fill_embeddings(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into public.face_search ("faceId", "embedding")
    select distinct on (mine.face_id) mine.face_id, theirs."embedding"
    from linked.member
    join linked.face mine on mine.asset_id = member.asset_id
    join public.asset_face on asset_face.id = mine.face_id
    join linked.face other on other.face_key = mine.face_key and other.face_id <> mine.face_id
    join public.face_search theirs on theirs."faceId" = other.face_id
    where member.source_id = any (p_sources)
        and not exists (select from public.face_search where face_search."faceId" = mine.face_id)
        and mine.asset_id not in (select linked.twins(p_sources))
    order by mine.face_id, other.face_id
    on conflict do nothing;
end
$linked$;
comment on function linked.fill_embeddings(uuid[]) is
    'Gives faces that lack their embedding the one that a counterpart has.';

create or replace function linked.equalize_faces(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.recognize_faces(p_sources);
    perform linked.bring_new_faces(p_sources);
    perform linked.fill_embeddings(p_sources);
    perform linked.propagate_faces(array_agg(source_id), array_agg(asset_id))
    from linked.member
    where source_id = any (p_sources) and asset_id <> source_id;
end
$linked$;
comment on function linked.equalize_faces(uuid[]) is
    'Gives all members the faces that the source has and those that were added to clones.';

create or replace function linked.follow_cluster_groups(p_users uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.queue (source_id, thorough)
    select member.source_id, true
    from linked.member where member.owner_id = any (p_users)
    on conflict (source_id) do update set thorough = true;
    if found then
        perform linked.begin_linking();
    end if;
end
$linked$;
comment on function linked.follow_cluster_groups(uuid[]) is
    'Has the embeddings of these users'' members looked at again, who have joined or left a cluster group.';

-- Of two assignments of a face the later one counts. What viewers and strangers put on others' faces leads no more than it
-- does live.
create or replace function linked.equalize_people(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.hand_to_viewers(array(
        select face.face_id
        from linked.member
        join linked.face on face.asset_id = member.asset_id
        where member.source_id = any (p_sources)
    ));
    perform linked.propagate_people(
        linked.leading_faces(
            array(
                select face.face_id
                from linked.member
                join linked.face on face.asset_id = member.asset_id
                join public.asset_face on asset_face.id = face.face_id
                where member.source_id = any (p_sources) and asset_face."personGroupId" is not null
            ),
            p_last => true
        ),
        array(select asset_id from linked.member where source_id = any (p_sources))
    );
end
$linked$;
comment on function linked.equalize_people(uuid[]) is
    'Assigns the faces of all members to the counterparts of whom any of them shows.';

-- Likewise albums of the same name in which the members of both accounts are.
create or replace function linked.recognize_albums(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    insert into linked.album_pair (album_id, album_key, owner_id)
    select distinct album.id, album.id, member.owner_id
    from linked.member
    join public.album_asset on album_asset."assetId" = member.asset_id
    join public.album on album.id = album_asset."albumId" and (select owner."userId" from public.album_user owner where owner."albumId" = album.id and owner.role = 'owner') = member.owner_id
    where member.source_id = any (p_sources) and member.asset_id = member.source_id
        and album."deletedAt" is null and not linked.is_linked_album(album."albumName")
        and not exists (
            select from public.album_asset sibling_row
            join linked.member sibling on sibling.asset_id = sibling_row."assetId"
            join linked.album_pair sibling_pair
                on sibling_pair.album_id = sibling_row."albumId" and sibling_pair.owner_id = sibling.owner_id
            join public.album sibling_album
                on sibling_album.id = sibling_pair.album_id and sibling_album."albumName" = album."albumName"
            where sibling.source_id = member.source_id
        )
    on conflict do nothing;

    insert into linked.album_pair (album_id, album_key, owner_id)
    select distinct on (their_pair.album_key, member.owner_id) mine.id, their_pair.album_key, member.owner_id
    from linked.member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    join public.album_asset my_row on my_row."assetId" = member.asset_id
    join public.album mine on mine.id = my_row."albumId" and (select owner."userId" from public.album_user owner where owner."albumId" = mine.id and owner.role = 'owner') = member.owner_id
    join public.album_asset their_row on their_row."assetId" = sibling.asset_id
    join linked.album_pair their_pair
        on their_pair.album_id = their_row."albumId" and their_pair.owner_id = sibling.owner_id
    join public.album theirs on theirs.id = their_pair.album_id
    where member.source_id = any (p_sources) and member.can_write
        and mine."albumName" = theirs."albumName"
        and not exists (select from linked.album_pair where album_pair.album_id = mine.id)
    order by their_pair.album_key, member.owner_id, mine."createdAt", mine.id
    on conflict do nothing;
end
$linked$;
comment on function linked.recognize_albums(uuid[]) is
    'Pairs albums that are not remembered with the other accounts'' albums of the same name and pictures.';

-- Tags, albums and stacks of all members, brought to all members. What is in a locked folder is in no album.
create or replace function linked.reunite(p_sources uuid[]) returns void
language plpgsql
as $linked$
declare
    v_clones uuid[];
    v_sources uuid[];
begin
    perform linked.recognize_albums(p_sources);
    select array_agg(clone.asset_id) filter (where clone.can_write), array_agg(clone.source_id) filter (where clone.can_write)
    into v_clones, v_sources
    from linked.member clone
    where clone.source_id = any (p_sources) and clone.asset_id <> clone.source_id;
    perform linked.add_tags(v_clones, v_sources);
    -- What is left of a stack would be dissolved while the others are put into it.
    perform linked.dissolve_stacks(
        array(
            select counterpart.stack_id
            from linked.member
            join public.asset on asset.id = member.asset_id
            join linked.stack_pair on stack_pair.stack_id = asset."stackId"
            join linked.stack_pair counterpart on counterpart.stack_key = stack_pair.stack_key
            where member.source_id = any (p_sources)
        ),
        p_keep_lone => true
    );
    perform linked.propagate_stacks(array_agg(mine.id), array_agg(source.id))
    from unnest(v_clones, v_sources) as pair (from_id, to_id)
    join public.asset mine on mine.id = pair.from_id and mine."stackId" is not null
    join public.asset source on source.id = pair.to_id and source."stackId" is null;
    perform linked.add_to_albums(array_agg(theirs.id), array_agg(mine.id))
    from linked.member member
    join linked.member sibling on sibling.source_id = member.source_id and sibling.asset_id <> member.asset_id
    join public.asset theirs on theirs.id = member.asset_id and theirs.visibility <> 'locked'
    join public.asset mine on mine.id = sibling.asset_id and mine.visibility <> 'locked'
    where member.source_id = any (p_sources) and member.can_write;

    select array_agg(clone.source_id), array_agg(clone.asset_id) into v_sources, v_clones
    from linked.member clone
    where clone.source_id = any (p_sources) and clone.asset_id <> clone.source_id;
    perform linked.propagate_tags(v_sources, v_clones);
    perform linked.leave_albums_of_nobody(p_sources);
    perform linked.propagate_stacks(v_sources, v_clones);
end
$linked$;
comment on function linked.reunite(uuid[]) is
    'Gives all members of these groups the tags, stacks and albums that any of them has.';

create or replace function linked.repair_groups(p_sources uuid[]) returns void
language plpgsql
as $linked$
begin
    perform linked.release_replaced(p_sources);
    perform linked.refresh_membership(p_sources, p_all_at_once => true);
    perform linked.take_dates(array_agg(from_id), array_agg(to_id)) from linked.last_written(p_sources, 'asset_exif');
    perform linked.take_edits(array_agg(from_id), array_agg(to_id)) from linked.last_written(p_sources, 'asset_edit');
    perform linked.propagate_asset(array_agg(source_id), array_agg(asset_id))
    from linked.member
    where source_id = any (p_sources) and asset_id <> source_id;
    perform linked.pair_live_photos(p_sources);
    -- Of what jobs produced the last is there for certain: each deletes what its own member had before.
    perform linked.propagate_asset_exif(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_exif');
    perform linked.propagate_asset_file(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_file');
    perform linked.propagate_smart_search(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'smart_search');
    perform linked.propagate_asset_video(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_video');
    perform linked.propagate_asset_audio(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_audio');
    perform linked.propagate_asset_keyframe(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_keyframe');
    perform linked.propagate_asset_edit(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_edit');
    perform linked.propagate_asset_ocr(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'asset_ocr');
    perform linked.propagate_ocr_search(array_agg(from_id), array_agg(to_id))
    from linked.last_written(p_sources, 'ocr_search');
    -- By dates that equalizing moves.
    perform linked.recognize_own_faces(array(select asset_id from linked.member where source_id = any (p_sources)));
    perform linked.equalize_faces(p_sources);
    perform linked.equalize_job_status(p_sources);
    perform linked.reunite(p_sources);
    perform linked.equalize_people(p_sources);
end
$linked$;
comment on function linked.repair_groups(uuid[]) is
    'Makes membership right, and all members equal, for these sources. Touches only what differs.';

-- One source that cannot be linked or repaired does not keep the others from it. Returns what was wrong with which.
create or replace function linked.attempt(p_sources uuid[], p_thorough boolean)
returns table (source_id uuid, failure text)
language plpgsql
as $linked$
declare
    v_sqlstate text;
    v_message text;
    v_context text;
    v_source uuid;
begin
    if coalesce(cardinality(p_sources), 0) = 0 then
        return;
    end if;
    if p_thorough then
        perform linked.repair_groups(p_sources);
    else
        perform linked.refresh_membership(p_sources, p_all_at_once => true);
    end if;
exception
-- Somebody holds a lock for a while: it is not waited for once more for each.
when lock_not_available or deadlock_detected or serialization_failure then
    raise;
when others then
    get stacked diagnostics
        v_sqlstate = returned_sqlstate, v_message = message_text, v_context = pg_exception_context;
    if cardinality(p_sources) = 1 then
        perform linked.record_incident(
            case when p_thorough then 'repair of ' else 'linking of ' end || p_sources[1]::text,
            v_sqlstate, v_message, v_context
        );
        return query select p_sources[1], v_message;
    else
        foreach v_source in array p_sources loop
            return query select * from linked.attempt(array[v_source], p_thorough);
        end loop;
    end if;
end
$linked$;
comment on function linked.attempt(uuid[], boolean) is
    'Links these sources, or repairs their groups; where one fails, the others alone, and an incident for that one.';

-- Finds out itself what there is to do, and afterwards whether it is done.
create or replace function linked.mend(p_sources uuid[])
returns table (source_id uuid, kind text, repaired bigint, unrepaired bigint, failure text)
language plpgsql
as $linked$
declare
    v_sources uuid[];
    v_kinds text[];
    v_members bigint[];
    v_repair uuid[];
    v_failed uuid[];
    v_failures text[];
begin
    select array_agg(found.source_id), array_agg(found.kind), array_agg(found.members)
    into v_sources, v_kinds, v_members
    from (
        select disagreement.source_id, disagreement.kind, count(*) as members
        from linked.disagreements(p_sources) as disagreement
        group by 1, 2
    ) as found;
    delete from linked.queue where queue.source_id = any (p_sources);
    if v_sources is null then
        return;
    end if;
    v_repair := array(
        select distinct found.source_id
        from unnest(v_sources, v_kinds) as found (source_id, kind)
        where found.kind <> 'member'
    );
    select array_agg(attempt.source_id), array_agg(attempt.failure) into v_failed, v_failures
    from (
        select * from linked.attempt(
            array(
                select found.source_id from unnest(v_sources) as found (source_id)
                except
                select unnest(v_repair)
            ),
            false
        )
        union all
        select * from linked.attempt(v_repair, true)
    ) as attempt;
    return query
    select found.source_id, found.kind, greatest(found.members - coalesce(still.members, 0), 0),
        coalesce(still.members, 0), failed.failure
    from unnest(v_sources, v_kinds, v_members) as found (source_id, kind, members)
    left join (
        select disagreement.source_id, disagreement.kind, count(*) as members
        from linked.disagreements(array(select distinct unnest(v_sources))) as disagreement
        group by 1, 2
    ) as still on still.source_id = found.source_id and still.kind = found.kind
    left join unnest(v_failed, v_failures) as failed (source_id, failure) on failed.source_id = found.source_id;
end
$linked$;
comment on function linked.mend(uuid[]) is
    'Repairs what differs in the groups of these sources, and says how many members of each that were and could not be.';

create or replace function linked.mend_alone(p_sources uuid[])
returns table (source_id uuid, kind text, repaired bigint, unrepaired bigint, failure text)
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    perform linked.plan_for(cardinality(p_sources));
    perform set_config('jit', 'off', true);
    return query select * from linked.mend(p_sources);
    perform linked.stop_writing();
end
$linked$;
comment on function linked.mend_alone(uuid[]) is 'linked.mend for reconcile, as the addon''s own writing.';

-- Albums have no date of their edits: one leads. What was renamed by who had been unlinked unseen is nobody else's affair.
create or replace function linked.equalize_albums() returns bigint
language plpgsql
as $linked$
declare
    v_albums uuid[];
    v_leading uuid[];
begin
    perform linked.part_albums(array(select album_id from linked.album_pair));
    with unlike as materialized (
        select mine.id as album_id, theirs.id as their_id, my_pair.album_key
        from linked.album_pair my_pair
        join public.album mine on mine.id = my_pair.album_id
        join linked.album_pair their_pair
            on their_pair.album_key = my_pair.album_key and their_pair.album_id <> my_pair.album_id
        join public.album theirs on theirs.id = their_pair.album_id
        left join linked.member their_cover on their_cover.asset_id = theirs."albumThumbnailAssetId"
        left join linked.member my_cover
            on my_cover.source_id = their_cover.source_id and my_cover.owner_id = my_pair.owner_id
        where my_pair.owner_id in (select user_id from linked.participant)
            and (
                (mine."albumName", mine.description, mine."order")
                    is distinct from (theirs."albumName", theirs.description, theirs."order")
                or (
                    mine."albumThumbnailAssetId" is distinct from my_cover.asset_id
                    and exists (
                        select from public.album_asset
                        where "albumId" = mine.id and "assetId" = my_cover.asset_id
                    )
                )
            )
    ), chief as materialized (
        select linked.leading_album(album_key) as album_id
        from (select distinct album_key from unlike) as differing
    )
    select array_agg(unlike.album_id), array_agg(distinct chief.album_id)
    into v_albums, v_leading
    from unlike join chief on chief.album_id = unlike.their_id;
    if v_leading is not null then
        perform linked.propagate_album_details(v_leading);
    end if;
    return coalesce(cardinality(v_albums), 0);
end
$linked$;
comment on function linked.equalize_albums() is
    'Gives counterpart albums the details of those that lead. Returns how many had others.';

-- What changed of a person since its details were noted was edited unseen. Two that were noted with different names have
-- had them since they were paired, where nothing is overwritten.
create or replace function linked.equalize_persons() returns bigint
language plpgsql
as $linked$
declare
    v_edited uuid[];
    v_changes bigint := 0;
begin
    v_edited := array(
        select distinct on (edited.person_key) edited.pair_id
        from linked.reached(array(
            select person_pair.pair_id
            from linked.person_pair join public.person on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
            where person_pair.details -> 'name' is distinct from coalesce(to_jsonb(person."name"), 'null')
                and person_pair.details is not null
        )) as reached
        join linked.person_pair edited on edited.pair_id = reached.origin_id
        join public.person theirs on theirs."personGroupId" = edited.person_id and theirs."ownerId" = edited.owner_id
        join linked.person_pair my_pair on my_pair.pair_id = reached.pair_id
        join public.person mine on mine."personGroupId" = my_pair.person_id and mine."ownerId" = my_pair.owner_id
        where mine."name" is distinct from theirs."name"
            and not reached.kept_alike
        order by edited.person_key, theirs."updatedAt" desc, edited.pair_id
    );
    v_changes := v_changes + cardinality(v_edited);
    perform linked.propagate_person_name(v_edited);
    v_edited := array(
        select distinct on (edited.person_key) edited.pair_id
        from linked.reached(array(
            select person_pair.pair_id
            from linked.person_pair join public.person on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
            where person_pair.details -> 'birthDate' is distinct from coalesce(to_jsonb(person."birthDate"), 'null')
                and person_pair.details is not null
        )) as reached
        join linked.person_pair edited on edited.pair_id = reached.origin_id
        join public.person theirs on theirs."personGroupId" = edited.person_id and theirs."ownerId" = edited.owner_id
        join linked.person_pair my_pair on my_pair.pair_id = reached.pair_id
        join public.person mine on mine."personGroupId" = my_pair.person_id and mine."ownerId" = my_pair.owner_id
        where mine."birthDate" is distinct from theirs."birthDate"
            and not reached.kept_alike
        order by edited.person_key, theirs."updatedAt" desc, edited.pair_id
    );
    v_changes := v_changes + cardinality(v_edited);
    perform linked.propagate_person_birthdate(v_edited);
    v_edited := array(
        select distinct on (edited.person_key) edited.pair_id
        from linked.reached(array(
            select person_pair.pair_id
            from linked.person_pair join public.person on person."personGroupId" = person_pair.person_id and person."ownerId" = person_pair.owner_id
            where person_pair.details -> 'color' is distinct from coalesce(to_jsonb(person."color"), 'null')
                and person_pair.details is not null
        )) as reached
        join linked.person_pair edited on edited.pair_id = reached.origin_id
        join public.person theirs on theirs."personGroupId" = edited.person_id and theirs."ownerId" = edited.owner_id
        join linked.person_pair my_pair on my_pair.pair_id = reached.pair_id
        join public.person mine on mine."personGroupId" = my_pair.person_id and mine."ownerId" = my_pair.owner_id
        where mine."color" is distinct from theirs."color"
        order by edited.person_key, theirs."updatedAt" desc, edited.pair_id
    );
    v_changes := v_changes + cardinality(v_edited);
    perform linked.propagate_person_color(v_edited);
    perform linked.note_details(array(select pair_id from linked.person_pair));
    return v_changes;
end
$linked$;
comment on function linked.equalize_persons() is
    'Gives names, birth dates and colours that were edited unseen to the counterparts. Returns how many were.';

create or replace function linked.note_details(p_pairs uuid[]) returns void
language plpgsql
as $linked$
begin
    update linked.person_pair
    set details = noted.details
    from (
        select counterpart.pair_id, jsonb_build_object('name', person."name", 'birthDate', person."birthDate", 'color', person."color") as details
        from linked.person_pair counterpart
        join public.person on person."personGroupId" = counterpart.person_id and person."ownerId" = counterpart.owner_id
        where counterpart.person_key in (
            select asked.person_key from linked.person_pair asked where asked.pair_id = any (p_pairs)
        )
    ) as noted
    where person_pair.pair_id = noted.pair_id and person_pair.details is distinct from noted.details;
end
$linked$;
comment on function linked.note_details(uuid[]) is
    'Notes what these persons and their counterparts are called, so that an edit that sync misses can be told later.';

-- What all groups share, before any of them is looked at.
create or replace function linked.catch_up() returns table (kind text, changes bigint)
language plpgsql
set search_path = pg_catalog, public, vectors, pg_temp
as $linked$
begin
    perform linked.start_writing();
    return query select review.kind, review.changes from linked.review() as review where review.changes > 0;
    perform linked.stop_writing();
end
$linked$;
comment on function linked.catch_up() is 'linked.review for reconcile, as the addon''s own writing.';
