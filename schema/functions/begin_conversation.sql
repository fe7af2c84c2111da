-- Writes a new conversation: its row, its members, number 1 of its log, and the news to its members.
--
-- Called by: open_direct and create_group, which made sure that the id is free.
-- Locks: the members' rows in users, in order of id.
drop function if exists martlet.begin_conversation(uuid, smallint, text, text, text[]);

create or replace function martlet.begin_conversation(
    p_id uuid,
    p_kind smallint,
    p_creator text,
    p_title text,
    p_members text[],
    p_announcement boolean,
    p_full_history boolean
) returns timestamptz
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
begin
    insert into conversations (
        id, kind, last_seq, member_count, title, created_by, announcement, full_history
    )
    values (
        p_id, p_kind, 1, cardinality(p_members), p_title, p_creator, p_announcement, p_full_history
    );

    insert into members (conversation_id, user_id, role, first_seq)
    select
        p_id,
        u.id,
        case when p_kind = 2 and u.id = p_creator then 3 else 1 end,
        1
    from unnest(p_members) as u (id);

    insert into events (
        conversation_id, seq, kind, sender, title, users, users_count, announcement, full_history
    )
    values (
        p_id, 1, 2, p_creator, p_title,
        case when cardinality(p_members) > 100 then '{}' else p_members end,
        cardinality(p_members), p_announcement, p_full_history
    );

    perform raise_membership_versions(p_members);

    return now();
end;
$$;
