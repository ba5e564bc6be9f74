package main

import (
	"context"
	"net"
	"os/signal"
	"syscall"
	"time"

	"cpulb/ipc"
	"cpulb/systemd"

	"golang.org/x/sys/unix"
)

// excuseTime is how long clients are answered that the configuration is wrong. Each
// later one starts the daemon again, so it also bounds how often that happens.
const excuseTime = 2 * time.Second

// excuse answers the clients for whose sake systemd has started a daemon that can't
// start. Were they left unaccepted, systemd would start it again and again for them, and
// take the socket away in the end.
func (o *options) excuse(why error) {
	l, err := systemd.Listener()
	if err != nil || l == nil {
		return
	}
	defer l.Close()
	if o.socket != "" || o.private || !waiting(l) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, excuseTime)
	defer cancel()
	ipc.Excuse(ctx, l, "its configuration is wrong", why.Error())
}

// waiting reports whether a client waits to be accepted.
func waiting(l net.Listener) (yes bool) {
	u, ok := l.(*net.UnixListener)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(polled, 0)
		yes = err == nil && n == 1
	})
	return yes && err == nil
}
