/* counter.c: adds up modelled cycles while a program runs on the CPU emulator. Compiled on first use and called by the
 * emulator at the start of every basic block; counter.py holds the same in Python, and the layout of counter_t.
 *
 * A block's cost is a difference of prefix sums over its instructions. To it comes the branch that led to it: the refill
 * of the pipeline, and what its first instruction loses by not following its neighbour. Flash that makes the core wait
 * is read in units, through a cache for code and one for data; without caches, each taken branch and each load waits,
 * and fetches in sequence are taken to be prefetched. */
#include <stddef.h>
#include <stdint.h>

enum { STOP_NONE = 0, STOP_LIMIT = 1, STOP_UNALIGNED = 2, STOP_FOREIGN_CODE = 3, STOP_ILLEGAL = 4 };
/* unicorn's numbers */
enum { REGISTER_PC = 11, REGISTER_R0 = 66, REGISTER_XPSR = 120, ACCESS_READ = 16 };
enum { NO_LAYER = 0, MOST_LINES = 64 };
#define IT_BITS 0x0600FC00u /* of the program status register: the state of an IT block */

/* Machine code of one section; every array has an entry per halfword. */
typedef struct {
    uint32_t address, halfwords;
    const uint64_t *cycles_before;       /* prefix sums, halfwords + 1 entries */
    const uint64_t *instructions_before; /* likewise */
    const uint64_t *illegal_before;      /* likewise: instructions that the core does not have */
    const uint64_t *conditional_before;  /* likewise: IT and the instructions that it governs */
    const int8_t *entry_extra;           /* first instruction of a block that a branch leads to */
    const uint8_t *taken_extra;          /* by the halfword AFTER the branch: halfwords + 1 entries */
    const uint8_t *multiword;            /* loads and stores of several words: must be aligned on every core */
    const uint8_t *is_network;           /* the code between the layers */
    uint64_t *spent;                     /* cycles of the blocks that start here */
} window_t;

/* Fully associative, the line that was used longest ago is replaced; a line fills unit by unit. */
typedef struct {
    uint32_t lines, clock, last_unit;
    uint32_t line[MOST_LINES], used[MOST_LINES], filled[MOST_LINES]; /* filled: a bit per unit, 0 for a free line */
} cache_t;

typedef int (*reg_read_t)(void *uc, int id, void *value);
typedef int (*reg_write_t)(void *uc, int id, const void *value);
typedef int (*stop_t)(void *uc);

typedef struct {
    reg_read_t reg_read;
    reg_write_t reg_write;
    stop_t stop;
    uint64_t cycles, instructions, limit; /* limit in instructions */
    uint64_t unaligned;
    uint32_t windows, next_address, layer, previous_is_network;
    uint32_t flash_start, flash_end, wait_states, unit_bytes, line_bytes, strict_alignment;
    uint32_t stop_reason, stop_address, stop_pc, pending;
    uint32_t block_window, block_start, block_end, keys; /* block in halfwords of its window */
    int32_t block_is_conditional;
    const uint32_t *key_address;                          /* sorted: the constants that layers pass in r0 */
    const uint32_t *key_layer;
    uint64_t *layer_cycles; /* [0] is what belongs to no layer */
    window_t *window;
    cache_t code, data;
} counter_t;

static void stop(counter_t *counter, void *uc, uint32_t reason, uint32_t address, uint32_t pc)
{
    counter->stop_reason = reason;
    counter->stop_address = address;
    counter->stop_pc = pc;
    counter->stop(uc);
}

