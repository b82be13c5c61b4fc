/* depthwise_planes.c: planes of row pairs, their windows and staged values, on Cortex-M with the DSP extension.
 *
 * Two products at a time by SMLAD. For windows of three columns and rows at stride 1, everything that a row of outputs
 * needs is in registers: 14 cycles for an output on a line, 19 for one of two roundings, the loop's own left out. Rows
 * of a channel whose windows begin alike, with the upper row of a pair or the lower one, follow one another. */
#include "../../core/planes.h"
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP
#include "assembly.h"

/* --- two rows of four channels become words of two lanes --- */

/* r0: rows, r1: columns, r2: step, r3: out. r4, r5: pixels of both rows, r6, r7: bytes from pixel to pixel. */
#define PAIR_STORE "str r8, [r3]\n str r9, [r3, #4]\n str r10, [r3, #8]\n str r11, [r3, #12]\n add r3, r3, r2\n"

#define PAIR_LOAD(instruction)                                                                                         \
    instruction " r8, [r4]\n" instruction " r9, [r5]\n add r4, r4, r6\n add r5, r5, r7\n"

#define PAIR_8                                                                                                         \
    PAIR_LOAD("ldr")                                                                                                   \
    "pkhbt r10, r8, r9, lsl #16\n pkhtb r11, r9, r8, asr #16\n sxtb16 r8, r10\n sxtb16 r9, r10, ror #8\n"              \
    "sxtb16 r10, r11\n sxtb16 r11, r11, ror #8\n" PAIR_STORE

/* Columns of padding, whose number is at r0 + `at`. */
#define PAIR_PAD(at)                                                                                                   \
    "ldr r1, [r0, #" #at "]\n cbz r1, 5f\n ldr r8, [r0, #28]\n mov r9, r8\n mov r10, r8\n mov r11, r8\n"               \
    "4:" PAIR_STORE "subs r1, r1, #1\n bne 4b\n 5:\n"
#define PAIR_BEGIN                                                                                                     \
    "push {r4-r11, lr}\n ldm r0, {r4-r7}\n mov r3, r2\n lsl r2, r1, #2\n" PAIR_PAD(16) "ldr r1, [r0, #20]\n"
#define PAIR_END "3:\n" PAIR_PAD(24) "pop {r4-r11, pc}\n"

/* One pixel first where their number is odd. */
#define PAIR_LOOP(body)                                                                                                \
    "lsrs r1, r1, #1\n bcc 2f\n" body "2: cbz r1, 3f\n 1:\n" body body "subs r1, r1, #1\n bne 1b\n" PAIR_END

#define PAIR_FUNCTION(name, body)                                                                                      \
    static __attribute__((naked)) void name(const qmcu_row_pair_t *rows, int32_t step, uint32_t *out)                  \
    {                                                                                                                  \
        __asm volatile(PAIR_BEGIN body);                                                                               \
    }

PAIR_FUNCTION(pair_8, PAIR_LOOP(PAIR_8))

/* Into columns of QMCU_COLUMN_PAIRS pairs, from rows whose pixels are equally far apart. */
#define PAIR_WORDS(upper, lower, spare, other)                                                                         \
    "pkhbt " spare ", " upper ", " lower ", lsl #16\n pkhtb " lower ", " lower ", " upper ", asr #16\n"                \
    "sxtb16 " upper ", " spare "\n sxtb16 " spare ", " spare ", ror #8\n"                                              \
    "sxtb16 " other ", " lower "\n sxtb16 " lower ", " lower ", ror #8\n"                                              \
    "str " spare ", [r3, #4]\n str " other ", [r3, #8]\n str " lower ", [r3, #12]\n str " upper ", [r3], #64\n"

PAIR_FUNCTION(pair_8_in_fours,
              "lsrs r1, r1, #1\n bcc 2f\n ldr r8, [r4]\n ldr r9, [r5]\n add r4, r4, r6\n add r5, r5, r6\n"
              PAIR_WORDS("r8", "r9", "r7", "r12")
              "2: cbz r1, 3f\n lsl lr, r6, #1\n 1:\n"
              "ldr r8, [r4]\n ldr r9, [r5]\n ldr r10, [r4, r6]\n ldr r11, [r5, r6]\n add r4, r4, lr\n add r5, r5, lr\n"
              PAIR_WORDS("r8", "r9", "r7", "r12") PAIR_WORDS("r10", "r11", "r7", "r12")
              "subs r1, r1, #1\n bne 1b\n" PAIR_END)

