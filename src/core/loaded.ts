import type { Core } from './api.js';

/**
 * The compiled core of this thread, once something asked for it. A module of its own, so that whoever is content with
 * JavaScript until then does not bring the WebAssembly modules into a bundle.
 */
let core: Core | null = null;

export function loadedCore(): Core | null {
  return core;
}

export function setLoadedCore(loaded: Core): void {
  core = loaded;
}
