-- Gives an event the next number of its conversation and writes it.
--
-- Called by: the functions that change a conversation, which have locked its row. The event comes with its
-- number and time unset.
create or replace function martlet.append_event(p_event martlet.events) returns martlet.events
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
begin
    update conversations c
    set last_seq = c.last_seq + 1, last_event_at = now()
    where c.id = p_event.conversation_id
    returning c.last_seq into p_event.seq;

    p_event.created_at := now();
    p_event.reply_to_seq := 0;
    p_event.target_seq := coalesce(p_event.target_seq, 0);
    p_event.content_type := coalesce(p_event.content_type, '');
    p_event.body := coalesce(p_event.body, '');
    p_event.title := coalesce(p_event.title, '');
    p_event.users := coalesce(p_event.users, '{}');
    p_event.users_count := cardinality(p_event.users);
    p_event.mentions := coalesce(p_event.mentions, '{}');
    p_event.symbol := coalesce(p_event.symbol, '');
    p_event.role := coalesce(p_event.role, 0::smallint);
    p_event.announcement := coalesce(p_event.announcement, false);
    p_event.full_history := coalesce(p_event.full_history, false);
    p_event.edited_seq := 0;
    p_event.redacted_seq := 0;
    p_event.reactions_seq := 0;

    insert into events select p_event.*;
    return p_event;
end;
$$;
