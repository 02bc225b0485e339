/* The few pieces of the `pc` machine the lab guest touches: ports, clock, serial line, power button, ACPI tables. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>

#define TICKS_PER_SECOND 100u

static inline void outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }
static inline void outw(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port)); }
static inline void outl(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static inline uint8_t inb(uint16_t port) { uint8_t v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint16_t inw(uint16_t port) { uint16_t v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint32_t inl(uint16_t port) { uint32_t v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint32_t timestamp(void) { uint32_t low, high; __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)); return low; }

/* machine.c */
void machine_init(uint8_t disk_irq);
uint32_t ticks(void);                   /* since this boot, 1/TICKS_PER_SECOND s; survives a suspend */
static inline void mask(void) { __asm__ volatile("cli" ::: "memory"); }
static inline void unmask(void) { __asm__ volatile("sti" ::: "memory"); }
void sleep_unmasked(void);              /* called masked: sleeps until the clock or the disk has something, then unmasked */
void say(const char *text);             /* to the serial line */
void say_number(const char *name, uint32_t value);
void say_hex(const char *name, uint32_t value);
int is_to_end(void);                    /* told so by its power button or at its keyboard */
void power_off(void);
uint32_t vcpus(void);
uint32_t wall_clock(void);              /* a number that changes every second */

/* disk.c: a legacy virtio block device; every call waits for the device */
int disk_init(uint8_t *irq);            /* 0, or -1 when there is none */
void disk_acknowledge(void);            /* from the interrupt */
uint32_t disk_sectors(void);
int disk_read(uint32_t sector, void *data, uint32_t bytes);
int disk_write(uint32_t sector, const void *data, uint32_t bytes);
int disk_flush(void);

/* The compiler emits calls to these even without a library. */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

#endif
