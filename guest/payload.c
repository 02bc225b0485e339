/* The lab guest: a machine whose every acknowledged write can be checked from outside.
 *
 * It writes numbered records, each chained to the one before by its checksum: a block of bulk data, a flush, the
 * record, a flush, and only then the acknowledgement on the serial line. An arena in memory, changed by every record,
 * is hashed into the next, so memory that is lost, old, or from another copy shows on the disk. Before each record the
 * previous one is read back: memory that does not belong to this disk stops the guest instead of spoiling the evidence.
 *
 * Disk: slot i is SLOT_SECTORS sectors at i * SLOT_SECTORS; bulk first, then the record. executor/src/lab/log.rs reads
 * the same layout. */
#include "machine.h"

enum { SECTOR = 512, BULK = 4096, BULK_SECTORS = BULK / SECTOR, SLOT_SECTORS = 16, ARENA = 4096, RECORDS_PER_SECOND = 25 };
#define MAGIC 0x544E4344u /* "DCNT" */

struct record {
    uint32_t magic, sequence, epoch, nonce;     /* epoch: boots so far; nonce: tells two boots of one epoch apart */
    uint32_t previous, bulk, memory;            /* checksums: the record before, the bulk block, the arena */
    uint32_t memory_mb, vcpus, uptime_ms, stamp;
    uint32_t unused[116];
    uint32_t checksum;                          /* of everything above */
};
_Static_assert(sizeof(struct record) == SECTOR, "a record is one sector");

static uint32_t table[256], arena[ARENA];
static uint8_t bulk[BULK], read_back[SECTOR];
static uint8_t slot[BULK + SECTOR];
static struct record record;                    /* the last one known to be on the disk; all zero before the first */

static uint32_t checksum(const void *data, uint32_t bytes) {
    uint32_t crc = ~0u;
    for (const uint8_t *at = data; bytes--; at++) crc = table[(crc ^ *at) & 255] ^ crc >> 8;
    return ~crc;
}

static void fill_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
}

static void fill_bulk(uint32_t seed) {
    for (uint32_t i = 0; i < BULK / 4; i++) {
        seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5;
        ((uint32_t *)bulk)[i] = seed;
    }
}

static int is_record(const struct record *r, uint32_t sequence) {
    return r->magic == MAGIC && r->sequence == sequence && r->checksum == checksum(r, SECTOR - 4);
}

/* Walks the log to its end. Returns 0 when it holds together, else the number of the record that does not. */
static uint32_t check_log(void) {
    for (uint32_t sequence = 1; (sequence + 1) * SLOT_SECTORS <= disk_sectors(); sequence++) {
        const struct record *r = (const struct record *)(slot + BULK);
        if (disk_read(sequence * SLOT_SECTORS, slot, sizeof slot)) return sequence;
        if (!is_record(r, sequence)) return 0;
        if (r->previous != record.checksum || r->bulk != checksum(slot, BULK)) return sequence;
        record = *r;
    }
    return 0;
}

static int previous_is_still_there(void) {
    if (record.sequence == 0) return 1;
    if (disk_read(record.sequence * SLOT_SECTORS + BULK_SECTORS, read_back, SECTOR)) return 0;
    return ((struct record *)read_back)->checksum == record.checksum;
}

/* Writes the next record durably and says so. Returns 0, or -1 when the disk refused or is not ours. */
static int write_next(uint32_t epoch, uint32_t nonce) {
    if (!previous_is_still_there()) return -1;
    struct record next = record;
    uint32_t at = (record.sequence + 1) * SLOT_SECTORS;
    next.magic = MAGIC;
    next.sequence++;
    next.epoch = epoch;
    next.nonce = nonce;
    next.previous = record.checksum;
    next.stamp = timestamp();
    next.uptime_ms = ticks() * (1000 / TICKS_PER_SECOND);
    fill_bulk((nonce ^ next.sequence * 2654435761u) | 1);
    next.bulk = checksum(bulk, BULK);
    next.memory = checksum(arena, sizeof arena);
    next.checksum = checksum(&next, SECTOR - 4);
    if (disk_write(at, bulk, BULK) || disk_flush()) return -1;
    if (disk_write(at + BULK_SECTORS, &next, SECTOR) || disk_flush()) return -1;
    record = next;
    arena[record.sequence % ARENA] = record.checksum;
    say("ack");
    say_number("seq", record.sequence);
    say_number("epoch", epoch);
    say_hex("crc", record.checksum);
    say_hex("memory", record.memory);
    say_number("uptime_ms", record.uptime_ms);
    /* Once more: what a full disk has cut out of the log leaves no line that begins and ends alike. */
    say_number("end", record.sequence);
    say("\n");
    return 0;
}

static void sleep_until(uint32_t tick) {
    while ((int32_t)(tick - ticks()) > 0 && !is_to_end()) {
        mask();
        sleep_unmasked();
    }
}

static void sleep_for_good(void) {
    while (!is_to_end()) sleep_until(ticks() + TICKS_PER_SECOND);
    power_off();
    for (;;) { mask(); sleep_unmasked(); }
}

void payload_main(const uint32_t *multiboot) {
    uint8_t disk_irq = 0;
    fill_table();
    int no_disk = disk_init(&disk_irq);
    machine_init(disk_irq);
    if (no_disk) { say("broken reason=no-disk\n"); sleep_for_good(); }
    uint32_t broken = check_log(), epoch = record.epoch + 1, nonce = timestamp() ^ wall_clock() * 2654435761u;
    record.memory_mb = (multiboot[2] + 1024 + 1023) / 1024; /* counted from 1 MiB up, less what the firmware keeps */
    record.vcpus = vcpus();
    arena[0] = nonce;
    say("boot");
    say_number("epoch", epoch);
    say_hex("nonce", nonce);
    say_number("records", record.sequence);
    say_hex("last", record.checksum);
    say_number("memory_mb", record.memory_mb);
    say_number("vcpus", record.vcpus);
    say(broken ? " log=broken" : " log=whole");
    say("\n");
    if (broken) sleep_for_good();
    for (uint32_t next = ticks(); !is_to_end(); sleep_until(next)) {
        if ((record.sequence + 2) * SLOT_SECTORS > disk_sectors()) { say("full\n"); sleep_for_good(); }
        if (write_next(epoch, nonce)) {
            say("broken reason=disk");
            say_number("after", record.sequence);
            say("\n");
            sleep_for_good();
        }
        next += TICKS_PER_SECOND / RECORDS_PER_SECOND;
        if ((int32_t)(ticks() - next) > 0) next = ticks();
    }
    say("off");
    say_number("seq", record.sequence);
    say("\n");
    sleep_for_good();
}
