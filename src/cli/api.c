/* The client of the REST API (libcurl). See api.h. */
#include "cli/api.h"

#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define ANSWER_MAX_BYTES  (64u << 20)
#define PROGRESS_AFTER_S  2
#define CONNECT_TIMEOUT_S 5
#define PARALLEL_CALLS    16

struct api {
	char *host, *fallback, *user, *password;
	char *endpoint;
	unsigned port;
	bool secure;
	FILE *trace, *progress;
	CURL *curl; /* kept for its connection */
	time_t started;
	bool progress_shown;
};

/* One call under way: what curl points into must live as long as the transfer. */
struct transfer {
	struct string url, form, answer;
	struct reply *reply;
	CURL *curl;
	struct curl_slist *route;
};

static volatile sig_atomic_t interrupted;

void api_interrupt(void)
{
	interrupted = 1;
}

static char *endpoint_of(const struct api *api, const char *host)
{
	AUTO_STRING struct string text = { 0 };
	bool bare_v6 = strchr(host, ':') && host[0] != '[';
	string_format(&text, "%s://%s%s%s:%u/api", api->secure ? "https" : "http",
	              bare_v6 ? "[" : "", host, bare_v6 ? "]" : "", api->port);
	return string_take(&text);
}

int api_new(const struct api_options *options, struct api **ret_api)
{
	AUTO(api) struct api *api = calloc(1, sizeof *api);
	if (!api)
		return -ENOMEM;
	api->port = options->port;
	api->secure = options->secure;
	api->trace = options->trace;
	api->progress = options->progress;
	api->host = strdup(options->host);
	api->user = strdup(options->user);
	api->password = strdup(options->password);
	if (options->fallback)
		api->fallback = strdup(options->fallback);
	if (!api->host || !api->user || !api->password || (options->fallback && !api->fallback))
		return -ENOMEM;
	api->endpoint = endpoint_of(api, api->host);
	api->curl = curl_easy_init();
	if (!api->curl || !api->endpoint)
		return -ENOMEM;
	*ret_api = steal(&api);
	return 0;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	if (api->password)
		wipe(api->password, strlen(api->password));
	curl_easy_cleanup(api->curl);
	free(api->host);
	free(api->fallback);
	free(api->user);
	free(api->password);
	free(api->endpoint);
	free(api);
}

const char *api_endpoint(const struct api *api)
{
	return api->endpoint;
}

bool api_use_fallback(struct api *api)
{
	if (!api->fallback)
		return false;
	char *endpoint = endpoint_of(api, api->fallback);
	if (!endpoint)
		return false;
	free(api->endpoint);
	free(api->host);
	api->endpoint = endpoint;
	api->host = steal(&api->fallback);
	return true;
}

void reply_done(struct reply *reply)
{
	json_decref(reply->body);
	reply->body = NULL;
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *argument)
{
	struct transfer *transfer = argument;
	size_t len = size * count;
	if (transfer->answer.len + len > ANSWER_MAX_BYTES)
		return 0;
	string_add_bytes(&transfer->answer, bytes, len);
	return transfer->answer.failed ? 0 : len;
}

/* Called by curl about once a second: shows that we wait, and lets ^C end the waiting. */
static int show_progress(void *argument, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct api *api = argument;
	if (interrupted)
		return 1;
	long waited_s = (long)(time(NULL) - api->started);
	if (api->progress && waited_s >= PROGRESS_AFTER_S) {
		fprintf(api->progress, "\rwaiting for the gateway, %ld s ", waited_s);
		fflush(api->progress);
		api->progress_shown = true;
	}
	return 0;
}

static void clear_progress(struct api *api)
{
	if (!api->progress_shown)
		return;
	fputs("\r\033[K", api->progress);
	fflush(api->progress);
	api->progress_shown = false;
}

/* Escapes all but what may stand in a path as it is; an IQN keeps its colons. */
static void add_path(struct string *url, const char *path)
{
	for (; *path; path++) {
		if (strchr("-._~:@/", *path) || (*path >= '0' && *path <= '9') ||
		    ((*path | 32) >= 'a' && (*path | 32) <= 'z'))
			string_add_char(url, *path);
		else
			string_format(url, "%%%02X", (unsigned char)*path);
	}
}

static void add_form(struct string *form, const struct field *field)
{
	for (; field && field->name; field++) {
		if (!field->value)
			continue;
		char *value = curl_easy_escape(NULL, field->value, 0);
		string_format(form, "%s%s=%s", form->len ? "&" : "", field->name,
		              value ? value : "");
		curl_free(value);
	}
}

static const char *const method_names[] = {
	[API_GET] = "GET",
	[API_PUT] = "PUT",
	[API_DELETE] = "DELETE",
};

/* The URL keeps the name; the connection goes to the address. */
static void set_route(struct transfer *transfer, const char *address)
{
	AUTO_STRING struct string route = { 0 };
	bool bare_v6 = strchr(address, ':') && address[0] != '[';
	string_format(&route, bare_v6 ? "::[%s]:" : "::%s:", address);
	transfer->route = route.text ? curl_slist_append(NULL, route.text) : NULL;
	curl_easy_setopt(transfer->curl, CURLOPT_CONNECT_TO, transfer->route);
}

