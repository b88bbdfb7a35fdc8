// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/gen/peerpb"
)

// echo counts the calls that wait, so that a test can wait for them to end.
type echo struct {
	active    atomic.Int64
	cancelled atomic.Int64
}

func (e *echo) Echo(_ context.Context, request *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	return request, nil
}

func (e *echo) Len(_ context.Context, request *wrapperspb.BytesValue) (*wrapperspb.UInt64Value, error) {
	return wrapperspb.UInt64(uint64(len(request.Value))), nil
}

func (e *echo) Make(_ context.Context, request *wrapperspb.UInt64Value) (*wrapperspb.BytesValue, error) {
	return wrapperspb.Bytes(make([]byte, request.Value)), nil
}

func (e *echo) MakeLater(ctx context.Context, request *wrapperspb.UInt64Value) (*wrapperspb.BytesValue, error) {
	time.Sleep(10 * time.Millisecond)
	return e.Make(ctx, request)
}

func (e *echo) Sleep(ctx context.Context, request *wrapperspb.UInt64Value) (*wrapperspb.UInt64Value, error) {
	e.active.Add(1)
	defer e.active.Add(-1)
	select {
	case <-ctx.Done():
		e.cancelled.Add(1)
		return nil, ctx.Err()
	case <-time.After(time.Duration(request.Value)):
		return request, nil
	}
}

func (e *echo) Stubborn(_ context.Context, request *wrapperspb.UInt64Value) (*wrapperspb.UInt64Value, error) {
	time.Sleep(time.Duration(request.Value))
	return request, nil
}

func (e *echo) Deadline(ctx context.Context, _ *emptypb.Empty) (*wrapperspb.Int64Value, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return wrapperspb.Int64(-1), nil
	}
	return wrapperspb.Int64(int64(time.Until(deadline))), nil
}

func (e *echo) Metadata(ctx context.Context, request *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	metadata, _ := ttrpc.GetMetadata(ctx)
	values, _ := metadata.Get(request.Value)
	return wrapperspb.String(strings.Join(values, ",")), nil
}

func (e *echo) Fail(_ context.Context, request *wrapperspb.Int32Value) (*wrapperspb.BytesValue, error) {
	return nil, status.Errorf(codes.Code(request.Value), "failed with %d", request.Value)
}

func (e *echo) FailDetails(_ context.Context, request *wrapperspb.Int32Value) (*wrapperspb.BytesValue, error) {
	detail, err := anypb.New(wrapperspb.String("detail"))
	if err != nil {
		return nil, err
	}
	return nil, status.FromProto(&spb.Status{
		Code:    request.Value,
		Message: fmt.Sprintf("failed with %d", request.Value),
		Details: []*anypb.Any{detail},
	}).Err()
}

func (e *echo) Plain(context.Context, *emptypb.Empty) (*wrapperspb.BytesValue, error) {
	return nil, errors.New("went wrong")
}

func (e *echo) Nil(context.Context, *emptypb.Empty) (*wrapperspb.BytesValue, error) {
	return nil, nil
}

func (e *echo) Both(context.Context, *emptypb.Empty) (*wrapperspb.BytesValue, error) {
	return wrapperspb.Bytes([]byte("kept")), status.Error(codes.DataLoss, "lost")
}

func (e *echo) Active(context.Context, *emptypb.Empty) (*wrapperspb.Int64Value, error) {
	return wrapperspb.Int64(e.active.Load()), nil
}

func (e *echo) Cancelled(context.Context, *emptypb.Empty) (*wrapperspb.Int64Value, error) {
	return wrapperspb.Int64(e.cancelled.Load()), nil
}

// during counts a stream while it runs.
func (e *echo) during(ctx context.Context, run func() error) error {
	e.active.Add(1)
	defer e.active.Add(-1)
	err := run()
	if ctx.Err() != nil {
		e.cancelled.Add(1)
	}
	return err
}

func (e *echo) EchoStream(ctx context.Context, stream peerpb.Echo_EchoStreamServer) error {
	return e.during(ctx, func() error {
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := stream.Send(message); err != nil {
				return err
			}
		}
	})
}

func (e *echo) Upload(ctx context.Context, stream peerpb.Echo_UploadServer) (*wrapperspb.UInt64Value, error) {
	var count, size uint64
	err := e.during(ctx, func() error {
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			count++
			size += uint64(len(message.Value))
		}
	})
	if err != nil {
		return nil, err
	}
	return wrapperspb.UInt64(count<<32 | size&0xffffffff), nil
}

func (e *echo) Download(ctx context.Context, request *wrapperspb.UInt64Value, stream peerpb.Echo_DownloadServer) error {
	return e.during(ctx, func() error {
		message := wrapperspb.Bytes(make([]byte, request.Value&0xffffffff))
		for range request.Value >> 32 {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *echo) FailStream(_ context.Context, request *wrapperspb.UInt64Value, stream peerpb.Echo_FailStreamServer) error {
	for i := range request.Value {
		if err := stream.Send(wrapperspb.String(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return status.Error(codes.Aborted, "enough")
}

func (e *echo) Ignore(ctx context.Context, _ peerpb.Echo_IgnoreServer) error {
	return e.during(ctx, func() error {
		<-ctx.Done()
		return ctx.Err()
	})
}
