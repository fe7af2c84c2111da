#include "store/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 5000
#define EVENTS_MOST 128
#define BYTES_MANY 1000000

static const char *const bob[] = {"bob", NULL};

/* A page of events as it came; the fields of the first are kept besides. */
struct page {
	struct outcome outcome;
	size_t count;
	bool has_more;
	uint64_t seqs[EVENTS_MOST];
	struct uuid conversations[EVENTS_MOST];
	enum event_kind first_kind;
	char first_sender[80];
	char first_body[80];
	char first_title[80];
	uint64_t first_reactions_seq;
	int answers;
};

static void on_events(void *context, const struct events_answer *answer)
{
	struct page *page = context;

	page->outcome = answer->outcome;
	page->count = answer->count;
	page->has_more = answer->has_more;
	page->answers++;
	assert_true(answer->count <= EVENTS_MOST);
	for (size_t i = 0; i < answer->count; i++) {
		page->seqs[i] = answer->events[i].seq;
		page->conversations[i] = answer->events[i].conversation;
	}
	if (!answer->count)
		return;
	page->first_kind = answer->events[0].kind;
	snprintf(page->first_sender, sizeof(page->first_sender), "%s", answer->events[0].sender);
	snprintf(page->first_body, sizeof(page->first_body), "%.*s",
	         (int)answer->events[0].body_size, (const char *)answer->events[0].body);
	snprintf(page->first_title, sizeof(page->first_title), "%s", answer->events[0].title);
	page->first_reactions_seq = answer->events[0].reactions_seq;
}

static struct page read_history(struct stage *stage, const char *who,
                                const struct uuid *conversation, enum history_direction direction,
                                uint64_t seq, uint32_t limit, uint32_t max_bytes)
{
	struct user_id id = user(who);
	struct page page = {.answers = 0};

	query_history(stage->store, &id, conversation, direction, seq, limit, max_bytes, on_events,
	              &page);
	assert_int_equal(page.answers, 0);
	await(stage, page.answers);
	return page;
}

static void assert_seqs(const struct page *page, uint64_t first, size_t count, bool has_more)
{
	assert_int_equal(page->outcome.code, OUTCOME_OK);
	assert_int_equal(page->count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(page->seqs[i], first + i);
	assert_int_equal(page->has_more, has_more);
}

static void history_pages_both_ways(void **state)
{
	/* The log has 11 events; each message's body is one byte, or two. */
	static const struct {
		enum history_direction direction;
		uint64_t seq;
		uint32_t limit;
		uint64_t first;
		size_t count;
		bool has_more;
	} cases[] = {
		{HISTORY_BEFORE, 0, 4, 8, 4, true},
		{HISTORY_BEFORE, 8, 4, 4, 4, true},
		{HISTORY_BEFORE, 4, 4, 1, 3, false},
		{HISTORY_BEFORE, 5, 4, 1, 4, false},
		{HISTORY_BEFORE, 0, 11, 1, 11, false},
		{HISTORY_BEFORE, 1, 4, 0, 0, false},
		{HISTORY_BEFORE, 999, 2, 10, 2, true},
		{HISTORY_AFTER, 0, 4, 1, 4, true},
		{HISTORY_AFTER, 4, 4, 5, 4, true},
		{HISTORY_AFTER, 8, 4, 9, 3, false},
		{HISTORY_AFTER, 7, 4, 8, 4, false},
		{HISTORY_AFTER, 11, 4, 0, 0, false},
		{HISTORY_AFTER, 999, 4, 0, 0, false},
		{HISTORY_AFTER, UINT64_MAX, 4, 0, 0, false},
		{HISTORY_BEFORE, UINT64_MAX, 1, 11, 1, true},
	};
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	fill_conversation(&stage, &group, "alice", 10);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct page page = read_history(&stage, "bob", &group, cases[i].direction,
		                                cases[i].seq, cases[i].limit, BYTES_MANY);

		print_message("case %zu\n", i);
		assert_seqs(&page, cases[i].first, cases[i].count, cases[i].has_more);
	}
	stage_close(&stage);
}

