-- Changes a group's title or settings; what is null stays.
--
-- Called by: the bridge (store/change). Status: see store/change.h.
create or replace function martlet.update_group(
    p_conversation uuid,
    p_user text,
    p_title text,
    p_announcement boolean,
    p_full_history boolean
) returns table (status smallint, event martlet.events)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_at record;
    v_event events;
begin
    select * into v_at from lock_for_change(p_conversation, p_user);
    if v_at is null then
        return query select 2::smallint, null::events;
        return;
    end if;

    if v_at.kind = 1 then
        return query select 5::smallint, null::events;
        return;
    end if;

    if not role_may(v_at.role, 'update group') then
        return query select 4::smallint, null::events;
        return;
    end if;

    update conversations c
    set title = coalesce(p_title, c.title),
        announcement = coalesce(p_announcement, c.announcement),
        full_history = coalesce(p_full_history, c.full_history)
    where c.id = p_conversation
        and (c.title, c.announcement, c.full_history) <> (
            coalesce(p_title, c.title),
            coalesce(p_announcement, c.announcement),
            coalesce(p_full_history, c.full_history)
        )
    returning c.title, c.announcement, c.full_history
    into v_event.title, v_event.announcement, v_event.full_history;
    if not found then
        return query select 1::smallint, null::events;
        return;
    end if;

    v_event.conversation_id := p_conversation;
    v_event.kind := 10;
    v_event.sender := p_user;
    v_event := append_event(v_event);

    return query select 0::smallint, v_event;
end;
$$;
