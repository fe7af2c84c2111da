-- Moves on how far members have conversations: the one way to delivered_seq and read_seq.
--
-- Called by: the bridge (store/receipts), with what was collected from many users. A mark of what was read
-- is one of what was delivered too. Returns: one row an input; `ord` is its place, from 1. Status: 0 moved on,
-- 1 it was as far already, 2 no such conversation for this user, 3 beyond the end of the log. `is_told`: others are
-- told, since the conversation has at most p_receipt_members members.
-- Locks: the members' rows, in order; then the versions' rows, in order.
-- Plans: see append.
create or replace function martlet.mark_receipts(
    p_conversations uuid[],
    p_users text[],
    p_delivered_seqs bigint[],
    p_read_seqs bigint[],
    p_receipt_members integer
) returns table (
    ord integer, status smallint, delivered_seq bigint, read_seq bigint, unread_count integer,
    is_told boolean
)
language plpgsql volatile
set search_path = martlet, pg_temp
as $$
#variable_conflict use_column
begin
    perform
    from (
        select u.conversation_id, u.user_id
        from unnest(p_conversations, p_users) as u (conversation_id, user_id)
        order by u.conversation_id, u.user_id collate "C"
    ) i
    cross join lateral (
        select
        from members m
        where m.conversation_id = i.conversation_id and m.user_id = i.user_id
        for no key update of m
    ) m;

    return query
    with judged as materialized (
        select
            i.ord::integer as ord,
            i.conversation_id,
            i.user_id,
            greatest(i.delivered_seq, i.read_seq, m.delivered_seq) as delivered_seq,
            greatest(i.read_seq, m.read_seq) as read_seq,
            m.delivered_seq as old_delivered_seq,
            m.read_seq as old_read_seq,
            m.first_seq,
            c.member_count <= p_receipt_members as is_told,
            (case
                when m.user_id is null then 2
                when greatest(i.delivered_seq, i.read_seq) > c.last_seq then 3
                when greatest(i.delivered_seq, i.read_seq) <= m.delivered_seq
                    and i.read_seq <= m.read_seq then 1
                else 0
            end)::smallint as status
        from unnest(p_conversations, p_users, p_delivered_seqs, p_read_seqs)
            with ordinality as i (conversation_id, user_id, delivered_seq, read_seq, ord)
        left join lateral (
            select m.*
            from members m
            where m.conversation_id = i.conversation_id and m.user_id = i.user_id
                and m.left_seq is null
            offset 0
        ) m on true
        left join lateral (
            select c.last_seq, c.member_count
            from conversations c
            where c.id = m.conversation_id
            offset 0
        ) c on true
    ),

    moved as (
        update members m
        set delivered_seq = n.delivered_seq, read_seq = n.read_seq
        from (
            select
                j.conversation_id, j.user_id, max(j.delivered_seq) as delivered_seq,
                max(j.read_seq) as read_seq
            from judged j
            where j.status = 0
            group by j.conversation_id, j.user_id
        ) n
        where m.conversation_id = n.conversation_id and m.user_id = n.user_id
    ),

    told as (
        insert into receipt_versions as v (conversation_id)
        select distinct j.conversation_id
        from judged j
        where j.status = 0 and j.is_told
        order by j.conversation_id
        on conflict (conversation_id) do update set version = v.version + 1
    )

    select
        f.ord, f.status, f.delivered_seq, f.read_seq,
        case
            when f.status < 2
            then unread_count(f.conversation_id, f.user_id, greatest(f.read_seq, f.first_seq - 1))
            else 0
        end,
        coalesce(f.is_told, false)
    from (
        -- Of several marks of one member each is told how far all of them brought it.
        select
            j.ord, j.status, j.conversation_id, j.user_id, j.first_seq, j.is_told,
            max(j.delivered_seq) filter (where j.status < 2) over w as delivered_seq,
            max(j.read_seq) filter (where j.status < 2) over w as read_seq
        from judged j
        window w as (partition by j.conversation_id, j.user_id)
    ) f;
end;
$$;
