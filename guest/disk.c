/* A legacy ("0.9") virtio block device on PCI bus 0: one request in flight, completion awaited asleep. */
#include "machine.h"

enum { FEATURES = 0, ACCEPTED = 4, QUEUE_PAGE = 8, QUEUE_SIZE = 12, QUEUE_SELECT = 14, NOTIFY = 16, STATUS = 18, ISR = 19, CAPACITY = 20 };
enum { CAN_FLUSH = 1 << 9, READ = 0, WRITE = 1, FLUSH = 4, NEXT = 1, DEVICE_WRITES = 2 };
/* The device says how many entries its ring has, and a legacy driver must take that: 256 on QEMU 7.2, 1024 since 10.0. */
enum { RING_MAX = 1024, PAGE = 4096, RING_BYTES = 16 * RING_MAX + 2 * (3 + RING_MAX) + PAGE + 8 * RING_MAX + 6 };

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct request { uint32_t type, reserved; uint64_t sector; };

static uint8_t ring[RING_BYTES] __attribute__((aligned(PAGE)));
static uint16_t base, ring_size, seen;
static uint32_t sectors;
static struct request request;
static volatile uint8_t verdict;

static uint32_t pci_read(uint32_t device, uint32_t offset) {
    outl(0xCF8, 0x80000000u | device << 11 | offset);
    return inl(0xCFC);
}

static void pci_write(uint32_t device, uint32_t offset, uint32_t value) {
    outl(0xCF8, 0x80000000u | device << 11 | offset);
    outl(0xCFC, value);
}

int disk_init(uint8_t *irq) {
    uint32_t device = 0;
    while (device < 32 && pci_read(device, 0) != 0x10011AF4) device++;
    if (device == 32) return -1;
    pci_write(device, 4, pci_read(device, 4) | 5);      /* answer on ports, read and write our memory */
    base = (uint16_t)(pci_read(device, 16) & ~3u);
    *irq = (uint8_t)pci_read(device, 60);
    outb(base + STATUS, 0);
    outb(base + STATUS, 3);
    if (!(inl(base + FEATURES) & CAN_FLUSH)) return -1; /* an acknowledgement without a flush would be a lie */
    outl(base + ACCEPTED, CAN_FLUSH);
    outw(base + QUEUE_SELECT, 0);
    ring_size = inw(base + QUEUE_SIZE);
    if (ring_size == 0 || ring_size > RING_MAX) return -1;
    outl(base + QUEUE_PAGE, (uint32_t)ring / PAGE);
    outb(base + STATUS, 7);
    sectors = inl(base + CAPACITY);
    return 0;
}

void disk_acknowledge(void) { (void)inb(base + ISR); }

uint32_t disk_sectors(void) { return sectors; }

static int transfer(uint32_t type, uint32_t sector, void *data, uint32_t bytes) {
    struct descriptor *d = (struct descriptor *)ring;
    volatile uint16_t *available = (volatile uint16_t *)(ring + 16 * ring_size);
    uint32_t used_at = (16u * ring_size + 2u * (3u + ring_size) + PAGE - 1u) & ~(PAGE - 1u);
    volatile uint16_t *used = (volatile uint16_t *)(ring + used_at);
    uint16_t last = bytes ? 2 : 1;
    request = (struct request){ type, 0, sector };
    verdict = 0xFF;
    d[0] = (struct descriptor){ (uint32_t)&request, sizeof request, NEXT, 1 };
    d[1] = (struct descriptor){ (uint32_t)data, bytes, NEXT | (type == READ ? DEVICE_WRITES : 0), 2 };
    d[last] = (struct descriptor){ (uint32_t)&verdict, 1, DEVICE_WRITES, 0 };
    available[2 + available[1] % ring_size] = 0;
    __asm__ volatile("" ::: "memory");
    available[1]++;
    __asm__ volatile("" ::: "memory");
    outw(base + NOTIFY, 0);
    for (mask(); used[1] == seen; mask()) sleep_unmasked();
    unmask();
    seen++;
    return verdict == 0 ? 0 : -1;
}

int disk_read(uint32_t sector, void *data, uint32_t bytes) { return transfer(READ, sector, data, bytes); }
int disk_write(uint32_t sector, const void *data, uint32_t bytes) { return transfer(WRITE, sector, (void *)data, bytes); }
int disk_flush(void) { return transfer(FLUSH, 0, NULL, 0); }
