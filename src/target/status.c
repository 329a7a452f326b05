/* Sessions as JSON, for the control socket. */
#include "target/status.h"

#include "iscsi/server.h"

#include <errno.h>

int status_add_sessions(struct iscsi_server *server, json_t *status)
{
	struct iscsi_session_info *sessions = NULL;
	size_t count = 0;
	int r = iscsi_server_list(server, &sessions, &count);
	if (r < 0)
		return r;
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct iscsi_session_info *s = &sessions[i];
		/* A name that is not UTF-8 makes no row; short memory: a row less. */
		(void)json_array_append_new(
		        array, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i}", "initiator",
		                         s->initiator_name, "alias", s->initiator_alias, "target",
		                         s->target_name, "peer", s->peer_address, "portal",
		                         s->local_address, "tag", (int)s->portal_group_tag, "tsih",
		                         (int)s->tsih));
	}
	free(sessions);
	return json_object_set_new(status, "sessions", array) < 0 ? -ENOMEM : 0;
}
