// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const limit = 4 << 20

var unary = map[string]scenario{
	"echo":                 func(s *session) error { return s.echoes("hi") },
	"echo_empty":           func(s *session) error { return s.echoes("") },
	"echo_null":            echoNull,
	"sizes":                sizes,
	"concurrent":           concurrent,
	"overtake":             overtake,
	"metadata":             metadata,
	"unimplemented":        unimplemented,
	"codes":                allCodes,
	"code_unknown":         func(s *session) error { return s.fails(s.fail(99), 99, "failed with 99") },
	"code_ok":              func(s *session) error { return equal("code", status.Code(s.fail(0)), codes.Unknown) },
	"details":              details,
	"plain_error":          plainError,
	"nil_response":         nilResponse,
	"value_and_error":      valueAndError,
	"request_over_limit":   requestOverLimit,
	"response_over_limit":  responseOverLimit,
	"deadline_exceeded":    deadlineExceeded,
	"deadline_seen":        deadlineSeen,
	"deadline_of_stubborn": deadlineOfStubborn,
	"cancel":               cancelled,
	"close_cancels":        closeCancels,
	"client_closed":        clientClosed,
	"connections":          connections,
	"interceptors":         interceptors,
}

func (s *session) echoes(text string) error {
	got, err := s.echo.Echo(s, wrapperspb.Bytes([]byte(text)))
	if err != nil {
		return err
	}
	return equal("echo", string(got.Value), text)
}

// fails compares a status, and sees that the connection goes on.
func (s *session) fails(err error, code codes.Code, message string) error {
	got, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("no status: %v", err)
	}
	if err := equal("code", got.Code(), code); err != nil {
		return err
	}
	if err := equal("message", got.Message(), message); err != nil {
		return err
	}
	return s.echoes("still")
}

func (s *session) fail(code int32) error {
	_, err := s.echo.Fail(s, wrapperspb.Int32(code))
	return err
}

func echoNull(s *session) error {
	_, err := s.echo.Echo(s, nil)
	return err
}

func sizes(s *session) error {
	// The longest payload that fits: the envelope takes the rest.
	for _, size := range []int{0, 1, 127, 128, 4085, 4086, 4096, 65536, 1 << 20, limit - 64} {
		sent := bytes.Repeat([]byte{'x'}, size)
		got, err := s.echo.Echo(s, wrapperspb.Bytes(sent))
		if err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
		if !bytes.Equal(got.Value, sent) {
			return fmt.Errorf("%d bytes came back as %d others", size, len(got.Value))
		}
	}
	return nil
}

func concurrent(s *session) error {
	failed := make(chan error)
	for i := range 1000 {
		go func() { failed <- s.echoes(fmt.Sprint(i)) }()
	}
	for range 1000 {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

func overtake(s *session) error {
	slow := make(chan error, 1)
	go func() {
		_, err := s.echo.Sleep(s, wrapperspb.UInt64(uint64(200*time.Millisecond)))
		slow <- err
	}()
	for range 10 {
		if err := s.echoes("fast"); err != nil {
			return err
		}
	}
	select {
	case err := <-slow:
		return fmt.Errorf("the slow call came first: %v", err)
	default:
		return <-slow
	}
}

func metadata(s *session) error {
	md := ttrpc.MD{}
	md.Set("Key", "1", "2")
	md.Append("key", "")
	md.Set("other", "x")
	ctx := ttrpc.WithMetadata(s, md)
	for key, want := range map[string]string{"key": "1,2,", "KEY": "1,2,", "other": "x", "none": ""} {
		got, err := s.echo.Metadata(ctx, wrapperspb.String(key))
		if err != nil {
			return err
		}
		if err := equal(key, got.Value, want); err != nil {
			return err
		}
	}
	return nil
}

func unimplemented(s *session) error {
	request, response := wrapperspb.Bytes(nil), &wrapperspb.BytesValue{}
	err := s.client.Call(s, "peer.v1.Echo", "Nope", request, response)
	if err := s.fails(err, codes.Unimplemented, "method Nope"); err != nil {
		return err
	}
	err = s.client.Call(s, "no.Such", "Echo", request, response)
	return s.fails(err, codes.Unimplemented, "service no.Such")
}

func allCodes(s *session) error {
	for code := int32(1); code <= 16; code++ {
		if err := s.fails(s.fail(code), codes.Code(code), fmt.Sprintf("failed with %d", code)); err != nil {
			return err
		}
	}
	return nil
}

func details(s *session) error {
	_, err := s.echo.FailDetails(s, wrapperspb.Int32(5))
	got := status.Convert(err).Details()
	if len(got) != 1 {
		return fmt.Errorf("details: %v", got)
	}
	detail, ok := got[0].(*wrapperspb.StringValue)
	if !ok {
		return fmt.Errorf("detail: %v", got[0])
	}
	if err := equal("detail", detail.Value, "detail"); err != nil {
		return err
	}
	return s.fails(err, codes.NotFound, "failed with 5")
}

func plainError(s *session) error {
	_, err := s.echo.Plain(s, &emptypb.Empty{})
	return s.fails(err, codes.Unknown, "went wrong")
}

func nilResponse(s *session) error {
	_, err := s.echo.Nil(s, &emptypb.Empty{})
	return equal("code", status.Code(err), codes.Unknown)
}

func valueAndError(s *session) error {
	got, err := s.echo.Both(s, &emptypb.Empty{})
	if got != nil {
		return fmt.Errorf("a value came with the error: %v", got)
	}
	return s.fails(err, codes.DataLoss, "lost")
}

func requestOverLimit(s *session) error {
	_, err := s.echo.Len(s, wrapperspb.Bytes(make([]byte, limit)))
	if err := equal("code", status.Code(err), codes.ResourceExhausted); err != nil {
		return err
	}
	return s.echoes("still")
}

func responseOverLimit(s *session) error {
	_, err := s.echo.Make(s, wrapperspb.UInt64(limit+1))
	return s.fails(err, codes.ResourceExhausted, "message length 4194315 exceed maximum message size of 4194304")
}

func deadlineExceeded(s *session) error {
	ctx, cancel := context.WithTimeout(s, 50*time.Millisecond)
	defer cancel()
	_, err := s.echo.Sleep(ctx, wrapperspb.UInt64(uint64(time.Minute)))
	// The client's own clock or the server's answer, whichever was first.
	if code := status.Code(err); !errors.Is(err, context.DeadlineExceeded) && code != codes.DeadlineExceeded {
		return fmt.Errorf("ended with %v", err)
	}
	return s.waitFor("calls that run", 0, s.active)
}

func deadlineSeen(s *session) error {
	got, err := s.echo.Deadline(s, &emptypb.Empty{})
	if err != nil {
		return err
	}
	if err := equal("without a deadline", got.Value, -1); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s, 10*time.Minute)
	defer cancel()
	got, err = s.echo.Deadline(ctx, &emptypb.Empty{})
	if err != nil {
		return err
	}
	if left := time.Duration(got.Value); left > 10*time.Minute || left < 9*time.Minute {
		return fmt.Errorf("left: %v", left)
	}
	return nil
}

// deadlineOfStubborn asks with a deadline that only the server knows: the
// client's context would answer for it.
func deadlineOfStubborn(s *session) error {
	payload := wrapperspb.UInt64(uint64(500 * time.Millisecond))
	ctx, cancel := context.WithTimeout(s, 50*time.Millisecond)
	defer cancel()
	_, err := s.echo.Stubborn(ctx, payload)
	if code := status.Code(err); !errors.Is(err, context.DeadlineExceeded) && code != codes.DeadlineExceeded {
		return fmt.Errorf("ended with %v", err)
	}
	return s.echoes("still")
}

func cancelled(s *session) error {
	ctx, cancel := context.WithCancel(s)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := s.echo.Sleep(ctx, wrapperspb.UInt64(uint64(50*time.Millisecond)))
		ended <- err
	}()
	if err := s.waitFor("calls that run", 1, s.active); err != nil {
		return err
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return fmt.Errorf("ended with %v", err)
	}
	// There is no cancel on the wire: the late answer comes and is dropped.
	if err := s.waitFor("calls that run", 0, s.active); err != nil {
		return err
	}
	return s.echoes("still")
}

