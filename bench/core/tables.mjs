// The tables by name, each run in a process of its own: what one leaves behind (optimised code, a full heap, threads) must
// not weigh on the next. Run by main.mjs as: node tables.mjs NAME SETTINGS, with an IPC channel for the result.

import { enableRelaxedSimd } from '../../dist/core/node/index.js';
import { autoTable, sha3Table } from './hashes.mjs';
import { microTable } from './micro.mjs';
import { poolTable } from './pool.mjs';
import { rsaTable } from './rsa.mjs';
import {
  crcTable,
  frameTable,
  keepAliveScanTable,
  keepAliveTable,
  sectorTable,
  varIntTable,
} from './scans.mjs';

enableRelaxedSimd();

const tables = {
  rsa: rsaTable,
  'sha3-45': (settings) => sha3Table(45, settings),
  'sha3-600': (settings) => sha3Table(600, settings),
  keepalive: keepAliveTable,
  pool: poolTable,
  'crc-45': (settings) => crcTable(45, settings),
  'crc-1100': (settings) => crcTable(1100, settings),
  varint: varIntTable,
  frames: frameTable,
  'keepalive-scan': keepAliveScanTable,
  sector: sectorTable,
  micro: microTable,
};

const [, , name, settings] = process.argv;
const table = name.startsWith('auto-')
  ? (s) => autoTable(Number(name.slice('auto-'.length)), s)
  : tables[name];
const result = await table(JSON.parse(settings));
process.send({ key: name, ...result }, () => process.disconnect());
