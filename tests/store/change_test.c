/* Each function that changes a conversation: how it ends, whom it lets, and that changes, messages and marks of
 * two nodes at once leave the log whole. */
#include "model/limits.h"
#include "store/change.h"
#include "store/receipts.h"
#include "store/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 5000
#define MEMBERS_MOST 6 /* of the groups here */

static const char *const bob_and_carol[] = {"bob", "carol", NULL};

/* A change and what came of it. */
struct changing {
	struct outcome outcome;
	uint64_t seq; /* 0 if there was no event */
	enum event_kind kind;
	uint64_t target_seq;
	size_t users_count;
	char first_user[80];
	int answers;
};

static void on_changed(void *context, const struct change_answer *answer)
{
	struct changing *changing = context;

	changing->outcome = answer->outcome;
	changing->answers++;
	if (!answer->event)
		return;
	changing->seq = answer->event->seq;
	changing->kind = answer->event->kind;
	changing->target_seq = answer->event->target_seq;
	changing->users_count = answer->event->users_count;
	if (answer->event->users_count)
		snprintf(changing->first_user, sizeof(changing->first_user), "%s",
		         answer->event->users[0]);
}

static void submit_change(struct store *store, struct changing *changing, struct change change)
{
	memset(changing, 0, sizeof(*changing));
	change_submit(store, &change, on_changed, changing);
	assert_int_equal(changing->answers, 0);
}

static struct changing make_change(struct stage *stage, struct change change)
{
	struct changing changing;

	submit_change(stage->store, &changing, change);
	await(stage, changing.answers);
	assert_int_equal(changing.answers, 1);
	return changing;
}

/* Changes as a client would ask for them. */

static struct change edit(struct uuid group, const char *who, uint64_t seq, const char *body)
{
	return (struct change){.kind = CHANGE_EDIT,
	                       .conversation = group,
	                       .user = user(who),
	                       .target_seq = seq,
	                       .content_type = "text/plain",
	                       .body = (const uint8_t *)body,
	                       .body_size = strlen(body)};
}

static struct change redact(struct uuid group, const char *who, uint64_t seq)
{
	return (struct change){
		.kind = CHANGE_REDACT, .conversation = group, .user = user(who), .target_seq = seq};
}

static struct change react(struct uuid group, const char *who, uint64_t seq, const char *symbol,
                           bool is_added)
{
	return (struct change){.kind = is_added ? CHANGE_REACT : CHANGE_UNREACT,
	                       .conversation = group,
	                       .user = user(who),
	                       .target_seq = seq,
	                       .symbol = symbol,
	                       .most = 3};
}

static struct change title(struct uuid group, const char *who, const char *text)
{
	return (struct change){
		.kind = CHANGE_TITLE, .conversation = group, .user = user(who), .title = text};
}

static struct change setting(struct uuid group, const char *who, enum change_kind kind, bool is_on)
{
	return (struct change){
		.kind = kind, .conversation = group, .user = user(who), .is_on = is_on};
}

/* `whom` must live until the change is submitted. */
static struct change about(enum change_kind kind, struct uuid group, const char *who,
                           const struct user_id *whom)
{
	return (struct change){.kind = kind,
	                       .conversation = group,
	                       .user = user(who),
	                       .users = whom,
	                       .users_count = 1,
	                       .most = MEMBERS_MOST};
}

static struct changing change_member(struct stage *stage, enum change_kind kind, struct uuid group,
                                     const char *who, const char *whom)
{
	struct user_id target = user(whom);

	return make_change(stage, about(kind, group, who, &target));
}

static struct changing set_role(struct stage *stage, struct uuid group, const char *who,
                                const char *whom, enum role role)
{
	struct user_id target = user(whom);
	struct change change = about(CHANGE_ROLE, group, who, &target);

	change.role = role;
	return make_change(stage, change);
}

static struct changing leave(struct stage *stage, struct uuid group, const char *who)
{
	return make_change(
		stage,
		(struct change){.kind = CHANGE_LEAVE, .conversation = group, .user = user(who)});
}

/* What came of it. */

static void assert_changed(struct changing changing, enum event_kind kind)
{
	assert_string_equal(changing.outcome.text, "");
	assert_int_equal(changing.outcome.code, OUTCOME_OK);
	assert_true(changing.seq > 0);
	assert_int_equal(changing.kind, kind);
}

