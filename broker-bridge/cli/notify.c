/* martlet notify: tells users something as a service, over MQTT.
 *
 *   martlet notify --as SERVICE --user ALICE [--user BOB] [--kind K] [--id I] [--ttl SECONDS] [--collapse KEY]
 *                  [--content-type TYPE] [--wait] PAYLOAD
 *
 * Without --wait it ends when Mosquitto has it, which may lose it; with --wait when it is durable: it repeats with the
 * same id until that is told. Exit codes: 0 done; 1 refused; 2 wrong usage; 3 no answer.
 */
#include "app/config.h"
#include "auth/token.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/cli.h"
#include "model/topic.h"

#include <errno.h>
#include <getopt.h>
#include <martlet/v1/frame.pb-c.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_TTL_MS INT64_C(600000)
#define ANSWER_MS 30000
#define REPEAT_MS 5000
#define TURN_MS 100
#define KEEPALIVE_S 60
#define USERS_MOST 1000
#define TTL_MOST_S 2592000L
#define PASSWORD_BYTES 4096
#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define EXIT_AWAY 3

struct request {
	const char *path;
	struct user_id service;
	const char *token;
	const char *login;
	const char *password_file;
	Martlet__V1__Notify notify;
	char *users[USERS_MOST];
	struct uuid_text fresh_id;
	bool is_waiting;
};

/* What has come of it. */
struct errand {
	struct mosquitto *mosquitto;
	const struct request *request;
	struct topic response;
	bool is_connected;
	bool is_subscribed;
	bool is_published; /* Mosquitto has it */
	bool is_answered;
	int refusal; /* of the CONNACK; 0 if there was none */
	struct outcome outcome;
};

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool read_option(struct request *request, int option)
{
	Martlet__V1__Notify *notify = &request->notify;
	char *end;
	long ttl_s;

	switch (option) {
	case 'c':
		request->path = optarg;
		return true;
	case 'a':
		return user_id_from_text(optarg, &request->service);
	case 'u':
		if (notify->n_users == USERS_MOST)
			return false;
		notify->users[notify->n_users++] = optarg;
		return true;
	case 'k':
		notify->kind = optarg;
		return true;
	case 'i':
		notify->id = optarg;
		return true;
	case 'C':
		notify->collapse_key = optarg;
		return true;
	case 'y':
		notify->content_type = optarg;
		return true;
	case 't':
		ttl_s = strtol(optarg, &end, 10);
		notify->expires_after_ms = (uint64_t)ttl_s * 1000;
		return end != optarg && !*end && ttl_s > 0 && ttl_s <= TTL_MOST_S;
	case 'w':
		request->is_waiting = true;
		return true;
	case 'T':
		request->token = optarg;
		return true;
	case 'L':
		request->login = optarg;
		return true;
	case 'p':
		request->password_file = optarg;
		return true;
	default:
		return false;
	}
}

static bool read_request(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"as", required_argument, NULL, 'a'},
		{"user", required_argument, NULL, 'u'},
		{"kind", required_argument, NULL, 'k'},
		{"id", required_argument, NULL, 'i'},
		{"ttl", required_argument, NULL, 't'},
		{"collapse", required_argument, NULL, 'C'},
		{"content-type", required_argument, NULL, 'y'},
		{"wait", no_argument, NULL, 'w'},
		{"token", required_argument, NULL, 'T'},
		{"login", required_argument, NULL, 'L'},
		{"password-file", required_argument, NULL, 'p'},
		{0},
	};
	int option;

	martlet__v1__notify__init(&request->notify);
	request->path = cli_default_config();
	request->notify.users = request->users;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (!read_option(request, option))
			return false;
	}
	if (!request->service.text[0] || !request->notify.n_users || optind + 1 != argc)
		return false;
	request->notify.payload =
		(ProtobufCBinaryData){.len = strlen(argv[optind]), .data = (uint8_t *)argv[optind]};
	return true;
}

static int usage(void)
{
	fprintf(stderr,
	        "usage: martlet notify --as SERVICE --user USER... [--kind KIND] [--id ID]\n"
	        "                      [--ttl SECONDS] [--collapse KEY] [--content-type TYPE]\n"
	        "                      [--wait] PAYLOAD\n"
	        "\n"
	        "  --wait               until it is durable; else until Mosquitto has it\n"
	        "  --token TOKEN        else one is made with the signing key of the configuration\n"
	        "  --login NAME --password-file FILE\n"
	        "                       come in to Mosquitto otherwise than with a token\n"
	        "  -c FILE              the configuration\n"
	        "\n"
	        "exit: 0 done, 1 refused, 2 wrong usage, 3 no answer\n");
	return EXIT_USAGE;
}

