/* counters - how often something happened, by cause.
 *
 * What strangers can cause at will is not logged each time (see log_limited); here each time counts. A
 * counter is a place in one array and has a name in two parts, a family and a cause: {"close", "4008"}.
 * Counters only rise, and their number and order are fixed when the program is compiled, so a page of values
 * means the same in every worker of one program.
 *
 * A new one is a line in the enum and a line in counters.c.
 *
 * Owns:     the process's values.
 * Threads:  one.
 * Fails:    never.
 */
#ifndef MARTLET_BASE_COUNTERS_H
#define MARTLET_BASE_COUNTERS_H

#include <stdint.h>

enum counter {
	/* Connections that ended before they had asked for anything. */
	COUNTER_CONNECTION_NO_DESCRIPTOR, /* dropped at once */
	COUNTER_CONNECTION_CROWDED,       /* dropped at once: far too many of one address */
	COUNTER_CONNECTION_TIMEOUT,       /* no whole request in time */
	COUNTER_CONNECTION_UNFINISHED,    /* went away, or broke TLS or HTTP */

	/* Requests that became no WebSocket. */
	COUNTER_UPGRADE_NOT_ASKED, /* a request that is no upgrade */
	COUNTER_UPGRADE_KIND,      /* to something else than websocket */
	COUNTER_UPGRADE_PATH,
	COUNTER_UPGRADE_VERSION,
	COUNTER_UPGRADE_SUBPROTOCOL,
	COUNTER_UPGRADE_ORIGIN,
	COUNTER_UPGRADE_FORWARDED, /* a proxy named no address */
	COUNTER_UPGRADE_ADDRESS,   /* too many of one address */
	COUNTER_UPGRADE_FULL,

	/* Sessions that the server closed, by code. */
	COUNTER_CLOSE_1000,
	COUNTER_CLOSE_1009,
	COUNTER_CLOSE_1012,
	COUNTER_CLOSE_4000,
	COUNTER_CLOSE_4001,
	COUNTER_CLOSE_4002,
	COUNTER_CLOSE_4003,
	COUNTER_CLOSE_4004,
	COUNTER_CLOSE_4005,
	COUNTER_CLOSE_4006,
	COUNTER_CLOSE_4008,
	COUNTER_CLOSE_4009,
	COUNTER_CLOSE_4010,
	COUNTER_CLOSE_SILENT,     /* without a code: no sign of life after a ping */
	COUNTER_CLOSE_UNANSWERED, /* one of the above did not take or answer its close frame */

	/* Commands that were refused, by the code of their outcome and in its order. */
	COUNTER_COMMAND_INVALID_ARGUMENT,
	COUNTER_COMMAND_UNAUTHENTICATED,
	COUNTER_COMMAND_PERMISSION_DENIED,
	COUNTER_COMMAND_NOT_FOUND,
	COUNTER_COMMAND_ALREADY_EXISTS,
	COUNTER_COMMAND_RESOURCE_EXHAUSTED,
	COUNTER_COMMAND_FAILED_PRECONDITION,
	COUNTER_COMMAND_UNIMPLEMENTED,
	COUNTER_COMMAND_UNAVAILABLE,
	COUNTER_COMMAND_INTERNAL,

	/* What came over MQTT and was passed over. */
	COUNTER_MQTT_TOPIC,    /* a command on no device's topic */
	COUNTER_MQTT_RESPONSE, /* a response topic that is not the device's */

	COUNTERS,
};

/* Both parts are made of a-z, 0-9 and _. */
struct counter_name {
	const char *family;
	const char *cause;
};

/* It has happened once more. */
void counters_add(enum counter counter);

/* To list them: for each number from 0 below COUNTERS. */
uint64_t counters_get(enum counter counter);
const struct counter_name *counters_name(enum counter counter);

/* Writes one line with how much each has risen since the last call (upgrade_origin=3 close_4008=1), or nothing if
 * none has. */
void counters_log(const char *message);

#endif
