/* The API in a world of its own: a dir store in a folder of the test, gateways that follow it, a
 * control socket, an HTTP client. */
#pragma once

#include "api/api.h"
#include "base/json.h"
#include "store/store.h"
#include "test.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define GATEWAYS_MAX 4

/* A gateway that reports each epoch at once: applied, or with a problem; or is silent. */
struct member {
	struct store_listener listener;
	struct store *store;
	pthread_t thread;
	sem_t wake;
	_Atomic bool stop, silent;
	char problem[128];
	uint64_t problem_epoch; /* reported from this one on */
};

struct api_world {
	char folder[256];
	struct settings *settings;
	struct store *store;
	struct secret_keys *keys;
	struct rest *api;
	struct member members[GATEWAYS_MAX];
	size_t member_count;
	/* the control socket */
	pthread_t control_thread;
	int control_fd, control_stop[2];
	char control_answer[2048];
	_Atomic(const char *) control_now; /* instead of that; may be NULL */
};

static inline void member_changed(struct store_listener *listener)
{
	(void)sem_post(&container_of(listener, struct member, listener)->wake);
}

static inline void member_report(struct member *member)
{
	AUTO_FREE char *text = NULL;
	struct store_version version;
	if (member->silent || store_load(member->store, &text, &version, NULL) < 0)
		return;
	(void)!store_report(member->store, version.epoch,
	                    version.epoch >= member->problem_epoch ? member->problem : "", NULL);
}

static inline void *member_run(void *argument)
{
	struct member *member = argument;
	while (!member->stop) {
		(void)sem_wait(&member->wake);
		if (!member->stop)
			member_report(member);
	}
	return NULL;
}

