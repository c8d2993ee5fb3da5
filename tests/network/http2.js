// A server of HTTP/2 for the tests' network: `http2.js DIRECTORY ADDRESS...`. `/bytes/N` is so many bytes; it says `ready`.
const fs = require('fs'), http2 = require('http2'), { Readable } = require('stream');

const [directory, ...addresses] = process.argv.slice(2);
const piece = Buffer.alloc(1 << 16, 'belljar ');

function* pieces(left) {
  for (; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

function answer(request, response) {
  const count = /^\/bytes\/(\d+)$/.exec(request.url);
  Readable.from(count ? pieces(Number(count[1])) : [`${request.httpVersion} ${request.authority ?? request.headers.host}\n`]).pipe(response);
}

const options = { key: fs.readFileSync(`${directory}/outside.key`), cert: fs.readFileSync(`${directory}/outside.pem`), allowHTTP1: true };
let left = addresses.length;
for (const address of addresses) {
  http2.createSecureServer(options, answer).listen(443, address, () => { if (--left === 0) console.log('ready'); });
}
