/** A fresh key and `count` signed messages, as the core takes them. WebCrypto, so it runs everywhere. */
export async function signedBatch(count) {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' };
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    { ...algorithm, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  );
  const { n } = await crypto.subtle.exportKey('jwk', publicKey);
  const base64 = n.replaceAll('-', '+').replaceAll('_', '/');
  const modulus = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const items = [];
  for (let i = 0; i < count; i++) {
    const message = new TextEncoder().encode(`message ${i}`);
    const signature = new Uint8Array(await crypto.subtle.sign(algorithm.name, privateKey, message));
    items.push({ modulus, exponent: 65537, signature, message });
  }
  return items;
}
