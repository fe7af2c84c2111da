#include "store/query.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/events.h"
#include "store/notification_statements.h"
#include "store/people_statements.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

/* How far the other members have it, where they are few: of the members' columns in order of user. */
#define RECEIPTS(column)                                                                           \
	"(select array_agg(" column " order by o.user_id) from martlet.members o "                 \
	"where o.conversation_id = c.id and o.user_id <> m.user_id and o.left_seq is null "        \
	"and c.member_count <= $1)"

/* What martlet.unread_count counts, written out: PostgreSQL plans a function anew in each statement that calls it, which
 * cost more than the rest of this one. */
#define UNREAD                                                                                     \
	"(select count(*)::integer from (select from (select u.kind, u.sender, u.redacted_seq "    \
	"from martlet.events u where u.conversation_id = c.id "                                    \
	"and u.seq > greatest(m.read_seq, m.first_seq - 1) order by u.seq limit 1000) u "          \
	"where u.kind = 1 and u.redacted_seq = 0 and u.sender <> m.user_id limit 100) n)"

/* A conversation as a member has it, for `c` and `m`, with its newest event: read by read_membership. */
#define MEMBERSHIP_COLUMNS                                                                         \
	"c.id, c.kind, m.role, c.title, "                                                          \
	"case when c.kind = 1 then (select o.user_id from martlet.members o "                      \
	"where o.conversation_id = c.id and o.user_id <> m.user_id limit 1) end, "                 \
	"c.member_count, c.last_seq, m.first_seq, m.delivered_seq, m.read_seq, c.last_event_at, "  \
	"c.announcement, c.full_history, m.muted_until, "                                          \
	"m.mutings + coalesce((select v.version from martlet.receipt_versions v "                  \
	"where v.conversation_id = c.id), 0), " UNREAD ", " RECEIPTS("o.user_id") ", " RECEIPTS(   \
		"o.delivered_seq") ", " RECEIPTS("o.read_seq") ", " EVENT_COLUMNS
#define MEMBERSHIP_EVENT_COLUMN 19

/* A page asks for one event more than it takes, in `q`, and is cut where the bytes before an event reach the
 * limit, so that there is always one. `total` counts what was found before the cut. */
#define CUT_COLUMNS                                                                                \
	"p.conversation_id, p.seq, p.kind, p.sender, p.created_at, p.client_message_id, "          \
	"p.content_type, p.body, p.mentions, p.edited_seq, p.redacted_seq, p.reactions_seq, "      \
	"p.reply_to_seq, p.title, p.users, p.users_count, p.target_seq, p.symbol, p.role, "        \
	"p.announcement, p.full_history, p.total"
#define TOTAL_COLUMN EVENT_COLUMNS_COUNT
#define REACTIONS_COLUMN (EVENT_COLUMNS_COUNT + 1)

/* clang-format off */
#define MEASURED(order)                                                                            \
	"select q.*, sum(length(q.body)) over (order by " order ") - length(q.body) as bytes, "    \
	"row_number() over (order by " order ") as place, count(*) over () as total "

/* One row of nulls at least, if the user is or was a member: none is NOT_FOUND. Who was one is told what was up
 * to its going: no later edit, and no reactions, since these are known as of now only. */
#define HISTORY(side, order)                                                                       \
	"select " CUT_COLUMNS ", r.symbols, r.counts, r.mine "                                     \
	"from martlet.members m left join lateral ("                                               \
	MEASURED(order)                                                                            \
	"from (select " EVENT_FOLDED_COLUMNS " from martlet.events e left join lateral "           \
	"(select x.seq, x.content_type, x.body, x.mentions from martlet.events x "                 \
	"where e.edited_seq > 0 and e.redacted_seq = 0 and x.conversation_id = $2 "                \
	"and x.target_seq = e.seq and x.kind = 3 and x.seq <= coalesce(m.left_seq, x.seq) "        \
	"order by x.seq desc limit 1) x on true where e.conversation_id = $2 "                     \
	"and e.seq " side " $3 and e.seq >= m.first_seq and e.seq <= coalesce(m.left_seq, e.seq) " \
	"order by e." order " limit $4) q) p "                                                     \
	"on p.bytes < $5 and p.place < $4 "                                                        \
	"left join lateral (select array_agg(g.symbol order by g.symbol collate \"C\") as symbols, "  \
	"array_agg(g.count order by g.symbol collate \"C\") as counts, "                             \
	"array_agg(g.mine order by g.symbol collate \"C\") as mine from "                            \
	"(select r.symbol, count(*) as count, count(*) filter (where r.user_id = $1) as mine "     \
	"from martlet.reactions r where r.conversation_id = $2 and r.target_seq = p.seq "          \
	"group by r.symbol) g) r on p.reactions_seq > 0 and m.left_seq is null "                   \
	"where m.conversation_id = $2 and m.user_id = $1 order by p.seq"