static void assert_was_so(struct changing changing)
{
	assert_int_equal(changing.outcome.code, OUTCOME_OK);
	assert_int_equal(changing.seq, 0);
}

static void assert_refused(struct changing changing, enum outcome_code code, const char *text)
{
	assert_int_equal(changing.outcome.code, code);
	assert_int_equal(changing.seq, 0);
	if (!strstr(changing.outcome.text, text))
		fail_msg("\"%s\" does not say \"%s\"", changing.outcome.text, text);
}

static int64_t last_seq(struct stage *stage, struct uuid group)
{
	return sql_number(stage->sql, "select last_seq from martlet.conversations where id = '%s'",
	                  uuid_to_text(&group).text);
}

/* A group of alice, who owns it, bob and carol, with one message of bob's: number 2. */
static struct uuid group_with_message(struct stage *stage)
{
	struct uuid group = make_group(stage, "alice", bob_and_carol);

	fill_conversation(stage, &group, "bob", 1);
	return group;
}

static struct uuid direct_with_message(struct stage *stage, const char *who, const char *peer)
{
	struct began began;

	begin_direct(stage->store, &began, who, peer);
	await(stage, began.answers);
	fill_conversation(stage, &began.answer.conversation, who, 1);
	return began.answer.conversation;
}

/* Messages. */

static void edit_points_the_message_to_its_newest_edit(void **state)
{
	struct stage stage;
	struct uuid group;
	struct changing first;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	first = make_change(&stage, edit(group, "bob", 2, "better"));
	assert_changed(first, EVENT_EDITED);
	assert_int_equal(first.target_seq, 2);
	assert_changed(make_change(&stage, edit(group, "bob", 2, "best")), EVENT_EDITED);
	assert_was_so(make_change(&stage, edit(group, "bob", 2, "best")));
	assert_int_equal(sql_number(stage.sql,
	                            "select edited_seq from martlet.events "
	                            "where conversation_id = '%s' and seq = 2 and body = '1'",
	                            uuid_to_text(&group).text),
	                 first.seq + 1);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void edit_is_for_the_sender_of_a_message_that_it_may_see(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	assert_refused(make_change(&stage, edit(group, "alice", 2, "x")), OUTCOME_PERMISSION_DENIED,
	               "by its sender");
	assert_refused(make_change(&stage, edit(group, "mallory", 2, "x")), OUTCOME_NOT_FOUND,
	               "conversation");
	assert_refused(make_change(&stage, edit(new_uuid(), "bob", 2, "x")), OUTCOME_NOT_FOUND,
	               "conversation");
	assert_refused(make_change(&stage, edit(group, "bob", 1, "x")), OUTCOME_NOT_FOUND,
	               "message");
	assert_refused(make_change(&stage, edit(group, "bob", 3, "x")), OUTCOME_NOT_FOUND,
	               "message");
	assert_int_equal(last_seq(&stage, group), 2);
	stage_close(&stage);
}

static void edit_has_its_time(void **state)
{
	struct stage stage;
	struct uuid group;
	struct change late;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	sql_run(stage.sql,
	        "update martlet.events set created_at = now() - interval '1 hour' "
	        "where conversation_id = '%s'",
	        uuid_to_text(&group).text);
	late = edit(group, "bob", 2, "late");
	late.most = 3590;
	assert_refused(make_change(&stage, late), OUTCOME_PERMISSION_DENIED, "too old");
	late.most = 3700;
	assert_changed(make_change(&stage, late), EVENT_EDITED);
	stage_close(&stage);
}

static void redact_empties_the_message_and_its_edits(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	assert_changed(make_change(&stage, edit(group, "bob", 2, "better")), EVENT_EDITED);
	assert_changed(make_change(&stage, react(group, "carol", 2, "+1", true)),
	               EVENT_REACTION_ADDED);
	assert_refused(make_change(&stage, redact(group, "carol", 2)), OUTCOME_PERMISSION_DENIED,
	               "redacted by");
	assert_changed(make_change(&stage, redact(group, "bob", 2)), EVENT_REDACTED);
	assert_was_so(make_change(&stage, redact(group, "alice", 2)));
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.events where "
	                            "conversation_id = '%s' and (body <> '' or content_type <> '')",
	                            uuid_to_text(&group).text),
	                 0);
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.reactions "
	                            "where conversation_id = '%s'",
	                            uuid_to_text(&group).text),
	                 0);
	assert_refused(make_change(&stage, edit(group, "bob", 2, "again")),
	               OUTCOME_FAILED_PRECONDITION, "redacted");
	assert_refused(make_change(&stage, react(group, "bob", 2, "+1", true)),
	               OUTCOME_FAILED_PRECONDITION, "redacted");
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void redact_of_others_is_for_admins_of_groups(void **state)
{
	struct stage stage;
	struct uuid group;
	struct uuid direct;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	assert_changed(set_role(&stage, group, "alice", "carol", ROLE_ADMIN), EVENT_ROLE_CHANGED);
	assert_changed(make_change(&stage, redact(group, "carol", 2)), EVENT_REDACTED);
	direct = direct_with_message(&stage, "rada", "rudi");
	assert_refused(make_change(&stage, redact(direct, "rudi", 2)), OUTCOME_PERMISSION_DENIED,
	               "redacted by");
	assert_changed(make_change(&stage, redact(direct, "rada", 2)), EVENT_REDACTED);
	stage_close(&stage);
}