static inline struct store *open_store(const char *folder)
{
	struct store_config config = { .kind = "dir", .path = folder, .object = "gateway.conf" };
	struct store *store = NULL;
	struct error err = { 0 };
	if (store_open(&config, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

static inline void world_add_member(struct api_world *world, const char *gateway)
{
	struct member *member = &world->members[world->member_count++];
	struct error err = { 0 };
	*member = (struct member){ .listener.changed = member_changed };
	member->store = open_store(world->folder);
	(void)sem_init(&member->wake, 0, 0);
	ASSERT_EQ(pthread_create(&member->thread, NULL, member_run, member), 0);
	if (store_join(member->store, gateway, &member->listener, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void *control_run(void *argument)
{
	struct api_world *world = argument;
	struct pollfd polls[2] = { { .fd = world->control_fd, .events = POLLIN },
		                   { .fd = world->control_stop[0], .events = POLLIN } };
	while (poll(polls, 2, -1) > 0 && !polls[1].revents) {
		int fd = accept(world->control_fd, NULL, NULL);
		char line[256];
		if (recv(fd, line, sizeof line, 0) > 0) {
			const char *now = world->control_now;
			const char *text = now ? now : world->control_answer;
			(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
			(void)send(fd, "\n", 1, MSG_NOSIGNAL);
		}
		close(fd);
	}
	return NULL;
}

/* From now on the local rbd-target-io serves. */
static inline void world_serve_control(struct api_world *world, const char *gateway)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.sock", world->folder,
	                   gateway);
	ASSERT_TRUE(len > 0 && (size_t)len < sizeof address.sun_path);
	(void)snprintf(
	        world->control_answer, sizeof world->control_answer,
	        "{\"gateway\":\"%s\",\"serving\":true,\"epoch\":1,\"sessions\":[],\"luns\":[]}",
	        gateway);
	world->control_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(bind(world->control_fd, (struct sockaddr *)&address, sizeof address), 0);
	ASSERT_EQ(listen(world->control_fd, 8), 0);
	ASSERT_EQ(pipe(world->control_stop), 0);
	ASSERT_EQ(pthread_create(&world->control_thread, NULL, control_run, world), 0);
}

/* settings: lines of [config] more than the usual ones. */
static inline void world_start(struct api_world *world, const char *settings,
                               struct secret_keys *keys)
{
	static unsigned number;
	AUTO_STRING struct string text = { 0 };
	struct error err = { 0 };
	(void)snprintf(world->folder, sizeof world->folder, "%s/%u", test_folder(), number++);
	ASSERT_EQ(mkdir(world->folder, 0700), 0);
	string_format(
	        &text,
	        "[config]\napi_secure = false\nlog_to_stderr = true\nlog_to_file = false\n%s\n"
	        "[rbdgate]\nrun_dir = %s\n",
	        settings, world->folder);
	if (settings_parse(text.text, "test", NULL, NULL, &world->settings, &err) < 0)
		fail_msg("%s", err.text);
	world->settings->api_port = 0;
	world->store = open_store(world->folder);
	world->keys = keys;
	struct rest_config config = {
		.settings = world->settings,
		.gateway_name = "gw1.example.com",
		.store = world->store,
		.keys = keys,
		.apply_timeout_ms = 300,
	};
	if (rest_start(&config, &world->api, &err) < 0)
		fail_msg("%s", err.text);
	world->settings->api_port = 5000; /* as it enters the hash */
}

static inline void world_stop(struct api_world *world)
{
	if (world->control_fd) {
		(void)!write(world->control_stop[1], "", 1);
		(void)pthread_join(world->control_thread, NULL);
		close(world->control_fd);
		close(world->control_stop[0]);
		close(world->control_stop[1]);
	}
	rest_free(world->api);
	for (size_t i = 0; i < world->member_count; i++) {
		struct member *member = &world->members[i];
		store_free(member->store);
		member->stop = true;
		(void)sem_post(&member->wake);
		(void)pthread_join(member->thread, NULL);
		(void)sem_destroy(&member->wake);
	}
	store_free(world->store);
	secret_keys_free(world->keys);
	settings_free(world->settings);
}
#define AUTO_API_WORLD __attribute__((cleanup(world_stop)))

/* ---- HTTP ---- */

struct call {
	const char *method, *path;
	const char *form;   /* urlencoded body; NULL: none */
	const char *user;   /* "admin:admin"; NULL: no credentials */
	const char *header; /* one more; NULL: none */
	bool multipart;     /* the form as multipart/form-data */
};

static inline size_t take_answer(char *data, size_t size, size_t count, void *argument)
{
	string_add_bytes(argument, data, size * count);
	return size * count;
}

static inline void put_multipart(curl_mime *mime, const char *form)
{
	while (form && *form) {
		char name[64], value[256];
		size_t len = strcspn(form, "&");
		(void)sscanf(form, "%63[^=&]=%255[^&]", name, value);
		curl_mimepart *part = curl_mime_addpart(mime);
		(void)curl_mime_name(part, name);
		(void)curl_mime_data(part, value, CURL_ZERO_TERMINATED);
		form += form[len] ? len + 1 : len;
	}
}

/* The status; *ret_body: the text, *ret_headers (may be NULL): the headers. free() them. */
static inline long world_call(const struct api_world *world, const struct call *call,
                              char **ret_body, char **ret_headers)
{
	AUTO_STRING struct string url = { 0 };
	struct string body = { 0 }, headers = { 0 };
	CURL *curl = curl_easy_init();
	curl_mime *mime = NULL;
	struct curl_slist *list = call->header ? curl_slist_append(NULL, call->header) : NULL;
	string_format(&url, "http://127.0.0.1:%u%s", rest_port(world->api), call->path);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url.text);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 60000L);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_answer);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &headers);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	if (call->multipart) {
		mime = curl_mime_init(curl);
		put_multipart(mime, call->form);
		(void)curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
	} else if (call->form) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->form);
	}
	if (strcmp(call->method, "HEAD") == 0)
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	if (call->user)
		(void)curl_easy_setopt(curl, CURLOPT_USERPWD, call->user);
	CURLcode code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		fail_msg("%s %s: %s", call->method, call->path, curl_easy_strerror(code));
	long status = 0;
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_mime_free(mime);
	curl_slist_free_all(list);
	curl_easy_cleanup(curl);
	*ret_body = string_take(&body);
	if (ret_headers)
		*ret_headers = string_take(&headers);
	string_clear(&headers);
	return status;
}
