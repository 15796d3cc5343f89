import { verifyOneForged } from '../verify.mjs';

globalThis.document.querySelector('#result').textContent = await verifyOneForged();