static void reactions_are_put_and_taken_back_once(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	assert_was_so(make_change(&stage, react(group, "carol", 2, "a", false)));
	assert_changed(make_change(&stage, react(group, "carol", 2, "a", true)),
	               EVENT_REACTION_ADDED);
	assert_was_so(make_change(&stage, react(group, "carol", 2, "a", true)));
	assert_changed(make_change(&stage, react(group, "bob", 2, "b", true)),
	               EVENT_REACTION_ADDED);
	assert_changed(make_change(&stage, react(group, "bob", 2, "c", true)),
	               EVENT_REACTION_ADDED);
	/* Three are the most here; one that is there already makes no fourth. */
	assert_refused(make_change(&stage, react(group, "bob", 2, "d", true)),
	               OUTCOME_FAILED_PRECONDITION, "symbols");
	assert_changed(make_change(&stage, react(group, "alice", 2, "c", true)),
	               EVENT_REACTION_ADDED);
	assert_changed(make_change(&stage, react(group, "carol", 2, "a", false)),
	               EVENT_REACTION_REMOVED);
	assert_changed(make_change(&stage, react(group, "bob", 2, "d", true)),
	               EVENT_REACTION_ADDED);
	assert_refused(make_change(&stage, react(group, "mallory", 2, "a", true)),
	               OUTCOME_NOT_FOUND, "conversation");
	assert_refused(make_change(&stage, react(group, "bob", 1, "a", true)), OUTCOME_NOT_FOUND,
	               "message");
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void changes_of_messages_across_a_block_are_denied(void **state)
{
	struct stage stage;
	struct uuid direct;

	(void)state;
	stage_open(&stage, WAIT_MS);
	direct = direct_with_message(&stage, "dora", "erik");
	sql_run(stage.sql,
	        "insert into martlet.blocks (user_id, blocked_id) values ('erik', 'dora')");
	assert_refused(make_change(&stage, edit(direct, "dora", 2, "please")),
	               OUTCOME_PERMISSION_DENIED, "write to this user");
	assert_refused(make_change(&stage, react(direct, "erik", 2, "a", true)),
	               OUTCOME_PERMISSION_DENIED, "write to this user");
	/* What was said can be taken back all the same. */
	assert_changed(make_change(&stage, redact(direct, "dora", 2)), EVENT_REDACTED);
	stage_close(&stage);
}

/* Settings. */

static void update_changes_one_setting_and_leaves_the_others(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	assert_changed(make_change(&stage, title(group, "alice", "New")), EVENT_GROUP_UPDATED);
	assert_was_so(make_change(&stage, title(group, "alice", "New")));
	assert_changed(make_change(&stage, setting(group, "alice", CHANGE_ANNOUNCEMENT, true)),
	               EVENT_GROUP_UPDATED);
	assert_changed(make_change(&stage, setting(group, "alice", CHANGE_FULL_HISTORY, true)),
	               EVENT_GROUP_UPDATED);
	assert_was_so(make_change(&stage, setting(group, "alice", CHANGE_FULL_HISTORY, true)));
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.conversations c "
	                            "join martlet.events e on e.conversation_id = c.id "
	                            "and e.seq = c.last_seq where c.id = '%s' and c.title = 'New' "
	                            "and c.announcement and c.full_history and e.title = 'New' "
	                            "and e.announcement and e.full_history",
	                            uuid_to_text(&group).text),
	                 1);
	stage_close(&stage);
}

