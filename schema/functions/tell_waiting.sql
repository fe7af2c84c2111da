-- Of users who have no session anywhere, those for whom something waits that nobody was told of yet.
--
-- Called by: the bridge (store/notifications). `p_were_here`: the user was here since it was last told of. Returns:
-- one row a user who is to be told of now; whoever asks again at the same time gets none for it, so gateways are
-- told once. `newest` is the number of the newest pending notification.
-- Locks: the users' rows, in order of id.
create or replace function martlet.tell_waiting(
    p_users text[],
    p_were_here boolean[]
) returns table (user_id text, waiting integer, newest bigint)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
begin
    perform 1 from users u where u.id = any (p_users) order by u.id for no key update;

    return query
    with waiting as materialized (
        select u.id, w.count, w.newest
        from unnest(p_users, p_were_here) as i (id, was_here)
        join users u on u.id = i.id
        cross join lateral (
            select count(*)::integer as count, max(n.number) as newest
            from notifications n
            where n.user_id = u.id and n.gone_at is null and n.expires_at > now()
        ) w
        where (i.was_here or not u.waiting_told) and w.count > 0
    ),

    told as (
        update users u
        set waiting_told = true
        from waiting w
        where u.id = w.id and not u.waiting_told
    )

    select w.id, w.count, w.newest from waiting w;
end;
$$;
