// SPDX-License-Identifier: Apache-2.0
// /usr/bin/kata-agent of the tarball: executes the interpreter of the tarball with the
// agent's program, and passes arguments and environment on.
//
// This is an ELF file and not a script, because the image builder of Kata Containers
// (osbuilder) strips /usr/bin/kata-agent and stops at an error. No C library is needed:
//
//     cc -static -nostdlib -Os -o kata-agent launcher.c
//
// Entry: System V ABI for AMD64, 3.4.1 (stack: argc, argv..., NULL, envp..., NULL).

#define HOME "/usr/lib/kata-agent"
#define MOST_ARGUMENTS 64

enum { SYS_write = 1, SYS_execve = 59, SYS_exit_group = 231 };

static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

__attribute__((used)) static void start(long *stack)
{
    long count = stack[0];
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + count + 1;
    static const char failure[] = "kata-agent: cannot execute " HOME "/bin/python3\n";
    // Isolated, without site-packages and without docstrings: see README.md.
    char *command[MOST_ARGUMENTS + 4] = {HOME "/bin/python3", "-ISOO",
                                         HOME "/start.py"};

    for (long i = 1; i < count && i < MOST_ARGUMENTS; i++)
        command[i + 2] = arguments[i];
    call(SYS_execve, (long)command[0], (long)command, (long)environment);
    call(SYS_write, 2, (long)failure, sizeof failure - 1);
    call(SYS_exit_group, 127, 0, 0);
}

__asm__(".global _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call start\n");