static void history_is_cut_at_its_bytes_on_the_far_side(void **state)
{
	struct stage stage;
	struct sending sending;
	struct page page;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	for (int i = 0; i < 5; i++) {
		send_message(stage.store, &sending, &group, "alice", "0123456789");
		await(&stage, sending.answers);
	}
	/* Events 2 to 6 have ten bytes each, the first has none. */
	page = read_history(&stage, "bob", &group, HISTORY_BEFORE, 0, 50, 25);
	assert_seqs(&page, 4, 3, true);
	page = read_history(&stage, "bob", &group, HISTORY_AFTER, 1, 50, 25);
	assert_seqs(&page, 2, 3, true);
	page = read_history(&stage, "bob", &group, HISTORY_AFTER, 4, 50, 1);
	assert_seqs(&page, 5, 1, true);
	page = read_history(&stage, "bob", &group, HISTORY_BEFORE, 0, 50, 51);
	assert_seqs(&page, 1, 6, false);
	stage_close(&stage);
}

static void history_is_for_members_from_their_first_event(void **state)
{
	struct stage stage;
	struct page page;
	struct uuid group;
	struct uuid nowhere = new_uuid();

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	fill_conversation(&stage, &group, "alice", 4);
	page = read_history(&stage, "mallory", &group, HISTORY_BEFORE, 0, 10, BYTES_MANY);
	assert_int_equal(page.outcome.code, OUTCOME_NOT_FOUND);
	assert_int_equal(page.count, 0);
	page = read_history(&stage, "bob", &nowhere, HISTORY_BEFORE, 0, 10, BYTES_MANY);
	assert_int_equal(page.outcome.code, OUTCOME_NOT_FOUND);
	sql_run(stage.sql,
	        "update martlet.members set first_seq = 4 where user_id = 'bob' and conversation_id = '%s'",
	        uuid_to_text(&group).text);
	page = read_history(&stage, "bob", &group, HISTORY_BEFORE, 0, 10, BYTES_MANY);
	assert_seqs(&page, 4, 2, false);
	sql_run(stage.sql,
	        "update martlet.members set left_seq = 4 where user_id = 'bob' and conversation_id = '%s'",
	        uuid_to_text(&group).text);
	/* Who has left reads up to its going. */
	page = read_history(&stage, "bob", &group, HISTORY_BEFORE, 0, 10, BYTES_MANY);
	assert_seqs(&page, 4, 1, false);
	stage_close(&stage);
}

/* Who left is told no reactions as they stand, so its client must apply those that come in the pages. */
static void history_of_who_left_includes_no_reactions(void **state)
{
	struct stage stage;
	struct page page;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	fill_conversation(&stage, &group, "alice", 3);
	sql_run(stage.sql,
	        "update martlet.events set reactions_seq = 3 where conversation_id = '%s' and seq = 2",
	        uuid_to_text(&group).text);
	sql_run(stage.sql,
	        "update martlet.members set left_seq = 4 where user_id = 'bob' and conversation_id = '%s'",
	        uuid_to_text(&group).text);
	page = read_history(&stage, "alice", &group, HISTORY_AFTER, 1, 10, BYTES_MANY);
	assert_int_equal(page.first_reactions_seq, 3);
	page = read_history(&stage, "bob", &group, HISTORY_AFTER, 1, 10, BYTES_MANY);
	assert_int_equal(page.first_reactions_seq, 0);
	stage_close(&stage);
}

static void history_brings_every_field(void **state)
{
	struct stage stage;
	struct page page;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	fill_conversation(&stage, &group, "bob", 1);
	page = read_history(&stage, "bob", &group, HISTORY_AFTER, 0, 10, BYTES_MANY);
	assert_seqs(&page, 1, 2, false);
	assert_int_equal(page.first_kind, EVENT_CREATED);
	assert_string_equal(page.first_sender, "alice");
	assert_string_equal(page.first_title, "A group");
	page = read_history(&stage, "bob", &group, HISTORY_AFTER, 1, 10, BYTES_MANY);
	assert_int_equal(page.first_kind, EVENT_MESSAGE);
	assert_string_equal(page.first_sender, "bob");
	assert_string_equal(page.first_body, "1");
	assert_true(uuid_is_equal(&page.conversations[0], &group));
	stage_close(&stage);
}

