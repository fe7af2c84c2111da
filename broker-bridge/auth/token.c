#include "auth/token.h"

#include "auth/keys.h"
#include "base/memory.h"
#include "base/must.h"
#include "model/text.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ES256_SIGNATURE_CHARACTERS 86 /* 64 bytes in base64url */

struct token_keys {
	struct key *keys;
	size_t count;
	char *issuer; /* NULL: any */
	char *audience;
	int64_t leeway_ms;
};

static char *copy_unless_empty(const char *text)
{
	return text && *text ? memory_copy_text(text) : NULL;
}

struct token_keys *token_keys_load(const struct token_options *options, struct outcome *ret_outcome)
{
	struct token_keys *keys;

	/* JSON is UTF-8: what is not would never match, and cannot be issued. */
	if ((options->issuer && !text_is_utf8(options->issuer)) ||
	    (options->audience && !text_is_utf8(options->audience))) {
		*ret_outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT,
		                              "issuer and audience must be UTF-8");
		return NULL;
	}
	keys = memory_new(sizeof(*keys));
	keys->keys = keys_read(options->keys_folder, &keys->count, ret_outcome);
	if (!keys->keys) {
		free(keys);
		return NULL;
	}
	keys->issuer = copy_unless_empty(options->issuer);
	keys->audience = copy_unless_empty(options->audience);
	keys->leeway_ms = options->leeway_ms;
	return keys;
}

void token_keys_destroy(struct token_keys *keys)
{
	if (!keys)
		return;
	keys_free(keys->keys, keys->count);
	free(keys->issuer);
	free(keys->audience);
	free(keys);
}

/* Strictly RFC 4648, section 5, without padding. The library is more patient: it takes several spellings of
 * the same bytes, and ends the process at some that have padding. */
static bool is_base64url(const char *part, size_t size)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	/* Of the last character, the bits that belong to no byte, by what is left of a group of four. */
	static const ptrdiff_t unused_bits[] = {0, 0, 0x0f, 0x03};

	if (!size || size % 4 == 1 || strspn(part, alphabet) < size)
		return false;
	return ((strchr(alphabet, part[size - 1]) - alphabet) & unused_bits[size % 4]) == 0;
}

/* The compact form of RFC 7515: three parts of base64url. */
static bool is_compact(const char *token)
{
	int parts = 1;

	if (strnlen(token, LIMIT_TOKEN_BYTES + 1) > LIMIT_TOKEN_BYTES)
		return false;
	for (;; parts++) {
		size_t size = strcspn(token, ".");

		if (!is_base64url(token, size))
			return false;
		if (!token[size])
			return parts == 3;
		token += size + 1;
	}
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static const struct key *find_key(const struct token_keys *keys, const json_t *id)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (is_text(id, keys->keys[i].id))
			return &keys->keys[i];
	}
	return !id && keys->count == 1 ? &keys->keys[0] : NULL;
}

/* Read apart from the library, which takes two of a name, and does not tell a null from nothing. */
static json_t *read_header(const char *token)
{
	uint8_t *bytes;
	size_t size;
	cjose_err error;
	json_t *header;

	if (!cjose_base64url_decode(token, strcspn(token, "."), &bytes, &size, &error))
		return NULL;
	header = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
	cjose_get_dealloc()(bytes);
	return header;
}

/* The header decides which key is tried, and nothing else. */
static const struct key *judge_header(const struct token_keys *keys, const char *token,
                                      const char **ret_reason)
{
	json_t *header = read_header(token);
	const struct key *key = find_key(keys, json_object_get(header, "kid"));

	*ret_reason = NULL;
	if (!json_is_object(header))
		*ret_reason = "the token's header is no JSON object";
	else if (json_object_get(header, "crit"))
		*ret_reason = "the token's header has crit, which is not supported";
	else if (!key)
		*ret_reason = "the token's kid names no key of this server";
	else if (!is_text(json_object_get(header, "alg"), key->algorithm))
		*ret_reason = "the token's alg is not its key's";
	json_decref(header);
	return *ret_reason ? NULL : key;
}

/* Seconds since 1970, an integer or not (RFC 7519, section 2), as milliseconds. */
static bool get_time_ms(const json_t *claims, const char *name, int64_t *ret_ms)
{
	const json_t *value = json_object_get(claims, name);
	double seconds = json_number_value(value);

	if (!json_is_number(value) || !(seconds >= 0 && seconds < 9e12))
		return false;
	*ret_ms = (int64_t)(seconds * 1000);
	return true;
}

