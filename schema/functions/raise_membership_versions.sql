-- Tells that these users' memberships changed.
--
-- Called by: the functions that change them. Locks: the users' rows, in order of id.
create or replace function martlet.raise_membership_versions(p_users text[]) returns void
language sql volatile
set search_path = martlet, pg_temp
as $$
    insert into users (id, membership_version)
    select u.id, 1
    from unnest(p_users) as u (id)
    order by u.id collate "C"
    on conflict (id) do update set membership_version = users.membership_version + 1
$$;
