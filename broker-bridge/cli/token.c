#include "auth/token.h"

#include "app/config.h"
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TTL_DEFAULT_S 3600
#define TTL_MOST_S (366L * 24 * 3600)

struct request {
	const char *path;
	const char *user;
	const char *kid;
	long ttl_s;
};

static bool read_request(int argc, char **argv, struct request *ret_request)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"user", required_argument, NULL, 'u'},
		{"ttl", required_argument, NULL, 't'},
		{"key", required_argument, NULL, 'k'},
		{0},
	};
	char *end = "";
	int option;

	*ret_request = (struct request){.path = cli_default_config(), .ttl_s = TTL_DEFAULT_S};
	while ((option = getopt_long(argc, argv, "c:u:t:k:", options, NULL)) != -1) {
		if (option == 'c')
			ret_request->path = optarg;
		else if (option == 'u')
			ret_request->user = optarg;
		else if (option == 'k')
			ret_request->kid = optarg;
		else if (option == 't')
			ret_request->ttl_s = strtol(optarg, &end, 10);
		else
			return false;
	}
	return ret_request->user && optind == argc && !*end && ret_request->ttl_s > 0 &&
	       ret_request->ttl_s <= TTL_MOST_S;
}

static char *issue(const struct config *config, const struct request *request,
                   struct outcome *ret_outcome)
{
	int64_t now_ms = (int64_t)time(NULL) * 1000;
	struct token_claims claims = {.expires_ms = now_ms + request->ttl_s * 1000};
	const struct token_options options = {
		.keys_folder = config->auth.keys,
		.issuer = config->auth.issuer,
		.audience = config->auth.audience,
	};
	struct token_keys *keys;
	char *token = NULL;

	if (!user_id_from_text(request->user, &claims.user)) {
		*ret_outcome = outcome_invalid(
			"user", "--user has 1 to %d of A-Z a-z 0-9 . _ ~ @ -", LIMIT_USER_BYTES);
		return NULL;
	}
	keys = token_keys_load(&options, ret_outcome);
	if (keys)
		token = token_issue(keys, request->kid, &claims, now_ms, ret_outcome);
	token_keys_destroy(keys);
	return token;
}

int cli_token(int argc, char **argv)
{
	struct request request;
	struct config *config;
	struct outcome outcome;
	char *token;

	if (!read_request(argc, argv, &request)) {
		fprintf(stderr,
		        "usage: martlet token --user NAME [--ttl SECONDS] [--key KID] [-c FILE]\n");
		return 2;
	}
	config = config_load(request.path, stderr);
	if (!config)
		return 1;
	token = issue(config, &request, &outcome);
	/* A script that goes on without its token would fail somewhere else. */
	if (token && (printf("%s\n", token) < 0 || fflush(stdout) != 0))
		outcome = outcome_refuse(OUTCOME_UNAVAILABLE, "cannot write: %s", strerror(errno));
	if (!outcome_is_ok(&outcome))
		fprintf(stderr, "martlet token: %s\n", outcome.text);
	config_destroy(config);
	free(token);
	return outcome_is_ok(&outcome) ? 0 : 1;
}
