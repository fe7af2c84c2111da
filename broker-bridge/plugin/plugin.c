/* The Mosquitto plugin: its entry points, and what Mosquitto's events mean to the rooms of this folder.
 *
 * Design notes. It is a guest: nothing here may end the broker. Where base/must would abort (an empty heap, a broken
 * invariant), it jumps back to the callback, which answers with a refusal; what was half done may be wrong, so
 * memberships are then distrusted until they have been read again. Each callback therefore goes through `guarded`.
 */
#include "auth/token.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/timer.h"
#include "model/rules.h"
#include "plugin/clients.h"
#include "plugin/follow.h"
#include "plugin/load.h"
#include "plugin/login.h"
#include "plugin/memberships.h"
#include "plugin/online.h"
#include "plugin/options.h"
#include "protocol/encode_signals.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <poll.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE_ROWS 5000      /* one step of a pass: some two milliseconds of the broker's */
#define REPORT_MS 60000     /* refusals are counted, and told once in so long */
#define REASONS_A_REPORT 10 /* refused logins that are told one by one in that time */
/* What Mosquitto finds by its name; all else is hidden, see exports. */
#define EXPORTED __attribute__((visibility("default")))

#define ALIVE "1" /* as in link/link.c */

/* What was refused since the last report. */
struct refused {
	uint32_t logins;
	uint32_t publishes;
	uint32_t subscriptions;
	uint32_t deliveries;
};

struct plugin {
	mosquitto_plugin_id_t *id;
	struct options options;
	struct token_keys *keys;

	struct timers timers;
	struct memberships *memberships;
	struct load *load;
	struct online *online;
	struct clients *clients;
	struct buffer entry;

	bool has_begun;    /* the first tick came */
	bool is_reloading; /* Mosquitto asks again about all who are here, until the next tick */
	uint64_t report_ms;
	struct refused refused;
};

/* The callback under way, innermost. */
static jmp_buf *way_out;

