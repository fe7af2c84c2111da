#include "app/config.h"

#include "base/log.h"
#include "base/memory.h"
#include "model/id.h"
#include "model/limits.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES 1024
#define LIST_MOST 64

/* What a value must be like; each has a reader in `kinds`. */
enum kind { TEXT, NAME, PATH, NUMBER, WORKERS, SWITCH, ADDRESSES, ORIGINS, LEVEL, FORMAT, SECRET };

struct key {
	const char *section;
	const char *name;
	enum kind kind;
	size_t offset;
	const char *preset;
	uint32_t least;
	uint32_t most;
};

#define WORD_(value) #value
#define WORD(value) WORD_(value)
#define KEY(section, name, kind, preset)                                                           \
	{                                                                                          \
#section, #name, kind, offsetof(struct config, section.name), preset, 0, 0         \
	}
#define COUNT(section, name, preset, least, most)                                                  \
	{                                                                                          \
#section, #name, NUMBER, offsetof(struct config, section.name), WORD(preset),      \
			least, most                                                                \
	}

static const struct key keys[] = {
	KEY(node, name, NAME, ""),
	KEY(node, workers, WORKERS, "auto"),
	KEY(node, log_level, LEVEL, "info"),
	KEY(node, log_format, FORMAT, "logfmt"),
	COUNT(node, drain_ms, LIMIT_DRAIN_MS, 0, 600000),
	KEY(websocket, listen, ADDRESSES, "127.0.0.1:8082"),
	KEY(websocket, tls_listen, ADDRESSES, ""),
	KEY(websocket, certificate, PATH, ""),
	KEY(websocket, private_key, PATH, ""),
	KEY(websocket, origins, ORIGINS, ""),
	COUNT(websocket, max_sessions, LIMIT_SESSIONS_OF_WORKER, 1, 1000000),
	COUNT(websocket, sessions_of_user, LIMIT_SESSIONS_OF_USER, 1, 1000),
	COUNT(websocket, hello_ms, LIMIT_HELLO_MS, 100, 60000),
	COUNT(websocket, heartbeat_ms, LIMIT_HEARTBEAT_MS, 100, 600000),
	COUNT(websocket, pong_ms, LIMIT_PONG_MS, 100, 600000),
	COUNT(websocket, outbound_bytes, LIMIT_OUTBOUND_BYTES, 524288, 67108864),
	COUNT(websocket, pending_commands, LIMIT_PENDING_COMMANDS, 1, 10000),
	KEY(http, listen, ADDRESSES, "127.0.0.1:8080"),
	KEY(http, tls_listen, ADDRESSES, ""),
	KEY(http, web_root, PATH, ""),
	KEY(http, websocket_url, TEXT, ""),
	KEY(http, websocket_tls_url, TEXT, ""),
	KEY(admin, listen, ADDRESSES, "127.0.0.1:8081"),
	KEY(auth, keys, PATH, "keys"),
	KEY(auth, issuer, TEXT, ""),
	KEY(auth, audience, TEXT, ""),
	COUNT(auth, leeway_ms, 5000, 0, 300000),
	KEY(auth, development_sign_in, SWITCH, "off"),
	KEY(mosquitto, host, TEXT, "127.0.0.1"),
	COUNT(mosquitto, port, 1883, 1, 65535),
	KEY(mosquitto, user, TEXT, ""),
	KEY(mosquitto, password_file, PATH, ""),
	COUNT(mosquitto, shards, 64, 1, 4096),
	KEY(database, connection, SECRET, "dbname=martlet"),
	KEY(database, schema, PATH, "../schema"),
	COUNT(database, wait_ms, LIMIT_STORE_WAIT_MS, 100, 60000),
	COUNT(limits, frame_bytes, LIMIT_FRAME_BYTES, 4096, 1048576),
	COUNT(limits, body_bytes, LIMIT_BODY_BYTES, 1, 262144),
	COUNT(limits, group_members, LIMIT_GROUP_MEMBERS, 2, LIMIT_GROUP_MEMBERS_MOST),
	COUNT(limits, history_events, LIMIT_HISTORY_EVENTS, 1, 1000),
	COUNT(limits, list_conversations, LIMIT_LIST_CONVERSATIONS, 1, 1000),
	COUNT(limits, cursors, LIMIT_CURSORS, 0, 10000),
	COUNT(limits, resume_events, LIMIT_RESUME_EVENTS, 1, 100000),
	COUNT(limits, append_batch, LIMIT_APPEND_BATCH, 1, 512),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* A file being read. */
struct reading {
	struct config *config;
	const char *path;
	FILE *file;
	FILE *errors;
	char folder[PATH_MAX];
	int line;
	bool is_wrong;
	bool is_given[KEYS];
};

static const struct key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

/* "file:line: [section] key ..." or, for the environment, its variable. */
static void complain(struct reading *reading, const struct key *key, const char *value,
                     const char *what)
{
	reading->is_wrong = true;
	if (reading->line)
		fprintf(reading->errors, "%s:%d: [%s] %s = %s: %s\n", reading->path, reading->line,
		        key->section, key->name, value, what);
	else
		fprintf(reading->errors, "environment: [%s] %s = %s: %s\n", key->section, key->name,
		        value, what);
}

static void *field_of(struct config *config, const struct key *key)
{
	return (char *)config + key->offset;
}

static void set_text(struct config *config, const struct key *key, const char *value)
{
	char **field = field_of(config, key);

	free(*field);
	*field = memory_copy_text(value);
}

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

/* Readers: each sets the field and returns NULL, or returns what would be right. */

static const char *read_text(struct reading *reading, const struct key *key, const char *value)
{
	set_text(reading->config, key, value);
	return NULL;
}

static const char *read_name(struct reading *reading, const struct key *key, const char *value)
{
	if (*value && (!id_is_valid(value) || strlen(value) > 48))
		return "give 1 to 48 of A-Z a-z 0-9 . _ ~ @ -";
	return read_text(reading, key, value);
}

static const char *read_path(struct reading *reading, const struct key *key, const char *value)
{
	char path[PATH_MAX + VALUE_BYTES];

	if (!*value || *value == '/')
		return read_text(reading, key, value);
	snprintf(path, sizeof(path), "%s/%s", reading->folder, value);
	return read_text(reading, key, path);
}

static const char *read_number(struct reading *reading, const struct key *key, const char *value)
{
	static char what[64];
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	snprintf(what, sizeof(what), "give a whole number from %u to %u", key->least, key->most);
	if (!isdigit((unsigned char)*value) || *end || number < key->least || number > key->most)
		return what;
	*(uint32_t *)field_of(reading->config, key) = (uint32_t)number;
	return NULL;
}

static const char *read_workers(struct reading *reading, const struct key *key, const char *value)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	if (strcmp(value, "auto") == 0)
		number = 0;
	else if (!isdigit((unsigned char)*value) || *end || number < 1 || number > 64)
		return "give auto (one a core), or a number from 1 to 64";
	*(uint32_t *)field_of(reading->config, key) = (uint32_t)number;
	return NULL;
}

