#include "store/query.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/people_statements.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

/* The columns of an event, for `e` is martlet.events: read by read_event. */
#define EVENT_COLUMNS                                                                              \
	"e.conversation_id, e.seq, e.kind, e.sender, e.created_at, e.client_message_id, "          \
	"e.content_type, e.body, e.reply_to_seq, e.title, e.users, e.users_count"

/* A conversation as a member has it, for `c` and `m`, with its newest event: read by read_membership. */
#define MEMBERSHIP_COLUMNS                                                                         \
	"c.id, c.kind, m.role, c.title, "                                                          \
	"case when c.kind = 1 then (select o.user_id from martlet.members o "                      \
	"where o.conversation_id = c.id and o.user_id <> m.user_id limit 1) end, "                 \
	"c.member_count, c.last_seq, m.first_seq, m.delivered_seq, m.read_seq, c.last_event_at, " EVENT_COLUMNS
#define MEMBERSHIP_EVENT_COLUMN 11

/* A page asks for one event more than it takes, in `q`, and is cut where the bytes before an event reach the
 * limit, so that there is always one. `total` counts what was found before the cut. */
#define CUT_COLUMNS                                                                                \
	"p.conversation_id, p.seq, p.kind, p.sender, p.created_at, p.client_message_id, "          \
	"p.content_type, p.body, p.reply_to_seq, p.title, p.users, p.users_count, p.total"
#define TOTAL_COLUMN 12

/* clang-format off */
#define MEASURED(order)                                                                            \
	"select q.*, sum(length(q.body)) over (order by " order ") - length(q.body) as bytes, "    \
	"row_number() over (order by " order ") as place, count(*) over () as total "

/* One row of nulls at least, if the user is a member: none is NOT_FOUND. */
#define HISTORY(side, order)                                                                       \
	"select " CUT_COLUMNS " from martlet.members m left join lateral ("                        \
	MEASURED(order)                                                                            \
	"from (select " EVENT_COLUMNS " from martlet.events e where e.conversation_id = $2 "       \
	"and e.seq " side " $3 and e.seq >= m.first_seq order by e." order " limit $4) q) p "      \
	"on p.bytes < $5 and p.place < $4 "                                                        \
	"where m.conversation_id = $2 and m.user_id = $1 and m.left_seq is null order by p.seq"

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

const struct statement writer_statements[WRITER_STATEMENTS] = {
	[STATEMENT_APPEND] = {"append",
                              "select ord, status, seq, created_at "
                              "from martlet.append($1, $2, $3, $4, $5, $6)",
                              6,
                              {UUIDS, TEXTS, UUIDS, TEXTS, BYTEAS, BIGINTS}},
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
                                    "from martlet.create_group($1, $2, $3, $4)",
                                    4,
                                    {UUID, TEXT, TEXT, TEXTS}},
};

