# Entry of the lab guest: multiboot header, flat segments, an interrupt table with two live entries, then C.
# The loader leaves us in 32-bit protected mode without paging, interrupts off; %ebx holds its information block.

        .set    MAGIC, 0x1BADB002
        .set    FLAGS, 0x00000002               # ask for the memory size

        .section .multiboot, "a"
        .align  4
        .long   MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .global _start
_start:
        cld
        movl    $stack_top, %esp
        lgdt    gdt_pointer
        ljmp    $8, $1f
1:      movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %eax, %ss
        pushl   %ebx
        call    payload_main
2:      cli
        hlt
        jmp     2b

        .global timer_entry, disk_entry
timer_entry:
        pushal
        cld
        call    on_timer
        popal
        iretl
disk_entry:
        pushal
        cld
        call    on_disk
        popal
        iretl

        .section .rodata
        .align  8
gdt:    .quad   0
        .quad   0x00CF9A000000FFFF              # 8: code, base 0, limit 4 GiB
        .quad   0x00CF92000000FFFF              # 16: data, the same
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .bss
        .align  16
        .skip   16384
stack_top:

        .section .note.GNU-stack, "", @progbits
