// Node 20, 22, 24: node node/verify.mjs
import { enableRelaxedSimd } from 'starling-core/node';
import { verifyOneForged } from '../verify.mjs';

// Node 20 has the fastest kernel's instructions behind a flag; a no-op from 22 on.
enableRelaxedSimd();
console.log(await verifyOneForged());
