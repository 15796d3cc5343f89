// Keeps one core busy with numbers for so many seconds: node bench/relay/generator/spin.mjs SECONDS

const end = performance.now() + 1_000 * Number(process.argv[2]);
const numbers = new Float64Array(4_096).fill(1.000_001);
let product = 1;
while (performance.now() < end) for (const n of numbers) product = (product * n) % 1_000;
console.log(JSON.stringify({ product }));