const struct statement reader_statements[READER_STATEMENTS] = {
	/* One row of nulls at least: the version is there without any membership too. */
	[STATEMENT_FOLLOWS] = {"follows",
                               "select v.membership_version, f.id, f.last_seq, f.first_seq "
                               "from (select coalesce(max(u.membership_version), 0) "
                               "as membership_version from martlet.users u where u.id = $1) v "
                               "left join lateral (select c.id, c.last_seq, m.first_seq, "
                               "c.last_event_at from martlet.members m "
                               "join martlet.conversations c on c.id = m.conversation_id "
                               "where m.user_id = $1 and m.left_seq is null "
                               "order by c.last_event_at desc, c.id desc limit $2) f on true "
                               "order by f.last_event_at desc, f.id desc",
                               2,
                               {TEXT, BIGINT}},
	[STATEMENT_BLOCKED] = PEOPLE_BLOCKED,
	[STATEMENT_BLOCKS_OF] = PEOPLE_BLOCKS_OF,
	[STATEMENT_VISIBLE] = PEOPLE_VISIBLE,
	[STATEMENT_MEMBERSHIPS] = {"memberships",
                                   "select " MEMBERSHIP_COLUMNS
                                   " from unnest($2::uuid[]) with ordinality as i (id, ord) "
                                   "join martlet.members m on m.conversation_id = i.id "
                                   "and m.user_id = $1 and m.left_seq is null "
                                   "join martlet.conversations c on c.id = i.id "
                                   "left join martlet.events e on e.conversation_id = c.id "
                                   "and e.seq = c.last_seq and e.seq >= m.first_seq "
                                   "order by i.ord",
                                   2,
                                   {TEXT, UUIDS}},
	[STATEMENT_LIST] = {"list",
                            "select " MEMBERSHIP_COLUMNS " from martlet.members m "
                            "join martlet.conversations c on c.id = m.conversation_id "
                            "left join martlet.events e on e.conversation_id = c.id "
                            "and e.seq = c.last_seq and e.seq >= m.first_seq "
                            "where m.user_id = $1 and m.left_seq is null and "
                            "(date_trunc('milliseconds', c.last_event_at), c.id) < "
                            "('epoch'::timestamptz + $2 * interval '1 millisecond', $3) "
                            "order by date_trunc('milliseconds', c.last_event_at) desc, c.id desc "
                            "limit $4",
                            4,
                            {TEXT, BIGINT, UUID, BIGINT}},
	[STATEMENT_HISTORY_BEFORE] = {"history_before",
                                      HISTORY("<", "seq desc"),
                                      5,
                                      {TEXT, UUID, BIGINT, BIGINT, BIGINT}},
	[STATEMENT_HISTORY_AFTER] = {"history_after",
                                     HISTORY(">", "seq"),
                                     5,
                                     {TEXT, UUID, BIGINT, BIGINT, BIGINT}},
	[STATEMENT_LOG] = {"log", LOG, 4, {UUIDS, BIGINTS, BIGINT, BIGINT}},
	[STATEMENT_HEADS] = {"heads",
                             "select c.id, c.last_seq, c.member_count "
                             "from unnest($1::uuid[]) as i (id) "
                             "join martlet.conversations c on c.id = i.id",
                             1,
                             {UUIDS}},
	[STATEMENT_MEMBERSHIP_VERSIONS] = {"membership_versions",
                                           "select u.id, u.membership_version "
                                           "from unnest($1::text[]) as i (id) "
                                           "join martlet.users u on u.id = i.id",
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
	} done;
	void *context;
	uint32_t limit;         /* rows that would be a whole page */
	struct user_id creator; /* of what begins */
	struct uuid conversation;
	char title[LIMIT_TITLE_BYTES + 1];
};

static struct question *question_new(void *context)
{
	struct question *question = memory_new(sizeof(*question));

	question->context = context;
	return question;
}

