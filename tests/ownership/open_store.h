/* The store in a folder that the unit tests of this room write to. */
#pragma once

struct store;

/* In the test's own folder, so what was written before is there again. The caller closes it. */
struct store *open_store(void);