/* libmosquitto's callbacks. */

static void on_connect(struct mosquitto *mosquitto, void *context, int result)
{
	struct errand *errand = context;

	errand->refusal = result;
	errand->is_connected = result == 0;
	if (result == 0 && errand->request->is_waiting)
		mosquitto_subscribe(mosquitto, NULL, errand->response.text, 1);
}

static void on_subscribe(struct mosquitto *mosquitto, void *context, int id, int count,
                         const int *granted)
{
	struct errand *errand = context;

	(void)mosquitto;
	(void)id;
	errand->is_subscribed = count == 1 && granted[0] <= 2;
}

static void on_publish(struct mosquitto *mosquitto, void *context, int id, int reason,
                       const mosquitto_property *properties)
{
	struct errand *errand = context;

	(void)mosquitto;
	(void)id;
	(void)properties;
	if (reason == MQTT_RC_NOT_AUTHORIZED)
		errand->outcome = outcome_refuse(OUTCOME_PERMISSION_DENIED,
		                                 "Mosquitto does not let this service notify");
	errand->is_published = true;
}

/* What is only away for now is asked again. */
static void take_answer(struct errand *errand, const Martlet__V1__Reply *reply)
{
	if (errand->is_answered)
		return;
	errand->outcome = outcome_ok();
	if (reply->result_case == MARTLET__V1__REPLY__RESULT_NOTIFY)
		printf("stored %u, repeated %u\n", reply->notify->stored, reply->notify->repeated);
	else if (reply->result_case == MARTLET__V1__REPLY__RESULT_ERROR)
		errand->outcome = outcome_refuse(
			(enum outcome_code)reply->error->code, "%s%s%s", reply->error->field,
			*reply->error->field ? " " : "", reply->error->message);
	errand->is_answered = errand->outcome.code != OUTCOME_UNAVAILABLE &&
	                      errand->outcome.code != OUTCOME_RESOURCE_EXHAUSTED;
}

static void on_message(struct mosquitto *mosquitto, void *context,
                       const struct mosquitto_message *message)
{
	struct errand *errand = context;
	Martlet__V1__ServerFrame *frame = martlet__v1__server_frame__unpack(
		NULL, (size_t)message->payloadlen, message->payload);
	const Martlet__V1__Reply *reply =
		frame && frame->n_items == 1 &&
				frame->items[0]->kind_case == MARTLET__V1__ITEM__KIND_REPLY
			? frame->items[0]->reply
			: NULL;

	(void)mosquitto;
	if (reply)
		take_answer(errand, reply);
	if (frame)
		martlet__v1__server_frame__free_unpacked(frame, NULL);
}

/* Coming in. */

static char *make_token(const struct config *config, const struct request *request,
                        struct outcome *ret_outcome)
{
	struct token_claims claims = {.user = request->service,
	                              .service = request->service,
	                              .scopes = TOKEN_SCOPE_NOTIFY,
	                              .expires_ms = clock_ms() + TOKEN_TTL_MS};
	const struct token_options options = {
		.keys_folder = config->auth.keys,
		.issuer = config->auth.issuer,
		.audience = config->auth.audience,
	};
	struct token_keys *keys = token_keys_load(&options, ret_outcome);
	char *token = keys ? token_issue(keys, NULL, &claims, clock_ms(), ret_outcome) : NULL;

	token_keys_destroy(keys);
	return token;
}

static char *read_password(const char *path, struct outcome *ret_outcome)
{
	char line[PASSWORD_BYTES] = "";
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, sizeof(line), file))
		*ret_outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT, "%s can't be read", path);
	if (file)
		fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	return memory_copy_text(line);
}

static struct outcome come_in(struct errand *errand, const struct config *config)
{
	const struct request *request = errand->request;
	struct outcome outcome = outcome_ok();
	char login[LIMIT_USER_BYTES + 16];
	char *password;
	int result;

	snprintf(login, sizeof(login), "service:%s", request->service.text);
	if (request->password_file)
		password = read_password(request->password_file, &outcome);
	else if (request->token)
		password = memory_copy_text(request->token);
	else
		password = make_token(config, request, &outcome);
	if (outcome_is_ok(&outcome))
		mosquitto_username_pw_set(errand->mosquitto,
		                          request->login ? request->login : login, password);
	free(password);
	if (!outcome_is_ok(&outcome))
		return outcome;
	result = mosquitto_connect(errand->mosquitto, config->mosquitto.host,
	                           (int)config->mosquitto.port, KEEPALIVE_S);
	if (result != MOSQ_ERR_SUCCESS)
		return outcome_refuse(OUTCOME_UNAVAILABLE, "Mosquitto: %s",
		                      result == MOSQ_ERR_ERRNO ? strerror(errno)
		                                               : mosquitto_strerror(result));
	return outcome;
}