/* The places come in order, so that it ends after the first ones that fill the page. */
#define LOG                                                                                        \
	"select " CUT_COLUMNS " from ("                                                            \
	MEASURED("q.ord, q.seq")                                                                   \
	"from (select i.ord, x.* from unnest($1::uuid[], $2::bigint[]) with ordinality "           \
	"as i (id, after_seq, ord) cross join lateral "                                            \
	"(select " EVENT_COLUMNS " from martlet.events e where e.conversation_id = i.id "          \
	"and e.seq > i.after_seq order by e.seq limit $3) x "                                      \
	"order by i.ord, x.seq limit $3) q) p "                                                    \
	"where p.bytes < $4 and p.place < $3 order by p.ord, p.seq"
/* clang-format on */

/* Each function that changes a conversation answers alike: how it ended, and the event if there is one. */
#define CHANGE(call)                                                                               \
	"select f.status, " EVENT_COLUMNS " from martlet." call                                    \
	" f left join lateral (select (f.event).*) e on true"

const struct statement writer_statements[WRITER_STATEMENTS] = {
	[STATEMENT_APPEND] = {"append",
                              "select ord, status, seq, created_at "
                              "from martlet.append($1, $2, $3, $4, $5, $6, $7)",
                              7,
                              {UUIDS, TEXTS, UUIDS, TEXTS, BYTEAS, BIGINTS, TEXTS}},
	[STATEMENT_MARK_RECEIPTS] = {"mark_receipts",
                                     "select ord, status, delivered_seq, read_seq, unread_count, "
                                     "is_told from martlet.mark_receipts($1, $2, $3, $4, $5)",
                                     5,
                                     {UUIDS, TEXTS, BIGINTS, BIGINTS, INTEGER}},
	[STATEMENT_SET_MUTE] = {"set_mute",
                                "select martlet.set_mute($1, $2, $3)",
                                3,
                                {UUID, TEXT, BIGINT}},
	[STATEMENT_EDIT_MESSAGE] = {"edit_message",
                                    CHANGE("edit_message($1, $2, $3, $4, $5, $6, $7)"),
                                    7,
                                    {UUID, TEXT, BIGINT, TEXT, BYTEA, TEXTS, INTEGER}},
	[STATEMENT_REDACT_MESSAGE] = {"redact_message",
                                      CHANGE("redact_message($1, $2, $3)"),
                                      3,
                                      {UUID, TEXT, BIGINT}},
	[STATEMENT_CHANGE_REACTION] = {"change_reaction",
                                       CHANGE("change_reaction($1, $2, $3, $4, $5, $6)"),
                                       6,
                                       {UUID, TEXT, BIGINT, TEXT, BOOLEAN, INTEGER}},
	[STATEMENT_UPDATE_GROUP] = {"update_group",
                                    CHANGE("update_group($1, $2, $3, $4, $5)"),
                                    5,
                                    {UUID, TEXT, TEXT, BOOLEAN, BOOLEAN}},
	[STATEMENT_ADD_MEMBERS] = {"add_members",
                                   CHANGE("add_members($1, $2, $3, $4)"),
                                   4,
                                   {UUID, TEXT, TEXTS, INTEGER}},
	[STATEMENT_REMOVE_MEMBER] = {"remove_member",
                                     CHANGE("remove_member($1, $2, $3)"),
                                     3,
                                     {UUID, TEXT, TEXT}},
	[STATEMENT_SET_ROLE] = {"set_role",
                                CHANGE("set_role($1, $2, $3, $4)"),
                                4,
                                {UUID, TEXT, TEXT, INTEGER}},
	[STATEMENT_STORE_NOTIFICATIONS] = NOTIFICATIONS_STORE,
	[STATEMENT_ACK_NOTIFICATIONS] = NOTIFICATIONS_ACK,
	[STATEMENT_SWEEP_NOTIFICATIONS] = NOTIFICATIONS_SWEEP,
	[STATEMENT_TELL_WAITING] = NOTIFICATIONS_TELL_WAITING,
	[STATEMENT_FORGET_TOLD] = NOTIFICATIONS_FORGET_TOLD,
	[STATEMENT_TAKE_OUTBOX] = OUTBOX_TAKE,
	[STATEMENT_FORGET_OUTBOX] = OUTBOX_FORGET,
	[STATEMENT_BLOCK] = PEOPLE_BLOCK,
	[STATEMENT_UNBLOCK] = PEOPLE_UNBLOCK,
	[STATEMENT_SEE] = PEOPLE_SEE,
	[STATEMENT_OPEN_DIRECT] = {"open_direct",
                                   "select is_created, conversation_id, created_at, users "
                                   "from martlet.open_direct($1, $2, $3)",
                                   3,
                                   {TEXT, TEXT, UUID}},
	[STATEMENT_CREATE_GROUP] = {"create_group",
                                    "select status, created_at, users "
                                    "from martlet.create_group($1, $2, $3, $4, $5, $6)",
                                    6,
                                    {UUID, TEXT, TEXT, TEXTS, BOOLEAN, BOOLEAN}},
};