static void take_way_out(void)
{
	if (way_out)
		longjmp(*way_out, 1);
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t timers_clock(const void *context)
{
	(void)context;
	return monotonic_ms();
}

/* What the rooms need. */

static void say(void *context, const struct user_id *user, enum presence word)
{
	struct plugin *plugin = context;
	struct topic topic = topic_bus(shard_of_user(user, plugin->options.shards));

	if (encode_presence_entry(&plugin->entry, user, plugin->options.node, word))
		mosquitto_broker_publish_copy(NULL, topic.text, (int)plugin->entry.size,
		                              plugin->entry.bytes, 1, false, NULL);
}

static void kick(void *context, const char *client_id)
{
	(void)context;
	mosquitto_kick_client_by_clientid(client_id, false);
}

static void on_trouble(void *context, const char *sentence)
{
	(void)context;
	mosquitto_log_printf(MOSQ_LOG_WARNING, "martlet: %s", sentence);
}

static void on_loaded(void *context)
{
	const struct plugin *plugin = context;
	struct memberships_counts counts = memberships_counts(plugin->memberships);

	mosquitto_log_printf(MOSQ_LOG_INFO,
	                     "martlet: %zu memberships of %zu users in %zu conversations are read, "
	                     "%zu KiB",
	                     counts.memberships, counts.users, counts.conversations,
	                     counts.bytes / 1024);
}

/* Mosquitto's events. */

static int on_basic_auth(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_basic_auth *event = data;
	const char *client_id = mosquitto_client_id(event->client);
	const struct login_rules rules = {plugin->keys, plugin->options.bridge_user,
	                                  plugin->options.bridge_password};
	struct login login;
	const char *reason;
	int64_t now_ms = clock_ms();

	if (plugin->is_reloading && clients_has(plugin->clients, event->client))
		return MOSQ_ERR_SUCCESS;
	/* Mosquitto asks the plugin before its own password_file, and takes the first word. */
	if (!plugin->options.bridge_password && event->username &&
	    strcmp(event->username, plugin->options.bridge_user) == 0)
		return MOSQ_ERR_PLUGIN_DEFER;
	reason = login_judge(&rules, event->username, client_id, event->password, now_ms, &login);
	/* After a HUP Mosquitto judges everybody anew by the password of the login, sleeping sessions too: tokens
	 * that have expired meanwhile must not cost them what waits for them. They are not here, so they are not
	 * counted; nor is a WebSocket that comes in the same turn, and so it must prove its names as well. */
	if (plugin->is_reloading && (!reason || login.is_expired))
		return MOSQ_ERR_SUCCESS;
	if (reason) {
		if (plugin->refused.logins++ < REASONS_A_REPORT)
			mosquitto_log_printf(MOSQ_LOG_NOTICE, "martlet: refused %s: %s",
			                     mosquitto_client_address(event->client), reason);
		return MOSQ_ERR_AUTH;
	}
	clients_come(plugin->clients, event->client, client_id, &login.principal,
	             login.expires_ms == INT64_MAX
	                     ? UINT64_MAX
	                     : (uint64_t)(login.expires_ms - now_ms) + plugin->options.leeway_ms);
	return MOSQ_ERR_SUCCESS;
}

static bool may(struct plugin *plugin, const struct mosquitto_evt_acl_check *event,
                enum action action)
{
	struct principal principal;
	struct topic_parts parts;
	enum verdict verdict;

	if (!principal_from_names(mosquitto_client_username(event->client),
	                          mosquitto_client_id(event->client), plugin->options.bridge_user,
	                          &principal))
		return false;
	verdict = rules_judge(&principal, action, event->topic, &parts);
	return verdict == VERDICT_ALLOWED ||
	       (verdict == VERDICT_MEMBERS &&
	        memberships_has(plugin->memberships, &principal.name, &parts.conversation));
}

static int on_acl_check(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_acl_check *event = data;

	switch (event->access) {
	case MOSQ_ACL_READ:
		if (may(plugin, event, ACTION_RECEIVE))
			return MOSQ_ERR_SUCCESS;
		plugin->refused.deliveries++;
		return MOSQ_ERR_ACL_DENIED;
	case MOSQ_ACL_WRITE:
		if (may(plugin, event, event->retain ? ACTION_RETAIN : ACTION_PUBLISH))
			return MOSQ_ERR_SUCCESS;
		plugin->refused.publishes++;
		return MOSQ_ERR_ACL_DENIED;
	case MOSQ_ACL_SUBSCRIBE:
		if (may(plugin, event, ACTION_SUBSCRIBE))
			return MOSQ_ERR_SUCCESS;
		plugin->refused.subscriptions++;
		return MOSQ_ERR_ACL_DENIED;
	case MOSQ_ACL_UNSUBSCRIBE:
		return MOSQ_ERR_SUCCESS;
	default:
		return MOSQ_ERR_ACL_DENIED;
	}
}

/* Whoever publishes here is a bridge: nobody else may. A bridge that (re)connects says that its node is alive, and
 * what it told while it was away is lost. */
static int on_message(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_message *event = data;
	struct topic_parts parts;

	if (!topic_parse(event->topic, &parts))
		return MOSQ_ERR_SUCCESS;
	if (parts.kind == TOPIC_BUS && !follow_envelope(plugin->memberships, plugin->online,
	                                                event->payload, event->payloadlen)) {
		mosquitto_log_printf(MOSQ_LOG_WARNING, "martlet: unreadable envelope on %s",
		                     event->topic);
		load_ask(plugin->load);
	}
	if (parts.kind == TOPIC_NODE)
		load_ask(plugin->load);
	return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_disconnect *event = data;

	clients_go(plugin->clients, event->client);
	return MOSQ_ERR_SUCCESS;
}

static void report(struct plugin *plugin, uint64_t now_ms)
{
	const struct refused *refused = &plugin->refused;

	if (now_ms < plugin->report_ms)
		return;
	plugin->report_ms = now_ms + REPORT_MS;
	if (refused->logins || refused->publishes || refused->subscriptions || refused->deliveries)
		mosquitto_log_printf(MOSQ_LOG_NOTICE,
		                     "martlet: refused in a minute: logins %u, publishes %u, "
		                     "subscriptions %u, deliveries %u",
		                     refused->logins, refused->publishes, refused->subscriptions,
		                     refused->deliveries);
	plugin->refused = (struct refused){0};
}

/* To the nodes this broker is one of them, with sessions of its own. */
static void say_alive(struct plugin *plugin)
{
	struct topic topic = topic_node(plugin->options.node);

	plugin->has_begun = true;
	mosquitto_broker_publish_copy(NULL, topic.text, (int)strlen(ALIVE), ALIVE, 1, true, NULL);
}

static int on_tick(struct plugin *plugin, void *data)
{
	uint64_t now_ms = monotonic_ms();

	(void)data;
	plugin->is_reloading = false;
	if (!plugin->has_begun)
		say_alive(plugin);
	load_turn(plugin->load, now_ms);
	if (timers_next(&plugin->timers) <= now_ms)
		timers_turn(&plugin->timers, now_ms);
	report(plugin, now_ms);
	return MOSQ_ERR_SUCCESS;
}

static struct token_keys *read_keys(const struct plugin *plugin, struct outcome *ret_outcome)
{
	const struct token_options options = {
		.keys_folder = plugin->options.keys,
		.issuer = plugin->options.issuer,
		.audience = plugin->options.audience,
		.leeway_ms = plugin->options.leeway_ms,
	};

	return token_keys_load(&options, ret_outcome);
}

/* HUP. Keys that can't be read change nothing; who came in by a key that is gone stays until its token expires, as at
 * the front. */
static int on_reload(struct plugin *plugin, void *data)
{
	struct outcome outcome;
	struct token_keys *keys;

	(void)data;
	plugin->is_reloading = true;
	load_ask(plugin->load);
	keys = read_keys(plugin, &outcome);
	if (!keys) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "martlet: the old keys stay in force: %s",
		                     outcome.text);
		return MOSQ_ERR_SUCCESS;
	}
	token_keys_destroy(plugin->keys);
	plugin->keys = keys;
	return MOSQ_ERR_SUCCESS;
}

