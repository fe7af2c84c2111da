-- Conversations, their members and their logs; users, notifications, blocks and checkpoints.
--
-- Written by: schema/functions/*.sql, called by the bridge. Locks: a conversation's row, in order of id,
-- then users' rows, in order of id; nothing else is locked by hand.
-- User ids are opaque texts (1 to 64 of A-Z a-z 0-9 . _ ~ @ -), checked by the bridge.

create table martlet.conversations (
    id uuid not null,
    kind smallint not null,
    last_seq bigint not null default 0,
    member_count integer not null default 0,
    title text not null default '',
    created_by text collate "C" not null,
    settings jsonb not null default '{}',
    created_at timestamptz not null default now(),
    last_event_at timestamptz not null default now(),
    constraint conversations_pkey primary key (id),
    constraint conversations_kind_check check (kind in (1, 2)),
    constraint conversations_last_seq_check check (last_seq >= 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

comment on table martlet.conversations is
    'One row a conversation. Half empty pages keep the update of last_seq, one a message, in place.';
comment on column martlet.conversations.kind is '1 direct, 2 group';
comment on column martlet.conversations.last_seq is 'The number of the newest event; the next is one more';

create table martlet.direct_pairs (
    low_user text collate "C" not null,
    high_user text collate "C" not null,
    conversation_id uuid not null,
    constraint direct_pairs_pkey primary key (low_user, high_user),
    constraint direct_pairs_order_check check (low_user < high_user),
    constraint direct_pairs_conversation_fkey
        foreign key (conversation_id) references martlet.conversations (id)
        deferrable initially deferred
);

comment on table martlet.direct_pairs is 'The one direct conversation of two users. Order is by bytes.';

create table martlet.members (
    conversation_id uuid not null,
    user_id text collate "C" not null,
    role smallint not null,
    first_seq bigint not null,
    left_seq bigint,
    delivered_seq bigint not null default 0,
    read_seq bigint not null default 0,
    muted_until timestamptz,
    constraint members_pkey primary key (conversation_id, user_id),
    constraint members_role_check check (role in (1, 2, 3))
) with (fillfactor = 80);

create index members_user_idx on martlet.members (user_id, conversation_id) where left_seq is null;

comment on table martlet.members is 'Who is or was in a conversation, and how far they have it.';
comment on column martlet.members.role is '1 member, 2 admin, 3 owner';
comment on column martlet.members.first_seq is 'The first event that the member may see';
comment on column martlet.members.left_seq is 'The last event it may see; null while it is a member';

create table martlet.events (
    conversation_id uuid not null,
    seq bigint not null,
    created_at timestamptz not null default now(),
    kind smallint not null,
    sender text collate "C" not null,
    client_message_id uuid,
    reply_to_seq bigint not null default 0,
    target_seq bigint not null default 0,
    content_type text not null default '',
    body bytea not null default '',
    title text not null default '',
    users text[] not null default '{}',
    users_count integer not null default 0,
    edited_at timestamptz,
    redacted_at timestamptz,
    constraint events_pkey primary key (conversation_id, seq)
);

create unique index events_client_message_idx
    on martlet.events (conversation_id, sender, client_message_id)
    where client_message_id is not null;

comment on table martlet.events is 'The log: what was said and done, numbered from 1 without a gap.';
comment on column martlet.events.kind is '1 message, 2 created';
comment on column martlet.events.client_message_id is 'The identity that makes a repeated send free';
comment on column martlet.events.target_seq is 'The event that this one is about; 0 if none';
comment on column martlet.events.users is 'Those whom a membership event names; at most 100';
comment on column martlet.events.users_count is 'How many it concerns';

create table martlet.reactions (
    conversation_id uuid not null,
    target_seq bigint not null,
    user_id text collate "C" not null,
    symbol text not null,
    created_at timestamptz not null default now(),
    constraint reactions_pkey primary key (conversation_id, target_seq, user_id, symbol)
);

comment on table martlet.reactions is 'Who reacted how to which message, as it stands now.';

create table martlet.users (
    id text collate "C" not null,
    membership_version bigint not null default 0,
    last_seen_at timestamptz,
    constraint users_pkey primary key (id)
) with (fillfactor = 70);

comment on table martlet.users is 'What Martlet itself knows of a user; no passwords, no profiles.';
comment on column martlet.users.membership_version is
    'Raised by every change of the user''s memberships: who lost the news of one finds it by this';

create table martlet.notifications (
    user_id text collate "C" not null,
    id text not null,
    service text not null,
    kind text not null default '',
    content_type text not null default '',
    payload bytea not null,
    collapse_key text,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    constraint notifications_pkey primary key (user_id, id)
);

create index notifications_expires_at_idx on martlet.notifications (expires_at)
    where expires_at is not null;

comment on table martlet.notifications is 'What services told a user, until acknowledged or expired.';

create table martlet.blocks (
    user_id text collate "C" not null,
    blocked_id text collate "C" not null,
    created_at timestamptz not null default now(),
    constraint blocks_pkey primary key (user_id, blocked_id),
    constraint blocks_self_check check (user_id <> blocked_id)
);

comment on table martlet.blocks is 'Whom a user does not want to hear from.';

create table martlet.checkpoints (
    node text not null,
    confirmed_at timestamptz not null,
    constraint checkpoints_pkey primary key (node)
);

comment on table martlet.checkpoints is
    'Up to when each node''s publishes were confirmed; what it committed later is published again.';
