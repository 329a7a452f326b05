/* The process starts itself anew, in place: same process id, same arguments. */
#pragma once

/* Its environment says RBDGATE_FORMER_INSTANCE=instance. All its connections drop, unanswered. Any
 * thread; does not come back. */
void renew(const char *former_instance) __attribute__((noreturn));
/* The instance that this process was before; NULL: it was none. Borrowed. */
const char *renewed_from(void);

/* What the next life has to know of the hung storage that it is started for (hung_doubt.c): copied;
 * NULL: nothing. Before renew(), on the same thread. */
void renew_set_note(const char *text);
/* What the life before has left; NULL: nothing. Borrowed. */
const char *renewed_note(void);
