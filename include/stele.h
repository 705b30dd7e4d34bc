/**
 * @file stele.h
 * Everything that stele offers: event sourcing in one SQLite file.
 */
#ifndef STELE_H
#define STELE_H

#include <stele/api.h>
#include <stele/version.h>
#include <stele/status.h>
#include <stele/hooks.h>
#include <stele/store.h>
#include <stele/work.h>
#include <stele/transaction.h>
#include <stele/eventstore.h>
#include <stele/submit.h>
#include <stele/lifecycle.h>
#include <stele/notify.h>
#include <stele/retention.h>
#include <stele/backup.h>
#include <stele/checkpoint.h>
#include <stele/buffer.h>
#include <stele/json.h>
#include <stele/cbor.h>
#include <stele/tree.h>
#include <stele/type.h>
#include <stele/codec.h>
#include <stele/typed.h>
#include <stele/upcast.h>
#include <stele/snapshot.h>
#include <stele/state.h>
#include <stele/aggregate.h>
#include <stele/scenario.h>
#include <stele/resume_point.h>
#include <stele/session.h>
#include <stele/jsonl.h>
#include <stele/subscription.h>
#include <stele/parked.h>
#include <stele/worker.h>
#include <stele/projection.h>
#include <stele/copy.h>
#include <stele/verify.h>
#include <stele/shards.h>
#include <stele/shard_list.h>
#include <stele/shard_feed.h>
#include <stele/shard_keys.h>
#include <stele/shard_work.h>

#endif