static uint32_t layer_of(const counter_t *counter, uint32_t key)
{
    uint32_t low = 0, high = counter->keys;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (counter->key_address[middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < counter->keys && counter->key_address[low] == key ? counter->key_layer[low] : NO_LAYER;
}

static window_t *window_of(counter_t *counter, uint32_t address)
{
    for (uint32_t i = 0; i < counter->windows; ++i) {
        window_t *window = &counter->window[i];
        if (address - window->address < 2 * window->halfwords) {
            counter->block_window = i;
            return window;
        }
    }
    return NULL;
}

static void spend(counter_t *counter, uint64_t cycles)
{
    counter->cycles += cycles;
    counter->layer_cycles[counter->layer] += cycles;
    counter->window[counter->block_window].spent[counter->block_start] += cycles;
}

/* Cycles that a read of one unit of flash waits. */
static uint32_t read_unit(const counter_t *counter, cache_t *cache, uint32_t unit)
{
    const uint32_t units_per_line = counter->line_bytes / counter->unit_bytes;
    const uint32_t line = unit / units_per_line, bit = 1u << unit % units_per_line;
    uint32_t oldest = 0;
    if (unit == cache->last_unit) {
        return 0;
    }
    cache->last_unit = unit;
    ++cache->clock;
    for (uint32_t i = 0; i < cache->lines; ++i) {
        if (cache->filled[i] != 0 && cache->line[i] == line) {
            const int hit = (cache->filled[i] & bit) != 0;
            cache->used[i] = cache->clock;
            cache->filled[i] |= bit;
            return hit ? 0 : counter->wait_states;
        }
        if (cache->used[i] < cache->used[oldest]) {
            oldest = i;
        }
    }
    cache->line[oldest] = line;
    cache->used[oldest] = cache->clock;
    cache->filled[oldest] = bit;
    return counter->wait_states;
}

/* Cycles that reads of bytes [address, address + bytes) of flash wait. */
static uint32_t flash_waits(const counter_t *counter, cache_t *cache, uint32_t address, uint32_t bytes)
{
    uint32_t waits = 0;
    if (counter->wait_states == 0 || address - counter->flash_start >= counter->flash_end - counter->flash_start) {
        return 0;
    }
    for (uint32_t unit = address / counter->unit_bytes; unit <= (address + bytes - 1) / counter->unit_bytes; ++unit) {
        waits += read_unit(counter, cache, unit);
    }
    return waits;
}

void qmkit_on_block(void *uc, uint64_t address64, uint32_t size, void *user)
{
    counter_t *counter = user;
    const uint32_t address = (uint32_t)address64;
    window_t *window = window_of(counter, address);
    if (window == NULL) {
        stop(counter, uc, STOP_FOREIGN_CODE, address, address);
        return;
    }
    const uint32_t start = (address - window->address) / 2;
    const uint32_t rest = window->halfwords - start;
    const uint32_t end = start + (size / 2 < rest ? size / 2 : rest);
    const uint32_t is_network = window->is_network[start];
    int64_t cost = (int64_t)(window->cycles_before[end] - window->cycles_before[start]);

    if (is_network) {
        counter->layer = NO_LAYER;
    } else if (counter->previous_is_network && counter->keys) {
        uint32_t key = 0;
        counter->reg_read(uc, REGISTER_R0, &key);
        counter->layer = layer_of(counter, key);
    }
    counter->previous_is_network = is_network;
    counter->block_start = start;
    counter->block_end = end;
    if (address != counter->next_address) {
        cost += (int64_t)counter->pending + window->entry_extra[start];
        cost += counter->code.lines == 0 ? counter->wait_states : 0;
    }
    if (counter->code.lines != 0) {
        cost += flash_waits(counter, &counter->code, address, size);
    }
    counter->block_is_conditional = window->conditional_before[end] != window->conditional_before[start];
    counter->next_address = address + size;
    counter->pending = window->taken_extra[end];
    spend(counter, (uint64_t)cost);
    counter->instructions += window->instructions_before[end] - window->instructions_before[start];
    if (window->illegal_before[end] != window->illegal_before[start]) {
        stop(counter, uc, STOP_ILLEGAL, address, address);
    } else if (counter->instructions > counter->limit) {
        stop(counter, uc, STOP_LIMIT, address, address);
    }
}

/* The emulator restores its state before this call, the state of an IT block too, which its translated code takes to be
 * clear: the next block would begin conditionally. */
static void clear_it_state(counter_t *counter, void *uc)
{
    uint32_t status = 0;
    counter->reg_read(uc, REGISTER_XPSR, &status);
    if ((status & IT_BITS) != 0) {
        status &= ~IT_BITS;
        counter->reg_write(uc, REGISTER_XPSR, &status);
    }
}

/* Unaligned: a fault for several words at once, and on cores without such accesses. Others cost a load more cycles (TRM
 * of the Cortex-M4, 3.3.2: one, or two for a word at an odd address); a store goes through the write buffer. */
static void on_unaligned(counter_t *counter, void *uc, int is_load, uint32_t address, uint32_t size)
{
    const window_t *window = &counter->window[counter->block_window];
    uint32_t pc = 0, index;
    counter->reg_read(uc, REGISTER_PC, &pc);
    index = (pc - window->address) / 2;
    if (counter->strict_alignment) {
        stop(counter, uc, STOP_UNALIGNED, address, pc);
    } else if (index < window->halfwords && window->multiword[index]) {
        if ((address & 3) != 0) {
            stop(counter, uc, STOP_UNALIGNED, address, pc);
        }
    } else {
        ++counter->unaligned;
        spend(counter, !is_load ? 0 : size == 4 && (address & 1) != 0 ? 2 : 1);
    }
}

void qmkit_on_access(void *uc, int type, uint64_t address64, int size, int64_t value, void *user)
{
    counter_t *counter = user;
    const uint32_t address = (uint32_t)address64;
    const int is_load = type == ACCESS_READ;
    (void)value;
    if (counter->block_is_conditional) {
        clear_it_state(counter, uc);
    }
    if (is_load && counter->wait_states != 0) {
        const int is_flash = address - counter->flash_start < counter->flash_end - counter->flash_start;
        if (counter->data.lines != 0) {
            spend(counter, flash_waits(counter, &counter->data, address, (uint32_t)size));
        } else if (is_flash) {
            spend(counter, counter->wait_states);
        }
    }
    if ((address & ((uint32_t)size - 1)) != 0) {
        on_unaligned(counter, uc, is_load, address, (uint32_t)size);
    }
}
