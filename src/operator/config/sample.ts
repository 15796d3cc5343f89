import { allowed, type Config } from './resolve.js';
import { SETTINGS } from './settings.js';

/** Stands for a secret wherever a configuration is shown. */
export const SECRET_MASK = '********';

/** A configuration file that holds every setting at its default, commented out, with what it means. */
export function sampleConfig(): string {
  const lines = ['# Starling relay: every setting with its default. Remove the # to change one.', ''];
  for (const s of SETTINGS) {
    if (s.commandLineOnly === true || s.withoutEffect === true) continue;
    lines.push(`# ${s.about}; ${allowed(s)}${s.repeat === true ? '; may be repeated' : ''}`);
    const example = s.default ?? '';
    lines.push(`#${s.key} = ${example}`);
    if (s.testKey !== undefined) lines.push(`#${s.testKey} = ${s.testDefault ?? example}`);
    lines.push('');
  }
  return lines.join('\n');
}

/** The values in force and where each came from; secrets masked. */
export function showConfig(config: Config): { key: string; value: string; origin: string }[] {
  return config.all().map(({ setting, values, origin }) => {
    const shown = setting.secret === true ? values.map(() => SECRET_MASK) : values;
    const from =
      origin.from === 'file'
        ? `${origin.file}:${origin.line}`
        : origin.from === 'environment'
          ? origin.name
          : origin.from;
    return { key: setting.key, value: shown.join(', '), origin: from };
  });
}
