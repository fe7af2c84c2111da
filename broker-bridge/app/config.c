#include "app/config.h"

#include "base/log.h"
#include "base/memory.h"
#include "front/addresses.h"
#include "model/id.h"
#include "model/limits.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES 1024
#define LIST_MOST 64

/* What a value must be like; each has a reader in `kinds`. */
enum kind {
	TEXT,
	NAME,
	PATH,
	NUMBER,
	WORKERS,
	SWITCH,
	ADDRESSES,
	HOST,
	ORIGINS,
	PROXIES,
	URL,
	TLS_URL,
	LEVEL,
	FORMAT,
	WHEN,
	SECRET,
};

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
/* NOLINTBEGIN(bugprone-macro-parentheses): the name of a member takes none. */
#define FIELD(field_section, field_name)                                                           \
	.section = #field_section, .name = #field_name,                                            \
	.offset = offsetof(struct config, field_section.field_name)
/* NOLINTEND(bugprone-macro-parentheses) */
#define KEY(section, name, key_kind, value)                                                        \
	{                                                                                          \
		FIELD(section, name), .kind = (key_kind), .preset = (value)                        \
	}
#define COUNT(section, name, value, from, to)                                                      \
	{                                                                                          \
		FIELD(section, name), .kind = NUMBER, .preset = WORD(value), .least = (from),      \
				      .most = (to)                                                 \
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
	COUNT(websocket, handshakes, LIMIT_HANDSHAKES, 1, 1000000),
	COUNT(websocket, connections_of_address, LIMIT_CONNECTIONS_OF_ADDRESS, 0, 1000000),
	KEY(websocket, trusted_proxies, PROXIES, ""),
	COUNT(websocket, sessions_of_user, LIMIT_SESSIONS_OF_USER, 1, 1000),
	COUNT(websocket, hello_ms, LIMIT_HELLO_MS, 100, 60000),
	COUNT(websocket, heartbeat_ms, LIMIT_HEARTBEAT_MS, 100, 600000),
	COUNT(websocket, pong_ms, LIMIT_PONG_MS, 100, 600000),
	COUNT(websocket, outbound_bytes, LIMIT_OUTBOUND_BYTES, 524288, 67108864),
	COUNT(websocket, pending_commands, LIMIT_PENDING_COMMANDS, 1, 10000),
	KEY(http, listen, ADDRESSES, "127.0.0.1:8080"),
	KEY(http, tls_listen, ADDRESSES, ""),
	KEY(http, web_root, PATH, ""),
	KEY(http, websocket_url, URL, ""),
	KEY(http, websocket_tls_url, TLS_URL, ""),
	KEY(admin, listen, ADDRESSES, "127.0.0.1:8081"),
	KEY(auth, keys, PATH, "keys"),
	KEY(auth, issuer, TEXT, ""),
	KEY(auth, audience, TEXT, ""),
	COUNT(auth, leeway_ms, 5000, 0, 300000),
	KEY(auth, development_sign_in, SWITCH, "off"),
	KEY(mosquitto, host, HOST, "127.0.0.1"),
	COUNT(mosquitto, port, 1883, 1, 65535),
	KEY(mosquitto, user, TEXT, ""),
	KEY(mosquitto, password_file, PATH, ""),
	COUNT(mosquitto, shards, 64, 1, 4096),
	KEY(mosquitto, conversation_topics, WHEN, "always"),
	KEY(database, connection, SECRET, "dbname=martlet"),
	KEY(database, schema, PATH, "../schema"),
	COUNT(database, wait_ms, LIMIT_STORE_WAIT_MS, 100, 60000),
	COUNT(database, outbox_ms, LIMIT_OUTBOX_MS, 10, 60000),
	COUNT(limits, frame_bytes, LIMIT_FRAME_BYTES, 4096, 1048576),
	COUNT(limits, body_bytes, LIMIT_BODY_BYTES, 1, 262144),
	COUNT(limits, group_members, LIMIT_GROUP_MEMBERS, 2, LIMIT_GROUP_MEMBERS_MOST),
	COUNT(limits, history_events, LIMIT_HISTORY_EVENTS, 1, 1000),
	COUNT(limits, list_conversations, LIMIT_LIST_CONVERSATIONS, 1, 1000),
	COUNT(limits, cursors, LIMIT_CURSORS, 0, 10000),
	COUNT(limits, resume_events, LIMIT_RESUME_EVENTS, 1, 100000),
	COUNT(limits, list_members, LIMIT_LIST_MEMBERS, 1, 1000),
	COUNT(limits, typing_members, LIMIT_TYPING_MEMBERS, 0, LIMIT_GROUP_MEMBERS_MOST),
	COUNT(limits, watched_users, LIMIT_WATCHED_USERS, 0, 10000),
	COUNT(limits, blocked_users, LIMIT_BLOCKED_USERS, 0, 10000),
	COUNT(limits, append_batch, LIMIT_APPEND_BATCH, 1, 512),
	COUNT(limits, edit_window_s, LIMIT_EDIT_WINDOW_S, 0, 2147483647),
	COUNT(limits, receipt_members, LIMIT_RECEIPT_MEMBERS, 0, 1000),
	COUNT(limits, commands_per_second, LIMIT_COMMANDS_PER_SECOND, 1, 1000000),
	COUNT(limits, command_burst, LIMIT_COMMAND_BURST, 1, 1000000),
	COUNT(limits, writes_per_second, LIMIT_WRITES_PER_SECOND, 1, 1000000),
	COUNT(limits, write_burst, LIMIT_WRITE_BURST, 1, 1000000),
	COUNT(limits, user_notifications, LIMIT_USER_NOTIFICATIONS, 1, 10000),
	COUNT(limits, service_notifications, LIMIT_SERVICE_NOTIFICATIONS, 1, 10000),
	COUNT(limits, notification_bytes, LIMIT_NOTIFICATION_BYTES, 0, 65536),
	COUNT(limits, list_notifications, LIMIT_LIST_NOTIFICATIONS, 1, 1000),
	COUNT(limits, notification_memory_s, LIMIT_NOTIFICATION_MEMORY_S, 60, 31536000),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* A file being read. */
struct reading {
	struct config *config;
	const char *path;
	FILE *file;
	FILE *errors;
	char *text; /* of the line, as getline keeps it */
	size_t text_bytes;
	char folder[PATH_MAX];
	int line; /* 0 before and after the file */
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

static void name_variable(const struct key *key, char ret_name[VALUE_BYTES])
{
	snprintf(ret_name, VALUE_BYTES, "MARTLET_%s_%s", key->section, key->name);
	for (char *at = ret_name; *at; at++)
		*at = (char)toupper((unsigned char)*at);
}

/* One error: "file:line: " and what is wrong. */
__attribute__((format(printf, 2, 3))) static void tell(struct reading *reading, const char *format,
                                                       ...)
{
	va_list arguments;

	reading->is_wrong = true;
	fputs(reading->path, reading->errors);
	if (reading->line)
		fprintf(reading->errors, ":%d", reading->line);
	fputs(": ", reading->errors);
	va_start(arguments, format);
	vfprintf(reading->errors, format, arguments);
	va_end(arguments);
	fputc('\n', reading->errors);
}

/* The value of a key is wrong: told at its line, or for the environment at its variable. */
static void complain(struct reading *reading, const struct key *key, const char *value,
                     const char *what)
{
	char variable[VALUE_BYTES];

	if (key->kind == SECRET)
		value = "...";
	if (reading->line) {
		tell(reading, "[%s] %s = %s: %s", key->section, key->name, value, what);
		return;
	}
	name_variable(key, variable);
	reading->is_wrong = true;
	fprintf(reading->errors, "%s = %s: %s\n", variable, value, what);
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

	if (strlen(value) >= VALUE_BYTES)
		return "give a path of less than 1024 bytes";
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

static const char *read_when(struct reading *reading, const struct key *key, const char *value)
{
	if (strcmp(value, "always") != 0 && strcmp(value, "never") != 0)
		return "give always or never";
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

	if (!size || size >= sizeof(host) || !isdigit((unsigned char)colon[1]) || colon[1] == '0')
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > 65535)
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

/* A number, not a name: asking for a name blocks the loop. */
static const char *read_host(struct reading *reading, const struct key *key, const char *value)
{
	unsigned char binary[16];

	if (strcmp(value, "localhost") != 0 && inet_pton(AF_INET, value, binary) != 1 &&
	    inet_pton(AF_INET6, value, binary) != 1)
		return "give an address like 127.0.0.1 or ::1, or localhost";
	return read_text(reading, key, value);
}

#define SMALL "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* After the host: nothing, or ":port" that is not the one a browser leaves out. */
static bool is_origin_port(const char *text, const char *scheme)
{
	char *end;
	unsigned long port;

	if (!*text)
		return true;
	if (text[0] != ':' || !isdigit((unsigned char)text[1]) || text[1] == '0')
		return false;
	port = strtoul(text + 1, &end, 10);
	return !*end && port <= 65535 && !(port == 80 && strncmp(scheme, "http:", 5) == 0) &&
	       !(port == 443 && strncmp(scheme, "https:", 6) == 0);
}

/* As a browser sends it: scheme://host[:port] in lower case, without the scheme's own port and with nothing
 * after. What a browser never sends would never match, and nobody would know why. */
static bool is_origin(const char *item)
{
	size_t scheme = strspn(item, SMALL DIGITS "+-.");
	const char *host = item + scheme + strlen("://");
	size_t size;

	if (strcmp(item, "*") == 0)
		return true;
	if (!scheme || strncmp(item + scheme, "://", 3) != 0)
		return false;
	size = *host == '[' ? strspn(host, "[" DIGITS "abcdef:.")
	                    : strspn(host, SMALL DIGITS "-._");
	if (*host == '[' && host[size++] != ']')
		return false;
	return size && is_origin_port(host + size, item);
}

static const char *read_origins(struct reading *reading, const struct key *key, const char *value)
{
	return read_list(reading, key, value, is_origin,
	                 "give origins as browsers send them, several with commas: "
	                 "https://chat.example, http://localhost:8080, or *");
}

static bool is_proxy(const char *item)
{
	struct address_range range;

	return address_range_from_text(item, &range);
}

static const char *read_proxies(struct reading *reading, const struct key *key, const char *value)
{
	return read_list(reading, key, value, is_proxy,
	                 "give addresses of proxies, or ranges without bits behind their prefix, "
	                 "several with commas: 127.0.0.1, 10.0.0.0/8, 2001:db8::/32");
}

static const char *read_url(struct reading *reading, const struct key *key, const char *value)
{
	if (*value && strncmp(value, "ws://", 5) != 0 && strncmp(value, "wss://", 6) != 0)
		return "give an address like wss://chat.example/v1/ws";
	return read_text(reading, key, value);
}

static const char *read_tls_url(struct reading *reading, const struct key *key, const char *value)
{
	if (*value && strncmp(value, "wss://", 6) != 0)
		return "give an address like wss://chat.example/v1/ws";
	return read_text(reading, key, value);
}

static const char *read_value(struct reading *reading, const struct key *key, const char *value)
{
	static const char *(*const readers[])(struct reading *, const struct key *,
	                                      const char *) = {
		[TEXT] = read_text,       [NAME] = read_name,
		[PATH] = read_path,       [NUMBER] = read_number,
		[WORKERS] = read_workers, [SWITCH] = read_switch,
		[HOST] = read_host,       [ADDRESSES] = read_addresses,
		[ORIGINS] = read_origins, [PROXIES] = read_proxies,
		[URL] = read_url,         [TLS_URL] = read_tls_url,
		[LEVEL] = read_level,     [FORMAT] = read_format,
		[WHEN] = read_when,       [SECRET] = read_text,
	};

	return readers[key->kind](reading, key, value);
}

static void take(struct reading *reading, const struct key *key, const char *value)
{
	const char *what = read_value(reading, key, value);

	if (what)
		complain(reading, key, value, what);
}

/* What there is instead of an unknown name. */

static bool has_section(const char *section)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0)
			return true;
	}
	return false;
}

