import { native } from '@luo-console/native';
import { spawn, type ChildProcess } from 'node:child_process';
import { MachineSaver } from './src/adoption/save.ts';
import { restoreMachine } from './src/adoption/restore.ts';
import { rmSync, readdirSync, existsSync, mkdirSync } from 'node:fs';
const way = process.argv[2] as 'cpr' | 'named_memory' | 'whole_state';
for (const f of readdirSync('/tmp/sid/tmp/x')) rmSync('/tmp/sid/tmp/x/' + f, { recursive: true });
const mem = { cpr: ['-machine','q35,memory-backend=mem,aux-ram-share=on','-object','memory-backend-memfd,id=mem,size=64M,share=on'],
 named_memory: ['-machine','q35,memory-backend=mem','-object','memory-backend-file,id=mem,mem-path=/tmp/x/ram,size=64M,share=on'],
 whole_state: [] }[way];
const words = ['-accel','tcg','-m','64',...mem,'-nodefaults','-display','none','-qmp','unix:/tmp/x/q,server=on,wait=off','-serial','file:/tmp/x/serial'];
const run = (w: readonly string[], stdio: any[] = []): ChildProcess => spawn('chroot', ['/tmp/sid','qemu-system-x86_64',...w], { stdio: ['ignore','inherit','inherit',...stdio] });
const old = run(words);
while (!existsSync('/tmp/sid/tmp/x/q')) await new Promise(r => setTimeout(r, 20));
await new Promise(r => setTimeout(r, 1500));
const t0 = performance.now(); const nowUs = () => Math.round((performance.now()-t0)*1000);
const saver = await MachineSaver.prepare({ native, pid: old.pid!, way, monitor: '/tmp/x/q', socketDirectory: '/tmp/x', expectedBytes: 4<<20, nowUs });
console.log('prepared', nowUs(), saver.ran);
const pieces = await saver.collect(); console.log('collected', nowUs(), pieces.length);
let saved = await saver.save();
console.log('saved', nowUs() - saver.suspendedAtUs!, saved.cprBytes, saved.mainBytes);
if (process.argv[3] === 'back') { await saver.resume(); console.log('resumed'); saver.close();
 const again = await MachineSaver.prepare({ native, pid: old.pid!, way, monitor: '/tmp/x/q', socketDirectory: '/tmp/x', expectedBytes: 4<<20, nowUs });
 await again.collect(); await again.resume(); console.log('cancelled'); again.close();
 const third = await MachineSaver.prepare({ native, pid: old.pid!, way, monitor: '/tmp/x/q', socketDirectory: '/tmp/x', expectedBytes: 4<<20, nowUs });
 console.log((await third.collect()).length, third.ran); saved = await third.save(); console.log('saved again');
}
const files = pieces.flatMap(p => p.descriptors).map(d => native.descriptors.duplicate(d));
const state = native.descriptors.duplicate(saved.file);
const ram = way === 'named_memory' ? native.descriptors.adopt((await import('node:fs')).openSync('/tmp/x/ram','r+')) : null;
let n = 0;
const machine = { name: 'x', session: 's', definition: null, way, pid: old.pid!, command: { program: 'q', words, directory: '/', uid: 0, gid: 0 }, monitor: '/tmp/x/q', ran: true,
 state: { token: '0x1', cprBytes: saved.cprBytes, mainBytes: saved.mainBytes }, pieces: pieces.map(p => ({ bytes: p.data.length, files: p.descriptors.map(() => ({ session: 's', token: `0x${n++}` })) })),
 memory: ram ? [{ backend: 'mem', session: 's', token: 'ram' }] : [], brownoutUs: null, suspendedAtUs: null, savedAtUs: null };
saver.close(); old.kill('SIGKILL'); await new Promise(r => old.once('exit', r)); rmSync('/tmp/x/q', {force:true});
let child: ChildProcess; const t1 = performance.now();
const pid = await restoreMachine({ native, machine, state, file: (p) => p.token === 'ram' ? ram! : files[Number(p.token)]!, firstFile: 3, socketDirectory: '/tmp/x', reach: (p) => p,
 starter: { start: async (_n, c, f) => { child = run(c.words, f.map(() => ram!.fd)); }, pid: async () => child.pid!, ended: (_n, _p, _s) => new Promise((_r, j) => child.once('exit', (c) => j(new Error(`ended ${c}`)))), stop: async () => void child.kill() },
 reached: (p) => console.log(p, (performance.now()-t1).toFixed(1)) });
console.log('pid', pid);
child!.kill(); process.exit(0);
