package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// ErrAddress is matched by what Listen returns for an address that it does not listen on.
var ErrAddress = errors.New("not an address for the dashboard")

// Listen listens on a loopback address with a port, such as 127.0.0.1:0 or localhost:8642:
// port 0 is one that is free. All other addresses can be reached from other machines, and are
// refused.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return nil, fmt.Errorf("%w: %q; it takes a host and a port, such as 127.0.0.1:8642", ErrAddress, address)
	}
	if host == "localhost" { // whatever the resolver makes of it
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Unmap().IsLoopback() {
		return nil, fmt.Errorf("%w: %q; other machines could reach it. Allowed are loopback addresses: 127.0.0.1, [::1], localhost. "+
			"From another machine, take SSH to bring the port there: ssh -L 8642:127.0.0.1:8642 HOST", ErrAddress, address)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
}