static void list_sections(char *ret_list, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < KEYS && at < size; i++) {
		if (!i || strcmp(keys[i].section, keys[i - 1].section) != 0)
			at += (size_t)snprintf(ret_list + at, size - at, " [%s]", keys[i].section);
	}
}

static void list_keys(const char *section, char *ret_list, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < KEYS && at < size; i++) {
		if (strcmp(keys[i].section, section) == 0)
			at += (size_t)snprintf(ret_list + at, size - at, " %s", keys[i].name);
	}
}

static void tell_unknown(struct reading *reading, const char *section, const char *name)
{
	char list[VALUE_BYTES] = "";

	if (has_section(section)) {
		list_keys(section, list, sizeof(list));
		tell(reading, "[%s] %s: there is no such key; there are%s", section, name, list);
	} else {
		list_sections(list, sizeof(list));
		tell(reading, "[%s] %s: there is no such section; there are%s", section, name,
		     list);
	}
}

/* The file. */

/* Whether inih can make something of it. It tells only of the first line that it cannot. */
static bool is_ini(const char *line)
{
	if (*line == '[')
		return strchr(line, ']') != NULL;
	return !*line || strchr("\r\n;#", *line) || strpbrk(line, "=:");
}

/* One line for inih: whole, since it would take the rest of a long one for another line, and without
 * indentation, since it would take an indented one for more of the value above. What is wrong is told, and
 * read as an empty line. */
