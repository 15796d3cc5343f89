import type forge from 'node-forge';

/** The module as its CommonJS build exports it. */
export type Forge = typeof forge;
export type ForgeInteger = forge.jsbn.BigInteger;
export type ForgePrivateKey = forge.pki.rsa.PrivateKey;
export type ForgePublicKey = forge.pki.rsa.PublicKey;

/** node-forge, loaded on first use only: a runtime with WebCrypto never fetches it. */
export async function loadForge(): Promise<Forge> {
  return (await import('node-forge')).default;
}

/** Its "binary strings": one character per byte. */
export function toBinary(bytes: Uint8Array): string {
  let out = '';
  for (const b of bytes) out += String.fromCharCode(b);
  return out;
}

export function fromBinary(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