static struct page read_log(struct stage *stage, const struct log_place *places, size_t count,
                            uint32_t limit, uint32_t max_bytes)
{
	struct page page = {.answers = 0};

	query_log(stage->store, places, count, limit, max_bytes, on_events, &page);
	await(stage, page.answers);
	return page;
}

static void log_goes_place_by_place_and_is_cut(void **state)
{
	struct stage stage;
	struct log_place places[4];
	struct page page;

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 0; i < 3; i++) {
		places[i].conversation = make_group(&stage, "alice", bob);
		fill_conversation(&stage, &places[i].conversation, "alice", 5);
		places[i].after_seq = (uint64_t)i * 3; /* 0, 3 and 6: the last has nothing more */
	}
	places[3] = (struct log_place){new_uuid(), 0};
	page = read_log(&stage, places, 4, 100, BYTES_MANY);
	assert_int_equal(page.count, 9);
	assert_false(page.has_more);
	for (size_t i = 0; i < page.count; i++) {
		assert_int_equal(page.seqs[i], i < 6 ? i + 1 : i - 2);
		assert_true(
			uuid_is_equal(&page.conversations[i], &places[i < 6 ? 0 : 1].conversation));
	}
	page = read_log(&stage, places, 4, 7, BYTES_MANY);
	assert_int_equal(page.count, 7);
	assert_int_equal(page.seqs[6], 4);
	assert_true(page.has_more);
	page = read_log(&stage, places, 4, 9, BYTES_MANY);
	assert_int_equal(page.count, 9);
	assert_false(page.has_more);
	page = read_log(&stage, places, 4, 100, 2);
	assert_seqs(&page, 1, 3, true);
	page = read_log(&stage, &places[2], 2, 100, 1);
	assert_seqs(&page, 0, 0, false);
	page = read_log(&stage, places, 0, 100, 1);
	assert_seqs(&page, 0, 0, false);
	stage_close(&stage);
}

struct heads {
	int answers;
	size_t count;
	struct head heads[4];
};

static void on_heads(void *context, const struct heads_answer *answer)
{
	struct heads *heads = context;

	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	heads->answers++;
	heads->count = answer->count;
	memcpy(heads->heads, answer->heads, answer->count * sizeof(struct head));
}

static void heads_are_the_newest_numbers(void **state)
{
	struct stage stage;
	struct heads heads = {.answers = 0};
	struct uuid ids[2];

	(void)state;
	stage_open(&stage, WAIT_MS);
	ids[0] = new_uuid();
	ids[1] = make_group(&stage, "alice", bob);
	fill_conversation(&stage, &ids[1], "bob", 2);
	query_heads(stage.store, ids, 2, on_heads, &heads);
	await(&stage, heads.answers);
	assert_int_equal(heads.count, 1);
	assert_true(uuid_is_equal(&heads.heads[0].conversation, &ids[1]));
	assert_int_equal(heads.heads[0].last_seq, 3);
	assert_int_equal(heads.heads[0].member_count, 2);
	stage_close(&stage);
}

struct versions {
	int answers;
	size_t count;
	struct membership_version versions[4];
};

static void on_versions(void *context, const struct membership_versions_answer *answer)
{
	struct versions *versions = context;

	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	versions->answers++;
	versions->count = answer->count;
	memcpy(versions->versions, answer->versions,
	       answer->count * sizeof(struct membership_version));
}

static uint64_t version_of(struct stage *stage, const char *who)
{
	struct user_id ids[] = {user(who), user("nobody")};
	struct versions versions = {.answers = 0};

	query_membership_versions(stage->store, ids, 2, on_versions, &versions);
	await(stage, versions.answers);
	if (!versions.count)
		return 0;
	assert_int_equal(versions.count, 1);
	assert_string_equal(versions.versions[0].user.text, who);
	return versions.versions[0].version;
}

