/* mqtt_client - a client of Martlet that speaks MQTT, as an app on a phone does: commands up, answers and events
 * down. The reference for those who write one; what it does and why stands in docs/mobile.md.
 *
 * It waits: this is a program of its own, not a worker. A connection that is lost is made again, with its
 * subscriptions; a command without an answer is repeated, which is safe.
 *
 * Owns:     the connection, its subscriptions, and what has come and is not yet taken (bounded; what is dropped is found
 *           by number).
 * Lifetime: mqtt_client_open to mqtt_client_close.
 * Threads:  one.
 * Fails:    by outcomes.
 */
#ifndef MARTLET_CLI_MQTT_CLIENT_H
#define MARTLET_CLI_MQTT_CLIENT_H

#include "model/id.h"
#include "model/outcome.h"

#include <martlet/v1/frame.pb-c.h>

#include <stdbool.h>
#include <stdint.h>

struct mqtt_client;

struct mqtt_client_options {
	const char *host;
	uint16_t port;
	struct user_id user;
	struct user_id
		device; /* its own: two connections of one device take turns in ending each other */
	const char *login; /* the user, with a token as its password */
	const char *password;
	uint32_t answer_ms; /* how long a command is repeated before it fails with UNAVAILABLE */
};

/* Connected, and hears the device's answers and the user's news; NULL with the reason if that fails. What the
 * options point to is borrowed. */
struct mqtt_client *mqtt_client_open(const struct mqtt_client_options *options,
                                     struct outcome *ret_outcome);
void mqtt_client_close(struct mqtt_client *client);

/* Hears a conversation's events and signals from now on, until that is ended. */
struct outcome mqtt_client_subscribe(struct mqtt_client *client, const struct uuid *conversation)
	__attribute__((warn_unused_result));
void mqtt_client_unsubscribe(struct mqtt_client *client, const struct uuid *conversation);

/* Gives a command and waits for its answer, which is in `ret_reply`, inside the frame that is returned and that the
 * caller frees with martlet__v1__server_frame__free_unpacked. NULL, with the reason, if it was refused or not
 * answered. What comes meanwhile is kept. */
Martlet__V1__ServerFrame *mqtt_client_ask(struct mqtt_client *client,
                                          Martlet__V1__ClientFrame *command,
                                          const Martlet__V1__Reply **ret_reply,
                                          struct outcome *ret_outcome);

/* Waits until something came, `fd` (-1: none) can be read, or the time is over. True if `fd` can be read. */
bool mqtt_client_wait(struct mqtt_client *client, int fd, uint32_t wait_ms);

/* The oldest frame that came and is no answer, for the caller to free; NULL if there is none. */
Martlet__V1__ServerFrame *mqtt_client_take(struct mqtt_client *client);

/* How often it has been connected: if that is another number than before, something may have been missed. */
uint32_t mqtt_client_connections(const struct mqtt_client *client);

#endif