static char *next_line(char *line, int size, void *context)
{
	struct reading *reading = context;
	ssize_t length = getline(&reading->text, &reading->text_bytes, reading->file);
	const char *text = reading->text;

	if (length < 0)
		return NULL;
	reading->line++;
	if (reading->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	text += strspn(text, " \t");
	*line = '\0';
	if (strlen(reading->text) != (size_t)length)
		tell(reading, "has a zero byte; write text");
	else if (strlen(text) >= (size_t)size)
		tell(reading,
		     "is longer than %d bytes; a variable of the environment may be longer",
		     size - 2);
	else if (!is_ini(text))
		tell(reading, "is neither [section] nor key = value");
	else
		memcpy(line, text, strlen(text) + 1);
	return line;
}

static int on_pair(void *context, const char *section, const char *name, const char *value)
{
	struct reading *reading = context;
	const struct key *key = find_key(section, name);

	if (!key) {
		tell_unknown(reading, section, name);
	} else if (reading->is_given[key - keys]) {
		tell(reading, "[%s] %s was given before; give it once", section, name);
	} else {
		reading->is_given[key - keys] = true;
		take(reading, key, value);
	}
	return 1;
}

static void read_file(struct reading *reading)
{
	int wrong_line;

	errno = 0;
	reading->file = fopen(reading->path, "re");
	if (!reading->file) {
		tell(reading, "%s", strerror(errno));
		return;
	}
	wrong_line = ini_parse_stream(next_line, reading, on_pair, reading);
	reading->line = wrong_line;
	if (wrong_line)
		tell(reading, "is neither [section] nor key = value");
	reading->line = 0;
	/* A folder opens like a file, and then has no line. */
	if (ferror(reading->file))
		tell(reading, "cannot be read; give a file");
	fclose(reading->file);
	free(reading->text);
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

/* A variable that looks like one of ours and is none: a key's name is spelled wrong. */
static void judge_variable(struct reading *reading, const char *variable)
{
	const char *section = NULL;
	char name[VALUE_BYTES];
	char list[VALUE_BYTES] = "";

	for (size_t i = 0; i < KEYS; i++) {
		name_variable(&keys[i], name);
		if (strncmp(variable, name, strlen(name)) == 0 && variable[strlen(name)] == '=')
			return;
		if (strncmp(variable, name, strlen(name) - strlen(keys[i].name)) == 0)
			section = keys[i].section;
	}
	if (!section)
		return;
	list_keys(section, list, sizeof(list));
	reading->is_wrong = true;
	fprintf(reading->errors, "%.*s: [%s] has no such key; there are%s\n",
	        (int)strcspn(variable, "="), variable, section, list);
}

static void read_environment(struct reading *reading)
{
	char name[VALUE_BYTES];

	for (char **variable = environ; variable && *variable; variable++)
		judge_variable(reading, *variable);
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
	if (!is_good)
		tell(reading, "%s", what);
}

static bool is_readable(const char *path)
{
	return access(path, R_OK) == 0;
}

/* As front/listener.c understands it. */
static bool is_same_address(const char *a, const char *b)
{
	static const char local[] = "localhost:";
	static const char numeric[] = "127.0.0.1:";
	const char *const port_a = strrchr(a, ':');
	const char *const port_b = strrchr(b, ':');
	bool is_local_a =
		strncmp(a, local, strlen(local)) == 0 || strncmp(a, numeric, strlen(numeric)) == 0;
	bool is_local_b =
		strncmp(b, local, strlen(local)) == 0 || strncmp(b, numeric, strlen(numeric)) == 0;

	return (is_local_a && is_local_b && strcmp(port_a, port_b) == 0) || strcmp(a, b) == 0;
}

/* Addresses may be shared (workers do), so the kernel would spread connections over two doors. */
static void check_addresses(struct reading *reading)
{
	const struct config *config = reading->config;
	char *const *const lists[] = {config->websocket.listen, config->websocket.tls_listen,
	                              config->http.listen, config->http.tls_listen,
	                              config->admin.listen};
	const char *all[5 * LIST_MOST];
	size_t count = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (char *const *address = lists[i]; *address; address++)
			all[count++] = *address;
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (is_same_address(all[i], all[j]))
				tell(reading,
				     "%s is listened on twice; give each listen its own port",
				     all[i]);
		}
	}
}

