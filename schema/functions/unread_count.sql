-- How many messages of others lie after a number that are not redacted: up to 100, and looked for in the
-- next 1,000 events, so that whoever was away for long costs no more than who was not. It looks no further than the
-- hundredth: after a night all members of a large group come back at once, and each is counted for.
--
-- Names are written out, since setting the path for each call costs as much as a short count.
create or replace function martlet.unread_count(p_conversation uuid, p_user text, p_after bigint)
returns integer
language sql stable parallel safe
as $$
    select count(*)::integer
    from (
        select
        from (
            select e.kind, e.sender, e.redacted_seq
            from martlet.events e
            where e.conversation_id = p_conversation and e.seq > p_after
            order by e.seq
            limit 1000
        ) x
        where x.kind = 1 and x.redacted_seq = 0 and x.sender <> p_user
        limit 100
    ) y
$$;
