// SPDX-License-Identifier: Apache-2.0

// Command bench drives a server of peer.v1.Echo over one connection and prints
// one JSON object: calls or messages per second, and latencies in microseconds.
//
// unary: -inflight callers, each waiting for its answer. check: the same, of the
// agent's Health.Check. bidi: -inflight streams, each a ping-pong. upload, download:
// one stream, -n messages.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/connect"
	"interop/gen/agentpb"
	"interop/gen/peerpb"
)

type result struct {
	Mode     string  `json:"mode"`
	Size     int     `json:"size"`
	InFlight int     `json:"inflight"`
	N        int     `json:"n"`
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"rate"`
	P50      float64 `json:"p50_us,omitempty"`
	P99      float64 `json:"p99_us,omitempty"`
}

// step makes one call; steps of one worker follow each other.
type step func() error

func main() {
	address := flag.String("addr", "", "unix socket of the server")
	mode := flag.String("mode", "unary", "unary, check, bidi, upload or download")
	size := flag.Int("size", 64, "bytes in a message")
	inFlight := flag.Int("inflight", 1, "calls or streams at a time")
	n := flag.Int("n", 1000, "calls or messages in all")
	warm := flag.Int("warm", 100, "calls or messages before the clock starts")
	flag.Parse()

	conn, err := connect.Dial(*address, 5*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	out := result{Mode: *mode, Size: *size, InFlight: *inFlight, N: *n}
	echo := peerpb.NewEchoClient(client)
	switch *mode {
	case "unary", "check", "bidi":
		err = pingPong(client, echo, &out, *warm)
	case "upload", "download":
		err = oneWay(echo, &out, *warm)
	default:
		err = fmt.Errorf("mode %q: unknown", *mode)
	}
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(out)
}

func pingPong(conn *ttrpc.Client, client peerpb.EchoClient, out *result, warm int) error {
	ctx := context.Background()
	health := agentpb.NewHealthClient(conn)
	message := wrapperspb.Bytes(make([]byte, out.Size))
	steps := make([]step, out.InFlight)
	for i := range steps {
		if out.Mode == "unary" {
			steps[i] = func() error {
				_, err := client.Echo(ctx, message)
				return err
			}
			continue
		}
		if out.Mode == "check" {
			steps[i] = func() error {
				_, err := health.Check(ctx, &agentpb.CheckRequest{})
				return err
			}
			continue
		}
		stream, err := client.EchoStream(ctx)
		if err != nil {
			return err
		}
		defer stream.CloseSend()
		steps[i] = func() error {
			if err := stream.Send(message); err != nil {
				return err
			}
			_, err := stream.Recv()
			return err
		}
	}
	if _, err := run(steps, max(1, warm/out.InFlight)); err != nil {
		return err
	}
	each := max(1, out.N/out.InFlight)
	start := time.Now()
	latencies, err := run(steps, each)
	if err != nil {
		return err
	}
	out.N = each * out.InFlight
	out.finish(time.Since(start))
	slices.Sort(latencies)
	out.P50 = micros(latencies[len(latencies)/2])
	out.P99 = micros(latencies[len(latencies)*99/100])
	return nil
}

// run makes `each` steps in every worker at once; returns how long each took.
func run(steps []step, each int) ([]time.Duration, error) {
	latencies := make([]time.Duration, len(steps)*each)
	failed := make(chan error, len(steps))
	var group sync.WaitGroup
	for worker, once := range steps {
		group.Go(func() {
			mine := latencies[worker*each : (worker+1)*each]
			for i := range mine {
				start := time.Now()
				if err := once(); err != nil {
					failed <- err
					return
				}
				mine[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return latencies, nil
	}
}

func oneWay(client peerpb.EchoClient, out *result, warm int) error {
	transfer := upload
	if out.Mode == "download" {
		transfer = download
	}
	if err := transfer(client, out.Size, warm); err != nil {
		return err
	}
	start := time.Now()
	if err := transfer(client, out.Size, out.N); err != nil {
		return err
	}
	out.finish(time.Since(start))
	return nil
}

func upload(client peerpb.EchoClient, size, n int) error {
	stream, err := client.Upload(context.Background())
	if err != nil {
		return err
	}
	message := wrapperspb.Bytes(make([]byte, size))
	for range n {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if count := int(reply.Value >> 32); count != n {
		return fmt.Errorf("sent %d messages, %d arrived", n, count)
	}
	return nil
}

func download(client peerpb.EchoClient, size, n int) error {
	stream, err := client.Download(context.Background(), wrapperspb.UInt64(uint64(n)<<32|uint64(size)))
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := stream.Recv(); err != nil {
			return fmt.Errorf("message %d of %d: %w", i, n, err)
		}
	}
	return nil
}

func (r *result) finish(elapsed time.Duration) {
	r.Seconds = elapsed.Seconds()
	r.Rate = float64(r.N) / elapsed.Seconds()
}

func micros(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000
}
