-- Whether a role allows an action: the permission table of docs/permissions.md, which a test holds against it.
--
-- Roles: 1 member, 2 admin, 3 owner. `p_target_role` is the role of the member whom the action is about.
create or replace function martlet.role_may(
    p_role smallint,
    p_action text,
    p_target_role smallint default 0
) returns boolean
language sql immutable parallel safe
as $$
    select case p_action
        when 'announce' then p_role >= 2
        when 'redact others' then p_role >= 2
        when 'update group' then p_role >= 2
        when 'add members' then p_role >= 2
        when 'remove member' then p_role = 3 or (p_role = 2 and p_target_role = 1)
        when 'set role' then p_role = 3
    end
$$;