static const char *read_switch(struct reading *reading, const struct key *key, const char *value)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return "give on or off";
	*(bool *)field_of(reading->config, key) = strcmp(value, "on") == 0;
	return NULL;
}

static const char *read_level(struct reading *reading, const struct key *key, const char *value)
{
	enum log_level level;

	if (!log_level_from_text(value, &level))
		return "give debug, info, warning or error";
	return read_text(reading, key, value);
}

static const char *read_format(struct reading *reading, const struct key *key, const char *value)
{
	if (strcmp(value, "logfmt") != 0 && strcmp(value, "json") != 0)
		return "give logfmt or json";
	return read_text(reading, key, value);
}

/* Splits at commas; the items are checked one by one. */
static const char *read_list(struct reading *reading, const struct key *key, const char *value,
                             bool (*is_good)(const char *item), const char *what)
{
	char **list = memory_new_array(LIST_MOST + 1, sizeof(char *));
	char *copy = memory_copy_text(value);
	const char *wrong = NULL;
	size_t count = 0;
	char *rest = copy;
	char *item;

	while ((item = strtok_r(rest, ", \t", &rest)) && !wrong) {
		if (count == LIST_MOST || !is_good(item))
			wrong = what;
		else
			list[count++] = memory_copy_text(item);
	}
	free(copy);
	if (wrong) {
		free_list(list);
		return wrong;
	}
	free_list(*(char ***)field_of(reading->config, key));
	*(char ***)field_of(reading->config, key) = list;
	return NULL;
}