/* `aud` is a text or a list of texts (RFC 7519, section 4.1.3). */
static bool has_audience(const json_t *claims, const char *audience)
{
	const json_t *value = json_object_get(claims, "aud");

	for (size_t i = 0; i < json_array_size(value); i++) {
		if (is_text(json_array_get(value, i), audience))
			return true;
	}
	return is_text(value, audience);
}

static bool has_word(const char *words, const char *word)
{
	size_t size = strlen(word);

	for (; *words; words += strcspn(words, " "), words += strspn(words, " ")) {
		if (strcspn(words, " ") == size && strncmp(words, word, size) == 0)
			return true;
	}
	return false;
}

/* False if it says that it is a service's, and not whose. */
static bool read_service(const json_t *claims, struct token_claims *ret_claims)
{
	const json_t *service = json_object_get(claims, "martlet_service");
	const char *scope = json_string_value(json_object_get(claims, "scope"));

	memset(&ret_claims->service, 0, sizeof(ret_claims->service));
	ret_claims->scopes = 0;
	if (!service)
		return true;
	if (!user_id_from_text(json_string_value(service), &ret_claims->service))
		return false;
	if (scope && has_word(scope, "notify"))
		ret_claims->scopes |= TOKEN_SCOPE_NOTIFY;
	if (scope && has_word(scope, "push"))
		ret_claims->scopes |= TOKEN_SCOPE_PUSH;
	return true;
}

static const char *find_fault(const struct token_keys *keys, const json_t *claims, int64_t now_ms,
                              struct token_claims *ret_claims)
{
	const json_t *not_before = json_object_get(claims, "nbf");
	int64_t not_before_ms = 0;

	if (!user_id_from_text(json_string_value(json_object_get(claims, "sub")),
	                       &ret_claims->user))
		return "the token's sub is not 1 to 64 of A-Z a-z 0-9 . _ ~ @ -";
	if (!get_time_ms(claims, "exp", &ret_claims->expires_ms))
		return "the token's exp is no time in seconds since 1970";
	if (!read_service(claims, ret_claims))
		return "the token's martlet_service is not 1 to 64 of A-Z a-z 0-9 . _ ~ @ -";
	if (not_before && !get_time_ms(claims, "nbf", &not_before_ms))
		return "the token's nbf is no time in seconds since 1970";
	if (not_before_ms > now_ms + keys->leeway_ms)
		return "the token is not valid yet";
	if (keys->issuer && !is_text(json_object_get(claims, "iss"), keys->issuer))
		return "the token's iss is not the one expected here";
	if (keys->audience && !has_audience(claims, keys->audience))
		return "the token's aud is not the one expected here";
	return NULL;
}

static enum token_status judge_claims(const struct token_keys *keys, const json_t *claims,
                                      int64_t now_ms, struct token_claims *ret_claims,
                                      const char **ret_reason)
{
	*ret_reason = json_is_object(claims) ? find_fault(keys, claims, now_ms, ret_claims)
	                                     : "the token's claims are no JSON object";
	if (*ret_reason)
		return TOKEN_BAD;
	if (ret_claims->expires_ms + keys->leeway_ms <= now_ms) {
		*ret_reason = "the token has expired";
		return TOKEN_EXPIRED;
	}
	return TOKEN_OK;
}

/* An ES256 signature has one size (RFC 7518, section 3.4); the library halves whatever comes. */
static bool has_signature_of_size(const char *token, const struct key *key)
{
	return strcmp(key->algorithm, CJOSE_HDR_ALG_ES256) != 0 ||
	       strlen(strrchr(token, '.') + 1) == ES256_SIGNATURE_CHARACTERS;
}

static json_t *read_claims(cjose_jws_t *jws, const char **ret_reason)
{
	uint8_t *bytes;
	size_t size;
	cjose_err error;

	*ret_reason = "the token's claims are no JSON object";
	if (!cjose_jws_get_plaintext(jws, &bytes, &size, &error))
		return NULL;
	return json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
}

/* The claims, once the signature is the key's. */
static json_t *verified_claims(const struct key *key, const char *token, const char **ret_reason)
{
	cjose_err error;
	cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &error);
	json_t *claims = NULL;

	*ret_reason = "the token's signature is not its key's";
	if (jws && has_signature_of_size(token, key) && cjose_jws_verify(jws, key->jwk, &error))
		claims = read_claims(jws, ret_reason);
	cjose_jws_release(jws);
	return claims;
}

