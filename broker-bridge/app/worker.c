#include "app/worker.h"

#include "app/config.h"
#include "auth/token.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/random.h"
#include "base/timer.h"
#include "base/version.h"
#include "commands/dispatch.h"
#include "flow/announce.h"
#include "flow/blocks.h"
#include "flow/deliver.h"
#include "flow/notify.h"
#include "flow/pickup.h"
#include "flow/resume.h"
#include "flow/signals.h"
#include "flow/sweep.h"
#include "flow/topics.h"
#include "flow/watching.h"
#include "front/http_door.h"
#include "front/mqtt_door.h"
#include "front/websocket_door.h"
#include "hub/hub.h"
#include "link/link.h"
#include "protocol/encode.h"
#include "store/store.h"

#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define RECONNECT_SPREAD_MS 2000 /* over which those who are sent away come back */
#define SIGN_IN_MS (INT64_C(12) * 60 * 60 * 1000)
#define PASSWORD_BYTES 256
#define TELL_MS 60000 /* between lines about what was refused */

struct worker {
	struct config *config;
	char node[64];
	char password[PASSWORD_BYTES];
	struct session_options session_options;

	uv_loop_t loop;
	uv_check_t check;     /* after the sockets of a turn */
	uv_prepare_t prepare; /* after its timers */
	uv_timer_t timer;
	uv_timer_t drain_timer;
	uv_signal_t process_signals[3]; /* TERM, INT, HUP */
	struct timers timers;
	struct timer tell_timer;

	struct token_keys *keys;
	struct store *store;
	struct link *link;
	struct resume *resume;
	struct hub *hub;
	struct sweep *sweep;
	struct topics *topics;
	struct announce *announce;
	struct signals *signals;
	struct watching *watching;
	struct blocks *blocks;
	struct notify *notify;
	struct pickup *pickup;
	struct dispatcher *dispatcher;
	struct websocket_door *websocket_door;
	struct http_door *http_door;
	struct mqtt_door *mqtt_door;

	bool is_draining;
	bool is_ending;
	uint32_t open_rooms;
};

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t uptime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What the rooms need of each other. */

static void on_bus(void *context, uint32_t shard, const uint8_t *bytes, size_t size)
{
	const struct worker *worker = context;

	(void)shard;
	deliver_envelope(
		&(struct deliver_rooms){
			.hub = worker->hub,
			.resume = worker->resume,
			.signals = worker->signals,
			.blocks = worker->blocks,
			.watching = worker->watching,
			.notify = worker->notify,
		},
		bytes, size);
}

static void on_up(void *context)
{
	struct worker *worker = context;

	sweep_now(worker->sweep);
	blocks_on_up(worker->blocks);
	watching_on_up(worker->watching);
}

static void on_down(void *context)
{
	(void)context;
}

static void on_node(void *context, const char *node, bool is_alive)
{
	const struct worker *worker = context;

	log_debug("node", log_text("name", node), log_text("state", is_alive ? "alive" : "gone"));
	watching_on_node(worker->watching, node);
}

static void on_hole(void *context, const struct uuid *conversation)
{
	struct worker *worker = context;

	sweep_hole(worker->sweep, conversation);
}

/* The hub gives all its needs one context, and most are met by resume. */
static void on_user_live(void *context, const struct user_id *user)
{
	const struct worker *worker = context;

	resume_on_user_live(worker->resume, user);
	blocks_on_user_live(worker->blocks, user);
}

/* What goes with the worker holds no shard any more: the link, and all its holds, may have gone before. */
static void on_user_idle(void *context, const struct user_id *user)
{
	const struct worker *worker = context;

	if (worker->is_ending)
		return;
	resume_on_user_idle(worker->resume, user);
	/* Whom this node sends away comes back elsewhere. */
	if (!worker->is_draining)
		notify_on_user_idle(worker->notify, user);
}

