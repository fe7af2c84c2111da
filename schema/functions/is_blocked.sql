-- Whether one of two users has blocked the other.
create or replace function martlet.is_blocked(p_user text, p_other text) returns boolean
language sql stable parallel safe
set search_path = martlet, pg_temp
as $$
    select exists (
        select from blocks b
        where (b.user_id, b.blocked_id) in ((p_user, p_other), (p_other, p_user))
    )
$$;
