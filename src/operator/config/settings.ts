import { LIMITS } from '../../relay/index.js';

/** What kind of value a setting holds, and within what bounds. */
export type SettingKind =
  | { readonly kind: 'text' }
  | { readonly kind: 'path' }
  | {
      readonly kind: 'whole';
      readonly min: number;
      readonly max: number;
      readonly unit: string;
      /** Words that may stand in its place. */
      readonly or?: readonly string[];
    }
  | { readonly kind: 'switch' }
  | { readonly kind: 'choice'; readonly values: readonly string[] };

/** One setting: the single source of the validator, the sample file, `--help` and the documentation. */
export interface Setting {
  /** Key in the file, in the reference's spelling where it has one (docs/protocol/11 §1.2). */
  readonly key: string;
  readonly value: SettingKind;
  /** Default as text; null = none. On test and regression networks `testDefault` where it differs. */
  readonly default: string | null;
  readonly testDefault?: string;
  readonly about: string;
  /** Long switch when it differs from the key, and the short one. */
  readonly flag?: string;
  readonly short?: string;
  /** May be given more than once; values add up. */
  readonly repeat?: boolean;
  /** Never printed. */
  readonly secret?: boolean;
  /** Takes effect on reload, without a restart. */
  readonly reloadable?: boolean;
  /** Key used on test and regression networks instead. */
  readonly testKey?: string;
  /** Only on the command line, never in a file. */
  readonly commandLineOnly?: boolean;
  /** Accepted because the reference takes it, without effect here (yet, or for ever). */
  readonly withoutEffect?: boolean;
}

const port = { kind: 'whole', min: 0, max: 65_535, unit: '' } as const;
const whole = (min: number, max: number, unit = ''): Extract<SettingKind, { kind: 'whole' }> => ({
  kind: 'whole',
  min,
  max,
  unit,
});
const text = { kind: 'text' } as const;
const path = { kind: 'path' } as const;
const onOff = { kind: 'switch' } as const;

/** Settings that are limits: all of them come from the relay's table (docs/limits.md). */
const limitSettings: readonly Setting[] = LIMITS.flatMap(({ setting, unit, bounds, value, reloadable }) =>
  setting === undefined
    ? []
    : [
        {
          key: setting.key,
          value: whole(setting.min, setting.max, unit),
          default: String(value),
          about: bounds,
          ...(reloadable === true ? { reloadable } : {}),
        },
      ],
);

