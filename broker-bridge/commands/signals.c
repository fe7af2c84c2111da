/* What is told live: typing and presence. */
#include "flow/signals.h"
#include "base/memory.h"
#include "commands/command.h"
#include "flow/watching.h"
#include "protocol/encode_signals.h"
#include "store/query.h"

#include <stdio.h>
#include <stdlib.h>

static void on_typist_read(void *context, const struct memberships_answer *answer)
{
	struct command *command = context;

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
	} else if (!answer->count) {
		command_refuse(command,
		               outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation"));
	} else {
		signals_set_guest_typing(command->dispatcher->signals, &command->user,
		                         &answer->memberships[0],
		                         command->frame->set_typing->typing);
		command_reply(command, encode_done(command->request_id));
	}
}

/* A session's seat says that its user is a member; without one the store is asked. */
void command_set_typing(struct command *command)
{
	const Martlet__V1__SetTyping *set = command->frame->set_typing;
	struct outcome outcome =
		check_uuid("conversation_id", set->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome) && !command->session) {
		query_memberships(command->dispatcher->store, &command->user,
		                  &command->conversation, 1, on_typist_read, command);
		return;
	}
	if (outcome_is_ok(&outcome) &&
	    !signals_set_typing(command->dispatcher->signals, command->session,
	                        &command->conversation, set->typing))
		outcome = outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
	if (outcome_is_ok(&outcome))
		command_reply(command, encode_done(command->request_id));
	else
		command_refuse(command, outcome);
}

/* The users that a command names, in one allocation that the caller frees; NULL after refusing the command. */
static struct user_id *read_users(struct command *command, char *const *names, size_t count)
{
	struct user_id *users;
	struct outcome outcome = outcome_ok();
	char field[32];

	if (count < 1 || count > LIMIT_NAMED_USERS) {
		command_refuse(command, outcome_invalid("users", "are %zu; give 1 to %d", count,
		                                        LIMIT_NAMED_USERS));
		return NULL;
	}
	users = memory_new_array(count, sizeof(*users));
	for (size_t i = 0; i < count && outcome_is_ok(&outcome); i++) {
		snprintf(field, sizeof(field), "users[%zu]", i);
		outcome = check_user(field, names[i], &users[i]);
	}
	if (outcome_is_ok(&outcome))
		return users;
	command_refuse(command, outcome);
	free(users);
	return NULL;
}

static void on_watched(void *context, const struct outcome *outcome,
                       const struct shown_presence *presences, size_t count)
{
	struct command *command = context;

	if (outcome_is_ok(outcome))
		command_reply(command, encode_presences(command->request_id, presences, count));
	else
		command_refuse(command, *outcome);
}

void command_watch_presence(struct command *command)
{
	const Martlet__V1__WatchPresence *watch = command->frame->watch_presence;
	struct dispatcher *dispatcher = command->dispatcher;
	struct user_id *users = read_users(command, watch->users, watch->n_users);

	if (!users)
		return;
	if (!watching_watch(dispatcher->watching, command->session, users, watch->n_users,
	                    on_watched, command))
		command_refuse(command, outcome_refuse(OUTCOME_FAILED_PRECONDITION,
		                                       "a session watches at most %u users; end "
		                                       "others with UnwatchPresence",
		                                       dispatcher->options.limits.watched_users));
	free(users);
}

void command_unwatch_presence(struct command *command)
{
	const Martlet__V1__UnwatchPresence *unwatch = command->frame->unwatch_presence;
	struct user_id *users = read_users(command, unwatch->users, unwatch->n_users);

	if (!users)
		return;
	watching_unwatch(command->dispatcher->watching, command->session, users, unwatch->n_users);
	free(users);
	command_reply(command, encode_done(command->request_id));
}

void command_set_presence(struct command *command)
{
	Martlet__V1__PresenceStatus status = command->frame->set_presence->status;

	if (status != MARTLET__V1__PRESENCE_STATUS__PRESENCE_STATUS_ONLINE &&
	    status != MARTLET__V1__PRESENCE_STATUS__PRESENCE_STATUS_AWAY) {
		command_refuse(command,
		               outcome_invalid("status", "is %d; give ONLINE (3) or AWAY (2)",
		                               (int)status));
		return;
	}
	session_set_away(command->session,
	                 status == MARTLET__V1__PRESENCE_STATUS__PRESENCE_STATUS_AWAY);
	command_reply(command, encode_done(command->request_id));
}
