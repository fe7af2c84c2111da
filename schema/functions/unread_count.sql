-- How many messages of others lie after a number that are not redacted: up to 100, and looked for in the
-- next 1,000 events, so that whoever was away for long costs no more than who was not.
create or replace function martlet.unread_count(p_conversation uuid, p_user text, p_after bigint)
returns integer
language sql stable parallel safe
set search_path = martlet, pg_temp
as $$
    select least(count(*), 100)::integer
    from (
        select e.kind, e.sender, e.redacted_seq
        from events e
        where e.conversation_id = p_conversation and e.seq > p_after
        order by e.seq
        limit 1000
    ) x
    where x.kind = 1 and x.redacted_seq = 0 and x.sender <> p_user
$$;