static void update_is_for_admins_of_groups(void **state)
{
	struct stage stage;
	struct uuid group;
	struct uuid direct;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	assert_refused(make_change(&stage, title(group, "bob", "Mine")), OUTCOME_PERMISSION_DENIED,
	               "role");
	assert_refused(make_change(&stage, title(group, "mallory", "Mine")), OUTCOME_NOT_FOUND,
	               "conversation");
	direct = direct_with_message(&stage, "uta", "udo");
	assert_refused(make_change(&stage, title(direct, "uta", "Ours")),
	               OUTCOME_FAILED_PRECONDITION, "direct");
	stage_close(&stage);
}

static void announcement_is_for_admins_to_send_in(void **state)
{
	struct stage stage;
	struct sending sendings[2];
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	assert_changed(make_change(&stage, setting(group, "alice", CHANGE_ANNOUNCEMENT, true)),
	               EVENT_GROUP_UPDATED);
	send_message(stage.store, &sendings[0], &group, "bob", "psst");
	send_message(stage.store, &sendings[1], &group, "alice", "hear");
	await(&stage, sendings[0].answers && sendings[1].answers);
	assert_int_equal(sendings[0].answer.outcome.code, OUTCOME_PERMISSION_DENIED);
	assert_int_equal(sendings[1].answer.outcome.code, OUTCOME_OK);
	assert_refused(make_change(&stage, edit(group, "bob", 2, "psst")),
	               OUTCOME_PERMISSION_DENIED, "may send here");
	assert_changed(make_change(&stage, react(group, "bob", 2, "a", true)),
	               EVENT_REACTION_ADDED);
	assert_changed(make_change(&stage, redact(group, "bob", 2)), EVENT_REDACTED);
	stage_close(&stage);
}

/* Members. */

static void add_names_those_who_were_no_members(void **state)
{
	struct user_id users[] = {user("zoe"), user("bob"), user("dave"), user("zoe")};
	struct stage stage;
	struct changing added;
	struct change change;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	change = about(CHANGE_ADD_MEMBERS, group, "alice", users);
	change.users_count = 4;
	added = make_change(&stage, change);
	assert_changed(added, EVENT_MEMBERS_ADDED);
	assert_int_equal(added.users_count, 2);
	assert_string_equal(added.first_user, "dave");
	assert_was_so(make_change(&stage, change));
	assert_int_equal(sql_number(stage.sql,
	                            "select member_count from martlet.conversations "
	                            "where id = '%s'",
	                            uuid_to_text(&group).text),
	                 5);
	stage_close(&stage);
}

static void add_is_refused_beyond_the_bound_to_members_and_in_direct_ones(void **state)
{
	struct user_id users[] = {user("d"), user("e"), user("f"), user("g")};
	struct stage stage;
	struct change change;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	change = about(CHANGE_ADD_MEMBERS, group, "alice", users);
	change.users_count = 4;
	assert_refused(make_change(&stage, change), OUTCOME_FAILED_PRECONDITION, "group_members");
	change.users_count = 3;
	assert_changed(make_change(&stage, change), EVENT_MEMBERS_ADDED);
	assert_refused(change_member(&stage, CHANGE_ADD_MEMBERS, group, "bob", "gus"),
	               OUTCOME_PERMISSION_DENIED, "role");
	assert_refused(change_member(&stage, CHANGE_ADD_MEMBERS,
	                             direct_with_message(&stage, "ada", "abe"), "ada", "gus"),
	               OUTCOME_FAILED_PRECONDITION, "direct");
	sql_run(stage.sql,
	        "insert into martlet.blocks (user_id, blocked_id) values ('hal', 'alice')");
	assert_refused(change_member(&stage, CHANGE_ADD_MEMBERS,
	                             make_group(&stage, "alice", bob_and_carol), "alice", "hal"),
	               OUTCOME_PERMISSION_DENIED, "cannot be added");
	stage_close(&stage);
}

