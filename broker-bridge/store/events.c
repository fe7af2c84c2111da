#include "store/events.h"

#include "base/must.h"
#include "store/rows.h"

#define EDITED_SEQ_COLUMN 9
#define REACTIONS_SEQ_COLUMN 11

struct event event_from_row(const PGresult *result, int row, int column, struct arena *arena)
{
	struct event event = {
		.conversation = row_uuid(result, row, column),
		.seq = (uint64_t)row_bigint(result, row, column + 1),
		.kind = (enum event_kind)row_smallint(result, row, column + 2),
		.sender = row_text(result, row, column + 3),
		.time_ms = row_time_ms(result, row, column + 4),
		.client_message_id = row_uuid(result, row, column + 5),
		.content_type = row_text(result, row, column + 6),
		.redacted_seq = (uint64_t)row_bigint(result, row, column + 10),
		.reply_to_seq = (uint64_t)row_bigint(result, row, column + 12),
		.title = row_text(result, row, column + 13),
		.member_count = (uint32_t)row_integer(result, row, column + 15),
		.target_seq = (uint64_t)row_bigint(result, row, column + 16),
		.symbol = row_text(result, row, column + 17),
		.role = (enum role)row_smallint(result, row, column + 18),
		.is_announcement = row_boolean(result, row, column + 19),
		.has_full_history = row_boolean(result, row, column + 20),
	};

	event.body = row_bytes(result, row, column + 7, &event.body_size);
	event.mentions = row_texts(result, row, column + 8, arena, &event.mentions_count);
	event.users = row_texts(result, row, column + 14, arena, &event.users_count);
	return event;
}

struct event event_from_history_row(const PGresult *result, int row, int column,
                                    int reactions_column, struct arena *arena)
{
	struct event event = event_from_row(result, row, column, arena);
	size_t count;
	const char **symbols = row_texts(result, row, reactions_column, arena, &count);
	const int64_t *counts = row_bigints(result, row, reactions_column + 1, arena, &count);
	const int64_t *mine = row_bigints(result, row, reactions_column + 2, arena, &count);
	struct reaction *reactions = count ? arena_get(arena, count * sizeof(*reactions)) : NULL;

	must(!count || reactions);
	event.edited_seq = (uint64_t)row_bigint(result, row, column + EDITED_SEQ_COLUMN);
	event.reactions_seq = (uint64_t)row_bigint(result, row, column + REACTIONS_SEQ_COLUMN);
	for (size_t i = 0; i < count; i++)
		reactions[i] = (struct reaction){symbols[i], (uint32_t)counts[i], mine[i] != 0};
	event.reactions = reactions;
	event.reactions_count = count;
	return event;
}