#if QMCU_PACKED
/* The lowest `bits` of both halfwords, with the mask in r12. */
#define PAIR_PACKED(bits, load)                                                                                        \
    PAIR_LOAD(load)                                                                                                    \
    "orr r11, r8, r9, lsl #16\n and r8, r12, r11\n and r9, r12, r11, lsr #" #bits "\n"                                 \
    "and r10, r12, r11, lsr #2*" #bits "\n and r11, r12, r11, lsr #3*" #bits "\n" PAIR_STORE

PAIR_FUNCTION(pair_4, "mov r12, #0x000f000f\n" PAIR_LOOP(PAIR_PACKED(4, "ldrh")))
PAIR_FUNCTION(pair_2, "mov r12, #0x00030003\n" PAIR_LOOP(PAIR_PACKED(2, "ldrb")))
#else
#define pair_4 pair_8
#define pair_2 pair_8
#endif

/* Called through a table: compilers must not reason about registers from what they see of an assembly function. */
typedef void pair_t(const qmcu_row_pair_t *rows, int32_t step, uint32_t *out);

void qmcu_pair_rows__dsp(const qmcu_row_pair_t *rows, int32_t step, uint32_t *out)
{
    static pair_t *const by_bits[4] = {pair_2, pair_4, pair_8, pair_8_in_fours};
    const int is_quick = step == QMCU_COLUMN_PAIRS * QMCU_BLOCK && rows->pixel_bytes[0] == rows->pixel_bytes[1];
    by_bits[rows->bits == 8 && is_quick ? 3 : rows->bits >> 2](rows, step, out);
}

/* --- lanes and weights of windows of three columns and rows --- */

#define LOAD_3(a, b, c) "ldrsb " a ", [r0], #1\n ldrsb " b ", [r0], #1\n ldrsb " c ", [r0], #1\n"
#define SCALE_3(a, b, c) "mul " a ", " a ", r12\n mul " b ", " b ", r12\n mul " c ", " c ", r12\n"
#define BOTH(to, low, high) "pkhbt " to ", " low ", " high ", lsl #16\n"

__attribute__((naked)) void qmcu_planes_lanes_3__dsp(const int8_t *taps, const int32_t *lane, int32_t channels,
                                                     uint32_t *out)
{
    /* r4 to r6: the first row, r7 to r9: the second, r10, r11, lr: the third */
    __asm volatile("push {r4-r11, lr}\n 1:\n ldm r1!, {r4-r6, r12}\n stm r3!, {r4-r6, r12}\n add r7, r3, #20\n"
                   "stm r7, {r4-r6, r12}\n asr r12, r12, #8\n"
                   LOAD_3("r4", "r5", "r6") LOAD_3("r7", "r8", "r9") LOAD_3("r10", "r11", "lr")
                   SCALE_3("r4", "r5", "r6") SCALE_3("r7", "r8", "r9") SCALE_3("r10", "r11", "lr")
                   BOTH("r12", "r4", "r5") "str r12, [r3, #48]\n uxth r12, r6\n str r12, [r3, #52]\n"
                   BOTH("r4", "r4", "r7") BOTH("r5", "r5", "r8") BOTH("r6", "r6", "r9")
                   BOTH("r7", "r7", "r10") BOTH("r8", "r8", "r11") BOTH("r9", "r9", "lr")
                   BOTH("r10", "r10", "r11") "uxth r11, lr\n"
                   "str r4, [r3], #4\n str r5, [r3], #4\n str r6, [r3], #4\n str r10, [r3], #4\n str r11, [r3], #20\n"
                   "stm r3!, {r7-r9}\n add r3, r3, #8\n subs r2, r2, #1\n bne 1b\n pop {r4-r11, pc}\n");
}

