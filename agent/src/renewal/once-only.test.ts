// SPDX-License-Identifier: Apache-2.0
/** What two VMMs of one machine cannot have at once. */
import { expect, it } from 'vitest';
import { onceOnly } from './once-only.ts';

it.each([
  '-netdev user,id=net -device virtio-net-pci,netdev=net',
  '-chardev socket,id=a,path=/run/a,server=on,wait=off -serial chardev:a',
  '-qmp unix:/run/q,server=on,wait=off -serial file:/tmp/x -monitor none',
  '-vnc unix:/run/vnc -display none -S',
  '-drive file=/a.img,format=raw -m 64',
])('nothing stands in the way of %s', (line) => {
  expect(onceOnly(line.split(' '))).toEqual([]);
});

it.each([
  ['-netdev tap,id=net,ifname=tap7,script=no', 'the tap tap7'],
  ['-nic tap', 'the tap that it makes'],
  ['-netdev {"type":"tap","id":"n","ifname":"tap1"}', 'the tap tap1'],
  ['-netdev user,id=net,hostfwd=tcp::22-:22', 'the port of tcp::22-:22'],
  ['-chardev socket,id=a,host=0.0.0.0,port=70,server=on', 'the port 70'],
  ['-chardev socket,id=a,path=x,abstract=on,server=on', 'the abstract socket x'],
  ['-serial mon:telnet::4,server', 'the port of mon:telnet::4,server'],
  ['-gdb tcp::9', 'the port of tcp::9'],
  ['-s -m 64', 'the port 1234 for a debugger'],
  ['-vnc :1', 'the port of its display :1'],
  ['-spice port=5900', 'what its display listens at (port=5900)'],
])('%s can be had once only', (line, what) => {
  expect(onceOnly(line.split(' '))).toEqual([what]);
});
