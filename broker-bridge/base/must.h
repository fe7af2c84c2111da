/* must - a broken invariant ends the process.
 *
 * Always on, unlike assert: any process of Martlet may die at any time and the supervisor starts
 * another, so going on with a state that cannot be is the greater risk. For what the world does
 * wrong there is `struct outcome`.
 */
#ifndef MARTLET_BASE_MUST_H
#define MARTLET_BASE_MUST_H

/* Logs the condition with its place and aborts. */
_Noreturn void must_failed(const char *condition, const char *file, int line);

/* Called instead of aborting, by who is a guest in another's process and must not end it. It must not
 * return (longjmp); if it does, the process aborts. NULL, as at the beginning: nobody. */
void must_set_way_out(void (*way_out)(void));

#define must(condition) ((condition) ? (void)0 : must_failed(#condition, __FILE__, __LINE__))

#endif