/* "address:port" with an IPv4 address, an IPv6 address in brackets, localhost or * (all). */
static bool is_address(const char *item)
{
	const char *colon = strrchr(item, ':');
	unsigned char binary[16];
	char host[64];
	char *end;
	unsigned long port;
	size_t size = colon ? (size_t)(colon - item) : 0;

	if (!size || size >= sizeof(host) || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		return false;
	memcpy(host, item, size);
	host[size] = '\0';
	if (host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = '\0';
		return inet_pton(AF_INET6, host + 1, binary) == 1;
	}
	return strcmp(host, "*") == 0 || strcmp(host, "localhost") == 0 ||
	       inet_pton(AF_INET, host, binary) == 1;
}

static const char *read_addresses(struct reading *reading, const struct key *key, const char *value)
{
	return read_list(
		reading, key, value, is_address,
		"give address:port, several with commas: 127.0.0.1:8080, [::1]:8080, *:8080");
}

/* As a browser sends it: scheme://host[:port], nothing after. */
static bool is_origin(const char *item)
{
	const char *host = strstr(item, "://");

	return strcmp(item, "*") == 0 ||
	       (host && host != item && host[3] && !strpbrk(host + 3, "/?#"));
}

static const char *read_origins(struct reading *reading, const struct key *key, const char *value)
{
	return read_list(reading, key, value, is_origin,
	                 "give origins like https://chat.example, several with commas, or *");
}

static const char *read_value(struct reading *reading, const struct key *key, const char *value)
{
	static const char *(*const readers[])(struct reading *, const struct key *,
	                                      const char *) = {
		[TEXT] = read_text,       [NAME] = read_name,       [PATH] = read_path,
		[NUMBER] = read_number,   [WORKERS] = read_workers, [SWITCH] = read_switch,
		[LEVEL] = read_level,     [FORMAT] = read_format,   [ADDRESSES] = read_addresses,
		[ORIGINS] = read_origins, [SECRET] = read_text,
	};

	return readers[key->kind](reading, key, value);
}

static void take(struct reading *reading, const struct key *key, const char *value)
{
	const char *what = read_value(reading, key, value);

	if (what)
		complain(reading, key, key->kind == SECRET ? "..." : value, what);
}

/* The file. */

static char *next_line(char *line, int size, void *context)
{
	struct reading *reading = context;

	reading->line++;
	return fgets(line, size, reading->file);
}

static int on_pair(void *context, const char *section, const char *name, const char *value)
{
	struct reading *reading = context;
	const struct key *key = find_key(section, name);

	if (!key) {
		reading->is_wrong = true;
		fprintf(reading->errors,
		        "%s:%d: [%s] %s: there is no such key; etc/martlet.conf has all\n",
		        reading->path, reading->line, section, name);
	} else if (reading->is_given[key - keys]) {
		complain(reading, key, "...", "was given before; give it once");
	} else {
		reading->is_given[key - keys] = true;
		take(reading, key, value);
	}
	return 1;
}

static void read_file(struct reading *reading)
{
	int line;

	reading->file = fopen(reading->path, "re");
	if (!reading->file) {
		fprintf(reading->errors, "%s: %s\n", reading->path, strerror(errno));
		reading->is_wrong = true;
		return;
	}
	line = ini_parse_stream(next_line, reading, on_pair, reading);
	if (line) {
		fprintf(reading->errors, "%s:%d: is neither [section] nor key = value\n",
		        reading->path, line);
		reading->is_wrong = true;
	}
	fclose(reading->file);
	reading->line = 0;
}

static void find_folder(struct reading *reading)
{
	char *slash;

	if (!realpath(reading->path, reading->folder))
		snprintf(reading->folder, sizeof(reading->folder), "%s", reading->path);
	slash = strrchr(reading->folder, '/');
	if (slash)
		*slash = '\0';
	else
		snprintf(reading->folder, sizeof(reading->folder), ".");
}

/* The environment. */

static void name_variable(const struct key *key, char ret_name[VALUE_BYTES])
{
	snprintf(ret_name, VALUE_BYTES, "MARTLET_%s_%s", key->section, key->name);
	for (char *at = ret_name; *at; at++)
		*at = (char)toupper((unsigned char)*at);
}

static void read_environment(struct reading *reading)
{
	char name[VALUE_BYTES];

	for (size_t i = 0; i < KEYS; i++) {
		const char *value;

		name_variable(&keys[i], name);
		value = getenv(name);
		if (value)
			take(reading, &keys[i], value);
	}
}

/* Together. */

static void must_be(struct reading *reading, bool is_good, const char *what)
{
	if (is_good)
		return;
	reading->is_wrong = true;
	fprintf(reading->errors, "%s: %s\n", reading->path, what);
}

static bool is_readable(const char *path)
{
	return access(path, R_OK) == 0;
}

static void check_together(struct reading *reading)
{
	const struct config *config = reading->config;
	bool has_tls = config->websocket.tls_listen[0] || config->http.tls_listen[0];

	must_be(reading,
	        !has_tls || (is_readable(config->websocket.certificate) &&
	                     is_readable(config->websocket.private_key)),
	        "tls_listen needs [websocket] certificate and private_key, files that can be read");
	must_be(reading, config->limits.body_bytes + 1024 <= config->limits.frame_bytes,
	        "[limits] frame_bytes must be at least 1024 above body_bytes");
	must_be(reading, config->websocket.outbound_bytes >= 8 * config->limits.body_bytes,
	        "[websocket] outbound_bytes must be at least 8 times [limits] body_bytes");
	must_be(reading,
	        !*config->mosquitto.password_file || is_readable(config->mosquitto.password_file),
	        "[mosquitto] password_file cannot be read");
}

static void set_presets(struct reading *reading)
{
	for (size_t i = 0; i < KEYS; i++)
		take(reading, &keys[i], keys[i].preset);
}

static void name_node(struct config *config)
{
	char host[49] = "";

	if (*config->node.name)
		return;
	free(config->node.name);
	if (gethostname(host, sizeof(host) - 1) != 0 || !id_is_valid(host))
		snprintf(host, sizeof(host), "node");
	config->node.name = memory_copy_text(host);
}

struct config *config_load(const char *path, FILE *errors)
{
	struct reading *reading = memory_new(sizeof(*reading));
	struct config *config = memory_new(sizeof(*config));
	bool is_wrong;

	reading->config = config;
	reading->path = path;
	reading->errors = errors;
	find_folder(reading);
	set_presets(reading);
	read_file(reading);
	read_environment(reading);
	if (!reading->is_wrong)
		check_together(reading);
	is_wrong = reading->is_wrong;
	free(reading);
	if (is_wrong) {
		config_destroy(config);
		return NULL;
	}
	name_node(config);
	return config;
}

static bool is_list(const struct key *key)
{
	return key->kind == ADDRESSES || key->kind == ORIGINS;
}

static bool is_number(const struct key *key)
{
	return key->kind == NUMBER || key->kind == WORKERS || key->kind == SWITCH;
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < KEYS; i++) {
		if (is_list(&keys[i]))
			free_list(*(char ***)field_of(config, &keys[i]));
		else if (!is_number(&keys[i]))
			free(*(char **)field_of(config, &keys[i]));
	}
	free(config);
}

