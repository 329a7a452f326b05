/* Routes about this host: system information, settings. */
#include "api/host.h"
#include "api/run.h"

#include <string.h>

static json_t *hostname(const struct rest *api)
{
	return json_string(api->config.gateway_name);
}

static json_t *addresses(const struct rest *api)
{
	return host_addresses();
}

static json_t *settings_digest(const struct rest *api)
{
	char hex[65];
	return settings_hash(api->config.settings, hex) < 0 ? NULL : json_string(hex);
}

/* There is nothing that could be of a wrong version: no kernel target, no Python. */
static json_t *versions(const struct rest *api)
{
	return json_string("checks passed");
}

void run_sysinfo(struct request *request)
{
	static const struct {
		const char *name;
		json_t *(*tell)(const struct rest *api);
	} queries[] = {
		{ "ip_addresses", addresses },
		{ "hostname", hostname },
		{ "checkconf", settings_digest },
		{ "checkversions", versions },
	};
	const char *wanted = request_argument(request, "query_type");
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		if (strcmp(queries[i].name, wanted) == 0) {
			answer(request, 200,
			       json_pack("{s:o}", "data", queries[i].tell(request->api)));
			return;
		}
	}
	answer_message(request, 404, "Unknown /sysinfo query");
}

void run_settings(struct request *request)
{
	const struct settings *settings = request->api->config.settings;
	answer(request, 200,
	       json_pack("{s:i, s:[s], s:s, s:{s:i}, s:o, s:o, s:{s:o}, s:{s:o}, s:{s:i}, s:{s:i}}",
	                 "api_version", 2, "backstores", "user:rbd", "default_backstore",
	                 "user:rbd", "config", "minimum_gateways", settings->minimum_gateways,
	                 "target_default_controls", control_defaults(OPTION_TARGET, settings),
	                 "target_controls_limits", control_limits(OPTION_TARGET),
	                 "disk_default_controls", "user:rbd",
	                 control_defaults(OPTION_DISK, settings), "disk_controls_limits",
	                 "user:rbd", control_limits(OPTION_DISK), "required_rbd_features",
	                 "user:rbd", 4, "unsupported_rbd_features", "user:rbd", 0));
}
