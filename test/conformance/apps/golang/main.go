// An app on the official Go SDK: `app <app id>`. The same functions as in typescript.ts; prints its port when it listens.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	sdkerrors "github.com/inngest/inngestgo/errors"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

type data = map[string]any
type input = inngestgo.Input[data]

var app = os.Args[1]

func main() {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{AppID: app, Logger: quiet})
	check(err)

	register(client, "sequence", inngestgo.FunctionOpts{}, sequence)
	register(client, "parallel", inngestgo.FunctionOpts{}, parallel)
	register(client, "flaky", inngestgo.FunctionOpts{Retries: inngestgo.IntPtr(3)}, flaky)
	register(client, "caught", inngestgo.FunctionOpts{Retries: inngestgo.IntPtr(1)}, caught)
	register(client, "failing", inngestgo.FunctionOpts{Retries: inngestgo.IntPtr(0)}, failing)
	register(client, "waiter", inngestgo.FunctionOpts{}, waiter)
	register(client, "child", inngestgo.FunctionOpts{Retries: inngestgo.IntPtr(0)}, child)
	register(client, "invoker", inngestgo.FunctionOpts{}, invoker)
	register(client, "sender", inngestgo.FunctionOpts{}, sender)
	register(client, "sleeper", inngestgo.FunctionOpts{Cancel: []inngestgo.ConfigCancel{
		{Event: app + "/cancel", If: inngestgo.StrPtr("event.data.key == async.data.key")},
	}}, sleeper)
	register(client, "large", inngestgo.FunctionOpts{}, large)

	// This SDK has no failure handlers: a function that listens does the same.
	ofFailing := inngestgo.StrPtr(fmt.Sprintf("event.data.function_id == '%s-failing'", app))
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "mourner"},
		inngestgo.EventTrigger("inngest/function.failed", ofFailing), mourn)
	check(err)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	check(http.Serve(listener, client.Serve()))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func register(client inngestgo.Client, id string, opts inngestgo.FunctionOpts, handler inngestgo.SDKFunction[data]) {
	opts.ID = id
	_, err := inngestgo.CreateFunction(client, opts, inngestgo.EventTrigger(app+"/"+id, nil), handler)
	check(err)
}

func value[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

func sequence(ctx context.Context, in input) (any, error) {
	a, err := step.Run(ctx, "a", value(data{"n": in.Event.Data["n"]}))
	if err != nil {
		return nil, err
	}
	step.Sleep(ctx, "nap", 100*time.Millisecond)
	b, err := step.Run(ctx, "b", value(a["n"].(float64)+1))
	return data{"a": a, "b": b}, err
}

func parallel(ctx context.Context, in input) (any, error) {
	steps := []func(context.Context) (any, error){}
	for n := range 5 {
		name := fmt.Sprintf("p%d", n)
		steps = append(steps, func(ctx context.Context) (any, error) { return step.Run(ctx, name, value(name)) })
	}
	all := []any{}
	for _, result := range group.Parallel(ctx, steps...) {
		all = append(all, result.Value)
	}
	both := group.Parallel(ctx,
		func(ctx context.Context) (any, error) { return step.Run(ctx, "first", value(len(all))) },
		func(ctx context.Context) (any, error) { step.Sleep(ctx, "nap", 100*time.Millisecond); return nil, nil },
	)
	last, err := step.Run(ctx, "last", value("last"))
	return data{"all": all, "first": both[0].Value, "last": last}, err
}

func flaky(ctx context.Context, in input) (any, error) {
	return step.Run(ctx, "shaky", func(ctx context.Context) (string, error) {
		if in.InputCtx.Attempt < 2 {
			return "", errors.New("not yet")
		}
		return fmt.Sprintf("attempt %d", in.InputCtx.Attempt), nil
	})
}

func caught(ctx context.Context, in input) (any, error) {
	_, err := step.Run(ctx, "broken", func(ctx context.Context) (string, error) { return "", errors.New("oh no") })
	if err != nil {
		return "caught " + err.Error(), nil
	}
	return "not reached", nil
}

func failing(ctx context.Context, in input) (any, error) {
	return nil, sdkerrors.NoRetryError(errors.New("for good"))
}

func mourn(ctx context.Context, in input) (any, error) {
	event := in.Event.Data["event"].(data)["data"].(data)
	message := in.Event.Data["error"].(data)["message"]
	return step.Send(ctx, "tell", inngestgo.Event{Name: app + "/mourned", Data: data{"key": event["key"], "message": message}})
}

func waiter(ctx context.Context, in input) (any, error) {
	timeout, err := time.ParseDuration(in.Event.Data["timeout"].(string))
	if err != nil {
		return nil, err
	}
	found, err := step.WaitForEvent[inngestgo.Event](ctx, "wait", step.WaitForEventOpts{
		Event: app + "/wake", Timeout: timeout, If: inngestgo.StrPtr("event.data.key == async.data.key"),
	})
	if err == step.ErrEventNotReceived {
		return data{"found": nil}, nil
	}
	return data{"found": found.Data["word"]}, err
}

func child(ctx context.Context, in input) (any, error) {
	if in.Event.Data["fail"] == true {
		return nil, sdkerrors.NoRetryError(errors.New("child failed"))
	}
	return step.Run(ctx, "double", value(in.Event.Data["n"].(float64)*2))
}

func invoker(ctx context.Context, in input) (any, error) {
	good, err := step.Invoke[float64](ctx, "good", step.InvokeOpts{FunctionId: app + "-child", Data: data{"n": 21}})
	if err != nil {
		return nil, err
	}
	_, bad := step.Invoke[any](ctx, "bad", step.InvokeOpts{FunctionId: app + "-child", Data: data{"fail": true}})
	_, none := step.Invoke[any](ctx, "none", step.InvokeOpts{FunctionId: app + "-nobody", Data: data{}})
	return data{"good": good, "bad": message(bad), "none": message(none)}, nil
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func sender(ctx context.Context, in input) (any, error) {
	id, err := step.Send(ctx, "send", inngestgo.Event{Name: app + "/sequence", Data: data{"n": in.Event.Data["n"]}})
	return []string{id}, err
}

func sleeper(ctx context.Context, in input) (any, error) {
	step.Sleep(ctx, "long", time.Hour)
	return "awake", nil
}

func large(ctx context.Context, in input) (any, error) {
	a, err := step.Run(ctx, "a", value(strings.Repeat("x", 2_500_000)))
	if err != nil {
		return nil, err
	}
	b, err := step.Run(ctx, "b", value(strings.Repeat("y", 2_500_000)))
	step.Sleep(ctx, "nap", time.Millisecond)
	return []int{len(a), len(b)}, err
}
