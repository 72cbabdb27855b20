#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# node: a JIT compiler, worker threads, cryptography, compression, streams, timers.
. "$(dirname "$0")/lib.sh"
need node

cat >task.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs'), os = require('os'), path = require('path');
if (!isMainThread) {
	let a = 0, b = 1n;
	for (let i = 0; i < workerData; i++) { a = (a * 31 + i) % 1000003; b = b * 3n % 1000000007n; }
	parentPort.postMessage([workerData, a, b.toString()]);
} else (async () => {
	const results = await Promise.all([200000, 300000, 400000].map(n => new Promise((ok, bad) => {
		const w = new Worker(__filename, { workerData: n });
		w.on('message', ok); w.on('error', bad);
	})));
	console.log('workers', JSON.stringify(results));
	const shared = new SharedArrayBuffer(8), view = new Int32Array(shared);
	Atomics.add(view, 0, 5);
	console.log('atomics', Atomics.wait(view, 0, 5, 10));
	const data = Buffer.alloc(300000, 'lampo ');
	console.log('hash', crypto.createHash('sha256').update(data).digest('hex'));
	console.log('scrypt', crypto.scryptSync('password', 'salt', 32, { N: 1024 }).toString('hex'));
	const key = Buffer.alloc(32, 7), iv = Buffer.alloc(12, 1);
	const c = crypto.createCipheriv('aes-256-gcm', key, iv);
	const sealed = Buffer.concat([c.update(data), c.final()]), tag = c.getAuthTag();
	const d = crypto.createDecipheriv('aes-256-gcm', key, iv);
	d.setAuthTag(tag);
	console.log('aes', Buffer.concat([d.update(sealed), d.final()]).equals(data), tag.toString('hex'));
	const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
	console.log('ec', crypto.verify('sha256', data, publicKey, crypto.sign('sha256', data, privateKey)));
	console.log('pbkdf2', (await new Promise((ok, bad) => crypto.pbkdf2('p', 's', 1000, 16, 'sha1', (e, k) => e ? bad(e) : ok(k)))).toString('hex'));
	console.log('zlib', zlib.gunzipSync(zlib.gzipSync(data)).equals(data), zlib.brotliDecompressSync(zlib.brotliCompressSync(data)).length);
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'node-'));
	fs.writeFileSync(path.join(dir, 'a'), data);
	await new Promise((ok, bad) => fs.createReadStream(path.join(dir, 'a')).pipe(zlib.createGzip()).pipe(fs.createWriteStream(path.join(dir, 'b'))).on('finish', ok).on('error', bad));
	console.log('files', fs.readdirSync(dir), zlib.gunzipSync(fs.readFileSync(path.join(dir, 'b'))).equals(data));
	await fs.promises.rename(path.join(dir, 'a'), path.join(dir, 'c'));
	console.log('promises', (await fs.promises.stat(path.join(dir, 'c'))).size);
	fs.rmSync(dir, { recursive: true });
	const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
	console.log('jit', fib(27), [5, 3, 9].sort(), /(\d+)-(\d+)/.exec('12-34').slice(1));
	let ticks = 0;
	await new Promise(ok => { const t = setInterval(() => { if (++ticks == 5) { clearInterval(t); ok(); } }, 4); });
	console.log('timers', ticks, new Intl.NumberFormat('de').format(1234567.5));
	process.exitCode = 4;
})();
END
same --memory 1G -- node task.js
same --memory 1G --cpus 2 -- node task.js
finish
