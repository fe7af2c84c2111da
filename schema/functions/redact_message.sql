-- Takes the content of a message away: its own, and that of all its edits, with its reactions.
--
-- Called by: the bridge (store/change). Status: see store/change.h.
create or replace function martlet.redact_message(
    p_conversation uuid,
    p_user text,
    p_seq bigint
) returns table (status smallint, event martlet.events)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_at record;
    v_message events;
    v_event events;
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

    if v_message.sender <> p_user and (v_at.kind = 1 or not role_may(v_at.role, 'redact others')) then
        return query select 4::smallint, null::events;
        return;
    end if;

    if v_message.redacted_seq > 0 then
        return query select 1::smallint, null::events;
        return;
    end if;

    v_event.conversation_id := p_conversation;
    v_event.kind := 4;
    v_event.sender := p_user;
    v_event.target_seq := p_seq;
    v_event := append_event(v_event);

    update events e
    set content_type = '', body = '', mentions = '{}',
        redacted_seq = case when e.seq = p_seq then v_event.seq else 0 end
    where e.conversation_id = p_conversation
        and (e.seq = p_seq or (e.target_seq = p_seq and e.kind = 3));

    delete from reactions r where r.conversation_id = p_conversation and r.target_seq = p_seq;

    return query select 0::smallint, v_event;
end;
$$;
