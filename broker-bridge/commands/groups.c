/* Beginning conversations. */
#include "base/memory.h"
#include "base/random.h"
#include "commands/command.h"
#include "flow/announce.h"
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
		announce_memberships(dispatcher->announce, &answer->conversation, answer->members,
		                     answer->members_count);
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

static struct outcome check_members(const struct command *command,
                                    const Martlet__V1__CreateGroup *create,
                                    struct user_id *ret_members)
{
	uint32_t most = command->dispatcher->options.limits.group_members;
	struct outcome outcome = outcome_ok();
	char field[32];

	if (create->n_members >= most)
		return outcome_invalid("members", "are %zu; with you a group has at most %u",
		                       create->n_members, most);
	for (size_t i = 0; i < create->n_members && outcome_is_ok(&outcome); i++) {
		snprintf(field, sizeof(field), "members[%zu]", i);
		outcome = check_user(field, create->members[i], &ret_members[i]);
	}
	return outcome;
}

void command_create_group(struct command *command)
{
	const Martlet__V1__CreateGroup *create = command->frame->create_group;
	struct user_id *members = memory_new_array(create->n_members, sizeof(*members));
	struct outcome outcome =
		check_uuid("conversation_id", create->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_title(create->title);
	if (outcome_is_ok(&outcome))
		outcome = check_members(command, create, members);
	if (outcome_is_ok(&outcome))
		query_create_group(command->dispatcher->store, &command->conversation,
		                   &command->user, create->title, members, create->n_members,
		                   on_began, command);
	else
		command_refuse(command, outcome);
	free(members);
}
