import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressText } from '../../src/identity/index.js';
import { LEDGER_METHODS, METHODS, misfits, type Schema } from '../../src/operator/index.js';
import { toHex } from '../../src/wire/index.js';
import { signerOf } from '../link/support.js';
import { connected } from '../relay/support.js';
import { type Api, startApi } from './api-support.js';

const str: Schema = { type: 'string' };
const int: Schema = { type: 'integer' };
const bool: Schema = { type: 'boolean' };
const list = (items: Schema): Schema => ({ type: 'array', items });
const orNull: Schema = { type: ['string', 'null'] };
/** An object with exactly these keys in this order. */
const keys = (properties: Record<string, Schema>): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

const address = keys({
  version: int,
  addressWithChecksum: str,
  base58Address: str,
  addressNoChecksum: str,
  sectorPrefix: str,
  nonce: orNull,
  pubKey: orNull,
});
const presence = keys({
  version: int,
  wallet: address,
  pubkey: str,
  metadata: orNull,
  addresses: list(
    keys({
      version: int,
      device: str,
      address: str,
      type: str,
      nodeVersion: str,
      lastSeenTime: int,
      signature: orNull,
      powSolution: orNull,
    }),
  ),
});
const before = {
  'Core Version': str,
  'Node Version': str,
  'Network type': str,
  'My time': int,
  'Network time difference': int,
  'Real network time difference': int,
  'My External IP': str,
  'My Listening Port': int,
  'Core Status': int,
  'Block Height': int,
  'Block Version': int,
  'Network Block Height': int,
  'Node Type': str,
  Connectable: bool,
};
const after = {
  'Network Clients': list(str),
  'Network Servers': list(str),
  'Stream Servers': list(str),
  'Network Servers Static': list(str),
  Update: str,
  Uptime: int,
  'S2 Bytes Received': int,
  'S2 Bytes Sent': int,
  Draining: bool,
};
const verbose = {
  Queues: keys({
    RcvLow: int,
    RcvMedium: int,
    RcvHigh: int,
    SendClients: int,
    SendServers: int,
    Logging: int,
    'Pending Transactions': int,
  }),
  Presences: int,
  Masters: int,
  Relays: int,
  Clients: int,
};

/** w0 is the relay, w1 a client; replaced by their address or key in queries. */
interface Row {
  readonly call: string;
  /** Shape of the result, keys in this order. */
  readonly result?: Schema;
  /** Exactly this result. */
  readonly is?: unknown;
  /** Code of the error. */
  readonly error?: number;
}