static void print_list(char *const *list, FILE *out)
{
	for (char *const *item = list; *item; item++)
		fprintf(out, "%s%s", item == list ? "" : ", ", *item);
}

static void print_value(const struct config *config, const struct key *key, FILE *out)
{
	const void *field = (const char *)config + key->offset;
	uint32_t number = is_number(key) && key->kind != SWITCH ? *(const uint32_t *)field : 0;

	if (is_list(key))
		print_list(*(char *const *const *)field, out);
	else if (key->kind == SWITCH)
		fputs(*(const bool *)field ? "on" : "off", out);
	else if (key->kind == WORKERS && !number)
		fputs("auto", out);
	else if (is_number(key))
		fprintf(out, "%u", number);
	else if (key->kind == SECRET && strstr(*(char *const *)field, "pass"))
		fputs("(not shown: it holds a password)", out);
	else
		fputs(*(char *const *)field, out);
}

void config_print(const struct config *config, FILE *out)
{
	const char *section = "";

	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(section, keys[i].section) != 0)
			fprintf(out, "%s[%s]\n", i ? "\n" : "", keys[i].section);
		section = keys[i].section;
		fprintf(out, "%s = ", keys[i].name);
		print_value(config, &keys[i], out);
		fputc('\n', out);
	}
}

bool config_describe(size_t place, const char **ret_section, const char **ret_name,
                     const char **ret_default)
{
	if (place >= KEYS)
		return false;
	*ret_section = keys[place].section;
	*ret_name = keys[place].name;
	*ret_default = keys[place].preset;
	return true;
}
