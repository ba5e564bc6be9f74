package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// ErrAddress is matched by what Listen returns for an address that it does not listen on.
var ErrAddress = errors.New("not an address for the dashboard")

// Listen listens on a loopback address with a port, such as 127.0.0.1:0 or localhost:8642:
// port 0 is one that is free. All other addresses can be reached from other machines, and are
// refused.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return nil, fmt.Errorf("%w: %q; it takes a host and a port from 0 to 65535, such as 127.0.0.1:8642 or [::1]:8642", ErrAddress, address)
	}
	if of, known := loopbackNames()[strings.ToLower(host)]; known {
		host = of
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "" {
		return nil, fmt.Errorf("%w: %q; of names it takes localhost and ip6-localhost alone, since others can lead to other machines: give the loopback address, 127.0.0.1 or [::1]", ErrAddress, address)
	}
	if err != nil || !ip.Unmap().IsLoopback() {
		return nil, fmt.Errorf("%w: %q; other machines could reach it. Allowed are loopback addresses: 127.0.0.1, [::1], localhost. "+
			"From another machine, take SSH to bring the port there: ssh -L 8642:127.0.0.1:8642 HOST", ErrAddress, address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%w; another program, perhaps another dashboard, has this port: choose another one, or 0 for one that is free", err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%w; choose a port from 1024, or 0 for one that is free", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%w; this machine does not have the address: 127.0.0.1 is on every one", err)
	}
	return l, err
}

// loopbackNames are the names of loopback addresses, whatever the resolver makes of them.
func loopbackNames() map[string]string {
	return map[string]string{"localhost": "127.0.0.1", "ip6-localhost": "::1", "ip6-loopback": "::1"}
}