/** Every R and RC method of docs/protocol/11 §4, §6: good calls and each listed error. */
const TABLE: readonly Row[] = [
  { call: 'status', result: keys({ ...before, ...after }) },
  { call: 'STATUS?verbose=1', result: keys({ ...before, ...verbose, ...after }) },
  { call: 'status?verbose=0', result: keys({ ...before, ...after }) },
  { call: 'blockheight', is: 0 },
  { call: 'clients', result: list(str) },
  { call: 'servers', is: [] },
  { call: 'connect?to=127.0.0.1:1', is: 'Connecting to node 127.0.0.1:1' },
  { call: 'connect', error: -32602 },
  { call: 'connect?to=nonsense', error: -32602 },
  { call: 'pauseClient', is: 'Network Client paused.' },
  { call: 'resumeClient', is: 'Network Client resumed.' },
  { call: 'blacklistpeer?host=198.51.100.1:10235', is: 'OK' },
  { call: 'blacklistpeer?host=198.51.100.0/24&seconds=5', is: 'OK' },
  { call: 'blacklistpeer?host=not%20one', error: -32602 },
  { call: 'clearpeerblacklist', is: 'OK' },
  { call: 'pl', result: list(presence) },
  { call: 'pl?type=R&limit=1', result: list(presence) },
  { call: 'pl?type=Q', error: -32602 },
  { call: 'pl?limit=x', error: -32602 },
  { call: 'getpresence?wallet={w0}', result: presence },
  { call: 'getpresence?wallet={w5}', is: null },
  { call: 'getpresence', error: -32602 },
  { call: 'getpresence?wallet=abc', error: -5 },
  {
    call: 'relaySectors',
    result: keys({ Key: str, Children: { type: 'object' }, Values: { type: 'object' } }),
  },
  { call: 'getSectorNodes?maxRelayCount=6&address={w1}', result: list(address) },
  { call: 'getSectorNodes?maxRelayCount=6&prefixHex=00ff', result: list(address) },
  { call: 'getSectorNodes?prefixHex=00', error: -8 },
  { call: 'getSectorNodes?maxRelayCount=6', error: -8 },
  { call: 'getSectorNodes?maxRelayCount=6&prefixHex=zz', error: -8 },
  { call: 'getSectorNodes?maxRelayCount=x&prefixHex=00', error: -8 },
  { call: 'getBlockHeader', error: -8 },
  { call: 'getBlockHeader?num=5', error: -8 },
  { call: 'gettotalbalance', error: -32603 },
  { call: 'mywallet', error: -32603 },
  { call: 'mypubkey', result: str },
  { call: 'mypubkey?wallet={w1}', error: -5 },
  { call: 'listwallets', result: list(str) },
  { call: 'generatenewaddress', error: -4 },
  { call: 'getwalletbackup', error: -4 },
  { call: 'getviewingwallet', error: -4 },
  { call: 'loadwallet', error: -32602 },
  { call: 'loadwallet?file=a&password=b', error: -4 },
  { call: 'unloadwallet', is: 'FAIL' },
  { call: 'validateaddress?address={w1}', is: 'OK' },
  { call: 'validateaddress?address=abc', error: -5 },
  { call: 'validateaddress', error: -32602 },
  { call: 'sign?message=hello', result: keys({ signature: str, publicKey: str }) },
  { call: 'sign?hash=00ff', result: keys({ signature: str, publicKey: str }) },
  { call: 'sign', error: -32602 },
  { call: 'sign?hash=xyz', error: -32602 },
  { call: 'sign?message=a&wallet={w1}', error: -5 },
  { call: 'verify?publicKey={key}&signature=00&message=a', result: keys({ verified: str, address: str }) },
  { call: 'verify?publicKey={key}&signature=00', error: -32602 },
  { call: 'verify?signature=00&message=a', error: -32602 },
  { call: 'verify?publicKey=00&signature=00&message=a', error: -5 },
  { call: 'activity', error: -32600 },
  { call: 'activity2', error: -32603 },
  { call: 'getactivity?id=1', error: -32603 },
  { call: 'addtransaction?to=a_1', error: -28 },
  { call: 'createrawtransaction?to=a_1', error: -28 },
  { call: 'calculatetransactionfee?to=a_1', error: -28 },
  { call: 'signrawtransaction?transaction=00', error: -28 },
  { call: 'decoderawtransaction?transaction=00', error: -28 },
  { call: 'sendrawtransaction?transaction=00', error: -28 },
  { call: 'decodeTransaction?transaction=00', error: -28 },
  { call: 'decodeNameData?data=00', error: -32603 },
  { call: 'getbalance', error: -32601 },
  { call: 'registerName', error: -32601 },
  { call: 'testadd', error: -32601 },
  { call: 'isolate', is: 'Isolating from network now.' },
  { call: 'resumenetworkoperations', is: 'Reconnecting to network now.' },
  { call: 'reconnect', is: 'Reconnecting node to network now.' },
  { call: 'shutdown', is: 'Node shutdown' },
];

let api: Api;
const filled = async (text: string): Promise<string> =>
  text
    .replace('{w0}', addressText((await signerOf('w0')).address))
    .replace('{w1}', addressText((await signerOf('w1')).address))
    .replace('{w5}', addressText((await signerOf('w5')).address))
    .replace('{key}', toHex((await signerOf('w1')).publicKey));
/** Keys of all objects in a value and a schema, in order. */
function orderFits(value: unknown, schema: Schema): boolean {
  if (Array.isArray(value)) return value.every((v) => orderFits(v, schema.items ?? {}));
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return true;
  const p = schema.properties;
  return (
    Object.keys(value).join('|') === Object.keys(p).join('|') &&
    Object.entries(value).every(([k, v]) => orderFits(v, p[k] ?? {}))
  );
}

