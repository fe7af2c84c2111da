-- Ends a membership of a group: another's, or one's own.
--
-- Called by: the bridge (store/change). Who has left already changes nothing. Status: see store/change.h.
create or replace function martlet.remove_member(
    p_conversation uuid,
    p_user text,
    p_target text
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
        -- Who left, and did not hear so, leaves again.
        return query
        select
            (case
                when p_target = p_user and exists (
                    select from members m
                    where m.conversation_id = p_conversation and m.user_id = p_user
                ) then 1
                else 2
            end)::smallint,
            null::events;
        return;
    end if;

    if v_at.kind = 1 then
        return query select 5::smallint, null::events;
        return;
    end if;

    select * into v_target
    from members m
    where m.conversation_id = p_conversation and m.user_id = p_target;

    if p_target <> p_user then
        if not role_may(v_at.role, 'remove member', coalesce(v_target.role, 1::smallint)) then
            return query select 4::smallint, null::events;
            return;
        end if;
        if v_target.user_id is null then
            return query select 8::smallint, null::events;
            return;
        end if;
        if v_target.left_seq is not null then
            return query select 1::smallint, null::events;
            return;
        end if;
    end if;

    if v_target.role = 3 and v_at.member_count > 1 and not exists (
        select from members m
        where m.conversation_id = p_conversation and m.user_id <> p_target and m.role = 3
            and m.left_seq is null
    ) then
        return query select 9::smallint, null::events;
        return;
    end if;

    v_event.conversation_id := p_conversation;
    v_event.kind := 8;
    v_event.sender := p_user;
    v_event.users := array[p_target];
    v_event := append_event(v_event);

    update members m
    set left_seq = v_event.seq, role = 1
    where m.conversation_id = p_conversation and m.user_id = p_target;

    update conversations c set member_count = c.member_count - 1 where c.id = p_conversation;

    perform raise_membership_versions(v_event.users);
    return query select 0::smallint, v_event;
end;
$$;
