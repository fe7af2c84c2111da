-- Begins a group with the given id, or finds that it had begun.
--
-- Called by: the bridge (store/query). Status: 0 begun, 1 it was there already and is the caller's,
-- 2 the id belongs to something else, 3 the owner and one of the members have blocked one another.
drop function if exists martlet.create_group(uuid, text, text, text[]);

create or replace function martlet.create_group(
    p_id uuid,
    p_owner text,
    p_title text,
    p_members text[],
    p_announcement boolean,
    p_full_history boolean
) returns table (status smallint, created_at timestamptz, users text[])
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_members text[];
begin
    -- Two callers with one id at once: the second waits here for the first one's commit.
    perform pg_advisory_xact_lock(hashtextextended(p_id::text, 0));

    if exists (select from conversations c where c.id = p_id) then
        return query
        select
            (case when c.kind = 2 and c.created_by = p_owner then 1 else 2 end)::smallint,
            null::timestamptz,
            null::text[]
        from conversations c
        where c.id = p_id;
        return;
    end if;

    select array_agg(distinct u.id collate "C" order by u.id collate "C") into v_members
    from unnest(p_members || p_owner) as u (id);

    if is_blocked_by_any(p_owner, v_members) then
        return query select 3::smallint, null::timestamptz, null::text[];
        return;
    end if;

    return query
    select
        0::smallint,
        begin_conversation(
            p_id, 2::smallint, p_owner, p_title, v_members, p_announcement, p_full_history
        ),
        v_members;
end;
$$;