static void membership_version_rises_with_each_beginning(void **state)
{
	static const char *const quentin[] = {"quentin", NULL};
	struct stage stage;
	struct began began;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_int_equal(version_of(&stage, "quentin"), 0);
	make_group(&stage, "alice", quentin);
	assert_int_equal(version_of(&stage, "quentin"), 1);
	begin_direct(stage.store, &began, "quentin", "alice");
	await(&stage, began.answers);
	assert_int_equal(version_of(&stage, "quentin"), 2);
	begin_direct(stage.store, &began, "alice", "quentin");
	await(&stage, began.answers);
	assert_int_equal(version_of(&stage, "quentin"), 2);
	stage_close(&stage);
}

struct follows {
	int answers;
	size_t count;
	uint64_t version;
	struct follow follows[8];
};

static void on_follows(void *context, const struct follows_answer *answer)
{
	struct follows *follows = context;

	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	follows->answers++;
	follows->count = answer->count;
	follows->version = answer->membership_version;
	memcpy(follows->follows, answer->follows, answer->count * sizeof(struct follow));
}

static struct follows read_follows(struct stage *stage, const char *who, uint32_t limit)
{
	struct user_id id = user(who);
	struct follows follows = {.answers = 0};

	query_follows(stage->store, &id, limit, on_follows, &follows);
	await(stage, follows.answers);
	return follows;
}

static void follows_are_in_order_of_activity_with_the_version(void **state)
{
	static const char *const rosa[] = {"rosa", NULL};
	struct stage stage;
	struct follows follows;
	struct uuid groups[3];

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 0; i < 3; i++)
		groups[i] = make_group(&stage, "alice", rosa);
	fill_conversation(&stage, &groups[1], "rosa", 3);
	follows = read_follows(&stage, "rosa", 8);
	assert_int_equal(follows.count, 3);
	assert_int_equal(follows.version, 3);
	assert_true(uuid_is_equal(&follows.follows[0].conversation, &groups[1]));
	assert_int_equal(follows.follows[0].last_seq, 4);
	assert_int_equal(follows.follows[0].first_seq, 1);
	assert_true(uuid_is_equal(&follows.follows[1].conversation, &groups[2]));
	assert_true(uuid_is_equal(&follows.follows[2].conversation, &groups[0]));
	assert_int_equal(read_follows(&stage, "rosa", 2).count, 2);
	stage_close(&stage);
}

/* Or whoever compares it with the versions would find a change each time. */
static void follows_have_the_version_without_any_membership(void **state)
{
	static const char *const sven[] = {"sven", NULL};
	struct stage stage;
	struct follows follows;

	(void)state;
	stage_open(&stage, WAIT_MS);
	make_group(&stage, "alice", sven);
	sql_run(stage.sql, "update martlet.members set left_seq = 1 where user_id = 'sven'");
	follows = read_follows(&stage, "sven", 8);
	assert_int_equal(follows.count, 0);
	assert_int_equal(follows.version, 1);
	follows = read_follows(&stage, "nobody", 8);
	assert_int_equal(follows.count, 0);
	assert_int_equal(follows.version, 0);
	stage_close(&stage);
}

#define MEMBERSHIPS_MOST 32

/* Memberships without what they point to. */
struct memberships {
	int answers;
	size_t count;
	bool has_more;
	struct membership list[MEMBERSHIPS_MOST];
	uint64_t last_event_seqs[MEMBERSHIPS_MOST];
	char peers[MEMBERSHIPS_MOST][LIMIT_USER_BYTES + 1];
	char titles[MEMBERSHIPS_MOST][LIMIT_TITLE_BYTES + 1];
};

static void on_memberships(void *context, const struct memberships_answer *answer)
{
	struct memberships *memberships = context;

	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	assert_true(answer->count <= MEMBERSHIPS_MOST);
	memberships->answers++;
	memberships->count = answer->count;
	memberships->has_more = answer->has_more;
	for (size_t i = 0; i < answer->count; i++) {
		const struct membership *from = &answer->memberships[i];

		memberships->list[i] = *from;
		memberships->last_event_seqs[i] = from->last_event ? from->last_event->seq : 0;
		snprintf(memberships->peers[i], sizeof(memberships->peers[i]), "%s", from->peer);
		snprintf(memberships->titles[i], sizeof(memberships->titles[i]), "%s", from->title);
	}
}

