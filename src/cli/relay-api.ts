import { readFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { TlsOptions } from '../link/node/index.js';
import {
  type Accepted,
  ApiAccess,
  type ApiBackend,
  type ApiBind,
  type ApiCompat,
  ApiServer,
  type ApiUser,
  type AuditEntry,
  bindIsLoopback,
  type Config,
  type EventLog,
  LiveFeed,
  parseAllowList,
  parseApiBind,
  parseApiUser,
  type ReloadPart,
} from '../operator/index.js';
import { usageError } from './exit.js';

/** Where the API listens: every `apiBind`, or else `apiPort` of this machine. Empty when it is off. */
export function bindsOf(c: Config): ApiBind[] {
  const given = c.list('apiBind').filter((t) => t !== '');
  if (given.includes('off')) return [];
  if (given.length === 0) return [{ host: 'localhost', port: c.whole('apiPort') }];
  try {
    return given.map(parseApiBind);
  } catch (e) {
    throw usageError(`apiBind: ${(e as Error).message}`);
  }
}

interface Access {
  readonly users: readonly ApiUser[];
  readonly allows: (ip: string) => boolean;
}

function accessOf(c: Config): Access {
  let access: Access;
  try {
    access = {
      users: c.list('addApiUser').map(parseApiUser),
      allows: parseAllowList(c.list('apiAllowIp')),
    };
  } catch (e) {
    throw usageError((e as Error).message);
  }
  // A relay's API can stop it and sign with its key: nobody may serve that to strangers by accident.
  if (access.users.length === 0 && !c.on('apiAllowInsecure') && !bindsOf(c).every(bindIsLoopback))
    throw usageError(
      'apiBind reaches beyond this machine and there are no users',
      'set addApiUser, or apiAllowInsecure = 1 if something else keeps strangers out',
    );
  return access;
}

/** Certificate and key of the API; null where it speaks plain HTTP. */
function tlsOf(c: Config): TlsOptions | null {
  const [certFile, keyFile] = [c.text('apiTlsCert'), c.text('apiTlsKey')];
  if ((certFile === null) !== (keyFile === null)) throw usageError('apiTlsCert and apiTlsKey go together');
  if (certFile === null || keyFile === null) {
    if (bindsOf(c).some((b) => b.secure))
      throw usageError('apiBind names https', 'set apiTlsCert and apiTlsKey');
    return null;
  }
  try {
    createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  } catch (e) {
    throw usageError(`apiTlsCert and apiTlsKey: ${(e as Error).message}`);
  }
  return { certFile, keyFile };
}

/** Throws a CliError for settings of the API that cannot be used. */
export function checkApi(c: Config): void {
  accessOf(c);
  tlsOf(c);
}

/** Name of the parent's listener for one address of the API. */
export const apiGate = (i: number): string => `api${i}`;

/** The running API with what a reload needs of it. */
export interface RunningApi {
  readonly parts: readonly ReloadPart[];
  readonly servers: readonly ApiServer[];
  readonly live: LiveFeed | null;
}

/**
 * Starts the API on every address. `orWithout` decides what becomes of a port that is taken.
 */
export async function startApi(
  c: Config,
  backend: ApiBackend,
  dataDir: string,
  log: EventLog,
  orWithout: (isDefault: boolean, start: () => Promise<ApiServer>) => Promise<ApiServer | null>,
  accepted: ((gate: string) => Accepted | undefined) | null = null,
): Promise<RunningApi> {
  const first = accessOf(c);
  const tls = tlsOf(c);
  const access = new ApiAccess(first.users, first.allows);
  const isDefault = c.origin('apiPort').from === 'default' && c.origin('apiBind').from === 'default';
  const servers: ApiServer[] = [];
  const binds = bindsOf(c);
  const live = binds.length === 0 ? null : new LiveFeed(backend);
  for (const [i, bind] of binds.entries()) {
    // A parent that holds the port gives its connections to the process that leads.
    const from = accepted?.(apiGate(i));
    if (accepted !== null && from === undefined) continue;
    const server = await orWithout(isDefault, () =>
      ApiServer.start(backend, {
        bind,
        ...(from === undefined ? {} : { accepted: from }),
        access,
        ...(live === null ? {} : { live }),
        ...(tls === null ? {} : { tls }),
        compat: c.text('apiCompat') as ApiCompat,
        httpEngine: c.text('httpEngine') as 'auto' | 'uws' | 'node',
        audit: (e) => audit(e, dataDir, log),
        onError: (e) => log.log('error', 'http_error', { error: String(e) }),
      }),
    );
    if (server === null) continue;
    servers.push(server);
    if (accepted === null) log.log('info', 'api_listening', { host: bind.host, port: server.port });
  }
  const part: ReloadPart = {
    keys: ['addApiUser', 'apiAllowIp'],
    prepare: (next) => {
      const { users, allows } = accessOf(next);
      return () => access.replace(users, allows);
    },
  };
  return { servers, parts: [part], live };
}

function audit(entry: AuditEntry, dataDir: string, log: EventLog): void {
  log.log('info', 'audit', { ...entry });
  const line = `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`;
  appendFile(join(dataDir, 'audit.log'), line, { mode: 0o600 }).catch((e: unknown) => {
    log.log('error', 'audit_not_saved', { error: String(e) });
  });
}
