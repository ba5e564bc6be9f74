package embedpy

// Every C file but init.c keeps to the limited API of CPython 3.11, so that the
// same source builds against every later version.

// #cgo pkg-config: python3-embed
// #cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wno-unused-parameter -fvisibility=hidden -DPy_LIMITED_API=0x030b0000
// #cgo LDFLAGS: -ldl
import "C"