static void on_conversation_live(void *context, const struct uuid *conversation)
{
	resume_on_conversation_live(((struct worker *)context)->resume, conversation);
}

static void on_conversation_idle(void *context, const struct uuid *conversation)
{
	const struct worker *worker = context;

	if (!worker->is_ending)
		resume_on_conversation_idle(worker->resume, conversation);
}

static void on_lag(void *context, struct session *session)
{
	const struct worker *worker = context;

	resume_on_lag(worker->resume, session);
	watching_on_room(worker->watching, session);
}

static void on_left(void *context, struct session *session, const struct uuid *conversation,
                    uint64_t seq)
{
	resume_on_left(((struct worker *)context)->resume, session, conversation, seq);
}

static void on_departure(void *context, const struct user_id *user)
{
	watching_recheck_user(((struct worker *)context)->watching, user);
}

static void on_session_gone(void *context, struct session *session)
{
	const struct worker *worker = context;

	resume_on_session_gone(worker->resume, session);
	watching_on_session_gone(worker->watching, session);
}

static void on_presence(void *context, const struct user_id *user, enum presence now, bool is_gone)
{
	watching_on_presence(((struct worker *)context)->watching, user, now, is_gone);
}

/* Blocks raise the same version. */
static void on_memberships(void *context, const struct user_id *user)
{
	const struct worker *worker = context;

	blocks_reload(worker->blocks, user);
	watching_recheck_user(worker->watching, user);
}

/* Where push gateways are told. */
static void on_waiting(void *context, const struct user_id *user, uint32_t waiting, uint64_t newest)
{
	(void)context;
	log_limited(LOG_INFO, "something waits for a user who is nowhere",
	            log_text("user", user->text), log_number("waiting", waiting),
	            log_number("newest", (int64_t)newest));
}

static bool is_ready(void *context, char *ret_reason, size_t size)
{
	const struct worker *worker = context;
	const char *reason = worker->is_draining              ? "draining"
	                     : !store_is_ready(worker->store) ? "PostgreSQL is away"
	                     : !link_is_up(worker->link)      ? "Mosquitto is away"
	                                                      : NULL;

	snprintf(ret_reason, size, "%s", reason ? reason : "");
	return !reason;
}

static char *sign_in(void *context, const char *user, int64_t *ret_expires_ms,
                     struct outcome *ret_outcome)
{
	const struct worker *worker = context;
	struct token_claims claims = {.expires_ms = clock_ms() + SIGN_IN_MS};

	if (!user_id_from_text(user, &claims.user)) {
		*ret_outcome =
			outcome_invalid("user", "a user's id has 1 to 64 of A-Z a-z 0-9 . _ ~ @ -");
		return NULL;
	}
	*ret_expires_ms = claims.expires_ms;
	return token_issue(worker->keys, NULL, &claims, clock_ms(), ret_outcome);
}

/* The loop. */

static void set_timer(struct worker *worker);
static void end(struct worker *worker);

static void turn(struct worker *worker)
{
	timers_turn(&worker->timers, uv_now(&worker->loop));
	if (worker->is_ending)
		return;
	store_flush(worker->store);
	link_flush(worker->link);
	websocket_door_flush(worker->websocket_door);
	set_timer(worker);
	if (worker->is_draining && !websocket_door_connections(worker->websocket_door) &&
	    mqtt_door_is_stopped(worker->mqtt_door))
		end(worker);
}

static void on_timer(uv_timer_t *timer)
{
	/* The end of the turn does what is due. */
	(void)timer;
}

static void set_timer(struct worker *worker)
{
	uint64_t next_ms = timers_next(&worker->timers);
	uint64_t now_ms = uv_now(&worker->loop);

	if (next_ms == UINT64_MAX)
		uv_timer_stop(&worker->timer);
	else
		uv_timer_start(&worker->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0,
		               0);
}