static void add_uuids(struct parameters *parameters, const struct uuid *ids, size_t count)
{
	parameters_begin_array(parameters, ELEMENT_UUID, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(parameters, ids[i].bytes, sizeof(ids[i].bytes));
	parameters_end_array(parameters);
}

static void add_users(struct parameters *parameters, const struct user_id *users, size_t count)
{
	parameters_begin_array(parameters, ELEMENT_TEXT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(parameters, users[i].text, strlen(users[i].text));
	parameters_end_array(parameters);
}

static size_t rows(const PGresult *result)
{
	return result ? (size_t)PQntuples(result) : 0;
}

/* Events. `ret_names` takes what must be freed after the event was used. */
static struct event read_event(const PGresult *result, int row, int column, const char ***ret_names)
{
	struct event event = {
		.conversation = row_uuid(result, row, column),
		.seq = (uint64_t)row_bigint(result, row, column + 1),
		.kind = (enum event_kind)row_smallint(result, row, column + 2),
		.sender = row_text(result, row, column + 3),
		.time_ms = row_time_ms(result, row, column + 4),
		.client_message_id = row_uuid(result, row, column + 5),
		.content_type = row_text(result, row, column + 6),
		.reply_to_seq = (uint64_t)row_bigint(result, row, column + 8),
		.title = row_text(result, row, column + 9),
		.member_count = (uint32_t)row_integer(result, row, column + 11),
	};

	event.body = row_bytes(result, row, column + 7, &event.body_size);
	*ret_names = row_texts(result, row, column + 10, &event.members_count);
	event.members = *ret_names;
	return event;
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

struct membership_row {
	struct event last_event;
	const char **names;
};

static void read_membership(const PGresult *result, int row, struct membership_row *memory,
                            struct membership *ret_membership)
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
	};
	if (PQgetisnull(result, row, MEMBERSHIP_EVENT_COLUMN))
		return;
	memory->last_event = read_event(result, row, MEMBERSHIP_EVENT_COLUMN, &memory->names);
	ret_membership->last_event = &memory->last_event;
}

static void on_memberships(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct membership *memberships = memory_new_array(count, sizeof(*memberships));
	struct membership_row *memory = memory_new_array(count, sizeof(*memory));
	struct memberships_answer answer = {
		.outcome = *outcome, .memberships = memberships, .count = count};

	for (size_t i = 0; i < count; i++)
		read_membership(result, (int)i, &memory[i], &memberships[i]);
	if (question->limit && count > question->limit) {
		answer.has_more = true;
		answer.count = question->limit;
	}
	question->done.memberships(question->context, &answer);
	for (size_t i = 0; i < count; i++)
		free(memory[i].names);
	free(memory);
	free(memberships);
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
	parameters_add_text(&parameters, user->text);
	add_uuids(&parameters, conversations, count);
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
	parameters_add_text(&parameters, user->text);
	parameters_add_bigint(&parameters, after->last_event_time_ms);
	parameters_add_uuid(&parameters, &after->conversation);
	parameters_add_bigint(&parameters, (int64_t)limit + 1);
	connection_ask(store->reader, STATEMENT_LIST, &parameters, on_memberships, question);
}

/* Events. */

static void answer_events(struct question *question, const PGresult *result,
                          const struct outcome *outcome, size_t count)
{
	struct event *events = memory_new_array(count, sizeof(*events));
	const char ***names = memory_new_array(count, sizeof(*names));
	struct events_answer answer = {.outcome = *outcome, .events = events, .count = count};

	for (size_t i = 0; i < count; i++)
		events[i] = read_event(result, (int)i, 0, &names[i]);
	answer.has_more = count && row_bigint(result, 0, TOTAL_COLUMN) > (int64_t)count;
	question->done.events(question->context, &answer);
	for (size_t i = 0; i < count; i++)
		free((void *)names[i]);
	free((void *)names);
	free(events);
	free(question);
}

static void on_log(void *context, const PGresult *result, const struct outcome *outcome)
{
	answer_events(context, result, outcome, rows(result));
}

/* A member without events gets one row of nulls; who is no member gets none. */
static void on_history(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct outcome refused = *outcome;
	size_t count = rows(result);

	if (outcome_is_ok(outcome) && !count)
		refused = outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
	if (count == 1 && PQgetisnull(result, 0, 1))
		count = 0;
	answer_events(context, result, &refused, count);
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

/* Heads and versions. */

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

void query_heads(struct store *store, const struct uuid *conversations, size_t count,
                 void (*done)(void *context, const struct heads_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.heads = done;
	parameters_init(&parameters);
	add_uuids(&parameters, conversations, count);
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
	add_users(&parameters, users, count);
	connection_ask(store->reader, STATEMENT_MEMBERSHIP_VERSIONS, &parameters, on_versions,
	               question);
}

/* Beginnings. */

/* The first event of what began just now, as martlet.begin_conversation wrote it. */
static void answer_began(struct question *question, const PGresult *result, int time_column,
                         struct began_answer *answer)
{
	size_t count;
	const char **names = row_texts(result, 0, time_column + 1, &count);
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
		.members = names,
		.members_count = count > LIMIT_CREATED_MEMBERS ? 0 : count,
		.member_count = (uint32_t)count,
	};
	question->done.began(question->context, answer);
	free(members);
	free((void *)names);
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
	if (status == 0)
		answer_began(question, result, 1, &answer);
	else
		question->done.began(question->context, &answer);
	free(question);
}

void query_create_group(struct store *store, const struct uuid *conversation,
                        const struct user_id *owner, const char *title,
                        const struct user_id *members, size_t members_count,
                        void (*done)(void *context, const struct began_answer *answer),
                        void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	must(strlen(title) <= LIMIT_TITLE_BYTES);
	question->done.began = done;
	question->creator = *owner;
	question->conversation = *conversation;
	memcpy(question->title, title, strlen(title));
	parameters_init(&parameters);
	parameters_add_uuid(&parameters, conversation);
	parameters_add_text(&parameters, owner->text);
	parameters_add_text(&parameters, title);
	add_users(&parameters, members, members_count);
	connection_ask(store->writer, STATEMENT_CREATE_GROUP, &parameters, on_group, question);
}
