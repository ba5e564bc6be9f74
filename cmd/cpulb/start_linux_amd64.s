#include "textflag.h"

// cpulb_start is where the program begins, if it is linked with -E=cpulb_start; see closed.go.

#define SYS_open 2
#define SYS_fcntl 72
#define F_GETFD 1
#define EBADF 9
#define O_RDONLY 0
#define O_WRONLY 1

DATA nowhere<>+0(SB)/8, $"/dev/nul"
DATA nowhere<>+8(SB)/2, $"l\x00"
GLOBL nowhere<>(SB), RODATA|NOPTR, $10

// The stack is as the kernel has made it, for the runtime.
TEXT cpulb_start(SB), NOSPLIT|NOFRAME, $0
	MOVQ $SYS_fcntl, AX
	MOVQ $0, DI
	MOVQ $F_GETFD, SI
	SYSCALL
	CMPQ AX, $-EBADF
	JNE  stdout
	MOVQ $SYS_open, AX // an error: stdin stays closed, and the runtime opens it
	LEAQ nowhere<>(SB), DI
	MOVQ $O_WRONLY, SI
	MOVQ $0, DX
	SYSCALL

stdout:
	MOVQ $SYS_fcntl, AX
	MOVQ $1, DI
	MOVQ $F_GETFD, SI
	SYSCALL
	CMPQ AX, $-EBADF
	JNE  begin
	MOVQ $SYS_open, AX
	LEAQ nowhere<>(SB), DI
	MOVQ $O_RDONLY, SI
	MOVQ $0, DX
	SYSCALL

begin:
	JMP _rt0_amd64_linux(SB)