static void remove_and_add_again_begin_a_new_membership(void **state)
{
	struct stage stage;
	struct changing removed;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = group_with_message(&stage);
	assert_changed(set_role(&stage, group, "alice", "bob", ROLE_ADMIN), EVENT_ROLE_CHANGED);
	removed = change_member(&stage, CHANGE_REMOVE_MEMBER, group, "alice", "bob");
	assert_changed(removed, EVENT_MEMBER_REMOVED);
	assert_was_so(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "alice", "bob"));
	assert_int_equal(sql_number(stage.sql,
	                            "select left_seq from martlet.members "
	                            "where conversation_id = '%s' and user_id = 'bob'",
	                            uuid_to_text(&group).text),
	                 removed.seq);
	assert_refused(make_change(&stage, edit(group, "bob", 2, "x")), OUTCOME_NOT_FOUND,
	               "conversation");
	assert_changed(change_member(&stage, CHANGE_ADD_MEMBERS, group, "alice", "bob"),
	               EVENT_MEMBERS_ADDED);
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.members where "
	                            "conversation_id = '%s' and user_id = 'bob' and role = 1 "
	                            "and left_seq is null and first_seq = %d and read_seq = %d",
	                            uuid_to_text(&group).text, (int)removed.seq + 1,
	                            (int)removed.seq),
	                 1);
	/* What it said before is not its own any more to change. */
	assert_refused(make_change(&stage, edit(group, "bob", 2, "x")), OUTCOME_NOT_FOUND,
	               "message");
	stage_close(&stage);
}

static void remove_is_for_higher_roles(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", (const char *const[]){"bob", "carol", "dan", NULL});
	assert_changed(set_role(&stage, group, "alice", "bob", ROLE_ADMIN), EVENT_ROLE_CHANGED);
	assert_changed(set_role(&stage, group, "alice", "carol", ROLE_ADMIN), EVENT_ROLE_CHANGED);
	assert_refused(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "dan", "carol"),
	               OUTCOME_PERMISSION_DENIED, "role");
	assert_refused(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "bob", "carol"),
	               OUTCOME_PERMISSION_DENIED, "role");
	assert_refused(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "bob", "alice"),
	               OUTCOME_PERMISSION_DENIED, "role");
	assert_refused(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "bob", "nobody"),
	               OUTCOME_NOT_FOUND, "member");
	assert_changed(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "bob", "dan"),
	               EVENT_MEMBER_REMOVED);
	assert_refused(change_member(&stage, CHANGE_REMOVE_MEMBER, group, "dan", "bob"),
	               OUTCOME_NOT_FOUND, "conversation");
	stage_close(&stage);
}

static void leave_again_is_free_and_the_last_owner_stays(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	assert_refused(leave(&stage, group, "alice"), OUTCOME_FAILED_PRECONDITION, "owner");
	assert_refused(leave(&stage, group, "mallory"), OUTCOME_NOT_FOUND, "conversation");
	assert_refused(leave(&stage, direct_with_message(&stage, "lea", "leo"), "lea"),
	               OUTCOME_FAILED_PRECONDITION, "direct");
	assert_changed(leave(&stage, group, "bob"), EVENT_MEMBER_REMOVED);
	assert_was_so(leave(&stage, group, "bob"));
	assert_changed(leave(&stage, group, "carol"), EVENT_MEMBER_REMOVED);
	assert_changed(leave(&stage, group, "alice"), EVENT_MEMBER_REMOVED);
	assert_was_so(leave(&stage, group, "alice"));
	assert_int_equal(sql_number(stage.sql,
	                            "select member_count from martlet.conversations "
	                            "where id = '%s'",
	                            uuid_to_text(&group).text),
	                 0);
	stage_close(&stage);
}

