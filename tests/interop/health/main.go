// SPDX-License-Identifier: Apache-2.0

// Command health serves grpc.health.v1.Health with the Go library, or asks such a
// server.
//
//	health -addr ADDRESS serve          a line "SERVICE NUMBER" on stdin sets a status
//	health -addr ADDRESS check SERVICE  prints the status, or the error
//	health -addr ADDRESS watch SERVICE  prints each status, and then the error
//
// The server prints "ready" when it listens and a line for each status that was
// set. It ends with its standard input, and its watches with it.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	ttrpclog "github.com/containerd/log"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"interop/connect"
	pb "interop/gen/healthpb"
)

func main() {
	address := flag.String("addr", "", "unix socket of the server")
	flag.Parse()
	if err := ttrpclog.SetLevel("panic"); err != nil {
		log.Fatal(err)
	}
	if flag.Arg(0) == "serve" {
		log.Fatal(serve(*address))
	}
	conn, err := connect.Dial(*address, 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ask := check
	if flag.Arg(0) == "watch" {
		ask = watch
	}
	if err := ask(pb.NewHealthClient(client), flag.Arg(1)); err != nil {
		fmt.Println(status.Code(err), status.Convert(err).Message())
	}
}

func check(client pb.HealthClient, service string) error {
	answer, err := client.Check(context.Background(), &pb.HealthCheckRequest{Service: service})
	if err == nil {
		fmt.Println(answer.Status)
	}
	return err
}

func watch(client pb.HealthClient, service string) error {
	stream, err := client.Watch(context.Background(), &pb.HealthCheckRequest{Service: service})
	if err != nil {
		return err
	}
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		fmt.Println(answer.Status)
	}
}

type health struct {
	lock     sync.Mutex
	changed  chan struct{}
	statuses map[string]pb.HealthCheckResponse_ServingStatus
}

func serve(address string) error {
	listener, err := connect.Listen(address)
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	served := &health{
		changed:  make(chan struct{}),
		statuses: map[string]pb.HealthCheckResponse_ServingStatus{"": pb.HealthCheckResponse_SERVING},
	}
	pb.RegisterHealthService(server, served)
	go served.setFromInput()
	fmt.Println("ready")
	return server.Serve(context.Background(), listener)
}

func (h *health) setFromInput() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var service string
		var number int32
		if _, err := fmt.Sscan(lines.Text(), &service, &number); err != nil {
			log.Fatal(err)
		}
		h.lock.Lock()
		h.statuses[service] = pb.HealthCheckResponse_ServingStatus(number)
		close(h.changed)
		h.changed = make(chan struct{})
		h.lock.Unlock()
		fmt.Println(lines.Text())
	}
	os.Exit(0)
}

func (h *health) of(service string) (pb.HealthCheckResponse_ServingStatus, bool, chan struct{}) {
	h.lock.Lock()
	defer h.lock.Unlock()
	found, ok := h.statuses[service]
	return found, ok, h.changed
}

func (h *health) Check(_ context.Context, request *pb.HealthCheckRequest) (*pb.HealthCheckResponse, error) {
	found, ok, _ := h.of(request.Service)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "service %q: unknown", request.Service)
	}
	return &pb.HealthCheckResponse{Status: found}, nil
}

func (h *health) Watch(ctx context.Context, request *pb.HealthCheckRequest, stream pb.Health_WatchServer) error {
	for {
		found, ok, changed := h.of(request.Service)
		if !ok {
			found = pb.HealthCheckResponse_SERVICE_UNKNOWN
		}
		if err := stream.Send(&pb.HealthCheckResponse{Status: found}); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
