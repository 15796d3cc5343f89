// Cloudflare Workers and workerd; wrangler needs no configuration for it, it sets the condition `workerd` itself.
import { verifyOneForged } from '../verify.mjs';

export default {
  async fetch() {
    return new Response(await verifyOneForged());
  },
};
