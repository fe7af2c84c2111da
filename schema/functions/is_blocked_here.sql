-- Whether a user and the other one of their direct conversation have blocked one another.
create or replace function martlet.is_blocked_here(p_conversation uuid, p_user text) returns boolean
language sql stable parallel safe
set search_path = martlet, pg_temp
as $$
    select exists (
        select
        from members o
        where o.conversation_id = p_conversation and o.user_id <> p_user
            and is_blocked(p_user, o.user_id)
    )
$$;
