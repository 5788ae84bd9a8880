// A C program for the board mps2-an386 with picolibc: text on the serial port, and by semihosting where there is some. What it
// prints is what the library, the compiler and the core make of it, so two emulators must agree on every byte.
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UART ((volatile uint32_t *)0x40004000)

static int uart_put(char c, FILE *file) {
    (void)file;
    while (UART[1] & 1) {
    }
    UART[0] = (uint8_t)c;
    return (unsigned char)c;
}

static FILE uart_file = FDEV_SETUP_STREAM(uart_put, NULL, NULL, _FDEV_SETUP_WRITE);
static FILE *const uart = &uart_file;

// On the trace pin, where a probe has opened port 0 of the ITM.
static void trace(const char *text) {
    volatile uint32_t *itm = (volatile uint32_t *)0xe0000000;
    if (!(itm[0xe80 / 4] & 1) || !(itm[0xe00 / 4] & 1)) return;
    for (; *text; text++) {
        while (!itm[0]) {
        }
        *(volatile uint8_t *)itm = (uint8_t)*text;
    }
}

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t state = 12345;
static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static jmp_buf place;
__attribute__((noinline, noclone)) static int deep(int n) {
    if (n < 0) return 0;
    if (n == 0) longjmp(place, 7);
    return deep(n - 1) + n;
}

static void integers(void) {
    int32_t values[1000];
    for (size_t i = 0; i < 1000; i++) values[i] = (int32_t)next();
    qsort(values, 1000, sizeof values[0], by_value);
    uint32_t order = 0;
    for (size_t i = 1; i < 1000; i++) order += values[i - 1] <= values[i];
    fprintf(uart, "sorted %lu: %ld .. %ld\n", (unsigned long)order, (long)values[0], (long)values[999]);
    uint64_t product = 1;
    for (uint64_t i = 1; i <= 20; i++) product *= i;
    fprintf(uart, "20! = %llu, / 7919 = %llu, %% 7919 = %llu\n", product, product / 7919, product % 7919);
    fprintf(uart, "%08lx %o %d %+i [%-8s] [%8.3s] %c %%\n", 0xdeadbeefUL, 511u, -42, 42, "left", "right", 'x');
}

__attribute__((noinline)) static void floats(void) {
    float sum = 0;
    for (int i = 1; i <= 1000; i++) sum += 1.0f / (float)i;
    fprintf(uart, "harmonic %.9g\n", (double)sum);
    for (int i = 0; i < 8; i++) {
        double x = i * 0.785398163397448309616;
        fprintf(uart, "%d sin %.17g cosf %.9g sqrtf %.9g\n", i, sin(x), (double)cosf((float)x), (double)sqrtf((float)i));
    }
    volatile float zero = 0.0f;
    fprintf(uart, "%f %f %g %a\n", (double)(1.0f / zero), (double)(-1.0f / zero), 1e-30, 0.1);
    fprintf(uart, "%.3e %.10f\n", strtod("6.02214076e23", NULL), atof("3.14159265358979"));
}

static void memory(void) {
    char *parts[64];
    for (int i = 0; i < 64; i++) {
        parts[i] = malloc(16 + next() % 2000);
        snprintf(parts[i], 16, "part %d", i);
    }
    uint32_t length = 0;
    for (int i = 63; i >= 0; i--) {
        length += strlen(parts[i]);
        free(parts[i]);
    }
    char text[64] = "the quick brown fox";
    memmove(text + 4, text, strlen(text) + 1);
    memcpy(text, "and ", 4);
    fprintf(uart, "%lu characters; \"%s\", fox at %d\n", (unsigned long)length, text, (int)(strstr(text, "fox") - text));
    struct tm tm = *gmtime(&(time_t){1000000000});
    fprintf(uart, "%04d-%02d-%02d %02d:%02d:%02d\n", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
            tm.tm_sec);
}

int main(void) {
    UART[4] = 16;
    UART[2] = 1;
    fprintf(uart, "picolibc on mps2-an386\n");
    trace("traced\n");
    integers();
    floats();
    memory();
    int jumped = setjmp(place);
    if (jumped == 0) (void)deep(50);
    fprintf(uart, "jumped back with %d\npicolibc: done\n", jumped);
    printf("by semihosting\n");
    FILE *file = fopen("note.txt", "w+");
    if (file) {
        fprintf(file, "kept %d\n", 17);
        rewind(file);
        char line[32] = "";
        fgets(line, sizeof line, file);
        printf("file: %s", line);
        fclose(file);
    } else {
        printf("no file\n");
    }
    exit(42);
}
