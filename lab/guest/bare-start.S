// SPDX-License-Identifier: Apache-2.0
/*
 * How bare.c comes to run: the header that makes the file a Multiboot kernel, which QEMU's -kernel starts in
 * 32-bit protected mode without any boot loader; flat segments and a stack of our own; and the two interrupt
 * entries. Only the timer's interrupt is ever meant to arrive.
 */
	.set MAGIC, 0x1badb002
	.set FLAGS, 2			/* tell the amount of memory */

	.section .multiboot, "a"
	.balign 4
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.global start
start:
	lgdt	segments
	ljmp	$8, $1f
1:	mov	$16, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %ss
	mov	$stack_top, %esp
	push	%ebx			/* what the loader says, see bare.c */
	call	run

	/* Whatever ran away or broke down stays where it is: it stops counting, and that is seen. */
	.global unexpected
unexpected:
	cli
1:	hlt
	jmp	1b

	/* Waking the processor is all the timer's interrupt is for. */
	.global timer_interrupt
timer_interrupt:
	push	%eax
	mov	$0x20, %al
	outb	%al, $0x20		/* end of interrupt, to the first controller */
	pop	%eax
	iret

	.data
	.balign 8
table:
	.quad	0
	.quad	0x00cf9a000000ffff	/* code: all 4 GiB */
	.quad	0x00cf92000000ffff	/* data: likewise */
segments:
	.word	segments - table - 1
	.long	table

	.bss
	.balign 16
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
