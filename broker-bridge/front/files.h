/* files - the page's files, read into memory once.
 *
 * Owns:     every file's bytes.
 * Lifetime: files_read to files_free.
 * Fails:    by NULL with the reason: an unreadable folder, or more than 16 MiB in it.
 */
#ifndef MARTLET_FRONT_FILES_H
#define MARTLET_FRONT_FILES_H

#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file {
	char *path; /* as it is asked for: "/app.js"; "/" for index.html */
	const char *content_type;
	uint8_t *bytes;
	size_t size;
	char etag[20];
	bool is_immutable; /* its name holds a hash of its content */
};

struct files;

/* The files of the folder itself, without its subfolders, dotfiles and what is no regular file. */
struct files *files_read(const char *folder, struct outcome *ret_outcome);
void files_free(struct files *files);

/* NULL if there is none. */
const struct file *files_find(const struct files *files, const char *path);

#endif
