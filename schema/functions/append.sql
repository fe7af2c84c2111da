-- Appends messages to conversations: the one way into the log for what users say.
--
-- Called by: the bridge (store/append), with up to 64 messages at a time that were collected from many
-- users; no (conversation, sender, client_message_id) may appear twice in one call. READ COMMITTED.
-- Returns: one row an input, in no order; `ord` is its place, from 1. Status: 0 appended, 1 was there
-- already (seq and time are the first one's), 2 no such conversation for this sender, 3 reply_to_seq is no
-- event of the conversation, 4 one of the two in a direct conversation has blocked the other, 5 only admins
-- send here. Mentions come as one text an input, with commas: arrays of arrays would have to be of one length.
-- Locks: the conversations' rows, in order of id. The lock is a statement of its own, because a statement
-- that waits for a lock goes on with the snapshot from before its wait, and would miss what the other one
-- wrote.
-- Plans: what is looked up for each input stands in a `lateral ... offset 0`, which PostgreSQL takes as it is: one
-- look into an index. Of a plain join it made one over all members, in a database too young for statistics.
drop function if exists martlet.append(uuid[], text[], uuid[], text[], bytea[], bigint[]);

create or replace function martlet.append(
    p_conversations uuid[],
    p_senders text[],
    p_client_message_ids uuid[],
    p_content_types text[],
    p_bodies bytea[],
    p_reply_to_seqs bigint[],
    p_mentions text[]
) returns table (ord integer, status smallint, seq bigint, created_at timestamptz)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
begin
    perform 1
    from conversations c
    where c.id = any (p_conversations)
    order by c.id
    for no key update;

    return query
    with judged as materialized (
        select
            i.ord::integer as ord,
            i.conversation_id,
            i.sender,
            i.client_message_id,
            i.content_type,
            i.body,
            i.reply_to_seq,
            i.mentions,
            c.last_seq,
            e.seq as old_seq,
            e.created_at as old_created_at,
            (case
                when m.user_id is null then 2
                when e.seq is not null then 1
                when i.reply_to_seq < 0 or i.reply_to_seq > c.last_seq then 3
                when c.kind = 1 and exists (
                    select
                    from members o
                    join blocks b
                        on (b.user_id = o.user_id and b.blocked_id = i.sender)
                        or (b.user_id = i.sender and b.blocked_id = o.user_id)
                    where o.conversation_id = i.conversation_id and o.user_id <> i.sender
                ) then 4
                when c.announcement and not role_may(m.role, 'announce') then 5
                else 0
            end)::smallint as status
        from unnest(
            p_conversations, p_senders, p_client_message_ids, p_content_types, p_bodies,
            p_reply_to_seqs, p_mentions
        ) with ordinality as i (
            conversation_id, sender, client_message_id, content_type, body, reply_to_seq, mentions, ord
        )
        left join lateral (
            select c.kind, c.last_seq, c.announcement
            from conversations c
            where c.id = i.conversation_id
            offset 0
        ) c on true
        left join lateral (
            select m.user_id, m.role
            from members m
            where m.conversation_id = i.conversation_id and m.user_id = i.sender
                and m.left_seq is null
            offset 0
        ) m on true
        left join lateral (
            select e.seq, e.created_at
            from events e
            where e.conversation_id = i.conversation_id and e.sender = i.sender
                and e.client_message_id = i.client_message_id
            offset 0
        ) e on true
    ),

    numbered as materialized (
        select
            j.*,
            j.last_seq + count(*) filter (where j.status = 0)
                over (partition by j.conversation_id order by j.ord) as new_seq
        from judged j
    ),

    inserted as (
        insert into events (
            conversation_id, seq, kind, sender, client_message_id, reply_to_seq, content_type, body,
            mentions
        )
        select
            n.conversation_id, n.new_seq, 1, n.sender, n.client_message_id, n.reply_to_seq,
            n.content_type, n.body, string_to_array(n.mentions, ',')
        from numbered n
        where n.status = 0
    ),

    advanced as (
        update conversations c
        set last_seq = h.last_seq, last_event_at = now()
        from (
            select n.conversation_id, max(n.new_seq) as last_seq
            from numbered n
            where n.status = 0
            group by n.conversation_id
        ) h
        where c.id = h.conversation_id
    )

    select
        n.ord,
        n.status,
        case when n.status = 0 then n.new_seq when n.status = 1 then n.old_seq else 0 end,
        case when n.status = 1 then n.old_created_at else now() end
    from numbered n;
end;
$$;
