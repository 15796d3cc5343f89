import { readFileSync } from 'node:fs';

/** Version of the package this file was built into. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  return manifest.version;
}

/** The line that `--version` prints. */
export function versionText(): string {
  return `starling ${packageVersion()} (Node ${process.versions.node})`;
}
