/**
 * @file tests/modes_matrix.h
 * The table of tests/test_modes_matrix.c, after whose probes it is included: what every public call
 * answers in every way to open a store.
 */
#ifndef STELE_TESTS_MODES_MATRIX_H
#define STELE_TESTS_MODES_MATRIX_H

#include "checkpoint_probes.h"
#include "copy_probes.h"
#include "retention_probes.h"
#include "backup_probes.h"
#include "lifecycle_probes.h"
#include "typed_probes.h"

static const char *const mode_names[MODE_COUNT] = { "file", "wrap", ":memory:", "read_only",
                                                    "immutable" };

static const struct guarantee_row {
    uint32_t bit;
    const char *name;
    bool holds[MODE_COUNT];
} guarantee_rows[] = {
    { STELE_GUARANTEE_DURABLE, "STELE_GUARANTEE_DURABLE", { true, true, false, true, true } },
    { STELE_GUARANTEE_PERSISTENT, "STELE_GUARANTEE_PERSISTENT", { true, true, false, true, true } },
    { STELE_GUARANTEE_SHARED, "STELE_GUARANTEE_SHARED", { true, true, false, true, false } },
    { STELE_GUARANTEE_CONCURRENT, "STELE_GUARANTEE_CONCURRENT", { true, true, false, true, true } },
    { STELE_GUARANTEE_GUARDED, "STELE_GUARANTEE_GUARDED", { true, true, true, true, true } },
    { STELE_GUARANTEE_FAIR, "STELE_GUARANTEE_FAIR", { true, true, false, false, false } },
    { STELE_GUARANTEE_ANCHORED, "STELE_GUARANTEE_ANCHORED", { true, false, false, false, false } },
    { STELE_GUARANTEE_HARDENED, "STELE_GUARANTEE_HARDENED", { true, false, true, true, true } },
};

/* clang-format off */
#define WORKS  { STELE_OK, STELE_OK, STELE_OK, STELE_OK, STELE_OK }
#define WRITES { STELE_OK, STELE_OK, STELE_OK, STELE_READ_ONLY, STELE_READ_ONLY }
/* A read around the open transaction of the thread: it has a connection of its own, if there is one. */
#define AROUND { STELE_OK, STELE_OK, STELE_MISUSE, STELE_READ_ONLY, STELE_READ_ONLY }
/* A write around it would wait for itself. */
#define NEVER  { STELE_MISUSE, STELE_MISUSE, STELE_MISUSE, STELE_READ_ONLY, STELE_READ_ONLY }

