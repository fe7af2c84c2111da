-- Gives a message another content.
--
-- Called by: the bridge (store/change). The same content again changes nothing, so that a repetition is
-- free. p_window_s: for how long after its sending, in seconds; 0 is for ever. Status: see store/change.h.
create or replace function martlet.edit_message(
    p_conversation uuid,
    p_user text,
    p_seq bigint,
    p_content_type text,
    p_body bytea,
    p_mentions text[],
    p_window_s integer
) returns table (status smallint, event martlet.events)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_at record;
    v_message events;
    v_now events;
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

    if v_message.sender <> p_user then
        return query select 4::smallint, null::events;
        return;
    end if;

    if v_message.redacted_seq > 0 then
        return query select 6::smallint, null::events;
        return;
    end if;

    v_now := v_message;
    if v_message.edited_seq > 0 then
        select * into v_now
        from events e
        where e.conversation_id = p_conversation and e.seq = v_message.edited_seq;
    end if;
    if (v_now.content_type, v_now.body, v_now.mentions) = (p_content_type, p_body, p_mentions) then
        return query select 1::smallint, null::events;
        return;
    end if;

    if v_at.announcement and not role_may(v_at.role, 'announce') then
        return query select 4::smallint, null::events;
        return;
    end if;

    if p_window_s > 0 and v_message.created_at < now() - p_window_s * interval '1 second' then
        return query select 7::smallint, null::events;
        return;
    end if;

    if v_at.kind = 1 and is_blocked_here(p_conversation, p_user) then
        return query select 12::smallint, null::events;
        return;
    end if;

    v_event.conversation_id := p_conversation;
    v_event.kind := 3;
    v_event.sender := p_user;
    v_event.target_seq := p_seq;
    v_event.content_type := p_content_type;
    v_event.body := p_body;
    v_event.mentions := p_mentions;
    v_event := append_event(v_event);

    update events e
    set edited_seq = v_event.seq
    where e.conversation_id = p_conversation and e.seq = p_seq;

    return query select 0::smallint, v_event;
end;
$$;
