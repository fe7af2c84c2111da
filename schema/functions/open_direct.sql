-- Finds the direct conversation of two users, or begins it with the proposed id.
--
-- Called by: the bridge (store/query). However many callers, on either side, at once: one conversation.
-- The pair's row decides; a second caller waits for the first one's commit in `on conflict`. If one of the two
-- blocked the other there is no conversation_id, whether the conversation began before or not.
create or replace function martlet.open_direct(
    p_user text,
    p_peer text,
    p_proposed uuid
) returns table (conversation_id uuid, is_created boolean, created_at timestamptz, users text[])
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_low text collate "C" := least(p_user collate "C", p_peer collate "C");
    v_high text collate "C" := greatest(p_user collate "C", p_peer collate "C");
    v_found uuid;
begin
    if exists (
        select
        from blocks b
        where (b.user_id = p_user and b.blocked_id = p_peer)
            or (b.user_id = p_peer and b.blocked_id = p_user)
    ) then
        return query select null::uuid, false, null::timestamptz, null::text[];
        return;
    end if;

    select d.conversation_id into v_found
    from direct_pairs d
    where d.low_user = v_low and d.high_user = v_high;

    if v_found is null then
        -- The conversation's row comes later in this transaction: the reference is checked at its end.
        insert into direct_pairs (low_user, high_user, conversation_id)
        values (v_low, v_high, p_proposed)
        on conflict (low_user, high_user) do nothing;

        if found then
            return query
            select
                p_proposed,
                true,
                begin_conversation(
                    p_proposed, 1::smallint, p_user, '', array[v_low, v_high], false, false
                ),
                array[v_low, v_high]::text[];
            return;
        end if;

        select d.conversation_id into v_found
        from direct_pairs d
        where d.low_user = v_low and d.high_user = v_high;
    end if;

    return query select v_found, false, null::timestamptz, null::text[];
end;
$$;
