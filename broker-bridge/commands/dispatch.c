#include "commands/dispatch.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "commands/command.h"
#include "hub/allowance.h"

#include <stdio.h>
#include <stdlib.h>

struct dispatcher *dispatcher_create(const struct dispatcher_options *options,
                                     const struct dispatcher_rooms *rooms)
{
	struct dispatcher *dispatcher = memory_new(sizeof(*dispatcher));

	dispatcher->options = *options;
	dispatcher->keys = rooms->keys;
	dispatcher->store = rooms->store;
	dispatcher->announce = rooms->announce;
	dispatcher->resume = rooms->resume;
	dispatcher->signals = rooms->signals;
	dispatcher->blocks = rooms->blocks;
	dispatcher->watching = rooms->watching;
	dispatcher->notify = rooms->notify;
	return dispatcher;
}

void dispatcher_set_limits(struct dispatcher *dispatcher, const struct protocol_limits *limits)
{
	dispatcher->options.limits = *limits;
}

void dispatcher_set_keys(struct dispatcher *dispatcher, const struct token_keys *keys)
{
	dispatcher->keys = keys;
}

void dispatcher_destroy(struct dispatcher *dispatcher)
{
	free(dispatcher);
}

void command_end(struct command *command)
{
	struct session *session = command->session;

	arena_destroy(command->arena);
	free(command);
	session_command_answered(session, NULL);
}

void command_reply(struct command *command, struct frame *frame)
{
	if (command->request_id)
		session_push(command->session, frame);
	frame_unref(frame);
	command_end(command);
}

_Static_assert(COUNTER_COMMAND_INTERNAL - COUNTER_COMMAND_INVALID_ARGUMENT ==
                       OUTCOME_INTERNAL - OUTCOME_INVALID_ARGUMENT,
               "a counter for each code, in its order");

static void count_refusal(enum outcome_code code)
{
	must(code >= OUTCOME_INVALID_ARGUMENT && code <= OUTCOME_INTERNAL);
	counters_add(COUNTER_COMMAND_INVALID_ARGUMENT + (code - OUTCOME_INVALID_ARGUMENT));
}

void command_refuse(struct command *command, struct outcome outcome)
{
	const struct command_row *row = command_find(command->frame->command_case);

	log_limited(LOG_INFO, "command refused", log_text("command", row ? row->name : "unknown"),
	            log_number("session", (int64_t)session_id(command->session)),
	            log_text("user", command->user.text), log_number("code", outcome.code),
	            log_text("field", outcome.field), log_text("reason", outcome.text));
	count_refusal(outcome.code);
	command_reply(command, encode_error(command->request_id, &outcome));
}

struct outcome check_uuid(const char *field, const char *text, struct uuid *ret_uuid)
{
	if (uuid_from_text(text, ret_uuid) && !uuid_is_nil(ret_uuid))
		return outcome_ok();
	return outcome_invalid(field, "is not a UUID; give one like "
	                              "01890a5d-ac96-774b-bcce-b302099a8057");
}

struct outcome check_user(const char *field, const char *text, struct user_id *ret_user)
{
	if (user_id_from_text(text, ret_user))
		return outcome_ok();
	return outcome_invalid(field, "is not a user's id; it has 1 to %d of A-Z a-z 0-9 . _ ~ @ -",
	                       LIMIT_USER_BYTES);
}

struct outcome check_users(const char *field, char **texts, size_t count, size_t most,
                           struct user_id **ret_users)
{
	struct outcome outcome = outcome_ok();
	struct user_id *users;
	char place[48];

	*ret_users = NULL;
	if (count > most)
		return outcome_invalid(field, "are %zu; they are at most %zu", count, most);
	users = memory_new_array(count, sizeof(*users));
	for (size_t i = 0; i < count && outcome_is_ok(&outcome); i++) {
		snprintf(place, sizeof(place), "%s[%zu]", field, i);
		outcome = check_user(place, texts[i], &users[i]);
	}
	if (outcome_is_ok(&outcome))
		*ret_users = users;
	else
		free(users);
	return outcome;
}

struct outcome check_seq(uint64_t seq)
{
	if (seq && seq <= INT64_MAX)
		return outcome_ok();
	return outcome_invalid("seq", "is no event's number; they begin at 1");
}

struct outcome check_page_size(uint32_t asked, uint32_t most, uint32_t *ret_size)
{
	*ret_size = asked ? asked : most;
	if (asked <= most)
		return outcome_ok();
	return outcome_invalid("limit", "is %u; it is at most %u", asked, most);
}

static struct command *command_create(struct dispatcher *dispatcher, struct session *session,
                                      struct arena *arena, const Martlet__V1__ClientFrame *frame)
{
	struct command *command = memory_new(sizeof(*command));

	command->dispatcher = dispatcher;
	command->arena = arena;
	command->frame = frame;
	command->request_id = frame->request_id;
	command->session = session;
	command->user = *session_user(session);
	session_command_begun(session);
	return command;
}

/* Whether the user may give this command now; if not, it was refused. */
static bool take_turn(struct command *command, const struct command_row *row)
{
	uint32_t wait_ms = session_take_turn(command->session, row && row->is_write,
	                                     command->dispatcher->options.uptime_ms());

	if (wait_ms)
		command_refuse(command,
		               outcome_retry(OUTCOME_RESOURCE_EXHAUSTED, wait_ms,
		                             "too many commands of this user in so short a "
		                             "time; wait %u ms",
		                             wait_ms));
	return !wait_ms;
}

static void run(struct command *command)
{
	Martlet__V1__ClientFrame__CommandCase kind = command->frame->command_case;
	const struct command_row *row = command_find(kind);
	bool is_hello = kind == MARTLET__V1__CLIENT_FRAME__COMMAND_HELLO;

	if (session_state(command->session) == SESSION_AWAITING_HELLO && !is_hello) {
		session_close(command->session, CLOSE_PROTOCOL_ERROR,
		              "the first command must be Hello");
		command_end(command);
	} else if (session_state(command->session) != SESSION_AWAITING_HELLO &&
	           !take_turn(command, row)) {
		/* It was refused. */
		return;
	} else if (session_state(command->session) != SESSION_AWAITING_HELLO && is_hello) {
		command_refuse(command, outcome_refuse(OUTCOME_FAILED_PRECONDITION,
		                                       "Hello comes once, at the beginning"));
	} else if (!row) {
		command_refuse(command, outcome_refuse(OUTCOME_UNIMPLEMENTED,
		                                       "this server does not know the command"));
	} else {
		row->run(command);
	}
}

void dispatch_session_bytes(struct dispatcher *dispatcher, struct session *session,
                            const uint8_t *bytes, size_t size)
{
	struct arena *arena;
	const Martlet__V1__ClientFrame *frame;

	if (!session_is_open(session))
		return;
	arena = arena_create(LIMIT_COMMAND_ARENA_BYTES);
	frame = decode_client_frame(arena, bytes, size);
	if (frame) {
		run(command_create(dispatcher, session, arena, frame));
		return;
	}
	session_close(session, CLOSE_PROTOCOL_ERROR, "the message is not a martlet.v1.ClientFrame");
	arena_destroy(arena);
}
