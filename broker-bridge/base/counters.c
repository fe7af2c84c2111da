#include "base/counters.h"

#include "base/log.h"
#include "base/must.h"

#include <stdio.h>

#define NAME_BYTES 48

static const struct counter_name names[COUNTERS] = {
	[COUNTER_CONNECTION_NO_DESCRIPTOR] = {"connection", "no_descriptor"},
	[COUNTER_CONNECTION_CROWDED] = {"connection", "crowded"},
	[COUNTER_CONNECTION_TIMEOUT] = {"connection", "timeout"},
	[COUNTER_CONNECTION_UNFINISHED] = {"connection", "unfinished"},
	[COUNTER_UPGRADE_NOT_ASKED] = {"upgrade", "not_asked"},
	[COUNTER_UPGRADE_KIND] = {"upgrade", "kind"},
	[COUNTER_UPGRADE_PATH] = {"upgrade", "path"},
	[COUNTER_UPGRADE_VERSION] = {"upgrade", "version"},
	[COUNTER_UPGRADE_SUBPROTOCOL] = {"upgrade", "subprotocol"},
	[COUNTER_UPGRADE_ORIGIN] = {"upgrade", "origin"},
	[COUNTER_UPGRADE_FORWARDED] = {"upgrade", "forwarded"},
	[COUNTER_UPGRADE_ADDRESS] = {"upgrade", "address"},
	[COUNTER_UPGRADE_FULL] = {"upgrade", "full"},
	[COUNTER_CLOSE_1000] = {"close", "1000"},
	[COUNTER_CLOSE_1009] = {"close", "1009"},
	[COUNTER_CLOSE_1012] = {"close", "1012"},
	[COUNTER_CLOSE_4000] = {"close", "4000"},
	[COUNTER_CLOSE_4001] = {"close", "4001"},
	[COUNTER_CLOSE_4002] = {"close", "4002"},
	[COUNTER_CLOSE_4003] = {"close", "4003"},
	[COUNTER_CLOSE_4004] = {"close", "4004"},
	[COUNTER_CLOSE_4005] = {"close", "4005"},
	[COUNTER_CLOSE_4006] = {"close", "4006"},
	[COUNTER_CLOSE_4008] = {"close", "4008"},
	[COUNTER_CLOSE_4009] = {"close", "4009"},
	[COUNTER_CLOSE_4010] = {"close", "4010"},
	[COUNTER_CLOSE_SILENT] = {"close", "silent"},
	[COUNTER_CLOSE_UNANSWERED] = {"close", "unanswered"},
	[COUNTER_COMMAND_INVALID_ARGUMENT] = {"command", "invalid_argument"},
	[COUNTER_COMMAND_UNAUTHENTICATED] = {"command", "unauthenticated"},
	[COUNTER_COMMAND_PERMISSION_DENIED] = {"command", "permission_denied"},
	[COUNTER_COMMAND_NOT_FOUND] = {"command", "not_found"},
	[COUNTER_COMMAND_ALREADY_EXISTS] = {"command", "already_exists"},
	[COUNTER_COMMAND_RESOURCE_EXHAUSTED] = {"command", "resource_exhausted"},
	[COUNTER_COMMAND_FAILED_PRECONDITION] = {"command", "failed_precondition"},
	[COUNTER_COMMAND_UNIMPLEMENTED] = {"command", "unimplemented"},
	[COUNTER_COMMAND_UNAVAILABLE] = {"command", "unavailable"},
	[COUNTER_COMMAND_INTERNAL] = {"command", "internal"},
	[COUNTER_MQTT_TOPIC] = {"mqtt", "topic"},
	[COUNTER_MQTT_RESPONSE] = {"mqtt", "response"},
};

static uint64_t values[COUNTERS];
static uint64_t told[COUNTERS]; /* by counters_log */

void counters_add(enum counter counter)
{
	must(counter < COUNTERS);
	values[counter]++;
}

uint64_t counters_get(enum counter counter)
{
	must(counter < COUNTERS);
	return values[counter];
}

const struct counter_name *counters_name(enum counter counter)
{
	must(counter < COUNTERS);
	return &names[counter];
}

void counters_log(const char *message)
{
	struct log_field fields[COUNTERS + 1] = {{0}};
	char texts[COUNTERS][NAME_BYTES];
	size_t count = 0;

	for (size_t i = 0; i < COUNTERS; i++) {
		if (values[i] == told[i])
			continue;
		snprintf(texts[count], NAME_BYTES, "%s_%s", names[i].family, names[i].cause);
		fields[count] = log_number(texts[count], (int64_t)(values[i] - told[i]));
		told[i] = values[i];
		count++;
	}
	if (count)
		log_write(LOG_INFO, NULL, message, fields);
}