static int transfer_init(struct transfer *transfer, struct api *api, CURL *curl,
                         const struct request *request, struct reply *reply)
{
	*transfer = (struct transfer){ .reply = reply, .curl = curl };
	*reply = (struct reply){ .status = 500 };
	char *endpoint = endpoint_of(api, request->host ? request->host : api->host);
	string_add(&transfer->url, endpoint ? endpoint : "");
	free(endpoint);
	add_path(&transfer->url, request->path);
	add_form(&transfer->form, request->fields);
	if (request->method == API_GET && transfer->form.len)
		string_format(&transfer->url, "?%s", transfer->form.text);
	if (transfer->url.failed || transfer->form.failed)
		return -ENOMEM;
	if (api->trace)
		fprintf(api->trace, "%s %s\n", method_names[request->method], transfer->url.text);

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, transfer->url.text);
	if (request->address)
		set_route(transfer, request->address);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method_names[request->method]);
	if (request->method != API_GET) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)transfer->form.len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
		                 transfer->form.text ? transfer->form.text : "");
	}
	curl_easy_setopt(curl, CURLOPT_USERNAME, api->user);
	curl_easy_setopt(curl, CURLOPT_PASSWORD, api->password);
	curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	long timeout_s = request->timeout_s ? (long)request->timeout_s : API_TIMEOUT_S;
	long connect_s = timeout_s < CONNECT_TIMEOUT_S ? timeout_s : CONNECT_TIMEOUT_S;
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_s);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, show_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, api);
	return 0;
}

static void say_no_answer(struct transfer *transfer, CURLcode result)
{
	struct reply *reply = transfer->reply;
	curl_off_t resolved_us = 0;
	curl_easy_getinfo(transfer->curl, CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
	reply->nobody = result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_CONNECT ||
	                (result == CURLE_OPERATION_TIMEDOUT && resolved_us == 0);
	const char *url = transfer->url.text ? transfer->url.text : "";
	if (interrupted)
		snprintf(reply->message, sizeof reply->message,
		         "Interrupted: the gateway may still carry it out");
	else if (result == CURLE_OPERATION_TIMEDOUT)
		snprintf(reply->message, sizeof reply->message, "No answer in time from %s", url);
	else
		snprintf(reply->message, sizeof reply->message,
		         "Unable to connect to api endpoint @ %s", url);
}

static void transfer_finish(struct transfer *transfer, CURLcode result)
{
	struct reply *reply = transfer->reply;
	if (result != CURLE_OK) {
		say_no_answer(transfer, result);
	} else {
		reply->answered = true;
		curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &reply->status);
		if (transfer->answer.len)
			reply->body =
			        json_loadb(transfer->answer.text, transfer->answer.len, 0, NULL);
		const char *message = json_text(reply->body, "message", NULL);
		if (message)
			snprintf(reply->message, sizeof reply->message, "%s", message);
		else
			snprintf(reply->message, sizeof reply->message, "%ld from %s",
			         reply->status, transfer->url.text);
	}
	/* A form may hold passwords. */
	if (transfer->form.text)
		wipe(transfer->form.text, transfer->form.len);
	curl_slist_free_all(transfer->route);
	string_clear(&transfer->url);
	string_clear(&transfer->form);
	string_clear(&transfer->answer);
}

void api_call(struct api *api, const struct request *request, struct reply *ret_reply)
{
	struct transfer transfer;
	interrupted = 0;
	api->started = time(NULL);
	int r = transfer_init(&transfer, api, api->curl, request, ret_reply);
	transfer_finish(&transfer, r < 0 ? CURLE_OUT_OF_MEMORY : curl_easy_perform(api->curl));
	clear_progress(api);
}

static void run_batch(struct api *api, CURLM *multi, const struct request *requests, size_t count,
                      struct reply *replies)
{
	struct transfer transfers[PARALLEL_CALLS];
	CURLcode results[PARALLEL_CALLS];
	for (size_t i = 0; i < count; i++) {
		CURL *curl = curl_easy_init();
		results[i] = CURLE_COULDNT_CONNECT;
		transfers[i] = (struct transfer){ .reply = &replies[i] };
		if (!curl || transfer_init(&transfers[i], api, curl, &requests[i], &replies[i]) < 0)
			continue;
		curl_easy_setopt(curl, CURLOPT_PRIVATE, &results[i]);
		curl_multi_add_handle(multi, curl);
	}
	int running = 0;
	do {
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			break;
		if (running && curl_multi_poll(multi, NULL, 0, 1000, NULL) != CURLM_OK)
			break;
	} while (running);
	int left = 0;
	for (CURLMsg *done; (done = curl_multi_info_read(multi, &left));) {
		CURLcode *result = NULL;
		curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, &result);
		*result = done->data.result;
	}
	for (size_t i = 0; i < count; i++) {
		CURL *curl = transfers[i].curl;
		transfer_finish(&transfers[i], results[i]);
		if (curl) {
			curl_multi_remove_handle(multi, curl);
			curl_easy_cleanup(curl);
		}
	}
}

void api_get_many(struct api *api, const struct request *requests, size_t count,
                  struct reply *ret_replies)
{
	interrupted = 0;
	api->started = time(NULL);
	CURLM *multi = curl_multi_init();
	for (size_t from = 0; from < count; from += PARALLEL_CALLS) {
		size_t batch = count - from < PARALLEL_CALLS ? count - from : PARALLEL_CALLS;
		run_batch(api, multi, requests + from, batch, ret_replies + from);
	}
	curl_multi_cleanup(multi);
	clear_progress(api);
}