/** Every setting of `starling relay`, in the order of the sample file. */
export const SETTINGS: readonly Setting[] = [
  {
    key: 'networkType',
    value: { kind: 'choice', values: ['mainnet', 'testnet', 'regtest'] },
    default: 'mainnet',
    about: 'network to take part in',
  },
  {
    key: 'version',
    short: 'v',
    value: onOff,
    default: '0',
    commandLineOnly: true,
    about: 'print the version and exit',
  },
  {
    key: 'testnet',
    value: onOff,
    default: '0',
    short: 't',
    about: 'the same as networkType = testnet',
    commandLineOnly: true,
  },
  {
    key: 's2Port',
    testKey: 'testnetS2Port',
    flag: 'port',
    short: 'p',
    value: port,
    default: '10235',
    testDefault: '11235',
    about: 'TCP port of the protocol',
  },
  {
    key: 'p2pBind',
    value: text,
    default: '0.0.0.0',
    about: 'address to listen on',
  },
  {
    key: 'wsPort',
    value: { kind: 'text' },
    default: 'next',
    about: 'port of WebSocket and public HTTP: a number, `next` for TCP port + 1, or `off`',
  },
  {
    key: 'app',
    value: onOff,
    default: '1',
    about: 'serve the messenger at /app of the WebSocket port',
  },
  { key: 'wsTlsCert', value: path, default: null, about: 'PEM certificate chain for wss' },
  { key: 'wsTlsKey', value: path, default: null, about: 'PEM private key for wss' },
  {
    key: 'wsUrl',
    value: text,
    default: null,
    about: 'WebSocket URL to announce when a proxy stands in front',
  },
  {
    key: 'trustedProxy',
    value: text,
    default: null,
    repeat: true,
    about: 'CIDR of a proxy whose X-Forwarded-For or Forwarded header is believed',
  },
  {
    key: 'externalIp',
    flag: 'ip',
    short: 'i',
    value: text,
    default: null,
    about: 'public IPv4 of this relay; found out when absent',
  },
  {
    key: 'addPeer',
    testKey: 'addTestnetPeer',
    flag: 'node',
    short: 'n',
    value: text,
    default: null,
    repeat: true,
    about: 'host:port of a ledger node to begin with; the first one replaces the built-in list',
  },
  {
    key: 'standalone',
    value: onOff,
    default: '0',
    about: 'run without a ledger: this relay is its own sector',
  },
  {
    key: 'processes',
    value: whole(1, 64, 'processes'),
    default: '1',
    about: 'processes that share the work of this relay; above 1 a parent holds the ports',
  },
  {
    key: 'supervised',
    value: onOff,
    default: '0',
    about: 'a parent holds the ports also for a single process, so that starling upgrade can replace it',
  },
  { key: 'wallet', short: 'w', value: path, default: 'ixian.wal', about: 'wallet file' },
  {
    key: 'walletPassword',
    value: text,
    default: null,
    secret: true,
    about: 'password of the wallet; better walletPasswordFile',
  },
  {
    key: 'walletPasswordFile',
    value: path,
    default: null,
    about: 'file that holds the password of the wallet',
  },
  { key: 'dataFolderPath', value: path, default: '.', about: 'root of all data' },
  {
    key: 'checksumLock',
    value: text,
    default: null,
    about: 'lock of a private network, mixed into every signature',
  },
  ...limitSettings,
  {
    key: 'ledgerConnections',
    value: whole(3, 64, 'connections'),
    default: '6',
    about: 'outbound connections to ledger nodes',
  },
  {
    key: 'sectorConnections',
    value: whole(3, 256, 'connections'),
    default: '24',
    about: 'outbound connections to relays of own and clients’ sectors',
  },
  {
    key: 'unverifiedClients',
    value: { kind: 'choice', values: ['accept', 'refuse'] },
    default: 'accept',
    about: 'clients whose hello signature does not verify: accepted without being a session, or refused',
  },
  {
    key: 'probePeers',
    value: onOff,
    default: '1',
    about: 'probe ledger nodes and relays that dial this one',
  },
  {
    key: 'verifyEngine',
    value: {
      kind: 'choice',
      values: ['auto', 'wasm-relaxed', 'wasm-simd', 'wasm-scalar', 'native', 'webcrypto', 'forge'],
    },
    default: 'auto',
    about: 'what verifies signatures: `auto` measures and takes the fastest, see starling tune',
  },
  {
    key: 'verifyThreads',
    value: { ...whole(0, 64, 'threads'), or: ['auto'] },
    default: 'auto',
    about: 'threads that verify signatures; `auto` by the number of cores, 0 for none of its own',
  },
  {
    key: 'httpEngine',
    value: { kind: 'choice', values: ['auto', 'uws', 'node'] },
    default: 'auto',
    about: 'HTTP and WebSocket server: uWebSockets.js where it fits, else node:http',
  },
  {
    key: 'ban',
    value: text,
    default: null,
    repeat: true,
    reloadable: true,
    about: 'who is refused: a wallet address, host:port, IP address or CIDR range',
  },
  {
    key: 'allow',
    value: text,
    default: null,
    repeat: true,
    reloadable: true,
    about: 'IP address or CIDR range that may connect; once given, nobody else may',
  },
  {
    key: 'opsBind',
    value: text,
    default: '127.0.0.1:9235',
    testDefault: '127.0.0.1:9335',
    about: 'host:port of health probes and metrics (no authentication), or `off`',
  },
  {
    key: 'readyMinMasters',
    value: whole(0, 64, 'connections'),
    default: '1',
    about: 'ready only with so many connections to ledger nodes',
  },
  {
    key: 'readyMaxHeaderAge',
    value: whole(1, 1_000_000, 'seconds'),
    default: '600',
    about: 'ready only while the last block header is younger',
  },
  {
    key: 'readyMaxBlocksBehind',
    value: whole(0, 1_000_000, 'blocks'),
    default: '10',
    about: 'ready only while no more blocks behind the network',
  },
  {
    key: 'stopDrainSeconds',
    value: whole(0, 3600, 'seconds'),
    default: '10',
    about: 'most time over which a stopping relay says bye to its clients',
  },
  {
    key: 'drainGraceSeconds',
    value: whole(0, 86_400, 'seconds'),
    default: '10',
    about: 'a draining relay leaves its clients alone for so long',
  },
  {
    key: 'drainSeconds',
    value: whole(0, 86_400, 'seconds'),
    default: '120',
    about: 'most time over which a draining relay then says bye to its clients',
  },
  {
    key: 'drainMinClients',
    value: whole(0, 1_000_000, 'connections'),
    default: '0',
    about: 'a drain is over when no more clients are left',
  },
  {
    key: 'drainThen',
    value: { kind: 'choice', values: ['exit', 'hold'] },
    default: 'exit',
    about: 'after a drain: stop, or wait without clients',
  },
  {
    key: 'apiPort',
    testKey: 'testnetApiPort',
    flag: 'apiport',
    short: 'a',
    value: port,
    default: '8001',
    testDefault: '8101',
    about: 'port of the operator’s HTTP API on this machine; unused once apiBind is given',
  },
  {
    key: 'apiBind',
    value: text,
    default: null,
    repeat: true,
    about: 'URL prefix of the operator’s HTTP API, http://host:port/; or `off`',
  },
  {
    key: 'apiTlsCert',
    value: path,
    default: null,
    about: 'PEM certificate chain: the operator’s HTTP API and dashboard speak https alone',
  },
  { key: 'apiTlsKey', value: path, default: null, about: 'PEM private key for that' },
  {
    key: 'apiAllowIp',
    value: text,
    default: null,
    repeat: true,
    reloadable: true,
    about: 'IP or CIDR that may use the API; everybody who reaches it when absent',
  },
  {
    key: 'addApiUser',
    value: text,
    default: null,
    repeat: true,
    secret: true,
    reloadable: true,
    about: 'user:password[:roles] for the API; roles are viewer, operator, wallet, joined by +',
  },
  {
    key: 'apiCompat',
    value: { kind: 'choice', values: ['0.9.7', '0.9.8'] },
    default: '0.9.8',
    about: 'release of the reference whose API shapes are answered',
  },
  {
    key: 'apiAllowInsecure',
    value: onOff,
    default: '0',
    about: 'serve the API beyond this machine without users',
  },
  {
    key: 'updateCheck',
    value: onOff,
    default: '0',
    about:
      'ask every 6 hours whether a newer version is out; tells, never installs; wants updateUrl and updateKey',
  },
  { key: 'updateUrl', value: text, default: null, about: 'where `version;signature` is served' },
  { key: 'updateKey', value: path, default: null, about: 'PEM public key (RSA) that signs versions' },
  {
    key: 'maxLogSize',
    value: whole(1, 100_000, 'MB'),
    default: '50',
    about: 'a log file that has grown so far is put aside',
  },
  {
    key: 'maxLogCount',
    value: whole(1, 1000, 'files'),
    default: '10',
    about: 'log files put aside that are kept',
  },
  {
    key: 'logVerbosity',
    value: whole(0, 15, 'bits'),
    default: '14',
    reloadable: true,
    about: 'what is logged: trace 1, info 2, warn 4, error 8, added up',
  },
  {
    key: 'logLevel',
    value: { kind: 'choice', values: ['trace', 'debug', 'info', 'warn', 'error'] },
    default: null,
    reloadable: true,
    about: 'log this level and graver ones; overrides logVerbosity',
  },
  {
    key: 'logModule',
    value: text,
    default: null,
    repeat: true,
    reloadable: true,
    about:
      'levels of one part alone, e.g. peers=debug; parts: relay, config, http, peers, ledger, presences, cluster',
  },
  {
    key: 'logFormat',
    value: { kind: 'choice', values: ['auto', 'json', 'text', 'legacy'] },
    default: 'auto',
    about: 'auto: text on a terminal, one JSON object per line otherwise; legacy: lines of the reference',
  },
  {
    key: 'logOutput',
    value: { kind: 'choice', values: ['stdout', 'file', 'both'] },
    default: 'stdout',
    about: 'where the log goes: the console, the file ixian.log in logFolderPath, or both',
  },
  {
    key: 'logAddresses',
    value: { kind: 'choice', values: ['short', 'full'] },
    default: 'short',
    about: 'addresses of peers in the log',
  },
  {
    key: 'json',
    value: onOff,
    default: '0',
    commandLineOnly: true,
    about: 'print events as JSON lines, for scripts',
  },
  {
    key: 'onlyShowAddresses',
    value: onOff,
    default: '0',
    commandLineOnly: true,
    about: 'print the wallet’s addresses and exit',
  },
  {
    key: 'changepass',
    short: 'x',
    value: onOff,
    default: '0',
    commandLineOnly: true,
    about: 'ask for a new wallet password after unlocking',
  },
  {
    key: 'clean',
    short: 'c',
    value: onOff,
    default: '0',
    commandLineOnly: true,
    about: 'forget known peers and headers before starting',
  },
  {
    key: 'disableWebStart',
    value: onOff,
    default: '0',
    withoutEffect: true,
    about: 'of the reference; no browser is ever opened here',
  },
  {
    key: 'verboseOutput',
    value: onOff,
    default: '0',
    commandLineOnly: true,
    about: 'log every event to the console',
  },
  {
    key: 'blockNotify',
    value: text,
    default: null,
    withoutEffect: true,
    about: 'of the reference, never run there',
  },
  {
    key: 'netdump',
    value: text,
    default: null,
    withoutEffect: true,
    commandLineOnly: true,
    about: 'of the reference, never used there',
  },
  {
    key: 'generateWallet',
    value: onOff,
    default: '0',
    withoutEffect: true,
    commandLineOnly: true,
    about: 'of the reference; here a missing wallet is made, or use starling wallet create',
  },
  {
    key: 'logFolderPath',
    value: path,
    default: null,
    about: 'folder of log files; the data folder when absent',
  },
  {
    key: 'headersFolderPath',
    value: path,
    default: null,
    withoutEffect: true,
    about: 'folder of block headers, under the data folder',
  },
  {
    key: 'activityFolderPath',
    value: path,
    default: null,
    withoutEffect: true,
    about: 'of the reference; activity is not kept yet',
  },
];

/** Switch name on the command line. */
export const flagOf = (s: Setting): string => s.flag ?? s.key;

/** Name of the environment variable: `IXIAN_API_PORT` for `apiPort` (11 §1.5). */
export function environmentName(key: string): string {
  return `IXIAN_${key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`;
}
