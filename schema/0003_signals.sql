-- What blocks need to be found from both sides.
--
-- martlet.blocks has one row a block; a user has at most as many as the setting limits.blocked_users allows,
-- and may be in as many as there are others.

create index blocks_blocked_idx on martlet.blocks (blocked_id, user_id);

comment on index martlet.blocks_blocked_idx is 'Who blocked a user: signals go across a block in no direction';

comment on column martlet.users.membership_version is
    'Raised by every change of the user''s memberships and of blocks it is in, on either side: who lost the '
    'news of one finds it by this';
comment on column martlet.users.last_seen_at is
    'When a session of the user last began or the last one ended; null until then';
