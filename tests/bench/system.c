// What the operating system does: calls, page faults, switches, processes.
#define _GNU_SOURCE
#include "bench.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The cheapest system call.
static uint64_t run_syscall(uint64_t iterations) {
    uint64_t good = 0;
    for (; iterations--;)
        good += syscall(SYS_getppid) > 0;
    return good;
}

// Maps 256 pages, writes to each, reads one back, unmaps them.
static uint64_t run_fault(uint64_t iterations) {
    enum { PAGE = 4096, PAGES = 256 };
    uint64_t sum = 0;
    while (iterations--) {
        uint8_t *at =
            mmap(NULL, PAGE * PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(at != MAP_FAILED, "mmap");
        madvise(at, PAGE * PAGES, MADV_NOHUGEPAGE); // A kernel without huge pages refuses.
        for (int i = 0; i < PAGES; i++)
            at[i * PAGE + i] += (uint8_t)(i + iterations);
        sum = sum * 31 + at[iterations % PAGES * (PAGE + 1)];
        check(munmap(at, PAGE * PAGES) == 0, "munmap");
    }
    return sum;
}

// One byte to another process and one back.
static uint64_t run_pipe(uint64_t iterations) {
    int to[2], from[2];
    check(pipe(to) == 0 && pipe(from) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    uint8_t byte = 0;
    if (child == 0) {
        close(to[1]);
        while (read(to[0], &byte, 1) == 1) {
            byte = (uint8_t)(byte * 5 + 1);
            check(write(from[1], &byte, 1) == 1, "write");
        }
        _exit(0);
    }
    uint64_t sum = 0;
    while (iterations--) {
        check(write(to[1], &byte, 1) == 1 && read(from[0], &byte, 1) == 1, "pipe");
        sum = sum * 31 + byte;
    }
    close(to[1]);
    check(waitpid(child, NULL, 0) == child, "waitpid");
    return sum;
}

static uint64_t run_processes(uint64_t iterations, int exec) {
    static char *const ARGUMENTS[] = {"bench", NULL}, *const ENVIRONMENT[] = {NULL};
    uint64_t sum = 0;
    while (iterations--) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            if (!exec)
                _exit((int)(iterations & 63));
            execve("/proc/self/exe", ARGUMENTS, ENVIRONMENT);
            _exit(127);
        }
        int status;
        check(waitpid(child, &status, 0) == child, "waitpid");
        check(status == (exec ? 0 : (int)(iterations & 63) << 8), "child");
        sum = sum * 31 + (uint64_t)status + iterations;
    }
    return sum;
}

// A process that ends at once.
static uint64_t run_fork(uint64_t iterations) { return run_processes(iterations, 0); }
// A process that becomes another program, which ends at once.
static uint64_t run_exec(uint64_t iterations) { return run_processes(iterations, 1); }

const struct kernel syscall_ = {"syscall", NULL, run_syscall};
const struct kernel fault = {"fault", NULL, run_fault};
const struct kernel pipe_ = {"pipe", NULL, run_pipe};
const struct kernel fork_ = {"fork", NULL, run_fork};
const struct kernel exec_ = {"exec", NULL, run_exec};
