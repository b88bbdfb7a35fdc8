// SPDX-License-Identifier: Apache-2.0

// Command peer serves peer.v1.Echo and peer.v1.Streaming with the Go library.
//
// It prints "ready" when it listens, shuts down in order on SIGTERM (within
// -grace) and ends when its standard input does, so that it never outlives
// the test that started it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	ttrpclog "github.com/containerd/log"
	"github.com/containerd/ttrpc"

	"interop/connect"
	"interop/gen/peerpb"
)

func main() {
	address := flag.String("addr", "", "path or @name of the unix socket to listen on")
	grace := flag.Duration("grace", 10*time.Second, "how long SIGTERM lets calls go on")
	sameUser := flag.Bool("same-user", false, "refuse connections of other users")
	flag.Parse()
	// The library logs every frame that it drops; nobody reads that here.
	if err := ttrpclog.SetLevel("panic"); err != nil {
		log.Fatal(err)
	}
	if err := serve(*address, *grace, *sameUser); err != nil {
		log.Fatal(err)
	}
}

func serve(address string, grace time.Duration, sameUser bool) error {
	listener, err := connect.Listen(address)
	if err != nil {
		return err
	}
	var options []ttrpc.ServerOpt
	if sameUser {
		options = append(options, ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()))
	}
	server, err := ttrpc.NewServer(options...)
	if err != nil {
		return err
	}
	peerpb.RegisterEchoService(server, &echo{})
	peerpb.RegisterStreamingService(server, streaming{})

	down := make(chan error, 1)
	go func() {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		<-term
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		down <- server.Shutdown(ctx)
	}()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()

	fmt.Println("ready")
	err = server.Serve(context.Background(), listener)
	if !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	return <-down
}
