//go:build wasip1

// Command guest is what the wasm executor is tested with: one program that behaves as the name says
// under which it is called. It uses nothing but WASI itself, which keeps it small and quick
// to build.
package main

import (
	"structs"
	"unsafe"
)

//go:wasmimport wasi_snapshot_preview1 args_sizes_get
func argsSizes(count, size *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 args_get
func argsGet(list *uint32, text *byte) uint32

//go:wasmimport wasi_snapshot_preview1 environ_sizes_get
func environSizes(count, size *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 environ_get
func environGet(list *uint32, text *byte) uint32

//go:wasmimport wasi_snapshot_preview1 fd_read
func fdRead(fd int32, vectors *vector, count uint32, n *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_write
func fdWrite(fd int32, vectors *vector, count uint32, n *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_open
func pathOpen(fd, flags int32, path *byte, length uint32, open int32, rights, inherited uint64, more int32, opened *int32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_prestat_get
func fdPrestat(fd int32, stat *[2]uint32) uint32

//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTime(id int32, precision uint64, at *uint64) uint32

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(in *[6]uint64, out *[4]uint64, count uint32, n *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 proc_exit
func procExit(code int32)

//go:wasmimport cpulb event
func event(text unsafe.Pointer, length uint32) uint32

// vector is WASI's ciovec.
type vector struct {
	_      structs.HostLayout
	at     uint32
	length uint32
}

func vectorOf(p []byte) *vector {
	return &vector{at: uint32(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), length: uint32(len(p))}
}

func write(fd int32, text string) {
	for p := []byte(text); len(p) > 0; {
		var n uint32
		if fdWrite(fd, vectorOf(p), 1, &n) != 0 {
			procExit(99)
		}
		p = p[n:]
	}
}

func input() string {
	var all []byte
	for buffer := make([]byte, 64<<10); ; {
		var n uint32
		if fdRead(0, vectorOf(buffer), 1, &n) != 0 || n == 0 {
			return string(all)
		}
		all = append(all, buffer[:n]...)
	}
}

// strings returns what args_get and environ_get give.
func texts(sizes func(count, size *uint32) uint32, get func(list *uint32, text *byte) uint32) (all []string) {
	var count, size uint32
	sizes(&count, &size)
	if count == 0 {
		return nil
	}
	list, text := make([]uint32, count), make([]byte, size)
	get(&list[0], &text[0])
	for rest := text; len(rest) > 0; {
		end := 0
		for rest[end] != 0 {
			end++
		}
		all = append(all, string(rest[:end]))
		rest = rest[end+1:]
	}
	return all
}

// base is the name of a file without its folder and ".wasm".
func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			path = path[i+1:]
			break
		}
	}
	for i := range len(path) {
		if path[i] == '.' {
			return path[:i]
		}
	}
	return path
}

func quoted(all []string) string {
	text := "["
	for i, s := range all {
		if i > 0 {
			text += ","
		}
		text += `"` + s + `"`
	}
	return text + "]\n"
}

// object is what variables are as JSON. They have nothing that is to be escaped.
func object(all []string) string {
	text := "{"
	for i, s := range all {
		if i > 0 {
			text += ","
		}
		name := 0
		for s[name] != '=' {
			name++
		}
		text += `"` + s[:name] + `":"` + s[name+1:] + `"`
	}
	return text + "}\n"
}

func say(text string) {
	p := []byte(text)
	if event(unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p))) != 0 {
		procExit(98)
	}
}

func variable(name string) string {
	for _, v := range texts(environSizes, environGet) {
		if len(v) > len(name) && v[:len(name)+1] == name+"=" {
			return v[len(name)+1:]
		}
	}
	return ""
}

func long(line string, times int) string {
	all := make([]byte, 0, len(line)*times)
	for range times {
		all = append(all, line...)
	}
	return string(all)
}

var kept int // an instance's own memory

func main() {
	args := texts(argsSizes, argsGet)
	switch base(args[0]) {
	case "echo":
		write(1, variable("CPULB_TASK_ID")+"\n"+input())
	case "prints-much":
		write(1, long("0123456789abcdef\n", 1<<16)+input())
	case "fails":
		say(`{"error":{"type":"ValueError","message":"as asked"}}`)
	case "events":
		say(`{"progress":0.5,"message":"half way"}`)
		say(`{"log":"info","message":"hello"}`)
		say(`{"partial":1}`)
		say("{\"partial\":\n2}")
		say(`{"partial":3}`)
	case "prints-and-blocks":
		write(2, "begun\n")
		fallthrough
	case "blocks-until-stopped":
		for {
			pollOneoff(&[6]uint64{3: 1 << 60, 2: 1}, &[4]uint64{}, 1, new(uint32)) // the clock that is never set
		}
	case "stray-output":
		write(1, long("x", 1<<20)+"\n")
		write(2, long("y", 1<<20)+"\n")
		write(1, "1\n")
	case "huge-result":
		write(1, `"`+long("0123456789abcdef", 5<<16)+`"`)
	case "late-events":
		go func() {
			for {
				say(`{"partial":1}`)
			}
		}()
		write(1, "1\n")
	case "not-text":
		write(2, "\xff\xfe\n")
		write(1, "1\n")
	case "eats-memory":
		var all [][]byte
		for {
			all = append(all, make([]byte, 16<<20))
			all[len(all)-1][5] = 1
		}
	case "spins":
		write(1, "spinning\n")
		for n := 0; ; n++ {
			kept += n
		}
	case "exits":
		write(1, "before\n")
		write(2, "something went wrong\nlast words\n")
		procExit(3)
	case "arguments":
		write(1, quoted(args[1:]))
	case "environment":
		write(1, object(texts(environSizes, environGet)))
	case "looks-around":
		looksAround()
	case "lines":
		write(1, "{\"n\": 1}\ntext\n")
		write(1, "2\n")
	case "keeps":
		kept++
		write(1, string(rune('0'+kept))+"\n")
	case "nothing":
	}
}

// looksAround prints what of the machine it could get hold of.
func looksAround() {
	for fd := int32(3); fd < 64; fd++ {
		if fdPrestat(fd, &[2]uint32{}) == 0 {
			write(1, "a folder\n")
		}
		for _, name := range []string{"/etc/passwd", "etc/passwd", ".", "../etc/passwd"} {
			path := []byte(name)
			var opened int32
			if pathOpen(fd, 1, &path[0], uint32(len(path)), 0, 1<<1, 0, 0, &opened) == 0 {
				write(1, name+"\n")
			}
		}
	}
	var wall, since uint64
	if clockTime(0, 1, &wall) != 0 || clockTime(1, 1, &since) != 0 || wall < 1<<60 {
		write(1, "no clocks\n")
	}
}
