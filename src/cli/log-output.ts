import { resolve } from 'node:path';
import {
  type Config,
  formatted,
  LOG_FILE,
  LogFile,
  type LogFormat,
  type LogOptions,
} from '../operator/index.js';

/**
 * Where the log of a configuration goes, and in which form (docs/logs.md). On the console: with `--json` on standard
 * output, among the events for scripts; otherwise on standard error. `rotates` is false where another process of this
 * relay puts the file aside.
 */
export function logOutput(
  c: Config,
  rotates = true,
): Pick<LogOptions, 'format' | 'colour' | 'write' | 'reopen'> {
  const console = c.on('json') ? process.stdout : process.stderr;
  const set = c.text('logFormat') ?? 'auto';
  const auto: LogFormat = !c.on('json') && console.isTTY === true ? 'text' : 'json';
  const format = set === 'auto' ? auto : (set as LogFormat);
  const colour = console.isTTY === true && process.env.NO_COLOR === undefined;
  const where = (c.text('logOutput') ?? 'stdout').toLowerCase();
  if (where === 'stdout') return { format, colour, write: (line) => void console.write(line) };
  const file = new LogFile({
    path: resolve(c.text('logFolderPath') ?? c.text('dataFolderPath') ?? '.', LOG_FILE),
    bytesMax: c.whole('maxLogSize') * 1024 * 1024,
    countMax: c.whole('maxLogCount'),
    rotates,
    onTrouble: (e) => void process.stderr.write(`starling: the log cannot be written: ${e.message}\n`),
  });
  // A file is for programs: text only where it was asked for.
  const inFile = set === 'auto' ? 'json' : format;
  return {
    format: 'json',
    write: (line) => {
      file.write(formatted(line, inFile, false));
      if (where === 'both') console.write(formatted(line, format, colour));
    },
    reopen: () => file.reopen(),
  };
}
