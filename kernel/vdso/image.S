/* SPDX-License-Identifier: Apache-2.0 */
/* The linked vDSO as a page of nucleo's constants. */
	.section .rodata.vdso, "a"
	.balign 4096
	.globl vdso_image_start
	.hidden vdso_image_start
vdso_image_start:
	.incbin VDSO_IMAGE
	.balign 4096
	.globl vdso_image_end
	.hidden vdso_image_end
vdso_image_end:
	.section .note.GNU-stack, "", @progbits