static void on_check(uv_check_t *check)
{
	turn(check->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
	turn(prepare->data);
}

/* What was refused, and how often: the lines about each one are limited. */
static void on_tell_due(struct timer *timer)
{
	struct worker *worker =
		(struct worker *)((char *)timer - offsetof(struct worker, tell_timer));

	counters_log("refused");
	timer_start(&worker->timers, timer, TELL_MS);
}

/* Ending. */

static void on_room_closed(void *context);

static void end(struct worker *worker)
{
	if (worker->is_ending)
		return;
	worker->is_ending = true;
	sweep_stop(worker->sweep);
	blocks_stop(worker->blocks);
	pickup_stop(worker->pickup);
	notify_stop(worker->notify);
	watching_stop(worker->watching);
	topics_stop(worker->topics);
	worker->open_rooms = 5;
	websocket_door_close(worker->websocket_door, on_room_closed, worker);
	http_door_close(worker->http_door, on_room_closed, worker);
	mqtt_door_close(worker->mqtt_door, on_room_closed, worker);
	store_close(worker->store, on_room_closed, worker);
	link_close(worker->link, on_room_closed, worker);
}

static void on_room_closed(void *context)
{
	struct worker *worker = context;

	if (--worker->open_rooms)
		return;
	uv_close((uv_handle_t *)&worker->check, NULL);
	uv_close((uv_handle_t *)&worker->prepare, NULL);
	uv_close((uv_handle_t *)&worker->timer, NULL);
	uv_close((uv_handle_t *)&worker->drain_timer, NULL);
	for (size_t i = 0; i < sizeof(worker->process_signals) / sizeof(worker->process_signals[0]);
	     i++)
		uv_close((uv_handle_t *)&worker->process_signals[i], NULL);
}

static void on_drain_over(uv_timer_t *timer)
{
	end(timer->data);
}

static void send_away(void *context, struct session *session)
{
	struct frame *frame = encode_draining(random_number() % RECONNECT_SPREAD_MS);

	(void)context;
	session_push(session, frame);
	frame_unref(frame);
	session_close(session, CLOSE_DRAINING, "this server is going away, reconnect");
}

static void drain(struct worker *worker)
{
	if (worker->is_draining)
		return;
	log_info("draining", log_number("connections", (int64_t)websocket_door_connections(
							       worker->websocket_door)));
	worker->is_draining = true;
	websocket_door_stop_listening(worker->websocket_door);
	http_door_stop_listening(worker->http_door);
	mqtt_door_stop(worker->mqtt_door);
	watching_on_drain(worker->watching);
	hub_each_session(worker->hub, send_away, NULL);
	uv_timer_start(&worker->drain_timer, on_drain_over, worker->config->node.drain_ms, 0);
}

/* Reading again. */

static struct protocol_limits limits_of(const struct config *config)
{
	return (struct protocol_limits){
		.frame_bytes = config->limits.frame_bytes,
		.body_bytes = config->limits.body_bytes,
		.group_members = config->limits.group_members,
		.history_events = config->limits.history_events,
		.list_conversations = config->limits.list_conversations,
		.cursors = config->limits.cursors,
		.resume_events = config->limits.resume_events,
		.outbound_bytes = config->websocket.outbound_bytes,
		.pending_commands = config->websocket.pending_commands,
		.edit_window_s = config->limits.edit_window_s,
		.receipt_members = config->limits.receipt_members,
		.typing_members = config->limits.typing_members,
		.watched_users = config->limits.watched_users,
		.blocked_users = config->limits.blocked_users,
		.list_members = config->limits.list_members,
		.pending_notifications = config->limits.user_notifications,
		.notification_bytes = config->limits.notification_bytes,
		.list_notifications = config->limits.list_notifications,
		.commands_per_second = config->limits.commands_per_second,
		.command_burst = config->limits.command_burst,
		.writes_per_second = config->limits.writes_per_second,
		.write_burst = config->limits.write_burst,
	};
}

static struct allowances allowances_of(const struct config *config)
{
	return (struct allowances){
		.commands = {config->limits.commands_per_second, config->limits.command_burst},
		.writes = {config->limits.writes_per_second, config->limits.write_burst},
	};
}

static struct session_options session_options_of(const struct config *config)
{
	return (struct session_options){
		.outbound_bytes = config->websocket.outbound_bytes,
		.outbound_low_bytes = config->websocket.outbound_bytes / 4,
		.pending_commands = config->websocket.pending_commands,
		.hello_ms = config->websocket.hello_ms,
	};
}

static struct token_keys *load_keys(const struct config *config, struct outcome *ret_outcome)
{
	return token_keys_load(
		&(struct token_options){
			.keys_folder = config->auth.keys,
			.issuer = config->auth.issuer,
			.audience = config->auth.audience,
			.leeway_ms = config->auth.leeway_ms,
		},
		ret_outcome);
}

static void reload_keys(struct worker *worker)
{
	struct outcome outcome;
	struct token_keys *keys = load_keys(worker->config, &outcome);

	if (!keys) {
		log_error("the keys stay as they were", log_text("reason", outcome.text));
		return;
	}
	dispatcher_set_keys(worker->dispatcher, keys);
	token_keys_destroy(worker->keys);
	worker->keys = keys;
}

static void reload(struct worker *worker)
{
	struct protocol_limits limits;
	struct allowances allowances;

	if (worker->is_ending)
		return;
	reload_keys(worker);
	/* What is wrong the supervisor has told. */
	if (!config_reload(worker->config, stderr))
		return;
	config_use_log(worker->config);
	limits = limits_of(worker->config);
	allowances = allowances_of(worker->config);
	dispatcher_set_limits(worker->dispatcher, &limits);
	hub_set_allowances(worker->hub, &allowances);
	/* Sessions read theirs through this. */
	worker->session_options = session_options_of(worker->config);
}

static void on_signal(uv_signal_t *handle, int number)
{
	if (number == SIGHUP)
		reload(handle->data);
	else
		drain(handle->data);
}

/* Beginning. */

static void read_password(struct worker *worker)
{
	const char *path = worker->config->mosquitto.password_file;
	FILE *file = *path ? fopen(path, "re") : NULL;

	if (!file)
		return;
	if (!fgets(worker->password, sizeof(worker->password), file))
		worker->password[0] = '\0';
	worker->password[strcspn(worker->password, "\r\n")] = '\0';
	fclose(file);
}

static const char *unless_empty(const char *text)
{
	return *text ? text : NULL;
}

static void create_neighbours(struct worker *worker)
{
	const struct config *config = worker->config;

	worker->store = store_create(&(struct store_options){
		.loop = &worker->loop,
		.connection = config->database.connection,
		.wait_ms = config->database.wait_ms,
		.append_batch = config->limits.append_batch,
		.append_pending = LIMIT_APPEND_PENDING,
		.receipt_members = config->limits.receipt_members,
		.query_pending = LIMIT_QUERY_PENDING,
		.user_notifications = config->limits.user_notifications,
		.service_notifications = config->limits.service_notifications,
	});
	worker->link = link_create(
		&(struct link_options){
			.loop = &worker->loop,
			.host = config->mosquitto.host,
			.port = (uint16_t)config->mosquitto.port,
			.user = unless_empty(config->mosquitto.user),
			.password = unless_empty(worker->password),
			.node = worker->node,
			.shards = config->mosquitto.shards,
			.publish_bytes = LIMIT_PUBLISH_BYTES,
			.publish_pending = LIMIT_PUBLISH_PENDING,
			.linger_ms = LIMIT_LINGER_MS,
		},
		&(struct link_needs){worker, on_bus, on_up, on_down, on_node});
}

static void create_hub(struct worker *worker)
{
	const struct config *config = worker->config;
	const struct hub_needs needs = {
		.context = worker,
		.on_user_live = on_user_live,
		.on_user_idle = on_user_idle,
		.on_conversation_live = on_conversation_live,
		.on_conversation_idle = on_conversation_idle,
		.on_hole = on_hole,
		.on_lag = on_lag,
		.on_left = on_left,
		.on_departure = on_departure,
		.on_session_gone = on_session_gone,
		.on_presence = on_presence,
		.on_memberships = on_memberships,
	};

	worker->resume = resume_create(
		&(struct resume_options){
			.shards = config->mosquitto.shards,
			.resume_events = config->limits.resume_events,
			.list_conversations = config->limits.list_conversations,
			.user_conversations = LIMIT_USER_CONVERSATIONS,
			.deadline_ms = LIMIT_CATCH_UP_MS,
			.list_notifications = config->limits.list_notifications,
		},
		worker->store, link_interest(worker->link), &worker->timers);
	worker->hub = hub_create(
		&(struct hub_options){
			.sessions_of_user = config->websocket.sessions_of_user,
			.tail_events = LIMIT_TAIL_EVENTS,
			.tail_bytes = LIMIT_TAIL_BYTES,
			.held_events = LIMIT_HELD_EVENTS,
			.resume_events = config->limits.resume_events,
			.linger_ms = LIMIT_LINGER_MS,
			.hole_ms = LIMIT_HOLE_MS,
			.allowances = allowances_of(config),
			.guests = LIMIT_GUESTS,
		},
		&needs, &worker->timers);
	resume_set_hub(worker->resume, worker->hub);
}

static void create_notify(struct worker *worker)
{
	const struct config *config = worker->config;

	worker->notify = notify_create(
		&(struct notify_options){
			.shards = config->mosquitto.shards,
			.notification_bytes = config->limits.notification_bytes,
			.list_notifications = config->limits.list_notifications,
			.memory_s = config->limits.notification_memory_s,
			.sweep_ms = LIMIT_SWEEP_MS,
		},
		&(struct absent_needs){worker, on_waiting}, worker->hub, worker->store,
		worker->link, worker->topics, worker->watching, &worker->timers);
	resume_set_notify(worker->resume, worker->notify);
	sweep_set_notify(worker->sweep, worker->notify);
	worker->pickup = pickup_create(
		&(struct pickup_options){
			.node = worker->node,
			.poll_ms = config->database.outbox_ms,
			.lease_ms = LIMIT_OUTBOX_LEASE_MS,
		},
		worker->store, worker->link, worker->announce, worker->notify, &worker->timers);
}

static void create_flow(struct worker *worker)
{
	const struct config *config = worker->config;
	const struct dispatcher_options options = {
		.server = "martlet/" MARTLET_VERSION,
		.node = worker->node,
		.limits = limits_of(config),
		.history_bytes = LIMIT_HISTORY_BYTES,
		.heartbeat_ms = config->websocket.heartbeat_ms,
		.token_warning_ms = LIMIT_TOKEN_WARNING_MS,
		.clock_ms = clock_ms,
		.uptime_ms = uptime_ms,
	};

	worker->sweep = sweep_create(worker->hub, worker->store, worker->resume, &worker->timers,
	                             LIMIT_SWEEP_MS);
	worker->topics = topics_create(
		&(struct topics_options){
			.is_on = strcmp(config->mosquitto.conversation_topics, "always") == 0,
			.pending = LIMIT_TOPICS_PENDING,
			.at_once = LIMIT_TOPICS_AT_ONCE,
		},
		&(struct topics_needs){.context = worker}, worker->store, worker->link);
	worker->announce = announce_create(worker->hub, worker->link, worker->resume,
	                                   worker->topics, config->mosquitto.shards);
	worker->signals = signals_create(
		&(struct signals_options){
			.node = worker->node,
			.shards = config->mosquitto.shards,
			.typing_members = config->limits.typing_members,
		},
		worker->hub, worker->link, worker->topics);
	worker->watching = watching_create(
		&(struct watching_options){
			.node = worker->node,
			.shards = config->mosquitto.shards,
			.watched_users = config->limits.watched_users,
			.clock_ms = clock_ms,
		},
		worker->hub, worker->store, worker->link, &worker->timers);
	worker->blocks = blocks_create(worker->hub, worker->store, worker->link, worker->watching,
	                               &worker->timers, config->mosquitto.shards);
	create_notify(worker);
	worker->dispatcher = dispatcher_create(&options, &(struct dispatcher_rooms){
								 .keys = worker->keys,
								 .store = worker->store,
								 .hub = worker->hub,
								 .announce = worker->announce,
								 .resume = worker->resume,
								 .signals = worker->signals,
								 .blocks = worker->blocks,
								 .watching = worker->watching,
								 .notify = worker->notify,
							 });
}

static uint16_t port_of(char *const *addresses)
{
	const char *colon = addresses[0] ? strrchr(addresses[0], ':') : NULL;

	return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static bool create_websocket_door(struct worker *worker, const uint8_t ticket_keys[80],
                                  struct outcome *ret_outcome)
{
	const struct config *config = worker->config;
	struct websocket_door_options options = {
		.loop = &worker->loop,
		.hub = worker->hub,
		.dispatcher = worker->dispatcher,
		.session = &worker->session_options,
		.listen = (const char *const *)config->websocket.listen,
		.tls_listen = (const char *const *)config->websocket.tls_listen,
		.certificate_file = config->websocket.certificate,
		.private_key_file = config->websocket.private_key,
		.origins = (const char *const *)config->websocket.origins,
		.frame_bytes = config->limits.frame_bytes,
		.max_sessions = config->websocket.max_sessions,
		.handshakes = config->websocket.handshakes,
		.handshake_ms = LIMIT_HANDSHAKE_MS,
		.connections_of_address = config->websocket.connections_of_address,
		.trusted_proxies = (const char *const *)config->websocket.trusted_proxies,
		.heartbeat_ms = config->websocket.heartbeat_ms,
		.pong_ms = config->websocket.pong_ms,
	};

	memcpy(options.ticket_keys, ticket_keys, sizeof(options.ticket_keys));
	worker->websocket_door = websocket_door_create(&options, ret_outcome);
	return worker->websocket_door != NULL;
}

static bool create_http_door(struct worker *worker, struct outcome *ret_outcome)
{
	const struct config *config = worker->config;
	const struct http_door_options options = {
		.loop = &worker->loop,
		.listen = (const char *const *)config->http.listen,
		.tls_listen = (const char *const *)config->http.tls_listen,
		.admin_listen = (const char *const *)config->admin.listen,
		.certificate_file = config->websocket.certificate,
		.private_key_file = config->websocket.private_key,
		.web_root = config->http.web_root,
		.websocket_url = config->http.websocket_url,
		.websocket_tls_url = config->http.websocket_tls_url,
		.websocket_port = port_of(config->websocket.listen),
		.websocket_tls_port = port_of(config->websocket.tls_listen),
		.request_ms = LIMIT_HTTP_REQUEST_MS,
	};
	const struct http_door_needs needs = {
		.context = worker,
		.is_ready = is_ready,
		.sign_in = config->auth.development_sign_in ? sign_in : NULL,
	};

	worker->http_door = http_door_create(&options, &needs, ret_outcome);
	return worker->http_door != NULL;
}

static void create_mqtt_door(struct worker *worker)
{
	const struct config *config = worker->config;

	worker->mqtt_door = mqtt_door_create(
		&(struct ingest_options){
			.loop = &worker->loop,
			.host = config->mosquitto.host,
			.port = (uint16_t)config->mosquitto.port,
			.user = unless_empty(config->mosquitto.user),
			.password = unless_empty(worker->password),
			.node = worker->node,
			.batch = LIMIT_INGEST_BATCH,
			.expiry_s = LIMIT_INGEST_EXPIRY_S,
		},
		worker->dispatcher, worker->link);
}

/* libuv reads its clock when it has waited, before it calls for what came. */
static uint64_t loop_now_ms(const void *loop)
{
	return uv_now(loop);
}

static void create_loop(struct worker *worker)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	must(uv_loop_init(&worker->loop) == 0);
	timers_init(&worker->timers, uv_now(&worker->loop));
	timers_set_clock(&worker->timers, loop_now_ms, &worker->loop);
	worker->tell_timer.on_due = on_tell_due;
	timer_start(&worker->timers, &worker->tell_timer, TELL_MS);
	worker->check.data = worker;
	worker->prepare.data = worker;
	worker->timer.data = worker;
	worker->drain_timer.data = worker;
	uv_check_init(&worker->loop, &worker->check);
	uv_prepare_init(&worker->loop, &worker->prepare);
	uv_timer_init(&worker->loop, &worker->timer);
	uv_timer_init(&worker->loop, &worker->drain_timer);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		worker->process_signals[i].data = worker;
		must(uv_signal_init(&worker->loop, &worker->process_signals[i]) == 0);
		must(uv_signal_start(&worker->process_signals[i], on_signal, numbers[i]) == 0);
	}
}

