package access

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// usualFirstUser is UID_MIN where login.defs has none (login.defs(5)).
const usualFirstUser = 1000

// FirstUser returns the lowest uid of a person on this machine: UID_MIN of
// /etc/login.defs. Lower ones are the system's own users.
func FirstUser() uint32 { return firstUser("/etc/login.defs") }

func firstUser(path string) uint32 {
	file, err := os.Open(path)
	if err != nil {
		return usualFirstUser
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "UID_MIN" {
			continue
		}
		if uid, err := strconv.ParseUint(words[1], 0, 32); err == nil {
			return uint32(uid)
		}
	}
	return usualFirstUser
}
