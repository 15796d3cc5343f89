import { hkdfSha3_512, type Signer } from '../identity/index.js';

/** What a wallet signs to make the secret of its storage; RSASSA-PKCS1-v1_5 gives the same each time. */
const secretText = 'Starling client storage, version 1';
const secretBytes = 32;

/** The secret under which a wallet keeps its storage: nobody makes it without the wallet's key. */
export async function storageSecret(signer: Pick<Signer, 'sign'>): Promise<Uint8Array> {
  const text = new TextEncoder();
  const signature = await signer.sign(text.encode(secretText));
  return hkdfSha3_512(signature, secretBytes, new Uint8Array(0), text.encode(secretText));
}
