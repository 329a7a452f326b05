/* The kinds of backends: one row each in backend.c, one file each. */
#pragma once

#include "backend/backend.h"

extern const struct backend_ops memory_ops; /* memory.c */
extern const struct backend_ops file_ops;   /* file.c */
extern const struct backend_ops rbd_ops;    /* rbd.c */
