// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"interop/gen/peerpb"
)

var streams = map[string]scenario{
	"stream_bidi":             streamBidi,
	"stream_echo_50":          streamEcho50,
	"stream_sum":              streamSum,
	"stream_divide":           streamDivide,
	"stream_echo_null":        streamEchoNull,
	"stream_null_out_of_step": streamNullOutOfStep,
	"stream_echo_null_stream": streamEchoNullStream,
	"stream_empty_payload":    streamEmptyPayload,
	"stream_upload":           func(s *session) error { return s.uploads(5, 100) },
	"stream_upload_nothing":   func(s *session) error { return s.uploads(0, 0) },
	"stream_upload_large":     func(s *session) error { return s.uploads(3, limit-64) },
	"stream_download":         func(s *session) error { return s.downloads(5, 100) },
	"stream_download_nothing": func(s *session) error { return s.downloads(0, 0) },
	"stream_download_large":   func(s *session) error { return s.downloads(3, limit-64) },
	"stream_fails":            streamFails,
	"stream_unimplemented":    streamUnimplemented,
	"stream_not_read":         streamNotRead,
	"stream_full_on_server":   streamFullOnServer,
	"stream_many":             streamMany,
	"stream_closed_by_us":     streamClosedByUs,
	"stream_close_cancels":    streamCloseCancels,
	"stream_connections":      streamConnections,
}

func isEOF(err error) error {
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("ended with %v", err)
	}
	return nil
}

// pingPong sends items and sees each come back one higher.
func pingPong(stream peerpb.Streaming_EchoStreamClient, from, to uint32) error {
	for seq := from; seq < to; seq++ {
		text := fmt.Sprintf("%d: a message", seq)
		if err := stream.Send(&peerpb.Item{Seq: seq, Text: text}); err != nil {
			return err
		}
		got, err := stream.Recv()
		if err != nil {
			return err
		}
		if got.Seq != seq+1 || got.Text != text {
			return fmt.Errorf("item %d came back as %v", seq, got)
		}
	}
	return nil
}

func (s *session) echoItems(count uint32) error {
	stream, err := s.items.EchoStream(s)
	if err != nil {
		return err
	}
	if err := pingPong(stream, 0, count); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	return isEOF(err)
}

func streamBidi(s *session) error {
	if err := s.echoes("before"); err != nil {
		return err
	}
	if err := s.echoItems(100); err != nil {
		return err
	}
	return s.echoes("after")
}

func streamEcho50(s *session) error {
	if _, err := s.items.Echo(s, &peerpb.Item{Seq: 1}); err != nil {
		return err
	}
	return s.echoItems(50)
}

// streamSum: empty messages count.
func streamSum(s *session) error {
	stream, err := s.items.Sum(s)
	if err != nil {
		return err
	}
	var want peerpb.Total
	send := func(part *peerpb.Part) error {
		want.Sum += part.Add
		want.Num++
		return stream.Send(part)
	}
	if err := send(&peerpb.Part{}); err != nil {
		return err
	}
	for i := int32(-99); i <= 100; i++ {
		if err := send(&peerpb.Part{Add: i}); err != nil {
			return err
		}
	}
	if err := send(&peerpb.Part{}); err != nil {
		return err
	}
	got, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if got.Sum != want.Sum || got.Num != 202 {
		return fmt.Errorf("got %v, want %v", got, &want)
	}
	return nil
}

func streamDivide(s *session) error {
	stream, err := s.items.Divide(s, &peerpb.Total{Sum: 392, Num: 30})
	if err != nil {
		return err
	}
	var got peerpb.Total
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		got.Sum += part.Add
		got.Num++
	}
	if got.Sum != 392 || got.Num != 30 {
		return fmt.Errorf("got %v", &got)
	}
	return nil
}

