/* chat_log - the conversations of one user, followed over MQTT without a gap.
 *
 * Each is subscribed to, and its next number remembered. An event with that number is shown; one below it is known; one
 * ahead of it means that something was lost or overtaken, and the log is asked for all from there on. What was
 * missed before the subscription stood, or while the connection was away, is found by comparing all with what the
 * server says of them.
 *
 * Owns:     the list of conversations, LIMIT_USER_CONVERSATIONS at most.
 * Lifetime: chat_log_open to chat_log_close; the client is borrowed.
 * Threads:  one; calls wait for the network.
 * Fails:    by outcomes.
 */
#ifndef MARTLET_CLI_CHAT_LOG_H
#define MARTLET_CLI_CHAT_LOG_H

#include "cli/chat_show.h"
#include "cli/mqtt_client.h"

struct chat_log;

/* NULL, with the reason, if the conversations can't be read. */
struct chat_log *chat_log_open(struct mqtt_client *client, const struct chat_show *show,
                               struct outcome *ret_outcome);
void chat_log_close(struct chat_log *log);

/* Shows all that came since, and finds out what did not. */
struct outcome chat_log_turn(struct chat_log *log) __attribute__((warn_unused_result));

/* Finds the direct conversation with a user, or one by its id as text; nil if there is none. */
struct uuid chat_log_find(const struct chat_log *log, const char *peer_or_id);

/* The newest number of a conversation that was shown or passed over; 0 if it is not known. */
uint64_t chat_log_seq(const struct chat_log *log, const struct uuid *conversation);

/* What people call it. */
const char *chat_log_name(const struct chat_log *log, const struct uuid *conversation);

/* Asks for a page of the newest events and shows them; changes nothing else. */
struct outcome chat_log_show_history(struct chat_log *log, const struct uuid *conversation,
                                     uint32_t limit) __attribute__((warn_unused_result));

/* Shows every conversation of the user. */
struct outcome chat_log_list(struct chat_log *log) __attribute__((warn_unused_result));

#endif
