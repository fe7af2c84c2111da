-- Mutes a conversation for one of its members until a time, or ends that with null. Returns whether the user is
-- a member.
create or replace function martlet.set_mute(p_conversation uuid, p_user text, p_until_ms bigint)
returns boolean
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
begin
    update members m
    set muted_until = case
        when p_until_ms > 0 then 'epoch'::timestamptz + p_until_ms * interval '1 millisecond'
    end,
    mutings = m.mutings + 1
    where m.conversation_id = p_conversation and m.user_id = p_user and m.left_seq is null;
    return found;
end;
$$;
