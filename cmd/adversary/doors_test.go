package adversary_test

import (
	"io"
	"strings"
	"time"
)

// doorAttacks take connections.
func doorAttacks() []attack {
	health := request("GET", "/healthz", "", "")
	return []attack{
		{name: "all connections", run: takeAllConnections},
		{name: "refused connections that send nothing", run: func(f *foe) {
			takeAllConnections(f)
			f.each(4, func() {
				if c := f.dial(); c != nil {
					time.AfterFunc(2*time.Second, func() { c.Close() })
				}
			})
		}},
		{name: "connections opened and closed at full speed", run: func(f *foe) {
			f.each(4, func() {
				if c := f.dial(); c != nil {
					c.Close()
				}
			})
		}},
		{name: "requests on new connections at full speed", run: func(f *foe) { f.each(8, func() { f.ask(health) }) }},
		{name: "headers that come a byte at a time", run: func(f *foe) {
			f.each(600, func() {
				c := f.dial()
				if c == nil {
					f.rest(time.Millisecond)
					return
				}
				defer c.Close()
				for i := 0; !f.over(); i++ {
					if _, err := io.WriteString(c, health[i%(len(health)-3):][:1]); err != nil {
						return
					}
					f.rest(100 * time.Millisecond)
				}
			})
		}},
		{name: "unfinished headers of the largest size", run: func(f *foe) {
			head := strings.TrimSuffix(request("GET", "/healthz", "X-Long: "+strings.Repeat("x", 15<<10), ""), "\r\n\r\n")
			for range 600 {
				f.say(head)
			}
		}},
		{name: "pipelined requests, unread", run: func(f *foe) {
			f.each(8, func() { f.say(strings.Repeat(request("GET", "/v1/status", "", ""), 10_000)) })
		}},
		{name: "streams that say nothing", run: func(f *foe) { f.each(4, func() { f.stream() }) }},
	}
}

// takeAllConnections has idle ones until no more are given.
func takeAllConnections(f *foe) {
	for range 4 {
		go func() {
			for refused := 0; !f.over(); {
				c := f.dial()
				if c == nil {
					f.rest(time.Millisecond)
					continue
				}
				f.hold(c)
				_, _ = io.WriteString(c, request("GET", "/v1/openapi.json", "", ""))
				start := make([]byte, len("HTTP/1.1 503"))
				if _, err := io.ReadFull(c, start); err != nil || string(start) == "HTTP/1.1 503" {
					if refused++; refused > 20 {
						f.rest(10 * time.Millisecond)
					}
				}
			}
		}()
	}
}
