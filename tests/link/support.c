#include "link/support.h"

#include "base/log.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 5
#define PATH_BYTES 128
#define LINE_BYTES 1024
#define PORTS_TRIED 5

struct broker broker;

/* What was standard error while the log is captured. */
static int kept_stderr = -1;

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Files and programs of the broker. */

static void path_of(char path[PATH_BYTES], const char *name)
{
	snprintf(path, PATH_BYTES, "%s/%s", broker.folder, name);
}

/* Becomes a program that ends with the test, whatever the test's end is. What it says goes to a file. */
static _Noreturn void become(char *const argv[], pid_t parent)
{
	char path[PATH_BYTES];
	int log;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	path_of(path, "log");
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || getppid() != parent || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(126);
	execvp(argv[0], argv);
	_exit(127);
}

static pid_t spawn(char *const argv[])
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0)
		become(argv, parent);
	assert_true(pid > 0);
	return pid;
}

static void write_users(const char *password)
{
	char path[PATH_BYTES];
	char word[64];
	char *argv[] = {"mosquitto_passwd", "-b", "-c", path, "bridge", word, NULL};
	int status;

	snprintf(word, sizeof(word), "%s", password);
	path_of(path, "users");
	assert_true(waitpid(spawn(argv), &status, 0) > 0);
	assert_int_equal(status, 0);
}