static void roles_are_given_by_owners_and_one_remains(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	assert_refused(set_role(&stage, group, "alice", "alice", ROLE_MEMBER),
	               OUTCOME_FAILED_PRECONDITION, "owner");
	assert_was_so(set_role(&stage, group, "alice", "bob", ROLE_MEMBER));
	assert_changed(set_role(&stage, group, "alice", "bob", ROLE_ADMIN), EVENT_ROLE_CHANGED);
	assert_refused(set_role(&stage, group, "bob", "carol", ROLE_ADMIN),
	               OUTCOME_PERMISSION_DENIED, "role");
	assert_refused(set_role(&stage, group, "alice", "mallory", ROLE_ADMIN), OUTCOME_NOT_FOUND,
	               "member");
	assert_refused(set_role(&stage, group, "mallory", "bob", ROLE_ADMIN), OUTCOME_NOT_FOUND,
	               "conversation");
	assert_refused(set_role(&stage, direct_with_message(&stage, "ria", "rob"), "ria", "rob",
	                        ROLE_ADMIN),
	               OUTCOME_FAILED_PRECONDITION, "direct");
	assert_changed(set_role(&stage, group, "alice", "bob", ROLE_OWNER), EVENT_ROLE_CHANGED);
	assert_changed(set_role(&stage, group, "alice", "alice", ROLE_MEMBER), EVENT_ROLE_CHANGED);
	stage_close(&stage);
}

static void membership_changes_raise_the_version_of_those_they_are_about(void **state)
{
	struct stage stage;
	struct uuid group;
	int64_t before;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "vera", (const char *const[]){"vic", NULL});
	before = sql_number(stage.sql, "select membership_version from martlet.users "
	                               "where id = 'vic'");
	assert_changed(leave(&stage, group, "vic"), EVENT_MEMBER_REMOVED);
	assert_changed(change_member(&stage, CHANGE_ADD_MEMBERS, group, "vera", "vic"),
	               EVENT_MEMBERS_ADDED);
	assert_int_equal(sql_number(stage.sql, "select membership_version from martlet.users "
	                                       "where id = 'vic'"),
	                 before + 2);
	stage_close(&stage);
}

/* Many at once. */

static void on_marked(void *context, const struct mark_answer *answer)
{
	int *answers = context;

	/* A member who was removed meanwhile has no such conversation. */
	assert_true(answer->outcome.code == OUTCOME_OK ||
	            answer->outcome.code == OUTCOME_NOT_FOUND);
	(*answers)++;
}

/* One of everything, from one store. */
static void do_some(struct stage *stage, struct store *store, const struct uuid *group, int turn,
                    struct changing *changing, struct sending *sending, int *marks)
{
	static const char *const names[] = {"alice", "bob", "carol"};
	const char *who = names[turn % 3];
	struct user_id carol = user("carol");
	struct mark mark = {
		.conversation = *group, .user = user(who), .delivered_seq = 2, .read_seq = 2};

	(void)stage;
	send_message(store, sending, group, "alice", "one of many");
	receipts_mark(store, &mark, on_marked, marks);
	switch (turn % 7) {
	case 0:
		submit_change(store, changing, edit(*group, "bob", 2, turn % 2 ? "odd" : "even"));
		break;
	case 1:
		submit_change(store, changing, react(*group, who, 2, "a", turn % 2));
		break;
	case 2:
		submit_change(store, changing, title(*group, "alice", turn % 2 ? "odd" : "even"));
		break;
	case 3:
		submit_change(store, changing,
		              about(CHANGE_REMOVE_MEMBER, *group, "alice", &carol));
		break;
	case 4:
		submit_change(store, changing, about(CHANGE_ADD_MEMBERS, *group, "alice", &carol));
		break;
	case 5:
		submit_change(store, changing, setting(*group, "bob", CHANGE_FULL_HISTORY, true));
		break;
	default:
		submit_change(store, changing, redact(*group, "alice", (uint64_t)turn % 20 + 3));
		break;
	}
}

/* Everything that locks rows, from two nodes, over the same few conversations in opposite order. Every answer
 * is one of the functions' own: a deadlock would be INTERNAL or UNAVAILABLE. */
