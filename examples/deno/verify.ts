// deno run deno/verify.ts
import { verifyOneForged } from '../verify.mjs';

console.log(await verifyOneForged());
