import { LEDGER_METHODS, METHODS } from './methods.js';
import { V1_ROUTES } from './v1.js';

/** docs/api.md, made from the methods and routes that are served. */
export function apiDocs(): string {
  const methods = METHODS.map(
    (m) =>
      `| \`/${m.name}\` | ${m.role} | ${m.changes ? 'yes' : 'no'} | ${LEDGER_METHODS.includes(m.name) ? 'no' : 'yes'} |`,
  );
  const routes = V1_ROUTES.map((r) => `| ${r.method} | \`${r.path}\` | ${r.role} | ${r.about} |`);
  return `# The operator’s HTTP API

Made from the sources; a test holds it. The API listens on \`apiPort\` of this machine only (8001, on test networks 8101), or where \`apiBind\` says. Beyond this machine it wants users, unless \`apiAllowInsecure = 1\`. With \`apiTlsCert\` and \`apiTlsKey\` it speaks https alone, the dashboard with it.

## Who may do what

* \`addApiUser = name:password[:roles]\` switches HTTP Basic on. Roles are \`viewer\`, \`operator\` and \`wallet\`, joined by \`+\`; without any a user has all three. Instead of a clear password a hash may stand there: \`starling config hash\` makes one.
* \`apiAllowIp\` takes addresses, CIDR ranges or \`*\`; others get 403.
* On loopback only the names of loopback are answered (Host header). Calls that change something are refused with 403 when a browser sent them from another page (Origin, Sec-Fetch-Site).
* Ten wrong logins from one address are followed by 429, then one more try every five seconds.
* Every change is logged as the event \`audit\`, and in \`audit.log\` in the data folder.

## The reference’s methods

\`GET /method?parameter=value\`, or any verb with a JSON body \`{"method":…,"params":{…},"id":…}\`. The answer is \`{"result":…,"error":null,"id":null}\`; errors come with HTTP 500, with \`apiCompat = 0.9.7\` with 200. Parameters and results: [protocol/11](protocol/11-operator-surface.md), section 4. Methods that are not answered give the reference’s error until the relay keeps a ledger; \`generatenewaddress\`, \`getviewingwallet\` and \`loadwallet\` are refused with -4.

| Method | Role | Changes something | Answered |
|---|---|---|---|
${methods.join('\n')}

## \`/v1\`

JSON with proper status codes; errors are \`{"error":{"code":…,"message":…}}\`. The OpenAPI file is served at \`/v1/openapi.json\` and lies in [openapi.json](openapi.json).

| Verb | Path | Role | What it does |
|---|---|---|---|
${routes.join('\n')}
`;
}