static void memberships_come_in_the_order_asked(void **state)
{
	struct stage stage;
	struct memberships *got = test_calloc(1, sizeof(*got));
	struct user_id alice = user("alice");
	struct began began;
	struct uuid ids[4];

	(void)state;
	stage_open(&stage, WAIT_MS);
	ids[0] = make_group(&stage, "bob", bob);
	ids[1] = make_group(&stage, "alice", bob);
	ids[2] = new_uuid();
	begin_direct(stage.store, &began, "alice", "tina");
	await(&stage, began.answers);
	ids[3] = began.answer.conversation;
	fill_conversation(&stage, &ids[1], "bob", 2);
	query_memberships(stage.store, &alice, ids, 4, on_memberships, got);
	await(&stage, got->answers);
	assert_int_equal(got->count, 2);
	assert_false(got->has_more);
	assert_true(uuid_is_equal(&got->list[0].conversation, &ids[1]));
	assert_int_equal(got->list[0].kind, CONVERSATION_GROUP);
	assert_int_equal(got->list[0].role, ROLE_OWNER);
	assert_int_equal(got->list[0].member_count, 2);
	assert_int_equal(got->list[0].last_seq, 3);
	assert_int_equal(got->list[0].first_seq, 1);
	assert_int_equal(got->last_event_seqs[0], 3);
	assert_string_equal(got->titles[0], "A group");
	assert_string_equal(got->peers[0], "");
	assert_true(uuid_is_equal(&got->list[1].conversation, &ids[3]));
	assert_int_equal(got->list[1].kind, CONVERSATION_DIRECT);
	assert_int_equal(got->list[1].role, ROLE_MEMBER);
	assert_string_equal(got->peers[1], "tina");
	assert_int_equal(got->last_event_seqs[1], 1);
	stage_close(&stage);
	test_free(got);
}

/* However many were active in the same millisecond, each is on one page. */
static void list_pages_bring_each_conversation_once(void **state)
{
	enum { CONVERSATIONS = 23, PAGE = 5 };
	static const char *const ursula[] = {"ursula", NULL};
	struct stage stage;
	struct memberships *got = test_calloc(1, sizeof(*got));
	struct user_id id = user("ursula");
	struct list_place place;
	struct uuid seen[CONVERSATIONS];
	size_t count = 0;

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 0; i < CONVERSATIONS; i++)
		make_group(&stage, "alice", ursula);
	sql_run(stage.sql, "update martlet.conversations c set last_event_at = "
	                   "'2026-01-01'::timestamptz + ascii(c.id::text) %% 5 * "
	                   "interval '300 microseconds' "
	                   "from martlet.members m where m.conversation_id = c.id and "
	                   "m.user_id = 'ursula'");
	do {
		got->answers = 0;
		query_list(stage.store, &id, count ? &place : NULL, PAGE, on_memberships, got);
		await(&stage, got->answers);
		assert_true(got->count > 0 && got->count <= PAGE);
		for (size_t i = 0; i < got->count; i++) {
			for (size_t j = 0; j < count; j++)
				assert_false(uuid_is_equal(&seen[j], &got->list[i].conversation));
			assert_true(count < CONVERSATIONS);
			seen[count++] = got->list[i].conversation;
		}
		place.last_event_time_ms = got->list[got->count - 1].last_event_time_ms;
		place.conversation = got->list[got->count - 1].conversation;
	} while (got->has_more);
	assert_int_equal(count, CONVERSATIONS);
	stage_close(&stage);
	test_free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(history_pages_both_ways),
		cmocka_unit_test(history_is_cut_at_its_bytes_on_the_far_side),
		cmocka_unit_test(history_is_for_members_from_their_first_event),
		cmocka_unit_test(history_of_who_left_includes_no_reactions),
		cmocka_unit_test(history_brings_every_field),
		cmocka_unit_test(log_goes_place_by_place_and_is_cut),
		cmocka_unit_test(heads_are_the_newest_numbers),
		cmocka_unit_test(membership_version_rises_with_each_beginning),
		cmocka_unit_test(follows_are_in_order_of_activity_with_the_version),
		cmocka_unit_test(follows_have_the_version_without_any_membership),
		cmocka_unit_test(memberships_come_in_the_order_asked),
		cmocka_unit_test(list_pages_bring_each_conversation_once),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