/* --- windows of three columns and three rows ---
 *
 * r0: plane, r1: out, r2: pitch; r3, r4, r5: weights of two rows, for columns 0, 1, 2; of the third row, r6: columns 0
 * and 1, r7: column 2; r8, r9: the two words of a column; r12: multiplier. Sums are under way, in r10, r11 and lr, of
 * the outputs whose last, middle and first column this is. */

#define COLUMN "ldr r9, [r0, #16]\n ldr r8, [r0], #64\n"

/* Windows that begin with the upper row of a pair: two rows in r8, the third in the lower half of r9. */
#define EVEN_FIRST(to, from) "smlad " to ", r8, r3, " from "\n smlabb " to ", r9, r6, " to "\n"
#define EVEN_SECOND(to) "smlad " to ", r8, r4, " to "\n smlabt " to ", r9, r6, " to "\n"
#define EVEN_THIRD(to) "smlad " to ", r8, r5, " to "\n smlabb " to ", r9, r7, " to "\n"
/* With the lower row: the first one in the upper half of r8, two in r9. */
#define ODD_FIRST(to, from) "smlad " to ", r9, r3, " from "\n smlatb " to ", r8, r6, " to "\n"
#define ODD_SECOND(to) "smlad " to ", r9, r4, " to "\n smlatt " to ", r8, r6, " to "\n"
#define ODD_THIRD(to) "smlad " to ", r9, r5, " to "\n smlatb " to ", r8, r7, " to "\n"

/* Slots: where outputs of the row end, and after the last row; the same from a row's plane on; from there and from the
 * outputs' end to the next row; outputs that are not taken together; the description of all rows; words of this
 * channel; its number; bias, round and shift of two roundings, and single outputs that are left. */
#define END 0
#define LAST 1
#define SPAN 2
#define PLANE_BACK 3
#define OUT_BACK 4
#define SINGLES 5
#define ROWS 6
#define CHANNEL 7
#define PLACE 8
#define BIAS 9
#define ROUND 10
#define SHIFT 11
#define LOOP 12

/* Leaves the outputs of a channel in r10, and r2 is theirs: `first` bytes are read before the first output, 2^shift for
 * each. */
#define ROWS_BEGIN                                                                                                     \
    "push {r4-r11, lr}\n" QMCU_SPILL_BEGIN_16 QMCU_SPILL(ROWS, "r0") "ldr r8, [r0, #24]\n" QMCU_SPILL(CHANNEL, "r8")   \
    "mov r8, #0\n" QMCU_SPILL(PLACE, "r8") "ldr r10, [r0, #32]\n ldr r2, [r0, #36]\n ldr r8, [r0, #40]\n"              \
    "mls r8, r10, r2, r8\n" QMCU_SPILL(OUT_BACK, "r8")
#define SPANS(first, shift)                                                                                            \
    "mov r9, #" #first "\n add r9, r9, r10, lsl #" #shift "\n" QMCU_SPILL(SPAN, "r9") "rsb r9, r9, #16\n"               \
    QMCU_SPILL(PLANE_BACK, "r9") QMCU_SPILL(SINGLES, "r10")
#define MODULO_3 "mov r8, #3\n udiv r11, r10, r8\n mls r8, r11, r8, r10\n" QMCU_SPILL(SINGLES, "r8")

/* The rows of one parity: where they are is at r0 + `at`. The channel's words are at r8, the next ones then. */
#define LINE_CHANNEL "ldrd lr, r12, [r8], #16\n ldm r8!, {r3-r7}\n"
#define TWICE_CHANNEL                                                                                                  \
    "ldm r8!, {r3, r4, r5, r6}\n" QMCU_SPILL(BIAS, "r3") "mov r12, r4\n" QMCU_SPILL(ROUND, "r5")                       \
    QMCU_SPILL(SHIFT, "r6") "ldm r8!, {r3-r7}\n"
#define PARITY_BEGIN(at, channel)                                                                                      \
    QMCU_FILL("r8", ROWS) QMCU_FILL("r10", PLACE) "add r9, r8, #" #at "\n ldm r9, {r0, r1, r9}\n"                      \
    "add r0, r0, r10, lsl #2\n add r1, r1, r10\n" QMCU_FILL("r8", CHANNEL) channel QMCU_SPILL(CHANNEL, "r8")           \
    "cmp r9, #0\n beq.w 9f\n" QMCU_FILL("r8", SPAN) "add r8, r8, r0\n" QMCU_SPILL(END, "r8")                           \
    "add r9, r8, r9, lsl #4\n" QMCU_SPILL(LAST, "r9")
