/* config - the configuration: a file and the environment, checked, as plain structs.
 *
 * An INI file (etc/martlet.conf explains each key) read by inih; `MARTLET_SECTION_KEY` in the environment
 * wins over the file. What is unknown or wrong is told with file, line and what would be right, all of it
 * at once. Relative paths are relative to the file's folder.
 *
 * Owns:     every string.
 * Lifetime: config_load to config_destroy.
 * Fails:    by NULL, after telling on the stream.
 */
#ifndef MARTLET_APP_CONFIG_H
#define MARTLET_APP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Lists end with NULL. Texts are "" where nothing is set. */
struct config {
	char *path; /* the file it was read from */
	struct {
		char *name;
		uint32_t workers; /* 0: one a core */
		char *log_level;
		char *log_format;
		uint32_t drain_ms;
	} node;
	struct {
		char **listen;
		char **tls_listen;
		char *certificate;
		char *private_key;
		char **origins;
		uint32_t max_sessions;
		uint32_t handshakes;
		uint32_t connections_of_address; /* 0: any number */
		char **trusted_proxies;
		uint32_t sessions_of_user;
		uint32_t hello_ms;
		uint32_t heartbeat_ms;
		uint32_t pong_ms;
		uint32_t outbound_bytes;
		uint32_t pending_commands;
	} websocket;
	struct {
		char **listen;
		char **tls_listen;
		char *web_root;
		char *websocket_url;
		char *websocket_tls_url;
	} http;
	struct {
		char **listen;
	} admin;
	struct {
		char *keys;
		char *issuer;
		char *audience;
		uint32_t leeway_ms;
		bool development_sign_in;
	} auth;
	struct {
		char *host;
		uint32_t port;
		char *user;
		char *password_file;
		uint32_t shards;
		char *conversation_topics; /* "always" or "never" */
	} mosquitto;
	struct {
		char *connection;
		char *schema;
		uint32_t wait_ms;
		uint32_t outbox_ms;
	} database;
	struct {
		uint32_t frame_bytes;
		uint32_t body_bytes;
		uint32_t group_members;
		uint32_t history_events;
		uint32_t list_conversations;
		uint32_t cursors;
		uint32_t resume_events;
		uint32_t list_members;
		uint32_t typing_members;
		uint32_t watched_users;
		uint32_t blocked_users;
		uint32_t append_batch;
		uint32_t edit_window_s;
		uint32_t receipt_members;
		uint32_t commands_per_second;
		uint32_t command_burst;
		uint32_t writes_per_second;
		uint32_t write_burst;
		uint32_t user_notifications;
		uint32_t service_notifications;
		uint32_t notification_bytes;
		uint32_t list_notifications;
		uint32_t notification_memory_s;
	} limits;
};

/* Reads and checks. NULL after telling what is wrong, a line each, on `errors`. */
struct config *config_load(const char *path, FILE *errors);

/* Reads and checks the file and the environment again, and takes over what may change while the program runs, which
 * etc/martlet.conf marks with (HUP). False, after telling on `errors` what is wrong, and nothing is changed. */
bool config_reload(struct config *config, FILE *errors);

/* Sets the process's log as configured. */
void config_use_log(const struct config *config);

/* NULL is allowed. */
void config_destroy(struct config *config);

/* Writes what is in force in the form of the file. Nothing in it is secret but a password that somebody put
 * into the database's connection: that value is left out. */
void config_print(const struct config *config, FILE *out);

/* The keys, for the test that holds etc/martlet.conf against them: the section, the name and the default as it
 * is written in the file; false at the end. */
bool config_describe(size_t place, const char **ret_section, const char **ret_name,
                     const char **ret_default);

#endif
