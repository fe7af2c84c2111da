-- Ends notifications whose time is over, and forgets those that have long been gone; at most p_limit of each.
--
-- Called by: the bridge (store/notifications), every few seconds on each node. Only one sweeps at a time; others
-- are answered 0 at once. Returns how many it ended or forgot.
-- Locks: an advisory lock; rows that somebody else has locked are left for the next time.
create or replace function martlet.sweep_notifications(
    p_limit integer,
    p_memory_s integer
) returns integer
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
declare
    v_ended integer;
    v_forgotten integer;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('notifications/sweep', 0)) then
        return 0;
    end if;

    -- Materialized: run again in a join, what is locked and skipped would be more than the limit.
    with ended as materialized (
        select x.user_id, x.number
        from notifications x
        where x.gone_at is null and x.expires_at <= now()
        order by x.expires_at
        limit p_limit
        for update skip locked
    )

    update notifications n
    set gone_at = now(), payload = ''
    from ended e
    where n.user_id = e.user_id and n.number = e.number and n.gone_at is null;
    get diagnostics v_ended = row_count;

    with forgotten as materialized (
        select x.user_id, x.service, x.id
        from notifications x
        where x.gone_at < now() - p_memory_s * interval '1 second'
        order by x.gone_at
        limit p_limit
        for update skip locked
    )

    delete from notifications n
    using forgotten g
    where n.user_id = g.user_id and n.service = g.service and n.id = g.id;
    get diagnostics v_forgotten = row_count;

    return greatest(v_ended, v_forgotten);
end;
$$;
