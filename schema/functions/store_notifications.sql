-- Stores notifications for users: the one way into martlet.notifications.
--
-- Called by: the bridge (store/notifications), with what was collected from many services, and by commit_outbox.
-- Each input is one notification for some users, whose ids come as one text with commas. READ COMMITTED.
-- Returns: one row an input and user; `ord` is the input's place, from 1. Status: 0 stored, 1 its id was used
-- already by this service for this user, whatever became of it. `number` is the change that stored it, and `gone` the
-- numbers of those that are pending no more with it; with status 1 it is the user's newest change before this call.
-- `is_pending`: it still is, after this call.
-- What gives way: an older one of the same service and collapse key; beyond p_service_most of one service its
-- oldest; beyond p_user_most in all what has expired, then the oldest of the services that are storing, but not
-- their newest, then the oldest.
-- Every step looks rows up by an index: other plans, which the planner likes while it knows nothing of the table, cost
-- a hundred times as much, and so they are turned off; and planning it anew for each call costs six times the call.
-- Locks: the users' rows, in order of id, in a statement of its own (see append.sql). Who has no row gets one:
-- services are trusted to name users that exist.
create or replace function martlet.store_notifications(
    p_services text[],
    p_ids text[],
    p_kinds text[],
    p_content_types text[],
    p_payloads bytea[],
    p_expire_after_ms bigint[],
    p_collapse_keys text[],
    p_users text[],
    p_user_most integer,
    p_service_most integer
) returns table (
    ord integer, user_id text, status smallint, number bigint, is_pending boolean, gone bigint[],
    created_at timestamptz, expires_at timestamptz
)
language plpgsql volatile
set search_path = martlet, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_users text[] collate "C";
    v_full text[] collate "C";