#define ROW_BEGIN(bias) "5:\n" bias
#define ROW_END                                                                                                        \
    "4: add r8, r0, #16\n" QMCU_FILL("r9", PLANE_BACK) QMCU_FILL("r10", OUT_BACK) QMCU_SPILL(END, "r8")                \
    "add r0, r0, r9\n add r1, r1, r10\n" QMCU_FILL("r9", LAST) "cmp r8, r9\n bne.w 5b\n 9:\n"
#define ROWS_END                                                                                                       \
    QMCU_FILL("r8", PLACE) QMCU_FILL("r9", ROWS) "add r8, r8, #1\n ldr r9, [r9, #28]\n" QMCU_SPILL(PLACE, "r8")        \
    "cmp r8, r9\n bne.w 6b\n" QMCU_SPILL_END_16 "pop {r4-r11, pc}\n"

/* r8 and r9 are free once the column's sums are there. */
#define LINE_STORE(sum)                                                                                                \
    "smmul " sum ", " sum ", r12\n ssat " sum ", #8, " sum ", asr #10\n strb " sum ", [r1]\n add r1, r1, r2\n"
#define TWICE_STORE(sum)                                                                                               \
    QMCU_FILL("r8", ROUND) "smmlar r9, " sum ", r12, r8\n" QMCU_FILL("r8", SHIFT) "add r9, r9, " sum                   \
    ", asr #31\n asr r9, r9, r8\n ssat r9, #8, r9\n strb r9, [r1]\n add r1, r1, r2\n"

/* One output each: `a` gets its last column. */
#define LINE_1(kind, a, b) COLUMN kind##_THIRD(a) kind##_SECOND(b) LINE_STORE(a) kind##_FIRST(a, "lr")
#define TWICE_1(kind, a, b, c)                                                                                         \
    COLUMN kind##_THIRD(a) kind##_SECOND(b) QMCU_FILL(c, BIAS) kind##_FIRST(c, c) TWICE_STORE(a)
#define LINE_2(kind, a, b) COLUMN kind##_SECOND(a) COLUMN kind##_THIRD(a) kind##_FIRST(b, "lr") LINE_STORE(a)
#define TWICE_2(kind, a, b)                                                                                            \
    COLUMN kind##_SECOND(a) COLUMN kind##_THIRD(a) QMCU_FILL(b, BIAS) kind##_FIRST(b, b) TWICE_STORE(a)

/* As many outputs at a time as the block takes. */
#define BLOCKS(block)                                                                                                  \
    QMCU_FILL("r8", END) "cmp r0, r8\n beq 4f\n 3:\n" block QMCU_FILL("r8", END) "cmp r0, r8\n bne 3b\n"
/* An output alone, if their number is odd; or one, two and four, as there are more than eights. */
#define ODD_ONE(single) QMCU_FILL("r8", SINGLES) "lsls r8, r8, #31\n beq 1f\n" single "1:\n"
#define UP_TO_7(single, two, four)                                                                                     \
    QMCU_FILL("r8", SINGLES) "lsls r8, r8, #29\n beq.w 3f\n bpl 1f\n" four                                               \
    "1:" QMCU_FILL("r8", SINGLES) "lsls r8, r8, #30\n bpl 1f\n" two                                                    \
    "1:" QMCU_FILL("r8", SINGLES) "lsls r8, r8, #31\n beq 2f\n" single "2:\n"

#define LINE_TWO(kind) LINE_1(kind, "r10", "r11") LINE_1(kind, "r11", "r10")
#define LINE_FOUR(kind) LINE_TWO(kind) LINE_TWO(kind)
#define LINE_ROWS_1(kind, at)                                                                                          \
    PARITY_BEGIN(at, LINE_CHANNEL) ROW_BEGIN("")                                                                       \
    COLUMN kind##_FIRST("r10", "lr") COLUMN kind##_SECOND("r10") kind##_FIRST("r11", "lr")                             \
    UP_TO_7(LINE_1(kind, "r10", "r11") "mov r8, r10\n mov r10, r11\n mov r11, r8\n", LINE_TWO(kind), LINE_FOUR(kind))  \
    BLOCKS(LINE_FOUR(kind) LINE_FOUR(kind)) ROW_END