static void mixed_changes_from_two_stores_neither_lock_up_nor_leave_a_gap(void **state)
{
	enum { GROUPS = 4, TURNS = 700 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct changing *changings = test_calloc(TURNS, sizeof(*changings));
	struct sending *sendings = test_calloc(TURNS, sizeof(*sendings));
	struct uuid groups[GROUPS];
	int marks = 0;

	(void)state;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	for (int i = 0; i < GROUPS; i++)
		groups[i] = group_with_message(&stage);
	for (int i = 0; i < TURNS; i++) {
		int place = i % 2 ? i / 2 % GROUPS : GROUPS - 1 - i / 2 % GROUPS;

		do_some(&stage, stage.stores[i % 2], &groups[place], i / 2, &changings[i],
		        &sendings[i], &marks);
		if (i % 16 == 0)
			stage_turn(&stage);
	}
	for (int i = 0; i < TURNS; i++) {
		await(&stage, changings[i].answers && sendings[i].answers);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		assert_true(changings[i].outcome.code == OUTCOME_OK ||
		            changings[i].outcome.code == OUTCOME_NOT_FOUND ||
		            changings[i].outcome.code == OUTCOME_PERMISSION_DENIED ||
		            changings[i].outcome.code == OUTCOME_FAILED_PRECONDITION);
	}
	await(&stage, marks == TURNS);
	assert_int_equal(broken_logs(stage.sql), 0);
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.conversations c where "
	                            "c.member_count <> (select count(*) from martlet.members m "
	                            "where m.conversation_id = c.id and m.left_seq is null)"),
	                 0);
	assert_int_equal(
		sql_number(stage.sql,
	                   "select count(*) from martlet.reactions r join martlet.events e "
	                   "on (e.conversation_id, e.seq) = "
	                   "(r.conversation_id, r.target_seq) where e.redacted_seq > 0"),
		0);
	assert_int_equal(sql_number(stage.sql, "select sum(deadlocks) from pg_stat_database "
	                                       "where datname = current_database()"),
	                 0);
	stage_close(&stage);
	test_free(changings);
	test_free(sendings);
}

static void owners_of_two_nodes_who_remove_each_other_leave_one(void **state)
{
	enum { PAIRS = 40 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct user_id alice = user("alice");
	struct user_id bob = user("bob");

	(void)state;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	for (int i = 0; i < PAIRS; i++) {
		struct uuid group = make_group(&stage, "alice", bob_and_carol);
		struct changing by_alice;
		struct changing by_bob;

		assert_changed(set_role(&stage, group, "alice", "bob", ROLE_OWNER),
		               EVENT_ROLE_CHANGED);
		submit_change(stage.stores[0], &by_alice,
		              about(CHANGE_REMOVE_MEMBER, group, "alice", &bob));
		submit_change(stage.stores[1], &by_bob,
		              about(CHANGE_REMOVE_MEMBER, group, "bob", &alice));
		await(&stage, by_alice.answers && by_bob.answers);
		assert_int_equal((by_alice.seq > 0) + (by_bob.seq > 0), 1);
		assert_refused(by_alice.seq ? by_bob : by_alice, OUTCOME_NOT_FOUND, "conversation");
	}
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edit_points_the_message_to_its_newest_edit),
		cmocka_unit_test(edit_is_for_the_sender_of_a_message_that_it_may_see),
		cmocka_unit_test(edit_has_its_time),
		cmocka_unit_test(redact_empties_the_message_and_its_edits),
		cmocka_unit_test(redact_of_others_is_for_admins_of_groups),
		cmocka_unit_test(reactions_are_put_and_taken_back_once),
		cmocka_unit_test(changes_of_messages_across_a_block_are_denied),
		cmocka_unit_test(update_changes_one_setting_and_leaves_the_others),
		cmocka_unit_test(update_is_for_admins_of_groups),
		cmocka_unit_test(announcement_is_for_admins_to_send_in),
		cmocka_unit_test(add_names_those_who_were_no_members),
		cmocka_unit_test(add_is_refused_beyond_the_bound_to_members_and_in_direct_ones),
		cmocka_unit_test(remove_and_add_again_begin_a_new_membership),
		cmocka_unit_test(remove_is_for_higher_roles),
		cmocka_unit_test(leave_again_is_free_and_the_last_owner_stays),
		cmocka_unit_test(roles_are_given_by_owners_and_one_remains),
		cmocka_unit_test(membership_changes_raise_the_version_of_those_they_are_about),
		cmocka_unit_test(mixed_changes_from_two_stores_neither_lock_up_nor_leave_a_gap),
		cmocka_unit_test(owners_of_two_nodes_who_remove_each_other_leave_one),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
