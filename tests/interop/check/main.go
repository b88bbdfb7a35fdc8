// SPDX-License-Identifier: Apache-2.0

// Command check puts a server through scenarios, with the Go library as client.
//
// Each scenario has a connection of its own. One line of JSON is printed for
// each: its name, and the fault, if there is one.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"time"

	ttrpclog "github.com/containerd/log"
	"github.com/containerd/ttrpc"

	"interop/connect"
	"interop/gen/peerpb"
)

// session has the connection and the clients that a scenario uses.
type session struct {
	context.Context
	address string
	client  *ttrpc.Client
	echo    peerpb.EchoClient
	items   peerpb.StreamingClient
}

type scenario func(*session) error

type outcome struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

func main() {
	address := flag.String("addr", "", "unix socket of a server of peer.v1")
	list := flag.Bool("list", false, "print the names of all scenarios")
	flag.Parse()
	// The library logs every frame that it drops; scenarios make it drop some.
	if err := ttrpclog.SetLevel("panic"); err != nil {
		log.Fatal(err)
	}

	scenarios := maps.Collect(maps.All(unary))
	maps.Copy(scenarios, streams)
	names := flag.Args()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(scenarios))
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, name := range names {
		if *list {
			fmt.Println(name)
			continue
		}
		run, ok := scenarios[name]
		if !ok {
			log.Fatalf("scenario %q: unknown", name)
		}
		out := outcome{Name: name}
		if err := play(*address, run); err != nil {
			out.Error = err.Error()
		}
		encoder.Encode(out)
	}
}

func play(address string, run scenario) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := open(ctx, address)
	if err != nil {
		return err
	}
	defer s.client.Close()
	return run(s)
}

// open connects. Its context carries no deadline to the calls, so that the
// frames of a scenario are the same every time.
func open(ctx context.Context, address string, options ...ttrpc.ClientOpts) (*session, error) {
	conn, err := connect.Dial(address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	client := ttrpc.NewClient(conn, options...)
	return &session{
		Context: withoutDeadline{ctx},
		address: address,
		client:  client,
		echo:    peerpb.NewEchoClient(client),
		items:   peerpb.NewStreamingClient(client),
	}, nil
}

type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

func equal[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}