static bool create_rooms(struct worker *worker, const uint8_t ticket_keys[80],
                         struct outcome *ret_outcome)
{
	const struct config *config = worker->config;

	worker->session_options = session_options_of(config);
	worker->keys = load_keys(config, ret_outcome);
	if (!worker->keys)
		return false;
	read_password(worker);
	create_neighbours(worker);
	create_hub(worker);
	create_flow(worker);
	if (!create_websocket_door(worker, ticket_keys, ret_outcome) ||
	    !create_http_door(worker, ret_outcome))
		return false;
	create_mqtt_door(worker);
	return true;
}

static void destroy_rooms(struct worker *worker)
{
	timer_stop(&worker->timers, &worker->tell_timer);
	/* Sessions that ended in the last turn have left their catch-up to the next. */
	timers_turn(&worker->timers, UINT64_MAX - 1);
	websocket_door_free(worker->websocket_door);
	mqtt_door_free(worker->mqtt_door);
	dispatcher_destroy(worker->dispatcher);
	announce_destroy(worker->announce);
	signals_destroy(worker->signals);
	blocks_destroy(worker->blocks);
	pickup_destroy(worker->pickup);
	notify_destroy(worker->notify);
	watching_destroy(worker->watching);
	topics_destroy(worker->topics);
	sweep_destroy(worker->sweep);
	hub_destroy(worker->hub);
	resume_destroy(worker->resume);
	token_keys_destroy(worker->keys);
	timers_done(&worker->timers);
}

int worker_run(struct config *config, uint32_t index, const uint8_t ticket_keys[80])
{
	struct worker *worker = memory_new(sizeof(*worker));
	struct outcome outcome = outcome_ok();

	signal(SIGPIPE, SIG_IGN);
	worker->config = config;
	snprintf(worker->node, sizeof(worker->node), "%s.%u", config->node.name, index);
	log_set_node(worker->node);
	mosquitto_lib_init();
	create_loop(worker);
	if (!create_rooms(worker, ticket_keys, &outcome)) {
		log_error("worker cannot begin", log_text("reason", outcome.text));
		return WORKER_CANNOT_BEGIN;
	}
	uv_check_start(&worker->check, on_check);
	uv_prepare_start(&worker->prepare, on_prepare);
	log_info("worker began");
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	destroy_rooms(worker);
	must(uv_loop_close(&worker->loop) == 0);
	free(worker);
	mosquitto_lib_cleanup();
	counters_log("refused");
	log_info("worker ended");
	return 0;
}
