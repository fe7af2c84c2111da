/* martlet chat: a client for the terminal, over MQTT; in scripts too.
 *
 *   martlet chat --as ALICE [--to BOB | --in ID]     talk; /help tells how
 *   martlet chat send --as ALICE --to BOB TEXT       send one message
 *   martlet chat tail --as BOB [--for SECONDS]       show what comes
 *   martlet chat history --as A --with B [--last N]  show what was
 *   martlet chat list --as A                         show the conversations
 *
 * Exit codes: 0 done; 1 refused, or nothing found; 2 wrong usage; 3 Mosquitto or Martlet does not answer.
 */
#include "app/config.h"
#include "auth/token.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/chat_log.h"
#include "cli/cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_TTL_MS (INT64_C(12) * 3600 * 1000)
#define ANSWER_MS 30000
#define WAIT_MS 500
#define HISTORY_LAST 20
#define SECONDS_MOST 31536000L
#define LINE_BYTES 4096
#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define EXIT_AWAY 3

struct request {
	const char *path;
	const char *verb; /* "" to talk */
	const char *user;
	const char *device;
	const char *peer;  /* --to, --with */
	const char *group; /* --in */
	const char *token;
	const char *login;
	const char *password_file;
	const char *text;
	long seconds; /* 0: without end */
	long last;
	struct chat_show show;
};

struct chat {
	const struct request *request;
	struct mqtt_client *client;
	struct chat_log *log;
	struct uuid conversation; /* that is talked in; nil: none */
};

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
	(void)number;
	is_over = 1;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What is asked for. */

static bool read_number(const char *text, long most, long *ret_number)
{
	char *end;

	*ret_number = strtol(text, &end, 10);
	return end != text && !*end && *ret_number > 0 && *ret_number <= most;
}

static bool read_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"as", required_argument, NULL, 'a'},
		{"device", required_argument, NULL, 'd'},
		{"to", required_argument, NULL, 't'},
		{"with", required_argument, NULL, 't'},
		{"in", required_argument, NULL, 'i'},
		{"token", required_argument, NULL, 'T'},
		{"for", required_argument, NULL, 'f'},
		{"last", required_argument, NULL, 'l'},
		{"json", no_argument, NULL, 'j'},
		{"login", required_argument, NULL, 'L'},
		{"password-file", required_argument, NULL, 'p'},
		{0},
	};
	bool is_good = true;
	int option;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'c')
			request->path = optarg;
		else if (option == 'a')
			request->user = optarg;
		else if (option == 'd')
			request->device = optarg;
		else if (option == 't')
			request->peer = optarg;
		else if (option == 'i')
			request->group = optarg;
		else if (option == 'T')
			request->token = optarg;
		else if (option == 'L')
			request->login = optarg;
		else if (option == 'p')
			request->password_file = optarg;
		else if (option == 'j')
			request->show.is_json = true;
		else if (option == 'f')
			is_good = is_good && read_number(optarg, SECONDS_MOST, &request->seconds);
		else if (option == 'l')
			is_good = is_good && read_number(optarg, INT32_MAX, &request->last);
		else
			is_good = false;
	}
	return is_good;
}

static bool read_request(int argc, char **argv, struct request *ret_request)
{
	static const char *const verbs[] = {"send", "tail", "history", "list"};
	bool has_partner;

	*ret_request =
		(struct request){.path = cli_default_config(), .verb = "", .last = HISTORY_LAST};
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i]) == 0)
			ret_request->verb = verbs[i];
	}
	if (*ret_request->verb) {
		argc--;
		argv++;
	}
	if (!read_options(argc, argv, ret_request) || !ret_request->user ||
	    (ret_request->peer && ret_request->group))
		return false;
	has_partner = ret_request->peer || ret_request->group;
	if (strcmp(ret_request->verb, "send") == 0) {
		ret_request->text = argc > optind ? argv[optind++] : NULL;
		return has_partner && ret_request->text && optind == argc;
	}
	if (strcmp(ret_request->verb, "history") == 0 && !has_partner)
		return false;
	return optind == argc;
}