const struct statement reader_statements[READER_STATEMENTS] = {
	/* One row of nulls at least: the version is there without any membership too. */
	[STATEMENT_FOLLOWS] = {"follows",
                               "select v.membership_version, f.id, f.last_seq, f.first_seq, "
                               "f.delivered_seq, f.read_seq, f.muted_until, f.version "
                               "from (select coalesce(max(u.membership_version), 0) "
                               "as membership_version from martlet.users u where u.id = $1) v "
                               "left join lateral (select c.id, c.last_seq, m.first_seq, "
                               "m.delivered_seq, m.read_seq, m.muted_until, "
                               "m.mutings + coalesce(w.version, 0) as version, "
                               "c.last_event_at from martlet.members m "
                               "join martlet.conversations c on c.id = m.conversation_id "
                               "left join martlet.receipt_versions w on w.conversation_id = c.id "
                               "where m.user_id = $1 and m.left_seq is null "
                               "order by c.last_event_at desc, c.id desc limit $2) f on true "
                               "order by f.last_event_at desc, f.id desc",
                               2,
                               {TEXT, BIGINT}},
	[STATEMENT_LIST_NOTIFICATIONS] = NOTIFICATIONS_LIST,
	[STATEMENT_BLOCKED] = PEOPLE_BLOCKED,
	[STATEMENT_BLOCKS_OF] = PEOPLE_BLOCKS_OF,
	[STATEMENT_VISIBLE] = PEOPLE_VISIBLE,
	[STATEMENT_MEMBERSHIPS] = {"memberships",
                                   "select " MEMBERSHIP_COLUMNS
                                   " from unnest($3::uuid[]) with ordinality as i (id, ord) "
                                   "join martlet.members m on m.conversation_id = i.id "
                                   "and m.user_id = $2 and m.left_seq is null "
                                   "join martlet.conversations c on c.id = i.id "
                                   "left join martlet.events e on e.conversation_id = c.id "
                                   "and e.seq = c.last_seq and e.seq >= m.first_seq "
                                   "order by i.ord",
                                   3,
                                   {INTEGER, TEXT, UUIDS}},
	[STATEMENT_LIST] = {"list",
                            "select " MEMBERSHIP_COLUMNS " from martlet.members m "
                            "join martlet.conversations c on c.id = m.conversation_id "
                            "left join martlet.events e on e.conversation_id = c.id "
                            "and e.seq = c.last_seq and e.seq >= m.first_seq "
                            "where m.user_id = $2 and m.left_seq is null and "
                            "(date_trunc('milliseconds', c.last_event_at), c.id) < "
                            "('epoch'::timestamptz + $3 * interval '1 millisecond', $4) "
                            "order by date_trunc('milliseconds', c.last_event_at) desc, c.id desc "
                            "limit $5",
                            5,
                            {INTEGER, TEXT, BIGINT, UUID, BIGINT}},
	[STATEMENT_HISTORY_BEFORE] = {"history_before",
                                      HISTORY("<", "seq desc"),
                                      5,
                                      {TEXT, UUID, BIGINT, BIGINT, BIGINT}},
	[STATEMENT_HISTORY_AFTER] = {"history_after",
                                     HISTORY(">", "seq"),
                                     5,
                                     {TEXT, UUID, BIGINT, BIGINT, BIGINT}},
	[STATEMENT_LOG] = {"log", LOG, 4, {UUIDS, BIGINTS, BIGINT, BIGINT}},
	[STATEMENT_LEFT] = {"left",
                            "select m.conversation_id, m.left_seq, 0 from martlet.members m "
                            "where m.user_id = $1 and m.conversation_id = any ($2)",
                            2,
                            {TEXT, UUIDS}},
	/* One row of nulls at least, if the user is a member: none is NOT_FOUND. */
	[STATEMENT_MEMBERS] = {"members",
                               "select o.user_id, o.role from martlet.members m left join lateral "
                               "(select x.user_id, x.role from martlet.members x "
                               "where x.conversation_id = m.conversation_id and x.user_id > $3 "
                               "and x.left_seq is null order by x.user_id limit $4) o on true "
                               "where m.conversation_id = $2 and m.user_id = $1 "
                               "and m.left_seq is null order by o.user_id",
                               4,
                               {TEXT, UUID, TEXT, BIGINT}},
	[STATEMENT_RECEIPTS] = {"receipts",
                                "select count(*) filter (where o.delivered_seq >= $3), "
                                "count(*) filter (where o.read_seq >= $3) "
                                "from martlet.members m join martlet.events e "
                                "on e.conversation_id = $2 and e.seq = $3 and e.seq >= m.first_seq "
                                "left join martlet.members o on o.conversation_id = $2 "
                                "and o.left_seq is null and o.user_id <> e.sender "
                                "and o.first_seq <= e.seq "
                                "where m.conversation_id = $2 and m.user_id = $1 "
                                "and m.left_seq is null group by m.user_id",
                                3,
                                {TEXT, UUID, BIGINT}},
	[STATEMENT_HEADS] = {"heads",
                             "select c.id, c.last_seq, c.member_count "
                             "from martlet.conversations c where c.id = any ($1)",
                             1,
                             {UUIDS}},
	[STATEMENT_MEMBERSHIP_VERSIONS] = {"membership_versions",
                                           "select u.id, u.membership_version, "
                                           "u.notification_version "
                                           "from martlet.users u where u.id = any ($1)",
                                           1,
                                           {TEXTS}},
};