func streamEchoNull(s *session) error {
	stream, err := s.items.EchoNull(s)
	if err != nil {
		return err
	}
	for seq := range uint32(100) {
		if err := stream.Send(&peerpb.Item{Seq: seq}); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func streamNullOutOfStep(s *session) error {
	stream, err := s.items.EchoNull(s)
	if err != nil {
		return err
	}
	if err := stream.Send(&peerpb.Item{Seq: 7}); err != nil {
		return err
	}
	_, err = stream.CloseAndRecv()
	return s.fails(err, codes.FailedPrecondition, "item 0 came as 7")
}

func streamEchoNullStream(s *session) error {
	stream, err := s.items.EchoNullStream(s)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		for seq := range uint32(100) {
			if err := stream.Send(&peerpb.Item{Seq: seq}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	count := 0
	for {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		count++
	}
	if err := <-sent; err != nil {
		return err
	}
	return equal("empty messages", count, 1000)
}

func streamEmptyPayload(s *session) error {
	stream, err := s.items.EmptyPayload(s, nil)
	if err != nil {
		return err
	}
	for seq := uint32(1); seq <= 2; seq++ {
		got, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := equal("seq", got.Seq, seq); err != nil {
			return err
		}
	}
	_, err = stream.Recv()
	return isEOF(err)
}

func (s *session) uploads(count, size int) error {
	stream, err := s.echo.Upload(s)
	if err != nil {
		return err
	}
	for range count {
		if err := stream.Send(wrapperspb.Bytes(make([]byte, size))); err != nil {
			return err
		}
	}
	got, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	return equal("uploaded", got.Value, uint64(count)<<32|uint64(count*size))
}

func (s *session) downloads(count, size int) error {
	stream, err := s.echo.Download(s, wrapperspb.UInt64(uint64(count)<<32|uint64(size)))
	if err != nil {
		return err
	}
	for range count {
		got, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := equal("size", len(got.Value), size); err != nil {
			return err
		}
	}
	_, err = stream.Recv()
	return isEOF(err)
}

func streamFails(s *session) error {
	stream, err := s.echo.FailStream(s, wrapperspb.UInt64(3))
	if err != nil {
		return err
	}
	for i := range 3 {
		got, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := equal("text", got.Value, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	_, err = stream.Recv()
	return s.fails(err, codes.Aborted, "enough")
}

func streamUnimplemented(s *session) error {
	desc := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	stream, err := s.client.NewStream(s, desc, "peer.v1.Echo", "NoStream", nil)
	if err != nil {
		return err
	}
	err = stream.RecvMsg(&wrapperspb.BytesValue{})
	return s.fails(err, codes.Unimplemented, "method NoStream")
}

// streamNotRead: a stream that is not read holds back only itself.
func streamNotRead(s *session) error {
	stream, err := s.items.EchoStream(s)
	if err != nil {
		return err
	}
	for seq := range uint32(200) {
		if err := stream.Send(&peerpb.Item{Seq: seq}); err != nil {
			return err
		}
	}
	if err := s.echoes("meanwhile"); err != nil {
		return err
	}
	return s.echoItems(10)
}

// streamFullOnServer: the same for a stream that the server's handler does not read.
func streamFullOnServer(s *session) error {
	stream, err := s.echo.Ignore(s)
	if err != nil {
		return err
	}
	for range 200 {
		if err := stream.Send(wrapperspb.Bytes(make([]byte, 1000))); err != nil {
			return err
		}
	}
	return s.echoes("meanwhile")
}

func streamMany(s *session) error {
	failed := make(chan error)
	for range 50 {
		go func() { failed <- s.echoItems(20) }()
	}
	for range 50 {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

func streamClosedByUs(s *session) error {
	stream, err := s.echo.EchoStream(s)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := stream.Send(wrapperspb.Bytes(nil)); !errors.Is(err, ttrpc.ErrStreamClosed) {
		return fmt.Errorf("a message after the end: %v", err)
	}
	_, err = stream.Recv()
	return isEOF(err)
}

func streamCloseCancels(s *session) error {
	other, err := open(s, s.address)
	if err != nil {
		return err
	}
	if _, err := other.echo.Ignore(s); err != nil {
		return err
	}
	if err := s.waitFor("streams that run", 1, s.active); err != nil {
		return err
	}
	other.client.Close()
	return s.waitFor("streams that run", 0, s.active)
}

func streamConnections(s *session) error {
	for range 10 {
		other, err := open(s, s.address)
		if err != nil {
			return err
		}
		defer other.client.Close()
		if err := other.echoItems(3); err != nil {
			return err
		}
	}
	return nil
}
