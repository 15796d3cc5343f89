let nextId = 1;

/** Ids of one process among several: its number stands above this many bits. */
const idBits = 32;

/** Makes ids unique among the processes of one relay, each of which has a number of its own. */
export function numberLinksFor(process: number): void {
  nextId = process * 2 ** idBits + 1;
}

/** The id of the next link. */
export const takeLinkId = (): number => nextId++;
