#include "textflag.h"

// cpulb_start is where the program begins, if it is linked with -E=cpulb_start; see closed.go.

#define SYS_fcntl 25
#define SYS_openat 56
#define AT_FDCWD -100
#define F_GETFD 1
#define EBADF 9
#define O_RDONLY 0
#define O_WRONLY 1

DATA nowhere<>+0(SB)/8, $"/dev/nul"
DATA nowhere<>+8(SB)/2, $"l\x00"
GLOBL nowhere<>(SB), RODATA|NOPTR, $10

// The stack is as the kernel has made it, for the runtime.
TEXT cpulb_start(SB), NOSPLIT|NOFRAME, $0
	MOVD $SYS_fcntl, R8
	MOVD $0, R0
	MOVD $F_GETFD, R1
	SVC
	CMN  $EBADF, R0
	BNE  stdout
	MOVD $SYS_openat, R8 // an error: stdin stays closed, and the runtime opens it
	MOVD $AT_FDCWD, R0
	MOVD $nowhere<>(SB), R1
	MOVD $O_WRONLY, R2
	MOVD $0, R3
	SVC

stdout:
	MOVD $SYS_fcntl, R8
	MOVD $1, R0
	MOVD $F_GETFD, R1
	SVC
	CMN  $EBADF, R0
	BNE  begin
	MOVD $SYS_openat, R8
	MOVD $AT_FDCWD, R0
	MOVD $nowhere<>(SB), R1
	MOVD $O_RDONLY, R2
	MOVD $0, R3
	SVC

begin:
	JMP _rt0_arm64_linux(SB)
