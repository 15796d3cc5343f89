import { LIMITS, type Limit } from '../relay/index.js';
import { Code, payloadBytesMaxOf } from '../wire/index.js';

const INTRO = `# Limits

Every limit of a relay that a peer can reach: what is bounded and why, what the peer notices, and the metric that counts it. Limits with a setting are set in the configuration file, by a switch or by an environment variable like every setting; those marked *live* change on a reload (SIGHUP, \`POST /v1/reload\`) without ending a connection. \`GET /v1/limits\` and the metric \`ixian_limit\` show the values in force.

This page is made from the same table as the settings, and a test compares them; another test holds that each limit is exceeded by some test.

## How they work together

* **Places.** A connection is counted for its source address and its source prefix from the first byte on. Lists of who may connect (\`allow\`) and who may not (\`ban\`) are looked at before anything is read.
* **Allowances.** Messages, requests and bytes are charged to the connection, to its wallet and to its source prefix, in that order; what one of them cannot pay is not done. Messages and requests are refused, bytes are slowed down: the connection is not read until nothing is owed. A wallet is charged only for connections that have shown its key: alone by a keep-alive, together with the source prefix by the hello’s signature, so that a replayed hello uses up nobody’s allowance elsewhere.
* **Receivers.** Frames wait for a peer that does not read, in four queues: control (answers and notices up to 64 KiB) ahead of high, normal and low. A full queue refuses frames, and the sender of a message is told at once (07 §9.3). Before it is full, clients that send over TCP are not read for a while (\`crowdedBytes\`), as long as the receiver takes something and needs that for a part of the time only. A receiver whose queue stays full for \`slowReceiverMs\` is told with bye 605 and dropped; one that takes no byte for \`writeStallMs\` is cut. What was still waiting then counts as \`ixian_queue_dropped_total{reason="closed"}\`.
* **Memory.** Queues and unfinished frames of all connections have bounds together. Beyond them only small frames to peers with nothing waiting are taken, and only connections that hold much are ended. The presence store gives up what is nearest to expiry: clients first, relays and ledger nodes last, the own presence never.
`;

const cell = (text: string): string => text.replaceAll('|', '\\|');

function row(l: Limit): string {
  const setting =
    l.setting === undefined ? '' : `\`${l.setting.key}\`${l.reloadable === true ? ' *live*' : ''}`;
  const counter = l.counter === null ? '' : `\`${l.counter}\``;
  const cells = [
    `\`${l.name}\``,
    l.value.toLocaleString('en-US'),
    l.unit,
    setting,
    `${l.bounds}. ${l.why}`,
    l.sees,
    counter,
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

function payloads(): string {
  const rows = Object.entries(Code).map(([name, code]) => {
    const [server, client] = [payloadBytesMaxOf(code), payloadBytesMaxOf(code, 'C')];
    return `| ${code} | ${name} | ${client.toLocaleString('en-US')} | ${server.toLocaleString('en-US')} |`;
  });
  return `## Payload by code

Largest payload in bytes of a frame after the handshake; a larger one ends the connection. Codes that are not listed: ${payloadBytesMaxOf(0xffff).toLocaleString('en-US')}.

| Code | Message | from clients | from others |
|---|---|---|---|
${rows.join('\n')}
`;
}

/** The text of docs/limits.md. */
export function limitsDocument(): string {
  const groups = [...new Set(LIMITS.map((l) => l.group))];
  const tables = groups.map((g) => {
    const rows = LIMITS.filter((l) => l.group === g).map(row);
    return `## ${g}

| Limit | Default | Unit | Setting | What and why | What the peer sees | Counter |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`;
  });
  return [INTRO, ...tables, payloads()].join('\n');
}
