package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cpulb/cmd/version"
	"cpulb/daemon"
	"cpulb/daemon/config"
	"cpulb/ipc"
	"cpulb/systemd"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/run"
)

// answerGrace is how long clients have, once the last task has ended, to be sent
// their answers before their connections are closed.
const answerGrace = 2 * time.Second

// serve runs the daemon until a signal or a failure ends it. What it sets up is
// taken down in the opposite order, by the deferred calls and by the group.
func serve(o *options, c *config.Config, stderr io.Writer) error {
	signals := catchSignals()
	defer signals.release()
	if o.untilEOF {
		signals.stopAtEnd(os.Stdin)
	}
	defer reserve()()
	log := newLog(c.Log, stderr)
	adopted := func(c *config.Config) {
		boundMemory(c)
		for _, warning := range o.warnings(c) {
			log.Warn(warning)
		}
	}
	adopted(c)
	manager, err := systemd.NewNotifier()
	if err != nil {
		return err
	}
	state, err := o.stateFolder(c)
	if err != nil {
		return err
	}
	listener, err := o.listen(c.Socket, log)
	if err != nil {
		return err
	}
	defer listener.Close()
	folder, err := o.claimFolder(o.workersPath(c.Socket.Path))
	if err != nil {
		return err
	}
	defer folder.remove()
	traces, flush, err := sendSpans(c.Tracing, log)
	if err != nil {
		return err
	}
	defer flush()
	engine, err := start(signals.stop, daemon.Options{
		Traces:     traces,
		Config:     c,
		RuntimeDir: folder.path,
		StateDir:   state,
		Private:    o.private,
		Load:       o.load,
		Reloaded:   adopted,
		Log:        log,
	})
	if err != nil {
		if signals.stop.Err() != nil {
			log.Info("stopped while starting", "reason", err)
			return nil
		}
		return err
	}
	server := ipc.NewServer(engine, ipc.Options{
		BodyBytes:   c.Limits.BodyBytes,
		InFlight:    func() int64 { return engine.Config().Limits.InFlight() },
		Connections: (&room{engine: engine, log: log}).connections,
		Logger:      log.Named("ipc"),
	})
	s := service{config: c, log: log, signals: signals, manager: manager, engine: engine, server: server}
	return s.run(listener)
}

// listen takes the socket of systemd's socket unit, if there is one and -socket
// names no other, or makes its own.
func (o *options) listen(c config.Socket, log hclog.Logger) (net.Listener, error) {
	l, err := systemd.Listener()
	if err != nil {
		return nil, err
	}
	if l != nil && o.socket == "" && !o.private {
		log.Debug("listening on the socket unit's socket", "path", l.Addr())
		return l, nil
	}
	if l != nil {
		l.Close()
	}
	return ipc.Listen(ipc.ListenConfig{Path: c.Path, Mode: os.FileMode(c.Mode), Group: c.Group})
}

// start returns an engine of which every pool has a ready worker.
func start(ctx context.Context, o daemon.Options) (*daemon.Engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("own program file: %w", err)
	}
	o.BinDir, o.Version = filepath.Dir(self), version.Text()
	engine, err := daemon.New(o)
	if err != nil {
		return nil, err
	}
	if err := engine.Start(ctx); err != nil {
		return nil, err
	}
	return engine, nil
}

// service is the daemon once it can run tasks.
type service struct {
	config  *config.Config
	log     hclog.Logger
	signals *stopSignals
	manager *systemd.Notifier
	engine  *daemon.Engine
	server  *ipc.Server
}

// run serves until the first of the group's members returns, then interrupts them
// in the order in which they were added: tasks and connections end while the
// watchdog is still fed.
func (s *service) run(listener net.Listener) error {
	alive, endWatch := context.WithCancel(context.Background())
	var g run.Group
	interrupted := make(chan struct{})
	g.Add(func() error {
		select {
		case <-s.signals.stop.Done():
		case <-interrupted:
		}
		return nil
	}, func(error) { close(interrupted) })
	g.Add(func() error { s.reloads(alive); return nil }, func(error) {})
	g.Add(func() error { giveBack(alive); return nil }, func(error) {})
	g.Add(func() error { ipc.NewLookout(listener).Keep(alive, s.log); <-alive.Done(); return nil }, func(error) {})
	g.Add(func() error { return s.accept(listener) }, func(error) { s.drain() })
	g.Add(func() error { s.manager.KeepAlive(alive, s.engine.Alive, s.tell); return nil }, func(error) { endWatch() })
	s.ready(listener)
	err := g.Run()
	s.log.Info("stopped")
	return err
}

// reloads takes the configuration anew at each SIGHUP.
func (s *service) reloads(alive context.Context) {
	for {
		select {
		case <-s.signals.reload:
		case <-alive.Done():
			return
		}
		s.tell(s.manager.Status("reloading"))
		status := "reloaded"
		if err := s.engine.Reconfigure(s.signals.stop); err != nil {
			s.log.Error("reload", "error", err)
			status = "running; " + err.Error()
		}
		s.tell(s.manager.Status(status))
	}
}

func (s *service) accept(listener net.Listener) error {
	if err := s.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("socket: %w", err)
	}
	return nil
}

func (s *service) ready(listener net.Listener) {
	text := fmt.Sprintf("ready: %d pools on %s", len(s.config.Pools), listener.Addr())
	s.log.Info("ready", "pools", len(s.config.Pools), "socket", listener.Addr().String(), "version", version.Text())
	s.tell(s.manager.Ready(text))
}

// drain ends everything: nothing new is accepted, running tasks have until
// limits.drain_timeout or a second signal, workers stop, and clients are answered.
func (s *service) drain() {
	timeout := s.engine.Config().Limits.DrainTimeout
	s.log.Info("stopping", "drain_timeout", timeout)
	s.tell(s.manager.Stopping("stopping: running tasks are given " + timeout.String()))
	tasks, cancel := context.WithTimeout(s.signals.hurry, timeout)
	defer cancel()
	// The connections outlive the tasks, so that how a task ended is still told.
	connections, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	var clients sync.WaitGroup
	clients.Go(func() {
		if err := s.server.Shutdown(connections); err != nil {
			s.log.Warn("clients were cut off", "error", err)
		}
	})
	s.engine.Stop(tasks)
	s.server.Settle() // what has not ended goes on at the next start
	defer time.AfterFunc(answerGrace, hangUp).Stop()
	clients.Wait()
}

// tell logs what could not be told to systemd, if err is something; it is no reason
// to stop.
func (s *service) tell(err error) {
	if err != nil {
		s.log.Warn("systemd was not told", "error", err)
	}
}
