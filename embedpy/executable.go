package embedpy

// #include "embedpy.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// linkedExecutable finds the python of the installation that the linked
// libpython is part of. The first python3 in PATH may be another build.
func linkedExecutable() (string, error) {
	var buf [4096]C.char
	C.ep_library_path(&buf[0], C.size_t(len(buf)))
	library := C.GoString(&buf[0])
	name := "python" + minor(C.GoString(C.Py_GetVersion()))
	for dir := filepath.Dir(library); filepath.IsAbs(dir); dir = filepath.Dir(dir) {
		exe := filepath.Join(dir, "bin", name)
		if info, err := os.Stat(exe); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return exe, nil
		}
		if dir == "/" {
			break
		}
	}
	return "", fmt.Errorf("%w: no bin/%s beside or above %q; install it or name the executable", ErrInit, name, library)
}

// minor cuts "3.11.2 (main, …" to "3.11".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
