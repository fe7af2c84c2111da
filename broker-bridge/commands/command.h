/* command - one command between its bytes and its answer; what the command groups share.
 *
 * Owns:     its arena, and with it the decoded frame.
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
#include "store/change.h"

struct dispatcher {
	struct dispatcher_options options;
	const struct token_keys *keys;
	struct store *store;
	struct hub *hub;
	struct announce *announce;
	struct resume *resume;
	struct signals *signals;
	struct blocks *blocks;
	struct watching *watching;
	struct notify *notify;
};

struct command {
	struct dispatcher *dispatcher;
	struct arena *arena;
	const Martlet__V1__ClientFrame *frame;
	uint32_t request_id;
	struct caller caller;
	struct session *session; /* the caller's; NULL if it has none */
	struct user_id user;     /* the caller's; empty before Hello */

	/* What a command keeps while it waits for an answer. */
	struct uuid conversation;
	struct user_id other;
	bool is_created;
	int64_t until_ms;
	struct frame *signal;
	struct frame *answer;
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

struct outcome check_seq(uint64_t seq) __attribute__((warn_unused_result));

/* At most `most` users; those are given in one allocation that the caller frees, or NULL if one is wrong. */
struct outcome check_users(const char *field, char **texts, size_t count, size_t most,
                           struct user_id **ret_users) __attribute__((warn_unused_result));

/* Makes a change (change.c): checks the conversation's id, takes its user and conversation from the command,
 * announces the event and answers. If `outcome`, which is of the checks of the other fields, is not ok, it
 * refuses. What the change points to is copied. */
void command_change(struct command *command, struct change *change, const char *conversation_id,
                    struct outcome outcome);

/* Tells the conversation's other members of what the caller does (tell.c), also if the conversation is not live
 * on this node, which then asks the store how far its log is; then answers with `reply`. Both frames are
 * taken. */
void command_tell_and_reply(struct command *command, struct frame *signal, struct frame *reply);

/* One row a command (table.c). */
struct command_row {
	Martlet__V1__ClientFrame__CommandCase kind;
	const char *name;
	bool is_write; /* to a conversation's log: an allowance of its own (hub/allowance.h) */
	/* What a caller without a session is told, where the command is about one; else NULL. */
	const char *without_session;
	void (*run)(struct command *command);
};

/* NULL if there is no such command. */
const struct command_row *command_find(Martlet__V1__ClientFrame__CommandCase kind);

/* session.c, messages.c, reading.c, receipts.c, groups.c, signals.c, safety.c,
 * notifications.c */
void command_hello(struct command *command);
void command_ping(struct command *command);
void command_refresh_token(struct command *command);
void command_send_message(struct command *command);
void command_edit_message(struct command *command);
void command_redact_message(struct command *command);
void command_react(struct command *command);
void command_unreact(struct command *command);
void command_get_history(struct command *command);
void command_list_conversations(struct command *command);
void command_get_conversation(struct command *command);
void command_list_members(struct command *command);
void command_mark_delivered(struct command *command);
void command_mark_read(struct command *command);
void command_get_receipts(struct command *command);
void command_open_direct(struct command *command);
void command_create_group(struct command *command);
void command_update_group(struct command *command);
void command_add_members(struct command *command);
void command_remove_member(struct command *command);
void command_leave(struct command *command);
void command_set_role(struct command *command);
void command_set_mute(struct command *command);
void command_set_typing(struct command *command);
void command_watch_presence(struct command *command);
void command_unwatch_presence(struct command *command);
void command_set_presence(struct command *command);
void command_block_user(struct command *command);
void command_unblock_user(struct command *command);
void command_list_blocked(struct command *command);
void command_list_notifications(struct command *command);
void command_ack_notifications(struct command *command);
void command_notify(struct command *command);

#endif
