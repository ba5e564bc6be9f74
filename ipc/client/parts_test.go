package client_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// No daemon waits for more than a day.
func TestALongWaitIsMadeInParts(t *testing.T) {
	l, socket := ipctest.Listen(t)
	id := task.NewID()
	var asked []time.Duration
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.URL.Query().Get("timeout"))
		if err != nil {
			t.Error(err)
		}
		if asked = append(asked, d); len(asked) == 1 {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintf(w, `{"task_id":"%s","status":"running"}`, id)
			return
		}
		fmt.Fprintf(w, `{"task_id":"%s","status":"completed","data":1}`, id)
	})}
	go server.Serve(l)
	defer server.Close()
	c := client.New(socket)
	defer c.Close()
	if r, err := c.Result(t.Context(), id, 48*time.Hour); err != nil || r.ID != id {
		t.Errorf("%+v %v", r, err)
	}
	if len(asked) != 2 || asked[0] > 24*time.Hour || asked[1] > 24*time.Hour {
		t.Errorf("%v", asked)
	}
}