static enum token_status verify(const struct token_keys *keys, const char *token, int64_t now_ms,
                                struct token_claims *ret_claims, const char **ret_reason)
{
	enum token_status status = TOKEN_BAD;
	const struct key *key;
	json_t *claims;

	*ret_reason = "the token is no JWT in its compact form";
	if (!is_compact(token))
		return TOKEN_BAD;
	key = judge_header(keys, token, ret_reason);
	if (!key)
		return TOKEN_BAD;
	claims = verified_claims(key, token, ret_reason);
	if (claims)
		status = judge_claims(keys, claims, now_ms, ret_claims, ret_reason);
	json_decref(claims);
	return status;
}

enum token_status token_verify(const struct token_keys *keys, const char *token, int64_t now_ms,
                               struct token_claims *ret_claims, const char **ret_reason)
{
	enum token_status status = verify(keys, token, now_ms, ret_claims, ret_reason);

	if (status == TOKEN_BAD || !ret_claims->service.text[0])
		return status;
	*ret_reason = "the token is a service's, no user's";
	return TOKEN_BAD;
}

enum token_status token_verify_service(const struct token_keys *keys, const char *token,
                                       int64_t now_ms, struct token_claims *ret_claims,
                                       const char **ret_reason)
{
	enum token_status status = verify(keys, token, now_ms, ret_claims, ret_reason);

	if (status == TOKEN_BAD || ret_claims->service.text[0])
		return status;
	*ret_reason = "the token is a user's, no service's";
	return TOKEN_BAD;
}

/* Issuing. */

static const struct key *find_signing_key(const struct token_keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->keys[i].can_sign && (!id || strcmp(keys->keys[i].id, id) == 0))
			return &keys->keys[i];
	}
	return NULL;
}

static const char *scope_text(unsigned int scopes)
{
	static const char *const texts[] = {NULL, "notify", "push", "notify push"};

	return texts[scopes & (TOKEN_SCOPE_NOTIFY | TOKEN_SCOPE_PUSH)];
}

static char *make_payload(const struct token_keys *keys, const struct token_claims *claims,
                          int64_t now_ms)
{
	json_t *payload = json_pack("{s:s, s:I, s:I, s:s*, s:s*, s:s*, s:s*}", "sub",
	                            claims->user.text, "iat", (json_int_t)(now_ms / 1000), "exp",
	                            (json_int_t)(claims->expires_ms / 1000), "iss", keys->issuer,
	                            "aud", keys->audience, "martlet_service",
	                            claims->service.text[0] ? claims->service.text : NULL, "scope",
	                            scope_text(claims->scopes));
	char *text = json_dumps(payload, JSON_COMPACT);

	json_decref(payload);
	must(text != NULL);
	return text;
}

static char *sign(const struct key *key, const char *payload)
{
	cjose_err error;
	cjose_header_t *header = cjose_header_new(&error);
	char *token = NULL;
	cjose_jws_t *jws = NULL;
	const char *text;

	if (header && cjose_header_set(header, CJOSE_HDR_ALG, key->algorithm, &error) &&
	    cjose_header_set(header, CJOSE_HDR_KID, key->id, &error))
		jws = cjose_jws_sign(key->jwk, header, (const uint8_t *)payload, strlen(payload),
		                     &error);
	if (jws && cjose_jws_export(jws, &text, &error))
		token = memory_copy_text(text);
	cjose_jws_release(jws);
	cjose_header_release(header);
	return token;
}

char *token_issue(const struct token_keys *keys, const char *kid, const struct token_claims *claims,
                  int64_t now_ms, struct outcome *ret_outcome)
{
	const struct key *key = find_signing_key(keys, kid);
	char *payload;
	char *token;

	*ret_outcome = outcome_ok();
	if (!key) {
		*ret_outcome = outcome_refuse(OUTCOME_NOT_FOUND,
		                              "no key%s%s can sign; a .secret or a private "
		                              ".pem can",
		                              kid ? " named " : "", kid ? kid : "");
		return NULL;
	}
	payload = make_payload(keys, claims, now_ms);
	token = sign(key, payload);
	free(payload);
	if (!token)
		*ret_outcome =
			outcome_refuse(OUTCOME_INTERNAL, "the key %s could not sign", key->id);
	return token;
}
