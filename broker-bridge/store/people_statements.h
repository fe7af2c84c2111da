/* people_statements - the SQL of people.c, for the tables of statements in query.c. */
#ifndef MARTLET_STORE_PEOPLE_STATEMENTS_H
#define MARTLET_STORE_PEOPLE_STATEMENTS_H

#include "store/private.h"

/* clang-format off */
#define PEOPLE_BLOCK {"block", "select martlet.block_user($1, $2, $3)", 3, {TEXT, TEXT, INTEGER}}

#define PEOPLE_UNBLOCK {"unblock", "select martlet.unblock_user($1, $2)", 2, {TEXT, TEXT}}

/* Only whom somebody can see: a user without a row has no conversation. The rows are locked in the order in
 * which everybody locks them. */
#define PEOPLE_SEE                                                                                 \
	{"see",                                                                                    \
	 "with seen as materialized (select u.id, i.seen_at from (select s.id, "                   \
	 "'epoch'::timestamptz + max(s.ms) * interval '1 millisecond' as seen_at "                 \
	 "from unnest($1::text[], $2::bigint[]) as s (id, ms) group by s.id) i "                   \
	 "join martlet.users u on u.id = i.id order by u.id for no key update of u), "             \
	 "noted as (update martlet.users u set last_seen_at = s.seen_at from seen s "              \
	 "where u.id = s.id and (u.last_seen_at is null or u.last_seen_at < s.seen_at) "           \
	 "returning 1) select count(*) from noted",                                                \
	 2, {TEXTS, BIGINTS}}

#define PEOPLE_BLOCKED                                                                             \
	{"blocked",                                                                                \
	 "select b.blocked_id from martlet.blocks b where b.user_id = $1 and b.blocked_id > $2 "   \
	 "order by b.blocked_id limit $3",                                                         \
	 3, {TEXT, TEXT, BIGINT}}

#define PEOPLE_BLOCKS_OF                                                                           \
	{"blocks_of",                                                                              \
	 "select i.id, r.other from unnest($1::text[]) as i (id) cross join lateral ("             \
	 "select b.blocked_id as other from martlet.blocks b where b.user_id = i.id "              \
	 "union select b.user_id from martlet.blocks b where b.blocked_id = i.id limit $2) r "     \
	 "order by i.id collate \"C\", r.other collate \"C\"",                                     \
	 2, {TEXTS, BIGINT}}

/* The user's conversations are read once, whoever is asked about. With `offset 0` each question is asked of each user by
 * itself: of a plain join PostgreSQL once made one over all members of the largest group, for each question. `is true`
 * keeps the conversations a table that is looked into. */
#define PEOPLE_VISIBLE                                                                             \
	{"visible",                                                                                \
	 "with mine as materialized (select m.conversation_id from martlet.members m "             \
	 "where m.user_id = $1 and m.left_seq is null) "                                           \
	 "select u.id, u.last_seen_at from martlet.users u where u.id = any ($2::text[]) "         \
	 "and exists (select from martlet.members m where m.user_id = u.id "                       \
	 "and m.left_seq is null and (m.conversation_id in "                                       \
	 "(select mine.conversation_id from mine)) is true offset 0) "                             \
	 "and not exists (select from martlet.blocks b "                                           \
	 "where b.user_id = $1 and b.blocked_id = u.id offset 0) "                                 \
	 "and not exists (select from martlet.blocks b "                                           \
	 "where b.user_id = u.id and b.blocked_id = $1 offset 0)",                                 \
	 2, {TEXT, TEXTS}}
/* clang-format on */

#endif
