-- Notes for each of these users that what it may see has changed, so that who loses the news finds out.
--
-- Called by: block_user and unblock_user. A user without a row has no conversation, and so nothing to
-- see: none is made, since anybody may name anybody here.
-- Locks: the users' rows, in order of id.
create or replace function martlet.touch_relations(
    p_users text[]
) returns void
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
begin
    perform 1
    from users u
    where u.id = any (p_users)
    order by u.id
    for no key update;

    update users u
    set membership_version = u.membership_version + 1
    where u.id = any (p_users);
end;
$$;
