/* chat_show - what `martlet chat` prints: a line an event, for people or, as JSON, for programs.
 *
 * JSON lines have a `kind` (message, edited, redacted, reaction, created, members_added, member_removed, role, group,
 * unknown; typing, receipt, joined, left, mute, block; conversation; sent) and the fields of what it is about, named as in
 * proto/martlet/v1; bodies that are no UTF-8 stand as `body_base64`.
 */
#ifndef MARTLET_CLI_CHAT_SHOW_H
#define MARTLET_CLI_CHAT_SHOW_H

#include <martlet/v1/frame.pb-c.h>

#include <stdbool.h>

struct chat_show {
	bool is_json;
};

/* `name` is what people call the conversation. */
void chat_show_event(const struct chat_show *show, const char *name,
                     const Martlet__V1__ConversationEvent *event);
void chat_show_conversation(const struct chat_show *show, const Martlet__V1__Conversation *one);
void chat_show_sent(const struct chat_show *show, const char *conversation_id,
                    const Martlet__V1__SendMessageResult *result);

/* Typing, receipts and what is told to one user; what is none of these is not shown. */
void chat_show_item(const struct chat_show *show, const char *name, const Martlet__V1__Item *item);

#endif
