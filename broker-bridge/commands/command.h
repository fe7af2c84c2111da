/* command - one command between its bytes and its answer; what the command groups share.
 *
 * Owns:     its arena, and with it the decoded frame; a reference on its session.
 * Lifetime: made by dispatch; ends with command_reply, command_refuse or command_end, exactly one of which
 *           each command's function calls, now or later.
 */
#ifndef MARTLET_COMMANDS_COMMAND_H
#define MARTLET_COMMANDS_COMMAND_H

#include "base/arena.h"
#include "commands/dispatch.h"
#include "hub/session.h"
#include "model/id.h"
#include "model/outcome.h"
#include "protocol/decode.h"

struct dispatcher {
	struct dispatcher_options options;
	const struct token_keys *keys;
	struct store *store;
	struct announce *announce;
	struct resume *resume;
	struct signals *signals;
	struct blocks *blocks;
	struct watching *watching;
};

struct command {
	struct dispatcher *dispatcher;
	struct arena *arena;
	const Martlet__V1__ClientFrame *frame;
	uint32_t request_id;
	struct session *session;
	struct user_id user; /* empty before Hello */

	/* What a command keeps while it waits for an answer. */
	struct uuid conversation;
	struct user_id other;
	bool is_created;
};

/* Answers with a frame (taken), with a refusal, or not at all. */
void command_reply(struct command *command, struct frame *frame);
void command_refuse(struct command *command, struct outcome outcome);
void command_end(struct command *command);

/* Checks of fields, each naming the field in its refusal. */
struct outcome check_uuid(const char *field, const char *text, struct uuid *ret_uuid)
	__attribute__((warn_unused_result));
struct outcome check_user(const char *field, const char *text, struct user_id *ret_user)
	__attribute__((warn_unused_result));
struct outcome check_page_size(uint32_t asked, uint32_t most, uint32_t *ret_size)
	__attribute__((warn_unused_result));

/* One row a command (table.c). */
struct command_row {
	Martlet__V1__ClientFrame__CommandCase kind;
	const char *name;
	void (*run)(struct command *command);
};

/* NULL if there is no such command. */
const struct command_row *command_find(Martlet__V1__ClientFrame__CommandCase kind);

/* session.c, messages.c, reading.c, groups.c, signals.c, safety.c */
void command_hello(struct command *command);
void command_ping(struct command *command);
void command_refresh_token(struct command *command);
void command_send_message(struct command *command);
void command_get_history(struct command *command);
void command_list_conversations(struct command *command);
void command_open_direct(struct command *command);
void command_create_group(struct command *command);
void command_set_typing(struct command *command);
void command_watch_presence(struct command *command);
void command_unwatch_presence(struct command *command);
void command_set_presence(struct command *command);
void command_block_user(struct command *command);
void command_unblock_user(struct command *command);
void command_list_blocked(struct command *command);

#endif
