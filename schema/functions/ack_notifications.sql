-- Ends notifications that a device acknowledged.
--
-- Called by: the bridge (store/notifications). Returns: the numbers of those that were pending, in order, and the
-- change with which they went; no row if none was.
-- Locks: the user's row, before those of its notifications.
create or replace function martlet.ack_notifications(
    p_user text,
    p_numbers bigint[]
) returns table (number bigint, gone_number bigint)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
declare
    v_version bigint;
    v_gone bigint[];
begin
    select u.notification_version + 1 into v_version from users u where u.id = p_user for no key update;

    with gone as (
        update notifications n
        set gone_at = now(), gone_number = v_version, payload = ''
        where n.user_id = p_user and n.number = any (p_numbers) and n.gone_at is null
            and n.expires_at > now()
        returning n.number
    )

    select array_agg(g.number order by g.number) into v_gone from gone g;

    if v_gone is null then
        return;
    end if;

    update users u set notification_version = v_version where u.id = p_user;
    return query select t.number, v_version from unnest(v_gone) as t (number);
end;
$$;
