-- Writes that a user does not want to hear from another.
--
-- Called by: the bridge (store/people). Status: 0 blocked just now, 1 it was so already, 2 the user has
-- blocked p_most users.
-- Locks: an advisory lock on the user, so that its blocks can be counted; then both users' rows, in order of id.
create or replace function martlet.block_user(
    p_user text,
    p_blocked text,
    p_most integer
) returns smallint
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('blocks/' || p_user, 0));

    if exists (select from blocks b where b.user_id = p_user and b.blocked_id = p_blocked) then
        return 1;
    end if;

    if (select count(*) from blocks b where b.user_id = p_user) >= p_most then
        return 2;
    end if;

    insert into blocks (user_id, blocked_id) values (p_user, p_blocked);
    perform touch_relations(array[p_user, p_blocked]);
    return 0;
end;
$$;
