/** One kind of event in the log. Names are stable: alerts and scripts may rely on them. */
export interface LogEvent {
  readonly event: string;
  readonly about: string;
}

/** Every event a relay logs, as docs/logs.md lists them. */
export const LOG_EVENTS: readonly LogEvent[] = [
  { event: 'started', about: 'the relay serves; address, ports and public endpoint' },
  { event: 'relay_started', about: 'the protocol side is up' },
  { event: 'public_endpoint', about: 'the own public endpoint is known or has changed' },
  { event: 'verify_engine', about: 'what verifies signatures from now on, where, and why' },
  { event: 'stopping', about: 'a signal or a request asked the relay to stop' },
  { event: 'stopped', about: 'everything is saved and closed' },
  { event: 'drain_started', about: 'newcomers are sent away, clients will be asked to leave' },
  { event: 'drain_ended', about: 'no clients are left, or the time is over, or the drain was called off' },
  { event: 'config_reloaded', about: 'the settings that changed, and those that need a restart' },
  { event: 'config_reload_failed', about: 'the file has an error; the old settings stay in force' },
  { event: 'ops_listening', about: 'health probes and metrics are served' },
  { event: 'api_listening', about: 'the operator’s API is served' },
  { event: 'audit', about: 'an operator changed something through the API: who, what, with what result' },
  { event: 'audit_not_saved', about: 'the audit file could not be written' },
  { event: 'default_port_taken', about: 'a default port was in use; that service is off' },
  { event: 'http_error', about: 'a request handler failed (a bug)' },
  { event: 'http_engine', about: 'the HTTP server in use is not the faster one' },
  { event: 'peer_opened', about: 'a connection completed its handshake' },
  { event: 'peer_closed', about: 'such a connection ended' },
  { event: 'ledger_peer', about: 'a ledger node was reached' },
  { event: 'header_branch', about: 'a ledger node showed another branch of the chain' },
  { event: 'header_refused', about: 'a header did not fit the own chain' },
  { event: 'handler_error', about: 'handling a message failed (a bug)' },
  { event: 'link_handler_error', about: 'handling a connection failed (a bug)' },
  { event: 'presences_loaded', about: 'how many presences of before the restart are valid and served' },
  { event: 'presences_refused', about: 'the presence snapshot was damaged or foreign and is set aside' },
  { event: 'presences_not_saved', about: 'the presence snapshot could not be written' },
  { event: 'headers_not_saved', about: 'the header file could not be written' },
  { event: 'peer_file_not_saved', about: 'the peer file could not be written' },
  { event: 'peer_file_lines_refused', about: 'lines of the peer file could not be read' },
];