begin
    select array_agg(distinct t.id collate "C" order by t.id collate "C") into v_users
    from unnest(p_users) as i (users)
    cross join lateral string_to_table(i.users, ',') as t (id);

    insert into users (id)
    select t.id from unnest(v_users) as t (id)
    on conflict (id) do nothing;

    perform 1 from users u where u.id = any (v_users) order by u.id for no key update;

    with asked as materialized (
        select
            i.ord, t.id as user_id, i.service, i.id, i.kind, i.content_type, i.payload, i.expire_after_ms,
            i.collapse_key,
            row_number() over (partition by t.id, i.service, i.id order by i.ord) as place
        from unnest(
            p_services, p_ids, p_kinds, p_content_types, p_payloads, p_expire_after_ms, p_collapse_keys, p_users
        ) with ordinality as i (
            service, id, kind, content_type, payload, expire_after_ms, collapse_key, users, ord
        )
        cross join lateral (select distinct x.id from string_to_table(i.users, ',') as x (id)) t
    )

    insert into notifications (
        user_id, id, service, kind, content_type, payload, collapse_key, created_at, expires_at, number
    )
    select
        a.user_id, a.id, a.service, a.kind, a.content_type, a.payload, nullif(a.collapse_key, ''), now(),
        now() + a.expire_after_ms * interval '1 millisecond',
        u.notification_version + row_number() over (partition by a.user_id order by a.ord)
    from asked a
    join users u on u.id = a.user_id
    where a.place = 1 and not exists (
        select from notifications n
        where n.user_id = a.user_id and n.service = a.service and n.id = a.id
    );

    -- Replaced. What is judged is materialized, here and below: joined instead, it would be judged again for each row.
    with replaced as materialized (
        select n.user_id, n.service, n.collapse_key, max(n.number) as number
        from users u
        cross join lateral (
            select x.user_id, x.service, x.collapse_key, x.number
            from notifications x
            where x.user_id = u.id and x.gone_at is null and x.number > u.notification_version
                and x.collapse_key is not null
            order by x.number
        ) n
        where u.id = any (v_users)
        group by n.user_id, n.service, n.collapse_key
    )

    update notifications o
    set gone_at = now(), gone_number = r.number, payload = ''
    from replaced r
    where o.user_id = r.user_id and o.service = r.service and o.collapse_key = r.collapse_key
        and o.number < r.number and o.gone_at is null;

    -- Only those who have as many as the smaller bound can be beyond one; most have few, and are not ranked.
    select array_agg(t.id) into v_full
    from unnest(v_users) as t (id)
    where (
        select count(*)
        from (
            select from notifications x
            where x.user_id = t.id and x.gone_at is null
            order by x.number
            limit least(p_service_most, p_user_most) + 1
        ) c
    ) > least(p_service_most, p_user_most);

    if v_full is not null then
        -- Dropped at a bound, with the user's newest change: first each service's, then the user's.
        with ranked as materialized (
            select
                n.user_id, n.number,
                row_number() over (partition by n.user_id, n.service order by n.number desc) as place,
                max(n.number) over (partition by n.user_id) as newest
            from unnest(v_full) as t (id)
            cross join lateral (
                select x.user_id, x.service, x.number
                from notifications x
                where x.user_id = t.id and x.gone_at is null
                order by x.number
            ) n
        ),

        dropped as materialized (
            select r.user_id, r.number, r.newest from ranked r where r.place > p_service_most
        )

        update notifications o
        set gone_at = now(), gone_number = d.newest, payload = ''
        from dropped d
        where o.user_id = d.user_id and o.number = d.number and o.gone_at is null;

        with judged as materialized (
            select
                n.user_id, n.number,
                n.expires_at <= now() as has_expired,
                bool_or(n.number > u.notification_version) over (partition by n.user_id, n.service)
                    and n.number < max(n.number) over (partition by n.user_id, n.service) as is_storing,
                max(n.number) over (partition by n.user_id) as newest,
                count(*) over (partition by n.user_id) as total
            from users u
            cross join lateral (
                select x.user_id, x.service, x.number, x.expires_at
                from notifications x
                where x.user_id = u.id and x.gone_at is null
                order by x.number
            ) n
            where u.id = any (v_full)
        ),

        dropped as materialized (
            select r.user_id, r.number, r.newest
            from (
                select
                    j.user_id, j.number, j.newest, j.total,
                    row_number() over (
                        partition by j.user_id order by j.has_expired desc, j.is_storing desc, j.number
                    ) as turn
                from judged j
                where j.total > p_user_most
            ) r
            where r.turn <= r.total - p_user_most
        )

        update notifications o
        set gone_at = now(), gone_number = d.newest, payload = ''
        from dropped d
        where o.user_id = d.user_id and o.number = d.number and o.gone_at is null;
    end if;

    return query
    select
        a.ord::integer,
        a.user_id,
        (case when a.place = 1 and n.number > u.notification_version then 0 else 1 end)::smallint,
        case
            when a.place = 1 and n.number > u.notification_version then n.number
            else u.notification_version
        end,
        n.gone_at is null,
        case
            when a.place = 1 and n.number > u.notification_version then (
                select array_agg(g.number order by g.number)
                from notifications g
                where g.user_id = a.user_id and g.gone_number = n.number and g.gone_at is not null
            )
        end,
        n.created_at,
        n.expires_at
    from (
        select
            i.ord, t.id as user_id, i.service, i.id,
            row_number() over (partition by t.id, i.service, i.id order by i.ord) as place
        from unnest(p_services, p_ids, p_users) with ordinality as i (service, id, users, ord)
        cross join lateral (select distinct x.id from string_to_table(i.users, ',') as x (id)) t
    ) a
    join users u on u.id = a.user_id
    join notifications n on n.user_id = a.user_id and n.service = a.service and n.id = a.id
    order by a.ord, a.user_id collate "C";

    -- The newest is pending, or went with the newest change.
    update users u
    set notification_version = greatest(
        u.notification_version,
        (
            select max(n.number) from notifications n
            where n.user_id = u.id and n.gone_at is null
        ),
        (
            select max(n.gone_number) from notifications n
            where n.user_id = u.id and n.gone_at is not null
        )
    )
    where u.id = any (v_users);
end;
$$;
