/* notification_statements - the SQL of notifications.c and outbox.c, for the tables of statements in query.c. */
#ifndef MARTLET_STORE_NOTIFICATION_STATEMENTS_H
#define MARTLET_STORE_NOTIFICATION_STATEMENTS_H

#include "store/events.h"
#include "store/private.h"

#define BOOLEANS 1000

/* clang-format off */
#define NOTIFICATIONS_STORE                                                                        \
	{"store_notifications",                                                                    \
	 "select ord, user_id, status, number, is_pending, gone, created_at, expires_at "          \
	 "from martlet.store_notifications($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",              \
	 10, {TEXTS, TEXTS, TEXTS, TEXTS, BYTEAS, BIGINTS, TEXTS, TEXTS, INTEGER, INTEGER}}

#define NOTIFICATIONS_ACK                                                                          \
	{"ack_notifications",                                                                      \
	 "select number, gone_number from martlet.ack_notifications($1, $2) order by number",      \
	 2, {TEXT, BIGINTS}}

#define NOTIFICATIONS_SWEEP                                                                        \
	{"sweep_notifications", "select martlet.sweep_notifications($1, $2)", 2, {INTEGER, INTEGER}}

#define NOTIFICATIONS_TELL_WAITING                                                                 \
	{"tell_waiting", "select user_id, waiting, newest from martlet.tell_waiting($1, $2)",      \
	 2, {TEXTS, BOOLEANS}}

#define NOTIFICATIONS_FORGET_TOLD                                                                  \
	{"forget_told",                                                                            \
	 "with forgotten as (update martlet.users u set waiting_told = false "                     \
	 "where u.id = $1 and u.waiting_told returning 1) select count(*) from forgotten",         \
	 1, {TEXT}}

/* One row of nulls at least: the version is there without any notification too. A page asks for one row more than
 * it takes, and is cut where the bytes before a row reach the limit. Of what has gone, as many are told as a
 * user can have had pending and more: who missed more than that is told of the newest. Who begins has nothing that could
 * have gone, and no row of the past is looked at for it. */
#define NOTIFICATIONS_LIST                                                                         \
	{"list_notifications",                                                                     \
	 "select v.version, v.is_told, v.gone, n.found, n.number, n.id, n.service, n.kind, "       \
	 "n.content_type, n.payload, n.created_at, n.expires_at, n.collapse_key from "             \
	 "(select coalesce(max(u.notification_version), 0) as version, "                           \
	 "coalesce(bool_or(u.waiting_told), false) as is_told, "                                   \
	 "(select array_agg(g.number order by g.number) from (select x.number "                    \
	 "from martlet.notifications x where x.user_id = $1 and x.gone_at is not null "            \
	 "and $2 > 0 and x.gone_number > $2 and x.number <= $2 "                                              \
	 "order by x.gone_number desc limit 10000) g) as gone "                                    \
	 "from martlet.users u where u.id = $1) v "                                                \
	 "left join lateral (select p.* from (select q.*, count(*) over () as found, "             \
	 "sum(octet_length(q.payload) + 200) over (order by q.number) "                            \
	 "- octet_length(q.payload) - 200 as before, "                                             \
	 "row_number() over (order by q.number) as place "                                         \
	 "from (select x.* from martlet.notifications x where x.user_id = $1 "                     \
	 "and x.gone_at is null and x.number > $2 and x.expires_at > now() "                       \
	 "order by x.number limit $3 + 1) q) p where p.before < $4 and p.place <= $3) n on true "  \
	 "order by n.number",                                                                      \
	 4, {TEXT, BIGINT, BIGINT, BIGINT}}

/* Whoever has taken rows deletes them when it has told of them, before its time is over, or another takes them. */
#define OUTBOX_TAKE                                                                                \
	{"take_outbox",                                                                            \
	 "with picked as materialized (select o.id from martlet.outbox o "                         \
	 "where o.taken_until < now() order by o.id limit $3 for update skip locked), "            \
	 "taken as (update martlet.outbox o set taken_by = $1, "                                   \
	 "taken_until = now() + $2 * interval '1 millisecond' from picked p where o.id = p.id "    \
	 "returning o.id, o.conversation_id, o.seq, o.user_id) "                                   \
	 "select t.id, t.user_id, u.notification_version, " EVENT_COLUMNS " from taken t "         \
	 "left join martlet.users u on u.id = t.user_id and t.conversation_id is null "            \
	 "left join martlet.events e on e.conversation_id = t.conversation_id and e.seq = t.seq "  \
	 "order by t.id",                                                                          \
	 3, {TEXT, BIGINT, BIGINT}}

#define OUTBOX_FORGET                                                                              \
	{"forget_outbox",                                                                          \
	 "with forgotten as (delete from martlet.outbox o where o.id = any ($1) returning 1) "     \
	 "select count(*) from forgotten",                                                         \
	 1, {BIGINTS}}
/* clang-format on */

#endif
