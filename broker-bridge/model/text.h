/* text - what people write and other people read: is it well formed, is there anything to see. */
#ifndef MARTLET_MODEL_TEXT_H
#define MARTLET_MODEL_TEXT_H

#include <stdbool.h>

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
bool text_is_utf8(const char *text);

/* At least one character that shows: not a space, a control or of no width. The text is UTF-8. */
bool text_is_visible(const char *text);

/* A character below U+0020, or U+007F, is in it. */
bool text_has_controls(const char *text);

/* Printable ASCII, spaces included. */
bool text_is_printable_ascii(const char *text);

#endif