describe.each(['0.9.8', '0.9.7'] as const)('the reference’s methods, apiCompat %s (11 §4)', (compat) => {
  beforeAll(async () => {
    api = await startApi({ server: { compat, httpEngine: compat === '0.9.7' ? 'uws' : 'node' } });
    await connected(api.relay, { wallet: 'w1' });
  });
  afterAll(() => api.stop());

  it.each(TABLE)('$call', async (row) => {
    const { status, text, headers } = await api.ask(`/${await filled(row.call)}`);
    expect(headers.get('content-type')).toBe('application/json');
    const name = row.call.split('?')[0]!;
    const newer = METHODS.find((m) => m.name === name)?.since === '0.9.8';
    const error = compat === '0.9.7' && newer ? -32601 : row.error;
    const body = JSON.parse(text) as { result: unknown; error: { code: number; message: string } | null };
    // Byte for byte: this order, no spaces, nothing else around it.
    if (error === undefined) {
      expect(text).toBe(`{"result":${JSON.stringify(body.result)},"error":null,"id":null}`);
      expect(status).toBe(200);
      if (row.result !== undefined) {
        expect(misfits(body.result, row.result)).toEqual([]);
        expect(orderFits(body.result, row.result)).toBe(true);
      } else expect(body.result).toEqual(row.is);
      return;
    }
    expect(body.error?.code).toBe(error);
    expect(status).toBe(compat === '0.9.7' ? 200 : 500);
    expect(text).toBe(`{"result":null,"error":${JSON.stringify(body.error)},"id":null}`);
    expect(text).toMatch(/^\{"result":null,"error":\{"code":-\d+,"message":".+"/);
    if (compat === '0.9.7') expect(Object.keys(body.error ?? {})).toEqual(['code', 'message']);
    if (error === -32601) expect(body.error?.message).toBe(`Unknown API request '${name}'`);
  });
});

describe('how a call is sent (11 §3)', () => {
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.stop());
  const post = async (body: string, path = '/', method = 'POST'): Promise<unknown> =>
    JSON.parse((await api.ask(path, { method, body })).text);

  it('the body names the method, whatever the path; id comes back', async () => {
    expect(await post('{"method":"blockheight","params":{},"id":7}', '/pl')).toEqual({
      result: 0,
      error: null,
      id: 7,
    });
    expect(await post('{"method":"BlockHeight","id":"x"}')).toEqual({ result: 0, error: null, id: 'x' });
    expect(await post('{"id":[1]}', '/blockheight', 'PUT')).toEqual({ result: 0, error: null, id: [1] });
  });
  it('numbers, booleans and absent params are taken (11 §13.4)', async () => {
    const p = (await post('{"method":"pl","params":{"limit":1,"offset":0,"type":"R"}}')) as {
      result: unknown[];
    };
    expect(p.result.length).toBe(1);
    const s = (await post('{"verbose":true}', '/status')) as { result: object };
    expect(Object.keys(s.result)).toContain('Queues');
  });
  it.each([
    ['{"method":', -32700],
    ['[]', -32600],
    ['{"method":5}', -32600],
    ['{"method":"status","params":[]}', -32600],
    ['{"method":"nope"}', -32601],
  ])('%s → %i', async (body, code) => {
    expect(await post(body)).toMatchObject({ result: null, error: { code }, id: null });
  });
  it('a signature made by sign is accepted by verify', async () => {
    const { result } = (await post('{"method":"sign","params":{"message":"héllo"}}')) as {
      result: { signature: string; publicKey: string };
    };
    const check = (message: string): Promise<unknown> =>
      post(JSON.stringify({ method: 'verify', params: { ...result, message } }));
    const own = addressText((await signerOf('w0')).address);
    expect(await check('héllo')).toMatchObject({ result: { verified: 'ok', address: own } });
    expect(await check('hello')).toMatchObject({ result: { verified: 'fail', address: own } });
  });
  it('shutdown is passed on, state changes are audited, others are not', async () => {
    api.audits.length = 0;
    await api.ask('/shutdown');
    await api.ask('/status');
    expect(api.audits).toEqual([{ user: '', action: 'shutdown', target: '', result: 'ok' }]);
    await new Promise((r) => setTimeout(r, 80));
    expect(api.ended).toEqual(['api']);
  });
});

describe('the list of methods', () => {
  const spec = readFileSync(new URL('../../docs/protocol/11-operator-surface.md', import.meta.url), 'utf8');
  it('is the specification’s, marks R and RC', () => {
    const section = spec.slice(spec.indexOf('## 4. Endpoints'), spec.indexOf('### 4.6'));
    const names = [...section.matchAll(/^\| ((?:`\/\w+`(?:, )?)+) \| (?:R|RC) \|/gm)].flatMap((m) =>
      [...m[1]!.matchAll(/`\/(\w+)`/g)].map((x) => x[1]!),
    );
    expect(names.length).toBeGreaterThan(35);
    expect(METHODS.map((m) => m.name).sort()).toEqual(names.sort());
  });
  it('is tested whole by the table above, and docs/api.md lists it', () => {
    const tested = new Set(TABLE.map((r) => r.call.split('?')[0]!.toLowerCase()));
    for (const m of METHODS) expect([m.name, tested.has(m.name.toLowerCase())]).toEqual([m.name, true]);
    const docs = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const rows = [...docs.matchAll(/^\| `\/(\w+)` \| (\w+) \| (yes|no) \| (yes|no) \|$/gm)];
    expect(rows.map((r) => r.slice(1, 5))).toEqual(
      METHODS.map((m) => [
        m.name,
        m.role,
        m.changes ? 'yes' : 'no',
        LEDGER_METHODS.includes(m.name) ? 'no' : 'yes',
      ]),
    );
  });
});
