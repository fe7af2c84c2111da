-- Notifies a user in the caller's own transaction: at its commit the notification waits for the user, at its
-- rollback it never was.
--
-- Called by: applications. Nobody may until they are granted it (docs/notifications.md): who may call it speaks
-- as any service. It runs as its owner, so that the caller needs no right to a table. Repeating an id is free.
-- Fails:    by an error at once (22023 invalid).
-- Locks: none before commit, so that a long transaction holds up nobody.
create or replace function martlet.notify(
    p_user text,
    p_id text,
    p_kind text,
    p_content_type text,
    p_payload bytea,
    p_expires_after interval default '30 days',
    p_collapse_key text default '',
    p_service text default session_user::text
) returns void
language plpgsql volatile security definer
set search_path = martlet, pg_temp
as $$
declare
    v_name constant text := '^[A-Za-z0-9._~@-]{1,64}$';
begin
    if p_user is null or p_user !~ v_name then
        raise exception 'user: give 1 to 64 of A-Z a-z 0-9 . _ ~ @ -'
            using errcode = 'invalid_parameter_value';
    end if;
    if p_service is null or p_service !~ v_name then
        raise exception 'service: give 1 to 64 of A-Z a-z 0-9 . _ ~ @ -'
            using errcode = 'invalid_parameter_value';
    end if;
    if p_id is null or p_id !~ '^[!-~]{1,64}$' then
        raise exception 'id: give 1 to 64 of printable ASCII without spaces'
            using errcode = 'invalid_parameter_value';
    end if;
    if coalesce(p_kind, '') !~ '^[ -~]{0,64}$' or coalesce(p_content_type, '') !~ '^[ -~]{0,64}$'
        or coalesce(p_collapse_key, '') !~ '^[ -~]{0,64}$' then
        raise exception 'kind, content_type and collapse_key: give printable ASCII of at most 64 bytes'
            using errcode = 'invalid_parameter_value';
    end if;
    if p_payload is null or octet_length(p_payload) > 16384 then
        raise exception 'payload: give at most 16384 bytes' using errcode = 'invalid_parameter_value';
    end if;
    if p_expires_after is null or p_expires_after <= interval '0' or p_expires_after > interval '30 days' then
        raise exception 'expires_after: give more than nothing and at most 30 days'
            using errcode = 'invalid_parameter_value';
    end if;

    insert into outbox (
        user_id, service, notification_id, kind, content_type, body, expires_after_ms, collapse_key
    )
    values (
        p_user, p_service, p_id, coalesce(p_kind, ''), coalesce(p_content_type, ''), p_payload,
        greatest(1, (extract(epoch from p_expires_after) * 1000)::bigint), coalesce(p_collapse_key, '')
    );
end;
$$;

revoke all on function martlet.notify(text, text, text, text, bytea, interval, text, text) from public;
