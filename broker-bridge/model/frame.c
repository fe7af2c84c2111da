#include "model/frame.h"

#include "base/memory.h"
#include "base/must.h"

#include <stdlib.h>

struct frame *frame_create(size_t size)
{
	struct frame *frame;

	must(size <= UINT32_MAX);
	frame = memory_new(sizeof(*frame) + size);
	frame->references = 1;
	frame->size = (uint32_t)size;
	return frame;
}

void frame_set_leaver(struct frame *frame, const char *user)
{
	if (*user)
		frame->leaver = memory_copy_text(user);
}

struct frame *frame_ref(struct frame *frame)
{
	frame->references++;
	return frame;
}

void frame_unref(struct frame *frame)
{
	if (!frame || --frame->references)
		return;
	free(frame->leaver);
	free(frame);
}