#define TWICE_ROWS_1(kind, at)                                                                                         \
    PARITY_BEGIN(at, TWICE_CHANNEL) ROW_BEGIN(QMCU_FILL("lr", BIAS))                                                   \
    COLUMN kind##_FIRST("r10", "lr") COLUMN kind##_SECOND("r10") kind##_FIRST("r11", "lr")                             \
    QMCU_FILL("r8", SINGLES) "1: subs r8, r8, #1\n blt 2f\n" QMCU_SPILL(LOOP, "r8")                                      \
    TWICE_1(kind, "r10", "r11", "lr") "mov r10, r11\n mov r11, lr\n" QMCU_FILL("r8", LOOP) "b 1b\n 2:\n"               \
    BLOCKS(TWICE_1(kind, "r10", "r11", "lr") TWICE_1(kind, "r11", "lr", "r10") TWICE_1(kind, "lr", "r10", "r11"))      \
    ROW_END

#define LINE_ROWS_2(at)                                                                                                \
    PARITY_BEGIN(at, LINE_CHANNEL) ROW_BEGIN("") COLUMN EVEN_FIRST("r10", "lr")                                        \
    ODD_ONE(LINE_2(EVEN, "r10", "r11") "mov r10, r11\n")                                                               \
    BLOCKS(LINE_2(EVEN, "r10", "r11") LINE_2(EVEN, "r11", "r10")) ROW_END

#define TWICE_ROWS_2(at)                                                                                               \
    PARITY_BEGIN(at, TWICE_CHANNEL) ROW_BEGIN(QMCU_FILL("lr", BIAS)) COLUMN EVEN_FIRST("r10", "lr")                    \
    ODD_ONE(TWICE_2(EVEN, "r10", "r11") "mov r10, r11\n")                                                              \
    BLOCKS(TWICE_2(EVEN, "r10", "r11") TWICE_2(EVEN, "r11", "r10")) ROW_END

/* Past the words of windows that begin with a lower row: there are none at stride 2. */
#define NO_ODD_ROWS QMCU_FILL("r8", CHANNEL) "add r8, r8, #36\n" QMCU_SPILL(CHANNEL, "r8")

typedef void rows_t(const qmcu_planes_rows_t *rows);

#define ROWS_FUNCTION(name, body)                                                                                      \
    static __attribute__((naked)) void name(const qmcu_planes_rows_t *rows)                                            \
    {                                                                                                                  \
        __asm volatile(body ROWS_END);                                                                                 \
    }

ROWS_FUNCTION(line_1, ROWS_BEGIN SPANS(128, 6) "6:\n" LINE_ROWS_1(EVEN, 0) LINE_ROWS_1(ODD, 12))
ROWS_FUNCTION(twice_1, ROWS_BEGIN SPANS(128, 6) MODULO_3 "6:\n" TWICE_ROWS_1(EVEN, 0) TWICE_ROWS_1(ODD, 12))
ROWS_FUNCTION(line_2, ROWS_BEGIN SPANS(64, 7) "6:\n" LINE_ROWS_2(0) NO_ODD_ROWS)
ROWS_FUNCTION(twice_2, ROWS_BEGIN SPANS(64, 7) "6:\n" TWICE_ROWS_2(0) NO_ODD_ROWS)

void qmcu_planes_rows_3__dsp(const qmcu_planes_rows_t *rows)
{
    static rows_t *const kinds[4] = {line_1, twice_1, line_2, twice_2}; /* a table, as above */
    if (rows->stride == 2 && rows->part[1].rows > 0) {
        qmcu_planes_rows_3__ref(rows);
        return;
    }
    kinds[2 * (rows->stride - 1) + rows->form](rows);
}

/* --- windows of any size and stride --- */