/* The errand. */

static void publish(struct errand *errand)
{
	const struct request *request = errand->request;
	struct topic topic = topic_notify(&request->service);
	size_t size = martlet__v1__notify__get_packed_size(&request->notify);
	uint8_t *bytes = memory_new(size);
	mosquitto_property *properties = NULL;

	martlet__v1__notify__pack(&request->notify, bytes);
	if (request->is_waiting)
		mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC,
		                              errand->response.text);
	mosquitto_publish_v5(errand->mosquitto, NULL, topic.text, (int)size, bytes, 1, false,
	                     properties);
	mosquitto_property_free_all(&properties);
	free(bytes);
}

static bool is_done(const struct errand *errand)
{
	return errand->refusal || errand->outcome.code == OUTCOME_PERMISSION_DENIED ||
	       (errand->request->is_waiting ? errand->is_answered : errand->is_published);
}

static struct outcome run(struct errand *errand)
{
	int64_t end_ms = clock_ms() + ANSWER_MS;
	int64_t repeat_ms = 0;

	while (!is_done(errand) && clock_ms() < end_ms) {
		bool is_ready =
			errand->request->is_waiting ? errand->is_subscribed : errand->is_connected;

		if (is_ready && clock_ms() >= repeat_ms) {
			publish(errand);
			repeat_ms = clock_ms() + REPEAT_MS;
		}
		errno = 0;
		if (mosquitto_loop(errand->mosquitto, TURN_MS, 1) != MOSQ_ERR_SUCCESS &&
		    !is_done(errand))
			return outcome_refuse(OUTCOME_UNAVAILABLE,
			                      "the connection to Mosquitto is lost");
	}
	if (errand->refusal)
		return outcome_refuse(OUTCOME_UNAUTHENTICATED, "Mosquitto: %s",
		                      mosquitto_reason_string(errand->refusal));
	if (!is_done(errand) && outcome_is_ok(&errand->outcome))
		return outcome_refuse(OUTCOME_UNAVAILABLE, "Martlet does not answer");
	return errand->outcome;
}

static struct outcome go(const struct request *request, const struct config *config)
{
	struct errand errand = {.request = request, .response = topic_response(&request->service)};
	size_t size = strlen(errand.response.text);
	char id[LIMIT_USER_BYTES + 64];
	struct outcome outcome;

	/* An answer of its own: others of the service may be waiting for theirs. */
	snprintf(errand.response.text + size, sizeof(errand.response.text) - size, "/%s",
	         request->fresh_id.text);
	snprintf(id, sizeof(id), "service:%s/%s", request->service.text, request->fresh_id.text);
	mosquitto_lib_init();
	errand.mosquitto = mosquitto_new(id, true, &errand);
	mosquitto_int_option(errand.mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(errand.mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_connect_callback_set(errand.mosquitto, on_connect);
	mosquitto_subscribe_callback_set(errand.mosquitto, on_subscribe);
	mosquitto_publish_v5_callback_set(errand.mosquitto, on_publish);
	mosquitto_message_callback_set(errand.mosquitto, on_message);
	outcome = come_in(&errand, config);
	if (outcome_is_ok(&outcome))
		outcome = run(&errand);
	mosquitto_disconnect(errand.mosquitto);
	mosquitto_destroy(errand.mosquitto);
	mosquitto_lib_cleanup();
	return outcome;
}

int cli_notify(int argc, char **argv)
{
	struct request request = {.path = NULL};
	struct config *config;
	struct outcome outcome;
	struct uuid fresh;
	uint8_t random[10];

	if (!read_request(argc, argv, &request))
		return usage();
	random_bytes(random, sizeof(random));
	fresh = uuid_v7((uint64_t)clock_ms(), random);
	request.fresh_id = uuid_to_text(&fresh);
	if (!*request.notify.id)
		request.notify.id = request.fresh_id.text;
	config = config_load(request.path, stderr);
	if (!config)
		return EXIT_REFUSED;
	outcome = go(&request, config);
	config_destroy(config);
	if (outcome_is_ok(&outcome))
		return 0;
	fprintf(stderr, "martlet notify: %s\n", outcome.text);
	return outcome.code == OUTCOME_UNAVAILABLE ? EXIT_AWAY : EXIT_REFUSED;
}
