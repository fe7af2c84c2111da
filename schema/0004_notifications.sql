-- What notifications need beyond being kept: an order, an end, and what an application publishes in its own
-- transactions.
--
-- Each change of a user's notifications (one is stored; some are acknowledged) has the next number of that user,
-- users.notification_version. So whoever was told up to a number learns what is missing: pending notifications
-- with a greater `number`, and those gone with a greater `gone_number`. That is also why a row outlives its
-- notification for a while: it remembers that it is gone, and that its id was used.

alter table martlet.users
    add column notification_version bigint not null default 0,
    add column waiting_told boolean not null default false;

comment on column martlet.users.notification_version is
    'The number of the newest change of the user''s notifications: who lost the news of one finds it by this';
comment on column martlet.users.waiting_told is
    'Push gateways were told that something waits; false again once the user was here';

alter table martlet.notifications
    drop constraint notifications_pkey,
    add column number bigint not null,
    add column gone_number bigint not null default 0,
    add column gone_at timestamptz,
    alter column expires_at set not null,
    add constraint notifications_pkey primary key (user_id, service, id);

drop index martlet.notifications_expires_at_idx;

create unique index notifications_number_idx on martlet.notifications (user_id, number)
    where gone_at is null;
create index notifications_gone_number_idx on martlet.notifications (user_id, gone_number)
    where gone_at is not null;
create index notifications_expires_at_idx on martlet.notifications (expires_at)
    where gone_at is null;
create index notifications_gone_at_idx on martlet.notifications (gone_at)
    where gone_at is not null;

comment on table martlet.notifications is
    'What services told a user: pending until acknowledged, replaced, dropped or expired, and remembered a while';
comment on column martlet.notifications.number is
    'The change that stored it: what clients know it by, and their order';
comment on column martlet.notifications.gone_number is
    'The change with which it was pending no more; 0 while it is, and if it expired, which clients see for themselves';
comment on column martlet.notifications.gone_at is 'When that was; its payload is empty since';
comment on column martlet.notifications.collapse_key is
    'A later one of the same service and key replaces it; null if none does';

create table martlet.outbox (
    id bigint generated always as identity,
    conversation_id uuid,
    user_id text collate "C" not null,
    seq bigint not null default 0,
    client_message_id uuid,
    service text,
    notification_id text,
    kind text,
    content_type text not null,
    body bytea not null,
    expires_after_ms bigint,
    collapse_key text,
    taken_by text not null default '',
    taken_until timestamptz not null default '-infinity',
    constraint outbox_pkey primary key (id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

comment on table martlet.outbox is
    'What applications published in transactions of their own (martlet.publish, martlet.notify), until a node has '
    'told it to all. At commit the trigger writes what the row says into the log or the notifications.';
comment on column martlet.outbox.conversation_id is 'Of an event; null for a notification';
comment on column martlet.outbox.user_id is 'The event''s sender, or whom the notification is for';
comment on column martlet.outbox.seq is 'Of an event: its number, once the transaction commits';
comment on column martlet.outbox.taken_until is
    'A node has taken it and will delete it; if it did not by then, another takes it';
