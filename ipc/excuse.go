package ipc

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"syscall"
	"time"
)

// excuseTimeout bounds how long a client of Excuse has for its request, and then for the
// answer.
const excuseTimeout = 2 * time.Second

// Excuse answers whoever connects to l, until ctx is done, that the daemon can't start
// because of what, and root also why. It closes l.
func Excuse(ctx context.Context, l net.Listener, what, why string) {
	p := problemFor(&requestError{code: codeNotReady, detail: "the daemon can't start: " + what})
	forAll, all := json.Marshal(p)
	p.Detail += ": " + why
	forRoot, root := json.Marshal(p)
	if all != nil || root != nil {
		forAll, forRoot = nil, nil // a struct of strings is always JSON
	}
	server := &http.Server{ReadTimeout: excuseTimeout, WriteTimeout: excuseTimeout, ConnContext: withRoot, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", problemType)
		h.Set("Connection", "close")
		h.Set("Retry-After", "5")
		w.WriteHeader(p.Status)
		if isRoot, _ := r.Context().Value(peerKey{}).(bool); isRoot {
			_, _ = w.Write(forRoot)
		} else {
			_, _ = w.Write(forAll)
		}
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // it fails when it is shut down
	}()
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), excuseTimeout)
	defer cancel()
	_ = server.Shutdown(last)
	<-served
}

// withRoot adds whether root is at the other end. Nobody else is known to administer, as
// the configuration can't be read.
func withRoot(ctx context.Context, c net.Conn) context.Context {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return ctx
	}
	who, _, err := identify(raw)
	return context.WithValue(ctx, peerKey{}, err == nil && who.UID == 0)
}
