/** How a metric is typed in both text formats. */
export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'summary';

/** One metric family that a relay shows at `/metrics`. */
export interface MetricSpec {
  readonly name: string;
  readonly kind: MetricKind;
  /** Label names; never one that holds an address, an IP or a message id. */
  readonly labels: readonly string[];
  readonly about: string;
}

const m = (kind: MetricKind, name: string, about: string, labels: readonly string[] = []): MetricSpec => ({
  name,
  kind,
  labels,
  about,
});

/** Every family, in the order of `/metrics` and of docs/metrics.md. First those of docs/protocol/11 §12.2. */
export const METRICS: readonly MetricSpec[] = [
  m('gauge', 'ixian_build_info', 'Always 1; what is running', [
    'version',
    'core_compat',
    'network',
    'node_type',
  ]),
  m('gauge', 'ixian_node_status', '1 for the state the node is in, 0 for the others', ['status']),
  m('gauge', 'ixian_draining', '1 while newcomers are sent away'),
  m('gauge', 'ixian_connectable', '1 while or shortly after somebody is or was connected from outside'),
  m('gauge', 'ixian_update_available', '1 while a newer version is known to be out'),
  m('gauge', 'ixian_block_height', 'Number of the last own block header'),
  m('gauge', 'ixian_network_block_height', 'Height of the network by the ledger nodes’ word'),
  m('gauge', 'ixian_last_header_timestamp_seconds', 'Unix time of the last own block header, 0 without one'),
  m('gauge', 'ixian_clock_offset_seconds', 'Machine’s clock minus the network’s, before it is clamped'),
  m('gauge', 'ixian_connections', 'Complete connections', ['direction', 'peer_type']),
  m('gauge', 'ixian_connections_limit', 'Most connections of that kind', ['direction', 'peer_type']),
  m('counter', 'ixian_connections_opened_total', 'Connections started', ['direction']),
  m('counter', 'ixian_connections_closed_total', 'Connections ended', ['direction', 'reason']),
  m('counter', 'ixian_connections_rejected_total', 'Connections refused', ['direction', 'reason']),
  m('histogram', 'ixian_handshake_duration_seconds', 'From the start of a connection to helloData', [
    'direction',
    'result',
  ]),
  m('counter', 'ixian_protocol_messages_total', 'Protocol messages', ['direction', 'code']),
  m('counter', 'ixian_protocol_bytes_total', 'Payload bytes of protocol messages', ['direction', 'code']),
  m('counter', 'ixian_protocol_errors_total', 'Breaches of the protocol', ['reason']),
  m('gauge', 'ixian_queue_messages', 'Frames that wait', ['queue']),
  m('gauge', 'ixian_queue_bytes', 'Bytes that wait', ['queue']),
  m('counter', 'ixian_queue_dropped_total', 'Messages a queue did not take', ['queue', 'reason']),
  m('counter', 'ixian_relay_messages_total', 'Stream messages', ['type', 'result']),
  m('counter', 'ixian_relay_bytes_total', 'Payload bytes of stream messages', ['type', 'result']),
  m(
    'histogram',
    'ixian_relay_forward_duration_seconds',
    'From a whole stream message to its place in the receivers’ queues, of one message in 64',
  ),
  m('gauge', 'ixian_presences', 'Endpoints in the presence store', ['type']),
  m('counter', 'ixian_presence_updates_total', 'Keep-alives and presences received', [
    'kind',
    'outcome',
    'reason',
  ]),
  m('gauge', 'ixian_subscriptions', 'Event filters of open connections'),
  m('gauge', 'ixian_sector_nodes', 'Relays in the sector tree'),
  m('counter', 'ixian_quota_exceeded_total', 'What was refused or slowed down for using too much', [
    'kind',
    'scope',
  ]),
  m('counter', 'ixian_transactions_relayed_total', 'Transactions of clients', ['result']),
  m('counter', 'ixian_api_requests_total', 'Requests to the operator’s API', ['method', 'status']),
  m('histogram', 'ixian_api_request_duration_seconds', 'Duration of requests to the operator’s API', [
    'method',
  ]),
  m('counter', 'ixian_config_reloads_total', 'Attempts to reload the configuration', ['result']),
  m('gauge', 'ixian_config_last_reload_timestamp_seconds', 'Unix time of the last reload', ['result']),
  // Beyond the list of 11 §12.2.
  m('gauge', 'ixian_ready', '1 while /readyz answers 200'),
  m('gauge', 'ixian_disk_free_bytes', 'Free space where the data folder is'),
  m('gauge', 'ixian_sessions', 'Connections that receive their wallet’s messages'),
  m('gauge', 'ixian_connections_before_hello', 'Accepted connections that have not said who they are'),
  m('gauge', 'ixian_limit', 'Limits in force, in the unit of their name', ['limit']),
  m('gauge', 'ixian_tunnels', 'Tunnels open now'),
  m('counter', 'ixian_tunnels_opened_total', 'Tunnels begun'),
  m('counter', 'ixian_tunnels_refused_total', 'Tunnels refused, by reason', ['reason']),
  m('counter', 'ixian_tunnels_closed_total', 'Tunnels ended, by reason', ['reason']),
  m('counter', 'ixian_tunnel_bytes_total', 'Bytes through tunnels, by direction', ['direction']),
  m('gauge', 'ixian_presence_store_bytes', 'Bytes that presences hold, as maxPresenceBytes counts them'),
  m('counter', 'ixian_presence_evictions_total', 'Presences given up for want of room', ['type', 'reason']),
  m('gauge', 'ixian_memory_queued_bytes', 'Bytes that wait for receivers, transports that are full included'),
  m('gauge', 'ixian_memory_receiving_bytes', 'Bytes held for frames that have not arrived whole'),
  m('gauge', 'ixian_allowances', 'Wallets and source prefixes whose allowances are remembered', ['scope']),
  m('gauge', 'ixian_bans', 'Entries of the list of who is refused'),
  m('counter', 'ixian_handovers_total', 'Connections given to worker processes', ['result']),
  m('counter', 'ixian_handovers_refused_total', 'Connections no worker process could take', ['reason']),
  m('gauge', 'ixian_handovers_pending', 'Connections accepted and not yet with a worker process'),
  m('counter', 'ixian_accept_pauses_total', 'Times a listener stopped accepting for want of descriptors', [
    'gate',
    'result',
  ]),
  m('gauge', 'ixian_workers', 'Worker processes'),
  m('gauge', 'ixian_worker_connections', 'Connections of each worker process, as they are given out by', [
    'worker',
  ]),
  m('counter', 'ixian_worker_restarts_total', 'Worker processes replaced because they had ended', ['reason']),
  m('counter', 'ixian_cluster_messages_total', 'Stream messages between the processes of this relay', [
    'result',
  ]),
  m('counter', 'ixian_cluster_presences_total', 'Presences between the processes of this relay', ['result']),
  m('counter', 'ixian_cluster_questions_total', 'Questions to the ledger through the leading process', [
    'result',
  ]),
  m('counter', 'ixian_messages_parked_total', 'Messages of clients that were moved on', ['result']),
  m('counter', 'ixian_relay_received_total', 'Stream messages received'),
  m('counter', 'ixian_relay_senders_held_total', 'Times a sender was not read for a slower receiver'),
  m('counter', 'ixian_relay_dropped_total', 'Stream messages not handed on', ['reason']),
  m('counter', 'ixian_frames_dropped_total', 'Protocol messages not handled', ['reason']),
  m('counter', 'ixian_presence_handler_refusals_total', 'Presence messages refused unread', [
    'kind',
    'result',
  ]),
  m('counter', 'ixian_presence_lookups_total', 'Lookups of presences', ['result']),
  m('counter', 'ixian_keep_alives_passed_on_total', 'Keep-alives handed on', ['kind']),
  m('counter', 'ixian_subscription_requests_total', 'Requests to subscribe', ['result']),
  m('counter', 'ixian_headers_received_total', 'Block headers added to the own chain'),
  m('counter', 'ixian_ledger_requests_total', 'Questions of clients to the ledger', ['result']),
  m('counter', 'ixian_inclusion_proofs_total', 'Inclusion proofs passed on', ['result']),
  m('counter', 'ixian_hello_signatures_total', 'Signatures for handshakes', ['result']),
  m('counter', 'ixian_hello_verifications_total', 'Signatures of hellos to look at', ['result']),
  m('counter', 'ixian_resumptions_total', 'Tickets of resumable sessions', ['result']),
  m('counter', 'ixian_verify_results_total', 'Signatures judged', ['result']),
  m('histogram', 'ixian_verify_duration_seconds', 'Duration of one batch at the verify engine'),
  m('gauge', 'ixian_verify_pending', 'Signatures at the verify engine'),
  m('gauge', 'ixian_verify_engine', 'Always 1; what verifies, where, and why', ['engine', 'place', 'why']),
  m('gauge', 'ixian_verify_threads', 'Threads that verify, 0 in place'),
  m('gauge', 'ixian_verify_queue_items', 'Signatures that wait for a thread'),
  m('counter', 'ixian_verify_batches_total', 'Batches given to threads'),
  m('counter', 'ixian_verify_batch_items_total', 'Signatures in those batches'),
  m('gauge', 'ixian_verify_batch_items_largest', 'Signatures in the largest batch so far'),
  m('counter', 'ixian_verify_batches_retried_total', 'Batches tried again because a thread died with them'),
  m('counter', 'ixian_verify_threads_replaced_total', 'Threads started in place of dead ones'),
  m('counter', 'ixian_verify_refused_total', 'Signatures left without a verdict', ['reason']),
  m(
    'counter',
    'ixian_verify_in_place_total',
    'Signatures verified beside the threads: too large, or none there',
  ),
  m('counter', 'ixian_bus_messages_total', 'Messages between the processes of this relay', [
    'kind',
    'result',
  ]),
  m('counter', 'ixian_bus_cuts_total', 'Connections between those processes that were cut', ['reason']),
  m('counter', 'ixian_log_suppressed_total', 'Log lines left out by the rate limit', ['event']),
  m('counter', 'process_cpu_seconds_total', 'CPU time of the process'),
  m('gauge', 'process_start_time_seconds', 'Unix time of the process’s start'),
  m('gauge', 'process_resident_memory_bytes', 'Resident memory'),
  m('gauge', 'process_open_fds', 'Open file descriptors'),
  m('gauge', 'process_max_fds', 'Most file descriptors the process may open'),
  m('gauge', 'nodejs_heap_size_used_bytes', 'JavaScript heap in use'),
  m('gauge', 'nodejs_heap_size_total_bytes', 'JavaScript heap reserved'),
  m('gauge', 'nodejs_external_memory_bytes', 'Memory of buffers outside the JavaScript heap'),
  m('summary', 'nodejs_eventloop_delay_seconds', 'Event-loop delay over the last window', ['quantile']),
  m('histogram', 'nodejs_gc_duration_seconds', 'Garbage collections', ['kind']),
];

