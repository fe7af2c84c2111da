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
	dispatcher->hub = rooms->hub;
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

static void end(struct command *command, struct frame *frame_or_null)
{
	struct caller caller = command->caller;

	arena_destroy(command->arena);
	free(command);
	caller.reply(caller.context, frame_or_null);
	frame_unref(frame_or_null);
}

void command_end(struct command *command)
{
	end(command, NULL);
}

void command_reply(struct command *command, struct frame *frame)
{
	if (command->request_id) {
		end(command, frame);
		return;
	}
	frame_unref(frame);
	end(command, NULL);
}

_Static_assert(COUNTER_COMMAND_INTERNAL - COUNTER_COMMAND_INVALID_ARGUMENT ==
                       OUTCOME_INTERNAL - OUTCOME_INVALID_ARGUMENT,
               "a counter for each code, in its order");

static void count_refusal(enum outcome_code code)
{
	must(code >= OUTCOME_INVALID_ARGUMENT && code <= OUTCOME_INTERNAL);
	counters_add(COUNTER_COMMAND_INVALID_ARGUMENT + (code - OUTCOME_INVALID_ARGUMENT));
}

/* 0 for a caller without one. */
static int64_t session_number(const struct command *command)
{
	return command->session ? (int64_t)session_id(command->session) : 0;
}

void command_refuse(struct command *command, struct outcome outcome)
{
	const struct command_row *row = command_find(command->frame->command_case);

	log_limited(LOG_INFO, "command refused", log_text("command", row ? row->name : "unknown"),
	            log_number("session", session_number(command)),
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

static struct command *command_create(struct dispatcher *dispatcher, const struct caller *caller,
                                      struct arena *arena, const Martlet__V1__ClientFrame *frame)
{
	struct command *command = memory_new(sizeof(*command));

	command->dispatcher = dispatcher;
	command->arena = arena;
	command->frame = frame;
	command->request_id = frame->request_id;
	command->caller = *caller;
	command->session = caller->session;
	command->user = caller->user;
	return command;
}

/* How long the caller is to wait; 0 if the turn is its. A session that does not heed it is closed, and who has
 * none is not answered any more. */
static uint32_t take_turn(const struct command *command, const struct command_row *row,
                          bool *ret_is_too_often)
{
	bool is_write = row && row->is_write;
	uint64_t now_ms = command->dispatcher->options.uptime_ms();

	*ret_is_too_often = false;
	if (command->session)
		return session_take_turn(command->session, is_write, now_ms);
	return hub_take_turn(command->dispatcher->hub, &command->user, is_write, now_ms,
	                     ret_is_too_often);
}

/* Whether the user may give this command now; if not, it was refused. */
static bool may_run(struct command *command, const struct command_row *row)
{
	bool is_too_often;
	uint32_t wait_ms = take_turn(command, row, &is_too_often);

	if (!wait_ms)
		return true;
	if (is_too_often)
		command->request_id = 0;
	command_refuse(command, outcome_retry(OUTCOME_RESOURCE_EXHAUSTED, wait_ms,
	                                      "too many commands of this user in so short a "
	                                      "time; wait %u ms",
	                                      wait_ms));
	return false;
}

static void run_row(struct command *command, const struct command_row *row)
{
	if (!row)
		command_refuse(command, outcome_refuse(OUTCOME_UNIMPLEMENTED,
		                                       "this server does not know the command"));
	else if (!command->session && row->without_session)
		command_refuse(command, outcome_refuse(OUTCOME_FAILED_PRECONDITION, "%s",
		                                       row->without_session));
	else
		row->run(command);
}

static void run(struct command *command)
{
	Martlet__V1__ClientFrame__CommandCase kind = command->frame->command_case;
	const struct command_row *row = command_find(kind);
	bool is_hello = kind == MARTLET__V1__CLIENT_FRAME__COMMAND_HELLO;
	bool is_identified = command->user.text[0];

	if (!is_identified && !is_hello) {
		session_close(command->session, CLOSE_PROTOCOL_ERROR,
		              "the first command must be Hello");
		command_end(command);
	} else if (is_identified && !may_run(command, row)) {
		/* It was refused. */
		return;
	} else if (is_identified && command->session && is_hello) {
		command_refuse(command, outcome_refuse(OUTCOME_FAILED_PRECONDITION,
		                                       "Hello comes once, at the beginning"));
	} else {
		run_row(command, row);
	}
}

static void refuse_bytes(const struct caller *caller, struct outcome outcome)
{
	struct frame *frame = NULL;

	if (caller->session) {
		session_close(caller->session, CLOSE_PROTOCOL_ERROR, outcome.text);
	} else {
		count_refusal(outcome.code);
		frame = encode_error(0, &outcome);
	}
	caller->reply(caller->context, frame);
	frame_unref(frame);
}

void dispatch_bytes(struct dispatcher *dispatcher, const struct caller *caller,
                    const uint8_t *bytes, size_t size)
{
	uint32_t most = dispatcher->options.limits.frame_bytes;
	const Martlet__V1__ClientFrame *frame;
	struct arena *arena;

	must(caller->session || caller->user.text[0]);
	/* A session's door has a bound of its own. */
	if (!caller->session && size > most) {
		refuse_bytes(caller, outcome_refuse(OUTCOME_INVALID_ARGUMENT,
		                                    "the message is %zu bytes long; it has at "
		                                    "most %u",
		                                    size, most));
		return;
	}
	arena = arena_create(LIMIT_COMMAND_ARENA_BYTES);
	frame = decode_client_frame(arena, bytes, size);
	if (frame) {
		run(command_create(dispatcher, caller, arena, frame));
		return;
	}
	refuse_bytes(caller, outcome_refuse(OUTCOME_INVALID_ARGUMENT,
	                                    "the message is not a martlet.v1.ClientFrame"));
	arena_destroy(arena);
}

static void on_session_reply(void *context, struct frame *frame_or_null)
{
	session_command_answered(context, frame_or_null);
}

void dispatch_session_bytes(struct dispatcher *dispatcher, struct session *session,
                            const uint8_t *bytes, size_t size)
{
	struct caller caller = {.session = session, .reply = on_session_reply, .context = session};

	if (!session_is_open(session))
		return;
	if (session_state(session) != SESSION_AWAITING_HELLO)
		caller.user = *session_user(session);
	session_command_begun(session);
	dispatch_bytes(dispatcher, &caller, bytes, size);
}
