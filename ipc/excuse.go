package ipc

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// excuseTimeout bounds how long a client of Excuse has for its request, and then for the
// answer.
const excuseTimeout = 2 * time.Second

// Excuse answers whoever connects to l, until ctx is done, that the daemon can't start
// and why. It closes l.
func Excuse(ctx context.Context, l net.Listener, why string) {
	p := problemFor(&requestError{code: codeNotReady, detail: "the daemon can't start: " + why})
	text, err := json.Marshal(p)
	if err != nil {
		text = nil // a struct of strings is always JSON
	}
	server := &http.Server{ReadTimeout: excuseTimeout, WriteTimeout: excuseTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", problemType)
		h.Set("Connection", "close")
		h.Set("Retry-After", "5")
		w.WriteHeader(p.Status)
		_, _ = w.Write(text)
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
