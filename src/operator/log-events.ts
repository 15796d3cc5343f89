/** Parts of a relay that log, each of which may have levels of its own (`logModule`). */
export const LOG_MODULES = ['relay', 'config', 'http', 'peers', 'ledger', 'presences', 'cluster'] as const;
export type LogModule = (typeof LOG_MODULES)[number];

/** One kind of event in the log. Names are stable: alerts and scripts may rely on them. */
export interface LogEvent {
  readonly event: string;
  readonly mod: LogModule;
  readonly about: string;
}

/** Every event a relay logs, as docs/logs.md lists them. */
export const LOG_EVENTS: readonly LogEvent[] = [
  { event: 'started', mod: 'relay', about: 'the relay serves; address, ports and public endpoint' },
  { event: 'relay_started', mod: 'relay', about: 'the protocol side is up' },
  { event: 'public_endpoint', mod: 'relay', about: 'the own public endpoint is known or has changed' },
  { event: 'verify_engine', mod: 'relay', about: 'what verifies signatures from now on, where, and why' },
  { event: 'stopping', mod: 'relay', about: 'a signal or a request asked the relay to stop' },
  { event: 'stopped', mod: 'relay', about: 'everything is saved and closed' },
  { event: 'drain_started', mod: 'relay', about: 'newcomers are sent away, clients will be asked to leave' },
  {
    event: 'drain_ended',
    mod: 'relay',
    about: 'no clients are left, or the time is over, or the drain was called off',
  },
  {
    event: 'config_reloaded',
    mod: 'config',
    about: 'the settings that changed, and those that need a restart',
  },
  {
    event: 'config_reload_failed',
    mod: 'config',
    about: 'the file has an error; the old settings stay in force',
  },
  { event: 'ops_listening', mod: 'http', about: 'health probes and metrics are served' },
  { event: 'update_available', mod: 'relay', about: 'a newer version is out' },
  {
    event: 'update_check_failed',
    mod: 'relay',
    about: 'whether a newer version is out could not be learned',
  },
  { event: 'api_listening', mod: 'http', about: 'the operator’s API is served' },
  {
    event: 'audit',
    mod: 'http',
    about: 'an operator changed something through the API: who, what, with what result',
  },
  { event: 'audit_not_saved', mod: 'http', about: 'the audit file could not be written' },
  { event: 'default_port_taken', mod: 'http', about: 'a default port was in use; that service is off' },
  { event: 'http_error', mod: 'http', about: 'a request handler failed (a bug)' },
  { event: 'http_engine', mod: 'http', about: 'the HTTP server in use is not the faster one' },
  {
    event: 'ticket_keys',
    mod: 'peers',
    about: 'the keys of resumable sessions could not be read or written',
  },
  { event: 'peer_opened', mod: 'peers', about: 'a connection completed its handshake' },
  { event: 'peer_closed', mod: 'peers', about: 'such a connection ended' },
  { event: 'ledger_peer', mod: 'ledger', about: 'a ledger node was reached' },
  { event: 'header_branch', mod: 'ledger', about: 'a ledger node showed another branch of the chain' },
  { event: 'header_refused', mod: 'ledger', about: 'a header did not fit the own chain' },
  { event: 'handler_error', mod: 'relay', about: 'handling a message failed (a bug)' },
  { event: 'link_handler_error', mod: 'peers', about: 'handling a connection failed (a bug)' },
  {
    event: 'presences_loaded',
    mod: 'presences',
    about: 'how many presences of before the restart are valid and served',
  },
  {
    event: 'presences_refused',
    mod: 'presences',
    about: 'the presence snapshot was damaged or foreign and is set aside',
  },
  { event: 'presences_not_saved', mod: 'presences', about: 'the presence snapshot could not be written' },
  {
    event: 'presences_taken_over',
    mod: 'presences',
    about: 'the presences of another process of this relay are held here too',
  },
  { event: 'lead_failed', mod: 'cluster', about: 'taking or giving up the lead among the processes failed' },
  {
    event: 'bus_error',
    mod: 'cluster',
    about: 'a message between the processes could not be handled (a bug)',
  },
  { event: 'worker_started', mod: 'cluster', about: 'a worker process was started' },
  {
    event: 'worker_ready',
    mod: 'cluster',
    about: 'a worker process serves; how many connections it may hold',
  },
  {
    event: 'worker_ended',
    mod: 'cluster',
    about: 'a worker process ended; as an error when nobody had asked it to',
  },
  {
    event: 'worker_silent',
    mod: 'cluster',
    about: 'a worker process did nothing for half a minute and was ended',
  },
  {
    event: 'worker_unconnected',
    mod: 'cluster',
    about: 'a worker process did not reach another one and was ended',
  },
  { event: 'leader_appointed', mod: 'cluster', about: 'another worker process faces the ledger from now on' },
  { event: 'upgrade_started', mod: 'cluster', about: 'the worker processes are being replaced one by one' },
  { event: 'worker_replaced', mod: 'cluster', about: 'one of them was replaced' },
  { event: 'upgrade_ended', mod: 'cluster', about: 'all of them are new' },
  { event: 'upgrade_failed', mod: 'cluster', about: 'a new one did not start; those that served go on' },
  { event: 'headers_not_saved', mod: 'ledger', about: 'the header file could not be written' },
  { event: 'peer_file_not_saved', mod: 'peers', about: 'the peer file could not be written' },
  { event: 'peer_file_lines_refused', mod: 'peers', about: 'lines of the peer file could not be read' },
];

const MODULE_OF: ReadonlyMap<string, LogModule> = new Map(LOG_EVENTS.map((e) => [e.event, e.mod]));

/** The part of the relay that logs an event; null for an unknown one. */
export function logModuleOf(event: string): LogModule | null {
  return MODULE_OF.get(event) ?? null;
}
