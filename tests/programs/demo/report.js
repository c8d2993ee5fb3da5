// The ten most frequent words of standard input, as a bar chart.
const { readFileSync } = require("node:fs");

const counts = new Map();
for (const word of readFileSync(0, "utf8").toLowerCase().match(/\p{L}{4,}/gu) ?? []) {
  counts.set(word, (counts.get(word) ?? 0) + 1);
}

const top = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, 10);
const widest = top.length ? top[0][1] : 1;
for (const [word, count] of top) {
  console.log(word.padEnd(14), String(count).padStart(4), "#".repeat(Math.round((count / widest) * 40)));
}
