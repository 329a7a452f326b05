/* The table of routes: method, path, who may, form fields, what runs. It also answers GET /api. */
#pragma once

#include "api/request.h"

enum access { ACCESS_OPEN, ACCESS_PASSWORD, ACCESS_FULL };

struct route {
	enum method method;
	const char *path; /* "/api/target/<target_iqn>" */
	enum access access;
	const char *form;  /* names of the fields that are read, with blanks; NULL: none */
	const char *query; /* the one name that is read of the query; NULL: none */
	const char *help;
	change_fn change;                     /* either this: commit_change() runs it */
	void (*run)(struct request *request); /* or this */
};

/* Walks the table; tests do. */
extern const struct route routes[];
extern const size_t route_count;
extern const char *const method_names[METHOD_COUNT];

/* Finds the row for a path as it came (still encoded) and a method. 0 and the pieces of the path
 * put into arguments; -ENOENT: no such path; -EOPNOTSUPP: not with this method. *ret_allowed: the
 * methods that the path has, as bits. */
int route_find(const char *path, const char *method, json_t *arguments,
               const struct route **ret_route, unsigned *ret_allowed) MUST_CHECK;
/* True if words (with blanks between) has the name. */
bool word_in(const char *words, const char *name);

void run_list_routes(struct request *request);