/* A question on its way: whom to answer, and what is needed to understand the rows. */
struct question {
	union {
		void (*follows)(void *context, const struct follows_answer *answer);
		void (*memberships)(void *context, const struct memberships_answer *answer);
		void (*events)(void *context, const struct events_answer *answer);
		void (*heads)(void *context, const struct heads_answer *answer);
		void (*versions)(void *context, const struct membership_versions_answer *answer);
		void (*began)(void *context, const struct began_answer *answer);
		void (*members)(void *context, const struct members_answer *answer);
		void (*receipts)(void *context, const struct receipts_answer *answer);
		void (*outcome)(void *context, const struct outcome *outcome);
	} done;
	void *context;
	uint32_t limit;         /* rows that would be a whole page */
	struct user_id creator; /* of what begins */
	struct uuid conversation;
	char title[LIMIT_TITLE_BYTES + 1];
	bool is_announcement;
	bool has_full_history;
};

static struct question *question_new(void *context)
{
	struct question *question = memory_new(sizeof(*question));

	question->context = context;
	return question;
}

static size_t rows(const PGresult *result)
{
	return result ? (size_t)PQntuples(result) : 0;
}

/* Another number whenever one of these is another; never 0, which is a client's "I know none". `changes` counts the
 * changes of others' receipts and of the muting, so that none of them is ever undone. */
static uint32_t state_version(int64_t delivered_seq, int64_t read_seq, int64_t muted_until_ms,
                              int64_t changes)
{
	const int64_t parts[] = {delivered_seq, read_seq, muted_until_ms, changes};
	uint64_t mixed = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		mixed = (mixed ^ (uint64_t)parts[i]) * UINT64_C(0x9e3779b97f4a7c15);
		mixed ^= mixed >> 32;
	}
	return (uint32_t)mixed ? (uint32_t)mixed : 1;
}

/* Follows. */