static int usage(void)
{
	fprintf(stderr,
	        "usage: martlet chat --as USER [--to USER | --in CONVERSATION]\n"
	        "       martlet chat send --as USER (--to USER | --in CONVERSATION) TEXT\n"
	        "       martlet chat tail --as USER [--for SECONDS]\n"
	        "       martlet chat history --as USER (--with USER | --in CONVERSATION) [--last N]\n"
	        "       martlet chat list --as USER\n"
	        "\n"
	        "  --json               one JSON object a line\n"
	        "  --token TOKEN        else one is made with the signing key of the configuration\n"
	        "  --device NAME        else one for this process\n"
	        "  --login NAME --password-file FILE\n"
	        "                       come in to Mosquitto otherwise than as USER with a token\n"
	        "  -c FILE              the configuration\n"
	        "\n"
	        "exit: 0 done, 1 refused or nothing found, 2 wrong usage, 3 no answer\n");
	return EXIT_USAGE;
}

/* Coming in. */

static char *make_token(const struct config *config, const struct user_id *user,
                        struct outcome *ret_outcome)
{
	struct token_claims claims = {.user = *user, .expires_ms = clock_ms() + TOKEN_TTL_MS};
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
	char line[LINE_BYTES] = "";
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, sizeof(line), file)) {
		*ret_outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT, "%s can't be read", path);
		line[0] = '\0';
	}
	if (file)
		fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	return *line ? memory_copy_text(line) : NULL;
}

static struct outcome connect_as(struct chat *chat, const struct config *config)
{
	const struct request *request = chat->request;
	struct mqtt_client_options options = {
		.host = config->mosquitto.host,
		.port = (uint16_t)config->mosquitto.port,
		.answer_ms = ANSWER_MS,
	};
	struct outcome outcome = outcome_ok();
	char device[32];
	char *password;

	/* Two of one device would end each other, so each process is a device unless it is named. */
	snprintf(device, sizeof(device), "chat-%ld", (long)getpid());
	if (!user_id_from_text(request->user, &options.user) ||
	    !user_id_from_text(request->device ? request->device : device, &options.device))
		return outcome_refuse(OUTCOME_INVALID_ARGUMENT,
		                      "a user and a device have 1 to %d of A-Z a-z 0-9 . _ ~ @ -",
		                      LIMIT_USER_BYTES);
	if (request->password_file)
		password = read_password(request->password_file, &outcome);
	else if (request->token)
		password = memory_copy_text(request->token);
	else
		password = make_token(config, &options.user, &outcome);
	options.login = request->login ? request->login : options.user.text;
	options.password = password;
	if (outcome_is_ok(&outcome))
		chat->client = mqtt_client_open(&options, &outcome);
	free(password);
	return outcome;
}

/* Commands. */

static struct outcome open_direct(struct chat *chat, const char *user)
{
	Martlet__V1__OpenDirect open = MARTLET__V1__OPEN_DIRECT__INIT;
	Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
	char *name = memory_copy_text(user);
	Martlet__V1__ServerFrame *frame;
	const Martlet__V1__Reply *reply;
	struct outcome outcome;

	open.user = name;
	command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_OPEN_DIRECT;
	command.open_direct = &open;
	frame = mqtt_client_ask(chat->client, &command, &reply, &outcome);
	free(name);
	if (!frame)
		return outcome;
	if (!uuid_from_text(reply->open_direct->conversation->id, &chat->conversation))
		outcome = outcome_refuse(OUTCOME_INTERNAL, "the answer names no conversation");
	martlet__v1__server_frame__free_unpacked(frame, NULL);
	return outcome;
}

static struct outcome choose(struct chat *chat)
{
	const struct request *request = chat->request;

	if (request->peer)
		return open_direct(chat, request->peer);
	if (request->group && !uuid_from_text(request->group, &chat->conversation))
		return outcome_refuse(OUTCOME_INVALID_ARGUMENT, "--in takes a conversation's id");
	return outcome_ok();
}

