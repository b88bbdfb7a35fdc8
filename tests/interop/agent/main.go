// SPDX-License-Identifier: Apache-2.0

// Command agent takes a container through its whole life, the way a Kata
// runtime does: health check, sandbox, container, output to its end, exit
// status, removal. It prints the results as one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/encoding/protojson"

	"interop/connect"
	"interop/gen/agentpb"
)

type report struct {
	Health  string `json:"health"`
	Version string `json:"version"`
	Stdout  string `json:"stdout"`
	Stderr  string `json:"stderr"`
	Status  int32  `json:"status"`
}

func main() {
	address := flag.String("addr", "", "unix:///path, unix://@name or hvsock:///path:port")
	specFile := flag.String("spec", "", "grpc.Spec as protobuf JSON")
	id := flag.String("id", "go1", "id of the container")
	timeout := flag.Duration("timeout", 30*time.Second, "for all of it")
	flag.Parse()
	out, err := life(*address, *specFile, *id, *timeout)
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(out)
}

func life(address, specFile, id string, timeout time.Duration) (*report, error) {
	text, err := os.ReadFile(specFile)
	if err != nil {
		return nil, err
	}
	spec := &agentpb.Spec{}
	if err := protojson.Unmarshal(text, spec); err != nil {
		return nil, fmt.Errorf("%s: %w", specFile, err)
	}
	conn, err := connect.Dial(address, timeout)
	if err != nil {
		return nil, err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	out := &report{}
	if err := health(ctx, agentpb.NewHealthClient(client), out); err != nil {
		return nil, err
	}
	agent := agentpb.NewAgentServiceClient(client)
	if _, err := agent.CreateSandbox(ctx, &agentpb.CreateSandboxRequest{Hostname: "go", SandboxId: "go"}); err != nil {
		return nil, fmt.Errorf("CreateSandbox: %w", err)
	}
	if err := container(ctx, agent, spec, id, out); err != nil {
		return nil, err
	}
	if _, err := agent.DestroySandbox(ctx, &agentpb.DestroySandboxRequest{}); err != nil {
		return nil, fmt.Errorf("DestroySandbox: %w", err)
	}
	return out, nil
}

func health(ctx context.Context, client agentpb.HealthService, out *report) error {
	check, err := client.Check(ctx, &agentpb.CheckRequest{})
	if err != nil {
		return fmt.Errorf("Check: %w", err)
	}
	version, err := client.Version(ctx, &agentpb.CheckRequest{})
	if err != nil {
		return fmt.Errorf("Version: %w", err)
	}
	out.Health = check.Status.String()
	out.Version = version.AgentVersion
	return nil
}

func container(ctx context.Context, agent agentpb.AgentServiceService, spec *agentpb.Spec, id string, out *report) error {
	create := &agentpb.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: spec}
	if _, err := agent.CreateContainer(ctx, create); err != nil {
		return fmt.Errorf("CreateContainer: %w", err)
	}
	if _, err := agent.StartContainer(ctx, &agentpb.StartContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("StartContainer: %w", err)
	}
	ended := make(chan error, 2)
	go func() { ended <- readAll(ctx, agent.ReadStdout, id, &out.Stdout) }()
	go func() { ended <- readAll(ctx, agent.ReadStderr, id, &out.Stderr) }()
	for range 2 {
		if err := <-ended; err != nil {
			return err
		}
	}
	exit, err := agent.WaitProcess(ctx, &agentpb.WaitProcessRequest{ContainerId: id, ExecId: id})
	if err != nil {
		return fmt.Errorf("WaitProcess: %w", err)
	}
	out.Status = exit.Status
	if _, err := agent.RemoveContainer(ctx, &agentpb.RemoveContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("RemoveContainer: %w", err)
	}
	return nil
}

type read func(context.Context, *agentpb.ReadStreamRequest) (*agentpb.ReadStreamResponse, error)

// readAll reads to the end, which is an answer without data.
func readAll(ctx context.Context, next read, id string, into *string) error {
	var all []byte
	for {
		got, err := next(ctx, &agentpb.ReadStreamRequest{ContainerId: id, ExecId: id, Len: 32 << 10})
		if err != nil {
			return fmt.Errorf("read of %s after %d bytes: %w", id, len(all), err)
		}
		if len(got.Data) == 0 {
			*into = string(all)
			return nil
		}
		all = append(all, got.Data...)
	}
}
