// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"interop/gen/peerpb"
)

type streaming struct{}

func (streaming) Echo(_ context.Context, item *peerpb.Item) (*peerpb.Item, error) {
	item.Seq++
	return item, nil
}

func (streaming) EchoStream(_ context.Context, stream peerpb.Streaming_EchoStreamServer) error {
	for {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		item.Seq++
		if err := stream.Send(item); err != nil {
			return err
		}
	}
}

func (streaming) Sum(_ context.Context, stream peerpb.Streaming_SumServer) (*peerpb.Total, error) {
	total := &peerpb.Total{}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return nil, err
		}
		total.Sum += part.Add
		total.Num++
	}
}

func (streaming) Divide(_ context.Context, total *peerpb.Total, stream peerpb.Streaming_DivideServer) error {
	left := total.Sum
	for n := total.Num; n > 0; n-- {
		part := left / n
		left -= part
		if err := stream.Send(&peerpb.Part{Add: part}); err != nil {
			return err
		}
	}
	return nil
}

func (streaming) EchoNull(_ context.Context, stream peerpb.Streaming_EchoNullServer) (*emptypb.Empty, error) {
	for seq := uint32(0); ; seq++ {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return &emptypb.Empty{}, nil
		}
		if err != nil {
			return nil, err
		}
		if err := inOrder(item, seq); err != nil {
			return nil, err
		}
	}
}

// Ten senders share the stream, so that frames of one stream are written by many.
func (streaming) EchoNullStream(_ context.Context, stream peerpb.Streaming_EchoNullStreamServer) error {
	for seq := uint32(0); ; seq++ {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := inOrder(item, seq); err != nil {
			return err
		}
		var group sync.WaitGroup
		failed := make(chan error, 10)
		for range 10 {
			group.Go(func() { failed <- stream.Send(&emptypb.Empty{}) })
		}
		group.Wait()
		for range 10 {
			if err := <-failed; err != nil {
				return err
			}
		}
	}
}

func (streaming) EmptyPayload(_ context.Context, _ *emptypb.Empty, stream peerpb.Streaming_EmptyPayloadServer) error {
	for seq := uint32(1); seq <= 2; seq++ {
		if err := stream.Send(&peerpb.Item{Seq: seq}); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(item *peerpb.Item, seq uint32) error {
	if item.Seq != seq {
		return status.Errorf(codes.FailedPrecondition, "item %d came as %d", seq, item.Seq)
	}
	return nil
}
