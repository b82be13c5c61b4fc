/* depthwise_planes.c: planes of row pairs, their windows and staged values, on Cortex-M with the DSP extension.
 *
 * Two products at a time by SMLAD. For windows of three columns and rows at stride 1, everything that a row of outputs
 * needs is in registers: 14 cycles for an output on a line, 19 for one of two roundings, the loop's own left out. */
#include "../../core/planes.h"
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP
#include "assembly.h"

/* --- two rows of four channels become words of two lanes --- */

/* r0: rows, r1: count, r2: step, r3: out. r4, r5: pixels of both rows, r6, r7: bytes from pixel to pixel. */
#define PAIR_STORE "str r8, [r3]\n str r9, [r3, #4]\n str r10, [r3, #8]\n str r11, [r3, #12]\n add r3, r3, r2\n"

#define PAIR_LOAD(instruction)                                                                                         \
    instruction " r8, [r4]\n" instruction " r9, [r5]\n add r4, r4, r6\n add r5, r5, r7\n"

#define PAIR_8                                                                                                         \
    PAIR_LOAD("ldr")                                                                                                   \
    "sxtb16 r10, r8\n sxtb16 r12, r8, ror #8\n sxtb16 r11, r9\n sxtb16 lr, r9, ror #8\n"                               \
    "pkhbt r8, r10, r11, lsl #16\n pkhbt r9, r12, lr, lsl #16\n"                                                       \
    "pkhtb r10, r11, r10, asr #16\n pkhtb r11, lr, r12, asr #16\n" PAIR_STORE

/* One pixel first where their number is odd. */
#define PAIR_LOOP(body)                                                                                                \
    "lsl r2, r2, #2\n tst r1, #1\n beq 2f\n" body "2: lsrs r1, r1, #1\n beq 3f\n 1:\n" body body                       \
    "subs r1, r1, #1\n bne 1b\n 3: pop {r4-r11, pc}\n"

static __attribute__((naked)) void pair_8(QMCU_UNUSED const qmcu_row_pair_t *rows, QMCU_UNUSED int32_t count,
                                          QMCU_UNUSED int32_t step, QMCU_UNUSED uint32_t *out)
{
    __asm volatile("push {r4-r11, lr}\n ldm r0, {r4-r7}\n" PAIR_LOOP(PAIR_8));
}

#if QMCU_PACKED
/* The lowest `bits` of both halfwords, with the mask in r12. */
#define PAIR_PACKED(bits, load)                                                                                        \
    PAIR_LOAD(load)                                                                                                    \
    "orr r11, r8, r9, lsl #16\n and r8, r12, r11\n and r9, r12, r11, lsr #" #bits "\n"                                 \
    "and r10, r12, r11, lsr #2*" #bits "\n and r11, r12, r11, lsr #3*" #bits "\n" PAIR_STORE

static __attribute__((naked)) void pair_4(QMCU_UNUSED const qmcu_row_pair_t *rows, QMCU_UNUSED int32_t count,
                                          QMCU_UNUSED int32_t step, QMCU_UNUSED uint32_t *out)
{
    __asm volatile("push {r4-r11, lr}\n ldm r0, {r4-r7}\n mov r12, #0x000f000f\n" PAIR_LOOP(PAIR_PACKED(4, "ldrh")));
}

static __attribute__((naked)) void pair_2(QMCU_UNUSED const qmcu_row_pair_t *rows, QMCU_UNUSED int32_t count,
                                          QMCU_UNUSED int32_t step, QMCU_UNUSED uint32_t *out)
{
    __asm volatile("push {r4-r11, lr}\n ldm r0, {r4-r7}\n mov r12, #0x00030003\n" PAIR_LOOP(PAIR_PACKED(2, "ldrb")));
}
#else
#define pair_4 pair_8
#define pair_2 pair_8
#endif

/* Called through a table: compilers must not reason about registers from what they see of an assembly function. */
typedef void pair_t(const qmcu_row_pair_t *rows, int32_t count, int32_t step, uint32_t *out);

void qmcu_pair_rows__dsp(const qmcu_row_pair_t *rows, int32_t count, int32_t step, uint32_t *out)
{
    static pair_t *const by_bits[3] = {pair_2, pair_4, pair_8};
    if (count > 0) {
        by_bits[rows->bits >> 2](rows, count, step, out);
    }
}

/* --- windows of three columns and three rows ---
 *
 * r0: plane, r1: out, r2: pitch; r3, r4, r5: weights of two rows, for columns 0, 1, 2; of the third row, r6: columns 0
 * and 1, r7: column 2; r8, r9: the two words of a column; r12: multiplier. Sums are under way, in r10, r11 and lr, of
 * the outputs whose last, middle and first column this is. */

