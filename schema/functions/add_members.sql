-- Adds users to a group; who is a member already is left out.
--
-- Called by: the bridge (store/change). The event names those who were added, in order of id. Nothing of what
-- came before their adding counts as unread. Status: see store/change.h. Plans: see append.
create or replace function martlet.add_members(
    p_conversation uuid,
    p_user text,
    p_users text[],
    p_most_members integer
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

    if not role_may(v_at.role, 'add members') then
        return query select 4::smallint, null::events;
        return;
    end if;

    select array_agg(distinct u.id collate "C" order by u.id collate "C") into v_event.users
    from unnest(p_users) as u (id)
    left join lateral (
        select m.user_id
        from members m
        where m.conversation_id = p_conversation and m.user_id = u.id and m.left_seq is null
        offset 0
    ) m on true
    where m.user_id is null;
    if v_event.users is null then
        return query select 1::smallint, null::events;
        return;
    end if;

    if is_blocked_by_any(p_user, v_event.users) then
        return query select 12::smallint, null::events;
        return;
    end if;

    if v_at.member_count + cardinality(v_event.users) > p_most_members then
        return query select 10::smallint, null::events;
        return;
    end if;

    v_event.conversation_id := p_conversation;
    v_event.kind := 7;
    v_event.sender := p_user;
    v_event := append_event(v_event);

    insert into members (conversation_id, user_id, role, first_seq, delivered_seq, read_seq)
    select
        p_conversation, u.id, 1, case when c.full_history then 1 else v_event.seq end,
        v_event.seq - 1, v_event.seq - 1
    from unnest(v_event.users) as u (id)
    join conversations c on c.id = p_conversation
    order by u.id collate "C"
    on conflict (conversation_id, user_id) do update
    set role = excluded.role, first_seq = excluded.first_seq, left_seq = null, muted_until = null,
        delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq;

    update conversations c
    set member_count = c.member_count + cardinality(v_event.users)
    where c.id = p_conversation;

    perform raise_membership_versions(v_event.users);
    return query select 0::smallint, v_event;
end;
$$;
