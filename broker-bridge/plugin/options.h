/* options - what etc/mosquitto.conf tells the plugin (plugin_opt_NAME), checked.
 *
 * Owns:     copies: Mosquitto frees its own after the start.
 * Lifetime: options_read to options_done, in the caller's memory.
 * Fails:    by the outcome, whose text names the option and says what would be right.
 */
#ifndef MARTLET_PLUGIN_OPTIONS_H
#define MARTLET_PLUGIN_OPTIONS_H

#include "model/outcome.h"
#include "model/topic.h"

#include <stddef.h>
#include <stdint.h>

#define OPTIONS_PASSWORD_BYTES 256

/* One option as it is given: in Mosquitto's own words, struct mosquitto_opt. */
struct option_given {
	const char *name;
	const char *value;
};

struct options {
	char *keys; /* the folder */
	char *issuer;
	char *audience;
	char *database;    /* libpq's connection string */
	char *bridge_user; /* the bridges' user name */
	char *bridge_password; /* what is in bridge_password_file; NULL: Mosquitto's password_file has it */
	char node[TOPIC_NODE_BYTES + 1];
	uint32_t leeway_ms;
	uint32_t shards;
	uint32_t reload_s;
	uint32_t start_wait_ms;
};

struct outcome options_read(const struct option_given *given, size_t count,
                            struct options *ret_options) __attribute__((warn_unused_result));
void options_done(struct options *options);

#endif
