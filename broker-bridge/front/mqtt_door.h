/* mqtt_door - the door for clients that speak MQTT: commands from martlet/v1/up/{user}/{device}, answers to
 * martlet/v1/d/{user}/{device}.
 *
 * Who is speaking the topic says: Mosquitto lets a client publish to its own topic only. There is no session: a client
 * hears events by its subscriptions (see flow/topics.h), and answers come with QoS 1, so its queue at Mosquitto keeps
 * them while it is away. Where a command names a response topic (MQTT 5) at or below its device's own, the
 * answer goes there too, with the correlation data; any other is ignored, or this node would publish wherever it
 * is told to.
 *
 * Services come in here too: what is on martlet/v1/svc/{service}/notify is told to users, and answered where they ask
 * for it, at or below martlet/v1/svc/{service}/response.
 *
 * Mosquitto may bring a command twice, after a death for one. Commands bear that, as they bear a client's retry.
 *
 * Owns:     the connection that takes commands (link/ingest.h); what is known of each until it is answered.
 * Lifetime: mqtt_door_create; mqtt_door_close; mqtt_door_free when all commands are answered.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never by return. What is no command is answered with an Error, what is on no such topic is dropped
 *           and counted.
 */
#ifndef MARTLET_FRONT_MQTT_DOOR_H
#define MARTLET_FRONT_MQTT_DOOR_H

#include "link/ingest.h"

#include <stdbool.h>

struct dispatcher;
struct link;
struct mqtt_door;

/* What is to be heard the door adds to the options. Both rooms are borrowed for its life; answers go by the link. */
struct mqtt_door *mqtt_door_create(const struct ingest_options *options,
                                   struct dispatcher *dispatcher, struct link *link);

/* Takes no more commands, and answers what it has. */
void mqtt_door_stop(struct mqtt_door *door);
bool mqtt_door_is_stopped(const struct mqtt_door *door);

/* At once. What is answered after it is told to nobody; Mosquitto brings it again. */
void mqtt_door_close(struct mqtt_door *door, void (*on_closed)(void *context), void *context);
void mqtt_door_free(struct mqtt_door *door);

#endif