static void write_config(void)
{
	char path[PATH_BYTES];
	char line[LINE_BYTES];
	FILE *shipped = fopen("etc/mosquitto.conf", "re");
	FILE *file;

	path_of(path, "mosquitto.conf");
	file = fopen(path, "we");
	if (!shipped || !file)
		fail_msg("etc/mosquitto.conf or %s can't be opened", path);
	/* Without the plugin, which needs PostgreSQL: who comes in is said by a file of passwords. */
	while (fgets(line, sizeof(line), shipped)) {
		if (strncmp(line, "plugin", strlen("plugin")) != 0)
			fputs(line, file);
	}
	/* More than is shipped, so that the link's own bound can be met. */
	fprintf(file, "max_packet_size 4194304\nlistener %u 127.0.0.1\npassword_file %s/users\n%s",
	        broker.port, broker.folder, geteuid() == 0 ? "user root\n" : "");
	fclose(shipped);
	assert_int_equal(fclose(file), 0);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons(port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static bool is_listening(void)
{
	struct sockaddr_in address = loopback(broker.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return is_connected;
}

/* False if the broker ended instead of listening. */
static bool try_start(void)
{
	char path[PATH_BYTES];
	char *argv[] = {"mosquitto", "-c", path, NULL};
	uint64_t deadline = clock_ms() + AWAIT_MS;

	path_of(path, "mosquitto.conf");
	write_config();
	broker.pid = spawn(argv);
	while (!is_listening()) {
		if (waitpid(broker.pid, NULL, WNOHANG) != 0)
			return broker.pid = 0, false;
		if (clock_ms() > deadline)
			fail_msg("mosquitto does not listen");
		poll(NULL, 0, TICK_MS);
	}
	return true;
}

void broker_start(void)
{
	if (!try_start())
		fail_msg("mosquitto ended; is it installed?");
}

static void reap(void)
{
	waitpid(broker.pid, NULL, 0);
	broker.pid = 0;
}

void broker_kill(void)
{
	if (!broker.pid)
		return;
	kill(broker.pid, SIGKILL);
	reap();
}

void broker_pause(void)
{
	siginfo_t info;

	kill(broker.pid, SIGSTOP);
	/* Signals take their time; from here on it surely does nothing. */
	assert_int_equal(waitid(P_PID, (id_t)broker.pid, &info, WSTOPPED), 0);
}

void broker_resume(void)
{
	kill(broker.pid, SIGCONT);
}

void broker_set_password(const char *password)
{
	write_users(password);
	kill(broker.pid, SIGHUP);
}

int broker_setup(void **state)
{
	const char *path = getenv("PATH");
	char wider[4096];

	(void)state;
	/* Where Debian keeps servers, which is not in everyone's path. */
	snprintf(wider, sizeof(wider), "%s:/usr/sbin", path ? path : "/usr/bin");
	setenv("PATH", wider, 1);
	log_set_level(LOG_ERROR);
	mosquitto_lib_init();
	snprintf(broker.folder, sizeof(broker.folder), "/tmp/martlet-link.XXXXXX");
	if (!mkdtemp(broker.folder))
		fail_msg("%s: %s", broker.folder, strerror(errno));
	write_users(PASSWORD);
	for (int i = 0; i < PORTS_TRIED; i++) {
		broker.port = free_port();
		if (try_start())
			return 0;
	}
	fail_msg("mosquitto does not start; is it installed?");
	return -1;
}

int broker_ensure(void **state)
{
	(void)state;
	if (!broker.pid)
		broker_start();
	broker_resume();
	return 0;
}

int broker_release(void **state)
{
	(void)state;
	log_release();
	return 0;
}

int broker_teardown(void **state)
{
	static const char *const names[] = {"mosquitto.conf", "users", "log", "captured"};
	char path[PATH_BYTES];

	(void)state;
	log_release();
	broker_kill();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(path, names[i]);
		unlink(path);
	}
	rmdir(broker.folder);
	mosquitto_lib_cleanup();
	return 0;
}

/* A client beside the nodes. */

struct mqtt {
	struct mosquitto *client;
	const char *wanted; /* payload, if it waits for one */
	bool is_done;
};

static void on_mqtt_publish(struct mosquitto *client, void *context, int message_id)
{
	(void)client;
	(void)message_id;
	((struct mqtt *)context)->is_done = true;
}

static void on_mqtt_message(struct mosquitto *client, void *context,
                            const struct mosquitto_message *message)
{
	struct mqtt *mqtt = context;
	size_t size = (size_t)message->payloadlen;

	(void)client;
	if (size == strlen(mqtt->wanted) && memcmp(message->payload, mqtt->wanted, size) == 0)
		mqtt->is_done = true;
}

static void mqtt_open(struct mqtt *mqtt)
{
	mqtt->client = mosquitto_new(NULL, true, mqtt);
	assert_non_null(mqtt->client);
	mosquitto_publish_callback_set(mqtt->client, on_mqtt_publish);
	mosquitto_message_callback_set(mqtt->client, on_mqtt_message);
	mosquitto_username_pw_set(mqtt->client, "bridge", PASSWORD);
	assert_int_equal(mosquitto_connect(mqtt->client, "127.0.0.1", broker.port, 60), 0);
}

static void mqtt_finish(struct mqtt *mqtt, const char *what)
{
	uint64_t deadline = clock_ms() + AWAIT_MS;

	while (!mqtt->is_done) {
		if (clock_ms() > deadline)
			fail_msg("waited in vain: %s", what);
		assert_int_equal(mosquitto_loop(mqtt->client, TICK_MS, 1), 0);
	}
	mosquitto_disconnect(mqtt->client);
	mosquitto_destroy(mqtt->client);
}

void mqtt_publish(const char *topic, const void *payload, int size)
{
	struct mqtt mqtt = {0};

	mqtt_open(&mqtt);
	assert_int_equal(mosquitto_publish(mqtt.client, NULL, topic, size, payload, 1, false), 0);
	mqtt_finish(&mqtt, topic);
}

void mqtt_await(const char *topic, const char *payload)
{
	struct mqtt mqtt = {.wanted = payload};

	mqtt_open(&mqtt);
	assert_int_equal(mosquitto_subscribe(mqtt.client, NULL, topic, 1), 0);
	mqtt_finish(&mqtt, topic);
}

/* The stage and its nodes. */

static void on_tick(uv_timer_t *timer)
{
	/* Ends the turn. */
	(void)timer;
}

void stage_open(struct stage *stage)
{
	*stage = (struct stage){0};
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	uv_timer_init(&stage->loop, &stage->tick);
	uv_timer_start(&stage->tick, on_tick, TICK_MS, TICK_MS);
}

void stage_turn(struct stage *stage)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	for (size_t i = 0; i < stage->count; i++) {
		if (stage->nodes[i].link)
			link_flush(stage->nodes[i].link);
	}
	stage->turns++;
}

void stage_close(struct stage *stage)
{
	for (size_t i = 0; i < stage->count; i++)
		node_close(&stage->nodes[i]);
	uv_close((uv_handle_t *)&stage->tick, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
}

static void on_bus(void *context, uint32_t shard, const uint8_t *bytes, size_t size)
{
	struct node *node = context;

	node->envelopes++;
	node->shard = shard;
	node->size = size;
	memcpy(node->bytes, bytes, size < HEARD_BYTES ? size : HEARD_BYTES);
	node->heard[shard]++;
}

static void on_up(void *context)
{
	struct node *node = context;

	assert_int_equal(++node->ups, node->downs + 1);
}

static void on_down(void *context)
{
	struct node *node = context;

	assert_int_equal(++node->downs, node->ups);
	if (node->on_down)
		node->on_down(node);
}

static void on_node(void *context, const char *name, bool is_alive)
{
	struct node *node = context;
	unsigned int number = 0;

	if (sscanf(name, "node.%u", &number) == 1 && number <= NODES_MOST)
		node->states[number] = is_alive ? '1' : '0';
}

struct link_options node_options(struct stage *stage)
{
	return (struct link_options){
		.loop = &stage->loop,
		.host = "127.0.0.1",
		.port = broker.port,
		.user = "bridge",
		.password = PASSWORD,
		.shards = SHARDS,
		.publish_bytes = 65536,
		.publish_pending = 1000,
		.linger_ms = 30000,
	};
}

struct node *node_open(struct stage *stage, const struct link_options *options)
{
	struct node *node = &stage->nodes[stage->count++];
	struct link_options named = *options;

	assert_true(stage->count <= NODES_MOST);
	node->stage = stage;
	snprintf(node->name, sizeof(node->name), "node.%zu", stage->count);
	named.node = node->name;
	node->link =
		link_create(&named, &(struct link_needs){node, on_bus, on_up, on_down, on_node});
	return node;
}

struct node *node_open_up(struct stage *stage)
{
	struct link_options options = node_options(stage);
	struct node *node = node_open(stage, &options);

	await(stage, link_is_up(node->link));
	return node;
}

static void on_closed(void *context)
{
	((struct node *)context)->closed++;
}

void node_close(struct node *node)
{
	struct link *link = node->link;

	if (!link)
		return;
	node->link = NULL;
	link_close(link, on_closed, node);
	assert_int_equal(node->closed, 0);
	await(node->stage, node->closed);
	stage_turn(node->stage);
	assert_int_equal(node->closed, 1);
}

void node_publish(struct node *node, uint32_t shard, const char *text)
{
	link_publish_bus(node->link, shard, (const uint8_t *)text, strlen(text));
}

void node_hear(struct node *node, uint32_t shard)
{
	interest_acquire(link_interest(node->link), shard);
	await(node->stage, interest_is_heard(link_interest(node->link)));
}

bool node_has(const struct node *node, uint32_t shard, const char *text)
{
	return node->envelopes && node->shard == shard && node->size == strlen(text) &&
	       memcmp(node->bytes, text, node->size) == 0;
}

/* The log. */

void log_capture(void)
{
	char path[PATH_BYTES];
	int file;

	log_release();
	path_of(path, "captured");
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
	close(file);
	log_set_level(LOG_INFO);
}

int log_count(const char *text)
{
	char path[PATH_BYTES];
	char line[LINE_BYTES];
	int found = 0;
	FILE *file;

	path_of(path, "captured");
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found += strstr(line, text) != NULL;
	fclose(file);
	return found;
}

void log_release(void)
{
	if (kept_stderr < 0)
		return;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	kept_stderr = -1;
	log_set_level(LOG_ERROR);
}