/* The way in and out. */

static int guarded(int (*callback)(struct plugin *plugin, void *data), struct plugin *plugin,
                   void *data, int otherwise)
{
	jmp_buf *volatile outer = way_out;
	jmp_buf here;
	volatile int result = otherwise;

	if (_setjmp(here) == 0) {
		way_out = &here;
		result = callback(plugin, data);
	} else {
		memberships_distrust(plugin->memberships);
		load_ask(plugin->load);
	}
	way_out = outer;
	return result;
}

#define GUARDED(callback, otherwise)                                                               \
	static int guarded_##callback(int event, void *data, void *context)                        \
	{                                                                                          \
		(void)event;                                                                       \
		return guarded(callback, context, data, otherwise);                                \
	}

GUARDED(on_basic_auth, MOSQ_ERR_AUTH)
GUARDED(on_acl_check, MOSQ_ERR_ACL_DENIED)
GUARDED(on_message, MOSQ_ERR_SUCCESS)
GUARDED(on_disconnect, MOSQ_ERR_SUCCESS)
GUARDED(on_tick, MOSQ_ERR_SUCCESS)
GUARDED(on_reload, MOSQ_ERR_SUCCESS)

static const struct {
	int event;
	MOSQ_FUNC_generic_callback callback;
} callbacks[] = {
	{MOSQ_EVT_BASIC_AUTH, guarded_on_basic_auth},
	{MOSQ_EVT_ACL_CHECK, guarded_on_acl_check},
	{MOSQ_EVT_MESSAGE, guarded_on_message},
	{MOSQ_EVT_DISCONNECT, guarded_on_disconnect},
	{MOSQ_EVT_TICK, guarded_on_tick},
	{MOSQ_EVT_RELOAD, guarded_on_reload},
};

#define CALLBACKS (sizeof(callbacks) / sizeof(callbacks[0]))

/* The one time that is waited for PostgreSQL: nobody is connected yet, and clients that come in the first moment
 * find their conversations. Not when it can't be reached, and never long. */
