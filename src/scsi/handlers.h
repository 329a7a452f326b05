/* The handlers that the opcode table names: each runs or checks one command (or family). */
#pragma once

#include <stdbool.h>

struct scsi_task;

/* inquiry.c, vpd.c */
void inquiry_run(struct scsi_task *task);
void vpd_run(struct scsi_task *task);

/* report_luns.c */
void report_luns_run(struct scsi_task *task);

/* unit.c */
void test_unit_ready_run(struct scsi_task *task);
void request_sense_run(struct scsi_task *task);
void start_stop_run(struct scsi_task *task);
void prevent_allow_run(struct scsi_task *task);
void send_diagnostic_run(struct scsi_task *task);

/* capacity.c */
void read_capacity10_run(struct scsi_task *task);
void read_capacity16_run(struct scsi_task *task);
void get_lba_status_run(struct scsi_task *task);

/* mode.c, mode_select.c */
void mode_sense_run(struct scsi_task *task);
void mode_select_run(struct scsi_task *task);

/* read_write.c */
void read_run(struct scsi_task *task);
void write_run(struct scsi_task *task);

/* cache.c */
void synchronize_cache_run(struct scsi_task *task);
void prefetch_run(struct scsi_task *task);

/* verify.c */
bool verify_check(struct scsi_task *task);
void verify_run(struct scsi_task *task);
bool write_verify_check(struct scsi_task *task);
void write_verify_run(struct scsi_task *task);

/* provisioning.c */
bool unmap_prepare(struct scsi_task *task);
void unmap_run(struct scsi_task *task);
bool write_same_check(struct scsi_task *task);
void write_same_run(struct scsi_task *task);

/* compare.c */
bool compare_write_check(struct scsi_task *task);
void compare_write_run(struct scsi_task *task);
void orwrite_run(struct scsi_task *task);

/* maintenance.c */
void report_port_groups_run(struct scsi_task *task);
void report_opcodes_run(struct scsi_task *task);
void report_tmfs_run(struct scsi_task *task);

/* reserve.c */
void reserve_run(struct scsi_task *task);
void release_run(struct scsi_task *task);

/* persistent_in.c, persistent_out.c */
void persistent_in_run(struct scsi_task *task);
bool persistent_out_check(struct scsi_task *task);
void persistent_out_run(struct scsi_task *task);
