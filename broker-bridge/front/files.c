#include "front/files.h"

#include "base/memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MOST (16u * 1024 * 1024)
#define FILES_MOST 256

struct files {
	struct file files[FILES_MOST];
	size_t count;
	size_t bytes;
};

static const char *content_type_of(const char *name)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".json", "application/json"},
		{".map", "application/json"},
		{".svg", "image/svg+xml"},
		{".png", "image/png"},
		{".ico", "image/x-icon"},
		{".woff2", "font/woff2"},
		{".txt", "text/plain; charset=utf-8"},
		{".webmanifest", "application/manifest+json"},
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

/* "app-5F3K2ZQA.js": eight letters and digits at least between the last dash and the dot after it. */
static bool has_hash(const char *name)
{
	const char *dash = strrchr(name, '-');
	size_t size = 0;

	while (dash && isalnum((unsigned char)dash[1 + size]))
		size++;
	return size >= 8 && dash[1 + size] == '.';
}

/* FNV-1a, 64 bits: an ETag tells versions of one file apart and protects nothing. */
static void set_etag(struct file *file)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < file->size; i++)
		hash = (hash ^ file->bytes[i]) * UINT64_C(1099511628211);
	snprintf(file->etag, sizeof(file->etag), "\"%016" PRIx64 "\"", hash);
}

static bool read_bytes(int fd, uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t now = read(fd, bytes + done, size - done);

		if (now <= 0)
			return false;
		done += (size_t)now;
	}
	return true;
}

static bool read_file(struct files *files, int folder, const char *name, size_t size)
{
	/* Should it have become a pipe meanwhile, nobody waits for its other end. */
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct file *file = &files->files[files->count];
	bool is_good = false;

	if (fd >= 0 && size <= BYTES_MOST - files->bytes) {
		file->size = size;
		file->bytes = memory_new(file->size);
		is_good = read_bytes(fd, file->bytes, file->size);
	}
	if (fd >= 0)
		close(fd);
	if (!is_good) {
		free(file->bytes);
		file->bytes = NULL;
		return false;
	}
	file->path = memory_new(strlen(name) + 2);
	snprintf(file->path, strlen(name) + 2, "/%s", strcmp(name, "index.html") == 0 ? "" : name);
	file->content_type = content_type_of(name);
	file->is_immutable = has_hash(name);
	set_etag(file);
	files->bytes += file->size;
	files->count++;
	return true;
}

/* Asked of the file, since not every file system says it in the folder's entry. */
static bool is_ours(int folder, const char *name, size_t *ret_size)
{
	struct stat status;

	if (name[0] == '.' || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(status.st_mode))
		return false;
	*ret_size = (size_t)status.st_size;
	return true;
}

struct files *files_read(const char *folder, struct outcome *ret_outcome)
{
	struct files *files = memory_new(sizeof(*files));
	DIR *directory = opendir(folder);
	struct dirent *entry;
	size_t size;

	*ret_outcome = directory
	                       ? outcome_ok()
	                       : outcome_refuse(OUTCOME_NOT_FOUND, "web_root %s cannot be read: %s",
	                                        folder, strerror(errno));
	while (directory && outcome_is_ok(ret_outcome) && (entry = readdir(directory))) {
		if (!is_ours(dirfd(directory), entry->d_name, &size))
			continue;
		if (files->count == FILES_MOST ||
		    !read_file(files, dirfd(directory), entry->d_name, size))
			*ret_outcome = outcome_refuse(
				OUTCOME_INVALID_ARGUMENT,
				"web_root: %s cannot be read, or there is more than 16 MiB",
				entry->d_name);
	}
	if (directory)
		closedir(directory);
	if (outcome_is_ok(ret_outcome))
		return files;
	files_free(files);
	return NULL;
}

void files_free(struct files *files)
{
	for (size_t i = 0; files && i < files->count; i++) {
		free(files->files[i].path);
		free(files->files[i].bytes);
	}
	free(files);
}

const struct file *files_find(const struct files *files, const char *path)
{
	for (size_t i = 0; files && i < files->count; i++) {
		if (strcmp(files->files[i].path, path) == 0)
			return &files->files[i];
	}
	return NULL;
}
