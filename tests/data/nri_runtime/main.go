// SPDX-License-Identifier: Apache-2.0

// A runtime with NRI's library: it waits for one plugin, then makes a pod and a container,
// and prints the variables that the plugin asks for.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/containerd/nri/pkg/adaptation"
)

func main() {
	ctx := context.Background()
	synced := make(chan struct{}, 1)
	old := &adaptation.Container{Id: "0", Name: "old"}
	runtime, err := adaptation.New("test-runtime", "1.2",
		func(ctx context.Context, sync adaptation.SyncCB) error {
			_, err := sync(ctx, nil, []*adaptation.Container{old})
			synced <- struct{}{}
			return err
		},
		func(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
			return nil, nil
		},
		adaptation.WithSocketPath(os.Args[1]+"/nri.sock"),
		adaptation.WithPluginPath(os.Args[1]),
		adaptation.WithPluginConfigPath(os.Args[1]),
	)
	check(err)
	check(runtime.Start())
	// Starting synchronizes too, with plugins of its own, of which there are none.
	<-synced
	fmt.Println("listening")
	<-synced
	// The plugin takes part from the end of its synchronization on.
	runtime.BlockPluginSync().Unblock()
	pod := &adaptation.PodSandbox{Id: "1", Name: "one"}
	container := &adaptation.Container{Id: "2", Name: "two", PodSandboxId: "1"}
	check(runtime.RunPodSandbox(ctx, &adaptation.StateChangeEvent{Pod: pod}))
	response, err := runtime.CreateContainer(ctx,
		&adaptation.CreateContainerRequest{Pod: pod, Container: container})
	check(err)
	for _, variable := range response.GetAdjust().GetEnv() {
		fmt.Printf("env %s=%s\n", variable.Key, variable.Value)
	}
	check(runtime.StartContainer(ctx,
		&adaptation.StateChangeEvent{Pod: pod, Container: container}))
	runtime.Stop()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
