/* Beginning conversations, and changing groups: their settings, their members. */
#include "base/memory.h"
#include "base/random.h"
#include "commands/command.h"
#include "flow/announce.h"
#include "flow/signals.h"
#include "model/text.h"
#include "store/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The conversation as the caller has it now is the answer, whether it began or was there. */
static void on_read(void *context, const struct memberships_answer *answer)
{
	struct command *command = context;
	bool is_direct =
		command->frame->command_case == MARTLET__V1__CLIENT_FRAME__COMMAND_OPEN_DIRECT;

	if (!outcome_is_ok(&answer->outcome))
		command_refuse(command, answer->outcome);
	else if (!answer->count)
		command_refuse(command, outcome_refuse(OUTCOME_NOT_FOUND,
		                                       "you are no member of it any more"));
	else if (is_direct)
		command_reply(command,
		              encode_direct_opened(command->request_id, &answer->memberships[0],
		                                   command->is_created));
	else
		command_reply(command,
		              encode_group_created(command->request_id, &answer->memberships[0],
		                                   command->is_created));
}

static void on_began(void *context, const struct began_answer *answer)
{
	struct command *command = context;
	struct dispatcher *dispatcher = command->dispatcher;

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
		return;
	}
	command->is_created = answer->is_created;
	if (answer->is_created) {
		announce_event(dispatcher->announce, &answer->created);
		announce_memberships(dispatcher->announce, &answer->conversation,
		                     answer->created.seq, answer->members, answer->members_count);
	}
	query_memberships(dispatcher->store, &command->user, &answer->conversation, 1, on_read,
	                  command);
}

void command_open_direct(struct command *command)
{
	struct user_id peer;
	struct uuid proposed;
	uint8_t random[10];
	struct outcome outcome = check_user("user", command->frame->open_direct->user, &peer);

	if (outcome_is_ok(&outcome) && user_id_is_equal(&peer, &command->user))
		outcome = outcome_invalid("user", "is you; a direct conversation has another user");
	if (!outcome_is_ok(&outcome)) {
		command_refuse(command, outcome);
		return;
	}
	random_bytes(random, sizeof(random));
	proposed = uuid_v7((uint64_t)command->dispatcher->options.clock_ms(), random);
	query_open_direct(command->dispatcher->store, &command->user, &peer, &proposed, on_began,
	                  command);
}

static struct outcome check_title(const char *title)
{
	if (strlen(title) > LIMIT_TITLE_BYTES)
		return outcome_invalid("title", "is %zu bytes long; it has at most %d",
		                       strlen(title), LIMIT_TITLE_BYTES);
	if (!text_is_utf8(title) || text_has_controls(title))
		return outcome_invalid("title", "is not UTF-8 without control characters");
	if (!text_is_visible(title))
		return outcome_invalid("title",
		                       "shows nothing; it has at least one visible character");
	return outcome_ok();
}

