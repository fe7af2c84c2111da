/* Changes of a conversation: the way that all of them go once their fields are checked. */
#include "base/memory.h"
#include "commands/command.h"
#include "flow/announce.h"

#include <stdlib.h>

static void announce_added(struct announce *announce, const struct event *event)
{
	struct user_id *users = memory_new_array(event->users_count, sizeof(*users));
	size_t count = 0;

	for (size_t i = 0; i < event->users_count; i++)
		count += user_id_from_text(event->users[i], &users[count]);
	announce_memberships(announce, &event->conversation, event->seq, users, count);
	free(users);
}

static void on_changed(void *context, const struct change_answer *answer)
{
	struct command *command = context;
	struct announce *announce = command->dispatcher->announce;

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
		return;
	}
	if (answer->event)
		announce_event(announce, answer->event);
	if (answer->event && answer->event->kind == EVENT_MEMBERS_ADDED)
		announce_added(announce, answer->event);
	command_reply(command,
	              encode_change(command->request_id, answer->event ? answer->event->seq : 0));
}

void command_change(struct command *command, struct change *change, const char *conversation_id,
                    struct outcome outcome)
{
	struct outcome of_id =
		check_uuid("conversation_id", conversation_id, &change->conversation);

	if (!outcome_is_ok(&of_id))
		outcome = of_id;
	if (!outcome_is_ok(&outcome)) {
		command_refuse(command, outcome);
		return;
	}
	change->user = command->user;
	change_submit(command->dispatcher->store, change, on_changed, command);
}
