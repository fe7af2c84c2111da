#include "plugin/options.h"

#include "base/memory.h"
#include "model/id.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_BYTES 64

enum kind { TEXT, NUMBER };

struct known {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *usual; /* NULL: it must be given */
	uint32_t least;
	uint32_t most;
	const char *meaning;
};

#define OFFSET(field) offsetof(struct options, field)

static const struct known known[] = {
	{"keys", TEXT, OFFSET(keys), NULL, 0, 0, "the folder of keys, [auth] keys of martlet.conf"},
	{"database", TEXT, OFFSET(database), NULL, 0, 0, "[database] connection of martlet.conf"},
	{"issuer", TEXT, OFFSET(issuer), "", 0, 0, "[auth] issuer of martlet.conf"},
	{"audience", TEXT, OFFSET(audience), "", 0, 0, "[auth] audience of martlet.conf"},
	{"leeway_ms", NUMBER, OFFSET(leeway_ms), "5000", 0, 300000, ""},
	{"bridge_user", TEXT, OFFSET(bridge_user), "bridge", 0, 0,
         "[mosquitto] user of martlet.conf"},
	{"bridge_password_file", TEXT, OFFSET(bridge_password), "", 0, 0,
         "[mosquitto] password_file of martlet.conf"},
	{"shards", NUMBER, OFFSET(shards), "64", 1, 4096, ""},
	{"reload_s", NUMBER, OFFSET(reload_s), "300", 5, 86400, ""},
	{"start_wait_ms", NUMBER, OFFSET(start_wait_ms), "5000", 0, 60000, ""},
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

static struct outcome wrong(const char *name, const char *why)
{
	return outcome_refuse(OUTCOME_INVALID_ARGUMENT, "plugin_opt_%s %s", name, why);
}

static struct outcome set_number(const struct known *option, const char *value,
                                 struct options *options)
{
	char *end = "";
	unsigned long number = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || number < option->least ||
	    number > option->most)
		return outcome_refuse(OUTCOME_INVALID_ARGUMENT,
		                      "plugin_opt_%s is no number from %u to %u", option->name,
		                      option->least, option->most);
	*(uint32_t *)(void *)((char *)options + option->offset) = (uint32_t)number;
	return outcome_ok();
}

static struct outcome set(const struct known *option, const char *value, struct options *options)
{
	char **text = (char **)(void *)((char *)options + option->offset);

	if (option->kind == NUMBER)
		return set_number(option, value, options);
	free(*text);
	*text = memory_copy_text(value);
	return outcome_ok();
}

static const struct known *find_known(const char *name)
{
	for (size_t i = 0; i < KNOWN; i++) {
		if (strcmp(known[i].name, name) == 0)
			return &known[i];
	}
	return NULL;
}

static const char *find_given(const struct option_given *given, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(given[i].name, name) == 0)
			return given[i].value ? given[i].value : "";
	}
	return NULL;
}

static struct outcome set_all(const struct option_given *given, size_t count,
                              struct options *options)
{
	for (size_t i = 0; i < KNOWN; i++) {
		const char *value = find_given(given, count, known[i].name);
		struct outcome outcome;

		if (!known[i].usual && (!value || !*value))
			return outcome_refuse(OUTCOME_INVALID_ARGUMENT,
			                      "plugin_opt_%s is missing; it is %s", known[i].name,
			                      known[i].meaning);
		outcome = set(&known[i], value ? value : known[i].usual, options);
		if (!outcome_is_ok(&outcome))
			return outcome;
	}
	return outcome_ok();
}

static struct outcome find_unknown(const struct option_given *given, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(given[i].name, "node") != 0 && !find_known(given[i].name))
			return wrong(given[i].name,
			             "is none of keys, database, issuer, audience, leeway_ms, "
			             "bridge_user, bridge_password_file, shards, node, reload_s, "
			             "start_wait_ms");
	}
	return outcome_ok();
}

static struct outcome set_node(const char *given, struct options *options)
{
	char host[HOST_BYTES + 1] = "";
	char name[HOST_BYTES + 8];

	if (!given && gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "node");
	snprintf(name, sizeof(name), given ? "%s" : "mqtt.%s", given ? given : host);
	if (!id_is_valid(given ? given : name))
		return wrong("node", "is not 1 to 64 of A-Z a-z 0-9 . _ ~ @ -");
	memcpy(options->node, name, strlen(name) + 1);
	return outcome_ok();
}

static struct outcome check_database(const struct options *options)
{
	struct outcome outcome = outcome_ok();
	char *message = NULL;
	PQconninfoOption *parts = PQconninfoParse(options->database, &message);

	if (!parts)
		outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT, "plugin_opt_database: %.*s",
		                         message ? (int)strcspn(message, "\n") : 0,
		                         message ? message : "");
	PQconninfoFree(parts);
	PQfreemem(message);
	return outcome;
}

/* The first line of the file, whose name stands there, takes its place. */
static struct outcome read_password(struct options *options)
{
	char *path = options->bridge_password;
	char password[OPTIONS_PASSWORD_BYTES + 2] = "";
	struct outcome outcome = outcome_ok();
	struct stat status;
	FILE *file;

	options->bridge_password = NULL;
	file = *path ? fopen(path, "re") : NULL;
	if (*path && !file)
		outcome = outcome_refuse(OUTCOME_NOT_FOUND,
		                         "plugin_opt_bridge_password_file can't be read: %s",
		                         strerror(errno));
	else if (file && fstat(fileno(file), &status) == 0 && (status.st_mode & S_IRWXO))
		outcome = wrong("bridge_password_file", "can be read by others; chmod 640 it");
	else if (file && (!fgets(password, sizeof(password), file) ||
	                  strlen(password) > OPTIONS_PASSWORD_BYTES || password[0] == '\n'))
		outcome = wrong("bridge_password_file",
		                "has no password of 1 to 256 characters in its first line");
	if (file)
		fclose(file);
	password[strcspn(password, "\r\n")] = '\0';
	if (outcome_is_ok(&outcome) && file)
		options->bridge_password = memory_copy_text(password);
	explicit_bzero(password, sizeof(password));
	free(path);
	return outcome;
}

struct outcome options_read(const struct option_given *given, size_t count,
                            struct options *ret_options)
{
	struct outcome outcome = find_unknown(given, count);

	*ret_options = (struct options){0};
	if (outcome_is_ok(&outcome))
		outcome = set_all(given, count, ret_options);
	if (outcome_is_ok(&outcome))
		outcome = set_node(find_given(given, count, "node"), ret_options);
	if (outcome_is_ok(&outcome) &&
	    (!*ret_options->bridge_user || strpbrk(ret_options->bridge_user, ":/")))
		outcome = wrong("bridge_user", "is empty, or has : or / in it");
	if (outcome_is_ok(&outcome))
		outcome = check_database(ret_options);
	if (outcome_is_ok(&outcome))
		outcome = read_password(ret_options);
	if (!outcome_is_ok(&outcome))
		options_done(ret_options);
	return outcome;
}

void options_done(struct options *options)
{
	if (options->bridge_password)
		explicit_bzero(options->bridge_password, strlen(options->bridge_password));
	free(options->keys);
	free(options->issuer);
	free(options->audience);
	free(options->database);
	free(options->bridge_user);
	free(options->bridge_password);
	*options = (struct options){0};
}
