/* The HTTP server: libmicrohttpd in front of the table of routes. A thread for each connection,
 * because requests wait for gateways; connections and bodies are bounded. */
#include "api/access.h"
#include "api/commit.h"
#include "api/host.h"
#include "base/log.h"
#include "ownership/history_writer.h"
#include "ownership/own_client.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define BODY_MAX         (1u << 20)
#define CONNECTIONS_MAX  256u
#define IDLE_TIMEOUT_S   30u
#define TLS_PRIORITIES   "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define CONNECTION_BYTES (64u << 10)

/* One request on its way through libmicrohttpd. */
struct exchange {
	struct request request;
	struct MHD_PostProcessor *form;
	size_t body_bytes;
	unsigned allowed; /* methods of the path */
	bool answered;    /* before the body came; the body is read and dropped */
	bool bad_form;
	bool options;
};

/* ---- the form ---- */

static void append_text(struct exchange *exchange, const char *name, const char *data, size_t len)
{
	const char *before = json_text(exchange->request.arguments, name, "");
	AUTO_STRING struct string text = { 0 };
	string_add(&text, before);
	string_add_bytes(&text, data, len);
	AUTO_JSON json_t *value = text.failed ? NULL : json_string(text.text ? text.text : "");
	if (memchr(data, '\0', len) || !value ||
	    json_object_set(exchange->request.arguments, name, value) < 0)
		exchange->bad_form = true;
}

static enum MHD_Result take_field(void *argument, enum MHD_ValueKind kind, const char *name,
                                  const char *filename, const char *type, const char *encoding,
                                  const char *data, uint64_t offset, size_t len)
{
	struct exchange *exchange = argument;
	if (name && word_in(exchange->request.route->form, name))
		append_text(exchange, name, data ? data : "", len);
	return MHD_YES;
}

static void take_body(struct exchange *exchange, const char *data, size_t len)
{
	exchange->body_bytes += len;
	if (exchange->answered || !exchange->form)
		return;
	if (exchange->body_bytes > BODY_MAX) {
		answer_message(&exchange->request, 413, "The form is longer than %u bytes",
		               BODY_MAX);
		exchange->answered = true;
	} else if (MHD_post_process(exchange->form, data, len) == MHD_NO) {
		exchange->bad_form = true;
	}
}

/* ---- begin ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void take_query(struct exchange *exchange, struct MHD_Connection *connection)
{
	const char *name = exchange->request.route->query;
	const char *value =
	        name ? MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name) : NULL;
	if (value)
		append_text(exchange, name, value, strlen(value));
}

static const struct sockaddr *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return info->client_addr;
}

/* Route and access; whoever is refused here has his body dropped. */
static void begin(struct exchange *exchange, struct MHD_Connection *connection, const char *url,
                  const char *method)
{
	struct request *request = &exchange->request;
	int r = route_find(url, method, request->arguments, &request->route, &exchange->allowed);
	exchange->options = strcmp(method, "OPTIONS") == 0 && r == -EOPNOTSUPP;
	exchange->answered = true;
	if (r == -ENOENT) {
		answer_message(request, 404, "There is no %s", url);
		return;
	}
	if (r == -EOPNOTSUPP) {
		answer_message(request, 405, "%s does not know the method %s", url, method);
		return;
	}
	if (r < 0) {
		answer_message(request, 500, "Out of memory");
		return;
	}
	if (!access_check(request, peer_of(connection), header(connection, "Authorization")))
		return;
	exchange->answered = false;
	take_query(exchange, connection);
	if (request->route->form)
		exchange->form = MHD_create_post_processor(connection, 4096, take_field, exchange);
}

static struct exchange *exchange_new(struct rest *api)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return NULL;
	exchange->request.api = api;
	exchange->request.arguments = json_object();
	return exchange;
}

/* Passwords were among the arguments. */
static void wipe_arguments(json_t *arguments)
{
	const char *name;
	json_t *value;
	json_object_foreach (arguments, name, value)
		wipe((char *)json_string_value(value), json_string_length(value));
}

