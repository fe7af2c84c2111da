-- How often a member changed its muting, for the version of how a conversation stands for it.
--
-- What else is in that version only ever grows. A muting that is taken back is as it was, and a client that
-- saw the one and missed the other would be told that nothing changed.

alter table martlet.members add column mutings integer not null default 0;

comment on column martlet.members.mutings is 'Raised when muted_until is set';
