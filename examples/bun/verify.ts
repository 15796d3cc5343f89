// bun run bun/verify.ts
import { verifyOneForged } from '../verify.mjs';

console.log(await verifyOneForged());
