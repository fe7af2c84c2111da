-- Gives a member of a group another role.
--
-- Called by: the bridge (store/change). Status: see store/change.h.
create or replace function martlet.set_role(
    p_conversation uuid,
    p_user text,
    p_target text,
    p_role integer
) returns table (status smallint, event martlet.events)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_at record;
    v_target members;
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

    if not role_may(v_at.role, 'set role') then
        return query select 4::smallint, null::events;
        return;
    end if;

    select * into v_target
    from members m
    where m.conversation_id = p_conversation and m.user_id = p_target and m.left_seq is null;
    if v_target.user_id is null then
        return query select 8::smallint, null::events;
        return;
    end if;

    if v_target.role = p_role then
        return query select 1::smallint, null::events;
        return;
    end if;

    if v_target.role = 3 and not exists (
        select from members m
        where m.conversation_id = p_conversation and m.user_id <> p_target and m.role = 3
            and m.left_seq is null
    ) then
        return query select 9::smallint, null::events;
        return;
    end if;

    update members m
    set role = p_role
    where m.conversation_id = p_conversation and m.user_id = p_target;

    v_event.conversation_id := p_conversation;
    v_event.kind := 9;
    v_event.sender := p_user;
    v_event.users := array[p_target];
    v_event.role := p_role;
    v_event := append_event(v_event);

    return query select 0::smallint, v_event;
end;
$$;