#define COLUMN "ldr r9, [r0, #16]\n ldr r8, [r0], #32\n"

/* Windows that begin with the upper row of a pair: two rows in r8, the third in the lower half of r9. */
#define EVEN_FIRST(to, from) "smlad " to ", r8, r3, " from "\n smlabb " to ", r9, r6, " to "\n"
#define EVEN_SECOND(to) "smlad " to ", r8, r4, " to "\n smlabt " to ", r9, r6, " to "\n"
#define EVEN_THIRD(to) "smlad " to ", r8, r5, " to "\n smlabb " to ", r9, r7, " to "\n"
/* With the lower row: the first one in the upper half of r8, two in r9. */
#define ODD_FIRST(to, from) "smlad " to ", r9, r3, " from "\n smlatb " to ", r8, r6, " to "\n"
#define ODD_SECOND(to) "smlad " to ", r9, r4, " to "\n smlatt " to ", r8, r6, " to "\n"
#define ODD_THIRD(to) "smlad " to ", r9, r5, " to "\n smlatb " to ", r8, r7, " to "\n"

/* Slots: where single outputs end and where all end, and the same from the channel's plane on; plane, out and words of
 * the next channel; channels that are left; bytes between their words; bias, round and shift of two roundings. */
#define SINGLE_END 0
#define END 1
#define SINGLE_SPAN 2
#define SPAN 3
#define PLANE 4
#define OUT 5
#define CHANNEL 6
#define CHANNELS 7
#define STEP 8
#define BIAS 9
#define ROUND 10
#define SHIFT 11

/* Leaves the outputs of a channel in r10; `first` bytes are read before the first output, `each` = 2^shift for one. */
#define ROW_BEGIN                                                                                                      \
    "push {r4-r11, lr}\n" QMCU_SPILL_BEGIN QMCU_SPILL(PLANE, "r0") QMCU_SPILL(OUT, "r2")                               \
    "ldm r1, {r3-r6}\n ldr r2, [r1, #16]\n lsl r5, r5, #2\n" QMCU_SPILL(CHANNEL, "r3") QMCU_SPILL(CHANNELS, "r4")      \
    QMCU_SPILL(STEP, "r5") "mov r10, r6\n"
#define SPANS(singles, first, shift)                                                                                   \
    "mov r9, #" #first "\n" singles "add r8, r9, r8, lsl #" #shift "\n add r9, r9, r10, lsl #" #shift "\n"             \
    QMCU_SPILL(SINGLE_SPAN, "r8") QMCU_SPILL(SPAN, "r9")
#define MODULO_3 "mov r8, #3\n udiv r11, r10, r8\n mls r8, r11, r8, r10\n"

/* Everything of the next channel, the sum of its bias in lr. */
#define CHANNEL_BEGIN                                                                                                  \
    "5:\n" QMCU_FILL("r8", CHANNEL) QMCU_FILL("r9", STEP) QMCU_FILL("r0", PLANE) QMCU_FILL("r1", OUT)                  \
    "add r9, r8, r9\n" QMCU_SPILL(CHANNEL, "r9") "add r9, r0, #4\n" QMCU_SPILL(PLANE, "r9") "add r9, r1, #1\n"         \
    QMCU_SPILL(OUT, "r9") QMCU_FILL("r9", SINGLE_SPAN) "add r9, r0\n" QMCU_SPILL(SINGLE_END, "r9")                     \
    QMCU_FILL("r9", SPAN) "add r9, r0\n" QMCU_SPILL(END, "r9")
#define LINE_CHANNEL "ldrd lr, r12, [r8], #16\n ldm r8, {r3-r7}\n"
#define TWICE_CHANNEL                                                                                                  \
    "ldm r8!, {r3, r4, r5, r6}\n" QMCU_SPILL(BIAS, "r3") "mov r12, r4\n" QMCU_SPILL(ROUND, "r5")                       \
    QMCU_SPILL(SHIFT, "r6") "mov lr, r3\n ldm r8, {r3-r7}\n"
#define ROW_END                                                                                                        \
    "4:\n" QMCU_FILL("r8", CHANNELS) "subs r8, r8, #1\n" QMCU_SPILL(CHANNELS, "r8") "bne 5b\n" QMCU_SPILL_END         \
    "pop {r4-r11, pc}\n"

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