static void await_first_pass(struct plugin *plugin)
{
	uint64_t deadline = monotonic_ms() + plugin->options.start_wait_ms;
	uint64_t now = monotonic_ms();

	load_turn(plugin->load, now);
	while (!load_is_resting(plugin->load) && now < deadline) {
		struct pollfd ready = {0};

		ready.fd = load_descriptor(plugin->load, &ready.events);
		poll(&ready, 1, (int)(deadline - now));
		now = monotonic_ms();
		load_turn(plugin->load, now);
	}
}

static struct outcome take_options(struct plugin *plugin, const struct mosquitto_opt *options,
                                   int count)
{
	struct option_given *given = memory_new_array((size_t)count, sizeof(*given));
	struct outcome outcome;

	for (int i = 0; i < count; i++)
		given[i] = (struct option_given){options[i].key, options[i].value};
	outcome = options_read(given, (size_t)count, &plugin->options);
	free(given);
	if (outcome_is_ok(&outcome))
		plugin->keys = read_keys(plugin, &outcome);
	return outcome;
}

static void make_rooms(struct plugin *plugin)
{
	timers_init(&plugin->timers, monotonic_ms());
	timers_set_clock(&plugin->timers, timers_clock, NULL);
	buffer_init(&plugin->entry, LIMIT_PUBLISH_BYTES);
	plugin->memberships = memberships_create();
	plugin->load = load_create(
		&(struct load_options){
			.connection = plugin->options.database,
			.interval_ms = (uint64_t)plugin->options.reload_s * 1000,
			.page_rows = PAGE_ROWS,
		},
		&(struct load_needs){plugin, on_trouble, on_loaded}, plugin->memberships);
	plugin->online = online_create(&(struct online_needs){plugin, say}, &plugin->timers,
	                               LIMIT_PRESENCE_GRACE_MS);
	plugin->clients = clients_create(&(struct clients_needs){plugin, kick}, &plugin->timers,
	                                 plugin->online);
	plugin->report_ms = monotonic_ms() + REPORT_MS;
}

static void plugin_destroy(struct plugin *plugin)
{
	load_destroy(plugin->load);
	clients_destroy(plugin->clients);
	online_destroy(plugin->online);
	memberships_destroy(plugin->memberships);
	timers_done(&plugin->timers);
	buffer_done(&plugin->entry);
	token_keys_destroy(plugin->keys);
	options_done(&plugin->options);
	free(plugin);
}

EXPORTED int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
	for (int i = 0; i < supported_version_count; i++) {
		if (supported_versions[i] == MOSQ_PLUGIN_VERSION)
			return MOSQ_PLUGIN_VERSION;
	}
	return -1;
}

EXPORTED int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                                   struct mosquitto_opt *options, int option_count)
{
	struct plugin *plugin = memory_new(sizeof(*plugin));
	struct outcome outcome = take_options(plugin, options, option_count);

	if (!outcome_is_ok(&outcome)) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "Error: martlet_plugin.so: %s", outcome.text);
		plugin_destroy(plugin);
		return MOSQ_ERR_INVAL;
	}
	plugin->id = identifier;
	make_rooms(plugin);
	for (size_t i = 0; i < CALLBACKS; i++) {
		int result = mosquitto_callback_register(identifier, callbacks[i].event,
		                                         callbacks[i].callback, NULL, plugin);

		if (result != MOSQ_ERR_SUCCESS) {
			mosquitto_log_printf(MOSQ_LOG_ERR,
			                     "Error: martlet_plugin.so: this Mosquitto has no "
			                     "plugin event %d; it must be 2.0 or later",
			                     callbacks[i].event);
			plugin_destroy(plugin);
			return result;
		}
	}
	must_set_way_out(take_way_out);
	await_first_pass(plugin);
	*userdata = plugin;
	return MOSQ_ERR_SUCCESS;
}

EXPORTED int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options,
                                      int option_count)
{
	struct plugin *plugin = userdata;

	(void)options;
	(void)option_count;
	for (size_t i = 0; i < CALLBACKS; i++)
		mosquitto_callback_unregister(plugin->id, callbacks[i].event, callbacks[i].callback,
		                              NULL);
	must_set_way_out(NULL);
	plugin_destroy(plugin);
	return MOSQ_ERR_SUCCESS;
}