func closeCancels(s *session) error {
	other, err := open(s, s.address)
	if err != nil {
		return err
	}
	before, err := s.counter(s.echo.Cancelled)
	if err != nil {
		return err
	}
	for range 5 {
		go other.echo.Sleep(other, wrapperspb.UInt64(uint64(time.Minute)))
	}
	if err := s.waitFor("calls that run", 5, s.active); err != nil {
		return err
	}
	other.client.Close()
	if err := s.waitFor("calls that run", 0, s.active); err != nil {
		return err
	}
	return s.waitFor("cancelled calls", before+5, func() (int64, error) { return s.counter(s.echo.Cancelled) })
}

func clientClosed(s *session) error {
	done := make(chan struct{})
	other, err := open(s, s.address, ttrpc.WithOnClose(func() { close(done) }))
	if err != nil {
		return err
	}
	other.client.Close()
	if err := other.client.UserOnCloseWait(s); err != nil {
		return err
	}
	<-done
	if _, err := other.echo.Echo(s, wrapperspb.Bytes(nil)); !errors.Is(err, ttrpc.ErrClosed) {
		return fmt.Errorf("a call after Close ended with %v", err)
	}
	return s.echoes("still")
}

func connections(s *session) error {
	for i := range 20 {
		other, err := open(s, s.address)
		if err != nil {
			return err
		}
		defer other.client.Close()
		if err := other.echoes(fmt.Sprint(i)); err != nil {
			return err
		}
	}
	return s.echoes("still")
}

func interceptors(s *session) error {
	var order []string
	link := func(name string) ttrpc.UnaryClientInterceptor {
		return func(ctx context.Context, request *ttrpc.Request, response *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			order = append(order, name, info.FullMethod)
			return invoke(ctx, request, response)
		}
	}
	other, err := open(s, s.address, ttrpc.WithChainUnaryClientInterceptor(link("outer"), link("inner")))
	if err != nil {
		return err
	}
	defer other.client.Close()
	if err := other.echoes("hi"); err != nil {
		return err
	}
	return equal("order", strings.Join(order, " "), "outer /peer.v1.Echo/Echo inner /peer.v1.Echo/Echo")
}

type counting func(context.Context, *emptypb.Empty) (*wrapperspb.Int64Value, error)

func (s *session) counter(method counting) (int64, error) {
	got, err := method(s, &emptypb.Empty{})
	return got.GetValue(), err
}

func (s *session) active() (int64, error) { return s.counter(s.echo.Active) }

// waitFor asks until a counter has the value, or the scenario's time is over.
func (s *session) waitFor(what string, want int64, count func() (int64, error)) error {
	for {
		got, err := count()
		if err != nil {
			return err
		}
		if got == want {
			return nil
		}
		if s.Err() != nil {
			return fmt.Errorf("%s: still %d, want %d", what, got, want)
		}
	}
}
