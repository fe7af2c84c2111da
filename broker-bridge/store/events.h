/* events - rows of martlet.events as events; what the questions of this folder share.
 *
 * Owns:     nothing; what an event points to lies in the result and in the arena.
 */
#ifndef MARTLET_STORE_EVENTS_H
#define MARTLET_STORE_EVENTS_H

#include "base/arena.h"
#include "model/event.h"

#include <libpq-fe.h>

/* The columns of an event, for `e` is martlet.events, as it stands in the log. */
#define EVENT_COLUMNS                                                                              \
	"e.conversation_id, e.seq, e.kind, e.sender, e.created_at, e.client_message_id, "          \
	"e.content_type, e.body, e.mentions, e.edited_seq, e.redacted_seq, "                       \
	"e.reactions_seq, " EVENT_LAST_COLUMNS

/* The same as the member `m` is told it in a page of history: with the content of the edit `x`, if there is one. Who
 * is no member any more is told of no reactions there, so none of their events is included. */
#define EVENT_FOLDED_COLUMNS                                                                       \
	"e.conversation_id, e.seq, e.kind, e.sender, e.created_at, e.client_message_id, "          \
	"coalesce(x.content_type, e.content_type) as content_type, "                               \
	"coalesce(x.body, e.body) as body, coalesce(x.mentions, e.mentions) as mentions, "         \
	"coalesce(x.seq, 0) as edited_seq, e.redacted_seq, "                                       \
	"case when m.left_seq is null then e.reactions_seq else 0 end as reactions_seq, " EVENT_LAST_COLUMNS

#define EVENT_LAST_COLUMNS                                                                         \
	"e.reply_to_seq, e.title, e.users, e.users_count, "                                        \
	"e.target_seq, e.symbol, e.role, e.announcement, e.full_history"

#define EVENT_COLUMNS_COUNT 21

/* The event whose columns begin at `column`. As in the log: `edited_seq` and `reactions_seq` are left 0, since
 * each change comes as an event of its own. */
struct event event_from_row(const PGresult *result, int row, int column, struct arena *arena);

/* As in a page of history: with what was changed since. The symbols, counts and whether they are one's
 * own (text[], bigint[], bigint[]) begin at `reactions_column`. */
struct event event_from_history_row(const PGresult *result, int row, int column,
                                    int reactions_column, struct arena *arena);

#endif