static void on_follows(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct follow *follows = memory_new_array(count, sizeof(*follows));
	struct follows_answer answer = {.outcome = *outcome, .follows = follows};

	for (int row = 0; row < (int)count; row++) {
		struct follow *follow = &follows[answer.count];

		answer.membership_version = (uint64_t)row_bigint(result, row, 0);
		follow->conversation = row_uuid(result, row, 1);
		follow->last_seq = (uint64_t)row_bigint(result, row, 2);
		follow->first_seq = (uint64_t)row_bigint(result, row, 3);
		follow->state_version =
			state_version(row_bigint(result, row, 4), row_bigint(result, row, 5),
		                      row_time_ms(result, row, 6), row_bigint(result, row, 7));
		answer.count += !PQgetisnull(result, row, 1);
	}
	question->done.follows(question->context, &answer);
	free(follows);
	free(question);
}

void query_follows(struct store *store, const struct user_id *user, uint32_t limit,
                   void (*done)(void *context, const struct follows_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.follows = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_bigint(&parameters, limit);
	connection_ask(store->reader, STATEMENT_FOLLOWS, &parameters, on_follows, question);
}

/* Memberships. */

/* What a membership points to. */
struct membership_row {
	struct event last_event;
};

static void read_receipts(const PGresult *result, int row, int column, struct arena *arena,
                          struct membership *ret_membership)
{
	size_t count;
	const char **users = row_texts(result, row, column, arena, &count);
	const int64_t *delivered = row_bigints(result, row, column + 1, arena, &count);
	const int64_t *read = row_bigints(result, row, column + 2, arena, &count);
	struct receipt *receipts = count ? arena_get(arena, count * sizeof(*receipts)) : NULL;

	must(!count || receipts);
	for (size_t i = 0; i < count; i++)
		receipts[i] = (struct receipt){users[i], (uint64_t)delivered[i], (uint64_t)read[i]};
	ret_membership->receipts = receipts;
	ret_membership->receipts_count = count;
}

static void read_membership(const PGresult *result, int row, struct arena *arena,
                            struct membership_row *memory, struct membership *ret_membership)
{
	*ret_membership = (struct membership){
		.conversation = row_uuid(result, row, 0),
		.kind = (enum conversation_kind)row_smallint(result, row, 1),
		.role = (enum role)row_smallint(result, row, 2),
		.title = row_text(result, row, 3),
		.peer = row_text(result, row, 4),
		.member_count = (uint32_t)row_integer(result, row, 5),
		.last_seq = (uint64_t)row_bigint(result, row, 6),
		.first_seq = (uint64_t)row_bigint(result, row, 7),
		.delivered_seq = (uint64_t)row_bigint(result, row, 8),
		.read_seq = (uint64_t)row_bigint(result, row, 9),
		.last_event_time_ms = row_time_ms(result, row, 10),
		.is_announcement = row_boolean(result, row, 11),
		.has_full_history = row_boolean(result, row, 12),
		.muted_until_ms = row_time_ms(result, row, 13),
		.state_version =
			state_version(row_bigint(result, row, 8), row_bigint(result, row, 9),
	                              row_time_ms(result, row, 13), row_bigint(result, row, 14)),
		.unread_count = (uint32_t)row_integer(result, row, 15),
	};
	read_receipts(result, row, 16, arena, ret_membership);
	if (PQgetisnull(result, row, MEMBERSHIP_EVENT_COLUMN))
		return;
	memory->last_event = event_from_row(result, row, MEMBERSHIP_EVENT_COLUMN, arena);
	ret_membership->last_event = &memory->last_event;
}

static void on_memberships(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct arena *arena = arena_create(SIZE_MAX);
	size_t count = rows(result);
	struct membership *memberships = memory_new_array(count, sizeof(*memberships));
	struct membership_row *memory = memory_new_array(count, sizeof(*memory));
	struct memberships_answer answer = {
		.outcome = *outcome, .memberships = memberships, .count = count};

	for (size_t i = 0; i < count; i++)
		read_membership(result, (int)i, arena, &memory[i], &memberships[i]);
	if (question->limit && count > question->limit) {
		answer.has_more = true;
		answer.count = question->limit;
	}
	question->done.memberships(question->context, &answer);
	free(memory);
	free(memberships);
	arena_destroy(arena);
	free(question);
}

void query_memberships(struct store *store, const struct user_id *user,
                       const struct uuid *conversations, size_t count,
                       void (*done)(void *context, const struct memberships_answer *answer),
                       void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.memberships = done;
	parameters_init(&parameters);
	parameters_add_integer(&parameters, (int32_t)store->receipt_members);
	parameters_add_text(&parameters, user->text);
	parameters_add_uuids(&parameters, conversations, count);
	connection_ask(store->reader, STATEMENT_MEMBERSHIPS, &parameters, on_memberships, question);
}

void query_list(struct store *store, const struct user_id *user, const struct list_place *after,
                uint32_t limit,
                void (*done)(void *context, const struct memberships_answer *answer), void *context)
{
	/* The first page begins after everything: in the year 2255. */
	static const struct list_place beginning = {INT64_C(9000000000000), {{0}}};
	struct question *question = question_new(context);
	struct parameters parameters;

	if (!after)
		after = &beginning;
	question->done.memberships = done;
	question->limit = limit;
	parameters_init(&parameters);
	parameters_add_integer(&parameters, (int32_t)store->receipt_members);
	parameters_add_text(&parameters, user->text);
	parameters_add_bigint(&parameters, after->last_event_time_ms);
	parameters_add_uuid(&parameters, &after->conversation);
	parameters_add_bigint(&parameters, (int64_t)limit + 1);
	connection_ask(store->reader, STATEMENT_LIST, &parameters, on_memberships, question);
}

/* Events. */

static struct outcome no_conversation(void)
{
	return outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
}

static void answer_events(struct question *question, const PGresult *result,
                          const struct outcome *outcome, size_t count, bool is_history)
{
	struct arena *arena = arena_create(SIZE_MAX);
	struct event *events = memory_new_array(count, sizeof(*events));
	struct events_answer answer = {.outcome = *outcome, .events = events, .count = count};

	for (size_t i = 0; i < count; i++)
		events[i] = is_history ? event_from_history_row(result, (int)i, 0, REACTIONS_COLUMN,
		                                                arena)
		                       : event_from_row(result, (int)i, 0, arena);
	answer.has_more = count && row_bigint(result, 0, TOTAL_COLUMN) > (int64_t)count;
	question->done.events(question->context, &answer);
	free(events);
	arena_destroy(arena);
	free(question);
}

static void on_log(void *context, const PGresult *result, const struct outcome *outcome)
{
	answer_events(context, result, outcome, rows(result), false);
}

/* A member without events gets one row of nulls; who is no member gets none. */
static void on_history(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct outcome refused = *outcome;
	size_t count = rows(result);

	if (outcome_is_ok(outcome) && !count)
		refused = no_conversation();
	if (count == 1 && PQgetisnull(result, 0, 1))
		count = 0;
	answer_events(context, result, &refused, count, true);
}

void query_history(struct store *store, const struct user_id *user, const struct uuid *conversation,
                   enum history_direction direction, uint64_t seq, uint32_t limit,
                   uint32_t max_bytes,
                   void (*done)(void *context, const struct events_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;
	bool is_newest = direction == HISTORY_BEFORE && !seq;

	question->done.events = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_uuid(&parameters, conversation);
	parameters_add_bigint(&parameters, is_newest || seq > INT64_MAX ? INT64_MAX : (int64_t)seq);
	parameters_add_bigint(&parameters, (int64_t)limit + 1);
	parameters_add_bigint(&parameters, max_bytes);
	connection_ask(store->reader,
	               direction == HISTORY_BEFORE ? STATEMENT_HISTORY_BEFORE
	                                           : STATEMENT_HISTORY_AFTER,
	               &parameters, on_history, question);
}

void query_log(struct store *store, const struct log_place *places, size_t count, uint32_t limit,
               uint32_t max_bytes, void (*done)(void *context, const struct events_answer *answer),
               void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.events = done;
	parameters_init(&parameters);
	parameters_begin_array(&parameters, ELEMENT_UUID, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(&parameters, places[i].conversation.bytes,
		                       sizeof(struct uuid));
	parameters_end_array(&parameters);
	parameters_begin_array(&parameters, ELEMENT_BIGINT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_bigint_element(&parameters, (int64_t)places[i].after_seq);
	parameters_end_array(&parameters);
	parameters_add_bigint(&parameters, (int64_t)limit + 1);
	parameters_add_bigint(&parameters, max_bytes);
	connection_ask(store->reader, STATEMENT_LOG, &parameters, on_log, question);
}

/* Who left, who is there, who has what. */

static void on_heads(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct head *heads = memory_new_array(count, sizeof(*heads));
	struct heads_answer answer = {.outcome = *outcome, .heads = heads, .count = count};

	for (int row = 0; row < (int)count; row++) {
		heads[row].conversation = row_uuid(result, row, 0);
		heads[row].last_seq = (uint64_t)row_bigint(result, row, 1);
		heads[row].member_count = (uint32_t)row_integer(result, row, 2);
	}
	question->done.heads(question->context, &answer);
	free(heads);
	free(question);
}

void query_left(struct store *store, const struct user_id *user, const struct uuid *conversations,
                size_t count, void (*done)(void *context, const struct heads_answer *answer),
                void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.heads = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_uuids(&parameters, conversations, count);
	connection_ask(store->reader, STATEMENT_LEFT, &parameters, on_heads, question);
}

static void on_members(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct member *members = memory_new_array(count, sizeof(*members));
	struct members_answer answer = {.outcome = *outcome, .members = members};

	if (outcome_is_ok(outcome) && !count)
		answer.outcome = no_conversation();
	for (int row = 0; row < (int)count && !PQgetisnull(result, row, 0); row++) {
		members[row].user = row_text(result, row, 0);
		members[row].role = (enum role)row_smallint(result, row, 1);
		answer.count++;
	}
	answer.has_more = answer.count > question->limit;
	if (answer.has_more)
		answer.count = question->limit;
	question->done.members(question->context, &answer);
	free(members);
	free(question);
}

void query_members(struct store *store, const struct user_id *user, const struct uuid *conversation,
                   const char *after, uint32_t limit,
                   void (*done)(void *context, const struct members_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.members = done;
	question->limit = limit;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_uuid(&parameters, conversation);
	parameters_add_text(&parameters, after);
	parameters_add_bigint(&parameters, (int64_t)limit + 1);
	connection_ask(store->reader, STATEMENT_MEMBERS, &parameters, on_members, question);
}

static void on_receipts(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct receipts_answer answer = {.outcome = *outcome};

	if (outcome_is_ok(outcome) && !rows(result))
		answer.outcome = outcome_refuse(OUTCOME_NOT_FOUND, "you have no such event");
	if (rows(result)) {
		answer.delivered_count = (uint32_t)row_bigint(result, 0, 0);
		answer.read_count = (uint32_t)row_bigint(result, 0, 1);
	}
	question->done.receipts(question->context, &answer);
	free(question);
}

void query_receipts(struct store *store, const struct user_id *user,
                    const struct uuid *conversation, uint64_t seq,
                    void (*done)(void *context, const struct receipts_answer *answer),
                    void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.receipts = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_uuid(&parameters, conversation);
	parameters_add_bigint(&parameters, (int64_t)seq);
	connection_ask(store->reader, STATEMENT_RECEIPTS, &parameters, on_receipts, question);
}

static void on_mute(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct outcome ended = *outcome;

	if (rows(result) && !row_boolean(result, 0, 0))
		ended = no_conversation();
	question->done.outcome(question->context, &ended);
	free(question);
}

void query_set_mute(struct store *store, const struct user_id *user,
                    const struct uuid *conversation, int64_t until_ms,
                    void (*done)(void *context, const struct outcome *outcome), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.outcome = done;
	parameters_init(&parameters);
	parameters_add_uuid(&parameters, conversation);
	parameters_add_text(&parameters, user->text);
	parameters_add_bigint(&parameters, until_ms);
	connection_ask(store->writer, STATEMENT_SET_MUTE, &parameters, on_mute, question);
}

/* Heads and versions. */

void query_heads(struct store *store, const struct uuid *conversations, size_t count,
                 void (*done)(void *context, const struct heads_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.heads = done;
	parameters_init(&parameters);
	parameters_add_uuids(&parameters, conversations, count);
	connection_ask(store->reader, STATEMENT_HEADS, &parameters, on_heads, question);
}

static void on_versions(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct membership_version *versions = memory_new_array(count, sizeof(*versions));
	struct membership_versions_answer answer = {.outcome = *outcome, .versions = versions};

	for (int row = 0; row < (int)count; row++) {
		struct membership_version *version = &versions[answer.count];

		version->version = (uint64_t)row_bigint(result, row, 1);
		version->notifications = (uint64_t)row_bigint(result, row, 2);
		answer.count += user_id_from_text(row_text(result, row, 0), &version->user);
	}
	question->done.versions(question->context, &answer);
	free(versions);
	free(question);
}

void query_membership_versions(struct store *store, const struct user_id *users, size_t count,
                               void (*done)(void *context,
                                            const struct membership_versions_answer *answer),
                               void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.versions = done;
	parameters_init(&parameters);
	parameters_add_users(&parameters, users, count);
	connection_ask(store->reader, STATEMENT_MEMBERSHIP_VERSIONS, &parameters, on_versions,
	               question);
}

/* Beginnings. */

/* The first event of what began just now, as martlet.begin_conversation wrote it. */
static void answer_began(struct question *question, const PGresult *result, int time_column,
                         struct began_answer *answer)
{
	struct arena *arena = arena_create(SIZE_MAX);
	size_t count;
	const char **names = row_texts(result, 0, time_column + 1, arena, &count);
	struct user_id *members = memory_new_array(count, sizeof(*members));

	for (size_t i = 0; i < count; i++)
		answer->members_count +=
			user_id_from_text(names[i], &members[answer->members_count]);
	answer->members = members;
	answer->is_created = true;
	answer->created = (struct event){
		.conversation = answer->conversation,
		.seq = 1,
		.kind = EVENT_CREATED,
		.sender = question->creator.text,
		.time_ms = row_time_ms(result, 0, time_column),
		.title = question->title,
		.is_announcement = question->is_announcement,
		.has_full_history = question->has_full_history,
		.users = names,
		.users_count = count > LIMIT_CREATED_MEMBERS ? 0 : count,
		.member_count = (uint32_t)count,
	};
	question->done.began(question->context, answer);
	free(members);
	arena_destroy(arena);
}

static void on_direct(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct began_answer answer = {.outcome = *outcome};

	if (rows(result) && PQgetisnull(result, 0, 1))
		answer.outcome =
			outcome_refuse(OUTCOME_PERMISSION_DENIED, "you cannot write to this user");
	else if (rows(result))
		answer.conversation = row_uuid(result, 0, 1);
	if (rows(result) && row_boolean(result, 0, 0))
		answer_began(question, result, 2, &answer);
	else
		question->done.began(question->context, &answer);
	free(question);
}

void query_open_direct(struct store *store, const struct user_id *user, const struct user_id *peer,
                       const struct uuid *proposed,
                       void (*done)(void *context, const struct began_answer *answer),
                       void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.began = done;
	question->creator = *user;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_text(&parameters, peer->text);
	parameters_add_uuid(&parameters, proposed);
	connection_ask(store->writer, STATEMENT_OPEN_DIRECT, &parameters, on_direct, question);
}

static void on_group(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct began_answer answer = {.outcome = *outcome, .conversation = question->conversation};
	int16_t status = rows(result) ? row_smallint(result, 0, 0) : 1;

	if (status == 2)
		answer.outcome = outcome_refuse(OUTCOME_ALREADY_EXISTS,
		                                "conversation_id belongs to something else; make a "
		                                "new UUID for each group");
	if (status == 3)
		answer.outcome = outcome_refuse(OUTCOME_PERMISSION_DENIED,
		                                "one of these users cannot be added by you");
	if (status == 0)
		answer_began(question, result, 1, &answer);
	else
		question->done.began(question->context, &answer);
	free(question);
}

void query_create_group(struct store *store, const struct uuid *conversation,
                        const struct user_id *owner, const struct group_beginning *group,
                        void (*done)(void *context, const struct began_answer *answer),
                        void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	must(strlen(group->title) <= LIMIT_TITLE_BYTES);
	question->done.began = done;
	question->creator = *owner;
	question->conversation = *conversation;
	question->is_announcement = group->is_announcement;
	question->has_full_history = group->has_full_history;
	memcpy(question->title, group->title, strlen(group->title));
	parameters_init(&parameters);
	parameters_add_uuid(&parameters, conversation);
	parameters_add_text(&parameters, owner->text);
	parameters_add_text(&parameters, group->title);
	parameters_add_users(&parameters, group->members, group->members_count);
	parameters_add_boolean(&parameters, group->is_announcement);
	parameters_add_boolean(&parameters, group->has_full_history);
	connection_ask(store->writer, STATEMENT_CREATE_GROUP, &parameters, on_group, question);
}
