-- Locks a conversation's row and reads how it and a user's membership stand, for a function that will change
-- it. Returns no row if the user is no member of it.
create or replace function martlet.lock_for_change(p_conversation uuid, p_user text)
returns table (kind smallint, announcement boolean, member_count integer, role smallint, first_seq bigint)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
begin
    -- A statement of its own: the next one sees what the one we waited for has written.
    perform from conversations c where c.id = p_conversation for no key update;

    return query
    select c.kind, c.announcement, c.member_count, m.role, m.first_seq
    from conversations c
    join members m on m.conversation_id = c.id and m.user_id = p_user and m.left_seq is null
    where c.id = p_conversation;
end;
$$;
