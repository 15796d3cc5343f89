import { allowed } from './resolve.js';
import { environmentName, flagOf, SETTINGS, type Setting } from './settings.js';

const cell = (text: string): string => text.replaceAll('|', '\\|');

function defaultOf(s: Setting): string {
  if (s.default === null) return '';
  const test = s.testDefault === undefined ? '' : `, test networks \`${s.testDefault}\``;
  return `\`${s.default}\`${test}`;
}

function keyOf(s: Setting): string {
  const test = s.testKey === undefined ? '' : `, \`${s.testKey}\` on test networks`;
  const short = s.short === undefined ? '' : `\`-${s.short}\`, `;
  const flag = s.flag === undefined ? '' : ` (${short}\`--${s.flag}\`)`;
  return `\`${s.key}\`${test}${flag}${s.flag === undefined && s.short !== undefined ? ` (\`-${s.short}\`)` : ''}`;
}

function row(s: Setting): string {
  const notes = [
    ...(s.repeat === true ? ['may be repeated'] : []),
    ...(s.secret === true ? [`secret; \`${s.key}File\` names a file that holds it`] : []),
  ];
  const about = [s.about, ...notes].join('; ');
  return `| ${keyOf(s)} | ${cell(allowed(s))} | ${defaultOf(s)} | ${s.reloadable === true ? 'yes' : ''} | ${cell(about)} |`;
}

const flagRow = (s: Setting): string =>
  `| ${s.short === undefined ? '' : `\`-${s.short}\`, `}\`--${flagOf(s)}\` | ${cell(s.about)} |`;

/** docs/config.md, made from the settings themselves. */
export function configDocs(): string {
  const filed = SETTINGS.filter((s) => s.commandLineOnly !== true && s.withoutEffect !== true);
  const only = SETTINGS.filter((s) => s.commandLineOnly === true && s.withoutEffect !== true);
  const idle = SETTINGS.filter((s) => s.withoutEffect === true);
  return `# Settings of a relay

Made from the sources; a test holds it. \`starling config sample\` prints a file with every setting, \`starling config check\` validates one, \`starling config show\` prints what is in force and where each value came from.

* **The file** is \`ixian.cfg\` in the working directory, or what \`--config\` names: one \`key = value\` per line; \`#\` and \`;\` begin comments; everything behind the first \`=\` belongs to the value; double quotes around a value are not part of it.
* **Who wins**: switch, then environment variable, then file, then default. Every key is a switch of \`starling relay\` (\`--key value\`) and an environment variable (\`apiPort\` is \`${environmentName('apiPort')}\`; lists separated by commas).
* **Secrets** are never printed or logged. Each has a twin that names a file: \`walletPasswordFile\` in the file, \`${environmentName('walletPassword')}_FILE\` in the environment.
* **Reload** (SIGHUP, \`POST /v1/reload\`, \`starling\` keeps running): all settings marked so, all or nothing. The log event \`config_reloaded\` names what changed and what needs a restart.
* **Mistakes**: a value outside its range is an error with file, line and key, exit code 2. An unknown key is a warning with the nearest known one; with \`--strict-config\` an error.

| Key | Value | Default | Reload | Meaning |
|---|---|---|---|---|
${filed.map(row).join('\n')}

## Only on the command line

| Switch | Meaning |
|---|---|
${only.map(flagRow).join('\n')}

## Accepted without effect

So that the reference’s files and scripts work unchanged; \`starling config check\` names them.

| Key | Meaning |
|---|---|
${idle.map((s) => `| \`${s.key}\` | ${cell(s.about)} |`).join('\n')}
`;
}