void command_create_group(struct command *command)
{
	const Martlet__V1__CreateGroup *create = command->frame->create_group;
	uint32_t most = command->dispatcher->options.limits.group_members;
	struct user_id *members = NULL;
	struct outcome outcome =
		check_uuid("conversation_id", create->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_title(create->title);
	if (outcome_is_ok(&outcome))
		outcome = check_users("members", create->members, create->n_members, most - 1,
		                      &members);
	if (outcome_is_ok(&outcome))
		query_create_group(command->dispatcher->store, &command->conversation,
		                   &command->user,
		                   &(struct group_beginning){
					   .title = create->title,
					   .members = members,
					   .members_count = create->n_members,
					   .is_announcement = create->announcement,
					   .has_full_history = create->full_history,
				   },
		                   on_began, command);
	else
		command_refuse(command, outcome);
	free(members);
}

/* Changes. */

void command_update_group(struct command *command)
{
	const Martlet__V1__UpdateGroup *update = command->frame->update_group;
	struct change change = {0};
	struct outcome outcome = outcome_ok();

	switch (update->change_case) {
	case MARTLET__V1__UPDATE_GROUP__CHANGE_TITLE:
		change.kind = CHANGE_TITLE;
		change.title = update->title;
		outcome = check_title(update->title);
		break;
	case MARTLET__V1__UPDATE_GROUP__CHANGE_ANNOUNCEMENT:
		change.kind = CHANGE_ANNOUNCEMENT;
		change.is_on = update->announcement;
		break;
	case MARTLET__V1__UPDATE_GROUP__CHANGE_FULL_HISTORY:
		change.kind = CHANGE_FULL_HISTORY;
		change.is_on = update->full_history;
		break;
	default:
		outcome = outcome_invalid("change", "is missing; give title, announcement or "
		                                    "full_history");
		break;
	}
	command_change(command, &change, update->conversation_id, outcome);
}

void command_add_members(struct command *command)
{
	const Martlet__V1__AddMembers *add = command->frame->add_members;
	struct user_id *users = NULL;
	struct change change = {
		.kind = CHANGE_ADD_MEMBERS,
		.most = command->dispatcher->options.limits.group_members,
	};
	struct outcome outcome = outcome_ok();

	if (!add->n_users)
		outcome = outcome_invalid("users", "are none; name at least one");
	if (outcome_is_ok(&outcome))
		outcome =
			check_users("users", add->users, add->n_users, LIMIT_ADDED_MEMBERS, &users);
	change.users = users;
	change.users_count = add->n_users;
	command_change(command, &change, add->conversation_id, outcome);
	free(users);
}

void command_remove_member(struct command *command)
{
	const Martlet__V1__RemoveMember *remove = command->frame->remove_member;
	struct user_id user;
	struct change change = {.kind = CHANGE_REMOVE_MEMBER, .users = &user, .users_count = 1};
	struct outcome outcome = check_user("user", remove->user, &user);

	if (outcome_is_ok(&outcome) && user_id_is_equal(&user, &command->user))
		outcome = outcome_invalid("user", "is you; leave by Leave");
	command_change(command, &change, remove->conversation_id, outcome);
}

void command_leave(struct command *command)
{
	struct change change = {.kind = CHANGE_LEAVE};

	command_change(command, &change, command->frame->leave->conversation_id, outcome_ok());
}

void command_set_role(struct command *command)
{
	const Martlet__V1__SetRole *set = command->frame->set_role;
	struct user_id user;
	struct change change = {.kind = CHANGE_ROLE, .users = &user, .users_count = 1};
	struct outcome outcome = check_user("user", set->user, &user);

	if (outcome_is_ok(&outcome) && (set->role < MARTLET__V1__ROLE__ROLE_MEMBER ||
	                                set->role > MARTLET__V1__ROLE__ROLE_OWNER))
		outcome = outcome_invalid("role", "is %d; it is member, admin or owner",
		                          (int)set->role);
	change.role = (enum role)set->role;
	command_change(command, &change, set->conversation_id, outcome);
}

/* Muting. */

static void on_muted(void *context, const struct outcome *outcome)
{
	struct command *command = context;
	struct frame *frame;

	if (!outcome_is_ok(outcome)) {
		command_refuse(command, *outcome);
		return;
	}
	frame = encode_mute_changed(&command->conversation, command->until_ms);
	signals_tell_user(command->dispatcher->signals, &command->user, frame, command->session);
	frame_unref(frame);
	command_reply(command, encode_done(command->request_id));
}

void command_set_mute(struct command *command)
{
	const Martlet__V1__SetMute *set = command->frame->set_mute;
	struct outcome outcome =
		check_uuid("conversation_id", set->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome) && set->until_ms < 0)
		outcome = outcome_invalid("until_ms", "lies before 1970; 0 ends the muting");
	if (!outcome_is_ok(&outcome)) {
		command_refuse(command, outcome);
		return;
	}
	command->until_ms = set->until_ms < LIMIT_MUTE_MS ? set->until_ms : LIMIT_MUTE_MS;
	query_set_mute(command->dispatcher->store, &command->user, &command->conversation,
	               command->until_ms, on_muted, command);
}
