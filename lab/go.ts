import { connectAgent } from '@luo-console/agent/client';
import { findHost } from './src/start.ts';

const host = await findHost(process.argv[2] ?? 'try');
const way = process.argv[3] ?? 'cpr';
const mem = {
  cpr: '-machine q35,memory-backend=mem,aux-ram-share=on -object memory-backend-memfd,id=mem,size=64M,share=on',
  named:
    '-machine q35,memory-backend=mem -object memory-backend-file,id=mem,mem-path=/dev/shm/ram,size=64M,share=on',
  whole: '',
}[way];
const sh = async (c: string) => {
  const r = await host.sh(c);
  if (r.code) throw new Error(c + r.stderr);
  return r.stdout;
};
if (process.argv[4] !== 'again')
  await sh(
    `systemd-run --quiet --unit=vm-one -p Type=forking -p PIDFile=/run/one.pid qemu-system-x86_64 -name one -nodefaults -display none -daemonize -pidfile /run/one.pid -qmp unix:/run/one.qmp,server=on,wait=off -accel tcg,tb-size=64 -m 64 ${mem}`,
  );
let a = await connectAgent(`ssh://root@${host.sshAlias}`, { sshConfig: host.sshConfig });
const { machines, graph } = await a.call('ListMachines', {});
for (const m of machines) console.log(m.name, m.pid, m.way, m.wayReason, m.unlinks, m.session);
console.log(JSON.stringify(graph.order), graph.cycle);
const pid = machines[0]!.pid;
if (!machines[0]!.session) {
  const { machine } = await a.call('AdoptMachine', { pid, unlink: true });
  console.log('adopted', machine.session, machine.state);
}
const { kernels } = await a.call('ListKernels', {});
const k = kernels.find(({ running }) => !running)!;
const { plan } = await a.call('MakePlan', { kernel: k.path });
for (const c of plan.checks) if (c.verdict !== 'pass') console.log(c);
console.log(plan.machines, plan.steps.map((s) => `${s.phase}:${s.id}`).join(' '));
const t0 = Date.now();
let id = '';
try {
  for await (const { progress } of a.stream('RunUpdate', { plan: plan.id, graceSeconds: 1 })) {
    id = progress.update;
    console.log(
      Date.now() - t0,
      progress.phase,
      progress.message,
      progress.machines.map((m) => `${m.stage} ${m.detail}`).join('|'),
    );
  }
} catch (e) {
  console.log('connection', (e as Error).message);
}
for (;;) {
  try {
    a = await connectAgent(`ssh://root@${host.sshAlias}`, { sshConfig: host.sshConfig });
    for await (const u of a.stream('FollowUpdate', { update: id })) {
      if (u.update) {
        console.log(JSON.stringify({ ...u.update, carried: u.update.carried.length }, null, 1));
      } else console.log(Date.now() - t0, u.progress?.phase, u.progress?.message);
    }
    break;
  } catch (e) {
    console.log(Date.now() - t0, (e as Error).message.slice(0, 100));
    await new Promise((r) => setTimeout(r, 1500));
  }
}
console.log(
  (await a.call('ListMachines', {})).machines.map((m) => [m.name, m.pid, m.state, m.session, m.way]),
);
await a.close();
process.exit(0);
