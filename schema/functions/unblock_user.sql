-- Ends a block.
--
-- Called by: the bridge (store/people). Returns whether there was one.
-- Locks: the block's row; then both users' rows, in order of id.
create or replace function martlet.unblock_user(
    p_user text,
    p_blocked text
) returns boolean
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
begin
    delete from blocks b where b.user_id = p_user and b.blocked_id = p_blocked;

    if not found then
        return false;
    end if;

    perform touch_relations(array[p_user, p_blocked]);
    return true;
end;
$$;