static inline int32_t dual(uint32_t x, uint32_t w, int32_t sum)
{
    int32_t result;
    __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(w), "r"(sum));
    return result;
}

static inline int8_t on_line(const uint32_t *lane, int32_t sum)
{
    int32_t y;
    __asm("smmul %0, %1, %2\n ssat %0, #8, %0, asr #10" : "=r"(y) : "r"(sum), "r"(lane[1]));
    return (int8_t)y;
}

static inline int8_t rounded_twice(const uint32_t *lane, int32_t sum)
{
    int32_t y;
    __asm("smmlar %0, %1, %2, %3" : "=r"(y) : "r"(sum), "r"(lane[1]), "r"(lane[2]));
    y = (y + (sum >> 31)) >> (lane[3] & 0xffu);
    __asm("ssat %0, #8, %1" : "=r"(y) : "r"(y));
    return (int8_t)y;
}

/* Sums of four outputs. */
typedef struct {
    int32_t a, b, c, d;
} sums_t;

static inline void put_four(const uint32_t *lane, const qmcu_planes_row_t *row, sums_t sum, int8_t *out)
{
    const int32_t pitch = row->pitch;
    if (row->form == QMCU_LINE) {
        *out = on_line(lane, sum.a), out += pitch;
        *out = on_line(lane, sum.b), out += pitch;
        *out = on_line(lane, sum.c), out += pitch;
        *out = on_line(lane, sum.d);
    } else {
        *out = rounded_twice(lane, sum.a), out += pitch;
        *out = rounded_twice(lane, sum.b), out += pitch;
        *out = rounded_twice(lane, sum.c), out += pitch;
        *out = rounded_twice(lane, sum.d);
    }
}

/* Any window; four outputs at a time, each with a pointer of its own, then one by one. */
static void any_channel(const uint32_t *plane, const qmcu_planes_row_t *row, const uint32_t *lane, int8_t *out)
{
    const int32_t step = row->stride * row->pairs * QMCU_BLOCK, bias = (int32_t)lane[0];
    const uint32_t *weights = lane + QMCU_LANE_HEAD, *end = weights + row->columns * row->pairs;
    int32_t left = row->count;
    for (; left >= 4; left -= 4, plane += 4 * step, out += 4 * row->pitch) {
        const uint32_t *x0 = plane, *x1 = x0 + step, *x2 = x1 + step, *x3 = x2 + step;
        sums_t sum = {bias, bias, bias, bias};
        for (const uint32_t *w = weights; w != end;) {
            const uint32_t weight = *w++;
            sum.a = dual(*x0, weight, sum.a), x0 += QMCU_BLOCK;
            sum.b = dual(*x1, weight, sum.b), x1 += QMCU_BLOCK;
            sum.c = dual(*x2, weight, sum.c), x2 += QMCU_BLOCK;
            sum.d = dual(*x3, weight, sum.d), x3 += QMCU_BLOCK;
        }
        put_four(lane, row, sum, out);
    }
    for (; left > 0; --left, plane += step, out += row->pitch) {
        const uint32_t *x = plane;
        int32_t sum = bias;
        for (const uint32_t *w = weights; w != end; x += QMCU_BLOCK) {
            sum = dual(*x, *w++, sum);
        }
        *out = row->form == QMCU_LINE ? on_line(lane, sum) : rounded_twice(lane, sum);
    }
}

/* Column t of the windows of four outputs: at stride 1 three of its words were the column before's. The order of loads
 * is what lets them follow one another without a wait. */
#define LOAD(to, column, pairs) "ldr %[" #to "], [%[x], #16*" #pairs "*(" #column ")]\n"
#define MULTIPLY(a, b, c, d)                                                                                           \
    "smlad %[a], %[" #a "], %[weight], %[a]\n smlad %[b], %[" #b "], %[weight], %[b]\n"                                \
    "smlad %[c], %[" #c "], %[weight], %[c]\n smlad %[d], %[" #d "], %[weight], %[d]\n"
