-- Writes what a row of the outbox says, when the transaction that made it commits.
--
-- Called by: the deferred trigger below. So the number is taken, and the conversation or the user locked, only while
-- the commit goes on, and everybody else waits no longer than for any message. The row then keeps only what the
-- bridge needs to tell of it. For the bounds of notifications see notify in docs/notifications.md.
create or replace function martlet.commit_outbox() returns trigger
language plpgsql volatile security definer
set search_path = martlet, pg_temp
as $$
declare
    v_status smallint;
    v_seq bigint;
begin
    if new.conversation_id is null then
        perform store_notifications(
            array[new.service], array[new.notification_id], array[new.kind], array[new.content_type],
            array[new.body], array[new.expires_after_ms], array[new.collapse_key], array[new.user_id],
            500, 200
        );
    else
        select a.status, a.seq into v_status, v_seq
        from append(
            array[new.conversation_id], array[new.user_id], array[new.client_message_id],
            array[new.content_type], array[new.body], array[0::bigint], array['']
        ) a;

        if v_status > 1 then
            raise exception '% cannot send to conversation % any more', new.user_id, new.conversation_id
                using errcode = 'insufficient_privilege';
        end if;
    end if;

    update outbox o set seq = coalesce(v_seq, 0), body = '' where o.id = new.id;
    return null;
end;
$$;

revoke all on function martlet.commit_outbox() from public;

drop trigger if exists outbox_commit on martlet.outbox;

create constraint trigger outbox_commit
after insert on martlet.outbox
deferrable initially deferred
for each row
execute function martlet.commit_outbox();