static const struct matrix_row {
    const char *call;
    const char *where; /* "" or what is special about this row */
    stele_status (*probe)(void);
    stele_status answers[MODE_COUNT];
} rows[] = {
    { "stele_store_describe", "", probe_describe, WORKS },
    { "stele_store_transfer", "", probe_transfer, WRITES },
    { "stele_store_append", "", probe_append, WRITES },
    { "stele_store_append_many", "", probe_append_many, WRITES },
    { "stele_store_submit", "", probe_submit, WRITES },
    { "stele_ticket_wait", "", probe_ticket_wait, WRITES },
    { "stele_ticket_context", "", probe_ticket_context, WRITES },
    { "stele_ticket_close", "", probe_ticket_wait, WRITES },
    { "stele_store_flush", "", probe_flush, WORKS },
    { "stele_store_completed", "", probe_completed, WORKS },
    { "stele_store_completion_fd", "", probe_completion_fd, WORKS },
    { "stele_store_read", "", probe_read, WORKS },
    { "stele_store_read_missed", "", probe_read_missed, WORKS },
    { "stele_cursor_next", "", probe_cursor, WORKS },
    { "stele_cursor_scanned", "", probe_cursor, WORKS },
    { "stele_cursor_skipped", "", probe_skipped, WORKS },
    { "stele_cursor_close", "", probe_cursor, WORKS },
    { "stele_store_head", "", probe_head, WORKS },
    { "stele_store_stream", "", probe_stream, WORKS },
    { "stele_store_streams", "", probe_streams, WORKS },
    { "stele_streams_next", "", probe_streams, WORKS },
    { "stele_streams_close", "", probe_streams, WORKS },
    { "stele_store_types", "", probe_types, WORKS },
    { "stele_types_next", "", probe_types, WORKS },
    { "stele_types_close", "", probe_types, WORKS },
    { "stele_checkpoint_load", "", probe_checkpoint_load, WORKS },
    { "stele_checkpoint_save", "", probe_checkpoint_save, WRITES },
    { "stele_store_checkpoints", "", probe_checkpoints, WORKS },
    { "stele_checkpoints_next", "", probe_checkpoints, WORKS },
    { "stele_checkpoints_close", "", probe_checkpoints, WORKS },
    { "stele_store_import", "", probe_import, WRITES },
    { "stele_store_copy", "", probe_copy, WORKS },
    { "stele_store_copy", " into it", probe_copy_into, WRITES },
    { "stele_copy_emit", "", probe_copy, WORKS },
    { "stele_copy_pass", "", probe_copy, WORKS },
    { "stele_copy_emit_json", "", probe_copy, WORKS },
    { "stele_copy_fail", "", probe_copy_fail, WORKS },
    { "stele_exporter_line", "", probe_exporter, WORKS },
    { "stele_store_register_codec", "", probe_register_codec, WORKS },
    { "stele_store_write_codec", "", probe_write_codec, WORKS },
    { "stele_store_register_type", "", probe_register_type, WORKS },
    { "stele_store_register_alias", "", probe_register_alias, WORKS },
    { "stele_store_register_upcaster", "", probe_register_upcaster, WORKS },
    { "stele_store_codec", "", probe_codec, WORKS },
    { "stele_store_codec_at", "", probe_codec_at, WORKS },
    { "stele_store_check_payload", "", probe_check_payload, WORKS },
    { "stele_store_registered", "", probe_registered, WORKS },
    { "stele_store_type", "", probe_type, WORKS },
    { "stele_event_encode", "", probe_event_encode, WORKS },
    { "stele_append_typed", "", probe_append_typed, WRITES },
    { "stele_record_decode", "", probe_decode, WORKS },
    { "stele_record_decode_as", "", probe_decode_as, WORKS },
    { "stele_decoded_count", "", probe_decode, WORKS },
    { "stele_decoded_part", "", probe_decode, WORKS },
    { "stele_decoded_flaw", "", probe_decode, WORKS },
    { "stele_decoded_close", "", probe_decode, WORKS },
    { "stele_upcast_emit", "", probe_emit, WORKS },
    { "stele_upcast_emit_value", "", probe_emit_value, WORKS },
    { "stele_upcast_fail", "", probe_upcast_fail, WORKS },
    { "stele_verify_open", "", probe_verify, WORKS },
    { "stele_verify_next", "", probe_verify, WORKS },
    { "stele_verify_close", "", probe_verify, WORKS },
    { "stele_store_digest", "", probe_digest, WORKS },
    { "stele_store_retain", "", probe_retain, WRITES },
    { "stele_store_backup", "", probe_backup, WORKS },
    { "stele_store_lint", "", probe_lint, WORKS },
    { "stele_lint_next", "", probe_lint, WORKS },
    { "stele_lint_close", "", probe_lint, WORKS },
    { "stele_store_archive", "", probe_archive, WRITES },
    { "stele_store_restore", "", probe_restore, WRITES },
    { "stele_store_tombstone", "", probe_tombstone, WRITES },
    { "stele_store_delete", "", probe_delete, WRITES },
    { "stele_store_attach", "", probe_attach, WORKS },
    { "stele_store_detach", "", probe_attach, WORKS },
    { "stele_store_archives", "", probe_archives, WORKS },
    { "stele_archives_next", "", probe_archives, WORKS },
    { "stele_archives_close", "", probe_archives, WORKS },
    { "stele_store_resume", "", probe_resume, WRITES },
    { "stele_store_shrink", "", probe_shrink, WRITES },
    { "stele_store_scrub", "", probe_scrub, WRITES },
    { "stele_transaction_begin", "", probe_transaction, WRITES },
    { "stele_transaction_begin_wait", "", probe_begin_wait, WRITES },
    { "stele_transaction_commit", "", probe_commit, WRITES },
    { "stele_transaction_end", "", probe_transaction, WRITES },
    { "stele_transaction_sqlite", "", probe_sqlite, WRITES },
    { "stele_transaction_append", "", probe_append_in, WRITES },
    { "stele_transaction_append_many", "", probe_append_many_in, WRITES },
    { "stele_transaction_append_typed", "", probe_append_typed_in, WRITES },
    { "stele_transaction_read", "", probe_read_in, WRITES },
    { "stele_transaction_read_missed", "", probe_read_missed_in, WRITES },
    { "stele_transaction_head", "", probe_head_in, WRITES },
    { "stele_transaction_stream", "", probe_stream_in, WRITES },
    { "stele_transaction_streams", "", probe_streams_in, WRITES },
    { "stele_transaction_types", "", probe_types_in, WRITES },
    { "stele_transaction_checkpoint_load", "", probe_checkpoint_load_in, WRITES },
    { "stele_transaction_checkpoint_save", "", probe_checkpoint_save_in, WRITES },
    { "stele_transaction_checkpoints", "", probe_checkpoints_in, WRITES },
    { "stele_transaction_archive", "", probe_archive_in, WRITES },
    { "stele_transaction_restore", "", probe_restore_in, WRITES },
    { "stele_transaction_tombstone", "", probe_tombstone_in, WRITES },
    { "stele_transaction_delete", "", probe_delete_in, WRITES },
    { "stele_transaction_archives", "", probe_archives_in, WRITES },
    { "stele_store_append", " around a transaction", probe_append_around, NEVER },
    { "stele_store_transfer", " around a transaction", probe_transfer_around, NEVER },
    { "stele_store_read", " around a transaction", probe_read_around, AROUND },
    { "stele_store_head", " around a transaction", probe_head_around, AROUND },
    { "stele_store_describe", " around a transaction", probe_describe_around, AROUND },
    { "stele_verify_open", " around a transaction", probe_verify_around, AROUND },
    { "stele_store_digest", " around a transaction", probe_digest_around, AROUND },
    { "stele_checkpoint_load", " around a transaction", probe_checkpoint_load_around, AROUND },
    { "stele_append_typed", " around a transaction", probe_append_typed_around, NEVER },
    { "stele_record_decode", " around a transaction", probe_decode_around, WRITES },
    { "stele_store_lint", " around a transaction", probe_lint_around, AROUND },
    { "stele_store_retain", " around a transaction", probe_retain_around, NEVER },
    { "stele_store_backup", " around a transaction", probe_backup_around, NEVER },
    { "stele_store_archive", " around a transaction", probe_archive_around, NEVER },
    { "stele_store_shrink", " around a transaction", probe_shrink_around, NEVER },
};
/* clang-format on */