static void exchange_free(struct exchange *exchange)
{
	if (exchange->form)
		(void)MHD_destroy_post_processor(exchange->form);
	wipe_arguments(exchange->request.arguments);
	json_decref(exchange->request.arguments);
	json_decref(exchange->request.body);
	free(exchange);
}

/* ---- end ---- */

static void run(struct exchange *exchange)
{
	struct request *request = &exchange->request;
	/* The last bytes of a form come out when its parser ends. */
	if (exchange->form) {
		bool torn = MHD_destroy_post_processor(exchange->form) == MHD_NO;
		exchange->form = NULL;
		if (torn || exchange->bad_form) {
			answer_message(request, 400, "The form is malformed or not UTF-8");
			return;
		}
	}
	if (request->route->change)
		commit_change(request, request->route->change);
	else
		request->route->run(request);
}

static void add_allowed(struct MHD_Response *response, unsigned allowed)
{
	AUTO_STRING struct string text = { 0 };
	string_add(&text, "OPTIONS");
	for (unsigned i = 0; i < METHOD_COUNT; i++)
		if (allowed & 1u << i)
			string_format(&text, ", %s%s", method_names[i],
			              i == METHOD_GET ? ", HEAD" : "");
	if (text.text)
		(void)MHD_add_response_header(response, "Allow", text.text);
}

static enum MHD_Result send_answer(struct exchange *exchange, struct MHD_Connection *connection)
{
	const struct request *request = &exchange->request;
	AUTO_STRING struct string text = { 0 };
	unsigned status = exchange->options ? 200 : (unsigned)request->status;
	if (!exchange->options) {
		AUTO_FREE char *body = json_format(request->body, &json_style_compact);
		string_add(&text, body ? body : "{\"message\":\"Out of memory\"}");
		string_add_char(&text, '\n');
	}
	size_t len = text.failed ? 0 : text.len;
	struct MHD_Response *response = MHD_create_response_from_buffer(
	        len, text.text ? text.text : (char[]){ "" }, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, "Content-Type", "application/json");
	(void)MHD_add_response_header(response, "Connection", "close");
	if (exchange->options || status == 405)
		add_allowed(response, exchange->allowed);
	if (status == 401)
		(void)MHD_add_response_header(response, "WWW-Authenticate",
		                              "Basic realm=\"rbdgate\"");
	enum MHD_Result r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *data, size_t *data_bytes, void **state)
{
	struct exchange *exchange = *state;
	if (!exchange) {
		exchange = exchange_new(argument);
		if (!exchange)
			return MHD_NO;
		*state = exchange;
		begin(exchange, connection, url, method);
		return MHD_YES;
	}
	if (*data_bytes) {
		take_body(exchange, data, *data_bytes);
		*data_bytes = 0;
		/* Somebody who sends without end is cut off. */
		return exchange->body_bytes > 4 * BODY_MAX ? MHD_NO : MHD_YES;
	}
	if (!exchange->answered)
		run(exchange);
	return send_answer(exchange, connection);
}

/* Something failed, and the answer has left. */
static void look_for_fence(const struct rest *api)
{
	uint64_t version;
	struct error err = { 0 };
	if (api->config.fenced &&
	    store_rows_version(api->config.store, &version, &err) == -ESHUTDOWN)
		api->config.fenced();
}

static void on_completed(void *argument, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
	struct exchange *exchange = *state;
	if (!exchange)
		return;
	if (!exchange->answered && exchange->request.status >= 400)
		look_for_fence(exchange->request.api);
	exchange_free(exchange);
	*state = NULL;
}

