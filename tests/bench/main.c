// Runs kernels: bench NAME:ITERATIONS...
//
// Each runs in a process of its own, waits for any line on standard input, and writes two lines, between which it does
// nothing but its work:
//   @start NAME
//   @end NAME CHECKSUM CPU_NS
// The processor time is the kernel's own idea of it; in a machine whose time is virtual, whoever reads the lines
// measures outside. Before all, @ready says that lines on standard input are welcome.
#define _GNU_SOURCE
#include "bench.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const struct kernel *const KERNELS[] = {
    &nbody, &matmul, &libm,  &chase_32k, &chase_1m, &chase_64m, &interp, &fib,   &qsort_,
    &sha256, &memcpy_, &sieve, &core,      &filter,   &single,    &syscall_, &fault, &pipe_,
    &fork_,  &exec_,
};

void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static uint64_t cpu_ns(int who) {
    struct rusage usage;
    check(getrusage(who, &usage) == 0, "getrusage");
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

// Writes a line and waits until it has left the machine, so that its arrival marks this moment.
static void say(const char *line) {
    check(write(STDOUT_FILENO, line, strlen(line)) == (ssize_t)strlen(line), "write");
    tcdrain(STDOUT_FILENO); // Fails where the output is a pipe, which needs no draining.
    const struct timespec pause = {0, 3000000};
    nanosleep(&pause, NULL);
}

static void measure(const struct kernel *kernel, uint64_t iterations) {
    char line[128];
    if (kernel->prepare)
        kernel->prepare();
    check(read(STDIN_FILENO, line, sizeof line) > 0, "standard input");
    snprintf(line, sizeof line, "@start %s\n", kernel->name);
    say(line);
    uint64_t before = cpu_ns(RUSAGE_SELF) + cpu_ns(RUSAGE_CHILDREN);
    uint64_t sum = kernel->run(iterations);
    uint64_t after = cpu_ns(RUSAGE_SELF) + cpu_ns(RUSAGE_CHILDREN);
    snprintf(line, sizeof line, "@end %s %016" PRIx64 " %" PRIu64 "\n", kernel->name, sum, after - before);
    say(line);
}

static const struct kernel *find(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++)
        if (strlen(KERNELS[i]->name) == length && memcmp(KERNELS[i]->name, name, length) == 0)
            return KERNELS[i];
    return NULL;
}

int main(int argc, char **argv) {
    // What the exec kernel starts: this program with no work.
    if (argc < 2)
        return 0;
    // One processor, as the guest has: two would make the pipe kernel something else.
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    check(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
    say("@ready\n");
    for (int i = 1; i < argc; i++) {
        const char *colon = strchr(argv[i], ':');
        const struct kernel *kernel = colon ? find(argv[i], (size_t)(colon - argv[i])) : NULL;
        if (!kernel) {
            fprintf(stderr, "bench: %s is not KERNEL:ITERATIONS\n", argv[i]);
            return 2;
        }
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            measure(kernel, strtoull(colon + 1, NULL, 10));
            _exit(0);
        }
        int status;
        check(waitpid(child, &status, 0) == child, "waitpid");
        if (status != 0) {
            fprintf(stderr, "@failed %s (status %#x)\n", kernel->name, (unsigned)status);
            return 1;
        }
    }
    return 0;
}
