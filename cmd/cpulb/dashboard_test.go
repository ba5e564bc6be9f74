package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestThePagesAddressIsPrintedAndHoldsUntilAnInterrupt(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	out, printed := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--socket", socket, "dashboard"}, newTerminal(strings.NewReader(""), printed, &stderr))
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	page, token, found := strings.Cut(strings.TrimSpace(address), "#token=")
	if err != nil || !found || !strings.HasPrefix(page, "http://127.0.0.1:") {
		t.Fatalf("%q %v", address, err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", page+"v1/status", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || !strings.Contains(string(text), `"pid":77`) {
		t.Errorf("%s %s", resp.Status, text)
	}
	interrupt()
	if code := <-ended; code != exitOK || !strings.Contains(stderr.String(), "Ctrl-C ends it") {
		t.Errorf("%d %q", code, &stderr)
	}
}

func TestThePageIsServedToThisMachineAlone(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":80", "10.0.0.1:80"} {
		if got := cpulb(t.Context(), "", "dashboard", "--listen="+address); got.code != exitUsage || got.stdout != "" || !strings.Contains(got.err, "ssh -L") {
			t.Errorf("%s: %+v", address, got)
		}
	}
}