static struct outcome send_text(struct chat *chat, const char *text, bool is_shown)
{
	Martlet__V1__SendMessage send = MARTLET__V1__SEND_MESSAGE__INIT;
	Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
	struct uuid_text conversation = uuid_to_text(&chat->conversation);
	struct uuid_text id;
	struct uuid message;
	char *body = memory_copy_text(text);
	uint8_t random[10];
	Martlet__V1__ServerFrame *frame;
	const Martlet__V1__Reply *reply;
	struct outcome outcome;

	random_bytes(random, sizeof(random));
	message = uuid_v7((uint64_t)clock_ms(), random);
	/* Made once: what is repeated is the same message. */
	id = uuid_to_text(&message);
	send.conversation_id = conversation.text;
	send.client_message_id = id.text;
	send.body = (ProtobufCBinaryData){strlen(body), (uint8_t *)body};
	command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_SEND_MESSAGE;
	command.send_message = &send;
	frame = mqtt_client_ask(chat->client, &command, &reply, &outcome);
	free(body);
	if (!frame)
		return outcome;
	if (is_shown)
		chat_show_sent(&chat->request->show, conversation.text, reply->send_message);
	martlet__v1__server_frame__free_unpacked(frame, NULL);
	return outcome;
}

static struct outcome set_typing(struct chat *chat)
{
	Martlet__V1__SetTyping set = MARTLET__V1__SET_TYPING__INIT;
	Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
	struct uuid_text conversation = uuid_to_text(&chat->conversation);
	const Martlet__V1__Reply *reply;
	struct outcome outcome;

	set.conversation_id = conversation.text;
	set.typing = true;
	command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_SET_TYPING;
	command.set_typing = &set;
	martlet__v1__server_frame__free_unpacked(
		mqtt_client_ask(chat->client, &command, &reply, &outcome), NULL);
	return outcome;
}

static struct outcome mark_read(struct chat *chat, uint64_t seq)
{
	Martlet__V1__MarkRead mark = MARTLET__V1__MARK_READ__INIT;
	Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
	struct uuid_text conversation = uuid_to_text(&chat->conversation);
	const Martlet__V1__Reply *reply;
	struct outcome outcome;

	mark.conversation_id = conversation.text;
	mark.seq = seq;
	command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_MARK_READ;
	command.mark_read = &mark;
	martlet__v1__server_frame__free_unpacked(
		mqtt_client_ask(chat->client, &command, &reply, &outcome), NULL);
	return outcome;
}

/* The verbs. */

static struct outcome run_send(struct chat *chat)
{
	struct outcome outcome = choose(chat);

	return outcome_is_ok(&outcome) ? send_text(chat, chat->request->text, true) : outcome;
}

static struct outcome run_list(struct chat *chat)
{
	return chat_log_list(chat->log);
}

static struct outcome run_history(struct chat *chat)
{
	const struct request *request = chat->request;
	struct uuid id = {{0}};

	/* Looking must not begin a conversation. */
	if (!request->peer && !uuid_from_text(request->group, &id))
		return outcome_refuse(OUTCOME_INVALID_ARGUMENT, "--in takes a conversation's id");
	if (request->peer)
		id = chat_log_find(chat->log, request->peer);
	if (uuid_is_nil(&id))
		return outcome_refuse(OUTCOME_NOT_FOUND, "there is no conversation with %s",
		                      request->peer);
	return chat_log_show_history(chat->log, &id, (uint32_t)request->last);
}

static struct outcome run_tail(struct chat *chat)
{
	int64_t end_ms = clock_ms() + chat->request->seconds * 1000;
	struct outcome outcome = outcome_ok();

	/* From here on nothing is missed: a script may wait for this line. */
	fprintf(stderr, "martlet chat: listening\n");
	while (outcome_is_ok(&outcome) && !is_over &&
	       (!chat->request->seconds || clock_ms() < end_ms)) {
		mqtt_client_wait(chat->client, -1, WAIT_MS);
		outcome = chat_log_turn(chat->log);
	}
	return outcome;
}

/* Talking. */

static struct outcome obey(struct chat *chat, const char *line)
{
	char word[16] = "";
	char rest[LIMIT_USER_BYTES + 1] = "";

