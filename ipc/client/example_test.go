package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// The scripts here are those of the tests' daemon: /echo.py returns its params, /raises.py
// raises a ValueError, and /chatty.py reports what it does.

// One task, and its Result.
func Example() {
	c := client.New(os.Getenv("CPULB_SOCKET")) // or client.DefaultSocket
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	t, err := client.NewTask("/echo.py", map[string]int{"value": 21})
	if err != nil {
		log.Fatal(err)
	}
	r, err := c.Run(ctx, t)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status, string(r.Data))
	// Output: completed {"value":21}
}

// Many tasks, of which a hundred are in flight. The results come in the order of the tasks.
func ExampleClient_Map() {
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()

	tasks := func(yield func(*task.Task) bool) {
		for i := range 1000 {
			t, err := client.NewTask("/echo.py", i)
			if err != nil || !yield(t) {
				return
			}
		}
	}
	sum := 0
	for r, err := range c.Map(context.Background(), tasks, client.MapOptions{InFlight: 100}) {
		if err != nil {
			log.Fatal(err)
		}
		var n int
		if err := errors.Join(r.Err(), json.Unmarshal(r.Data, &n)); err != nil {
			log.Fatal(err)
		}
		sum += n
	}
	fmt.Println(sum)
	// Output: 499500
}

// A task that is not waited for is found by its id, also by another program.
func ExampleClient_Submit() {
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	ctx := context.Background()

	t, err := client.NewTask("/echo.py", "hello")
	if err != nil {
		log.Fatal(err)
	}
	t.Labels = map[string]string{"customer": "7"}
	if _, err := c.Submit(ctx, t); err != nil {
		log.Fatal(err)
	}
	// … later
	r, err := c.Wait(ctx, t.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(r.Data))
	// Output: "hello"
}

// What a task reports while it runs. Cursors are where to go on.
func ExampleClient_Events() {
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	ctx := context.Background()

	t, err := client.NewTask("/chatty.py", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Submit(ctx, t); err != nil {
		log.Fatal(err)
	}
	for ev, err := range c.Events(ctx, t.ID, task.Cursor{}) {
		switch {
		case err != nil:
			log.Fatal(err)
		case ev.Kind == task.EventProgress:
			fmt.Printf("%.0f%% %s\n", 100**ev.Fraction, ev.Message)
		case ev.Kind == task.EventResult:
			fmt.Println(string(ev.Result.Data))
		}
	}
	// Output:
	// 50% half way
	// "done"
}

// A script that raises has a Result; what the daemon refuses is an error.
func ExampleClient_Run_errors() {
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	ctx := context.Background()

	t, err := client.NewTask("/raises.py", nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := c.Run(ctx, t)
	if err != nil {
		log.Fatal(err)
	}
	var failure *task.Failure
	if errors.As(r.Err(), &failure) {
		fmt.Println(failure.Status, failure.Reason.Code, failure.Reason.Type)
	}

	t, err = client.NewTask("/missing.py", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Run(ctx, t)
	fmt.Println(errors.Is(err, task.ErrInvalid), err)
	// Output:
	// failed exception ValueError
	// true script_path: "/missing.py" does not exist [script_not_found]
}