/**
 * Families of 11 §12.2 that a relay does not show, each with the reason. Together with {@link METRICS} they are
 * the whole list, which a test holds.
 */
export const METRICS_ABSENT: Readonly<Record<string, string>> = {
  ixian_sector_lookups_total: 'sector questions are counted as frames and ledger requests',
  ixian_relay_fees_earned_ixi_total: 'fees are not collected yet',
  ixian_wallet_balance_ixi: 'the relay does not follow its own balance yet',
  ixian_client_messages_total: 'of clients',
  ixian_client_pending_messages: 'of clients',
  ixian_mq_published_total: 'of clients',
  ixian_mq_connected: 'of clients',
};

/** Where a counter of the inner rooms has another name than the one shown. */
export interface Rename {
  readonly to: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Label values replaced, by label name. */
  readonly values?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Inner names are kept short and local; the shown ones are the specification's. */
export const RENAMED: Readonly<Record<string, Rename>> = {
  ixian_connections_refused_total: {
    to: 'ixian_connections_rejected_total',
    labels: { direction: 'in' },
    values: {
      reason: {
        blacklisted: 'banned',
        connections: 'capacity',
        pre_hello: 'capacity',
        pre_hello_source: 'rate_limited',
        source_share: 'rate_limited',
        prefix_share: 'rate_limited',
        prefix_connects: 'rate_limited',
        source_offences: 'rate_limited',
        not_allowed: 'banned',
      },
    },
  },
  presence_keepalives_total: {
    to: 'ixian_presence_updates_total',
    labels: { kind: 'keep_alive', reason: '' },
  },
  presence_updates_total: { to: 'ixian_presence_updates_total', labels: { kind: 'presence', reason: '' } },
  ixian_keep_alives_total: { to: 'ixian_presence_handler_refusals_total', labels: { kind: 'keep_alive' } },
  ixian_presences_total: { to: 'ixian_presence_handler_refusals_total', labels: { kind: 'presence' } },
  ixian_subscriptions_total: { to: 'ixian_subscription_requests_total' },
  ixian_messages_received_total: { to: 'ixian_relay_received_total' },
  ixian_messages_dropped_total: { to: 'ixian_relay_dropped_total' },
};