/* They make a store, end it, or know nothing of any. */
static const char *const without_store[] = {
    "stele_store_open",        "stele_store_wrap",
    "stele_store_migrate",     "stele_store_close",
    "stele_schema_sql",        "stele_options_init",
    "stele_wait_init",         "stele_append_init",
    "stele_read_init",         "stele_streams_read_init",
    "stele_submit_init",       "stele_import_init",
    "stele_allocator_set",     "stele_log_set",
    "stele_error_text",        "stele_status_text",
    "stele_status_name",       "stele_version",
    "stele_sqlite_version",    "stele_exporter_open",
    "stele_exporter_close",    "stele_time_format",
    "stele_time_parse",        "stele_json_check",
    "stele_json_open",         "stele_json_close",
    "stele_json_reset",        "stele_json_reader_check",
    "stele_json_next",         "stele_json_skip",
    "stele_json_error_offset", "stele_json_text",
    "stele_json_equals",       "stele_json_int64",
    "stele_json_quote",        "stele_json_options_init",
    "stele_codec_init",        "stele_codec_json",
    "stele_codec_cbor",        "stele_codec_raw",
    "stele_type_encode",       "stele_type_decode",
    "stele_upcaster_init",     "stele_lint_options_init",
    "stele_cbor_options_init", "stele_cbor_open",
    "stele_cbor_reset",        "stele_cbor_close",
    "stele_cbor_next",         "stele_cbor_skip",
    "stele_cbor_error_offset", "stele_cbor_check",
    "stele_cbor_text",         "stele_cbor_equals",
    "stele_buffer_init",       "stele_buffer_add",
    "stele_buffer_dispose",    "stele_tree_parse",
    "stele_tree_print",        "stele_type_check",
    "stele_type_init",         "stele_type_clear",
    "stele_type_allocate",     "stele_type_release",
    "stele_type_format",       "stele_type_json_schema",
    "stele_type_selftest",     "stele_typed_event_init",
    "stele_copy_init",         "stele_retain_init",
    "stele_backup_init",       "stele_recover_init",
    "stele_recover_backup",    "stele_archive_init",
    "stele_restore_init",      "stele_tombstone_init",
    "stele_delete_init",       "stele_resume_init",
    "stele_work_init",         "stele_verify_options_init",
};

#endif
