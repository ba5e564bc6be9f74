package supervisor

import (
	"context"
	"errors"
	"net"

	"cpulb/plugins"
)

// dial connects to a socket of the worker's, whenever go-plugin wants to: also again, after
// the connection has broken. Scripts of the worker's user can break it, and put another
// worker's socket in the place of this one's; the daemon, whom every worker obeys, would then
// drain that. So the socket is reached with the user's rights, and the one who serves it must
// be the worker.
func (p *Process) dial(ctx context.Context, path string) (net.Conn, error) {
	var conn net.Conn
	connect := func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	}
	var err error
	if p.user == nil {
		err = connect()
	} else {
		err = p.user.as(connect)
	}
	if err != nil {
		return nil, err
	}
	if err := p.os.serves(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// serves returns why a connection does not lead to the process, while it has its pid.
func (p *process) serves(conn net.Conn) error {
	p.signals.Lock()
	defer p.signals.Unlock()
	if p.exited {
		return errors.New("the worker has ended")
	}
	return plugins.CheckServer(conn, p.cmd.Process.Pid)
}