static void check_together(struct reading *reading)
{
	const struct config *config = reading->config;
	bool has_tls = config->websocket.tls_listen[0] || config->http.tls_listen[0];

	check_addresses(reading);
	must_be(reading, config->websocket.listen[0] || config->websocket.tls_listen[0],
	        "[websocket] needs an address in listen or tls_listen");
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
	config->path = memory_copy_text(path);
	return config;
}

static bool is_list(const struct key *key)
{
	return key->kind == ADDRESSES || key->kind == ORIGINS || key->kind == PROXIES;
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
	free(config->path);
	free(config);
}

void config_use_log(const struct config *config)
{
	enum log_level level = LOG_INFO;

	if (log_level_from_text(config->node.log_level, &level))
		log_set_level(level);
	log_set_format(strcmp(config->node.log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
}

bool config_reload(struct config *config, FILE *errors)
{
	struct config *now = config_load(config->path, errors);
	char *level;

	if (!now)
		return false;
	config->limits.body_bytes = now->limits.body_bytes;
	config->limits.group_members = now->limits.group_members;
	config->limits.history_events = now->limits.history_events;
	config->limits.list_conversations = now->limits.list_conversations;
	config->limits.cursors = now->limits.cursors;
	config->limits.edit_window_s = now->limits.edit_window_s;
	config->limits.commands_per_second = now->limits.commands_per_second;
	config->limits.command_burst = now->limits.command_burst;
	config->limits.writes_per_second = now->limits.writes_per_second;
	config->limits.write_burst = now->limits.write_burst;
	config->websocket.hello_ms = now->websocket.hello_ms;
	config->websocket.outbound_bytes = now->websocket.outbound_bytes;
	config->websocket.pending_commands = now->websocket.pending_commands;
	level = config->node.log_level;
	config->node.log_level = now->node.log_level;
	now->node.log_level = level;
	config_destroy(now);
	return true;
}

static void print_list(char *const *list, FILE *out)
{
	for (char *const *item = list; *item; item++)
		fprintf(out, "%s%s", item == list ? "" : ", ", *item);
}

/* A URI has its password between others, so no part of one is shown. */
static bool may_hold_password(const char *connection)
{
	return strstr(connection, "pass") || strstr(connection, "://");
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
	else if (key->kind == SECRET && may_hold_password(*(char *const *)field))
		fputs("(not shown: it may hold a password)", out);
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
