// The mix that embedded processors are compared by: linked lists, small integer matrices, a state machine over text,
// and a CRC of everything. In the manner of CoreMark; the code is our own, and its figures are not CoreMark's.
// It needs no library, so that it runs without an operating system too.
#include "bench.h"

// --- CRC-16 (CCITT, reflected), bit by bit.

static uint16_t crc16(uint16_t crc, uint32_t value, int bytes) {
    for (; bytes-- > 0; value >>= 8) {
        crc ^= (uint8_t)value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (uint16_t)(crc >> 1 ^ 0x8408) : (uint16_t)(crc >> 1);
    }
    return crc;
}

// --- Lists: find, reverse, sort by merging.

#define ITEMS 60

struct item {
    struct item *next;
    int16_t *data; // A value and the place that it had at first.
};

static struct item items[ITEMS];
static int16_t data[ITEMS][2];

static struct item *list_find(struct item *list, int16_t value) {
    while (list && (list->data[0] & 0xff) != value)
        list = list->next;
    return list;
}

static struct item *list_reverse(struct item *list) {
    struct item *done = NULL;
    while (list) {
        struct item *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static int by_value(const int16_t *a, const int16_t *b) { return a[0] - b[0]; }
static int by_place(const int16_t *a, const int16_t *b) { return a[1] - b[1]; }

static struct item *list_sort(struct item *list, int (*compare)(const int16_t *, const int16_t *)) {
    for (int run = 1;; run *= 2) {
        struct item *rest = list, **tail = &list;
        int merges = 0;
        while (rest) {
            merges++;
            struct item *left = rest, *right = rest;
            int left_size = 0, right_size = run;
            while (left_size < run && right)
                left_size++, right = right->next;
            while (left_size > 0 || (right_size > 0 && right)) {
                struct item **from;
                if (left_size == 0)
                    from = &right, right_size--;
                else if (right_size == 0 || !right || compare(left->data, right->data) <= 0)
                    from = &left, left_size--;
                else
                    from = &right, right_size--;
                *tail = *from;
                tail = &(*from)->next;
                *from = (*from)->next;
            }
            rest = right;
        }
        *tail = NULL;
        if (merges <= 1)
            return list;
    }
}

static uint16_t lists(uint16_t crc, uint32_t round) {
    struct item *list = items;
    for (int i = 0; i < ITEMS; i++)
        items[i].next = i + 1 < ITEMS ? &items[i + 1] : NULL;
    for (uint32_t i = 0; i < 16; i++) {
        struct item *found = list_find(list, (int16_t)((round + i * 17) & 0xff));
        list = list_reverse(list);
        crc = crc16(crc, found ? (uint16_t)found->data[0] : i, 2);
    }
    list = list_sort(list, by_value);
    for (struct item *item = list; item; item = item->next)
        crc = crc16(crc, (uint16_t)item->data[0], 2);
    list = list_sort(list, by_place);
    return crc16(crc, (uint16_t)list->data[0], 2);
}

// --- Matrices of 16-bit numbers with sums of 32 bits.

#define N 9

static int16_t left[N][N], right[N][N];
static int32_t product[N][N];

static uint16_t matrices(uint16_t crc, int16_t value) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            left[i][j] = (int16_t)(left[i][j] + value);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t sum = 0, field = 0;
            for (int k = 0; k < N; k++) {
                int32_t term = left[i][k] * right[k][j];
                sum += term;
                field += (term >> 2 & 0xf) * (term >> 5 & 0x7f);
            }
            product[i][j] = sum ^ field;
        }
    int32_t total = 0, last = 0, high = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            total = (int32_t)((uint32_t)total + (uint32_t)product[i][j]);
            if (total > 100000)
                high += 10, total = 0;
            else
                high += product[i][j] > last;
            last = product[i][j];
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            left[i][j] = (int16_t)(left[i][j] - value);
    return crc16(crc16(crc, (uint32_t)total, 4), (uint32_t)high, 2);
}

// --- A state machine that tells the kinds of numbers in a text apart.

enum state { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static char text[640];

static int digit(char c) { return c >= '0' && c <= '9'; }

static enum state next_state(enum state state, char c, uint32_t *changes) {
    enum state next = state;
    switch (state) {
    case START: next = digit(c) ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : INVALID; break;
    case SIGN: next = digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID; break;
    case INTEGER: next = digit(c) ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID; break;
    case FRACTION: next = digit(c) ? FRACTION : c == 'e' || c == 'E' ? EXPONENT : INVALID; break;
    case EXPONENT: next = c == '+' || c == '-' ? EXPONENT_SIGN : digit(c) ? SCIENTIFIC : INVALID; break;
    case EXPONENT_SIGN: next = digit(c) ? SCIENTIFIC : INVALID; break;
    case SCIENTIFIC: next = digit(c) ? SCIENTIFIC : INVALID; break;
    default: break;
    }
    changes[next] += next != state;
    return next;
}

static uint16_t states(uint16_t crc, uint32_t round) {
    uint32_t ends[STATES] = {0}, changes[STATES] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (const char *c = text; *c; c++) {
            enum state state = START;
            for (; *c && *c != ','; c++)
                state = next_state(state, *c, changes);
            ends[state]++;
            if (!*c)
                break;
        }
        // Spoils the text for the second pass, and mends it after that.
        for (size_t i = round % 7; i < sizeof text - 1; i += 13)
            if (text[i] != ',')
                text[i] = (char)(text[i] ^ (round & 3));
    }
    for (int i = 0; i < STATES; i++)
        crc = crc16(crc16(crc, ends[i], 4), changes[i], 4);
    return crc;
}

static void prepare(void) {
    static const char *const NUMBERS[] = {"5012",     "-874",    "+122",   "35.54400", ".1234500", "-110.700",
                                          "5.500e+3", "-.123e-2", "87e+832", "T0.3e-1F", "-T.T++Tq", "1T3.4e4z"};
    uint64_t state = 6;
    for (int i = 0; i < ITEMS; i++) {
        data[i][0] = (int16_t)(random_next(&state) & 0x7fff);
        data[i][1] = (int16_t)i;
        items[i].data = data[i];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            left[i][j] = (int16_t)(random_next(&state) & 0xff);
            right[i][j] = (int16_t)(random_next(&state) & 0xff);
        }
    size_t at = 0;
    for (;;) {
        const char *number = NUMBERS[random_next(&state) % (sizeof NUMBERS / sizeof *NUMBERS)];
        if (at + 12 > sizeof text)
            break;
        while (*number)
            text[at++] = *number++;
        text[at++] = ',';
    }
    text[at] = 0;
}

static uint64_t run(uint64_t iterations) {
    uint16_t crc = 0xffff;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        crc = lists(crc, (uint32_t)i);
        crc = matrices(crc, (int16_t)(crc & 0x3f));
        crc = states(crc, (uint32_t)i);
        sum = sum * 31 + crc;
    }
    return sum;
}

const struct kernel core = {"core", prepare, run};
