/* What the world does with its cutters. */
#pragma once

#include "world.h"

void cutter_init(struct cutter *cutter, const char *to);
void cutter_turn(struct cutter *cutter);
void cutter_done(struct cutter *cutter);
