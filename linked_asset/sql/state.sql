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