/* Outputs one by one, then as many at a time as the block takes. */
#define OUTPUTS(single, block)                                                                                         \
    QMCU_FILL("r8", SINGLE_END) "cmp r0, r8\n beq 2f\n 1:\n" single QMCU_FILL("r8", SINGLE_END)                        \
    "cmp r0, r8\n bne 1b\n 2:\n" QMCU_FILL("r8", END) "cmp r0, r8\n beq 4f\n 3:\n" block QMCU_FILL("r8", END)          \
    "cmp r0, r8\n bne 3b\n" ROW_END

#define LINE_STRIDE_1(kind)                                                                                            \
    ROW_BEGIN SPANS("and r8, r10, #3\n", 64, 5) CHANNEL_BEGIN LINE_CHANNEL                                             \
    COLUMN kind##_FIRST("r10", "lr") COLUMN kind##_SECOND("r10") kind##_FIRST("r11", "lr")                             \
    OUTPUTS(LINE_1(kind, "r10", "r11") "mov r8, r10\n mov r10, r11\n mov r11, r8\n",                                   \
            LINE_1(kind, "r10", "r11") LINE_1(kind, "r11", "r10") LINE_1(kind, "r10", "r11")                           \
            LINE_1(kind, "r11", "r10"))

#define TWICE_STRIDE_1(kind)                                                                                           \
    ROW_BEGIN SPANS(MODULO_3, 64, 5) CHANNEL_BEGIN TWICE_CHANNEL                                                       \
    COLUMN kind##_FIRST("r10", "lr") COLUMN kind##_SECOND("r10") kind##_FIRST("r11", "lr")                             \
    OUTPUTS(TWICE_1(kind, "r10", "r11", "lr") "mov r10, r11\n mov r11, lr\n",                                          \
            TWICE_1(kind, "r10", "r11", "lr") TWICE_1(kind, "r11", "lr", "r10") TWICE_1(kind, "lr", "r10", "r11"))

#define LINE_STRIDE_2(kind)                                                                                            \
    ROW_BEGIN SPANS("and r8, r10, #1\n", 32, 6) CHANNEL_BEGIN LINE_CHANNEL COLUMN kind##_FIRST("r10", "lr")            \
    OUTPUTS(LINE_2(kind, "r10", "r11") "mov r10, r11\n", LINE_2(kind, "r10", "r11") LINE_2(kind, "r11", "r10"))

#define TWICE_STRIDE_2(kind)                                                                                           \
    ROW_BEGIN SPANS("and r8, r10, #1\n", 32, 6) CHANNEL_BEGIN TWICE_CHANNEL COLUMN kind##_FIRST("r10", "lr")           \
    OUTPUTS(TWICE_2(kind, "r10", "r11") "mov r10, r11\n", TWICE_2(kind, "r10", "r11") TWICE_2(kind, "r11", "r10"))

typedef void row_t(const uint32_t *plane, const qmcu_planes_row_t *row, int8_t *out);

#define ROW_FUNCTION(name, body)                                                                                       \
    static __attribute__((naked)) void name(QMCU_UNUSED const uint32_t *plane,                                         \
                                            QMCU_UNUSED const qmcu_planes_row_t *row, QMCU_UNUSED int8_t *out)         \
    {                                                                                                                  \
        __asm volatile(body);                                                                                          \
    }

ROW_FUNCTION(line_even, LINE_STRIDE_1(EVEN))
ROW_FUNCTION(line_odd, LINE_STRIDE_1(ODD))
ROW_FUNCTION(twice_even, TWICE_STRIDE_1(EVEN))
ROW_FUNCTION(twice_odd, TWICE_STRIDE_1(ODD))
ROW_FUNCTION(line_even_2, LINE_STRIDE_2(EVEN))
ROW_FUNCTION(line_odd_2, LINE_STRIDE_2(ODD))
ROW_FUNCTION(twice_even_2, TWICE_STRIDE_2(EVEN))
ROW_FUNCTION(twice_odd_2, TWICE_STRIDE_2(ODD))

void qmcu_planes_row_3__dsp(const uint32_t *plane, const qmcu_planes_row_t *row, int8_t *out)
{
    static row_t *const kinds[8] = {line_even,   line_odd,   twice_even,   twice_odd,
                                    line_even_2, line_odd_2, twice_even_2, twice_odd_2}; /* a table, as above */
    if (row->stride > 2) {
        qmcu_planes_row_3__ref(plane, row, out);
        return;
    }
    kinds[4 * (row->stride - 1) + 2 * row->form + row->is_odd](plane, row, out);
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
