// SPDX-License-Identifier: Apache-2.0
/**
 * The log of a kernel of the lab that a kexec started with handed over memory, as its serial console had it. Records of
 * short stretches were taken out, and long ones cut; no time stamp was changed.
 */
import type { KernelRecord } from './log.ts';

const recorded = `
[    0.000000] Linux version 7.3.4-m
[    0.000000] KHO: found kexec handover data.
[    0.012836] Zone ranges:
[    0.021933] setup_percpu: NR_CPUS:8 nr_cpumask_bits:2 nr_cpu_ids:2 nr_node_ids:1
[    0.026611] mem auto-init: stack:all(zero), heap alloc:off, heap free:off
[    0.037512] SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=2, Nodes=1
[    0.042429] rcu: Hierarchical RCU implementation.
[    0.043445] NR_IRQS: 4352, nr_irqs: 440, preallocated irqs: 16
[    0.061668] rcu: srcu_init: Setting srcu_struct sizes based on contention.
[    0.069224] printk: console [ttyS0] enabled
[    0.080925] ACPI: Core revision 20260408
[    0.095395] x86/fpu: Supporting XSAVE feature 0x001: 'x87 floating point registers'
[    0.100857] x86/fpu: Supporting XSAVE feature 0x002: 'SSE registers'
[    0.101715] x86/fpu: Enabled xstate features 0x1f, context size is 1088 bytes, using 'standard' format.
[    0.110809] pid_max: default: 32768 minimum: 301
[    0.116731] Mount-cache hash table entries: 4096 (order: 3, 32768 bytes, linear)
[    0.116975] Mountpoint-cache hash table entries: 4096 (order: 3, 32768 bytes, linear)
[    0.124841] VFS: Finished mounting rootfs on nullfs
[    0.376914] smpboot: CPU0: AMD QEMU TCG CPU version 2.5+ (family: 0xf, model: 0x6b, stepping: 0x1)
[    0.378926] luo: Retrieved live update data, liveupdate number: 1
[    0.379662] smp: Bringing up secondary CPUs ...
[    0.381680] smpboot: x86: Booting SMP configuration:
[    0.036155] calibrate_delay_direct() dropping max bogoMips estimate 0 = 35406010
[    0.530330] smp: Brought up 1 node, 2 CPUs
[    0.530330] smpboot: Total of 2 processors activated (10392.01 BogoMIPS)
[    0.541848] Memory: 2020136K/2096620K available (7282K kernel code, 1241K rwdata, 2044K rodata, 976K init, 448K bss, 73208
[    0.543650] devtmpfs: initialized
[    0.551705] posixtimers hash table entries: 1024 (order: 2, 16384 bytes, linear)
[    0.553353] PCI: Using configuration type 1 for base access
[    0.560018] HugeTLB: registered 1.00 GiB page size, pre-allocated 0 pages
[    0.562803] ACPI: Added _OSI(Processor Aggregator Device)
[    0.576180] ACPI: 1 ACPI AML tables successfully acquired and loaded
[    0.584214] ACPI: \\_SB_: platform _OSC: OS support mask [00022c8c]
[    0.587450] ACPI: Enabled 2 GPEs in block 00 to 3F
[    0.600336] ACPI: PCI Root Bridge [PCI0] (domain 0000 [bus 00-ff])
[    0.624105] e820: register RAM buffer resource [mem 0x7ffdd000-0x7fffffff]
[    0.629663] KHO: exec from: 7.3.4-a (count 1)
[    0.653964] ACPI: \\_SB_.GSIF: Enabled at IRQ 21
[    0.658662] ACPI: \\_SB_.GSIG: Enabled at IRQ 22
[    0.663526] serial8250: ttyS0 I/O:0x3f8 (irq = 4, base_baud = 115200) is a 16550A
[    0.675054] virtio_blk virtio0: 2/0/0 default/read/poll queues
[    0.680525] virtio_blk virtio0: [vda] 8388608 512-byte logical blocks (4.29 GB/4.00 GiB)
[    0.687235] tun: Universal TUN/TAP device driver, 1.6
[    0.691758] VFIO - User Level meta-driver version: 0.3
[    0.693566] rtc_cmos PNP0B00:00: alarms up to one day, y3k, 242 bytes nvram, hpet irqs
[    0.699729] NET: Registered PF_INET6 protocol family
[    0.709054] sched_clock: Marking stable (680095966, 26155592)->(712513065, -6261507)
[    0.765289] EXT4-fs (vda): recovery complete
[    0.766324] EXT4-fs (vda): mounted filesystem 41dbc116-c084-4029-b6dd-065c98854f41 r/w with ordered data mode. Quota mode:
[    0.766624] VFS: Mounted root (ext4 filesystem) on device 254:0.
[    0.768501] VFS: Pivoted into new rootfs
[    0.797584] Freeing unused kernel image (initmem) memory: 976K
[    0.799852] Run /usr/lib/luo-console-agent/carrier as init process
[    0.898097] EXT4-fs (vda): re-mounted 41dbc116-c084-4029-b6dd-065c98854f41.
`;

/** Its records, until just after the first process. */
export const recordedBoot: readonly KernelRecord[] = [
  ...recorded.matchAll(/^\[ *(\d+)\.(\d{6})\] (.*)$/gm),
].map(([, seconds, us, text = '']) => ({ level: 6, atUs: Number(seconds) * 1_000_000 + Number(us), text }));
