/* token - verifies and issues JSON Web Tokens (RFC 7519) by keys from a folder.
 *
 * Each file of the folder is one key, and its name without the ending is the key's id (`kid`):
 *
 *   KID.secret  at least 32 bytes, used as they are     HS256
 *   KID.pem     an RSA key of at least 2048 bits        RS256
 *               an elliptic-curve key on P-256          ES256
 *
 * A .pem with a private key can also issue. A key serves the one algorithm of its kind, whatever a token's
 * header says: `none`, a public key used as a secret and the like are refused by that alone. A token
 * must name its key unless there is only one. `exp` and `sub` are required; `nbf` is obeyed; `aud` and
 * `iss` must match if they are configured.
 *
 * Owns:     the keys, in memory.
 * Lifetime: token_keys_load to token_keys_destroy.
 * Threads:  one.
 * Fails:    loading by the outcome, naming the file and what would be right; verifying by the status.
 */
#ifndef MARTLET_AUTH_TOKEN_H
#define MARTLET_AUTH_TOKEN_H

#include "model/id.h"
#include "model/outcome.h"

#include <stdint.h>

struct token_keys;

struct token_options {
	const char *keys_folder;
	const char *issuer;   /* NULL or "": any */
	const char *audience; /* NULL or "": any */
	uint32_t leeway_ms;   /* clocks differ: added in the token's favour to exp and nbf */
};

enum token_status {
	TOKEN_OK,
	TOKEN_BAD,     /* close 4002: another token from the same source will not do either */
	TOKEN_EXPIRED, /* close 4003: valid but for its exp; a fresh one will do */
};

/* What a service's token lets it do (the claim `scope`: words with spaces between, RFC 8693, section 4.2).
 * Other words are of no meaning here. */
enum token_scope {
	TOKEN_SCOPE_NOTIFY = 1, /* `notify`: tell users something */
	TOKEN_SCOPE_PUSH = 2,   /* `push`: hear who has something waiting */
};

struct token_claims {
	struct user_id user;
	int64_t expires_ms; /* since 1970 */

	/* The claim `martlet_service`; "" if there is none, and then it is a user's token. */
	struct user_id service;
	unsigned int scopes; /* of enum token_scope; 0 without a service */
};

/* Reads the folder. Returns NULL with the reason in ret_outcome if a file is unreadable, malformed, too
 * weak or open for others to write, or to read (a secret or private key), or if there is no key at all. */
struct token_keys *token_keys_load(const struct token_options *options,
                                   struct outcome *ret_outcome);

/* NULL is allowed. */
void token_keys_destroy(struct token_keys *keys);

/* Checks a user's token of any size and content at the time `now_ms` (since 1970). If it is not TOKEN_OK,
 * ret_reason is a sentence for the log and for the client's developer, without any part of the token. */
enum token_status token_verify(const struct token_keys *keys, const char *token, int64_t now_ms,
                               struct token_claims *ret_claims, const char **ret_reason);

/* The same for a service's, which token_verify refuses as this refuses a user's. */
enum token_status token_verify_service(const struct token_keys *keys, const char *token,
                                       int64_t now_ms, struct token_claims *ret_claims,
                                       const char **ret_reason);

/* A token for `claims`, signed with the key `kid` (NULL: the first in alphabetical order that can sign).
 * To be freed by the caller. NULL with the reason in ret_outcome. */
char *token_issue(const struct token_keys *keys, const char *kid, const struct token_claims *claims,
                  int64_t now_ms, struct outcome *ret_outcome);

#endif
