/* The session's own commands: Hello, Ping, RefreshToken. */
#include "auth/token.h"
#include "base/log.h"
#include "base/memory.h"
#include "commands/command.h"
#include "flow/resume.h"
#include "model/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_for_token(struct command *command, enum token_status status, const char *reason)
{
	log_limited(LOG_INFO, "token refused",
	            log_number("session", (int64_t)session_id(command->session)),
	            log_text("reason", reason));
	session_close(command->session,
	              status == TOKEN_EXPIRED ? CLOSE_TOKEN_EXPIRED : CLOSE_BAD_TOKEN, reason);
}

/* The version that both speak; 0 if there is none. */
static uint32_t choose_protocol(const Martlet__V1__Hello *hello)
{
	uint32_t lowest = hello->protocol_min ? hello->protocol_min : 1;
	uint32_t highest = hello->protocol_max ? hello->protocol_max : lowest;

	if (lowest > PROTOCOL_VERSION_MAX || highest < PROTOCOL_VERSION_MIN || highest < lowest)
		return 0;
	return highest < PROTOCOL_VERSION_MAX ? highest : PROTOCOL_VERSION_MAX;
}

/* The cursors of a Hello in one allocation that the caller frees; NULL if one is wrong. */
static struct cursor *read_cursors(const Martlet__V1__Hello *hello)
{
	struct cursor *cursors = memory_new_array(hello->n_cursors, sizeof(*cursors));

	for (size_t i = 0; i < hello->n_cursors; i++) {
		const Martlet__V1__Cursor *cursor = hello->cursors[i];

		if (!uuid_from_text(cursor->conversation_id, &cursors[i].conversation) ||
		    cursor->seq > INT64_MAX) {
			free(cursors);
			return NULL;
		}
		cursors[i].seq = cursor->seq;
		cursors[i].state_version = cursor->state_version;
	}
	return cursors;
}

/* What is wrong with the form of a Hello; NULL if nothing is. */
static const char *find_fault(const struct command *command, const Martlet__V1__Hello *hello)
{
	if (!choose_protocol(hello))
		return "no common protocol version; this server speaks 1";
	if (!id_is_valid(hello->device))
		return "device is not 1 to 64 of A-Z a-z 0-9 . _ ~ @ -";
	if (strlen(hello->client) > LIMIT_CLIENT_BYTES || !text_is_printable_ascii(hello->client))
		return "client is not printable ASCII of at most 64 bytes";
	if (hello->n_cursors > command->dispatcher->options.limits.cursors)
		return "too many cursors; Limits.cursors says how many are allowed";
	return NULL;
}

static void set_expiry(struct command *command, int64_t expires_ms)
{
	const struct dispatcher_options *options = &command->dispatcher->options;
	int64_t left_ms = expires_ms - options->clock_ms();
	struct frame *warning = encode_token_expiring(expires_ms);

	session_set_expiry(command->session, left_ms > 0 ? (uint64_t)left_ms : 0,
	                   options->token_warning_ms, warning);
	frame_unref(warning);
}

static void welcome(struct command *command, const Martlet__V1__Hello *hello, int64_t expires_ms)
{
	const struct dispatcher_options *options = &command->dispatcher->options;
	struct session *session = command->session;
	struct frame *frame;
	char name[128];

	snprintf(name, sizeof(name), "%s/%" PRIu64, options->node, session_id(session));
	frame = encode_welcome(&(struct welcome){
		.server = options->server,
		.protocol = choose_protocol(hello),
		.session = name,
		.node = options->node,
		.user = session_user(session)->text,
		.device = session_device(session),
		.time_ms = options->clock_ms(),
		.heartbeat_ms = options->heartbeat_ms,
		.token_expires_ms = expires_ms,
		.limits = &options->limits,
	});
	session_push(session, frame);
	frame_unref(frame);
	log_info("session began", log_number("session", (int64_t)session_id(session)),
	         log_text("user", session_user(session)->text),
	         log_text("device", session_device(session)), log_text("client", hello->client));
}

void command_hello(struct command *command)
{
	struct dispatcher *dispatcher = command->dispatcher;
	const Martlet__V1__Hello *hello = command->frame->hello;
	const char *fault = find_fault(command, hello);
	struct cursor *cursors = fault ? NULL : read_cursors(hello);
	struct token_claims claims;
	enum token_status status;
	const char *reason;

	if (!cursors) {
		session_close(command->session, CLOSE_PROTOCOL_ERROR,
		              fault ? fault : "a cursor's conversation_id is not a UUID");
		command_end(command);
		return;
	}
	status = token_verify(dispatcher->keys, hello->token, dispatcher->options.clock_ms(),
	                      &claims, &reason);
	if (status == TOKEN_OK) {
		session_identify(command->session, &claims.user, hello->device);
		welcome(command, hello, claims.expires_ms);
		set_expiry(command, claims.expires_ms);
		if (session_is_open(command->session))
			resume_session(dispatcher->resume, command->session, cursors,
			               hello->n_cursors);
	} else {
		close_for_token(command, status, reason);
	}
	free(cursors);
	command_end(command);
}

void command_ping(struct command *command)
{
	command_reply(command,
	              encode_pong(command->request_id, command->dispatcher->options.clock_ms()));
}

void command_refresh_token(struct command *command)
{
	struct dispatcher *dispatcher = command->dispatcher;
	struct token_claims claims;
	const char *reason;
	enum token_status status =
		token_verify(dispatcher->keys, command->frame->refresh_token->token,
	                     dispatcher->options.clock_ms(), &claims, &reason);

	if (status != TOKEN_OK) {
		struct outcome outcome =
			outcome_refuse(OUTCOME_UNAUTHENTICATED, "token: %s", reason);

		snprintf(outcome.field, sizeof(outcome.field), "token");
		command_refuse(command, outcome);
	} else if (!user_id_is_equal(&claims.user, &command->user)) {
		command_refuse(command, outcome_refuse(OUTCOME_PERMISSION_DENIED,
		                                       "the token is another user's; close this "
		                                       "session and begin one for that user"));
	} else {
		set_expiry(command, claims.expires_ms);
		command_reply(command,
		              encode_token_refreshed(command->request_id, claims.expires_ms));
	}
}
