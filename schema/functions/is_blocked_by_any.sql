-- Whether a user and one of these have blocked one another.
--
-- Called by: create_group and add_members, with thousands: a look into an index for each, and no function's call.
-- Plans: see append.
create or replace function martlet.is_blocked_by_any(p_user text, p_others text[]) returns boolean
language sql stable parallel safe
set search_path = martlet, pg_temp
as $$
    select exists (
        select
        from unnest(p_others) as u (id)
        cross join lateral (
            (select 1 from blocks b where b.user_id = p_user and b.blocked_id = u.id)
            union all
            (select 1 from blocks b where b.user_id = u.id and b.blocked_id = p_user)
            offset 0
        ) b
    )
$$;