/* Paths are split before they are decoded, so that %2F cannot make pieces. */
static size_t keep_encoded(void *argument, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static void on_log(void *argument, const char *format, va_list arguments)
{
	char text[256];
	(void)vsnprintf(text, sizeof text, format, arguments);
	text[strcspn(text, "\r\n")] = '\0';
	log_limited(LOG_LEVEL_INFO, 10000, "HTTP: %s", text);
}

/* ---- start ---- */

static int bind_address(const struct addrinfo *at, int *ret_fd)
{
	static const int on = 1, off = 0;
	AUTO_CLOSE int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (at->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, 128) < 0)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int bind_host(const char *host, unsigned port, int *ret_fd, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *all;
	char service[16];
	(void)snprintf(service, sizeof service, "%u", port);
	int r = getaddrinfo(*host ? host : NULL, service, &hints, &all);
	if (r)
		return error_set(err, -EINVAL, "api_host %s: %s", host, gai_strerror(r));
	r = -EADDRNOTAVAIL;
	for (struct addrinfo *at = all; at && r < 0; at = at->ai_next)
		r = bind_address(at, ret_fd);
	freeaddrinfo(all);
	return r < 0 ? error_set(err, r, "cannot listen on %s port %u: %s", host, port,
	                         strerror(-r))
	             : 0;
}

static int listen_socket(const struct settings *settings, int *ret_fd, struct error *err)
{
	int r = bind_host(settings->api_host, (unsigned)settings->api_port, ret_fd, err);
	/* A kernel without IPv6: the default `::` means any address. */
	if (r == -EAFNOSUPPORT && strcmp(settings->api_host, "::") == 0)
		r = bind_host("0.0.0.0", (unsigned)settings->api_port, ret_fd, err);
	return r;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof address;
	(void)getsockname(fd, (struct sockaddr *)&address, &len);
	return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
	                                     : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int start_daemon(struct rest *api, struct error *err)
{
	const struct rest_config *config = &api->config;
	int fd = -1;
	int r = listen_socket(config->settings, &fd, err);
	if (r < 0)
		return r;
	api->port = port_of(fd);
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)config->certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)config->key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
	                 MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC;
	api->daemon = MHD_start_daemon(
	        flags | (config->certificate ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, api,
	        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_UNESCAPE_CALLBACK,
	        keep_encoded, NULL, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
	        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        (size_t)CONNECTION_BYTES, MHD_OPTION_ARRAY, config->certificate ? tls : tls + 3,
	        MHD_OPTION_END);
	if (api->daemon)
		return 0;
	(void)close(fd);
	return error_set(err, -EINVAL, "the HTTP server does not start%s",
	                 config->certificate ? ": do certificate and key fit?" : "");
}

/* Gateways that take a LUN from whoever has it let this client be. */
static int announce_client(const struct rest_config *config, struct error *err)
{
	return config->cluster ? own_client_announce(config->store, config->gateway_name,
	                                             cluster_client_address(config->cluster), err)
	                       : 0;
}

int rest_start(const struct rest_config *config, struct rest **ret_rest, struct error *err)
{
	AUTO(rest) struct rest *api = calloc(1, sizeof *api);
	if (!api)
		return error_set(err, -ENOMEM, "out of memory");
	api->config = *config;
	(void)pthread_mutex_init(&api->commit_lock, NULL);
	api->names = names_new();
	if (!api->names)
		return error_set(err, -ENOMEM, "out of memory");
	int r = announce_client(config, err);
	if (r == 0)
		r = commit_upgrade(api, err);
	if (r == 0 && history_writer_new(config->store, config->gateway_name, &api->history) < 0)
		r = error_set(err, -ENOMEM, "history: out of memory");
	if (r == 0)
		r = start_daemon(api, err);
	if (r == 0)
		*ret_rest = steal(&api);
	return r;
}

unsigned rest_port(const struct rest *api)
{
	return api->port;
}

void rest_free(struct rest *api)
{
	if (!api)
		return;
	atomic_store(&api->stopping, true);
	if (api->daemon)
		MHD_stop_daemon(api->daemon);
	history_writer_free(api->history);
	names_free(api->names);
	(void)pthread_mutex_destroy(&api->commit_lock);
	free(api);
}
