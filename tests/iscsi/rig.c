/* The server under test and its disk. */
#include "rig.h"

#include "base/buffer.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- the disk ---- */

static void carry_out(struct rig *rig, struct io *io)
{
	uint8_t *at = rig->memory + io->offset;

	for (unsigned i = 0; i < io->iov_count; i++) {
		if (io->op == IO_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else if (io->op == IO_WRITE)
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	io_complete(io, 0);
}

static void submit(struct backend *backend, struct io *io)
{
	struct rig *rig = container_of(backend, struct rig, backend);

	pthread_mutex_lock(&rig->lock);
	rig->writes += io->op == IO_WRITE;
	bool keep = rig->hold;
	if (keep) {
		ASSERT_TRUE(rig->held_count < HELD_MAX);
		rig->held[rig->held_count++] = io;
	}
	pthread_mutex_unlock(&rig->lock);
	if (!keep)
		carry_out(rig, io);
}

static void submit_other(struct backend *backend, struct io *io)
{
	struct rig *rig = container_of(backend, struct rig, others);

	if (rig->others_hang)
		submit(&rig->backend, io);
	else
		carry_out(rig, io);
}

static void get_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = (struct backend_info){ .size_bytes = RIG_BYTES };
}

static const struct backend_ops disk_ops = {
	.name = "held memory",
	.submit = { submit, submit, submit, submit, submit },
	.get_info = get_info,
};

static const struct backend_ops other_ops = {
	.name = "memory",
	.submit = { submit_other, submit_other, submit_other, submit_other, submit_other },
	.get_info = get_info,
};

void rig_hold(struct rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	rig->hold = true;
	pthread_mutex_unlock(&rig->lock);
}

unsigned rig_held(struct rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	unsigned count = rig->held_count;
	pthread_mutex_unlock(&rig->lock);
	return count;
}

void rig_wait_held(struct rig *rig, unsigned count)
{
	EVENTUALLY(rig_held(rig) >= count);
}

void rig_release(struct rig *rig)
{
	struct io *held[HELD_MAX];

	pthread_mutex_lock(&rig->lock);
	unsigned count = rig->held_count;
	memcpy(held, rig->held, count * sizeof(*held));
	rig->held_count = 0;
	rig->hold = false;
	pthread_mutex_unlock(&rig->lock);
	for (unsigned i = 0; i < count; i++)
		carry_out(rig, held[i]);
}

unsigned rig_writes(struct rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	unsigned writes = rig->writes;
	pthread_mutex_unlock(&rig->lock);
	return writes;
}

/* ---- time ---- */

static _Atomic(uint64_t) clock_ms = 1000000;

static uint64_t test_clock(void)
{
	return atomic_load(&clock_ms);
}

void rig_advance(unsigned ms)
{
	atomic_fetch_add(&clock_ms, ms);
}

static void freeze(struct message *message)
{
	struct rig *rig = container_of(message, struct freeze, message)->rig;

	atomic_fetch_add(&rig->frozen, 1);
	while (!atomic_load(&rig->thaw))
		sched_yield();
	atomic_fetch_sub(&rig->frozen, 1);
}

void rig_freeze(struct rig *rig)
{
	atomic_store(&rig->thaw, false);
	for (unsigned i = 0; i < RIG_REACTORS; i++) {
		rig->freezes[i] = (struct freeze){ .message = { .run = freeze }, .rig = rig };
		reactor_post(rig->reactors[i], &rig->freezes[i].message);
	}
	EVENTUALLY(atomic_load(&rig->frozen) == RIG_REACTORS);
}

void rig_thaw(struct rig *rig)
{
	atomic_store(&rig->thaw, true);
	EVENTUALLY(atomic_load(&rig->frozen) == 0);
}

/* ---- the server ---- */

static void find_address(struct rig *rig)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* An address of the loopback net of our own, so that nobody else takes the port. */
	address.sin_addr.s_addr = htonl(0x7f000000u | (((unsigned)getpid() & 0x3fffff) << 2) | 2);
	ASSERT_EQ(bind(fd, (struct sockaddr *)&address, len), 0);
	ASSERT_EQ(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	char ip[INET_ADDRSTRLEN];
	ASSERT_NOT_NULL(inet_ntop(AF_INET, &address.sin_addr, ip, sizeof(ip)));
	snprintf(rig->address, sizeof(rig->address), "%s:%u", ip, ntohs(address.sin_port));
}

static void make_luns(struct rig *rig)
{
	for (unsigned i = 0; i < RIG_LUNS; i++) {
		char wwn[64];
		struct lun_config config = {
			.name = "test/disk",
			.wwn = wwn,
			.vendor_id = "test/disk",
			.block_size = RIG_BLOCK,
			.max_sectors = 8192,
		};
		snprintf(wwn, sizeof(wwn), "11111111-2222-3333-4444-55555555555%u", i);
		ASSERT_EQ(lun_new(&config, &rig->luns[i]), 0);
	}
	rig->lun = rig->luns[0];
	rig->lun_count = 1;
	rig->tag = 1;
}

struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	ASSERT_NOT_NULL(rig);
	pthread_mutex_init(&rig->lock, NULL);
	rig->memory = calloc(1, RIG_BYTES);
	rig->backend.ops = &disk_ops;
	rig->others.ops = &other_ops;
	iscsi_limits_default(&rig->limits);
	rig->limits.boot_clock = test_clock;
	rig->controls = (struct iscsi_controls){
		.first_burst_length = 65536,
		.max_burst_length = 262144,
		.max_recv_data_segment_length = 262144,
		.max_xmit_data_segment_length = 262144,
		.max_outstanding_r2t = 1,
		.command_window = 128,
		.dataout_timeout_s = 20,
		.nopin_timeout_s = 60,
		.nopin_response_timeout_s = 60,
		.immediate_data = true,
	};
	rig->ready = rig->with_lun = rig->with_target = rig->loaded = true;
	find_address(rig);
	make_luns(rig);
	for (unsigned i = 0; i < RIG_REACTORS; i++) {
		ASSERT_EQ(reactor_new("io", NULL, &rig->reactors[i]), 0);
		ASSERT_EQ(reactor_start(rig->reactors[i], -1), 0);
	}
	return rig;
}

