-- What can change in a conversation: its messages, its members, its settings; and how far members have it.
--
-- The log stays as it was written: an edit is an event that points to its message, and the message points to
-- its newest edit. Only a redaction touches what is there: it empties the message and its edits.

alter table martlet.conversations
    drop column settings,
    add column announcement boolean not null default false,
    add column full_history boolean not null default false;

comment on column martlet.conversations.announcement is 'Only admins and owners send messages';
comment on column martlet.conversations.full_history is
    'Who is added sees the log from its beginning, not from its adding on';

alter table martlet.events
    drop column edited_at,
    drop column redacted_at,
    add column mentions text[] not null default '{}',
    add column symbol text not null default '',
    add column role smallint not null default 0,
    add column announcement boolean not null default false,
    add column full_history boolean not null default false,
    add column edited_seq bigint not null default 0,
    add column redacted_seq bigint not null default 0,
    add column reactions_seq bigint not null default 0;

comment on column martlet.events.kind is
    '1 message, 2 created, 3 edited, 4 redacted, 5 reaction added, 6 reaction removed, 7 members added, '
    '8 member removed, 9 role changed, 10 group updated';
comment on column martlet.events.edited_seq is 'Of a message: its newest edit; 0 if none';
comment on column martlet.events.redacted_seq is 'Of a message: the event that emptied it; 0 if none';
comment on column martlet.events.reactions_seq is
    'Of a message: the newest event that the rows of reactions include; 0 if none';

create index events_target_idx on martlet.events (conversation_id, target_seq, seq)
    where target_seq > 0;

create table martlet.receipt_versions (
    conversation_id uuid not null,
    version bigint not null default 1,
    constraint receipt_versions_pkey primary key (conversation_id)
) with (fillfactor = 50);

comment on table martlet.receipt_versions is
    'Raised when receipts that others are told of change. Apart from conversations, so that who reads '
    'does not wait for who writes.';
