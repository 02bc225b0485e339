/* Clock, serial line, power button and ACPI tables of the `pc` machine. Interrupts only wake us; all work is polled. */
#include "machine.h"

enum { KEYBOARD = 0x60, KEY_Q = 0x10, KEY_D = 0x20 };
enum { COM1 = 0x3F8, PIC1 = 0x20, PIC2 = 0xA0, PIT = 0x40, CMOS = 0x70 };
/* PIIX4 power management as the firmware places it for `-M pc`. */
enum { PM1_STATUS = 0x600, PM1_ENABLE = 0x602, PM1_CONTROL = 0x604, POWER_BUTTON = 1 << 8, SLEEP_NOW = 1 << 13 };

void timer_entry(void);
void disk_entry(void);

static struct { uint16_t low, selector, type, high; } idt[48];
static volatile uint32_t clock_ticks;

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

void on_timer(void) {
    clock_ticks++;
    outb(PIC1, 0x20);
}

void on_disk(void) {
    disk_acknowledge();
    outb(PIC2, 0x20);
    outb(PIC1, 0x20);
}

static void set_gate(int vector, void (*entry)(void)) {
    uint32_t at = (uint32_t)entry;
    idt[vector].low = (uint16_t)at;
    idt[vector].selector = 8;
    idt[vector].type = 0x8E00;
    idt[vector].high = (uint16_t)(at >> 16);
}

void machine_init(uint8_t disk_irq) {
    outb(COM1 + 3, 0x03);               /* 8 bits, no parity */
    outb(COM1 + 1, 0x00);
    outb(PIC1, 0x11); outb(PIC1 + 1, 32); outb(PIC1 + 1, 4); outb(PIC1 + 1, 1);
    outb(PIC2, 0x11); outb(PIC2 + 1, 40); outb(PIC2 + 1, 2); outb(PIC2 + 1, 1);
    uint16_t open = (uint16_t)(1u << 0 | 1u << 2 | 1u << disk_irq);
    outb(PIC1 + 1, (uint8_t)~open);
    outb(PIC2 + 1, (uint8_t)~(open >> 8));
    set_gate(32, timer_entry);
    set_gate(32 + disk_irq, disk_entry);
    struct { uint16_t limit; uint32_t base; } __attribute__((packed)) pointer = { sizeof idt - 1, (uint32_t)idt };
    __asm__ volatile("lidt %0" ::"m"(pointer));
    uint16_t divisor = 1193182 / TICKS_PER_SECOND;
    outb(PIT + 3, 0x34); outb(PIT, (uint8_t)divisor); outb(PIT, (uint8_t)(divisor >> 8));
    outw(PM1_ENABLE, POWER_BUTTON);     /* without it the machine drops the event */
    __asm__ volatile("sti");
}

uint32_t ticks(void) { return clock_ticks; }

/* `sti` takes effect after the next instruction, so an interrupt between the caller's look and the sleep still wakes us. */
void sleep_unmasked(void) { __asm__ volatile("sti; hlt" ::: "memory"); }

void say(const char *text) {
    for (; *text; text++) {
        while (!(inb(COM1 + 5) & 0x20)) { }
        outb(COM1, (uint8_t)*text);
    }
}

static void say_in_base(const char *name, uint32_t value, uint32_t base) {
    char digits[12], *at = digits + sizeof digits - 1;
    *at = 0;
    do *--at = "0123456789abcdef"[value % base]; while (value /= base);
    say(" ");
    say(name);
    say("=");
    say(at);
}

void say_number(const char *name, uint32_t value) { say_in_base(name, value, 10); }
void say_hex(const char *name, uint32_t value) { say_in_base(name, value, 16); }

/* Its user sits at the keyboard: `q` shuts the machine down, from `d` on it is deaf to its power button. */
int is_to_end(void) {
    static int over, deaf;
    while (inb(KEYBOARD + 4) & 1) {
        uint8_t key = inb(KEYBOARD);
        over |= key == KEY_Q;
        deaf |= key == KEY_D;
    }
    return over || (!deaf && (inw(PM1_STATUS) & POWER_BUTTON));
}

void power_off(void) {
    outw(PM1_STATUS, POWER_BUTTON);
    outw(PM1_CONTROL, SLEEP_NOW);       /* sleep type 0 is "soft off" on this chip */
}

static uint8_t cmos(uint8_t index) { outb(CMOS, index); return inb(CMOS + 1); }
uint32_t wall_clock(void) { return (uint32_t)cmos(7) << 24 | (uint32_t)cmos(4) << 16 | (uint32_t)cmos(2) << 8 | cmos(0); }

static int same(const char *a, const char *b, int n) {
    for (int i = 0; i < n; i++) if (a[i] != b[i]) return 0;
    return 1;
}

/* Counts the enabled processors of the MADT ("APIC") table: what an operating system would start. */
uint32_t vcpus(void) {
    const char *rsdp = (const char *)0xE0000;
    while (rsdp < (const char *)0xFFFF0 && !same(rsdp, "RSD PTR ", 8)) rsdp += 16;
    if (rsdp >= (const char *)0xFFFF0) return 0;
    const char *rsdt = *(const char *const *)(rsdp + 16);
    uint32_t entries = (*(const uint32_t *)(rsdt + 4) - 36) / 4, count = 0;
    for (uint32_t i = 0; i < entries; i++) {
        const char *table = ((const char *const *)(rsdt + 36))[i];
        if (!same(table, "APIC", 4)) continue;
        const char *end = table + *(const uint32_t *)(table + 4);
        for (const char *at = table + 44; at < end && at[1]; at += (uint8_t)at[1])
            if (at[0] == 0 && (at[4] & 1)) count++;
    }
    return count;
}