static void fill_mappings(const struct rig *rig, struct lun_mapping **ret_mappings,
                          size_t *ret_count)
{
	if (!rig->with_lun)
		return;
	struct lun_mapping *mappings = calloc(rig->lun_count, sizeof(*mappings));
	for (unsigned i = 0; i < rig->lun_count; i++) {
		mappings[i].number = (uint16_t)i;
		mappings[i].lun = lun_get(rig->luns[i]);
	}
	*ret_mappings = mappings;
	*ret_count = rig->lun_count;
}

static void fill_target(const struct rig *rig, struct iscsi_target *target)
{
	target->name = strdup(RIG_TARGET);
	target->ready = rig->ready;
	target->controls = rig->controls;
	target->groups = calloc(1, sizeof(*target->groups));
	target->group_count = 1;
	target->groups->tag = rig->tag;
	target->groups->local = true;
	target->groups->addresses = calloc(1, sizeof(char *));
	target->groups->addresses[0] = strdup(*rig->portal ? rig->portal : rig->address);
	target->groups->address_count = 1;
	if (!rig->with_acl) {
		fill_mappings(rig, &target->mappings, &target->mapping_count);
		return;
	}
	target->acl_enabled = true;
	target->acls = calloc(1, sizeof(*target->acls));
	target->acl_count = 1;
	target->acls->initiator_name = strdup(RIG_INITIATOR);
	fill_mappings(rig, &target->acls->mappings, &target->acls->mapping_count);
	if (!rig->user)
		return;
	strcpy(target->acls->auth.user_name, rig->user);
	strcpy(target->acls->auth.secret, rig->secret);
}

static void applied(void *argument, const struct error *err)
{
	struct rig *rig = argument;
	rig->apply_error = *err;
	(void)atomic_fetch_sub(&rig->applying, 1);
}

void rig_apply_start(struct rig *rig)
{
	if (!rig->server) {
		for (unsigned i = 0; i < RIG_LUNS; i++)
			lun_serve(rig->luns[i], i ? &rig->others : &rig->backend);
		ASSERT_EQ(iscsi_server_new(rig->reactors, RIG_REACTORS, &rig->limits, &rig->server),
		          0);
	}
	struct iscsi_config *config = iscsi_config_new();
	ASSERT_NOT_NULL(config);
	config->loaded = rig->loaded;
	if (rig->with_target) {
		config->targets = calloc(1, sizeof(*config->targets));
		config->target_count = 1;
		fill_target(rig, config->targets);
	}
	(void)atomic_fetch_add(&rig->applying, 1);
	iscsi_server_apply(rig->server, config, applied, rig);
}

void rig_apply(struct rig *rig)
{
	rig_apply_start(rig);
	EVENTUALLY(atomic_load(&rig->applying) == 0);
	ASSERT_EQ(rig->apply_error.code, 0);
}

static void set_flag(void *argument)
{
	atomic_store((atomic_bool *)argument, true);
}

void rig_stop_start(struct rig *rig, unsigned grace_ms)
{
	if (!rig->stopping)
		iscsi_server_stop(rig->server, grace_ms, set_flag, &rig->stopped);
	rig->stopping = true;
}

void rig_free(struct rig *rig)
{
	if (!rig)
		return;
	rig_release(rig);
	if (rig->server) {
		rig_stop_start(rig, 0);
		EVENTUALLY(atomic_load(&rig->stopped));
		for (unsigned i = 0; i < RIG_LUNS; i++) {
			atomic_bool quiet = false;
			lun_quiesce(rig->luns[i], LUN_FAILED, set_flag, &quiet);
			EVENTUALLY(atomic_load(&quiet));
		}
	}
	for (unsigned i = 0; i < RIG_REACTORS; i++)
		reactor_stop(rig->reactors[i]);
	iscsi_server_free(rig->server);
	for (unsigned i = 0; i < RIG_LUNS; i++)
		lun_put(rig->luns[i]);
	for (unsigned i = 0; i < RIG_REACTORS; i++)
		reactor_free(rig->reactors[i]);
	pthread_mutex_destroy(&rig->lock);
	free(rig->memory);
	free(rig);
}

size_t rig_sessions(struct rig *rig)
{
	AUTO_FREE struct iscsi_session_info *sessions = NULL;
	size_t count = 0;
	ASSERT_EQ(iscsi_server_list(rig->server, &sessions, &count), 0);
	return count;
}

void rig_wait_sessions(struct rig *rig, size_t count)
{
	EVENTUALLY(rig_sessions(rig) == count);
}

void rig_login(struct rig *rig, struct raw *raw, uint8_t isid, const char *keys)
{
	static const uint8_t test_unit_ready[6];

	raw_connect(raw, rig->address);
	ASSERT_EQ(raw_login_to(raw, isid, RIG_INITIATOR, RIG_TARGET, keys), LOGIN_SUCCESS);
	for (;;) {
		(void)raw_command(raw, 0, FLAG_FINAL, test_unit_ready, 6, 0, NULL, 0);
		raw_expect(raw, PDU_SCSI_RESPONSE);
		if (raw->pdu.bhs[BHS_STATUS] == 0)
			return;
		ASSERT_EQ(raw->pdu.data[2 + 2] & 15, 6); /* unit attention */
	}
}