	(void)sscanf(line, "%15s %64s", word, rest);
	if (strcmp(word, "/quit") == 0)
		is_over = 1;
	else if (strcmp(word, "/list") == 0)
		return chat_log_list(chat->log);
	else if (strcmp(word, "/open") == 0 && *rest)
		return open_direct(chat, rest);
	else if (strcmp(word, "/in") == 0 && *rest)
		chat->conversation = chat_log_find(chat->log, rest);
	else if (strcmp(word, "/history") == 0 && !uuid_is_nil(&chat->conversation))
		return chat_log_show_history(chat->log, &chat->conversation,
		                             (uint32_t)chat->request->last);
	else if (strcmp(word, "/typing") == 0 && !uuid_is_nil(&chat->conversation))
		return set_typing(chat);
	else
		fprintf(stderr, "/list  /open USER  /in ID  /history  /typing  /quit; all else is "
		                "said in the conversation that is open\n");
	return outcome_ok();
}

static struct outcome take_line(struct chat *chat, char *line)
{
	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '/')
		return obey(chat, line);
	if (!line[0])
		return outcome_ok();
	if (uuid_is_nil(&chat->conversation)) {
		fprintf(stderr, "no conversation is open: /open USER\n");
		return outcome_ok();
	}
	return send_text(chat, line, false);
}

/* What is shown on a terminal is read. */
static struct outcome show_and_mark(struct chat *chat)
{
	uint64_t before = chat_log_seq(chat->log, &chat->conversation);
	struct outcome outcome = chat_log_turn(chat->log);
	uint64_t now = chat_log_seq(chat->log, &chat->conversation);

	if (outcome_is_ok(&outcome) && now > before)
		outcome = mark_read(chat, now);
	return outcome;
}

/* A refusal is told and no end of the talk; silence is. */
static struct outcome forgive(struct outcome outcome)
{
	if (outcome_is_ok(&outcome) || outcome.code == OUTCOME_UNAVAILABLE)
		return outcome;
	fprintf(stderr, "martlet chat: %s\n", outcome.text);
	return outcome_ok();
}

static struct outcome run_talk(struct chat *chat)
{
	struct outcome outcome = choose(chat);
	char line[LINE_BYTES];

	/* One line a read: what stdio would keep back poll does not see. */
	setvbuf(stdin, NULL, _IONBF, 0);
	while (outcome_is_ok(&outcome) && !is_over) {
		if (mqtt_client_wait(chat->client, STDIN_FILENO, WAIT_MS)) {
			if (!fgets(line, sizeof(line), stdin))
				break;
			outcome = forgive(take_line(chat, line));
		}
		if (outcome_is_ok(&outcome))
			outcome = forgive(show_and_mark(chat));
	}
	return outcome;
}

static struct outcome run(struct chat *chat)
{
	const char *verb = chat->request->verb;
	struct outcome outcome;

	if (strcmp(verb, "send") == 0)
		return run_send(chat);
	chat->log = chat_log_open(chat->client, &chat->request->show, &outcome);
	if (!chat->log)
		return outcome;
	if (strcmp(verb, "list") == 0)
		return run_list(chat);
	if (strcmp(verb, "history") == 0)
		return run_history(chat);
	return strcmp(verb, "tail") == 0 ? run_tail(chat) : run_talk(chat);
}

int cli_chat(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct request request;
	struct chat chat = {.request = &request};
	struct config *config;
	struct outcome outcome;

	if (!read_request(argc, argv, &request))
		return usage();
	config = config_load(request.path, stderr);
	if (!config)
		return EXIT_REFUSED;
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	outcome = connect_as(&chat, config);
	if (outcome_is_ok(&outcome))
		outcome = run(&chat);
	if (!outcome_is_ok(&outcome))
		fprintf(stderr, "martlet chat: %s\n", outcome.text);
	chat_log_close(chat.log);
	mqtt_client_close(chat.client);
	config_destroy(config);
	if (outcome_is_ok(&outcome))
		return 0;
	return outcome.code == OUTCOME_UNAVAILABLE ? EXIT_AWAY : EXIT_REFUSED;
}
