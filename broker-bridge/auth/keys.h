/* keys - signing keys read from a folder; what a file must be like stands in token.h.
 *
 * Owns:     the keys.
 * Lifetime: keys_read to keys_free.
 */
#ifndef MARTLET_AUTH_KEYS_H
#define MARTLET_AUTH_KEYS_H

#include "model/outcome.h"

#include <cjose/cjose.h>

#include <stdbool.h>
#include <stddef.h>

#define KEY_ID_BYTES 64

struct key {
	char id[KEY_ID_BYTES + 1];
	const char *algorithm; /* the only one that it serves */
	cjose_jwk_t *jwk;
	bool can_sign;
};

/* Reads every key of the folder in alphabetical order. NULL with the reason; otherwise *ret_count > 0. */
struct key *keys_read(const char *folder, size_t *ret_count, struct outcome *ret_outcome);

void keys_free(struct key *keys, size_t count);

#endif
