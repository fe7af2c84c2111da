-- Puts a user's reaction to a message, or takes it back.
--
-- Called by: the bridge (store/change). Status: see store/change.h.
create or replace function martlet.change_reaction(
    p_conversation uuid,
    p_user text,
    p_seq bigint,
    p_symbol text,
    p_is_added boolean,
    p_most_symbols integer
) returns table (status smallint, event martlet.events)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_at record;
    v_message events;
    v_event events;
    v_is_there boolean;
begin
    select * into v_at from lock_for_change(p_conversation, p_user);
    if v_at is null then
        return query select 2::smallint, null::events;
        return;
    end if;

    select * into v_message
    from events e
    where e.conversation_id = p_conversation and e.seq = p_seq and e.kind = 1
        and e.seq >= v_at.first_seq;
    if v_message.seq is null then
        return query select 3::smallint, null::events;
        return;
    end if;

    v_is_there := exists (
        select from reactions r
        where r.conversation_id = p_conversation and r.target_seq = p_seq and r.user_id = p_user
            and r.symbol = p_symbol
    );
    if v_is_there = p_is_added then
        return query select 1::smallint, null::events;
        return;
    end if;

    if v_message.redacted_seq > 0 then
        return query select 6::smallint, null::events;
        return;
    end if;

    if v_at.kind = 1 and is_blocked_here(p_conversation, p_user) then
        return query select 12::smallint, null::events;
        return;
    end if;

    if p_is_added then
        if (
            select count(distinct r.symbol)
            from reactions r
            where r.conversation_id = p_conversation and r.target_seq = p_seq and r.symbol <> p_symbol
        ) >= p_most_symbols then
            return query select 11::smallint, null::events;
            return;
        end if;

        insert into reactions (conversation_id, target_seq, user_id, symbol)
        values (p_conversation, p_seq, p_user, p_symbol);
    else
        delete from reactions r
        where r.conversation_id = p_conversation and r.target_seq = p_seq and r.user_id = p_user
            and r.symbol = p_symbol;
    end if;

    v_event.conversation_id := p_conversation;
    v_event.kind := case when p_is_added then 5 else 6 end;
    v_event.sender := p_user;
    v_event.target_seq := p_seq;
    v_event.symbol := p_symbol;
    v_event := append_event(v_event);

    update events e
    set reactions_seq = v_event.seq
    where e.conversation_id = p_conversation and e.seq = p_seq;

    return query select 0::smallint, v_event;
end;
$$;