#define WEIGHT(t, pairs) "ldr %[weight], [%[w], #4*" #pairs "*" #t "]\n"
#define COLUMN_1(t, pairs, x0, x1, x2, x3) WEIGHT(t, pairs) LOAD(x3, t + 3, pairs) MULTIPLY(x0, x1, x2, x3)
#define COLUMN_2(t, pairs)                                                                                             \
    WEIGHT(t, pairs) LOAD(x0, t, pairs) LOAD(x1, t + 2, pairs) LOAD(x2, t + 4, pairs) LOAD(x3, t + 6, pairs)           \
    MULTIPLY(x0, x1, x2, x3)

#define FIVE_1(pairs)                                                                                                  \
    LOAD(x0, 0, pairs) LOAD(x1, 1, pairs) LOAD(x2, 2, pairs)                                                           \
    COLUMN_1(0, pairs, x0, x1, x2, x3) COLUMN_1(1, pairs, x1, x2, x3, x0) COLUMN_1(2, pairs, x2, x3, x0, x1)           \
    COLUMN_1(3, pairs, x3, x0, x1, x2) COLUMN_1(4, pairs, x0, x1, x2, x3)
#define SEVEN_1(pairs) FIVE_1(pairs) COLUMN_1(5, pairs, x1, x2, x3, x0) COLUMN_1(6, pairs, x2, x3, x0, x1)
#define FIVE_2(pairs)                                                                                                  \
    COLUMN_2(0, pairs) COLUMN_2(1, pairs) COLUMN_2(2, pairs) COLUMN_2(3, pairs) COLUMN_2(4, pairs)
#define SEVEN_2(pairs) FIVE_2(pairs) COLUMN_2(5, pairs) COLUMN_2(6, pairs)

/* Windows of a known size at a known stride, four outputs at a time; the last four may be computed again. */
#define CHANNEL_FUNCTION(name, number, strides, columns)                                                               \
    static void name(const uint32_t *plane, const qmcu_planes_row_t *row, const uint32_t *lane, int8_t *out)           \
    {                                                                                                                  \
        for (int32_t i = 0; i < row->count; i += 4) {                                                                  \
            const int32_t first = i + 4 <= row->count ? i : row->count - 4;                                            \
            const uint32_t *x = plane + first * (strides) * (number) * QMCU_BLOCK, *w = lane + QMCU_LANE_HEAD;         \
            sums_t sum = {(int32_t)lane[0], (int32_t)lane[0], (int32_t)lane[0], (int32_t)lane[0]};                     \
            for (const uint32_t *end = w + (number); w != end; ++w, x += QMCU_BLOCK) {                                 \
                uint32_t x0, x1, x2, x3, weight;                                                                       \
                __asm volatile(columns(number)                                                                         \
                               : [a] "+&r"(sum.a), [b] "+&r"(sum.b), [c] "+&r"(sum.c), [d] "+&r"(sum.d),               \
                                 [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3),                       \
                                 [weight] "=&r"(weight)                                                                \
                               : [x] "r"(x), [w] "r"(w)                                                                \
                               : "memory");                                                                            \
            }                                                                                                          \
            put_four(lane, row, sum, out + first * row->pitch);                                                        \
        }                                                                                                              \
    }

CHANNEL_FUNCTION(five_1, 3, 1, FIVE_1)
CHANNEL_FUNCTION(five_2, 3, 2, FIVE_2)
CHANNEL_FUNCTION(seven_1, 4, 1, SEVEN_1)
CHANNEL_FUNCTION(seven_2, 4, 2, SEVEN_2)

typedef void channel_t(const uint32_t *plane, const qmcu_planes_row_t *row, const uint32_t *lane, int8_t *out);

void qmcu_planes_row__dsp(const uint32_t *plane, const qmcu_planes_row_t *row, int8_t *out)
{
    const uint32_t *lane = row->channel;
    channel_t *function = any_channel;
    if (row->count >= 4 && row->stride <= 2) {
        if (row->columns == 5 && row->pairs == 3) {
            function = row->stride == 1 ? five_1 : five_2;
        } else if (row->columns == 7 && row->pairs == 4) {
            function = row->stride == 1 ? seven_1 : seven_2;
        }
    }
    for (int32_t c = 0; c < row->channels; ++c, lane += row->channel_words) {
        function(plane + c, row, lane, out + c);
    }
}
#endif
