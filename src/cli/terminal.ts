/** Where a command writes: replaced in tests. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly colour: boolean;
  /** True when a person watches: progress is drawn in place. */
  readonly live: boolean;
}

/** The process's own streams; colour off when piped or when NO_COLOR is set. */
export function processOutput(): Output {
  const noColour = (process.env.NO_COLOR ?? '') !== '' || process.env.TERM === 'dumb';
  const tty = process.stdout.isTTY === true;
  return {
    out: (text) => {
      process.stdout.write(text);
    },
    err: (text) => {
      process.stderr.write(text);
    },
    colour: tty && !noColour,
    live: process.stderr.isTTY === true,
  };
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** Wraps text in an ANSI colour when the output shows colours. */
export function paint(o: Output, colour: keyof typeof CODES, text: string): string {
  return o.colour ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

// biome's control-character rule wants the escape spelled by code point rather than in a literal.
const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** Width on a terminal, without the colour codes. */
export function visibleWidth(text: string): number {
  return [...text.replace(ESCAPES, '')].length;
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows.map((r) => r.map(String))];
  const widths = head.map((_, i) => Math.max(...cells.map((r) => visibleWidth(r[i] ?? ''))));
  const right = head.map((_, i) => rows.length > 0 && rows.every((r) => typeof r[i] === 'number'));
  const line = (r: readonly string[]): string =>
    r
      .map((cell, i) => {
        const pad = ' '.repeat(widths[i]! - visibleWidth(cell));
        return right[i] === true ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd();
  return `${cells.map(line).join('\n')}\n`;
}

/** A line that is redrawn in place where a person watches, and left out elsewhere. */
export function progressLine(o: Output): { show(text: string): void; done(text?: string): void } {
  let width = 0;
  return {
    show(text) {
      if (!o.live) return;
      o.err(`\r${text.padEnd(width)}`);
      width = visibleWidth(text);
    },
    done(text = '') {
      if (o.live && width > 0) o.err(`\r${' '.repeat(width)}\r`);
      if (text !== '') o.err(`${text}\n`);
      width = 0;
    },
  };
}
