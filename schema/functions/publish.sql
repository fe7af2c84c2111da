-- Sends a message in the caller's own transaction: at its commit it is in the log, at its rollback it never was.
--
-- Called by: applications. Nobody may until they are granted it (docs/notifications.md): who may call it speaks
-- as any user. It runs as its owner, so that the caller needs no right to a table.
-- Fails:    by an error at once (22023 invalid, 42501 the sender may not), or with the same codes at commit, where
-- commit_outbox asks again. The identity makes a repetition free, as it does for clients.
-- Locks: none before commit, so that a long transaction holds up nobody.
create or replace function martlet.publish(
    p_conversation uuid,
    p_sender text,
    p_client_message_id uuid,
    p_content_type text,
    p_body bytea
) returns void
language plpgsql volatile security definer
set search_path = martlet, pg_temp
as $$
begin
    if p_conversation is null or p_client_message_id is null
        or p_client_message_id = '00000000-0000-0000-0000-000000000000' then
        raise exception 'conversation and client_message_id: give UUIDs, not null and not nil'
            using errcode = 'invalid_parameter_value';
    end if;
    if p_content_type is null or p_content_type !~ '^[ -~]{0,64}$' then
        raise exception 'content_type: give printable ASCII of at most 64 bytes, like text/plain'
            using errcode = 'invalid_parameter_value';
    end if;
    if p_body is null or octet_length(p_body) not between 1 and 65536 then
        raise exception 'body: give 1 to 65536 bytes' using errcode = 'invalid_parameter_value';
    end if;
    if not exists (
        select from members m
        where m.conversation_id = p_conversation and m.user_id = p_sender and m.left_seq is null
    ) then
        raise exception 'sender % has no such conversation', p_sender
            using errcode = 'insufficient_privilege';
    end if;

    insert into outbox (conversation_id, user_id, client_message_id, content_type, body)
    values (p_conversation, p_sender, p_client_message_id, p_content_type, p_body);
end;
$$;

revoke all on function martlet.publish(uuid, text, uuid, text, bytea) from public;
